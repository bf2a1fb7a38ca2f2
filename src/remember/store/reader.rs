//! A few connections that only read, each lent to one query at a time. Reads go on when writes fail.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::error::{Error, Trouble};
use super::gauge::Gauge;
use super::place;

/// How many queries are read at once. More would only compete for the same disk.
const READERS: usize = 3;

/// The pool.
#[derive(Debug)]
pub(super) struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    permits: Semaphore,
    gauge: Arc<Gauge>,
}

impl Readers {
    /// Opens all connections, so that a database that cannot be read is found out at the start.
    pub(super) fn open(path: PathBuf, gauge: Arc<Gauge>) -> Result<Self, Error> {
        let idle: Result<Vec<_>, Trouble> = (0..READERS).map(|_| place::open_reader(&path)).collect();
        let idle = Mutex::new(idle.map_err(|trouble| trouble.at(&path))?);
        Ok(Self { path, idle, permits: Semaphore::new(READERS), gauge })
    }

    /// Runs a query on one consistent state of the database.
    pub(super) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        query: impl FnOnce(&Connection) -> Result<T, Trouble> + Send + 'static,
    ) -> Result<T, Error> {
        let _permit = self.permits.acquire().await.map_err(|_| Error::Closed)?;
        let pool = Arc::clone(self);
        let task = tokio::task::spawn_blocking(move || pool.query(query));
        task.await.map_err(|error| Error::Internal { path: self.path.clone(), detail: error.to_string() })?
    }

    fn query<T>(&self, query: impl FnOnce(&Connection) -> Result<T, Trouble>) -> Result<T, Error> {
        let run = || -> Result<T, Trouble> {
            let taken = self.idle().pop();
            let conn = taken.map_or_else(|| place::open_reader(&self.path), Ok)?;
            let found = {
                let _snapshot = conn.unchecked_transaction()?;
                query(&conn)
            };
            if !self.permits.is_closed() {
                self.idle().push(conn);
            }
            found
        };
        run().map_err(|trouble| trouble.at(&self.path)).inspect_err(|error| self.gauge.note(error))
    }

    /// Refuses further queries; connections are closed once their queries end.
    pub(super) fn close(&self) {
        self.permits.close();
        self.idle().clear();
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
