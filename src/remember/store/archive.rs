//! What is remembered of past work, read without being the daemon: for `arcology simulate`.
//!
//! One connection that only reads. It takes no lock of the state directory, so a running daemon is not disturbed, and makes
//! no directory, no file and no migration: a database of another version is refused.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, params};

use crate::core::clock::millis_since;
use crate::core::{Kind, Name, ObjectKey, Timestamp};
use crate::decide::scheduler::replay::history::{Recorded, RecordedAttempt, RecordedEnd, RecordedTask};
use crate::decide::scheduler::{ModelAt, TaskSeq};
use crate::declare::world::World;

use super::error::{Error, Trouble};
use super::place::DATABASE_FILE;
use super::row::TaskState;
use super::sql::{self, Columns};
use super::{migrate, place, resume, revision, task};

/// The most tasks that are read, the newest first: more than a year of a busy home.
pub const TASKS_MAX: u32 = 500_000;
/// The most loads and unloads that are read, the newest first.
const LOADS_MAX: u32 = 100_000;

/// A store that is only read.
#[derive(Debug)]
pub struct Archive {
    conn: Connection,
    path: PathBuf,
}

impl Archive {
    /// Opens the database of a state directory; none when there is none yet. Blocks, as does everything here.
    ///
    /// # Errors
    /// [`Error::Older`], [`Error::Newer`] and [`Error::Foreign`] for a database of another version or program; else see
    /// [`Error`].
    pub fn open(dir: &Path) -> Result<Option<Self>, Error> {
        let path = dir.join(DATABASE_FILE);
        match path.try_exists() {
            Ok(true) => {}
            Ok(false) => return Ok(None),
            Err(error) => return Err(Error::io("looking for", &path, &error)),
        }
        let conn = place::open_reader(&path).map_err(|trouble| trouble.at(&path))?;
        migrate::check(&conn, &path)?;
        Ok(Some(Self { conn, path }))
    }

    /// The world in force, without a revision before the first; and the objects whose text this version cannot read.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn world(&self) -> Result<(World, Vec<ObjectKey>), Error> {
        let rows = || -> Result<_, Trouble> {
            let _snapshot = self.conn.unchecked_transaction()?;
            Ok((revision::applied(&self.conn)?, revision::rows(&self.conn, "object")?))
        };
        let (applied, rows) = rows().map_err(|trouble| trouble.at(&self.path))?;
        let mut world = World { revision: applied.map(|row| row.revision), ..World::default() };
        let mut unreadable = Vec::new();
        for row in rows {
            let key = row.key.clone();
            match row.into_object() {
                Some(object) => drop(world.objects.insert(key, Arc::new(object))),
                None => unreadable.push(key),
            }
        }
        Ok((world, unreadable))
    }

    /// What work was accepted since `from`, and how long loads took. The newest [`TASKS_MAX`] tasks at most.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn recorded(&self, from: Timestamp) -> Result<Recorded, Error> {
        self.read(from).map_err(|trouble| trouble.at(&self.path))
    }

    fn read(&self, from: Timestamp) -> Result<Recorded, Trouble> {
        // One snapshot for all that belongs together, whatever a daemon writes meanwhile.
        let _snapshot = self.conn.unchecked_transaction()?;
        let mut tasks = tasks(&self.conn, from)?;
        attempts(&self.conn, from, &mut tasks)?;
        let (loads, unloads) = moves(&self.conn)?;
        Ok(Recorded { tasks: tasks.into_values().collect(), loads, unloads })
    }
}

/// Tasks by their place in the order of acceptance.
type Tasks = BTreeMap<i64, RecordedTask>;

fn tasks(conn: &Connection, from: Timestamp) -> Result<Tasks, Trouble> {
    let select = format!(
        "SELECT {}, t.input_tokens FROM task t WHERE t.created_at >= ?1 ORDER BY t.seq DESC LIMIT ?2",
        task::COLUMNS
    );
    let rows = sql::all(conn, &select, params![sql::time(from), TASKS_MAX], |row| {
        let (seq, task) = task::read(row)?;
        Ok((seq, task, row.get::<_, Option<u32>>("input_tokens")?))
    })?;
    let recorded = rows.into_iter().map(|(seq, row, input_tokens)| {
        let task = RecordedTask {
            request: resume::request(TaskSeq(0), row.id.into(), &row.spec, input_tokens, 0),
            object: row.object.filter(|object| object.kind == Kind::Task).map(|object| object.name),
            created_at: row.created_at,
            end: match row.state {
                TaskState::Done => RecordedEnd::Done,
                TaskState::Error => RecordedEnd::Failed,
                TaskState::Cancelled => RecordedEnd::Cancelled,
                TaskState::Queued | TaskState::Blocked | TaskState::Running => RecordedEnd::Open,
            },
            finished_at: row.finished_at,
            attempts: Vec::new(),
        };
        (seq, task)
    });
    Ok(recorded.collect())
}

