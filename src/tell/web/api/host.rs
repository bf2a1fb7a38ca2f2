//! Hosts and GPUs as measured. A figure is null unless it is fresh: a script that reads one key never takes an old value
//! for a new one. What was seen last, and when, stands on the page.

use serde::Serialize;

use crate::core::{Name, Observed, Reading, Timestamp};
use crate::decide::host_view::{GpuView, HostView};
use crate::decide::reconcile::gpu_use::foreign_on;
use crate::declare::manifest::kind::host::GpuSpec;
use crate::tell::web::facts::Facts;

/// Why nothing is known of what was declared a moment ago.
const NOT_YET: &str = "not looked at yet";

/// A declared host with what is measured of it.
#[derive(Clone, Debug, Serialize)]
pub struct HostRow {
    pub name: String,
    /// Whether this program runs on it and so can measure it.
    pub local: bool,
    pub cpu: Cpu,
    pub ram_gb: Ram,
    /// Of the file system that the state directory is on.
    pub disk_gb: Disk,
    #[serde(flatten)]
    pub seen: Seen,
}

/// A declared GPU with what is measured of it.
#[derive(Clone, Debug, Serialize)]
pub struct GpuRow {
    pub host: String,
    pub id: String,
    /// How it may be used now: `shared`, `draining` or `exclusive`.
    pub mode: Option<&'static str>,
    /// Of the memory that models take, what nothing uses and no loadout wants loaded.
    pub vram_idle_gb: Option<f64>,
    pub util_pct: Option<f64>,
    pub vram_used_gb: Option<f64>,
    pub vram_total_gb: Option<f64>,
    /// Of what is used, what none of the models that runtimes report loaded explains.
    pub vram_foreign_gb: Option<f64>,
    /// As the manifest says, whatever the hardware is.
    pub vram_declared_gb: f64,
    pub temperature_c: Option<f64>,
    pub label: Option<String>,
    /// What the driver calls it.
    pub name: Option<String>,
    pub uuid: Option<String>,
    /// True when no hardware is behind it: then nothing here is measured.
    pub simulated: bool,
    /// What does not agree with the manifest.
    pub note: Option<String>,
    /// Programs that hold memory on it, where the driver tells.
    pub processes: Vec<ProcessRow>,
    #[serde(flatten)]
    pub seen: Seen,
}

#[derive(Clone, Debug, Serialize)]
pub struct ProcessRow {
    pub pid: u32,
    pub name: Option<String>,
    pub vram_used_gb: Option<f64>,
}

/// Where figures come from and how old they are.
#[derive(Clone, Debug, Serialize)]
pub struct Seen {
    /// `fresh`, `stale` or `unknown`.
    pub reading: &'static str,
    pub source: Option<String>,
    pub observed_at: Option<Timestamp>,
    /// Why there are none, or why they are old.
    pub problem: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Cpu {
    pub util_pct: Option<f64>,
}

#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Ram {
    pub used: Option<f64>,
    pub total: Option<f64>,
}

#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Disk {
    pub free: Option<f64>,
    pub total: Option<f64>,
}

/// Every declared host, by name.
#[must_use]
pub fn hosts(facts: &Facts) -> Vec<HostRow> {
    let hosts = facts.picture.world.hosts();
    hosts.map(|(object, spec)| HostRow::of(facts, &object.document.key.name, spec.local)).collect()
}

/// Every declared GPU, by its host's name and in the manifest's order.
#[must_use]
pub fn gpus(facts: &Facts) -> Vec<GpuRow> {
    let hosts = facts.picture.world.hosts();
    let gpus = hosts.flat_map(|(object, spec)| spec.gpus.iter().map(move |gpu| (&object.document.key.name, gpu)));
    gpus.map(|(host, gpu)| GpuRow::of(facts, host, gpu)).collect()
}

