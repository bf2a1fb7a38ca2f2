//! GPU memory that can never be enough: for one model, or for all that should be loaded on a GPU at once.
//!
//! Only what is declared is summed up; what is measured is the planner's and scheduler's business.

use std::collections::{BTreeMap, BTreeSet};

use crate::core::{Kind, Name};
use crate::declare::manifest::Spec;
use crate::declare::manifest::kind::host::{GpuSpec, HostSpec};
use crate::declare::manifest::kind::model::ServedBy;

use super::super::candidate::{Candidate, Subject};
use super::super::code;
use super::super::problem::Problem;
use super::Report;
use super::capability::listed;
use super::loadout::{Wish, wishes};

/// Sums of decimal fractions miss by less than this.
const ROUNDING_GB: f64 = 1e-6;

/// Models named in a sum before the rest is summed up.
const NAMES_LISTED_MAX: usize = 8;

/// Gigabytes with at most two decimals.
fn gb(value: f64) -> String {
    let text = format!("{value:.2}");
    format!("{} GB", text.trim_end_matches('0').trim_end_matches('.'))
}

/// The GPU that a runtime uses, with its host. None for a runtime without one, or one whose GPU is not known.
fn gpu_of<'a>(world: &Candidate<'a>, runtime: &Name) -> Option<(&'a Name, &'a HostSpec, &'a GpuSpec)> {
    let runtime = world.runtime(runtime.as_str())?;
    let host = world.host(runtime.host.as_str())?;
    let gpu = host.gpus.iter().find(|gpu| Some(&gpu.id) == runtime.gpu.as_ref())?;
    Some((&runtime.host, host, gpu))
}

/// Reports a model that fits on no GPU it could run on, and remarks on single ones where it does not.
pub fn model(subject: Subject<'_>, world: &Candidate<'_>, report: &mut Report) {
    let Spec::Model(spec) = &subject.document.spec else { return };
    let Some(need) = spec.full_vram_gb() else { return };
    let too_small = |served: &ServedBy| {
        gpu_of(world, &served.runtime).filter(|(_, host, gpu)| need + host.reserve.vram_gb > gpu.vram_gb + ROUNDING_GB)
    };
    let refused: Vec<_> =
        spec.served_by.iter().enumerate().filter_map(|(i, served)| Some((i, served, too_small(served)?))).collect();
    let fits_nowhere = refused.len() == spec.served_by.len();
    for (i, served, (host_name, host, gpu)) in refused {
        let runtime = &served.runtime;
        let reserve = host.reserve.vram_gb;
        let sums = format!("{} + {} reserved > {}", gb(need), gb(reserve), gb(gpu.vram_gb));
        let place = format!("GPU `{}` of Host `{host_name}`", gpu.id);
        if fits_nowhere {
            let message = format!("this model can never fit on {place}, which Runtime `{runtime}` uses");
            let help = "correct vramGb, take a smaller quantization, or serve it by a runtime on a larger GPU";
            report.error(subject, &code::NEVER_FITS, Problem::at("spec.vramGb", message).label(sums).help(help));
            return;
        }
        let path = format!("spec.servedBy[{i}].runtime");
        let message = format!("this model can never fit on {place}, so Runtime `{runtime}` never loads it");
        report.warning(subject, &code::NEVER_FITS, Problem::at(path, message).label(sums).help("remove this entry"));
    }
}

/// What one GPU should hold at once, by loadout.
struct Load<'a> {
    host: &'a HostSpec,
    gpu: &'a GpuSpec,
    wishes: Vec<(Subject<'a>, Wish<'a>, f64)>,
    /// Two names of one thing take its memory once.
    things: BTreeSet<(&'a Name, &'a str)>,
}

