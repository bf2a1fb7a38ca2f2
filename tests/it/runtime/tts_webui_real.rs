//! A real speech server, where there is one: local-tts with piper (`ARCOLOGY_REAL_LOCAL_TTS`, with a voice in the folder
//! `ARCOLOGY_REAL_VOICES`), through the adapter `openai`, and through `tts-webui` as the server that it is most like.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use arcology::act::http::Request;
use arcology::act::runtime::{Adapter, Fault, Progress};
use serde_json::{Value, json};

use super::conformance::{Subject, Work, conform_for_real};
use super::real::{self, Server};
use super::{adapter, in_time, invocation, spec, text_of_run};

/// One of the two names under which it speaks.
const SPEECH: &str = "tts-1";
const VOICE: &str = "en_US-joe-medium";
/// Of full scale: speech is about 0.1, silence 0.
const LOUD: f64 = 0.01;

fn adapter_of(name: &str, server: &Server, options: Value) -> Arc<dyn Adapter> {
    let limits = json!({"connect": "20s", "load": "50s", "run": "50s"});
    let more = json!({"endpoint": server.endpoint, "timeouts": limits, "options": options});
    adapter(Path::new("/nowhere"), &spec(name, more)).unwrap()
}

/// local-tts with a voice that is there, and that speaks when `chosen`.
pub async fn local_tts(chosen: bool) -> Option<Server> {
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
    Some(server)
}

#[tokio::test]
async fn the_real_local_tts_conforms_and_is_heard() {
    let Some(server) = local_tts(true).await else { return };
    let work = || Work {
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
    for (name, options, degraded) in [
        ("openai", json!({"healthPath": "/api/health"}), None),
        ("openai", json!({"healthPath": "/health"}), Some("page for people")),
        ("tts-webui", json!({"server": "kokoro"}), Some("page for people")),
    ] {
        let adapter = adapter_of(name, &server, options);
        let seen = in_time(adapter.observe()).await.unwrap().degraded;
        assert!(
            seen.is_some() == degraded.is_some() && seen.unwrap_or_default().contains(degraded.unwrap_or_default())
        );
        conform_for_real(&Subject { adapter, model: SPEECH, work: work(), unload_behind_its_back: None, asked: None })
            .await;
    }
}

#[tokio::test]
async fn the_real_local_tts_is_no_tts_webui_and_is_not_taken_for_one() {
    let Some(server) = local_tts(true).await else { return };
    let error = in_time(adapter_of("tts-webui", &server, json!({})).observe()).await.unwrap_err();
    assert!(error.fault == Fault::RuntimeError && error.message.contains("/v1/audio/models"), "{error}");
}

#[tokio::test]
async fn quirk_1_the_real_local_tts_without_a_voice_is_not_busy_and_speaks_once_it_has_one() {
    let Some(server) = local_tts(false).await else { return };
    let adapter = adapter_of("openai", &server, json!({"healthPath": "/api/health"}));
    let speech = || invocation("audio.tts", Some(SPEECH), "The ferry leaves at four.", json!({}));
    let error = text_of_run(&adapter, speech()).await.unwrap_err();
    assert!(error.fault == Fault::BadInput && error.message.contains("not set up"), "{error}");
    assert!(error.words.as_deref().unwrap().contains("No default voice"), "{error}");
    let body = json!({"default_voice": VOICE});
    let request = Request::post("/api/openai/speech-defaults").json(&body);
    let answer = server.client().send(request).await.unwrap();
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    let spoken = in_time(adapter.run(speech(), Progress::ignored())).await.unwrap();
    assert!(real::loudness(&spoken.outputs[0].bytes).0 > LOUD);
}
