//! `/api/v1/resources`: GPU, CPU and memory as measured, null where nothing fresh is known.

use serde::Serialize;

use crate::core::Timestamp;
use crate::tell::web::facts::Facts;

use super::host::{self, Cpu, GpuRow, HostRow, Ram};
use super::lock::{self, LockBrief};

/// What the machines have and use. Null is: not known now.
#[derive(Clone, Debug, Serialize)]
pub struct Resources {
    /// The only GPU, or the one asked for with `?gpu=`; null when there is none, or several and none was asked for.
    pub gpu: Option<Gpu>,
    pub gpus: Vec<GpuRow>,
    /// Of that GPU's host; without one, of the machine that this program runs on.
    pub cpu: Cpu,
    pub ram_gb: Ram,
    pub hosts: Vec<HostRow>,
    pub locks: Vec<LockBrief>,
    /// Of `gpu`, `cpu` and `ram_gb`: when the oldest of them was seen.
    pub observed_at: Option<Timestamp>,
}

/// What is measured of a GPU.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Gpu {
    /// How it may be used now: `shared`, `draining` or `exclusive`.
    pub mode: Option<&'static str>,
    pub util_pct: Option<f64>,
    pub vram_used_gb: Option<f64>,
    pub vram_total_gb: Option<f64>,
}

/// The resources, with `wanted` as `gpu` (`gpu0`, or `desk/gpu0` where hosts share a name).
///
/// # Errors
/// The names there are, when `wanted` is none of them.
pub fn of(facts: &Facts, wanted: Option<&str>) -> Result<Resources, Vec<String>> {
    let (gpus, hosts) = (host::gpus(facts), host::hosts(facts));
    let chosen = match (wanted, gpus.as_slice()) {
        (None, [only]) => Some(only),
        (None, _) => None,
        (Some(wanted), gpus) => {
            let named = gpus.iter().find(|gpu| gpu.full_name() == wanted || gpu.id == wanted);
            Some(named.ok_or_else(|| gpus.iter().map(GpuRow::full_name).collect::<Vec<_>>())?)
        }
    };
    let machine = match chosen {
        Some(gpu) => hosts.iter().find(|host| host.name == gpu.host),
        None => hosts.iter().find(|host| host.local),
    };
    let fresh = |seen: &host::Seen| (seen.reading == "fresh").then_some(seen.observed_at).flatten();
    let times = [chosen.and_then(|gpu| fresh(&gpu.seen)), machine.and_then(|host| fresh(&host.seen))];
    Ok(Resources {
        gpu: chosen.map(|gpu| Gpu {
            mode: gpu.mode,
            util_pct: gpu.util_pct,
            vram_used_gb: gpu.vram_used_gb,
            vram_total_gb: gpu.vram_total_gb,
        }),
        cpu: machine.map(|host| host.cpu).unwrap_or_default(),
        ram_gb: machine.map(|host| host.ram_gb).unwrap_or_default(),
        observed_at: times.into_iter().flatten().min(),
        locks: lock::briefs(facts),
        gpus,
        hosts,
    })
}
