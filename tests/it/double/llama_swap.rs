//! A faithful double of llama-swap: its routes, its two error shapes, its doubly encoded events, and a switch for the
//! versions between which they changed.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State as Shared};
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::stream;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::activity;
use super::chat::{chat, embeddings, loading_then_chat, whole};
use super::state::{Inner, State, frame};
pub use super::state::{Model, Serves, Version};

/// Paths of a check that never start a model, as by default.
const IGNORED_ENDINGS: [&str; 3] = [".json", ".txt", ".js"];

/// A running double. It ends when it is dropped.
pub struct Double {
    pub address: SocketAddr,
    pub state: Arc<State>,
    task: JoinHandle<()>,
}

impl Drop for Double {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Double {
    pub async fn start(version: Version, models: Vec<Model>) -> Self {
        Self::start_at(([127, 0, 0, 1], 0).into(), version, models).await
    }

    /// At an address of the test's choice, for a runtime that comes later than it was declared.
    pub async fn start_at(address: SocketAddr, version: Version, models: Vec<Model>) -> Self {
        let state = State::new(version, models);
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(serve).with_state(state.clone());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, state, task }
    }

    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Method and path of every request so far.
    pub fn log(&self) -> Vec<(String, String)> {
        self.state.read(|inner| inner.log.clone())
    }

    /// Stops `id` without a request, as its TTL does.
    pub fn expire(&self, id: &str) {
        self.state.change(|inner| inner.processes.remove(id));
    }

    /// A request of somebody else to `id`, in flight for as long as it is held.
    pub fn occupy(&self, id: &str) -> impl Drop {
        InFlight::new(&self.state, id, None)
    }

    /// Loses all models and all connections to listeners, as a reload of the configuration does.
    pub fn reload(&self) {
        self.state.change(|inner| {
            inner.processes.clear();
            inner.rows.clear();
            inner.next_row = None;
            inner.reloads += 1;
        });
    }

    /// Finishes a request of somebody else for `id`. Listeners are not told, as when they fall behind.
    pub fn finish_unheard(&self, id: &str) {
        activity::list(&self.state, id);
    }

    /// Finishes a request of somebody else for `id`, and tells it.
    pub fn finish(&self, id: &str) {
        activity::finish(&self.state, id);
    }

    /// Forgets the entries of finished requests, as a full list does with the oldest.
    pub fn forget_entries(&self) {
        self.state.change(|inner| inner.rows.clear());
    }

    /// Keeps the start of `id` from getting ready until [`Self::release`].
    pub fn hold(&self, id: &str) {
        self.state.change(|inner| inner.held.insert(id.to_owned()));
    }

    pub fn release(&self, id: &str) {
        self.state.change(|inner| inner.held.remove(id));
    }

    /// Lets the gated answers of `id` go on, from now on or until [`Self::close`].
    pub fn open(&self, id: &str) {
        self.state.change(|inner| inner.open.insert(id.to_owned()));
    }

    pub fn close(&self, id: &str) {
        self.state.change(|inner| inner.open.remove(id));
    }
}

pub(super) type App = Arc<State>;

