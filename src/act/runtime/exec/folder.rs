//! The folder of one run: what goes in, what comes out, how much lies there, and that it is gone afterwards. What a program
//! left is never trusted: links are not followed, only plain files are read, and no depth of folders costs more than a step.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use rustix::fs::{Mode, OFlags};

use crate::act::runtime::adapter::InputFile;

/// The most entries that are counted; a run that has more is ended.
pub(super) const ENTRIES_MAX: u64 = 20_000;
/// How deep folders are counted; a run that goes deeper is ended.
pub(super) const DEPTH_MAX: usize = 32;
/// The longest end of a name that is kept of an input, in bytes.
const EXTENSION_BYTES_MAX: usize = 10;
/// The bytes of one block in the figures of the kernel.
const BLOCK_BYTES: u64 = 512;

/// Numbers the runs of this process.
static RUNS: AtomicU64 = AtomicU64::new(0);
/// What the marks of this process begin with: its id and when it first asked, since in a container every process may have the
/// same id.
static OWN: LazyLock<String> = LazyLock::new(|| {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    format!("run-{}-{:x}-", std::process::id(), since.as_nanos())
});

/// A folder that is removed when it is dropped.
#[derive(Debug)]
pub(super) struct Folder {
    root: PathBuf,
    /// Unlike that of any other run, also of another process.
    pub mark: String,
}

/// What lies in a folder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Lying {
    pub bytes: u64,
    pub entries: u64,
    /// Deeper than [`DEPTH_MAX`] or more than [`ENTRIES_MAX`]: the figures are lower bounds.
    pub is_more: bool,
}

impl Folder {
    /// Makes a folder below `home`.
    pub fn new(home: &Path) -> io::Result<Self> {
        let mark = format!("{}{}", *OWN, RUNS.fetch_add(1, Ordering::Relaxed));
        let root = std::path::absolute(home)?.join(&mark);
        DirBuilder::new().recursive(true).mode(0o700).create(home)?;
        DirBuilder::new().mode(0o700).create(&root)?;
        let folder = Self { root, mark };
        for part in [folder.inputs(), folder.outputs(), folder.temporary(), folder.shared_memory()] {
            DirBuilder::new().mode(0o700).create(part)?;
        }
        Ok(folder)
    }

    pub fn inputs(&self) -> PathBuf {
        self.root.join("in")
    }

    /// Where programs work.
    pub fn outputs(&self) -> PathBuf {
        self.root.join("out")
    }

    pub fn temporary(&self) -> PathBuf {
        self.root.join("tmp")
    }

    /// What programs see as `/dev/shm`: on disk, so that it is counted.
    pub fn shared_memory(&self) -> PathBuf {
        self.root.join("shm")
    }

    /// Writes the inputs under names of their own, and hands back these names.
    pub fn give(&self, files: &[InputFile], text: Option<&str>) -> io::Result<(Vec<String>, Option<String>)> {
        let mut names = Vec::with_capacity(files.len());
        for (file, n) in files.iter().zip(1..) {
            let name = format!("{n}{}", extension(&file.name));
            fs::write(self.inputs().join(&name), &file.bytes)?;
            names.push(name);
        }
        let text_name = text.map(|_| "text.txt".to_owned());
        if let (Some(name), Some(text)) = (&text_name, text) {
            fs::write(self.inputs().join(name), text)?;
        }
        Ok((names, text_name))
    }

