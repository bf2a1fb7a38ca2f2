//! What is done to a task that is there: cancel, retry, reroute, and why it waits.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{ConnectInfo, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::act::engine::carry_out::Trouble;
use crate::core::Name;
use crate::decide::scheduler::view::{Eta, Explanation, WhyView};
use crate::declare::world::World;
use crate::remember::store::row::{TaskRow, TaskState};

use super::peer::Peer;
use super::routes::{ControlState, bad_body, problem, trouble};

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct CancelBody {
    confirm: bool,
    reason: String,
}

/// The task, or the answer that says that there is none.
async fn known(state: &ControlState, id: &str) -> Result<TaskRow, Response> {
    match state.engine.store().task(id).await {
        Ok(Some(row)) => Ok(row),
        Ok(None) => Err(problem(StatusCode::NOT_FOUND, "no such task", &format!("there is no task {id}"))),
        Err(error) => Err(trouble(&Trouble::Store(error))),
    }
}

/// Cancelling loses work, so it must be confirmed; without that the answer says what would happen.
pub(super) async fn cancel(
    State(state): State<ControlState>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Path(id): Path<String>,
    body: Result<Json<CancelBody>, JsonRejection>,
) -> Response {
    let Json(body) = match body {
        Ok(body) => body,
        Err(rejection) => return bad_body(&rejection),
    };
    match known(&state, &id).await {
        Ok(row) if row.state.is_final() => {
            let detail = format!("{id} is over already: {}", row.state.as_str());
            return problem(StatusCode::CONFLICT, "it cannot be done", &detail);
        }
        Ok(row) if !body.confirm => {
            let detail = format!("{id} is {} and would be cancelled; say {{\"confirm\": true}}", row.state.as_str());
            return problem(StatusCode::CONFLICT, "cancelling must be confirmed", &detail);
        }
        Ok(_) => {}
        Err(response) => return response,
    }
    let reason = if body.reason.is_empty() { "asked for" } else { &body.reason };
    match state.engine.cancel(&id, &peer.to_string(), reason).await {
        Ok(()) => Json(json!({"id": id, "state": "cancelled"})).into_response(),
        Err(error) => trouble(&error),
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RetryBody {}

/// Lets a task that failed or was cancelled run again.
pub(super) async fn retry(
    State(state): State<ControlState>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Path(id): Path<String>,
    body: Result<Json<RetryBody>, JsonRejection>,
) -> Response {
    if let Err(rejection) = body {
        return bad_body(&rejection);
    }
    if let Err(response) = known(&state, &id).await {
        return response;
    }
    match state.engine.retry(&id, &peer.to_string()).await {
        Ok(()) => (StatusCode::ACCEPTED, Json(json!({"id": id, "state": "queued"}))).into_response(),
        Err(error) => trouble(&error),
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RerouteBody {
    runtime: Option<Name>,
    /// A Model, or `auto`.
    model: Option<String>,
    confirm: bool,
}

/// Sends a task elsewhere. One that runs loses what it has done so far, which must be confirmed.
pub(super) async fn reroute(
    State(state): State<ControlState>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Path(id): Path<String>,
    body: Result<Json<RerouteBody>, JsonRejection>,
) -> Response {
    let Json(body) = match body {
        Ok(body) => body,
        Err(rejection) => return bad_body(&rejection),
    };
    let model = match body.model.as_deref().filter(|model| *model != "auto").map(Name::new).transpose() {
        Ok(model) => model,
        Err(error) => {
            let detail = format!("`model`: {error}");
            return problem(StatusCode::UNPROCESSABLE_ENTITY, "the body cannot be used", &detail);
        }
    };
    let exists = place_exists(&state.web.picture.borrow().world, body.runtime.as_ref(), model.as_ref());
    if let Err(detail) = exists {
        return problem(StatusCode::UNPROCESSABLE_ENTITY, "there is no such place", &detail);
    }
    match known(&state, &id).await {
        Ok(row) if row.state == TaskState::Running && !body.confirm => {
            let detail = format!(
                "{id} is running: its attempt would be stopped and begin anew elsewhere; say {{\"confirm\": true}}"
            );
            return problem(StatusCode::CONFLICT, "sending a running task elsewhere must be confirmed", &detail);
        }
        Ok(_) => {}
        Err(response) => return response,
    }
    match state.engine.reroute(&id, body.runtime, model, &peer.to_string()).await {
        Ok(()) => (StatusCode::ACCEPTED, Json(json!({"id": id, "rerouted": true}))).into_response(),
        Err(error) => trouble(&error),
    }
}

/// A place that nobody declares would be waited for for ever: says so, and what was meant.
pub(super) fn place_exists(world: &World, runtime: Option<&Name>, model: Option<&Name>) -> Result<(), String> {
    let missing = |kind: &str, name: &Name, all: Vec<String>| {
        let near = crate::core::text::nearest(name.as_str(), all.iter().map(String::as_str));
        let hint = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        format!("no {kind} `{name}` is declared{hint}")
    };
    if let Some(name) = runtime.filter(|name| world.runtime(name).is_none()) {
        let all = world.runtimes().map(|(object, _)| object.document.key.name.to_string()).collect();
        return Err(missing("Runtime", name, all));
    }
    if let Some(name) = model.filter(|name| world.model(name).is_none()) {
        let all = world.models().map(|(object, _)| object.document.key.name.to_string()).collect();
        return Err(missing("Model", name, all));
    }
    Ok(())
}

/// Why a task waits, in full: the chain, what was ruled out, what is missing, and what would start it sooner.
pub(super) async fn why(State(state): State<ControlState>, Path(id): Path<String>) -> Response {
    let row = match known(&state, &id).await {
        Ok(row) => row,
        Err(response) => return response,
    };
    let explanation = state.engine.explain(&id).await;
    Json(json!({
        "id": id,
        "state": row.state,
        "explanation": explanation.as_ref().map(explanation_json),
        "error": row.error,
    }))
    .into_response()
}

fn explanation_json(explanation: &Explanation) -> Value {
    json!({
        "why": why_json(&explanation.why),
        "chain": explanation.chain.iter().map(why_json).collect::<Vec<_>>(),
        "ruled_out": explanation.ruled_out,
        "shortfall": explanation.shortfall,
        "sooner": explanation.sooner,
        "eta": explanation.eta.map(eta_json),
        "ahead": explanation.ahead,
    })
}

pub(super) fn why_json(why: &WhyView) -> Value {
    json!({"reason": why.reason, "message": why.message, "clears_at": why.clears_at})
}

fn eta_json(eta: Eta) -> Value {
    json!({"optimistic": eta.optimistic, "likely": eta.likely, "pessimistic": eta.pessimistic, "samples": eta.samples})
}
