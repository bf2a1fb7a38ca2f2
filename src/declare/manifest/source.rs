//! From a finding in a document's text to a diagnostic of the file: lines shifted, the source line cut and cleaned.
//!
//! Byte offsets of a diagnostic count within the document's own text (within the file for problems of a whole file);
//! lines and columns count within the file.

use std::sync::Arc;

use crate::core::ObjectKey;
use crate::core::text::shorten;

use super::diagnostic::{Diagnostic, Severity, SourceSpan};
use super::limit::{LINE_CHARS_BEFORE, LINE_CHARS_MAX, LINE_CHARS_SEARCHED, MESSAGE_CHARS_MAX, VALUE_CHARS_MAX};
use super::secret;

/// A problem with its place in the document's text.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    pub code: &'static str,
    pub severity: Severity,
    pub span: SourceSpan,
    pub message: String,
    pub label: Option<String>,
    pub help: Option<String>,
    /// The line of the document on which the other half of the problem stands, for the help text.
    pub first_line: Option<u32>,
}

impl Finding {
    #[must_use]
    pub fn new(code: &'static str, span: SourceSpan, message: String) -> Self {
        Self { code, severity: Severity::Error, span, message, label: None, help: None, first_line: None }
    }

    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// A document's text and where it stands.
#[derive(Clone, Debug)]
pub struct Source<'a> {
    pub path: Arc<str>,
    /// The line of the file on which `text` starts.
    pub first_line: u32,
    pub text: &'a str,
}

impl Source<'_> {
    /// The diagnostic that a person reads.
    #[must_use]
    pub fn diagnostic(&self, finding: Finding, object: Option<&ObjectKey>) -> Diagnostic {
        let in_file = |line: u32| line.max(1).saturating_add(self.first_line.saturating_sub(1));
        let first = finding.first_line.map(|line| format!("the first one is on line {}; ", in_file(line)));
        let help = finding.help.as_deref().map(|help| words(&(first.unwrap_or_default() + help)));
        Diagnostic {
            code: finding.code.into(),
            severity: finding.severity,
            message: words(&finding.message),
            path: Arc::clone(&self.path),
            span: SourceSpan { line: in_file(finding.span.line), column: finding.span.column.max(1), ..finding.span },
            source_line: source_line(self.text, finding.span),
            label: finding.label.as_deref().map(words),
            help,
            object: object.cloned(),
        }
    }

    /// The span of a place that is known by line and column of the text alone.
    #[must_use]
    pub fn span_at(&self, line: u32, column: u32) -> SourceSpan {
        let index = usize::try_from(line.saturating_sub(1)).unwrap_or(usize::MAX);
        let line_start: usize = super::split::lines(self.text).take(index).map(str::len).sum();
        let skipped = usize::try_from(column.saturating_sub(1)).unwrap_or(usize::MAX);
        let start =
            self.text[line_start..].char_indices().nth(skipped).map_or(self.text.len(), |(at, _)| line_start + at);
        SourceSpan { line, column, start, end: start }
    }
}

/// The line that a span starts in, without its end. A long line is cut to a window around the caret: see
/// [`Diagnostic::caret`]. What looks like a secret is overwritten with `*`, character by character.
fn source_line(text: &str, span: SourceSpan) -> String {
    let is_break = |c: char| matches!(c, '\n' | '\r');
    let Some((before, after)) = text.split_at_checked(span.start.min(text.len())) else { return String::new() };
    // Only the surroundings of the caret are looked at, so that a very long line costs no more than a long one.
    let mut front: Vec<char> = before.chars().rev().take_while(|c| !is_break(*c)).take(LINE_CHARS_SEARCHED).collect();
    front.reverse();
    let caret = front.len();
    let more_in_front = usize::try_from(span.column).unwrap_or(0).saturating_sub(1) > caret;
    let around: String =
        front.into_iter().chain(after.chars().take_while(|c| !is_break(*c)).take(LINE_CHARS_SEARCHED)).collect();
    let line: Vec<char> = secret::hide(&around).chars().map(visible).collect();
    if line.len() <= LINE_CHARS_MAX && !more_in_front {
        return line.into_iter().collect();
    }
    let skip = caret.saturating_sub(LINE_CHARS_BEFORE);
    let mut window: Vec<char> = line.iter().copied().skip(skip).take(LINE_CHARS_MAX).collect();
    if let Some(first) = window.first_mut().filter(|_| skip > 0) {
        *first = '…';
    }
    if let Some(last) = window.last_mut().filter(|_| skip + LINE_CHARS_MAX < line.len()) {
        *last = '…';
    }
    window.into_iter().collect()
}

/// A text of a diagnostic: no secret, no control character, not endless.
fn words(text: &str) -> String {
    shorten(&secret::hide(text), MESSAGE_CHARS_MAX).chars().map(visible).collect()
}

/// The character, unless it would move or turn around the text it stands in: then a blank of the same width.
fn visible(c: char) -> char {
    let directs = matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
    if directs || c.is_control() { ' ' } else { c }
}

/// A value as it may stand in a message: shortened, in backquotes.
#[must_use]
pub fn quoted(text: &str) -> String {
    format!("`{}`", shorten(text, VALUE_CHARS_MAX))
}
