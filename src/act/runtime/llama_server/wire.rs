//! The shapes in which llama-server answers. Read loosely: versions differ, and unknown fields are passed over. The
//! arguments and the preset in a model's `status` are not even named here, because they may hold paths and tokens.

use serde::Deserialize;
use serde_json::Value;

/// The longest model id that is believed.
const ID_CHARS_MAX: usize = 512;

/// `GET /props`.
#[derive(Debug, Deserialize)]
pub(super) struct Props {
    #[serde(default)]
    role: Option<String>,
    #[serde(default)]
    default_generation_settings: Value,
    #[serde(default)]
    pub build_info: Option<String>,
    #[serde(default)]
    pub is_sleeping: bool,
    #[serde(default)]
    pub endpoint_metrics: bool,
    #[serde(default)]
    modalities: Value,
}

impl Props {
    pub(super) fn is_router(&self) -> bool {
        self.role.as_deref() == Some("router")
    }

    /// Whether its only model takes sound, where that is told.
    pub(super) fn takes_audio(&self) -> Option<bool> {
        self.modalities.get("audio")?.as_bool()
    }

    /// The context that one request can use. Slots may share what was asked for among them.
    pub(super) fn context_tokens(&self) -> Option<u32> {
        tokens(self.default_generation_settings.get("n_ctx")?)
    }
}

/// `GET /models`. The look-alike list `models` beside it is passed over: its values are made up.
#[derive(Debug, Deserialize)]
pub(super) struct ModelList {
    pub data: Vec<Listed>,
}

/// A model in the list.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Listed {
    pub id: String,
    #[serde(default)]
    pub aliases: Vec<String>,
    /// A router alone tells one.
    #[serde(default)]
    pub status: Option<Status>,
    #[serde(default)]
    meta: Value,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Status {
    pub value: String,
    #[serde(default)]
    pub failed: bool,
    #[serde(default)]
    pub exit_code: Option<i64>,
}

impl Listed {
    pub(super) fn context_tokens(&self) -> Option<u32> {
        tokens(self.meta.get("n_ctx")?)
    }
}

fn tokens(told: &Value) -> Option<u32> {
    u32::try_from(told.as_u64()?).ok().filter(|tokens| *tokens > 0)
}

/// Whether `id` can be shown and asked for.
pub(super) fn is_id(id: &str) -> bool {
    !id.is_empty() && id.chars().count() <= ID_CHARS_MAX && !id.chars().any(char::is_control)
}

/// Requests that are worked on, and that wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Busy {
    pub processing: u32,
    pub deferred: u32,
}

/// What the text of `GET /metrics` tells of requests; none when it does not tell both numbers.
pub(super) fn busy(text: &str) -> Option<Busy> {
    let number = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
        let value: f64 = line.split_whitespace().next()?.parse().ok()?;
        (value.is_finite() && value >= 0.0 && value <= f64::from(u32::MAX)).then_some(value as u32)
    };
    Some(Busy { processing: number("llamacpp:requests_processing")?, deferred: number("llamacpp:requests_deferred")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quirk_7_requests_are_counted_in_the_metrics_and_nonsense_is_absent() {
        let text = "# HELP x\nllamacpp:requests_processing 2\nllamacpp:requests_deferred 3.0\n";
        assert_eq!(busy(text), Some(Busy { processing: 2, deferred: 3 }));
        for bad in
            ["", "llamacpp:requests_processing 2", "llamacpp:requests_processing -1\nllamacpp:requests_deferred NaN"]
        {
            assert_eq!(busy(bad), None, "{bad}");
        }
    }

    #[test]
    fn quirk_10_the_context_is_that_of_one_slot() {
        let props: Props =
            serde_json::from_str(r#"{"default_generation_settings":{"n_ctx":8192},"total_slots":4}"#).unwrap();
        assert_eq!((props.context_tokens(), props.is_router()), (Some(8192), false));
        assert!(serde_json::from_str::<Props>(r#"{"role":"router"}"#).unwrap().is_router());
    }
}
