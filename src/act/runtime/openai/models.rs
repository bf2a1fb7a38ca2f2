//! The list of models, in the shapes in which servers give it. Pure.

use serde::Deserialize;
use serde_json::Value;

use crate::act::runtime::adapter::{Fault, RuntimeError};
use crate::act::runtime::reach;
use crate::decide::view::{ModelState, ModelView};

/// The longest model id that is believed.
const ID_CHARS_MAX: usize = 512;
/// The most models that are shown of one server.
const MODELS_MAX: usize = 10_000;

/// `GET /v1/models`.
#[derive(Debug, Deserialize)]
pub struct ModelList(Shape);

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Shape {
    /// llama.cpp's server has a list `models` beside it, whose entries have no id.
    Usual { data: Vec<Listed> },
    /// Some speech servers.
    Speech { models: Vec<Listed> },
}

#[derive(Debug, Deserialize)]
struct Listed {
    id: String,
    /// vLLM's name for the longest context.
    #[serde(default)]
    max_model_len: Value,
    #[serde(default)]
    context_length: Value,
    #[serde(default)]
    meta: Value,
}

/// A model that a server lists.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Known {
    pub id: String,
    pub context_tokens: Option<u32>,
}

impl Known {
    /// As it is seen where nothing tells whether a model is loaded: so that is not claimed.
    #[must_use]
    pub fn view(self) -> ModelView {
        ModelView {
            name: self.id,
            state: ModelState::Unknown,
            vram_gb: None,
            context_tokens: self.context_tokens,
            expires_at: None,
        }
    }
}

impl ModelList {
    /// The models, sorted, each once. Names that nobody could type are passed over.
    #[must_use]
    pub fn known(self) -> Vec<Known> {
        let (Shape::Usual { data: listed } | Shape::Speech { models: listed }) = self.0;
        let mut known: Vec<Known> = listed.into_iter().filter(|listed| is_id(&listed.id)).map(Listed::known).collect();
        known.sort();
        known.dedup_by(|a, b| a.id == b.id);
        known.truncate(MODELS_MAX);
        known
    }
}

impl Listed {
    fn known(self) -> Known {
        let told = [&self.max_model_len, &self.context_length, self.meta.get("n_ctx").unwrap_or(&Value::Null)];
        let tokens = told.into_iter().find_map(Value::as_u64);
        let context_tokens = tokens.and_then(|tokens| u32::try_from(tokens).ok()).filter(|tokens| *tokens > 0);
        Known { id: self.id, context_tokens }
    }
}

/// The model of `known` to work with: the one that is wanted, or the only one. Many servers answer with whatever they have
/// for a name that they do not know, so that is checked here.
///
/// # Errors
/// Not found when it is not there; bad input when none is named and there is not exactly one.
pub fn pick(known: &[Known], wanted: Option<&str>) -> Result<String, RuntimeError> {
    match (wanted, known) {
        (Some(id), known) if known.iter().any(|model| model.id == id) => Ok(id.to_owned()),
        (None, [only]) => Ok(only.id.clone()),
        (Some(id), known) => Err(reach::no_model("it", id, known.iter().map(|model| model.id.as_str()))),
        (None, known) => {
            let message = format!("the task names no model, and the server has {}; name one", known.len());
            Err(RuntimeError::new(Fault::BadInput, message))
        }
    }
}

/// Whether `id` can be the name of a model: short enough, and nothing in it that nobody could type.
#[must_use]
pub fn is_id(id: &str) -> bool {
    !id.is_empty() && id.len() <= ID_CHARS_MAX && !id.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn known(list: Value) -> Vec<Known> {
        serde_json::from_value::<ModelList>(list).unwrap().known()
    }

    #[test]
    fn lists_are_read_in_every_shape_sorted_and_without_doubles() {
        let list = json!({"object": "list", "data": [
            {"id": "b", "max_model_len": 4096}, {"id": "a", "meta": {"n_ctx": 512}}, {"id": "b"}, {"id": ""},
            {"id": "x\u{7}"}, {"id": "c", "context_length": 0},
        ]});
        let names: Vec<_> = known(list).into_iter().map(|model| (model.id, model.context_tokens)).collect();
        assert_eq!(names, [("a".into(), Some(512)), ("b".into(), None), ("c".into(), None)]);
        assert_eq!(known(json!({"models": [{"id": "chatterbox"}]}))[0].id, "chatterbox");
        assert_eq!(known(json!({"models": [{"name": "a"}], "data": [{"id": "a"}]}))[0].id, "a");
    }
}
