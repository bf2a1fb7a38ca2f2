//! Random histories: steps that people, runtimes and clocks can take, and a small engine that does what is decided.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::ledger::Ledger;
use super::*;

/// One thing that happens. Numbers pick among what there is.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Submit {
        kind: u8,
        priority: i32,
        after: Option<u8>,
        odd: u8,
    },
    End {
        pick: u8,
        how: u8,
    },
    NotStarted {
        pick: u8,
    },
    /// The store tells of a running task once more.
    Again {
        pick: u8,
    },
    Moved {
        pick: u8,
        fails: bool,
    },
    Seen {
        runtime: u8,
        strangers: bool,
    },
    Down {
        runtime: u8,
    },
    Foreign {
        gpu: u8,
        gb: u8,
    },
    Policy {
        which: u8,
    },
    Pins {
        which: u8,
    },
    Lease {
        gpus: u8,
        exclusive: bool,
        gb: Option<u8>,
        priority: i32,
        force: bool,
    },
    Release {
        pick: u8,
    },
    Renew {
        pick: u8,
    },
    Claim {
        model: u8,
        load: bool,
    },
    Vanish {
        model: u8,
    },
    Cancel {
        pick: u8,
    },
    Reroute {
        pick: u8,
        kind: u8,
    },
    Disk {
        gb: u8,
    },
    Measured {
        model: u8,
        gb: u8,
    },
    Pass {
        ms: u32,
    },
}

pub(super) fn steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    let any = || any::<u8>();
    let submit = (any(), -1..3i32, proptest::option::weighted(0.15, any()), any())
        .prop_map(|(kind, priority, after, odd)| Step::Submit { kind, priority, after, odd });
    let lease = (any(), proptest::bool::ANY, proptest::option::of(0..12u8), -1..2i32, proptest::bool::ANY)
        .prop_map(|(gpus, exclusive, gb, priority, force)| Step::Lease { gpus, exclusive, gb, priority, force });
    let one = prop_oneof![
        30 => submit,
        20 => (any(), any()).prop_map(|(pick, how)| Step::End { pick, how }),
        1 => any().prop_map(|pick| Step::NotStarted { pick }),
        2 => any().prop_map(|pick| Step::Again { pick }),
        30 => (any(), proptest::bool::weighted(0.1)).prop_map(|(pick, fails)| Step::Moved { pick, fails }),
        12 => (any(), proptest::bool::weighted(0.1)).prop_map(|(runtime, strangers)| Step::Seen { runtime, strangers }),
        2 => any().prop_map(|runtime| Step::Down { runtime }),
        2 => (any(), 0..20u8).prop_map(|(gpu, gb)| Step::Foreign { gpu, gb }),
        4 => any().prop_map(|which| Step::Policy { which }),
        2 => any().prop_map(|which| Step::Pins { which }),
        3 => lease,
        3 => any().prop_map(|pick| Step::Release { pick }),
        2 => any().prop_map(|pick| Step::Renew { pick }),
        4 => (any(), proptest::bool::ANY).prop_map(|(model, load)| Step::Claim { model, load }),
        2 => any().prop_map(|model| Step::Vanish { model }),
        3 => any().prop_map(|pick| Step::Cancel { pick }),
        2 => (any(), any()).prop_map(|(pick, kind)| Step::Reroute { pick, kind }),
        1 => (0..60u8).prop_map(|gb| Step::Disk { gb }),
        1 => (any(), 0..30u8).prop_map(|(model, gb)| Step::Measured { model, gb }),
        12 => prop_oneof![Just(1u32), Just(500), Just(5_000), Just(31_000), Just(700_000)].prop_map(|ms| Step::Pass { ms }),
    ];
    prop::collection::vec(one, 1..most)
}

const MODELS: [(&str, &str, f64); 6] = [
    ("swap", "chat", 8.0),
    ("swap", "coder", 14.0),
    ("swap", "tiny", 2.0),
    ("lab", "chat", 8.0),
    ("lab", "paint", 11.0),
    ("film", "movie", 20.0),
];

pub(super) fn model_at(n: u8) -> ModelAt {
    let (runtime, model, _) = MODELS[usize::from(n) % MODELS.len()];
    ModelAt { runtime: name(runtime), served_as: model.into() }
}

