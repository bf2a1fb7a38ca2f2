//! For the tests of this room: revisions written in a few words, and what is told about them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use crate::core::{Commit, CommitSha, Name, ObjectKey, Revision, Timestamp};
use crate::declare::manifest::{Diagnostic, ParsedFile, Severity, parse};

use super::assemble::{Assembly, Inputs, assemble, check};
use super::object::Object;

/// A manifest; `spec` is the inside of a flow mapping, which is put on several lines so that places can be told apart.
pub fn manifest(kind: &str, name: &str, spec: &str) -> String {
    let mut lines = String::new();
    let mut depth = 0;
    for c in spec.chars() {
        match c {
            '[' | '{' => depth += 1,
            ']' | '}' => depth -= 1,
            _ => {}
        }
        lines.push(c);
        if c == ',' && depth <= 1 {
            lines.push_str("\n ");
        }
    }
    format!("apiVersion: arcology/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {{\n  {lines}\n}}\n")
}

/// Several documents as one file.
pub fn documents(all: &[String]) -> String {
    all.join("---\n")
}

/// A small house in which nothing is wrong: a host with one GPU, two runtimes, three models.
pub fn house() -> String {
    documents(&[
        manifest("Host", "desk", "address: 127.0.0.1, gpus: [{id: gpu0, vramGb: 24}], reserve: {vramGb: 1}"),
        manifest("Host", "attic", "address: 10.0.0.2"),
        manifest(
            "Runtime",
            "swap",
            "host: desk, gpu: gpu0, adapter: llama-swap, endpoint: 'http://127.0.0.1:8080', \
             capabilities: [text.generate, text.summarize, text.embed]",
        ),
        manifest("Runtime", "inside", "host: desk, adapter: builtin"),
        manifest("Model", "qwen", "type: llm, servedBy: [{runtime: swap}], vramGb: 8"),
        manifest("Model", "large", "type: llm, servedBy: [{runtime: swap}], vramGb: 20"),
        manifest("Model", "lead", "type: other, servedBy: [{runtime: inside}], capabilities: [text.summarize]"),
    ])
}

/// The files of a revision, and which other files it has.
#[derive(Clone, Default)]
pub struct Tree {
    pub files: BTreeMap<Arc<str>, Arc<ParsedFile>>,
    pub others: BTreeSet<String>,
}

impl Tree {
    pub fn new<'t>(files: impl IntoIterator<Item = (&'t str, String)>) -> Self {
        let mut tree = Self::default();
        files.into_iter().for_each(|(path, text)| tree.write(path, &text));
        tree
    }

    pub fn write(&mut self, path: &str, text: &str) {
        self.files.insert(path.into(), Arc::new(parse::file(path, text.as_bytes())));
    }

    pub fn remove(&mut self, path: &str) {
        self.files.remove(path).expect("the test removes a file that is there");
    }
}

/// Assembles revision after revision, as the engine does.
#[derive(Default)]
pub struct Engine {
    pub in_force: BTreeMap<ObjectKey, Arc<Object>>,
    applied: u32,
}

impl Engine {
    /// Puts a revision in force.
    pub fn apply(&mut self, tree: &Tree) -> Assembly {
        self.apply_with(tree, false)
    }

    /// Puts a revision in force whose commits say `Prune: confirm`.
    pub fn confirm(&mut self, tree: &Tree) -> Assembly {
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

    pub fn object(&self, name: &str) -> &Arc<Object> {
        &self.in_force[&key(name)]
    }
}

/// The nth commit.
pub fn commit(n: u32) -> Commit {
    let at = Timestamp::UNIX_EPOCH;
    Commit { sha: CommitSha::new(&format!("{n:040}")), subject: format!("commit {n}"), author: "Ada".into(), at }
}

/// `Kind/name`.
pub fn key(text: &str) -> ObjectKey {
    ObjectKey::parse(text).expect("the test writes Kind/name")
}

pub fn keys(texts: &[&str]) -> Vec<ObjectKey> {
    texts.iter().map(|text| key(text)).collect()
}

pub fn name(text: &str) -> Name {
    Name::new(text).expect("the test writes a name")
}

/// What `validate` says about `manifests` beside the house, in a form to compare: one problem a paragraph.
pub fn told(manifests: &[String]) -> String {
    told_with(manifests, &[])
}

/// The same where the repository has these other files.
pub fn told_with(manifests: &[String], others: &[&str]) -> String {
    let tree = Tree::new([("house.yaml", house()), ("new/new.yaml", documents(manifests))]);
    written(&check(&tree.files, &|path| others.contains(&path)))
}

/// Diagnostics in a form to compare.
pub fn written(diagnostics: &[Diagnostic]) -> String {
    let mut text = String::new();
    for diagnostic in diagnostics {
        let severity = match diagnostic.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let pointed = diagnostic.source_line.chars().skip(diagnostic.span.column.saturating_sub(1) as usize);
        let length = diagnostic.span.end.saturating_sub(diagnostic.span.start);
        let pointed: String = pointed.take(length.min(40)).collect();
        let object = diagnostic.object.as_ref().map(ToString::to_string).unwrap_or_default();
        _ = writeln!(text, "{severity} {} {object} at `{pointed}`: {}", diagnostic.code, diagnostic.message);
        diagnostic.label.iter().for_each(|label| _ = writeln!(text, "  ^ {label}"));
        diagnostic.help.iter().for_each(|help| _ = writeln!(text, "  = {help}"));
    }
    text
}
