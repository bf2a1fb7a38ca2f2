//! The manifest files of the tree that was read last, parsed, and how to get from there to another tree.
//!
//! Only content whose id is new is read and parsed; everything else is taken over. Which files are read is a function
//! of the tree alone: the first [`MANIFESTS_MAX`] in the order of their paths.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use git2::{Oid, Repository};

use crate::declare::manifest::{ParsedFile, parse};

use super::fault::Fault;
use super::options::{DATA_BYTES_MAX, MANIFEST_BYTES_MAX, MANIFESTS_MAX};
use super::reader::{self, Content};
use super::tree::{self, Change, Entry};
use super::{Error, Stats, place};

/// The manifests of one tree.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    /// The tree that this is the state of; none before the first.
    tree: Option<Oid>,
    entries: BTreeMap<Arc<str>, Entry>,
    files: Arc<BTreeMap<Arc<str>, Arc<ParsedFile>>>,
    /// The first path that was one too many.
    cut: Option<Arc<str>>,
}

/// What moving to another tree did.
#[derive(Debug, Default)]
pub(super) struct Moved {
    /// The trees that it moved between.
    pub from: Option<Oid>,
    pub to: Option<Oid>,
    /// Paths that are new, changed or gone.
    pub paths: Vec<Arc<str>>,
    pub stats: Stats,
}

impl Index {
    pub fn files(&self) -> &Arc<BTreeMap<Arc<str>, Arc<ParsedFile>>> {
        &self.files
    }

    /// The tree that this is the state of.
    pub fn tree(&self) -> Option<Oid> {
        self.tree
    }

    /// Everything that stands in the manifest folders now.
    pub fn entries(&self) -> &BTreeMap<Arc<str>, Entry> {
        &self.entries
    }

    /// Moves to the tree `to`, reading what differs. On an error nothing has changed.
    pub fn move_to(&mut self, repo: &Repository, to: Oid) -> Result<Moved, Error> {
        let changes = match tree::changes(repo, self.tree, Some(to)) {
            // The old tree may be gone after a rewrite and a garbage collection: then everything is read anew.
            Err(Error::Corrupt { .. }) if self.tree.is_some() => {
                let mut fresh = Self::default();
                let mut moved = fresh.move_to(repo, to)?;
                moved.from = None;
                moved.paths.extend(self.entries.keys().filter(|path| !fresh.entries.contains_key(*path)).cloned());
                *self = fresh;
                return Ok(moved);
            }
            other => other?,
        };
        let moved = self.apply(changes, |jobs| read_and_parse(repo, jobs))?;
        let from = self.tree.replace(to);
        Ok(Moved { from, to: Some(to), ..moved })
    }

    /// Takes `changes` in, with `load` giving the parsed files that are asked for: `None` for what turns out to be
    /// data. On an error nothing has changed.
    pub fn apply(
        &mut self,
        changes: Vec<Change>,
        load: impl FnOnce(&[(Arc<str>, Oid)]) -> Result<Vec<Option<ParsedFile>>, Error>,
    ) -> Result<Moved, Error> {
        let mut entries = std::mem::take(&mut self.entries);
        let before: Vec<_> =
            changes.iter().map(|change| (change.path.clone(), set(&mut entries, &change.path, change.entry))).collect();
        let result = if self.cut.is_some() || entries.len() > MANIFESTS_MAX {
            self.select_anew(&entries, &changes, load)
        } else {
            self.update(&changes, load)
        };
        if result.is_err() {
            // In reverse: a path that changed twice gets back what it was first.
            for (path, entry) in before.iter().rev() {
                set(&mut entries, path, *entry);
            }
        }
        self.entries = entries;
        let parsed = result?;
        let stats = Stats { parsed, reused: self.files.len().saturating_sub(parsed) };
        let paths = changes.into_iter().map(|change| change.path).collect();
        Ok(Moved { from: None, to: None, paths, stats })
    }

    /// The common case: only the changed paths are touched.
    fn update(
        &mut self,
        changes: &[Change],
        load: impl FnOnce(&[(Arc<str>, Oid)]) -> Result<Vec<Option<ParsedFile>>, Error>,
    ) -> Result<usize, Error> {
        let id = |change: &Change| match change.entry {
            Some(Entry::File(id)) => Some((change.path.clone(), id)),
            Some(Entry::Fault(_)) | None => None,
        };
        let jobs: Vec<_> = changes.iter().filter_map(id).collect();
        let parsed = load(&jobs)?;
        let files = Arc::make_mut(&mut self.files);
        for change in changes {
            match change.entry {
                None | Some(Entry::File(_)) => drop(files.remove(&change.path)),
                Some(Entry::Fault(fault)) => {
                    files.insert(change.path.clone(), Arc::new(fault.file(&change.path)));
                }
            }
        }
        Ok(insert(files, &jobs, parsed))
    }

