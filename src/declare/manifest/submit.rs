//! Tasks for `arcology submit`: one or a list of them, in YAML or JSON, bare or as manifests.
//!
//! A bare task is what stands under `spec` of a committed one, so messages speak of `spec` in both cases. Every problem
//! of the file is reported; when there is one, nothing is submitted.

use crate::core::Name;

use super::code;
use super::diagnose::{self, Examined};
use super::diagnostic::{Diagnostic, Severity, SourceSpan};
use super::document::Spec;
use super::header::FIELDS;
use super::kind::task::TaskSpec;
use super::limit::{DIAGNOSTICS_MAX, FILE_DOCUMENTS_MAX};
use super::source::{Finding, Source};
use super::tree::{Entry, Node, Value};
use super::{parse, split, text, yaml};

/// A task and its name, if it has one.
type Named = (Option<Name>, TaskSpec);

/// The tasks of a file, in its order.
///
/// # Errors
/// Everything that is wrong with the file; it is an error when it holds no task.
pub fn tasks(path: &str, bytes: &[u8]) -> Result<Vec<Named>, Vec<Diagnostic>> {
    let content = text::of(path, bytes).map_err(|diagnostic| vec![*diagnostic])?;
    let chunks = split::documents(content);
    let whole = Source { path: path.into(), first_line: 1, text: content };
    if chunks.is_empty() || chunks.len() > FILE_DOCUMENTS_MAX {
        let (code, message) = if chunks.is_empty() {
            (code::NOT_A_MAPPING, "there is no task in this file".to_owned())
        } else {
            (code::TOO_MANY_DOCUMENTS, format!("a file has at most {FILE_DOCUMENTS_MAX} documents"))
        };
        let span = SourceSpan { line: 1, column: 1, start: 0, end: 0 };
        return Err(vec![whole.diagnostic(Finding::new(code, span, message), None)]);
    }
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for chunk in chunks {
        let source = Source { path: whole.path.clone(), first_line: chunk.first_line, text: chunk.text };
        document(&source, &mut good, &mut bad);
    }
    if bad.is_empty() {
        return Ok(good);
    }
    let unlisted = bad.len().saturating_sub(DIAGNOSTICS_MAX);
    bad.truncate(DIAGNOSTICS_MAX);
    parse::mention(&mut bad, unlisted);
    Err(bad)
}

fn document(source: &Source<'_>, good: &mut Vec<Named>, bad: &mut Vec<Diagnostic>) {
    let parsed = yaml::tree(source.text);
    let root = match parsed.root {
        Some(root) if parsed.complete && parsed.findings.is_empty() => root,
        _ => {
            bad.extend(diagnose::diagnostics(source, None, parsed.findings).0);
            return;
        }
    };
    let items = match &root.value {
        Value::List(items) => items.as_slice(),
        Value::Map(_) | Value::Scalar { .. } => std::slice::from_ref(&root),
    };
    for item in items {
        let key = diagnose::key_of(item);
        match task(item) {
            Ok(named) => good.push(named),
            Err(findings) => bad.extend(diagnose::diagnostics(source, key.as_ref(), findings).0),
        }
    }
}

/// One task, bare or as a manifest.
fn task(item: &Node) -> Result<Named, Vec<Finding>> {
    let examined = if FIELDS.iter().any(|field| item.entry(field).is_some()) { manifest(item) } else { bare(item) };
    let Examined { findings, metadata, spec, unread: _ } = examined;
    let errors: Vec<_> = findings.into_iter().filter(|finding| finding.severity == Severity::Error).collect();
    match spec {
        Some(Spec::Task(task)) if errors.is_empty() => Ok((metadata.map(|metadata| metadata.name), task)),
        _ if errors.is_empty() => {
            Err(vec![Finding::new(code::UNDECODABLE, item.head(), "this is no task that can be submitted".into())])
        }
        _ => Err(errors),
    }
}

fn manifest(item: &Node) -> Examined {
    let mut examined = diagnose::examine(item, true);
    if let Some(spec) = examined.spec.as_ref().filter(|spec| !matches!(spec, Spec::Task(_))) {
        let span = item.entry("kind").map_or_else(|| item.head(), |entry| entry.node.span);
        let message = format!("a {} cannot be submitted, only tasks can", spec.kind());
        examined.findings.push(
            Finding::new(code::UNKNOWN_KIND, span, message)
                .label("expected Task")
                .help("commit it to the repository instead"),
        );
    }
    examined
}

