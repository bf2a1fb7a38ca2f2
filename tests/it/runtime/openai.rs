//! Servers that speak OpenAI's protocol, driven through their double.

use std::path::Path;
use std::sync::Arc;

use arcology::act::runtime::{Adapter, Fault, Invocation, Progress};
use arcology::decide::view::ModelState;
use serde_json::{Value, json};

use crate::double::openai::{Has, start};
use crate::double::server::{Mood, Server};

use super::conformance::{Asked, Subject, Work, conform};
use super::{adapter, file, in_time, invocation, spec};

pub const HARMLESS: &[&str] = &["GET /health", "GET /v1/models"];

fn adapter_of(server: &Server, options: Value) -> Arc<dyn Adapter> {
    let limits = json!({"connect": "2s", "load": "10s", "run": "10s"});
    let more = json!({"endpoint": server.endpoint(), "timeouts": limits, "options": options});
    adapter(Path::new("/nowhere"), &spec("openai", more)).unwrap()
}

async fn run(
    adapter: &Arc<dyn Adapter>,
    task: Invocation,
) -> Result<(String, Vec<u8>), arcology::act::runtime::RuntimeError> {
    let outcome = in_time(adapter.run(task, Progress::ignored())).await?;
    let output = outcome.outputs.into_iter().next().unwrap();
    Ok((output.name, output.bytes))
}

#[tokio::test]
async fn it_conforms_with_text_and_with_speech() {
    let speech = Work {
        capability: "audio.tts",
        text: "Hello there.",
        params: json!({"voice": "af_heart"}),
        output: ("speech.wav", "wav"),
        is_right: |bytes| bytes.starts_with(b"RIFF"),
        senseless: vec![json!({"speed": 90}), json!({"voice": 3}), json!({"vioce": "x"})],
        never: "video.gen",
    };
    for (model, work) in [("tiny", Work::summary()), ("voice", speech)] {
        let server = Arc::new(start(Has::default()).await);
        let adapter = adapter_of(&server, json!({"healthPath": "/health"}));
        let asked = Asked { log: Box::new(move || server.log()), harmless: HARMLESS };
        conform(&Subject { adapter, model, work, unload_behind_its_back: None, asked: Some(asked) }).await;
    }
}

#[tokio::test]
async fn what_is_loaded_is_not_told_and_so_not_claimed() {
    let server = start(Has::default()).await;
    let view = adapter_of(&server, json!({})).observe().await.unwrap();
    assert!(view.models.iter().all(|model| model.state == ModelState::Unknown && model.vram_gb.is_none()));
    assert_eq!((view.in_flight, view.queued, view.version), (None, None, None));
}

#[tokio::test]
async fn a_server_without_a_list_serves_the_models_that_the_manifest_names() {
    let server = start(Has { lists: false, ..Has::default() }).await;
    let error = adapter_of(&server, json!({})).observe().await.unwrap_err();
    assert_eq!(error.fault, Fault::NotFound, "{error}");
    let adapter = adapter_of(&server, json!({"models": ["tiny"]}));
    assert_eq!(adapter.observe().await.unwrap().models[0].name, "tiny");
    assert!(run(&adapter, invocation("text.generate", Some("tiny"), "Say hello.", json!({}))).await.is_ok());
}

#[tokio::test]
async fn a_health_check_that_fails_shows_as_degraded_and_not_as_down() {
    let server = start(Has::default()).await;
    let adapter = adapter_of(&server, json!({"healthPath": "/health"}));
    server.misbehave("GET /health", Mood::Fails);
    let view = adapter.observe().await.unwrap();
    assert!(view.degraded.unwrap().contains("HTTP 500"));
}

#[tokio::test]
async fn the_token_of_the_credentials_folder_goes_along() {
    let server = start(Has::default()).await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("credentials")).unwrap();
    std::fs::write(folder.path().join("credentials/key"), "s3cret\n").unwrap();
    let more = json!({"endpoint": server.endpoint(), "auth": {"tokenFrom": {"file": "key"}}});
    adapter(folder.path(), &spec("openai", more)).unwrap().observe().await.unwrap();
    assert_eq!(server.asked()[0].headers["authorization"], "Bearer s3cret");
}