/// What was last seen of a host.
#[must_use]
pub fn host_seen<'a>(facts: &'a Facts, host: &Name) -> Option<&'a Observed<HostView>> {
    facts.picture.hosts.get(host)
}

/// What was last seen of a GPU.
#[must_use]
pub fn gpu_seen<'a>(facts: &'a Facts, host: &Name, gpu: &Name) -> Option<&'a Observed<GpuView>> {
    facts.picture.gpus.get(&(host.clone(), gpu.clone()))
}

impl HostRow {
    fn of(facts: &Facts, name: &Name, local: bool) -> Self {
        let seen = host_seen(facts, name);
        let view = seen.and_then(|seen| seen.fresh(facts.now));
        Self {
            name: name.to_string(),
            local,
            cpu: Cpu { util_pct: view.and_then(|view| view.cpu_util_pct).map(tenths) },
            ram_gb: Ram {
                used: view.map(|view| hundredths(view.ram_used_gb)),
                total: view.map(|view| hundredths(view.ram_total_gb)),
            },
            disk_gb: Disk {
                free: view.and_then(|view| view.disk_free_gb).map(hundredths),
                total: view.and_then(|view| view.disk_total_gb).map(hundredths),
            },
            seen: Seen::of(seen, facts.now),
        }
    }
}

impl GpuRow {
    fn of(facts: &Facts, host: &Name, spec: &GpuSpec) -> Self {
        let seen = gpu_seen(facts, host, &spec.id);
        let lock = facts.picture.scheduler.lock(host, &spec.id);
        let view = seen.and_then(|seen| seen.fresh(facts.now));
        let process = |process: &crate::decide::host_view::GpuProcess| ProcessRow {
            pid: process.pid,
            name: process.name.clone(),
            vram_used_gb: process.used_gb.map(hundredths),
        };
        Self {
            host: host.to_string(),
            id: spec.id.to_string(),
            mode: lock.map(|lock| lock.mode),
            vram_idle_gb: lock.map(|lock| hundredths(lock.idle_gb)),
            util_pct: view.and_then(|view| view.util_pct).map(tenths),
            vram_used_gb: view.map(|view| hundredths(view.used_gb)),
            vram_total_gb: view.map(|view| hundredths(view.total_gb)),
            vram_foreign_gb: foreign_on(&facts.picture.inputs(facts.now), host, &spec.id).map(hundredths),
            vram_declared_gb: spec.vram_gb,
            temperature_c: view.and_then(|view| view.temperature_c),
            label: spec.label.clone(),
            name: view.and_then(|view| view.name.clone()),
            uuid: view.and_then(|view| view.uuid.clone()),
            simulated: spec.simulated,
            note: view.and_then(|view| view.note.clone()),
            processes: view.map(|view| view.processes.iter().map(process).collect()).unwrap_or_default(),
            seen: Seen::of(seen, facts.now),
        }
    }

    /// `desk/gpu0`.
    #[must_use]
    pub fn full_name(&self) -> String {
        format!("{}/{}", self.host, self.id)
    }
}

impl Seen {
    fn of<T>(seen: Option<&Observed<T>>, now: Timestamp) -> Self {
        let Some(seen) = seen else {
            return Self { reading: "unknown", source: None, observed_at: None, problem: Some(NOT_YET.into()) };
        };
        let reading = seen.read(now);
        Self {
            reading: reading.word(),
            source: Some(seen.source().to_owned()),
            observed_at: seen.at(),
            problem: match reading {
                Reading::Fresh { .. } => None,
                Reading::Stale { problem, .. } => Some(problem.unwrap_or("no look for too long").to_owned()),
                Reading::Unknown { why } => Some(why.to_owned()),
            },
        }
    }
}

/// A figure without digits that say nothing.
fn hundredths(value: f64) -> f64 {
    // Nothing is 0, not -0, which the sum of no figures is.
    (value * 100.0).round() / 100.0 + 0.0
}

fn tenths(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}
