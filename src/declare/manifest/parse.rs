//! Files into documents. Nothing here fails: what cannot be used comes back as [`Broken`], with every reason.
//!
//! The fast path is one decode of each document. Only when something is wrong is the document read again as a tree
//! with positions, to find every problem and its place ([`super::diagnose`]).

use std::sync::Arc;

use crate::core::text::count;
use crate::core::{Name, ObjectKey};

use super::diagnostic::{Diagnostic, Severity, SourceSpan};
use super::document::{Broken, Document, ParsedFile, Place};
use super::kind::task::TaskSpec;
use super::limit::{DIAGNOSTICS_MAX, FILE_BYTES_MAX, FILE_DOCUMENTS_MAX};
use super::rule::{self, Subject};
use super::source::{Finding, Source};
use super::yaml::Failure;
use super::{canonical, code, diagnose, envelope, range, split, submit};

/// Reads a file of any number of documents, in YAML or JSON.
#[must_use]
pub fn file(path: &str, bytes: &[u8]) -> ParsedFile {
    let mut parsed = empty(path);
    let text = match text(path, bytes) {
        Ok(text) => text,
        Err(diagnostic) => return whole_file_broken(parsed, diagnostic),
    };
    let chunks = split::documents(text);
    if let Some(first_too_many) = chunks.get(FILE_DOCUMENTS_MAX) {
        let source = Source { path: Arc::clone(&parsed.path), first_line: 1, text };
        let message = format!("a file has at most {FILE_DOCUMENTS_MAX} documents, this one has {}", chunks.len());
        let span = source.span_at(first_too_many.first_line, 1);
        let finding = Finding::new(code::TOO_MANY_DOCUMENTS, span, message)
            .label("the first one too many")
            .help("split the file; none of it was read");
        let diagnostic = source.diagnostic(finding, None);
        return whole_file_broken(parsed, diagnostic);
    }
    for chunk in chunks {
        let source = Source { path: Arc::clone(&parsed.path), first_line: chunk.first_line, text: chunk.text };
        match one(&source) {
            Ok((document, warnings)) => {
                parsed.documents.push(Arc::new(document));
                parsed.warnings.extend(warnings);
            }
            Err(broken) => parsed.broken.push(broken),
        }
    }
    limit_diagnostics(&mut parsed);
    parsed
}

/// Reads one document again, for example from the store after a restart: `document(&d.place.path, d.place.line,
/// &d.text)` gives `d` back. `first_line` is the line of the document's first key.
///
/// # Errors
/// Everything that is wrong with it.
pub fn document(path: &str, first_line: u32, text: &str) -> Result<Document, Broken> {
    let text_line = first_line.saturating_sub(split::lines_before_content(text)).max(1);
    one(&Source { path: path.into(), first_line: text_line, text }).map(|(document, _warnings)| document)
}

/// A file that was not read because of its size.
#[must_use]
pub fn too_large(path: &str, bytes_total: u64) -> ParsedFile {
    let message = format!("the file has {bytes_total} bytes; at most {FILE_BYTES_MAX} are read");
    let help = "a manifest holds no data: keep large content in a file that the manifest names, or split it";
    unreadable(path, code::FILE_TOO_LARGE, message, Some(help.into()))
}

/// A file that was not read for a reason that only the caller knows, such as a link that leads out of the repository
/// ([`code::SYMLINK`]), a submodule ([`code::SUBMODULE`]) or an error of the system ([`code::UNREADABLE`]).
#[must_use]
pub fn unreadable(path: &str, code: &'static str, message: String, help: Option<String>) -> ParsedFile {
    let parsed = empty(path);
    let source = Source { path: Arc::clone(&parsed.path), first_line: 1, text: "" };
    let span = SourceSpan { line: 1, column: 1, start: 0, end: 0 };
    let mut finding = Finding::new(code, span, message);
    finding.help = help;
    whole_file_broken(parsed, source.diagnostic(finding, None))
}

/// The text of a file, or why it has none.
pub(super) fn text<'a>(path: &str, bytes: &'a [u8]) -> Result<&'a str, Diagnostic> {
    if bytes.len() > FILE_BYTES_MAX {
        let refused = too_large(path, u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        return Err(refused
            .broken
            .into_iter()
            .flat_map(|broken| broken.diagnostics)
            .next()
            .unwrap_or_else(|| unreachable!("a refused file has its reason")));
    }
    let whole = std::str::from_utf8(bytes);
    let good = match whole {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default(),
    };
    let source = Source { path: path.into(), first_line: 1, text: good };
    if whole.is_err() {
        let byte = bytes[good.len()];
        let finding = Finding::new(code::NOT_UTF8, end_of(good), format!("the byte 0x{byte:02x} is not UTF-8"))
            .label("the first byte that is not text")
            .help(if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
                "the file looks like UTF-16; save it as UTF-8"
            } else {
                "save the file as UTF-8"
            });
        return Err(source.diagnostic(finding, None));
    }
    if let Some(at) = good.find('\0') {
        let span = end_of(&good[..at]);
        let finding = Finding::new(code::NOT_TEXT, span, "the file holds a NUL byte".into())
            .label("text has no such character")
            .help("this looks like a binary file; manifests are text");
        return Err(source.diagnostic(finding, None));
    }
    Ok(good)
}

/// The place just behind a text.
fn end_of(text: &str) -> SourceSpan {
    let lines = split::lines(text);
    let last = text.rfind(['\n', '\r']).map_or(0, |at| at + 1);
    let breaks = lines.filter(|line| line.ends_with(['\n', '\r'])).count();
    let narrow = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    SourceSpan {
        line: narrow(breaks + 1),
        column: narrow(text[last..].chars().filter(|c| *c != '\u{feff}').count() + 1),
        start: text.len(),
        end: text.len(),
    }
}

