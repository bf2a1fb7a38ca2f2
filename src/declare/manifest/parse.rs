//! Files into documents. Nothing here fails: what cannot be used comes back as [`Broken`], with every reason.
//!
//! The fast path is one decode of each document. Only when something is wrong is the document read again as a tree
//! with positions, to find every problem and its place (`diagnose`).

use std::sync::Arc;

use crate::core::text::count;
use crate::core::{Name, ObjectKey};

use super::diagnose::Refused;
use super::diagnostic::{Diagnostic, SourceSpan};
use super::document::{Broken, Document, ParsedFile, Place};
use super::kind::task::TaskSpec;
use super::limit::{DIAGNOSTICS_MAX, FILE_DOCUMENTS_MAX};
use super::rule::{self, Subject};
use super::salvage::Salvaged;
use super::source::{Finding, Source};
use super::yaml::Failure;
use super::{canonical, code, diagnose, envelope, range, split, submit, text};

/// Reads a file of any number of documents, in YAML or JSON.
#[must_use]
pub fn file(path: &str, bytes: &[u8]) -> ParsedFile {
    let mut parsed = empty(path);
    let content = match text::of(path, bytes) {
        Ok(content) => content,
        Err(diagnostic) => return whole_file_broken(parsed, *diagnostic),
    };
    let chunks = split::documents(content);
    if let Some(first_too_many) = chunks.get(FILE_DOCUMENTS_MAX) {
        let source = Source { path: Arc::clone(&parsed.path), first_line: 1, text: content };
        let message = format!("a file has at most {FILE_DOCUMENTS_MAX} documents, this one has {}", chunks.len());
        let span = source.span_at(first_too_many.first_line, 1);
        let finding = Finding::new(code::TOO_MANY_DOCUMENTS, span, message)
            .label("the first one too many")
            .help("split the file; none of it was read");
        let diagnostic = source.diagnostic(finding, None);
        return whole_file_broken(parsed, diagnostic);
    }
    let mut unlisted = Unlisted::default();
    for chunk in chunks {
        let source = Source { path: Arc::clone(&parsed.path), first_line: chunk.first_line, text: chunk.text };
        match one(&source) {
            Ok((document, warnings)) => {
                parsed.documents.push(Arc::new(document));
                parsed.warnings.extend(warnings);
            }
            Err(refused) => {
                unlisted.add(parsed.broken.len(), refused.unlisted);
                parsed.salvaged.extend(refused.salvaged);
                parsed.broken.push(refused.broken);
            }
        }
    }
    limit_diagnostics(&mut parsed, unlisted);
    parsed
}

/// Reads one document again, for example from the store after a restart: `document(&d.place.path, d.place.line,
/// &d.text)` gives `d` back. `first_line` is the line of the document's first key.
///
/// # Errors
/// Everything that is wrong with it.
pub fn document(path: &str, first_line: u32, text: &str) -> Result<Document, Broken> {
    let text_line = first_line.saturating_sub(split::lines_before_content(text)).max(1);
    match one(&Source { path: path.into(), first_line: text_line, text }) {
        Ok((document, _warnings)) => Ok(document),
        Err(Refused { mut broken, unlisted, salvaged: _ }) => {
            mention(&mut broken.diagnostics, unlisted);
            Err(broken)
        }
    }
}

