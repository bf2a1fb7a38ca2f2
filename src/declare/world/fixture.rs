//! For the tests of the rules: manifests written in a few words, and what is told about them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use crate::declare::manifest::{Diagnostic, Severity, parse};

use super::assemble::check;

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

/// The house without what `example` declares itself.
pub fn house_for(example: &str) -> String {
    let all = house();
    let header = |text: &str| -> Vec<String> { text.lines().skip(1).take(2).map(str::to_owned).collect() };
    let own: Vec<_> = example.split("---\n").map(header).collect();
    documents(&all.split("---\n").filter(|one| !own.contains(&header(one))).map(str::to_owned).collect::<Vec<_>>())
}

/// What `validate` says about `manifests` beside the house, in a form to compare: one problem a paragraph.
pub fn told(manifests: &[String]) -> String {
    told_with(manifests, &[])
}

/// The same where the repository has these other files.
pub fn told_with(manifests: &[String], others: &[&str]) -> String {
    let files = [("house.yaml", house()), ("new/new.yaml", documents(manifests))];
    let parsed = files.map(|(path, text)| (Arc::from(path), Arc::new(parse::file(path, text.as_bytes()))));
    let all = check(&BTreeMap::from(parsed), &|path| others.contains(&path));
    // What the reader of single manifests says is its own tests' business.
    written(all.iter().filter(|diagnostic| super::code::find(&diagnostic.code).is_some()))
}

/// Diagnostics in a form to compare.
fn written<'d>(diagnostics: impl Iterator<Item = &'d Diagnostic>) -> String {
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
