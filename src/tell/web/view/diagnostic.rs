//! A diagnostic on a page: the same text that `arcology validate` prints, with the line and a caret.

use serde::Serialize;

use crate::declare::manifest::{Diagnostic, Severity};
use crate::tell::diagnostics::text::{Look, render_one};

use super::part::{Mark, Tone};

/// How wide the text may get, in characters; long lines are trimmed around the caret.
const WIDTH_CHARS: usize = 110;

/// A diagnostic as it is shown.
#[derive(Clone, Debug, Serialize)]
pub struct DiagnosticView {
    pub mark: Mark,
    pub code: String,
    pub message: String,
    /// All of it: place, line, caret, what was expected, what to do.
    pub text: String,
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
            text: render_one(diagnostic, Look { colour: false, width: WIDTH_CHARS }),
            explain: format!("arcology explain {}", diagnostic.code),
        }
    }
}
