//! First in, first out, with eviction of the least recently used model: how servers that swap models do it.
//!
//! The head of the queue is served or waited for; nothing passes it. When its model is not loaded, idle models are unloaded,
//! the least recently used first, until it fits; models in use are waited for. Work that wants the GPU for itself waits until
//! everything has ended, and has everything unloaded. Sizes of models are known to it, as in our own case: a kindness.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use arcology::decide::scheduler::replay::Scheduler;
use arcology::decide::scheduler::{
    Config, Decision, Event, GpuId, Holder, LockMode, ModelAt, Moment, Place, Request, TaskSeq,
};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Loading,
    Loaded,
    Unloading,
}

struct Resident {
    phase: Phase,
    users: u32,
    used_ms: u64,
    gb: f64,
}

/// The queue of one GPU.
#[derive(Default)]
pub struct FifoLru {
    config: Arc<Config>,
    queue: VecDeque<Box<Request>>,
    resident: BTreeMap<ModelAt, Resident>,
    running: BTreeMap<TaskSeq, Option<ModelAt>>,
    owner: Option<TaskSeq>,
}

impl Scheduler for FifoLru {
    fn apply(&mut self, event: Event, now: Moment) -> Vec<Decision> {
        let mut out = Vec::new();
        match event {
            Event::WorldChanged(config) => self.config = config,
            Event::Submitted(request) => self.queue.push_back(request),
            Event::Ended { task, .. } => self.ended(task, now, &mut out),
            Event::Loaded { at, .. } => {
                if let Some(resident) = self.resident.get_mut(&at) {
                    (resident.phase, resident.used_ms) = (Phase::Loaded, now.steady_ms);
                }
            }
            Event::Unloaded(at) => drop(self.resident.remove(&at)),
            Event::Seen { .. } | Event::Tick => {}
            other => unreachable!("the workload has no {other:?}"),
        }
        while self.serve_head(now, &mut out) {}
        out
    }

    fn next_wake(&self, _: Moment) -> Option<u64> {
        None
    }
}

impl FifoLru {
    fn gpu(&self) -> (&GpuId, f64, usize) {
        let (id, gpu) = self.config.gpus.first_key_value().expect("the workload has a GPU");
        let slots = self.config.hosts[&id.host].policy.gpu_shared_slots as usize;
        (id, gpu.total_gb - gpu.reserve_gb, slots)
    }

    fn ended(&mut self, task: TaskSeq, now: Moment, out: &mut Vec<Decision>) {
        if let Some(Some(model)) = self.running.remove(&task)
            && let Some(resident) = self.resident.get_mut(&model)
        {
            resident.users -= 1;
            resident.used_ms = now.steady_ms;
        }
        if self.owner == Some(task) {
            self.owner = None;
            out.push(Decision::Lock { gpu: self.gpu().0.clone(), mode: LockMode::Shared });
        }
    }

    /// Does what can be done for the head. True when it started, and the next one is the head.
    fn serve_head(&mut self, now: Moment, out: &mut Vec<Decision>) -> bool {
        let Some(head) = self.queue.front() else { return false };
        if self.owner.is_some() {
            return false;
        }
        match &head.model {
            None => self.serve_exclusive(out),
            Some(model) => {
                let config = &self.config.models[model];
                let (at, gb) = (config.served[0].clone(), config.vram_gb.unwrap_or(0.0));
                self.serve_shared(at, gb, now, out)
            }
        }
    }

    fn serve_exclusive(&mut self, out: &mut Vec<Decision>) -> bool {
        if !self.running.is_empty() {
            return false;
        }
        for (at, resident) in &mut self.resident {
            if resident.phase == Phase::Loaded {
                resident.phase = Phase::Unloading;
                out.push(Decision::Unload { at: at.clone(), because: String::new() });
            }
        }
        if !self.resident.is_empty() {
            return false;
        }
        let gpu = self.gpu().0.clone();
        let Some(request) = self.queue.pop_front() else { return false };
        let offers = |capability: &str| {
            let runtimes = self.config.runtimes.iter();
            let mut able = runtimes.filter(|(_, runtime)| runtime.capabilities.iter().any(|own| own == capability));
            able.next().map(|(name, _)| name.clone())
        };
        let runtime = offers(&request.capability[0]).expect("a runtime offers it");
        let place = Place { runtime, model: None, served_as: None, gpu: Some(gpu.clone()), exclusive: true };
        self.owner = Some(request.task);
        self.running.insert(request.task, None);
        out.push(Decision::Lock { gpu, mode: LockMode::Exclusive(Holder::Task(request.task)) });
        out.push(Decision::Start { task: request.task, place });
        true
    }

    fn serve_shared(&mut self, at: ModelAt, gb: f64, now: Moment, out: &mut Vec<Decision>) -> bool {
        let (gpu, room_gb, slots) = self.gpu();
        let gpu = gpu.clone();
        match self.resident.get_mut(&at) {
            Some(resident) if resident.phase == Phase::Loaded => {
                if self.running.len() >= slots {
                    return false;
                }
                (resident.users, resident.used_ms) = (resident.users + 1, now.steady_ms);
            }
            Some(_) => return false,
            None => {
                self.load(at, gb, room_gb, &gpu, out);
                return false;
            }
        }
        let Some(request) = self.queue.pop_front() else { return false };
        let place = Place {
            runtime: at.runtime.clone(),
            model: request.model.clone(),
            served_as: Some(std::sync::Arc::clone(&at.served_as)),
            gpu: Some(gpu),
            exclusive: false,
        };
        self.running.insert(request.task, Some(at));
        out.push(Decision::Start { task: request.task, place });
        true
    }

    fn load(&mut self, at: ModelAt, gb: f64, room_gb: f64, gpu: &GpuId, out: &mut Vec<Decision>) {
        let taken: f64 = self.resident.values().map(|resident| resident.gb).sum();
        if taken + gb <= room_gb {
            self.resident.insert(at.clone(), Resident { phase: Phase::Loading, users: 0, used_ms: 0, gb });
            let (gpu, need_gb) = (Some(gpu.clone()), Some(gb));
            out.push(Decision::Load { at, gpu, need_gb, because: String::new() });
            return;
        }
        let leaving = self.resident.values().filter(|resident| resident.phase == Phase::Unloading);
        let mut missing = taken + gb - room_gb - leaving.map(|resident| resident.gb).sum::<f64>();
        let idle = |resident: &Resident| resident.phase == Phase::Loaded && resident.users == 0;
        let mut victims: Vec<(u64, ModelAt)> = self
            .resident
            .iter()
            .filter(|(_, resident)| idle(resident))
            .map(|(at, resident)| (resident.used_ms, at.clone()))
            .collect();
        victims.sort();
        for (_, victim) in victims {
            let Some(resident) = self.resident.get_mut(&victim).filter(|_| missing > 1e-9) else { break };
            missing -= resident.gb;
            resident.phase = Phase::Unloading;
            out.push(Decision::Unload { at: victim, because: String::new() });
        }
    }
}
