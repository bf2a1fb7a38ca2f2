//! Files as they are on disk: `--worktree`, and folders that are no repository.
//!
//! Every component is opened relative to its folder and without following links, so that nothing outside is ever read,
//! even while the files change. Named pipes and devices are never opened. What `.gitignore` excludes is left out, as
//! far as it is not tracked.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use git2::{Index as Staged, ObjectType, Oid, Repository};
use rustix::fs::{CWD, Dir, FileType, Mode, OFlags, openat};

use crate::core::{Commit, CommitSha, Digest, Revision, Timestamp, text};
use crate::declare::manifest::parse;

use super::fault::Fault;
use super::index::Index;
use super::options::{DATA_BYTES_MAX, DEPTH_MAX, ENTRIES_MAX, FOLDERS, MANIFEST_BYTES_MAX};
use super::reader::{self, Content};
use super::tree::{Change, Entry};
use super::{Error, Paths, Snapshot, place};

/// Starts the commit id of what has no commit, so that it is never taken for one.
const SHA_PREFIX: &str = "files-";
/// What the branch of such a revision is called.
const BRANCH: &str = "worktree";

/// A folder on disk.
pub(super) struct Worktree {
    root: PathBuf,
    /// How the folder is named to people.
    shown: String,
    /// Only the four manifest folders; otherwise everything below the root.
    folders_only: bool,
    in_repository: bool,
}

/// What was found on disk at one moment.
pub(super) struct Found {
    entries: BTreeMap<Arc<str>, Entry>,
    contents: BTreeMap<Arc<str>, Content>,
    revision: Revision,
}

impl Worktree {
    /// The files that belong to a repository with a working directory.
    pub fn of_repository(root: &Path, shown: &str) -> Self {
        Self { root: root.to_owned(), shown: shown.to_owned(), folders_only: true, in_repository: true }
    }

    /// Any folder. When it has none of the manifest folders, everything below it counts.
    pub fn of_folder(root: &Path, shown: &str, in_repository: bool) -> Self {
        let folders_only = FOLDERS.iter().any(|folder| root.join(folder).symlink_metadata().is_ok());
        Self { root: root.to_owned(), shown: shown.to_owned(), folders_only, in_repository }
    }

    /// Looks at everything. `repo` tells what is ignored.
    pub fn look(&self, repo: Option<&Repository>) -> Result<Found, Error> {
        let root =
            openat(CWD, &self.root, ROOT, Mode::empty()).map_err(|error| Error::io(&self.root, &error.into()))?;
        let ignore = repo.and_then(|repo| Ignore::new(repo, &self.root));
        let mut walk = Walk::new(ignore);
        if self.folders_only {
            for folder in FOLDERS {
                walk.entry(&root, folder.as_bytes(), "", 0)?;
            }
        } else {
            walk.folder(&root, "", 0)?;
        }
        Ok(self.found(walk))
    }

    fn found(&self, walk: Walk<'_>) -> Found {
        let Walk { entries, contents, newest, .. } = walk;
        let mut listing = Vec::new();
        for (path, entry) in &entries {
            listing.extend_from_slice(format!("{path}\0{entry:?}\n").as_bytes());
        }
        let subject = if self.in_repository { "files as they are on disk in" } else { "no repository: files in" };
        let commit = Commit {
            sha: CommitSha::new(&format!("{SHA_PREFIX}{}", &Digest::of(&listing).hex()[..40])),
            subject: text::shorten(&format!("{subject} {}", self.shown), 200),
            author: String::new(),
            at: Timestamp::from_second(newest).unwrap_or(Timestamp::UNIX_EPOCH),
        };
        Found { entries, contents, revision: Revision { branch: BRANCH.into(), commit } }
    }

    /// Answers for the files that are there when it is asked.
    pub fn paths(&self) -> Paths {
        let root = self.root.clone();
        Paths(Arc::new(move |path| open_file(&root, path).is_ok()))
    }

    /// The content of a regular file as it is now.
    pub fn read_file(&self, path: &str, bytes_max: u64) -> Result<Vec<u8>, Error> {
        let file = open_file(&self.root, path)?;
        let FileRead { content, bytes, .. } =
            read(file, bytes_max).map_err(|error| Error::io(Path::new(path), &error))?;
        if bytes > bytes_max {
            return Err(Error::FileTooLarge { path: path.to_owned(), bytes, bytes_max });
        }
        Ok(content)
    }
}

/// Whether `sha` names files on disk instead of a commit.
pub(super) fn is_files(sha: &CommitSha) -> bool {
    sha.as_str().starts_with(SHA_PREFIX)
}

