//! The manifest files of the tree that was read last, parsed, and how to get from there to another tree.
//!
//! Only content whose id is new is read and parsed; everything else is taken over. Which files are used is a function
//! of the tree alone: the first [`MANIFESTS_MAX`] in the order of their paths.

use std::collections::BTreeMap;
use std::sync::Arc;

use git2::{Oid, Repository};

use crate::core::text;
use crate::declare::manifest::ParsedFile;

use super::options::{DATA_BYTES_MAX, MANIFEST_BYTES_MAX, MANIFESTS_MAX, Parser};
use super::tree::{self, Change, Entry};
use super::{Error, Stats, place, reader};

/// The manifests of one tree.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    /// The tree that this is the state of; none before the first.
    tree: Option<Oid>,
    entries: BTreeMap<Arc<str>, Entry>,
    files: Arc<BTreeMap<Arc<str>, Arc<ParsedFile>>>,
    /// Where `files` holds the remark that there are too many, instead of the file itself.
    remark: Option<Arc<str>>,
}

/// What moving to another tree did.
#[derive(Debug, Default)]
pub(super) struct Moved {
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

    /// Whether something stands at `path` now.
    pub fn has(&self, path: &str) -> bool {
        self.entries.contains_key(path)
    }

    /// Moves to the tree `to`, reading what differs. On an error nothing has changed.
    pub fn move_to(&mut self, repo: &Repository, parser: &Parser, to: Oid) -> Result<Moved, Error> {
        // Trees of the last look may be gone after a rewrite and a garbage collection: then everything is read anew.
        let changes = match tree::changes(repo, self.tree, Some(to)) {
            Err(Error::Corrupt { .. }) if self.tree.is_some() => {
                let mut fresh = Self::default();
                let moved = fresh.move_to(repo, parser, to)?;
                *self = fresh;
                return Ok(moved);
            }
            other => other?,
        };
        let load = |jobs: &[(Arc<str>, Oid)]| read_and_parse(repo, parser, jobs);
        let moved = self.apply(parser, changes, load)?;
        self.tree = Some(to);
        Ok(moved)
    }

    /// Takes `changes` in, with `load` giving the parsed files that are asked for.
    pub fn apply(
        &mut self,
        parser: &Parser,
        changes: Vec<Change>,
        load: impl FnOnce(&[(Arc<str>, Oid)]) -> Result<Vec<Option<ParsedFile>>, Error>,
    ) -> Result<Moved, Error> {
        let mut entries = std::mem::take(&mut self.entries);
        let was_over = entries.len() > MANIFESTS_MAX;
        let undo: Vec<_> =
            changes.iter().map(|change| (change.path.clone(), entries.get(&change.path).copied())).collect();
        for change in &changes {
            set(&mut entries, &change.path, change.entry);
        }
        let over = entries.len() > MANIFESTS_MAX;
        let result = if over || was_over {
            self.select_anew(parser, &entries, &undo, load)
        } else {
            self.update(parser, &changes, load)
        };
        match result {
            Ok(parsed) => {
                let stats = Stats { parsed, reused: self.files.len().saturating_sub(parsed) };
                self.entries = entries;
                Ok(Moved { paths: changes.into_iter().map(|change| change.path).collect(), stats })
            }
            Err(error) => {
                // In reverse: a path that changed twice gets back what it was first.
                for (path, entry) in undo.iter().rev() {
                    set(&mut entries, path, *entry);
                }
                self.entries = entries;
                Err(error)
            }
        }
    }

    /// The common case: only the changed paths are touched.
    fn update(
        &mut self,
        parser: &Parser,
        changes: &[Change],
        load: impl FnOnce(&[(Arc<str>, Oid)]) -> Result<Vec<Option<ParsedFile>>, Error>,
    ) -> Result<usize, Error> {
        let jobs: Vec<_> =
            changes.iter().filter_map(|change| Some((change.path.clone(), blob(change.entry?)?))).collect();
        let parsed = load(&jobs)?;
        let count = jobs.len();
        let files = Arc::make_mut(&mut self.files);
        for change in changes {
            match change.entry {
                None | Some(Entry::File(_)) => drop(files.remove(&change.path)),
                Some(Entry::Fault(why)) => {
                    files.insert(change.path.clone(), Arc::new((parser.unreadable)(&change.path, why)));
                }
            }
        }
        files.extend(present(jobs, parsed));
        Ok(count)
    }

