//! The routes of the control socket, and submitting and reconciling. Bodies are bounded, unknown keys are errors, and answers
//! say what to do next. What is done to a task once it is there is `task`'s, leases are `lease`'s.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use axum::extract::rejection::JsonRejection;
use axum::extract::{ConnectInfo, DefaultBodyLimit, State};
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;

use crate::act::engine::Handle;
use crate::act::engine::carry_out::Trouble;
use crate::act::engine::dispatch::Refusal;
use crate::core::{Name, text};
use crate::declare::manifest::kind::capability;
use crate::declare::manifest::kind::task::TaskSpec;
use crate::tell::web::api::task::TaskStatus;
use crate::tell::web::{WebState, api_router, is_api, no_api};

use super::peer::Peer;
use super::{lease, task};

/// The most bytes of a request's body.
pub const BODY_BYTES_MAX: usize = 4 << 20;
/// The most tasks that one call submits.
pub const TASKS_MAX: usize = 10_000;
/// The most steps of a chain.
const CHAIN_MAX: usize = 32;
/// The priorities that there are, as in a manifest.
const PRIORITIES: RangeInclusive<i32> = -1_000..=1_000;
/// The most characters that are repeated of what a caller wrote.
const WORDS_MAX: usize = 200;

/// What the routes work on.
#[derive(Clone)]
pub struct ControlState {
    pub engine: Handle,
    pub web: WebState,
}

/// Everything the socket answers: the verbs, and the page's JSON for reading.
pub fn router(state: ControlState) -> Router {
    let reading = api_router(state.web.clone());
    Router::new()
        .route("/v1/tasks", post(submit))
        .route("/v1/tasks/{id}/cancel", post(task::cancel))
        .route("/v1/tasks/{id}/retry", post(task::retry))
        .route("/v1/tasks/{id}/reroute", post(task::reroute))
        .route("/v1/tasks/{id}/why", get(task::why))
        .route("/v1/leases", post(lease::acquire).get(lease::list))
        .route("/v1/leases/{id}/renew", post(lease::renew))
        .route("/v1/leases/{id}/release", post(lease::release))
        .route("/v1/reconcile", post(reconcile))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(state)
        .merge(reading)
        .fallback(nowhere)
}

/// What the socket does not answer.
async fn nowhere(method: Method, uri: Uri) -> Response {
    if is_api(uri.path()) {
        return no_api(uri.path()).into_response();
    }
    let path = text::shorten(uri.path(), WORDS_MAX);
    let detail = format!(
        "this socket has no `{method} {path}`: the verbs of the command line stand under /v1, what can be read under \
         /api/v1; GET /api/v1/openapi.json lists that"
    );
    problem(StatusCode::NOT_FOUND, "there is no such address", &detail)
}

/// An error as an RFC 9457 problem document.
pub(super) fn problem(status: StatusCode, title: &str, detail: &str) -> Response {
    let body = json!({"type": "about:blank", "title": title, "status": status.as_u16(), "detail": detail});
    (status, [("content-type", "application/problem+json")], body.to_string()).into_response()
}

pub(super) fn trouble(error: &Trouble) -> Response {
    match error {
        Trouble::Task(detail) => problem(StatusCode::CONFLICT, "it cannot be done", detail),
        Trouble::Store(error) => {
            problem(StatusCode::SERVICE_UNAVAILABLE, "the store cannot be written", &error.to_string())
        }
        Trouble::Refused(refusal) => refused(refusal),
        Trouble::Runtime { .. } | Trouble::NotDriven(_) => {
            problem(StatusCode::BAD_GATEWAY, "the runtime did not do it", &error.to_string())
        }
    }
}

/// What the scheduler could not do.
pub(super) fn refused(refusal: &Refusal) -> Response {
    let (status, title) = match refusal {
        Refusal::Unknown(_) => (StatusCode::NOT_FOUND, "there is no such thing"),
        Refusal::Conflict(_) => (StatusCode::CONFLICT, "it cannot be done"),
        Refusal::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "the store cannot be written"),
        Refusal::Ending => (StatusCode::SERVICE_UNAVAILABLE, "Arcology is ending"),
    };
    problem(status, title, &refusal.to_string())
}

pub(super) fn bad_body(rejection: &JsonRejection) -> Response {
    problem(rejection.status(), "the body cannot be used", &rejection.body_text())
}

