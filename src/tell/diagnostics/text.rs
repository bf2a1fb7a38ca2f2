//! For people: path, line and column, the line itself with a caret, what was expected and what to do next.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use crate::declare::manifest::{Diagnostic, Severity};
use crate::tell::terminal::{clean, clean_line};

use super::Report;

/// The most problems that are shown one by one; nobody reads further, and `-o json` has them all.
pub const SHOWN_MAX: usize = 100;

/// How it may look.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    pub colour: bool,
    /// Cells of the terminal; long source lines are trimmed around the caret.
    pub width: usize,
}

impl Default for Look {
    fn default() -> Self {
        Self { colour: false, width: 140 }
    }
}

/// Every diagnostic, then where to read more, then the summary.
#[must_use]
pub fn render(report: &Report<'_>, look: Look) -> String {
    let renderer = if look.colour { Renderer::styled() } else { Renderer::plain() }.term_width(look.width);
    let mut text = String::new();
    for diagnostic in report.diagnostics.iter().take(SHOWN_MAX) {
        text.push_str(&renderer.render(&[group(diagnostic, &Shown::of(diagnostic))]));
        text.push_str("\n\n");
    }
    if let Some(more) = report.diagnostics.len().checked_sub(SHOWN_MAX).filter(|more| *more > 0) {
        let _ = writeln!(text, "and {more} more; to see them all: arcology validate -o json\n");
    }
    if let Some(hint) = explain_hint(report) {
        text.push_str(&hint);
        text.push('\n');
    }
    let _ = writeln!(text, "{}", report.summary());
    text
}

/// One diagnostic alone, without hint and summary.
#[must_use]
pub fn render_one(diagnostic: &Diagnostic, look: Look) -> String {
    let renderer = if look.colour { Renderer::styled() } else { Renderer::plain() }.term_width(look.width);
    renderer.render(&[group(diagnostic, &Shown::of(diagnostic))])
}

/// The words of a diagnostic made harmless. They come from files that anybody may have written.
struct Shown {
    code: String,
    message: String,
    path: String,
    line: String,
    label: Option<String>,
    help: Option<String>,
    /// Byte offsets of what the caret stands under, within `line`.
    at: std::ops::Range<usize>,
}

impl Shown {
    fn of(diagnostic: &Diagnostic) -> Self {
        let line = clean_keeping_chars(&diagnostic.source_line);
        let first = usize::try_from(diagnostic.span.column.saturating_sub(1)).unwrap_or(usize::MAX);
        let after = match super::end_column(diagnostic) {
            Some(end) => usize::try_from(end.saturating_sub(1)).unwrap_or(usize::MAX),
            None => usize::MAX,
        };
        let start = byte_of_char(&line, first);
        Self {
            code: clean_line(&diagnostic.code),
            message: clean_line(&diagnostic.message),
            path: clean_line(&diagnostic.path),
            label: diagnostic.label.as_deref().map(clean_line),
            help: diagnostic.help.as_deref().map(clean),
            at: start..byte_of_char(&line, after).max(start),
            line,
        }
    }
}

/// One character for one character, so that columns stay true.
fn clean_keeping_chars(line: &str) -> String {
    clean(line).replace('\n', " ")
}

fn byte_of_char(line: &str, index: usize) -> usize {
    line.char_indices().nth(index).map_or(line.len(), |(byte, _)| byte)
}

fn group<'a>(diagnostic: &Diagnostic, shown: &'a Shown) -> Group<'a> {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let line = usize::try_from(diagnostic.span.line).unwrap_or(usize::MAX);
    let column = usize::try_from(diagnostic.span.column).unwrap_or(usize::MAX);
    let title = level.primary_title(shown.message.as_str()).id(shown.code.as_str());
    let mut group = if shown.line.is_empty() {
        title.element(Origin::path(shown.path.as_str()).line(line).char_column(column))
    } else {
        let annotation = AnnotationKind::Primary.span(shown.at.clone()).label(shown.label.as_deref());
        title.element(
            Snippet::source(shown.line.as_str()).path(shown.path.as_str()).line_start(line).annotation(annotation),
        )
    };
    if shown.line.is_empty()
        && let Some(label) = &shown.label
    {
        group = group.element(Level::NOTE.message(label.as_str()));
    }
    if let Some(help) = &shown.help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    group
}

/// Which command prints the pages of the codes that came up.
fn explain_hint(report: &Report<'_>) -> Option<String> {
    let codes: BTreeSet<&str> = report.diagnostics.iter().map(|diagnostic| &*diagnostic.code).collect();
    let first = codes.first()?;
    Some(if codes.len() == 1 {
        format!("for more about this problem: arcology explain {first}")
    } else {
        let all: Vec<&str> = codes.iter().copied().collect();
        format!("these problems have a page each: {}; for one of them: arcology explain {first}", all.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tell::diagnostics::samples;

    #[test]
    fn a_person_reads_place_line_caret_and_what_to_do() {
        insta::assert_snapshot!(render(&Report::new(&samples::all(), 14), Look::default()));
    }

    #[test]
    fn a_flood_of_problems_is_cut_and_still_counted() {
        let flood: Vec<Diagnostic> = (0..250)
            .map(|line| {
                let mut one = samples::all().remove(0);
                one.span.line = line + 1;
                one
            })
            .collect();
        let text = render(&Report::new(&flood, 1), Look::default());
        assert_eq!(text.matches("error[ARC301]").count(), SHOWN_MAX);
        assert!(text.contains("and 150 more;") && text.ends_with("250 errors in 1 file (1 read)\n"), "{text}");
    }

    #[test]
    fn no_problem_is_one_line() {
        assert_eq!(render(&Report::new(&[], 3), Look::default()), "no problems in 3 files\n");
    }

    #[test]
    fn escape_sequences_come_only_from_us() {
        let found = samples::all();
        assert!(!render(&Report::new(&found, 1), Look::default()).contains('\u{1b}'));
        let coloured = render(&Report::new(&found, 1), Look { colour: true, width: 80 });
        assert!(coloured.contains("\u{1b}["), "colour was asked for");
        assert!(!coloured.contains("\u{1b}[31m red"), "the manifest's own sequence must not survive");
    }

    #[test]
    fn a_span_beyond_its_line_does_not_break_the_rendering() {
        let mut diagnostic = samples::all().remove(0);
        for (column, end) in [(0, 0), (1, 0), (27, 400), (500, 900), (u32::MAX, usize::MAX)] {
            diagnostic.span.column = column;
            diagnostic.span.end = end;
            let text = render_one(&diagnostic, Look::default());
            assert!(text.contains("manifests/desk.yaml"), "{text}");
        }
    }
}
