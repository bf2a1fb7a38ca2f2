//! `options:` of a speech server.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::openai::SpeechFormat;

/// Options of the adapter `tts-webui`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct TtsWebuiOptions {
    /// Which speech server it is.
    pub server: SpeechServer,
    /// The sound format that is asked for. TTS-WebUI answers WAV whatever it is asked for.
    pub speech_format: SpeechFormat,
    /// The voice that speaks when a task names none.
    pub voice: Option<String>,
}

/// A speech server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SpeechServer {
    /// The extension `openai_tts_api` of TTS-WebUI.
    #[default]
    TtsWebui,
    /// Kokoro-FastAPI.
    Kokoro,
    /// speaches.
    Speaches,
    /// openedai-speech.
    Openedai,
}
