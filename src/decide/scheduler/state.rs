//! The state of the scheduler, and what each event does to it.
//!
//! [`State::apply`] takes one event in, marks the lines that it may have set free, and lets [`super::dispatch`] look at their
//! heads. What a task needs and where it could run is `options`', starting and loading is `start`'s, the GPU lock is
//! `exclusive`'s and `lease`'s, memory is `memory`'s.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::config::Config;
use super::decision::{Decision, FailCode, Place};
use super::eta::Durations;
use super::event::{End, Event, Over, Request};
use super::id::{LeaseId, Moment, TaskSeq};
use super::lease::Lease;
use super::line::{Key, Line, LineIx, LineKey};
use super::reason::Reason;
use super::table::Table;
use super::timer::Timers;
use super::view::{Coverage, Eta};

/// The state of the scheduler.
#[derive(Clone, Debug, Default)]
pub struct State {
    pub(super) config: Arc<Config>,
    pub(super) table: Table,
    pub(super) tasks: HashMap<TaskSeq, Task>,
    pub(super) ids: HashMap<Arc<str>, TaskSeq>,
    /// Who waits for a task, by its id.
    pub(super) waiters: HashMap<Arc<str>, Vec<TaskSeq>>,
    pub(super) lines: Vec<Line>,
    pub(super) line_ix: HashMap<LineKey, LineIx>,
    /// Lines without any place: nothing frees them but a new world.
    pub(super) running: BTreeSet<TaskSeq>,
    pub(super) blocked: u64,
    pub(super) queued: u64,
    pub(super) leases: BTreeMap<LeaseId, Lease>,
    pub(super) timers: Timers,
    pub(super) free_disk_gb: BTreeMap<crate::core::Name, f64>,
    pub(super) durations: Durations,
    pub(super) coverage: Coverage,
    /// Lines whose heads are to be looked at before this event is over.
    pub(super) dirty: BTreeSet<LineIx>,
    /// True when leases that wait are to be looked at.
    pub(super) leases_dirty: bool,
    #[cfg(any(test, feature = "broken-rules"))]
    pub(super) broken: Option<super::broken::Rule>,
}

/// A task that is not over.
#[derive(Clone, Debug)]
pub(super) struct Task {
    pub request: Box<Request>,
    pub key: Key,
    /// When it came, on the steady clock; negative for what came before a restart.
    pub submitted_ms: i64,
    pub stage: Stage,
    /// What was told of its end when it came, for the coverage.
    pub told: Option<(Moment, Eta)>,
}

/// Where a task stands.
#[derive(Clone, Debug)]
pub(super) enum Stage {
    /// On things of its own: in no line.
    Blocked(Block),
    Waiting(LineIx),
    Running(Run),
}

/// What of its own a task waits for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Block {
    Dependencies(BTreeSet<Arc<str>>),
    NotBefore,
    Backoff { until_ms: u64, failed: String },
}

/// An attempt under way.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub place: Place,
    pub runtime: usize,
    pub model: Option<usize>,
    pub line: LineIx,
    pub since: Moment,
    pub is_stopping: bool,
}

impl State {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes an event in and says what follows from it. Events come in the order of their moments.
    pub fn apply(&mut self, event: Event, now: Moment) -> Vec<Decision> {
        let mut out = Vec::new();
        self.take_in(event, now, &mut out);
        self.fire(now, &mut out);
        self.dispatch(now, &mut out);
        out
    }

