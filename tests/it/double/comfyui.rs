//! ComfyUI: one worker, a queue in heap order, a history that is empty until the end, and a WebSocket for each client.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::ws::{Message, WebSocket};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use futures::FutureExt as _;
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::comfyui_work::{self as work, Prompt};
use super::server::{Asked, Server, json as answer, typed};
use super::shared::Shared;

/// What the double has and how it is.
#[derive(Default)]
pub struct Has {
    /// Folder → model files.
    pub models: BTreeMap<&'static str, Vec<&'static str>>,
    /// Whether it has `/api/jobs`, as newer versions do.
    pub has_jobs: bool,
    /// Whether it opens no WebSockets.
    pub is_mute: bool,
    /// Chooses ids itself, as old versions do.
    pub names_prompts: bool,
    /// The worker takes nothing out of the queue.
    pub waits: bool,
    /// The worker does not get beyond its first step.
    pub works: bool,
    /// What each prompt fails with: type and message of the exception.
    pub fails: Option<(&'static str, &'static str)>,
    /// What is told of nodes that will not run, with 200.
    pub node_errors: Value,
    /// What outputs are, when not a picture.
    pub bytes: Option<&'static [u8]>,
    /// How many pictures a prompt makes.
    pub pictures: usize,
    pub pending: Vec<Prompt>,
    pub running: Option<Prompt>,
    pub history: BTreeMap<String, Value>,
    pub interrupted: bool,
    pub is_to_free: bool,
    pub torch_bytes: u64,
    pub number: u64,
    /// Graphs whose results are still held.
    pub cache: BTreeSet<String>,
    pub uploads: Vec<String>,
    pub views: BTreeMap<String, Vec<u8>>,
    sockets: Vec<(String, UnboundedSender<Message>)>,
}

pub type App = Shared<Has>;

impl Has {
    pub fn new() -> Self {
        let models = [("checkpoints", vec!["a.safetensors", "xl/b.safetensors"]), ("vae", vec!["ae.safetensors"])];
        Self { models: models.into(), has_jobs: true, pictures: 1, node_errors: json!({}), ..Self::default() }
    }

    /// Everything in memory is gone, and so is every connection.
    pub fn restart(&mut self) {
        (self.pending, self.running, self.history) = (Vec::new(), None, BTreeMap::new());
        (self.cache, self.torch_bytes) = (BTreeSet::new(), 0);
        self.close_sockets();
    }

    pub fn close_sockets(&mut self) {
        self.sockets.clear();
    }

    pub fn clients(&self) -> usize {
        self.sockets.len()
    }

    /// Queues a prompt of somebody else, who may have no socket.
    pub fn queue(&mut self, id: &str, client: Option<&str>) {
        self.number += 1;
        let (number, graph) = (self.number as f64, json!({"9": {"class_type": "SaveImage", "inputs": {"id": id}}}));
        self.push(Prompt { number, id: id.to_owned(), graph, client: client.map(str::to_owned) });
    }

    /// A heap, as Python's `heapq` keeps it.
    pub fn push(&mut self, prompt: Prompt) {
        self.pending.push(prompt);
        let mut at = self.pending.len() - 1;
        while at > 0 && self.pending[at].number < self.pending[(at - 1) / 2].number {
            self.pending.swap(at, (at - 1) / 2);
            at = (at - 1) / 2;
        }
        self.tell_status();
    }

    pub fn tell_status(&mut self) {
        let remaining = self.pending.len() + usize::from(self.running.is_some());
        let data = json!({"status": {"exec_info": {"queue_remaining": remaining}}});
        self.tell(None, "status", &data);
    }

    /// To the socket of `client`, or to all.
    pub fn tell(&mut self, client: Option<&str>, kind: &str, data: &Value) {
        let text = json!({"type": kind, "data": data}).to_string();
        self.sockets.retain(|(of, tx)| {
            client.is_some_and(|client| client != of) || tx.send(Message::text(text.clone())).is_ok()
        });
    }

    pub fn preview(&mut self) {
        let frame = [&1_u32.to_be_bytes()[..], &2_u32.to_be_bytes(), b"\x89PNG"].concat();
        self.sockets.retain(|(_, tx)| tx.send(Message::binary(frame.clone())).is_ok());
    }

    /// Ends what runs, when it is `id` or no id is given.
    fn interrupt(&mut self, id: Option<&str>) -> bool {
        let is_it = self.running.as_ref().is_some_and(|running| id.is_none_or(|id| id == running.id));
        self.interrupted |= is_it;
        is_it
    }

    fn delete(&mut self, id: &str) -> bool {
        let before = self.pending.len();
        self.pending.retain(|prompt| prompt.id != id);
        before > self.pending.len()
    }
}

/// A running double.
pub async fn start(has: Has) -> (Server, App) {
    let app = Shared::new(has);
    tokio::spawn(work::work(app.clone()));
    let shared = app.clone();
    let server = Server::start(move |asked| {
        let app = shared.clone();
        async move { serve(&app, &asked) }.boxed()
    })
    .await;
    (server, app)
}

