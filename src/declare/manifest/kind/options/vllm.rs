//! `options:` of a vLLM.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::prompts::PromptsOption;

/// Options of the adapter `vllm`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct VllmOptions {
    /// Templates in place of the default prompts: capability → turn (`system`, `user`) → template.
    pub prompts: PromptsOption,
    /// What is given up in sleep: `weights-offloaded` keeps the weights in the host's memory, `discard-all` drops them.
    pub sleep_level: SleepLevel,
    /// What happens to running requests when the engine is put to sleep.
    pub sleep_mode: SleepMode,
}

/// How deep the engine is put to sleep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SleepLevel {
    /// Level 1: quick to wake; needs as much host memory as the model is large.
    #[default]
    WeightsOffloaded,
    /// Level 2: needs no host memory; the weights are read again when it wakes.
    DiscardAll,
}

/// What happens to running requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SleepMode {
    /// They are ended.
    #[default]
    Abort,
    /// They are waited for, as long as a load may take.
    Wait,
}

impl SleepLevel {
    /// The number of the protocol.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::WeightsOffloaded => 1,
            Self::DiscardAll => 2,
        }
    }
}

impl SleepMode {
    /// The word of the protocol.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Abort => "abort",
            Self::Wait => "wait",
        }
    }
}
