//! The source itself: one look at the repository, and any revision on request.
//!
//! Owns what was read last, so that the next look costs only its changes. Decides whether a new tip may be applied;
//! how a tip is found, read, attributed and verified is each a file of its own.

use std::path::Path;

use git2::Oid;

use crate::core::{Commit, CommitSha, Revision};

use super::address::{self, Address};
use super::git_program::Git;
use super::history;
use super::local::{self, Local, Open};
use super::options::COMMITS_MAX;
use super::remote::Fetcher;
use super::state::State;
use super::verify::{self, Verifier};
use super::watch::Places;
use super::worktree::{self, Worktree};
use super::{Error, Held, Options, Poll, Snapshot};

/// A repository that is followed. See the [module](super) for what it guarantees.
pub struct Source {
    options: Options,
    address: Address,
    /// The repository without credentials.
    shown: String,
    /// Open while all goes well; closed after a failure, so that the next look starts afresh.
    open: Option<Open>,
    git: Option<Git>,
    verifier: Option<Verifier>,
    branch: Option<String>,
    /// The remote was asked for its default branch, or need not be.
    branch_settled: bool,
    state: State,
    /// The revision that the last snapshot was of.
    read: Option<CommitSha>,
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
        if options.worktree && matches!(address, Address::Remote(_)) {
            return Err(Error::Options { what: "--worktree reads files on this machine, and --repo is elsewhere" });
        }
        if options.worktree && options.allowed_signers.is_some() {
            return Err(Error::Options { what: "--worktree reads files without commits, and --verify checks commits" });
        }
        let verifier =
            options.allowed_signers.as_deref().map(|signers| Verifier::new(signers, &options)).transpose()?;
        let mut source = Self {
            shown: address::without_credentials(&options.repo),
            branch: options.branch.clone(),
            branch_settled: options.branch.is_some() || matches!(address, Address::Local(_)),
            options,
            address,
            open: None,
            git: None,
            verifier,
            state: State::default(),
            read: None,
        };
        // Only so that the branch can be told at once where that is possible; the first look says what is the matter.
        if let Err(error) = source.ensure_open() {
            tracing::debug!(%error, "the repository cannot be opened yet");
        }
        Ok(source)
    }

    /// The repository without credentials, and the branch that is followed; empty while that is not known yet.
    #[must_use]
    pub fn describe(&self) -> (String, String) {
        (self.shown.clone(), self.branch.clone().unwrap_or_default())
    }

    /// What a [`Watcher`](super::Watcher) has to watch so that the next look need not wait for its time.
    #[must_use]
    pub fn places(&self) -> Places {
        match (&self.address, &self.open) {
            (Address::Remote(_), _) => Places::default(),
            (Address::Local(path), None) if self.options.worktree => Places::of_folder(path),
            (Address::Local(_), None) => Places::default(),
            (Address::Local(_), Some(open)) => {
                let repo = open.local.repo();
                Places::of_repository(repo.path(), repo.commondir(), repo.workdir().filter(|_| self.options.worktree))
            }
        }
    }

    /// Looks once. `applied` is the commit in force, also from before a restart; with `accept` a rewritten history is
    /// taken. The first look of a process gives `Changed` even when the tip is the commit in force.
    ///
    /// # Errors
    /// When the tip cannot be found or read. What was read before stays valid, and the next look starts afresh.
    pub fn poll(&mut self, applied: Option<&CommitSha>, accept: bool) -> Result<Poll, Error> {
        let result =
            if self.options.worktree { self.look_at_files(applied) } else { self.look_at_commits(applied, accept) };
        if result.is_err() {
            self.open = None;
        }
        result
    }

    fn look_at_files(&mut self, applied: Option<&CommitSha>) -> Result<Poll, Error> {
        let snapshot = self.worktree_snapshot()?;
        let sha = &snapshot.revision.commit.sha;
        if self.read.as_ref() == Some(sha) && applied == Some(sha) {
            return Ok(Poll::Unchanged);
        }
        self.read = Some(sha.clone());
        Ok(Poll::Changed(snapshot))
    }

    fn look_at_commits(&mut self, applied: Option<&CommitSha>, accept: bool) -> Result<Poll, Error> {
        let tip = self.find_tip()?;
        let base = applied.and_then(commit_id);
        let read = self.read.as_ref().and_then(commit_id);
        if base == Some(tip) && read == Some(tip) {
            return Ok(Poll::Unchanged);
        }
        let (open, branch) = opened(&self.open, &self.branch, &self.shown)?;
        let repo = open.local.repo();
        let revision = revision(&open.local, branch, tip)?;
        if let Some(base) = base.filter(|base| !accept && !history::contains(repo, tip, *base)) {
            let known = repo.find_commit(base).is_ok();
            return Ok(Poll::Held(Held::rewritten(revision, &CommitSha::new(&base.to_string()), known)));
        }
        let commits_max = if self.verifier.is_some() { verify::COMMITS_MAX + 1 } else { COMMITS_MAX };
        let mut range = base.map(|base| history::range(repo, base, tip, commits_max)).transpose()?.unwrap_or_default();
        if let Some(held) = self.unverified(&revision, tip, &range)? {
            return Ok(Poll::Held(held));
        }
        range.truncate(COMMITS_MAX);
        let (open, _) = opened(&self.open, &self.branch, &self.shown)?;
        let stats = self.state.move_to(open.local.repo(), tip)?;
        let snapshot = self.state.snapshot(open, revision, &range, stats)?;
        self.read = Some(snapshot.revision.commit.sha.clone());
        Ok(Poll::Changed(snapshot))
    }

    /// What must not be applied for its signature, when signatures are asked for.
    fn unverified(&mut self, revision: &Revision, tip: Oid, range: &[Oid]) -> Result<Option<Held>, Error> {
        if self.verifier.is_none() {
            return Ok(None);
        }
        if range.len() > verify::COMMITS_MAX {
            return Ok(Some(Held::too_many_to_verify(revision.clone())));
        }
        let first_look = self.read.is_none() && !range.contains(&tip);
        let commits: Vec<Oid> = first_look.then_some(tip).into_iter().chain(range.iter().copied()).collect();
        let git = self.git()?;
        let (Some(verifier), Some(open)) = (&mut self.verifier, &self.open) else { return Ok(None) };
        let Some(refused) = verifier.check(&git, open.local.repo(), &commits)? else { return Ok(None) };
        let commit = history::describe(&history::find(open.local.repo(), refused.id)?);
        Ok(Some(Held::unverified(revision.clone(), commit, &refused.why)))
    }

    /// Brings the clone of a remote up to date without reading or applying anything. Does nothing for a repository on
    /// this machine.
    ///
    /// # Errors
    /// When the remote cannot be reached or has no such branch.
    pub fn refresh(&mut self) -> Result<(), Error> {
        match &self.address {
            Address::Local(_) => Ok(()),
            Address::Remote(_) => self.find_tip().map(drop),
        }
    }

    /// The tip of the followed branch, fetched where that is needed.
    fn find_tip(&mut self) -> Result<Oid, Error> {
        self.ensure_open()?;
        if let Some(fetcher) = self.fetcher()? {
            let git = self.git()?;
            self.settle_branch(&fetcher, &git)?;
            let (open, branch) = opened(&self.open, &self.branch, &self.shown)?;
            fetcher.update(&git, branch, open.local.tip(branch).ok())?;
        }
        let (open, branch) = opened(&self.open, &self.branch, &self.shown)?;
        open.local.tip(branch)
    }

    fn settle_branch(&mut self, fetcher: &Fetcher, git: &Git) -> Result<(), Error> {
        if !self.branch_settled {
            self.branch = Some(fetcher.default_branch(git)?);
            self.branch_settled = true;
        }
        let (open, branch) = opened(&self.open, &self.branch, &self.shown)?;
        // So that `HEAD~1` means the followed branch, also without the network after a restart.
        open.local.check_out(branch)
    }

    /// Any revision: `HEAD~1`, a branch, a tag, a commit id. What is followed is not touched by it. Signatures are not
    /// checked: this is for looking, not for applying.
    ///
    /// A revision of a remote that is not in the clone is fetched; what is there is taken as it is ([`Self::refresh`]
    /// brings it up to date).
    ///
    /// # Errors
    /// When there is no such revision, or it cannot be read.
    pub fn snapshot_at(&mut self, rev: &str) -> Result<Snapshot, Error> {
        // Without a branch (a detached checkout) any revision can still be read.
        let opening = self.ensure_open();
        if self.open.is_none() {
            opening?;
        }
        let id = self.resolve(rev)?;
        let open = self.open.as_ref().ok_or_else(|| Error::RepositoryMissing { repo: self.shown.clone() })?;
        let is_branch = local::reference(rev).is_ok() && open.local.tip(rev).is_ok();
        let branch = if is_branch { rev } else { self.branch.as_deref().unwrap_or("HEAD") };
        let revision = revision(&open.local, branch, id)?;
        let mut state = self.state.clone();
        let stats = state.move_to(open.local.repo(), id)?;
        let snapshot = state.snapshot(open, revision, &[id], stats)?;
        Ok(Snapshot { range: Vec::new(), ..snapshot })
    }

    fn resolve(&mut self, rev: &str) -> Result<Oid, Error> {
        let resolve = |open: &Option<Open>, rev: &str| match open {
            Some(open) => open.local.resolve(rev),
            None => Err(Error::RevisionMissing { repo: self.shown.clone(), revision: rev.to_owned() }),
        };
        let here = resolve(&self.open, rev);
        let (Err(Error::RevisionMissing { .. }), Some(fetcher)) = (&here, self.fetcher()?) else { return here };
        self.find_tip()?;
        let open = &self.open;
        let missing = here;
        match open.as_ref().map(|open| open.local.resolve(rev)) {
            Some(Err(Error::RevisionMissing { .. })) | None => {}
            Some(other) => return other,
        }
        match fetcher.fetch_other(&self.git()?, rev) {
            Ok(reference) => self.open.as_ref().map_or(missing, |open| open.local.resolve(&reference)),
            Err(Error::BranchMissing { .. } | Error::BranchName { .. }) => missing,
            Err(error) => Err(error),
        }
    }

    /// The files as they are on disk, committed or not. `.gitignore` is respected, links are never followed. They have
    /// no commit: the revision is called `worktree`, and its id changes whenever a manifest does.
    ///
    /// # Errors
    /// When the repository is not on this machine, or has no working directory, or cannot be read.
    pub fn worktree_snapshot(&mut self) -> Result<Snapshot, Error> {
        let Address::Local(path) = self.address.clone() else {
            return Err(Error::Options { what: "the repository is elsewhere, so that there are no files on disk" });
        };
        // A folder that is no repository has files all the same.
        let opening = self.ensure_open();
        if !matches!(opening, Ok(()) | Err(Error::RepositoryMissing { .. } | Error::Detached { .. })) {
            opening?;
        }
        let worktree = self.worktree(&path)?;
        let found = worktree.look(self.open.as_ref().map(|open| open.local.repo()))?;
        if self.options.worktree {
            return found.into_snapshot(&worktree, &mut self.state.index);
        }
        found.into_snapshot(&worktree, &mut self.state.index.clone())
    }

    fn worktree(&self, path: &Path) -> Result<Worktree, Error> {
        match &self.open {
            None => Ok(Worktree::of_folder(path, &self.shown, false)),
            Some(open) => match open.local.repo().workdir() {
                Some(workdir) => Ok(Worktree::of_repository(workdir, &self.shown)),
                None => Err(Error::Options { what: "--worktree needs files, and the repository is a bare one" }),
            },
        }
    }

    /// A regular file of a commit, such as a task's input: at most `bytes_max` bytes, links never followed. For a
    /// revision of files on disk it is the file as it is now.
    ///
    /// # Errors
    /// When it is not there, not a regular file, too large, or cannot be read.
    pub fn read_file(&self, commit: &CommitSha, path: &str, bytes_max: u64) -> Result<Vec<u8>, Error> {
        if let (true, Address::Local(root)) = (worktree::is_files(commit), &self.address) {
            return self.worktree(root)?.read_file(path, bytes_max);
        }
        let missing = || Error::RevisionMissing { repo: self.shown.clone(), revision: commit.as_str().to_owned() };
        let id = commit_id(commit).ok_or_else(missing)?;
        match &self.open {
            Some(open) => open.local.read_file(id, path, bytes_max),
            None => self.open_now()?.local.read_file(id, path, bytes_max),
        }
    }

    /// Opens the repository, and settles which branch is followed as far as that can be told without a network.
    fn ensure_open(&mut self) -> Result<(), Error> {
        if self.open.is_none() {
            self.open = Some(self.open_now()?);
        }
        if let (None, Some(open)) = (&self.branch, &self.open) {
            match &self.address {
                Address::Local(_) => self.branch = Some(open.local.checked_out()?),
                Address::Remote(_) => {
                    self.branch = open.local.checked_out().ok().filter(|branch| open.local.tip(branch).is_ok());
                }
            }
        }
        Ok(())
    }

    fn open_now(&self) -> Result<Open, Error> {
        match (&self.address, self.fetcher()?) {
            (Address::Remote(_), Some(fetcher)) => Open::at(fetcher.clone_dir()?, &self.shown),
            (Address::Local(path), _) => Open::at(path, &self.shown),
            (Address::Remote(_), None) => unreachable!("a remote has a fetcher"),
        }
    }

    fn fetcher(&self) -> Result<Option<Fetcher>, Error> {
        match &self.address {
            Address::Local(_) => Ok(None),
            Address::Remote(remote) => Fetcher::new(remote.clone(), self.shown.clone(), &self.options).map(Some),
        }
    }

    fn git(&mut self) -> Result<Git, Error> {
        match &self.git {
            Some(git) => Ok(git.clone()),
            None => Ok(self.git.insert(Git::new(&self.options)?).clone()),
        }
    }
}

fn opened<'a>(open: &'a Option<Open>, branch: &'a Option<String>, shown: &str) -> Result<(&'a Open, &'a str), Error> {
    match (open, branch) {
        (Some(open), Some(branch)) => Ok((open, branch)),
        (None, _) => Err(Error::RepositoryMissing { repo: shown.to_owned() }),
        (_, None) => Err(Error::Detached { repo: shown.to_owned() }),
    }
}

/// The commit id in `sha`; none for files on disk.
fn commit_id(sha: &CommitSha) -> Option<Oid> {
    (sha.as_str().len() == 40).then(|| Oid::from_str(sha.as_str()).ok()).flatten()
}

fn revision(local: &Local, branch: &str, id: Oid) -> Result<Revision, Error> {
    let commit: Commit = history::describe(&history::find(local.repo(), id)?);
    Ok(Revision { branch: branch.to_owned(), commit })
}
