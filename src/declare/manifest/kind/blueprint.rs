//! `kind: Blueprint`: a graph of steps, each naming a capability.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::core::Name;

use super::capability::DataType;

/// A graph of steps. Steps name capabilities, never tools.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BlueprintSpec {
    /// What a Run must give.
    #[serde(default)]
    pub inputs: BTreeMap<String, InputSpec>,
    /// The steps.
    pub nodes: Vec<NodeSpec>,
    /// What a Run gives back: a name for the output of a step.
    #[serde(default)]
    pub outputs: BTreeMap<String, String>,
}

/// An input of a blueprint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct InputSpec {
    /// What sort of data it is.
    #[serde(rename = "type")]
    pub data_type: DataType,
    /// True for a list of them.
    #[serde(default)]
    pub list: bool,
}

/// A step of a blueprint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NodeSpec {
    /// Name of the step within the blueprint.
    pub id: Name,
    /// What it does.
    pub capability: String,
    /// Where its input comes from: `inputs.NAME`, or the id of another step. Several are merged in order.
    #[serde(default)]
    pub from: Vec<String>,
    /// The Model to use, or `auto`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Run once for each item when the input is a list.
    #[serde(default)]
    pub each: bool,
    /// Settings handed to the runtime.
    #[serde(default)]
    pub params: BTreeMap<String, serde_json::Value>,
}
