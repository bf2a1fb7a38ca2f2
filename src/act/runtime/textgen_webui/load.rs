//! Loading and unloading, and what is believed of the answers.
//!
//! A load is answered with "OK" also when it failed, so tokens are counted with the model afterwards. While it loads or
//! unloads, the whole server answers nothing: that is remembered, so that looks do not take it for dead.

use serde::de::IgnoredAny;
use serde_json::json;
use tokio::time::Instant;

use crate::act::http::Request;
use crate::act::runtime::adapter::{Fault, RuntimeError};
use crate::act::runtime::fault;
use crate::decide::view::ModelState;

use super::adapter::TextgenWebui;
use super::paths;
use super::seen::Found;
use super::wire::Counted;

/// Loads `model`, and with that unloads another.
pub(super) async fn load(runtime: &TextgenWebui, model: &str) -> Result<(), RuntimeError> {
    let _changing = runtime.changing.lock().await;
    let asked = format!("cannot load `{model}`");
    match state_of(runtime, model).await? {
        // A wrong name would unload the model that is there, so it is never sent.
        None => return Err(unknown(&asked, model)),
        Some(ModelState::Loaded) => return Ok(()),
        Some(ModelState::Unknown) if probe(runtime, &asked).await.is_ok() => {
            runtime.found(Some(Found { model: model.to_owned(), state: ModelState::Loaded }), None);
            return Ok(());
        }
        Some(_) => {}
    }
    let args = runtime.load_args.get(model).cloned().unwrap_or_default();
    let body = json!({"model_name": model, "args": args});
    change(runtime, model, ModelState::Loading, Request::post(paths::LOAD).json(&body), &asked).await?;
    let there = probe(runtime, &asked).await;
    let state = if there.is_ok() { ModelState::Loaded } else { ModelState::Unloaded };
    runtime.found(Some(Found { model: model.to_owned(), state }), None);
    there?;
    match state_of(runtime, model).await? {
        Some(ModelState::Loaded) => Ok(()),
        _ => {
            let message = format!("{asked}: it was there, and then another was named");
            Err(RuntimeError::new(Fault::RuntimeError, message))
        }
    }
}

/// Unloads `model`. Not loaded is success.
pub(super) async fn unload(runtime: &TextgenWebui, model: &str) -> Result<(), RuntimeError> {
    let _changing = runtime.changing.lock().await;
    let asked = format!("cannot unload `{model}`");
    match state_of(runtime, model).await? {
        None => return Err(unknown(&asked, model)),
        Some(ModelState::Unloaded) => return Ok(()),
        Some(_) => {}
    }
    change(runtime, model, ModelState::Unloading, Request::post(paths::UNLOAD), &asked).await?;
    // Its name stays when there was no model behind it: either way none is there now.
    runtime.found(Some(Found { model: model.to_owned(), state: ModelState::Unloaded }), None);
    state_of(runtime, model).await.map(|_| ())
}

async fn state_of(runtime: &TextgenWebui, model: &str) -> Result<Option<ModelState>, RuntimeError> {
    Ok(runtime.see().await?.model(model).map(|model| model.state))
}

fn unknown(asked: &str, model: &str) -> RuntimeError {
    RuntimeError::new(Fault::NotFound, format!("{asked}: it has no model `{model}` on its disk"))
}

/// Asks for a change and waits as long as a load may take.
async fn change(
    runtime: &TextgenWebui,
    model: &str,
    on_the_way: ModelState,
    request: Request,
    asked: &str,
) -> Result<(), RuntimeError> {
    let limit = runtime.timeouts.load.get();
    // When this is dropped the server goes on all the same, and so does its silence.
    runtime.found(Some(Found { model: model.to_owned(), state: on_the_way }), Some(Instant::now() + limit));
    let answer = runtime.client.send(request.within(limit)).await;
    let result = match answer {
        // It says "OK", and a page in its place says nothing: unloading is not seen in any other way.
        Ok(answer) if answer.status == 200 => answer.json::<IgnoredAny>().map(drop).map_err(RuntimeError::from),
        Ok(answer) => Err(fault::of_answer(&answer, asked)),
        Err(error) => Err(error.into()),
    };
    if matches!(&result, Err(error) if error.fault != Fault::Timeout) {
        runtime.found(None, None);
    }
    result
}

/// Counts a token with the model that is named: only one that is really there can.
async fn probe(runtime: &TextgenWebui, asked: &str) -> Result<(), RuntimeError> {
    let request = Request::post(paths::PROBE).json(&json!({"text": "a"})).within(runtime.timeouts.load.get());
    let answer = runtime.client.send(request).await?;
    if answer.status == 200 {
        let counted: Counted = answer.json()?;
        if counted.length > 0 {
            return Ok(());
        }
    }
    let what = format!("{asked}: it says that it did, but no model is there; its log tells why");
    Err(match fault::of_answer(&answer, &what) {
        error if answer.status == 500 => RuntimeError { fault: Fault::RuntimeError, ..error },
        error => error,
    })
}
