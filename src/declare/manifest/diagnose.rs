//! Every problem of a broken document at once, each at its place.
//!
//! The document is read again as a tree; its header and spec are held against their schemas; what can be read in spite
//! of all that goes through the rules of the kind, so that one mistake does not hide another. The same is handed on as
//! [`Salvaged`], for what can only be told beside other documents.

use std::sync::Arc;

use serde::de::DeserializeSeed;
use serde_json::{Map, Value as Json};

use crate::core::text::nearest;
use crate::core::{Kind, Name, ObjectKey};

use super::API_VERSION;
use super::check::{self, At, Checked};
use super::code;
use super::diagnostic::{Diagnostic, SourceSpan};
use super::document::{Broken, Place, Spec};
use super::envelope::SpecOf;
use super::header::{FIELDS, Metadata};
use super::limit::DIAGNOSTICS_MAX;
use super::path::{self, Path};
use super::rule::{self, Complaint, Subject};
use super::salvage::{Salvaged, Unread};
use super::schema;
use super::source::{Finding, Source, quoted};
use super::tree::{Entry, Node, Value};
use super::yaml::{self, Failure};

/// Complaints about a document as diagnostics, in the order in which they stand in it.
#[must_use]
pub fn place(source: &Source<'_>, key: &ObjectKey, complaints: Vec<Complaint>) -> (Vec<Diagnostic>, usize) {
    let root = yaml::tree(source.text).root;
    let findings = complaints.into_iter().map(|complaint| locate(root.as_ref(), complaint)).collect();
    diagnostics(source, Some(key), findings)
}

/// A document that cannot be used, and how many of its problems are not listed because there are too many.
#[derive(Debug)]
pub struct Refused {
    pub broken: Broken,
    pub unlisted: usize,
    /// What can be read of it all the same.
    pub salvaged: Option<Arc<Salvaged>>,
}

/// What is wrong with a document that could not be decoded, or has a number out of its range.
#[must_use]
pub fn refused(source: &Source<'_>, place: Place, failure: &Failure) -> Refused {
    let parsed = yaml::tree(source.text);
    let root = parsed.root.as_ref();
    let key = root.and_then(key_of);
    let meant = root.filter(|_| key.is_none()).and_then(meant_by);
    // Of a text that is no YAML only the syntax is reported: what seems to be missing may stand behind the break.
    let examined = root.filter(|_| parsed.complete).map(|root| examine(root, false)).unwrap_or_default();
    let Examined { findings: found, metadata, spec, mut unread } = examined;
    if let Some(root) = root {
        parsed.findings.iter().for_each(|finding| unread.around(root, finding.span.start));
    }
    let mut findings = parsed.findings;
    findings.extend(found);
    let mut salvaged = spec.and_then(|spec| Salvaged::new(key.clone(), metadata, spec, &place, source.text, unread));
    if findings.is_empty() {
        findings.push(undecodable(source, failure));
        // Nobody knows which of its values is the bad one.
        salvaged = None;
    }
    let (diagnostics, unlisted) = diagnostics(source, key.as_ref(), findings);
    Refused { broken: Broken { key, meant, place, diagnostics }, unlisted, salvaged: salvaged.map(Arc::new) }
}

/// What the YAML library said, when nothing here found out more.
pub(super) fn undecodable(source: &Source<'_>, failure: &Failure) -> Finding {
    let (line, column) = failure.at.unwrap_or((1, 1));
    let message = crate::core::text::shorten(&failure.message, FAILURE_CHARS_MAX);
    Finding::new(code::UNDECODABLE, source.span_at(line, column), message).label("the reader stopped here")
}

/// The longest message of the YAML library that is passed on, in characters.
const FAILURE_CHARS_MAX: usize = 160;

/// Findings as diagnostics, in the order of the text, each once; and how many more there are than are listed.
pub(super) fn diagnostics(
    source: &Source<'_>,
    key: Option<&ObjectKey>,
    mut findings: Vec<Finding>,
) -> (Vec<Diagnostic>, usize) {
    findings.sort_by(|a, b| (a.span.start, a.code, &a.message).cmp(&(b.span.start, b.code, &b.message)));
    findings.dedup();
    // An error must be among those that are listed, whatever stands before it.
    if findings.len() > DIAGNOSTICS_MAX {
        findings.sort_by_key(|finding| finding.severity);
    }
    let unlisted = findings.len().saturating_sub(DIAGNOSTICS_MAX);
    findings.truncate(DIAGNOSTICS_MAX);
    (findings.into_iter().map(|finding| source.diagnostic(finding, key)).collect(), unlisted)
}

