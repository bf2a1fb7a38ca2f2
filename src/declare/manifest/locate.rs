//! Where a field stands: from a path such as `spec.models[1].model` to a stretch of the file, and problems found there.
//!
//! Nothing is kept for this: the document's own text is read again when there is something to say about it. Paths are
//! written with [`Path`](super::path::Path), which quotes keys that hold dots or brackets.

use std::sync::Arc;

use crate::core::ObjectKey;

use super::diagnostic::{Diagnostic, Severity, SourceSpan};
use super::document::Document;
use super::source::{Finding, Source};
use super::tree::Node;
use super::{path, split, yaml};

/// The span of the value at `path` in the document; of the nearest parent that exists, else of the first key.
///
/// Line and column are those of the file; `start..end` are byte offsets within [`Document::text`].
#[must_use]
pub fn span_of(document: &Document, path: &str) -> SourceSpan {
    Reader::of(document).span(path)
}

/// The line of the file at which the document's text begins, counted from 1.
#[must_use]
pub fn first_line_of(document: &Document) -> u32 {
    document.place.line.saturating_sub(split::lines_before_content(&document.text)).max(1)
}

impl Document {
    /// A problem of this document at `path`, complete with the line it stands in. For more than one, see [`Reader`].
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
        Reader::of(self).problem(code, severity, path, message, label, help)
    }
}

/// A document's text with its places, read once for any number of problems.
#[derive(Debug)]
pub struct Reader {
    key: ObjectKey,
    path: Arc<str>,
    first_line: u32,
    text: Arc<str>,
    root: Option<Node>,
}

impl Reader {
    /// Reads the text of a document again.
    #[must_use]
    pub fn of(document: &Document) -> Self {
        Self {
            key: document.key.clone(),
            path: Arc::clone(&document.place.path),
            first_line: first_line_of(document),
            text: Arc::clone(&document.text),
            root: yaml::tree(&document.text).root,
        }
    }

    /// Whether it is this document's text that was read.
    #[must_use]
    pub fn is_of(&self, document: &Document) -> bool {
        Arc::ptr_eq(&self.text, &document.text) && self.key == document.key
    }

    /// The span of the value at `path`, as [`span_of`] gives it.
    #[must_use]
    pub fn span(&self, path: &str) -> SourceSpan {
        let span = self.place(path);
        SourceSpan { line: span.line.max(1).saturating_add(self.first_line.saturating_sub(1)), ..span }
    }

    /// A problem at `path`, complete with the line it stands in.
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
        let span = self.place(path);
        let finding = Finding { code, severity, span, message: message.into(), label, help, first_line: None };
        self.source().diagnostic(finding, Some(&self.key))
    }

    /// The place within the document's text, lines counted from 1 there.
    fn place(&self, path: &str) -> SourceSpan {
        let located = self.root.as_ref().map(|root| root.locate(&path::steps(path)));
        located.unwrap_or_else(|| self.source().span_at(1, 1))
    }

    fn source(&self) -> Source<'_> {
        Source { path: Arc::clone(&self.path), first_line: self.first_line, text: &self.text }
    }
}