    /// More files than are read: picks them by the order of their paths, taking over what is known.
    fn select_anew(
        &mut self,
        parser: &Parser,
        entries: &BTreeMap<Arc<str>, Entry>,
        before: &[(Arc<str>, Option<Entry>)],
        load: impl FnOnce(&[(Arc<str>, Oid)]) -> Result<Vec<Option<ParsedFile>>, Error>,
    ) -> Result<usize, Error> {
        let changed: std::collections::BTreeSet<_> = before.iter().map(|(path, _)| path).collect();
        let mut files = BTreeMap::new();
        let mut jobs = Vec::new();
        for (path, entry) in entries.iter().take(MANIFESTS_MAX) {
            match (*entry, self.files.get(path)) {
                (Entry::Fault(why), _) => {
                    files.insert(path.clone(), Arc::new((parser.unreadable)(path, why)));
                }
                (Entry::File(_), Some(known)) if !changed.contains(path) && self.remark.as_ref() != Some(path) => {
                    files.insert(path.clone(), known.clone());
                }
                (Entry::File(id), _) => jobs.push((path.clone(), id)),
            }
        }
        let parsed = load(&jobs)?;
        let count = jobs.len();
        files.extend(present(jobs, parsed));
        if let Some((path, _)) = entries.iter().nth(MANIFESTS_MAX) {
            let left = text::count(entries.len() - MANIFESTS_MAX, "file");
            let why =
                format!("there are more than {MANIFESTS_MAX} manifest files: from here on {left} in all are not read");
            files.insert(path.clone(), Arc::new((parser.unreadable)(path, &why)));
        }
        self.remark = entries.keys().nth(MANIFESTS_MAX).cloned();
        self.files = Arc::new(files);
        Ok(count)
    }
}

fn set(entries: &mut BTreeMap<Arc<str>, Entry>, path: &Arc<str>, entry: Option<Entry>) {
    match entry {
        Some(entry) => drop(entries.insert(path.clone(), entry)),
        None => drop(entries.remove(path)),
    }
}

fn blob(entry: Entry) -> Option<Oid> {
    match entry {
        Entry::File(id) => Some(id),
        Entry::Fault(_) => None,
    }
}

fn present(
    jobs: Vec<(Arc<str>, Oid)>,
    parsed: Vec<Option<ParsedFile>>,
) -> impl Iterator<Item = (Arc<str>, Arc<ParsedFile>)> {
    jobs.into_iter().zip(parsed).filter_map(|((path, _), file)| Some((path, Arc::new(file?))))
}

/// Reads and parses blobs. `None` for what turns out to be data.
fn read_and_parse(
    repo: &Repository,
    parser: &Parser,
    jobs: &[(Arc<str>, Oid)],
) -> Result<Vec<Option<ParsedFile>>, Error> {
    let damaged = |id: Oid, error: &git2::Error| {
        Error::from_git(&repo.path().display().to_string(), format!("the file content {id}"), error)
    };
    let odb = repo.odb().map_err(|error| damaged(Oid::ZERO_SHA1, &error))?;
    reader::parse_all(
        parser,
        jobs.iter().map(|(path, id)| {
            let (bytes, _) = odb.read_header(*id).map_err(|error| damaged(*id, &error))?;
            let bytes = bytes as u64;
            let bytes_max = if place::may_be_data(path) { DATA_BYTES_MAX } else { MANIFEST_BYTES_MAX };
            if bytes > bytes_max {
                return Ok((path.clone(), reader::Content::TooLarge(bytes)));
            }
            let blob = repo.find_blob(*id).map_err(|error| damaged(*id, &error))?;
            Ok((path.clone(), reader::Content::Bytes(blob.content().to_vec())))
        }),
    )
}
