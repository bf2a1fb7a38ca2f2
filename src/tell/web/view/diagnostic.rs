//! A diagnostic as text with a caret under what it is about.

use std::fmt::Write as _;

use serde::Serialize;

use crate::core::text::shorten;
use crate::declare::manifest::{Diagnostic, Severity};

use super::part::{Mark, Tone};

/// The longest line that is shown; a longer one is cut around the caret.
const LINE_CHARS_MAX: usize = 160;

/// A diagnostic as it is shown.
#[derive(Clone, Debug, Serialize)]
pub struct DiagnosticView {
    pub mark: Mark,
    pub code: String,
    pub message: String,
    /// `path:line:column`.
    pub place: String,
    /// The line with the caret under it; none when the file is not text.
    pub snippet: Option<String>,
    pub help: Option<String>,
    pub explain: String,
}

impl DiagnosticView {
    #[must_use]
    pub fn of(diagnostic: &Diagnostic) -> Self {
        let mark = match diagnostic.severity {
            Severity::Error => Mark::new(Tone::Bad, "error"),
            Severity::Warning => Mark::new(Tone::Warn, "warning"),
        };
        Self {
            mark,
            code: diagnostic.code.to_string(),
            message: diagnostic.message.clone(),
            place: format!("{}:{}:{}", diagnostic.path, diagnostic.span.line, diagnostic.span.column),
            snippet: snippet(diagnostic),
            help: diagnostic.help.clone(),
            explain: format!("arcology explain {}", diagnostic.code),
        }
    }
}

/// The line and the caret, with the line's number in the margin.
#[must_use]
pub fn snippet(diagnostic: &Diagnostic) -> Option<String> {
    if diagnostic.source_line.trim().is_empty() {
        return None;
    }
    let line: Vec<char> = diagnostic.source_line.chars().map(plain).collect();
    let column = usize::try_from(diagnostic.span.column.max(1)).unwrap_or(1) - 1;
    let column = column.min(line.len());
    let width = marked_chars(diagnostic, column).clamp(1, (line.len() - column).max(1));
    let from = column.saturating_sub(LINE_CHARS_MAX / 2);
    let shown: String = line.iter().skip(from).take(LINE_CHARS_MAX).collect();
    let cut = if from > 0 { "…" } else { "" };
    let number = diagnostic.span.line.to_string();
    let margin = " ".repeat(number.len());
    let lead = " ".repeat(column - from + cut.chars().count());
    let carets = "^".repeat(width.min(LINE_CHARS_MAX - (column - from)));
    let label = diagnostic.label.as_deref().map(|label| format!(" {}", shorten(label, 200))).unwrap_or_default();
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write!(text, "{number} | {cut}{}\n{margin} | {lead}{carets}{label}", shown.trim_end());
    Some(text)
}

/// How many characters the span covers on its first line.
fn marked_chars(diagnostic: &Diagnostic, column: usize) -> usize {
    let bytes = diagnostic.span.end.saturating_sub(diagnostic.span.start);
    let start: usize = diagnostic.source_line.chars().take(column).map(char::len_utf8).sum();
    let rest = &diagnostic.source_line[start..];
    rest.char_indices().take_while(|(at, _)| *at < bytes).count()
}

/// One cell wide and without effect on its neighbours, so that the caret stays where it belongs.
fn plain(c: char) -> char {
    if c.is_control() { ' ' } else { c }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::declare::manifest::diagnostic::SourceSpan;

    fn diagnostic(line: &str, column: u32, length: usize) -> Diagnostic {
        Diagnostic {
            code: Arc::from("ARC201"),
            severity: Severity::Error,
            message: "unknown field `modle`".into(),
            path: Arc::from("manifests/desk.yaml"),
            span: SourceSpan { line: 12, column, start: 100, end: 100 + length },
            source_line: line.into(),
            label: Some("expected `model` or `state`".into()),
            help: Some("did you mean `model`?".into()),
            object: None,
        }
    }

    #[test]
    fn the_caret_stands_under_what_is_wrong() {
        insta::assert_snapshot!(snippet(&diagnostic("    - {modle: qwen}", 8, 5)).unwrap(), @r"
        12 |     - {modle: qwen}
           |        ^^^^^ expected `model` or `state`
        ");
    }

    #[test]
    fn tabs_and_wide_letters_do_not_move_the_caret() {
        let text = snippet(&diagnostic("\té: modle", 5, 5)).unwrap();
        let lines: Vec<_> = text.lines().map(|line| line.chars().collect::<Vec<_>>()).collect();
        let caret = lines[1].iter().position(|c| *c == '^').unwrap();
        assert_eq!(lines[0][caret..caret + 5].iter().collect::<String>(), "modle");
    }

    #[test]
    fn a_very_long_line_is_cut_around_the_caret_and_a_span_beyond_it_is_harmless() {
        let long = format!("{}modle{}", "x".repeat(5_000), "y".repeat(5_000));
        let text = snippet(&diagnostic(&long, 5_001, 5)).unwrap();
        assert!(text.chars().count() < 600 && text.contains("modle") && text.contains("^^^^^"), "{text}");
        assert!(snippet(&diagnostic("short", 900, 1_000_000)).unwrap().contains('^'));
        assert_eq!(snippet(&diagnostic("", 1, 0)), None);
    }
}