fn serve(app: &App, asked: &Asked) -> Response {
    if asked.headers.contains_key("origin") {
        return StatusCode::FORBIDDEN.into_response();
    }
    let line = asked.line();
    let needs_json = matches!(line.as_str(), "POST /free" | "POST /queue" | "POST /prompt");
    if needs_json && !asked.json().is_object() {
        return (StatusCode::INTERNAL_SERVER_ERROR, "500 Internal Server Error").into_response();
    }
    let word = |key: &str| asked.json()[key].as_str().map(str::to_owned);
    match line.as_str() {
        "GET /ws" => socket(app, asked),
        "GET /queue" => app.read(|has| {
            let items = |prompts: &[Prompt]| prompts.iter().map(Prompt::item).collect::<Vec<_>>();
            answer(200, &json!({"queue_running": items(has.running.as_slice()), "queue_pending": items(&has.pending)}))
        }),
        "POST /queue" => {
            let ids = asked.json()["delete"].as_array().cloned().unwrap_or_default();
            app.change(|has| {
                for id in ids.iter().filter_map(Value::as_str) {
                    has.delete(id);
                }
            });
            StatusCode::OK.into_response()
        }
        "POST /interrupt" => {
            app.change(|has| has.interrupt(word("prompt_id").as_deref()));
            StatusCode::OK.into_response()
        }
        "POST /free" => {
            app.change(|has| has.is_to_free = true);
            StatusCode::OK.into_response()
        }
        "GET /system_stats" => app.read(|has| {
            let device = json!({"name": "cuda:0", "type": "cuda", "torch_vram_total": has.torch_bytes, "vram_free": 9});
            let system = json!({"comfyui_version": "0.38.1", "argv": ["main.py", "--key", "s3cret"]});
            answer(200, &json!({"system": system, "devices": [device]}))
        }),
        "POST /prompt" => app.change(|has| work::submit(has, &asked.json())),
        "POST /upload/image" => {
            let body = String::from_utf8_lossy(&asked.body).into_owned();
            let name =
                body.split("filename=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or("x").to_owned();
            app.change(|has| has.uploads.push(name.clone()));
            answer(200, &json!({"name": name, "subfolder": "arcology", "type": "input"}))
        }
        "GET /view" => view(app, asked),
        "GET /object_info" => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        _ => by_path(app, asked),
    }
}

fn by_path(app: &App, asked: &Asked) -> Response {
    let parts: Vec<&str> = asked.path.split('/').skip(1).collect();
    match (asked.method.as_str(), parts.as_slice()) {
        ("GET", ["models", folder]) => match app.read(|has| has.models.get(folder).cloned()) {
            Some(files) => answer(200, &json!(files)),
            None => StatusCode::NOT_FOUND.into_response(),
        },
        ("GET", ["history", id]) => {
            let entry = app.read(|has| has.history.get(*id).cloned());
            answer(200, &entry.map_or(json!({}), |entry| json!({*id: entry})))
        }
        ("POST", ["api", "jobs", id, "cancel"]) if app.read(|has| has.has_jobs) => {
            let cancelled = app.change(|has| has.delete(id) || has.interrupt(Some(id)));
            answer(200, &json!({"cancelled": cancelled}))
        }
        _ => (StatusCode::NOT_FOUND, "404: Not Found").into_response(),
    }
}

fn view(app: &App, asked: &Asked) -> Response {
    let name = asked.query.split('&').find_map(|pair| pair.strip_prefix("filename=")).unwrap_or_default();
    match app.read(|has| has.views.get(name).cloned()) {
        Some(bytes) => typed("image/png", bytes),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

fn socket(app: &App, asked: &Asked) -> Response {
    let (upgrade, is_mute) = (asked.socket.lock().unwrap().take(), app.read(|has| has.is_mute));
    let (Some(upgrade), false) = (upgrade, is_mute) else { return StatusCode::NOT_FOUND.into_response() };
    let client = asked.query.strip_prefix("clientId=").unwrap_or_default().to_owned();
    let app = app.clone();
    upgrade.on_upgrade(move |socket| async move {
        let (tx, rx) = unbounded_channel();
        let status =
            json!({"type": "status", "data": {"status": {"exec_info": {"queue_remaining": 0}}, "sid": client}});
        drop(tx.send(Message::text(status.to_string())));
        app.change(|has| has.sockets.push((client.clone(), tx)));
        talk(socket, rx).await;
        app.change(|has| has.sockets.retain(|(_, tx)| !tx.is_closed()));
    })
}

/// Until the client leaves, or the double closes.
async fn talk(mut socket: WebSocket, mut rx: UnboundedReceiver<Message>) {
    loop {
        tokio::select! {
            message = rx.recv() => {
                let Some(message) = message else { return };
                if socket.send(message).await.is_err() {
                    return;
                }
            }
            heard = socket.recv() => if !matches!(heard, Some(Ok(_))) { return },
        }
    }
}
