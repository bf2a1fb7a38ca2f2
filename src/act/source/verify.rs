//! `--verify`: every new commit carries an SSH signature of somebody in the allowed-signers file.
//!
//! Checked by `git verify-commit` in the sealed environment, and in an empty repository of our own that borrows the
//! objects: settings of the repository that is checked, which could name another checking program, are never read. Each
//! commit is checked once for each state of the allowed-signers file. At the first look of a process the tip is checked
//! whatever was in force before; afterwards every commit between the one in force and the tip is.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use git2::{ErrorCode, Oid, Repository, RepositoryInitOptions};

use crate::core::Digest;

use super::git_program::{Additions, Git, absolute};
use super::{Error, Options, error};

/// Commits that are checked at once; more must be taken in steps.
pub(super) const COMMITS_MAX: usize = 10_000;
/// Commits that one call of git checks.
const BATCH: usize = 64;
/// Commits that are remembered as checked.
const REMEMBERED_MAX: usize = 50_000;
/// The empty repository's folder in the state directory.
const BORROWER: &str = "verify.git";

/// A commit that must not be applied.
#[derive(Debug)]
pub(super) struct Refused {
    pub id: Oid,
    /// Why, a lower-case phrase that follows "commit … ".
    pub why: String,
}

/// Checks signatures, and remembers which commits were good.
pub(super) struct Verifier {
    signers: PathBuf,
    borrower: PathBuf,
    signers_digest: Option<Digest>,
    good: HashSet<Oid>,
    timeout: Duration,
}

impl Verifier {
    pub fn new(signers: &Path, options: &Options) -> Result<Self, Error> {
        let borrower = absolute(&options.state_dir)?.join(BORROWER);
        Ok(Self {
            signers: absolute(signers)?,
            borrower,
            signers_digest: None,
            good: HashSet::new(),
            timeout: options.remote_timeout,
        })
    }

    /// The oldest of `commits` (the newest first) that is not signed as it must be, if there is one.
    pub fn check(&mut self, git: &Git, repo: &Repository, commits: &[Oid]) -> Result<Option<Refused>, Error> {
        self.read_signers()?;
        let unknown: Vec<Oid> = commits.iter().rev().filter(|id| !self.good.contains(id)).copied().collect();
        if let Some(id) = unknown.iter().find(|id| is_unsigned(repo, **id)) {
            return Ok(Some(Refused { id: *id, why: "carries no signature".into() }));
        }
        self.make_borrower(repo)?;
        for batch in unknown.chunks(BATCH) {
            if self.run(git, repo, batch)?.is_some() {
                for id in batch {
                    if let Some(why) = self.run(git, repo, &[*id])? {
                        return Ok(Some(Refused { id: *id, why }));
                    }
                }
            }
            self.good.extend(batch);
        }
        Ok(None)
    }

    /// What was good under another list of signers is forgotten.
    fn read_signers(&mut self) -> Result<(), Error> {
        let content = std::fs::read(&self.signers).map_err(|error| Error::io(&self.signers, &error))?;
        let digest = Digest::of(&content);
        if self.signers_digest != Some(digest) || self.good.len() > REMEMBERED_MAX {
            self.good.clear();
            self.signers_digest = Some(digest);
        }
        Ok(())
    }

    fn make_borrower(&self, repo: &Repository) -> Result<(), Error> {
        if Repository::open_bare(&self.borrower).is_ok() {
            return Ok(());
        }
        let mut init = RepositoryInitOptions::new();
        init.bare(true).mkpath(true).external_template(false).object_format(repo.object_format());
        let made = Repository::init_opts(&self.borrower, &init).map(drop);
        made.map_err(|error| Error::from_git(&self.borrower.display().to_string(), "the folder for checks", &error))
    }

    /// None when every commit is good, else what git said.
    fn run(&self, git: &Git, repo: &Repository, commits: &[Oid]) -> Result<Option<String>, Error> {
        let setting = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let additions = Additions {
            settings: vec![
                setting("gpg.format", "ssh"),
                setting("gpg.minTrustLevel", "fully"),
                ("gpg.ssh.allowedSignersFile".into(), self.signers.display().to_string()),
                setting("gpg.ssh.program", "ssh-keygen"),
                // A commit chooses the kind of its signature: only SSH counts.
                setting("gpg.program", "false"),
                setting("gpg.openpgp.program", "false"),
                setting("gpg.x509.program", "false"),
            ],
            variables: vec![("GIT_ALTERNATE_OBJECT_DIRECTORIES", quoted(&repo.commondir().join("objects"))?)],
            secret: None,
        };
        let ids: Vec<String> = ["--raw".to_owned()].into_iter().chain(commits.iter().map(Oid::to_string)).collect();
        let output = git.run(Some(&self.borrower), "verify-commit", &ids, &additions, self.timeout)?;
        if output.status == Some(0) {
            return Ok(None);
        }
        let said = output.stderr.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ");
        let said = if said.is_empty() { "git gave no reason".to_owned() } else { error::detail(&said) };
        Ok(Some(format!("is not signed by an allowed signer ({said})")))
    }
}

fn is_unsigned(repo: &Repository, id: Oid) -> bool {
    repo.extract_signature(&id, None).is_err_and(|error| error.code() == ErrorCode::NotFound)
}

/// The variable is a list separated by colons; git reads a quoted element as one path.
fn quoted(path: &Path) -> Result<String, Error> {
    let path = absolute(path)?;
    let text = path.to_str().ok_or(Error::Options { what: "--verify needs a repository whose path is UTF-8" })?;
    Ok(format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")))
}
