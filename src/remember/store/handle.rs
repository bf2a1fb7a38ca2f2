//! The store itself: opened once, cloned freely, closed once. What can be asked of it stands in the files beside this.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use crate::core::{Clock, Timestamp};

use super::cut::Cut;
use super::error::{Error, Trouble};
use super::gauge::Gauge;
use super::migrate;
use super::place::{self, Place};
use super::reader::Readers;
use super::writer::{self, Durability, Message, QUEUE_JOBS_MAX, Writer};

/// What must survive a restart, in one SQLite file. Cheap to clone.
///
/// Guarantees: a call that answered `Ok` is durable; calls by one caller, one after the other, take effect in that
/// order; a read sees every write that was answered before it began. Dropping the last clone finishes what was begun,
/// as [`Store::close`] does.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    jobs: Mutex<Option<mpsc::Sender<Message>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    readers: Arc<Readers>,
    gauge: Arc<Gauge>,
    clock: Arc<dyn Clock>,
    database: PathBuf,
    place: Mutex<Option<Place>>,
}

impl Store {
    /// Opens the store in `dir`, which is made when it is not there. Blocks.
    ///
    /// # Errors
    /// [`Error::Locked`] when another daemon uses the directory, [`Error::Newer`] when a newer program wrote it,
    /// [`Error::Corrupt`], [`Error::ReadOnly`], [`Error::Full`] and [`Error::Io`] when the file cannot be used.
    pub fn open(dir: &Path, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        Self::open_with(dir, clock, None)
    }

    /// Opens the store as [`Store::open`] does, to stop at `cut` as if the program had died there. For tests.
    ///
    /// # Errors
    /// As [`Store::open`].
    #[doc(hidden)]
    pub fn open_with(dir: &Path, clock: Arc<dyn Clock>, cut: Option<Cut>) -> Result<Self, Error> {
        let place = Place::take(dir)?;
        let database = place.database.clone();
        let mut conn = place::open_writer(&database)?;
        migrate::migrate(&mut conn, &database)?;
        let gauge = Arc::new(Gauge::default());
        let readers = Arc::new(Readers::open(database.clone(), Arc::clone(&gauge))?);
        let (jobs, waiting) = mpsc::channel(QUEUE_JOBS_MAX);
        let writer = Writer { conn, path: database.clone(), jobs: waiting, gauge: Arc::clone(&gauge), cut };
        let thread = std::thread::Builder::new().name("store-writer".to_owned()).spawn(move || writer.run());
        let thread = thread.map_err(|error| Error::io("starting the writer of", &database, &error))?;
        let (jobs, thread, place) = (Mutex::new(Some(jobs)), Mutex::new(Some(thread)), Mutex::new(Some(place)));
        Ok(Self { inner: Arc::new(Inner { jobs, thread, readers, gauge, clock, database, place }) })
    }

    /// Finishes every write that waits, closes the file and gives the directory free. Later calls answer
    /// [`Error::Closed`]; closing twice is fine.
    pub async fn close(&self) {
        let jobs = take(&self.inner.jobs);
        if let Some(jobs) = jobs {
            // An error means that the writer is gone already, which is what is wanted.
            drop(jobs.send(Message::Close).await);
        }
        self.inner.readers.close();
        let inner = Arc::clone(&self.inner);
        // An error means that the runtime is going down; then the drop of the last clone does the same.
        drop(tokio::task::spawn_blocking(move || inner.finish()).await);
    }

    /// Why the store cannot be written, as far as the newest attempt showed, or that the file is damaged; none when all
    /// is well. Reads go on meanwhile.
    #[must_use]
    pub fn health(&self) -> Option<String> {
        self.inner.gauge.problem()
    }

    /// How many commits were made since the store was opened: many fewer than writes when many came at once.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.inner.gauge.commits()
    }

    /// The database file.
    #[must_use]
    pub fn database(&self) -> &Path {
        &self.inner.database
    }

    pub(super) fn now(&self) -> Timestamp {
        self.inner.clock.now()
    }

    /// Makes a change that is on disk when this returns.
    pub(super) async fn write<T, F>(&self, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: Fn(&Connection) -> Result<T, Trouble> + Send + 'static,
    {
        self.send(Durability::Synced, work).await
    }

    /// Makes a change that may be lost with the power.
    pub(super) async fn write_relaxed<T, F>(&self, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: Fn(&Connection) -> Result<T, Trouble> + Send + 'static,
    {
        self.send(Durability::Relaxed, work).await
    }

    async fn send<T, F>(&self, durability: Durability, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: Fn(&Connection) -> Result<T, Trouble> + Send + 'static,
    {
        self.line_up(durability, work).await?.come().await
    }

    /// Puts a change in line behind those that came before, and answers later: who makes many changes in order need not
    /// wait for each.
    pub(super) async fn line_up<T, F>(&self, durability: Durability, work: F) -> Result<Answer<T>, Error>
    where
        T: Send + 'static,
        F: Fn(&Connection) -> Result<T, Trouble> + Send + 'static,
    {
        let jobs = self.inner.jobs.lock().unwrap_or_else(PoisonError::into_inner).clone().ok_or(Error::Closed)?;
        let (job, answer) = writer::job(durability, work);
        jobs.send(Message::Job(job)).await.map_err(|_| Error::Closed)?;
        Ok(Answer(answer))
    }

    /// Asks one consistent state of the database.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, Trouble> + Send + 'static,
    ) -> Result<T, Error> {
        self.inner.readers.read(query).await
    }
}

/// A change that stands in line.
#[derive(Debug)]
pub struct Answer<T>(oneshot::Receiver<Result<T, Error>>);

impl<T> Answer<T> {
    /// Waits until the change is made, or is known not to be.
    ///
    /// # Errors
    /// See [`Error`]; nothing of it is made then.
    pub async fn come(self) -> Result<T, Error> {
        self.0.await.unwrap_or(Err(Error::Closed))
    }
}

impl Inner {
    /// Waits for the writer to end, then lets the next daemon in.
    fn finish(&self) {
        if let Some(thread) = take(&self.thread) {
            // The writer catches panics of its jobs; one of its own has been printed by the panic hook.
            drop(thread.join());
        }
        drop(take(&self.place));
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        drop(take(&self.jobs));
        self.finish();
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("database", &self.inner.database).finish_non_exhaustive()
    }
}

fn take<T>(slot: &Mutex<Option<T>>) -> Option<T> {
    slot.lock().unwrap_or_else(PoisonError::into_inner).take()
}
