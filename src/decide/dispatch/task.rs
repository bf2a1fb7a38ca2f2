//! A task's way through starts, ends, cancels and reroutes: which record comes before which call, and what happens when
//! two of them meet.

use std::sync::Arc;

use crate::core::Name;
use crate::core::clock::millis_since;
use crate::decide::scheduler::{Dependency, End, Event, FailCode, Moment, Over, Place, TaskSeq};

use super::core::{Core, Machine};
use super::input::{RunFailure, RunOutcome};
use super::op::{Note, Op, SpanKind};
use super::record::{AttemptEnd, Record};
use super::retry;
use super::stored::{Phase, Stored};

/// A task that is not over.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) id: Arc<str>,
    pub(super) attempts: u32,
    pub(super) failures: u32,
    pub(super) interruptions: u32,
    pub(super) doing: Doing,
    /// What a person wants of it that could not be done at once.
    pub(super) wish: Option<Box<Wish>>,
}

/// What is being done about a task.
#[derive(Debug, PartialEq)]
pub(super) enum Doing {
    /// Its end as interrupted is being written.
    Recovering,
    /// The scheduler has it.
    Waiting,
    /// Its start is being written.
    Starting(Box<Place>),
    /// `stopping` when it was told to stop.
    Running { place: Box<Place>, stopping: bool },
    /// The end of its attempt is being written. `retry_ms`: from when on it may be tried again, on the steady clock.
    Ending { place: Box<Place>, took_ms: u64, retry_ms: u64 },
    /// That it is cancelled is being written. What the scheduler decided meanwhile is kept.
    Cancelling { by: String, reason: String, held: Held },
    /// That it can never run is being written.
    Failing,
}

/// What the scheduler decided about a task while its cancel was being written.
#[derive(Debug, PartialEq)]
pub(super) enum Held {
    Nothing,
    Start(Box<Place>),
    Fail(FailCode, String),
}

/// What is wanted of a task that runs or is about to.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Wish {
    Cancel {
        by: String,
        reason: String,
    },
    /// Written already; the scheduler is told once the task waits.
    Reroute {
        runtime: Option<Name>,
        model: Option<Name>,
    },
    /// It makes way for a more urgent one.
    Requeue,
}

impl<M: Machine> Core<M> {
    /// A task that is on disk and waits.
    pub(super) fn accept(&mut self, stored: Stored, now: Moment) {
        let seq = stored.request.task;
        if self.tasks.contains_key(&seq) || stored.phase != Phase::Waiting {
            return;
        }
        self.ended.reopen(&stored.request.id);
        let task = Task::of(&stored, Doing::Waiting);
        self.ids.insert(Arc::clone(&task.id), seq);
        self.tasks.insert(seq, task);
        self.submit(stored, now);
    }

    /// Tells the scheduler of a task that waits, with its age and the rest of its backoff.
    pub(super) fn submit(&mut self, stored: Stored, now: Moment) {
        let (waited_ms, backoff) = retry::ages(&stored, retry::rest_max(&self.config), now);
        let mut request = stored.request;
        request.waited_ms = waited_ms;
        request.backoff = backoff;
        self.events.push_back(Event::Submitted(Box::new(request)));
    }

    pub(super) fn depends(&mut self, task: TaskSeq, on: Vec<Dependency>) {
        self.events.push_back(Event::Depends { task, on });
    }

    /// The scheduler wants it started.
    pub(super) fn start(&mut self, seq: TaskSeq, place: Place) {
        if self.closing {
            return;
        }
        let policy = self.policy_of(&place);
        let Some(task) = self.tasks.get_mut(&seq) else { return };
        match &mut task.doing {
            Doing::Waiting => {
                let (id, attempt) = (Arc::clone(&task.id), task.attempts + 1);
                task.doing = Doing::Starting(Box::new(place.clone()));
                self.write(Record::Start { task: seq, id, attempt, place, policy });
            }
            Doing::Cancelling { held, .. } => *held = Held::Start(Box::new(place)),
            Doing::Recovering | Doing::Starting(_) | Doing::Running { .. } | Doing::Ending { .. } | Doing::Failing => {}
        }
    }

    fn policy_of(&self, place: &Place) -> Vec<Name> {
        let host = self.config.runtimes.get(&place.runtime).and_then(|runtime| self.config.hosts.get(&runtime.host));
        host.map(|host| host.policy.sources.clone()).unwrap_or_default()
    }

