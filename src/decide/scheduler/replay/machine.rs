//! Simulated time: hands a trace to a scheduler event by event, and carries out what it decides.
//!
//! 1. The next moment is the earliest of: a submission, the end of work, of a load or an unload, a withdrawal, or the time
//!    at which the scheduler wants to be woken. What falls on one moment happens in a fixed order.
//! 2. What happened becomes an event; each decision about it becomes something that happens later, or an answer at once.
//! 3. It ends when every submission is over, or when nothing more can happen.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::sync::Arc;

use crate::core::Timestamp;
use crate::decide::view::ModelState;

use super::super::config::Config;
use super::super::decision::{Decision, Place};
use super::super::event::{Dependency, End, Event, Over, RuntimeSeen};
use super::super::id::{ModelAt, Moment, TaskSeq};
use super::super::state::State;
use super::ledger::Ledger;
use super::report::{Outcome, Report};
use super::trace::Trace;

/// What can be replayed through: the real state machine, or another one to compare it with.
pub trait Scheduler {
    /// Takes an event in and decides.
    fn apply(&mut self, event: Event, now: Moment) -> Vec<Decision>;
    /// When it wants to hear of the time, on the steady clock, if nothing else happens before.
    fn next_wake(&self, now: Moment) -> Option<u64>;
}

impl Scheduler for State {
    fn apply(&mut self, event: Event, now: Moment) -> Vec<Decision> {
        Self::apply(self, event, now)
    }

    fn next_wake(&self, now: Moment) -> Option<u64> {
        Self::next_wake(self, now)
    }
}

/// How often in a row a scheduler may be woken without deciding anything, before what waits counts as stranded.
const WAKES_IN_VAIN_MAX: u32 = 10_000;

/// Replays a trace. The same trace and the same scheduler give the same report.
pub fn replay<S: Scheduler>(scheduler: &mut S, trace: &Trace) -> Report {
    let mut machine = Machine::new(scheduler, trace);
    machine.begin();
    while machine.left > 0 && machine.step() {}
    machine.ledger.report(trace, machine.now_ms)
}

/// Something that will happen.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Ahead {
    /// The attempt with this number of the submission with this index is over.
    Ends {
        index: usize,
        attempt: u32,
    },
    Loaded {
        at: ModelAt,
        took_ms: u64,
    },
    Unloaded(ModelAt),
    Cancelled(TaskSeq),
}

struct Machine<'a, S> {
    scheduler: &'a mut S,
    trace: &'a Trace,
    now_ms: u64,
    /// By time, then in the order in which it was set off.
    ahead: BinaryHeap<Reverse<(u64, u64, Ahead)>>,
    turn: u64,
    /// The next submission of the trace.
    next: usize,
    tasks: BTreeMap<TaskSeq, Task>,
    by_id: BTreeMap<Arc<str>, TaskSeq>,
    /// Submissions that are not over.
    left: usize,
    wakes_in_vain: u32,
    ledger: Ledger,
}

/// A submission that was made.
struct Task {
    index: usize,
    /// Counts starts; an end that belongs to an earlier one is void.
    attempt: u32,
    running_since: Option<u64>,
    over_ms: Option<u64>,
}

impl<'a, S: Scheduler> Machine<'a, S> {
    fn new(scheduler: &'a mut S, trace: &'a Trace) -> Self {
        Self {
            scheduler,
            trace,
            now_ms: 0,
            ahead: BinaryHeap::new(),
            turn: 0,
            next: 0,
            tasks: BTreeMap::new(),
            by_id: BTreeMap::new(),
            left: trace.submissions.len(),
            wakes_in_vain: 0,
            ledger: Ledger::of(trace),
        }
    }

    /// The configuration, and what is loaded before the first submission.
    fn begin(&mut self) {
        let config = Arc::clone(&self.trace.config);
        self.tell(Event::WorldChanged(Arc::clone(&config)));
        for runtime in config.runtimes.keys() {
            let models = served(&config, runtime).into_iter().map(|at| {
                let loaded = self.trace.loaded.contains(&at);
                let state = if loaded { ModelState::Loaded } else { ModelState::Unloaded };
                (at.served_as, state, None)
            });
            // What it works on beside our own tasks nobody knows: the scheduler goes by its own holders then.
            let seen = RuntimeSeen::Up { models: models.collect(), in_flight: None };
            self.tell(Event::Seen { runtime: runtime.clone(), seen });
        }
    }

