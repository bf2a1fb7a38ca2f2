//! `kind: Runtime`: a program that serves models or does work, and how to reach it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::core::Name;
use crate::core::unit::Span;

/// A program that serves models or does other work.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RuntimeSpec {
    /// The Host it runs on.
    pub host: Name,
    /// The GPU of that host which it uses. Absent: CPU only, it takes no GPU lock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu: Option<Name>,
    /// What kind of program it is.
    pub adapter: AdapterKind,
    /// Base URL, such as http://127.0.0.1:8080. Not used by `builtin` and `exec`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// What it can do. Absent for `builtin`: all that the built-in runtime does.
    #[serde(default)]
    pub capabilities: Vec<String>,
    /// Most tasks at once. Absent: 4 on CPU; with a GPU the policy's `gpuSharedSlots` is the limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 256))]
    pub slots: Option<u32>,
    /// How Arcology proves who it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<AuthSpec>,
    /// How often it is looked at when it sends no events.
    #[serde(default = "default_observe_every")]
    pub observe_every: Span,
    /// Time limits.
    #[serde(default)]
    pub timeouts: TimeoutsSpec,
    /// The adapter's own settings; see its page in the documentation.
    #[serde(default)]
    pub options: BTreeMap<String, serde_json::Value>,
}

fn default_observe_every() -> Span {
    Span::from_secs(5)
}

/// What kind of program a runtime is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AdapterKind {
    Builtin,
    Exec,
    Openai,
    LlamaSwap,
    LlamaServer,
    Ollama,
    TextgenWebui,
    Comfyui,
    TtsWebui,
    Vllm,
    Ray,
}

impl AdapterKind {
    /// The name as it stands in a manifest.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Builtin => "builtin",
            Self::Exec => "exec",
            Self::Openai => "openai",
            Self::LlamaSwap => "llama-swap",
            Self::LlamaServer => "llama-server",
            Self::Ollama => "ollama",
            Self::TextgenWebui => "textgen-webui",
            Self::Comfyui => "comfyui",
            Self::TtsWebui => "tts-webui",
            Self::Vllm => "vllm",
            Self::Ray => "ray",
        }
    }

    /// Whether this version of the program can drive it. The others validate, and are shown as not driven yet.
    #[must_use]
    pub fn is_driven(self) -> bool {
        match self {
            Self::Builtin
            | Self::Comfyui
            | Self::Exec
            | Self::LlamaServer
            | Self::LlamaSwap
            | Self::Ollama
            | Self::Openai
            | Self::TextgenWebui
            | Self::TtsWebui
            | Self::Vllm => true,
            Self::Ray => false,
        }
    }

    /// Whether it is reached over HTTP and so needs an endpoint.
    #[must_use]
    pub fn needs_endpoint(self) -> bool {
        !matches!(self, Self::Builtin | Self::Exec)
    }
}

/// How Arcology proves who it is to a runtime.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AuthSpec {
    /// Where the token is found. Never the token itself: manifests are in Git.
    pub token_from: TokenFrom,
}

/// Where a token is found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TokenFrom {
    /// A file name under the daemon's credentials folder.
    pub file: Name,
}

/// Time limits of calls to a runtime.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TimeoutsSpec {
    /// To open a connection and to answer a look.
    #[serde(default = "default_connect")]
    pub connect: Span,
    /// To load a model.
    #[serde(default = "default_load")]
    pub load: Span,
    /// To carry out a task.
    #[serde(default = "default_run")]
    pub run: Span,
}

impl Default for TimeoutsSpec {
    fn default() -> Self {
        Self { connect: default_connect(), load: default_load(), run: default_run() }
    }
}

fn default_connect() -> Span {
    Span::from_secs(2)
}
fn default_load() -> Span {
    Span::from_secs(300)
}
fn default_run() -> Span {
    Span::from_secs(600)
}
