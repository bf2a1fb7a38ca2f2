//! What must be true of every file, whatever its bytes: the body of the fuzz target `manifest`, and of a test over its
//! corpus.

use serde_json::Value;

use super::diagnostic::{Diagnostic, Severity};
use super::document::{Document, ParsedFile};
use super::limit::{DIAGNOSTICS_MAX, FILE_DOCUMENTS_MAX, LINE_CHARS_MAX, MESSAGE_CHARS_MAX};
use super::{code, diagnose, locate, parse, yaml};

/// The longest mapping key that YAML takes without a question mark, in characters (YAML 1.2.2, section 7.4.2).
const SIMPLE_KEY_CHARS_MAX: usize = 1_000;
/// Codes of bounds that a document can come to exceed when its defaults are written out.
const BOUNDS: [&str; 2] = [code::FILE_TOO_LARGE, code::TOO_MANY_VALUES];

/// Reads `bytes` in every way there is.
///
/// # Panics
/// When something is not as it must be: that is what it is for.
pub fn manifest(bytes: &[u8]) {
    let parsed = parse::file("fuzz.yaml", bytes);
    bounded(&parsed);
    salvaged_of_broken(&parsed);
    assert_eq!(parsed, parse::file("fuzz.yaml", bytes), "the same bytes give the same answer");
    for document in &parsed.documents {
        given_back_from_its_text(document);
        the_tree_says_the_same(document);
        same_digest_when_written_out(document);
        located(document);
    }
    if let Err(diagnostics) = parse::tasks("fuzz.yaml", bytes) {
        assert!(!diagnostics.is_empty(), "a refusal has a reason");
        diagnostics.iter().for_each(sound);
    }
}

fn bounded(parsed: &ParsedFile) {
    assert!(parsed.documents.len() + parsed.broken.len() <= FILE_DOCUMENTS_MAX);
    let diagnostics: usize = parsed.broken.iter().map(|broken| broken.diagnostics.len()).sum();
    assert!(diagnostics <= DIAGNOSTICS_MAX + parsed.broken.len() + 1, "{diagnostics} diagnostics");
    for broken in &parsed.broken {
        let errors = broken.diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error).count();
        assert!(errors > 0, "what is broken has an error that says why");
        broken.diagnostics.iter().for_each(sound);
    }
    for warning in &parsed.warnings {
        assert_eq!(warning.severity, Severity::Warning);
        sound(warning);
    }
}

/// Only broken documents are salvaged, each once, and what is said of a place points into the document.
fn salvaged_of_broken(parsed: &ParsedFile) {
    let mut places: Vec<_> = parsed.salvaged.iter().map(|one| (&one.document().place, one.key())).collect();
    places.dedup();
    assert_eq!(places.len(), parsed.salvaged.len(), "a document is salvaged once");
    for place in places {
        assert!(parsed.broken.iter().any(|broken| (&broken.place, broken.key.as_ref()) == place), "{place:?} is sound");
    }
    for one in &parsed.salvaged {
        sound(&one.document().problem(code::UNDECODABLE, Severity::Error, "spec", "anything", None, None));
    }
}

/// A diagnostic that a person can use: it has words, a page, and a place inside the line that it shows.
fn sound(diagnostic: &Diagnostic) {
    assert!(code::find(&diagnostic.code).is_some(), "{} has no page", diagnostic.code);
    let texts = [Some(&diagnostic.message), diagnostic.label.as_ref(), diagnostic.help.as_ref()];
    for text in texts.into_iter().flatten() {
        let chars = text.chars().count();
        assert!(chars > 0 && chars <= MESSAGE_CHARS_MAX, "{chars} characters in {text}");
        assert!(!text.contains(char::is_control), "a control character in {text:?}");
    }
    assert!(diagnostic.span.line >= 1 && diagnostic.span.column >= 1);
    let line_chars = diagnostic.source_line.chars().count();
    assert!(line_chars <= LINE_CHARS_MAX && !diagnostic.source_line.contains(char::is_control));
    let (before, width) = diagnostic.caret();
    assert!(before <= line_chars && width >= 1 && before + width <= line_chars + 1);
}

fn given_back_from_its_text(document: &Document) {
    let again = parse::document(&document.place.path, document.place.line, &document.text);
    assert_eq!(again.as_ref(), Ok(document));
}

/// Submitted tasks are read from the tree, committed ones without it: both must mean the same. Tags are left out:
/// `!!float 1` is the library's business.
fn the_tree_says_the_same(document: &Document) {
    if document.text.contains('!') {
        return;
    }
    let root = yaml::tree(&document.text).root;
    let Some(examined) = root.map(|root| diagnose::examine(&root, false)) else { panic!("a document has a tree") };
    let errors: Vec<_> = examined.findings.iter().filter(|finding| finding.severity == Severity::Error).collect();
    assert!(errors.is_empty(), "{errors:?}");
    assert_eq!(examined.spec.as_ref(), Some(&document.spec));
}

fn same_digest_when_written_out(document: &Document) {
    let manifest = document.to_manifest();
    if longest_key(&manifest) > SIMPLE_KEY_CHARS_MAX {
        return;
    }
    match parse::document("again.json", 1, &ascii(&manifest)) {
        Ok(again) => assert_eq!(again.digest, document.digest, "{manifest}"),
        Err(broken) => {
            let first = broken.diagnostics.first().map(|diagnostic| &*diagnostic.code);
            assert!(first.is_some_and(|code| BOUNDS.contains(&code)), "{manifest}: {:?}", broken.diagnostics);
        }
    }
}

fn located(document: &Document) {
    for path in ["", "spec", "spec.models[0].model", "metadata.annotations[\"a.b\"]", "nothing.at.all[7]"] {
        let span = locate::span_of(document, path);
        assert!(span.line >= 1 && span.start <= span.end && span.end <= document.text.len(), "{path}: {span:?}");
        let problem = document.problem(code::UNDECODABLE, Severity::Error, path, "a problem", None, None);
        sound(&problem);
        assert_eq!(problem.span, span);
    }
}

fn longest_key(value: &Value) -> usize {
    match value {
        Value::Object(fields) => {
            fields.iter().map(|(key, inner)| key.chars().count().max(longest_key(inner))).max().unwrap_or(0)
        }
        Value::Array(items) => items.iter().map(longest_key).max().unwrap_or(0),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

/// JSON in ASCII alone: JSON takes characters that YAML wants escaped.
fn ascii(value: &Value) -> String {
    let mut units = [0; 2];
    let mut text = String::new();
    for c in value.to_string().chars() {
        if c.is_ascii() && c != '\u{7f}' {
            text.push(c);
        } else {
            for unit in c.encode_utf16(&mut units) {
                text.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    text
}
