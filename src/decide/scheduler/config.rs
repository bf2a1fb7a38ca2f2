//! What the scheduler takes from the world in force: GPUs, runtimes, models, pins and policies, in the shape that it needs.
//!
//! Plain data. [`Config::of`] makes it from a [`World`]; nothing here decides.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::core::Name;
use crate::declare::world::policy::EffectivePolicy;

use super::id::{GpuId, ModelAt};

/// What the scheduler takes from the world in force.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    pub hosts: BTreeMap<Name, HostConfig>,
    pub gpus: BTreeMap<GpuId, GpuConfig>,
    /// Runtimes that can be driven.
    pub runtimes: BTreeMap<Name, RuntimeConfig>,
    pub models: BTreeMap<Name, ModelConfig>,
    /// What loadouts say of models where they are served. A model that no loadout names is absent.
    pub pins: BTreeMap<ModelAt, Pin>,
}

/// A host.
#[derive(Clone, Debug, PartialEq)]
pub struct HostConfig {
    pub policy: Arc<EffectivePolicy>,
    /// Disk space to keep free, in GB.
    pub reserve_disk_gb: f64,
}

/// A GPU.
#[derive(Clone, Debug, PartialEq)]
pub struct GpuConfig {
    pub total_gb: f64,
    pub reserve_gb: f64,
    pub simulated: bool,
}

/// A runtime that can be driven.
#[derive(Clone, Debug, PartialEq)]
pub struct RuntimeConfig {
    pub host: Name,
    /// None: it works on CPU and takes no GPU lock.
    pub gpu: Option<GpuId>,
    /// Whether models are loaded and unloaded in it. In one that cannot, a model needs no load before a task starts.
    pub loads: bool,
    /// Most tasks at once, whatever the GPU's slots allow.
    pub slots: u32,
    pub capabilities: Vec<String>,
}

/// A declared model.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelConfig {
    /// Where it is served, the preferred place first.
    pub served: Vec<ModelAt>,
    /// What it can be used for; empty: what its runtimes can do.
    pub capabilities: Vec<String>,
    /// Declared GPU memory in GB; none when it is not declared, and then only a measured figure can be counted.
    pub vram_gb: Option<f64>,
    /// GPU memory of its full context in GB, where that is not part of `vram_gb`.
    pub context_gb: f64,
    pub context_tokens: Option<u32>,
}

/// What a loadout says of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pin {
    /// The host's copilot: to be loaded, shielded where the policy says `copilotPersistent`.
    Copilot,
    /// To be loaded.
    Loaded,
    /// May be loaded when a task needs it, and unloaded when idle.
    OnDemand,
    /// Must not be loaded; a task that needs it has to wait for another loadout.
    Unloaded,
    /// Not Arcology's business (`unlisted: ignore`): never evicted, never unloaded for being idle.
    Ignored,
}
