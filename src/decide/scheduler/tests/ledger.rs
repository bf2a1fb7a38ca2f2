//! What must never happen, kept by somebody who does not look into the state: slots, locks, memory, order of dependencies,
//! who was started when.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

/// What is known of a running task.
#[derive(Clone, Debug)]
pub(super) struct Running {
    pub place: Place,
    pub request: Request,
    pub is_stopping: bool,
}

/// The books about everything that was decided and done.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    pub waiting: BTreeMap<TaskSeq, Request>,
    pub running: BTreeMap<TaskSeq, Running>,
    pub over: BTreeMap<Arc<str>, Over>,
    /// Models that take memory: true when they are loaded, false while they come or go.
    pub resident: BTreeMap<ModelAt, bool>,
    /// Models of which a call failed, and which nobody has looked at since.
    pub unsure: BTreeSet<ModelAt>,
    pub loading: BTreeSet<ModelAt>,
    pub unloading: BTreeSet<ModelAt>,
    pub leases: BTreeMap<LeaseId, (LeaseRequest, bool)>,
    pub foreign: BTreeMap<GpuId, f64>,
    pub down: BTreeSet<Name>,
    /// Pinned models that have to come back.
    pub displaced: BTreeSet<ModelAt>,
    /// Pinned models that were sent away and may come back: others may be held back for them.
    pub made_way: BTreeSet<ModelAt>,
    pub locks: BTreeMap<GpuId, LockMode>,
}

impl Ledger {
    fn gpu_of(config: &Config, at: &ModelAt) -> Option<GpuId> {
        config.runtimes.get(&at.runtime)?.gpu.clone()
    }

    pub(super) fn cost(config: &Config, at: &ModelAt) -> f64 {
        let model = config.models.values().find(|model| model.served.contains(at));
        model.map_or(0.0, |model| model.vram_gb.unwrap_or(0.0) + model.context_gb)
    }

    /// What is taken of a GPU, in GB, without the reserve.
    pub(super) fn taken_gb(&self, config: &Config, gpu: &GpuId) -> f64 {
        let here = |at: &&ModelAt| Self::gpu_of(config, at).as_ref() == Some(gpu);
        let models: f64 = self.resident.keys().filter(here).map(|at| Self::cost(config, at)).sum();
        let leases = self.leases.values().filter(|(lease, held)| *held && lease.gpus.contains(gpu));
        let leases: f64 = leases.filter_map(|(lease, _)| lease.vram_gb).sum();
        models + leases + self.foreign.get(gpu).copied().unwrap_or(0.0)
    }

    /// Takes a decision into the books.
    ///
    /// # Panics
    /// When it must not have been made.
    pub(super) fn note(&mut self, decision: &Decision, config: &Config, now: Moment) {
        match decision {
            Decision::Start { task, place } => self.note_start(*task, place, config, now),
            Decision::Stop { task, .. } => {
                let running = self.running.get_mut(task).expect("only what runs is stopped");
                assert!(!running.is_stopping, "stopped twice");
                running.is_stopping = true;
            }
            Decision::Load { at, gpu, .. } => {
                assert!(!self.resident.contains_key(at), "{at} is there or on its way already");
                assert_eq!(*gpu, Self::gpu_of(config, at));
                self.note_load(at, config);
            }
            Decision::Unload { at, .. } => {
                assert_eq!(self.resident.get(at), Some(&true), "{at} is not loaded");
                self.note_unload(at, config);
            }
            Decision::Wait { task, .. } => assert!(self.waiting.contains_key(task), "{task:?} does not wait"),
            Decision::Fail { task, .. } | Decision::Drop { task } => {
                let request = self.waiting.remove(task).expect("only what waits fails or is dropped");
                self.over.insert(request.id, Over::Failed);
            }
            Decision::Grant { lease } => {
                let (asked, held) = self.leases.get(lease).cloned().expect("nobody asked for it");
                assert!(!held, "granted twice");
                for gpu in &asked.gpus {
                    let beside = self.on(gpu);
                    assert!(!asked.exclusive || beside.is_empty(), "{gpu} is granted beside {beside:?}");
                }
                self.leases.insert(lease.clone(), (asked.clone(), true));
                for gpu in &asked.gpus {
                    // One that asks for no memory takes none, however full it is.
                    let is_free = asked.vram_gb.is_none_or(|gb| gb <= 0.0) || asked.gpus.len() > 1;
                    assert!(is_free || self.fits(gpu, config), "a lease has memory that is not there");
                }
            }
            Decision::Expire { lease, held } => {
                let (_, was_held) = self.leases.remove(lease).expect("nobody has it");
                assert_eq!(*held, was_held);
            }
            Decision::Lock { gpu, mode } => drop(self.locks.insert(gpu.clone(), mode.clone())),
            Decision::Admit { .. } | Decision::Refuse { .. } => {}
        }
    }

    /// The tasks and granted leases on a GPU.
    pub(super) fn on(&self, gpu: &GpuId) -> Vec<String> {
        let tasks = self.running.iter().filter(|(_, it)| it.place.gpu.as_ref() == Some(gpu));
        let tasks = tasks.map(|(seq, it)| format!("{} exclusive={}", seq.0, it.place.exclusive));
        let leases =
            self.leases.iter().filter(|(_, (lease, held))| *held && lease.exclusive && lease.gpus.contains(gpu));
        tasks.chain(leases.map(|(id, _)| format!("lease {id}"))).collect()
    }

