//! From ComfyUI's answers to one view. Pure.

use crate::act::runtime::openai::models::is_id;
use crate::decide::view::{ModelState, ModelView, RuntimeView};

use super::wire::{Queue, SystemStats};

/// The most models that are shown.
const MODELS_MAX: usize = 10_000;

/// All answers of one look.
#[derive(Debug)]
pub(super) struct Answers {
    pub queue: Queue,
    /// What it tells of itself, or why it does not.
    pub stats: Result<SystemStats, String>,
    pub models: Vec<String>,
}

/// The names of the models in `folder`, as they are called here.
pub(super) fn names(folder: &str, files: Vec<String>) -> impl Iterator<Item = String> {
    files.into_iter().filter(|file| is_id(file)).map(move |file| format!("{folder}/{file}"))
}

/// The file of the model that is called `name` here.
pub(super) fn file_of(name: &str) -> &str {
    name.split_once('/').map_or(name, |(_, file)| file)
}

/// Sorted, each once, and not too many.
pub(super) fn tidy(mut models: Vec<String>) -> Vec<String> {
    models.sort();
    models.dedup();
    models.truncate(MODELS_MAX);
    models
}

/// Puts the answers together. Nothing tells what is loaded, so nothing is claimed.
pub(super) fn seen(answers: Answers) -> RuntimeView {
    let model =
        |name| ModelView { name, state: ModelState::Unknown, vram_gb: None, context_tokens: None, expires_at: None };
    let (running, waiting) = answers.queue.counts();
    let count = |count: usize| Some(u32::try_from(count).unwrap_or(u32::MAX));
    let (version, degraded) = match answers.stats {
        Ok(stats) => (stats.version(), None),
        Err(why) => (None, Some(format!("its queue answers, but what it tells of its devices does not: {why}"))),
    };
    RuntimeView {
        degraded,
        version,
        models: answers.models.into_iter().map(model).collect(),
        in_flight: count(running),
        queued: count(waiting),
        ..RuntimeView::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_named_by_folder_and_file_and_files_may_lie_in_folders_too() {
        let files = ["xl/base.safetensors", "", "x\ny"].map(str::to_owned).to_vec();
        assert_eq!(names("checkpoints", files).collect::<Vec<_>>(), ["checkpoints/xl/base.safetensors"]);
        assert_eq!(file_of("checkpoints/xl/base.safetensors"), "xl/base.safetensors");
        assert_eq!(file_of("base"), "base");
    }
}
