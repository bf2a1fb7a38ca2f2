//! From looks to observations: what is kept of each declared host and GPU, with its source, its time and why not. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::act::runtime::MachineSample;
use crate::core::{Name, Observed, Reading, Timestamp};
use crate::decide::host_view::{GpuView, Gpus, HostView, Hosts};
use crate::decide::reconcile::Inputs;
use crate::decide::reconcile::gpu_use::loaded_on;
use crate::declare::manifest::kind::host::GpuSpec;
use crate::declare::world::World;

use super::card::Card;
use super::matching;

/// Where figures of this machine come from.
pub const MACHINE: &str = "operating system";
/// Where figures of a GPU come from.
pub const NVML: &str = "NVML";
/// Where figures of a GPU without hardware come from.
pub const SIMULATED: &str = "simulated";
/// Where figures of another machine would come from.
const AGENT: &str = "agent";
/// Why there is nothing of another machine.
pub const NOT_LOCAL: &str = "this host is not local; its figures need an agent on it, which this version has not";

/// When a look was made, and for how long it counts as fresh.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    pub at: Timestamp,
    pub fresh_for: Duration,
}

/// What a runtime on another machine told of that machine.
#[derive(Clone, Debug)]
pub struct Told {
    /// Which runtime, such as `swap's own samples`.
    pub by: String,
    /// Its newest samples, or why there are none now.
    pub sample: Result<MachineSample, String>,
}

/// What was told of hosts that are not local.
pub type Afar = BTreeMap<Name, Told>;

/// For how long a sample of another machine counts as fresh: runtimes take one every 5 s or more seldom, and its time is that
/// of a clock that may be some seconds off.
const FRESH_AFAR: Duration = Duration::from_secs(30);

/// An observation of a GPU, by host and id.
pub type GpuSeen = ((Name, Name), Observed<GpuView>);

/// What is known of every declared host after a look at this machine.
#[must_use]
pub fn hosts(world: &World, before: &Hosts, seen: &Result<HostView, String>, afar: &Afar, moment: Moment) -> Hosts {
    let one = |name: &Name, local: bool| match (local, seen) {
        (false, _) => host_afar(before.get(name), afar.get(name), moment),
        (true, Ok(view)) => Observed::seen(view.clone(), MACHINE, moment.at, moment.fresh_for),
        (true, Err(why)) => failed(before.get(name), MACHINE, why, moment, |_| true),
    };
    world
        .hosts()
        .map(|(object, spec)| {
            let name = &object.document.key.name;
            (name.clone(), one(name, spec.local))
        })
        .collect()
}

/// What is known of a machine that only a runtime on it can measure.
fn host_afar(before: Option<&Observed<HostView>>, told: Option<&Told>, moment: Moment) -> Observed<HostView> {
    let Some(told) = told else { return Observed::unknown(AGENT, NOT_LOCAL) };
    match &told.sample {
        Ok(MachineSample { host: Some((at, view)), .. }) => {
            Observed::seen(view.clone(), told.by.as_str(), *at, FRESH_AFAR)
        }
        Ok(_) => Observed::unknown(told.by.as_str(), "its processors and memory are not measured there"),
        Err(why) => failed(before, &told.by, why, moment, |_| true),
    }
}

/// What is known of a GPU of such a machine.
fn gpu_afar(
    gpu: &GpuSpec,
    all: &[GpuSpec],
    before: Option<&Observed<GpuView>>,
    told: Option<&Told>,
    moment: Moment,
) -> Observed<GpuView> {
    let Some(told) = told else { return Observed::unknown(AGENT, NOT_LOCAL) };
    let sample = match &told.sample {
        Ok(sample) => sample,
        Err(why) => return failed(before, &told.by, why, moment, |view| may_be(gpu, view)),
    };
    let cards: Vec<Card> = sample.cards.iter().map(|(_, card)| card.clone()).collect();
    let at = |view: &GpuView| sample.cards.iter().find(|(_, card)| Some(card.index) == view.index).map(|(at, _)| *at);
    match matching::view(gpu, all, &cards) {
        Ok(view) => {
            let at = at(&view).unwrap_or(moment.at);
            Observed::seen(view, told.by.as_str(), at, FRESH_AFAR)
        }
        Err(why) => failed(before, &told.by, &why, moment, |view| may_be(gpu, view)),
    }
}

