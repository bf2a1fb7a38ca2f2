//! The source itself: one look at the repository, and any revision on request.
//!
//! Owns what was read last, so that the next look costs only its changes. Decides whether a new tip may be applied;
//! how a tip is found, read, attributed and verified is each a file of its own.

use std::collections::BTreeSet;

use git2::Oid;

use crate::core::{CommitSha, ObjectKey, Revision};
use crate::declare::manifest::ParsedFile;

use super::address::Address;
use super::history::{self, Attribution};
use super::index::Index;
use super::local::{self, Local, Lookup};
use super::options::COMMITS_MAX;
use super::{Error, Held, Options, Poll, Reason, Snapshot, Stats};

/// A repository that is followed. See the [module](super) for what it guarantees.
pub struct Source {
    options: Options,
    address: Address,
    /// Open while all goes well; closed after a failure, so that the next look starts afresh.
    open: Option<Open>,
    branch: Option<String>,
    state: State,
    /// The commit that the last snapshot was of.
    read: Option<Oid>,
}

struct Open {
    local: Local,
    lookup: Lookup,
}

/// What was read of one commit.
#[derive(Clone, Default)]
struct State {
    index: Index,
    attribution: Attribution,
}

impl State {
    fn move_to(&mut self, local: &Local, options: &Options, id: Oid) -> Result<Stats, Error> {
        let tree = history::find(local.repo(), id)?.tree_id();
        let moved = self.index.move_to(local.repo(), &options.parser, tree)?;
        self.attribution.update(local.repo(), id, &moved.paths, |path| self.index.has(path));
        Ok(moved.stats)
    }
}

impl Source {
    /// Checks what it was told. Touches neither the repository nor the network: whether they are there is for the first
    /// look to say, because a disk may be mounted and a network come up later.
    ///
    /// # Errors
    /// An address or branch name that can never work, credentials in the address, options that exclude each other.
    pub fn open(options: Options) -> Result<Self, Error> {
        let address = Address::parse(&options.repo)?;
        if let Some(branch) = &options.branch {
            local::reference(branch)?;
        }
        let branch = options.branch.clone();
        Ok(Self { options, address, open: None, branch, state: State::default(), read: None })
    }

    /// The repository without credentials, and the branch that is followed; empty while that is not known yet.
    #[must_use]
    pub fn describe(&self) -> (String, String) {
        (super::address::without_credentials(&self.options.repo), self.branch.clone().unwrap_or_default())
    }

    /// Looks once. `applied` is the commit in force, also from before a restart; with `accept` a rewritten history is
    /// taken. The first look of a process gives `Changed` even when the tip is the commit in force.
    ///
    /// # Errors
    /// When the tip cannot be found or read. What was read before stays valid, and the next look starts afresh.
    pub fn poll(&mut self, applied: Option<&CommitSha>, accept: bool) -> Result<Poll, Error> {
        let result = self.look(applied, accept);
        if result.is_err() {
            self.open = None;
        }
        result
    }

    fn look(&mut self, applied: Option<&CommitSha>, accept: bool) -> Result<Poll, Error> {
        self.ensure_open()?;
        let Self { options, open: Some(open), branch: Some(branch), state, read, .. } = self else {
            return Err(Error::Detached { repo: self.options.repo.clone() });
        };
        let tip = open.local.tip(branch)?;
        let applied = applied.and_then(commit_id);
        if applied == Some(tip) && *read == Some(tip) {
            return Ok(Poll::Unchanged);
        }
        let revision = revision(&open.local, branch, tip)?;
        if let Some(base) = applied
            && !accept
            && !history::contains(open.local.repo(), tip, base)
        {
            return Ok(Poll::Held(rewritten(revision, base, open.local.repo().find_commit(base).is_ok())));
        }
        let range = match applied {
            Some(base) => history::range(open.local.repo(), base, tip, COMMITS_MAX)?,
            None => Vec::new(),
        };
        let stats = state.move_to(&open.local, options, tip)?;
        *read = Some(tip);
        Ok(Poll::Changed(snapshot(open, options, state, revision, &range, stats)?))
    }

