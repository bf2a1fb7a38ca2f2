//! The simulated repository: a branch that gets commits, and the real parsing and assembling of what is on it.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::core::{Commit, CommitSha, ObjectKey, Revision, Timestamp};
use crate::declare::manifest::{ParsedFile, parse};
use crate::declare::world::Object;
use crate::declare::world::assemble::{self, Assembly, assemble};

/// Files that were parsed before. Parsing depends on nothing but path and text, and simulations share most of theirs.
#[derive(Debug, Default)]
pub struct Library(BTreeMap<(Arc<str>, String), Arc<ParsedFile>>);

impl Library {
    /// So many files are remembered; then all are forgotten.
    const FILES_MAX: usize = 20_000;

    fn parsed(&mut self, path: &Arc<str>, text: &str) -> Arc<ParsedFile> {
        let key = (Arc::clone(path), text.to_owned());
        if let Some(file) = self.0.get(&key) {
            return Arc::clone(file);
        }
        if self.0.len() >= Self::FILES_MAX {
            self.0.clear();
        }
        let file = Arc::new(parse::file(path, text.as_bytes()));
        self.0.insert(key, Arc::clone(&file));
        file
    }
}

/// A branch.
#[derive(Clone, Debug, Default)]
pub struct Repository {
    files: BTreeMap<Arc<str>, Arc<ParsedFile>>,
    /// How many commits it has.
    commits: u64,
    at: Option<Timestamp>,
    /// Since the last time it was read, a commit confirmed removals.
    confirmed: bool,
}

impl Repository {
    /// Adds a commit: text by path, none where the file goes.
    pub fn commit<'a>(
        &mut self,
        library: &mut Library,
        put: impl Iterator<Item = (&'a String, Option<&'a String>)>,
        confirm: bool,
        at: Timestamp,
    ) {
        for (path, text) in put {
            let path: Arc<str> = path.as_str().into();
            match text {
                Some(text) => {
                    let file = library.parsed(&path, text);
                    self.files.insert(path, file);
                }
                None => drop(self.files.remove(&path)),
            }
        }
        self.commits += 1;
        self.at = Some(at);
        self.confirmed |= confirm;
    }

    /// The newest revision.
    #[must_use]
    pub fn head(&self) -> Revision {
        Revision { branch: "main".into(), commit: self.head_commit() }
    }

    fn head_commit(&self) -> Commit {
        Commit {
            sha: CommitSha::new(&format!("{:040x}", self.commits)),
            subject: "an edit".into(),
            author: "Ada".into(),
            at: self.at.unwrap_or(Timestamp::UNIX_EPOCH),
        }
    }

    /// The world that the newest revision adds up to, given what was in force before.
    #[must_use]
    pub fn assemble(&self, in_force: &BTreeMap<ObjectKey, Arc<Object>>) -> Assembly {
        assemble(&assemble::Inputs {
            revision: self.head(),
            files: &self.files,
            in_force,
            commit_of: &|_| Some(self.head_commit()),
            exists: &|_| true,
            prune_confirmed: self.confirmed,
        })
    }

    /// The newest revision is in force: what was confirmed until then is used up.
    pub fn applied(&mut self) {
        self.confirmed = false;
    }
}
