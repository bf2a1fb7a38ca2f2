//! A vLLM: one base model that sleeps and wakes, its gauges, and everything about it that is unlike other servers.

use axum::response::{IntoResponse as _, Response};
use futures::FutureExt as _;
use serde_json::{Value, json};

use super::chat::{embeddings, piece};
use super::server::{Asked, Server, events, json as answer, typed};
use super::shared::Shared;

/// What the double has and how it is.
#[derive(Clone, Debug)]
pub struct Has {
    pub names: Vec<&'static str>,
    pub lora: Option<&'static str>,
    /// `VLLM_SERVER_DEV_MODE=1`.
    pub dev_mode: bool,
    /// `--enable-sleep-mode`.
    pub sleep_mode: bool,
    /// The gauge of the sleep state, which older versions do not have.
    pub has_gauge: bool,
    /// Older versions answer sleep and wake with nothing, and cannot be paused.
    pub is_old: bool,
    pub key: Option<&'static str>,
    /// 0 awake, else the level of the sleep.
    pub level: u8,
    /// `keep`, `abort` or `wait`.
    pub paused: Option<&'static str>,
    /// False after a sleep of level 2, until the weights are read again.
    pub weights_are_right: bool,
    pub is_dead: bool,
    /// Reading the weights again fails.
    pub reload_fails: bool,
    /// Sleep and wake say 200 and do nothing.
    pub lies: bool,
    /// Chats hold on after their first piece until the client goes away, or the engine is put to sleep.
    pub holds: bool,
    /// A change of the sleep state waits until this is false.
    pub is_slow: bool,
    pub metrics_per_request: bool,
    pub engines: u32,
    pub running: u32,
    pub waiting: u32,
    /// Chats that were left by their client.
    pub abandoned: u32,
}

impl Default for Has {
    fn default() -> Self {
        Self {
            names: vec!["qwen3"],
            lora: None,
            dev_mode: true,
            sleep_mode: true,
            has_gauge: true,
            is_old: false,
            key: None,
            level: 0,
            paused: None,
            weights_are_right: true,
            is_dead: false,
            reload_fails: false,
            lies: false,
            holds: false,
            is_slow: false,
            metrics_per_request: false,
            engines: 1,
            running: 0,
            waiting: 0,
            abandoned: 0,
        }
    }
}

pub type App = Shared<Has>;

/// A running double.
pub async fn start(has: Has) -> (Server, App) {
    start_at(([127, 0, 0, 1], 0).into(), has).await
}

/// At an address of the test's choice.
pub async fn start_at(address: std::net::SocketAddr, has: Has) -> (Server, App) {
    let app = Shared::new(has);
    let shared = app.clone();
    let server = Server::start_at(address, move |asked| {
        let app = shared.clone();
        async move { serve(&app, &asked).await }.boxed()
    })
    .await;
    (server, app)
}

async fn serve(app: &App, asked: &Asked) -> Response {
    let has = app.read(Has::clone);
    // Only these are behind the key: sleep, metrics and the rest are open to everybody.
    if let (Some(key), true) = (has.key, asked.path.starts_with("/v1/")) {
        let given = asked.headers.get("authorization").and_then(|value| value.to_str().ok());
        if given != Some(&format!("Bearer {key}")) {
            return answer(401, &json!({"error": "Unauthorized"}));
        }
    }
    match asked.line().as_str() {
        // The process lives: it is 200 also while the engine sleeps or is paused, with no body.
        "GET /health" => empty(if has.is_dead { 503 } else { 200 }),
        "GET /version" => answer(200, &json!({"version": "0.33.0"})),
        "GET /load" => answer(200, &json!({"server_load": 0})),
        "GET /metrics" => typed("text/plain; version=0.0.4", metrics(&has)),
        "GET /v1/models" => answer(200, &models(&has)),
        "POST /v1/chat/completions" => chat(app, &asked.json()),
        "POST /v1/embeddings" => {
            refusal(&has, &asked.json()).unwrap_or_else(|| answer(200, &embeddings(&asked.json())))
        }
        _ if has.dev_mode => dev(app, &has, asked).await,
        _ => answer(404, &json!({"detail": "Not Found"})),
    }
}

async fn dev(app: &App, has: &Has, asked: &Asked) -> Response {
    match asked.line().as_str() {
        // True also when it is merely paused.
        "GET /is_sleeping" if has.sleep_mode => {
            answer(200, &json!({"is_sleeping": has.level > 0 || has.paused.is_some()}))
        }
        "GET /is_paused" if !has.is_old => answer(200, &json!({"is_paused": has.level > 0 || has.paused.is_some()})),
        "POST /sleep" if has.sleep_mode => sleep(app, has, &asked.query).await,
        "POST /wake_up" if has.sleep_mode => wake(app, has, &asked.query).await,
        "POST /collective_rpc" => {
            if has.reload_fails {
                return answer(500, &json!({"error": {"message": "no such file: model.safetensors", "code": 500}}));
            }
            assert_eq!(asked.json()["method"], "reload_weights");
            app.change(|has| has.weights_are_right = true);
            answer(200, &json!({"results": [null]}))
        }
        _ => answer(404, &json!({"detail": "Not Found"})),
    }
}

