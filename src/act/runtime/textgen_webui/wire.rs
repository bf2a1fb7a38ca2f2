//! What text-generation-webui answers. Pure.

use serde::Deserialize;

/// `GET /v1/internal/model/info`.
#[derive(Debug, Deserialize)]
pub(super) struct Info {
    model_name: String,
}

impl Info {
    /// The model that it names; nothing is written as the string `None`.
    pub(super) fn named(self) -> Option<String> {
        Some(self.model_name).filter(|name| name != "None" && !name.is_empty())
    }
}

/// `GET /v1/internal/model/list`.
#[derive(Debug, Deserialize)]
pub(super) struct List {
    pub model_names: Vec<String>,
}

/// `POST /v1/internal/token-count`.
#[derive(Debug, Deserialize)]
pub(super) struct Counted {
    pub length: u64,
}
