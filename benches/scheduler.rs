//! The scheduler alone: what a decision costs when a thousand, a hundred thousand or a million tasks wait.
//!
//! Eight GPUs, sixteen runtimes, sixty-four models that are loaded already, tasks of five priorities: 320 lines. After the
//! queue is filled, each round ends a running task, submits another, and now and then withdraws one or reports a runtime,
//! so that the queue keeps its length. Time is processor time, because others may use the machine; making the requests is not counted.

use std::collections::BTreeMap;
use std::sync::Arc;

use arcology::core::rng::Rng;
use arcology::core::{Name, Timestamp};
use arcology::decide::scheduler::state::State;
use arcology::decide::scheduler::{
    Config, Decision, End, Event, GpuConfig, GpuId, HostConfig, ModelAt, ModelConfig, Moment, Pin, Request,
    RuntimeConfig, RuntimeSeen, TaskSeq,
};
use arcology::decide::view::ModelState;
use arcology::declare::world::policy::EffectivePolicy;

use crate::measure::{processor_seconds, row};
use crate::thrash::workload::{name, request};

const HOSTS: usize = 4;
const GPUS: usize = 2;
const RUNTIMES: usize = 2;
const MODELS: usize = 4;
const PRIORITIES: i32 = 5;
/// Requests that are made at once.
const MADE_AHEAD: u64 = 10_000;
/// Rounds that are measured.
const ROUNDS: u64 = 300_000;

pub fn run() {
    let mut first = None;
    for queued in [1_000, 100_000, 1_000_000] {
        let (filled, mixed) = measure(queued);
        let per_second = |count: u64, seconds: f64| format!("{:.0}", count as f64 / seconds);
        row(
            format!("{queued} queued: filling the queue"),
            format!("{} submissions/s", per_second(filled.events, filled.seconds)),
        );
        let cost_ns = mixed.seconds * 1e9 / mixed.decisions as f64;
        let growth = cost_ns / *first.get_or_insert(cost_ns);
        row(
            "  ends, submissions, withdrawals, observations",
            format!(
                "{} events/s, {} decisions/s, {cost_ns:.0} ns a decision ({growth:.2} of that at 1,000)",
                per_second(mixed.events, mixed.seconds),
                per_second(mixed.decisions, mixed.seconds)
            ),
        );
    }
}

/// What was done, and the processor time that it took.
struct Done {
    events: u64,
    decisions: u64,
    seconds: f64,
}

fn measure(queued: u64) -> (Done, Done) {
    let mut bench = Bench::new();
    let mut next = 0;
    let filled = bench.timed(|bench| {
        for _ in 0..queued {
            bench.submit(next);
            next += 1;
        }
    });
    let mixed = bench.timed(|bench| {
        for round in 0..ROUNDS {
            bench.end_one();
            bench.submit(next);
            next += 1;
            if round % 16 == 0 {
                bench.withdraw(next);
                bench.submit(next);
                next += 1;
            }
            if round % 64 == 0 {
                bench.observe();
            }
        }
    });
    bench.state.check().expect("the scheduler keeps its own rules");
    (filled, mixed)
}

struct Bench {
    state: State,
    config: Arc<Config>,
    models: Vec<(Name, Vec<ModelAt>)>,
    rng: Rng,
    now_ms: u64,
    running: Vec<TaskSeq>,
    /// Requests that were made ahead, the next one last.
    made: Vec<Box<Request>>,
    making_s: f64,
    events: u64,
    decisions: u64,
}

impl Bench {
    fn new() -> Self {
        let config = Arc::new(config());
        let models = config.models.iter().map(|(name, model)| (name.clone(), model.served.clone())).collect();
        let (state, rng) = (State::new(), Rng::new(7));
        let mut bench = Self {
            state,
            models,
            rng,
            now_ms: 0,
            running: Vec::new(),
            made: Vec::new(),
            making_s: 0.0,
            events: 0,
            decisions: 0,
            config: Arc::clone(&config),
        };
        bench.tell(Event::WorldChanged(config));
        for runtime in 0..bench.config.runtimes.len() {
            bench.observe_nth(runtime);
        }
        bench
    }

    fn timed(&mut self, work: impl FnOnce(&mut Self)) -> Done {
        (self.events, self.decisions, self.making_s) = (0, 0, 0.0);
        let start = processor_seconds();
        work(self);
        let seconds = processor_seconds() - start - self.making_s;
        Done { events: self.events, decisions: self.decisions, seconds }
    }

