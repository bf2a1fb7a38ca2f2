//! A faithful double of llama.cpp's server, with one model or as a router: it answers everything with 503 until it has
//! started, loads and unloads later than it says, and wakes and loads on requests that look harmless.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use axum::response::Response;
use futures::FutureExt as _;
use serde_json::{Value, json};
use tokio::sync::broadcast;

use super::chat::{embeddings, numbers, piece};
use super::server::{Asked, Server, events, json as answer, typed};

/// Looks that find a model still on its way.
const LOOKS_UNDERWAY: u32 = 1;

/// What the double is.
#[derive(Clone, Debug)]
pub struct Has {
    pub router: bool,
    pub models: Vec<&'static str>,
    /// Models whose process ends while it loads.
    pub broken: Vec<&'static str>,
    pub autoload: bool,
    /// Most models at once; asking for more is refused.
    pub models_max: usize,
    pub metrics: bool,
    pub slots: bool,
    pub embeddings: bool,
    pub says: Says,
}

/// How a chat goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Says {
    Words,
    /// One word, and then nothing until the client has gone.
    Holds,
    /// An error after the status has gone out.
    ErrorInside,
    NoSlot,
}

impl Default for Has {
    fn default() -> Self {
        Self {
            router: true,
            models: vec!["org/qwen:7b", "other"],
            broken: Vec::new(),
            autoload: true,
            models_max: 4,
            metrics: true,
            slots: true,
            embeddings: true,
            says: Says::Words,
        }
    }
}

#[derive(Clone, Debug, Default)]
struct Model {
    value: &'static str,
    exit_code: Option<i32>,
    /// Where it is going, and how many looks from now it is there.
    going: Option<(&'static str, u32)>,
}

struct Inner {
    models: BTreeMap<&'static str, Model>,
    held: BTreeSet<String>,
    /// Everything is answered with 503.
    starting: bool,
    /// Of a single model.
    sleeping: bool,
    abandoned: u32,
}

/// The state of a double, shared with the test.
pub struct State {
    has: Has,
    inner: Mutex<Inner>,
    told: broadcast::Sender<String>,
}

/// A running double.
pub struct Double {
    pub server: Server,
    state: Arc<State>,
}

impl Double {
    pub async fn start(has: Has) -> Self {
        let unloaded = |id: &&'static str| (*id, Model { value: "unloaded", ..Model::default() });
        let inner = Inner {
            models: has.models.iter().map(unloaded).collect(),
            held: BTreeSet::new(),
            starting: false,
            sleeping: false,
            abandoned: 0,
        };
        let state = Arc::new(State { has, inner: Mutex::new(inner), told: broadcast::channel(64).0 });
        let shared = state.clone();
        let server = Server::start(move |asked| {
            let state = shared.clone();
            async move { serve(&state, &asked).await }.boxed()
        })
        .await;
        Self { server, state }
    }

    /// Keeps `id` on its way for as long as it is held.
    pub fn hold(&self, id: &str) {
        self.state.inner.lock().unwrap().held.insert(id.to_owned());
    }

    pub fn release(&self, id: &str) {
        self.state.inner.lock().unwrap().held.remove(id);
    }

    /// Makes a model of a router, or the only one, what somebody else made it.
    pub fn set(&self, id: &'static str, value: &'static str) {
        self.state.set(id, value);
    }

    pub fn value(&self, id: &str) -> &'static str {
        self.state.inner.lock().unwrap().models[id].value
    }

    pub fn starting(&self, starting: bool) {
        self.state.inner.lock().unwrap().starting = starting;
    }

    pub fn sleeping(&self, sleeping: bool) {
        self.state.inner.lock().unwrap().sleeping = sleeping;
    }

    pub fn is_sleeping(&self) -> bool {
        self.state.inner.lock().unwrap().sleeping
    }

    pub fn abandoned(&self) -> u32 {
        self.state.inner.lock().unwrap().abandoned
    }

    pub fn tell(&self, frame: &str) {
        let _ = self.state.told.send(frame.to_owned());
    }

    pub fn is_router(&self) -> bool {
        self.state.has.router
    }

    pub fn listeners(&self) -> usize {
        self.state.told.receiver_count()
    }
}

impl State {
    fn set(&self, id: &'static str, value: &'static str) {
        let mut inner = self.inner.lock().unwrap();
        let exit_code = (value == "unloaded" && self.has.broken.contains(&id)).then_some(1);
        inner.models.insert(id, Model { value, exit_code, going: None });
        drop(inner);
        self.tell(id, "status_change", &json!({"status": value}));
    }

    fn tell(&self, id: &str, event: &str, data: &Value) {
        let told = json!({"model": id, "event": event, "data": data});
        let _ = self.told.send(format!("data: {told}\n\n"));
    }

