//! What vLLM answers, read loosely: what is missing or of another type is not told. Pure.

use serde::Deserialize;
use serde_json::Value;

/// `GET /v1/models`.
#[derive(Debug, Deserialize)]
pub(super) struct ModelList {
    pub data: Vec<Listed>,
}

/// A served name, or a LoRA adapter.
#[derive(Debug, Deserialize)]
pub(super) struct Listed {
    pub id: String,
    #[serde(default)]
    max_model_len: Value,
    /// The model that a LoRA adapter belongs to.
    #[serde(default)]
    parent: Value,
}

impl Listed {
    pub(super) fn context_tokens(&self) -> Option<u32> {
        let tokens = self.max_model_len.as_u64().and_then(|tokens| u32::try_from(tokens).ok());
        tokens.filter(|tokens| *tokens > 0)
    }

    pub(super) fn parent(&self) -> Option<&str> {
        self.parent.as_str()
    }
}

/// `GET /version`.
#[derive(Debug, Deserialize)]
pub(super) struct Version {
    pub version: String,
}

/// `GET /is_sleeping`. It is true also for an engine that is only paused.
#[derive(Debug, Deserialize)]
pub(super) struct IsSleeping {
    pub is_sleeping: bool,
}

/// `GET /is_paused`.
#[derive(Debug, Deserialize)]
pub(super) struct IsPaused {
    pub is_paused: bool,
}
