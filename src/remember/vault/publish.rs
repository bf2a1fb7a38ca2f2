//! A readable name for an artifact, and its lineage beside it.
//!
//! The name is a hard link to the object, or a symbolic one where `runs/` lies on another file system. The link comes
//! first, because making it claims the name; then the sidecar. Publishing the same content for the same task and name
//! again, after a crash in between, takes the same name and renews the sidecar.

use std::fs::Metadata;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::core::{Digest, Timestamp};
use crate::remember::store::row::ArtifactRow;

use super::error::Error;
use super::handle::{RUNS, Vault, make_dir, object_name, sync_dir};
use super::lineage::{Identity, Lineage};
use super::name;

/// How many numbered names are tried when a name is taken.
const NUMBERS_MAX: u32 = 1_000;
/// The longest lineage in bytes.
pub(super) const LINEAGE_BYTES_MAX: u64 = 8 << 20;

/// An artifact that has its name.
#[derive(Clone, Debug, PartialEq)]
pub struct Published {
    /// The row to record; its `path` is relative to the vault.
    pub row: ArtifactRow,
    pub link: Link,
}

/// How a readable name leads to the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    Hard,
    /// `runs/` lies on another file system, or on one without hard links.
    Symbolic,
}

impl Vault {
    /// Gives an artifact that was [put](Vault::put) its name under `runs/<UTC date of at>/<task>/` and writes its lineage
    /// beside it. A name that is not fit for a file is made so; one that is taken gets a number. Without a `kind` the
    /// name's ending tells it. When this returns, both are on disk.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the content is not in the vault, [`Error::BadTask`], [`Error::NoName`],
    /// [`Error::TooLarge`] for a lineage; else see [`Error`].
    pub fn publish(
        &self,
        at: Timestamp,
        task: &str,
        name: &str,
        kind: Option<&str>,
        digest: Digest,
        lineage: &Lineage,
    ) -> Result<Published, Error> {
        if !name::is_folder(task) {
            return Err(Error::BadTask { task: crate::core::text::shorten(task, 120) });
        }
        let file = self.open_file(digest)?;
        let object = file.metadata().map_err(|error| Error::io("reading", &self.object_path(digest), error))?;
        let fit = name::file_name(name);
        let kind = kind.map_or_else(|| name::kind(&fit), str::to_owned);
        let identity = Identity { name: name.to_owned(), kind, sha256: digest, bytes: object.len(), created_at: at };
        let (lineage, text) = sidecar(lineage, task, &identity)?;

        let date = at.to_zoned(jiff::tz::TimeZone::UTC).date().to_string();
        let folder: PathBuf = [RUNS, &date, task].iter().collect();
        let dir = self.dir().join(&folder);
        make_dir(&dir)?;
        let (taken, link) = self.claim(&dir, &fit, digest, &object)?;
        self.write_whole(&dir.join(format!("{taken}{}", name::SIDECAR_ENDING)), text.as_bytes())?;
        sync_dir(&dir)?;

        let path = format!("{RUNS}/{date}/{task}/{taken}");
        let Identity { kind, sha256, bytes, created_at, .. } = identity;
        let row = ArtifactRow { sha256, bytes, kind, path, task: task.to_owned(), created_at, lineage };
        Ok(Published { row, link })
    }

    /// Links the object under the first of `name`, `name-2`, … that is free or leads to it already.
    fn claim(&self, dir: &Path, name: &str, digest: Digest, object: &Metadata) -> Result<(String, Link), Error> {
        for number in 1..=NUMBERS_MAX {
            let tried = if number == 1 { name.to_owned() } else { name::numbered(name, number) };
            let path = dir.join(&tried);
            match self.link(&path, digest) {
                Ok(link) => return Ok((tried, link)),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                    if let Some(link) = leads_to(&path, object) {
                        return Ok((tried, link));
                    }
                }
                Err(error) => return Err(Error::io("linking", &path, error)),
            }
        }
        Err(Error::NoName { path: dir.join(name), tried: NUMBERS_MAX - 1 })
    }

    fn link(&self, path: &Path, digest: Digest) -> std::io::Result<Link> {
        match std::fs::hard_link(self.object_path(digest), path) {
            Ok(()) => Ok(Link::Hard),
            // EMLINK, EXDEV, and what file systems without hard links answer.
            Err(error) if may_need_symlink(error.kind()) => self.symlink(path, digest).map(|()| Link::Symbolic),
            Err(error) => Err(error),
        }
    }

    /// A relative link where it leads to the object, so that the vault can be moved; an absolute one where `runs/` is
    /// itself a link to elsewhere.
    fn symlink(&self, path: &Path, digest: Digest) -> std::io::Result<()> {
        // From runs/<date>/<task>/ up to the vault.
        std::os::unix::fs::symlink(Path::new("../../..").join(object_name(digest)), path)?;
        if path.metadata().is_ok() {
            return Ok(());
        }
        std::fs::remove_file(path)?;
        std::os::unix::fs::symlink(self.object_path(digest).canonicalize()?, path)
    }
}

