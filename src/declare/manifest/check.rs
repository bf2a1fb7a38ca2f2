//! A tree held against a JSON Schema: every difference, each at its place, and what can be read in spite of them.
//!
//! Only the part of JSON Schema that our own types give rise to is understood; a test keeps the two together. What the
//! typed decoding accepts is accepted here too: a quoted number, `null` for an empty list.

use std::sync::LazyLock;

use serde_json::{Map, Value as Json};

use crate::core::text::nearest;

use super::code;
use super::diagnostic::SourceSpan;
use super::limit::NAMES_SHOWN_MAX;
use super::path::Path;
use super::schema::resolve;
use super::secret::names_a_secret;
use super::source::{Finding, quoted};
use super::tree::{Entry, Node, Value};

mod scalar;
mod stand_in;

pub(super) use stand_in::STAND_IN;

/// What a check found.
#[derive(Debug, Default)]
pub struct Checked {
    pub findings: Vec<Finding>,
    /// The value without everything that is wrong, and with stand-ins where something is needed: every item of a list
    /// keeps its index. None when nothing of it can be read.
    pub mended: Option<Json>,
    /// The paths that `mended` lacks or has a stand-in for, so that nobody draws conclusions from them.
    pub left_out: Vec<Path>,
    /// Whether there was a field that does not exist: it may be what seems to be missing elsewhere.
    pub astray: bool,
}

/// Where a value stands: its path, and what to point to when the value itself is no single line.
#[derive(Clone)]
pub(super) struct At {
    pub path: Path,
    pub span: SourceSpan,
}

/// Holds `entry` against `schema`.
#[must_use]
pub fn against(definitions: &Map<String, Json>, schema: &Json, entry: &Entry) -> Checked {
    let mut checker = Checker { definitions, checked: Checked::default() };
    let at = At { path: Path::new(&entry.key), span: entry.key_span };
    checker.checked.mended = checker.value(schema, &at, &entry.node);
    checker.checked
}

/// The fields of a mapping of which the schema names none.
static NO_FIELDS: LazyLock<Map<String, Json>> = LazyLock::new(Map::new);

struct Checker<'s> {
    definitions: &'s Map<String, Json>,
    checked: Checked,
}

/// A schema with references and `or null` taken off.
#[derive(Clone, Copy)]
struct View<'s> {
    schema: &'s Json,
    nullable: bool,
}

impl View<'_> {
    fn types(self) -> Vec<&'static str> {
        const KNOWN: [&str; 6] = ["object", "array", "boolean", "integer", "number", "string"];
        let names = |name: &str| KNOWN.into_iter().find(|known| *known == name);
        match self.schema.get("type") {
            Some(Json::String(name)) => names(name).into_iter().collect(),
            Some(Json::Array(many)) => many.iter().filter_map(Json::as_str).filter_map(names).collect(),
            _ => Vec::new(),
        }
    }
}

