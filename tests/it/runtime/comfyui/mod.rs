//! ComfyUI, driven through its double: the conformance suite, a bad day, and what the tests beside this share. Each quirk has its
//! number in `docs/adapters/comfyui.md`.

mod course;
mod looks;
mod outcome;

use std::path::Path;
use std::sync::{Arc, Mutex};

use arcology::act::runtime::{Adapter, Invocation, Outcome, Progress, RuntimeError};
use serde_json::{Value, json};

use crate::double::comfyui::{App, Has, start};
use crate::double::server::{Mood, Server};

use super::conformance::{Asked, Subject, Work, conform};
use super::{adapter, file, in_time, invocation, spec};

pub const MODEL: &str = "checkpoints/a.safetensors";
/// What may be asked while it is only looked at.
pub const LOOKS: &[&str] =
    &["GET /queue", "GET /system_stats", "GET /models/checkpoints", "GET /models/diffusion_models", "GET /ws"];

fn graph() -> Value {
    json!({
        "3": {"class_type": "KSampler", "_meta": {"title": "sampler"},
            "inputs": {"seed": 1, "steps": 20, "sampler_name": "euler", "model": ["4", 0], "positive": ["6", 0]}},
        "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "a.safetensors"}},
        "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a cat"}},
        "9": {"class_type": "SaveImage", "inputs": {"images": ["3", 0], "filename_prefix": "x"}},
    })
}

pub fn workflow() -> Value {
    let inputs = json!({"prompt": "6.inputs.text", "seed": "3.seed", "steps": {"node": "3", "input": "steps"},
        "sampler": "3.sampler_name", "model": "4.ckpt_name"});
    json!({"workflow": graph(), "inputs": inputs})
}

fn adapter_with(server: &Server, connect: &str, options: Value) -> Arc<dyn Adapter> {
    let limits = json!({"connect": connect, "load": "10s", "run": "30s"});
    let more = json!({"endpoint": server.endpoint(), "timeouts": limits, "options": options});
    adapter(Path::new("/nowhere"), &spec("comfyui", more)).unwrap()
}

async fn double() -> (Server, App, Arc<dyn Adapter>) {
    let (server, app) = start(Has::new()).await;
    let adapter = adapter_with(&server, "2s", json!({"workflows": {"image.gen": workflow()}}));
    (server, app, adapter)
}

fn picture(params: Value) -> Invocation {
    invocation("image.gen", Some(MODEL), "a dog", params)
}

async fn run(adapter: &Arc<dyn Adapter>, task: Invocation) -> Result<Outcome, RuntimeError> {
    in_time(adapter.run(task, Progress::ignored())).await
}

/// Runs `task` and keeps what is told of its progress.
async fn told(adapter: &Arc<dyn Adapter>, task: Invocation) -> (Result<Outcome, RuntimeError>, Vec<String>) {
    let lines: Arc<Mutex<Vec<String>>> = Arc::default();
    let into = lines.clone();
    let progress = Progress::new(move |line| into.lock().unwrap().push(line.to_owned()));
    let outcome = in_time(adapter.run(task, progress)).await;
    let lines = lines.lock().unwrap().clone();
    (outcome, lines)
}

/// Starts `task` on its own and returns once it runs there; aborting drops it.
async fn running(app: &App, adapter: &Arc<dyn Adapter>, task: Invocation) -> tokio::task::JoinHandle<()> {
    app.change(|has| has.works = true);
    let adapter = adapter.clone();
    let handle = tokio::spawn(async move { drop(adapter.run(task, Progress::ignored()).await) });
    in_time(app.until(|has| has.running.is_some())).await;
    handle
}

fn posts(server: &Server, path: &str) -> Vec<Value> {
    server.asked().iter().filter(|asked| asked.line() == format!("POST {path}")).map(|asked| asked.json()).collect()
}

#[tokio::test]
async fn it_conforms() {
    let (server, _app, adapter) = double().await;
    let work = Work {
        capability: "image.gen",
        text: "a dog",
        params: json!({"steps": 4}),
        output: ("image.png", "png"),
        is_right: |bytes| bytes.starts_with(b"\x89PNG") && String::from_utf8_lossy(bytes).contains("a dog"),
        senseless: vec![
            json!({"steps": "many"}),
            json!({"sede": 1}),
            json!({"sampler": 3}),
            json!({"prompt": "twice"}),
        ],
        never: "text.summarize",
    };
    let asked = Asked { log: Box::new(move || server.log()), harmless: LOOKS };
    conform(&Subject { adapter, model: MODEL, work, unload_behind_its_back: None, asked: Some(asked) }).await;
}

#[tokio::test]
async fn on_a_bad_day_every_look_ends_in_an_error_that_names_the_place() {
    for mood in Mood::ALL {
        let (server, _app) = start(Has::new()).await;
        let adapter = adapter_with(&server, "1s", json!({"workflows": {"image.gen": workflow()}}));
        server.misbehave("*", mood);
        match in_time(adapter.observe()).await {
            // Answers are read as JSON, whatever their type is said to be.
            Ok(_) => assert_eq!(mood, Mood::WrongType),
            Err(error) => assert!(
                error.message.contains(&server.address.to_string()) || error.message.contains("/queue"),
                "{mood:?}: {error}"
            ),
        }
        let outcome = run(&adapter, picture(json!({}))).await;
        assert!(mood == Mood::WrongType || outcome.is_err(), "{mood:?}");
        server.behave();
        assert!(in_time(adapter.observe()).await.is_ok(), "{mood:?}");
    }
}
