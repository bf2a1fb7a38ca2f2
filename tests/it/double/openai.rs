//! A server that speaks OpenAI's protocol and nothing else: its list, chats, vectors, speech and transcripts.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::response::Response;
use futures::FutureExt as _;
use serde_json::{Value, json};

use super::chat::{embeddings, numbers, piece, whole};
use super::server::{Asked, Server, events, json as answer, typed};

/// What the double has.
#[derive(Clone, Debug)]
pub struct Has {
    pub models: Vec<&'static str>,
    /// False: `/v1/models` is 404.
    pub lists: bool,
    /// Whether a chat comes as a stream when it is asked for.
    pub streams: bool,
    /// The first bytes of every sound, whatever format was asked for.
    pub sound: &'static [u8],
    /// False: speech is 503 with a code of its own, as local-tts answers until somebody has chosen a voice.
    pub has_voice: bool,
    /// False: `/health` is 200 and a page, as every path is that a server of a web interface does not know.
    pub has_health: bool,
}

impl Default for Has {
    fn default() -> Self {
        Self {
            models: vec!["tiny", "voice"],
            lists: true,
            streams: true,
            sound: b"RIFF\x24\0\0\0WAVEfmt rest",
            has_voice: true,
            has_health: true,
        }
    }
}

/// A running double.
pub async fn start(has: Has) -> Server {
    start_at(([127, 0, 0, 1], 0).into(), has).await
}

/// At an address of the test's choice.
pub async fn start_at(address: SocketAddr, has: Has) -> Server {
    let has = Arc::new(has);
    Server::start_at(address, move |asked| {
        let has = has.clone();
        async move { serve(&has, &asked) }.boxed()
    })
    .await
}

fn serve(has: &Has, asked: &Asked) -> Response {
    let body = asked.json();
    let model = body["model"].as_str().unwrap_or_default().to_owned();
    match asked.line().as_str() {
        "GET /health" if !has.has_health => typed("text/html", "<!doctype html><title>Studio</title>"),
        "GET /health" => answer(200, &json!({"status": "ok"})),
        "GET /v1/models" if has.lists => {
            let data: Vec<Value> = has.models.iter().map(|id| json!({"id": id, "object": "model"})).collect();
            answer(200, &json!({"object": "list", "data": data}))
        }
        "POST /v1/chat/completions" if !has.models.contains(&model.as_str()) => answer(404, &unknown(&model)),
        "POST /v1/chat/completions" if has.streams => chat(),
        "POST /v1/chat/completions" => answer(200, &whole("All is well.")),
        "POST /v1/embeddings" => answer(200, &embeddings(&body)),
        "POST /v1/audio/speech" if body["input"].as_str().is_none_or(str::is_empty) => {
            answer(400, &json!({"error": {"message": "input is empty", "type": "invalid_request_error"}}))
        }
        "POST /v1/audio/speech" if !has.has_voice => {
            let told = json!({"message": "No default voice is configured", "type": "server_error", "code": "no_default_voice"});
            answer(503, &json!({"error": told}))
        }
        "POST /v1/audio/speech" => typed("audio/mpeg", has.sound),
        "POST /v1/audio/transcriptions" => {
            let form = String::from_utf8_lossy(&asked.body).into_owned();
            let is_form = form.contains("name=\"file\"; filename=\"") && form.contains("name=\"model\"");
            if is_form {
                answer(200, &json!({"text": " Hello there. ", "duration": 1.5}))
            } else {
                answer(422, &json!({"detail": [{"loc": ["body", "file"], "msg": "field required"}]}))
            }
        }
        _ => answer(404, &json!({"detail": "Not Found"})),
    }
}

fn unknown(model: &str) -> Value {
    json!({"error": {"message": format!("model `{model}` does not exist"), "code": 404, "type": "not_found_error"}})
}

fn chat() -> Response {
    events(|tx| async move {
        for word in ["All ", "is ", "well."] {
            let _ = tx.send(format!("data: {}\n\n", piece("content", word))).await;
        }
        for last in [json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}), numbers(3)] {
            let _ = tx.send(format!("data: {last}\n\n")).await;
        }
        let _ = tx.send("data: [DONE]\n\n".to_owned()).await;
    })
}
