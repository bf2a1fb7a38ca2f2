//! What a runtime reports of itself, in words every adapter shares. What it cannot tell is absent, never guessed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::core::Timestamp;

/// One consistent answer of a runtime.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RuntimeView {
    /// Whether the serving path works; a note when it only half does.
    pub degraded: Option<String>,
    pub version: Option<String>,
    /// Every model the runtime knows, by its own name, sorted.
    pub models: Vec<ModelView>,
    /// Other names under which the runtime knows some of its models, each with the real one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub aliases: BTreeMap<String, String>,
    /// There may be models that are not among `models`.
    #[serde(default, skip_serializing_if = "is_false")]
    pub partial: bool,
    /// Capabilities that the running program has not, each with why, where that can be told.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub lacks: BTreeMap<String, String>,
    /// What protects the machine from the programs that the runtime starts, in a sentence, where it starts any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protection: Option<String>,
    /// Requests being worked on.
    pub in_flight: Option<u32>,
    /// Requests waiting.
    pub queued: Option<u32>,
    /// The requests that are waited for or worked on, the oldest first, where the runtime tells them apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub works: Option<Vec<WorkView>>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_false(is: &bool) -> bool {
    !is
}

/// A request in flight, without what was asked and by whom.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorkView {
    /// The runtime's own name for it.
    pub id: String,
    /// The model that was asked for, by the runtime's own name.
    pub model: String,
    /// When it came, by the runtime's clock.
    pub since: Option<Timestamp>,
    /// The path that was asked for, such as `/v1/chat/completions`.
    pub path: String,
}

/// A model as a runtime reports it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelView {
    /// The runtime's own name for it.
    pub name: String,
    pub state: ModelState,
    /// GPU memory it takes, where the runtime tells.
    pub vram_gb: Option<f64>,
    pub context_tokens: Option<u32>,
    /// When the runtime will unload it by itself.
    pub expires_at: Option<Timestamp>,
}

/// Whether a model is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ModelState {
    Loaded,
    Loading,
    Unloading,
    Unloaded,
    Unknown,
}

impl ModelState {
    /// The word of the JSON contract.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Loaded => "loaded",
            Self::Loading => "loading",
            Self::Unloading => "unloading",
            Self::Unloaded => "unloaded",
            Self::Unknown => "unknown",
        }
    }
}

impl RuntimeView {
    /// The runtime's real name for `name`, which may be an alias.
    #[must_use]
    pub fn real_name<'a>(&'a self, name: &'a str) -> &'a str {
        self.aliases.get(name).map_or(name, String::as_str)
    }

    /// How many requests for `model`, which may be an alias, are in flight. None where that is not told.
    #[must_use]
    pub fn works_of(&self, model: &str) -> Option<usize> {
        let model = self.real_name(model);
        // Where nothing is in flight at all, nothing is for this model either.
        let none_at_all = (self.in_flight == Some(0)).then_some(0);
        self.works.as_ref().map(|works| works.iter().filter(|work| work.model == model).count()).or(none_at_all)
    }

    /// The model that the runtime calls `name`, or knows under that alias. Its own `name` is always the real one.
    #[must_use]
    pub fn model(&self, name: &str) -> Option<&ModelView> {
        let name = self.real_name(name);
        self.models.iter().find(|model| model.name == name)
    }
}
