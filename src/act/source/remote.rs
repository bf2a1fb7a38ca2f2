//! A remote repository: a cheap question for the tip, a fetch into a clone of our own when it is new.
//!
//! The clone is bare, lives in `source.git` in the state directory, and holds the followed branch under the name it has
//! there, so that `HEAD~1` and `main` mean the same as in any clone. What was fetched stays: without the network every
//! revision that was ever applied can still be read.

use std::path::{Path, PathBuf};
use std::time::Duration;

use git2::{Oid, Repository, RepositoryInitOptions};

use super::address::Remote;
use super::git_program::{Additions, Git, Output, absolute};
use super::{Error, Options, credentials, error, local};

/// The clone's folder in the state directory.
const CLONE: &str = "source.git";
/// What git exits with when no ref matches (`git ls-remote --exit-code`).
const NO_MATCHING_REF: i32 = 2;
/// Locks and temporary files of the clone that are older than this, and than two fetches may take, belong to nobody.
const LEFTOVER_AGE: Duration = Duration::from_secs(60);
/// Folders in folders of the clone that are searched for leftovers: enough for any branch name of reason.
const SWEEP_DEPTH_MAX: usize = 8;
/// Words of git and ssh for an identity that is missing or not accepted.
const DENIED: [&str; 8] = [
    "Permission denied",
    "Authentication failed",
    "could not read Username",
    "could not read Password",
    "Host key verification failed",
    "access denied",
    "error: 401",
    "error: 403",
];

/// A remote and its clone.
pub(super) struct Fetcher {
    remote: Remote,
    shown: String,
    clone: PathBuf,
    credentials: Option<PathBuf>,
    question_timeout: Duration,
    fetch_timeout: Duration,
}

impl Fetcher {
    pub fn new(remote: Remote, shown: String, options: &Options) -> Result<Self, Error> {
        let clone = absolute(&options.state_dir)?.join(CLONE);
        Ok(Self {
            remote,
            shown,
            clone,
            credentials: options.credentials_dir.clone(),
            question_timeout: options.remote_timeout,
            fetch_timeout: options.fetch_timeout,
        })
    }

    /// The clone, made when it is not there or is one of another address. Needs no network.
    pub fn clone_dir(&self) -> Result<&Path, Error> {
        let failed = |error: git2::Error| Error::from_git(&self.shown, "the clone in the state directory", &error);
        if let Ok(repo) = Repository::open_bare(&self.clone) {
            let config = repo.config().map_err(failed)?;
            if config.get_string("remote.origin.url").is_ok_and(|url| url == self.remote.url) {
                return Ok(&self.clone);
            }
            std::fs::remove_dir_all(&self.clone).map_err(|error| Error::io(&self.clone, &error))?;
        }
        let mut init = RepositoryInitOptions::new();
        init.bare(true).mkpath(true).external_template(false);
        let repo = Repository::init_opts(&self.clone, &init).map_err(failed)?;
        repo.config().and_then(|mut config| config.set_str("remote.origin.url", &self.remote.url)).map_err(failed)?;
        Ok(&self.clone)
    }

    /// The remote's default branch.
    pub fn default_branch(&self, git: &Git) -> Result<String, Error> {
        let output = self.ask(git, "ls-remote", &["--symref", &self.remote.url, "HEAD"])?;
        let text = String::from_utf8_lossy(&output.stdout);
        let target = text.lines().find_map(|line| line.strip_prefix("ref: refs/heads/")?.strip_suffix("\tHEAD"));
        match target {
            Some(branch) if local::reference(branch).is_ok() => Ok(branch.to_owned()),
            _ => Err(Error::BranchMissing { repo: self.shown.clone(), branch: "HEAD".into() }),
        }
    }

    /// Brings the branch up to date and gives its tip. Fetches only when the tip is not in the clone yet.
    pub fn update(&self, git: &Git, branch: &str, known: Option<Oid>) -> Result<Oid, Error> {
        let reference = local::reference(branch)?;
        let tip = self.probe(git, branch, &reference)?;
        if known != Some(tip) {
            self.fetch(git, &reference, &reference)?;
        }
        Ok(tip)
    }

    /// Fetches a branch that is not followed, and gives the full name it has in the clone.
    pub fn fetch_other(&self, git: &Git, branch: &str) -> Result<String, Error> {
        let (reference, here) = (local::reference(branch)?, format!("refs/remotes/origin/{branch}"));
        self.probe(git, branch, &reference)?;
        self.fetch(git, &reference, &here)?;
        Ok(here)
    }

