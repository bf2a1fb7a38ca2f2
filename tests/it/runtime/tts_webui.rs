//! Speech servers, driven through their doubles: the conformance suite for each, and each quirk by its number in
//! `docs/adapters/tts-webui.md`.

use std::path::Path;
use std::sync::Arc;

use arcology::act::runtime::{Adapter, Fault, Invocation, Outcome, Progress, RuntimeError};
use arcology::decide::view::ModelState;
use serde_json::{Value, json};

use crate::double::server::{Mood, Server};
use crate::double::tts_webui::{App, Has, Kind, model, start};

use super::conformance::{Asked, Subject, Work, conform};
use super::{adapter, file, in_time, invocation, spec, text_of_run};

pub const KINDS: [(Kind, &str, &[&str]); 4] = [
    (Kind::TtsWebui, "tts-webui", &["GET /v1/audio/models"]),
    (Kind::Kokoro, "kokoro", &["GET /health", "GET /v1/models"]),
    (Kind::Speaches, "speaches", &["GET /health", "GET /v1/models"]),
    (Kind::Openedai, "openedai", &["GET /health", "GET /v1/models"]),
];

fn adapter_of(server: &Server, connect: &str, options: Value) -> Arc<dyn Adapter> {
    let limits = json!({"connect": connect, "load": "10s", "run": "10s"});
    let more = json!({"endpoint": server.endpoint(), "timeouts": limits, "options": options});
    adapter(Path::new("/nowhere"), &spec("tts-webui", more)).unwrap()
}

async fn double_of(has: Has) -> (Server, App, Arc<dyn Adapter>) {
    let server_option = KINDS.iter().find(|(kind, ..)| *kind == has.kind).unwrap().1;
    let (server, app) = start(has).await;
    let adapter = adapter_of(&server, "2s", json!({"server": server_option}));
    (server, app, adapter)
}

fn speech(kind: Kind, params: Value) -> Invocation {
    invocation("audio.tts", Some(model(kind)), "Hello there.", params)
}

async fn run(adapter: &Arc<dyn Adapter>, task: Invocation) -> Result<Outcome, RuntimeError> {
    in_time(adapter.run(task, Progress::ignored())).await
}

#[tokio::test]
async fn every_speech_server_conforms() {
    for (kind, option, harmless) in KINDS {
        let (server, _app) = start(Has::new(kind)).await;
        let adapter = adapter_of(&server, "2s", json!({"server": option}));
        let work = Work {
            capability: "audio.tts",
            text: "Hello there.",
            params: json!({"voice": "af_heart", "speed": 1.5}),
            output: ("speech.wav", "wav"),
            is_right: |bytes| bytes.starts_with(b"RIFF") && bytes.ends_with(b"samples!"),
            senseless: vec![json!({"speed": 90}), json!({"voice": 3}), json!({"vioce": "x"})],
            never: "video.gen",
        };
        let asked = Asked { log: Box::new(move || server.log()), harmless };
        conform(&Subject { adapter, model: model(kind), work, unload_behind_its_back: None, asked: Some(asked) }).await;
    }
}

#[tokio::test]
async fn quirk_1_a_sound_is_named_by_what_it_is_and_not_by_what_was_asked_for() {
    for (kind, option, name) in [(Kind::TtsWebui, "tts-webui", "speech.wav"), (Kind::Kokoro, "kokoro", "speech.mp3")] {
        let (server, _app) = start(Has::new(kind)).await;
        let adapter = adapter_of(&server, "2s", json!({"server": option, "speechFormat": "mp3"}));
        assert_eq!(run(&adapter, speech(kind, json!({}))).await.unwrap().outputs[0].name, name);
    }
}

#[tokio::test]
async fn quirk_2_it_is_told_not_to_stream_and_a_length_that_was_not_known_becomes_true() {
    let (server, _app, adapter) = double_of(Has::new(Kind::TtsWebui)).await;
    let task = Invocation { model: Some("chatterbox".to_owned()), ..speech(Kind::TtsWebui, json!({})) };
    let sound = run(&adapter, task).await.unwrap().outputs.remove(0).bytes;
    assert_eq!((&sound[4..8], &sound[40..44]), (&44_u32.to_le_bytes()[..], &8_u32.to_le_bytes()[..]));
    let sent = server.asked().into_iter().find(|asked| asked.method == "POST").unwrap().json();
    assert_eq!(sent["stream"], false);
}

