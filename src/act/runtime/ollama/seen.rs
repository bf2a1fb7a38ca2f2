//! From Ollama's answers to one view. Pure.

use jiff::Timestamp;

use crate::decide::host_view::gb_of;
use crate::decide::view::{ModelState, ModelView, RuntimeView};

use super::wire::{Loaded, Running, Tags, is_name, is_same};

/// The most models that are shown.
const MODELS_MAX: usize = 10_000;
/// An expiry beyond this year (in seconds since 1970) stands for "never": Ollama writes the year 2318 or so.
const NEVER_SECONDS: i64 = 7_258_118_400;

/// Puts the answers together, as of `now`.
pub(super) fn seen(tags: Tags, loaded: &Loaded, now: Timestamp) -> RuntimeView {
    let mut view = RuntimeView::default();
    let mut sizes = Vec::new();
    for installed in tags.models.into_iter().filter(super::wire::Installed::is_local).take(MODELS_MAX) {
        if let Some(short) = installed.name.strip_suffix(":latest").filter(|short| is_name(short)) {
            view.aliases.insert(short.to_owned(), installed.name.clone());
        }
        sizes.push((installed.name.clone(), installed.size));
        view.models.push(unloaded(installed.name));
    }
    // What was deleted while it was loaded is still loaded.
    for running in loaded.models.iter().filter(|running| is_name(&running.name)).take(MODELS_MAX) {
        let at = view.models.iter().position(|model| is_same(&model.name, &running.name)).unwrap_or_else(|| {
            view.models.push(unloaded(running.name.clone()));
            view.models.len() - 1
        });
        let file_size = sizes.iter().find(|(name, _)| is_same(name, &running.name)).map(|(_, size)| *size);
        take(&mut view.models[at], running, file_size, now);
    }
    view.models.sort_by(|a, b| a.name.cmp(&b.name));
    view.models.dedup_by(|a, b| a.name == b.name);
    view.aliases.retain(|alias, _| view.models.iter().all(|model| model.name != *alias));
    view
}

fn unloaded(name: String) -> ModelView {
    ModelView { name, state: ModelState::Unloaded, vram_gb: None, context_tokens: None, expires_at: None }
}

fn take(model: &mut ModelView, running: &Running, file_size: Option<u64>, now: Timestamp) {
    let expires_at: Option<Timestamp> = running.expires_at.parse().ok();
    // Past its time it is let go, as soon as the requests that it still has are done.
    let is_leaving = expires_at.is_some_and(|at| at < now);
    model.state = if is_leaving { ModelState::Unloading } else { ModelState::Loaded };
    model.expires_at = expires_at.filter(|at| at.as_second() < NEVER_SECONDS);
    model.context_tokens = Some(running.context_length).filter(|tokens| *tokens > 0);
    // Where it could not tell what is used, it gives the size of the file for both.
    let is_made_up = running.size == running.size_vram && Some(running.size) == file_size;
    model.vram_gb = (!is_made_up).then(|| gb_of(running.size_vram));
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn of(tags: Value, loaded: Value) -> RuntimeView {
        let now = "2026-08-21T10:00:00Z".parse().unwrap();
        let tags = serde_json::from_value(json!({"models": tags})).unwrap();
        seen(tags, &serde_json::from_value(json!({"models": loaded})).unwrap(), now)
    }

    #[test]
    fn quirk_2_a_pin_is_no_expiry_and_the_past_is_on_its_way_out() {
        for (at, state, is_told) in [
            ("2318-12-01T10:00:00Z", ModelState::Loaded, false),
            ("2026-08-21T12:05:00.123456789+02:00", ModelState::Loaded, true),
            ("2026-08-21T09:59:59Z", ModelState::Unloading, true),
            ("soon", ModelState::Loaded, false),
        ] {
            let view = of(json!([{"name": "a:1b", "size": 5}]), json!([{"name": "A:1b", "size": 9, "expires_at": at}]));
            assert_eq!((view.models[0].state, view.models[0].expires_at.is_some()), (state, is_told), "{at}");
        }
    }

    #[test]
    fn quirk_6_memory_that_is_only_the_size_of_the_file_is_not_told_on() {
        for (size, vram, told) in [(5_000, 5_000, None), (9_000, 9_000, Some(gb_of(9_000))), (9_000, 0, Some(0.0))] {
            let running = json!([{"name": "a:1b", "size": size, "size_vram": vram, "context_length": 4096}]);
            let view = of(json!([{"name": "a:1b", "size": 5_000}]), running);
            assert_eq!((view.models[0].vram_gb, view.models[0].context_tokens), (told, Some(4096)));
        }
    }

    #[test]
    fn quirk_8_what_was_deleted_may_still_be_loaded_and_what_is_remote_is_not_here() {
        let tags = json!([{"name": "b:latest"}, {"name": "cloud", "remote_host": "https://x", "remote_model": "c"}]);
        let view = of(tags, json!([{"name": "a:latest", "size": 1}]));
        let names: Vec<_> = view.models.iter().map(|model| (model.name.as_str(), model.state)).collect();
        assert_eq!(names, [("a:latest", ModelState::Loaded), ("b:latest", ModelState::Unloaded)]);
        assert_eq!(view.real_name("b"), "b:latest");
    }
}
