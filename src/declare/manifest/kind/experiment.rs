//! `kind: Experiment`: candidates compared on a golden set, and what becomes of a winner.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::core::Name;

/// Candidates compared on a golden set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExperimentSpec {
    /// The GoldenSet.
    pub golden_set: Name,
    /// What is compared.
    pub candidates: Vec<Candidate>,
    /// What the candidates are compared with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<Candidate>,
    /// Settings handed to every candidate.
    #[serde(default)]
    pub params: BTreeMap<String, serde_json::Value>,
    /// How often each case is run.
    #[serde(default = "default_repetitions")]
    #[schemars(range(min = 1, max = 100))]
    pub repetitions: u32,
    /// Stop a clearly worse candidate early.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<CanarySpec>,
    /// What makes a winner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub winner: Option<WinnerSpec>,
    /// What becomes of the winner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promote: Option<PromoteSpec>,
}

fn default_repetitions() -> u32 {
    1
}

/// A candidate: exactly one of its fields.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Candidate {
    /// A Model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<Name>,
    /// A Blueprint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blueprint: Option<Name>,
}

/// Stop a clearly worse candidate early.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CanarySpec {
    /// How many cases are run first.
    #[schemars(range(min = 1))]
    pub cases: u32,
    /// Stop when worse than the baseline by this share.
    #[schemars(range(min = 0.0))]
    pub stop_if_worse_by: f64,
}

/// What makes a winner.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WinnerSpec {
    /// The metric that decides.
    pub by: String,
    /// Smallest improvement that counts.
    #[serde(default)]
    pub at_least: f64,
    /// How sure it must be.
    #[serde(default = "default_confidence")]
    #[schemars(range(min = 0.5, max = 0.9999))]
    pub confidence: f64,
    /// Limits that a winner must keep.
    #[serde(default)]
    pub guard: Vec<GuardSpec>,
}

fn default_confidence() -> f64 {
    0.95
}

/// A limit that a winner must keep.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GuardSpec {
    /// The metric, such as latency.p95.
    pub metric: String,
    /// Largest value: a number, or a length of time such as 4s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<serde_json::Value>,
    /// Smallest value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<serde_json::Value>,
}

/// What becomes of the winner.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PromoteSpec {
    /// The Loadout that is edited.
    pub loadout: Name,
    /// The place it takes there.
    #[serde(rename = "as")]
    pub promote_as: PromoteAs,
}

/// The place a winner takes in a loadout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum PromoteAs {
    Copilot,
}
