//! Random lives: the real scheduler, the ledger for a disk, runs that end as they like, a disk that fills, people who
//! cancel, and a program that dies at any moment and starts again from the ledger.

use proptest::prelude::*;

use super::*;
use crate::core::rng::Rng;
use crate::decide::dispatch::ledger::How;
use crate::decide::scheduler::{Dependency, RuntimeSeen, State};

const TASKS: u64 = 12;
const STEPS: usize = 600;

struct Life {
    rng: Rng,
    core: Core<State>,
    ledger: Ledger,
    config: Arc<Config>,
    now_ms: u64,
    /// In the order in which they were asked for.
    writes: VecDeque<(WriteId, Record)>,
    runs: Vec<(TaskSeq, u32)>,
    /// How often each task was called.
    called: std::collections::BTreeMap<TaskSeq, u32>,
    calm: bool,
}

impl Life {
    fn new(seed: u64) -> Self {
        let config = config(3);
        let (core, _) = Core::recover(State::new(), Ledger::default().read(Arc::clone(&config)), at(0));
        let mut life = Self {
            rng: Rng::new(seed),
            core,
            ledger: Ledger::default(),
            config,
            now_ms: 0,
            writes: VecDeque::new(),
            runs: Vec::new(),
            called: std::collections::BTreeMap::new(),
            calm: false,
        };
        life.see();
        life
    }

    fn give(&mut self, input: Input) {
        let ops = self.core.apply(input, at(self.now_ms));
        self.carry(ops);
    }

    fn carry(&mut self, ops: Vec<Op>) {
        for op in ops {
            match op {
                Op::Write { id, record } => self.writes.push_back((id, record)),
                Op::Run { task, attempt, .. } => {
                    let stored = &self.ledger.tasks[&task].stored;
                    assert_eq!(
                        (stored.phase, stored.request.attempts),
                        (Phase::Running, attempt),
                        "called before it is written"
                    );
                    assert!(!self.runs.iter().any(|(known, _)| *known == task), "{task:?} runs twice at once");
                    *self.called.entry(task).or_default() += 1;
                    self.runs.push((task, attempt));
                    assert!(self.runs.len() <= 3, "more than the slots allow");
                }
                Op::StopRun { task, attempt, .. } => {
                    if let Some(at) = self.runs.iter().position(|run| *run == (task, attempt)) {
                        self.runs.remove(at);
                        self.give(ended(task.0, attempt, RunOutcome::Stopped));
                    }
                }
                Op::Note(_)
                | Op::Load { .. }
                | Op::Unload { .. }
                | Op::Claimed { .. }
                | Op::LeaseGranted { .. }
                | Op::LeaseOver { .. } => {}
            }
        }
    }

    fn see(&mut self) {
        let seen = RuntimeSeen::Up { models: Vec::new(), in_flight: None };
        self.give(Input::Event(Event::Seen { runtime: name("cpu"), seen }));
    }

    fn submit(&mut self, seq: u64) {
        let mut task = stored(seq);
        task.created_at = at(self.now_ms).wall;
        if seq > 1 && self.rng.below(3) == 0 {
            let on = 1 + self.rng.below(seq - 1);
            let over = self.ledger.tasks[&TaskSeq(on)].over.map(How::over);
            task.request.depends_on = vec![Dependency { id: format!("task-{on}").into(), over }];
        }
        self.ledger.accept(task.clone());
        self.give(Input::Accepted(Box::new(task)));
    }

    /// The oldest write reaches the disk, or does not.
    fn answer(&mut self) {
        let Some((id, record)) = self.writes.pop_front() else { return };
        if !self.calm && self.rng.below(10) == 0 {
            return self.give(Input::NotWritten(id, full()));
        }
        match self.ledger.write(&record) {
            Ok(()) => self.give(Input::Written(id)),
            Err(why) => panic!("the disk refuses {record:?}: {why}"),
        }
    }

