//! The vault itself: opened once, cloned freely, and read from.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::core::Digest;

use super::error::Error;

/// The most that [`Vault::read`] gives at once, in bytes. More is streamed from [`Vault::open_file`].
pub const READ_BYTES_MAX: u64 = 64 << 20;

pub(super) const OBJECTS: &str = "objects";
pub(super) const RUNS: &str = "runs";
const TEMPORARY: &str = "tmp";
const LOCK: &str = "vault.lock";

/// Artifacts on disk. Cheap to clone; everything it does blocks.
#[derive(Clone, Debug)]
pub struct Vault {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    dir: PathBuf,
    /// Held by the first to open the vault: only that one knows that nobody else is writing, and sweeps.
    lock: Option<File>,
    temporaries: AtomicU64,
}

impl Vault {
    /// Opens the vault in `dir`, which is made (mode 0700) when it is not there. What an earlier process left half
    /// written is removed, unless another process has the vault open: then it may be that one's.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn open(dir: &Path) -> Result<Self, Error> {
        for dir in [dir, &dir.join(OBJECTS), &dir.join(RUNS), &dir.join(TEMPORARY)] {
            make_dir(dir)?;
        }
        let lock = take_lock(&dir.join(LOCK))?;
        let vault = Self { inner: Arc::new(Inner { dir: dir.to_owned(), lock, temporaries: AtomicU64::new(0) }) };
        if vault.inner.lock.is_some() {
            vault.sweep()?;
        }
        Ok(vault)
    }

    /// The folder that paths of artifacts are relative to.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.inner.dir
    }

    /// Part of an artifact's bytes: at most `bytes_max` and [`READ_BYTES_MAX`] of them, from `offset` on. An artifact
    /// read whole is compared with its checksum.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Damaged`]; else see [`Error`].
    pub fn read(&self, digest: Digest, offset: u64, bytes_max: u64) -> Result<Vec<u8>, Error> {
        let path = self.object_path(digest);
        let mut file = self.open_file(digest)?;
        let failed = |error| Error::io("reading", &path, error);
        let total = file.metadata().map_err(failed)?.len();
        file.seek(SeekFrom::Start(offset)).map_err(failed)?;
        let mut bytes = Vec::new();
        file.take(bytes_max.min(READ_BYTES_MAX)).read_to_end(&mut bytes).map_err(failed)?;
        let whole = offset == 0 && u64::try_from(bytes.len()).is_ok_and(|read| read == total);
        if whole && Digest::of(&bytes) != digest {
            return Err(Error::Damaged { path });
        }
        Ok(bytes)
    }

    /// An artifact's file, opened for reading.
    ///
    /// # Errors
    /// [`Error::NotFound`]; else see [`Error`].
    pub fn open_file(&self, digest: Digest) -> Result<File, Error> {
        let path = self.object_path(digest);
        File::open(&path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => Error::NotFound { digest },
            _ => Error::io("opening", &path, error),
        })
    }

    pub(super) fn object_path(&self, digest: Digest) -> PathBuf {
        self.inner.dir.join(object_name(digest))
    }

    /// A path that no other file of this vault has.
    pub(super) fn temporary_path(&self) -> PathBuf {
        let number = self.inner.temporaries.fetch_add(1, Ordering::Relaxed);
        self.inner.dir.join(TEMPORARY).join(format!("{}-{number}", std::process::id()))
    }

    fn sweep(&self) -> Result<(), Error> {
        let dir = self.inner.dir.join(TEMPORARY);
        for entry in std::fs::read_dir(&dir).map_err(|error| Error::io("reading", &dir, error))? {
            let path = entry.map_err(|error| Error::io("reading", &dir, error))?.path();
            std::fs::remove_file(&path).map_err(|error| Error::io("removing", &path, error))?;
        }
        Ok(())
    }
}

/// `objects/ab/cdef…`
pub(super) fn object_name(digest: Digest) -> PathBuf {
    let hex = digest.hex();
    let (first, rest) = hex.split_at(2);
    [OBJECTS, first, rest].iter().collect()
}

/// Makes a directory and those above it, each durably.
pub(super) fn make_dir(dir: &Path) -> Result<(), Error> {
    if dir.is_dir() {
        return Ok(());
    }
    let above = dir.parent().filter(|above| !above.as_os_str().is_empty());
    above.map_or(Ok(()), make_dir)?;
    match DirBuilder::new().mode(0o700).create(dir) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(Error::io("making", dir, error)),
        // Somebody else may have made it at the same time and not have synced it yet.
        _ => above.map_or(Ok(()), sync_dir),
    }
}

/// Makes the names in a directory durable.
pub(super) fn sync_dir(dir: &Path) -> Result<(), Error> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(|error| Error::io("syncing", dir, error))
}

fn take_lock(path: &Path) -> Result<Option<File>, Error> {
    let mut options = OpenOptions::new();
    let file = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
    let file = file.map_err(|error| Error::io("opening", path, error))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(std::fs::TryLockError::WouldBlock) => Ok(None),
        Err(std::fs::TryLockError::Error(error)) => Err(Error::io("locking", path, error)),
    }
}
