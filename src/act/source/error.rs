//! What can go wrong with a repository: one stable word, one sentence, and what to do next.
//!
//! Says nothing of credentials: addresses are shown without user information, and the `git` program's own words are
//! shortened before they get here.

use std::fmt;

use git2::ErrorClass;

use crate::core::text;

/// Characters of a foreign message (libgit2, the `git` program) that are kept.
pub(super) const DETAIL_CHARS_MAX: usize = 400;

/// A stable word for why the source is not ready; conditions and scripts depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// The repository cannot be reached: not there, no network, no access.
    Unreachable,
    /// The branch does not exist (any more), or has no commit yet.
    BranchMissing,
    /// An object of the repository is missing or damaged.
    Corrupt,
    /// The new tip does not contain the commit in force: the history was rewritten.
    NotFastForward,
    /// A commit is not signed by an allowed signer.
    Unverified,
    /// Anything else: a wrong option, a missing program, a file that cannot be read.
    Failed,
}

impl Reason {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "Unreachable",
            Self::BranchMissing => "BranchMissing",
            Self::Corrupt => "Corrupt",
            Self::NotFastForward => "NotFastForward",
            Self::Unverified => "Unverified",
            Self::Failed => "Failed",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a look at the repository failed. The last applied revision stays in force.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("`{repo}` is not there, or is not a git repository")]
    RepositoryMissing { repo: String },
    #[error("`{repo}` belongs to another user")]
    Owner { repo: String },
    #[error("`{repo}` cannot be reached: {detail}")]
    Unreachable { repo: String, detail: String },
    #[error("`{repo}` refused access: {detail}")]
    Denied { repo: String, detail: String },
    #[error("`{repo}` has no branch `{branch}`")]
    BranchMissing { repo: String, branch: String },
    #[error("branch `{branch}` of `{repo}` has no commit yet")]
    Unborn { repo: String, branch: String },
    #[error("`{repo}` has no branch checked out")]
    Detached { repo: String },
    #[error("`{name}` is not a branch name that git accepts")]
    BranchName { name: String },
    #[error("there is no revision `{revision}` in `{repo}`")]
    RevisionMissing { repo: String, revision: String },
    #[error("`{repo}` is damaged: {what}: {detail}")]
    Corrupt { repo: String, what: String, detail: String },
    #[error("the manifest folders hold more than {entries_max} entries")]
    TooManyEntries { entries_max: usize },
    #[error("the address `{address}` carries {what}")]
    CredentialsInAddress { address: String, what: &'static str },
    #[error("the address `{address}` cannot be used: {why}")]
    Address { address: String, why: String },
    #[error("the credential `{file}` cannot be used: {why}")]
    Credential { file: String, why: String },
    #[error("the `git` program could not be run: {detail}")]
    GitMissing { detail: String },
    #[error("`git {verb}` took longer than {seconds} s and was ended")]
    Timeout { verb: String, seconds: u64 },
    #[error("`git {verb}` was ended because the program is stopping")]
    Stopped { verb: String },
    #[error("`git {verb}` failed: {detail}")]
    GitFailed { verb: String, detail: String },
    #[error("`{path}` is not in the revision")]
    FileMissing { path: String },
    #[error("`{path}` is {what}, not a regular file")]
    NotAFile { path: String, what: &'static str },
    #[error("`{path}` is {bytes} bytes, more than the {bytes_max} allowed here")]
    FileTooLarge { path: String, bytes: u64, bytes_max: u64 },
    #[error("`{path}` could not be read: {detail}")]
    Io { path: String, detail: String },
    #[error("{what}")]
    Options { what: &'static str },
}

impl Error {
    /// The stable word.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            Self::RepositoryMissing { .. } | Self::Unreachable { .. } | Self::Denied { .. } | Self::Timeout { .. } => {
                Reason::Unreachable
            }
            Self::BranchMissing { .. } | Self::Unborn { .. } | Self::Detached { .. } => Reason::BranchMissing,
            Self::Corrupt { .. } => Reason::Corrupt,
            Self::Owner { .. }
            | Self::BranchName { .. }
            | Self::RevisionMissing { .. }
            | Self::TooManyEntries { .. }
            | Self::CredentialsInAddress { .. }
            | Self::Address { .. }
            | Self::Credential { .. }
            | Self::GitMissing { .. }
            | Self::Stopped { .. }
            | Self::GitFailed { .. }
            | Self::FileMissing { .. }
            | Self::NotAFile { .. }
            | Self::FileTooLarge { .. }
            | Self::Io { .. }
            | Self::Options { .. } => Reason::Failed,
        }
    }

    /// What to do next, where there is something to do.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        Some(match self {
            Self::RepositoryMissing { .. } => {
                "check the path given as --repo; `arcology init DIR` makes a new state repository".into()
            }
            Self::Owner { repo } => format!(
                "run arcology as the owner of the repository, or trust it with `git config --global --add \
                 safe.directory {repo}` as the user that runs arcology"
            ),
            Self::Unreachable { .. } | Self::Timeout { .. } => {
                "nothing to do if the network comes back: the last applied revision stays in force and it is tried again"
                    .into()
            }
            Self::Denied { .. } => "put a deploy key (`git-ssh-key`, `git-known-hosts`) or a token (`git-token`) into the \
                                    credentials folder; no agent and no credential helper is ever asked"
                .into(),
            Self::BranchMissing { branch, .. } => {
                format!("push the branch `{branch}` again, or name another one with --branch")
            }
            Self::Unborn { .. } => "make the first commit".into(),
            Self::Detached { .. } => "name the branch to follow with --branch".into(),
            Self::BranchName { .. } => "give --branch the short name of a branch, such as `main`".into(),
            Self::RevisionMissing { .. } => {
                "name a branch, a tag, a commit id, or something like `HEAD~1`; `git log --all` shows what there is".into()
            }
            Self::Corrupt { .. } => {
                "run `git fsck` there and restore the damaged objects, for example by fetching from a good copy".into()
            }
            Self::TooManyEntries { .. } => "move what is not a manifest out of the manifest folders".into(),
            Self::CredentialsInAddress { .. } => {
                "put the token into `git-token` in the credentials folder and give the address without it".into()
            }
            Self::Address { .. } => "give a path, or an https://, ssh:// or file:// address".into(),
            Self::Credential { .. } => "mend the file in the credentials folder, readable by arcology alone".into(),
            Self::GitMissing { .. } => "install git: it is needed for remote repositories and for --verify".into(),
            Self::GitFailed { .. } | Self::Stopped { .. } | Self::Io { .. } => return None,
            Self::FileMissing { .. } => "commit the file, or mend the path that refers to it".into(),
            Self::NotAFile { .. } => "commit the file itself: links and submodules are never followed".into(),
            Self::FileTooLarge { .. } => "use a smaller file".into(),
            Self::Options { .. } => "leave one of the two out".into(),
        })
    }

    /// A failure that libgit2 reports while it reads `what`.
    pub(super) fn from_git(repo: &str, what: impl Into<String>, error: &git2::Error) -> Self {
        let (repo, what, detail) = (repo.to_owned(), what.into(), detail(error.message()));
        match (error.code(), error.class()) {
            (git2::ErrorCode::Owner, _) => Self::Owner { repo },
            // The system's or the settings' refusal says nothing about the objects.
            (_, ErrorClass::Os | ErrorClass::Config | ErrorClass::Repository | ErrorClass::Filesystem) => {
                Self::Io { path: repo, detail: format!("{what}: {detail}") }
            }
            _ => Self::Corrupt { repo, what, detail },
        }
    }

    pub(super) fn io(path: &std::path::Path, error: &std::io::Error) -> Self {
        Self::Io { path: path.display().to_string(), detail: detail(&error.to_string()) }
    }
}

/// A foreign message, bounded and free of control characters.
pub(super) fn detail(message: &str) -> String {
    text::shorten(message.trim(), DETAIL_CHARS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_one_of_the_stable_words() {
        let repo = || "r".to_owned();
        let cases = [
            (Error::RepositoryMissing { repo: repo() }, "Unreachable"),
            (Error::Unborn { repo: repo(), branch: "main".into() }, "BranchMissing"),
            (Error::Corrupt { repo: repo(), what: "a tree".into(), detail: "gone".into() }, "Corrupt"),
            (Error::Owner { repo: repo() }, "Failed"),
        ];
        for (error, word) in cases {
            assert_eq!(error.reason().to_string(), word, "{error}");
            assert!(error.help().is_some(), "{error}");
        }
    }

    #[test]
    fn foreign_messages_are_cut_and_cleaned() {
        let cleaned = detail(&format!("a\x1b[31m{}", "x".repeat(10_000)));
        assert_eq!(cleaned.chars().count(), DETAIL_CHARS_MAX);
        assert!(!cleaned.contains('\x1b'));
    }
}
