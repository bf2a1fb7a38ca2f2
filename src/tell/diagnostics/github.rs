//! For forges: workflow commands that GitHub and Forgejo show beside the changed lines of a pull request.
//!
//! Format and escaping follow GitHub's "Workflow commands for GitHub Actions" (`::error file=…,line=…::message`):
//! `%`, CR and LF are escaped everywhere, `:` and `,` in properties too, so that no manifest can forge a command.

use std::fmt::Write as _;

use crate::declare::manifest::Severity;
use crate::tell::terminal::clean;

use super::Report;

/// One command a diagnostic, then the summary as a plain line.
#[must_use]
pub fn render(report: &Report<'_>) -> String {
    let mut text = String::new();
    for diagnostic in &report.diagnostics {
        let command = match diagnostic.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let _ = write!(
            text,
            "::{command} file={},line={},col={}",
            property(&diagnostic.path),
            diagnostic.span.line,
            diagnostic.span.column
        );
        if let Some(end) = super::end_column(diagnostic).filter(|end| *end > diagnostic.span.column) {
            let _ = write!(text, ",endColumn={end}");
        }
        let mut message = diagnostic.message.clone();
        for (before, more) in [(": ", &diagnostic.label), ("\nhelp: ", &diagnostic.help)] {
            if let Some(more) = more {
                message.push_str(before);
                message.push_str(more);
            }
        }
        let _ = writeln!(text, ",title={}::{}", property(&diagnostic.code), data(&message));
    }
    let _ = writeln!(text, "{}", report.summary());
    text
}

fn data(text: &str) -> String {
    clean(&text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A"))
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tell::diagnostics::samples;

    #[test]
    fn every_problem_is_one_command_on_one_line() {
        insta::assert_snapshot!(render(&Report::new(&samples::all(), 14)), @"
        ::error file=manifests/desk.yaml,line=9,col=14,endColumn=27,title=ARC301::no Model is called `qwen2.5-7b-q5`: not declared in this revision%0Ahelp: did you mean `qwen2.5-7b-q4`?
        ::error file=manifests/desk.yaml,line=10,col=5,endColumn=10,title=ARC201::unknown field `modle`%0Ahelp: did you mean `model`?
        ::warning file=policies/a b.yaml,line=3,col=3,title=ARC210::50%25 of it, <b>is</b>�[31m red, %0A::error::injected
        2 errors, 1 warning in 2 files (14 read)
        ");
    }

    #[test]
    fn a_path_cannot_add_properties_or_start_a_command() {
        let mut diagnostic = samples::all().remove(0);
        diagnostic.path = "a,line=1::b\r\n::error::c".into();
        let text = render(&Report::new(std::slice::from_ref(&diagnostic), 1));
        assert!(text.starts_with("::error file=a%2Cline=1%3A%3Ab%0D%0A%3A%3Aerror%3A%3Ac,line=9,"), "{text}");
        assert_eq!(text.lines().filter(|line| line.starts_with("::")).count(), 1);
    }
}
