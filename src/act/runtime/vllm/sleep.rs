//! Putting the engine to sleep and waking it, confirmed by looking.
//!
//! Sleeping ends what the engine is working on, unless the options say that it is waited for; draining first is the
//! caller's business, who sees the requests in flight. After a sleep of level 2 the memory of the weights holds garbage
//! until they are read again, and the engine would answer with it: so they are read before requests are let in.

use std::time::Duration;

use serde_json::json;

use crate::act::http::Request;
use crate::act::runtime::adapter::{Fault, RuntimeError};
use crate::act::runtime::fault;
use crate::decide::view::ModelState;

use super::adapter::Vllm;
use super::metrics::Sleep;
use super::paths;
use super::seen::Seen;

/// How often it is looked whether the engine has woken or fallen asleep.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Looks in a row that must find the contrary of what was asked before it counts as failed.
const CONTRARY_LOOKS: u32 = 4;
/// What to do when a route of development mode is not there.
const REMEDY: &str = "start it with VLLM_SERVER_DEV_MODE=1 and --enable-sleep-mode, bound to a loopback address";

/// Wakes the engine that serves `model`.
pub(super) async fn load(runtime: &Vllm, model: &str) -> Result<(), RuntimeError> {
    let seen = runtime.see().await?;
    known(&seen, model, "load")?;
    if state_of(&seen, model) == ModelState::Loaded {
        return Ok(());
    }
    wake(runtime, model, &seen).await
}

/// Wakes an engine that `seen` shows asleep.
pub(super) async fn wake(runtime: &Vllm, model: &str, seen: &Seen) -> Result<(), RuntimeError> {
    let asked = format!("cannot wake `{model}`");
    let is_gone = match seen.sleep {
        Some(Sleep::DiscardAll) => true,
        Some(Sleep::Awake | Sleep::WeightsOffloaded) => false,
        None => runtime.sleep_level == 2,
    };
    if is_gone {
        ask(runtime, Request::post(paths::WAKE_WEIGHTS), &asked).await?;
        let reload = Request::post(paths::COLLECTIVE_RPC).json(&json!({"method": "reload_weights"}));
        if let Err(error) = ask(runtime, reload, &asked).await {
            // Back to sleep: awake it would answer with garbage.
            let again = ask(runtime, Request::post(paths::sleep(2, "abort")), &asked).await;
            return Err(match again {
                Ok(()) => error,
                Err(_) => RuntimeError {
                    message: format!("{}; its weights are not read, so restart it before it is used", error.message),
                    ..error
                },
            });
        }
        ask(runtime, Request::post(paths::WAKE_KV_CACHE), &asked).await?;
    } else {
        ask(runtime, Request::post(paths::WAKE), &asked).await?;
    }
    confirm(runtime, model, ModelState::Loaded).await
}

/// Puts the engine that serves `model` to sleep. Asleep is success.
pub(super) async fn unload(runtime: &Vllm, model: &str) -> Result<(), RuntimeError> {
    let seen = runtime.see().await?;
    known(&seen, model, "unload")?;
    if let Some(parent) = seen.loras.get(model) {
        let message = format!("cannot unload `{model}`: it is a LoRA adapter of `{parent}` and sleeps only with it");
        return Err(RuntimeError::new(Fault::BadInput, message));
    }
    if state_of(&seen, model) == ModelState::Unloaded {
        return Ok(());
    }
    let request = Request::post(paths::sleep(runtime.sleep_level, runtime.sleep_mode.as_str()));
    ask(runtime, request, &format!("cannot put `{model}` to sleep")).await?;
    confirm(runtime, model, ModelState::Unloaded).await
}

fn state_of(seen: &Seen, model: &str) -> ModelState {
    seen.view.model(model).map_or(ModelState::Unknown, |model| model.state)
}

fn known(seen: &Seen, model: &str, verb: &str) -> Result<(), RuntimeError> {
    if seen.view.model(model).is_some() {
        return Ok(());
    }
    let message = format!("cannot {verb} `{model}`: this vLLM does not serve it; another model is another vLLM");
    Err(RuntimeError::new(Fault::NotFound, message))
}

/// Asks for a change and waits as long as a load may take. What the answer says beyond its status does not count.
async fn ask(runtime: &Vllm, request: Request, asked: &str) -> Result<(), RuntimeError> {
    let answer = runtime.client.send(request.within(runtime.timeouts.load.get())).await?;
    match answer.status {
        200 => Ok(()),
        404 | 405 => {
            let error = fault::of_answer(&answer, &format!("{asked}: it has no sleep mode; {REMEDY}"));
            Err(RuntimeError { fault: Fault::BadInput, ..error })
        }
        _ => Err(fault::of_answer(&answer, asked)),
    }
}

/// Looks until `model` is in the state that was asked for, or is seen in the contrary one several times in a row.
async fn confirm(runtime: &Vllm, model: &str, wanted: ModelState) -> Result<(), RuntimeError> {
    let mut contrary = 0;
    loop {
        let seen = runtime.see().await?;
        let state = state_of(&seen, model);
        if state == wanted && !seen.is_paused {
            return Ok(());
        }
        contrary += 1;
        if contrary == CONTRARY_LOOKS {
            let (wanted, state) = (wanted.as_str(), state.as_str());
            let but = if seen.is_paused { ", and takes no requests" } else { "" };
            let message = format!("`{model}` should be {wanted} and is {state}{but}; {REMEDY}");
            return Err(RuntimeError::new(Fault::RuntimeError, message));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