    /// The scheduler wants it stopped.
    pub(super) fn stop(&mut self, seq: TaskSeq, requeue: bool) {
        let Some(task) = self.tasks.get_mut(&seq) else { return };
        if requeue && task.wish.is_none() {
            task.wish = Some(Box::new(Wish::Requeue));
        }
        self.stop_run(seq);
    }

    /// Ends the attempt that runs, once; one that is about to begin ends as soon as it is written.
    fn stop_run(&mut self, seq: TaskSeq) {
        let Some(task) = self.tasks.get_mut(&seq) else { return };
        if let Doing::Running { stopping, .. } = &mut task.doing
            && !std::mem::replace(stopping, true)
        {
            let why = match task.wish.as_deref() {
                Some(Wish::Cancel { by, .. }) => format!("cancelled by {by}"),
                Some(Wish::Reroute { .. }) => "it is wanted elsewhere".to_owned(),
                Some(Wish::Requeue) | None => "it makes way for a more urgent task".to_owned(),
            };
            self.ops.push(Op::StopRun { task: seq, attempt: task.attempts, why });
        }
    }

    /// The scheduler says that it can never run.
    pub(super) fn fail(&mut self, seq: TaskSeq, code: FailCode, message: String) {
        let Some(task) = self.tasks.get_mut(&seq) else { return };
        // The scheduler knows, and has told those who wait for it: who comes from now on must know too.
        self.ended.note(&Arc::clone(&task.id), Over::Failed);
        match &mut task.doing {
            Doing::Cancelling { held, .. } => *held = Held::Fail(code, message),
            Doing::Waiting => {
                task.doing = Doing::Failing;
                let id = Arc::clone(&task.id);
                self.write(Record::Fail { task: seq, id, code, message });
            }
            Doing::Recovering | Doing::Starting(_) | Doing::Running { .. } | Doing::Ending { .. } | Doing::Failing => {}
        }
    }

    pub(super) fn cancel(&mut self, seq: TaskSeq, by: String, reason: String) {
        let Some(task) = self.tasks.get_mut(&seq) else { return };
        match &mut task.doing {
            Doing::Waiting => {
                let id = Arc::clone(&task.id);
                task.doing = Doing::Cancelling { by: by.clone(), reason: reason.clone(), held: Held::Nothing };
                self.write(Record::Cancel { task: seq, id, by, reason });
            }
            Doing::Running { .. } => {
                task.wish = Some(Box::new(Wish::Cancel { by, reason }));
                self.events.push_back(Event::Cancelled(seq));
                self.stop_run(seq);
            }
            Doing::Recovering | Doing::Starting(_) | Doing::Ending { .. } => {
                task.wish = Some(Box::new(Wish::Cancel { by, reason }));
            }
            Doing::Cancelling { .. } | Doing::Failing => {}
        }
    }

    pub(super) fn reroute(&mut self, seq: TaskSeq, runtime: Option<Name>, model: Option<Name>, by: String) {
        let Some(task) = self.tasks.get(&seq) else { return };
        let id = Arc::clone(&task.id);
        self.write(Record::Reroute { task: seq, id, runtime, model, by });
    }

    /// The new place is on disk.
    pub(super) fn rerouted(&mut self, seq: TaskSeq, runtime: Option<Name>, model: Option<Name>) {
        let Some(task) = self.tasks.get_mut(&seq) else { return };
        match &task.doing {
            Doing::Waiting | Doing::Cancelling { held: Held::Nothing, .. } => {
                self.events.push_back(Event::Rerouted { task: seq, runtime, model });
            }
            Doing::Cancelling { .. } | Doing::Failing => {}
            Doing::Recovering | Doing::Starting(_) | Doing::Running { .. } | Doing::Ending { .. } => {
                if !matches!(task.wish.as_deref(), Some(Wish::Cancel { .. })) {
                    task.wish = Some(Box::new(Wish::Reroute { runtime, model }));
                }
                self.stop_run(seq);
            }
        }
    }

