//! Loading and unloading: an empty request with a time to keep the model, confirmed by looking.

use std::time::Duration;

use serde_json::{Value, json};

use crate::act::http::Request;
use crate::act::runtime::adapter::{Fault, RuntimeError};
use crate::act::runtime::fault;

use super::adapter::{Look, Ollama, meant};
use super::wire::{Loaded, is_same};

/// How often it is looked whether a model has come or gone.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Looks in a row that must not find a model before its load counts as failed.
const CONTRARY_LOOKS: u32 = 4;
/// Makes no text, and so only loads or unloads.
const GENERATE: &str = "/api/generate";
/// The same for models that make vectors alone.
const EMBED: &str = "/api/embed";

/// Loads `model` for as long as the options say. One that is loaded is asked for again: somebody else may have changed
/// how long it stays.
pub(super) async fn load(runtime: &Ollama, model: &str) -> Result<(), RuntimeError> {
    let name = runtime.known(model).await?;
    ask(runtime, &name, &runtime.keep_alive(), &format!("cannot load `{model}`")).await?;
    let mut contrary = 0;
    while !is_listed(runtime, &name).await? {
        contrary += 1;
        if contrary == CONTRARY_LOOKS {
            let message = format!("cannot load `{model}`: it was loaded and is gone again; others may need the memory");
            return Err(RuntimeError::new(Fault::RuntimeError, message));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
}

/// Unloads `model`. Not loaded is success. What it still works on is finished first.
pub(super) async fn unload(runtime: &Ollama, model: &str) -> Result<(), RuntimeError> {
    let name = runtime.known(model).await?;
    if !is_listed(runtime, &name).await? {
        return Ok(());
    }
    ask(runtime, &name, &json!(0), &format!("cannot unload `{model}`")).await?;
    while is_listed(runtime, &name).await? {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
}

async fn is_listed(runtime: &Ollama, name: &str) -> Result<bool, RuntimeError> {
    let loaded: Loaded = runtime.look(Look::Loaded).await?;
    Ok(loaded.models.iter().any(|running| is_same(&running.name, name)))
}

async fn ask(runtime: &Ollama, name: &str, keep_alive: &Value, asked: &str) -> Result<(), RuntimeError> {
    let generate = json!({"model": name, "keep_alive": keep_alive, "stream": false});
    match send(runtime, GENERATE, &generate, asked).await {
        Err(error) if error.words.as_deref().is_some_and(|words| words.contains("does not support generate")) => {
            send(runtime, EMBED, &json!({"model": name, "keep_alive": keep_alive, "input": ""}), asked).await
        }
        outcome => outcome,
    }
}

async fn send(runtime: &Ollama, path: &str, body: &Value, asked: &str) -> Result<(), RuntimeError> {
    let request = Request::post(path).json(body).within(runtime.timeouts.load.get());
    let answer = runtime.client.send(request).await?;
    if answer.status != 200 {
        return Err(meant(fault::of_answer(&answer, asked)));
    }
    match fault::in_stream(&answer.json()?, asked) {
        Some(error) => Err(meant(error)),
        None => Ok(()),
    }
}