/// Two GPUs: one behind `swap` (which loads) and `film` (which loads too), one behind `lab`; `cpu` uses none.
pub(super) fn two_gpus() -> Config {
    let mut config = Desk::new(|_| {}).config;
    let lab = GpuId { host: name("desk"), gpu: name("gpu1") };
    config.gpus.insert(lab.clone(), GpuConfig { total_gb: 16.0, reserve_gb: 0.5, simulated: true });
    let mut runtime = config.runtimes[&name("swap")].clone();
    runtime.gpu = Some(lab);
    runtime.slots = 3;
    runtime.capabilities.push("image.gen".to_owned());
    config.runtimes.insert(name("lab"), runtime);
    config.runtimes.get_mut(&name("film")).unwrap().loads = true;
    config.models.clear();
    for (runtime, model, gb) in MODELS {
        let entry = config.models.entry(name(model)).or_insert_with(|| ModelConfig {
            served: Vec::new(),
            capabilities: match model {
                "movie" => vec!["video.gen".to_owned()],
                "paint" => vec!["image.gen".to_owned()],
                _ => vec!["text.generate".to_owned(), "text.summarize".to_owned()],
            },
            vram_gb: Some(gb),
            context_gb: if model == "coder" { 1.0 } else { 0.0 },
            context_tokens: (model == "tiny").then_some(2_000),
        });
        entry.served.push(ModelAt { runtime: name(runtime), served_as: model.into() });
    }
    config.pins.insert(model_at(0), Pin::Copilot);
    config
}

/// A world in which a script plays.
#[derive(Clone)]
pub(super) struct Play {
    pub state: State,
    pub config: Config,
    pub now: Moment,
    pub ledger: Ledger,
    /// Everything that was decided, in words, an event a line.
    pub log: Vec<String>,
    /// When waiting tasks were submitted, on the steady clock.
    pub submitted_ms: BTreeMap<TaskSeq, i64>,
    /// Until when tasks wait out a failure.
    pub not_before_ms: BTreeMap<TaskSeq, u64>,
    /// Models that could not be moved.
    pub failed_ms: BTreeMap<ModelAt, u64>,
    /// GPUs that somebody had for himself: others may have their turn.
    pub was_exclusive: BTreeSet<GpuId>,
    /// The wall clock goes wrong by so many seconds with every event.
    pub jumps: Vec<i64>,
    next: u64,
    leases: u64,
}

impl Play {
    pub(super) fn new() -> Self {
        let now = Moment { steady_ms: 1_000, wall: Timestamp::from_second(1_800_000_000).unwrap() };
        let mut play = Self {
            state: State::new(),
            config: two_gpus(),
            now,
            ledger: Ledger::default(),
            log: Vec::new(),
            submitted_ms: BTreeMap::new(),
            not_before_ms: BTreeMap::new(),
            failed_ms: BTreeMap::new(),
            was_exclusive: BTreeSet::new(),
            jumps: Vec::new(),
            next: 1,
            leases: 0,
        };
        play.ledger.down = play.runtimes().into_iter().collect();
        play.world();
        (0..4).for_each(|runtime| play.seen(runtime, false));
        play
    }

    fn world(&mut self) {
        self.apply(Event::WorldChanged(Arc::new(self.config.clone())));
    }

    pub(super) fn apply(&mut self, event: Event) -> Vec<Decision> {
        let mut now = self.now;
        if !self.jumps.is_empty() {
            let jump = self.jumps[self.log.len() % self.jumps.len()];
            now.wall = Timestamp::from_second(now.wall.as_second() + jump).unwrap();
        }
        let told = format!("{event:?}");
        let decisions = self.state.apply(event, now);
        self.log.push(format!("{decisions:?}"));
        for decision in &decisions {
            self.ledger.note(decision, &self.config, now);
            if let Decision::Lock { gpu, mode: LockMode::Exclusive(_) } = decision {
                self.was_exclusive.insert(gpu.clone());
            }
        }
        self.failed_ms.retain(|_, until_ms| *until_ms > now.steady_ms);
        self.ledger.excuse(&self.config);
        if let Err(why) = self.state.check() {
            panic!("after {told}: {why}");
        }
        for seq in self.ledger.waiting.keys() {
            assert!(self.state.why(*seq, now).is_some(), "{seq:?} waits without a reason after {told}");
        }
        for seq in self.ledger.running.keys() {
            assert!(self.state.why(*seq, now).is_none(), "{seq:?} runs and has a reason after {told}");
        }
        if let Err(who) = self.look_for_idleness(now) {
            let waiting: Vec<_> = self.ledger.waiting.keys().map(|seq| (seq.0, self.state.why(*seq, now))).collect();
            panic!("{who} after {told}; they are told {waiting:?}");
        }
        let counts = self.state.view(now, 0).counts;
        assert_eq!(
            (counts.queued + counts.blocked) as usize,
            self.ledger.waiting.len(),
            "somebody was lost after {told}"
        );
        decisions
    }

    fn pick<K: Clone + Ord, V>(map: &BTreeMap<K, V>, n: u8) -> Option<K> {
        map.keys().nth(usize::from(n) % map.len().max(1)).cloned()
    }

