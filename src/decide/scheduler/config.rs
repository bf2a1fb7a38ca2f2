//! What the scheduler takes from the world in force: GPUs, runtimes, models, pins and policies, in the shape that it needs.
//!
//! Plain data. [`Config::of`] makes it from a [`World`]; nothing here decides.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::core::Name;
use crate::declare::manifest::kind::capability;
use crate::declare::manifest::kind::loadout::{DesiredState, Unlisted};
use crate::declare::manifest::kind::runtime::AdapterKind;
use crate::declare::world::World;
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
    /// What is true of models that no loadout of this host names.
    pub unlisted: Pin,
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

/// Tasks at once on a runtime that uses no GPU, where its manifest says nothing.
pub const CPU_SLOTS: u32 = 4;
/// Tasks at once on a runtime with a GPU, where its manifest says nothing: the slots of the GPU are the limit there.
pub const GPU_SLOTS: u32 = 64;

impl Config {
    /// The part of a world that scheduling rests on.
    #[must_use]
    pub fn of(world: &World) -> Self {
        let mut config = Self::default();
        for (object, spec) in world.hosts() {
            let host = object.document.key.name.clone();
            for gpu in &spec.gpus {
                let id = GpuId { host: host.clone(), gpu: gpu.id.clone() };
                let entry =
                    GpuConfig { total_gb: gpu.vram_gb, reserve_gb: spec.reserve.vram_gb, simulated: gpu.simulated };
                config.gpus.insert(id, entry);
            }
            let policy = Arc::new(world.policy_for(&host));
            let unlisted = unlisted(world, &host);
            config.hosts.insert(host, HostConfig { policy, reserve_disk_gb: spec.reserve.disk_gb, unlisted });
        }
        for (object, spec) in world.runtimes().filter(|(_, spec)| spec.adapter.is_driven()) {
            let id = spec.gpu.as_ref().map(|gpu| GpuId { host: spec.host.clone(), gpu: gpu.clone() });
            let gpu = id.filter(|id| config.gpus.contains_key(id));
            let slots = spec.slots.unwrap_or(if gpu.is_some() { GPU_SLOTS } else { CPU_SLOTS });
            let capabilities = capability::offered_by(spec).map(str::to_owned).collect();
            let entry = RuntimeConfig { host: spec.host.clone(), gpu, loads: loads(spec.adapter), slots, capabilities };
            config.runtimes.insert(object.document.key.name.clone(), entry);
        }
        for (object, spec) in world.models() {
            let name = &object.document.key.name;
            let served = spec.served_by.iter().map(|served| ModelAt {
                runtime: served.runtime.clone(),
                served_as: served.served_as.as_deref().unwrap_or(name.as_str()).into(),
            });
            let entry = ModelConfig {
                served: served.collect(),
                capabilities: spec.capabilities.clone(),
                vram_gb: spec.vram_gb,
                context_gb: spec.context_vram_gb.unwrap_or(0.0),
                context_tokens: spec.context_tokens,
            };
            config.models.insert(name.clone(), entry);
        }
        config.pin(world);
        config
    }

    fn pin(&mut self, world: &World) {
        for (_, spec) in world.loadouts() {
            let copilot = spec.copilot.iter().map(|model| (model, Pin::Copilot));
            let listed = spec.models.iter().map(|entry| {
                let pin = match entry.state {
                    DesiredState::Loaded => Pin::Loaded,
                    DesiredState::OnDemand => Pin::OnDemand,
                    DesiredState::Unloaded => Pin::Unloaded,
                };
                (&entry.model, pin)
            });
            for (model, pin) in copilot.chain(listed) {
                let served = self.models.get(model).map(|model| model.served.as_slice()).unwrap_or_default();
                let here = |at: &&ModelAt| self.runtimes.get(&at.runtime).is_some_and(|it| it.host == spec.host);
                // A loadout means the place that the planner loads it in: the first on its host.
                if let Some(at) = served.iter().find(here) {
                    self.pins.entry(at.clone()).or_insert(pin);
                }
            }
        }
    }
}

/// What loadouts of a host say of models that none of them names: the strictest word.
fn unlisted(world: &World, host: &Name) -> Pin {
    let words = world.loadouts().filter(|(_, spec)| spec.host == *host).map(|(_, spec)| spec.unlisted);
    let mut pin = Pin::OnDemand;
    for word in words {
        match word {
            Unlisted::Ignore => return Pin::Ignored,
            Unlisted::Unloaded => pin = Pin::Unloaded,
            Unlisted::OnDemand => {}
        }
    }
    pin
}

/// Whether models are loaded and unloaded in a runtime of this kind.
#[must_use]
pub fn loads(adapter: AdapterKind) -> bool {
    match adapter {
        AdapterKind::Builtin
        | AdapterKind::LlamaSwap
        | AdapterKind::LlamaServer
        | AdapterKind::Ollama
        | AdapterKind::TextgenWebui
        | AdapterKind::Vllm => true,
        AdapterKind::Exec | AdapterKind::Openai | AdapterKind::Comfyui | AdapterKind::TtsWebui | AdapterKind::Ray => {
            false
        }
    }
}
