//! `options:` of a llama-swap.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::core::unit::Span;

use super::prompts::PromptsOption;

/// Options of the adapter `llama-swap`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct LlamaSwapOptions {
    /// Where a model's own server is asked in order to load it: one path such as `/health`, or a map from model to path.
    pub check_path: CheckPath,
    /// How long an unload waits for requests in flight for the model, which it would kill. Default `30s`.
    pub drain: Span,
    /// Whether the log of a failed attempt tells what llama-swap kept of the request and its answer. It holds the prompt.
    pub captures: bool,
    /// Templates in place of the default prompts: capability → turn (`system`, `user`) → template.
    pub prompts: PromptsOption,
}

impl Default for LlamaSwapOptions {
    fn default() -> Self {
        Self {
            check_path: CheckPath::default(),
            drain: Span::from_secs(30),
            captures: false,
            prompts: PromptsOption::default(),
        }
    }
}

/// One path, or one for each model.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a path such as /health, or a map from model to path")]
pub enum CheckPath {
    Same(String),
    ByModel(BTreeMap<String, String>),
}

impl CheckPath {
    const DEFAULT: &'static str = "health";

    /// The path for `model`.
    #[must_use]
    pub fn of(&self, model: &str) -> &str {
        match self {
            Self::Same(path) => path,
            Self::ByModel(paths) => paths.get(model).map_or(Self::DEFAULT, String::as_str),
        }
    }
}

impl Default for CheckPath {
    fn default() -> Self {
        Self::Same(Self::DEFAULT.to_owned())
    }
}
