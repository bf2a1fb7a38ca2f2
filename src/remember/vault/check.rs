//! Looking the vault through: checksums compared, and the catalogue read back from the sidecars.

use std::fs::{DirEntry, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::core::Digest;
use crate::remember::store::row::ArtifactRow;

use super::error::Error;
use super::handle::{OBJECTS, RUNS, Vault};
use super::lineage::Lineage;
use super::name::SIDECAR_ENDING;
use super::publish::LINEAGE_BYTES_MAX;

/// How much is read at once.
const BUFFER_BYTES: usize = 128 << 10;

/// Something in the vault that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Relative to the vault.
    pub path: PathBuf,
    /// What is wrong, and where it matters what to do.
    pub message: String,
}

/// What [`Vault::verify`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Objects read and compared.
    pub objects: u64,
    pub bytes: u64,
    /// Sorted by path; empty when all is well.
    pub problems: Vec<Problem>,
}

/// What [`Vault::rebuild`] found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rebuilt {
    /// Oldest first: recording them in this order gives lists their order back.
    pub rows: Vec<ArtifactRow>,
    /// Sidecars that give no row, sorted by path.
    pub problems: Vec<Problem>,
}

impl Vault {
    /// Rereads every object and compares it with its name, and checks that every readable name has a lineage and leads to
    /// an object. Takes as long as reading the whole vault does.
    ///
    /// # Errors
    /// See [`Error`]: when folders cannot be listed. A file that cannot be read is a problem in the report.
    pub fn verify(&self) -> Result<Report, Error> {
        let mut report = Report::default();
        for path in self.object_files()? {
            match digest_of(&path) {
                Ok((digest, bytes)) => {
                    report.objects += 1;
                    report.bytes += bytes;
                    if path != self.object_path(digest) {
                        let message = format!("its content is {digest}; restore it from a backup");
                        report.problems.push(self.problem(&path, message));
                    }
                }
                Err(error) => report.problems.push(self.problem(&path, format!("it cannot be read: {error}"))),
            }
        }
        for path in self.run_files()? {
            report.problems.extend(self.view_problem(&path));
        }
        report.problems.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(report)
    }

    /// Reads the catalogue back from the sidecars. Bytes are not compared; [`Vault::verify`] does that.
    ///
    /// # Errors
    /// See [`Error`]: when folders cannot be listed. A sidecar that cannot be used is a problem in the answer.
    pub fn rebuild(&self) -> Result<Rebuilt, Error> {
        let mut rebuilt = Rebuilt::default();
        for sidecar in self.run_files()? {
            if let Some(view) = view_of(&sidecar) {
                match self.row_of(&sidecar, &view) {
                    Ok(row) => rebuilt.rows.push(row),
                    Err(message) => rebuilt.problems.push(self.problem(&sidecar, message)),
                }
            }
        }
        rebuilt.rows.sort_by(|a, b| (a.created_at, &a.path).cmp(&(b.created_at, &b.path)));
        rebuilt.problems.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(rebuilt)
    }

    /// What the sidecar says, as far as the files bear it out. Its path is where it lies, whatever it says.
    fn row_of(&self, sidecar: &Path, view: &Path) -> Result<ArtifactRow, String> {
        let text = read_bounded(sidecar)?;
        let value: serde_json::Value =
            serde_json::from_str(&text).map_err(|error| format!("it is no JSON: {error}"))?;
        let lineage: Lineage =
            serde_json::from_value(value.clone()).map_err(|error| format!("it is no lineage: {error}"))?;
        let identity = lineage.artifact.ok_or("it does not say which artifact it is about")?;
        let object =
            self.object_path(identity.sha256).metadata().map_err(|_| format!("{} is missing", identity.sha256))?;
        let path = view.strip_prefix(self.dir()).unwrap_or(view).to_str().ok_or("its path is not UTF-8")?.to_owned();
        let folder = view.parent().and_then(Path::file_name).and_then(|name| name.to_str());
        let task = lineage.task.or_else(|| folder.map(str::to_owned)).unwrap_or_default();
        Ok(ArtifactRow {
            sha256: identity.sha256,
            bytes: object.len(),
            kind: identity.kind,
            path,
            task,
            created_at: identity.created_at,
            lineage: value,
        })
    }

    fn view_problem(&self, path: &Path) -> Option<Problem> {
        if let Some(view) = view_of(path) {
            let lonely = view.symlink_metadata().is_err();
            return lonely.then(|| self.problem(path, "its artifact has no readable name any more".to_owned()));
        }
        if path.metadata().is_err() {
            return Some(self.problem(path, "it leads nowhere: the object is missing".to_owned()));
        }
        let mut sidecar = path.as_os_str().to_owned();
        sidecar.push(SIDECAR_ENDING);
        let explained = Path::new(&sidecar).is_file();
        (!explained).then(|| self.problem(path, "it has no lineage beside it".to_owned()))
    }

    fn problem(&self, path: &Path, message: String) -> Problem {
        Problem { path: path.strip_prefix(self.dir()).unwrap_or(path).to_owned(), message }
    }

    fn object_files(&self) -> Result<Vec<PathBuf>, Error> {
        below(vec![self.dir().join(OBJECTS)], 1)
    }

    fn run_files(&self) -> Result<Vec<PathBuf>, Error> {
        below(vec![self.dir().join(RUNS)], 2)
    }
}