    /// Its start is on disk: it is called, unless somebody wanted otherwise meanwhile.
    pub(super) fn started(&mut self, seq: TaskSeq, attempt: u32, place: Place, now: Moment) {
        let Some(task) = self.tasks.get_mut(&seq) else { return };
        task.attempts = attempt;
        let id = Arc::clone(&task.id);
        task.doing = Doing::Running { place: Box::new(place.clone()), stopping: task.wish.is_some() };
        if let Some(gpu) = place.gpu.clone().filter(|_| !place.exclusive) {
            let span = Note::SpanBegan { gpu, kind: SpanKind::Shared, holder: Arc::clone(&id), since: now.wall };
            self.ops.push(Op::Note(span));
        }
        if task.wish.is_some() {
            self.run_ended(seq, attempt, RunOutcome::Stopped, now);
        } else {
            self.ops.push(Op::Run { task: seq, id, attempt, place });
        }
    }

    /// The attempt is over in the world: what it means is written.
    pub(super) fn run_ended(&mut self, seq: TaskSeq, attempt: u32, outcome: RunOutcome, now: Moment) {
        let Some(task) = self.tasks.get_mut(&seq) else { return };
        let Doing::Running { place, .. } = &task.doing else { return };
        if task.attempts != attempt {
            return;
        }
        let place = place.clone();
        let took_ms = if let RunOutcome::Done { took_ms } = outcome { took_ms } else { 0 };
        let end = match (outcome, task.wish.as_deref()) {
            // What was done is done, whatever was wanted at the last moment.
            (RunOutcome::Done { .. }, _) => AttemptEnd::Done,
            (_, Some(Wish::Cancel { by, reason })) => AttemptEnd::Cancelled { by: by.clone(), reason: reason.clone() },
            (RunOutcome::Shutdown, _) => {
                AttemptEnd::Interrupted { why: "Arcology was stopped".to_owned(), counts: false }
            }
            (_, Some(Wish::Reroute { .. })) => {
                AttemptEnd::Interrupted { why: "it is wanted elsewhere".to_owned(), counts: false }
            }
            (RunOutcome::Stopped, Some(Wish::Requeue) | None) | (RunOutcome::Failed(_), Some(Wish::Requeue)) => {
                let why = "it made way for a more urgent task".to_owned();
                AttemptEnd::Interrupted { why, counts: false }
            }
            (RunOutcome::Failed(failure), None) => self.failed(seq, &place, failure, now),
        };
        let retry_ms = match &end {
            AttemptEnd::Again { retry_at, .. } => now.steady_ms.saturating_add(millis_since(now.wall, *retry_at)),
            AttemptEnd::Done
            | AttemptEnd::Failed { .. }
            | AttemptEnd::Cancelled { .. }
            | AttemptEnd::Interrupted { .. } => 0,
        };
        if let Some(task) = self.tasks.get_mut(&seq) {
            task.doing = Doing::Ending { place, took_ms, retry_ms };
            let id = Arc::clone(&task.id);
            self.write(Record::End { task: seq, id, attempt, end });
        }
    }

    fn failed(&mut self, seq: TaskSeq, place: &Place, failure: RunFailure, now: Moment) -> AttemptEnd {
        let runtime = self.config.runtimes.get(&place.runtime);
        let policy = runtime.and_then(|runtime| self.config.hosts.get(&runtime.host)).map(|host| &host.policy.retries);
        let Some(task) = self.tasks.get(&seq) else {
            return AttemptEnd::Failed { code: failure.code, message: failure.message };
        };
        retry::next_try(&task.id, task.attempts, task.failures, policy, failure, now)
    }

    /// The end of its attempt is on disk: it is believed.
    pub(super) fn attempt_over(&mut self, seq: TaskSeq, end: AttemptEnd, now: Moment) {
        let Some(task) = self.tasks.get_mut(&seq) else { return };
        if task.doing == Doing::Recovering {
            self.recovered(seq, &end, now);
            return;
        }
        let Doing::Ending { place, took_ms, retry_ms } = std::mem::replace(&mut task.doing, Doing::Waiting) else {
            return;
        };
        if let Some(gpu) = place.gpu.filter(|_| !place.exclusive) {
            let holder = Arc::clone(&task.id);
            self.ops.push(Op::Note(Note::SpanEnded { gpu, kind: SpanKind::Shared, holder, until: now.wall }));
        }
        let wish = task.wish.take();
        let end = match end {
            AttemptEnd::Done => End::Done { took_ms },
            AttemptEnd::Failed { message, .. } => End::Failed { message },
            AttemptEnd::Cancelled { .. } => End::Cancelled,
            AttemptEnd::Interrupted { why, .. } => {
                // A breath, so that a new place is known before it can start at the old one.
                let wait_ms = u64::from(matches!(wish.as_deref(), Some(Wish::Reroute { .. } | Wish::Cancel { .. })));
                End::Again { wait_ms, message: why }
            }
            AttemptEnd::Again { message, .. } => {
                task.failures += 1;
                End::Again { wait_ms: retry_ms.saturating_sub(now.steady_ms), message }
            }
        };
        let over = match &end {
            End::Done { .. } => Some(Over::Done),
            End::Failed { .. } | End::Cancelled => Some(Over::Failed),
            End::Again { .. } => None,
        };
        if let Some(over) = over {
            self.ended.note(&Arc::clone(&task.id), over);
            self.forget(seq);
        }
        self.events.push_back(Event::Ended { task: seq, end });
        if over.is_none() {
            self.grant_wish(seq, wish);
        }
    }