    fn id(&self, name: &str) -> Option<&'static str> {
        let alias = |id: &&&'static str| **id == name || alias_of(id) == name;
        self.has.models.iter().find(alias).copied()
    }

    fn value(&self, id: &str) -> &'static str {
        self.inner.lock().unwrap().models[id].value
    }

    /// Each look brings what is on its way nearer.
    fn advance(&self) {
        let mut arrived = Vec::new();
        let mut inner = self.inner.lock().unwrap();
        let held = inner.held.clone();
        for (id, model) in &mut inner.models {
            match &mut model.going {
                Some(_) if held.contains(*id) => {}
                Some((value, 0)) => arrived.push((*id, *value)),
                Some((_, looks)) => *looks -= 1,
                None => {}
            }
        }
        drop(inner);
        for (id, value) in arrived {
            self.set(id, value);
        }
    }

    fn go(&self, id: &'static str, now: Option<&'static str>, to: &'static str) {
        let mut inner = self.inner.lock().unwrap();
        let model = inner.models.get_mut(id).unwrap();
        model.value = now.unwrap_or(model.value);
        model.exit_code = None;
        model.going = Some((to, LOOKS_UNDERWAY));
    }
}

/// Another name of the model `id`.
fn alias_of(id: &str) -> String {
    format!("{id}-alias")
}

fn failure(status: u16, kind: &str, message: &str) -> Response {
    answer(status, &json!({"error": {"code": status, "message": message, "type": kind}}))
}

fn bad(message: &str) -> Response {
    failure(400, "invalid_request_error", message)
}

fn of_query<'a>(asked: &'a Asked, name: &str) -> Option<&'a str> {
    asked.query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

async fn serve(state: &Arc<State>, asked: &Asked) -> Response {
    if state.inner.lock().unwrap().starting {
        return failure(503, "unavailable_error", "Loading model");
    }
    match asked.line().as_str() {
        "GET /health" => answer(200, &json!({"status": "ok"})),
        "GET /props" => answer(200, &props(state)),
        "GET /models" | "GET /v1/models" => {
            state.advance();
            answer(200, &list(state))
        }
        "GET /metrics" | "GET /slots" => numbers_of(state, asked),
        "GET /models/sse" if state.has.router => stream(state),
        "POST /models/load" if state.has.router => load(state, asked),
        "POST /models/unload" if state.has.router => unload(state, asked),
        "POST /v1/embeddings" if !state.has.embeddings => {
            failure(501, "not_supported_error", "This server does not support embeddings. Start it with `--embeddings`")
        }
        "POST /v1/chat/completions" | "POST /v1/embeddings" => work(state, asked),
        _ => failure(404, "not_found_error", "File Not Found"),
    }
}

fn props(state: &State) -> Value {
    if state.has.router {
        return json!({"role": "router", "max_instances": state.has.models_max, "models_autoload": state.has.autoload,
            "model_alias": "llama-server", "model_path": "none", "build_info": "b10500-0c1e57098"});
    }
    json!({"default_generation_settings": {"params": {"n_predict": -1}, "n_ctx": 8192}, "total_slots": 4,
        "model_alias": state.has.models[0], "model_path": "/models/s3cret.gguf", "endpoint_slots": state.has.slots,
        "endpoint_metrics": state.has.metrics, "build_info": "b10500-0c1e57098",
        "is_sleeping": state.inner.lock().unwrap().sleeping})
}

fn list(state: &State) -> Value {
    let inner = state.inner.lock().unwrap();
    let entry = |id: &str| json!({"id": id, "aliases": [id, alias_of(id)], "tags": [], "object": "model", "owned_by": "llamacpp"});
    if !state.has.router {
        let id = state.has.models[0];
        let mut only = entry(id);
        only["meta"] = json!({"n_ctx": 32768, "n_params": 8_190_735_360_u64, "size": 5_027_783_168_u64});
        // A list for those who know Ollama stands beside it.
        return json!({"object": "list", "data": [only], "models": [{"name": id, "model": id, "type": "model"}]});
    }
    let data = inner.models.iter().map(|(id, model)| {
        let mut entry = entry(id);
        entry["status"] = json!({"value": model.value, "args": ["--api-key", "s3cret"], "preset": "[x]\ns3cret"});
        if let Some(code) = model.exit_code {
            entry["status"]["failed"] = true.into();
            entry["status"]["exit_code"] = code.into();
        }
        if model.value == "loaded" {
            entry["meta"] = json!({"n_ctx": 4096});
        }
        entry
    });
    json!({"object": "list", "data": data.collect::<Vec<_>>()})
}

