//! vLLM, driven through its double: the conformance suite, and each quirk by its number in `docs/adapters/vllm.md`.

use std::path::Path;
use std::sync::{Arc, Mutex};

use arcology::act::runtime::{Adapter, Fault, Invocation, Progress};
use arcology::decide::view::ModelState;
use futures::FutureExt as _;
use serde_json::{Value, json};

use crate::double::port;
use crate::double::server::{Mood, Server};
use crate::double::vllm::{App, Has, start, start_at};

use super::conformance::{Asked, Subject, Work, conform};
use super::{adapter, in_time, invocation, spec, text_of_run};

/// All that observing may ask for.
pub const HARMLESS: &[&str] =
    &["GET /health", "GET /is_paused", "GET /is_sleeping", "GET /metrics", "GET /v1/models", "GET /version"];

fn adapter_of(server: &Server, options: Value) -> Arc<dyn Adapter> {
    let limits = json!({"connect": "2s", "load": "10s", "run": "10s"});
    let more = json!({"endpoint": server.endpoint(), "timeouts": limits, "options": options});
    adapter(Path::new("/nowhere"), &spec("vllm", more)).unwrap()
}

async fn double_of(has: Has) -> (Server, App, Arc<dyn Adapter>) {
    let (server, app) = start(has).await;
    let adapter = adapter_of(&server, json!({}));
    (server, app, adapter)
}

fn chat() -> Invocation {
    invocation("text.generate", Some("qwen3"), "Say hello.", json!({}))
}

async fn state(adapter: &Arc<dyn Adapter>) -> ModelState {
    in_time(adapter.observe()).await.unwrap().model("qwen3").unwrap().state
}

fn posts(server: &Server) -> Vec<String> {
    let asked = server.asked().into_iter().filter(|asked| asked.method == "POST");
    asked.map(|asked| format!("{}?{}", asked.path, asked.query)).collect()
}

#[tokio::test]
async fn vllm_conforms_in_both_levels_of_sleep_with_and_without_the_gauge() {
    for (level, has) in [
        ("weights-offloaded", Has::default()),
        ("discard-all", Has::default()),
        ("weights-offloaded", Has { has_gauge: false, is_old: true, ..Has::default() }),
        ("discard-all", Has { has_gauge: false, is_old: true, ..Has::default() }),
    ] {
        let (server, app) = start(Has { level: 1, ..has }).await;
        let adapter = adapter_of(&server, json!({"sleepLevel": level}));
        conform(&Subject {
            adapter,
            model: "qwen3",
            work: Work::summary(),
            unload_behind_its_back: Some(Box::new(move || {
                app.change(|has| has.level = 1);
                async {}.boxed()
            })),
            asked: Some(Asked { log: Box::new(move || server.log()), harmless: HARMLESS }),
        })
        .await;
    }
}

#[tokio::test]
async fn vectors_come_from_the_embeddings_route() {
    let (_server, _app, adapter) = double_of(Has::default()).await;
    let vectors = text_of_run(&adapter, invocation("text.embed", None, "four", json!({}))).await.unwrap();
    assert!(vectors.contains("\"vector\":[4.0,0.5]"), "{vectors}");
}

#[tokio::test]
async fn the_figures_of_a_run_are_those_that_the_server_measured() {
    let (_server, _app, adapter) = double_of(Has { metrics_per_request: true, ..Has::default() }).await;
    let figures = in_time(adapter.run(chat(), Progress::ignored())).await.unwrap().figures;
    for (name, value) in
        [("prompt_tokens", 12.0), ("tokens", 3.0), ("tokens_per_s", 98.4), ("queue_ms", 2.5), ("generation_ms", 30.5)]
    {
        assert_eq!(figures.get(name), Some(&value), "{figures:?}");
    }
    assert!(figures.contains_key("time_to_first_token_ms"));
}

#[tokio::test]
async fn quirk_1_until_the_model_is_there_nobody_answers_and_then_it_is_seen() {
    let address = port::free();
    let endpoint = json!({"endpoint": format!("http://{address}")});
    let adapter = adapter(Path::new("/nowhere"), &spec("vllm", endpoint)).unwrap();
    for refused in [in_time(adapter.observe()).await.map(|_| ()), in_time(adapter.load("qwen3")).await] {
        assert_eq!(refused.unwrap_err().fault, Fault::Unreachable);
    }
    let (_server, _app) = start_at(address, Has::default()).await;
    assert_eq!(state(&adapter).await, ModelState::Loaded);
}

