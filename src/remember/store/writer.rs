//! The one writer: an OS thread that owns the write connection and commits many waiting jobs at once.
//!
//! 1. Jobs wait in a bounded channel. The thread takes all that wait, up to [`GROUP_JOBS_MAX`].
//! 2. They run in one transaction, each in a savepoint of its own, so that one that fails takes nothing with it.
//! 3. One commit, synced to disk when any of them asked for that, and only then is every one answered.
//!
//! When the transaction as a whole fails (a full disk undoes all of it), each job is tried once more alone, so that one
//! that does not fit does not take down those that do.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;

use rusqlite::Connection;
use rusqlite::config::DbConfig;
use tokio::sync::{mpsc, oneshot};

use super::cut::{self, Cut, Fate};
use super::error::{Error, Trouble};
use super::gauge::Gauge;

/// How many jobs may wait before those who bring more are made to wait themselves.
pub(super) const QUEUE_JOBS_MAX: usize = 1024;
/// How many jobs share one commit at most.
const GROUP_JOBS_MAX: usize = 512;

/// What a job's answer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Durability {
    /// It is on disk when the answer comes: the queue, the journal, the audit, what is in force.
    Synced,
    /// It survives a crash of the program, and may be lost with the power: observations and history.
    Relaxed,
}

/// What the thread is sent.
pub(super) enum Message {
    Job(Box<dyn Job>),
    /// Do what waits already, then stop.
    Close,
}

/// A change to the database, and someone who waits for it. It may be run more than once before it is answered; all but
/// the last run have been rolled back.
pub(super) trait Job: Send {
    fn durability(&self) -> Durability;
    /// The function that it was written in.
    fn name(&self) -> &'static str;
    fn run(&mut self, conn: &Connection) -> Result<(), Trouble>;
    fn answer(self: Box<Self>, fate: Result<(), Error>);
}

struct Typed<T, F> {
    durability: Durability,
    work: F,
    made: Option<T>,
    reply: oneshot::Sender<Result<T, Error>>,
}

/// A job made of a function, and where its answer arrives.
pub(super) fn job<T, F>(durability: Durability, work: F) -> (Box<dyn Job>, oneshot::Receiver<Result<T, Error>>)
where
    T: Send + 'static,
    F: Fn(&Connection) -> Result<T, Trouble> + Send + 'static,
{
    let (reply, answer) = oneshot::channel();
    (Box::new(Typed { durability, work, made: None, reply }), answer)
}

impl<T, F> Job for Typed<T, F>
where
    T: Send,
    F: Fn(&Connection) -> Result<T, Trouble> + Send,
{
    fn durability(&self) -> Durability {
        self.durability
    }

    fn name(&self) -> &'static str {
        cut::step_name(std::any::type_name::<F>())
    }

    fn run(&mut self, conn: &Connection) -> Result<(), Trouble> {
        self.made = Some((self.work)(conn)?);
        Ok(())
    }

    fn answer(self: Box<Self>, fate: Result<(), Error>) {
        let made = self.made.ok_or(Error::Closed);
        // Whoever asked may have gone away; the change is made all the same.
        drop(self.reply.send(fate.and(made)));
    }
}

/// The thread's own state.
pub(super) struct Writer {
    pub(super) conn: Connection,
    pub(super) path: PathBuf,
    pub(super) jobs: mpsc::Receiver<Message>,
    pub(super) gauge: Arc<Gauge>,
    /// Where it stops as if the program had died; none but in tests.
    pub(super) cut: Option<Cut>,
}

