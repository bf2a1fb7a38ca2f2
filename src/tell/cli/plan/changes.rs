//! What a change of manifests says differently: objects added, changed and removed, field by field. Pure.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::core::text::shorten;
use crate::core::{Kind, ObjectKey};
use crate::declare::manifest::Document;
use crate::declare::manifest::document::ANNOTATIONS;
use crate::declare::world::World;

/// The most characters of a value that are shown.
const VALUE_CHARS_MAX: usize = 80;
/// Fields by which the items of a list are recognised when their order changes.
const IDENTITIES: [&str; 5] = ["id", "model", "runtime", "name", "metric"];

/// What happens to a declaration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kindred {
    Added,
    Changed,
    Removed,
}

/// An object that is declared differently.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    pub object: ObjectKey,
    pub change: Kindred,
    /// Where it is declared, `path:line`; where it was, when it is removed.
    pub place: String,
    pub fields: Vec<FieldChange>,
    /// Removed, but what it made stays: `arcology/prune: disabled`.
    pub leaves_things: bool,
}

/// A field that says something else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldChange {
    pub field: String,
    /// None when the field is new.
    pub before: Option<String>,
    /// None when the field is gone.
    pub after: Option<String>,
}

/// Every object that `head` declares differently from `base`, in the order in which kinds are shown.
#[must_use]
pub fn between(base: &World, head: &World) -> Vec<Change> {
    let mut changes = Vec::new();
    for (key, object) in &head.objects {
        match base.objects.get(key) {
            None => changes.push(change(key, Kindred::Added, &object.document, Vec::new())),
            Some(old) if old.document.digest != object.document.digest => {
                let fields = fields(&old.document, &object.document);
                changes.push(change(key, Kindred::Changed, &object.document, fields));
            }
            Some(_) => {}
        }
    }
    for (key, object) in base.objects.iter().filter(|(key, _)| !head.objects.contains_key(*key)) {
        changes.push(change(key, Kindred::Removed, &object.document, Vec::new()));
    }
    let rank = |kind: Kind| Kind::ALL.iter().position(|one| *one == kind);
    changes.sort_by(|a, b| (rank(a.object.kind), &a.object.name).cmp(&(rank(b.object.kind), &b.object.name)));
    changes
}

fn change(key: &ObjectKey, change: Kindred, document: &Document, fields: Vec<FieldChange>) -> Change {
    let leaves_things = change == Kindred::Removed && !document.prunes();
    Change { object: key.clone(), change, place: document.place.to_string(), fields, leaves_things }
}

fn fields(old: &Document, new: &Document) -> Vec<FieldChange> {
    let mut found = Vec::new();
    for name in ANNOTATIONS {
        let values = (old.annotations.get(name), new.annotations.get(name));
        if values.0 != values.1 {
            found.push(FieldChange { field: name.to_owned(), before: values.0.cloned(), after: values.1.cloned() });
        }
    }
    compare("", &value_of(old), &value_of(new), &mut found);
    found
}

fn value_of(document: &Document) -> Value {
    serde_json::to_value(&document.spec).expect("a spec that was read can be written")
}

fn compare(path: &str, old: &Value, new: &Value, found: &mut Vec<FieldChange>) {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            let names: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
            for name in names {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                compare_optional(&path, old.get(name), new.get(name), found);
            }
        }
        (Value::Array(old), Value::Array(new)) => compare_lists(path, old, new, found),
        (old, new) if old == new => {}
        (old, new) => found.push(FieldChange { field: path.to_owned(), before: shown(old), after: shown(new) }),
    }
}

fn compare_optional(path: &str, old: Option<&Value>, new: Option<&Value>, found: &mut Vec<FieldChange>) {
    match (old, new) {
        (Some(old), Some(new)) => compare(path, old, new, found),
        (old, new) => {
            found.push(FieldChange { field: path.to_owned(), before: old.and_then(shown), after: new.and_then(shown) })
        }
    }
}

