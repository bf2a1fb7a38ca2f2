//! What differs between two trees, in the manifest folders alone.
//!
//! Walks both trees at once and enters a folder only where the ids differ, so that the cost follows the change. A full
//! listing is the difference from nothing: reading step by step and all at once cannot disagree.
//!
//! Trees are untrusted. Names are checked one by one, links and submodules are reported and never followed, depth and
//! the number of entries are bounded, and a tree whose entries are out of order is compared entry by entry as if all of
//! it were new.

use std::cmp::Ordering;
use std::sync::Arc;

use git2::{ObjectType, Oid, Repository, Tree, TreeEntry};

use super::fault::Fault;
use super::options::{DEPTH_MAX, ENTRIES_MAX, FOLDERS};
use super::{Error, place};

/// What stands at a path of a manifest folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// A file that is read as a manifest, by the id of its content.
    File(Oid),
    /// Something that cannot be read, and why.
    Fault(Fault),
}

/// A path whose entry differs; `entry` is none when it is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub path: Arc<str>,
    pub entry: Option<Entry>,
}

/// What differs in the manifest folders from the tree `old` to the tree `new`: first what is gone, then what is new or
/// changed, so that applying them in order is right.
///
/// # Errors
/// `Corrupt` when a tree cannot be read, `TooManyEntries` beyond [`ENTRIES_MAX`].
pub(super) fn changes(repo: &Repository, old: Option<Oid>, new: Option<Oid>) -> Result<Vec<Change>, Error> {
    if old == new {
        return Ok(Vec::new());
    }
    let mut walk = Walk { repo, gone: Vec::new(), present: Vec::new(), entries_left: ENTRIES_MAX };
    let (old, new) = (walk.tree(old)?, walk.tree(new)?);
    for folder in FOLDERS {
        let find = |tree: &Option<Tree<'_>>| tree.as_ref().and_then(|tree| Some(tree.get_name(folder)?.to_owned()));
        walk.pair(find(&old).as_ref(), find(&new).as_ref(), "", 0)?;
    }
    let Walk { mut gone, present, .. } = walk;
    gone.extend(present);
    Ok(gone)
}

struct Walk<'repo> {
    repo: &'repo Repository,
    gone: Vec<Change>,
    present: Vec<Change>,
    entries_left: usize,
}

