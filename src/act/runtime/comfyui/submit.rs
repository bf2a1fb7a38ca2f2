//! Handing a prompt over: its files first, then the graph, under an id of our own.

use serde_json::{Map, Value, json};

use crate::act::http::{Part, Request};
use crate::act::runtime::adapter::{Fault, InputFile, Progress, RuntimeError};
use crate::act::runtime::fault;
use crate::core::text::shorten;

use super::adapter::Comfyui;
use super::leave::Submitted;
use super::wire::{Taken, Uploaded};
use super::{id, paths, refusal};

/// The folder over there that uploads go to.
const FOLDER: &str = "arcology";
/// The longest id of a prompt that is believed.
const ID_CHARS_MAX: usize = 64;

/// Keeps the task's files over there, each under a name of its own, and says what they are called.
pub(super) async fn upload(runtime: &Comfyui, files: &[InputFile], asked: &str) -> Result<Vec<String>, RuntimeError> {
    let mut names = Vec::with_capacity(files.len());
    for file in files {
        let ending = file.name.rsplit_once('.').map(|(_, ending)| ending).unwrap_or_default();
        let is_plain = (1..=8).contains(&ending.len()) && ending.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let file_name = format!("{}.{}", id::uuid(), if is_plain { ending } else { "bin" });
        let parts = [
            Part::Field { name: "type", value: "input" },
            Part::Field { name: "subfolder", value: FOLDER },
            Part::File { name: "image", file_name: &file_name, bytes: &file.bytes },
        ];
        let request = Request::post(paths::UPLOAD).form(&parts).within(runtime.timeouts.run.get());
        let answer = runtime.client.send(request).await?;
        if answer.status != 200 {
            let shown = shorten(&file.name, 80);
            return Err(fault::of_answer(&answer, &format!("{asked}: cannot hand over the file `{shown}`")));
        }
        let Uploaded { name, subfolder } = answer.json()?;
        names.push(if subfolder.is_empty() { name } else { format!("{subfolder}/{name}") });
    }
    Ok(names)
}

/// Queues the graph. What is handed back takes the prompt back when it is dropped before it has ended; the words tell of
/// nodes that will not run.
pub(super) async fn submit(
    runtime: &Comfyui,
    graph: &Map<String, Value>,
    client_id: &str,
    asked: &str,
    progress: &Progress,
) -> Result<(Submitted, Option<String>), RuntimeError> {
    let body = json!({"prompt": graph, "client_id": client_id, "prompt_id": id::uuid(), "extra_data": {}});
    let chosen = body["prompt_id"].as_str().unwrap_or_default().to_owned();
    // From here on it may be there, whatever becomes of the answer.
    let mut submitted = Submitted::new(runtime.client.clone(), chosen, runtime.frees_after());
    let request = Request::post(paths::PROMPT).json(&body).within(runtime.timeouts.run.get());
    let answer = runtime.client.send(request).await?;
    if answer.status != 200 {
        submitted.settle();
        return Err(refusal::refusal(&answer, asked));
    }
    let taken: Taken = answer.json()?;
    if taken.prompt_id != submitted.id() {
        let is_id = |id: &str| {
            (1..=ID_CHARS_MAX).contains(&id.len())
                && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        if !is_id(&taken.prompt_id) {
            let message = format!("{asked}: it calls the prompt `{}`, which is no id", shorten(&taken.prompt_id, 40));
            return Err(RuntimeError::new(Fault::RuntimeError, message));
        }
        submitted.is_called(taken.prompt_id);
    }
    let dropped = refusal::nodes(&taken.node_errors);
    if let Some(words) = &dropped {
        progress.say(&format!("some of its outputs will not be made: {words}"));
    }
    Ok((submitted, dropped))
}
