//! Tests of the state machine, a topic a file. [`Desk`] is a small world in which every test plays.

mod blocked;
mod exclusive;
mod exhaustive;
mod flow;
mod idle;
mod lease;
mod ledger;
mod memory;
mod oracle;
mod order;
mod play;
mod properties;
mod script;
mod teeth;

use std::sync::Arc;

use crate::core::{Name, Timestamp};
use crate::decide::view::ModelState;
use crate::declare::world::policy::EffectivePolicy;

use super::*;

/// One host with a GPU of 24 GB (1 GB reserved) behind `swap`, and `cpu`, which uses none.
pub(super) struct Desk {
    pub state: State,
    pub config: Config,
    pub now: Moment,
    next: u64,
}

pub(super) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

pub(super) fn gpu0() -> GpuId {
    GpuId { host: name("desk"), gpu: name("gpu0") }
}

pub(super) fn at(model: &str) -> ModelAt {
    ModelAt { runtime: name("swap"), served_as: model.into() }
}

impl Desk {
    pub(super) fn new(change: impl FnOnce(&mut Config)) -> Self {
        let policy =
            EffectivePolicy { sources: vec![name("default")], gpu_shared_slots: 2, ..EffectivePolicy::default() };
        let mut config = Config::default();
        let host = HostConfig { policy: Arc::new(policy), reserve_disk_gb: 0.0, unlisted: Pin::OnDemand };
        config.hosts.insert(name("desk"), host);
        config.gpus.insert(gpu0(), GpuConfig { total_gb: 24.0, reserve_gb: 1.0, simulated: true });
        let runtime = |gpu: Option<GpuId>, loads, slots, capabilities: &[&str]| RuntimeConfig {
            host: name("desk"),
            gpu,
            loads,
            slots,
            capabilities: capabilities.iter().map(ToString::to_string).collect(),
        };
        let words = ["text.generate", "text.summarize"];
        config.runtimes.insert(name("swap"), runtime(Some(gpu0()), true, 64, &words));
        config.runtimes.insert(name("film"), runtime(Some(gpu0()), false, 64, &["video.gen"]));
        config.runtimes.insert(name("cpu"), runtime(None, false, 4, &["audio.tts"]));
        for (model, gb) in [("chat", 8.0), ("coder", 14.0), ("tiny", 2.0)] {
            let model_config = ModelConfig {
                served: vec![at(model)],
                capabilities: words.iter().map(ToString::to_string).collect(),
                vram_gb: Some(gb),
                context_gb: 0.0,
                context_tokens: Some(8_000),
            };
            config.models.insert(name(model), model_config);
        }
        change(&mut config);
        let now = Moment { steady_ms: 1_000, wall: Timestamp::from_second(1_800_000_000).unwrap() };
        let mut desk = Self { state: State::new(), config, now, next: 1 };
        desk.apply(Event::WorldChanged(Arc::new(desk.config.clone())));
        for runtime in ["swap", "film", "cpu"] {
            desk.seen(runtime, &[]);
        }
        desk
    }

    pub(super) fn apply(&mut self, event: Event) -> Vec<Decision> {
        let decisions = self.state.apply(event, self.now);
        self.state.check().unwrap();
        decisions
    }

    /// Lets time pass, on both clocks.
    pub(super) fn pass(&mut self, ms: u64) -> Vec<Decision> {
        self.now.steady_ms += ms;
        self.now.wall = crate::core::clock::after(self.now.wall, std::time::Duration::from_millis(ms));
        self.apply(Event::Tick)
    }

    pub(super) fn policy(&mut self, change: impl FnOnce(&mut EffectivePolicy)) -> Vec<Decision> {
        let host = self.config.hosts.get_mut(&name("desk")).unwrap();
        change(Arc::make_mut(&mut host.policy));
        self.apply(Event::WorldChanged(Arc::new(self.config.clone())))
    }

    pub(super) fn seen(&mut self, runtime: &str, loaded: &[&str]) -> Vec<Decision> {
        self.now.steady_ms += 1;
        let models = loaded.iter().map(|model| ((*model).into(), ModelState::Loaded, None)).collect();
        let seen = RuntimeSeen::Up { models, in_flight: Some(0) };
        self.apply(Event::Seen { runtime: name(runtime), seen })
    }

    pub(super) fn submit(&mut self, capability: &str, change: impl FnOnce(&mut Request)) -> (TaskSeq, Vec<Decision>) {
        let task = TaskSeq(self.next);
        self.next += 1;
        let mut request = request(task.0, capability);
        change(&mut request);
        (task, self.apply(Event::Submitted(Box::new(request))))
    }

    pub(super) fn done(&mut self, task: TaskSeq) -> Vec<Decision> {
        self.apply(Event::Ended { task, end: End::Done { took_ms: 1_000 } })
    }

    pub(super) fn why(&self, task: TaskSeq) -> &'static str {
        self.state.why(task, self.now).map_or("running", |reason| reason.word())
    }

    pub(super) fn mode(&self) -> &'static str {
        self.state.view(self.now, 10).gpus[&gpu0()].mode
    }
}

pub(super) fn request(seq: u64, capability: &str) -> Request {
    Request {
        task: TaskSeq(seq),
        id: format!("task-{seq}").into(),
        capability: [capability.to_owned()].into(),
        runtime: None,
        model: None,
        priority: 0,
        force: false,
        exclusive: None,
        not_before: None,
        depends_on: Vec::new(),
        runs_on_failure: false,
        input_tokens: None,
        output_gb: None,
        waited_ms: 0,
        attempts: 0,
        backoff: None,
    }
}

/// The tasks that these decisions start.
pub(super) fn started(decisions: &[Decision]) -> Vec<u64> {
    let starts = decisions.iter().filter_map(|decision| match decision {
        Decision::Start { task, .. } => Some(task.0),
        _ => None,
    });
    starts.collect()
}

/// The models that these decisions load and unload: `+chat`, `-coder`.
pub(super) fn moved(decisions: &[Decision]) -> Vec<String> {
    let moves = decisions.iter().filter_map(|decision| match decision {
        Decision::Load { at, .. } => Some(format!("+{}", at.served_as)),
        Decision::Unload { at, .. } => Some(format!("-{}", at.served_as)),
        _ => None,
    });
    moves.collect()
}
