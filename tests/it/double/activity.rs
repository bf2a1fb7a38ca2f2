//! What the llama-swap double keeps of finished requests, and how it lists, cancels and measures.

use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use super::llama_swap::{App, Version, json_response, own_error};

/// Adds the entry of a finished request for `model`, and gives its number: from 0 up to v235, from 1 since then.
pub fn list(state: &App, model: &str) -> u64 {
    let first = u64::from(state.version >= Version::V238);
    state.change(|inner| {
        let id = inner.next_row.unwrap_or(first);
        inner.next_row = Some(id + 1);
        inner.rows.push(
            json!({"id": id, "timestamp": format!("2026-08-22T10:{:02}:{:02}Z", inner.reloads, id % 60), "model": model,
            "req_path": "/v1/chat/completions", "resp_content_type": "text/event-stream", "resp_status_code": 200,
            "tokens": {"cache_tokens": -1, "draft_tokens": -1, "draft_acc_tokens": -1, "input_tokens": -1,
                "output_tokens": -1, "prompt_per_second": 812.4, "tokens_per_second": 96.2},
            "duration_ms": 1320, "has_capture": true}),
        );
        id
    })
}

/// The same, and listeners hear of it.
pub fn finish(state: &App, model: &str) {
    let id = list(state, model);
    if state.version < Version::V238 {
        let row = state.read(|inner| inner.rows.last().cloned());
        state.tell("metrics", &json!([row]));
    } else {
        state.tell("activity", &json!({"id": id}));
    }
}

pub fn is_about(path: &str) -> bool {
    matches!(path, "/api/metrics" | "/api/metrics/activity" | "/api/performance") || path.starts_with("/api/captures/")
}

pub fn answer(state: &App, path: &str, query: &str) -> Response {
    match path {
        "/api/performance" => performance(state, query),
        "/api/metrics" if state.version < Version::V238 => {
            json_response(StatusCode::OK, &json!(state.read(|inner| inner.rows.clone())))
        }
        "/api/metrics/activity" if state.version >= Version::V238 => page(state, query),
        "/api/metrics" | "/api/metrics/activity" => StatusCode::NOT_FOUND.into_response(),
        _ => capture(state, path),
    }
}

fn page(state: &App, query: &str) -> Response {
    let given = |key: &str| query.split('&').find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='));
    let number = |key: &str| given(key).map(|value| value.parse::<u64>().unwrap());
    if state.version >= Version::Newer && number("min_id") == Some(0) {
        return own_error(state, StatusCode::BAD_REQUEST, "min_id must be >= 1");
    }
    assert_eq!((given("sort"), given("order")), (Some("id"), Some("desc")), "{query}");
    // Up to v250 bounds are passed over.
    let bounded = state.version >= Version::Newer;
    let (min, max) = (number("min_id").unwrap_or(0), number("max_id").unwrap_or(u64::MAX));
    let limit = number("limit").unwrap_or(25);
    assert!((1..=999).contains(&limit), "{query}");
    let mut rows = state.read(|inner| inner.rows.clone());
    rows.retain(|row| !bounded || (min..=max).contains(&row["id"].as_u64().unwrap()));
    rows.reverse();
    let total = rows.len();
    rows.truncate(usize::try_from(limit).unwrap());
    let data = if rows.is_empty() { Value::Null } else { json!(rows) };
    json_response(StatusCode::OK, &json!({"data": data, "page": 1, "limit": limit, "total": total, "total_pages": 1}))
}

fn performance(state: &App, query: &str) -> Response {
    let Some(all) = state.read(|inner| inner.performance.clone()) else {
        return json_response(StatusCode::SERVICE_UNAVAILABLE, &json!({"enabled": false}));
    };
    let after = query.strip_prefix("after=").unwrap_or_default();
    let newer = |key: &str| {
        let samples = all[key].as_array().into_iter().flatten();
        let newer: Vec<&Value> = samples.filter(|sample| sample["timestamp"].as_str().unwrap() > after).collect();
        if newer.is_empty() { Value::Null } else { json!(newer) }
    };
    let (sys, gpu) = (newer("sys_stats"), newer("gpu_stats"));
    json_response(StatusCode::OK, &json!({"enabled": true, "sys_stats": sys, "gpu_stats": gpu}))
}

/// `{"model":"a"}` and `out of ideas`, in base64.
fn capture(state: &App, path: &str) -> Response {
    let Ok(id) = path.trim_start_matches("/api/captures/").parse::<u64>() else {
        return own_error(state, StatusCode::BAD_REQUEST, "invalid capture id");
    };
    if !state.read(|inner| !inner.captures_vanished && inner.rows.iter().any(|row| row["id"] == id)) {
        return own_error(state, StatusCode::NOT_FOUND, "capture not found");
    }
    let capture = json!({"id": id, "req_path": "/v1/chat/completions", "req_headers": {"Authorization": "[REDACTED]"},
        "req_body": "eyJtb2RlbCI6ImEifQ==", "resp_headers": {}, "resp_body": "b3V0IG9mIGlkZWFz"});
    json_response(StatusCode::OK, &capture)
}

/// `POST /api/inflight/{id}/cancel`, since v235.
pub fn cancel(state: &App, path: &str) -> Response {
    if state.version < Version::V235 {
        return StatusCode::NOT_FOUND.into_response();
    }
    let id = path.trim_start_matches("/api/inflight/").strip_suffix("/cancel").and_then(|id| id.parse::<u64>().ok());
    let known = id.filter(|id| state.read(|inner| inner.in_flight.contains_key(id)));
    let Some(id) = known else { return own_error(state, StatusCode::NOT_FOUND, "inflight request not found") };
    state.change(|inner| inner.cancelled.insert(id));
    json_response(StatusCode::OK, &json!({"msg": "ok"}))
}