    fn take_in(&mut self, event: Event, now: Moment, out: &mut Vec<Decision>) {
        match event {
            Event::WorldChanged(config) => self.change_world(config, now, out),
            Event::Submitted(request) => self.submit(request, now, out),
            Event::Depends { task, on } => self.depend(task, on, now, out),
            Event::Rerouted { task, runtime, model } => self.reroute(task, runtime, model, now, out),
            Event::Cancelled(task) => self.cancel(task, now, out),
            Event::Ended { task, end } => self.end(task, end, now, out),
            Event::NotStarted { task } => {
                let message = "its start could not be written down".to_owned();
                self.end(task, End::Again { wait_ms: 1_000, message }, now, out);
            }
            Event::Loaded { at, took_ms } => self.loaded(&at, took_ms, now, out),
            Event::Unloaded(at) => self.unloaded(&at, now, out),
            Event::LoadFailed { at, message, retry_ms } => self.load_failed(&at, message, retry_ms, now),
            Event::UnloadFailed { at, message, retry_ms } => self.unload_failed(&at, message, retry_ms, now),
            Event::Seen { runtime, seen } => self.seen(&runtime, seen, now),
            Event::ForeignUse { gpu, gb } => self.foreign_use(&gpu, gb),
            Event::Disk { host, free_gb } => self.disk(host, free_gb),
            Event::Measured { at, gb } => self.measured(&at, gb),
            Event::Took { capability, model, ms } => self.durations.note(capability, model, ms),
            Event::LoadTook { at, ms } => self.durations.note_load(at, ms),
            Event::LeaseAsked(asked) => self.ask_lease(*asked, now, out),
            Event::LeaseRenewed { id, ttl_ms } => self.renew_lease(&id, ttl_ms, now),
            Event::LeaseReleased(id) => self.release_lease(&id, now, out),
            Event::Claim { at, verb } => self.claim(&at, verb, now, out),
            Event::Tick => {}
        }
    }

    fn submit(&mut self, request: Box<Request>, now: Moment, out: &mut Vec<Decision>) {
        let seq = request.task;
        if self.tasks.contains_key(&seq) {
            return;
        }
        let waited = i64::try_from(request.waited_ms).unwrap_or(i64::MAX);
        let submitted_ms = i64::try_from(now.steady_ms).unwrap_or(i64::MAX).saturating_sub(waited);
        let key = Key::new(submitted_ms, request.priority, seq);
        self.ids.insert(request.id.clone(), seq);
        let stage = Stage::Blocked(Block::Dependencies(BTreeSet::new()));
        self.tasks.insert(seq, Task { request, key, submitted_ms, stage, told: None });
        self.blocked += 1;
        self.advance(seq, now, out);
        if self.tasks.contains_key(&seq)
            && let Some(eta) = self.eta(seq, now)
            && let Some(task) = self.tasks.get_mut(&seq)
        {
            task.told = Some((now, eta));
        }
    }

    /// Puts a blocked task where it belongs now: still blocked, in a line, or given up.
    pub(super) fn advance(&mut self, seq: TaskSeq, now: Moment, out: &mut Vec<Decision>) {
        let Some(task) = self.tasks.get(&seq) else { return };
        let request = &task.request;
        let mut open = BTreeSet::new();
        for dependency in &request.depends_on {
            match dependency.over {
                Some(Over::Done) => {}
                Some(Over::Failed) if request.runs_on_failure => {}
                Some(Over::Failed) => {
                    let message = format!("{}, which it depends on, was not done", dependency.id);
                    self.fail(seq, FailCode::DependencyFailed, message, now, out);
                    return;
                }
                None => drop(open.insert(dependency.id.clone())),
            }
        }
        if !open.is_empty() && !self.is_broken(super::broken::Rule::DependenciesIgnored) {
            for id in &open {
                let waiters = self.waiters.entry(id.clone()).or_default();
                if !waiters.contains(&seq) {
                    waiters.push(seq);
                }
            }
            self.block(seq, Block::Dependencies(open), out);
            return;
        }
        if let Some(at) = request.not_before.filter(|at| *at > now.wall) {
            self.timers.at_date(at, seq);
            self.block(seq, Block::NotBefore, out);
            return;
        }
        if let Some((wait_ms, failed)) = &request.backoff {
            let (until_ms, failed) = (now.steady_ms.saturating_add(*wait_ms), failed.clone());
            if *wait_ms > 0 {
                if let Some(task) = self.tasks.get_mut(&seq) {
                    task.request.backoff = None;
                }
                self.timers.task_at(until_ms, seq);
                self.block(seq, Block::Backoff { until_ms, failed }, out);
                return;
            }
        }
        self.enqueue(seq, now, out);
    }

    fn block(&mut self, seq: TaskSeq, block: Block, out: &mut Vec<Decision>) {
        let Some(task) = self.tasks.get_mut(&seq) else { return };
        task.stage = Stage::Blocked(block);
        if let Some(reason) = self.own_reason(seq) {
            out.push(Decision::Wait { task: seq, reason });
        }
    }

