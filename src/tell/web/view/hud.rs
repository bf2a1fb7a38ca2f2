//! What the machines have and use, as bars: GPU memory and work, processor, memory, disk. Each figure stands in words beside
//! its bar; a bar alone says nothing.

use serde::Serialize;

use crate::core::{Name, Observed, Reading, Timestamp};
use crate::decide::host_view::{GpuProcess, GpuView, HostView, foreign_gb};
use crate::decide::reconcile::gpu_use::{Loaded, loaded_on};
use crate::declare::manifest::kind::host::{GpuSpec, HostSpec};
use crate::tell::web::api::host::{gpu_seen, host_seen};
use crate::tell::web::facts::Facts;

use super::part::{Mark, Sighting, Tone, gigabytes};

/// Programs that are named below a GPU; the rest is counted.
const PROCESSES_SHOWN_MAX: usize = 3;

/// A host with everything that is measured of it.
#[derive(Clone, Debug, Serialize)]
pub struct HostHud {
    pub name: String,
    pub href: String,
    pub meters: Vec<Meter>,
}

/// One thing that is measured as a whole: the machine, or a GPU.
#[derive(Clone, Debug, Serialize)]
pub struct Meter {
    pub title: String,
    /// Says `simulated` where no hardware is behind it.
    pub simulated: Option<Mark>,
    pub bars: Vec<Bar>,
    /// Further figures, in one line; empty when there are none.
    pub line: String,
    pub note: Option<Mark>,
    /// `fresh`, `stale` or `unknown`.
    pub reading: &'static str,
    /// Absent where it would repeat what stands below the machine's figures.
    pub seen: Option<Sighting>,
}

/// A figure in words, and how far its bar goes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Bar {
    pub label: &'static str,
    pub text: String,
    pub fills: Vec<Fill>,
}

/// A part of a bar, from and to in percent of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Fill {
    pub from: f64,
    pub to: f64,
    /// What it stands for: `used`, `models`, `others`.
    pub kind: &'static str,
}

/// Every declared host.
#[must_use]
pub fn hosts(facts: &Facts) -> Vec<HostHud> {
    let hosts = facts.picture.world.hosts();
    hosts
        .map(|(object, spec)| {
            let name = &object.document.key.name;
            HostHud { name: name.to_string(), href: format!("/objects/Host/{name}"), meters: meters(facts, name, spec) }
        })
        .collect()
}

fn meters(facts: &Facts, host: &Name, spec: &HostSpec) -> Vec<Meter> {
    let machine = of_machine(facts, host);
    let said = machine.seen.as_ref().and_then(|seen| seen.why.clone());
    let mut meters: Vec<Meter> = spec.gpus.iter().map(|gpu| of_gpu(facts, host, gpu)).collect();
    // What is so for the whole host is said once.
    for meter in meters.iter_mut().filter(|meter| meter.reading == "unknown") {
        meter.seen = meter.seen.take().filter(|seen| seen.why != said);
    }
    meters.push(machine);
    meters
}

/// What was seen at all, whatever its age: the bars say how old it is.
fn last<'a, T>(reading: &Reading<'a, T>) -> Option<&'a T> {
    match reading {
        Reading::Fresh { value, .. } | Reading::Stale { value, .. } => Some(value),
        Reading::Unknown { .. } => None,
    }
}

fn sighting<T>(seen: Option<&Observed<T>>, now: Timestamp) -> Sighting {
    match seen {
        Some(seen) => Sighting::of(&seen.read(now), seen.source(), seen.at(), now),
        None => sighting(Some(&Observed::<T>::unknown("", "not looked at yet")), now),
    }
}

