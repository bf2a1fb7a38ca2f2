//! Ways in which the vault can fail, each saying what happened, where, and what to do next.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::core::Digest;

/// Why the vault could not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("there is no room left for {}; free some disk space", path.display())]
    Full { path: PathBuf },
    #[error("{} cannot be written ({detail}); check the owner and mode of its folder, and whether the file system is mounted read-only", path.display())]
    ReadOnly { path: PathBuf, detail: String },
    #[error("{what} {} failed", path.display())]
    Io { what: &'static str, path: PathBuf, source: std::io::Error },
    #[error("what should be kept could not be read to its end")]
    Input { source: std::io::Error },
    #[error("{what} has more than {max} bytes, which is the most that is kept")]
    TooLarge { what: &'static str, max: u64 },
    #[error("no artifact {digest} is in the vault")]
    NotFound { digest: Digest },
    #[error("{} is damaged: its content is not what its name says; restore it from a backup", path.display())]
    Damaged { path: PathBuf },
    #[error("`{task}` cannot be the name of a folder; task ids are made of letters, digits, `-`, `_` and `.`")]
    BadTask { task: String },
    #[error("{} and {tried} numbered names after it are taken; remove some", path.display())]
    NoName { path: PathBuf, tried: u32 },
}

impl Error {
    /// An error of the file system, typed by what it means.
    pub(super) fn io(what: &'static str, path: &Path, source: std::io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Self::Full { path },
            ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied => {
                Self::ReadOnly { path, detail: source.to_string() }
            }
            _ => Self::Io { what, path, source },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_and_a_read_only_one_are_told_apart_and_named() {
        let path = Path::new("/vault/tmp/1");
        for (kind, words) in [
            (ErrorKind::StorageFull, "no room left for /vault/tmp/1"),
            (ErrorKind::QuotaExceeded, "no room left for /vault/tmp/1"),
            (ErrorKind::ReadOnlyFilesystem, "/vault/tmp/1 cannot be written"),
            (ErrorKind::PermissionDenied, "/vault/tmp/1 cannot be written"),
            (ErrorKind::Interrupted, "writing /vault/tmp/1 failed"),
        ] {
            let error = Error::io("writing", path, kind.into()).to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
