//! What may be asked of a server that nobody knows yet, and its answers as far as they are signs.
//!
//! Every question is a GET that changes nothing at any of the runtimes that are known: it loads, unloads, wakes and
//! downloads nothing. There is no way to ask anything else. Note what is missing: llama-swap's `GET /unload` and
//! `GET /upstream/…`, and llama-server's `GET /slots`, which wakes a server that sleeps.

use std::collections::BTreeMap;

use serde_json::Value;

/// The closed list of questions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Question {
    /// Nearly all of them have this list.
    Models,
    /// llama-swap, Ollama and Ray; each answers with other fields.
    ApiVersion,
    /// llama-swap's processes.
    Running,
    /// llama-server.
    Props,
    /// vLLM.
    Version,
    /// Ollama's installed models.
    Tags,
    /// text-generation-webui's model, by name.
    ModelInfo,
    /// TTS-WebUI's list of models.
    SpeechModels,
    /// Speech servers.
    Voices,
    Health,
    /// ComfyUI.
    SystemStats,
}

impl Question {
    pub const ALL: [Self; 11] = [
        Self::Models,
        Self::ApiVersion,
        Self::Running,
        Self::Props,
        Self::Version,
        Self::Tags,
        Self::ModelInfo,
        Self::SpeechModels,
        Self::Voices,
        Self::Health,
        Self::SystemStats,
    ];

    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::Models => "/v1/models",
            Self::ApiVersion => "/api/version",
            Self::Running => "/running",
            Self::Props => "/props",
            Self::Version => "/version",
            Self::Tags => "/api/tags",
            Self::ModelInfo => "/v1/internal/model/info",
            Self::SpeechModels => "/v1/audio/models",
            Self::Voices => "/v1/audio/voices",
            Self::Health => "/health",
            Self::SystemStats => "/system_stats",
        }
    }
}

/// One answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Heard {
    /// 0 when there was no answer that could be used.
    pub status: u16,
    /// Null when the body is no JSON.
    pub json: Value,
    pub is_empty: bool,
}

impl Heard {
    /// An answer with a JSON body.
    #[must_use]
    pub fn json(status: u16, json: Value) -> Self {
        Self { status, json, is_empty: false }
    }

    pub(super) fn is_fine(&self) -> bool {
        self.status == 200
    }

    pub(super) fn wants_key(&self) -> bool {
        matches!(self.status, 401 | 403)
    }

    /// The field of a good answer; none when it is not there, or null.
    pub(super) fn field(&self, name: &str) -> Option<&Value> {
        self.json.get(name).filter(|value| self.is_fine() && !value.is_null())
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.field(name)?.as_str()
    }
}

/// Everything that was heard so far.
pub type Answers = BTreeMap<Question, Heard>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_question_can_load_unload_or_wake() {
        for question in Question::ALL {
            let path = question.path();
            for harm in ["unload", "upstream", "slots", "load", "sleep", "wake", "free", "interrupt", "pull", "?"] {
                assert!(!path.contains(harm), "{path}");
            }
        }
    }
}
