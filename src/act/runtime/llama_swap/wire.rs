//! The shapes in which llama-swap answers. Read loosely: versions differ, and unknown fields are passed over. The command
//! line in `/running` is not even named here, because it may hold secrets.

use serde::Deserialize;
use serde_json::Value;

/// The longest model id that is believed.
const ID_CHARS_MAX: usize = 512;

/// `GET /v1/models`.
#[derive(Debug, Deserialize)]
pub(super) struct ModelList {
    pub data: Vec<Listed>,
}

/// An entry of the list: a model, or something that stands for one.
#[derive(Debug, Deserialize)]
pub(super) struct Listed {
    pub id: String,
    #[serde(default)]
    meta: Value,
    #[serde(default)]
    context_length: Value,
}

/// What an entry of the list is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ListedKind {
    Model,
    Alias {
        of: String,
    },
    Peer {
        peer: String,
    },
    /// A selector or a profile's pin: it chooses among models and is none itself.
    Route,
}

impl Listed {
    pub(super) fn kind(&self) -> ListedKind {
        let text = |key: &str| self.own(key).and_then(Value::as_str).map(str::to_owned);
        match (text("type").as_deref(), text("peerID"), text("modelID")) {
            (Some("alias"), _, Some(of)) => ListedKind::Alias { of },
            (Some("selector" | "profile"), _, _) => ListedKind::Route,
            // Older versions name the peer without a type.
            (Some("peer") | None, Some(peer), _) => ListedKind::Peer { peer },
            (Some("peer"), None, _) => ListedKind::Peer { peer: String::new() },
            _ => ListedKind::Model,
        }
    }

    pub(super) fn aliases(&self) -> impl Iterator<Item = &str> {
        self.own("aliases").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
    }

    pub(super) fn context_tokens(&self) -> Option<u32> {
        let told = self.context_length.as_u64().or_else(|| self.meta.get("n_ctx")?.as_u64())?;
        u32::try_from(told).ok().filter(|tokens| *tokens > 0)
    }

    fn own(&self, key: &str) -> Option<&Value> {
        self.meta.get("llamaswap")?.get(key)
    }
}

/// `GET /running`.
#[derive(Debug, Deserialize)]
pub(super) struct Running {
    pub running: Option<Vec<RunningModel>>,
}

/// A model whose process lives.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct RunningModel {
    pub model: String,
    pub state: String,
}

/// `GET /api/version`.
#[derive(Debug, Deserialize)]
pub(super) struct Version {
    pub version: String,
}

/// An entry of the `modelStatus` event.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Status {
    pub id: String,
    #[serde(default)]
    pub state: String,
    #[serde(default)]
    pub unlisted: bool,
    #[serde(default)]
    pub aliases: Vec<String>,
}

/// Whether `id` can be shown and asked for.
pub(super) fn is_id(id: &str) -> bool {
    !id.is_empty() && id.chars().count() <= ID_CHARS_MAX && !id.chars().any(char::is_control)
}
