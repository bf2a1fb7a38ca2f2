//! For scripts: one JSON document whose keys are a contract.

use serde::Serialize;

use crate::declare::manifest::Severity;

use super::{Report, severity_word};

/// Counts up when a key changes its meaning or goes away. New keys may appear at any time.
pub const VERSION: u32 = 1;

#[derive(Serialize)]
struct Document<'a> {
    version: u32,
    valid: bool,
    errors: usize,
    warnings: usize,
    files_with_problems: usize,
    files_read: usize,
    diagnostics: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    code: &'a str,
    severity: &'static str,
    message: &'a str,
    path: &'a str,
    /// Lines and columns count from 1, columns in characters.
    line: u32,
    column: u32,
    end_column: Option<u32>,
    /// Byte offsets in the file.
    start: usize,
    end: usize,
    source_line: &'a str,
    label: Option<&'a str>,
    help: Option<&'a str>,
    object: Option<String>,
}

/// The report as indented JSON with a line end.
#[must_use]
pub fn render(report: &Report<'_>) -> String {
    let document = Document {
        version: VERSION,
        valid: report.is_valid(),
        errors: report.count(Severity::Error),
        warnings: report.count(Severity::Warning),
        files_with_problems: report.files_with_problems(),
        files_read: report.files_read,
        diagnostics: report.diagnostics.iter().copied().map(entry).collect(),
    };
    let mut text = serde_json::to_string_pretty(&document).expect("texts and numbers always become JSON");
    text.push('\n');
    text
}

fn entry(diagnostic: &crate::declare::manifest::Diagnostic) -> Entry<'_> {
    Entry {
        code: &diagnostic.code,
        severity: severity_word(diagnostic.severity),
        message: &diagnostic.message,
        path: &diagnostic.path,
        line: diagnostic.span.line,
        column: diagnostic.span.column,
        end_column: super::end_column(diagnostic),
        start: diagnostic.span.start,
        end: diagnostic.span.end,
        source_line: &diagnostic.source_line,
        label: diagnostic.label.as_deref(),
        help: diagnostic.help.as_deref(),
        object: diagnostic.object.as_ref().map(ToString::to_string),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tell::diagnostics::samples;

    #[test]
    fn a_script_finds_every_field_under_a_stable_key() {
        insta::assert_snapshot!(render(&Report::new(&samples::all(), 14)));
    }
}
