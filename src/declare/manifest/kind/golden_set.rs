//! `kind: GoldenSet`: cases with expectations, to measure a capability by.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Cases with expectations, to measure a capability by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GoldenSetSpec {
    /// What is measured.
    pub capability: String,
    /// A JSON, JSONL or CSV file beside the manifest, or the cases themselves.
    pub cases: Cases,
    /// What is computed for each answer.
    pub metrics: Vec<String>,
}

/// The metrics that can be named; `exec:PROGRAM` names a scorer of one's own.
pub const METRICS: &[&str] = &[
    "bleu",
    "contains",
    "exact",
    "jsonEquals",
    "jsonSchema",
    "latency",
    "length",
    "regex",
    "rouge1",
    "rouge2",
    "rougeL",
    "similarity",
    "tokensPerSecond",
];

/// Where cases come from.
#[derive(Clone, Debug, PartialEq)]
pub enum Cases {
    File(String),
    Inline(Vec<CaseSpec>),
}

/// A case.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CaseSpec {
    /// Name of the case within the set.
    pub id: String,
    /// What the candidate is given.
    pub input: String,
    /// What a good answer is like.
    #[serde(default)]
    pub expect: BTreeMap<String, serde_json::Value>,
    /// How much it counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0))]
    pub weight: Option<f64>,
    /// Free labels.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Cases of one cluster are not independent of each other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
}

impl Serialize for Cases {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::File(path) => serializer.serialize_str(path),
            Self::Inline(cases) => cases.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Cases {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Cases;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a file name or a list of cases")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Cases, E> {
                Ok(Cases::File(text.to_owned()))
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Cases, A::Error> {
                let mut all = Vec::new();
                while let Some(one) = seq.next_element()? {
                    all.push(one);
                }
                Ok(Cases::Inline(all))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for Cases {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Cases".into()
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let case = generator.subschema_for::<CaseSpec>();
        schemars::json_schema!({
            "description": "A JSON, JSONL or CSV file beside the manifest, or the cases themselves.",
            "type": ["string", "array"],
            "items": case,
        })
    }
}
