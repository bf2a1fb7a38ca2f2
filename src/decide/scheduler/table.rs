//! What the scheduler knows of runtimes, GPUs and models: entries that never move, so that an index is a name for life.
//!
//! An entry outlives its manifest: a task may still run on a runtime that is no longer declared. What is declared of an
//! entry is then none, and nothing new starts there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::core::{Name, Timestamp};
use crate::decide::view::ModelState;
use crate::declare::world::policy::EffectivePolicy;

use super::config::{Config, GpuConfig, Pin, RuntimeConfig};
use super::decision::Holder;
use super::id::{GpuId, LeaseId, ModelAt, Moment, TaskSeq};
use super::line::{Key, LineIx};

pub(super) type RuntimeIx = usize;
pub(super) type GpuIx = usize;
pub(super) type ModelIx = usize;

/// A runtime.
#[derive(Clone, Debug)]
pub(super) struct Runtime {
    pub name: Name,
    pub config: Option<RuntimeConfig>,
    pub gpu: Option<GpuIx>,
    pub policy: Arc<EffectivePolicy>,
    /// Tasks of ours that run on it.
    pub running: BTreeSet<TaskSeq>,
    pub link: Link,
    /// Lines with a task that may use it.
    pub lines: BTreeSet<LineIx>,
}

/// Whether a runtime can be used.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Link {
    Unseen,
    /// What it worked on, and when that was seen.
    Up {
        in_flight: Option<u32>,
        seen_ms: u64,
    },
    Down {
        since: Timestamp,
        why: String,
    },
}

/// A GPU.
#[derive(Clone, Debug)]
pub(super) struct Gpu {
    pub id: GpuId,
    /// Its name as it is written in sentences.
    pub place: Arc<str>,
    pub config: Option<GpuConfig>,
    pub policy: Arc<EffectivePolicy>,
    pub lock: Lock,
    pub lock_since: Moment,
    /// Shared holders, with their ids: every head that finds the slots taken names them.
    pub holders: BTreeMap<TaskSeq, Arc<str>>,
    pub shared_leases: BTreeSet<LeaseId>,
    /// Memory that leases take, in GB.
    pub leased_gb: BTreeMap<LeaseId, f64>,
    pub foreign_gb: Option<f64>,
    pub runtimes: BTreeSet<RuntimeIx>,
    pub models: BTreeSet<ModelIx>,
    /// Lines with a task that may use it and that are looked at whenever something changes here.
    pub awake: BTreeSet<LineIx>,
    /// Lines that are looked at, the first in order first, only when there is a slot: see [`super::rest`].
    pub resting: BTreeSet<(Key, LineIx)>,
    /// Pinned models that made way for an exclusive holder.
    pub displaced: BTreeSet<ModelIx>,
    /// Models in use that have to go before what was displaced finds room again.
    pub in_the_way: BTreeSet<ModelIx>,
    /// Exclusive holders one after the other since something is displaced.
    pub in_a_row: u32,
    pub turn: Option<Turn>,
    /// The head that others with loaded models run ahead of.
    pub passed: Option<Passed>,
    /// The exclusive holder to be that lets others run ahead before it drains (`preemption: never`).
    pub polite: Option<Passed>,
    /// The first in order that waits for memory: nothing behind it may load.
    pub memory_waiter: Option<Key>,
}

/// The lock of a GPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Lock {
    Shared,
    Draining { by: Holder, since_ms: u64 },
    Exclusive { by: Holder },
}

/// After an exclusive holder: older shared tasks come first, so many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    /// Accepted before this: when, on the steady clock, and as which task.
    pub before: (i64, TaskSeq),
    pub left: u32,
}

/// A head that was passed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Passed {
    pub key: Key,
    pub priority: i32,
    pub since_ms: u64,
    pub count: u32,
    /// The models that have to go for it.
    pub victims: BTreeSet<ModelIx>,
    /// Enough: no more may pass.
    pub is_over: bool,
}