#[tokio::test]
async fn quirk_3_instructions_are_never_sent() {
    let (server, _app, adapter) = double_of(Has::new(Kind::TtsWebui)).await;
    let error = run(&adapter, speech(Kind::TtsWebui, json!({"instructions": "whisper"}))).await.unwrap_err();
    assert_eq!(error.fault, Fault::BadInput, "{error}");
    run(&adapter, speech(Kind::TtsWebui, json!({}))).await.unwrap();
    let sent: Vec<_> = server.asked().into_iter().filter(|asked| asked.method == "POST").collect();
    assert!(sent.len() == 1 && sent[0].json().get("instructions").is_none());
}

#[tokio::test]
async fn quirk_4_everything_is_500_so_models_and_voices_are_compared_with_the_lists() {
    let (server, app, adapter) = double_of(Has::new(Kind::TtsWebui)).await;
    let task = Invocation { model: Some("chaterbox".to_owned()), ..speech(Kind::TtsWebui, json!({})) };
    let error = run(&adapter, task).await.unwrap_err();
    assert!(error.fault == Fault::NotFound && error.message.contains("`chatterbox`"), "{error}");
    assert!(!server.log().iter().any(|(method, _)| method == "POST"));
    let error = run(&adapter, speech(Kind::TtsWebui, json!({"voice": "af_haert"}))).await.unwrap_err();
    assert!(error.fault == Fault::BadInput && error.message.contains("did you mean `af_heart`?"), "{error}");
    assert!(error.words.as_deref().unwrap().contains("af_haert.pt"), "{error}");
    for (words, fault) in [
        ("CUDA out of memory. Tried to allocate 2.00 GiB", Fault::OutOfMemory),
        ("weights are missing", Fault::RuntimeError),
    ] {
        app.change(|has| has.fails = Some(words));
        let error = run(&adapter, speech(Kind::TtsWebui, json!({"voice": "af_heart"}))).await.unwrap_err();
        assert!(error.fault == fault && error.words.as_deref() == Some(words), "{error}");
    }
}

#[tokio::test]
async fn quirk_5_a_server_that_is_silent_because_it_speaks_is_not_dead() {
    let (server, app) = start(Has::new(Kind::TtsWebui)).await;
    let adapter = adapter_of(&server, "200ms", json!({}));
    in_time(adapter.observe()).await.unwrap();
    app.change(|has| has.speaks = true);
    let look = async {
        app.until(|has| has.is_speaking).await;
        let view = adapter.observe().await;
        app.change(|has| has.speaks = false);
        view
    };
    let task = run(&adapter, speech(Kind::TtsWebui, json!({})));
    let (spoken, view) = in_time(async { tokio::join!(task, look) }).await;
    let view = view.unwrap();
    assert!(spoken.is_ok() && view.models.len() == 2, "{view:?}");
    assert!(view.degraded.as_deref().unwrap().contains("while it speaks"), "{view:?}");
    // Silent without a task of ours it is not excused.
    app.change(|has| has.is_speaking = true);
    assert_eq!(in_time(adapter.observe()).await.unwrap_err().fault, Fault::Timeout);
}

#[tokio::test]
async fn quirk_6_what_is_loaded_is_not_told_and_a_task_cannot_always_be_stopped() {
    for (kind, cancels) in
        [(Kind::TtsWebui, false), (Kind::Kokoro, true), (Kind::Speaches, true), (Kind::Openedai, false)]
    {
        let (_server, _app, adapter) = double_of(Has::new(kind)).await;
        let view = in_time(adapter.observe()).await.unwrap();
        assert!(view.models.iter().all(|model| model.state == ModelState::Unknown && model.vram_gb.is_none()));
        assert_eq!((view.in_flight, view.queued, view.version), (None, None, None));
        assert_eq!(adapter.abilities().cancels, cancels, "{kind:?}");
    }
}

#[tokio::test]
async fn quirk_7_a_sound_that_broke_off_is_a_failure_whatever_the_status() {
    for (kind, ..) in KINDS.into_iter().filter(|(kind, ..)| matches!(kind, Kind::TtsWebui | Kind::Kokoro)) {
        let (_server, _app, adapter) = double_of(Has { short_by: 3, ..Has::new(kind) }).await;
        let error = run(&adapter, speech(kind, json!({}))).await.unwrap_err();
        assert!(error.fault == Fault::RuntimeError && error.message.contains("5 of 8 bytes"), "{error}");
    }
}

#[tokio::test]
async fn quirk_8_the_voices_of_kokoro_are_asked_for_under_their_own_name() {
    let (server, _app, adapter) = double_of(Has::new(Kind::TtsWebui)).await;
    run(&adapter, speech(Kind::TtsWebui, json!({"voice": "nobody"}))).await.unwrap_err();
    assert!(server.log().contains(&("GET".to_owned(), "/v1/audio/voices/kokoro".to_owned())));
}

