//! Online copies of the database: complete, consistent, and never in the way of the writer.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};

use super::error::{Error, Trouble};
use super::handle::Store;

/// Copies every page that is left in one step. In a write-ahead log a reader does not hold up the writer, and a copy made
/// in one step never has to begin again.
const ALL_PAGES: i32 = -1;

impl Store {
    /// Writes a copy of the database, as it is now, to a new file at `path` with mode 0600. It appears there whole or not
    /// at all.
    ///
    /// # Errors
    /// [`Error::Exists`] when there is something at `path`; else see [`Error`].
    pub async fn backup(&self, path: &Path) -> Result<(), Error> {
        let path = path.to_owned();
        self.read(move |conn| Ok(copy(conn, &path)?)).await
    }
}

fn copy(conn: &Connection, path: &Path) -> Result<(), Error> {
    if path.symlink_metadata().is_ok() {
        return Err(Error::Exists { path: path.to_owned() });
    }
    let part = part_path(path);
    let made = fill(conn, &part).and_then(|()| name(&part, path));
    // The copy has its name now, or is of no use.
    drop(std::fs::remove_file(&part));
    made?;
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(|error| Error::io("syncing", dir, &error))
}

/// A link, unlike a rename, never replaces what came there meanwhile; where there are no links, a rename must do.
fn name(part: &Path, path: &Path) -> Result<(), Error> {
    match std::fs::hard_link(part, path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => std::fs::rename(part, path),
        linked => linked,
    }
    .map_err(|error| Error::io("naming", path, &error))
}

fn fill(conn: &Connection, part: &Path) -> Result<(), Error> {
    let mut options = OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600).open(part);
    let file = file.map_err(|error| Error::io("making", part, &error))?;
    let fill = || -> Result<(), Trouble> {
        let mut to = Connection::open(part)?;
        {
            let backup = Backup::new(conn, &mut to)?;
            match backup.step(ALL_PAGES)? {
                StepResult::Done => {}
                step => return Err(Trouble::value("backup", format!("it stopped half-way ({step:?})"))),
            }
        }
        // One file, without a write-ahead log beside it.
        let _mode: String = to.query_row("PRAGMA journal_mode = DELETE", [], |row| row.get(0))?;
        Ok(())
    };
    fill().map_err(|trouble| trouble.at(part))?;
    file.sync_all().map_err(|error| Error::io("syncing", part, &error))
}

fn part_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.part", std::process::id()));
    PathBuf::from(name)
}
