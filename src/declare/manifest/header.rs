//! The part of a document that every kind shares: `apiVersion`, `kind`, `metadata`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::core::Name;

/// What an object is called, and notes on it.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Metadata {
    /// The object's name, unique among the objects of its kind.
    pub name: Name,
    /// Free labels, shown and searchable.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Notes for tools. Those that begin with `arcology/` change how the object is treated.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
}

/// The fields of a document.
pub const FIELDS: &[&str] = &["apiVersion", "kind", "metadata", "spec"];