    /// Who took the room, or the pin, of what was displaced is answerable for its not coming back.
    pub(super) fn excuse(&mut self, config: &Config) {
        let Self { displaced, foreign, leases, .. } = self;
        displaced.retain(|at| {
            let Some(gpu) = Self::gpu_of(config, at) else { return false };
            let pinned = config.pins.iter().filter(|(_, pin)| matches!(pin, Pin::Copilot | Pin::Loaded));
            let here = pinned.filter(|(at, _)| Self::gpu_of(config, at).as_ref() == Some(&gpu));
            let pinned_gb: f64 = here.map(|(at, _)| Self::cost(config, at)).sum();
            let entry = &config.gpus[&gpu];
            matches!(config.pins.get(at), Some(Pin::Copilot | Pin::Loaded))
                && foreign.get(&gpu).is_none_or(|gb| *gb == 0.0)
                && !leases.values().any(|(lease, _)| lease.gpus.contains(&gpu))
                && pinned_gb + entry.reserve_gb <= entry.total_gb
        });
    }

    fn fits(&self, gpu: &GpuId, config: &Config) -> bool {
        let Some(entry) = config.gpus.get(gpu) else { return true };
        self.taken_gb(config, gpu) <= entry.total_gb - entry.reserve_gb + 1e-6
    }

    fn note_start(&mut self, task: TaskSeq, place: &Place, config: &Config, now: Moment) {
        let request = self.waiting.remove(&task).expect("started without waiting");
        for dependency in &request.depends_on {
            let over = self.over.get(&dependency.id).copied().or(dependency.over);
            let is_met = over == Some(Over::Done) || (over.is_some() && request.runs_on_failure);
            assert!(is_met, "{} starts before {}", request.id, dependency.id);
        }
        assert!(request.not_before.is_none_or(|at| at <= now.wall), "too early");
        let runtime = config.runtimes.get(&place.runtime).expect("a runtime that is not declared");
        let policy = &config.hosts[&runtime.host].policy;
        assert!(!policy.paused && !policy.draining, "started under a policy that says no");
        assert!(!self.down.contains(&place.runtime), "started on a runtime that is down");
        let beside = self.running.values().filter(|it| it.place.runtime == place.runtime).count();
        assert!(beside < runtime.slots as usize, "{} has only {} slots", place.runtime, runtime.slots);
        if runtime.loads
            && let Some(served_as) = &place.served_as
        {
            let at = ModelAt { runtime: place.runtime.clone(), served_as: Arc::clone(served_as) };
            assert_eq!(self.resident.get(&at), Some(&true), "{at} is not loaded");
        }
        if let Some(gpu) = &place.gpu {
            let here = self.running.values().filter(|it| it.place.gpu.as_ref() == Some(gpu));
            let (alone, shared): (Vec<_>, Vec<_>) = here.partition(|it| it.place.exclusive);
            let leases = self.leases.values().filter(|(lease, held)| *held && lease.gpus.contains(gpu));
            let (lease_alone, lease_shared): (Vec<_>, Vec<_>) = leases.partition(|(lease, _)| lease.exclusive);
            let taken = shared.len() + lease_shared.len();
            assert!(alone.is_empty() && lease_alone.is_empty(), "{gpu} belongs to somebody");
            if place.exclusive {
                assert_eq!(taken, 0, "{gpu} is shared");
                let copilot = config
                    .pins
                    .iter()
                    .any(|(at, pin)| *pin == Pin::Copilot && Self::gpu_of(config, at).as_ref() == Some(gpu));
                assert!(!(copilot && policy.copilot_persistent) || request.force, "the copilot is shielded");
            } else {
                assert!(taken < policy.gpu_shared_slots as usize, "{gpu} has only {} slots", policy.gpu_shared_slots);
                let is_open = matches!(self.locks.get(gpu), None | Some(LockMode::Shared));
                assert!(is_open, "{gpu} takes nothing in");
            }
        }
        self.running.insert(task, Running { place: place.clone(), request, is_stopping: false });
    }

    pub(super) fn note_load(&mut self, at: &ModelAt, config: &Config) {
        assert_ne!(config.pins.get(at), Some(&Pin::Unloaded), "a loadout keeps {at} out");
        self.resident.insert(at.clone(), false);
        self.loading.insert(at.clone());
        self.displaced.remove(at);
        self.made_way.remove(at);
        if let Some(gpu) = Self::gpu_of(config, at) {
            assert!(self.fits(&gpu, config), "{at} is loaded where it does not fit");
        }
    }

    fn note_unload(&mut self, at: &ModelAt, config: &Config) {
        let users = self
            .running
            .values()
            .filter(|it| it.place.runtime == at.runtime && it.place.served_as.as_deref() == Some(&at.served_as));
        assert_eq!(users.count(), 0, "{at} is unloaded under a task");
        self.resident.insert(at.clone(), false);
        self.unloading.insert(at.clone());
        let pin = config.pins.get(at).copied();
        assert_ne!(pin, Some(Pin::Ignored), "{at} is none of ours");
        if matches!(pin, Some(Pin::Copilot | Pin::Loaded)) {
            // Only for somebody who has, or is about to have, the GPU for himself.
            let gpu = Self::gpu_of(config, at).expect("a pinned model that goes is on a GPU");
            let Some(LockMode::Draining(by)) = self.locks.get(&gpu) else {
                panic!("{at} is wanted loaded, and unloaded while {gpu} is {:?}", self.locks.get(&gpu))
            };
            let force = match by {
                Holder::Task(seq) => self.waiting[seq].force,
                Holder::Lease(id) => self.leases[id].0.force,
            };
            let host = &config.runtimes[&at.runtime].host;
            let shielded = pin == Some(Pin::Copilot) && config.hosts[host].policy.copilot_persistent;
            assert!(!shielded || force, "the copilot is shielded");
            self.displaced.insert(at.clone());
            self.made_way.insert(at.clone());
        }
    }
}