/// Attempts that ended by themselves. Interrupted and cancelled ones say nothing of how long the work takes.
fn attempts(conn: &Connection, from: Timestamp, tasks: &mut Tasks) -> Result<(), Trouble> {
    let select = "SELECT t.seq, a.runtime, a.model, a.started_at, a.finished_at
        FROM task t JOIN attempt a ON a.task = t.id
        WHERE t.created_at >= ?1 AND a.state IN ('done', 'error') AND a.finished_at IS NOT NULL
        ORDER BY t.seq, a.number";
    let rows = sql::all(conn, select, [sql::time(from)], |row| {
        let mut columns = Columns::of("attempt", row);
        let seq: i64 = columns.get()?;
        let (runtime, model) = (columns.opt_name()?, columns.get()?);
        let (started, finished) = (columns.time()?, columns.time()?);
        Ok((seq, RecordedAttempt { runtime, model, took_ms: millis_since(started, finished) }))
    })?;
    for (seq, attempt) in rows {
        if let Some(task) = tasks.get_mut(&seq) {
            task.attempts.push(attempt);
        }
    }
    Ok(())
}

/// Milliseconds of loads by model, and of unloads.
type Moves = (BTreeMap<ModelAt, Vec<u64>>, Vec<u64>);

fn moves(conn: &Connection) -> Result<Moves, Trouble> {
    let select = "SELECT verb, runtime, served_as, started_at, finished_at FROM journal
        WHERE verb IN ('load', 'unload') AND state = 'done' AND runtime IS NOT NULL AND served_as IS NOT NULL
        ORDER BY seq DESC LIMIT ?1";
    let rows = sql::all(conn, select, [LOADS_MAX], |row| {
        let mut columns = Columns::of("journal entry", row);
        let (verb, runtime): (String, Option<Name>) = (columns.get()?, columns.opt_name()?);
        let served_as: String = columns.get()?;
        let (started, finished) = (columns.time()?, columns.time()?);
        Ok((verb, runtime, served_as, millis_since(started, finished)))
    })?;
    let (mut loads, mut unloads): Moves = Moves::default();
    for (verb, runtime, served_as, ms) in rows {
        let Some(runtime) = runtime else { continue };
        if verb == "load" {
            loads.entry(ModelAt { runtime, served_as: served_as.into() }).or_default().push(ms);
        } else {
            unloads.push(ms);
        }
    }
    Ok((loads, unloads))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{key, name, open, task};
    use super::super::{AuditEntry, TaskOutcome};
    use super::*;

    fn audit(at: Timestamp) -> AuditEntry {
        AuditEntry {
            at,
            actor: "arcology".to_owned(),
            verb: "finish".to_owned(),
            object: "task".to_owned(),
            reason: String::new(),
            result: "ok".to_owned(),
            before: None,
            after: None,
            revision: None,
        }
    }

    fn second(n: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + n).unwrap()
    }

    #[tokio::test]
    async fn a_running_daemons_work_is_read_beside_it_and_nothing_is_locked_or_written() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        for n in 0..3 {
            let mut row = task(&format!("task-{n}"));
            row.created_at = second(i64::from(n) * 10);
            row.object = (n == 1).then(|| key("Task/brief"));
            store.task_add(row).await.unwrap();
        }
        store.task_start("task-1", Some(name("swap")), Some("qwen".into()), Vec::new(), second(20)).await.unwrap();
        let done = TaskOutcome::Done { model: None, artifacts: Vec::new() };
        store.task_finish("task-1", 1, done, "", second(27), audit(second(27))).await.unwrap();

        let archive = Archive::open(dir.path()).unwrap().unwrap();
        let recorded = archive.recorded(second(10)).unwrap();
        let ids: Vec<&str> = recorded.tasks.iter().map(|task| &*task.request.id).collect();
        assert_eq!(ids, ["task-1", "task-2"], "what is older is left out");
        assert_eq!(recorded.tasks[0].end, RecordedEnd::Done);
        assert_eq!(recorded.tasks[0].object, Some(name("brief")));
        let attempt = RecordedAttempt { runtime: Some(name("swap")), model: Some("qwen".into()), took_ms: 7_000 };
        assert_eq!(recorded.tasks[0].attempts, [attempt]);
        assert_eq!((recorded.tasks[1].end, recorded.tasks[1].attempts.len()), (RecordedEnd::Open, 0));
        assert_eq!(archive.world().unwrap().0.revision, None);
        store.close().await;
    }

    #[test]
    fn where_no_database_is_there_is_no_archive_and_none_is_made() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Archive::open(dir.path()).unwrap().is_none());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_database_of_another_version_is_refused_and_left_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(DATABASE_FILE);
        let conn = Connection::open(&path).unwrap();
        conn.execute_batch("CREATE TABLE recipes (x INTEGER)").unwrap();
        assert!(matches!(Archive::open(dir.path()), Err(Error::Foreign { .. })));
        conn.pragma_update(None, "application_id", migrate::APPLICATION_ID).unwrap();
        assert!(matches!(Archive::open(dir.path()), Err(Error::Older { found: 0, .. })));
        conn.pragma_update(None, "user_version", 99).unwrap();
        assert!(matches!(Archive::open(dir.path()), Err(Error::Newer { found: 99, .. })));
    }
}