    pub(super) fn step(&mut self, step: &Step) {
        match step {
            Step::Submit { kind, priority, after, odd } => self.submit(*kind, *priority, *after, *odd),
            Step::End { pick, how } => {
                if let Some(task) = Self::pick(&self.ledger.running, *pick) {
                    let end = match how % 8 {
                        0 => End::Failed { message: "it broke".to_owned() },
                        1 => End::Again { wait_ms: 2_000, message: "it broke".to_owned() },
                        2 => End::Again { wait_ms: 0, message: "interrupted".to_owned() },
                        _ => End::Done { took_ms: 1_500 },
                    };
                    self.end(task, end);
                }
            }
            Step::NotStarted { pick } => {
                if let Some(task) = Self::pick(&self.ledger.running, *pick) {
                    let running = self.ledger.running.remove(&task).unwrap();
                    self.ledger.waiting.insert(task, running.request);
                    self.not_before_ms.insert(task, self.now.steady_ms + 1_000);
                    self.apply(Event::NotStarted { task });
                }
            }
            Step::Again { pick } => {
                if let Some(task) = Self::pick(&self.ledger.running, *pick) {
                    let request = self.ledger.running[&task].request.clone();
                    self.apply(Event::Submitted(Box::new(request)));
                }
            }
            Step::Moved { pick, fails } => self.moved(*pick, *fails),
            Step::Seen { runtime, strangers } => self.seen(*runtime, *strangers),
            Step::Down { runtime } => {
                let runtime = self.runtime(*runtime);
                self.ledger.down.insert(runtime.clone());
                let seen = RuntimeSeen::Down { since: self.now.wall, why: "no answer".to_owned() };
                self.apply(Event::Seen { runtime, seen });
            }
            Step::Foreign { gpu, gb } => {
                let gpu = self.gpu(*gpu);
                self.ledger.foreign.insert(gpu.clone(), f64::from(*gb));
                self.apply(Event::ForeignUse { gpu, gb: Some(f64::from(*gb)) });
            }
            Step::Policy { which } => {
                let host = self.config.hosts.get_mut(&name("desk")).unwrap();
                let policy = Arc::make_mut(&mut host.policy);
                use crate::declare::manifest::kind::policy::Preemption;
                match which % 10 {
                    0 => policy.paused = !policy.paused,
                    1 => policy.copilot_persistent = !policy.copilot_persistent,
                    2 => policy.preemption = Preemption::Never,
                    3 => policy.preemption = Preemption::Requeue,
                    4 => policy.preemption = Preemption::AfterBatch,
                    5 => policy.batching.max_tasks = 2,
                    6 => policy.unload_idle_after_minutes = 1,
                    n => policy.gpu_shared_slots = u32::from(n) - 5,
                }
                self.world();
            }
            Step::Pins { which } => {
                let at = model_at(which % 6);
                match which / 6 % 4 {
                    0 => {
                        self.config.pins.insert(at, Pin::Loaded);
                    }
                    1 => {
                        self.config.pins.insert(at, Pin::OnDemand);
                    }
                    2 => {
                        self.config.pins.insert(at, Pin::Copilot);
                    }
                    _ => {
                        self.config.pins.remove(&at);
                    }
                }
                self.world();
            }
            Step::Lease { gpus, exclusive, gb, priority, force } => {
                self.leases += 1;
                let all = [self.gpu(0), self.gpu(1)];
                let gpus = match gpus % 3 {
                    0 => vec![all[0].clone()],
                    1 => vec![all[1].clone()],
                    _ => vec![all[1].clone(), all[0].clone()],
                };
                let lease = LeaseRequest {
                    id: format!("lease-{}", self.leases).into(),
                    gpus,
                    holder: "game".to_owned(),
                    purpose: "play".to_owned(),
                    exclusive: *exclusive,
                    vram_gb: gb.map(f64::from),
                    force: *force,
                    priority: *priority,
                    ttl_ms: 60_000,
                    held: false,
                };
                self.ledger.leases.insert(lease.id.clone(), (lease.clone(), false));
                self.apply(Event::LeaseAsked(Box::new(lease)));
            }
            Step::Release { pick } => {
                if let Some(id) = Self::pick(&self.ledger.leases, *pick) {
                    self.ledger.leases.remove(&id);
                    self.apply(Event::LeaseReleased(id));
                }
            }
            Step::Renew { pick } => {
                if let Some(id) = Self::pick(&self.ledger.leases, *pick) {
                    self.apply(Event::LeaseRenewed { id, ttl_ms: 60_000 });
                }
            }
            Step::Claim { model, load } => self.claim(*model, *load),
            Step::Vanish { model } => {
                // The runtime lost it: it is told with the next look.
                let at = model_at(*model);
                if self.ledger.resident.get(&at) == Some(&true) {
                    self.ledger.resident.remove(&at);
                    let runtime = self.runtimes().iter().position(|it| *it == at.runtime).unwrap();
                    self.seen(runtime as u8, false);
                }
            }
            Step::Cancel { pick } => {
                let waiting = Self::pick(&self.ledger.waiting, *pick);
                if let Some(task) = waiting.or_else(|| Self::pick(&self.ledger.running, *pick)) {
                    self.apply(Event::Cancelled(task));
                }
            }
            Step::Reroute { pick, kind } => {
                if let Some(task) = Self::pick(&self.ledger.waiting, *pick) {
                    let model = Some(name(MODELS[usize::from(*kind) % MODELS.len()].1));
                    let request = self.ledger.waiting.get_mut(&task).unwrap();
                    (request.runtime, request.model) = (None, model.clone());
                    self.apply(Event::Rerouted { task, runtime: None, model });
                }
            }
            Step::Disk { gb } => {
                self.apply(Event::Disk { host: name("desk"), free_gb: Some(f64::from(*gb)) });
            }
            Step::Measured { model, gb } => {
                // The ledger counts what is declared; what is measured below that changes nothing.
                let gb = f64::from(*gb).min(Ledger::cost(&self.config, &model_at(*model)));
                self.apply(Event::Measured { at: model_at(*model), gb });
            }
            Step::Pass { ms } => self.pass(u64::from(*ms)),
        }
    }

