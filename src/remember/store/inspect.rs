//! Looking a closed store over without changing a byte: whose it is, its schema, whether it is sound.
//!
//! SQLite makes files beside a database with a write-ahead log even for readers, unless it is told that nobody writes. So
//! this is only for a store that no daemon holds, and it leaves alone one whose log was not taken in.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::error::{Error, Trouble};
use super::migrate;
use super::place::DATABASE_FILE;

/// Databases up to this size are read through.
const CHECKED_BYTES_MAX: u64 = 1 << 30;

/// What a look found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inspected {
    /// There is no database yet.
    Absent,
    /// Its last daemon did not close it.
    Unfinished,
    /// Readable by this program; `whole` says whether it was read through.
    Sound { schema: i64, bytes: u64, whole: bool },
    /// Of an earlier version, which the next start brings up to date.
    Older { schema: i64, known: i64 },
}

/// Looks at the store in `dir`. Blocks. The caller has made sure that no daemon holds it.
///
/// # Errors
/// [`Error::Foreign`], [`Error::Newer`], [`Error::Corrupt`] and [`Error::Io`].
pub fn inspect(dir: &Path) -> Result<Inspected, Error> {
    let path = dir.join(DATABASE_FILE);
    let bytes = match path.metadata() {
        Ok(found) => found.len(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Inspected::Absent),
        Err(error) => return Err(Error::io("reading", &path, &error)),
    };
    let log = dir.join(format!("{DATABASE_FILE}-wal"));
    if bytes == 0 || log.metadata().is_ok_and(|log| log.len() > 0) {
        return Ok(if bytes == 0 { Inspected::Absent } else { Inspected::Unfinished });
    }
    // A first page that says otherwise is no database; SQLite finds that out at the first question.
    let conn = open(&path).map_err(|trouble| trouble.at(&path))?;
    match migrate::check(&conn, &path) {
        Ok(()) => {}
        Err(Error::Older { found, known, .. }) => return Ok(Inspected::Older { schema: found, known }),
        Err(error) => return Err(error),
    }
    let schema = conn.pragma_query_value(None, "user_version", |row| row.get(0));
    let schema: i64 = schema.map_err(|error| Trouble::from(error).at(&path))?;
    let whole = bytes <= CHECKED_BYTES_MAX;
    if whole {
        let said = conn.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0));
        let said = said.map_err(|error| Trouble::from(error).at(&path))?;
        if said != "ok" {
            return Err(Error::Corrupt { path, detail: crate::core::text::shorten(&said, 200) });
        }
    }
    Ok(Inspected::Sound { schema, bytes, whole })
}

fn open(path: &Path) -> Result<Connection, Trouble> {
    let mut address = String::from("file:");
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => address.push(char::from(*byte)),
            byte => address.push_str(&format!("%{byte:02X}")),
        }
    }
    address.push_str("?mode=ro&immutable=1");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Ok(Connection::open_with_flags(address, flags)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remember::store::testing;

    fn names(dir: &Path) -> Vec<std::ffi::OsString> {
        let mut names: Vec<_> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    }

    #[tokio::test]
    async fn a_closed_store_is_read_and_not_a_byte_of_it_changes() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("a b%");
        std::fs::create_dir(&dir).unwrap();
        assert_eq!(inspect(&dir), Ok(Inspected::Absent));
        let store = testing::open(&dir);
        store.close().await;
        drop(store);
        let (before, listed) = (std::fs::read(dir.join(DATABASE_FILE)).unwrap(), names(&dir));
        assert!(matches!(inspect(&dir), Ok(Inspected::Sound { whole: true, .. })), "{:?}", inspect(&dir));
        assert_eq!((std::fs::read(dir.join(DATABASE_FILE)).unwrap(), names(&dir)), (before, listed));
    }

    #[test]
    fn what_is_no_store_of_ours_is_told_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let database = dir.path().join(DATABASE_FILE);
        std::fs::write(&database, "not a database at all, but long enough to be one").unwrap();
        assert!(matches!(inspect(dir.path()), Err(Error::Corrupt { .. })), "{:?}", inspect(dir.path()));
        std::fs::remove_file(&database).unwrap();
        Connection::open(&database).unwrap().execute_batch("CREATE TABLE recipes (x)").unwrap();
        assert!(matches!(inspect(dir.path()), Err(Error::Foreign { .. })));
        std::fs::write(dir.path().join(format!("{DATABASE_FILE}-wal")), "x").unwrap();
        assert_eq!(inspect(dir.path()), Ok(Inspected::Unfinished));
    }
}
