//! What the model servers behind the double answer.

use axum::http::StatusCode;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::llama_swap::{App, InFlight, error_body, wait_until_ready};
use super::state::{Model, Serves};

pub(super) async fn loading_then_chat(state: App, model: Model, guard: InFlight, tx: mpsc::Sender<String>) {
    let aside = |text: &str| format!("data: {}\n\n", json!({"choices": [{"delta": {"reasoning_content": text}}]}));
    let _ = tx.send(aside(&format!("llama-swap loading model: {}", model.id))).await;
    if let Err(message) = wait_until_ready(&state, model.id).await {
        // The status has gone out: the error body follows as it is, in the middle of the event stream.
        let _ = tx.send(error_body(&state, StatusCode::INTERNAL_SERVER_ERROR, &message).to_string()).await;
        return;
    }
    let _ = tx.send(aside("Done! (0.10s)")).await;
    chat(state, model, guard, tx).await;
}

pub(super) async fn chat(state: App, model: Model, guard: InFlight, tx: mpsc::Sender<String>) {
    let _running = Running::new(&state, model.id);
    let work = async {
        match &model.serves {
            Serves::Words(words) | Serves::Gated(words) => {
                if matches!(model.serves, Serves::Gated(_)) {
                    say(&tx, &piece("content", "")).await;
                    tokio::select! {
                        () = state.until(|inner| inner.open.contains(model.id)) => {}
                        () = tx.closed() => return state.change(|inner| inner.abandoned += 1),
                    }
                }
                for word in *words {
                    say(&tx, &piece("content", word)).await;
                }
                say(&tx, &json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})).await;
                say(&tx, &numbers(words.len())).await;
                let _ = tx.send("data: [DONE]\n\n".to_owned()).await;
            }
            Serves::Holds => {
                say(&tx, &piece("content", "first")).await;
                tx.closed().await;
                state.change(|inner| inner.abandoned += 1);
            }
            Serves::Half => say(&tx, &piece("content", "half of")).await,
            Serves::ErrorInside(message) => {
                say(&tx, &piece("content", "half of")).await;
                say(&tx, &json!({"error": {"code": 500, "message": message, "type": "server_error"}})).await;
            }
            Serves::ThoughtsOnly => {
                say(&tx, &piece("reasoning_content", "hmm")).await;
                say(&tx, &json!({"choices": [{"delta": {}, "finish_reason": "length"}]})).await;
                let _ = tx.send("data: [DONE]\n\n".to_owned()).await;
            }
            Serves::Refuses(..) | Serves::Whole(_) => {}
        }
    };
    tokio::select! {
        () = work => {}
        () = guard.cancelled() => {}
        // Unloading kills what is being worked on.
        () = state.until(|inner| !inner.processes.contains_key(model.id)) => {}
    }
    drop(guard);
}

struct Running(App, &'static str);

impl Running {
    fn new(state: &App, id: &'static str) -> Self {
        state.change(|inner| *inner.running.entry(id.to_owned()).or_default() += 1);
        Self(state.clone(), id)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.change(|inner| *inner.running.get_mut(self.1).unwrap() -= 1);
    }
}

async fn say(tx: &mpsc::Sender<String>, value: &Value) {
    let _ = tx.send(format!("data: {value}\n\n")).await;
}

pub(super) fn piece(kind: &str, text: &str) -> Value {
    json!({"choices": [{"index": 0, "delta": {kind: text}, "finish_reason": null}], "usage": null})
}

pub(super) fn numbers(tokens: usize) -> Value {
    json!({"choices": [], "usage": {"prompt_tokens": 31, "completion_tokens": tokens, "total_tokens": 31 + tokens},
        "timings": {"prompt_n": 31, "prompt_ms": 40.5, "prompt_per_second": 812.4, "predicted_n": tokens,
            "predicted_ms": 31.2, "predicted_per_second": 96.2, "cache_n": 0}})
}

pub(super) fn whole(text: &str) -> Value {
    json!({"choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 2}})
}

pub(super) fn embeddings(body: &Value) -> Value {
    let vector =
        |(index, text): (usize, &Value)| json!({"index": index, "embedding": [text.as_str().unwrap().len(), 0.5]});
    // In reverse, because the order is not promised.
    let data: Vec<Value> = body["input"].as_array().unwrap().iter().enumerate().map(vector).rev().collect();
    json!({"object": "list", "data": data, "model": body["model"], "usage": {"prompt_tokens": 5, "total_tokens": 5}})
}
