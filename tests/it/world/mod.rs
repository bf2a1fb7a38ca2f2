//! The world in force, revision after revision, as the engine assembles it.

mod assembling;
mod injury;
mod properties;
mod pruning;
mod salvage;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arcology::core::{Commit, CommitSha, ObjectKey, Revision, Timestamp};
use arcology::declare::manifest::{ParsedFile, parse};
use arcology::declare::world::{Assembly, Inputs, Object, World, assemble};

/// A manifest; `spec` is the inside of a flow mapping.
fn manifest(kind: &str, name: &str, spec: &str) -> String {
    format!("apiVersion: arcology/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {{{spec}}}\n")
}

/// A host of no further interest.
fn host(name: &str) -> String {
    manifest("Host", name, "address: 10.0.0.1")
}

/// Several documents as one file.
fn documents(all: &[String]) -> String {
    all.join("---\n")
}

/// The files of a revision, and which other files it has.
#[derive(Clone, Default)]
struct Tree {
    files: BTreeMap<Arc<str>, Arc<ParsedFile>>,
    others: BTreeSet<String>,
}

impl Tree {
    fn new<'t>(files: impl IntoIterator<Item = (&'t str, String)>) -> Self {
        let mut tree = Self::default();
        files.into_iter().for_each(|(path, text)| tree.write(path, &text));
        tree
    }

    fn write(&mut self, path: &str, text: &str) {
        self.files.insert(path.into(), Arc::new(parse::file(path, text.as_bytes())));
    }

    /// The same files as if nothing could be read of broken documents.
    fn without_salvage(&self) -> Self {
        let strip = |file: &ParsedFile| Arc::new(ParsedFile { salvaged: Vec::new(), ..file.clone() });
        let files = self.files.iter().map(|(path, file)| (Arc::clone(path), strip(file))).collect();
        Self { files, others: self.others.clone() }
    }

    fn remove(&mut self, path: &str) {
        self.files.remove(path).expect("the test removes a file that is there");
    }
}

/// Assembles revision after revision, as the engine does.
#[derive(Default)]
struct Engine {
    in_force: BTreeMap<ObjectKey, Arc<Object>>,
    applied: u32,
}

impl Engine {
    /// Puts a revision in force.
    fn apply(&mut self, tree: &Tree) -> Assembly {
        self.apply_with(tree, false)
    }

    /// Puts a revision in force whose commits say `Prune: confirm`.
    fn confirm(&mut self, tree: &Tree) -> Assembly {
        self.apply_with(tree, true)
    }

    fn apply_with(&mut self, tree: &Tree, prune_confirmed: bool) -> Assembly {
        self.applied += 1;
        let commit = commit(self.applied);
        let commit_of = |_: &str| Some(commit.clone());
        let exists = |path: &str| tree.others.contains(path);
        let assembly = assemble(&Inputs {
            revision: Revision { branch: "main".into(), commit: commit.clone() },
            files: &tree.files,
            in_force: &self.in_force,
            commit_of: &commit_of,
            exists: &exists,
            prune_confirmed,
        });
        self.in_force.clone_from(&assembly.world.objects);
        assembly
    }

    fn object(&self, name: &str) -> &Arc<Object> {
        &self.in_force[&key(name)]
    }
}

/// The nth commit.
fn commit(n: u32) -> Commit {
    let at = Timestamp::UNIX_EPOCH;
    Commit { sha: CommitSha::new(&format!("{n:040}")), subject: format!("commit {n}"), author: "Ada".into(), at }
}

/// `Kind/name`.
fn key(text: &str) -> ObjectKey {
    ObjectKey::parse(text).expect("the test writes Kind/name")
}

fn keys(texts: &[&str]) -> Vec<ObjectKey> {
    texts.iter().map(|text| key(text)).collect()
}

/// The codes that are told about a world.
fn codes(world: &World) -> Vec<&str> {
    world.diagnostics.iter().map(|diagnostic| &*diagnostic.code).collect()
}
