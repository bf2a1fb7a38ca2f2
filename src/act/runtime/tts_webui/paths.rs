//! The paths by which the speech servers are looked at: each of them has its own, and none of these changes anything.

use crate::act::http::encode_segment;
use crate::declare::manifest::kind::options::tts_webui::SpeechServer;

/// What may be asked without changing anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Look {
    Health,
    /// The list of models.
    Models,
    /// The voices of one model, or of all.
    Voices {
        of: Option<String>,
    },
}

impl Look {
    /// The path of this look at a server of that kind; none where it has none.
    #[must_use]
    pub fn path(&self, server: SpeechServer) -> Option<String> {
        use SpeechServer::{Kokoro, Openedai, Speaches, TtsWebui};
        let path = match (self, server) {
            (Self::Health, TtsWebui) | (Self::Voices { .. }, Openedai) => return None,
            (Self::Health, Kokoro | Speaches | Openedai) => "/health".to_owned(),
            (Self::Models, TtsWebui) => "/v1/audio/models".to_owned(),
            (Self::Models, Kokoro | Speaches | Openedai) => "/v1/models".to_owned(),
            (Self::Voices { of: Some(model) }, TtsWebui) => format!("/v1/audio/voices/{}", segments(voices_key(model))),
            (Self::Voices { .. }, TtsWebui | Kokoro | Speaches) => "/v1/audio/voices".to_owned(),
        };
        Some(path)
    }
}

/// Under which name TTS-WebUI keeps the voices of `model`: for Kokoro it is not the name by which it is asked to speak.
fn voices_key(model: &str) -> &str {
    match model {
        "hexgrad/Kokoro-82M" => "kokoro",
        other => other,
    }
}

/// `id` with each of its segments encoded: slashes separate, as these servers expect.
fn segments(id: &str) -> String {
    id.split('/').map(encode_segment).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quirk_8_the_voices_of_kokoro_are_kept_under_another_name_than_the_model() {
        let path = |model: &str| Look::Voices { of: Some(model.to_owned()) }.path(SpeechServer::TtsWebui).unwrap();
        assert_eq!(path("hexgrad/Kokoro-82M"), "/v1/audio/voices/kokoro");
        assert_eq!(path("a/b c?"), "/v1/audio/voices/a/b%20c%3F");
    }

    #[test]
    fn a_server_is_never_asked_for_what_it_does_not_have() {
        assert_eq!(Look::Health.path(SpeechServer::TtsWebui), None);
        assert_eq!(Look::Voices { of: None }.path(SpeechServer::Openedai), None);
    }
}
