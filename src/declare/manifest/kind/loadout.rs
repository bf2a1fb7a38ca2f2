//! `kind: Loadout`: which models should be loaded on a host.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::core::{Name, Timestamp};

/// Which models should be loaded on a host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LoadoutSpec {
    /// The Host.
    pub host: Name,
    /// The long-lived model; policies can shield it from being unloaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copilot: Option<Name>,
    /// The model to go back to, written by a promotion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback: Option<RollbackSpec>,
    /// The models, in the order in which they are loaded.
    #[serde(default)]
    pub models: Vec<LoadoutModel>,
    /// What models that are not named here may do.
    #[serde(default)]
    pub unlisted: Unlisted,
}

/// The model to go back to, and until when that is offered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RollbackSpec {
    /// The Model.
    pub model: Name,
    /// Until when, RFC 3339.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub until: Timestamp,
}

/// A model of a loadout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LoadoutModel {
    /// The Model.
    pub model: Name,
    /// What should be true of it.
    pub state: DesiredState,
}

/// What should be true of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum DesiredState {
    /// Always loaded.
    Loaded,
    /// Loaded when work needs it, unloaded when idle.
    OnDemand,
    /// Never loaded.
    Unloaded,
}

/// What models that a loadout does not name may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Unlisted {
    /// Work may load them.
    #[default]
    OnDemand,
    /// They are unloaded wherever they are seen.
    Unloaded,
    /// They are none of Arcology's business.
    Ignore,
}