    fn end_a_run(&mut self) {
        if self.runs.is_empty() {
            return;
        }
        let one = usize::try_from(self.rng.below(self.runs.len() as u64)).unwrap();
        let (task, attempt) = self.runs.remove(one);
        let outcome = match self.rng.below(if self.calm { 4 } else { 8 }) {
            0..=3 => RunOutcome::Done { took_ms: 5 },
            4..=6 => failure(true),
            _ => failure(false),
        };
        self.give(ended(task.0, attempt, outcome));
    }

    fn crash(&mut self) {
        // The write under way may have reached the disk without anybody hearing of it.
        let reached = self.rng.below(3);
        for _ in 0..reached {
            if let Some((_, record)) = self.writes.pop_front() {
                self.ledger.write(&record).unwrap_or_else(|why| panic!("the disk refuses {record:?}: {why}"));
            }
        }
        self.writes.clear();
        self.runs.clear();
        let restored = self.ledger.read(Arc::clone(&self.config));
        let (core, ops) = Core::recover(State::new(), restored, at(self.now_ms));
        self.core = core;
        self.carry(ops);
        self.see();
    }

    fn step(&mut self) {
        match self.rng.below(20) {
            0..=8 => self.answer(),
            9..=13 => self.end_a_run(),
            14 if !self.calm => {
                let task = 1 + self.rng.below(TASKS);
                self.give(cancel(task));
            }
            15 if !self.calm => self.crash(),
            _ => {
                self.now_ms += self.rng.below(5_000);
                self.give(Input::Tick);
            }
        }
    }

    fn live(&mut self) {
        for seq in 1..=TASKS {
            self.submit(seq);
            for _ in 0..self.rng.below(20) {
                self.step();
            }
        }
        for _ in 0..STEPS {
            self.step();
        }
        self.calm = true;
        for _ in 0..20_000 {
            if self.ledger.tasks.values().all(|entry| entry.over.is_some()) {
                return;
            }
            self.step();
        }
        let open: Vec<_> = self.ledger.tasks.values().filter(|entry| entry.over.is_none()).collect();
        panic!("it never ends: {open:#?}\n{:?}", self.writes);
    }
}

#[test]
fn every_task_comes_to_one_end_whatever_happens() {
    for seed in 0..200 {
        let mut life = Life::new(seed);
        life.live();
        for (task, entry) in &life.ledger.tasks {
            let id = &entry.stored.request.id;
            let about = life.ledger.audit.iter().filter(|audit| *audit.object == **id);
            let finals = about.filter(|audit| {
                audit.verb == "cancel"
                    || audit.verb == "fail"
                    || audit.verb == "attempt" && !audit.result.starts_with("tried again")
            });
            assert_eq!(finals.count(), 1, "seed {seed}: {task:?} ended once");
            let attempts = entry.stored.request.attempts;
            let told =
                life.ledger.audit.iter().filter(|audit| *audit.object == **id && audit.verb == "attempt").count();
            assert!(told <= attempts as usize, "seed {seed}: an entry an attempt");
            assert!(life.called.get(task).copied().unwrap_or(0) <= attempts, "seed {seed}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    /// A start right after a start changes nothing on disk but what ran.
    #[test]
    fn starting_twice_is_starting_once(seed in 0_u64..1_000_000) {
        let mut life = Life::new(seed);
        for seq in 1..=TASKS {
            life.submit(seq);
        }
        for _ in 0..100 {
            life.step();
        }
        let settle = |ledger: &Ledger, now_ms: u64| {
            let mut ledger = ledger.clone();
            let (mut core, mut ops) = Core::recover(State::new(), ledger.read(config(3)), at(now_ms));
            while let Some(Op::Write { id, record }) = ops.iter().find(|op| matches!(op, Op::Write { .. })).cloned() {
                ops.retain(|op| !matches!(op, Op::Write { id: other, .. } if *other == id));
                ledger.write(&record).unwrap();
                ops.extend(core.apply(Input::Written(id), at(now_ms)));
            }
            ledger
        };
        let once = settle(&life.ledger, life.now_ms);
        let twice = settle(&once, life.now_ms);
        prop_assert_eq!(&once.tasks, &twice.tasks);
        prop_assert_eq!(&once.audit, &twice.audit);
    }
}
