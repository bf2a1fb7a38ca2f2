//! The worker of the ComfyUI double: what is taken into the queue, and what becomes of it.

use axum::response::Response;
use serde_json::{Value, json};

use super::comfyui::{App, Has};
use super::server::json as answer;

/// A prompt in the queue.
#[derive(Clone, Debug)]
pub struct Prompt {
    pub number: f64,
    pub id: String,
    pub graph: Value,
    pub client: Option<String>,
}

impl Prompt {
    /// As `GET /queue` shows it.
    pub fn item(&self) -> Value {
        json!([self.number, self.id, self.graph, {}, ["9"]])
    }

    fn data(&self, more: Value) -> Value {
        let mut data = json!({"prompt_id": self.id, "timestamp": 1000});
        data.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        data
    }
}

/// Takes a prompt, or says why not.
pub fn submit(has: &mut Has, body: &Value) -> Response {
    let wrong = |kind: &str, message: String, nodes: Value| {
        let error = json!({"type": kind, "message": message, "details": "", "extra_info": {}});
        answer(400, &json!({"error": error, "node_errors": nodes}))
    };
    let given = body["prompt_id"].as_str().unwrap_or_default();
    let is_canonical =
        given.len() == 36 && given.bytes().all(|b| b == b'-' || b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if !is_canonical {
        return wrong("invalid_prompt_id", "prompt_id must be a valid UUID".to_owned(), json!({}));
    }
    let graph = &body["prompt"];
    for (node, told) in graph.as_object().into_iter().flatten() {
        let class = told["class_type"].as_str().unwrap_or_default();
        if class.starts_with("Missing") {
            return wrong("missing_node_type", format!("Node '{class}' not found."), json!({}));
        }
        for (input, list) in [("ckpt_name", has.models["checkpoints"].clone()), ("sampler_name", vec!["euler"])] {
            let value = told["inputs"][input].as_str();
            if let Some(value) = value.filter(|value| !list.contains(value)) {
                let error = json!({"type": "value_not_in_list", "message": "Value not in list",
                    "details": format!("{input}: '{value}' not in {list:?}"),
                    "extra_info": {"input_name": input, "received_value": value}});
                let nodes =
                    json!({node.as_str(): {"errors": [error], "dependent_outputs": ["9"], "class_type": class}});
                return wrong("prompt_outputs_failed_validation", "Prompt outputs failed validation".to_owned(), nodes);
            }
        }
    }
    has.number += 1;
    let id = if has.names_prompts { format!("00000000-0000-4000-8000-{:012}", has.number) } else { given.to_owned() };
    let client = body["client_id"].as_str().map(str::to_owned);
    has.push(Prompt { number: has.number as f64, id: id.clone(), graph: graph.clone(), client });
    answer(200, &json!({"prompt_id": id, "number": has.number, "node_errors": has.node_errors}))
}

/// One prompt at a time, and memory given up between them.
pub async fn work(app: App) {
    loop {
        app.until(|has| has.is_to_free || (!has.waits && !has.pending.is_empty())).await;
        app.change(|has| {
            if std::mem::take(&mut has.is_to_free) {
                has.torch_bytes = 0;
                has.cache.clear();
            }
        });
        let next = app.change(|has| {
            if has.waits || has.pending.is_empty() {
                return None;
            }
            let prompt = has.pending.remove(0);
            // Makes a heap of the rest again.
            std::mem::take(&mut has.pending).into_iter().for_each(|prompt| has.push(prompt));
            (has.running, has.interrupted) = (Some(prompt.clone()), false);
            has.tell_status();
            Some(prompt)
        });
        if let Some(prompt) = next {
            carry_out(&app, &prompt).await;
        }
    }
}

async fn carry_out(app: &App, prompt: &Prompt) {
    let client = prompt.client.as_deref();
    let graph = prompt.graph.to_string();
    let is_cached = app.read(|has| has.cache.contains(&graph));
    app.change(|has| {
        // Nobody is told of the course of a prompt without a client, and everybody of its progress.
        if client.is_some() {
            let nodes: Vec<&str> = if is_cached { vec!["3", "9"] } else { Vec::new() };
            has.tell(client, "execution_start", &prompt.data(json!({})));
            has.tell(client, "execution_cached", &prompt.data(json!({"nodes": nodes})));
            has.tell(client, "executing", &prompt.data(json!({"node": "3", "display_node": "3"})));
        }
        has.preview();
        has.torch_bytes = 4 << 30;
        for value in 1..=2 {
            let step = json!({"value": value, "max": 2, "node": "3"});
            has.tell(client, "progress", &prompt.data(step));
            let nodes = json!({"3": {"value": value, "max": 2, "state": "running", "node_id": "3"}});
            has.tell(client, "progress_state", &prompt.data(json!({"nodes": nodes})));
        }
    });
    let runs = |has: &Has| has.running.as_ref().is_some_and(|running| running.id == prompt.id);
    app.until(|has| !has.works || has.interrupted || !runs(has)).await;
    app.change(|has| {
        if !runs(has) {
            return;
        }
        let start = json!(["execution_start", prompt.data(json!({}))]);
        let (end, more, is_success) = if has.interrupted {
            ("execution_interrupted", json!({"node_id": "3", "node_type": "KSampler", "executed": []}), false)
        } else if let Some((kind, message)) = has.fails {
            let told = json!({"node_id": "3", "node_type": "KSampler", "exception_type": kind, "exception_message": message});
            if kind.contains("OutOfMemory") {
                has.torch_bytes = 0;
            }
            ("execution_error", told, false)
        } else {
            ("execution_success", json!({"timestamp": 3500}), true)
        };
        let outputs = if is_success { outputs(has, prompt) } else { json!({}) };
        if client.is_some() && is_success && !is_cached {
            has.tell(client, "executed", &prompt.data(json!({"node": "9", "output": outputs["9"]})));
        }
        if client.is_some() || end == "execution_interrupted" {
            has.tell(client, end, &prompt.data(more.clone()));
        }
        if is_success {
            has.cache.insert(graph);
        }
        let status = json!({"status_str": if is_success { "success" } else { "error" }, "completed": is_success,
            "messages": [start, ["execution_cached", {"nodes": if is_cached { vec!["3", "9"] } else { Vec::new() }}], [end, prompt.data(more)]]});
        has.history.insert(prompt.id.clone(), json!({"prompt": prompt.item(), "outputs": outputs, "status": status}));
        has.running = None;
        if client.is_some() {
            has.tell(client, "executing", &prompt.data(json!({"node": null})));
        }
        has.tell_status();
    });
}

/// Pictures that hold the graph they were made from.
fn outputs(has: &mut Has, prompt: &Prompt) -> Value {
    if prompt.graph.get("9").is_none() {
        return json!({});
    }
    let picture = [b"\x89PNG\r\n\x1a\n", prompt.graph.to_string().as_bytes()].concat();
    let picture = has.bytes.map_or(picture, <[u8]>::to_vec);
    let mut images = Vec::new();
    for _ in 0..has.pictures {
        let name = format!("ComfyUI_{:05}_.png", has.views.len() + 1);
        has.views.insert(name.clone(), picture.clone());
        images.push(json!({"filename": name, "subfolder": "", "type": "output"}));
    }
    json!({"9": {"images": images}})
}
