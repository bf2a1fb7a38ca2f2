//! The queue of tasks: first in, first out, at most one task a runtime at a time.
//!
//! 1. A task is written to the store before anybody is told that it was accepted.
//! 2. With every event the queue is walked from its oldest task; each either starts or says why not.
//! 3. A finished task is written together with its artifacts in one transaction; then the queue is walked again.
//!
//! How tasks come in and are taken back is `intake`'s; which runtime and model a task gets is decided by `placement`; what a
//! task does once it runs is `run_task`'s.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::core::{Name, ObjectKey, Timestamp};
use crate::decide::reconcile::TaskFact;
use crate::decide::reconcile::inputs::TaskPhase;
use crate::declare::manifest::kind::task::OnFailure;
use crate::remember::store::row::{TaskError, TaskRow, TaskState, Why};
use crate::remember::store::{AuditEntry, Error as StoreError, TaskOutcome};

use super::placement::{self, Placement};
use super::run_task;
use super::shared::Shared;

/// How long the end waits for running tasks.
const SETTLE_MAX: std::time::Duration = std::time::Duration::from_secs(5);

/// Tasks that are not over, and what runs where. Plain data behind one short lock.
#[derive(Default)]
pub struct Queue {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// Every task that is not over, by the time at which it came and its id: the order in which they run.
    waiting: BTreeMap<(Timestamp, String), TaskRow>,
    running: BTreeMap<String, Running>,
}

struct Running {
    runtime: Name,
    cancel: CancellationToken,
}

impl Queue {
    /// Adds a task that the store has already.
    pub fn add(&self, row: TaskRow) {
        self.lock().waiting.insert((row.created_at, row.id.clone()), row);
    }

    /// A task that waits, taken out of the queue by `take` once it is over.
    pub(super) fn waiting(&self, id: &str) -> Option<TaskRow> {
        self.lock().waiting.values().find(|row| row.id == id).cloned()
    }

    /// Takes a task out of the queue.
    pub(super) fn take(&self, row: &TaskRow) {
        self.lock().waiting.remove(&(row.created_at, row.id.clone()));
    }

    /// What stops a running task.
    pub(super) fn running(&self, id: &str) -> Option<CancellationToken> {
        self.lock().running.get(id).map(|running| running.cancel.clone())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        // Plain data: a panic elsewhere left nothing half-done in it.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many tasks wait and how many run.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        let inner = self.lock();
        (inner.waiting.len(), inner.running.len())
    }
}

/// Walks the queue with every event until shutdown, then lets running tasks be interrupted.
pub async fn run(shared: Arc<Shared>) {
    loop {
        tokio::select! {
            () = shared.queue.notified() => {}
            () = tokio::time::sleep(next_wake(&shared)) => {}
            () = shared.shutdown.cancelled() => return,
        }
        walk(&shared).await;
    }
}

/// When a `not_before` or a retry comes due; an hour when nothing does.
fn next_wake(shared: &Shared) -> std::time::Duration {
    let now = shared.now();
    let inner = shared.tasks.lock();
    let due = inner.waiting.values().filter_map(|row| row.why.as_ref()?.clears_at).min();
    let millis = due.map_or(3_600_000, |due| crate::core::clock::millis_since(now, due).saturating_add(10));
    std::time::Duration::from_millis(millis)
}

/// Starts what can start, and says of every other task why not.
async fn walk(shared: &Arc<Shared>) {
    let waiting: Vec<TaskRow> = shared.tasks.lock().waiting.values().cloned().collect();
    let mut busy: BTreeSet<Name> =
        shared.tasks.lock().running.values().map(|running| running.runtime.clone()).collect();
    for row in waiting {
        match verdict(shared, &row, &busy).await {
            Verdict::Start(place) => {
                busy.insert(place.runtime.clone());
                start(shared, row, *place).await;
            }
            Verdict::Wait { state, why } => wait(shared, row, state, why).await,
            Verdict::Fail(error) => fail(shared, row, error).await,
        }
    }
}

enum Verdict {
    Start(Box<Placement>),
    Wait { state: TaskState, why: Why },
    Fail(TaskError),
}