    /// Does what was wanted while the task could not be touched; it waits now.
    pub(super) fn grant_wish(&mut self, seq: TaskSeq, wish: Option<Box<Wish>>) {
        match wish.map(|wish| *wish) {
            Some(Wish::Cancel { by, reason }) => self.cancel(seq, by, reason),
            Some(Wish::Reroute { runtime, model }) => {
                self.events.push_back(Event::Rerouted { task: seq, runtime, model });
            }
            Some(Wish::Requeue) | None => {}
        }
    }

    /// A start that could not be written: nothing was begun, and the scheduler pauses before it decides anew.
    fn not_started(&mut self, seq: TaskSeq) {
        let Some(task) = self.tasks.get_mut(&seq) else { return };
        if !matches!(task.doing, Doing::Starting(_)) {
            return;
        }
        task.doing = Doing::Waiting;
        let wish = task.wish.take();
        self.events.push_back(Event::NotStarted { task: seq });
        self.grant_wish(seq, wish);
    }

    /// That it is cancelled is on disk.
    pub(super) fn cancelled(&mut self, seq: TaskSeq) {
        let Some(task) = self.tasks.get_mut(&seq) else { return };
        let Doing::Cancelling { held, .. } = std::mem::replace(&mut task.doing, Doing::Failing) else { return };
        self.ended.note(&Arc::clone(&task.id), Over::Failed);
        match held {
            Held::Nothing => self.events.push_back(Event::Cancelled(seq)),
            // The scheduler believes that it runs.
            Held::Start(_) => self.events.push_back(Event::Ended { task: seq, end: End::Cancelled }),
            Held::Fail(..) => {}
        }
        self.forget(seq);
    }

    /// The cancel is not on disk: whoever asked is told, and the task goes on as the scheduler decided meanwhile.
    pub(super) fn not_cancelled(&mut self, seq: TaskSeq) {
        let Some(task) = self.tasks.get_mut(&seq) else { return };
        let Doing::Cancelling { held, .. } = std::mem::replace(&mut task.doing, Doing::Waiting) else { return };
        match held {
            Held::Nothing => {}
            Held::Start(place) => self.start(seq, *place),
            Held::Fail(code, message) => self.fail(seq, code, message),
        }
    }

    /// That it can never run is on disk; the scheduler knows.
    pub(super) fn failed_for_good(&mut self, seq: TaskSeq) {
        if let Some(task) = self.tasks.get(&seq) {
            self.ended.note(&Arc::clone(&task.id), Over::Failed);
        }
        self.forget(seq);
    }

    /// It is over, or nobody's any more.
    pub(super) fn forget(&mut self, seq: TaskSeq) {
        self.unwritten.remove(&seq);
        if let Some(task) = self.tasks.remove(&seq) {
            self.ids.remove(&task.id);
        }
    }

    /// A start that the disk cannot take now, or refuses: then it is over on disk, or somebody else's, and not ours to run.
    pub(super) fn start_not_written(&mut self, seq: TaskSeq, unavailable: bool) {
        if unavailable {
            self.not_started(seq);
            return;
        }
        self.events.push_back(Event::NotStarted { task: seq });
        self.events.push_back(Event::Cancelled(seq));
        self.forget(seq);
    }
}

impl Task {
    pub(super) fn of(stored: &Stored, doing: Doing) -> Self {
        Self {
            id: Arc::clone(&stored.request.id),
            attempts: stored.request.attempts,
            failures: stored.failures,
            interruptions: stored.interruptions,
            doing,
            wish: None,
        }
    }
}