impl Writer {
    /// Works until the store is closed or dropped and nothing waits any more.
    pub(super) fn run(mut self) {
        let group_max = if self.cut.is_some() { 1 } else { GROUP_JOBS_MAX };
        while let Some(message) = self.jobs.blocking_recv() {
            let mut group = Vec::new();
            let mut next = Some(message);
            while let Some(message) = next {
                match message {
                    Message::Job(job) => group.push(job),
                    Message::Close => self.jobs.close(),
                }
                next = if group.len() < group_max { self.jobs.try_recv().ok() } else { None };
            }
            match &self.cut {
                None => self.carry_out(group),
                Some(cut) => {
                    if let Some(unanswered) = self.carry_out_unless_cut(cut, group) {
                        return self.stay_dead(unanswered);
                    }
                }
            }
        }
        // Best effort: what is in the write-ahead log is durable already, this only makes the next start quicker.
        drop(self.conn.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)"));
    }

    /// Carries out a group of one, or gives it back when the program dies with it.
    fn carry_out_unless_cut(&self, cut: &Cut, mut group: Vec<Box<dyn Job>>) -> Option<Vec<Box<dyn Job>>> {
        let durable = group.first().filter(|job| job.durability() == Durability::Synced);
        match durable.map_or(Fate::Lives, |job| cut.count(job.name())) {
            Fate::Lives => {
                self.carry_out(group);
                return None;
            }
            Fate::Refused => {
                let full = Error::Full { path: self.path.clone() };
                group.into_iter().for_each(|job| self.answer(job, Err(full.clone())));
                return None;
            }
            Fate::Lost => {}
            Fate::Unanswered => drop(self.together(&mut group)),
        }
        cut.reach();
        Some(group)
    }

    /// Keeps every job, so that nobody is answered, not even with an error, until nobody can ask any more.
    fn stay_dead(mut self, mut unanswered: Vec<Box<dyn Job>>) {
        // The write-ahead log is left as a killed program leaves it.
        drop(self.conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true));
        while let Some(message) = self.jobs.blocking_recv() {
            if let Message::Job(job) = message {
                unanswered.push(job);
            }
        }
    }

    fn carry_out(&self, mut group: Vec<Box<dyn Job>>) {
        match self.together(&mut group) {
            Ok(fates) => group.into_iter().zip(fates).for_each(|(job, fate)| self.answer(job, fate)),
            Err(error) if group.len() == 1 => group.into_iter().for_each(|job| self.answer(job, Err(error.clone()))),
            Err(_) => group.into_iter().for_each(|job| self.carry_out(vec![job])),
        }
    }

    fn answer(&self, job: Box<dyn Job>, fate: Result<(), Error>) {
        if let Err(error) = &fate {
            self.gauge.note_write(error);
        }
        job.answer(fate);
    }

    /// Runs the jobs in one transaction. `Err` when that came to nothing as a whole.
    fn together(&self, group: &mut [Box<dyn Job>]) -> Result<Vec<Result<(), Error>>, Error> {
        let fates = self.transact(group).map_err(|trouble| {
            if !self.conn.is_autocommit() {
                // Cannot fail in a way that leaves the transaction open; the next BEGIN would say so.
                drop(self.conn.execute_batch("ROLLBACK"));
            }
            trouble.at(&self.path)
        })?;
        Ok(fates.into_iter().map(|fate| fate.map_err(|trouble| trouble.at(&self.path))).collect())
    }

    fn transact(&self, group: &mut [Box<dyn Job>]) -> Result<Vec<Result<(), Trouble>>, Trouble> {
        let synced = group.iter().any(|job| job.durability() == Durability::Synced);
        self.execute(if synced { "PRAGMA synchronous = FULL" } else { "PRAGMA synchronous = NORMAL" })?;
        let changes_before = self.conn.total_changes();
        self.execute("BEGIN IMMEDIATE")?;
        let mut fates = Vec::with_capacity(group.len());
        for job in group {
            self.execute("SAVEPOINT job")?;
            let fate = run_caught(job.as_mut(), &self.conn);
            if self.conn.is_autocommit() {
                // SQLite gave up the whole transaction, with what the jobs before this one did.
                let silent = || Trouble::value("job", "it ended the transaction that it ran in");
                return Err(fate.err().unwrap_or_else(silent));
            }
            if fate.is_err() {
                self.execute("ROLLBACK TO job")?;
            }
            self.execute("RELEASE job")?;
            fates.push(fate);
        }
        self.execute("COMMIT")?;
        self.gauge.note_commit(self.conn.total_changes() > changes_before);
        Ok(fates)
    }

    fn execute(&self, sql: &str) -> Result<(), Trouble> {
        let mut statement = self.conn.prepare_cached(sql)?;
        statement.raw_execute()?;
        Ok(())
    }
}