#[tokio::test]
async fn an_answer_that_does_not_stream_is_taken_whole() {
    let server = start(Has { streams: false, ..Has::default() }).await;
    let task = invocation("text.generate", Some("tiny"), "Say hello.", json!({}));
    assert_eq!(run(&adapter_of(&server, json!({})), task).await.unwrap().1, b"All is well.\n");
}

#[tokio::test]
async fn a_sound_is_named_by_what_it_is_and_no_sound_is_an_error() {
    for (sound, format, name) in [
        (&b"RIFF\0\0\0\0WAVE"[..], "mp3", Some("speech.wav")),
        (b"OggS..", "opus", Some("speech.opus")),
        (b"{}", "wav", None),
    ] {
        let server = start(Has { sound, ..Has::default() }).await;
        let adapter = adapter_of(&server, json!({"speechFormat": format, "voice": "af"}));
        let spoken = run(&adapter, invocation("audio.tts", Some("voice"), "Hello.", json!({}))).await;
        assert_eq!(spoken.as_ref().ok().map(|(name, _)| name.as_str()), name, "{spoken:?}");
        assert_eq!(server.asked().last().unwrap().json()["voice"], "af");
    }
}

#[tokio::test]
async fn quirk_1_a_speech_server_without_a_voice_is_not_busy() {
    let server = start(Has { has_voice: false, ..Has::default() }).await;
    let spoken =
        run(&adapter_of(&server, json!({})), invocation("audio.tts", Some("voice"), "Hello.", json!({}))).await;
    let error = spoken.unwrap_err();
    assert_eq!((error.fault, error.words.as_deref()), (Fault::BadInput, Some("No default voice is configured")));
    assert!(error.message.contains("not set up"), "{error}");
}

#[tokio::test]
async fn quirk_2_a_page_is_no_health_check() {
    let server = start(Has { has_health: false, ..Has::default() }).await;
    let view = adapter_of(&server, json!({"healthPath": "/health"})).observe().await.unwrap();
    assert!(view.degraded.unwrap().contains("/health is a page for people"));
}

#[tokio::test]
async fn a_sound_file_is_written_down_and_two_are_too_many() {
    let server = start(Has::default()).await;
    let adapter = adapter_of(&server, json!({}));
    let mut task =
        Invocation { text: None, ..invocation("audio.transcribe", Some("voice"), "", json!({"language": "en"})) };
    task.files = vec![file("a \"quoted\".wav", b"RIFF")];
    assert_eq!(run(&adapter, task.clone()).await.unwrap(), ("transcript.txt".to_owned(), b"Hello there.\n".to_vec()));
    task.files.push(file("b.wav", b"RIFF"));
    assert_eq!(run(&adapter, task).await.unwrap_err().fault, Fault::BadInput);
}

#[tokio::test]
async fn a_task_that_names_no_model_takes_the_only_one_there_is() {
    let only = start(Has { models: vec!["tiny"], ..Has::default() }).await;
    let task = || invocation("text.generate", None, "Say hello.", json!({}));
    assert!(run(&adapter_of(&only, json!({})), task()).await.is_ok());
    let several = start(Has::default()).await;
    let error = run(&adapter_of(&several, json!({})), task()).await.unwrap_err();
    assert!(error.fault == Fault::BadInput && error.message.contains("name one"), "{error}");
}

#[tokio::test]
async fn on_a_bad_day_every_look_ends_in_an_error_that_names_the_place() {
    for mood in Mood::ALL {
        let server = start(Has::default()).await;
        let adapter = adapter_of(&server, json!({}));
        server.misbehave("*", mood);
        match in_time(adapter.observe()).await {
            // The list is read as JSON, whatever its type is said to be.
            Ok(_) => assert_eq!(mood, Mood::WrongType),
            Err(error) => assert!(
                error.message.contains(&server.address.to_string()) || error.message.contains("/v1/models"),
                "{mood:?}: {error}"
            ),
        }
        server.behave();
        assert!(in_time(adapter.observe()).await.is_ok(), "{mood:?}");
    }
}
