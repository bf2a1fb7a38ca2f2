//! What stands in a value's place when the value itself cannot be read: something that its type takes, so that what
//! stands beside it can be looked at.
//!
//! A stand-in says nothing. Whoever looks at a value with stand-ins must know where they are
//! ([`Checked::left_out`](super::Checked::left_out)).

use serde_json::{Map, Value as Json};

use super::scalar::allowed;
use super::{Checker, names_in};

/// The text and the name that stand in: a name that nobody gives to anything.
pub(in super::super) const STAND_IN: &str = "not-readable-in-this-manifest";

impl<'s> Checker<'s> {
    /// The least that a schema takes; none for one that our types do not give rise to.
    pub(super) fn stand_in(&self, schema: &'s Json) -> Option<Json> {
        let view = self.view(schema);
        if view.nullable {
            return Some(Json::Null);
        }
        if let Some(word) = allowed(view.schema).first() {
            return Some(Json::from(*word));
        }
        let Some(first) = view.types().first().copied() else { return Some(Json::Null) };
        Some(match first {
            "object" => {
                let fields = view.schema.get("properties");
                let mut least = Map::new();
                for name in names_in(view.schema.get("required")) {
                    least.insert(name.to_owned(), self.stand_in(fields?.get(name)?)?);
                }
                Json::Object(least)
            }
            "array" => Json::Array(Vec::new()),
            "boolean" => Json::Bool(false),
            "integer" | "number" => view.schema.get("minimum").cloned().unwrap_or(Json::from(0)),
            _ => Json::from(match view.schema.get("format").and_then(Json::as_str) {
                Some("arcology-span") => "1s",
                Some("date-time") => "2000-01-01T00:00:00Z",
                _ => STAND_IN,
            }),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde::de::DeserializeSeed;

    use super::super::super::envelope::SpecOf;
    use super::super::super::header::Metadata;
    use super::super::super::{schema, yaml};
    use super::super::against;
    use crate::core::Kind;

    #[test]
    fn a_spec_of_which_nothing_was_written_is_one_that_its_type_takes() {
        let parts = schema::parts();
        let root = yaml::tree("spec: {}\n").root.unwrap();
        for kind in Kind::ALL {
            let checked = against(&parts.definitions, parts.spec(kind), root.entry("spec").unwrap());
            let spec = SpecOf(kind).deserialize(checked.mended.expect("every field has a stand-in"));
            assert_eq!(spec.map(|spec| spec.kind()).map_err(|e| e.to_string()), Ok(kind));
        }
        let checked = against(&parts.definitions, &parts.metadata, root.entry("spec").unwrap());
        assert!(serde_json::from_value::<Metadata>(checked.mended.unwrap()).is_ok());
    }
}