async fn verdict(shared: &Shared, row: &TaskRow, busy: &BTreeSet<Name>) -> Verdict {
    let now = shared.now();
    let wait = |state, reason: &str, message: String, clears_at| Verdict::Wait {
        state,
        why: Why { reason: reason.to_owned(), message, clears_at },
    };
    match dependencies(shared, row).await {
        Dependencies::Done => {}
        Dependencies::Open(open) => {
            return wait(TaskState::Blocked, "Dependency", format!("waits for {}", open.join(", ")), None);
        }
        Dependencies::Failed(id) => {
            return Verdict::Fail(TaskError {
                code: "dependency_failed".into(),
                message: format!("{id}, which it depends on, was not done"),
                incident: None,
            });
        }
    }
    if let Some(at) = row.spec.not_before.filter(|at| *at > now) {
        return wait(TaskState::Blocked, "NotBefore", format!("not before {at}"), Some(at));
    }
    if let Some(backoff) = row.why.as_ref().filter(|why| why.reason == "Backoff")
        && backoff.clears_at.is_some_and(|at| at > now)
    {
        return Verdict::Wait { state: TaskState::Queued, why: backoff.clone() };
    }
    match placement::place(&shared.memory().inputs(now), &row.spec) {
        Ok(place) if place.policy.paused || place.policy.draining => {
            let who = place.policy.sources.first().map_or_else(|| "the policy".into(), |name| format!("Policy/{name}"));
            wait(TaskState::Queued, "Paused", format!("{who} is paused or draining"), None)
        }
        Ok(place) if busy.contains(&place.runtime) => {
            let message = format!("{} runs one task at a time, and one is running", place.runtime);
            wait(TaskState::Queued, "SharedSlotsFull", message, None)
        }
        Ok(place) => Verdict::Start(Box::new(place)),
        Err(why) => Verdict::Wait { state: TaskState::Queued, why },
    }
}

enum Dependencies {
    Done,
    Open(Vec<String>),
    Failed(String),
}

/// Where the tasks stand that `row` depends on. In a committed Task they are names of Tasks, else ids.
async fn dependencies(shared: &Shared, row: &TaskRow) -> Dependencies {
    let mut open = Vec::new();
    for dependency in &row.spec.dependencies {
        let id = if row.object.is_some() { committed_id(shared, dependency) } else { Some(dependency.clone()) };
        let found = match &id {
            Some(id) => shared.store.task(id).await.ok().flatten(),
            None => None,
        };
        match found.map(|task| task.state) {
            Some(TaskState::Done) => {}
            Some(TaskState::Error | TaskState::Cancelled) if row.spec.on_failure == OnFailure::Run => {}
            Some(TaskState::Error | TaskState::Cancelled) => {
                return Dependencies::Failed(id.unwrap_or_else(|| dependency.clone()));
            }
            Some(TaskState::Queued | TaskState::Blocked | TaskState::Running) | None => open.push(dependency.clone()),
        }
    }
    if open.is_empty() { Dependencies::Done } else { Dependencies::Open(open) }
}

fn committed_id(shared: &Shared, name: &str) -> Option<String> {
    let key = ObjectKey::new(crate::core::Kind::Task, Name::new(name).ok()?);
    let memory = shared.memory();
    let object = memory.world.objects.get(&key)?;
    Some(super::carry_out::task_id(&key, &object.document.digest))
}

async fn wait(shared: &Shared, mut row: TaskRow, state: TaskState, why: Why) {
    if row.state == state && row.why.as_ref() == Some(&why) {
        return;
    }
    let result = say_why(shared, &row, state, why.clone()).await;
    shared.note_store(&result);
    row.state = state;
    note_fact(shared, &row, TaskPhase::Waiting, Some(why.message.clone()));
    row.why = Some(why);
    let key = (row.created_at, row.id.clone());
    if let Some(kept) = shared.tasks.lock().waiting.get_mut(&key) {
        *kept = row;
    }
    shared.touch();
}

async fn say_why(shared: &Shared, row: &TaskRow, state: TaskState, why: Why) -> Result<(), StoreError> {
    if row.state == state {
        return shared.store.task_why(&row.id, Some(why)).await.map(|_| ());
    }
    shared.store.task_block(&row.id, state == TaskState::Blocked, Some(why)).await
}

async fn fail(shared: &Shared, row: TaskRow, error: TaskError) {
    let audit = audit_of(shared, &row, "fail", &error.message);
    let result = shared.store.task_fail(&row.id, error.clone(), shared.now(), audit).await;
    shared.note_store(&result);
    if result.is_ok() {
        shared.tasks.take(&row);
        note_fact(shared, &row, TaskPhase::Failed, Some(error.message));
        shared.queue.notify_one();
        shared.touch();
    }
}