/// `/metrics` and `/slots`: with a router they would load a model; `/slots` wakes one.
fn numbers_of(state: &State, asked: &Asked) -> Response {
    let is_slots = asked.path == "/slots";
    if state.has.router {
        let name = of_query(asked, "model").map(|name| name.replace("%2F", "/").replace("%3A", ":"));
        let Some(name) = name else { return bad("model name is missing from the request") };
        let Some(id) = state.id(&name) else { return bad(&format!("model '{name}' not found")) };
        match state.value(id) {
            "sleeping" if is_slots => state.set(id, "loaded"),
            "loaded" | "sleeping" => {}
            _ if of_query(asked, "autoload") == Some("false") => return bad("model is not loaded"),
            _ => state.set(id, "loaded"),
        }
    } else if is_slots && state.has.slots {
        state.inner.lock().unwrap().sleeping = false;
    }
    match (is_slots, state.has.slots, state.has.metrics) {
        (true, true, _) => answer(200, &json!([{"id": 0, "n_ctx": 8192, "is_processing": false}])),
        (false, _, true) => typed(
            "text/plain; version=0.0.4",
            "# HELP llamacpp:requests_processing Number of requests processing.\n\
             llamacpp:requests_processing 2\nllamacpp:requests_deferred 1\n",
        ),
        _ => failure(501, "not_supported_error", "This server does not support this endpoint."),
    }
}

fn stream(state: &Arc<State>) -> Response {
    let mut told = state.told.subscribe();
    events(|tx| async move {
        let _ = tx.send(": ping\n\n".to_owned()).await;
        while let Ok(frame) = told.recv().await {
            if tx.send(frame).await.is_err() {
                return;
            }
        }
    })
}

fn load(state: &State, asked: &Asked) -> Response {
    let body = asked.json();
    let Some(id) = state.id(body["model"].as_str().unwrap_or_default()) else {
        return failure(404, "not_found_error", "model is not found");
    };
    if state.value(id) != "unloaded" {
        return bad("model is already running");
    }
    let running = state.inner.lock().unwrap().models.values().filter(|model| model.value != "unloaded").count();
    if running >= state.has.models_max {
        return failure(500, "server_error", "model limit reached, try again later");
    }
    let end = if state.has.broken.contains(&id) { "unloaded" } else { "loaded" };
    state.go(id, Some("loading"), end);
    state.tell(id, "model_status", &json!({"status": "loading"}));
    answer(200, &json!({"success": true}))
}

fn unload(state: &State, asked: &Asked) -> Response {
    let body = asked.json();
    let Some(id) = state.id(body["model"].as_str().unwrap_or_default()) else { return bad("model is not found") };
    if state.value(id) == "unloaded" {
        return bad("model is not running");
    }
    // There is no word for stopping: it stays what it was.
    state.go(id, None, "unloaded");
    answer(200, &json!({"success": true}))
}

fn work(state: &Arc<State>, asked: &Asked) -> Response {
    let body = asked.json();
    if state.has.router {
        let name = body["model"].as_str().unwrap_or_default();
        let Some(id) = state.id(name) else { return bad(&format!("model '{name}' not found")) };
        match state.value(id) {
            "loaded" => {}
            "unloaded" if !state.has.autoload => return bad("model is not loaded"),
            _ if state.has.broken.contains(&id) => {
                return failure(500, "server_error", &format!("model name={id} failed to load"));
            }
            _ => state.set(id, "loaded"),
        }
    } else {
        state.inner.lock().unwrap().sleeping = false;
    }
    if asked.path == "/v1/embeddings" {
        return answer(200, &embeddings(&body));
    }
    if state.has.says == Says::NoSlot {
        return failure(503, "unavailable_error", "no slot available");
    }
    chat(state.clone(), &body)
}

fn chat(state: Arc<State>, body: &Value) -> Response {
    let (progress, usage) = (body["return_progress"] == true, body["stream_options"]["include_usage"] == true);
    events(move |tx| async move {
        let say = async |value: &Value| tx.send(format!("data: {value}\n\n")).await.is_ok();
        say(
            &json!({"choices": [{"index": 0, "delta": {"role": "assistant", "content": null}, "finish_reason": null}]}),
        )
        .await;
        if progress {
            say(&json!({"choices": [{"index": 0, "delta": {"role": "assistant", "content": null}}],
                "prompt_progress": {"total": 31, "cache": 0, "processed": 16, "time_ms": 20}}))
            .await;
        }
        let _ = tx.send(":\n\n".to_owned()).await;
        say(&piece("content", "All ")).await;
        match state.has.says {
            Says::Holds => {
                tx.closed().await;
                state.inner.lock().unwrap().abandoned += 1;
                return;
            }
            Says::ErrorInside => {
                say(&json!({"error": {"code": 500, "message": "context shift failed", "type": "server_error"}})).await;
                return;
            }
            Says::Words | Says::NoSlot => {}
        }
        say(&piece("content", "is well.")).await;
        // The numbers are on the last chunk before the end, whichever that is.
        let mut finish = json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]});
        let last = numbers(2);
        if !usage {
            finish["timings"] = last["timings"].clone();
        }
        say(&finish).await;
        if usage {
            say(&last).await;
        }
        let _ = tx.send("data: [DONE]\n\n".to_owned()).await;
    })
}