#[tokio::test]
async fn quirk_9_voices_are_read_in_every_shape_and_mixes_are_taken_apart() {
    for voice_shape in 0..3 {
        let (_server, _app, adapter) = double_of(Has { voice_shape, ..Has::new(Kind::Kokoro) }).await;
        run(&adapter, speech(Kind::Kokoro, json!({"voice": "af_heart(2)+bm_george(1)"}))).await.unwrap();
        let error = run(&adapter, speech(Kind::Kokoro, json!({"voice": "af_heart(2)+bm_goerge"}))).await.unwrap_err();
        assert!(error.fault == Fault::BadInput && error.message.contains("did you mean `bm_george`?"), "{error}");
    }
}

#[tokio::test]
async fn quirk_10_every_shape_of_an_error_keeps_its_words_and_both_refusals_are_refusals() {
    for (kind, ..) in KINDS {
        let (_server, app, adapter) = double_of(Has { fails: Some("espeak is missing"), ..Has::new(kind) }).await;
        let error = run(&adapter, speech(kind, json!({}))).await.unwrap_err();
        assert!(error.to_string().contains("espeak is missing"), "{kind:?}: {error}");
        app.change(|has| has.key = Some("s3cret"));
        let error = in_time(adapter.observe()).await.unwrap_err();
        assert_eq!(error.fault, Fault::Refused, "{kind:?}: {error}");
    }
}

#[tokio::test]
async fn quirk_11_a_health_check_of_200_may_still_complain() {
    let (_server, _app, adapter) = double_of(Has { health: "unk", ..Has::new(Kind::Openedai) }).await;
    assert!(in_time(adapter.observe()).await.unwrap().degraded.unwrap().contains("`unk`"));
    // Or be a page, as a server of a web interface answers whatever it does not know.
    let page = "<!doctype html><title>Studio</title>";
    let (_server, _app, adapter) = double_of(Has { health: page, ..Has::new(Kind::Kokoro) }).await;
    assert!(in_time(adapter.observe()).await.unwrap().degraded.unwrap().contains("page for people"));
}

#[tokio::test]
async fn those_that_listen_write_down_what_is_said_and_the_others_say_that_they_cannot() {
    for (kind, ..) in KINDS {
        let (_server, _app, adapter) = double_of(Has::new(kind)).await;
        let task = invocation("audio.transcribe", Some(model(kind)), "", json!({}));
        let task = Invocation { text: None, files: vec![file("a.wav", b"RIFF....WAVE")], ..task };
        let heard = text_of_run(&adapter, task).await;
        if matches!(kind, Kind::TtsWebui | Kind::Speaches) {
            assert_eq!(heard.unwrap(), "Hello.\n");
        } else {
            assert_eq!(heard.unwrap_err().fault, Fault::BadInput);
        }
    }
}

#[tokio::test]
async fn on_a_bad_day_every_look_ends_in_an_error_that_names_the_place() {
    for mood in Mood::ALL {
        let (server, _app, adapter) = double_of(Has::new(Kind::TtsWebui)).await;
        server.misbehave("*", mood);
        match in_time(adapter.observe()).await {
            // The list is read as JSON, whatever its type is said to be.
            Ok(_) => assert_eq!(mood, Mood::WrongType),
            Err(error) => assert!(
                error.message.contains(&server.address.to_string()) || error.message.contains("/v1/audio/models"),
                "{mood:?}: {error}"
            ),
        }
        server.behave();
        assert!(in_time(adapter.observe()).await.is_ok(), "{mood:?}");
    }
}

#[tokio::test]
async fn a_voice_of_the_options_that_is_not_listed_is_lacked_and_one_that_may_be_there_is_not() {
    for (kind, server_option, _) in KINDS {
        let (server, app) = start(Has::new(kind)).await;
        let lacks = async |voice: &str| {
            let adapter = adapter_of(&server, "2s", json!({"server": server_option, "voice": voice}));
            in_time(adapter.observe()).await.unwrap().lacks.remove("audio.tts")
        };
        assert_eq!(lacks("af_heart").await, None, "{kind:?}");
        let stranger = lacks("af_haert").await;
        match kind {
            Kind::Openedai => assert_eq!(stranger, None, "it lists no voices"),
            Kind::TtsWebui | Kind::Kokoro | Kind::Speaches => {
                let why = stranger.unwrap();
                assert!(why.contains("`af_haert`") && why.ends_with("did you mean `af_heart`?"), "{kind:?}: {why}");
            }
        }
        drop(app);
    }
}