    /// Any revision: `HEAD~1`, a branch, a tag, a commit id. What is followed is not touched by it. Signatures are not
    /// checked: this is for looking, not for applying.
    ///
    /// # Errors
    /// When there is no such revision, or it cannot be read.
    pub fn snapshot_at(&mut self, rev: &str) -> Result<Snapshot, Error> {
        let opened = self.ensure_open();
        let Some(open) = &self.open else { return Err(opened.err().unwrap_or(Error::Detached { repo: rev.into() })) };
        let id = open.local.resolve(rev)?;
        let is_branch = local::reference(rev).is_ok() && open.local.tip(rev).is_ok();
        let branch = if is_branch { rev } else { self.branch.as_deref().unwrap_or("HEAD") };
        let revision = revision(&open.local, branch, id)?;
        let mut state = self.state.clone();
        let stats = state.move_to(&open.local, &self.options, id)?;
        snapshot(open, &self.options, &state, revision, &[id], stats)
            .map(|snapshot| Snapshot { range: Vec::new(), ..snapshot })
    }

    /// A regular file of a commit, such as a task's input: at most `bytes_max` bytes, links never followed.
    ///
    /// # Errors
    /// When it is not there, not a regular file, too large, or cannot be read.
    pub fn read_file(&self, commit: &CommitSha, path: &str, bytes_max: u64) -> Result<Vec<u8>, Error> {
        let missing = || Error::RevisionMissing { repo: self.describe().0, revision: commit.as_str().to_owned() };
        let id = commit_id(commit).ok_or_else(missing)?;
        match &self.open {
            Some(open) => open.local.read_file(id, path, bytes_max),
            None => self.open_now()?.local.read_file(id, path, bytes_max),
        }
    }

    /// Opens the repository, and settles which branch is followed.
    fn ensure_open(&mut self) -> Result<(), Error> {
        if self.open.is_none() {
            self.open = Some(self.open_now()?);
        }
        if let (None, Some(open)) = (&self.branch, &self.open) {
            self.branch = Some(open.local.checked_out()?);
        }
        Ok(())
    }

    fn open_now(&self) -> Result<Open, Error> {
        let shown = super::address::without_credentials(&self.options.repo);
        let local = match &self.address {
            Address::Local(path) => Local::open(path, &shown)?,
            Address::Remote(_) => Local::open(&self.options.state_dir.join("source.git"), &shown)?,
        };
        let lookup = Lookup::new(local.repo().path());
        Ok(Open { local, lookup })
    }
}

/// The commit id in `sha`; none for what was read without a commit.
fn commit_id(sha: &CommitSha) -> Option<Oid> {
    (sha.as_str().len() == 40).then(|| Oid::from_str(sha.as_str()).ok()).flatten()
}

fn revision(local: &Local, branch: &str, id: Oid) -> Result<Revision, Error> {
    Ok(Revision { branch: branch.to_owned(), commit: history::describe(&history::find(local.repo(), id)?) })
}

fn rewritten(revision: Revision, base: Oid, base_is_there: bool) -> Held {
    let base = CommitSha::new(&base.to_string());
    let message = if base_is_there {
        format!("the history was rewritten: {} does not contain the commit in force, {}", revision, base.short())
    } else {
        format!("the commit in force, {}, is not in the repository any more", base.short())
    };
    let help = "look at the difference with `arcology plan`, then take the new history with `arcology reconcile \
                --accept`, or push the old one again";
    Held { reason: Reason::NotFastForward, revision, commit: None, message, help: help.into() }
}

/// `range` are the commits that led here, the newest first.
fn snapshot(
    open: &Open,
    options: &Options,
    state: &State,
    revision: Revision,
    range: &[Oid],
    stats: Stats,
) -> Result<Snapshot, Error> {
    let tree = state.index.tree().unwrap_or(Oid::ZERO_SHA1);
    Ok(Snapshot {
        revision,
        files: state.index.files().clone(),
        commits: state.attribution.commits().clone(),
        range: range
            .iter()
            .map(|id| Ok(history::describe(&history::find(open.local.repo(), *id)?)))
            .collect::<Result<_, Error>>()?,
        prune_confirmed: prune_confirmed(open, options, &state.index, range)?,
        paths: open.lookup.paths(tree),
        stats,
    })
}

/// Whether a commit of `range` confirms what the range removes: the newest `Prune: confirm` counts, and only for what
/// it had removed itself. What a later commit removes needs a confirmation of its own.
fn prune_confirmed(open: &Open, options: &Options, index: &Index, range: &[Oid]) -> Result<bool, Error> {
    let repo = open.local.repo();
    for id in range {
        let commit = history::find(repo, *id)?;
        if !history::confirms_prune(&commit) {
            continue;
        }
        let mut confirmed = index.clone();
        let changed = confirmed.move_to(repo, &options.parser, commit.tree_id())?.paths;
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