/// A task without a manifest around it is looked at as if it stood under `spec`.
fn bare(item: &Node) -> Examined {
    let span = item.head();
    let entry = Entry { key: "spec".into(), key_span: span, node: item.clone() };
    diagnose::examine_task(&Node { span, value: Value::Map(vec![entry]) })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A task's name and its chain of capabilities.
    type Short = (Option<String>, Vec<String>);

    fn read(text: &str) -> Result<Vec<Short>, Vec<String>> {
        match tasks("t.yaml", text.as_bytes()) {
            Ok(tasks) => Ok(tasks
                .into_iter()
                .map(|(name, task)| (name.map(|name| name.to_string()), task.capability.0))
                .collect()),
            Err(diagnostics) => Err(diagnostics
                .into_iter()
                .map(|d| format!("{}:{} {} {}", d.span.line, d.span.column, d.code, d.message))
                .collect()),
        }
    }

    fn named(name: Option<&str>, capability: &str) -> Short {
        (name.map(str::to_owned), vec![capability.to_owned()])
    }

    const MANIFEST: &str =
        "apiVersion: arcology/v1alpha1\nkind: Task\nmetadata: {name: t}\nspec: {capability: text.stats}\n";

    #[test]
    fn one_task_or_many_bare_or_as_manifests_in_yaml_or_json() {
        let stats = || named(None, "text.stats");
        assert_eq!(read("capability: text.stats").unwrap(), [stats()]);
        assert_eq!(read("{\n\t\"capability\": \"text.stats\",\n\t\"not_before\": null\n}").unwrap(), [stats()]);
        assert_eq!(
            read("- capability: text.stats\n- {capability: ocr.pdf}").unwrap(),
            [stats(), named(None, "ocr.pdf")]
        );
        assert_eq!(read(MANIFEST).unwrap(), [named(Some("t"), "text.stats")]);
        assert_eq!(
            read("capability: text.stats\n---\n- capability: ocr.pdf\n").unwrap(),
            [stats(), named(None, "ocr.pdf")]
        );
        let mixed = r#"[{"capability": ["ocr.pdf", "text.stats"]},
            {"apiVersion": "arcology/v1alpha1", "kind": "Task", "metadata": {"name": "b"}, "spec": {"capability": "ocr.pdf"}}]"#;
        let chain = (None, vec!["ocr.pdf".to_owned(), "text.stats".to_owned()]);
        assert_eq!(read(mixed).unwrap(), [chain, named(Some("b"), "ocr.pdf")]);
    }

    #[test]
    fn every_problem_of_every_task_is_told_with_its_place() {
        let text = "- capabilty: text.stats\n- capability: text.stat\n  priority: 5000\n";
        assert_eq!(
            read(text).unwrap_err(),
            [
                "1:3 ARC201 `spec` has no field `capabilty`",
                "2:15 ARC221 there is no capability `text.stat`",
                "3:13 ARC205 `spec.priority` is 5000, out of range",
            ]
        );
    }

    #[test]
    fn only_tasks_can_be_submitted() {
        let host = "apiVersion: arcology/v1alpha1\nkind: Host\nmetadata: {name: h}\nspec: {address: x}\n";
        assert_eq!(read(host).unwrap_err(), ["2:7 ARC211 a Host cannot be submitted, only tasks can"]);
        for nothing in ["", "# note\n", "null", "[1]", "text"] {
            assert!(read(nothing).is_err(), "{nothing:?}");
        }
        assert_eq!(read("[]").unwrap(), [], "an empty list asks for nothing, and that is what is done");
    }

    #[test]
    fn a_submitted_task_may_name_files_outside_the_repository_but_never_upwards() {
        assert!(read("capability: ocr.pdf\ninputs: {files: [/srv/in/a.pdf]}").is_ok());
        assert_eq!(
            read("capability: ocr.pdf\ninputs: {files: [/srv/../etc/passwd]}").unwrap_err(),
            ["2:18 ARC229 the path `/srv/../etc/passwd` leads upwards with `..`"]
        );
        assert!(read(&MANIFEST.replace("spec: {", "spec: {inputs: {files: [/srv/in/a.pdf]}, ")).is_ok());
    }

    #[test]
    fn the_whole_submit_contract_is_understood() {
        let json = r#"{"capability": "text.summarize",
            "inputs": {"text": "...", "files": ["packet.pdf"]},
            "params": {"max_words": 200, "temperature": 0, "seed": 7},
            "dependencies": ["task-id-1"], "priority": 0, "policy_overrides": {"gpu_exclusive": false},
            "force": false, "not_before": null, "target": {"runtime": "textgen", "model": "auto"},
            "tags": ["project:Acme", "sprint:BoardPacket"], "source": "arena", "idempotency_key": "..."}"#;
        let submitted = tasks("t.json", json.as_bytes()).unwrap().remove(0).1;
        let typed: TaskSpec = serde_json::from_str(json).unwrap();
        assert_eq!(submitted, typed);
    }
}