    fn probe(&self, git: &Git, branch: &str, reference: &str) -> Result<Oid, Error> {
        let output = self.run(git, "ls-remote", &["--exit-code", &self.remote.url, reference])?;
        if output.status == Some(NO_MATCHING_REF) {
            return Err(Error::BranchMissing { repo: self.shown.clone(), branch: branch.to_owned() });
        }
        let output = self.succeeded("ls-remote", output)?;
        let text = String::from_utf8_lossy(&output.stdout);
        let id = text.lines().find_map(|line| line.strip_suffix(reference)?.strip_suffix('\t'));
        id.and_then(|id| Oid::from_str(id).ok()).ok_or_else(|| Error::Unreachable {
            repo: self.shown.clone(),
            detail: "it answered in a way that git does not".into(),
        })
    }

    fn fetch(&self, git: &Git, from: &str, to: &str) -> Result<(), Error> {
        sweep(&self.clone, LEFTOVER_AGE.max(self.fetch_timeout * 2), 0);
        let refspec = format!("+{from}:{to}");
        let arguments = [
            "--quiet",
            "--no-tags",
            "--no-write-fetch-head",
            "--no-recurse-submodules",
            "--no-auto-maintenance",
            "--no-show-forced-updates",
            &self.remote.url,
            &refspec,
        ];
        self.ask(git, "fetch", &arguments).map(drop)
    }

    fn ask(&self, git: &Git, verb: &str, arguments: &[&str]) -> Result<Output, Error> {
        let output = self.run(git, verb, arguments)?;
        self.succeeded(verb, output)
    }

    fn run(&self, git: &Git, verb: &str, arguments: &[&str]) -> Result<Output, Error> {
        let additions: Additions = credentials::additions(&self.remote, self.credentials.as_deref())?;
        let timeout = if verb == "fetch" { self.fetch_timeout } else { self.question_timeout };
        git.run(Some(&self.clone), verb, arguments, &additions, timeout)
    }

    fn succeeded(&self, verb: &str, output: Output) -> Result<Output, Error> {
        if output.status == Some(0) {
            return Ok(output);
        }
        let (repo, detail) = (self.shown.clone(), said(verb, &output));
        Err(if DENIED.iter().any(|words| output.stderr.contains(words)) {
            Error::Denied { repo, detail }
        } else {
            Error::Unreachable { repo, detail }
        })
    }
}

/// Removes what a git that was killed left in the clone: locks, which would stop every later fetch, and halves of packs,
/// which would fill the disk. What is young may belong to another process that is fetching now.
fn sweep(folder: &Path, age_min: Duration, depth: usize) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let (name, path) = (entry.file_name(), entry.path());
        let name = name.to_string_lossy();
        let Ok(metadata) = entry.metadata() else { continue };
        if metadata.is_dir() {
            let worth_a_look = depth > 0 || ["refs", "objects"].contains(&&*name);
            // Folders of loose objects have two letters; nothing is left over in them.
            if worth_a_look && depth < SWEEP_DEPTH_MAX && name.len() > 2 {
                sweep(&path, age_min, depth + 1);
            }
            continue;
        }
        let old = metadata.modified().is_ok_and(|modified| modified.elapsed().is_ok_and(|age| age > age_min));
        if old && (name.ends_with(".lock") || name.starts_with("tmp_")) {
            match std::fs::remove_file(&path) {
                Ok(()) => tracing::info!(path = %path.display(), "removed what an ended git had left"),
                Err(error) => tracing::warn!(path = %path.display(), %error, "a leftover of git cannot be removed"),
            }
        }
    }
}

/// The line of what git said that tells the most.
fn said(verb: &str, output: &Output) -> String {
    let telling = ["fatal: ", "ssh: ", "error: ", "Permission", "Host key"];
    let line = telling.iter().find_map(|start| output.stderr.lines().find(|line| line.starts_with(start)));
    match line.or_else(|| output.stderr.lines().rfind(|line| !line.trim().is_empty())) {
        Some(line) => error::detail(line.strip_prefix("fatal: ").unwrap_or(line)),
        None => match output.status {
            Some(status) => format!("`git {verb}` ended with {status}"),
            None => format!("`git {verb}` was killed"),
        },
    }
}
