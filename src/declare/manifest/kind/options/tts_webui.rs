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

impl SpeechServer {
    pub const ALL: [Self; 4] = [Self::TtsWebui, Self::Kokoro, Self::Speaches, Self::Openedai];

    /// As it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TtsWebui => "tts-webui",
            Self::Kokoro => "kokoro",
            Self::Speaches => "speaches",
            Self::Openedai => "openedai",
        }
    }

    /// The capabilities that such a server has. Not all of them listen.
    #[must_use]
    pub fn does(self) -> &'static [&'static str] {
        match self {
            Self::TtsWebui | Self::Speaches => &["audio.transcribe", "audio.tts"],
            Self::Kokoro | Self::Openedai => &["audio.tts"],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_called_as_it_is_written() {
        for server in SpeechServer::ALL {
            assert_eq!(serde_json::to_value(server).unwrap(), server.as_str());
        }
    }
}