#[tokio::test]
async fn quirk_2_a_green_health_check_says_nothing_of_sleep() {
    for level in [1, 2] {
        let (_server, _app, adapter) = double_of(Has { level, ..Has::default() }).await;
        let view = in_time(adapter.observe()).await.unwrap();
        assert_eq!((view.models[0].state, view.degraded), (ModelState::Unloaded, None));
    }
}

#[tokio::test]
async fn quirk_3_sleep_is_open_to_everybody_and_yet_nothing_is_changed_with_a_wrong_token() {
    let (server, app, adapter) = double_of(Has { key: Some("s3cret"), level: 1, ..Has::default() }).await;
    let error = in_time(adapter.load("qwen3")).await.unwrap_err();
    assert!(error.fault == Fault::Refused && error.words.as_deref() == Some("Unauthorized"), "{error}");
    assert_eq!((posts(&server), app.read(|has| has.level)), (Vec::new(), 1));
}

#[tokio::test]
async fn quirk_4_a_request_does_not_wake_it_so_it_is_woken_first() {
    let (server, _app, adapter) = double_of(Has { level: 1, ..Has::default() }).await;
    let said: Arc<Mutex<Vec<String>>> = Arc::default();
    let heard = said.clone();
    let progress = Progress::new(move |line| heard.lock().unwrap().push(line.to_owned()));
    in_time(adapter.run(chat(), progress)).await.unwrap();
    assert_eq!(said.lock().unwrap()[0], "waking qwen3");
    assert_eq!(posts(&server), ["/wake_up?", "/v1/chat/completions?"]);
}

#[tokio::test]
async fn quirk_4_a_paused_engine_is_degraded_and_busy_and_nobody_waits_in_silence() {
    for mode in ["abort", "wait", "keep"] {
        let (server, _app, adapter) = double_of(Has { paused: Some(mode), ..Has::default() }).await;
        let view = in_time(adapter.observe()).await.unwrap();
        assert!(view.degraded.as_deref().unwrap().contains("paused"), "{view:?}");
        assert_eq!(view.models[0].state, ModelState::Loaded, "its memory is taken");
        let error = text_of_run(&adapter, chat()).await.unwrap_err();
        assert_eq!(error.fault, Fault::Busy, "{error}");
        assert!(posts(&server).is_empty());
    }
}

#[tokio::test]
async fn quirk_5_memory_is_reserved_so_none_is_told() {
    let (_server, _app, adapter) = double_of(Has::default()).await;
    let view = in_time(adapter.observe()).await.unwrap();
    assert_eq!((view.models[0].vram_gb, view.models[0].expires_at), (None, None));
    assert_eq!(view.version.as_deref(), Some("0.33.0"));
}

#[tokio::test]
async fn quirk_6_another_model_is_another_process_and_said_so() {
    let (server, _app, adapter) = double_of(Has::default()).await;
    let error = in_time(adapter.load("llama3")).await.unwrap_err();
    assert!(error.fault == Fault::NotFound && error.message.contains("another vLLM"), "{error}");
    assert!(posts(&server).is_empty());
}

#[tokio::test]
async fn quirk_7_the_queue_is_read_from_the_gauges() {
    let (server, _app, adapter) = double_of(Has { running: 2, waiting: 5, ..Has::default() }).await;
    let view = in_time(adapter.observe()).await.unwrap();
    assert_eq!((view.in_flight, view.queued), (Some(2), Some(5)));
    assert!(!server.log().iter().any(|(_, path)| path == "/load"));
}

#[tokio::test]
async fn quirk_8_empty_answers_of_older_versions_are_enough() {
    let (_server, app, adapter) = double_of(Has { is_old: true, has_gauge: false, ..Has::default() }).await;
    in_time(adapter.unload("qwen3")).await.unwrap();
    assert_eq!(app.read(|has| has.level), 1);
    in_time(adapter.load("qwen3")).await.unwrap();
    assert_eq!(app.read(|has| has.level), 0);
}

