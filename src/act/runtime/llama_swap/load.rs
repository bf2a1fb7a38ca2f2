//! Loading and unloading, confirmed by looking.
//!
//! llama-swap has no verb for loading: a request to a model's own server starts it, and blocks until it is ready or has
//! failed. So the answer is not what counts: `/running` is. Unloading kills what the model is working on, so requests in
//! flight are waited for first, for a bounded time.

use std::time::Duration;

use crate::act::http::{Answer, Request};
use crate::act::runtime::adapter::{Fault, RuntimeError};
use crate::act::runtime::fault;
use crate::decide::view::ModelState;

use super::adapter::LlamaSwap;
use super::events;
use super::paths::{self, Look};
use super::seen::{Seen, process_of, state_of};

/// How often it is looked whether a model has come or gone.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Looks in a row that must find the contrary of what was asked before it counts as failed.
const CONTRARY_LOOKS: u32 = 4;

/// Loads `model`, which may be an alias.
pub(super) async fn load(runtime: &LlamaSwap, model: &str) -> Result<(), RuntimeError> {
    let seen = runtime.see().await?;
    let id = local(&seen, model, "load")?;
    if seen.view.model(id).is_some_and(|model| model.state == ModelState::Loaded) {
        return Ok(());
    }
    let path = paths::load(id, runtime.check_path.of(id));
    let limit = runtime.timeouts.load.get();
    let answer = runtime.client.send(Request::get(path).within(limit)).await?;
    if answer.status >= 400 && (is_own_error(&answer) || answer.status == 429) {
        return Err(refused(&answer, model));
    }
    confirm(runtime, id, ModelState::Loaded).await.map_err(|e| match answer.status {
        400.. => fault::of_answer(&answer, &format!("cannot load `{model}`")),
        _ => e,
    })
}

/// Unloads `model`, which may be an alias. Not loaded is success.
pub(super) async fn unload(runtime: &LlamaSwap, model: &str) -> Result<(), RuntimeError> {
    let seen = runtime.see().await?;
    let id = local(&seen, model, "unload")?;
    drain(runtime, id).await;
    let request = Request::post(paths::unload(id)).within(runtime.timeouts.load.get());
    let answer = runtime.client.send(request).await?;
    if answer.status != 200 {
        return Err(fault::of_answer(&answer, &format!("cannot unload `{model}`")));
    }
    confirm(runtime, id, ModelState::Unloaded).await
}

/// Waits until no request for `id` is in flight, for as long as the options say: unloading would kill them. Where only the
/// number of all requests is told, it is waited for all of them; where nothing is told, for none.
async fn drain(runtime: &LlamaSwap, id: &str) {
    let idle = async {
        loop {
            // Asked anew each time: what was heard earlier is only as new as its listener is quick.
            let in_flight = events::glimpse(runtime).await.unwrap_or_default().in_flight;
            let left = match in_flight.works() {
                Some(works) => works.iter().filter(|work| work.model == id).count(),
                None => in_flight.count().unwrap_or(0) as usize,
            };
            if left == 0 {
                return;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    if tokio::time::timeout(runtime.drain, idle).await.is_err() {
        let waited = crate::core::text::age(u64::try_from(runtime.drain.as_millis()).unwrap_or(u64::MAX));
        tracing::warn!("`{id}` is unloaded although requests for it are in flight: it was waited {waited} for them");
    }
}

/// The real id of `model`, when it is one that this machine can load.
fn local<'a>(seen: &'a Seen, model: &'a str, verb: &str) -> Result<&'a str, RuntimeError> {
    let id = seen.view.real_name(model);
    if let Some(peer) = seen.peers.get(id) {
        let message =
            format!("cannot {verb} `{model}`: the peer `{peer}` serves it; declare that machine as a Runtime");
        return Err(RuntimeError::new(Fault::BadInput, message));
    }
    if seen.routes.contains(id) {
        let message = format!("cannot {verb} `{model}`: it is a selector or a profile's pin, not a model");
        return Err(RuntimeError::new(Fault::BadInput, message));
    }
    Ok(id)
}

/// Looks until `id` is in the state that was asked for. While it is on the way there it is waited for, as long as the
/// caller's time limit allows; when it is seen to have gone the other way it is given up.
async fn confirm(runtime: &LlamaSwap, id: &str, wanted: ModelState) -> Result<(), RuntimeError> {
    let mut contrary = 0;
    loop {
        let running = runtime.look_at(Look::Running).await?;
        let state = process_of(&running, id).map_or(ModelState::Unloaded, |process| state_of(&process.state));
        if state == wanted {
            return Ok(());
        }
        let on_the_way = match wanted {
            ModelState::Loaded => ModelState::Loading,
            _ => ModelState::Unloading,
        };
        contrary = if state == on_the_way { 0 } else { contrary + 1 };
        if contrary == CONTRARY_LOOKS {
            let message = format!("`{id}` should be {} and is {}", wanted.as_str(), state.as_str());
            return Err(RuntimeError::new(Fault::RuntimeError, message));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Whether llama-swap itself speaks, and not the model's server behind it. An answer of the latter, whatever it says,
/// shows that the server runs.
fn is_own_error(answer: &Answer) -> bool {
    let body: Option<serde_json::Value> = answer.json().ok();
    body.and_then(|body| Some(body.get("src")?.as_str()? == "llama-swap")).unwrap_or(false)
}

fn refused(answer: &Answer, model: &str) -> RuntimeError {
    let mut error = fault::of_answer(answer, &format!("cannot load `{model}`"));
    if answer.status == 409 {
        error.message.push_str("; its check path is one that llama-swap ignores: set `options.checkPath` to another");
    }
    error
}