async fn serve(Shared(state): Shared<App>, request: Request) -> Response {
    let raw = request.uri().path().to_owned();
    state.change(|inner| inner.log.push((request.method().to_string(), raw.clone())));
    let path = decode(&raw);
    let query = request.uri().query().unwrap_or_default().to_owned();
    match (request.method(), path.as_str()) {
        (&Method::GET, "/health" | "/wol-health") => "OK".into_response(),
        (&Method::GET, "/v1/models" | "/models") => json_response(StatusCode::OK, &models(&state)),
        (&Method::GET, "/running") => json_response(StatusCode::OK, &running(&state)),
        (&Method::GET, "/api/version") => json_response(StatusCode::OK, &version(&state)),
        (&Method::GET, "/api/events") => events(state),
        (&Method::GET, _) if activity::is_about(&path) => activity::answer(&state, &path, &query),
        (&Method::GET, "/unload") => {
            unload(&state, None).await;
            "OK".into_response()
        }
        (&Method::POST, "/api/models/unload") => {
            unload(&state, None).await;
            json_response(StatusCode::OK, &json!({"msg": "ok"}))
        }
        (&Method::POST, _) if path.starts_with("/api/models/unload/") => {
            let name = path.trim_start_matches("/api/models/unload/");
            match state.model(name).map(|model| model.id) {
                Some(id) => {
                    unload(&state, Some(id)).await;
                    "OK".into_response()
                }
                None => own_error(&state, StatusCode::NOT_FOUND, "model not found"),
            }
        }
        (&Method::POST, _) if path.starts_with("/api/inflight/") => activity::cancel(&state, &path),
        (&Method::POST, "/v1/chat/completions" | "/v1/embeddings") => dispatch(state, path, request).await,
        (_, _) if path.starts_with("/upstream/") => upstream(state, &path).await,
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

/// The model with the longest name that starts the path, and what follows it.
async fn upstream(state: App, path: &str) -> Response {
    let rest = path.trim_start_matches("/upstream/");
    let names =
        state.models.iter().flat_map(|model| model.aliases.iter().chain([&model.id]).map(|name| (*name, model.id)));
    let fits = |name: &str| rest == name || rest.strip_prefix(name).is_some_and(|after| after.starts_with('/'));
    let Some((name, id)) = names.filter(|(name, _)| fits(name)).max_by_key(|(name, _)| name.len()) else {
        return own_error(&state, StatusCode::NOT_FOUND, "model not found");
    };
    let after = &rest[name.len()..];
    if after.is_empty() {
        return (StatusCode::MOVED_PERMANENTLY, [(header::LOCATION, format!("/upstream/{name}/"))]).into_response();
    }
    let is_ready = state.read(|inner| inner.processes.get(id) == Some(&"ready"));
    if IGNORED_ENDINGS.iter().any(|ending| after.ends_with(ending)) && !is_ready {
        let message = format!("model {id} is not loaded; path matches upstream.ignorePaths");
        return own_error(&state, StatusCode::CONFLICT, &message);
    }
    let guard = InFlight::new(&state, id, None);
    if let Err(message) = wait_until_ready(&state, id).await {
        return own_error(&state, StatusCode::INTERNAL_SERVER_ERROR, &message);
    }
    drop(guard);
    if after == "/health" {
        json_response(StatusCode::OK, &json!({"status": "ok"}))
    } else {
        StatusCode::NOT_FOUND.into_response()
    }
}

async fn dispatch(state: App, path: String, request: Request) -> Response {
    let mark = request.headers().get("x-arcology-run").and_then(|mark| mark.to_str().ok()).map(str::to_owned);
    let bytes = to_bytes(request.into_body(), 1 << 24).await.unwrap();
    let Ok(body) = serde_json::from_slice::<Value>(&bytes) else {
        return own_error(&state, StatusCode::BAD_REQUEST, "invalid JSON");
    };
    let name = body["model"].as_str().unwrap_or_default().to_owned();
    let Some(model) = state.model(&name).cloned() else {
        return own_error(&state, StatusCode::NOT_FOUND, "no router for requested model");
    };
    let waiting = state.read(|inner| inner.in_flight.values().filter(|(id, _)| *id == model.id).count());
    if waiting >= model.concurrency_limit {
        let response = own_error(&state, StatusCode::TOO_MANY_REQUESTS, "Too many requests");
        return ([(header::RETRY_AFTER, "1")], response).into_response();
    }
    state.change(|inner| inner.bodies.push(body.clone()));
    let guard = InFlight::new(&state, model.id, mark.as_deref());
    if path == "/v1/embeddings" {
        if let Err(message) = wait_until_ready(&state, model.id).await {
            return own_error(&state, StatusCode::INTERNAL_SERVER_ERROR, &message);
        }
        drop(guard);
        return json_response(StatusCode::OK, &embeddings(&body));
    }
    if model.send_loading_state {
        return stream_of(move |tx| loading_then_chat(state, model, guard, tx));
    }
    if let Err(message) = wait_until_ready(&state, model.id).await {
        return own_error(&state, StatusCode::INTERNAL_SERVER_ERROR, &message);
    }
    match &model.serves {
        Serves::Refuses(status, body) => (StatusCode::from_u16(*status).unwrap(), *body).into_response(),
        Serves::Whole(text) => json_response(StatusCode::OK, &whole(text)),
        _ => stream_of(move |tx| chat(state, model, guard, tx)),
    }
}

/// Waits for the start of `id`; the error is in llama-swap's words.
pub(super) async fn wait_until_ready(state: &App, id: &str) -> Result<(), String> {
    let failures = |inner: &Inner| inner.failures.get(id).map_or(0, Vec::len);
    let before = state.read(failures);
    state.start(id);
    state.until(|inner| inner.processes.get(id) == Some(&"ready") || failures(inner) > before).await;
    let failed = state.read(|inner| inner.failures.get(id).and_then(|all| all.get(before)).cloned());
    failed.map_or(Ok(()), |why| Err(format!("unspecific error: {why}")))
}

/// Kills the processes, whatever they work on, and returns when they have stopped.
async fn unload(state: &App, id: Option<&str>) {
    let concerned = |other: &String| id.is_none_or(|id| id == other);
    state.change(|inner| {
        for (other, process) in inner.processes.iter_mut().filter(|(other, _)| concerned(other)) {
            if *process == "starting" {
                inner.failures.entry(other.clone()).or_default().push(format!("{other}: model unloaded"));
            }
            *process = "stopping";
        }
    });
    state.change(|inner| inner.processes.retain(|other, _| !concerned(other)));
}

/// A request that is waited for or worked on, for as long as it lives.
pub(super) struct InFlight {
    state: App,
    request: u64,
}

impl InFlight {
    fn new(state: &App, id: &str, mark: Option<&str>) -> Self {
        let request = state.change(|inner| {
            inner.next_request += 1;
            inner.in_flight.insert(inner.next_request, (id.to_owned(), mark.map(str::to_owned)));
            inner.next_request
        });
        let entry = in_flight_entry(state.version, request, id, mark);
        tell_in_flight(state, &json!({"operation": "upsert", "request": entry}));
        Self { state: state.clone(), request }
    }

    /// Ends when somebody cancels this request.
    pub(super) async fn cancelled(&self) {
        self.state.until(|inner| inner.cancelled.contains(&self.request)).await;
    }
}

/// Headers are told since v240.
fn in_flight_entry(version: Version, id: u64, model: &str, mark: Option<&str>) -> Value {
    let mut entry = json!({"id": id.to_string(), "timestamp": "2026-08-22T10:00:00.123456789Z", "model": model,
        "req_path": "/v1/chat/completions", "method": "POST"});
    if version >= Version::V250 {
        entry["req_headers"] = json!({"Content-Type": "application/json", "Cookie": "s3cret"});
        entry["remote_ip"] = json!("192.0.2.7");
        if let Some(mark) = mark {
            entry["req_headers"]["X-Arcology-Run"] = json!(mark);
        }
    }
    entry
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let removed = self.state.change(|inner| inner.in_flight.remove(&self.request));
        let model = removed.map(|(model, _)| model).unwrap_or_default();
        activity::finish(&self.state, &model);
        tell_in_flight(&self.state, &json!({"operation": "remove", "id": self.request.to_string()}));
    }
}

fn tell_in_flight(state: &App, operation: &Value) {
    match state.version {
        Version::V234 | Version::V235 | Version::V238 => state.tell("inflight", &in_flight(state)),
        Version::V250 | Version::Newer => state.tell("inflight", operation),
    }
}

/// All requests in flight, in the version's shape. An empty snapshot has no `requests`.
fn in_flight(state: &App) -> Value {
    let all: Vec<Value> = state.read(|inner| {
        let entry = |(id, (model, mark)): (&u64, &(String, Option<String>))| {
            in_flight_entry(state.version, *id, model, mark.as_deref())
        };
        inner.in_flight.iter().map(entry).collect()
    });
    match state.version {
        Version::V234 => json!({"total": all.len()}),
        Version::V235 | Version::V238 => json!({"requests": all}),
        Version::V250 | Version::Newer if all.is_empty() => json!({"operation": "snapshot"}),
        Version::V250 | Version::Newer => json!({"operation": "snapshot", "requests": all}),
    }
}

/// The first burst, then what happens, until a reload.
fn events(state: App) -> Response {
    let mut news = state.events.subscribe();
    let mut first = vec![
        frame("logData", &json!({"source": "proxy", "data": "[WARN] history of the proxy\n"})),
        frame("logData", &json!({"source": "upstream", "data": "history of the models"})),
        frame("modelStatus", &state.model_status()),
    ];
    if state.version >= Version::V250 {
        first.push(frame("uiConfig", &json!({"activity": {"session_id": ["X-Session-ID"]}})));
        first.push(frame("profileChanged", &json!({"active": null})));
    }
    first.push(frame("inflight", &in_flight(&state)));
    if state.version < Version::V238 {
        first.push(frame("metrics", &json!(state.read(|inner| inner.rows.clone()))));
    }
    stream_of(move |tx| async move {
        let reloads = state.read(|inner| inner.reloads);
        for frame in first {
            if tx.send(frame).await.is_err() {
                return;
            }
        }
        loop {
            tokio::select! {
                () = state.until(|inner| inner.reloads > reloads) => return,
                () = tx.closed() => return,
                frame = news.recv() => match frame {
                    Ok(frame) => if tx.send(frame).await.is_err() { return },
                    Err(_) => return,
                },
            }
        }
    })
}

fn models(state: &App) -> Value {
    let loaded = |id: &str| if state.read(|inner| inner.processes.contains_key(id)) { "loaded" } else { "unloaded" };
    let listed = state.models.iter().filter(|model| !model.unlisted);
    let mut data: Vec<Value> = listed
        .map(|model| {
            let mut entry = json!({"id": model.id, "object": "model", "created": 1_787_390_000,
                "owned_by": "llama-swap", "status": {"value": loaded(model.id)}});
            // Before v241 the list told neither types nor aliases.
            if state.version >= Version::V250 {
                entry["meta"] = json!({"llamaswap": {"type": "model", "aliases": model.aliases}, "n_ctx": 32_000});
            }
            entry
        })
        .collect();
    let mut own = json!({"peerID": "box2"});
    if state.version >= Version::V250 {
        own["type"] = json!("peer");
        data.push(json!({"id": "best", "object": "model", "status": {"value": "unloaded"},
            "meta": {"llamaswap": {"type": "selector", "targets": []}}}));
    }
    data.push(json!({"id": state.peer_model(), "object": "model", "status": {"value": "unloaded"},
        "meta": {"llamaswap": own}}));
    json!({"object": "list", "data": data})
}

fn running(state: &App) -> Value {
    let entry = |(id, process): (&String, &&str)| {
        json!({"model": id, "state": process, "cmd": "server --api-key s3cret", "proxy": "http://localhost:5800", "ttl": 60,
            "name": "", "description": ""})
    };
    json!({"running": state.read(|inner| inner.processes.iter().map(entry).collect::<Vec<_>>())})
}

fn version(state: &App) -> Value {
    let name = match state.version {
        Version::V234 => "v234",
        Version::V235 => "v235",
        Version::V238 => "v238",
        Version::V250 => "v250",
        Version::Newer => "v251",
    };
    json!({"version": name, "commit": "abc", "build_date": "2026-08-14"})
}

/// An error of llama-swap itself, in the version's shape.
pub(super) fn own_error(state: &App, status: StatusCode, message: &str) -> Response {
    let body = match (status, state.version) {
        (StatusCode::TOO_MANY_REQUESTS, Version::V234 | Version::V235 | Version::V238 | Version::V250) => {
            json!({"error": message})
        }
        _ => error_body(state, status, message),
    };
    json_response(status, &body)
}

pub(super) fn error_body(state: &App, status: StatusCode, message: &str) -> Value {
    match state.version {
        Version::V234 | Version::V235 | Version::V238 | Version::V250 => json!({"src": "llama-swap", "error": message}),
        Version::Newer => json!({"src": "llama-swap",
            "error": {"message": message, "type": "server_error", "param": null, "code": status.as_str()}}),
    }
}

pub(super) fn json_response(status: StatusCode, body: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

/// An event stream that `produce` writes.
fn stream_of<F: Future<Output = ()> + Send + 'static>(produce: impl FnOnce(mpsc::Sender<String>) -> F) -> Response {
    let (tx, rx) = mpsc::channel::<String>(8);
    tokio::spawn(produce(tx));
    let frames = stream::unfold(rx, |mut rx| async move {
        rx.recv().await.map(|frame| (Ok::<_, Infallible>(Bytes::from(frame)), rx))
    });
    ([(header::CONTENT_TYPE, "text/event-stream")], Body::from_stream(frames)).into_response()
}

fn decode(path: &str) -> String {
    let mut bytes = path.bytes();
    let mut decoded = Vec::new();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digits = [bytes.next().unwrap(), bytes.next().unwrap()];
            decoded.push(u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap());
        } else {
            decoded.push(byte);
        }
    }
    String::from_utf8(decoded).unwrap()
}