/// A file that was not read because of its size.
#[must_use]
pub fn too_large(path: &str, bytes_total: u64) -> ParsedFile {
    whole_file_broken(empty(path), text::too_large(path, bytes_total))
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

/// The tasks of a file for `arcology submit`: one or a list of them, in YAML or JSON, with or without the manifest
/// around them. The name is that of the manifest, if there is one.
///
/// # Errors
/// Everything that is wrong with the file; then nothing of it is to be submitted.
pub fn tasks(path: &str, bytes: &[u8]) -> Result<Vec<(Option<Name>, TaskSpec)>, Vec<Diagnostic>> {
    submit::tasks(path, bytes)
}

/// Reads one document and its warnings.
pub(super) fn one(source: &Source<'_>) -> Result<(Document, Vec<Diagnostic>), Refused> {
    let place = place(source);
    let decoded = match envelope::decode(source.text) {
        Ok(decoded) => decoded,
        Err(failure) => return Err(diagnose::refused(source, place, &failure)),
    };
    let spec_json = canonical::value(&decoded.spec);
    let kind = decoded.spec.kind();
    if !range::holds(kind, &spec_json) {
        let failure = Failure { message: "a number is out of range".into(), at: None };
        return Err(diagnose::refused(source, place, &failure));
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
    let places = rule::places_of_errors(&complaints);
    let (diagnostics, unlisted) = diagnose::place(source, &document.key, complaints);
    if !places.is_empty() {
        let (key, place) = (Some(document.key.clone()), document.place.clone());
        let broken = Broken { key, meant: None, place, diagnostics };
        return Err(Refused { broken, unlisted, salvaged: Salvaged::of(document, places).map(Arc::new) });
    }
    Ok((document, diagnostics))
}

fn place(source: &Source<'_>) -> Place {
    let line = source.first_line.saturating_add(split::lines_before_content(source.text));
    Place { path: Arc::clone(&source.path), line }
}

fn empty(path: &str) -> ParsedFile {
    ParsedFile {
        path: path.into(),
        documents: Vec::new(),
        broken: Vec::new(),
        salvaged: Vec::new(),
        warnings: Vec::new(),
    }
}

fn whole_file_broken(mut parsed: ParsedFile, diagnostic: Diagnostic) -> ParsedFile {
    let place = Place { path: Arc::clone(&parsed.path), line: diagnostic.span.line };
    parsed.broken.push(Broken { key: None, meant: None, place, diagnostics: vec![diagnostic] });
    parsed
}

/// Problems that are counted only, and the last broken document that has some.
#[derive(Clone, Copy, Default)]
struct Unlisted {
    problems: usize,
    last: Option<usize>,
}

impl Unlisted {
    fn add(&mut self, index: usize, problems: usize) {
        if problems > 0 {
            *self = Self { problems: self.problems + problems, last: Some(index) };
        }
    }
}

/// Keeps [`DIAGNOSTICS_MAX`] diagnostics of a file, and the first of every broken document beyond them, because that
/// one becomes the object's condition.
fn limit_diagnostics(parsed: &mut ParsedFile, mut unlisted: Unlisted) {
    let mut left = DIAGNOSTICS_MAX;
    for (index, broken) in parsed.broken.iter_mut().enumerate() {
        let kept = broken.diagnostics.len().min(left.max(1));
        if kept < broken.diagnostics.len() {
            unlisted.add(index, broken.diagnostics.len() - kept);
            // What is kept must say why the document is broken: errors before warnings.
            broken.diagnostics.sort_by_key(|diagnostic| diagnostic.severity);
            broken.diagnostics.truncate(kept);
        }
        left = left.saturating_sub(kept);
    }
    if let Some(broken) = unlisted.last.and_then(|index| parsed.broken.get_mut(index)) {
        mention(&mut broken.diagnostics, unlisted.problems);
    }
    let warnings = parsed.warnings.len().saturating_sub(DIAGNOSTICS_MAX);
    parsed.warnings.truncate(DIAGNOSTICS_MAX);
    mention(&mut parsed.warnings, warnings);
}

/// Says how many more there are, at the place of the last one that is listed.
pub(super) fn mention(diagnostics: &mut Vec<Diagnostic>, unlisted: usize) {
    let Some(last) = diagnostics.last().filter(|_| unlisted > 0) else { return };
    diagnostics.push(Diagnostic {
        code: code::MORE_PROBLEMS.into(),
        message: format!("and {} in this file", count(unlisted, "more problem")),
        label: None,
        help: Some("mend the ones above first; many problems often have one cause".into()),
        ..last.clone()
    });
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
    fn a_hundred_problems_are_listed_and_the_others_counted() {
        let many = |n: usize| (0..n).map(|index| format!("unknown{index}: 1,")).collect::<String>();
        let one = |name: &str, n: usize| {
            HOST.replace("desk", name).replace("}\nspec: {", &format!("}}\nspec: {{{}", many(n)))
        };
        let text = format!("{}---\n{}---\n{}", one("a", 60), one("b", 70), one("c", 5));
        let parsed = file("a.yaml", text.as_bytes());
        let listed: Vec<_> = parsed.broken.iter().map(|broken| broken.diagnostics.len()).collect();
        assert_eq!(listed, [60, 40, 2], "the third document keeps its first problem, and the count of the others");
        assert_eq!(parsed.broken[2].diagnostics[1].message, "and 34 more problems in this file");
        let broken = document("a.yaml", 1, &one("d", 150)).unwrap_err();
        assert_eq!(broken.diagnostics.len(), DIAGNOSTICS_MAX + 1);
        assert_eq!(broken.diagnostics[DIAGNOSTICS_MAX].message, "and 50 more problems in this file");
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