impl<'repo> Walk<'repo> {
    fn tree(&self, id: Option<Oid>) -> Result<Option<Tree<'repo>>, Error> {
        let read = |id| {
            self.repo.find_tree(id).map_err(|error| {
                Error::from_git(&self.repo.path().display().to_string(), format!("the tree {id}"), &error)
            })
        };
        id.map(read).transpose()
    }

    /// Compares two folders entry by entry.
    fn level(&mut self, old: Option<Oid>, new: Option<Oid>, prefix: &str, depth: usize) -> Result<(), Error> {
        let (old, new) = (self.tree(old)?, self.tree(new)?);
        if !old.as_ref().is_none_or(in_order) || !new.as_ref().is_none_or(in_order) {
            for entry in old.iter().flat_map(Tree::iter) {
                self.pair(Some(&entry), None, prefix, depth)?;
            }
            for entry in new.iter().flat_map(Tree::iter) {
                self.pair(None, Some(&entry), prefix, depth)?;
            }
            return Ok(());
        }
        let mut old = old.iter().flat_map(Tree::iter).peekable();
        let mut new = new.iter().flat_map(Tree::iter).peekable();
        loop {
            let order = match (old.peek(), new.peek()) {
                (None, None) => return Ok(()),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(old), Some(new)) => compare(old, new),
            };
            let before = if order.is_le() { old.next() } else { None };
            let after = if order.is_ge() { new.next() } else { None };
            self.pair(before.as_ref(), after.as_ref(), prefix, depth)?;
        }
    }

    /// Compares what one name stands for before and after.
    fn pair(
        &mut self,
        old: Option<&TreeEntry<'_>>,
        new: Option<&TreeEntry<'_>>,
        prefix: &str,
        depth: usize,
    ) -> Result<(), Error> {
        self.entries_left =
            self.entries_left.checked_sub(1).ok_or(Error::TooManyEntries { entries_max: ENTRIES_MAX })?;
        let (before, after) = (old.map(kind_and_id), new.map(kind_and_id));
        if before == after {
            return Ok(());
        }
        let Some(bytes) = new.or(old).map(TreeEntry::name_bytes) else { return Ok(()) };
        let (name, bad) = match place::name(bytes) {
            Ok(name) => (name.to_owned(), None),
            Err((escaped, fault)) => (escaped, Some(fault)),
        };
        let path = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
        let folder = |side: Option<(Kind, Oid)>| {
            side.filter(|(kind, _)| *kind == Kind::Folder && bad.is_none() && depth < DEPTH_MAX).map(|(_, id)| id)
        };
        let entry = |side: Option<(Kind, Oid)>| side.and_then(|(kind, id)| entry(kind, id, bytes, bad, prefix, depth));
        let (old_entry, new_entry) = (entry(before), entry(after));
        if old_entry != new_entry {
            let path: Arc<str> = path.as_str().into();
            match new_entry {
                None => self.gone.push(Change { path, entry: None }),
                Some(_) => self.present.push(Change { path, entry: new_entry }),
            }
        }
        if folder(before).is_some() || folder(after).is_some() {
            self.level(folder(before), folder(after), &path, depth + 1)?;
        }
        Ok(())
    }
}

/// What matters about the mode of an entry.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    File,
    Folder,
    Link,
    Submodule,
}

fn kind_and_id(entry: &TreeEntry<'_>) -> (Kind, Oid) {
    let kind = match entry.kind() {
        Some(ObjectType::Tree) => Kind::Folder,
        Some(ObjectType::Commit) => Kind::Submodule,
        _ if entry.filemode() == 0o120_000 => Kind::Link,
        _ => Kind::File,
    };
    (kind, entry.id())
}

/// What the manifests see of an entry; none when it does not concern them.
fn entry(kind: Kind, id: Oid, name: &[u8], bad: Option<Fault>, prefix: &str, depth: usize) -> Option<Entry> {
    let fault = bad.map(Entry::Fault);
    match kind {
        // The folder of manifests itself is a file: nothing that is expected below it can be there.
        Kind::File if prefix.is_empty() => Some(Entry::Fault(Fault::NoFolder)),
        Kind::File if place::is_manifest_name(name) => Some(fault.unwrap_or(Entry::File(id))),
        Kind::File => None,
        Kind::Folder if depth >= DEPTH_MAX => Some(Entry::Fault(Fault::TooDeep)),
        Kind::Folder => fault,
        Kind::Link if place::is_suspicious_link(name) => Some(Entry::Fault(Fault::Link)),
        Kind::Link => None,
        Kind::Submodule => Some(Entry::Fault(Fault::Submodule)),
    }
}

/// Git's order of tree entries: by name, a folder as if its name ended in a slash.
fn compare(a: &TreeEntry<'_>, b: &TreeEntry<'_>) -> Ordering {
    let (left, right) = (a.name_bytes(), b.name_bytes());
    let shared = left.len().min(right.len());
    let next = |entry: &TreeEntry<'_>, name: &[u8]| match name.get(shared) {
        Some(byte) => *byte,
        None if entry.kind() == Some(ObjectType::Tree) => b'/',
        None => 0,
    };
    let order = left[..shared].cmp(&right[..shared]);
    order.then_with(|| next(a, left).cmp(&next(b, right))).then_with(|| left.len().cmp(&right.len()))
}

fn in_order(tree: &Tree<'_>) -> bool {
    tree.iter().is_sorted_by(|a, b| compare(a, b).is_lt())
}