/// A model where it is served.
#[derive(Clone, Debug)]
pub(super) struct Model {
    pub at: ModelAt,
    pub runtime: RuntimeIx,
    pub declared: Option<Name>,
    pub declared_gb: Option<f64>,
    pub context_gb: f64,
    pub context_tokens: Option<u32>,
    pub measured_gb: Option<f64>,
    pub reported_gb: Option<f64>,
    /// Nobody declares it any more, and it was declared while it was there or on its way: it takes what it took, and may
    /// go like any other.
    pub was_declared: bool,
    /// What loadouts say; none: nobody names it.
    pub pin: Option<Pin>,
    pub phase: Phase,
    /// What a look told of it since something of ours is under way: more than the word of the call that ends it.
    pub told: Option<ModelState>,
    pub users: BTreeSet<TaskSeq>,
    /// Since when nothing uses it.
    pub idle_since_ms: u64,
    /// When the newest run of ours with it ended.
    pub last_used: Option<Timestamp>,
    /// The newest load or unload failed: not tried again before, and why. Taken away when that time has come.
    pub failed: Option<(u64, String)>,
    /// When it is looked at for having been idle.
    pub idle_timer_ms: Option<u64>,
    /// The row belongs to no model: a runtime told of one that nobody declared and that is gone again.
    pub is_free: bool,
}

impl Model {
    /// Whether it is, or was, in a manifest. What never was is none of ours.
    pub(super) fn is_known(&self) -> bool {
        self.declared.is_some() || self.was_declared
    }
}

/// Where a model stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Unloaded,
    /// `ours`: by a decision or an admitted claim, so that an older observation says nothing against it.
    Loading {
        ours: bool,
    },
    Loaded,
    Unloading {
        ours: bool,
    },
    Unknown,
}

impl Gpu {
    /// Shared slots that are taken.
    pub(super) fn taken(&self) -> usize {
        self.holders.len() + self.shared_leases.len()
    }

    /// Whether a lease has it for itself, or is about to.
    pub(super) fn is_leased(&self) -> bool {
        match &self.lock {
            Lock::Shared => false,
            Lock::Draining { by, .. } | Lock::Exclusive { by } => matches!(by, Holder::Lease(_)),
        }
    }

    /// Whether it takes another shared holder.
    pub(super) fn has_slot(&self) -> bool {
        self.lock == Lock::Shared && self.taken() < self.policy.gpu_shared_slots as usize
    }

    /// Lines with a task that may use it.
    pub(super) fn lines(&self) -> impl Iterator<Item = LineIx> {
        self.awake.iter().copied().chain(self.resting.iter().map(|(_, line)| *line))
    }
}

impl Model {
    /// GPU memory it takes in GB: the largest of what is declared, reported and measured. None when nobody knows.
    pub(super) fn cost_gb(&self) -> Option<f64> {
        let declared = self.declared_gb.map(|gb| gb + self.context_gb);
        [declared, self.measured_gb, self.reported_gb].into_iter().flatten().reduce(f64::max)
    }

    /// What it takes for all we know ourselves: declared or measured, not only what a runtime says.
    pub(super) fn certain_gb(&self) -> Option<f64> {
        let declared = self.declared_gb.map(|gb| gb + self.context_gb);
        [declared, self.measured_gb].into_iter().flatten().reduce(f64::max)
    }

    /// Whether it takes memory now.
    pub(super) fn is_resident(&self) -> bool {
        match self.phase {
            Phase::Loaded | Phase::Loading { .. } | Phase::Unloading { .. } => true,
            Phase::Unloaded | Phase::Unknown => false,
        }
    }

    /// Whether a loadout wants it loaded.
    pub(super) fn is_pinned(&self) -> bool {
        matches!(self.pin, Some(Pin::Copilot | Pin::Loaded))
    }
}