pub(super) fn locate(root: Option<&Node>, complaint: Complaint) -> Finding {
    let Complaint { code, severity, path, follows_from: _, at_key, message, label, help } = complaint;
    let steps = path::steps(path.as_str());
    let span = root.map(|root| if at_key { root.locate_key(&steps) } else { root.locate(&steps) });
    Finding { code, severity, span: span.unwrap_or_default(), message, label, help, first_line: None }
}

/// Whose document this is, as far as its header can be read.
pub(super) fn key_of(root: &Node) -> Option<ObjectKey> {
    let kind = Kind::parse(root.entry("kind")?.node.text()?)?;
    let name = root.entry("metadata")?.node.entry("name")?.node.text()?;
    Some(ObjectKey::new(kind, Name::new(name).ok()?))
}

/// Whose document this seems to be when its kind is misspelt.
fn meant_by(root: &Node) -> Option<ObjectKey> {
    let kind = kind_meant(root.entry("kind")?.node.text()?)?;
    let name = root.entry("metadata")?.node.entry("name")?.node.text()?;
    Some(ObjectKey::new(kind, Name::new(name).ok()?))
}

/// A document as far as it can be read, with stand-ins where it cannot.
#[derive(Default)]
pub(super) struct Examined {
    pub findings: Vec<Finding>,
    pub metadata: Option<Metadata>,
    pub spec: Option<Spec>,
    /// Where the stand-ins are.
    pub unread: Unread,
}

/// Holds a document's tree against the schemas and the rules.
pub(super) fn examine(root: &Node, submitted: bool) -> Examined {
    let mut findings = Vec::new();
    let Value::Map(entries) = &root.value else {
        findings.push(no_mapping(root));
        return Examined { findings, ..Examined::default() };
    };
    let top = At { path: Path::default(), span: root.head() };
    let kind = kind_of(root, &mut findings);
    api_version(root, &mut findings);
    let metadata = part("metadata", Some(&schema::parts().metadata), root, &mut findings);
    let spec = part("spec", kind.map(|kind| schema::parts().spec(kind)), root, &mut findings);
    let meant = unknown_fields(entries, kind, &mut findings);
    for field in FIELDS.iter().filter(|field| root.entry(field).is_none() && !meant.contains(field)) {
        findings.push(check::missing_field(&schema::parts().definitions, field, example(field).as_ref(), &top));
    }
    let mut examined = typed(kind, metadata, spec, submitted, root);
    // What was meant to stand in `spec` may stand beside it.
    examined.unread.astray |= entries.iter().any(|entry| !FIELDS.contains(&entry.key.as_str()));
    findings.append(&mut examined.findings);
    Examined { findings, ..examined }
}

/// A stand-in for a schema that carries the help for a missing header field.
fn example(field: &str) -> Option<Json> {
    let text = match field {
        "apiVersion" => format!("write `{API_VERSION}`"),
        "kind" => format!("one of {}", check::names(&Kind::ALL.map(Kind::as_str))),
        "metadata" => "write `{name: …}`".into(),
        _ => "what is declared; see `arcology schema KIND`".into(),
    };
    Some(serde_json::json!({"description": text}))
}

fn no_mapping(root: &Node) -> Finding {
    let found = match &root.value {
        Value::List(_) => "a list",
        Value::Scalar { .. } => "a single value",
        Value::Map(_) => "a mapping",
    };
    Finding::new(code::NOT_A_MAPPING, root.head(), format!("the document is {found}, not a manifest"))
        .label("expected apiVersion, kind, metadata and spec")
        .help("several objects in one file are separated by lines of three dashes: ---")
}

fn kind_of(root: &Node, findings: &mut Vec<Finding>) -> Option<Kind> {
    let entry = root.entry("kind")?;
    let text = entry.node.text().unwrap_or_default();
    let kind = Kind::parse(text);
    if kind.is_none() {
        let names = Kind::ALL.map(Kind::as_str);
        let mut help = kind_meant(text).map_or_else(String::new, |kind| format!("did you mean `{kind}`? "));
        help.push_str(&format!("the kinds are {}", check::names(&names)));
        let span = value_or_key(entry);
        let message = format!("there is no kind {}", quoted(text));
        findings.push(Finding::new(code::UNKNOWN_KIND, span, message).label("unknown kind").help(help));
    }
    kind
}

