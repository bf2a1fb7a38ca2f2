//! Tasks as they stand: accepted once, looked up, counted. How they go on is `task_life`'s, lists are `task_list`'s.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, Row, params};

use super::audit::{self, AuditEntry};
use super::error::{Error, Trouble};
use super::handle::Store;
use super::page::PAGE_ITEMS_MAX;
use super::resume::{self, Open};
use super::row::{TaskRow, TaskState};
use super::sql::{self, Columns};
use super::task_life;

pub(super) const WHAT: &str = "task";
/// The columns that [`read`] reads, with the table called `t`.
pub(super) const COLUMNS: &str = "t.seq, t.id, t.spec, t.object, t.revision, t.actor, t.state, t.runtime, t.model, t.why, \
    t.error, t.attempts, t.policy, t.created_at, t.started_at, t.finished_at";
/// Kept whole for the test that looks at its plan; its condition is word for word that of the index.
/// Left to itself SQLite would take the index by state and sort.
pub(super) const UNFINISHED: &str =
    "FROM task t INDEXED BY task_unfinished WHERE t.state IN ('queued', 'blocked', 'running') ORDER BY t.seq";

/// What came of adding a task.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskAdded {
    /// The task that is kept: the one that was given, or an earlier one with the same id or idempotency key.
    pub row: TaskRow,
    /// Its place in the order of acceptance.
    pub seq: u64,
    /// True when it was not there before.
    pub new: bool,
}

/// A task to be accepted, with its audit entry where a person asked for it.
#[derive(Clone, Debug, PartialEq)]
pub struct NewTask {
    pub row: TaskRow,
    /// An estimate of the tokens of its input; none when nothing can be said.
    pub input_tokens: Option<u32>,
    pub audit: Option<AuditEntry>,
}

impl Store {
    /// Accepts a task, once: an id or an idempotency key that is known returns the first task.
    ///
    /// For what the journal or a commit accounts for; a person's own submission is [`Store::task_submit`].
    ///
    /// # Errors
    /// See [`Error`]; the task is not accepted then.
    pub async fn task_add(&self, row: TaskRow) -> Result<TaskAdded, Error> {
        self.write(move |conn| add(conn, &row, None)).await
    }

    /// Accepts a list of tasks, each as [`Store::task_add`] does and with its audit entry: all of them in one step, or none.
    ///
    /// # Errors
    /// See [`Error`]; none of them is accepted then.
    pub async fn tasks_accept(&self, tasks: Vec<NewTask>) -> Result<Vec<TaskAdded>, Error> {
        self.write(move |conn| {
            let accept = |task: &NewTask| {
                let added = add(conn, &task.row, task.input_tokens)?;
                if let Some(audit) = task.audit.as_ref().filter(|_| added.new) {
                    audit::insert(conn, audit, Some(&format!("submit/{}", task.row.id)))?;
                }
                Ok(added)
            };
            tasks.iter().map(accept).collect()
        })
        .await
    }

    /// Lets a task that failed or was cancelled run again: the same task with the same attempts, and a fresh allowance of
    /// failures.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Conflict`] unless it failed or was cancelled; else see [`Error`].
    pub async fn task_reopen(&self, id: &str, audit: AuditEntry) -> Result<Open, Error> {
        let id = id.to_owned();
        self.write(move |conn| {
            let update = "UPDATE task SET state = 'queued', error = NULL, why = NULL, finished_at = NULL,
                started_at = NULL, runtime = NULL, failures = 0, interruptions = 0, retry_at = NULL, retry_why = NULL,
                reopened = reopened + 1 WHERE id = ?1 AND state IN ('error', 'cancelled')";
            task_life::expect_change(conn, &id, sql::change(conn, update, [&id])?)?;
            let open = resume::one(conn, &id)?;
            let select = "SELECT reopened FROM task WHERE id = ?1";
            let turn = sql::first(conn, select, [&id], |row| Ok(row.get::<_, i64>(0)?))?;
            audit::insert(conn, &audit, Some(&format!("task/{id}/again/{}", turn.unwrap_or(0))))?;
            Ok(open)
        })
        .await
    }

    /// Accepts a task as [`Store::task_add`] does, with its audit entry in the same step. Both are made, or neither; a
    /// repeated one makes no second entry.
    ///
    /// # Errors
    /// See [`Error`]; the task is not accepted then.
    pub async fn task_submit(&self, row: TaskRow, audit: AuditEntry) -> Result<TaskAdded, Error> {
        self.write(move |conn| {
            let added = add(conn, &row, None)?;
            if added.new {
                audit::insert(conn, &audit, Some(&format!("submit/{}", row.id)))?;
            }
            Ok(added)
        })
        .await
    }

    /// A task by its id.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn task(&self, id: &str) -> Result<Option<TaskRow>, Error> {
        let id = id.to_owned();
        self.read(move |conn| find(conn, &id)).await
    }

    /// Tasks by their ids, in that order. Ids that are not known are left out, and so is what follows the first
    /// [`PAGE_ITEMS_MAX`].
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn tasks_by_id(&self, ids: Vec<String>) -> Result<Vec<TaskRow>, Error> {
        self.read(move |conn| {
            let bounded = ids.iter().take(PAGE_ITEMS_MAX as usize);
            bounded.filter_map(|id| find(conn, id).transpose()).collect()
        })
        .await
    }

    /// Every task that is queued, blocked or running, oldest first.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn tasks_unfinished(&self) -> Result<Vec<TaskRow>, Error> {
        self.read(|conn| {
            let select = format!("SELECT {COLUMNS} {UNFINISHED}");
            sql::all(conn, &select, [], |row| read(row).map(|(_, task)| task))
        })
        .await
    }

    /// The tasks that committed Tasks became, oldest first: they are why a committed Task is not done again.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn tasks_of_objects(&self) -> Result<Vec<TaskRow>, Error> {
        self.read(|conn| {
            let select = format!("SELECT {COLUMNS} FROM task t WHERE t.object IS NOT NULL ORDER BY t.seq");
            sql::all(conn, &select, [], |row| read(row).map(|(_, task)| task))
        })
        .await
    }

    /// How many tasks are in each state. Every state is there.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn task_counts(&self) -> Result<BTreeMap<TaskState, u64>, Error> {
        self.read(|conn| {
            let rows = sql::all(conn, "SELECT state, n FROM task_count", [], |row| {
                let mut columns = Columns::of(WHAT, row);
                Ok((columns.word()?, columns.count()?))
            })?;
            Ok(rows.into_iter().collect())
        })
        .await
    }
}