impl Found {
    /// Brings `index` to what was found, and gives the snapshot of it.
    pub fn into_snapshot(mut self, worktree: &Worktree, index: &mut Index) -> Result<Snapshot, Error> {
        let gone = index.entries().keys().filter(|path| !self.entries.contains_key(*path));
        let mut changes: Vec<_> = gone.map(|path| Change { path: path.clone(), entry: None }).collect();
        let new = self.entries.iter().filter(|(path, entry)| index.entries().get(*path) != Some(*entry));
        changes.extend(new.map(|(path, entry)| Change { path: path.clone(), entry: Some(*entry) }));
        let contents = &mut self.contents;
        let stats = index
            .apply(changes, |jobs| {
                let mut content = |path: &Arc<str>| contents.remove(path).unwrap_or_else(|| Content::Bytes(Vec::new()));
                reader::parse_all(parse::file, jobs.iter().map(|(path, _)| Ok((path.clone(), content(path)))))
            })?
            .stats;
        Ok(Snapshot {
            revision: self.revision,
            files: index.files().clone(),
            commits: Arc::default(),
            range: Vec::new(),
            prune_confirmed: false,
            paths: worktree.paths(),
            stats,
        })
    }
}

/// The root may be named by a link; nothing below it may.
const ROOT: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
const FOLDER: OFlags = ROOT.union(OFlags::NOFOLLOW);
/// Without waiting for the other end of a named pipe.
const FILE: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

struct Walk<'repo> {
    ignore: Option<Ignore<'repo>>,
    entries: BTreeMap<Arc<str>, Entry>,
    contents: BTreeMap<Arc<str>, Content>,
    /// The newest modification, in seconds since 1970.
    newest: i64,
    entries_left: usize,
}

impl<'repo> Walk<'repo> {
    fn new(ignore: Option<Ignore<'repo>>) -> Self {
        Self { ignore, entries: BTreeMap::new(), contents: BTreeMap::new(), newest: 0, entries_left: ENTRIES_MAX }
    }

    fn folder(&mut self, folder: &OwnedFd, prefix: &str, depth: usize) -> Result<(), Error> {
        let unreadable = |error: rustix::io::Errno| Error::io(Path::new(prefix), &error.into());
        for entry in Dir::read_from(folder).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let name = entry.file_name().to_bytes();
            let hidden_at_root = prefix.is_empty() && name.starts_with(b".");
            if name != b"." && name != b".." && name != b".git" && !hidden_at_root {
                self.entry(folder, name, prefix, depth)?;
            }
        }
        Ok(())
    }

    fn entry(&mut self, folder: &OwnedFd, name: &[u8], prefix: &str, depth: usize) -> Result<(), Error> {
        self.entries_left =
            self.entries_left.checked_sub(1).ok_or(Error::TooManyEntries { entries_max: ENTRIES_MAX })?;
        let (text, bad) = match place::name(name) {
            Ok(text) => (text.to_owned(), None),
            Err((escaped, fault)) => (escaped, Some(fault)),
        };
        let path = if prefix.is_empty() { text } else { format!("{prefix}/{text}") };
        let Ok(stat) = rustix::fs::statat(folder, name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW) else {
            return Ok(());
        };
        let is_manifest = place::is_manifest_name(name);
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory if self.ignores_folder(&path) => {}
            FileType::Directory if bad.is_none() && depth < DEPTH_MAX => {
                match openat(folder, name, FOLDER, Mode::empty()) {
                    Ok(folder) => self.folder(&folder, &path, depth + 1)?,
                    Err(_) => self.note(path, Fault::Unreadable),
                }
            }
            FileType::Directory => self.note(path, bad.unwrap_or(Fault::TooDeep)),
            _ if self.ignores_file(&path) => {}
            FileType::Symlink if place::is_suspicious_link(name) => self.note(path, Fault::Link),
            FileType::RegularFile if depth == 0 && FOLDERS.contains(&path.as_str()) => self.note(path, Fault::NoFolder),
            FileType::RegularFile if is_manifest => match bad {
                Some(fault) => self.note(path, fault),
                None => self.file(folder, name, path),
            },
            _ if is_manifest => self.note(path, Fault::NoFile),
            _ => {}
        }
        Ok(())
    }

    fn file(&mut self, folder: &OwnedFd, name: &[u8], path: String) {
        let bytes_max = if place::may_be_data(&path) { DATA_BYTES_MAX } else { MANIFEST_BYTES_MAX };
        let opened = openat(folder, name, FILE, Mode::empty()).map_err(std::io::Error::from);
        self.take(path, opened.and_then(|file| read(File::from(file), bytes_max)), bytes_max);
    }

    /// Takes in what was read of a file.
    fn take(&mut self, path: String, read: std::io::Result<FileRead>, bytes_max: u64) {
        let Ok(FileRead { content, bytes, modified }) = read else { return self.note(path, Fault::Unreadable) };
        self.newest = self.newest.max(modified);
        let id = Oid::hash_object(ObjectType::Blob, &content).unwrap_or(Oid::ZERO_SHA1);
        let too_large = content.len() as u64 > bytes_max;
        let content = if too_large { Content::TooLarge(bytes) } else { Content::Bytes(content) };
        let path: Arc<str> = path.into();
        self.entries.insert(path.clone(), Entry::File(id));
        self.contents.insert(path, content);
    }

    fn note(&mut self, path: String, fault: Fault) {
        self.entries.insert(path.into(), Entry::Fault(fault));
    }

    fn ignores_file(&self, path: &str) -> bool {
        self.ignore.as_ref().is_some_and(|ignore| ignore.file(path))
    }

    fn ignores_folder(&self, path: &str) -> bool {
        self.ignore.as_ref().is_some_and(|ignore| ignore.folder(path))
    }
}