/// What lies `levels` folders below; links to folders are not followed.
fn below(mut dirs: Vec<PathBuf>, levels: u32) -> Result<Vec<PathBuf>, Error> {
    for _ in 0..levels {
        let mut deeper = Vec::new();
        for dir in &dirs {
            let is_dir = |entry: &DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
            deeper.extend(list(dir)?.iter().filter(|entry| is_dir(entry)).map(DirEntry::path));
        }
        dirs = deeper;
    }
    let mut files = Vec::new();
    for dir in &dirs {
        files.extend(list(dir)?.iter().map(DirEntry::path));
    }
    Ok(files)
}

fn list(dir: &Path) -> Result<Vec<DirEntry>, Error> {
    let entries = std::fs::read_dir(dir).and_then(Iterator::collect);
    entries.map_err(|error| Error::io("listing", dir, error))
}

/// The readable name that a sidecar belongs to; none when it is no sidecar.
fn view_of(path: &Path) -> Option<PathBuf> {
    let name = path.file_name()?.to_str()?;
    Some(path.with_file_name(name.strip_suffix(SIDECAR_ENDING)?))
}

fn read_bounded(path: &Path) -> Result<String, String> {
    let failed = |error: std::io::Error| format!("it cannot be read: {error}");
    let mut text = String::new();
    File::open(path).map_err(failed)?.take(LINEAGE_BYTES_MAX + 1).read_to_string(&mut text).map_err(failed)?;
    let fits = u64::try_from(text.len()).is_ok_and(|bytes| bytes <= LINEAGE_BYTES_MAX);
    if fits { Ok(text) } else { Err(format!("it is longer than {LINEAGE_BYTES_MAX} bytes")) }
}

fn digest_of(path: &Path) -> std::io::Result<(Digest, u64)> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut bytes = 0_u64;
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok((Digest::from_bytes(hasher.finalize().into()), bytes)),
            read => {
                hasher.update(&buffer[..read]);
                bytes += u64::try_from(read).unwrap_or(u64::MAX);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::core::Timestamp;

    fn at(second: u32) -> Timestamp {
        format!("2026-11-21T10:00:{second:02}Z").parse().unwrap()
    }

    /// A vault with the artifacts `0.md`, `1.md`… of one task, and their rows.
    fn filled(dir: &Path, count: u32) -> (Vault, Vec<ArtifactRow>) {
        let vault = Vault::open(dir).unwrap();
        let publish = |n: u32| {
            let (digest, _) = vault.put(format!("content {n}").as_bytes(), 100).unwrap();
            let lineage = Lineage { prompt: Some(format!("prompt {n}")), ..Lineage::default() };
            vault.publish(at(n), "task-1", &format!("{n}.md"), None, digest, &lineage).unwrap().row
        };
        let rows = (0..count).map(publish).collect();
        (vault, rows)
    }

    fn overwrite(path: &Path, bytes: &[u8]) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    #[test]
    fn a_sound_vault_has_nothing_to_report() {
        let dir = tempfile::tempdir().unwrap();
        let (vault, _) = filled(dir.path(), 3);
        assert_eq!(vault.verify().unwrap(), Report { objects: 3, bytes: 27, problems: Vec::new() });
    }

    #[test]
    fn a_flipped_bit_is_found_and_named() {
        let dir = tempfile::tempdir().unwrap();
        let (vault, rows) = filled(dir.path(), 3);
        let path = vault.object_path(rows[1].sha256);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[3] ^= 0x10;
        overwrite(&path, &bytes);
        let report = vault.verify().unwrap();
        assert_eq!(report.problems.len(), 1, "{report:?}");
        assert_eq!(dir.path().join(&report.problems[0].path), path);
        assert!(report.problems[0].message.contains(&Digest::of(&bytes).to_string()));
        assert!(matches!(vault.read(rows[1].sha256, 0, 100), Err(Error::Damaged { .. })));
        assert!(vault.read(rows[0].sha256, 0, 100).is_ok());
    }

    #[test]
    fn missing_and_unexplained_files_are_found() {
        let dir = tempfile::tempdir().unwrap();
        let (vault, rows) = filled(dir.path(), 2);
        std::fs::remove_file(dir.path().join(format!("{}.lineage.json", rows[0].path))).unwrap();
        std::fs::remove_file(dir.path().join(&rows[1].path)).unwrap();
        let problems = vault.verify().unwrap().problems;
        let found: Vec<_> = problems.iter().map(|p| (p.path.to_str().unwrap(), p.message.as_str())).collect();
        let expected = [
            ("runs/2026-11-21/task-1/0.md", "it has no lineage beside it"),
            ("runs/2026-11-21/task-1/1.md.lineage.json", "its artifact has no readable name any more"),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn the_catalogue_is_read_back_as_it_was_in_the_order_it_was_made() {
        let dir = tempfile::tempdir().unwrap();
        let (vault, rows) = filled(dir.path(), 12);
        assert_eq!(vault.rebuild().unwrap(), Rebuilt { rows, problems: Vec::new() });
    }

    #[test]
    fn a_sidecar_that_is_broken_lies_or_lost_its_object_gives_no_row_and_stops_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let (vault, rows) = filled(dir.path(), 4);
        let sidecar = |n: usize| dir.path().join(format!("{}.lineage.json", rows[n].path));
        std::fs::write(sidecar(0), "{").unwrap();
        std::fs::write(sidecar(1), "{}").unwrap();
        std::fs::remove_file(vault.object_path(rows[2].sha256)).unwrap();
        let rebuilt = vault.rebuild().unwrap();
        assert_eq!(rebuilt.rows, rows[3..]);
        let messages: Vec<_> = rebuilt.problems.iter().map(|problem| problem.message.as_str()).collect();
        assert!(messages[0].starts_with("it is no JSON"), "{messages:?}");
        assert_eq!(messages[1], "it does not say which artifact it is about");
        assert!(messages[2].ends_with("is missing"), "{messages:?}");
    }
}
