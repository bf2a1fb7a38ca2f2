//! `kind: Task`: one piece of work. The same contract as `arcology submit`, so its keys are snake_case.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::core::{Name, Timestamp};

/// One piece of work, done once for each distinct spec.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TaskSpec {
    /// What to do; a list is a chain, each fed by the one before.
    pub capability: OneOrMany,
    /// What to do it with.
    #[serde(default)]
    pub inputs: TaskInputs,
    /// Settings handed to the runtime.
    #[serde(default)]
    pub params: BTreeMap<String, serde_json::Value>,
    /// Tasks that must be done first: names of other Tasks of the repository, or task ids when submitted.
    #[serde(default)]
    pub dependencies: Vec<String>,
    /// Higher runs earlier.
    #[serde(default)]
    #[schemars(range(min = -1000, max = 1000))]
    pub priority: i32,
    /// Exceptions from the policy for this task alone.
    #[serde(default)]
    pub policy_overrides: PolicyOverrides,
    /// Run even where the policy shields the copilot.
    #[serde(default)]
    pub force: bool,
    /// Not before this time, RFC 3339.
    #[serde(default)]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub not_before: Option<Timestamp>,
    /// Where and with what to do it. Absent: Arcology chooses.
    #[serde(default)]
    pub target: TaskTarget,
    /// Free labels, such as `project:Acme`.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Who or what asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Repeating a key returns the first task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// What becomes of this task when a dependency fails.
    #[serde(rename = "onFailure", default)]
    pub on_failure: OnFailure,
}

/// What becomes of a task when a dependency fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    /// It fails too.
    #[default]
    Fail,
    /// It runs all the same.
    Run,
}

/// Input of a task.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TaskInputs {
    /// Text to work on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Files to work on: paths in the repository.
    pub files: Vec<String>,
}

/// Exceptions from the policy for one task.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PolicyOverrides {
    /// Whether the task needs a GPU for itself, whatever the policy says of its capability.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpu_exclusive: Option<bool>,
}

/// Where and with what a task is done.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TaskTarget {
    /// The Runtime.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime: Option<Name>,
    /// The Model, or `auto`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
}

/// One text or a list of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OneOrMany(pub Vec<String>);

impl Serialize for OneOrMany {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [one] => serializer.serialize_str(one),
            many => many.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for OneOrMany {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = OneOrMany;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a capability or a list of capabilities")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<OneOrMany, E> {
                Ok(OneOrMany(vec![text.to_owned()]))
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<OneOrMany, A::Error> {
                let mut all = Vec::new();
                while let Some(one) = seq.next_element()? {
                    all.push(one);
                }
                Ok(OneOrMany(all))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for OneOrMany {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "OneOrMany".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A capability, or a list of them: a chain.",
            "type": ["string", "array"],
            "items": {"type": "string"},
            "minItems": 1,
        })
    }
}
