//! `options:` of llama.cpp's server.

use schemars::JsonSchema;
use serde::Deserialize;

use super::prompts::PromptsOption;

/// Options of the adapter `llama-server`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct LlamaServerOptions {
    /// Whether the requests that run and wait are read from `/metrics`, where the server has it. Each reading begins its
    /// averages of speed anew, for whoever else reads them: false leaves them alone.
    pub metrics: bool,
    /// Templates in place of the default prompts: capability → turn (`system`, `user`) → template.
    pub prompts: PromptsOption,
}

impl Default for LlamaServerOptions {
    fn default() -> Self {
        Self { metrics: true, prompts: PromptsOption::default() }
    }
}