    /// Keeps what a program printed, in place of whatever has that name.
    pub fn keep(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened = rustix::fs::open(self.outputs().join(name), flags, Mode::RUSR | Mode::WUSR)?;
        let mut file = File::from(opened);
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("something that is no file has its name"));
        }
        file.write_all(bytes)
    }

    /// The names of plain files that fit `pattern`, in order: numbers by their value, so that page 10 follows page 9.
    pub fn matching(&self, pattern: &str) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(self.outputs())?.take(usize::try_from(ENTRIES_MAX).unwrap_or(usize::MAX)) {
            let entry = entry?;
            // Not followed: a link is no plain file.
            if !entry.file_type()?.is_file() {
                continue;
            }
            if let Ok(name) = entry.file_name().into_string()
                && fits(pattern, &name)
                && !name.chars().any(char::is_control)
            {
                names.push(name);
            }
        }
        names.sort_by_cached_key(|name| natural(name));
        Ok(names)
    }

    /// The bytes of a plain file; none when there are more than `bytes_max`.
    pub fn take(&self, name: &str, bytes_max: u64) -> io::Result<Option<Vec<u8>>> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = File::from(rustix::fs::open(self.outputs().join(name), flags, Mode::empty())?);
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("it is no plain file"));
        }
        let mut bytes = Vec::new();
        file.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes)?;
        Ok((bytes.len() as u64 <= bytes_max).then_some(bytes))
    }

    /// How much lies in the folder, while programs may be writing there.
    pub fn weigh(&self) -> Lying {
        let mut lying = Lying::default();
        let mut open = vec![(self.root.clone(), 0)];
        while let Some((path, depth)) = open.pop() {
            // What went away meanwhile weighs nothing.
            let Ok(entries) = fs::read_dir(&path) else { continue };
            for entry in entries.flatten() {
                let Ok(metadata) = entry.path().symlink_metadata() else { continue };
                lying.entries += 1;
                lying.bytes = lying.bytes.saturating_add(metadata.blocks().saturating_mul(BLOCK_BYTES));
                if lying.entries > ENTRIES_MAX || (metadata.is_dir() && depth >= DEPTH_MAX) {
                    lying.is_more = true;
                    return lying;
                }
                if metadata.is_dir() {
                    open.push((entry.path(), depth + 1));
                }
            }
        }
        lying
    }
}

impl Folder {
    /// Removes it, also while somebody weighs it. Dropping it does the same, where that was forgotten.
    pub fn remove(&self) {
        match remove(&self.root) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                let folder = self.root.display();
                tracing::warn!(%folder, %error, "the folder of a run could not be removed; remove it by hand");
            }
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        self.remove();
    }
}

/// Removes what runs of an earlier process left below `home`, and hands back their marks.
pub(super) fn tidy(home: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(home) else { return Vec::new() };
    let mut marks = Vec::new();
    for entry in entries.flatten() {
        let Ok(name) = entry.file_name().into_string() else { continue };
        if !name.starts_with("run-") || name.starts_with(OWN.as_str()) {
            continue;
        }
        if let Err(error) = remove(&entry.path()) {
            tracing::warn!(folder = %entry.path().display(), %error, "what an earlier run left could not be removed");
        }
        marks.push(name);
    }
    marks
}

/// Removes a folder whatever it holds. Folders in it are emptied by moving what they hold up, so that the deepest tree needs
/// neither a deep stack nor a long path.
fn remove(root: &Path) -> io::Result<()> {
    let mut moved: u64 = 0;
    loop {
        let mut folders = Vec::new();
        for entry in fs::read_dir(root)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() { folders.push(entry.path()) } else { fs::remove_file(entry.path())? }
        }
        if folders.is_empty() {
            return fs::remove_dir(root);
        }
        for folder in folders {
            fs::set_permissions(&folder, fs::Permissions::from_mode(0o700))?;
            for entry in fs::read_dir(&folder)? {
                let entry = entry?;
                if entry.file_type()?.is_dir() {
                    // A folder that cannot be written cannot be moved either: its own entry `..` changes.
                    fs::set_permissions(entry.path(), fs::Permissions::from_mode(0o700))?;
                    fs::rename(entry.path(), root.join(format!(".moved-{moved}")))?;
                    moved += 1;
                } else {
                    fs::remove_file(entry.path())?;
                }
            }
            fs::remove_dir(&folder)?;
        }
    }
}

/// The end of a name, with its dot, when it is a plain one.
fn extension(name: &str) -> String {
    match Path::new(name).extension().and_then(|end| end.to_str()) {
        Some(end) if end.len() <= EXTENSION_BYTES_MAX && end.chars().all(|c| c.is_ascii_alphanumeric()) => {
            format!(".{}", end.to_ascii_lowercase())
        }
        _ => String::new(),
    }
}

/// Whether `name` fits `pattern`, in which `*` stands for any letters.
fn fits(pattern: &str, name: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut name) = name.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        let Some(at) = name.find(part) else { return false };
        name = &name[at + part.len()..];
    }
    name.ends_with(last)
}