/// Whether there is a GPU that NVML should be asked about. Without one no library is opened.
#[must_use]
pub fn asks_driver(world: &World) -> bool {
    world.hosts().any(|(_, spec)| spec.local && spec.gpus.iter().any(|gpu| !gpu.simulated))
}

/// What is known of every declared GPU with hardware after a look at the cards of this machine.
#[must_use]
pub fn hardware(
    world: &World,
    before: &Gpus,
    seen: &Result<Vec<Card>, String>,
    afar: &Afar,
    moment: Moment,
) -> Vec<GpuSeen> {
    let mut all = Vec::new();
    for (object, spec) in world.hosts() {
        for gpu in spec.gpus.iter().filter(|gpu| !gpu.simulated) {
            let key = (object.document.key.name.clone(), gpu.id.clone());
            let found = match seen {
                _ if !spec.local => {
                    let seen = gpu_afar(gpu, &spec.gpus, before.get(&key), afar.get(&key.0), moment);
                    all.push((key, seen));
                    continue;
                }
                Ok(cards) => matching::view(gpu, &spec.gpus, cards),
                Err(why) => Err(why.clone()),
            };
            let observed = match found {
                Ok(view) => Observed::seen(view, NVML, moment.at, moment.fresh_for),
                Err(why) => failed(before.get(&key), NVML, &why, moment, |view| may_be(gpu, view)),
            };
            all.push((key, observed));
        }
    }
    all
}

/// What is known of every simulated GPU: nothing is measured, its use is the sum over loaded models.
#[must_use]
pub fn simulated(inputs: &Inputs<'_>, moment: Moment) -> Vec<GpuSeen> {
    let hosts = inputs.world.hosts();
    let gpus = hosts.flat_map(|(object, spec)| spec.gpus.iter().map(move |gpu| (&object.document.key.name, gpu)));
    gpus.filter(|(_, gpu)| gpu.simulated)
        .map(|(host, gpu)| {
            let key = (host.clone(), gpu.id.clone());
            let loaded = loaded_on(inputs, host, &gpu.id);
            if let Some(runtime) = loaded.unseen.first() {
                let why = format!("what {runtime} has loaded on it is not known: it was not seen lately");
                let observed = failed(inputs.gpus.get(&key), SIMULATED, &why, moment, |view| view.simulated);
                return (key, observed);
            }
            let note = (!loaded.unsized_models.is_empty()).then(|| {
                format!("not counted, because no size is declared or reported: {}", loaded.unsized_models.join(", "))
            });
            let view = GpuView {
                name: gpu.label.clone(),
                total_gb: gpu.vram_gb,
                used_gb: loaded.gb,
                simulated: true,
                note,
                ..GpuView::default()
            };
            (key, Observed::seen(view, SIMULATED, moment.at, moment.fresh_for))
        })
        .collect()
}

/// Whether what was seen earlier can be of the card that is declared now.
fn may_be(declared: &GpuSpec, view: &GpuView) -> bool {
    let same_uuid = |uuid: &String| view.uuid.as_ref().is_some_and(|seen| seen.eq_ignore_ascii_case(uuid));
    !view.simulated
        && match (&declared.uuid, declared.index) {
            (Some(uuid), _) => same_uuid(uuid),
            (None, Some(index)) => view.index == Some(index),
            (None, None) => true,
        }
}

