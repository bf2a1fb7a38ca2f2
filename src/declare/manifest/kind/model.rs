//! `kind: Model`: a model and what serves it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::core::Name;

/// A model, and the runtimes that can serve it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ModelSpec {
    /// What sort of model it is.
    #[serde(rename = "type")]
    pub model_type: ModelType,
    /// The runtimes that can serve it, the preferred one first.
    pub served_by: Vec<ServedBy>,
    /// What it can be used for. Absent: what its runtimes can do.
    #[serde(default)]
    pub capabilities: Vec<String>,
    /// Longest input and output together, in tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_tokens: Option<u32>,
    /// GPU memory it takes when loaded, in GB (2^30 bytes).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0))]
    pub vram_gb: Option<f64>,
    /// GPU memory of its full context, in GB, where that is not part of `vramGb`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0))]
    pub context_vram_gb: Option<f64>,
    /// Where its file comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// SHA-256 of its file, 64 hex digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Model architecture, such as qwen2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub architecture: Option<String>,
    /// Quantization, such as Q4_K_M.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantization: Option<String>,
    /// Number of parameters, such as 7B.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<String>,
}

impl ModelSpec {
    /// GPU memory that it takes with its full context, in GB; none when it is not declared.
    #[must_use]
    pub fn full_vram_gb(&self) -> Option<f64> {
        self.vram_gb.map(|weights| weights + self.context_vram_gb.unwrap_or(0.0))
    }
}

/// What sort of model it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ModelType {
    Llm,
    Embedding,
    Diffusion,
    Video,
    Tts,
    Asr,
    Ocr,
    Other,
}

/// A runtime that serves the model, and what it calls it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServedBy {
    /// The Runtime.
    pub runtime: Name,
    /// The runtime's own name for the model. Absent: the same name.
    #[serde(rename = "as", default, skip_serializing_if = "Option::is_none")]
    pub served_as: Option<String>,
}
