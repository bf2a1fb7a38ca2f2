//! The state directory: made private, held by one daemon, and the connections to the database in it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::error::{Error, Trouble};

/// The database's file name in the state directory.
pub const DATABASE_FILE: &str = "arcology.db";
/// The lock's file name in the state directory.
pub const LOCK_FILE: &str = "lock";

/// How long one connection waits for another. Readers never wait for the writer; this is for the checkpoint.
const BUSY_WAIT: Duration = Duration::from_secs(5);
/// How many prepared statements a connection keeps.
const STATEMENTS_KEPT: usize = 128;
/// The write-ahead log is cut back to this many bytes when it has grown beyond.
const WAL_BYTES_KEPT: i64 = 64 << 20;

/// A state directory held by this process. Dropping it lets the next one in.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) database: PathBuf,
    _lock: File,
}

impl Place {
    /// Makes the directory when it is not there (mode 0700), and takes its lock. The mode of a directory that is there
    /// is left alone: it may be one that others use. The files in it are always private (0600).
    pub(super) fn take(dir: &Path) -> Result<Self, Error> {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true).mode(0o700).create(dir).map_err(|error| Error::io("making", dir, &error))?;
        let lock = lock(dir)?;
        let database = dir.join(DATABASE_FILE);
        // SQLite gives its -wal and -shm files the mode of the database.
        private(&database)?;
        File::open(dir).and_then(|dir| dir.sync_all()).map_err(|error| Error::io("syncing", dir, &error))?;
        Ok(Self { database, _lock: lock })
    }
}

/// Opens a file for reading and writing with mode 0600, and gives one that is there that mode.
fn private(path: &Path) -> Result<File, Error> {
    let mut options = OpenOptions::new();
    let file = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
    let file = file.map_err(|error| Error::io("opening", path, &error))?;
    let mode = file.metadata().map_err(|error| Error::io("reading", path, &error))?.permissions().mode();
    if mode & 0o077 != 0 {
        let only_ours = std::fs::Permissions::from_mode(0o600);
        file.set_permissions(only_ours).map_err(|error| Error::io("making private", path, &error))?;
    }
    Ok(file)
}

fn lock(dir: &Path) -> Result<File, Error> {
    let path = dir.join(LOCK_FILE);
    let failed = |error: &std::io::Error| Error::io("locking", &path, error);
    let mut file = private(&path)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            // Only for the message: whoever holds the lock wrote its process id into it.
            let read = (&mut file).take(64).read_to_string(&mut holder);
            let holder = read.ok().map(|_| crate::core::text::shorten(holder.trim(), 40)).filter(|pid| !pid.is_empty());
            return Err(Error::Locked { dir: dir.to_owned(), holder });
        }
        Err(TryLockError::Error(error)) => return Err(failed(&error)),
    }
    let id = format!("process {}\n", std::process::id());
    file.set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| file.write_all(id.as_bytes()))
        .map_err(|error| failed(&error))?;
    Ok(file)
}

/// The connection that writes.
pub(super) fn open_writer(path: &Path) -> Result<Connection, Error> {
    let open = || -> Result<Connection, Trouble> {
        let conn = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        let mode: String = conn.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
        if mode != "wal" {
            return Err(Trouble::value("journal mode", format!("SQLite offers `{mode}` instead of a write-ahead log")));
        }
        conn.pragma_update(None, "synchronous", "FULL")?;
        conn.pragma_update(None, "foreign_keys", true)?;
        conn.query_row(&format!("PRAGMA journal_size_limit = {WAL_BYTES_KEPT}"), [], |_| Ok(()))?;
        Ok(conn)
    };
    open().map_err(|trouble| trouble.at(path))
}

/// A connection that only reads.
pub(super) fn open_reader(path: &Path) -> Result<Connection, Trouble> {
    let conn = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    conn.pragma_update(None, "query_only", true)?;
    Ok(conn)
}

fn connect(path: &Path, mode: OpenFlags) -> Result<Connection, Trouble> {
    let conn = Connection::open_with_flags(path, mode | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    conn.busy_timeout(BUSY_WAIT)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    Ok(conn)
}