async fn start(shared: &Arc<Shared>, row: TaskRow, place: Placement) {
    let now = shared.now();
    let started = shared
        .store
        .task_start(&row.id, Some(place.runtime.clone()), place.model.clone(), place.policy.sources.clone(), now)
        .await;
    shared.note_store(&started);
    let Ok(attempt) = started else { return };
    let cancel = shared.shutdown.child_token();
    {
        let mut inner = shared.tasks.lock();
        inner.waiting.remove(&(row.created_at, row.id.clone()));
        inner.running.insert(row.id.clone(), Running { runtime: place.runtime.clone(), cancel: cancel.clone() });
    }
    note_fact(shared, &row, TaskPhase::Running, Some(format!("running on {}", place.runtime)));
    shared.touch();
    let shared = Arc::clone(shared);
    tokio::spawn(async move {
        let finished = run_task::run(&shared, &row, &attempt, &place, &cancel).await;
        finish(&shared, row, attempt.number, finished).await;
    });
}

/// Writes a task's end, or its next try, and lets the queue go on.
async fn finish(shared: &Shared, row: TaskRow, attempt: u32, finished: run_task::Finished) {
    let now = shared.now();
    let run_task::Finished { outcome, log } = finished;
    let (phase, message, again) = match &outcome {
        TaskOutcome::Done { .. } => (TaskPhase::Done, None, false),
        TaskOutcome::Error(error) => (TaskPhase::Failed, Some(error.message.clone()), false),
        TaskOutcome::Cancelled => (TaskPhase::Cancelled, None, false),
        TaskOutcome::Interrupted | TaskOutcome::Requeue { .. } => (TaskPhase::Waiting, None, true),
    };
    let result_word = match &outcome {
        TaskOutcome::Done { .. } => "done".to_owned(),
        TaskOutcome::Error(error) => format!("{}: {}", error.code, error.message),
        TaskOutcome::Cancelled => "cancelled".to_owned(),
        TaskOutcome::Interrupted => "interrupted".to_owned(),
        TaskOutcome::Requeue { why, .. } => format!("tried again: {}", why.message),
    };
    let mut audit = audit_of(shared, &row, "attempt", &result_word);
    audit.result = result_word;
    let result = shared.store.task_finish(&row.id, attempt, outcome, &log, now, audit).await;
    shared.note_store(&result);
    shared.tasks.lock().running.remove(&row.id);
    match result {
        Ok(row) if again => {
            note_fact(shared, &row, phase, row.why.as_ref().map(|why| why.message.clone()));
            shared.tasks.add(row);
        }
        Ok(row) => note_fact(shared, &row, phase, message),
        Err(error) => {
            // The end could not be written: the task is still "running" in the store and is taken up at the next start.
            tracing::error!(task = %row.id, problem = %error, "the end of a task could not be written");
        }
    }
    shared.queue.notify_one();
    shared.touch();
}

/// An audit entry about a task.
pub(super) fn audit_of(shared: &Shared, row: &TaskRow, verb: &str, reason: &str) -> AuditEntry {
    AuditEntry {
        at: shared.now(),
        actor: "arcology".into(),
        verb: verb.into(),
        object: row.id.clone(),
        reason: reason.into(),
        result: "ok".into(),
        before: Some(row.state.as_str().into()),
        after: None,
        revision: shared.revision_text(),
    }
}

/// Tells the planner where a task stands.
pub(super) fn note_fact(shared: &Shared, row: &TaskRow, phase: TaskPhase, message: Option<String>) {
    shared.note_task(row, TaskFact { phase, message, at: shared.now() });
}

/// On the way down: waits until the ends of running tasks are written. They were told to stop; what does not is left to
/// the next start, which finds it running.
pub async fn settle(shared: &Shared) {
    let deadline = tokio::time::Instant::now() + SETTLE_MAX;
    while shared.tasks.counts().1 > 0 && tokio::time::Instant::now() < deadline {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

/// What the planner should know of a stored task.
#[must_use]
pub fn fact_of(row: &TaskRow) -> Option<TaskFact> {
    row.object.as_ref()?;
    let phase = match row.state {
        TaskState::Queued | TaskState::Blocked => TaskPhase::Waiting,
        TaskState::Running => TaskPhase::Running,
        TaskState::Done => TaskPhase::Done,
        TaskState::Error => TaskPhase::Failed,
        TaskState::Cancelled => TaskPhase::Cancelled,
    };
    let message = row.error.as_ref().map(|e| e.message.clone()).or_else(|| row.why.as_ref().map(|w| w.message.clone()));
    Some(TaskFact { phase, message, at: row.finished_at.or(row.started_at).unwrap_or(row.created_at) })
}