/// Every runtime, GPU and model that was ever named.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    pub runtimes: Vec<Runtime>,
    pub gpus: Vec<Gpu>,
    pub models: Vec<Model>,
    runtime_ix: BTreeMap<Name, RuntimeIx>,
    gpu_ix: BTreeMap<GpuId, GpuIx>,
    model_ix: BTreeMap<ModelAt, ModelIx>,
    free_models: Vec<ModelIx>,
}

impl Table {
    pub(super) fn runtime(&self, name: &Name) -> Option<RuntimeIx> {
        self.runtime_ix.get(name).copied()
    }

    pub(super) fn gpu(&self, id: &GpuId) -> Option<GpuIx> {
        self.gpu_ix.get(id).copied()
    }

    pub(super) fn model(&self, at: &ModelAt) -> Option<ModelIx> {
        self.model_ix.get(at).copied()
    }

    /// Runtimes in the order of their names.
    pub(super) fn runtimes_by_name(&self) -> impl Iterator<Item = RuntimeIx> {
        self.runtime_ix.values().copied()
    }

    pub(super) fn gpu_of_model(&self, model: ModelIx) -> Option<GpuIx> {
        self.runtimes[self.models[model].runtime].gpu
    }

    /// Takes over what is declared now. What is known of the state of things stays.
    pub(super) fn adopt(&mut self, config: &Config, now: Moment) {
        let policy_of = |host: &Name| config.hosts.get(host).map(|it| it.policy.clone()).unwrap_or_default();
        for gpu in &mut self.gpus {
            gpu.config = None;
        }
        for (id, declared) in &config.gpus {
            let at = self.gpu_entry(id, now);
            self.gpus[at].config = Some(declared.clone());
            self.gpus[at].policy = policy_of(&id.host);
        }
        for runtime in &mut self.runtimes {
            runtime.config = None;
        }
        for (name, declared) in &config.runtimes {
            let gpu = declared.gpu.as_ref().map(|id| self.gpu_entry(id, now));
            let at = self.runtime_entry(name);
            let runtime = &mut self.runtimes[at];
            let before = std::mem::replace(&mut runtime.gpu, gpu);
            runtime.config = Some(declared.clone());
            runtime.policy = policy_of(&declared.host);
            if before != gpu {
                self.move_runtime(at, before, gpu);
            }
        }
        for model in &mut self.models {
            let is_gone = matches!(model.phase, Phase::Unloaded | Phase::Unknown);
            model.was_declared = !is_gone && (model.was_declared || model.declared.is_some());
            if !model.was_declared {
                (model.declared_gb, model.context_gb) = (None, 0.0);
            }
            (model.declared, model.context_tokens, model.pin) = (None, None, None);
        }
        for (name, declared) in &config.models {
            for at in &declared.served {
                let Some(ix) = self.model_entry(at) else { continue };
                let model = &mut self.models[ix];
                (model.declared, model.was_declared) = (Some(name.clone()), false);
                (model.declared_gb, model.context_gb) = (declared.vram_gb, declared.context_gb);
                model.context_tokens = declared.context_tokens;
            }
        }
        for (at, pin) in &config.pins {
            let Some(ix) = self.model_entry(at) else { continue };
            self.models[ix].pin = Some(*pin);
        }
        for ix in 0..self.models.len() {
            let host = self.runtimes[self.models[ix].runtime].config.as_ref().map(|runtime| &runtime.host);
            let unlisted = host.and_then(|host| config.hosts.get(host)).map(|host| host.unlisted);
            let model = &mut self.models[ix];
            // `unlisted: ignore` is for what manifests declare; what nobody declared is left alone anyway.
            model.pin = model.pin.or(unlisted).filter(|_| !model.is_free);
        }
    }

    fn move_runtime(&mut self, runtime: RuntimeIx, from: Option<GpuIx>, to: Option<GpuIx>) {
        let models: Vec<ModelIx> = {
            let is_its = |ix: &ModelIx| self.models[*ix].runtime == runtime && !self.models[*ix].is_free;
            (0..self.models.len()).filter(is_its).collect()
        };
        if let Some(gpu) = from {
            self.gpus[gpu].runtimes.remove(&runtime);
            self.gpus[gpu].models.retain(|ix| !models.contains(ix));
            self.gpus[gpu].displaced.retain(|ix| !models.contains(ix));
        }
        if let Some(gpu) = to {
            self.gpus[gpu].runtimes.insert(runtime);
            self.gpus[gpu].models.extend(models);
        }
    }

