//! What a start reads of work: tasks that are not over, without their inputs, how others ended, and how long runs took.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rusqlite::{Connection, Row};

use crate::core::clock::millis_since;
use crate::core::{Name, ObjectKey};
use crate::decide::dispatch::{Phase, Stored};
use crate::decide::scheduler::{Dependency, Over, Request, TaskSeq};
use crate::declare::manifest::kind::task::{OnFailure, OneOrMany, TaskSpec};

use super::error::{Error, Trouble};
use super::handle::Store;
use super::row::TaskState;
use super::sql::{self, Columns};
use super::task;

/// How many of the newest finished tasks a start learns durations from.
const DURATIONS_MAX: u32 = 4_000;

const COLUMNS: &str = "t.seq, t.id, t.spec, t.object, t.state, t.attempts, t.created_at, t.failures, t.interruptions, \
    t.retry_at, t.retry_why, t.input_tokens";

/// A task that is not over.
#[derive(Clone, Debug, PartialEq)]
pub struct Open {
    /// Its dependencies are named as in its spec: ids, or names of Tasks when it was committed.
    pub stored: Stored,
    pub object: Option<ObjectKey>,
}

/// How long a finished task took, and how much it put out.
#[derive(Clone, Debug, PartialEq)]
pub struct Took {
    pub capability: Vec<String>,
    pub model: Option<String>,
    pub millis: u64,
    /// All its artifacts together.
    pub bytes: u64,
}

impl Store {
    /// Every task that is queued, blocked or running, in the order of acceptance. Inputs stay on disk.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn tasks_open(&self) -> Result<Vec<Open>, Error> {
        self.read(|conn| sql::all(conn, &format!("SELECT {COLUMNS} {}", task::UNFINISHED), [], read)).await
    }

    /// Where tasks stand; those that are not known are left out.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn task_states(&self, ids: BTreeSet<String>) -> Result<BTreeMap<String, TaskState>, Error> {
        self.read(move |conn| {
            let mut found = BTreeMap::new();
            for id in ids {
                let state = sql::first(conn, "SELECT state FROM task WHERE id = ?1", [&id], |row| {
                    Columns::of(task::WHAT, row).word()
                })?;
                found.extend(state.map(|state| (id, state)));
            }
            Ok(found)
        })
        .await
    }

    /// How long the newest finished tasks took, oldest first; at most 4,000.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn task_durations(&self) -> Result<Vec<Took>, Error> {
        self.read(|conn| {
            let select = "SELECT json_extract(t.spec, '$.capability'), a.model, a.started_at, a.finished_at,
                (SELECT coalesce(sum(bytes), 0) FROM artifact WHERE artifact.task = t.id)
                FROM task t JOIN attempt a ON a.task = t.id AND a.number = t.attempts
                WHERE t.state = 'done' ORDER BY t.seq DESC LIMIT ?1";
            let mut found = sql::all(conn, select, [DURATIONS_MAX], |row| {
                let mut columns = Columns::of("attempt", row);
                let (capability, model): (String, Option<String>) = (columns.get()?, columns.get()?);
                let (started, finished) = (columns.time()?, columns.time()?);
                // One is a bare word, a list is JSON.
                let capability = serde_json::from_str::<OneOrMany>(&capability).map_or(vec![capability], |many| many.0);
                Ok(Took { capability, model, millis: millis_since(started, finished), bytes: columns.count()? })
            })?;
            found.reverse();
            Ok(found)
        })
        .await
    }
}

/// One task, whatever its state, as a waiting one is read.
pub(super) fn one(conn: &Connection, id: &str) -> Result<Open, Trouble> {
    let select = format!("SELECT {COLUMNS} FROM task t WHERE t.id = ?1");
    sql::first(conn, &select, [id], read)?.ok_or_else(|| Trouble::not_found(task::WHAT, id))
}

fn read(row: &Row<'_>) -> Result<Open, Trouble> {
    let mut columns = Columns::of(task::WHAT, row);
    let (seq, id): (u64, String) = (columns.count()?, columns.get()?);
    let spec: TaskSpec = columns.json()?;
    let object = columns.opt_key()?;
    let (state, attempts): (TaskState, u32) = (columns.word()?, columns.count()?);
    let created_at = columns.time()?;
    let (failures, interruptions) = (columns.count()?, columns.count()?);
    let (retry_at, retry_why): (_, Option<String>) = (columns.opt_time()?, columns.get()?);
    let input_tokens: Option<u32> = columns.get()?;
    let stored = Stored {
        request: request(TaskSeq(seq), id.into(), &spec, input_tokens, attempts),
        created_at,
        failures,
        interruptions,
        retry_at: retry_at.map(|at| (at, retry_why.unwrap_or_default())),
        phase: if state == TaskState::Running { Phase::Running } else { Phase::Waiting },
    };
    Ok(Open { stored, object })
}

/// What scheduling needs of a task. Its dependencies are taken as they stand in the spec.
#[must_use]
pub fn request(task: TaskSeq, id: Arc<str>, spec: &TaskSpec, input_tokens: Option<u32>, attempts: u32) -> Request {
    let model = spec.target.model.as_deref().filter(|model| *model != "auto");
    Request {
        task,
        id,
        capability: spec.capability.0.as_slice().into(),
        runtime: spec.target.runtime.clone(),
        model: model.and_then(|model| Name::new(model).ok()),
        priority: spec.priority,
        force: spec.force,
        exclusive: spec.policy_overrides.gpu_exclusive,
        not_before: spec.not_before,
        depends_on: spec.dependencies.iter().map(|id| Dependency { id: id.as_str().into(), over: None }).collect(),
        runs_on_failure: spec.on_failure == OnFailure::Run,
        input_tokens,
        output_gb: None,
        waited_ms: 0,
        attempts,
        backoff: None,
    }
}

/// What a state means for those that depend on the task.
#[must_use]
pub fn over(state: TaskState) -> Option<Over> {
    match state {
        TaskState::Queued | TaskState::Blocked | TaskState::Running => None,
        TaskState::Done => Some(Over::Done),
        TaskState::Error | TaskState::Cancelled => Some(Over::Failed),
    }
}
