//! Speech servers: TTS-WebUI and three others, each with its own lists, voices, errors and health.

use axum::response::{IntoResponse as _, Response};
use futures::FutureExt as _;
use serde_json::{Value, json};

use super::server::{Asked, Server, json as answer, typed};
use super::shared::Shared;

/// Which server it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    TtsWebui,
    Kokoro,
    Speaches,
    Openedai,
}

/// What the double has and how it is.
#[derive(Clone, Debug)]
pub struct Has {
    pub kind: Kind,
    pub key: Option<&'static str>,
    /// The shape of its list of voices: 0 strings, 1 `id` and `name`, 2 `value` and `label`.
    pub voice_shape: u8,
    /// Bytes that are missing at the end of every sound.
    pub short_by: usize,
    /// What it answers every speech with: 500 and these words.
    pub fails: Option<&'static str>,
    /// Speaks until this is false, and answers nothing else meanwhile.
    pub speaks: bool,
    pub is_speaking: bool,
    pub health: &'static str,
}

impl Has {
    pub fn new(kind: Kind) -> Self {
        let voice_shape = if kind == Kind::TtsWebui { 2 } else { 1 };
        Self { kind, key: None, voice_shape, short_by: 0, fails: None, speaks: false, is_speaking: false, health: "ok" }
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
    // Synthesis blocks the whole server.
    app.until(|has| !has.is_speaking).await;
    let has = app.read(Has::clone);
    let given = asked.headers.get("authorization").and_then(|value| value.to_str().ok());
    if has.key.is_some_and(|key| given != Some(&format!("Bearer {key}"))) && asked.path != "/health" {
        return match has.kind {
            Kind::Speaches => answer(403, &json!({"detail": "Not authenticated"})),
            _ => (axum::http::StatusCode::UNAUTHORIZED, "Unauthorized").into_response(),
        };
    }
    match (has.kind, asked.line().as_str()) {
        (Kind::TtsWebui, "GET /v1/audio/models") => {
            answer(200, &json!({"models": [{"id": "hexgrad/Kokoro-82M"}, {"id": "chatterbox"}]}))
        }
        (Kind::TtsWebui, "GET /v1/audio/voices/kokoro" | "GET /v1/audio/voices/chatterbox") => voices(&has),
        (Kind::TtsWebui, "GET /health" | "GET /v1/models") => answer(404, &json!({"detail": "Not Found"})),
        (_, "GET /health") if has.health.starts_with('<') => typed("text/html", has.health.as_bytes()),
        (Kind::Speaches, "GET /health") if has.health == "ok" => answer(200, &json!({"message": "OK"})),
        (Kind::Kokoro, "GET /health") if has.health == "ok" => answer(200, &json!({"status": "healthy"})),
        (_, "GET /health") => answer(200, &json!({"status": has.health})),
        (Kind::Openedai, "GET /v1/audio/voices") => answer(404, &json!({"detail": "Not Found"})),
        (_, "GET /v1/models") => answer(200, &json!({"object": "list", "data": [{"id": model(has.kind)}]})),
        (_, "GET /v1/audio/voices") => voices(&has),
        (_, "POST /v1/audio/speech") => speech(app, &has, &asked.json()).await,
        (Kind::TtsWebui | Kind::Speaches, "POST /v1/audio/transcriptions") => answer(200, &json!({"text": "Hello."})),
        _ => answer(404, &json!({"detail": "Not Found"})),
    }
}

/// The model that speaks.
pub fn model(kind: Kind) -> &'static str {
    match kind {
        Kind::TtsWebui => "hexgrad/Kokoro-82M",
        Kind::Kokoro => "kokoro",
        Kind::Speaches => "speaches-ai/Kokoro-82M-v1.0-ONNX",
        Kind::Openedai => "tts-1-hd",
    }
}

fn voices(has: &Has) -> Response {
    let shaped = |name: &str| match has.voice_shape {
        0 => json!(name),
        1 => json!({"id": name, "name": name}),
        _ => json!({"value": name, "label": format!("the voice {name}")}),
    };
    answer(200, &json!({"voices": [shaped("af_heart"), shaped("bm_george")]}))
}

/// An error in the server's own shape.
fn error(kind: Kind, status: u16, message: &str) -> Response {
    let body: Value = match kind {
        Kind::TtsWebui | Kind::Speaches => json!({"detail": message}),
        Kind::Kokoro => json!({"detail": {"error": "validation_error", "message": message, "type": "invalid_request"}}),
        Kind::Openedai => json!({"message": message, "code": status, "type": "BadRequestError", "param": "voice"}),
    };
    answer(status, &body)
}

async fn speech(app: &App, has: &Has, body: &Value) -> Response {
    if has.speaks {
        app.change(|has| has.is_speaking = true);
        app.until(|has| !has.speaks).await;
        app.change(|has| has.is_speaking = false);
    }
    let refused = if has.kind == Kind::TtsWebui { 500 } else { 400 };
    if let Some(words) = has.fails {
        return error(has.kind, 500, words);
    }
    if !body["instructions"].is_null() {
        return error(has.kind, 500, "enum is missing");
    }
    let voice = body["voice"].as_str().unwrap_or("af_heart");
    let is_known = |part: &str| matches!(part.split('(').next(), Some("af_heart" | "bm_george"));
    if !voice.split('+').all(is_known) {
        return error(has.kind, refused, &format!("cannot open voices/{voice}.pt"));
    }
    // It streams unless it is told not to, and then does not know the length beforehand.
    let is_streamed = body["stream"] != false;
    let size = if is_streamed || body["model"] == "chatterbox" { u32::MAX } else { 8 };
    let mut sound = b"RIFF".to_vec();
    sound.extend(size.saturating_add(36).to_le_bytes());
    sound.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0\xc0\x5d\0\0\x80\xbb\0\0\x02\0\x10\0data");
    sound.extend(size.to_le_bytes());
    sound.extend(b"samples!");
    sound.truncate(sound.len() - has.short_by);
    // WAV, whatever was asked for; only the type obeys.
    match (has.kind, body["response_format"].as_str()) {
        (Kind::TtsWebui, Some("mp3")) => typed("audio/mpeg", sound),
        (_, Some("mp3")) => typed("audio/mpeg", &b"ID3\x04rest"[..]),
        _ => typed("audio/wav", sound),
    }
}