/// What a repository ignores, seen from a folder in it.
struct Ignore<'repo> {
    repo: &'repo Repository,
    /// From the repository's working directory to the folder.
    inside: PathBuf,
    staged: Option<Staged>,
}

impl<'repo> Ignore<'repo> {
    fn new(repo: &'repo Repository, root: &Path) -> Option<Self> {
        let workdir = repo.workdir()?.canonicalize().ok()?;
        let inside = root.canonicalize().ok()?.strip_prefix(workdir).ok()?.to_owned();
        // A kept-open repository keeps the list of tracked files that it read first: it is read again each time.
        let staged = repo.index().ok().and_then(|mut staged| staged.read(false).ok().map(|()| staged));
        Some(Self { repo, inside, staged })
    }

    fn file(&self, path: &str) -> bool {
        let path = self.inside.join(path);
        self.repo.status_should_ignore(&path).unwrap_or(false)
            && self.staged.as_ref().is_none_or(|staged| staged.get_path(&path, 0).is_none())
    }

    fn folder(&self, path: &str) -> bool {
        // With a slash at its end a pattern for folders matches it.
        let path = self.inside.join(path).join("");
        self.repo.status_should_ignore(&path).unwrap_or(false)
            && self.staged.as_ref().is_none_or(|staged| staged.find_prefix(&path).is_err())
    }
}

/// The start of a file, at most one byte more than is allowed.
struct FileRead {
    content: Vec<u8>,
    /// The size of the whole file.
    bytes: u64,
    /// Seconds since 1970.
    modified: i64,
}

fn read(file: File, bytes_max: u64) -> std::io::Result<FileRead> {
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(std::io::ErrorKind::InvalidInput.into());
    }
    let modified = metadata.modified()?.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let mut content = Vec::new();
    file.take(bytes_max.saturating_add(1)).read_to_end(&mut content)?;
    let bytes = metadata.len().max(content.len() as u64);
    Ok(FileRead { content, bytes, modified: i64::try_from(modified).unwrap_or(0) })
}

fn open_file(root: &Path, path: &str) -> Result<File, Error> {
    let missing = || Error::FileMissing { path: super::error::detail(path) };
    let components = place::components(path).ok_or_else(missing)?;
    let (name, folders) = components.split_last().ok_or_else(missing)?;
    let mut folder = openat(CWD, root, ROOT, Mode::empty()).map_err(|_| missing())?;
    for component in folders {
        folder = openat(&folder, *component, FOLDER, Mode::empty()).map_err(|error| link_or(error, path, &missing))?;
    }
    let file = File::from(openat(&folder, *name, FILE, Mode::empty()).map_err(|error| link_or(error, path, &missing))?);
    match file.metadata() {
        Ok(metadata) if metadata.is_file() => Ok(file),
        Ok(metadata) => {
            let what = if metadata.is_dir() { "a folder" } else { "a device or pipe" };
            Err(Error::NotAFile { path: path.to_owned(), what })
        }
        Err(error) => Err(Error::io(Path::new(path), &error)),
    }
}

fn link_or(error: rustix::io::Errno, path: &str, missing: &impl Fn() -> Error) -> Error {
    match error {
        rustix::io::Errno::LOOP => Error::NotAFile { path: path.to_owned(), what: "a symbolic link" },
        _ => missing(),
    }
}

/// The manifests below a folder, or a single file, for `validate PATH`: no repository is needed. Where there is one,
/// what it ignores is left out. The four manifest folders count, or everything where there is none of them.
///
/// # Errors
/// When the path cannot be read.
pub fn snapshot_of_dir(path: &Path) -> Result<Snapshot, Error> {
    let shown = path.display().to_string();
    if path.is_file() {
        return snapshot_of_file(path, &shown);
    }
    let open = super::local::Open::at(path, &shown).ok();
    let repo = open.as_ref().map(|open| open.local.repo());
    let worktree = Worktree::of_folder(path, &shown, repo.is_some());
    worktree.look(repo)?.into_snapshot(&worktree, &mut Index::default())
}

/// A single file, called by its path as it was given where that leads downwards.
fn snapshot_of_file(path: &Path, shown: &str) -> Result<Snapshot, Error> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let (root, name) = match place::components(shown) {
        Some(_) => (Path::new("."), shown.to_owned()),
        None => (path.parent().unwrap_or(Path::new("/")), name),
    };
    let worktree =
        Worktree { root: root.to_owned(), shown: shown.to_owned(), folders_only: false, in_repository: false };
    let mut walk = Walk::new(None);
    let content = match open_file(root, &name) {
        Ok(file) => read(file, MANIFEST_BYTES_MAX),
        Err(Error::NotAFile { .. }) => {
            walk.note(name, Fault::Link);
            return worktree.found(walk).into_snapshot(&worktree, &mut Index::default());
        }
        Err(error) => return Err(error),
    };
    walk.take(name, content, MANIFEST_BYTES_MAX);
    worktree.found(walk).into_snapshot(&worktree, &mut Index::default())
}
