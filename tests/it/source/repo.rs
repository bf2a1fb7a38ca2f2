//! A temporary repository to commit to, and what tests ask of snapshots.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use arcology::act::source::{Options, Poll, Snapshot, Source};
use arcology::core::{CommitSha, ObjectKey};
use git2::{ObjectType, Oid, Repository, RepositoryInitOptions, Signature, Time};
use tempfile::TempDir;

/// The time of the first commit.
const EPOCH: i64 = 1_700_000_000;

pub struct TestRepo {
    pub home: TempDir,
    pub repo: Repository,
    seconds: i64,
}

impl TestRepo {
    pub fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let mut init = RepositoryInitOptions::new();
        init.initial_head("main").external_template(false);
        let repo = Repository::init_opts(home.path().join("repo"), &init).unwrap();
        Self { home, repo, seconds: EPOCH }
    }

    pub fn path(&self) -> PathBuf {
        self.home.path().join("repo")
    }

    pub fn state_dir(&self) -> PathBuf {
        self.home.path().join("state")
    }

    pub fn options(&self) -> Options {
        Options::new(self.path().to_str().unwrap(), self.state_dir())
    }

    pub fn source(&self) -> Source {
        Source::open(self.options()).unwrap()
    }

    /// Commits on `main`: paths with their new content, or none to remove them.
    pub fn commit(&mut self, message: &str, changes: &[(&str, Option<&str>)]) -> CommitSha {
        let parent = self.repo.refname_to_id("refs/heads/main").ok();
        let id = self.commit_on(parent.as_slice(), message, changes);
        self.set_branch("main", id);
        CommitSha::new(&id.to_string())
    }

    /// A commit on top of the first of `parents`, on no branch.
    pub fn commit_on(&mut self, parents: &[Oid], message: &str, changes: &[(&str, Option<&str>)]) -> Oid {
        let base = parents.first().map(|id| self.repo.find_commit(*id).unwrap().tree_id());
        let mut files: BTreeMap<Vec<&str>, Option<Oid>> = BTreeMap::new();
        for (path, content) in changes {
            let id = content.map(|content| self.repo.blob(content.as_bytes()).unwrap());
            files.insert(path.split('/').collect(), id);
        }
        let tree = edit(&self.repo, base, &files).unwrap_or_else(|| raw_tree(&self.repo, &[]));
        self.commit_tree(parents, message, tree)
    }

    pub fn commit_tree(&mut self, parents: &[Oid], message: &str, tree: Oid) -> Oid {
        self.seconds += 60;
        let person = Signature::new("Ada Example", "ada@example.org", &Time::new(self.seconds, 0)).unwrap();
        let tree = self.repo.find_tree(tree).unwrap();
        let parents: Vec<_> = parents.iter().map(|id| self.repo.find_commit(*id).unwrap()).collect();
        let parents: Vec<_> = parents.iter().collect();
        self.repo.commit(None, &person, &person, message, &tree, &parents).unwrap()
    }

    /// A commit of a tree whose `manifests` folder is `tree`, on `main`.
    pub fn commit_manifests_tree(&mut self, message: &str, mode: &str, tree: Oid) -> CommitSha {
        let root = raw_tree(&self.repo, &[(mode, b"manifests", tree)]);
        let parent = self.repo.refname_to_id("refs/heads/main").ok();
        let id = self.commit_tree(parent.as_slice(), message, root);
        self.set_branch("main", id);
        CommitSha::new(&id.to_string())
    }

    pub fn set_branch(&self, branch: &str, id: Oid) {
        self.repo.reference(&format!("refs/heads/{branch}"), id, true, "test").unwrap();
    }

    pub fn oid(&self, revision: &str) -> Oid {
        self.repo.revparse_single(revision).unwrap().id()
    }

    /// Removes a loose object, as a damaged disk would.
    pub fn destroy(&self, id: Oid) {
        let hex = id.to_string();
        std::fs::remove_file(self.repo.path().join("objects").join(&hex[..2]).join(&hex[2..])).unwrap();
    }
}

/// A tree object of any entries, as a hostile program would write it.
pub fn raw_tree(repo: &Repository, entries: &[(&str, &[u8], Oid)]) -> Oid {
    let mut bytes = Vec::new();
    for (mode, name, id) in entries {
        bytes.extend_from_slice(mode.as_bytes());
        bytes.push(b' ');
        bytes.extend_from_slice(name);
        bytes.push(0);
        bytes.extend_from_slice(id.as_bytes());
    }
    repo.odb().unwrap().write(ObjectType::Tree, &bytes).unwrap()
}

fn edit(repo: &Repository, base: Option<Oid>, files: &BTreeMap<Vec<&str>, Option<Oid>>) -> Option<Oid> {
    let base = base.map(|id| repo.find_tree(id).unwrap());
    let mut builder = repo.treebuilder(base.as_ref()).unwrap();
    let mut folders: BTreeMap<&str, BTreeMap<Vec<&str>, Option<Oid>>> = BTreeMap::new();
    for (path, id) in files {
        match (path.as_slice(), id) {
            ([name], Some(id)) => drop(builder.insert(name, *id, 0o100_644).unwrap()),
            ([name], None) => builder.remove(name).unwrap(),
            ([folder, rest @ ..], id) => drop(folders.entry(folder).or_default().insert(rest.to_vec(), *id)),
            ([], _) => unreachable!("a path has a name"),
        }
    }
    for (folder, files) in folders {
        let inside = base.as_ref().and_then(|base| base.get_name(folder)).map(|entry| entry.id());
        match edit(repo, inside, &files) {
            Some(id) => drop(builder.insert(folder, id, 0o040_000).unwrap()),
            None => builder.remove(folder).unwrap(),
        }
    }
    (!builder.is_empty()).then(|| builder.write().unwrap())
}

/// A valid manifest; `tokens` makes it another one.
pub fn model(name: &str, tokens: u32) -> String {
    format!(
        "apiVersion: arcology/v1alpha1\nkind: Model\nmetadata: {{name: {name}}}\nspec:\n  type: llm\n  \
         servedBy: [{{runtime: swap, as: {name}}}]\n  contextTokens: {tokens}\n"
    )
}

pub fn changed(poll: Poll) -> Snapshot {
    match poll {
        Poll::Changed(snapshot) => snapshot,
        other => panic!("expected a change, got {other:?}"),
    }
}

/// The names of all valid objects.
pub fn keys(snapshot: &Snapshot) -> Vec<String> {
    let documents = snapshot.files.values().flat_map(|file| &file.documents);
    let key = |key: &ObjectKey| key.to_string();
    let mut keys: Vec<_> = documents.map(|document| key(&document.key)).collect();
    keys.sort();
    keys
}

/// `path: code message` of everything that could not be read.
pub fn problems(snapshot: &Snapshot) -> Vec<String> {
    let broken = snapshot.files.values().flat_map(|file| &file.broken);
    let diagnostics = broken.flat_map(|broken| &broken.diagnostics);
    diagnostics.map(|diagnostic| format!("{}: {} {}", diagnostic.path, diagnostic.code, diagnostic.message)).collect()
}

/// Runs git for a test, with nothing of this machine's settings.
pub fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("HOME", folder)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_AUTHOR_NAME", "Ada Example")
        .env("GIT_AUTHOR_EMAIL", "ada@example.org")
        .env("GIT_COMMITTER_NAME", "Ada Example")
        .env("GIT_COMMITTER_EMAIL", "ada@example.org")
        .output()
        .expect("git runs");
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
