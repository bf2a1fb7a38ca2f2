//! A faithful double of Ollama: a load blocks, an unload is promised at once and done later, a pin lives until somebody
//! sends another time, and errors may come with 200.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::response::Response;
use futures::FutureExt as _;
use serde_json::{Value, json};

use super::chat::{embeddings, numbers, piece};
use super::server::{Asked, Server, events, json as answer, typed};

const FILE_BYTES: u64 = 2_000;
const NEVER: &str = "2318-12-01T10:00:00Z";
const LATER: &str = "2199-01-01T00:00:00Z";
const PAST: &str = "2020-01-01T00:00:00Z";
/// Looks that still find a model that is leaving.
const LOOKS_LEAVING: u32 = 1;

/// How the next request for a model fails, in status and body.
pub type Failure = (u16, &'static str);

#[derive(Default)]
struct Inner {
    /// Name → when it expires, and the looks that still find it once it leaves.
    loaded: BTreeMap<&'static str, (&'static str, Option<u32>)>,
    failure: Option<Failure>,
    abandoned: u32,
    holds: bool,
}

/// A running double, with `org/qwen:7b`, `llama3.2:latest`, the embedding model `nomic:latest` and a remote one.
pub struct Double {
    pub server: Server,
    inner: Arc<Mutex<Inner>>,
}

const MODELS: [&str; 3] = ["org/qwen:7b", "llama3.2:latest", "nomic:latest"];

impl Double {
    pub async fn start() -> Self {
        let inner: Arc<Mutex<Inner>> = Arc::default();
        let shared = inner.clone();
        let server = Server::start(move |asked| {
            let inner = shared.clone();
            async move { serve(&inner, &asked) }.boxed()
        })
        .await;
        Self { server, inner }
    }

    /// Everything that is asked for a model fails in this way.
    pub fn fail(&self, failure: Failure) {
        self.inner.lock().unwrap().failure = Some(failure);
    }

    /// Chats say one word, and then nothing until the client has gone.
    pub fn hold(&self) {
        self.inner.lock().unwrap().holds = true;
    }

    pub fn abandoned(&self) -> u32 {
        self.inner.lock().unwrap().abandoned
    }

    pub fn evict(&self, name: &'static str) {
        self.inner.lock().unwrap().loaded.remove(name);
    }

    pub fn is_pinned(&self, name: &'static str) -> bool {
        self.inner.lock().unwrap().loaded.get(name).is_some_and(|(expires, _)| *expires == NEVER)
    }
}

/// The installed model that `name` means.
fn model(name: &str) -> Option<&'static str> {
    let name = name.to_lowercase();
    MODELS.into_iter().find(|model| *model == name || *model == format!("{name}:latest"))
}

fn serve(inner: &Arc<Mutex<Inner>>, asked: &Asked) -> Response {
    let body = asked.json();
    match asked.line().as_str() {
        "GET /api/version" => answer(200, &json!({"version": "0.33.0"})),
        "GET /api/tags" => {
            let entry = |name: &&str| json!({"name": name, "model": name, "size": FILE_BYTES, "digest": "a80c"});
            let mut models: Vec<Value> = MODELS.iter().map(entry).collect();
            models.push(json!({"name": "big:cloud", "size": 3, "remote_model": "big", "remote_host": "https://x"}));
            answer(200, &json!({"models": models}))
        }
        "GET /api/ps" => answer(200, &loaded(inner)),
        "GET /v1/models" => {
            let entry = |name: &&str| json!({"id": name, "object": "model", "owned_by": "library"});
            answer(200, &json!({"object": "list", "data": MODELS.iter().map(entry).collect::<Vec<_>>()}))
        }
        "POST /api/generate" | "POST /api/embed" | "POST /v1/chat/completions" | "POST /v1/embeddings" => {
            for_model(inner, asked, &body)
        }
        _ => typed("text/plain", "404 page not found"),
    }
}

fn loaded(inner: &Mutex<Inner>) -> Value {
    let mut inner = inner.lock().unwrap();
    let entry = |(name, (expires, _)): (&&str, &(&str, Option<u32>))| json!({"name": name, "size": 3_000, "size_vram": 2_500, "expires_at": expires, "context_length": 4096});
    let models: Vec<Value> = inner.loaded.iter().map(entry).collect();
    inner.loaded.retain(|_, (_, leaving)| match leaving {
        Some(0) => false,
        Some(looks) => {
            *looks -= 1;
            true
        }
        None => true,
    });
    json!({"models": models})
}

fn for_model(inner: &Arc<Mutex<Inner>>, asked: &Asked, body: &Value) -> Response {
    let name = body["model"].as_str().unwrap_or_default();
    let Some(name) = model(name) else { return answer(404, &json!({"error": format!("model '{name}' not found")})) };
    if let Some((status, body)) = inner.lock().unwrap().failure {
        return answer_text(status, body);
    }
    if asked.path == "/api/generate" && name == "nomic:latest" {
        return answer(400, &json!({"error": "\"nomic:latest\" does not support generate"}));
    }
    let mut state = inner.lock().unwrap();
    let reason = match &body["keep_alive"] {
        Value::Null => {
            // A pin is kept by those who send nothing.
            state.loaded.entry(name).or_insert((LATER, None));
            "load"
        }
        told if told == 0 => {
            if let Some(entry) = state.loaded.get_mut(name) {
                *entry = (PAST, Some(LOOKS_LEAVING));
            }
            "unload"
        }
        told => {
            let expires = if told.as_i64().is_some_and(|seconds| seconds < 0) { NEVER } else { LATER };
            state.loaded.insert(name, (expires, None));
            "load"
        }
    };
    match asked.path.as_str() {
        "/v1/embeddings" => answer(200, &embeddings(body)),
        "/v1/chat/completions" => chat(inner.clone(), state.holds),
        _ => answer(200, &json!({"model": name, "response": "", "done": true, "done_reason": reason})),
    }
}

fn answer_text(status: u16, body: &'static str) -> Response {
    let mut response = typed("application/json", body);
    *response.status_mut() = axum::http::StatusCode::from_u16(status).unwrap();
    response
}

fn chat(inner: Arc<Mutex<Inner>>, holds: bool) -> Response {
    events(move |tx| async move {
        let _ = tx.send(format!("data: {}\n\n", piece("content", "All is "))).await;
        if holds {
            tx.closed().await;
            inner.lock().unwrap().abandoned += 1;
            return;
        }
        let finish = json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]});
        for last in [piece("content", "well."), finish, numbers(2)] {
            let _ = tx.send(format!("data: {last}\n\n")).await;
        }
        let _ = tx.send("data: [DONE]\n\n".to_owned()).await;
    })
}