impl<'s> Checker<'s> {
    fn view(&self, schema: &'s Json) -> View<'s> {
        let mut view = View { schema, nullable: false };
        // Each turn takes off one layer; our types have at most three.
        for _ in 0..8 {
            let resolved = resolve(self.definitions, view.schema);
            let choices = resolved.get("anyOf").and_then(Json::as_array);
            let inner = choices.and_then(|all| all.iter().find(|one| one.get("type") != Some(&Json::from("null"))));
            view.nullable |= choices.is_some();
            match inner {
                Some(inner) => view.schema = inner,
                None if std::ptr::eq(resolved, view.schema) => break,
                None => view.schema = resolved,
            }
        }
        let types = view.schema.get("type").and_then(Json::as_array);
        view.nullable |= types.is_some_and(|all| all.contains(&Json::from("null")));
        view
    }

    fn value(&mut self, schema: &'s Json, at: &At, node: &Node) -> Option<Json> {
        let view = self.view(schema);
        let allowed = scalar::allowed(view.schema);
        let types = view.types();
        let mended = if types.is_empty() && allowed.is_empty() {
            self.anything(at, node)
        } else if node.is_null() {
            self.nothing(view, &types, at)
        } else {
            match &node.value {
                Value::Map(entries) if types.contains(&"object") => self.map(view.schema, at, entries),
                Value::List(items) if types.contains(&"array") => self.list(view.schema, at, items),
                Value::Scalar { text, .. } if !allowed.is_empty() => {
                    self.keep(scalar::word(&allowed, at, node.span, text))
                }
                Value::Scalar { .. } => match scalar::read(view.schema, &types, at, node) {
                    Some(read) => self.keep(read),
                    None => self.wrong_type(view, at, node),
                },
                // The typed decoding takes a word also as the only key of a mapping.
                Value::Map(entries) if one_word(entries, &allowed) => {
                    entries.first().map(|entry| Json::from(&*entry.key))
                }
                Value::Map(_) | Value::List(_) => self.wrong_type(view, at, node),
            }
        };
        if mended.is_none() {
            self.checked.left_out.push(at.path.clone());
        }
        mended
    }

    fn keep(&mut self, read: Result<Json, Box<Finding>>) -> Option<Json> {
        read.map_err(|finding| self.checked.findings.push(*finding)).ok()
    }

    /// `key:` with nothing behind it, or `null`.
    fn nothing(&mut self, view: View<'s>, types: &[&str], at: &At) -> Option<Json> {
        if view.nullable {
            return Some(Json::Null);
        }
        if types.contains(&"object") {
            return self.map(view.schema, at, &[]);
        }
        if types.contains(&"array") {
            return Some(Json::Array(Vec::new()));
        }
        let expected = scalar::expected(view.schema);
        self.checked.findings.push(
            Finding::new(code::WRONG_TYPE, at.span, format!("`{}` has no value", at.path))
                .label(format!("expected {expected}"))
                .help("write the value behind the colon, or leave the field out if it is optional"),
        );
        None
    }

    fn wrong_type(&mut self, view: View<'s>, at: &At, node: &Node) -> Option<Json> {
        let (found, span) = match &node.value {
            Value::Map(_) => ("a mapping".to_owned(), at.span),
            Value::List(_) => ("a list".to_owned(), at.span),
            Value::Scalar { text, .. } => (quoted(text), node.span),
        };
        let expected = scalar::expected(view.schema);
        let finding = Finding::new(code::WRONG_TYPE, span, format!("`{}` is {found}, not {expected}", at.path))
            .label(format!("expected {expected}"));
        self.checked.findings.push(match scalar::advice(view.schema, node) {
            Some(help) => finding.help(help),
            None => finding,
        });
        None
    }

    fn list(&mut self, schema: &'s Json, at: &At, items: &[Node]) -> Option<Json> {
        let inner = schema.get("items").unwrap_or(&Json::Bool(true));
        // A list that lost an item would be of no use: those behind it would answer to other indices.
        let mended = items.iter().enumerate().map(|(index, item)| {
            let here = At { path: at.path.index(index), span: item.head() };
            self.value(inner, &here, item).or_else(|| self.stand_in(inner))
        });
        mended.collect::<Option<Vec<_>>>().map(Json::Array)
    }

    fn map(&mut self, schema: &'s Json, at: &At, entries: &[Entry]) -> Option<Json> {
        let fields = schema.get("properties").and_then(Json::as_object).unwrap_or(&NO_FIELDS);
        let others = schema.get("additionalProperties");
        let required: Vec<&str> = names_in(schema.get("required"));
        let mut mended = Map::new();
        let mut meant = Vec::new();
        // A merge key was reported when the tree was read.
        for entry in entries.iter().filter(|entry| entry.key != "<<") {
            let here = At { path: at.path.key(&entry.key), span: entry.key_span };
            let value = match (fields.get(&entry.key), others) {
                (Some(field), _) if required.contains(&entry.key.as_str()) => {
                    self.value(field, &here, &entry.node).or_else(|| self.stand_in(field))
                }
                (Some(field), _) => self.value(field, &here, &entry.node),
                (None, Some(Json::Bool(false))) => {
                    meant.extend(self.unknown_field(fields, at, entry));
                    None
                }
                (None, other) => {
                    let other = other.unwrap_or(&Json::Bool(true));
                    self.value(other, &here, &entry.node).or_else(|| self.stand_in(other))
                }
            };
            mended.extend(value.map(|value| (entry.key.clone(), value)));
        }
        self.checked.left_out.extend(meant.iter().map(|name| at.path.key(name)));
        for name in required {
            if mended.contains_key(name) {
                continue;
            }
            if !meant.contains(&name) && !entries.iter().any(|entry| entry.key == name) {
                let finding = self.missing_field(name, fields.get(name), at);
                self.checked.findings.push(finding);
            }
            self.checked.left_out.push(at.path.key(name));
            mended.insert(name.to_owned(), self.stand_in(fields.get(name)?)?);
        }
        Some(Json::Object(mended))
    }

    /// Reports a field that does not exist, and gives the one that was probably meant.
    fn unknown_field(&mut self, fields: &'s Map<String, Json>, at: &At, entry: &Entry) -> Option<&'s str> {
        let (finding, meant) = unknown_field(fields, &at.path, entry);
        self.checked.findings.push(finding);
        self.checked.astray = true;
        meant
    }

    fn missing_field(&self, name: &str, field: Option<&'s Json>, at: &At) -> Finding {
        missing_field(self.definitions, name, field, at)
    }

    /// A value of which the schema says nothing. JSON cannot hold a number that is not finite.
    fn anything(&mut self, at: &At, node: &Node) -> Option<Json> {
        match &node.value {
            Value::Scalar { text, plain } => self.keep(scalar::untyped(at, node, text, *plain)),
            Value::List(items) => self.list(const { &Json::Bool(true) }, at, items),
            Value::Map(entries) => self.map(const { &Json::Bool(true) }, at, entries),
        }
    }
}

/// The texts of a list of texts.
fn names_in(list: Option<&Json>) -> Vec<&str> {
    list.and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str).collect()
}

/// Whether a mapping is one of the allowed words with nothing behind it: `{loaded: }`.
fn one_word(entries: &[Entry], allowed: &[&str]) -> bool {
    matches!(entries, [entry] if entry.node.is_null() && allowed.contains(&&*entry.key))
}

/// A field that a mapping lacks.
pub(super) fn missing_field(definitions: &Map<String, Json>, name: &str, field: Option<&Json>, at: &At) -> Finding {
    let described = field.and_then(|field| {
        field.get("description").or_else(|| resolve(definitions, field).get("description")).and_then(Json::as_str)
    });
    let words = scalar::allowed(field.map_or(&Json::Null, |field| resolve(definitions, field)));
    let mut help = described.map_or_else(String::new, |text| format!("{name}: {text}"));
    if !words.is_empty() {
        help.push_str(&format!(" One of {}.", names(&words)));
    }
    let whole = if at.path.as_str().is_empty() { "the document".to_owned() } else { format!("`{}`", at.path) };
    let finding = Finding::new(code::MISSING_FIELD, at.span, format!("{whole} lacks the field `{name}`"))
        .label(format!("`{name}` is missing here"));
    if help.is_empty() { finding } else { finding.help(help.trim()) }
}

/// A field that does not exist, and the one that was probably meant.
pub(super) fn unknown_field<'s>(
    fields: &'s Map<String, Json>,
    parent: &Path,
    entry: &Entry,
) -> (Finding, Option<&'s str>) {
    let shown = quoted(&entry.key);
    let place = if parent.as_str().is_empty() { "a manifest".to_owned() } else { format!("`{parent}`") };
    if names_a_secret(&entry.key) {
        let message = format!("{shown} would hold a secret, and manifests are in Git");
        let help = "name a file under the daemon's credentials folder instead (`auth: {tokenFrom: {file: NAME}}`); \
                    if this was committed, revoke it";
        return (Finding::new(code::SECRET, entry.key_span, message).label("not here").help(help), None);
    }
    let allowed: Vec<&str> = fields.keys().map(String::as_str).collect();
    let meant = nearest(&entry.key, allowed.iter().copied());
    let mut help = meant.map_or_else(String::new, |name| format!("did you mean `{name}`? "));
    help.push_str(&if allowed.is_empty() {
        "nothing is allowed here".into()
    } else {
        format!("allowed here: {}", names(&allowed))
    });
    let finding = Finding::new(code::UNKNOWN_FIELD, entry.key_span, format!("{place} has no field {shown}"))
        .label("unknown field")
        .help(help);
    (finding, meant)
}

/// Names for a help text, not more than fit.
pub(super) fn names(all: &[&str]) -> String {
    let shown = all.iter().take(NAMES_SHOWN_MAX).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    match all.len().checked_sub(NAMES_SHOWN_MAX) {
        None | Some(0) => shown,
        Some(more) => format!("{shown} and {more} more"),
    }
}