fn add(conn: &Connection, row: &TaskRow, input_tokens: Option<u32>) -> Result<TaskAdded, Trouble> {
    let known = format!("SELECT {COLUMNS} FROM task t WHERE t.id = ?1");
    let repeated = format!("SELECT {COLUMNS} FROM task t WHERE t.idempotency_key = ?1");
    let mut first = sql::first(conn, &known, [&row.id], read)?;
    if first.is_none()
        && let Some(key) = &row.spec.idempotency_key
    {
        first = sql::first(conn, &repeated, [key], read)?;
    }
    if let Some((seq, first)) = first {
        return Ok(TaskAdded { row: first, seq: place(seq)?, new: false });
    }
    let seq = insert(conn, row, input_tokens)?;
    for tag in row.spec.tags.iter().collect::<BTreeSet<_>>() {
        sql::change(conn, "INSERT INTO task_tag (tag, seq) VALUES (?1, ?2)", params![tag, seq])?;
    }
    for capability in row.spec.capability.0.iter().collect::<BTreeSet<_>>() {
        let insert = "INSERT INTO task_capability (capability, seq) VALUES (?1, ?2)";
        sql::change(conn, insert, params![capability, seq])?;
    }
    Ok(TaskAdded { row: row.clone(), seq: place(seq)?, new: true })
}

fn place(seq: i64) -> Result<u64, Trouble> {
    u64::try_from(seq).map_err(|_| Trouble::value(WHAT, format!("{seq} is no place in an order")))
}

fn insert(conn: &Connection, row: &TaskRow, input_tokens: Option<u32>) -> Result<i64, Trouble> {
    let insert =
        "INSERT INTO task (id, idempotency_key, spec, object, revision, actor, state, runtime, model, why, error,
        attempts, policy, created_at, started_at, finished_at, input_tokens)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)";
    let values = params![
        row.id,
        row.spec.idempotency_key,
        sql::json(WHAT, &row.spec)?,
        row.object.as_ref().map(ToString::to_string),
        sql::opt_json(WHAT, row.revision.as_ref())?,
        row.actor,
        row.state.as_str(),
        row.runtime.as_ref().map(|runtime| runtime.as_str()),
        row.model,
        sql::opt_json(WHAT, row.why.as_ref())?,
        sql::opt_json(WHAT, row.error.as_ref())?,
        row.attempts,
        sql::json(WHAT, &row.policy)?,
        sql::time(row.created_at),
        row.started_at.map(sql::time),
        row.finished_at.map(sql::time),
        input_tokens,
    ];
    sql::change(conn, insert, values)?;
    Ok(conn.last_insert_rowid())
}

pub(super) fn find(conn: &Connection, id: &str) -> Result<Option<TaskRow>, Trouble> {
    let select = format!("SELECT {COLUMNS} FROM task t WHERE t.id = ?1");
    sql::first(conn, &select, [id], |row| read(row).map(|(_, task)| task))
}

pub(super) fn existing(conn: &Connection, id: &str) -> Result<TaskRow, Trouble> {
    find(conn, id)?.ok_or_else(|| Trouble::not_found(WHAT, id))
}

/// A task with its `seq`.
pub(super) fn read(row: &Row<'_>) -> Result<(i64, TaskRow), Trouble> {
    let mut columns = Columns::of(WHAT, row);
    let seq = columns.get()?;
    let task = TaskRow {
        id: columns.get()?,
        spec: columns.json()?,
        object: columns.opt_key()?,
        revision: columns.opt_json()?,
        actor: columns.get()?,
        state: columns.word()?,
        runtime: columns.opt_name()?,
        model: columns.get()?,
        why: columns.opt_json()?,
        error: columns.opt_json()?,
        attempts: columns.count()?,
        policy: columns.json()?,
        created_at: columns.time()?,
        started_at: columns.opt_time()?,
        finished_at: columns.opt_time()?,
    };
    Ok((seq, task))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{at, audit, key, open, task};
    use super::*;

    #[tokio::test]
    async fn the_tasks_of_committed_tasks_are_told_oldest_first_over_or_not_and_no_others() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        for (id, object) in [("task-2", Some("Task/b")), ("task-3", None), ("task-1", Some("Task/a"))] {
            store.task_add(TaskRow { object: object.map(key), ..task(id) }).await.unwrap();
        }
        store.task_cancel("task-2", at(9), "uid 1000", audit("cancel", "task-2")).await.unwrap();
        let told = store.tasks_of_objects().await.unwrap();
        let told: Vec<_> = told.iter().map(|row| (row.id.as_str(), row.object.clone(), row.state)).collect();
        assert_eq!(
            told,
            [("task-2", Some(key("Task/b")), TaskState::Cancelled), ("task-1", Some(key("Task/a")), TaskState::Queued)]
        );
    }
}