    fn runtime_entry(&mut self, name: &Name) -> RuntimeIx {
        if let Some(at) = self.runtime_ix.get(name) {
            return *at;
        }
        let at = self.runtimes.len();
        self.runtimes.push(Runtime {
            name: name.clone(),
            config: None,
            gpu: None,
            policy: Arc::default(),
            running: BTreeSet::new(),
            link: Link::Unseen,
            lines: BTreeSet::new(),
        });
        self.runtime_ix.insert(name.clone(), at);
        at
    }

    fn gpu_entry(&mut self, id: &GpuId, now: Moment) -> GpuIx {
        if let Some(at) = self.gpu_ix.get(id) {
            return *at;
        }
        let at = self.gpus.len();
        self.gpus.push(Gpu {
            id: id.clone(),
            place: id.to_string().into(),
            config: None,
            policy: Arc::default(),
            lock: Lock::Shared,
            lock_since: now,
            holders: BTreeMap::new(),
            shared_leases: BTreeSet::new(),
            leased_gb: BTreeMap::new(),
            foreign_gb: None,
            runtimes: BTreeSet::new(),
            models: BTreeSet::new(),
            awake: BTreeSet::new(),
            resting: BTreeSet::new(),
            in_the_way: BTreeSet::new(),
            in_a_row: 0,
            displaced: BTreeSet::new(),
            turn: None,
            passed: None,
            polite: None,
            memory_waiter: None,
        });
        self.gpu_ix.insert(id.clone(), at);
        at
    }

    /// The entry of a model of a known runtime.
    pub(super) fn model_entry(&mut self, at: &ModelAt) -> Option<ModelIx> {
        if let Some(ix) = self.model_ix.get(at) {
            return Some(*ix);
        }
        let runtime = self.runtime(&at.runtime)?;
        let model = Model {
            at: at.clone(),
            runtime,
            declared: None,
            declared_gb: None,
            context_gb: 0.0,
            context_tokens: None,
            measured_gb: None,
            reported_gb: None,
            was_declared: false,
            pin: None,
            phase: Phase::Unknown,
            told: None,
            users: BTreeSet::new(),
            idle_since_ms: 0,
            last_used: None,
            failed: None,
            idle_timer_ms: None,
            is_free: false,
        };
        let ix = match self.free_models.pop() {
            Some(ix) => {
                self.models[ix] = model;
                ix
            }
            None => {
                self.models.push(model);
                self.models.len() - 1
            }
        };
        if let Some(gpu) = self.runtimes[runtime].gpu {
            self.gpus[gpu].models.insert(ix);
        }
        self.model_ix.insert(at.clone(), ix);
        Some(ix)
    }

    /// Forgets models that nobody declared and that are not loaded, so that a runtime that makes up names fills nothing.
    pub(super) fn forget_strangers(&mut self, runtime: RuntimeIx) {
        for ix in 0..self.models.len() {
            let model = &self.models[ix];
            let is_stranger = model.runtime == runtime
                && model.declared.is_none()
                && matches!(model.phase, Phase::Unloaded | Phase::Unknown)
                && model.users.is_empty()
                && !model.is_free;
            if !is_stranger || model.pin.is_some_and(|pin| pin != Pin::OnDemand) {
                continue;
            }
            self.model_ix.remove(&model.at);
            if let Some(gpu) = self.runtimes[runtime].gpu {
                self.gpus[gpu].models.remove(&ix);
                self.gpus[gpu].displaced.remove(&ix);
            }
            self.models[ix].is_free = true;
            self.free_models.push(ix);
        }
    }
}