/// A key that orders `page-2` before `page-10`.
fn natural(name: &str) -> Vec<(u128, char)> {
    let mut key = Vec::new();
    let mut rest = name;
    while let Some(first) = rest.chars().next() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        if digits == 0 {
            key.push((0, first));
            rest = &rest[first.len_utf8()..];
        } else {
            key.push((rest[..digits].parse().unwrap_or(u128::MAX), '0'));
            rest = &rest[digits..];
        }
    }
    key
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn folder() -> (tempfile::TempDir, Folder) {
        let home = tempfile::tempdir().unwrap();
        let folder = Folder::new(&home.path().join("exec/desk")).unwrap();
        (home, folder)
    }

    #[test]
    fn hostile_names_of_inputs_become_plain_ones() {
        let (_home, folder) = folder();
        let file = |name: &str| InputFile { name: name.to_owned(), bytes: b"x"[..].into() };
        let names = ["../../etc/passwd", "-rf.PDF", "a.b/c", "x.tar.gz", "q.$(id)", ".hidden"];
        let (given, text) = folder.give(&names.map(file), Some("words")).unwrap();
        assert_eq!(given, ["1", "2.pdf", "3", "4.gz", "5", "6"]);
        assert_eq!(text.as_deref(), Some("text.txt"));
        assert_eq!(fs::read_dir(folder.inputs()).unwrap().count(), 7);
    }

    #[test]
    fn results_are_plain_files_alone_in_the_order_of_their_numbers() {
        let (home, folder) = folder();
        fs::write(home.path().join("secret"), "s3cret").unwrap();
        for n in [10, 9, 1] {
            fs::write(folder.outputs().join(format!("page-{n}.txt")), "x").unwrap();
        }
        symlink(home.path().join("secret"), folder.outputs().join("page-2.txt")).unwrap();
        fs::create_dir(folder.outputs().join("page-3.txt")).unwrap();
        assert_eq!(folder.matching("page-*.txt").unwrap(), ["page-1.txt", "page-9.txt", "page-10.txt"]);
        assert!(folder.take("page-2.txt", 100).is_err());
        assert!(folder.take("page-3.txt", 100).is_err());
        assert!(folder.keep("page-2.txt", b"y").is_err());
        assert_eq!(fs::read(home.path().join("secret")).unwrap(), b"s3cret");
        assert_eq!(folder.take("page-1.txt", 1).unwrap(), Some(b"x".to_vec()));
        assert_eq!(folder.take("page-1.txt", 0).unwrap(), None);
    }

    #[test]
    fn patterns_fit_whole_names() {
        for (pattern, name, expected) in [
            ("a.txt", "a.txt", true),
            ("a.txt", "a.txt2", false),
            ("*", "anything", true),
            ("page-*.png", "page-1.png", true),
            ("page-*.png", "page-.png", true),
            ("page-*.png", "page-1.jpg", false),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxcyyb", false),
            ("ab*ba", "aba", false),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn a_deep_and_locked_tree_is_weighed_within_bounds_and_removed() {
        let (home, folder) = folder();
        let mut path = folder.outputs();
        for _ in 0..60 {
            path.push("a-rather-long-name-of-a-folder-that-makes-paths-long");
            fs::create_dir(&path).unwrap();
        }
        fs::write(path.join("x"), vec![0; 5000]).unwrap();
        fs::set_permissions(folder.outputs(), fs::Permissions::from_mode(0o000)).unwrap();
        fs::set_permissions(folder.outputs(), fs::Permissions::from_mode(0o500)).unwrap();
        assert!(folder.weigh().is_more);
        drop(folder);
        assert_eq!(fs::read_dir(home.path().join("exec/desk")).unwrap().count(), 0);
    }

    #[test]
    fn what_lies_there_is_weighed() {
        let (_home, folder) = folder();
        let before = folder.weigh();
        fs::write(folder.temporary().join("x"), vec![1; 300_000]).unwrap();
        let after = folder.weigh();
        assert_eq!(after.entries, before.entries + 1);
        assert!((300_000..400_000).contains(&(after.bytes - before.bytes)), "{after:?}");
    }

    #[test]
    fn what_another_process_left_is_tidied_away() {
        let (home, folder) = folder();
        let home = home.path().join("exec/desk");
        fs::create_dir_all(home.join("run-1-1/out/x")).unwrap();
        fs::create_dir_all(home.join("mine")).unwrap();
        assert_eq!(tidy(&home), ["run-1-1"]);
        assert!(folder.outputs().exists() && home.join("mine").exists() && !home.join("run-1-1").exists());
    }
}
