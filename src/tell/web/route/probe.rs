//! Probes: whether the process lives, and whether it does its work.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Json, http::Uri};
use serde_json::json;

use crate::tell::web::facts::Facts;
use crate::tell::web::guard::wants_page;
use crate::tell::web::problem::Problem;
use crate::tell::web::render::{self, Template};
use crate::tell::web::state::WebState;
use crate::tell::web::view::message;

pub(super) async fn alive() -> &'static str {
    "ok\n"
}

/// 200 once a revision is in force and the store can be written; 503 with the reasons until then.
pub(super) async fn ready(State(state): State<WebState>, uri: Uri, headers: HeaderMap) -> Result<Response, Problem> {
    let facts = state.facts();
    let reasons = reasons(&facts);
    let status = if reasons.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    if wants_page(uri.path(), &headers) {
        let html = render::html(Template::Message, &message::readiness(&facts, &reasons))?;
        return Ok((status, axum::response::Html(html)).into_response());
    }
    Ok((status, Json(json!({"ready": reasons.is_empty(), "reasons": reasons}))).into_response())
}

/// Why it is not ready, each with what it means; empty when it is.
fn reasons(facts: &Facts) -> Vec<String> {
    let mut reasons = Vec::new();
    if facts.revision().is_none() {
        let why =
            facts.picture.source.problem.as_ref().map(|problem| format!(": {}: {}", problem.reason, problem.message));
        reasons.push(format!("no revision was applied yet{}", why.unwrap_or_default()));
    }
    if let Some(problem) = &facts.picture.store_problem {
        reasons.push(format!("the store cannot be written: {problem}"));
    }
    reasons
}