/// The tasks of a file for `arcology submit`: one or a list of them, in YAML or JSON, with or without the manifest
/// around them. The name is that of the manifest, if there is one.
///
/// # Errors
/// Everything that is wrong with the file; then nothing of it is to be submitted.
pub fn tasks(path: &str, bytes: &[u8]) -> Result<Vec<(Option<Name>, TaskSpec)>, Vec<Diagnostic>> {
    submit::tasks(path, bytes)
}

/// Reads one document and its warnings.
pub(super) fn one(source: &Source<'_>) -> Result<(Document, Vec<Diagnostic>), Broken> {
    let place = place(source);
    let decoded = match envelope::decode(source.text) {
        Ok(decoded) => decoded,
        Err(failure) => return Err(diagnose::broken(source, place, &failure)),
    };
    let spec_json = canonical::value(&decoded.spec);
    let kind = decoded.spec.kind();
    if !range::holds(kind, &spec_json) {
        let failure = Failure { message: "a number is out of range".into(), at: None };
        return Err(diagnose::broken(source, place, &failure));
    }
    let subject = Subject { metadata: &decoded.metadata, spec: &decoded.spec, spec_json: &spec_json, submitted: false };
    let complaints = rule::complaints(&subject);
    let document = Document {
        key: ObjectKey::new(kind, decoded.metadata.name),
        digest: canonical::digest(&spec_json, &decoded.metadata.annotations),
        labels: decoded.metadata.labels,
        annotations: decoded.metadata.annotations,
        spec: decoded.spec,
        place,
        text: source.text.into(),
    };
    if complaints.is_empty() {
        return Ok((document, Vec::new()));
    }
    let diagnostics = diagnose::place(source, &document.key, complaints);
    if diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error) {
        return Err(Broken { key: Some(document.key), place: document.place, diagnostics });
    }
    Ok((document, diagnostics))
}

fn place(source: &Source<'_>) -> Place {
    let line = source.first_line.saturating_add(split::lines_before_content(source.text));
    Place { path: Arc::clone(&source.path), line }
}

fn empty(path: &str) -> ParsedFile {
    ParsedFile { path: path.into(), documents: Vec::new(), broken: Vec::new(), warnings: Vec::new() }
}

fn whole_file_broken(mut parsed: ParsedFile, diagnostic: Diagnostic) -> ParsedFile {
    let place = Place { path: Arc::clone(&parsed.path), line: diagnostic.span.line };
    parsed.broken.push(Broken { key: None, place, diagnostics: vec![diagnostic] });
    parsed
}

/// Keeps [`DIAGNOSTICS_MAX`] diagnostics of a file, and the first of every broken document beyond them, because that
/// one becomes the object's condition.
fn limit_diagnostics(parsed: &mut ParsedFile) {
    let mut left = DIAGNOSTICS_MAX;
    let mut dropped = 0;
    let mut last_cut = None;
    for (index, broken) in parsed.broken.iter_mut().enumerate() {
        let kept = broken.diagnostics.len().min(left.max(1));
        if kept < broken.diagnostics.len() {
            dropped += broken.diagnostics.len() - kept;
            broken.diagnostics.truncate(kept);
            last_cut = Some(index);
        }
        left = left.saturating_sub(kept);
    }
    dropped += parsed.warnings.len().saturating_sub(DIAGNOSTICS_MAX);
    parsed.warnings.truncate(DIAGNOSTICS_MAX);
    let more = |at: &Diagnostic| Diagnostic {
        code: code::MORE_PROBLEMS.into(),
        message: format!("and {} in this file", count(dropped, "more problem")),
        label: None,
        help: Some("mend the ones above first; many problems often have one cause".into()),
        ..at.clone()
    };
    match last_cut.and_then(|index| parsed.broken.get_mut(index)) {
        Some(broken) => {
            let last = broken.diagnostics.last().map(more);
            broken.diagnostics.extend(last);
        }
        None if dropped > 0 => {
            let last = parsed.warnings.last().map(more);
            parsed.warnings.extend(last);
        }
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str =
        "apiVersion: arcology/v1alpha1\nkind: Host\nmetadata: {name: desk}\nspec: {address: 127.0.0.1}\n";

    #[test]
    fn a_broken_document_costs_only_itself() {
        let text = format!(
            "{HOST}---\napiVersion: arcology/v1alpha1\nkind: Host\nmetadata: {{name: b}}\nspec: [\n---\n{}",
            HOST.replace("desk", "c")
        );
        let parsed = file("a.yaml", text.as_bytes());
        let names: Vec<_> = parsed.documents.iter().map(|document| document.key.to_string()).collect();
        assert_eq!(names, ["Host/desk", "Host/c"]);
        assert_eq!(parsed.broken.len(), 1);
        assert_eq!(parsed.broken[0].key.as_ref().unwrap().to_string(), "Host/b");
        assert_eq!(parsed.broken[0].place.line, 6);
    }

    #[test]
    fn a_document_is_given_back_from_its_place_and_text() {
        let text = format!("# first\n---\n# a note\n\n{HOST}");
        let parsed = file("a.yaml", text.as_bytes());
        let original = &*parsed.documents[0];
        assert_eq!(original.place.line, 5);
        assert_eq!(&document(&original.place.path, original.place.line, &original.text).unwrap(), original);
    }
}
