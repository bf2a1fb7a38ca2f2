//! `/api/v1/resources`: GPU, CPU and memory. This version measures none of them and says so with nulls; what the Host
//! manifests declare stands beside it under names of its own.

use serde::Serialize;

use crate::core::Timestamp;
use crate::tell::web::facts::Facts;

/// What the machines have and use. Null is: not measured.
#[derive(Clone, Debug, Serialize)]
pub struct Resources {
    /// The only GPU, or the one asked for with `?gpu=`; null when there is none, or several and none was asked for.
    pub gpu: Option<Gpu>,
    pub gpus: Vec<DeclaredGpu>,
    pub cpu: Cpu,
    pub ram_gb: Ram,
    pub locks: Vec<serde_json::Value>,
    pub observed_at: Option<Timestamp>,
}

/// What is measured of a GPU.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Gpu {
    pub mode: Option<&'static str>,
    pub util_pct: Option<f64>,
    pub vram_used_gb: Option<f64>,
    pub vram_total_gb: Option<f64>,
}

/// A GPU that a Host manifest declares.
#[derive(Clone, Debug, Serialize)]
pub struct DeclaredGpu {
    pub host: String,
    pub id: String,
    pub mode: Option<&'static str>,
    pub util_pct: Option<f64>,
    pub vram_used_gb: Option<f64>,
    pub vram_total_gb: Option<f64>,
    /// As the manifest says, whatever the hardware is.
    pub vram_declared_gb: f64,
    pub label: Option<String>,
    /// True when no hardware is behind it.
    pub simulated: bool,
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

/// The resources, with `wanted` as `gpu` (`gpu0`, or `desk/gpu0` where hosts share a name).
///
/// # Errors
/// The names there are, when `wanted` is none of them.
pub fn of(facts: &Facts, wanted: Option<&str>) -> Result<Resources, Vec<String>> {
    let gpus = declared(facts);
    let chosen = match wanted {
        None => gpus.len() == 1,
        Some(wanted) => {
            let named = |gpu: &DeclaredGpu| gpu.id == wanted || full_name(gpu) == wanted;
            if !gpus.iter().any(named) {
                return Err(gpus.iter().map(full_name).collect());
            }
            true
        }
    };
    Ok(Resources {
        gpu: chosen.then(Gpu::default),
        gpus,
        cpu: Cpu::default(),
        ram_gb: Ram::default(),
        locks: Vec::new(),
        observed_at: None,
    })
}

fn full_name(gpu: &DeclaredGpu) -> String {
    format!("{}/{}", gpu.host, gpu.id)
}

fn declared(facts: &Facts) -> Vec<DeclaredGpu> {
    let hosts = facts.picture.world.hosts();
    hosts
        .flat_map(|(object, host)| host.gpus.iter().map(move |gpu| (object.document.key.name.to_string(), gpu)))
        .map(|(host, gpu)| DeclaredGpu {
            host,
            id: gpu.id.to_string(),
            mode: None,
            util_pct: None,
            vram_used_gb: None,
            vram_total_gb: None,
            vram_declared_gb: gpu.vram_gb,
            label: gpu.label.clone(),
            simulated: gpu.simulated,
        })
        .collect()
}
