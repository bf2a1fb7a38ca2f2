//! The verbs of the control socket. Bodies are bounded, unknown keys are errors, and answers say what to do next.

use axum::extract::rejection::JsonRejection;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;

use crate::act::engine::Handle;
use crate::act::engine::carry_out::Trouble;
use crate::declare::manifest::kind::capability;
use crate::declare::manifest::kind::task::TaskSpec;
use crate::tell::web::api::task::TaskStatus;
use crate::tell::web::{WebState, api_router};

use super::peer::Peer;

/// The most bytes of a request's body.
pub const BODY_BYTES_MAX: usize = 4 << 20;
/// The most tasks that one call submits.
pub const TASKS_MAX: usize = 10_000;

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
        .route("/v1/tasks/{id}/cancel", post(cancel))
        .route("/v1/reconcile", post(reconcile))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(state)
        .merge(reading)
}

/// An error as an RFC 9457 problem document.
fn problem(status: StatusCode, title: &str, detail: &str) -> Response {
    let body = json!({"type": "about:blank", "title": title, "status": status.as_u16(), "detail": detail});
    (status, [("content-type", "application/problem+json")], body.to_string()).into_response()
}

fn trouble(error: &Trouble) -> Response {
    match error {
        Trouble::Task(detail) => problem(StatusCode::CONFLICT, "it cannot be done", detail),
        Trouble::Store(error) => {
            problem(StatusCode::SERVICE_UNAVAILABLE, "the store cannot be written", &error.to_string())
        }
        Trouble::Runtime { .. } | Trouble::NotDriven(_) => {
            problem(StatusCode::BAD_GATEWAY, "the runtime did not do it", &error.to_string())
        }
    }
}

fn bad_body(rejection: &JsonRejection) -> Response {
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
            Err(detail) => {
                let detail = format!("task {}: {detail}", index + 1);
                return problem(StatusCode::UNPROCESSABLE_ENTITY, "the task cannot be used", &detail);
            }
        }
    }
    let mut accepted = Vec::with_capacity(specs.len());
    for spec in specs {
        match state.engine.submit(spec, &peer.to_string()).await {
            Ok(row) => accepted.push(TaskStatus::of(&row, &[], &[])),
            Err(error) => return trouble(&error),
        }
    }
    (StatusCode::ACCEPTED, Json(accepted)).into_response()
}

fn read_task(value: serde_json::Value) -> Result<TaskSpec, String> {
    let spec: TaskSpec = serde_json::from_value(value).map_err(|error| error.to_string())?;
    if spec.capability.0.is_empty() {
        return Err("`capability` names nothing".into());
    }
    for name in &spec.capability.0 {
        if capability::find(name).is_none() {
            let all = capability::ALL.iter().map(|capability| capability.name);
            let hint = crate::core::text::nearest(name, all).map(|near| format!("; did you mean `{near}`?"));
            return Err(format!("there is no capability `{name}`{}", hint.unwrap_or_default()));
        }
    }
    Ok(spec)
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct CancelBody {
    confirm: bool,
    reason: String,
}

/// Cancelling loses work, so it must be confirmed; without that the answer says what would happen.
async fn cancel(
    State(state): State<ControlState>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Path(id): Path<String>,
    body: Result<Json<CancelBody>, JsonRejection>,
) -> Response {
    let Json(body) = match body {
        Ok(body) => body,
        Err(rejection) => return bad_body(&rejection),
    };
    match state.engine.store().task(&id).await {
        Ok(Some(row)) if !body.confirm => {
            let detail = format!("{id} is {} and would be cancelled; say {{\"confirm\": true}}", row.state.as_str());
            return problem(StatusCode::CONFLICT, "cancelling must be confirmed", &detail);
        }
        Ok(Some(_)) => {}
        Ok(None) => {
            return problem(StatusCode::NOT_FOUND, "no such task", &format!("there is no task {id}"));
        }
        Err(error) => return trouble(&Trouble::Store(error)),
    }
    let reason = if body.reason.is_empty() { "asked for" } else { &body.reason };
    match state.engine.cancel(&id, &peer.to_string(), reason).await {
        Ok(()) => Json(json!({"id": id, "state": "cancelled"})).into_response(),
        Err(error) => trouble(&error),
    }
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
