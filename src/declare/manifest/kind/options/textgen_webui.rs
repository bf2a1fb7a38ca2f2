//! `options:` of a text-generation-webui.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::prompts::PromptsOption;

/// Options of the adapter `textgen-webui`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct TextgenWebuiOptions {
    /// What a model is loaded with, such as `ctx_size` or `gpu_layers`: model → arguments of its loader.
    pub load_args: BTreeMap<String, BTreeMap<String, Value>>,
    /// Templates in place of the default prompts: capability → turn (`system`, `user`) → template.
    pub prompts: PromptsOption,
}