fn of_gpu(facts: &Facts, host: &Name, spec: &GpuSpec) -> Meter {
    let seen = gpu_seen(facts, host, &spec.id);
    let reading = seen.map(|seen| seen.read(facts.now));
    let view = reading.as_ref().and_then(last);
    let name = spec.label.as_deref().or(view.and_then(|view| view.name.as_deref()));
    // What is loaded now says nothing of whose memory it was when the card was last seen.
    let is_fresh = matches!(reading, Some(Reading::Fresh { .. }));
    let loaded = is_fresh.then(|| loaded_on(&facts.picture.inputs(facts.now), host, &spec.id));
    let seen_now = sighting(seen, facts.now);
    let simulated = spec.simulated.then(|| Mark::new(Tone::Quiet, "simulated"));
    Meter {
        title: name.map_or_else(|| spec.id.to_string(), |name| format!("{} {name}", spec.id)),
        bars: match view {
            Some(view) => gpu_bars(view, loaded.as_ref()),
            None => vec![Bar::unknown("VRAM", &format!("unknown; {} GB declared", gigabytes(spec.vram_gb)))],
        },
        line: view.map(|view| gpu_line(view, loaded.as_ref())).unwrap_or_default(),
        note: view.and_then(|view| view.note.as_ref()).map(|note| Mark::new(Tone::Warn, note)),
        reading: seen_now.reading,
        seen: Some(seen_now),
        simulated,
    }
}

fn gpu_bars(view: &GpuView, loaded: Option<&Loaded>) -> Vec<Bar> {
    let (used, total) = (view.used_gb, view.total_gb);
    let text = format!("{} of {} GB", gigabytes(used), gigabytes(total));
    let fills = match ours(view, loaded) {
        Some(ours) => vec![Fill::new(0.0, ours, total, "models"), Fill::new(ours, used, total, "others")],
        None => vec![Fill::new(0.0, used, total, "used")],
    };
    let memory = Bar::new("VRAM", text, fills);
    let work = view.util_pct.map(|pct| Bar::percent("Work", pct));
    std::iter::once(memory).chain(work).collect()
}

/// What of the memory in use our own models take, in GB. It can be told only while every runtime there was seen lately.
fn ours(view: &GpuView, loaded: Option<&Loaded>) -> Option<f64> {
    loaded.filter(|loaded| !view.simulated && loaded.unseen.is_empty()).map(|loaded| loaded.gb.min(view.used_gb))
}

/// `6.5 GB by models, 3 GB by others · 61 °C · llama-server 8 GB`.
fn gpu_line(view: &GpuView, loaded: Option<&Loaded>) -> String {
    let whose = ours(view, loaded).map(|ours| {
        let (ours, others) = (gigabytes(ours), gigabytes(foreign_gb(view.used_gb, ours)));
        format!("{ours} GB by models, {others} GB by others")
    });
    let temperature = view.temperature_c.map(|degrees| format!("{degrees:.0} °C"));
    whose.into_iter().chain(temperature).chain(programs(&view.processes)).collect::<Vec<_>>().join(" · ")
}

/// `llama-server 8 GB, Xorg 0.5 GB and 2 more`.
fn programs(processes: &[GpuProcess]) -> Option<String> {
    let one = |process: &GpuProcess| {
        let name = process.name.clone().unwrap_or_else(|| format!("pid {}", process.pid));
        process.used_gb.map_or(name.clone(), |gb| format!("{name} {} GB", gigabytes(gb)))
    };
    let named: Vec<String> = processes.iter().take(PROCESSES_SHOWN_MAX).map(one).collect();
    let rest = processes.len().saturating_sub(named.len());
    let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
    (!named.is_empty()).then(|| format!("{}{more}", named.join(", ")))
}

fn of_machine(facts: &Facts, host: &Name) -> Meter {
    let seen = host_seen(facts, host);
    let reading = seen.map(|seen| seen.read(facts.now));
    let view = reading.as_ref().and_then(last);
    let seen = sighting(seen, facts.now);
    Meter {
        title: "Machine".into(),
        simulated: None,
        bars: view.map_or_else(|| vec![Bar::unknown("CPU, RAM", "unknown")], machine_bars),
        line: String::new(),
        note: None,
        reading: seen.reading,
        seen: Some(seen),
    }
}

fn machine_bars(view: &HostView) -> Vec<Bar> {
    let cpu = match view.cpu_util_pct {
        Some(pct) => Bar::percent("CPU", pct),
        None => Bar::unknown("CPU", "unknown until the next look"),
    };
    let (used, total) = (view.ram_used_gb, view.ram_total_gb);
    let ram = Bar::new(
        "RAM",
        format!("{} of {} GB", gigabytes(used), gigabytes(total)),
        vec![Fill::new(0.0, used, total, "used")],
    );
    let disk = match (view.disk_free_gb, view.disk_total_gb) {
        (Some(free), Some(total)) => Bar::new(
            "Disk",
            format!("{} of {} GB free", gigabytes(free), gigabytes(total)),
            vec![Fill::new(0.0, total - free, total, "used")],
        ),
        _ => Bar::unknown("Disk", "unknown: the state directory's file system does not tell"),
    };
    vec![cpu, ram, disk]
}