    /// Goes on to the next moment. False when nothing can happen any more.
    fn step(&mut self) -> bool {
        let ahead = self.ahead.peek().map(|Reverse((at, _, _))| *at);
        let submission = self.trace.submissions.get(self.next).map(|submission| submission.at_ms);
        let happens = ahead.into_iter().chain(submission).min();
        let wake = self.scheduler.next_wake(self.moment()).map(|wake| wake.max(self.now_ms));
        if let Some(wake) = wake.filter(|wake| happens.is_none_or(|at| *wake < at)) {
            self.now_ms = wake;
            let before = self.ledger.decisions;
            self.tell(Event::Tick);
            let vain = self.ledger.decisions == before;
            self.wakes_in_vain = if vain { self.wakes_in_vain + 1 } else { 0 };
            return self.wakes_in_vain < WAKES_IN_VAIN_MAX;
        }
        let Some(at) = happens else { return false };
        self.now_ms = at.max(self.now_ms);
        self.wakes_in_vain = 0;
        if ahead == Some(at) {
            let Some(Reverse((_, _, ahead))) = self.ahead.pop() else { return false };
            self.happens(ahead);
        } else {
            self.submit();
        }
        true
    }

    fn submit(&mut self) {
        let index = self.next;
        self.next += 1;
        let submission = &self.trace.submissions[index];
        let mut request = submission.request.clone();
        let seq = request.task;
        for dependency in request.depends_on.iter_mut().filter(|dependency| dependency.over.is_none()) {
            dependency.over = self.ended(dependency);
        }
        self.tasks.insert(seq, Task { index, attempt: 0, running_since: None, over_ms: None });
        self.by_id.insert(Arc::clone(&request.id), seq);
        if let Some(at) = submission.cancelled_ms {
            self.set_off(at.max(self.now_ms), Ahead::Cancelled(seq));
        }
        self.tell(Event::Submitted(Box::new(request)));
    }

    /// How a task of this replay ended that another depends on.
    fn ended(&self, dependency: &Dependency) -> Option<Over> {
        let task = self.tasks.get(self.by_id.get(&dependency.id)?)?;
        task.over_ms?;
        let done = self.ledger.outcome(task.index) == Outcome::Done;
        Some(if done { Over::Done } else { Over::Failed })
    }

    fn happens(&mut self, ahead: Ahead) {
        match ahead {
            Ahead::Ends { index, attempt } => self.ends(index, attempt),
            Ahead::Loaded { at, took_ms } => self.tell(Event::Loaded { at, took_ms }),
            Ahead::Unloaded(at) => {
                self.ledger.unloaded(&at);
                self.tell(Event::Unloaded(at));
            }
            Ahead::Cancelled(task) => {
                if self.tasks.get(&task).is_some_and(|task| task.over_ms.is_none()) {
                    self.tell(Event::Cancelled(task));
                }
            }
        }
    }

    fn ends(&mut self, index: usize, attempt: u32) {
        let submission = &self.trace.submissions[index];
        let seq = submission.request.task;
        let Some(task) = self.tasks.get_mut(&seq).filter(|task| task.attempt == attempt) else { return };
        let Some(since) = task.running_since.take() else { return };
        let took_ms = self.now_ms - since;
        self.ledger.worked(index, took_ms);
        let (outcome, end) = if submission.work.fails {
            (Outcome::Failed, End::Failed { message: "it failed when it ran in truth".to_owned() })
        } else {
            (Outcome::Done, End::Done { took_ms })
        };
        self.over(seq, outcome);
        self.tell(Event::Ended { task: seq, end });
    }

    fn over(&mut self, task: TaskSeq, outcome: Outcome) {
        let Some(task) = self.tasks.get_mut(&task).filter(|task| task.over_ms.is_none()) else { return };
        task.over_ms = Some(self.now_ms);
        self.left -= 1;
        self.ledger.ended(task.index, outcome, self.now_ms);
    }

    fn moment(&self) -> Moment {
        let beginning = Moment { steady_ms: 0, wall: self.trace.start };
        Moment { steady_ms: self.now_ms, wall: beginning.wall_at(self.now_ms) }
    }

