//! What a look yields: unchanged, a snapshot of a revision, or a revision that is held and why.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::core::{Commit, CommitSha, Revision};
use crate::declare::manifest::ParsedFile;

use super::Reason;
use super::verify::COMMITS_MAX as VERIFIED_MAX;

/// What a look at the repository found.
#[derive(Clone, Debug)]
pub enum Poll {
    /// The tip is the commit in force, and it was read before.
    Unchanged,
    /// A revision to apply.
    Changed(Snapshot),
    /// There is something new, and it must not be applied as it is.
    Held(Held),
}

/// All manifests of one revision. Cheap to clone; drop it when applied, so that the next one costs only its changes.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub revision: Revision,
    /// Every manifest file of the revision by its path, with those that cannot be read.
    pub files: Arc<BTreeMap<Arc<str>, Arc<ParsedFile>>>,
    /// The commit that last changed each manifest file; a path is missing when that is longer ago than was looked.
    pub commits: Arc<BTreeMap<Arc<str>, Commit>>,
    /// The commits after the applied one up to this one, the newest first, at most
    /// [`COMMITS_MAX`](super::options::COMMITS_MAX); empty when nothing was applied before.
    pub range: Vec<Commit>,
    /// A commit of `range` says `Prune: confirm`, and no later commit of it removes a further object.
    pub prune_confirmed: bool,
    /// Which files the revision has, anywhere in the repository.
    pub paths: Paths,
    pub stats: Stats,
}

/// What reading a snapshot cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Files that were read and parsed for this snapshot.
    pub parsed: usize,
    /// Files that were taken over from an earlier one.
    pub reused: usize,
}

/// A revision that is shown and not applied.
#[derive(Clone, Debug, PartialEq)]
pub struct Held {
    /// `NotFastForward` or `Unverified`.
    pub reason: Reason,
    /// The tip that was seen.
    pub revision: Revision,
    /// The commit that is the matter, where there is a single one.
    pub commit: Option<Commit>,
    /// What is the matter, one lower-case sentence.
    pub message: String,
    /// What to do next.
    pub help: String,
}

impl Held {
    pub(super) fn rewritten(revision: Revision, base: &CommitSha, base_is_known: bool) -> Self {
        let base = base.short();
        let message = if base_is_known {
            format!(
                "the history was rewritten: {} does not contain the commit in force, {base}",
                revision.commit.sha.short()
            )
        } else {
            format!("the commit in force, {base}, is not in the repository any more")
        };
        let help = "look at the difference with `arcology plan`, then take the new history with `arcology reconcile \
                    --accept`, or push the old one again";
        Self { reason: Reason::NotFastForward, revision, commit: None, message, help: help.into() }
    }

    pub(super) fn unverified(revision: Revision, commit: Commit, why: &str) -> Self {
        let message = format!("commit {} by {} (`{}`) {why}", commit.sha.short(), commit.author, commit.subject);
        let help = "sign it (`git rebase --exec 'git commit --amend --no-edit -S'` signs a range) and push again, or add \
                    its author's key to the allowed-signers file";
        Self { reason: Reason::Unverified, revision, commit: Some(commit), message, help: help.into() }
    }

    pub(super) fn too_many_to_verify(revision: Revision) -> Self {
        let message = format!("more than {VERIFIED_MAX} commits came at once, too many to check their signatures");
        let help = "move the branch forward in smaller steps";
        Self { reason: Reason::Unverified, revision, commit: None, message, help: help.into() }
    }
}

/// Answers whether a path is a regular file of the revision. Links are never followed. Cheap to clone.
#[derive(Clone)]
pub struct Paths(pub(super) Arc<dyn Fn(&str) -> bool + Send + Sync>);

impl Paths {
    /// Whether `path` (relative to the repository, with forward slashes) is a regular file of the revision.
    #[must_use]
    pub fn exists(&self, path: &str) -> bool {
        (self.0)(path)
    }
}

impl fmt::Debug for Paths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Paths")
    }
}
