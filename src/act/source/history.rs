//! The commits between two revisions, and which of them last changed each file.
//!
//! A file is followed from the tip backwards: at a merge to the first parent that has the same content, as `git log`
//! does; it is attributed to the first commit that differs from all its parents. Files that did not change between two
//! looks keep the commit they had.

use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap};
use std::sync::Arc;

use git2::{Oid, Repository, Sort};

use crate::core::{self, CommitSha, Timestamp, text};

use super::index::Moved;
use super::options::COMMITS_MAX;
use super::{Error, tree};

/// Characters of a subject and of an author's name that are kept.
const SUBJECT_CHARS_MAX: usize = 120;
const AUTHOR_CHARS_MAX: usize = 80;
/// Bytes of a commit message that are searched for trailers.
const MESSAGE_BYTES_MAX: usize = 64 * 1_024;

pub(super) fn find(repo: &Repository, id: Oid) -> Result<git2::Commit<'_>, Error> {
    repo.find_commit(id)
        .map_err(|error| Error::from_git(&repo.path().display().to_string(), format!("the commit {id}"), &error))
}

/// A commit as it is told: bounded, without control characters.
pub(super) fn describe(commit: &git2::Commit<'_>) -> core::Commit {
    let subject = String::from_utf8_lossy(commit.summary_bytes().unwrap_or_default()).into_owned();
    let author = commit.author();
    core::Commit {
        sha: CommitSha::new(&commit.id().to_string()),
        subject: text::shorten(&subject, SUBJECT_CHARS_MAX),
        author: text::shorten(&String::from_utf8_lossy(author.name_bytes()), AUTHOR_CHARS_MAX),
        at: Timestamp::from_second(commit.time().seconds()).unwrap_or(Timestamp::UNIX_EPOCH),
    }
}

/// Whether the commit's message has the trailer `Prune: confirm`.
pub(super) fn confirms_prune(commit: &git2::Commit<'_>) -> bool {
    let message = commit.message_raw_bytes();
    let kept = &message[message.len().saturating_sub(MESSAGE_BYTES_MAX)..];
    // A message is handed to C as text: at a zero byte it would end there anyway.
    let kept = kept.split(|byte| *byte == 0).next().unwrap_or_default();
    git2::message_trailers_bytes(kept).is_ok_and(|trailers| {
        trailers.iter().any(|(key, value)| {
            key.eq_ignore_ascii_case(b"Prune") && value.trim_ascii().eq_ignore_ascii_case(b"confirm")
        })
    })
}

/// The ids of the commits that `tip` has and `base` has not, the newest first, children before parents, at most
/// `commits_max`.
pub(super) fn range(repo: &Repository, base: Oid, tip: Oid, commits_max: usize) -> Result<Vec<Oid>, Error> {
    let failed = |error| Error::from_git(&repo.path().display().to_string(), format!("the history of {tip}"), &error);
    let mut walk = repo.revwalk().map_err(failed)?;
    walk.set_sorting(Sort::TOPOLOGICAL | Sort::TIME).map_err(failed)?;
    walk.push(tip).map_err(failed)?;
    // A base that is gone hides nothing; that it is gone is reported as a rewritten history.
    if repo.find_commit(base).is_ok() {
        walk.hide(base).map_err(failed)?;
    }
    walk.take(commits_max).collect::<Result<_, _>>().map_err(failed)
}

/// Whether `tip` is `base` or comes after it.
pub(super) fn contains(repo: &Repository, tip: Oid, base: Oid) -> bool {
    tip == base || repo.graph_descendant_of(tip, base).unwrap_or(false)
}

/// Which commit last changed each path.
#[derive(Clone, Debug, Default)]
pub(super) struct Attribution {
    commits: Arc<BTreeMap<Arc<str>, core::Commit>>,
}

impl Attribution {
    pub fn commits(&self) -> &Arc<BTreeMap<Arc<str>, core::Commit>> {
        &self.commits
    }

    /// Attributes the paths of `moved` that `tip` has (`present`) and forgets the others of them. What the history
    /// does not tell, because it is damaged or too long, stays without a commit: manifests do not depend on it.
    pub fn update(&mut self, repo: &Repository, tip: Oid, moved: &Moved, present: impl Fn(&Arc<str>) -> bool) {
        if moved.paths.is_empty() {
            return;
        }
        let (followed, gone): (BTreeSet<_>, BTreeSet<_>) = moved.paths.iter().cloned().partition(present);
        let mut found = BTreeMap::new();
        if let Err(error) = follow(repo, tip, followed.clone(), moved, &mut found) {
            tracing::debug!(%error, "the history could not be followed to its end");
        }
        let commits = Arc::make_mut(&mut self.commits);
        for path in followed.iter().chain(&gone) {
            commits.remove(path);
        }
        commits.extend(found);
    }
}

type Followed = BTreeSet<Arc<str>>;

/// Follows paths from `tip` backwards, through at most [`COMMITS_MAX`] commits.
fn follow(
    repo: &Repository,
    tip: Oid,
    paths: Followed,
    moved: &Moved,
    found: &mut BTreeMap<Arc<str>, core::Commit>,
) -> Result<(), Error> {
    let mut waiting = HashMap::from([(tip, paths)]);
    let mut queue = BinaryHeap::from([(i64::MAX, tip)]);
    for _ in 0..COMMITS_MAX {
        let Some((_, id)) = queue.pop() else { break };
        let Some(mut paths) = waiting.remove(&id).filter(|paths| !paths.is_empty()) else { continue };
        let commit = find(repo, id)?;
        for parent in commit.parent_ids() {
            // The history of a shallow clone ends at a parent that is not there.
            let Ok(parent) = repo.find_commit(parent) else { continue };
            let passed_on = split_off_unchanged(repo, &commit, &parent, moved, &mut paths)?;
            if !passed_on.is_empty() {
                queue.push((parent.time().seconds(), parent.id()));
                merge(waiting.entry(parent.id()).or_default(), passed_on);
            }
        }
        if !paths.is_empty() {
            let described = describe(&commit);
            found.extend(paths.into_iter().map(|path| (path, described.clone())));
        }
    }
    Ok(())
}

/// Takes out of `paths` those that are the same in `parent`; what stays differs.
fn split_off_unchanged(
    repo: &Repository,
    commit: &git2::Commit<'_>,
    parent: &git2::Commit<'_>,
    moved: &Moved,
    paths: &mut Followed,
) -> Result<Followed, Error> {
    let trees = (Some(parent.tree_id()), Some(commit.tree_id()));
    let differing: Followed = if trees == (moved.from, moved.to) {
        // The common case of one commit since the last look: this very difference was computed a moment ago.
        moved.paths.iter().filter_map(|path| paths.take(path)).collect()
    } else {
        tree::changes(repo, trees.0, trees.1)?.iter().filter_map(|change| paths.take(&change.path)).collect()
    };
    Ok(std::mem::replace(paths, differing))
}

fn merge(into: &mut Followed, mut other: Followed) {
    if other.len() > into.len() {
        std::mem::swap(into, &mut other);
    }
    into.extend(other);
}
