//! A repository on this machine, kept open: refs, revisions, files.
//!
//! Kept open because opening costs more than looking: a look that finds nothing new reads one small file. libgit2's
//! own check that a repository belongs to the user who runs the program is left on: a repository of somebody else may
//! carry settings of somebody else. `safe.directory` in the user's Git settings overrules it, as it does for git.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use git2::{ErrorCode, ObjectType, Oid, Reference, Repository, RepositoryOpenFlags};

use super::{Error, Paths, place};

/// A repository that is open, and a second handle to answer for its files.
pub(super) struct Open {
    pub local: Local,
    pub lookup: Lookup,
}

impl Open {
    /// Opens the repository at or above `path`.
    pub fn at(path: &Path, shown: &str) -> Result<Self, Error> {
        let local = Local::open(path, shown)?;
        let lookup = Lookup::new(local.repo.path());
        Ok(Self { local, lookup })
    }
}

/// An open repository.
pub(super) struct Local {
    repo: Repository,
    /// The address as a person gave it, for messages.
    shown: String,
}

impl Local {
    fn open(path: &Path, shown: &str) -> Result<Self, Error> {
        let none: [&Path; 0] = [];
        match Repository::open_ext(path, RepositoryOpenFlags::empty(), none) {
            Ok(repo) => Ok(Self { repo, shown: shown.to_owned() }),
            Err(error) if error.code() == ErrorCode::NotFound => {
                Err(Error::RepositoryMissing { repo: shown.to_owned() })
            }
            Err(error) => Err(Error::from_git(shown, "the repository", &error)),
        }
    }

    pub fn repo(&self) -> &Repository {
        &self.repo
    }

    /// The branch that is checked out, also when it has no commit yet.
    pub fn checked_out(&self) -> Result<String, Error> {
        let head = self.repo.find_reference("HEAD").map_err(|error| self.failed("HEAD", &error))?;
        let target = head.symbolic_target().map_err(|error| self.failed("HEAD", &error))?;
        match target.and_then(|target| target.strip_prefix("refs/heads/")) {
            Some(branch) => Ok(branch.to_owned()),
            None => Err(Error::Detached { repo: self.shown.clone() }),
        }
    }

    /// Makes `HEAD` mean `branch`. For a clone of our own only.
    pub fn check_out(&self, branch: &str) -> Result<(), Error> {
        if self.checked_out().is_ok_and(|head| head == branch) {
            return Ok(());
        }
        self.repo.set_head(&reference(branch)?).map_err(|error| self.failed("HEAD", &error))
    }

    /// The newest commit of a branch.
    pub fn tip(&self, branch: &str) -> Result<Oid, Error> {
        match self.repo.refname_to_id(&reference(branch)?) {
            Ok(id) => Ok(id),
            Err(error) if error.code() == ErrorCode::NotFound => Err(self.no_branch(branch)),
            Err(error) => Err(self.failed(&format!("the branch {branch}"), &error)),
        }
    }

    fn no_branch(&self, branch: &str) -> Error {
        let (repo, branch) = (self.shown.clone(), branch.to_owned());
        if !self.repo.path().exists() {
            return Error::RepositoryMissing { repo };
        }
        match self.checked_out() {
            Ok(head) if head == branch => Error::Unborn { repo, branch },
            _ => Error::BranchMissing { repo, branch },
        }
    }

    /// The commit that a person means by `HEAD~1`, a branch, a tag or a commit id.
    pub fn resolve(&self, revision: &str) -> Result<Oid, Error> {
        let missing = || Error::RevisionMissing { repo: self.shown.clone(), revision: super::error::detail(revision) };
        let object = self.repo.revparse_single(revision).map_err(|error| match error.class() {
            git2::ErrorClass::Odb | git2::ErrorClass::Zlib | git2::ErrorClass::Object
                if error.code() != ErrorCode::NotFound =>
            {
                self.failed(&format!("the revision {revision}"), &error)
            }
            _ => missing(),
        })?;
        object.peel_to_commit().map(|commit| commit.id()).map_err(|_| missing())
    }

    fn failed(&self, what: &str, error: &git2::Error) -> Error {
        Error::from_git(&self.shown, what, error)
    }

    /// The content of a regular file of a commit.
    pub fn read_file(&self, commit: Oid, path: &str, bytes_max: u64) -> Result<Vec<u8>, Error> {
        let tree = super::history::find(&self.repo, commit)?.tree_id();
        let id = file_at(&self.repo, tree, path)?;
        let failed = |error: &git2::Error| self.failed(&format!("the file `{path}`"), error);
        let odb = self.repo.odb().map_err(|error| failed(&error))?;
        let (bytes, _) = odb.read_header(id).map_err(|error| failed(&error))?;
        let bytes = bytes as u64;
        if bytes > bytes_max {
            return Err(Error::FileTooLarge { path: path.to_owned(), bytes, bytes_max });
        }
        Ok(self.repo.find_blob(id).map_err(|error| failed(&error))?.content().to_vec())
    }
}

/// The full name of a branch.
pub(super) fn reference(branch: &str) -> Result<String, Error> {
    let reference = format!("refs/heads/{branch}");
    if branch.starts_with('-') || !Reference::is_valid_name(&reference) {
        return Err(Error::BranchName { name: super::error::detail(branch) });
    }
    Ok(reference)
}

/// The content id of a regular file below a tree.
fn file_at(repo: &Repository, tree: Oid, path: &str) -> Result<Oid, Error> {
    let missing = || Error::FileMissing { path: super::error::detail(path) };
    let components = place::components(path).ok_or_else(missing)?;
    let mut id = tree;
    for (depth, component) in components.iter().enumerate() {
        let damaged = |error| Error::from_git(&repo.path().display().to_string(), format!("the tree {id}"), &error);
        let tree = repo.find_tree(id).map_err(damaged)?;
        let entry = tree.get_name(component).ok_or_else(missing)?;
        let last = depth + 1 == components.len();
        let what = match entry.kind() {
            Some(ObjectType::Commit) => Some("a submodule"),
            Some(ObjectType::Tree) if last => Some("a folder"),
            Some(ObjectType::Blob) if entry.filemode() == 0o120_000 => Some("a symbolic link"),
            Some(ObjectType::Blob) if !last => return Err(missing()),
            _ => None,
        };
        if let Some(what) = what {
            return Err(Error::NotAFile { path: path.to_owned(), what });
        }
        id = entry.id();
    }
    Ok(id)
}

/// Answers for the files of trees, from a handle of its own that is opened when it is first asked.
#[derive(Clone)]
pub(super) struct Lookup {
    git_dir: Arc<Path>,
    repo: Arc<Mutex<Option<Repository>>>,
}

impl Lookup {
    fn new(git_dir: &Path) -> Self {
        Self { git_dir: git_dir.into(), repo: Arc::default() }
    }

    /// The files of one tree.
    pub fn paths(&self, tree: Oid) -> Paths {
        let lookup = self.clone();
        Paths(Arc::new(move |path| lookup.exists(tree, path)))
    }

    fn exists(&self, tree: Oid, path: &str) -> bool {
        let mut slot = self.repo.lock().unwrap_or_else(PoisonError::into_inner);
        if slot.is_none() {
            *slot = Repository::open(PathBuf::from(&*self.git_dir)).ok();
        }
        slot.as_ref().is_some_and(|repo| file_at(repo, tree, path).is_ok())
    }
}
