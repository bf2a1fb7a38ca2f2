//! `options:` of a server that speaks OpenAI's protocol.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::prompts::PromptsOption;

/// Options of the adapter `openai`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct OpenaiOptions {
    /// Where the server tells that it works, such as `/health`. Absent: its list of models is all that is looked at.
    pub health_path: Option<String>,
    /// Models of a server that has no list of its own.
    pub models: Vec<String>,
    /// Templates in place of the default prompts: capability → turn (`system`, `user`) → template.
    pub prompts: PromptsOption,
    /// The voice that speaks when a task names none.
    pub voice: Option<String>,
    /// The sound format that is asked for.
    pub speech_format: SpeechFormat,
}

/// A sound format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SpeechFormat {
    #[default]
    Wav,
    Mp3,
    Flac,
    Opus,
    Aac,
    Pcm,
}

impl SpeechFormat {
    /// The word of the protocol.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Wav => "wav",
            Self::Mp3 => "mp3",
            Self::Flac => "flac",
            Self::Opus => "opus",
            Self::Aac => "aac",
            Self::Pcm => "pcm",
        }
    }
}