/// Reports loadouts whose models cannot all be loaded at once.
pub fn loadouts(world: &Candidate<'_>, report: &mut Report) {
    for ((host_name, _), load) in loads(world) {
        let room = load.gpu.vram_gb - load.host.reserve.vram_gb + ROUNDING_GB;
        let mut by_loadout: BTreeMap<usize, Vec<&(Subject<'_>, Wish<'_>, f64)>> = BTreeMap::new();
        for wish in &load.wishes {
            by_loadout.entry(wish.0.slot).or_default().push(wish);
        }
        let sum = |wishes: &[&(Subject<'_>, Wish<'_>, f64)]| wishes.iter().map(|wish| wish.2).sum::<f64>();
        let alone: Vec<_> = by_loadout.values().filter(|wishes| sum(wishes) > room).collect();
        let mut too_much = |wishes: &[&(Subject<'_>, Wish<'_>, f64)]| {
            let told = wishes.iter().map(|wish| wish.0).rfind(|subject| world.is_good(subject.slot));
            if let Some(subject) = told {
                let others: Vec<_> = by_loadout.keys().copied().filter(|slot| *slot != subject.slot).collect();
                let others = if alone.is_empty() { others } else { Vec::new() };
                report.error_among(subject, &others, &code::TOO_MUCH_LOADED, overload(host_name, &load, wishes));
            }
        };
        if alone.is_empty() {
            let all: Vec<_> = load.wishes.iter().collect();
            if sum(&all) > room {
                too_much(&all);
            }
        } else {
            alone.iter().for_each(|wishes| too_much(wishes));
        }
    }
}

/// Every GPU with what should be loaded on it, by host and GPU.
fn loads<'a>(world: &Candidate<'a>) -> BTreeMap<(&'a str, &'a str), Load<'a>> {
    let mut loads: BTreeMap<(&str, &str), Load<'a>> = BTreeMap::new();
    for subject in world.of_kind(Kind::Loadout) {
        let Spec::Loadout(spec) = &subject.document.spec else { continue };
        for wish in wishes(world, spec).into_iter().filter(Wish::is_loaded) {
            let (Some((host_name, host, gpu)), Some(need)) = (gpu_of(world, wish.runtime), wish.spec.full_vram_gb())
            else {
                continue;
            };
            let load = loads.entry((host_name.as_str(), gpu.id.as_str()));
            let load = load.or_insert_with(|| Load { host, gpu, wishes: Vec::new(), things: BTreeSet::new() });
            if load.things.insert((wish.runtime, wish.served_as)) {
                load.wishes.push((subject, wish, need));
            }
        }
    }
    loads
}

fn overload(host: &str, load: &Load<'_>, wishes: &[&(Subject<'_>, Wish<'_>, f64)]) -> Problem {
    let need: f64 = wishes.iter().map(|wish| wish.2).sum::<f64>() + load.host.reserve.vram_gb;
    let named = wishes.iter().take(NAMES_LISTED_MAX);
    let mut parts: Vec<_> = named.map(|(_, wish, need)| format!("{} {}", wish.model, gb(*need))).collect();
    if let Some(others) = wishes.get(NAMES_LISTED_MAX..).filter(|others| !others.is_empty()) {
        let sum: f64 = others.iter().map(|wish| wish.2).sum();
        parts.push(format!("{} others {}", others.len(), gb(sum)));
    }
    parts.push(format!("{} reserved", gb(load.host.reserve.vram_gb)));
    let mut names: Vec<_> = wishes.iter().map(|(subject, ..)| subject.document.key.name.as_str()).collect();
    names.dedup();
    let whose = if names.len() > 1 { format!(" by Loadouts {}", listed(&names)) } else { String::new() };
    let have = gb(load.gpu.vram_gb);
    let gpu = &load.gpu.id;
    Problem::at("spec.models", format!("what should be loaded on GPU `{gpu}` of Host `{host}`{whose} can never fit"))
        .label(format!("{} = {}, it has {have}", parts.join(" + "), gb(need)))
        .help("make some of them `onDemand`, or take smaller ones")
}

#[cfg(test)]
mod tests {
    use super::super::super::fixture::{manifest, told};