/// One task or a list of them.
async fn submit(
    State(state): State<ControlState>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    body: Result<Json<serde_json::Value>, JsonRejection>,
) -> Response {
    let Json(value) = match body {
        Ok(body) => body,
        Err(rejection) => return bad_body(&rejection),
    };
    let values = match value {
        serde_json::Value::Array(values) => values,
        one => vec![one],
    };
    if values.len() > TASKS_MAX {
        let detail = format!("{} tasks in one call; at most {TASKS_MAX}", values.len());
        return problem(StatusCode::PAYLOAD_TOO_LARGE, "too many tasks", &detail);
    }
    // All are read before any is accepted: a list is taken whole or not at all.
    let mut specs = Vec::with_capacity(values.len());
    for (index, value) in values.into_iter().enumerate() {
        match read_task(value) {
            Ok(spec) => specs.push(spec),
            Err(detail) => return unusable(index, &detail),
        }
    }
    if let Err(response) = refers_to_something(&state, &specs).await {
        return response;
    }
    match state.engine.submit_all(specs, &peer.to_string()).await {
        Ok(rows) => {
            let accepted: Vec<TaskStatus> = rows.iter().map(|row| TaskStatus::of(row, &[], &[])).collect();
            (StatusCode::ACCEPTED, Json(accepted)).into_response()
        }
        Err(error) => trouble(&error),
    }
}

fn unusable(index: usize, detail: &str) -> Response {
    let detail = format!("task {}: {detail}", index + 1);
    problem(StatusCode::UNPROCESSABLE_ENTITY, "the task cannot be used", &detail)
}

/// Whether there is what the tasks name: a place or a task that nobody knows would be waited for for ever.
async fn refers_to_something(state: &ControlState, specs: &[TaskSpec]) -> Result<(), Response> {
    for (index, spec) in specs.iter().enumerate() {
        let model = spec.target.model.as_deref().filter(|model| *model != "auto").and_then(|name| Name::new(name).ok());
        let exists =
            task::place_exists(&state.web.picture.borrow().world, spec.target.runtime.as_ref(), model.as_ref());
        exists.map_err(|detail| unusable(index, &detail))?;
    }
    let ids: BTreeSet<String> = specs.iter().flat_map(|spec| spec.dependencies.iter().cloned()).collect();
    if ids.is_empty() {
        return Ok(());
    }
    let known = state.engine.store().task_states(ids).await.map_err(|error| trouble(&Trouble::Store(error)))?;
    for (index, spec) in specs.iter().enumerate() {
        if let Some(id) = spec.dependencies.iter().find(|id| !known.contains_key(*id)) {
            let id = crate::core::text::shorten(id, WORDS_MAX);
            let detail = format!("there is no task {id} to depend on; `arcology get tasks` shows their ids");
            return Err(unusable(index, &detail));
        }
    }
    Ok(())
}

fn read_task(value: serde_json::Value) -> Result<TaskSpec, String> {
    let spec: TaskSpec = serde_json::from_value(value).map_err(|error| error.to_string())?;
    if spec.capability.0.is_empty() {
        return Err("`capability` names nothing".into());
    }
    if spec.capability.0.len() > CHAIN_MAX {
        return Err(format!("`capability` is a chain of {}; at most {CHAIN_MAX}", spec.capability.0.len()));
    }
    if !PRIORITIES.contains(&spec.priority) {
        let (least, most) = (PRIORITIES.start(), PRIORITIES.end());
        return Err(format!("`priority` is {}; between {least} and {most} are possible", spec.priority));
    }
    for name in &spec.capability.0 {
        if capability::find(name).is_none() {
            let all = capability::ALL.iter().map(|capability| capability.name);
            let hint = crate::core::text::nearest(name, all).map(|near| format!("; did you mean `{near}`?"));
            return Err(format!("there is no capability `{name}`{}", hint.unwrap_or_default()));
        }
    }
    if let Some(model) = spec.target.model.as_deref().filter(|model| *model != "auto") {
        Name::new(model).map_err(|error| format!("`target.model`: {error}"))?;
    }
    Ok(spec)
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ReconcileBody {
    accept: bool,
}

/// Looks at the repository now and says what came of it.
async fn reconcile(
    State(state): State<ControlState>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    body: Result<Json<ReconcileBody>, JsonRejection>,
) -> Response {
    let Json(body) = match body {
        Ok(body) => body,
        Err(rejection) => return bad_body(&rejection),
    };
    match state.engine.reconcile(body.accept, &peer.to_string()).await {
        Ok(report) => Json(report).into_response(),
        Err(error) => trouble(&error),
    }
}
