//! Loading and unloading, confirmed by looking.
//!
//! A router says yes at once and does it later, so its list is what counts. A server of a single model has it for as long
//! as it runs: all that can be done there is to wait until it has started, and to wake it.

use std::time::Duration;

use crate::act::http::Request;
use crate::act::runtime::adapter::{Fault, RuntimeError};
use crate::act::runtime::fault;
use crate::decide::view::ModelState;

use super::adapter::LlamaServer;
use super::paths;
use super::seen::{Seen, state_in_router};
use super::told;
use super::wire::Listed;

/// How often it is looked whether a model has come or gone.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Looks in a row that must find a model unloaded before its load counts as failed.
const CONTRARY_LOOKS: u32 = 4;

/// Loads `model`, which may be an alias.
pub(super) async fn load(runtime: &LlamaServer, model: &str) -> Result<(), RuntimeError> {
    let seen = started(runtime).await?;
    let id = known(&seen, model, "load")?;
    if state(&seen, id) == ModelState::Loaded {
        return Ok(());
    }
    if !seen.is_router {
        wake(runtime, None, model).await?;
        return confirm_single(runtime, id).await;
    }
    match value(&seen, id) {
        "loading" => {}
        "sleeping" => wake(runtime, Some(id), model).await?,
        "downloading" => {
            return Err(RuntimeError::new(Fault::Busy, format!("cannot load `{model}`: it is still being downloaded")));
        }
        _ => ask(runtime, paths::LOAD, id, &format!("cannot load `{model}`"), "already running").await?,
    }
    confirm_loaded(runtime, id).await
}

/// Unloads `model`, which may be an alias. Not loaded is success.
pub(super) async fn unload(runtime: &LlamaServer, model: &str) -> Result<(), RuntimeError> {
    let seen = started(runtime).await?;
    let id = known(&seen, model, "unload")?;
    if !seen.is_router {
        if state(&seen, id) == ModelState::Unloaded {
            return Ok(());
        }
        let message = format!(
            "cannot unload `{model}`: this server has a single model for as long as it runs; stop the server, start it \
             with `--sleep-idle-seconds`, or run it as a router"
        );
        return Err(RuntimeError::new(Fault::BadInput, message));
    }
    if !matches!(value(&seen, id), "loaded" | "loading" | "sleeping") {
        return Ok(());
    }
    ask(runtime, paths::UNLOAD, id, &format!("cannot unload `{model}`"), "not running").await?;
    // There is no word for a model that is stopping: it stays as it was until its process has ended.
    loop {
        let list = runtime.list().await?;
        let entry = list.data.iter().find(|entry| entry.id == id);
        if entry.is_none_or(|entry| value_of(entry) == "unloaded") {
            return Ok(());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// What is seen once the server has started; the caller limits the time.
async fn started(runtime: &LlamaServer) -> Result<Seen, RuntimeError> {
    loop {
        if let Some(seen) = runtime.see().await? {
            return Ok(seen);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn known<'a>(seen: &'a Seen, model: &'a str, verb: &str) -> Result<&'a str, RuntimeError> {
    let id = seen.view.real_name(model);
    if seen.view.model(id).is_some() {
        return Ok(id);
    }
    Err(RuntimeError::new(Fault::NotFound, format!("cannot {verb} `{model}`: the server has no such model")))
}

fn state(seen: &Seen, id: &str) -> ModelState {
    seen.view.model(id).map_or(ModelState::Unknown, |model| model.state)
}

/// The router's own word for what a model is.
fn value<'a>(seen: &'a Seen, id: &str) -> &'a str {
    seen.listed.iter().find(|entry| entry.id == id).map_or("", value_of)
}

fn value_of(entry: &Listed) -> &str {
    entry.status.as_ref().map_or("", |status| status.value.as_str())
}

/// Sends a verb of a router. Words that say that it is so already are success.
async fn ask(runtime: &LlamaServer, path: &str, id: &str, asked: &str, already: &str) -> Result<(), RuntimeError> {
    let body = serde_json::json!({"model": id});
    let answer = runtime.client.send(Request::post(path).json(&body)).await?;
    if answer.status == 200 {
        return Ok(());
    }
    let error = told::meant(fault::of_answer(&answer, asked));
    let is_already = error.words.as_deref().is_some_and(|words| words.contains(already));
    if is_already { Ok(()) } else { Err(error) }
}

/// Asks for the slots, which wakes a server that sleeps.
async fn wake(runtime: &LlamaServer, id: Option<&str>, model: &str) -> Result<(), RuntimeError> {
    let request = Request::get(paths::wake(id)).within(runtime.timeouts.load.get());
    let answer = runtime.client.send(request).await?;
    match answer.status {
        200 => Ok(()),
        // Without `--slots` only a task wakes it.
        501 => {
            let message = format!("cannot load `{model}`: it sleeps, and with `--no-slots` only a task wakes it");
            Err(RuntimeError::new(Fault::BadInput, message))
        }
        _ => Err(told::meant(fault::of_answer(&answer, &format!("cannot load `{model}`")))),
    }
}

async fn confirm_single(runtime: &LlamaServer, id: &str) -> Result<(), RuntimeError> {
    loop {
        let seen = started(runtime).await?;
        if state(&seen, id) == ModelState::Loaded {
            return Ok(());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Looks until `id` is loaded. While it is on the way there it is waited for, as long as the caller's time limit allows;
/// when it is seen to have gone again it is given up.
async fn confirm_loaded(runtime: &LlamaServer, id: &str) -> Result<(), RuntimeError> {
    let mut contrary = 0;
    loop {
        let list = runtime.list().await?;
        let entry = list.data.iter().find(|entry| entry.id == id);
        match entry.map(state_in_router) {
            Some(ModelState::Loaded) => return Ok(()),
            Some(ModelState::Loading) => contrary = 0,
            _ => contrary += 1,
        }
        if contrary == CONTRARY_LOOKS {
            return Err(failed(id, entry));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn failed(id: &str, entry: Option<&Listed>) -> RuntimeError {
    let status = entry.and_then(|entry| entry.status.as_ref());
    let why = match status {
        Some(status) if status.failed => match status.exit_code {
            Some(code) => format!("its process ended with exit code {code}; the server's log says why"),
            None => "its process ended; the server's log says why".to_owned(),
        },
        Some(status) => format!("it is {} again", crate::core::text::shorten(&status.value, 40)),
        None => "the server lists it no more".to_owned(),
    };
    RuntimeError::new(Fault::RuntimeError, format!("cannot load `{id}`: {why}"))
}