    fn tell(&mut self, event: Event) {
        self.events += 1;
        self.now_ms += 1;
        let wall = Timestamp::from_millisecond(self.now_ms as i64).expect("a time");
        for decision in self.state.apply(event, Moment { steady_ms: self.now_ms, wall }) {
            self.decisions += 1;
            if let Decision::Start { task, .. } = decision {
                self.running.push(task);
            }
        }
    }

    fn submit(&mut self, seq: u64) {
        if self.made.is_empty() {
            self.make(seq);
        }
        if let Some(request) = self.made.pop() {
            self.tell(Event::Submitted(request));
        }
    }

    /// The next requests. Whoever submits makes them, so that this is not the scheduler's time.
    fn make(&mut self, from: u64) {
        let start = processor_seconds();
        for seq in (from..from + MADE_AHEAD).rev() {
            let model = self.rng.below(self.models.len() as u64) as usize;
            let priority = self.rng.below(PRIORITIES as u64) as i32;
            let request = Request { priority, ..request(seq, "text.generate", Some(self.models[model].0.as_str())) };
            self.made.push(Box::new(request));
        }
        self.making_s += processor_seconds() - start;
    }

    fn end_one(&mut self) {
        let at = self.rng.below(self.running.len() as u64) as usize;
        let task = self.running.swap_remove(at);
        self.tell(Event::Ended { task, end: End::Done { took_ms: 1_000 } });
    }

    /// Withdraws one of the newest thousand that still waits.
    fn withdraw(&mut self, next: u64) {
        let back = self.rng.below(1_000.min(next));
        let task = TaskSeq(next - 1 - back);
        if !self.running.contains(&task) {
            self.tell(Event::Cancelled(task));
        }
    }

    fn observe(&mut self) {
        let runtime = self.rng.below(self.config.runtimes.len() as u64) as usize;
        self.observe_nth(runtime);
    }

    fn observe_nth(&mut self, nth: usize) {
        let runtime = self.config.runtimes.keys().nth(nth).expect("there are that many").clone();
        let here = self.models.iter().flat_map(|(_, served)| served).filter(|at| at.runtime == runtime);
        let models = here.map(|at| (at.served_as.clone(), ModelState::Loaded, None)).collect();
        self.tell(Event::Seen { runtime, seen: RuntimeSeen::Up { models, in_flight: None } });
    }
}

fn config() -> Config {
    let mut config = Config::default();
    let policy = Arc::new(EffectivePolicy { gpu_shared_slots: 4, ..EffectivePolicy::default() });
    let mut models: BTreeMap<Name, ModelConfig> = BTreeMap::new();
    for host_n in 0..HOSTS {
        let host = name(&format!("host-{host_n}"));
        let entry = HostConfig { policy: Arc::clone(&policy), reserve_disk_gb: 0.0, unlisted: Pin::OnDemand };
        config.hosts.insert(host.clone(), entry);
        for gpu_n in 0..GPUS {
            let gpu = GpuId { host: host.clone(), gpu: name(&format!("gpu{gpu_n}")) };
            config.gpus.insert(gpu.clone(), GpuConfig { total_gb: 80.0, reserve_gb: 1.0, simulated: true });
            for runtime_n in 0..RUNTIMES {
                let runtime = name(&format!("swap-{host_n}-{gpu_n}-{runtime_n}"));
                let entry = RuntimeConfig {
                    host: host.clone(),
                    gpu: Some(gpu.clone()),
                    loads: true,
                    slots: 64,
                    capabilities: vec!["text.generate".to_owned()],
                };
                config.runtimes.insert(runtime.clone(), entry);
                for model_n in 0..MODELS {
                    let model = name(&format!("model-{host_n}-{gpu_n}-{runtime_n}-{model_n}"));
                    let at = ModelAt { runtime: runtime.clone(), served_as: model.as_str().into() };
                    let entry = ModelConfig {
                        served: vec![at],
                        capabilities: Vec::new(),
                        vram_gb: Some(8.0),
                        context_gb: 0.0,
                        context_tokens: None,
                    };
                    models.insert(model, entry);
                }
            }
        }
    }
    config.models = models;
    config
}