/// A job that panics fails alone.
fn run_caught(job: &mut dyn Job, conn: &Connection) -> Result<(), Trouble> {
    catch_unwind(AssertUnwindSafe(|| job.run(conn)))
        .unwrap_or_else(|_| Err(Trouble::value("job", "it panicked; the log says where")))
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, mpsc};

    use rusqlite::params;

    use super::super::testing::{at, audit, open};
    use super::super::{AuditFilter, Page, Store, audit as entries};
    use super::*;

    /// Keeps the writer busy until the sender is dropped, and says when it has begun to be.
    async fn hold(store: &Store) -> (mpsc::Sender<()>, tokio::task::JoinHandle<Result<(), Error>>) {
        let (release, released) = mpsc::channel();
        let (begun, has_begun) = oneshot::channel();
        let parts = Mutex::new(Some((released, begun)));
        let store = store.clone();
        let held = tokio::spawn(async move {
            let wait = move |_: &Connection| {
                if let Some((released, begun)) = parts.lock().unwrap().take() {
                    begun.send(()).unwrap();
                    released.recv().unwrap_err();
                }
                Ok(())
            };
            store.write(wait).await
        });
        has_begun.await.unwrap();
        (release, held)
    }

    async fn count(store: &Store) -> usize {
        let page = Page { limit: 500, cursor: None };
        store.audit_list(AuditFilter::default(), page).await.unwrap().items.len()
    }

    /// Starts so many writes, one of which fails when `bad` says so.
    fn start(store: &Store, n: usize, bad: Option<usize>) -> Vec<tokio::task::JoinHandle<Result<i64, Error>>> {
        let one = |n: usize| {
            let store = store.clone();
            tokio::spawn(async move {
                let fails = bad == Some(n);
                let work = move |conn: &Connection| {
                    let seq = entries::insert(conn, &audit("test", &n.to_string()), None)?;
                    if fails { Err(Trouble::not_found("thing", "1")) } else { Ok(seq) }
                };
                store.write(work).await
            })
        };
        (0..n).map(one).collect()
    }

    #[tokio::test]
    async fn all_that_wait_share_one_commit_and_one_that_fails_fails_alone() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        let before = store.commits();
        let (release, held) = hold(&store).await;
        let tasks = start(&store, 100, Some(42));
        tokio::task::yield_now().await;
        assert_eq!(count(&store).await, 0, "nothing is visible before the commit");
        drop(release);
        held.await.unwrap().unwrap();
        for (n, task) in tasks.into_iter().enumerate() {
            let answer = task.await.unwrap();
            if n == 42 {
                assert!(matches!(answer, Err(Error::NotFound { .. })), "{answer:?}");
            } else {
                assert!(answer.is_ok(), "{n}: {answer:?}");
            }
        }
        assert_eq!(store.commits() - before, 2, "one for the job that was held, one for all the others");
        assert_eq!(count(&store).await, 99);
    }

    #[tokio::test]
    async fn a_job_that_panics_or_breaks_its_transaction_takes_no_other_down() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        let (release, held) = hold(&store).await;
        let good = start(&store, 3, None);
        let clone = store.clone();
        let panics =
            tokio::spawn(async move { clone.write(|_| -> Result<(), Trouble> { panic!("as it must") }).await });
        let clone = store.clone();
        let breaks = tokio::spawn(async move { clone.write(|conn| Ok(conn.execute_batch("ROLLBACK")?)).await });
        let more = start(&store, 3, None);
        tokio::task::yield_now().await;
        drop(release);
        held.await.unwrap().unwrap();
        assert!(matches!(panics.await.unwrap(), Err(Error::Value { what: "job", .. })));
        assert!(matches!(breaks.await.unwrap(), Err(Error::Value { what: "job", .. })));
        for task in good.into_iter().chain(more) {
            task.await.unwrap().unwrap();
        }
        assert_eq!(count(&store).await, 6);
    }

    #[tokio::test]
    async fn on_a_full_disk_writes_say_so_reads_go_on_and_writing_resumes_by_itself() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        store.meta_set("before", "kept").await.unwrap();
        let pages =
            store.write(|conn| Ok(conn.query_row("PRAGMA page_count", [], |row| row.get::<_, i64>(0))?)).await.unwrap();
        let limit = move |pages: i64| {
            move |conn: &Connection| {
                Ok(conn.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |row| row.get::<_, i64>(0))?)
            }
        };
        store.write(limit(pages)).await.unwrap();
        let long = "x".repeat(1 << 20);
        let (release, held) = hold(&store).await;
        let small = start(&store, 2, None);
        let clone = store.clone();
        let large = tokio::spawn(async move { clone.meta_set("large", &long).await });
        tokio::task::yield_now().await;
        drop(release);
        held.await.unwrap().unwrap();
        let full = large.await.unwrap();
        assert!(matches!(&full, Err(Error::Full { path }) if path == store.database()), "{full:?}");
        for task in small {
            task.await.unwrap().unwrap();
        }
        assert!(matches!(store.meta_set("large", &"x".repeat(1 << 20)).await, Err(Error::Full { .. })));
        assert!(store.health().unwrap().contains("no room left"));
        assert_eq!(store.meta_get("before").await.unwrap().as_deref(), Some("kept"));

        store.write(limit(1 << 20)).await.unwrap();
        store.meta_set("large", "fits").await.unwrap();
        assert_eq!(store.health(), None);
    }

    #[tokio::test]
    async fn what_waits_when_the_store_is_closed_is_written_and_what_comes_later_refused() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        let (release, held) = hold(&store).await;
        let waiting = start(&store, 10, None);
        tokio::task::yield_now().await;
        let closing = tokio::spawn({
            let store = store.clone();
            async move { store.close().await }
        });
        tokio::task::yield_now().await;
        drop(release);
        closing.await.unwrap();
        held.await.unwrap().unwrap();
        for task in waiting {
            task.await.unwrap().unwrap();
        }
        assert_eq!(store.meta_set("late", "").await, Err(Error::Closed));
        assert_eq!(store.meta_get("late").await, Err(Error::Closed));
        store.close().await;
        assert_eq!(count(&open(dir.path())).await, 10);
    }

    #[tokio::test]
    async fn what_may_be_lost_with_the_power_is_synced_as_soon_as_anything_else_is() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        let synchronous = |conn: &Connection| Ok(conn.query_row("PRAGMA synchronous", [], |row| row.get::<_, i64>(0))?);
        let (full, normal) = (2, 1);
        assert_eq!(store.write_relaxed(synchronous).await, Ok(normal));
        assert_eq!(store.write(synchronous).await, Ok(full));
        let (release, held) = hold(&store).await;
        let clone = store.clone();
        let relaxed = tokio::spawn(async move { clone.write_relaxed(synchronous).await });
        let mixed = start(&store, 1, None);
        tokio::task::yield_now().await;
        drop(release);
        held.await.unwrap().unwrap();
        assert_eq!(relaxed.await.unwrap(), Ok(full));
        for task in mixed {
            task.await.unwrap().unwrap();
        }
    }

    #[tokio::test]
    async fn a_reader_cannot_write() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        let written =
            store.read(|conn| Ok(conn.execute("INSERT INTO meta VALUES (?1, '')", params![at(0).to_string()])?));
        assert!(matches!(written.await, Err(Error::ReadOnly { .. })));
    }
}
