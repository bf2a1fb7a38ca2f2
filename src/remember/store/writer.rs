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
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::error::{Error, Trouble};

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

/// What others may know of the writer.
#[derive(Debug, Default)]
pub(super) struct Gauge {
    commits: AtomicU64,
    problem: Mutex<Option<String>>,
}

impl Gauge {
    pub(super) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    pub(super) fn problem(&self) -> Option<String> {
        self.problem.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_problem(&self, problem: Option<String>) {
        *self.problem.lock().unwrap_or_else(PoisonError::into_inner) = problem;
    }
}

/// The thread's own state.
pub(super) struct Writer {
    pub(super) conn: Connection,
    pub(super) path: PathBuf,
    pub(super) jobs: mpsc::Receiver<Message>,
    pub(super) gauge: Arc<Gauge>,
}

impl Writer {
    /// Works until the store is closed or dropped and nothing waits any more.
    pub(super) fn run(mut self) {
        while let Some(message) = self.jobs.blocking_recv() {
            let mut group = Vec::new();
            let mut next = Some(message);
            while let Some(message) = next {
                match message {
                    Message::Job(job) => group.push(job),
                    Message::Close => self.jobs.close(),
                }
                next = if group.len() < GROUP_JOBS_MAX { self.jobs.try_recv().ok() } else { None };
            }
            self.carry_out(group);
        }
        // Best effort: what is in the write-ahead log is durable already, this only makes the next start quicker.
        drop(self.conn.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)"));
    }

    fn carry_out(&self, mut group: Vec<Box<dyn Job>>) {
        match self.together(&mut group) {
            Ok(fates) => group.into_iter().zip(fates).for_each(|(job, fate)| self.answer(job, fate)),
            Err(error) if group.len() == 1 => group.into_iter().for_each(|job| self.answer(job, Err(error.clone()))),
            Err(_) => group.into_iter().for_each(|job| self.carry_out(vec![job])),
        }
    }

    fn answer(&self, job: Box<dyn Job>, fate: Result<(), Error>) {
        if let Err(error) = &fate
            && error.is_environmental()
        {
            self.gauge.set_problem(Some(error.to_string()));
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
        self.gauge.commits.fetch_add(1, Ordering::Relaxed);
        if self.conn.total_changes() > changes_before {
            self.gauge.set_problem(None);
        }
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
