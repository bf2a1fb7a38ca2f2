//! Every problem of a broken document at once, each at its place.

use crate::core::{Kind, Name, ObjectKey};

use super::code;
use super::diagnostic::{Diagnostic, Severity};
use super::document::{Broken, Place, Spec};
use super::header::Metadata;
use super::path::{self, Path};
use super::source::{Finding, Source};
use super::tree::Node;
use super::yaml::{self, Failure};

/// A problem at a path, before its place is looked up.
#[derive(Clone, Debug, PartialEq)]
pub struct Complaint {
    pub code: &'static str,
    pub severity: Severity,
    pub path: Path,
    pub message: String,
    pub label: Option<String>,
    pub help: Option<String>,
}

/// What is wrong with the values of a decoded document.
#[must_use]
pub fn complaints(_metadata: &Metadata, _spec: &Spec, _spec_json: &serde_json::Value) -> Vec<Complaint> {
    Vec::new()
}

/// Complaints as diagnostics, in the order of the document.
#[must_use]
pub fn place(source: &Source<'_>, key: &ObjectKey, complaints: Vec<Complaint>) -> Vec<Diagnostic> {
    let root = yaml::tree(source.text).root;
    let mut findings: Vec<_> = complaints.into_iter().map(|complaint| locate(root.as_ref(), complaint)).collect();
    findings.sort_by_key(|finding| finding.span.start);
    findings.into_iter().map(|finding| source.diagnostic(finding, Some(key))).collect()
}

fn locate(root: Option<&Node>, complaint: Complaint) -> Finding {
    let Complaint { code, severity, path, message, label, help } = complaint;
    let span = root.map(|root| root.locate(&path::steps(path.as_str()))).unwrap_or_default();
    Finding { code, severity, span, message, label, help }
}

/// What is wrong with a document that could not be decoded.
#[must_use]
pub fn broken(source: &Source<'_>, place: Place, failure: &Failure) -> Broken {
    let parsed = yaml::tree(source.text);
    let key = parsed.root.as_ref().and_then(key_of);
    let mut findings = parsed.findings;
    if findings.is_empty() {
        let (line, column) = failure.at.unwrap_or((1, 1));
        findings.push(Finding::new(code::UNDECODABLE, source.span_at(line, column), failure.message.clone()));
    }
    findings.sort_by_key(|finding| finding.span.start);
    let diagnostics = findings.into_iter().map(|finding| source.diagnostic(finding, key.as_ref())).collect();
    Broken { key, place, diagnostics }
}

/// Whose document this is, as far as its header can be read.
fn key_of(root: &Node) -> Option<ObjectKey> {
    let kind = Kind::parse(root.entry("kind")?.node.text()?)?;
    let name = root.entry("metadata")?.node.entry("name")?.node.text()?;
    Some(ObjectKey::new(kind, Name::new(name).ok()?))
}
