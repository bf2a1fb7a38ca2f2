//! A daemon that answers what a test tells it to, on a Unix socket, and remembers what it was asked.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// A status and a body.
type Told = (u16, Value);

/// Answers by method and path (`GET /api/v1/status`); the last one of a queue is repeated.
#[derive(Clone, Default)]
pub struct Answers {
    queues: Arc<Mutex<BTreeMap<String, VecDeque<Told>>>>,
    asked: Arc<Mutex<Vec<(String, Value)>>>,
}

/// Answers until it is dropped.
pub struct FakeDaemon {
    answers: Answers,
    _runtime: tokio::runtime::Runtime,
}

impl Answers {
    pub fn with(self, what: &str, status: u16, body: Value) -> Self {
        self.queues.lock().unwrap().entry(what.to_owned()).or_default().push_back((status, body));
        self
    }

    fn next(&self, what: &str) -> Told {
        let mut queues = self.queues.lock().unwrap();
        match queues.get_mut(what) {
            Some(queue) if queue.len() > 1 => queue.pop_front().unwrap(),
            Some(queue) => queue[0].clone(),
            None => (404, json!({"title": "Not Found", "status": 404, "detail": format!("there is no {what}")})),
        }
    }
}

impl FakeDaemon {
    pub fn start(socket: &Path, answers: Answers) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(async { tokio::net::UnixListener::bind(socket).unwrap() });
        let router = axum::Router::new().fallback(answer).with_state(answers.clone());
        runtime.spawn(async move { axum::serve(listener, router).await });
        Self { answers, _runtime: runtime }
    }

    /// Every question so far: method, path and query, and the body.
    pub fn asked(&self) -> Vec<(String, Value)> {
        self.answers.asked.lock().unwrap().clone()
    }
}

async fn answer(State(answers): State<Answers>, method: Method, uri: Uri, body: Bytes) -> Response {
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    answers.asked.lock().unwrap().push((format!("{method} {uri}"), body));
    let (status, answer) = answers.next(&format!("{method} {}", uri.path()));
    (StatusCode::from_u16(status).unwrap(), Json(answer)).into_response()
}

/// A status in which all is well at the given second of a minute.
pub fn status(second: u8) -> Value {
    let at = format!("2026-11-21T10:00:{second:02}Z");
    json!({
        "revision": "main@sha1:0123456789abcdef", "applied_at": at, "generated_at": at,
        "commit": {"sha": "0123456789abcdef", "subject": "Begin", "author": "Ada", "at": at},
        "source": {"repo": "/srv/state", "branch": "main", "ready": true, "checked_at": at, "pending": null},
        "objects": {"total": 2, "in_sync": 2, "drifted": 0, "unknown": 0, "invalid": 0, "held": 0},
        "runtimes": [], "tasks": {"queued": 0, "blocked": 0, "running": 0, "done": 1, "error": 0, "cancelled": 0},
        "attention": [], "locks": [], "incidents": {"open": 0}, "store_problem": null
    })
}

/// A list with one page.
pub fn list(items: &[Value]) -> Value {
    json!({"items": items, "next": null, "revision": "main@sha1:0", "generated_at": "2026-11-21T10:00:30Z"})
}
