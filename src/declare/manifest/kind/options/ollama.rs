//! `options:` of an Ollama.

use schemars::JsonSchema;
use serde::Deserialize;

use super::prompts::PromptsOption;

/// Options of the adapter `ollama`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct OllamaOptions {
    /// How long a model that Arcology loads stays when nobody uses it: seconds, or a span such as `10m`. Default -1, for
    /// ever: Arcology unloads it.
    pub keep_alive: KeepAlive,
    /// Templates in place of the default prompts: capability → turn (`system`, `user`) → template.
    pub prompts: PromptsOption,
}

/// A time in Ollama's words.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected seconds, or a span such as 10m")]
pub enum KeepAlive {
    Seconds(i64),
    Span(String),
}

impl Default for KeepAlive {
    fn default() -> Self {
        Self::Seconds(-1)
    }
}
