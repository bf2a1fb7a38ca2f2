//! Diagnostics made readable: for people, for scripts, for forges. Pure functions from values to text.
//!
//! What is wrong is found in `declare`; nothing here judges. All formats show the same problems in the same order.

pub mod github;
pub mod json;
pub mod sarif;
pub mod text;

#[cfg(test)]
pub mod samples;

use std::collections::BTreeSet;

use crate::core::text::count;
use crate::declare::manifest::{Diagnostic, Severity};

/// What was found in a set of files.
#[derive(Clone, Debug)]
pub struct Report<'a> {
    /// Sorted by path, line, column, then code.
    pub diagnostics: Vec<&'a Diagnostic>,
    /// How many files were read to find them.
    pub files_read: usize,
}

impl<'a> Report<'a> {
    /// Puts the diagnostics in the order in which a person works through them. Repeated ones are shown once.
    #[must_use]
    pub fn new(diagnostics: &'a [Diagnostic], files_read: usize) -> Self {
        let mut sorted: Vec<&Diagnostic> = diagnostics.iter().collect();
        sorted.sort_by(|a, b| order(a).cmp(&order(b)));
        sorted.dedup();
        Self { diagnostics: sorted, files_read }
    }

    /// How many there are of one severity.
    #[must_use]
    pub fn count(&self, severity: Severity) -> usize {
        self.diagnostics.iter().filter(|diagnostic| diagnostic.severity == severity).count()
    }

    /// True when nothing is worse than a warning.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.count(Severity::Error) == 0
    }

    /// How many files have problems.
    #[must_use]
    pub fn files_with_problems(&self) -> usize {
        self.diagnostics.iter().map(|diagnostic| &diagnostic.path).collect::<BTreeSet<_>>().len()
    }

    /// `3 errors, 1 warning in 2 files (14 read)`.
    #[must_use]
    pub fn summary(&self) -> String {
        let (errors, warnings) = (self.count(Severity::Error), self.count(Severity::Warning));
        let found = match (errors, warnings) {
            (0, 0) => return format!("no problems in {}", count(self.files_read, "file")),
            (errors, 0) => count(errors, "error"),
            (0, warnings) => count(warnings, "warning"),
            (errors, warnings) => format!("{}, {}", count(errors, "error"), count(warnings, "warning")),
        };
        format!("{found} in {} ({} read)", count(self.files_with_problems(), "file"), self.files_read)
    }
}

fn order(diagnostic: &Diagnostic) -> (&str, u32, u32, Severity, &str, &Diagnostic) {
    let Diagnostic { path, span, severity, code, .. } = diagnostic;
    (path, span.line, span.column, *severity, code, diagnostic)
}

/// The word for a severity, the same in every format.
#[must_use]
pub fn severity_word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

/// The first column after what the diagnostic points at, in characters from 1; none when that is on a later line.
fn end_column(diagnostic: &Diagnostic) -> Option<u32> {
    let from = usize::try_from(diagnostic.span.column.checked_sub(1)?).ok()?;
    let (start, _) = diagnostic.source_line.char_indices().chain([(diagnostic.source_line.len(), ' ')]).nth(from)?;
    let bytes = diagnostic.span.end.saturating_sub(diagnostic.span.start);
    let pointed_at = diagnostic.source_line.get(start..start + bytes)?;
    let chars = u32::try_from(pointed_at.chars().count()).ok()?;
    Some(diagnostic.span.column + chars)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_come_by_path_line_and_column_whatever_order_they_were_found_in() {
        let mut found = samples::all();
        let sorted: Vec<String> = Report::new(&found, 14).diagnostics.iter().map(|d| place(d)).collect();
        found.reverse();
        let again: Vec<String> = Report::new(&found, 14).diagnostics.iter().map(|d| place(d)).collect();
        assert_eq!(sorted, again);
        assert_eq!(sorted, ["manifests/desk.yaml:9:14", "manifests/desk.yaml:10:5", "policies/a b.yaml:3:3"]);
    }

    fn place(diagnostic: &Diagnostic) -> String {
        format!("{}:{}:{}", diagnostic.path, diagnostic.span.line, diagnostic.span.column)
    }

    #[test]
    fn the_summary_counts_what_was_found_and_what_was_read() {
        let found = samples::all();
        assert_eq!(Report::new(&found, 14).summary(), "2 errors, 1 warning in 2 files (14 read)");
        assert_eq!(Report::new(&found[..1], 1).summary(), "1 error in 1 file (1 read)");
        assert_eq!(Report::new(&[], 14).summary(), "no problems in 14 files");
    }

    #[test]
    fn a_problem_found_twice_is_shown_once() {
        let twice = [samples::all(), samples::all()].concat();
        assert_eq!(Report::new(&twice, 14).diagnostics.len(), samples::all().len());
    }

    #[test]
    fn the_end_column_counts_characters_and_is_absent_across_lines() {
        let mut diagnostic = samples::all().remove(0);
        assert_eq!(end_column(&diagnostic), Some(27));
        diagnostic.span.end += 100;
        assert_eq!(end_column(&diagnostic), None);
    }
}
