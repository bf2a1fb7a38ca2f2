//! From a problem a rule found to a diagnostic with its place. The one file that knows how positions are looked up.

use std::fmt::Display;

use crate::declare::manifest::code::Code;
use crate::declare::manifest::locate::Reader;
use crate::declare::manifest::path::Path;
use crate::declare::manifest::{Diagnostic, Document, Severity};

/// The path of the field `key` of the mapping at `base`; keys that are no plain words are quoted.
#[must_use]
pub fn field(base: &str, key: &str) -> String {
    let quoted = Path::default().key(key);
    let dot = if quoted.as_str().starts_with('[') { "" } else { "." };
    format!("{base}{dot}{quoted}")
}

/// What a rule says about a field of a document.
#[derive(Clone, Debug)]
pub struct Problem {
    path: String,
    message: String,
    label: Option<String>,
    help: Option<String>,
}

impl Problem {
    /// A problem at the field `path`, such as `spec.models[1].model`; `message` is one lower-case sentence.
    #[must_use]
    pub fn at(path: impl Display, message: impl Display) -> Self {
        Self { path: path.to_string(), message: message.to_string(), label: None, help: None }
    }

    /// What the caret says: what stands there or what was expected.
    #[must_use]
    pub fn label(mut self, label: impl Display) -> Self {
        self.label = Some(label.to_string());
        self
    }

    /// What to do next.
    #[must_use]
    pub fn help(mut self, help: impl Display) -> Self {
        self.help = Some(help.to_string());
        self
    }

    /// The field it is told at.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The diagnostic for it.
    #[must_use]
    pub fn locate(self, document: &Document, code: &Code, severity: Severity) -> Diagnostic {
        self.locate_by(&Reader::of(document), code, severity)
    }

    /// The diagnostic for it, in a document that was read before.
    #[must_use]
    pub fn locate_by(self, reader: &Reader, code: &Code, severity: Severity) -> Diagnostic {
        reader.problem(code.code, severity, &self.path, self.message, self.label, self.help)
    }
}
