//! What was read of one commit, and the snapshot that is made of it.

use std::collections::BTreeSet;

use git2::{Oid, Repository};

use crate::core::{Commit, ObjectKey, Revision};
use crate::declare::manifest::ParsedFile;

use super::history::{self, Attribution};
use super::index::Index;
use super::local::Open;
use super::{Error, Snapshot, Stats};

/// What was read of one commit. Cloned to look at another one without forgetting this one.
#[derive(Clone, Default)]
pub(super) struct State {
    pub index: Index,
    attribution: Attribution,
}

impl State {
    /// Moves to a commit, reading what differs.
    pub fn move_to(&mut self, repo: &Repository, id: Oid) -> Result<Stats, Error> {
        let tree = history::find(repo, id)?.tree_id();
        let moved = self.index.move_to(repo, tree)?;
        self.attribution.update(repo, id, &moved, |path| self.index.entries().contains_key(path));
        Ok(moved.stats)
    }

    /// The snapshot of the commit this is the state of. `range` are the commits that led here, the newest first.
    pub fn snapshot(&self, open: &Open, revision: Revision, range: &[Oid], stats: Stats) -> Result<Snapshot, Error> {
        let repo = open.local.repo();
        let describe = |id: &Oid| -> Result<Commit, Error> { Ok(history::describe(&history::find(repo, *id)?)) };
        Ok(Snapshot {
            revision,
            files: self.index.files().clone(),
            commits: self.attribution.commits().clone(),
            range: range.iter().map(describe).collect::<Result<_, _>>()?,
            prune_confirmed: prune_confirmed(repo, &self.index, range)?,
            paths: open.lookup.paths(self.index.tree().unwrap_or(Oid::ZERO_SHA1)),
            stats,
        })
    }
}

/// Whether a commit of `range` confirms what the range removes: the newest `Prune: confirm` counts, and only for what
/// was already removed with it. What a later commit removes needs a confirmation of its own.
pub(super) fn prune_confirmed(repo: &Repository, index: &Index, range: &[Oid]) -> Result<bool, Error> {
    for id in range {
        let commit = history::find(repo, *id)?;
        if !history::confirms_prune(&commit) {
            continue;
        }
        let mut confirmed = index.clone();
        let changed = confirmed.move_to(repo, commit.tree_id())?.paths;
        let keys = |index: &Index| -> BTreeSet<ObjectKey> {
            changed.iter().filter_map(|path| index.files().get(path)).flat_map(|file| keys_of(file)).collect()
        };
        return Ok(keys(&confirmed).is_subset(&keys(index)));
    }
    Ok(false)
}

fn keys_of(file: &ParsedFile) -> impl Iterator<Item = ObjectKey> {
    let documents = file.documents.iter().map(|document| document.key.clone());
    documents.chain(file.broken.iter().filter_map(|broken| broken.key.clone()))
}
