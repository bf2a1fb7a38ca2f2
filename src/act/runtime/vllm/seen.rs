//! From vLLM's answers to one view. Pure.
//!
//! The gauge of the sleep state counts; `/is_sleeping` is also true for an engine that is only paused.

use std::collections::BTreeMap;

use crate::act::runtime::openai::models::is_id;
use crate::decide::view::{ModelState, ModelView, RuntimeView};

use super::metrics::{Metrics, Sleep};
use super::wire::ModelList;

/// What a route that only development mode has told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    This(bool),
    /// The route is not there.
    NoRoute,
    /// It could not be read.
    Unknown,
}

/// All answers of one look.
#[derive(Debug)]
pub(super) struct Answers {
    pub list: ModelList,
    pub metrics: Metrics,
    pub is_sleeping: Told,
    pub is_paused: Told,
    /// Why the health check failed.
    pub unhealthy: Option<String>,
    pub version: Option<String>,
}

/// Everything that was seen at one time.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    pub view: RuntimeView,
    /// LoRA adapters, each with the model that it belongs to.
    pub loras: BTreeMap<String, String>,
    pub sleep: Option<Sleep>,
    /// It is awake and yet takes no requests.
    pub is_paused: bool,
}

/// Puts the answers together.
pub(super) fn seen(answers: Answers) -> Seen {
    let Answers { list, metrics, is_sleeping, is_paused, unhealthy, version } = answers;
    let state = if unhealthy.is_some() { ModelState::Unknown } else { state(metrics.sleep, is_sleeping, is_paused) };
    let mut seen = Seen { sleep: metrics.sleep, ..Seen::default() };
    seen.is_paused = state == ModelState::Loaded && is_sleeping == Told::This(true);
    let mut real: Option<String> = None;
    for listed in list.data.into_iter().filter(|listed| is_id(&listed.id)) {
        if let Some(parent) = listed.parent() {
            seen.loras.insert(listed.id.clone(), parent.to_owned());
        } else if let Some(real) = &real {
            // One process serves one base model: further rows are further names of it.
            seen.view.aliases.insert(listed.id.clone(), real.clone());
            continue;
        } else {
            real = Some(listed.id.clone());
        }
        let context_tokens = listed.context_tokens();
        seen.view.models.push(ModelView { name: listed.id, state, vram_gb: None, context_tokens, expires_at: None });
    }
    seen.view.models.sort_by(|a, b| a.name.cmp(&b.name));
    seen.view.models.dedup_by(|a, b| a.name == b.name);
    let models = &seen.view.models;
    seen.view.aliases.retain(|alias, _| models.iter().all(|model| model.name != *alias));
    seen.view.in_flight = metrics.running;
    seen.view.queued = metrics.waiting;
    seen.view.version = version;
    seen.view.degraded = unhealthy.map(|why| format!("it answers, but its engine does not: {why}")).or_else(|| {
        seen.is_paused.then(|| "it is paused, or only partly awake: requests wait until it is resumed".to_owned())
    });
    seen
}

fn state(sleep: Option<Sleep>, is_sleeping: Told, is_paused: Told) -> ModelState {
    match (sleep, is_sleeping) {
        (Some(Sleep::Awake), _) => ModelState::Loaded,
        (Some(Sleep::WeightsOffloaded | Sleep::DiscardAll), _) => ModelState::Unloaded,
        // Without the routes of development mode there is no way to put it to sleep.
        (None, Told::This(false) | Told::NoRoute) => ModelState::Loaded,
        (None, Told::This(true)) => match is_paused {
            // Versions that cannot be paused mean sleep when they say sleep.
            Told::NoRoute | Told::This(false) => ModelState::Unloaded,
            Told::This(true) | Told::Unknown => ModelState::Unknown,
        },
        (None, Told::Unknown) => ModelState::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn look(data: Value, sleep: Option<Sleep>, is_sleeping: Told, is_paused: Told) -> Seen {
        let list = serde_json::from_value(json!({"object": "list", "data": data})).unwrap();
        let metrics = Metrics { sleep, ..Metrics::default() };
        seen(Answers { list, metrics, is_sleeping, is_paused, unhealthy: None, version: None })
    }

    #[test]
    fn the_gauge_counts_and_where_it_is_missing_nothing_is_guessed() {
        use Told::{NoRoute, This, Unknown};
        for (sleep, is_sleeping, is_paused, expected) in [
            (Some(Sleep::Awake), This(true), This(true), ModelState::Loaded),
            (Some(Sleep::WeightsOffloaded), This(true), This(true), ModelState::Unloaded),
            (Some(Sleep::DiscardAll), NoRoute, NoRoute, ModelState::Unloaded),
            (None, NoRoute, NoRoute, ModelState::Loaded),
            (None, This(false), This(false), ModelState::Loaded),
            (None, This(true), NoRoute, ModelState::Unloaded),
            (None, This(true), This(false), ModelState::Unloaded),
            (None, This(true), This(true), ModelState::Unknown),
            (None, This(true), Unknown, ModelState::Unknown),
            (None, Unknown, NoRoute, ModelState::Unknown),
        ] {
            assert_eq!(state(sleep, is_sleeping, is_paused), expected, "{sleep:?} {is_sleeping:?} {is_paused:?}");
        }
    }

    #[test]
    fn further_names_are_aliases_and_lora_adapters_are_models_of_their_own() {
        let data = json!([
            {"id": "qwen3", "parent": null, "max_model_len": 32768}, {"id": "gpt", "parent": null},
            {"id": "my-lora", "parent": "qwen3", "max_model_len": null}, {"id": ""}, {"id": "x\ny"},
        ]);
        let seen = look(data, Some(Sleep::Awake), Told::NoRoute, Told::NoRoute);
        let names: Vec<_> = seen.view.models.iter().map(|model| (model.name.as_str(), model.context_tokens)).collect();
        assert_eq!(names, [("my-lora", None), ("qwen3", Some(32_768))]);
        assert_eq!(seen.view.real_name("gpt"), "qwen3");
        assert_eq!(seen.loras["my-lora"], "qwen3");
    }

    #[test]
    fn an_engine_that_is_awake_and_takes_nothing_is_shown_as_degraded() {
        let seen = look(json!([{"id": "a"}]), Some(Sleep::Awake), Told::This(true), Told::This(true));
        assert!(seen.is_paused && seen.view.degraded.is_some_and(|why| why.contains("paused")));
    }
}