    /// More files than are read: picks them by the order of their paths, taking over what is known.
    fn select_anew(
        &mut self,
        entries: &BTreeMap<Arc<str>, Entry>,
        changes: &[Change],
        load: impl FnOnce(&[(Arc<str>, Oid)]) -> Result<Vec<Option<ParsedFile>>, Error>,
    ) -> Result<usize, Error> {
        let changed: BTreeSet<_> = changes.iter().map(|change| &change.path).collect();
        let was_read = |path: &Arc<str>| self.cut.as_ref().is_none_or(|cut| path < cut) && !changed.contains(path);
        let mut files = BTreeMap::new();
        let mut jobs = Vec::new();
        for (rank, (path, entry)) in entries.iter().enumerate() {
            let file = match (*entry, self.files.get(path)) {
                (Entry::Fault(fault), _) => Arc::new(fault.file(path)),
                (Entry::File(_), _) if rank >= MANIFESTS_MAX => Arc::new(Fault::OneOfTooMany.file(path)),
                (Entry::File(_), Some(known)) if was_read(path) => known.clone(),
                (Entry::File(id), _) => {
                    jobs.push((path.clone(), id));
                    continue;
                }
            };
            files.insert(path.clone(), file);
        }
        let count = insert(&mut files, &jobs, load(&jobs)?);
        self.cut = entries.keys().nth(MANIFESTS_MAX).cloned();
        self.files = Arc::new(files);
        Ok(count)
    }
}

/// Sets what stands at a path, and gives what stood there.
fn set(entries: &mut BTreeMap<Arc<str>, Entry>, path: &Arc<str>, entry: Option<Entry>) -> Option<Entry> {
    match entry {
        Some(entry) => entries.insert(path.clone(), entry),
        None => entries.remove(path),
    }
}

/// Adds what was parsed, and says how many files that were.
fn insert(
    files: &mut BTreeMap<Arc<str>, Arc<ParsedFile>>,
    jobs: &[(Arc<str>, Oid)],
    parsed: Vec<Option<ParsedFile>>,
) -> usize {
    for ((path, _), file) in jobs.iter().zip(parsed) {
        if let Some(file) = file {
            files.insert(path.clone(), Arc::new(file));
        }
    }
    jobs.len()
}

/// Reads and parses blobs.
fn read_and_parse(repo: &Repository, jobs: &[(Arc<str>, Oid)]) -> Result<Vec<Option<ParsedFile>>, Error> {
    let damaged = |what: String, error: &git2::Error| Error::from_git(&repo.path().display().to_string(), what, error);
    let odb = repo.odb().map_err(|error| damaged("the object store".into(), &error))?;
    let contents = jobs.iter().map(|(path, id)| {
        let damaged = |error| damaged(format!("the content {id} of `{path}`"), &error);
        let (bytes, _) = odb.read_header(*id).map_err(damaged)?;
        let bytes_max = if place::may_be_data(path) { DATA_BYTES_MAX } else { MANIFEST_BYTES_MAX };
        if bytes as u64 > bytes_max {
            return Ok((path.clone(), Content::TooLarge(bytes as u64)));
        }
        let blob = repo.find_blob(*id).map_err(damaged)?;
        Ok((path.clone(), Content::Bytes(blob.content().to_vec())))
    });
    reader::parse_all(parse::file, contents)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(path: &str, entry: Option<Entry>) -> Change {
        Change { path: path.into(), entry }
    }

    #[test]
    fn a_failure_leaves_everything_as_it_was() {
        let mut index = Index::default();
        let file = |n: u8| Some(Entry::File(Oid::from_bytes(&[n; 20]).unwrap()));
        let parsed =
            |jobs: &[(Arc<str>, Oid)]| Ok(jobs.iter().map(|(path, _)| Some(parse::file(path, b"x"))).collect());
        index.apply(vec![change("a.yaml", file(1)), change("b.yaml", file(2))], parsed).unwrap();
        let before = index.clone();
        let changes = vec![
            change("a.yaml", None),
            change("a.yaml", file(3)),
            change("b.yaml", Some(Entry::Fault(Fault::Link))),
            change("c.yaml", file(4)),
        ];
        let failure = index.apply(changes, |_| Err(Error::FileMissing { path: "c.yaml".into() }));
        assert!(failure.is_err());
        assert_eq!(index.entries, before.entries);
        assert_eq!(index.files, before.files);
    }
}