    pub(super) fn pass(&mut self, ms: u64) {
        self.now.steady_ms += ms;
        self.now.wall = crate::core::clock::after(self.now.wall, std::time::Duration::from_millis(ms));
        self.apply(Event::Tick);
    }

    pub(super) fn runtimes(&self) -> [Name; 4] {
        ["swap", "film", "lab", "cpu"].map(name)
    }

    fn runtime(&self, n: u8) -> Name {
        self.runtimes()[usize::from(n) % 4].clone()
    }

    pub(super) fn gpu(&self, n: u8) -> GpuId {
        GpuId { host: name("desk"), gpu: name(["gpu0", "gpu1"][usize::from(n) % 2]) }
    }

    pub(super) fn end(&mut self, task: TaskSeq, end: End) {
        let running = self.ledger.running.remove(&task).unwrap();
        let end = if running.is_stopping && !matches!(end, End::Done { .. }) {
            End::Again { wait_ms: 0, message: "made way".to_owned() }
        } else {
            end
        };
        match end {
            End::Done { .. } => drop(self.ledger.over.insert(running.request.id, Over::Done)),
            End::Failed { .. } | End::Cancelled => drop(self.ledger.over.insert(running.request.id, Over::Failed)),
            End::Again { wait_ms, .. } => {
                self.not_before_ms.insert(task, self.now.steady_ms + wait_ms);
                self.ledger.waiting.insert(task, running.request);
            }
        }
        self.apply(Event::Ended { task, end });
    }

    fn submit(&mut self, kind: u8, priority: i32, after: Option<u8>, odd: u8) {
        let mut request = request(self.next, CAPABILITIES[usize::from(kind) % CAPABILITIES.len()]);
        self.next += 1;
        request.priority = priority;
        match odd % 16 {
            0 => request.force = true,
            1 => request.exclusive = Some(true),
            2 => request.exclusive = Some(false),
            3 => request.input_tokens = Some(4_000),
            4 => request.output_gb = Some(20.0),
            5 => {
                request.not_before = Some(crate::core::clock::after(self.now.wall, std::time::Duration::from_secs(20)))
            }
            6 | 7 => request.model = Some(name(MODELS[usize::from(odd / 16) % MODELS.len()].1)),
            8 => request.runtime = Some(name("lab")),
            9 => request.backoff = Some((3_000, "an earlier try broke".to_owned())),
            10 => request.waited_ms = 5_000,
            11 => request.runs_on_failure = true,
            _ => {}
        }
        if let Some(back) = after.filter(|_| self.next > 2) {
            let id: Arc<str> = format!("task-{}", 1 + u64::from(back) % (self.next - 2)).into();
            let over = self.ledger.over.get(&id).copied();
            request.depends_on.push(Dependency { id, over });
        }
        self.told_of(request);
    }

    pub(super) fn told_of(&mut self, request: Request) {
        let waited = i64::try_from(request.waited_ms).unwrap();
        self.submitted_ms.insert(request.task, i64::try_from(self.now.steady_ms).unwrap() - waited);
        let backoff_ms = request.backoff.as_ref().map_or(0, |(ms, _)| *ms);
        self.not_before_ms.insert(request.task, self.now.steady_ms + backoff_ms);
        self.ledger.waiting.insert(request.task, request.clone());
        self.apply(Event::Submitted(Box::new(request)));
    }
}

const CAPABILITIES: [&str; 8] =
    ["text.generate", "text.generate", "text.summarize", "image.gen", "video.gen", "audio.tts", "audio.tts", "ocr.pdf"];
