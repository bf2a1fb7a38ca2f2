//! `kind: Policy`: the rules of a host. Every field is optional, because policies are merged field by field.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::core::Name;
use crate::core::unit::Span;

/// Rules for the hosts it selects. The most specific policy wins field by field; a tie is an error.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PolicySpec {
    /// Which hosts it is for. Absent: every host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selector: Option<SelectorSpec>,
    /// The copilot is never unloaded by idle timeout, eviction or on-demand load.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copilot_persistent: Option<bool>,
    /// How many tasks may share a GPU.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 64))]
    pub gpu_shared_slots: Option<u32>,
    /// Capabilities that need a GPU for themselves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpu_exclusive_for: Option<Vec<String>>,
    /// Minutes after which an unused model is unloaded; 0 means never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unload_idle_after_minutes: Option<u32>,
    /// How far tasks that can use a loaded model may run ahead of others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batching: Option<BatchingSpec>,
    /// Whether drift is corrected or only reported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drift: Option<DriftMode>,
    /// Whether deleting a manifest undoes what it asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prune: Option<bool>,
    /// How much one commit may delete without the trailer `Prune: confirm`: a number of objects, or a percentage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prune_budget: Option<PruneBudget>,
    /// Nothing new starts; running work finishes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused: Option<bool>,
    /// Finish the running work and accept new work, but start nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub draining: Option<bool>,
    /// Whether running work may be interrupted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preemption: Option<Preemption>,
    /// How often a failed task is tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retries: Option<RetriesSpec>,
    /// How long things are kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention: Option<RetentionSpec>,
    /// How the winner of an experiment becomes the copilot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub promotion: Option<PromotionSpec>,
}

/// Which hosts a policy is for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SelectorSpec {
    /// The Hosts.
    #[serde(default)]
    pub hosts: Vec<Name>,
}

/// How far tasks that can use a loaded model may run ahead of others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BatchingSpec {
    /// Most tasks in a row.
    #[schemars(range(min = 1, max = 1000))]
    pub max_tasks: u32,
    /// Longest time for which a task may be passed over.
    pub max_wait: Span,
}

/// Whether drift is corrected or only reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DriftMode {
    Correct,
    Report,
}

/// Whether running work may be interrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Preemption {
    Never,
    AfterBatch,
    Requeue,
}

/// How often a failed task is tried again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RetriesSpec {
    /// Tries after the first.
    #[schemars(range(max = 100))]
    pub max: u32,
    /// Wait before the first retry.
    #[serde(default = "default_backoff")]
    pub backoff: Span,
    /// Longest wait between tries.
    #[serde(default = "default_max_backoff")]
    pub max_backoff: Span,
}

fn default_backoff() -> Span {
    Span::from_secs(5)
}
fn default_max_backoff() -> Span {
    Span::from_secs(300)
}

/// How long things are kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RetentionSpec {
    /// Artifacts that nothing refers to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifacts: Option<Span>,
    /// Samples as they were taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub samples_raw: Option<Span>,
    /// Samples averaged over five minutes.
    #[serde(rename = "samples5m", skip_serializing_if = "Option::is_none")]
    pub samples_5m: Option<Span>,
    /// Activity of runtimes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub activity: Option<Span>,
    /// Most space for captured requests, in MB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capture_budget_mb: Option<u32>,
}

/// How the winner of an experiment becomes the copilot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PromotionSpec {
    /// A branch for review, or straight to the tracked branch.
    pub mode: PromotionMode,
    /// How long going back is offered.
    #[serde(default = "default_rollback_for")]
    pub rollback_for: Span,
}

fn default_rollback_for() -> Span {
    Span::from_secs(3_600)
}

/// Where a promotion is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PromotionMode {
    Propose,
    Commit,
}

/// How much one commit may delete: a number of objects (`10`) or a percentage of them (`25%`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PruneBudget {
    Objects(u32),
    Percent(u32),
}

impl Default for PruneBudget {
    fn default() -> Self {
        Self::Percent(50)
    }
}

impl PruneBudget {
    /// How many of `total` objects one commit may delete. At least one: deleting a file is an everyday act.
    #[must_use]
    pub fn allowed(self, total: usize) -> usize {
        match self {
            Self::Objects(n) => usize::try_from(n).unwrap_or(usize::MAX),
            Self::Percent(percent) => (total * usize::try_from(percent.min(100)).unwrap_or(100) / 100).max(1),
        }
    }
}

impl std::fmt::Display for PruneBudget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Objects(n) => write!(f, "{n}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

impl Serialize for PruneBudget {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Objects(n) => serializer.serialize_u32(*n),
            Self::Percent(_) => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for PruneBudget {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = PruneBudget;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a number of objects such as 10, or a percentage such as 25%")
            }
            fn visit_u64<E: serde::de::Error>(self, n: u64) -> Result<PruneBudget, E> {
                u32::try_from(n).map(PruneBudget::Objects).map_err(|_| E::custom("that is more objects than can exist"))
            }
            fn visit_i64<E: serde::de::Error>(self, n: i64) -> Result<PruneBudget, E> {
                u64::try_from(n).map_err(|_| E::custom("a budget cannot be negative")).and_then(|n| self.visit_u64(n))
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<PruneBudget, E> {
                text.strip_suffix('%')
                    .and_then(|digits| digits.parse().ok())
                    .filter(|percent| *percent <= 100)
                    .map(PruneBudget::Percent)
                    .ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for PruneBudget {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "PruneBudget".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "How much one commit may delete: a number of objects (10) or a percentage of them (25%).",
            "type": ["integer", "string"],
            "minimum": 0,
            "pattern": "^(100|[0-9]{1,2})%$",
        })
    }
}