    /// From blocked into the line of those that can be done in the same places.
    pub(super) fn enqueue(&mut self, seq: TaskSeq, now: Moment, out: &mut Vec<Decision>) {
        let Some(task) = self.tasks.get(&seq) else { return };
        let key = task.key;
        match self.line_for(&task.request) {
            Ok(line_key) => {
                let line = self.line(line_key);
                self.lines[line].waiting.insert(key);
                if let Some(task) = self.tasks.get_mut(&seq) {
                    task.stage = Stage::Waiting(line);
                }
                self.blocked -= 1;
                self.queued += 1;
                if self.lines[line].head() == Some(key) {
                    self.dirty.insert(line);
                }
            }
            Err(sums) => self.fail(seq, FailCode::FitFailed, sums, now, out),
        }
    }

    fn line(&mut self, key: LineKey) -> LineIx {
        if let Some(ix) = self.line_ix.get(&key) {
            return *ix;
        }
        let ix = self.lines.len();
        for choice in &key.choices {
            self.table.runtimes[choice.runtime].lines.insert(ix);
        }
        self.line_ix.insert(key.clone(), ix);
        self.lines.push(Line::new(key));
        ix
    }

    /// Out of its line, or out of being blocked; true when it was there.
    pub(super) fn unqueue(&mut self, seq: TaskSeq, now: Moment, out: &mut Vec<Decision>) -> bool {
        let Some(task) = self.tasks.get(&seq) else { return false };
        match &task.stage {
            Stage::Waiting(line) => {
                let (line, key) = (*line, task.key);
                self.lines[line].waiting.remove(&key);
                self.queued -= 1;
                self.forget_wish(key, line, now, out);
                self.dirty.insert(line);
                true
            }
            Stage::Blocked(_) => {
                self.blocked -= 1;
                true
            }
            Stage::Running(_) => false,
        }
    }

    /// A waiting task that can never run. Those that depend on it fail with it.
    pub(super) fn fail(&mut self, seq: TaskSeq, code: FailCode, message: String, now: Moment, out: &mut Vec<Decision>) {
        if self.unqueue(seq, now, out) {
            out.push(Decision::Fail { task: seq, code, message });
            self.over(seq, Over::Failed, now, out);
        }
    }

    /// Forgets a task that is over, and lets go on who waited for it.
    pub(super) fn over(&mut self, seq: TaskSeq, how: Over, now: Moment, out: &mut Vec<Decision>) {
        let Some(task) = self.tasks.remove(&seq) else { return };
        self.ids.remove(&task.request.id);
        let Some(waiters) = self.waiters.remove(&task.request.id) else { return };
        for waiter in waiters {
            let Some(waiting) = self.tasks.get_mut(&waiter) else { continue };
            for dependency in waiting.request.depends_on.iter_mut().filter(|it| it.id == task.request.id) {
                dependency.over = Some(how);
            }
            if matches!(waiting.stage, Stage::Blocked(Block::Dependencies(_))) {
                self.advance(waiter, now, out);
            }
        }
    }

    fn depend(&mut self, seq: TaskSeq, on: Vec<super::event::Dependency>, now: Moment, out: &mut Vec<Decision>) {
        let Some(task) = self.tasks.get_mut(&seq) else { return };
        if matches!(task.stage, Stage::Running(_)) || task.request.depends_on == on {
            return;
        }
        task.request.depends_on = on;
        self.start_over(seq, now, out);
    }

    fn reroute(
        &mut self,
        seq: TaskSeq,
        runtime: Option<crate::core::Name>,
        model: Option<crate::core::Name>,
        now: Moment,
        out: &mut Vec<Decision>,
    ) {
        let Some(task) = self.tasks.get_mut(&seq) else { return };
        if matches!(task.stage, Stage::Running(_)) {
            return;
        }
        (task.request.runtime, task.request.model) = (runtime, model);
        self.start_over(seq, now, out);
    }

    /// A waiting task is placed afresh, with its age.
    pub(super) fn start_over(&mut self, seq: TaskSeq, now: Moment, out: &mut Vec<Decision>) {
        if !self.unqueue(seq, now, out) {
            return;
        }
        if let Some(task) = self.tasks.get_mut(&seq) {
            if let Stage::Blocked(Block::Backoff { until_ms, failed }) = &task.stage {
                task.request.backoff = Some((until_ms.saturating_sub(now.steady_ms), failed.clone()));
            }
            task.stage = Stage::Blocked(Block::Dependencies(BTreeSet::new()));
            self.blocked += 1;
        }
        self.advance(seq, now, out);
    }

