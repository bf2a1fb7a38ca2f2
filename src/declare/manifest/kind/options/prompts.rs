//! `options.prompts`: how a text capability becomes the turns of a chat. Shared by every adapter that chats.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

/// Templates in place of the defaults: capability → its turns.
pub type PromptsOption = BTreeMap<String, Turns>;

/// The turns of one chat, each a minijinja template with `text` and `params`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Turns {
    /// What the model is told to be and do.
    pub system: Option<String>,
    /// What is said to it.
    pub user: Option<String>,
}
