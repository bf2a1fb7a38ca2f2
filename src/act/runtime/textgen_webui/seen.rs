//! From the answers of text-generation-webui, and from what was found out by loading, to one view. Pure.
//!
//! The name that it tells is set before a load and stays after one that failed, so a name alone proves nothing.

use crate::act::runtime::openai::models::is_id;
use crate::decide::view::{ModelState, ModelView, RuntimeView};

/// The most models that are shown.
const MODELS_MAX: usize = 10_000;

/// What was found out about the model that is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub model: String,
    pub state: ModelState,
}

/// All answers of one look.
#[derive(Clone, Debug, Default)]
pub(super) struct Answers {
    pub listed: Vec<String>,
    pub named: Option<String>,
    pub degraded: Option<String>,
}

/// Puts the answers together.
pub(super) fn seen(answers: &Answers, found: Option<&Found>) -> RuntimeView {
    let mut names: Vec<&String> = answers.listed.iter().chain(&answers.named).filter(|name| is_id(name)).collect();
    names.sort();
    names.dedup();
    names.truncate(MODELS_MAX);
    let models = names.into_iter().map(|name| ModelView {
        name: name.clone(),
        state: state(name, answers.named.as_deref(), found),
        vram_gb: None,
        context_tokens: None,
        expires_at: None,
    });
    RuntimeView { degraded: answers.degraded.clone(), models: models.collect(), ..RuntimeView::default() }
}

fn state(name: &str, named: Option<&str>, found: Option<&Found>) -> ModelState {
    match found.filter(|found| found.model == name) {
        // On its way it may not be named yet, or no longer.
        Some(Found { state: on_the_way @ (ModelState::Loading | ModelState::Unloading), .. }) => *on_the_way,
        Some(found) if named == Some(name) => found.state,
        _ if named == Some(name) => ModelState::Unknown,
        // One process holds at most one.
        _ => ModelState::Unloaded,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_alone_proves_nothing() {
        let found = |state| Some(Found { model: "a".to_owned(), state });
        for (named, found, expected) in [
            (None, None, ModelState::Unloaded),
            (Some("a"), None, ModelState::Unknown),
            (Some("a"), found(ModelState::Loaded), ModelState::Loaded),
            (Some("a"), found(ModelState::Unloaded), ModelState::Unloaded),
            (None, found(ModelState::Loaded), ModelState::Unloaded),
            (Some("b"), found(ModelState::Loaded), ModelState::Unloaded),
            (None, found(ModelState::Loading), ModelState::Loading),
            (Some("a"), found(ModelState::Unloading), ModelState::Unloading),
        ] {
            assert_eq!(state("a", named, found.as_ref()), expected, "{named:?} {found:?}");
        }
    }

    #[test]
    fn the_model_that_is_named_is_shown_also_when_the_list_does_not_hold_it() {
        let answers = Answers {
            listed: vec!["b".to_owned(), "b".to_owned(), "x\ny".to_owned()],
            named: Some("a".to_owned()),
            degraded: None,
        };
        let names: Vec<_> = seen(&answers, None).models.into_iter().map(|model| model.name).collect();
        assert_eq!(names, ["a", "b"]);
    }
}
