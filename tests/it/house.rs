//! The house rules: what must be true of the source and the documentation as texts.
//!
//! [`wings`] holds the architecture: who may use whom, where volatile crates are named, what pure code may not name.
//! [`documents`] holds the documentation to the code, [`quirks`] the quirks of runtimes to their tests. Each rule is a function from texts to findings, so that every one
//! of them is also tried on a text that breaks it.

mod documents;
mod quirks;
mod wings;

use std::path::{Path, PathBuf};

/// A file of this repository, by its path from the root.
pub struct File {
    pub path: String,
    pub text: String,
}

impl File {
    fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> File {
    let text = std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    File::new(path, &text)
}

/// Every file below `folder` whose name ends in `.extension`, by path.
fn files(folder: &str, extension: &str) -> Vec<File> {
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == extension) {
                found.push(read(path.strip_prefix(root()).unwrap().to_str().unwrap()));
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// Fails with one finding a line.
fn none(findings: &[String]) {
    assert!(findings.is_empty(), "{} found:\n{}", findings.len(), findings.join("\n"));
}