    #[test]
    fn a_model_that_fits_on_none_of_its_gpus_is_told_with_the_sums() {
        insta::assert_snapshot!(told(&[
            manifest("Host", "small", "address: 10.0.0.3, gpus: [{id: gpu0, vramGb: 8}]"),
            manifest(
                "Runtime",
                "tiny",
                "host: small, gpu: gpu0, adapter: llama-swap, endpoint: 'http://127.0.0.1:8081'"
            ),
            manifest("Model", "a", "type: llm, servedBy: [{runtime: swap}, {runtime: tiny}], vramGb: 23.5"),
            manifest("Model", "b", "type: llm, servedBy: [{runtime: tiny}, {runtime: swap}], vramGb: 23"),
            manifest("Model", "c", "type: llm, servedBy: [{runtime: tiny}, {runtime: inside}], vramGb: 100"),
        ]), @r#"
error ARC309 Model/a at `23.5`: this model can never fit on GPU `gpu0` of Host `desk`, which Runtime `swap` uses
  ^ 23.5 GB + 1 GB reserved > 24 GB
  = correct vramGb, take a smaller quantization, or serve it by a runtime on a larger GPU
warning ARC309 Model/b at `tiny`: this model can never fit on GPU `gpu0` of Host `small`, so Runtime `tiny` never loads it
  ^ 23 GB + 0 GB reserved > 8 GB
  = remove this entry
warning ARC309 Model/c at `tiny`: this model can never fit on GPU `gpu0` of Host `small`, so Runtime `tiny` never loads it
  ^ 100 GB + 0 GB reserved > 8 GB
  = remove this entry
"#);
    }

    #[test]
    fn what_a_loadout_wants_at_once_and_can_never_fit_is_told_with_the_sums() {
        insta::assert_snapshot!(told(&[manifest(
            "Loadout",
            "l",
            "host: desk, copilot: qwen, models: [{model: qwen, state: onDemand}, {model: large, state: loaded}, {model: lead, state: loaded}]"
        ),]), @r#"
error ARC310 Loadout/l at `models`: what should be loaded on GPU `gpu0` of Host `desk` can never fit
  ^ qwen 8 GB + large 20 GB + 1 GB reserved = 29 GB, it has 24 GB
  = make some of them `onDemand`, or take smaller ones
"#);
    }

    #[test]
    fn what_two_loadouts_of_a_host_want_together_is_told_once_and_refuses_both() {
        insta::assert_snapshot!(told(&[
            manifest("Loadout", "a", "host: desk, models: [{model: qwen, state: loaded}]"),
            manifest("Loadout", "b", "host: desk, models: [{model: large, state: loaded}]"),
            manifest(
                "Experiment",
                "e",
                "goldenSet: g, candidates: [{model: qwen}], promote: {loadout: a, as: copilot}"
            ),
        ]), @r#"
error ARC310 Loadout/b at `models`: what should be loaded on GPU `gpu0` of Host `desk` by Loadouts a, b can never fit
  ^ qwen 8 GB + large 20 GB + 1 GB reserved = 29 GB, it has 24 GB
  = make some of them `onDemand`, or take smaller ones
error ARC301 Experiment/e at `g`: unknown GoldenSet `g`
  ^ no such GoldenSet
  = declare GoldenSet/g, or remove what refers to it
error ARC302 Experiment/e at `a`: Loadout `a` is broken, and no earlier version of it is in force
  ^ declared at new/new.yaml:1
  = mend Loadout/a first; there may be nothing else wrong here
"#);
    }

    #[test]
    fn what_is_loaded_on_demand_or_fits_exactly_is_fine() {
        let nothing = told(&[
            manifest("Model", "rest", "type: llm, servedBy: [{runtime: swap, as: rest}], vramGb: 15"),
            manifest("Model", "same", "type: llm, servedBy: [{runtime: swap, as: rest}], vramGb: 15"),
            manifest(
                "Loadout",
                "l",
                "host: desk, models: [{model: qwen, state: loaded}, {model: rest, state: loaded}, {model: same, state: loaded}, {model: large, state: onDemand}]",
            ),
        ]);
        assert_eq!(nothing, "");
    }
}