    /// Tells the scheduler, and carries out what it decides; answers that come at once are told in their order.
    fn tell(&mut self, event: Event) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            self.ledger.events += 1;
            let now = self.moment();
            for decision in self.scheduler.apply(event, now) {
                self.ledger.decisions += 1;
                events.extend(self.carry_out(decision));
            }
        }
    }

    fn carry_out(&mut self, decision: Decision) -> Option<Event> {
        match decision {
            Decision::Start { task, place } => self.start(task, &place),
            Decision::Stop { task, requeue } => return self.stop(task, requeue),
            Decision::Load { at, need_gb, .. } => {
                let took_ms = self.trace.load_times.of(&at);
                self.ledger.load(&at, need_gb, took_ms);
                self.set_off(self.now_ms + took_ms, Ahead::Loaded { at, took_ms });
            }
            Decision::Unload { at, .. } => {
                self.set_off(self.now_ms + self.trace.load_times.unload, Ahead::Unloaded(at));
            }
            Decision::Fail { task, .. } => self.over(task, Outcome::Refused),
            Decision::Drop { task } => self.over(task, Outcome::Cancelled),
            Decision::Lock { gpu, mode } => self.ledger.lock(&gpu, &mode, self.now_ms),
            // Nobody asks for leases or claims here, and reasons are not what is counted.
            Decision::Wait { .. }
            | Decision::Grant { .. }
            | Decision::Expire { .. }
            | Decision::Admit { .. }
            | Decision::Refuse { .. } => {}
        }
        None
    }

    fn start(&mut self, seq: TaskSeq, place: &Place) {
        let free_ms = self.free_since(seq);
        let Some(task) = self.tasks.get_mut(&seq) else { return };
        task.attempt += 1;
        task.running_since = Some(self.now_ms);
        let (index, attempt) = (task.index, task.attempt);
        let (took_ms, known) = self.trace.duration(&self.trace.submissions[index], place);
        self.ledger.guessed += u64::from(!known);
        let served_as = place.served_as.as_deref();
        let model = served_as.map(|name| ModelAt { runtime: place.runtime.clone(), served_as: name.into() });
        self.ledger.started(index, model, free_ms, self.now_ms);
        self.set_off(self.now_ms + took_ms, Ahead::Ends { index, attempt });
    }

    /// When nothing of its own held the task back any more: submitted, due, dependencies over.
    fn free_since(&self, seq: TaskSeq) -> u64 {
        let Some(task) = self.tasks.get(&seq) else { return self.now_ms };
        let submission = &self.trace.submissions[task.index];
        let request = &submission.request;
        let due = request.not_before.map_or(0, |at| millis_after(self.trace.start, at));
        let waited_for = request.depends_on.iter().filter_map(|dependency| {
            let before = self.by_id.get(&dependency.id)?;
            self.tasks.get(before)?.over_ms
        });
        waited_for.chain([due, submission.at_ms]).max().unwrap_or(submission.at_ms).min(self.now_ms)
    }

    fn stop(&mut self, seq: TaskSeq, requeue: bool) -> Option<Event> {
        let task = self.tasks.get_mut(&seq)?;
        let since = task.running_since.take()?;
        let index = task.index;
        self.ledger.worked(index, self.now_ms - since);
        let end = if requeue {
            self.ledger.requeued += 1;
            End::Again { wait_ms: 0, message: "interrupted to make way".to_owned() }
        } else {
            self.over(seq, Outcome::Cancelled);
            End::Cancelled
        };
        Some(Event::Ended { task: seq, end })
    }

    fn set_off(&mut self, at_ms: u64, ahead: Ahead) {
        self.turn += 1;
        self.ahead.push(Reverse((at_ms, self.turn, ahead)));
    }
}

fn millis_after(start: Timestamp, at: Timestamp) -> u64 {
    crate::core::clock::millis_since(start, at)
}

/// The declared models of a runtime, by its own names, each once.
fn served(config: &Config, runtime: &crate::core::Name) -> Vec<ModelAt> {
    let all = config.models.values().flat_map(|model| &model.served).filter(|at| at.runtime == *runtime);
    all.cloned().collect::<std::collections::BTreeSet<_>>().into_iter().collect()
}