    fn cancel(&mut self, seq: TaskSeq, now: Moment, out: &mut Vec<Decision>) {
        if self.unqueue(seq, now, out) {
            out.push(Decision::Drop { task: seq });
            self.over(seq, Over::Failed, now, out);
            return;
        }
        if let Some(Task { stage: Stage::Running(run), .. }) = self.tasks.get_mut(&seq)
            && !run.is_stopping
        {
            run.is_stopping = true;
            out.push(Decision::Stop { task: seq, requeue: false });
        }
    }

    fn change_world(&mut self, config: Arc<Config>, now: Moment, out: &mut Vec<Decision>) {
        self.config = config;
        self.table.adopt(&self.config, now);
        for gpu in 0..self.table.gpus.len() {
            self.table.gpus[gpu].memory_waiter = None;
            self.table.gpus[gpu].passed = None;
        }
        // What stands in lines stood there by the old world's places.
        let mut waiting: Vec<TaskSeq> = self
            .tasks
            .iter()
            .filter(|(_, task)| matches!(task.stage, Stage::Waiting(_)))
            .map(|(seq, _)| *seq)
            .collect();
        waiting.sort_unstable();
        self.clear_lines();
        for seq in waiting {
            if let Some(task) = self.tasks.get_mut(&seq) {
                task.stage = Stage::Blocked(Block::Dependencies(BTreeSet::new()));
                self.blocked += 1;
                self.enqueue(seq, now, out);
            }
        }
        self.review_drains(now, out);
        self.arm_idle_timers(now);
        self.all_dirty();
    }

    /// Empties every line. Running tasks remember their line's key for what they took, so lines themselves stay.
    fn clear_lines(&mut self) {
        for line in &mut self.lines {
            self.queued -= line.waiting.len() as u64;
            line.waiting.clear();
            line.reason = None;
        }
    }

    pub(super) fn all_dirty(&mut self) {
        self.dirty.extend((0..self.lines.len()).filter(|line| !self.lines[*line].waiting.is_empty()));
        self.leases_dirty = true;
    }

    /// The lines that may use a runtime are to be looked at.
    pub(super) fn runtime_dirty(&mut self, runtime: usize) {
        let Self { table, dirty, lines, .. } = self;
        dirty.extend(table.runtimes[runtime].lines.iter().filter(|line| !lines[**line].waiting.is_empty()));
    }

    /// The lines that may use any runtime of a GPU, and the leases that wait, are to be looked at.
    pub(super) fn gpu_dirty(&mut self, gpu: usize) {
        let runtimes: Vec<usize> = self.table.gpus[gpu].runtimes.iter().copied().collect();
        for runtime in runtimes {
            self.runtime_dirty(runtime);
        }
        self.leases_dirty = true;
    }

    /// Whatever shares memory or a lock with a runtime is to be looked at.
    pub(super) fn place_dirty(&mut self, runtime: usize) {
        match self.table.runtimes[runtime].gpu {
            Some(gpu) => self.gpu_dirty(gpu),
            None => self.runtime_dirty(runtime),
        }
    }

    /// Why a blocked task waits; none for one in a line.
    pub(super) fn own_reason(&self, seq: TaskSeq) -> Option<Reason> {
        let task = self.tasks.get(&seq)?;
        match &task.stage {
            Stage::Blocked(Block::Dependencies(open)) => {
                Some(Reason::Dependency { ids: open.iter().cloned().collect() })
            }
            Stage::Blocked(Block::NotBefore) => task.request.not_before.map(|at| Reason::NotBefore { at }),
            Stage::Blocked(Block::Backoff { until_ms, failed }) => {
                Some(Reason::Backoff { until_ms: *until_ms, failed: failed.clone() })
            }
            Stage::Waiting(_) | Stage::Running(_) => None,
        }
    }

    /// The next time at which something happens by itself, on the steady clock.
    #[must_use]
    pub fn next_wake(&self, now: Moment) -> Option<u64> {
        self.timers.next(now)
    }
}
