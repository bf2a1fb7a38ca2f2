//! A task's life: started, finished, cancelled, each step once and in one piece with what came of it.
//!
//! `queued | blocked` → start → `running` → finish → `done | error | cancelled`, or back to `queued` for another attempt.
//! A step that does not fit the state is refused, so that a message that comes twice does no harm.

use rusqlite::{Connection, Row, params};

use crate::core::{Name, Timestamp};

use super::audit::{self, AuditEntry};
use super::error::{Error, Trouble};
use super::handle::Store;
use super::row::{AttemptRow, TaskError, TaskRow, TaskState, Why};
use super::sql::{self, Columns};
use super::task_outcome::{Ending, TaskOutcome, tail};
use super::{artifact, task};

impl Store {
    /// Begins an attempt: the task is running from now on.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Conflict`] unless it is queued or blocked; else see [`Error`].
    pub async fn task_start(
        &self,
        id: &str,
        runtime: Option<Name>,
        model: Option<String>,
        policy: Vec<Name>,
        at: Timestamp,
    ) -> Result<AttemptRow, Error> {
        let id = id.to_owned();
        self.write(move |conn| {
            let place =
                Where { number: None, runtime: runtime.as_ref(), model: model.as_deref(), gpu: None, exclusive: false };
            start(conn, &id, &place, &policy, at)?;
            let newest = attempts(conn, &id)?.pop();
            newest.ok_or_else(|| Trouble::value("attempt", "it is gone as soon as it was made"))
        })
        .await
    }

    /// Ends the attempt that is running, with its artifacts and its audit entry, in one step. `log` is kept up to its
    /// last 64 KiB.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Conflict`] unless `attempt` is the one running, or when an artifact's path is taken
    /// by another; else see [`Error`].
    pub async fn task_finish(
        &self,
        id: &str,
        attempt: u32,
        outcome: TaskOutcome,
        log: &str,
        at: Timestamp,
        audit: AuditEntry,
    ) -> Result<TaskRow, Error> {
        let (id, log) = (id.to_owned(), log.to_owned());
        self.write(move |conn| {
            finish(conn, &id, attempt, &outcome, &log, at, &audit)?;
            task::existing(conn, &id)
        })
        .await
    }

    /// Fails a task that never came to run: a dependency failed, nothing fits, its files are gone.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Conflict`] unless it is queued or blocked; else see [`Error`].
    pub async fn task_fail(
        &self,
        id: &str,
        error: TaskError,
        at: Timestamp,
        audit: AuditEntry,
    ) -> Result<TaskRow, Error> {
        let id = id.to_owned();
        self.write(move |conn| {
            end_waiting(conn, &id, TaskState::Error, &error, at, &audit)?;
            task::existing(conn, &id)
        })
        .await
    }

    /// Cancels a task that waits. One that runs is cancelled by ending its attempt.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Conflict`] unless it is queued or blocked; else see [`Error`].
    pub async fn task_cancel(&self, id: &str, at: Timestamp, actor: &str, audit: AuditEntry) -> Result<TaskRow, Error> {
        let id = id.to_owned();
        let message = format!("cancelled by {actor}");
        let error = TaskError { code: "cancelled".to_owned(), message, incident: None };
        self.write(move |conn| {
            end_waiting(conn, &id, TaskState::Cancelled, &error, at, &audit)?;
            task::existing(conn, &id)
        })
        .await
    }

    /// Says why a task waits, or that there is nothing to say. False when the task is unknown or final: the reason of
    /// the moment came too late, which is no error.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn task_why(&self, id: &str, why: Option<Why>) -> Result<bool, Error> {
        let id = id.to_owned();
        self.write_relaxed(move |conn| {
            let update = "UPDATE task SET why = ?2 WHERE id = ?1 AND state IN ('queued', 'blocked', 'running')";
            Ok(sql::change(conn, update, params![id, sql::opt_json(task::WHAT, why.as_ref())?])? > 0)
        })
        .await
    }

    /// Moves a waiting task between blocked (its dependencies are not done) and queued, with the reason.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Conflict`] unless it is queued or blocked; else see [`Error`].
    pub async fn task_block(&self, id: &str, blocked: bool, why: Option<Why>) -> Result<(), Error> {
        let id = id.to_owned();
        self.write(move |conn| {
            let state = if blocked { TaskState::Blocked } else { TaskState::Queued };
            let update = "UPDATE task SET state = ?2, why = ?3 WHERE id = ?1 AND state IN ('queued', 'blocked')";
            let values = params![id, state.as_str(), sql::opt_json(task::WHAT, why.as_ref())?];
            expect_change(conn, &id, sql::change(conn, update, values)?)
        })
        .await
    }

    /// A task's attempts, the first one first.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn attempts(&self, task: &str) -> Result<Vec<AttemptRow>, Error> {
        let task = task.to_owned();
        self.read(move |conn| attempts(conn, &task)).await
    }
}

