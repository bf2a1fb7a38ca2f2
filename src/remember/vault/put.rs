//! Bytes into the vault: temporary file, checksum on the way, sync, rename, sync of the folder. A name in `objects/` is
//! whole from the moment it exists.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{Read, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};

use crate::core::Digest;

use super::error::Error;
use super::handle::{Vault, make_dir, sync_dir};

/// The largest artifact in bytes, whatever a caller allows.
pub const ARTIFACT_BYTES_MAX: u64 = 64 << 30;
/// How much is read at once.
const BUFFER_BYTES: usize = 128 << 10;

impl Vault {
    /// Keeps what `from` gives, to its end, and says its digest and size. Content that is there already is not written
    /// again. When this returns, the content is on disk.
    ///
    /// # Errors
    /// [`Error::TooLarge`] beyond `bytes_max` or [`ARTIFACT_BYTES_MAX`], [`Error::Input`] when `from` fails,
    /// [`Error::Damaged`] when other content has its name; else see [`Error`]. Nothing is kept then.
    pub fn put(&self, from: impl Read, bytes_max: u64) -> Result<(Digest, u64), Error> {
        let staged = self.stage(from, bytes_max.min(ARTIFACT_BYTES_MAX))?;
        let (digest, bytes) = (staged.digest, staged.bytes);
        self.keep(&staged)?;
        Ok((digest, bytes))
    }

    /// Writes a temporary file and syncs it.
    fn stage(&self, mut from: impl Read, bytes_max: u64) -> Result<Staged, Error> {
        let mut temporary = Temporary::create(self.temporary_path())?;
        let mut hasher = Sha256::new();
        let mut buffer = vec![0; BUFFER_BYTES];
        let mut bytes = 0_u64;
        loop {
            let read = match from.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(source) => return Err(Error::Input { source }),
            };
            bytes = bytes.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
            if bytes > bytes_max {
                return Err(Error::TooLarge { what: "the artifact", max: bytes_max });
            }
            hasher.update(&buffer[..read]);
            temporary.write(&buffer[..read])?;
        }
        temporary.finish(0o400)?;
        Ok(Staged { temporary, digest: Digest::from_bytes(hasher.finalize().into()), bytes })
    }

    /// Gives a temporary file its name. The name is the checksum: what has it and the same length is the same, and is
    /// left alone.
    fn keep(&self, staged: &Staged) -> Result<(), Error> {
        let path = self.object_path(staged.digest);
        if path.symlink_metadata().is_err() {
            make_dir(path.parent().unwrap_or(self.dir()))?;
            if staged.temporary.rename_to_free(&path)? {
                return Ok(());
            }
        }
        let there = path.symlink_metadata().map_err(|error| Error::io("reading", &path, error))?;
        let same = there.is_file() && there.len() == staged.bytes;
        if same { Ok(()) } else { Err(Error::Damaged { path }) }
    }

    /// Writes a small file whole or not at all, in place of one that may be there.
    pub(super) fn write_whole(&self, path: &Path, bytes: &[u8]) -> Result<(), Error> {
        let mut temporary = Temporary::create(self.temporary_path())?;
        temporary.write(bytes)?;
        temporary.finish(0o600)?;
        temporary.rename(path)
    }
}

/// A temporary file whose content is complete and synced.
struct Staged {
    temporary: Temporary,
    digest: Digest,
    bytes: u64,
}

/// A file that is removed again unless it gets a name.
struct Temporary {
    path: PathBuf,
    file: File,
}

