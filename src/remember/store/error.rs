//! Ways in which the store can fail, each saying what happened, where, and what to do next.
//!
//! [`Error`] is what callers see and holds no SQL type; [`Trouble`] is what happens inside, before it is known which
//! file it happened in.

use std::fmt;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

/// Why the store could not do what it was asked to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error(
        "the state directory {} is in use by another daemon{}; stop that one, or start this one with another --state",
        dir.display(), holder.as_ref().map(|holder| format!(" ({holder})")).unwrap_or_default()
    )]
    Locked { dir: PathBuf, holder: Option<String> },
    #[error(
        "{} has schema {found}, this program knows schemas up to {known}; use the newer program that wrote it, or another --state",
        path.display()
    )]
    Newer { path: PathBuf, found: i64, known: i64 },
    #[error(
        "{} has schema {found}, this program reads schema {known}; start the daemon of this version once, it brings the file up to date",
        path.display()
    )]
    Older { path: PathBuf, found: i64, known: i64 },
    #[error("{} is a database of another program; choose another --state", path.display())]
    Foreign { path: PathBuf },
    #[error(
        "{} is damaged ({detail}); stop the daemon, move the file away or put a backup in its place, and start again: \
         history is lost without a backup, desired state is not",
        path.display()
    )]
    Corrupt { path: PathBuf, detail: String },
    #[error("{} cannot be written ({detail}); check the owner and mode of its folder, and whether the file system is mounted read-only", path.display())]
    ReadOnly { path: PathBuf, detail: String },
    #[error("there is no room left for {}; free some disk space, writing goes on by itself then", path.display())]
    Full { path: PathBuf },
    #[error("{what} {} failed: {detail}", path.display())]
    Io { what: &'static str, path: PathBuf, detail: String },
    #[error("{} already exists; choose another name, nothing is overwritten", path.display())]
    Exists { path: PathBuf },
    #[error("no {what} `{id}` is known")]
    NotFound { what: &'static str, id: String },
    #[error("{what} `{id}` {state}")]
    Conflict { what: &'static str, id: String, state: String },
    #[error("{what} has {found} bytes, at most {max} are kept")]
    TooLarge { what: &'static str, found: usize, max: usize },
    #[error("`{0}` is not a cursor of this list; take the `next` of an earlier answer, or leave it out")]
    BadCursor(String),
    #[error("a stored {what} cannot be understood in {} ({detail}); it was written by another version, or the file is damaged", path.display())]
    Value { what: &'static str, path: PathBuf, detail: String },
    #[error("the store failed inside at {}: {detail}", path.display())]
    Internal { path: PathBuf, detail: String },
    #[error("the store is closed; the daemon is shutting down")]
    Closed,
}

impl Error {
    /// True when it is the machine's fault and not the request's: such errors are what `Store::health` shows.
    #[must_use]
    pub fn is_environmental(&self) -> bool {
        match self {
            Self::Corrupt { .. } | Self::ReadOnly { .. } | Self::Full { .. } | Self::Io { .. } => true,
            Self::Locked { .. }
            | Self::Newer { .. }
            | Self::Older { .. }
            | Self::Foreign { .. }
            | Self::Exists { .. }
            | Self::NotFound { .. }
            | Self::Conflict { .. }
            | Self::TooLarge { .. }
            | Self::BadCursor(_)
            | Self::Value { .. }
            | Self::Internal { .. }
            | Self::Closed => false,
        }
    }

    /// An error of the file system, typed by what it means.
    pub(super) fn io(what: &'static str, path: &Path, error: &std::io::Error) -> Self {
        use std::io::ErrorKind;
        let path = path.to_owned();
        match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Self::Full { path },
            ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied => {
                Self::ReadOnly { path, detail: error.to_string() }
            }
            ErrorKind::AlreadyExists => Self::Exists { path },
            _ => Self::Io { what, path, detail: error.to_string() },
        }
    }
}

/// What goes wrong inside, before it is known in which file.
#[derive(Debug)]
pub(super) enum Trouble {
    Sql(rusqlite::Error),
    Value { what: &'static str, detail: String },
    Said(Error),
}

impl Trouble {
    pub(super) fn value(what: &'static str, detail: impl fmt::Display) -> Self {
        Self::Value { what, detail: detail.to_string() }
    }

    pub(super) fn not_found(what: &'static str, id: &str) -> Self {
        Self::Said(Error::NotFound { what, id: crate::core::text::shorten(id, 120) })
    }

    pub(super) fn conflict(what: &'static str, id: &str, state: impl Into<String>) -> Self {
        Self::Said(Error::Conflict { what, id: crate::core::text::shorten(id, 120), state: state.into() })
    }

    /// The error as callers see it, for the database at `path`.
    pub(super) fn at(self, path: &Path) -> Error {
        let path = path.to_owned();
        match self {
            Self::Said(error) => error,
            Self::Value { what, detail } => Error::Value { what, path, detail },
            Self::Sql(error) => {
                let detail = error.to_string();
                match error.sqlite_error_code() {
                    Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Error::Corrupt { path, detail },
                    Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
                        Error::ReadOnly { path, detail }
                    }
                    Some(ErrorCode::DiskFull) => Error::Full { path },
                    Some(ErrorCode::SystemIoFailure) => Error::Io { what: "using", path, detail },
                    _ => Error::Internal { path, detail },
                }
            }
        }
    }
}

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Said(error)
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    fn sqlite(code: i32) -> Error {
        Trouble::from(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None)).at(Path::new("/s/arcology.db"))
    }

    #[test]
    fn what_sqlite_says_is_told_by_what_it_means() {
        assert!(matches!(sqlite(ffi::SQLITE_FULL), Error::Full { .. }));
        assert!(matches!(sqlite(ffi::SQLITE_READONLY), Error::ReadOnly { .. }));
        assert!(matches!(sqlite(ffi::SQLITE_READONLY_DIRECTORY), Error::ReadOnly { .. }));
        assert!(matches!(sqlite(ffi::SQLITE_CANTOPEN), Error::ReadOnly { .. }));
        assert!(matches!(sqlite(ffi::SQLITE_CORRUPT), Error::Corrupt { .. }));
        assert!(matches!(sqlite(ffi::SQLITE_NOTADB), Error::Corrupt { .. }));
        assert!(matches!(sqlite(ffi::SQLITE_IOERR_FSYNC), Error::Io { .. }));
        assert!(matches!(sqlite(ffi::SQLITE_CONSTRAINT), Error::Internal { .. }));
    }

    #[test]
    fn every_environmental_error_names_the_file() {
        for code in [ffi::SQLITE_FULL, ffi::SQLITE_READONLY, ffi::SQLITE_CORRUPT, ffi::SQLITE_IOERR] {
            let error = sqlite(code);
            assert!(error.is_environmental(), "{error}");
            assert!(error.to_string().contains("/s/arcology.db"), "{error}");
        }
    }
}