/// Where an attempt runs.
pub(super) struct Where<'a> {
    /// Its number, which must be the next one; none takes the next, whichever that is.
    pub(super) number: Option<u32>,
    pub(super) runtime: Option<&'a Name>,
    pub(super) model: Option<&'a str>,
    /// `host/gpu`.
    pub(super) gpu: Option<String>,
    pub(super) exclusive: bool,
}

/// A waiting task runs from now on.
pub(super) fn start(
    conn: &Connection,
    id: &str,
    place: &Where<'_>,
    policy: &[Name],
    at: Timestamp,
) -> Result<(), Trouble> {
    let update = "UPDATE task SET state = 'running', attempts = attempts + 1, runtime = ?2, model = ?3, policy = ?4,
        started_at = ?5, why = NULL, retry_at = NULL, retry_why = NULL
        WHERE id = ?1 AND state IN ('queued', 'blocked') AND attempts + 1 = coalesce(?6, attempts + 1)";
    let runtime = place.runtime.map(Name::as_str);
    let values = params![id, runtime, place.model, sql::json(task::WHAT, policy)?, sql::time(at), place.number];
    expect_change(conn, id, sql::change(conn, update, values)?)?;
    let insert = "INSERT INTO attempt (task, number, runtime, model, started_at, state, log, gpu, exclusive)
        SELECT id, attempts, runtime, model, started_at, 'running', '', ?2, ?3 FROM task WHERE id = ?1";
    sql::change(conn, insert, params![id, place.gpu, place.exclusive]).map(drop)
}

/// The attempt that runs is over, with what came of it.
pub(super) fn finish(
    conn: &Connection,
    id: &str,
    attempt: u32,
    outcome: &TaskOutcome,
    log: &str,
    at: Timestamp,
    audit: &AuditEntry,
) -> Result<(), Trouble> {
    let ending = Ending::of(outcome);
    let update = "UPDATE attempt SET state = ?3, error = ?4, log = ?5, finished_at = ?6, model = coalesce(?7, model)
        WHERE task = ?1 AND number = ?2 AND state = 'running'";
    let error = sql::opt_json("attempt", ending.attempt_error)?;
    let values = params![id, attempt, ending.attempt_state, error, tail(log), sql::time(at), ending.model];
    expect_change(conn, id, sql::change(conn, update, values)?)?;
    settle(conn, id, &ending, at)?;
    artifact::record(conn, ending.artifacts)?;
    audit::insert(conn, audit, Some(&format!("task/{id}/{attempt}"))).map(drop)
}

/// Gives the task the state that follows from its attempt's end.
fn settle(conn: &Connection, id: &str, ending: &Ending<'_>, at: Timestamp) -> Result<(), Trouble> {
    let waits = !ending.task_state.is_final();
    let update = "UPDATE task SET state = ?2, why = ?3, error = ?4, model = coalesce(?5, model), finished_at = ?6,
        started_at = iif(?7, NULL, started_at), runtime = iif(?7, NULL, runtime) WHERE id = ?1 AND state = 'running'";
    let error = if waits { None } else { ending.attempt_error };
    let values = params![
        id,
        ending.task_state.as_str(),
        sql::opt_json(task::WHAT, ending.why)?,
        sql::opt_json(task::WHAT, error)?,
        ending.model,
        (!waits).then(|| sql::time(at)),
        waits,
    ];
    expect_change(conn, id, sql::change(conn, update, values)?)
}

/// A waiting task is over without another attempt.
pub(super) fn end_waiting(
    conn: &Connection,
    id: &str,
    state: TaskState,
    error: &TaskError,
    at: Timestamp,
    audit: &AuditEntry,
) -> Result<(), Trouble> {
    let update = "UPDATE task SET state = ?2, error = ?3, why = NULL, finished_at = ?4
        WHERE id = ?1 AND state IN ('queued', 'blocked')";
    let values = params![id, state.as_str(), sql::json(task::WHAT, error)?, sql::time(at)];
    expect_change(conn, id, sql::change(conn, update, values)?)?;
    // It can be over several times: a person may have let it run again.
    let turn = sql::first(conn, "SELECT reopened FROM task WHERE id = ?1", [id], |row| Ok(row.get::<_, i64>(0)?))?;
    audit::insert(conn, audit, Some(&format!("task/{id}/end/{}", turn.unwrap_or(0)))).map(drop)
}

