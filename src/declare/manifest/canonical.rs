//! The canonical form of a spec and its digest: what a generation is counted by.
//!
//! Canonical JSON: the typed spec after defaults, keys sorted at every level, no white space. Layout, comments, key
//! order and labels of a manifest therefore change nothing.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::core::Digest;

use super::API_VERSION;
use super::document::{ANNOTATIONS, Document, Spec};

/// The spec as JSON, defaults filled in. A float that is not finite becomes null, which [`super::range`] refuses.
///
/// # Panics
/// Never: specs are made of types that JSON can hold, and their keys are texts.
#[must_use]
pub fn value(spec: &Spec) -> Value {
    serde_json::to_value(spec).expect("specs hold only what JSON can hold")
}

/// The digest of a spec and of the annotations that mean something.
#[must_use]
pub fn digest(spec: &Value, annotations: &BTreeMap<String, String>) -> Digest {
    let meaningful = annotations.iter().filter(|(key, _)| ANNOTATIONS.contains(&key.as_str()));
    let annotations: Map<_, _> = meaningful.map(|(key, value)| (key.clone(), Value::from(value.as_str()))).collect();
    let mut text = String::with_capacity(512);
    text.push_str("{\"annotations\":");
    write(&Value::Object(annotations), &mut text);
    text.push_str(",\"spec\":");
    write(spec, &mut text);
    text.push('}');
    Digest::of(text.as_bytes())
}

impl Document {
    /// The document as a manifest in JSON, defaults written out. Read again, it has the same digest.
    #[must_use]
    pub fn to_manifest(&self) -> Value {
        json!({
            "apiVersion": API_VERSION,
            "kind": self.key.kind.as_str(),
            "metadata": {"name": self.key.name.as_str(), "labels": self.labels, "annotations": self.annotations},
            "spec": value(&self.spec),
        })
    }
}

/// Writes canonical JSON. The depth is bounded by that of a document.
fn write(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) => {
            // Sorted here, because the order of a `Map` depends on features that any dependency can turn on.
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_unstable_by_key(|(key, _)| *key);
            out.push('{');
            for (index, (key, value)) in entries.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                out.push_str(&Value::from(key.as_str()).to_string());
                out.push(':');
                write(value, out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write(item, out);
            }
            out.push(']');
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => out.push_str(&value.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_keys_changes_nothing_and_every_value_does() {
        let none = BTreeMap::new();
        let digest_of = |text: &str| digest(&serde_json::from_str(text).unwrap(), &none);
        assert_eq!(digest_of(r#"{"a":1,"b":{"d":[1,2],"c":null}}"#), digest_of(r#"{"b":{"c":null,"d":[1,2]},"a":1}"#));
        assert_ne!(digest_of(r#"{"a":1}"#), digest_of(r#"{"a":"1"}"#));
        assert_ne!(digest_of(r#"{"a":[1,2]}"#), digest_of(r#"{"a":[2,1]}"#));
    }

    #[test]
    fn only_annotations_that_mean_something_change_the_digest() {
        let annotated = |key: &str| digest(&Value::Null, &BTreeMap::from([(key.to_owned(), "x".to_owned())]));
        assert_eq!(annotated("example.com/note"), digest(&Value::Null, &BTreeMap::new()));
        assert_ne!(annotated(ANNOTATIONS[0]), digest(&Value::Null, &BTreeMap::new()));
    }
}