impl Temporary {
    fn create(path: PathBuf) -> Result<Self, Error> {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        match file {
            Ok(file) => Ok(Self { path, file }),
            Err(error) => Err(Error::io("making", &path, error)),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.file.write_all(bytes).map_err(|error| Error::io("writing", &self.path, error))
    }

    fn finish(&self, mode: u32) -> Result<(), Error> {
        let done = self.file.set_permissions(Permissions::from_mode(mode)).and_then(|()| self.file.sync_all());
        done.map_err(|error| Error::io("syncing", &self.path, error))
    }

    /// Takes a name that nobody has. False when somebody was quicker.
    fn rename_to_free(&self, path: &Path) -> Result<bool, Error> {
        match rustix::fs::renameat_with(CWD, &self.path, CWD, path, RenameFlags::NOREPLACE) {
            Ok(()) => path.parent().map_or(Ok(true), |dir| sync_dir(dir).map(|()| true)),
            Err(Errno::EXIST) => Ok(false),
            // A file system that cannot promise it. What a plain rename could replace has the same content.
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => self.rename(path).map(|()| true),
            Err(error) => Err(Error::io("naming", path, error.into())),
        }
    }

    fn rename(&self, path: &Path) -> Result<(), Error> {
        std::fs::rename(&self.path, path).map_err(|error| Error::io("naming", path, error))?;
        path.parent().map_or(Ok(()), sync_dir)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // Gone already when it got its name; else the next start sweeps what cannot be removed now.
        drop(std::fs::remove_file(&self.path));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(dir: &Path) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
        }
        found
    }

    fn content(dir: &Path) -> Vec<PathBuf> {
        files(dir).into_iter().filter(|path| path.file_name().is_some_and(|name| name != "vault.lock")).collect()
    }

    #[test]
    fn content_is_kept_once_under_its_checksum_and_read_only() {
        let dir = tempfile::tempdir().unwrap();
        let vault = Vault::open(dir.path()).unwrap();
        let (digest, bytes) = vault.put(&b"hello"[..], 100).unwrap();
        assert_eq!((digest, bytes), (Digest::of(b"hello"), 5));
        let written = std::fs::metadata(vault.object_path(digest)).unwrap().modified().unwrap();
        assert_eq!(vault.put(&b"hello"[..], 100).unwrap(), (digest, 5));
        assert_eq!(content(dir.path()), [vault.object_path(digest)]);
        let there = std::fs::metadata(vault.object_path(digest)).unwrap();
        assert_eq!((there.modified().unwrap(), there.permissions().mode() & 0o777), (written, 0o400));
        assert_eq!(vault.read(digest, 1, 3).unwrap(), b"ell");
        assert_eq!(vault.read(digest, 9, 3).unwrap(), b"");
    }

    #[test]
    fn what_is_too_large_or_breaks_off_leaves_nothing_behind() {
        struct Breaks(u32);
        impl Read for Breaks {
            fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
                self.0 += 1;
                if self.0 > 2 { Err(std::io::ErrorKind::ConnectionReset.into()) } else { Ok(buffer.len()) }
            }
        }
        let dir = tempfile::tempdir().unwrap();
        let vault = Vault::open(dir.path()).unwrap();
        assert!(matches!(vault.put(&b"hello"[..], 4), Err(Error::TooLarge { max: 4, .. })));
        assert!(vault.put(&b"hell"[..], 4).is_ok(), "the limit itself is allowed");
        assert!(matches!(vault.put(Breaks(0), 1 << 30), Err(Error::Input { .. })));
        assert_eq!(content(dir.path()).len(), 1);
    }

    #[test]
    fn a_crash_before_the_rename_leaves_no_artifact_and_the_next_start_sweeps() {
        let dir = tempfile::tempdir().unwrap();
        let vault = Vault::open(dir.path()).unwrap();
        let staged = vault.stage(&b"half-way"[..], 100).unwrap();
        let digest = staged.digest;
        std::mem::forget(staged);
        assert_eq!(content(dir.path()).len(), 1);
        assert!(matches!(vault.read(digest, 0, 100), Err(Error::NotFound { .. })));

        let second = Vault::open(dir.path()).unwrap();
        assert_eq!(content(dir.path()).len(), 1, "somebody else has it open, so it may be theirs");
        drop((vault, second));
        let vault = Vault::open(dir.path()).unwrap();
        assert_eq!(content(dir.path()), Vec::<PathBuf>::new());
        assert!(vault.put(&b"half-way"[..], 100).is_ok());
    }

    #[test]
    fn other_content_under_its_name_is_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let vault = Vault::open(dir.path()).unwrap();
        let path = vault.object_path(Digest::of(b"hello"));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, "something else").unwrap();
        assert!(matches!(vault.put(&b"hello"[..], 100), Err(Error::Damaged { .. })));
        assert_eq!(std::fs::read(&path).unwrap(), b"something else");
        assert!(matches!(vault.read(Digest::of(b"hello"), 0, 100), Err(Error::Damaged { .. })));
    }
}