/// Refuses a step that changed nothing, saying what the task is instead.
pub(super) fn expect_change(conn: &Connection, id: &str, changed: usize) -> Result<(), Trouble> {
    if changed == 1 {
        return Ok(());
    }
    let task = task::existing(conn, id)?;
    let (state, attempts) = (task.state.as_str(), task.attempts);
    Err(Trouble::conflict(task::WHAT, id, format!("is {state} (attempt {attempts}), so this cannot be done to it")))
}

fn attempts(conn: &Connection, task: &str) -> Result<Vec<AttemptRow>, Trouble> {
    let select = "SELECT task, number, runtime, model, started_at, finished_at, state, log, error, gpu, exclusive
        FROM attempt
        WHERE task = ?1 ORDER BY number";
    sql::all(conn, select, [task], attempt)
}

fn attempt(row: &Row<'_>) -> Result<AttemptRow, Trouble> {
    let mut columns = Columns::of("attempt", row);
    Ok(AttemptRow {
        task: columns.get()?,
        number: columns.count()?,
        runtime: columns.opt_name()?,
        model: columns.get()?,
        started_at: columns.time()?,
        finished_at: columns.opt_time()?,
        state: columns.get()?,
        log: columns.get()?,
        error: columns.opt_json()?,
        gpu: columns.get()?,
        exclusive: columns.get()?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{artifact, at, audit, name, open, task};
    use super::*;
    use crate::remember::store::{ArtifactFilter, AuditFilter, Page};

    fn error(code: &str) -> TaskError {
        TaskError { code: code.to_owned(), message: "it said no".to_owned(), incident: None }
    }

    async fn started(store: &Store, id: &str) -> AttemptRow {
        let model = Some("qwen".to_owned());
        store.task_start(id, Some(name("swap")), model, vec![name("default")], at(5)).await.unwrap()
    }

    #[tokio::test]
    async fn a_task_that_is_done_has_its_artifacts_its_attempt_and_one_audit_entry() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        store.task_add(task("task-1")).await.unwrap();
        let attempt = started(&store, "task-1").await;
        assert_eq!((attempt.number, attempt.state.as_str()), (1, "running"));
        let outcome =
            TaskOutcome::Done { model: Some("qwen2.5".to_owned()), artifacts: vec![artifact("task-1", "a.md")] };
        let done =
            store.task_finish("task-1", 1, outcome.clone(), "log", at(9), audit("done", "task-1")).await.unwrap();
        assert_eq!(
            (done.state, done.model.as_deref(), done.finished_at),
            (TaskState::Done, Some("qwen2.5"), Some(at(9)))
        );
        assert_eq!((done.policy, done.started_at, done.attempts), (vec![name("default")], Some(at(5)), 1));

        let again = store.task_finish("task-1", 1, outcome, "log", at(9), audit("done", "task-1")).await;
        assert!(matches!(again, Err(Error::Conflict { .. })), "{again:?}");
        let found = store.artifacts(ArtifactFilter::default(), Page::default()).await.unwrap();
        assert_eq!(found.items, [artifact("task-1", "a.md")]);
        let entries = store.audit_list(AuditFilter::default(), Page::default()).await.unwrap();
        assert_eq!(entries.items.len(), 1);
        let attempts = store.attempts("task-1").await.unwrap();
        assert_eq!((attempts.len(), attempts[0].log.as_str(), attempts[0].state.as_str()), (1, "log", "done"));
    }

    #[tokio::test]
    async fn each_outcome_leaves_attempt_and_task_as_the_design_says() {
        let why = Why { reason: "Retry".to_owned(), message: "once more".to_owned(), clears_at: None };
        let table = [
            (TaskOutcome::Done { model: None, artifacts: Vec::new() }, "done", TaskState::Done, None),
            (TaskOutcome::Error(error("timeout")), "error", TaskState::Error, Some("timeout")),
            (TaskOutcome::Cancelled(error("cancelled")), "cancelled", TaskState::Cancelled, Some("cancelled")),
            (TaskOutcome::Interrupted, "interrupted", TaskState::Queued, None),
            (TaskOutcome::Requeue { why: why.clone(), error: None }, "interrupted", TaskState::Queued, None),
            (TaskOutcome::Requeue { why, error: Some(error("timeout")) }, "error", TaskState::Queued, None),
        ];
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        for (n, (outcome, attempt_state, state, code)) in table.into_iter().enumerate() {
            let id = format!("task-{n}");
            store.task_add(task(&id)).await.unwrap();
            started(&store, &id).await;
            let row = store.task_finish(&id, 1, outcome, "", at(9), audit("run", &id)).await.unwrap();
            let attempts = store.attempts(&id).await.unwrap();
            assert_eq!((attempts[0].state.as_str(), row.state), (attempt_state, state), "{id}");
            assert_eq!(row.error.as_ref().map(|error| error.code.as_str()), code, "{id}");
            assert_eq!(
                (row.finished_at.is_some(), row.started_at.is_some()),
                (state.is_final(), state.is_final()),
                "{id}"
            );
            assert_eq!(store.task(&id).await.unwrap(), Some(row));
        }
        let counts = store.task_counts().await.unwrap();
        assert_eq!(counts.into_values().collect::<Vec<_>>(), [3, 0, 0, 1, 1, 1]);
        let second = started(&store, "task-5").await;
        assert_eq!(second.number, 2);
        assert_eq!(store.attempts("task-5").await.unwrap()[0].error, Some(error("timeout")));
    }

    #[tokio::test]
    async fn a_step_that_does_not_fit_the_state_is_refused_and_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        store.task_add(task("task-1")).await.unwrap();
        started(&store, "task-1").await;
        let before = store.task("task-1").await.unwrap();
        assert!(matches!(store.task_start("task-1", None, None, Vec::new(), at(6)).await, Err(Error::Conflict { .. })));
        let cancel = store.task_cancel("task-1", at(6), "uid 1000", audit("cancel", "task-1")).await;
        assert!(matches!(cancel, Err(Error::Conflict { .. })));
        assert!(matches!(store.task_block("task-1", true, None).await, Err(Error::Conflict { .. })));
        let stale = store
            .task_finish("task-1", 2, TaskOutcome::Cancelled(error("cancelled")), "", at(6), audit("run", "task-1"))
            .await;
        assert!(matches!(stale, Err(Error::Conflict { .. })));
        assert!(matches!(store.task_start("nope", None, None, Vec::new(), at(6)).await, Err(Error::NotFound { .. })));
        assert_eq!(store.task("task-1").await.unwrap(), before);
        assert!(store.audit_list(AuditFilter::default(), Page::default()).await.unwrap().items.is_empty());
    }

    #[tokio::test]
    async fn a_waiting_task_is_blocked_explained_failed_or_cancelled_without_an_attempt() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        for id in ["task-1", "task-2"] {
            store.task_add(task(id)).await.unwrap();
        }
        let why =
            Why { reason: "Dependency".to_owned(), message: "waits for task-0".to_owned(), clears_at: Some(at(60)) };
        store.task_block("task-1", true, Some(why.clone())).await.unwrap();
        let row = store.task("task-1").await.unwrap().unwrap();
        assert_eq!((row.state, row.why), (TaskState::Blocked, Some(why)));
        assert!(store.task_why("task-1", None).await.unwrap());
        let failed =
            store.task_fail("task-1", error("dependency_failed"), at(9), audit("fail", "task-1")).await.unwrap();
        assert_eq!(
            (failed.state, failed.error, failed.attempts),
            (TaskState::Error, Some(error("dependency_failed")), 0)
        );
        assert!(!store.task_why("task-1", None).await.unwrap());

        let cancelled = store.task_cancel("task-2", at(9), "uid 1000", audit("cancel", "task-2")).await.unwrap();
        assert_eq!(cancelled.state, TaskState::Cancelled);
        assert_eq!(cancelled.error.unwrap().message, "cancelled by uid 1000");
        assert!(store.tasks_unfinished().await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn an_artifact_is_recorded_once_and_a_taken_path_with_other_content_fails_the_whole_step() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        assert_eq!(store.artifacts_restore(vec![artifact("task-1", "a.md")]).await.unwrap(), 1);
        store.task_add(task("task-1")).await.unwrap();
        started(&store, "task-1").await;
        let mut other = artifact("task-1", "a.md");
        other.sha256 = crate::core::Digest::of(b"other");
        let outcome = TaskOutcome::Done { model: None, artifacts: vec![other] };
        let refused = store.task_finish("task-1", 1, outcome, "", at(9), audit("run", "task-1")).await;
        assert!(matches!(refused, Err(Error::Conflict { what: "artifact", .. })), "{refused:?}");
        assert_eq!(store.task("task-1").await.unwrap().unwrap().state, TaskState::Running);
        let outcome = TaskOutcome::Done { model: None, artifacts: vec![artifact("task-1", "a.md")] };
        store.task_finish("task-1", 1, outcome, "", at(9), audit("run", "task-1")).await.unwrap();
        assert_eq!(store.artifacts(ArtifactFilter::default(), Page::default()).await.unwrap().items.len(), 1);
    }
}