#[tokio::test]
async fn quirk_9_a_model_must_be_named_exactly_and_the_nearest_is_told() {
    let (server, _app, adapter) = double_of(Has { names: vec!["qwen3", "gpt"], ..Has::default() }).await;
    let error = text_of_run(&adapter, Invocation { model: Some("qwen".to_owned()), ..chat() }).await.unwrap_err();
    assert!(error.fault == Fault::NotFound && error.message.contains("did you mean `qwen3`?"), "{error}");
    assert!(posts(&server).is_empty());
    let named = in_time(adapter.run(Invocation { model: Some("gpt".to_owned()), ..chat() }, Progress::ignored()));
    assert_eq!(named.await.unwrap().model.as_deref(), Some("gpt"));
    let unnamed = in_time(adapter.run(Invocation { model: None, ..chat() }, Progress::ignored())).await.unwrap();
    assert_eq!(unnamed.model.as_deref(), Some("qwen3"), "its first name is the model, the others lead to it");
}

#[tokio::test]
async fn quirk_10_a_dead_engine_is_degraded_and_nothing_is_claimed_of_its_model() {
    let (_server, _app, adapter) = double_of(Has { is_dead: true, ..Has::default() }).await;
    let view = in_time(adapter.observe()).await.unwrap();
    assert!(view.degraded.as_deref().unwrap().contains("HTTP 503"), "{view:?}");
    assert_eq!(view.models[0].state, ModelState::Unknown);
}

#[tokio::test]
async fn quirk_11_weights_that_were_dropped_are_read_again_before_requests_are_let_in() {
    for options in [json!({}), json!({"sleepLevel": "discard-all"})] {
        let (server, app) = start(Has { level: 2, weights_are_right: false, ..Has::default() }).await;
        let adapter = adapter_of(&server, options);
        in_time(adapter.load("qwen3")).await.unwrap();
        assert_eq!(posts(&server), ["/wake_up?tags=weights", "/collective_rpc?", "/wake_up?tags=kv_cache"]);
        assert!(app.read(|has| has.weights_are_right));
        assert_eq!(text_of_run(&adapter, chat()).await.unwrap(), "All is well.\n");
    }
}

#[tokio::test]
async fn quirk_11_an_engine_whose_weights_cannot_be_read_again_goes_back_to_sleep() {
    let has = Has { level: 2, weights_are_right: false, reload_fails: true, ..Has::default() };
    let (_server, app, adapter) = double_of(has).await;
    for failed in [in_time(adapter.load("qwen3")).await, text_of_run(&adapter, chat()).await.map(|_| ())] {
        let error = failed.unwrap_err();
        assert!(error.fault == Fault::RuntimeError && error.to_string().contains("model.safetensors"), "{error}");
        assert_eq!(app.read(|has| has.level), 2);
    }
}

#[tokio::test]
async fn quirk_12_figures_of_several_engines_are_summed() {
    let (_server, _app, adapter) = double_of(Has { engines: 3, running: 2, waiting: 1, ..Has::default() }).await;
    let view = in_time(adapter.observe()).await.unwrap();
    assert_eq!((view.in_flight, view.queued), (Some(6), Some(3)));
}

#[tokio::test]
async fn a_server_without_sleep_mode_is_loaded_and_says_what_it_needs_to_sleep() {
    for (dev_mode, sleep_mode) in [(false, false), (true, false)] {
        let (_server, _app, adapter) = double_of(Has { dev_mode, sleep_mode, ..Has::default() }).await;
        in_time(adapter.load("qwen3")).await.unwrap();
        let error = in_time(adapter.unload("qwen3")).await.unwrap_err();
        assert!(error.fault == Fault::BadInput && error.message.contains("--enable-sleep-mode"), "{error}");
        assert_eq!(state(&adapter).await, ModelState::Loaded);
    }
}

#[tokio::test]
async fn a_sleep_that_is_answered_with_success_but_not_seen_is_a_failure() {
    let (_server, app, adapter) = double_of(Has { lies: true, ..Has::default() }).await;
    let error = in_time(adapter.unload("qwen3")).await.unwrap_err();
    assert!(error.message.contains("should be unloaded and is loaded"), "{error}");
    app.change(|has| has.level = 1);
    let error = in_time(adapter.load("qwen3")).await.unwrap_err();
    assert!(error.message.contains("should be loaded and is unloaded"), "{error}");
}

