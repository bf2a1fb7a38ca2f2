//! From llama-server's answers to one view. Pure.

use crate::decide::view::{ModelState, ModelView, RuntimeView};

use super::wire::{Busy, Listed, ModelList, Props, is_id};

/// The most models that are shown of one server.
const MODELS_MAX: usize = 10_000;

/// Everything that was seen at one time.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    pub view: RuntimeView,
    pub is_router: bool,
    /// The entries of a router's list, as they came.
    pub listed: Vec<Listed>,
}

/// Puts the answers together; `busy` is absent where nothing tells it.
pub(super) fn seen(props: &Props, list: ModelList, busy: Option<Busy>) -> Seen {
    let is_router = props.is_router();
    let mut listed: Vec<Listed> = list.data.into_iter().filter(|entry| is_id(&entry.id)).collect();
    listed.sort_by(|a, b| a.id.cmp(&b.id));
    listed.dedup_by(|a, b| a.id == b.id);
    listed.truncate(MODELS_MAX);
    let mut view = RuntimeView {
        version: props.build_info.as_deref().map(|told| crate::core::text::shorten(told, 60)),
        in_flight: busy.map(|busy| busy.processing),
        queued: busy.map(|busy| busy.deferred),
        ..RuntimeView::default()
    };
    if !is_router && props.takes_audio() == Some(false) {
        let why = "its model takes no sound: `modalities` of /props says so";
        view.lacks.insert("audio.transcribe".to_owned(), why.to_owned());
    }
    for entry in &listed {
        let (state, context_tokens) = if is_router {
            (state_in_router(entry), entry.context_tokens())
        } else {
            let state = if props.is_sleeping { ModelState::Unloaded } else { ModelState::Loaded };
            (state, props.context_tokens().or_else(|| entry.context_tokens()))
        };
        let name = entry.id.clone();
        view.models.push(ModelView { name, state, vram_gb: None, context_tokens, expires_at: None });
        let others = entry.aliases.iter().filter(|alias| is_id(alias) && **alias != entry.id);
        view.aliases.extend(others.map(|alias| (alias.clone(), entry.id.clone())));
    }
    // A name that is a model of its own is no alias, whatever else claims it.
    view.aliases.retain(|alias, _| listed.iter().all(|entry| entry.id != *alias));
    Seen { view, is_router, listed }
}

/// What is shown while the only model is being loaded, and everything is answered with 503: the models that were known
/// before.
pub(super) fn starting(known: &RuntimeView) -> RuntimeView {
    let mut view = RuntimeView {
        degraded: Some("it is still loading its model; until then it answers nothing else".to_owned()),
        aliases: known.aliases.clone(),
        models: known.models.clone(),
        ..RuntimeView::default()
    };
    for model in &mut view.models {
        model.state = ModelState::Loading;
    }
    view
}

/// The state of a model of a router. One that sleeps has given its memory back, so it is not loaded.
pub(super) fn state_in_router(entry: &Listed) -> ModelState {
    match entry.status.as_ref().map(|status| status.value.as_str()) {
        Some("loaded") => ModelState::Loaded,
        Some("loading") => ModelState::Loading,
        Some("unloaded" | "sleeping" | "downloading" | "downloaded") => ModelState::Unloaded,
        _ => ModelState::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn of(props: Value, data: Value) -> Seen {
        seen(&serde_json::from_value(props).unwrap(), serde_json::from_value(json!({"data": data})).unwrap(), None)
    }

    #[test]
    fn quirk_12_a_view_holds_no_arguments_and_every_state_of_a_router_is_read() {
        let data = json!([
            {"id": "c", "status": {"value": "sleeping"}},
            {"id": "a", "aliases": ["a", "x", "c"], "meta": {"n_ctx": 4096},
                "status": {"value": "loaded", "args": ["--api-key", "s3cret"], "preset": "s3cret"}},
            {"id": "b", "status": {"value": "unloaded", "failed": true, "exit_code": 1}},
            {"id": "d", "status": {"value": "dreaming"}},
            {"id": "e\n", "status": {"value": "loaded"}},
        ]);
        let seen = of(json!({"role": "router", "build_info": "b1-x"}), data);
        let states: Vec<_> = seen.view.models.iter().map(|model| (model.name.as_str(), model.state)).collect();
        let expected = [ModelState::Loaded, ModelState::Unloaded, ModelState::Unloaded, ModelState::Unknown];
        assert_eq!(states, ["a", "b", "c", "d"].into_iter().zip(expected).collect::<Vec<_>>());
        assert_eq!(seen.view.aliases.keys().collect::<Vec<_>>(), ["x"]);
        assert_eq!(seen.view.model("x").unwrap().context_tokens, Some(4096));
        assert!(!format!("{seen:?}").contains("s3cret"));
    }

    #[test]
    fn only_a_server_that_says_that_it_takes_no_sound_lacks_transcription() {
        for (props, lacks) in [
            (json!({"modalities": {"vision": true, "audio": false}}), true),
            (json!({"modalities": {"audio": true}}), false),
            (json!({"modalities": {"vision": false}}), false),
            (json!({"modalities": "none"}), false),
            (json!({}), false),
            // What a router says of itself says nothing of its models.
            (json!({"role": "router", "modalities": {"audio": false}}), false),
        ] {
            let told = of(props.clone(), json!([{"id": "a"}])).view.lacks;
            assert_eq!(told.keys().any(|lacking| lacking == "audio.transcribe"), lacks, "{props}");
        }
    }

    #[test]
    fn a_single_model_that_sleeps_is_not_loaded_whatever_its_health() {
        for (is_sleeping, state) in [(true, ModelState::Unloaded), (false, ModelState::Loaded)] {
            let seen = of(json!({"is_sleeping": is_sleeping}), json!([{"id": "a"}]));
            assert_eq!(seen.view.models[0].state, state);
            assert_eq!(starting(&seen.view).models[0].state, ModelState::Loading);
        }
    }
}
