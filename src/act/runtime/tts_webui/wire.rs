//! What speech servers answer, read loosely: voices in three shapes, and health. Pure.

use serde::Deserialize;
use serde_json::Value;

use crate::act::runtime::openai::models::is_id;

/// The most voices that are kept of one answer.
const VOICES_MAX: usize = 10_000;

/// `GET /v1/audio/voices[/{model}]`.
#[derive(Debug, Deserialize)]
pub(super) struct Voices {
    voices: Vec<Value>,
}

impl Voices {
    /// The names by which voices are asked for: strings, `{"id": …}` or `{"value": …}`.
    pub(super) fn names(&self) -> Vec<String> {
        let name = |voice: &Value| {
            let told = [Some(voice), voice.get("id"), voice.get("value")].into_iter().flatten().find_map(Value::as_str);
            told.filter(|name| is_id(name)).map(str::to_owned)
        };
        self.voices.iter().filter_map(name).take(VOICES_MAX).collect()
    }
}

/// `GET /health`, where it says more than its status.
#[derive(Debug, Deserialize)]
pub(super) struct Health {
    #[serde(default)]
    status: Value,
}

impl Health {
    /// What is wrong, when it says so: openedai-speech answers `unk` with 200.
    pub(super) fn complaint(&self) -> Option<&str> {
        self.status.as_str().filter(|status| !matches!(*status, "ok" | "healthy" | "OK"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn quirk_9_voices_are_read_in_every_shape() {
        let voices = json!({"voices": ["a", {"id": "b", "name": "B"}, {"value": "c", "label": "C"}, 3, {"x": 1}, ""]});
        assert_eq!(serde_json::from_value::<Voices>(voices).unwrap().names(), ["a", "b", "c"]);
    }

    #[test]
    fn a_health_check_may_be_200_and_still_complain() {
        let complaint = |body: Value| serde_json::from_value::<Health>(body).unwrap().complaint().map(str::to_owned);
        assert_eq!(complaint(json!({"status": "unk"})), Some("unk".to_owned()));
        for fine in [json!({"status": "ok"}), json!({"status": "healthy"}), json!({"message": "OK"})] {
            assert_eq!(complaint(fine), None);
        }
    }
}