/// The last value with the new trouble, where it is of the same thing; else nothing but the trouble.
fn failed<T: Clone>(
    before: Option<&Observed<T>>,
    source: &str,
    why: &str,
    moment: Moment,
    same: impl FnOnce(&T) -> bool,
) -> Observed<T> {
    let last = before.filter(|last| match last.read(moment.at) {
        Reading::Fresh { value, .. } | Reading::Stale { value, .. } => same(value),
        Reading::Unknown { .. } => false,
    });
    last.map_or_else(|| Observed::unknown(source, why), |last| last.clone().failed(why))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::act::telemetry::card::{Fault, Figures};
    use crate::core::{Commit, CommitSha, Revision};
    use crate::declare::manifest::parse;
    use crate::declare::world::{self, assemble};

    fn now() -> Timestamp {
        Timestamp::from_second(1_000).unwrap()
    }

    fn moment() -> Moment {
        Moment { at: now(), fresh_for: Duration::from_secs(15) }
    }

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    /// A host with these GPUs.
    fn world(host: &str) -> World {
        let yaml = format!("apiVersion: arcology/v1alpha1\nkind: Host\nmetadata: {{name: desk}}\nspec: {{{host}}}\n");
        let path: Arc<str> = "manifests/desk.yaml".into();
        let files = BTreeMap::from([(Arc::clone(&path), Arc::new(parse::file(&path, yaml.as_bytes())))]);
        let sha = CommitSha::new(&"a".repeat(40));
        let commit = Commit { sha, subject: "s".into(), author: "Ada".into(), at: now() };
        let inputs = world::Inputs {
            revision: Revision { branch: "main".into(), commit },
            files: &files,
            in_force: &BTreeMap::new(),
            commit_of: &|_| None,
            exists: &|_| true,
            prune_confirmed: true,
        };
        let world = assemble(&inputs).world;
        assert!(world.host(&name("desk")).is_some(), "{:?}", world.diagnostics);
        world
    }

    fn cards(uuid: &str) -> Result<Vec<Card>, String> {
        let figures = Figures::checked(24 << 30, 20 << 30, Some(5), None, Vec::new());
        Ok(vec![Card { index: 0, uuid: Some(uuid.into()), name: None, figures }])
    }

    fn lost() -> Result<Vec<Card>, String> {
        Ok(vec![Card { index: 0, uuid: None, name: None, figures: Err(Fault::lasting("it is lost")) }])
    }

    fn one(world: &World, before: &Gpus, seen: &Result<Vec<Card>, String>) -> Observed<GpuView> {
        hardware(world, before, seen, &Afar::new(), moment()).pop().unwrap().1
    }

    #[test]
    fn a_card_that_cannot_be_read_keeps_its_last_figures_and_one_never_read_has_none() {
        let world = world("address: 127.0.0.1, local: true, gpus: [{id: gpu0, uuid: GPU-a, vramGb: 24}]");
        let seen = one(&world, &Gpus::new(), &cards("GPU-a"));
        assert_eq!(seen.fresh(now()).map(|view| view.used_gb), Some(4.0));
        let before = Gpus::from([((name("desk"), name("gpu0")), seen)]);
        let failed = one(&world, &before, &lost());
        assert!(matches!(failed.read(now()), Reading::Stale { value, .. } if value.used_gb == 4.0), "{failed:?}");
        assert_eq!(failed.source(), NVML);
        let never = one(&world, &Gpus::new(), &Err("no driver".into()));
        assert_eq!(never.read(now()), Reading::Unknown { why: "no driver" });
    }

    #[test]
    fn the_last_figures_of_another_card_are_not_kept() {
        let old = world("address: 127.0.0.1, local: true, gpus: [{id: gpu0, uuid: GPU-a, vramGb: 24}]");
        let before = Gpus::from([((name("desk"), name("gpu0")), one(&old, &Gpus::new(), &cards("GPU-a")))]);
        for declared in ["uuid: GPU-b", "index: 1"] {
            let new = world(&format!("address: 127.0.0.1, local: true, gpus: [{{id: gpu0, {declared}, vramGb: 24}}]"));
            assert_eq!(one(&new, &before, &lost()).read(now()).word(), "unknown", "{declared}");
        }
        let same = world("address: 127.0.0.1, local: true, gpus: [{id: gpu0, uuid: gpu-A, vramGb: 24}]");
        assert_eq!(one(&same, &before, &lost()).read(now()).word(), "stale");
    }

    #[test]
    fn another_machine_is_never_taken_for_this_one() {
        let world = world("address: attic.example, gpus: [{id: gpu0, index: 0, vramGb: 24}]");
        assert!(!asks_driver(&world));
        assert_eq!(one(&world, &Gpus::new(), &cards("GPU-a")).problem(), Some(NOT_LOCAL));
        let this_one = HostView { ram_total_gb: 96.0, ..HostView::default() };
        let seen = hosts(&world, &Hosts::new(), &Ok(this_one), &Afar::new(), moment());
        assert_eq!(seen[&name("desk")].problem(), Some(NOT_LOCAL));
    }

    fn told(used_gb: u64, sample: bool) -> Afar {
        let figures = Figures::checked(24 << 30, (24 - used_gb) << 30, Some(5), None, Vec::new());
        let at = Timestamp::from_second(990).unwrap();
        let card = Card { index: 0, uuid: Some("GPU-a".into()), name: None, figures };
        let host = HostView { ram_total_gb: 64.0, ..HostView::default() };
        let all = MachineSample { host: Some((at, host)), cards: vec![(at, card)] };
        let sample = if sample { Ok(all) } else { Err("no answer".to_owned()) };
        Afar::from([(name("desk"), Told { by: "swap's own samples".into(), sample })])
    }

    #[test]
    fn another_machine_is_as_its_runtime_measures_it_at_that_time_and_never_this_one() {
        let far = world("address: attic.example, gpus: [{id: gpu0, uuid: GPU-a, vramGb: 24}]");
        let gpu = |before: &Gpus, afar: &Afar| hardware(&far, before, &cards("GPU-a"), afar, moment()).pop().unwrap();
        let (key, seen) = gpu(&Gpus::new(), &told(7, true));
        assert_eq!((seen.source(), seen.at()), ("swap's own samples", Timestamp::from_second(990).ok()));
        assert_eq!(seen.fresh(now()).map(|view| view.used_gb), Some(7.0));
        let lost = gpu(&Gpus::from([(key, seen)]), &told(7, false)).1;
        assert!(matches!(lost.read(now()), Reading::Stale { value, .. } if value.used_gb == 7.0), "{lost:?}");
        let this_one = HostView { ram_total_gb: 96.0, ..HostView::default() };
        let seen = hosts(&far, &Hosts::new(), &Ok(this_one.clone()), &told(7, true), moment());
        assert_eq!(seen[&name("desk")].fresh(now()).map(|view| view.ram_total_gb), Some(64.0));
        // What is measured here is never replaced.
        let near = world("address: 127.0.0.1, local: true, gpus: [{id: gpu0, uuid: GPU-a, vramGb: 24}]");
        let seen = hardware(&near, &Gpus::new(), &cards("GPU-a"), &told(7, true), moment()).pop().unwrap().1;
        assert_eq!((seen.source(), seen.fresh(now()).map(|view| view.used_gb)), (NVML, Some(4.0)));
        let seen = hosts(&near, &Hosts::new(), &Ok(this_one), &told(7, true), moment());
        assert_eq!(seen[&name("desk")].source(), MACHINE);
    }

    #[test]
    fn the_driver_is_asked_only_for_hardware_of_this_machine() {
        for (gpus, asked) in [
            ("[]", false),
            ("[{id: sim0, vramGb: 8, simulated: true}]", false),
            ("[{id: sim0, vramGb: 8, simulated: true}, {id: gpu0, index: 0, vramGb: 24}]", true),
        ] {
            assert_eq!(asks_driver(&world(&format!("address: 127.0.0.1, local: true, gpus: {gpus}"))), asked, "{gpus}");
        }
    }

    #[test]
    fn a_machine_that_does_not_answer_keeps_its_last_figures() {
        let world = world("address: 127.0.0.1, local: true");
        let view = HostView { ram_total_gb: 96.0, ..HostView::default() };
        let before = hosts(&world, &Hosts::new(), &Ok(view), &Afar::new(), moment());
        let after = hosts(&world, &before, &Err("no answer".into()), &Afar::new(), moment());
        assert!(matches!(after[&name("desk")].read(now()), Reading::Stale { problem: Some("no answer"), .. }));
    }
}