impl Bar {
    fn new(label: &'static str, text: String, fills: Vec<Fill>) -> Self {
        let fills = fills.into_iter().filter(|fill| fill.to > fill.from).collect();
        Self { label, text, fills }
    }

    fn percent(label: &'static str, pct: f64) -> Self {
        Self::new(label, format!("{pct:.0} %"), vec![Fill::new(0.0, pct, 100.0, "used")])
    }

    fn unknown(label: &'static str, text: &str) -> Self {
        Self { label, text: text.to_owned(), fills: Vec::new() }
    }
}

impl Fill {
    /// From one amount to another of `total`; never beyond the bar, whatever the figures are.
    fn new(from: f64, to: f64, total: f64, kind: &'static str) -> Self {
        let share = |amount: f64| {
            let pct = amount / total * 100.0;
            if pct.is_finite() { (pct.clamp(0.0, 100.0) * 10.0).round() / 10.0 } else { 0.0 }
        };
        Self { from: share(from), to: share(to), kind }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(used_gb: f64, total_gb: f64) -> GpuView {
        GpuView { used_gb, total_gb, ..GpuView::default() }
    }

    fn loaded(gb: f64) -> Loaded {
        Loaded { gb, ..Loaded::default() }
    }

    #[test]
    fn memory_is_split_into_what_models_take_and_what_others_take() {
        let bar = &gpu_bars(&view(9.0, 32.0), Some(&loaded(8.0)))[0];
        assert_eq!(gpu_line(&view(9.0, 32.0), Some(&loaded(8.0))), "8 GB by models, 1 GB by others");
        assert_eq!(bar.fills.iter().map(|fill| (fill.from, fill.to)).collect::<Vec<_>>(), [(0.0, 25.0), (25.0, 28.1)]);
        let more_declared = &gpu_bars(&view(6.0, 32.0), Some(&loaded(8.0)))[0];
        assert_eq!(gpu_line(&view(6.0, 32.0), Some(&loaded(8.0))), "6 GB by models, 0 GB by others");
        assert_eq!(more_declared.fills.len(), 1, "what is empty is not drawn");
    }

    #[test]
    fn nobody_is_blamed_while_a_runtime_was_not_seen_or_nothing_was_measured() {
        let unseen = Loaded { unseen: vec![Name::new("swap").unwrap()], ..loaded(1.0) };
        assert_eq!(gpu_line(&view(9.0, 32.0), Some(&unseen)), "");
        assert_eq!(gpu_line(&view(9.0, 32.0), None), "", "an old figure is not split by what is loaded now");
        let simulated = GpuView { simulated: true, temperature_c: Some(61.0), ..view(2.5, 8.0) };
        assert_eq!(gpu_line(&simulated, Some(&loaded(2.5))), "61 °C");
        assert_eq!(gpu_bars(&simulated, Some(&loaded(2.5)))[0].fills[0].kind, "used");
    }

    #[test]
    fn a_bar_never_leaves_its_frame() {
        for (from, to, total) in [(0.0, 50.0, 10.0), (-5.0, f64::INFINITY, 10.0), (0.0, 1.0, 0.0), (0.0, f64::NAN, 1.0)]
        {
            let fill = Fill::new(from, to, total, "used");
            assert!((0.0..=100.0).contains(&fill.from) && (0.0..=100.0).contains(&fill.to), "{fill:?}");
        }
    }

    #[test]
    fn a_few_programs_are_named_and_the_rest_is_counted() {
        let one = |pid, name: Option<&str>, used_gb| GpuProcess { pid, name: name.map(str::to_owned), used_gb };
        let all =
            [one(1, Some("llama-server"), Some(8.0)), one(2, None, None), one(3, Some("a"), None), one(4, None, None)];
        assert_eq!(programs(&all).as_deref(), Some("llama-server 8 GB, pid 2, a and 1 more"));
        assert_eq!(programs(&[]), None);
    }
}
