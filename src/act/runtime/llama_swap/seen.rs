//! From llama-swap's answers to one view. Pure.
//!
//! `/running` alone says what is loaded: the status in `/v1/models` says "loaded" for a model that is only starting.

use std::collections::{BTreeMap, BTreeSet};

use crate::decide::view::{ModelState, ModelView, RuntimeView};

use super::in_flight::InFlight;
use super::wire::{ListedKind, ModelList, Running, RunningModel, Status, is_id};

/// What only the event stream tells: aliases (no list has them before v241), unlisted models, requests in flight.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Heard {
    pub models: Vec<Status>,
    /// Requests that wait or are worked on; llama-swap does not tell the two apart.
    pub in_flight: InFlight,
}

/// Everything that was seen at one time.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    pub view: RuntimeView,
    /// Models that another machine serves, and which.
    pub peers: BTreeMap<String, String>,
    /// Names that choose among models.
    pub routes: BTreeSet<String>,
}

/// Puts the answers together.
pub(super) fn seen(list: &ModelList, running: &Running, heard: &Heard) -> Seen {
    let mut seen = Seen::default();
    let mut models: BTreeMap<String, ModelView> = BTreeMap::new();
    for listed in list.data.iter().filter(|listed| is_id(&listed.id)) {
        match listed.kind() {
            ListedKind::Model => {
                let model =
                    ModelView { context_tokens: listed.context_tokens(), ..model(&listed.id, ModelState::Unloaded) };
                models.insert(listed.id.clone(), model);
                seen.view.aliases.extend(listed.aliases().map(|alias| (alias.to_owned(), listed.id.clone())));
            }
            ListedKind::Alias { of } => drop(seen.view.aliases.insert(listed.id.clone(), of)),
            ListedKind::Peer { peer } => {
                models.insert(listed.id.clone(), model(&listed.id, ModelState::Unknown));
                seen.peers.insert(listed.id.clone(), peer);
            }
            ListedKind::Route => drop(seen.routes.insert(listed.id.clone())),
        }
    }
    for told in heard.models.iter().filter(|told| is_id(&told.id)) {
        if told.unlisted {
            models.entry(told.id.clone()).or_insert_with(|| model(&told.id, ModelState::Unloaded));
        }
        seen.view.aliases.extend(told.aliases.iter().map(|alias| (alias.clone(), told.id.clone())));
    }
    for process in running.running.iter().flatten().filter(|process| is_id(&process.model)) {
        let entry = models.entry(process.model.clone()).or_insert_with(|| model(&process.model, ModelState::Unknown));
        entry.state = state_of(&process.state);
    }
    // A name that is a model of its own is no alias, whatever else claims it.
    seen.view.aliases.retain(|alias, _| !models.contains_key(alias));
    seen.view.models = models.into_values().collect();
    // Unlisted models, and before v241 aliases, are told by events alone.
    seen.view.partial = heard.models.is_empty();
    seen.view.in_flight = heard.in_flight.count();
    seen.view.works = heard.in_flight.works();
    seen
}

/// The state of the process of `model`; none when it has none.
pub(super) fn process_of<'a>(running: &'a Running, model: &str) -> Option<&'a RunningModel> {
    running.running.iter().flatten().find(|process| process.model == model)
}

pub(super) fn state_of(state: &str) -> ModelState {
    match state {
        "ready" => ModelState::Loaded,
        "starting" => ModelState::Loading,
        "stopping" => ModelState::Unloading,
        "stopped" | "shutdown" => ModelState::Unloaded,
        _ => ModelState::Unknown,
    }
}