/// The kind that a misspelt one was probably meant to be.
fn kind_meant(text: &str) -> Option<Kind> {
    Kind::parse_loosely(text).or_else(|| Kind::parse(nearest(text, Kind::ALL.map(Kind::as_str))?))
}

fn api_version(root: &Node, findings: &mut Vec<Finding>) {
    let Some(entry) = root.entry("apiVersion") else { return };
    let text = entry.node.text().unwrap_or_default();
    if text != API_VERSION {
        let message = format!("the apiVersion {} is not one that this program reads", quoted(text));
        findings.push(
            Finding::new(code::API_VERSION, value_or_key(entry), message)
                .label(format!("expected {API_VERSION}"))
                .help(format!(
                    "write `apiVersion: {API_VERSION}`; files of other tools belong outside the manifest folders"
                )),
        );
    }
}

fn value_or_key(entry: &Entry) -> SourceSpan {
    if entry.node.text().is_some() { entry.node.span } else { entry.key_span }
}

/// Fields beside the four of a document; gives those that were probably meant.
fn unknown_fields(entries: &[Entry], kind: Option<Kind>, findings: &mut Vec<Finding>) -> Vec<&'static str> {
    let known: Map<String, Json> = FIELDS.iter().map(|field| ((*field).to_owned(), Json::Bool(true))).collect();
    let spec = kind.map(|kind| schema::resolve(&schema::parts().definitions, schema::parts().spec(kind)));
    let mut meant_fields = Vec::new();
    for entry in entries.iter().filter(|entry| !FIELDS.contains(&entry.key.as_str())) {
        let (finding, meant) = check::unknown_field(&known, &Path::default(), entry);
        let in_spec = spec.is_some_and(|spec| spec["properties"].get(&entry.key).is_some());
        findings.push(match entry.key.as_str() {
            _ if in_spec => finding.help(format!("`{}` is a field of `spec`: indent it below that", entry.key)),
            "name" | "labels" | "annotations" => {
                finding.help(format!("`{}` is a field of `metadata`: indent it below that", entry.key))
            }
            _ => finding,
        });
        meant_fields.extend(FIELDS.iter().find(|field| Some(**field) == meant));
    }
    meant_fields
}

/// One of the two large parts of a document, held against its schema where that is known.
fn part(name: &str, schema: Option<&'static Json>, root: &Node, findings: &mut Vec<Finding>) -> Checked {
    let (Some(entry), Some(schema)) = (root.entry(name), schema) else { return Checked::default() };
    let mut checked = check::against(&schema::parts().definitions, schema, entry);
    findings.append(&mut checked.findings);
    checked
}

/// The parts as types, as far as they can be read, and what the rules say about them. Complaints about something that
/// was left out, or that follow from it, are dropped: it has been reported already.
fn typed(kind: Option<Kind>, metadata: Checked, spec: Checked, submitted: bool, root: &Node) -> Examined {
    let spec_typed = kind.zip(spec.mended.clone()).and_then(|(kind, json)| SpecOf(kind).deserialize(json).ok());
    let left_out: Vec<Path> = metadata.left_out.into_iter().chain(spec.left_out).collect();
    let mut examined = Examined {
        findings: Vec::new(),
        metadata: metadata.mended.and_then(|json| serde_json::from_value(json).ok()),
        spec: spec_typed,
        unread: Unread { places: Vec::new(), astray: metadata.astray || spec.astray },
    };
    if let (Some(metadata_typed), Some(spec_typed), Some(spec_json)) =
        (&examined.metadata, &examined.spec, &spec.mended)
    {
        let mut complaints =
            rule::complaints(&Subject { metadata: metadata_typed, spec: spec_typed, spec_json, submitted });
        complaints.retain(|complaint| !left_out.iter().any(|gone| complaint.depends_on(gone)));
        examined.unread.places = rule::places_of_errors(&complaints);
        examined.findings = complaints.into_iter().map(|complaint| locate(Some(root), complaint)).collect();
    }
    examined.unread.places.extend(left_out);
    examined
}

/// A task that stands under `spec` without a header.
pub(super) fn examine_task(root: &Node) -> Examined {
    let mut findings = Vec::new();
    let spec = part("spec", Some(schema::parts().spec(Kind::Task)), root, &mut findings);
    let nameless = Checked { mended: Some(serde_json::json!({"name": "task"})), ..Checked::default() };
    let examined = typed(Some(Kind::Task), nameless, spec, true, root);
    findings.extend(examined.findings);
    Examined { findings, metadata: None, ..examined }
}
