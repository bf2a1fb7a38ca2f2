//! Where a field stands: from a path such as `spec.models[1].model` to a stretch of the file, and problems found there.
//!
//! Nothing is kept for this: the document's own text is read again when there is something to say about it. Paths are
//! written with [`Path`](super::path::Path), which quotes keys that hold dots or brackets.

use std::sync::Arc;

use super::diagnostic::{Diagnostic, Severity, SourceSpan};
use super::document::Document;
use super::source::{Finding, Source};
use super::{path, split, yaml};

/// The span of the value at `path` in the document; of the nearest parent that exists, else of the first key.
///
/// Line and column are those of the file; `start..end` are byte offsets within [`Document::text`].
#[must_use]
pub fn span_of(document: &Document, path: &str) -> SourceSpan {
    let source = source_of(document);
    let span = place_in(&source, path);
    SourceSpan { line: span.line.max(1).saturating_add(source.first_line.saturating_sub(1)), ..span }
}

impl Document {
    /// A problem of this document at `path`, complete with the line it stands in.
    #[must_use]
    pub fn problem(
        &self,
        code: &'static str,
        severity: Severity,
        path: &str,
        message: impl Into<String>,
        label: Option<String>,
        help: Option<String>,
    ) -> Diagnostic {
        let source = source_of(self);
        let span = place_in(&source, path);
        source.diagnostic(
            Finding { code, severity, span, message: message.into(), label, help, first_line: None },
            Some(&self.key),
        )
    }
}

/// The place within the document's text, lines counted from 1 there.
fn place_in(source: &Source<'_>, path: &str) -> SourceSpan {
    yaml::tree(source.text).root.map_or_else(|| source.span_at(1, 1), |root| root.locate(&path::steps(path)))
}

fn source_of(document: &Document) -> Source<'_> {
    let before = split::lines_before_content(&document.text);
    let first_line = document.place.line.saturating_sub(before).max(1);
    Source { path: Arc::clone(&document.place.path), first_line, text: &document.text }
}