fn model(name: &str, state: ModelState) -> ModelView {
    ModelView { name: name.to_owned(), state, vram_gb: None, context_tokens: None, expires_at: None }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn view(list: Value, running: Value, heard: &Heard) -> Seen {
        let list = serde_json::from_value(json!({"object": "list", "data": list})).unwrap();
        seen(&list, &serde_json::from_value(json!({"running": running})).unwrap(), heard)
    }

    fn states(seen: &Seen) -> Vec<(&str, ModelState)> {
        seen.view.models.iter().map(|model| (model.name.as_str(), model.state)).collect()
    }

    #[test]
    fn quirk_2_listed_as_loaded_is_not_ready() {
        let list = json!([{"id": "a", "status": {"value": "loaded"}}, {"id": "b", "status": {"value": "loaded"}}]);
        let running = json!([{"model": "a", "state": "starting", "cmd": "x"}, {"model": "b", "state": "stopping"}]);
        let seen = view(list, running, &Heard::default());
        assert_eq!(states(&seen), [("a", ModelState::Loading), ("b", ModelState::Unloading)]);
    }

    #[test]
    fn quirk_11_unlisted_models_come_from_running_and_from_what_was_heard() {
        let quiet = json!([{"id": "quiet", "state": "stopped", "unlisted": true, "peerID": "", "aliases": ["q"]}]);
        let mut in_flight = InFlight::default();
        in_flight.take(r#"{"total": 2}"#).unwrap();
        let heard = Heard { models: serde_json::from_value(quiet).unwrap(), in_flight };
        let seen = view(json!([]), json!([{"model": "hidden", "state": "ready"}]), &heard);
        assert_eq!(states(&seen), [("hidden", ModelState::Loaded), ("quiet", ModelState::Unloaded)]);
        assert_eq!(seen.view.model("q").unwrap().name, "quiet");
        assert_eq!(seen.view.in_flight, Some(2));
    }

    #[test]
    fn quirk_13_the_state_of_a_peers_model_is_unknown_also_when_an_old_version_does_not_type_it() {
        let list = json!([
            {"id": "box2/qwen", "meta": {"llamaswap": {"type": "peer", "peerID": "box2"}}, "status": {"value": "unloaded"}},
            {"id": "old", "meta": {"llamaswap": {"peerID": "box3"}}},
        ]);
        let seen = view(list, json!([]), &Heard::default());
        assert_eq!(states(&seen), [("box2/qwen", ModelState::Unknown), ("old", ModelState::Unknown)]);
        assert_eq!(seen.peers["old"], "box3");
    }

    #[test]
    fn aliases_lead_to_the_real_model_and_routes_are_no_models() {
        let list = json!([
            {"id": "a", "meta": {"llamaswap": {"type": "model", "aliases": ["gpt", "b"]}, "n_ctx": 32000}},
            {"id": "alias", "meta": {"llamaswap": {"type": "alias", "modelID": "a"}}},
            {"id": "b", "context_length": 8192},
            {"id": "best", "meta": {"llamaswap": {"type": "selector", "targets": ["a"]}}},
            {"id": "pin", "meta": {"llamaswap": {"type": "profile"}}},
        ]);
        let seen = view(list, json!([]), &Heard::default());
        assert_eq!(states(&seen), [("a", ModelState::Unloaded), ("b", ModelState::Unloaded)]);
        assert_eq!(seen.view.model("gpt").unwrap().context_tokens, Some(32_000));
        assert_eq!((seen.view.real_name("alias"), seen.view.real_name("b")), ("a", "b"));
        assert_eq!(seen.routes.len(), 2);
    }

    #[test]
    fn ids_that_cannot_be_shown_and_states_that_are_new_are_survived() {
        let list = json!([{"id": ""}, {"id": "a\nb"}, {"id": "x".repeat(600)}, {"id": "ok"}]);
        let seen = view(list, json!([{"model": "ok", "state": "dreaming"}]), &Heard::default());
        assert_eq!(states(&seen), [("ok", ModelState::Unknown)]);
        let nothing = serde_json::from_value(json!({"running": null})).unwrap();
        assert!(process_of(&nothing, "ok").is_none());
    }
}
