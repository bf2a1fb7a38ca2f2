//! A text-generation-webui: one model at a time, answers that lie about loading, and silence while it loads.

use axum::response::{IntoResponse as _, Response};
use futures::FutureExt as _;
use serde_json::{Value, json};

use super::chat::piece;
use super::server::{Asked, Server, events, json as answer};
use super::shared::Shared;

/// What the double has and how it is.
#[derive(Clone, Debug)]
pub struct Has {
    pub on_disk: Vec<&'static str>,
    /// Models whose start fails, which is answered with "OK" all the same.
    pub broken: Vec<&'static str>,
    /// The name that it tells.
    pub named: Option<String>,
    /// Whether there is a model behind the name.
    pub is_there: bool,
    /// The model that was unloaded for being idle: it comes back with the next request.
    pub is_idle: bool,
    pub key: Option<&'static str>,
    pub admin_key: Option<&'static str>,
    /// Without `--listen` only local names are answered.
    pub refuses_host: bool,
    /// A load or unload goes on until this is false, and nothing else is answered meanwhile.
    pub is_slow: bool,
    pub is_silent: bool,
    /// Chats hold on after their first piece until the client goes away.
    pub holds: bool,
    pub abandoned: u32,
    /// The arguments of the last load.
    pub args: Value,
}

impl Default for Has {
    fn default() -> Self {
        Self {
            on_disk: vec!["a.gguf", "b.gguf", "dir-c"],
            broken: Vec::new(),
            named: None,
            is_there: false,
            is_idle: false,
            key: None,
            admin_key: None,
            refuses_host: false,
            is_slow: false,
            is_silent: false,
            holds: false,
            abandoned: 0,
            args: Value::Null,
        }
    }
}

impl Has {
    /// With a model that is there.
    pub fn with(model: &str) -> Self {
        Self { named: Some(model.to_owned()), is_there: true, ..Self::default() }
    }
}

pub type App = Shared<Has>;

/// A running double.
pub async fn start(has: Has) -> (Server, App) {
    let app = Shared::new(has);
    let shared = app.clone();
    let server = Server::start(move |asked| {
        let app = shared.clone();
        async move { serve(&app, &asked).await }.boxed()
    })
    .await;
    (server, app)
}

async fn serve(app: &App, asked: &Asked) -> Response {
    // The whole API stands still while a model is loaded, health included.
    app.until(|has| !has.is_silent).await;
    let has = app.read(Has::clone);
    if has.refuses_host {
        return answer(400, &json!({"detail": "Invalid host header"}));
    }
    let is_admins = asked.path.starts_with("/v1/internal/model/l") || asked.path.ends_with("/unload");
    let key = if is_admins { has.admin_key.or(has.key) } else { has.key };
    let given = asked.headers.get("authorization").and_then(|value| value.to_str().ok());
    if key.is_some_and(|key| given != Some(&format!("Bearer {key}"))) {
        return answer(401, &json!({"detail": "Unauthorized"}));
    }
    match asked.line().as_str() {
        "GET /v1/internal/health" => answer(200, &json!({"status": "ok"})),
        "GET /v1/internal/model/info" => {
            let name = has.named.as_deref().unwrap_or("None");
            answer(200, &json!({"model_name": name, "lora_names": [], "loader": "llama.cpp"}))
        }
        "GET /v1/models" => {
            let named = has.named.iter().map(|id| json!({"id": id, "object": "model", "owned_by": "user"}));
            answer(200, &json!({"object": "list", "data": named.collect::<Vec<_>>()}))
        }
        "GET /v1/internal/model/list" => answer(200, &json!({"model_names": has.on_disk})),
        "POST /v1/internal/model/load" => load(app, &asked.json()).await,
        "POST /v1/internal/model/unload" => {
            wait(app).await;
            app.change(|has| {
                // It returns early when there is no model behind the name.
                if has.is_there {
                    (has.named, has.is_there) = (None, false);
                }
            });
            answer(200, &json!("OK"))
        }
        "POST /v1/internal/token-count" => {
            comes_back(app);
            if app.read(|has| has.is_there) {
                answer(200, &json!({"length": 1}))
            } else {
                (axum::http::StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error").into_response()
            }
        }
        "POST /v1/chat/completions" => chat(app),
        _ => answer(404, &json!({"detail": "Not Found"})),
    }
}

async fn wait(app: &App) {
    app.change(|has| has.is_silent = has.is_slow);
    app.until(|has| !has.is_slow).await;
    app.change(|has| has.is_silent = false);
}

async fn load(app: &App, body: &Value) -> Response {
    let model = body["model_name"].as_str().unwrap_or_default().to_owned();
    // The one that is there goes first, also when the new name is wrong.
    app.change(|has| {
        has.named = Some(model.clone());
        has.is_there = false;
        has.is_idle = false;
        has.args = body["args"].clone();
    });
    wait(app).await;
    let fails = app.read(|has| !has.on_disk.contains(&model.as_str()));
    if fails {
        return answer(500, &json!({"detail": "Failed to load the model."}));
    }
    app.change(|has| has.is_there = !has.broken.contains(&model.as_str()));
    answer(200, &json!("OK"))
}

/// A model that was unloaded for being idle is loaded again by whatever needs it.
fn comes_back(app: &App) {
    app.change(|has| {
        if has.is_idle {
            (has.is_idle, has.is_there) = (false, true);
        }
    });
}

fn chat(app: &App) -> Response {
    comes_back(app);
    let has = app.read(Has::clone);
    let app = app.clone();
    events(move |tx| async move {
        let say = |value: Value| tx.send(format!("data: {value}\r\n\r\n"));
        if !has.is_there {
            // 200, a beginning, and then nothing.
            let _ = say(json!({"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]})).await;
            return;
        }
        let _ = tx.send(": ping - 2026-01-01 00:00:00\r\n\r\n".to_owned()).await;
        let _ = say(piece("content", "All ")).await;
        if has.holds {
            tx.closed().await;
            return app.change(|has| has.abandoned += 1);
        }
        let _ = say(piece("content", "is well.")).await;
        let _ = say(json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})).await;
        let _ = say(json!({"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}}))
            .await;
        let _ = tx.send("data: [DONE]\r\n\r\n".to_owned()).await;
    })
}
