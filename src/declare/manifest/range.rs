//! The ranges of numbers, which the types alone do not enforce: held against the canonical JSON on the fast path.
//!
//! The places are taken from the JSON Schemas once, so that a range is written in one place only: beside its field.
//! Here it is only said whether all ranges hold; when one does not, [`super::check`] says which.

use std::sync::LazyLock;

use serde_json::{Map, Value};

use crate::core::Kind;

use super::schema::{self, resolve};

/// A number somewhere in a spec.
#[derive(Debug)]
struct Limit {
    path: Vec<Step>,
    low: f64,
    high: f64,
    /// Floats that are not finite have become null; a null that the type allows has not.
    null_is_none: bool,
}

#[derive(Clone, Debug)]
enum Step {
    Field(String),
    /// Every item of a list, or every value of a free mapping.
    Each,
}

static LIMITS: LazyLock<Vec<(Kind, Vec<Limit>)>> = LazyLock::new(|| {
    let parts = schema::parts();
    let of = |kind| {
        let mut found = Vec::new();
        collect(&parts.definitions, parts.spec(kind), &mut Vec::new(), &mut found);
        found
    };
    Kind::ALL.into_iter().map(|kind| (kind, of(kind))).collect()
});

/// Whether every number of a spec is finite and within its range. `spec` is [`super::canonical::value`].
#[must_use]
pub fn holds(kind: Kind, spec: &Value) -> bool {
    let limits = LIMITS.iter().find(|(known, _)| *known == kind).map_or(&[][..], |(_, limits)| limits);
    limits.iter().all(|limit| limit_holds(limit, &limit.path, spec))
}

fn limit_holds(limit: &Limit, path: &[Step], value: &Value) -> bool {
    match (path.split_first(), value) {
        (Some((Step::Field(name), rest)), Value::Object(fields)) => {
            fields.get(name).is_none_or(|inner| limit_holds(limit, rest, inner))
        }
        (Some((Step::Each, rest)), Value::Array(items)) => items.iter().all(|inner| limit_holds(limit, rest, inner)),
        (Some((Step::Each, rest)), Value::Object(fields)) => {
            fields.values().all(|inner| limit_holds(limit, rest, inner))
        }
        (None, Value::Number(number)) => number.as_f64().is_some_and(|n| n >= limit.low && n <= limit.high),
        (None, Value::Null) => limit.null_is_none,
        // Another shape, such as a file name where there could be a list, has no such number.
        _ => true,
    }
}

/// Finds the numbers below a schema. The schemas of our types are trees, so this ends.
fn collect(definitions: &Map<String, Value>, schema: &Value, path: &mut Vec<Step>, found: &mut Vec<Limit>) {
    let schema = resolve(definitions, schema);
    for choice in schema.get("anyOf").and_then(Value::as_array).into_iter().flatten() {
        collect(definitions, choice, path, found);
    }
    for (name, field) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        path.push(Step::Field(name.clone()));
        collect(definitions, field, path, found);
        path.pop();
    }
    let inner = [schema.get("items"), schema.get("additionalProperties")];
    for inner in inner.into_iter().flatten().filter(|inner| inner.is_object()) {
        path.push(Step::Each);
        collect(definitions, inner, path, found);
        path.pop();
    }
    found.extend(limit(schema, path));
}

/// The limit of a number; none where the type alone enforces it.
fn limit(schema: &Value, path: &[Step]) -> Option<Limit> {
    let said = |name: &str| schema.get(name).and_then(Value::as_f64);
    let (low, high) = (said("minimum"), said("maximum"));
    let mentions = |name: &str| {
        schema
            .get("type")
            .is_some_and(|found| *found == name || found.as_array().is_some_and(|all| all.contains(&Value::from(name))))
    };
    let unsigned = schema.get("format").and_then(Value::as_str).is_some_and(|format| format.starts_with("uint"));
    let enforced_by_type = high.is_none() && (low.is_none() || (unsigned && low == Some(0.0)));
    let needed = mentions("number") || (mentions("integer") && !enforced_by_type);
    needed.then(|| Limit {
        path: path.to_vec(),
        low: low.unwrap_or(f64::MIN),
        high: high.unwrap_or(f64::MAX),
        null_is_none: mentions("integer"),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_number_out_of_its_range_is_found_however_deep_it_stands() {
        let candidates = json!([{"model": "a"}]);
        let experiment = |repetitions: u32, confidence: f64| {
            let winner = json!({"by": "rougeL", "confidence": confidence});
            json!({"goldenSet": "g", "candidates": candidates, "repetitions": repetitions, "winner": winner})
        };
        assert!(holds(Kind::Experiment, &experiment(3, 0.95)));
        assert!(!holds(Kind::Experiment, &experiment(0, 0.95)));
        assert!(!holds(Kind::Experiment, &experiment(3, 1.5)));
        assert!(!holds(
            Kind::Host,
            &json!({"address": "x", "gpus": [{"id": "a", "vramGb": 1.0}, {"id": "b", "vramGb": -1.0}]})
        ));
        assert!(!holds(Kind::GoldenSet, &json!({"cases": [{"id": "a", "weight": -0.5}]})));
        assert!(holds(Kind::GoldenSet, &json!({"cases": "cases.jsonl"})));
    }

    #[test]
    fn a_float_that_is_not_finite_is_refused_where_it_became_null() {
        assert!(!holds(Kind::Model, &json!({"vramGb": null})));
        assert!(!holds(Kind::Host, &json!({"reserve": {"diskGb": null}})));
    }

    #[test]
    fn only_numbers_that_the_types_do_not_bound_are_looked_at() {
        let count = |kind: Kind| LIMITS.iter().find(|(known, _)| *known == kind).unwrap().1.len();
        assert_eq!(count(Kind::Runtime), 1, "slots");
        assert_eq!(count(Kind::Loadout), 0);
        assert_eq!(count(Kind::Task), 1);
        assert_eq!(count(Kind::Policy), 4, "gpuSharedSlots, maxTasks, retries.max and pruneBudget");
    }
}