async fn sleep(app: &App, has: &Has, query: &str) -> Response {
    let value = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    let level: u8 = match value("level").unwrap_or("1").parse() {
        Ok(level @ 0..=2) => level,
        // Not FastAPI's 422.
        _ => return answer(400, &error("level must be 0, 1 or 2", "BadRequestError", 400)),
    };
    app.until(|has| !has.is_slow).await;
    if value("mode") == Some("wait") {
        app.until(|has| has.running == 0).await;
    }
    app.change(|has| {
        if !has.lies {
            has.level = level;
            has.weights_are_right &= level < 2;
        }
    });
    if has.is_old { empty(200) } else { answer(200, &json!({"status": "sleeping", "level": level})) }
}

async fn wake(app: &App, has: &Has, query: &str) -> Response {
    app.until(|has| !has.is_slow).await;
    let is_part = query == "tags=weights";
    app.change(|has| {
        if !is_part && !has.lies {
            has.level = 0;
            has.paused = None;
        }
    });
    let tags: Vec<&str> = query.split('&').filter_map(|pair| pair.strip_prefix("tags=")).collect();
    let status = if is_part { "sleeping" } else { "awake" };
    if has.is_old { empty(200) } else { answer(200, &json!({"status": status, "tags": tags})) }
}

fn models(has: &Has) -> Value {
    let permission = json!([{"id": "modelperm-1", "object": "model_permission", "organization": "*", "group": null}]);
    let row = |id: &str, parent: Option<&str>, context: Option<u32>| {
        json!({"id": id, "object": "model", "owned_by": "vllm", "root": "Qwen/Qwen3-8B", "parent": parent,
            "max_model_len": context, "permission": permission})
    };
    let names = has.names.iter().map(|name| row(name, None, Some(32_768)));
    let lora = has.lora.map(|name| row(name, Some(has.names[0]), None));
    json!({"object": "list", "data": names.chain(lora).collect::<Vec<_>>()})
}

fn metrics(has: &Has) -> String {
    let mut text = "# HELP vllm:num_requests_running Number of requests in model execution batches.\n\
         # TYPE vllm:num_requests_running gauge\n"
        .to_owned();
    for engine in 0..has.engines {
        let labels = format!("engine=\"{engine}\",model_name=\"{}\"", has.names[0]);
        text += &format!("vllm:num_requests_running{{{labels}}} {}.0\n", has.running);
        text += &format!("vllm:num_requests_waiting{{{labels}}} {}.0\n", has.waiting);
        text += &format!("vllm:num_requests_waiting_by_reason{{{labels},reason=\"capacity\"}} {}.0\n", has.waiting);
        text += &format!("vllm:kv_cache_usage_perc{{{labels}}} 0.5\n");
        if has.has_gauge {
            for (level, state) in ["awake", "weights_offloaded", "discard_all"].into_iter().enumerate() {
                let is_so = u8::from(usize::from(has.level) == level);
                text += &format!("vllm:engine_sleep_state{{{labels},sleep_state=\"{state}\"}} {is_so}.0\n");
            }
        }
    }
    text
}

fn error(message: &str, kind: &str, code: u16) -> Value {
    json!({"error": {"message": message, "type": kind, "param": null, "code": code}})
}

/// Why a request is not taken.
fn refusal(has: &Has, body: &Value) -> Option<Response> {
    let model = body["model"].as_str().unwrap_or_default();
    if !has.names.iter().copied().chain(has.lora).any(|name| name == model) {
        let message = format!("The model `{model}` does not exist.");
        return Some(answer(404, &error(&message, "NotFoundError", 404)));
    }
    if has.level > 0 || has.paused.is_some_and(|mode| mode != "keep") {
        let message = "Generation is paused. Please retry after it resumes.";
        return Some(answer(503, &error(message, "ServiceUnavailableError", 503)));
    }
    None
}

fn chat(app: &App, body: &Value) -> Response {
    let has = app.read(Has::clone);
    if let Some(refusal) = refusal(&has, body) {
        return refusal;
    }
    let app = app.clone();
    events(move |tx| async move {
        // Without its weights it answers all the same.
        let words = if has.weights_are_right { ["All ", "is ", "well."] } else { ["\u{fffd}", "\u{fffd}", "\u{fffd}"] };
        let say = |value: Value| tx.send(format!("data: {value}\n\n"));
        app.change(|has| has.running += 1);
        let _ = say(piece("content", words[0])).await;
        if has.holds {
            tokio::select! {
                () = tx.closed() => app.change(|has| has.abandoned += 1),
                () = app.until(|has| has.level > 0) => {
                    let _ = say(error("The request was aborted.", "InternalServerError", 500)).await;
                    let _ = tx.send("data: [DONE]\n\n".to_owned()).await;
                }
            }
            return app.change(|has| has.running -= 1);
        }
        for word in &words[1..] {
            let _ = say(piece("content", word)).await;
        }
        let _ = say(json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})).await;
        let mut last =
            json!({"choices": [], "usage": {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15}});
        if has.metrics_per_request {
            last["metrics"] = json!({"time_to_first_token_ms": 9.0, "generation_time_ms": 30.5, "queue_time_ms": 2.5,
                "mean_itl_ms": 10.0, "tokens_per_second": 98.4});
        }
        let _ = say(last).await;
        app.change(|has| has.running -= 1);
        let _ = tx.send("data: [DONE]\n\n".to_owned()).await;
    })
}

/// A status with an empty body.
fn empty(status: u16) -> Response {
    axum::http::StatusCode::from_u16(status).unwrap().into_response()
}