/// Items that have a name are compared by it, so that one added in front does not look like a change of all.
fn compare_lists(path: &str, old: &[Value], new: &[Value], found: &mut Vec<FieldChange>) {
    let Some(identity) = IDENTITIES.into_iter().find(|name| named(old, name) && named(new, name)) else {
        if old.iter().chain(new).all(|item| !item.is_object()) {
            if old != new {
                let (before, after) = (shown(&old.into()), shown(&new.into()));
                found.push(FieldChange { field: path.to_owned(), before, after });
            }
            return;
        }
        for index in 0..old.len().max(new.len()) {
            compare_optional(&format!("{path}[{index}]"), old.get(index), new.get(index), found);
        }
        return;
    };
    let keyed = |items: &[Value]| -> BTreeMap<String, Value> {
        items.iter().filter_map(|item| Some((item.get(identity)?.as_str()?.to_owned(), item.clone()))).collect()
    };
    let order = |items: &[Value]| -> Vec<String> {
        items.iter().filter_map(|item| Some(item.get(identity)?.as_str()?.to_owned())).collect()
    };
    let (olds, news) = (keyed(old), keyed(new));
    for name in olds.keys().chain(news.keys().filter(|name| !olds.contains_key(*name))) {
        compare_optional(&format!("{path}[{name}]"), olds.get(name), news.get(name), found);
    }
    let stayed = |items: &[Value]| -> Vec<String> {
        order(items).into_iter().filter(|name| olds.contains_key(name) && news.contains_key(name)).collect()
    };
    if stayed(old) != stayed(new) {
        let text = |items: &[Value]| Some(shorten(&order(items).join(", "), VALUE_CHARS_MAX));
        found.push(FieldChange { field: format!("{path} (order)"), before: text(old), after: text(new) });
    }
}

/// Whether every item has a name of its own under `identity`.
fn named(items: &[Value], identity: &str) -> bool {
    let names: std::collections::BTreeSet<&str> =
        items.iter().filter_map(|item| item.get(identity).and_then(Value::as_str)).collect();
    names.len() == items.len()
}

fn shown(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(shorten(text, VALUE_CHARS_MAX)),
        other => Some(shorten(&other.to_string(), VALUE_CHARS_MAX)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn differences(old: &Value, new: &Value) -> Vec<String> {
        let mut found = Vec::new();
        compare("", old, new, &mut found);
        let text = |value: Option<String>| value.unwrap_or_else(|| "-".into());
        found.into_iter().map(|one| format!("{}: {} > {}", one.field, text(one.before), text(one.after))).collect()
    }

    #[test]
    fn items_with_names_are_compared_by_name() {
        let old = json!({"models": [{"model": "a", "state": "loaded"}, {"model": "b", "state": "onDemand"}]});
        let new = json!({"models": [{"model": "c", "state": "loaded"}, {"model": "a", "state": "unloaded"},
            {"model": "b", "state": "onDemand"}]});
        assert_eq!(
            differences(&old, &new),
            ["models[a].state: loaded > unloaded", r#"models[c]: - > {"model":"c","state":"loaded"}"#]
        );
    }

    #[test]
    fn an_order_that_changed_is_told_because_models_are_loaded_in_order() {
        let old = json!({"models": [{"model": "a"}, {"model": "b"}]});
        let new = json!({"models": [{"model": "b"}, {"model": "a"}]});
        assert_eq!(differences(&old, &new), ["models (order): a, b > b, a"]);
    }

    #[test]
    fn plain_lists_and_values_are_shown_whole_and_short() {
        assert_eq!(differences(&json!({"a": [1, 2]}), &json!({"a": [2]})), ["a: [1,2] > [2]"]);
        assert_eq!(differences(&json!({"a": {"b": 1}}), &json!({"a": {"c": true}})), ["a.b: 1 > -", "a.c: - > true"]);
        assert_eq!(differences(&json!({"a": 1}), &json!({"a": 1})), [""; 0]);
        let long = "x".repeat(1_000);
        let line = differences(&json!({"a": ""}), &json!({"a": long})).remove(0);
        assert!(line.chars().count() < 100, "{line}");
    }
}