#[tokio::test]
async fn a_sleep_that_takes_longer_than_it_may_is_a_timeout_and_no_success() {
    let (server, app) = start(Has { is_slow: true, ..Has::default() }).await;
    let more = json!({"endpoint": server.endpoint(), "timeouts": {"connect": "2s", "load": "100ms", "run": "10s"}});
    let adapter = adapter(Path::new("/nowhere"), &spec("vllm", more)).unwrap();
    let error = in_time(adapter.unload("qwen3")).await.unwrap_err();
    assert_eq!(error.fault, Fault::Timeout, "{error}");
    app.change(|has| has.is_slow = false);
}

#[tokio::test]
async fn sleep_ends_what_runs_or_waits_for_it_as_the_options_say() {
    let (server, app, adapter) = double_of(Has { holds: true, ..Has::default() }).await;
    let asleep = async {
        app.until(|has| has.running == 1).await;
        adapter.unload("qwen3").await
    };
    let (ran, asleep) = in_time(async { tokio::join!(adapter.run(chat(), Progress::ignored()), asleep) }).await;
    asleep.unwrap();
    let error = ran.unwrap_err();
    assert!(error.fault == Fault::RuntimeError && error.to_string().contains("aborted"), "{error}");
    assert!(posts(&server).contains(&"/sleep?level=1&mode=abort".to_owned()));

    let (server, app) = start(Has { running: 1, ..Has::default() }).await;
    let adapter = adapter_of(&server, json!({"sleepMode": "wait"}));
    let ends = async {
        while !posts(&server).contains(&"/sleep?level=1&mode=wait".to_owned()) {
            tokio::task::yield_now().await;
        }
        app.change(|has| has.running = 0);
    };
    let (asleep, ()) = in_time(async { tokio::join!(adapter.unload("qwen3"), ends) }).await;
    asleep.unwrap();
}

#[tokio::test]
async fn a_chat_that_is_dropped_closes_its_connection() {
    let (_server, app, adapter) = double_of(Has { holds: true, ..Has::default() }).await;
    {
        let run = adapter.run(chat(), Progress::ignored());
        let begun = async { app.until(|has| has.running == 1).await };
        tokio::select! { _ = run => panic!("it holds"), () = begun => {} }
    }
    in_time(app.until(|has| has.abandoned == 1 && has.running == 0)).await;
}

#[tokio::test]
async fn a_lora_adapter_wakes_its_model_and_cannot_be_put_to_sleep_alone() {
    let (server, _app, adapter) = double_of(Has { lora: Some("my-lora"), level: 1, ..Has::default() }).await;
    in_time(adapter.load("my-lora")).await.unwrap();
    assert_eq!(state(&adapter).await, ModelState::Loaded);
    let before = posts(&server).len();
    let error = in_time(adapter.unload("my-lora")).await.unwrap_err();
    assert!(error.fault == Fault::BadInput && error.message.contains("`qwen3`"), "{error}");
    assert_eq!(posts(&server).len(), before);
    let unnamed = in_time(adapter.run(Invocation { model: None, ..chat() }, Progress::ignored())).await.unwrap();
    assert_eq!(unnamed.model.as_deref(), Some("qwen3"));
}

#[tokio::test]
async fn on_a_bad_day_every_look_ends_in_an_error_that_names_the_place() {
    for mood in Mood::ALL {
        let (server, _app, adapter) = double_of(Has::default()).await;
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

#[tokio::test]
async fn gauges_that_cannot_be_read_leave_the_state_to_what_else_is_told() {
    for mood in Mood::ALL {
        let (server, _app, adapter) = double_of(Has { level: 1, ..Has::default() }).await;
        server.misbehave("GET /metrics", mood);
        let view = in_time(adapter.observe()).await.unwrap();
        // Sleeping and paused at once may be either: only a gauge can tell.
        let expected = match mood {
            Mood::WrongType => ModelState::Unloaded,
            _ => ModelState::Unknown,
        };
        assert_eq!(view.models[0].state, expected, "{mood:?}");
    }
}