fn may_need_symlink(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::CrossesDevices | ErrorKind::TooManyLinks | ErrorKind::Unsupported | ErrorKind::PermissionDenied
    )
}

/// How `path` leads to the object with this metadata, if it does.
fn leads_to(path: &Path, object: &Metadata) -> Option<Link> {
    let own = path.symlink_metadata().ok()?;
    let target = path.metadata().ok()?;
    let same = target.dev() == object.dev() && target.ino() == object.ino();
    same.then_some(if own.is_symlink() { Link::Symbolic } else { Link::Hard })
}

/// The lineage with the artifact's identity and task filled in, as a value and as the text of its file.
fn sidecar(lineage: &Lineage, task: &str, identity: &Identity) -> Result<(serde_json::Value, String), Error> {
    let (artifact, task) = (Some(identity.clone()), Some(task.to_owned()));
    let lineage = Lineage { artifact, task, ..lineage.clone() };
    // The text from the struct, not from the value, keeps the order in which people read it.
    let made = serde_json::to_string_pretty(&lineage).and_then(|text| Ok((serde_json::to_value(&lineage)?, text)));
    let (value, text) = made.map_err(|error| Error::Input { source: error.into() })?;
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > LINEAGE_BYTES_MAX {
        return Err(Error::TooLarge { what: "the lineage", max: LINEAGE_BYTES_MAX });
    }
    Ok((value, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TASK: &str = "task-1";

    fn at() -> Timestamp {
        "2026-11-21T23:59:59Z".parse().unwrap()
    }

    fn vault(dir: &Path) -> (Vault, Digest) {
        let vault = Vault::open(dir).unwrap();
        let (digest, _) = vault.put(&b"hello"[..], 100).unwrap();
        (vault, digest)
    }

    fn lineage() -> Lineage {
        Lineage { capability: Some("text.summarize".to_owned()), ..Lineage::default() }
    }

    #[test]
    fn a_published_artifact_can_be_read_under_its_name_and_explains_itself() {
        let dir = tempfile::tempdir().unwrap();
        let (vault, digest) = vault(dir.path());
        let published = vault.publish(at(), TASK, "brief.MD", None, digest, &lineage()).unwrap();
        assert_eq!(published.link, Link::Hard);
        let row = published.row;
        assert_eq!((row.path.as_str(), row.kind.as_str(), row.bytes), ("runs/2026-11-21/task-1/brief.MD", "md", 5));
        assert_eq!(std::fs::read(dir.path().join(&row.path)).unwrap(), b"hello");
        let sidecar = std::fs::read_to_string(dir.path().join("runs/2026-11-21/task-1/brief.MD.lineage.json")).unwrap();
        assert_eq!(serde_json::from_str::<serde_json::Value>(&sidecar).unwrap(), row.lineage);
        insta::assert_snapshot!(sidecar, @r#"
        {
          "artifact": {
            "name": "brief.MD",
            "kind": "md",
            "sha256": "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
            "bytes": 5,
            "created_at": "2026-11-21T23:59:59Z"
          },
          "task": "task-1",
          "capability": "text.summarize"
        }
        "#);
    }

    #[test]
    fn a_name_that_is_taken_gets_a_number_and_the_same_content_the_same_name() {
        let dir = tempfile::tempdir().unwrap();
        let (vault, first) = vault(dir.path());
        let (second, _) = vault.put(&b"other"[..], 100).unwrap();
        let path = |digest| vault.publish(at(), TASK, "brief.md", None, digest, &lineage()).unwrap().row.path;
        assert_eq!(path(first), "runs/2026-11-21/task-1/brief.md");
        assert_eq!(path(second), "runs/2026-11-21/task-1/brief-2.md");
        assert_eq!(path(first), "runs/2026-11-21/task-1/brief.md");
        assert_eq!(path(second), "runs/2026-11-21/task-1/brief-2.md");
        assert_eq!(std::fs::read(dir.path().join("runs/2026-11-21/task-1/brief-2.md")).unwrap(), b"other");
    }

    #[test]
    fn a_crash_between_link_and_lineage_is_mended_by_publishing_again() {
        let dir = tempfile::tempdir().unwrap();
        let (vault, digest) = vault(dir.path());
        let first = vault.publish(at(), TASK, "brief.md", None, digest, &lineage()).unwrap();
        let sidecar = dir.path().join("runs/2026-11-21/task-1/brief.md.lineage.json");
        std::fs::remove_file(&sidecar).unwrap();
        assert_eq!(vault.publish(at(), TASK, "brief.md", None, digest, &lineage()).unwrap(), first);
        assert!(sidecar.is_file());
    }

    #[test]
    fn hostile_names_and_tasks_stay_in_the_vault() {
        let dir = tempfile::tempdir().unwrap();
        let (vault, digest) = vault(dir.path());
        let published = vault.publish(at(), TASK, "../../../evil.md", None, digest, &lineage()).unwrap();
        assert_eq!(published.row.path, "runs/2026-11-21/task-1/_.._.._evil.md");
        let refused = vault.publish(at(), "../..", "a.md", None, digest, &lineage());
        assert!(matches!(refused, Err(Error::BadTask { .. })), "{refused:?}");
        let unknown = vault.publish(at(), TASK, "a.md", None, Digest::of(b"?"), &lineage());
        assert!(matches!(unknown, Err(Error::NotFound { .. })), "{unknown:?}");
    }

    #[test]
    fn what_leads_to_the_object_by_a_symbolic_link_is_recognised() {
        let dir = tempfile::tempdir().unwrap();
        let (vault, digest) = vault(dir.path());
        let folder = dir.path().join("runs/2026-11-21/task-1");
        make_dir(&folder).unwrap();
        vault.symlink(&folder.join("brief.md"), digest).unwrap();
        assert!(std::fs::read_link(folder.join("brief.md")).unwrap().is_relative());
        let published = vault.publish(at(), TASK, "brief.md", None, digest, &lineage()).unwrap();
        assert_eq!((published.link, published.row.path.as_str()), (Link::Symbolic, "runs/2026-11-21/task-1/brief.md"));
        assert_eq!(std::fs::read(folder.join("brief.md")).unwrap(), b"hello");
        for kind in [ErrorKind::CrossesDevices, ErrorKind::TooManyLinks, ErrorKind::PermissionDenied] {
            assert!(may_need_symlink(kind));
        }
        assert!(!may_need_symlink(ErrorKind::AlreadyExists) && !may_need_symlink(ErrorKind::StorageFull));
    }

    #[test]
    fn a_symbolic_link_leads_to_the_object_even_where_runs_is_elsewhere() {
        let (dir, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::os::unix::fs::symlink(elsewhere.path(), dir.path().join(RUNS)).unwrap();
        let (vault, digest) = vault(dir.path());
        let folder = dir.path().join("runs/2026-11-21/task-1");
        make_dir(&folder).unwrap();
        vault.symlink(&folder.join("brief.md"), digest).unwrap();
        assert_eq!(std::fs::read(elsewhere.path().join("2026-11-21/task-1/brief.md")).unwrap(), b"hello");
    }

    #[test]
    fn a_lineage_beyond_all_measure_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (vault, digest) = vault(dir.path());
        let prompt = "x".repeat(usize::try_from(LINEAGE_BYTES_MAX).unwrap());
        let lineage = Lineage { prompt: Some(prompt), ..lineage() };
        let refused = vault.publish(at(), TASK, "a.md", None, digest, &lineage);
        assert!(matches!(refused, Err(Error::TooLarge { what: "the lineage", .. })));
    }
}
