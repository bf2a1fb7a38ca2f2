//! Rules about the values of one document that need no other object. One rule a file.
//!
//! A rule sees the typed spec and names the path of what it complains about; the place in the file is looked up only
//! when there is a complaint. Rules that need other objects live in [`crate::declare::world`].

use serde_json::Value;

use super::diagnostic::Severity;
use super::document::Spec;
use super::header::Metadata;
use super::path::Path;

mod adapter_option;
mod annotation;
mod capability;
mod empty;
mod endpoint;
mod exactly_one;
mod file_path;
mod guard;
mod metric;
mod offer;
mod secret;
mod sha256;
mod twice;
mod zero_span;

/// What the rules look at.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    pub metadata: &'a Metadata,
    pub spec: &'a Spec,
    /// The spec as JSON, for rules that look at every value.
    pub spec_json: &'a Value,
    /// True for a task that was submitted rather than committed: its files need not be in the repository.
    pub submitted: bool,
}

/// A problem at a path.
#[derive(Clone, Debug, PartialEq)]
pub struct Complaint {
    pub code: &'static str,
    pub severity: Severity,
    pub path: Path,
    /// Another place without which nobody can say this.
    pub follows_from: Option<Path>,
    /// True when the key itself is the problem, not its value.
    pub at_key: bool,
    pub message: String,
    pub label: Option<String>,
    pub help: Option<String>,
}

impl Complaint {
    fn new(code: &'static str, path: Path, message: impl Into<String>) -> Self {
        Self {
            code,
            severity: Severity::Error,
            path,
            follows_from: None,
            at_key: false,
            message: message.into(),
            label: None,
            help: None,
        }
    }

    fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Depends on what stands at `other` too, so that it is not told when that cannot be read.
    fn follows_from(mut self, other: Path) -> Self {
        self.follows_from = Some(other);
        self
    }

    /// Whether it is about what stands at `other`, or follows from that.
    pub(super) fn depends_on(&self, other: &Path) -> bool {
        self.path.touches(other) || self.follows_from.as_ref().is_some_and(|from| from.touches(other))
    }

    /// Points to the key, because that is what is wrong.
    fn at_key(mut self) -> Self {
        self.at_key = true;
        self
    }

    fn warning(mut self) -> Self {
        self.severity = Severity::Warning;
        self
    }
}

type Rule = fn(&Subject<'_>, &mut Vec<Complaint>);

const RULES: &[Rule] = &[
    adapter_option::check,
    annotation::check,
    capability::check,
    empty::check,
    endpoint::check,
    exactly_one::check,
    file_path::check,
    guard::check,
    metric::check,
    offer::check,
    secret::check,
    sha256::check,
    twice::check,
    zero_span::check,
];

/// What all rules have to say.
#[must_use]
pub fn complaints(subject: &Subject<'_>) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for rule in RULES {
        rule(subject, &mut complaints);
    }
    complaints
}

/// The places that errors are told at.
#[must_use]
pub fn places_of_errors(complaints: &[Complaint]) -> Vec<Path> {
    let errors = complaints.iter().filter(|complaint| complaint.severity == Severity::Error);
    errors.map(|complaint| complaint.path.clone()).collect()
}

/// The path of a field of the spec.
fn spec(field: &str) -> Path {
    Path::new("spec").key(field)
}
