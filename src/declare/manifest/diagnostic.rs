//! Diagnostics as values: a stable code, a place, what was expected, and what to do. Rendering is `tell`'s job.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::core::ObjectKey;

use super::limit::LINE_CHARS_BEFORE;

/// How bad it is. An error quarantines its object; a warning changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Error,
    Warning,
}

/// A stretch of a file. Lines and columns count from 1, columns in characters; `start..end` are byte offsets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SourceSpan {
    pub line: u32,
    pub column: u32,
    pub start: usize,
    pub end: usize,
}

/// One problem, complete enough to be understood without opening the file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Diagnostic {
    /// Stable code such as `ARC201`; `arcology explain ARC201` prints its page.
    pub code: Arc<str>,
    pub severity: Severity,
    /// What is wrong, one lower-case sentence without a full stop.
    pub message: String,
    /// Path in the repository, with forward slashes.
    pub path: Arc<str>,
    pub span: SourceSpan,
    /// The text of the line that `span` starts in, without its line end; empty when the file is not text.
    pub source_line: String,
    /// What the caret says: what stands there or what was expected.
    pub label: Option<String>,
    /// What to do next: the nearest right name, the allowed values, the command.
    pub help: Option<String>,
    /// Whose last good version stays in force, when that could be read.
    pub object: Option<ObjectKey>,
}

impl Diagnostic {
    /// Where to draw the caret below `source_line`: how many characters before it, and its width, at least 1.
    ///
    /// A line of more than [`LINE_CHARS_MAX`](super::limit::LINE_CHARS_MAX) characters is cut to a window that has at
    /// most [`LINE_CHARS_BEFORE`] of them before the caret, so `span.column` alone
    /// does not tell the place in `source_line`.
    #[must_use]
    pub fn caret(&self) -> (usize, usize) {
        let column = usize::try_from(self.span.column.saturating_sub(1)).unwrap_or(0);
        let cut_in_front = column > LINE_CHARS_BEFORE && self.source_line.starts_with('…');
        let before = if cut_in_front { LINE_CHARS_BEFORE } else { column };
        let chars = self.source_line.chars().count();
        let before = before.min(chars);
        let bytes = self.span.end.saturating_sub(self.span.start);
        let from = self.source_line.char_indices().nth(before).map_or(self.source_line.len(), |(at, _)| at);
        let width = self.source_line[from..].char_indices().take_while(|(at, _)| *at < bytes).count();
        (before, width.max(1))
    }
}
