//! text-generation-webui, driven through its double: the conformance suite, and each quirk by its number in
//! `docs/adapters/textgen-webui.md`.

use std::path::Path;
use std::sync::Arc;

use arcology::act::runtime::{Adapter, Fault, Invocation, Progress};
use arcology::decide::view::ModelState;
use futures::FutureExt as _;
use serde_json::{Value, json};

use crate::double::server::{Mood, Server};
use crate::double::textgen_webui::{App, Has, start};

use super::conformance::{Asked, Subject, Work, conform};
use super::{adapter, in_time, invocation, spec, text_of_run};

/// All that observing may ask for.
pub const HARMLESS: &[&str] =
    &["GET /v1/internal/health", "GET /v1/internal/model/info", "GET /v1/internal/model/list"];

fn adapter_of(server: &Server, connect: &str, options: Value) -> Arc<dyn Adapter> {
    let limits = json!({"connect": connect, "load": "10s", "run": "10s"});
    let more = json!({"endpoint": server.endpoint(), "timeouts": limits, "options": options});
    adapter(Path::new("/nowhere"), &spec("textgen-webui", more)).unwrap()
}

async fn double_of(has: Has) -> (Server, App, Arc<dyn Adapter>) {
    let (server, app) = start(has).await;
    let adapter = adapter_of(&server, "2s", json!({}));
    (server, app, adapter)
}

fn chat(model: &str) -> Invocation {
    invocation("text.generate", Some(model), "Say hello.", json!({}))
}

async fn state(adapter: &Arc<dyn Adapter>, model: &str) -> ModelState {
    in_time(adapter.observe()).await.unwrap().model(model).unwrap().state
}

fn posts(server: &Server) -> Vec<String> {
    let asked = server.asked().into_iter().filter(|asked| asked.method == "POST");
    asked.map(|asked| asked.path.trim_start_matches("/v1/").to_owned()).collect()
}

#[tokio::test]
async fn textgen_webui_conforms() {
    let (server, app, adapter) = double_of(Has::default()).await;
    conform(&Subject {
        adapter,
        model: "a.gguf",
        work: Work::summary(),
        unload_behind_its_back: Some(Box::new(move || {
            app.change(|has| (has.named, has.is_there) = (None, false));
            async {}.boxed()
        })),
        asked: Some(Asked { log: Box::new(move || server.log()), harmless: HARMLESS }),
    })
    .await;
}

#[tokio::test]
async fn quirk_1_a_load_that_says_ok_and_failed_is_a_failure() {
    let (server, _app, adapter) = double_of(Has { broken: vec!["a.gguf"], ..Has::default() }).await;
    let error = in_time(adapter.load("a.gguf")).await.unwrap_err();
    assert!(error.fault == Fault::RuntimeError && error.message.contains("no model is there"), "{error}");
    assert_eq!(posts(&server), ["internal/model/load", "internal/token-count"]);
    assert_eq!(state(&adapter, "a.gguf").await, ModelState::Unloaded, "its name is told, and it is not there");
}

#[tokio::test]
async fn quirk_1_a_name_that_nobody_proved_is_unknown_and_proved_by_a_load() {
    let (server, _app, adapter) = double_of(Has::with("a.gguf")).await;
    assert_eq!(state(&adapter, "a.gguf").await, ModelState::Unknown);
    assert!(posts(&server).is_empty(), "looking does not count tokens");
    in_time(adapter.load("a.gguf")).await.unwrap();
    assert_eq!(posts(&server), ["internal/token-count"], "it was there, so it is not loaded again");
    assert_eq!(state(&adapter, "a.gguf").await, ModelState::Loaded);
}

#[tokio::test]
async fn quirk_2_a_name_that_stays_after_an_unload_is_no_model() {
    let has = Has { named: Some("a.gguf".to_owned()), ..Has::default() };
    let (_server, app, adapter) = double_of(has).await;
    in_time(adapter.unload("a.gguf")).await.unwrap();
    assert_eq!(state(&adapter, "a.gguf").await, ModelState::Unloaded);
    assert!(app.read(|has| has.named.is_some()), "the double keeps the stale name");
    in_time(adapter.load("a.gguf")).await.unwrap();
    assert_eq!(state(&adapter, "a.gguf").await, ModelState::Loaded);
}

#[tokio::test]
async fn quirk_3_a_wrong_name_is_never_sent_because_it_would_unload_the_model_that_is_there() {
    let (server, app, adapter) = double_of(Has::with("a.gguf")).await;
    let error = in_time(adapter.load("nope.gguf")).await.unwrap_err();
    assert_eq!(error.fault, Fault::NotFound, "{error}");
    assert!(posts(&server).is_empty() && app.read(|has| has.is_there));
}

#[tokio::test]
async fn quirk_3_loading_another_unloads_the_one_that_is_there_and_both_are_seen() {
    let (_server, _app, adapter) = double_of(Has::default()).await;
    in_time(adapter.load("a.gguf")).await.unwrap();
    in_time(adapter.load("b.gguf")).await.unwrap();
    assert_eq!(state(&adapter, "a.gguf").await, ModelState::Unloaded);
    assert_eq!(state(&adapter, "b.gguf").await, ModelState::Loaded);
}

#[tokio::test]
async fn quirk_4_a_server_that_is_silent_because_it_loads_is_loading_and_not_dead() {
    let (server, app) = start(Has { is_slow: true, ..Has::default() }).await;
    let adapter = adapter_of(&server, "200ms", json!({}));
    let look = async {
        app.until(|has| has.is_silent).await;
        let seen = state(&adapter, "a.gguf").await;
        app.change(|has| has.is_slow = false);
        seen
    };
    let (loaded, seen) = in_time(async { tokio::join!(adapter.load("a.gguf"), look) }).await;
    loaded.unwrap();
    assert_eq!(seen, ModelState::Loading);
    assert_eq!(state(&adapter, "a.gguf").await, ModelState::Loaded);
    // Silent without a load of ours it is not excused.
    app.change(|has| has.is_silent = true);
    assert_eq!(in_time(adapter.observe()).await.unwrap_err().fault, Fault::Timeout);
}

#[tokio::test]
async fn quirk_4_a_load_that_was_given_up_goes_on_and_is_found_out_afterwards() {
    let (server, app) = start(Has { is_slow: true, ..Has::default() }).await;
    let adapter = adapter_of(&server, "200ms", json!({}));
    {
        let silent = async { app.until(|has| has.is_silent).await };
        tokio::select! { _ = adapter.load("a.gguf") => panic!("it is slow"), () = silent => {} }
    }
    assert_eq!(state(&adapter, "a.gguf").await, ModelState::Loading);
    app.change(|has| (has.is_slow, has.is_silent) = (false, false));
    assert_eq!(state(&adapter, "a.gguf").await, ModelState::Unknown, "named, and not proved");
}

#[tokio::test]
async fn quirk_5_a_model_that_was_unloaded_for_being_idle_comes_back_with_the_next_task() {
    let (_server, app, adapter) = double_of(Has::default()).await;
    in_time(adapter.load("a.gguf")).await.unwrap();
    app.change(|has| (has.is_there, has.is_idle) = (false, true));
    assert_eq!(text_of_run(&adapter, chat("a.gguf")).await.unwrap(), "All is well.\n");
    assert!(app.read(|has| has.is_there));
}

#[tokio::test]
async fn quirk_6_another_server_on_its_port_is_not_taken_for_it() {
    let server = crate::double::openai::start(crate::double::openai::Has::default()).await;
    let adapter = adapter_of(&server, "2s", json!({}));
    for refused in [in_time(adapter.observe()).await.map(|_| ()), in_time(adapter.load("tiny")).await] {
        let error = refused.unwrap_err();
        assert!(error.fault == Fault::NotFound && error.message.contains("/v1/internal/model/"), "{error}");
    }
}

#[tokio::test]
async fn quirk_7_a_chat_that_breaks_off_is_a_failure_and_its_model_is_doubted() {
    let (_server, app, adapter) = double_of(Has::default()).await;
    in_time(adapter.load("a.gguf")).await.unwrap();
    app.change(|has| has.is_there = false);
    let error = text_of_run(&adapter, chat("a.gguf")).await.unwrap_err();
    assert!(error.fault == Fault::Unreachable && error.message.contains("broke off"), "{error}");
    assert_eq!(state(&adapter, "a.gguf").await, ModelState::Unknown);
}

#[tokio::test]
async fn quirk_8_no_queue_is_told() {
    let (_server, _app, adapter) = double_of(Has::with("a.gguf")).await;
    let view = in_time(adapter.observe()).await.unwrap();
    assert_eq!((view.in_flight, view.queued, view.version), (None, None, None));
    assert!(view.models.iter().all(|model| model.vram_gb.is_none() && model.context_tokens.is_none()));
}

#[tokio::test]
async fn quirk_9_the_model_of_a_request_is_ignored_so_the_right_one_is_loaded_before() {
    let (server, _app, adapter) = double_of(Has::default()).await;
    in_time(adapter.load("a.gguf")).await.unwrap();
    text_of_run(&adapter, chat("b.gguf")).await.unwrap();
    assert_eq!(posts(&server)[2..], ["internal/model/load", "internal/token-count", "chat/completions"]);
    assert_eq!(state(&adapter, "b.gguf").await, ModelState::Loaded);
}

#[tokio::test]
async fn quirk_10_refusals_keep_their_words_and_the_admin_key_is_asked_for() {
    let (_server, app, adapter) = double_of(Has { admin_key: Some("adm1n"), ..Has::with("a.gguf") }).await;
    let view = in_time(adapter.observe()).await.unwrap();
    assert!(view.degraded.as_deref().unwrap().contains("admin key") && view.models.len() == 1, "{view:?}");
    app.change(|has| has.key = Some("k3y"));
    let error = in_time(adapter.observe()).await.unwrap_err();
    assert!(error.fault == Fault::Refused && error.words.as_deref() == Some("Unauthorized"), "{error}");
    app.change(|has| has.refuses_host = true);
    let error = in_time(adapter.observe()).await.unwrap_err();
    assert!(error.fault == Fault::BadInput && error.words.as_deref() == Some("Invalid host header"), "{error}");
}

#[tokio::test]
async fn quirk_11_the_arguments_of_a_load_come_from_the_manifest_and_those_that_are_dropped_are_refused() {
    let (server, app) = start(Has::default()).await;
    let adapter_with = |args: Value| {
        let more = json!({"endpoint": server.endpoint(), "options": {"loadArgs": {"a.gguf": args}}});
        adapter(Path::new("/nowhere"), &spec("textgen-webui", more))
    };
    let adapter = adapter_with(json!({"ctx_size": 8192, "gpu_layers": -1})).unwrap();
    in_time(adapter.load("a.gguf")).await.unwrap();
    assert_eq!(app.read(|has| has.args.clone()), json!({"ctx_size": 8192, "gpu_layers": -1}));
    for (dropped, remedy) in
        [("n_gpu_layers", "`gpu_layers`"), ("extra_flags", "command line"), ("trust_remote_code", "command line")]
    {
        let error = adapter_with(json!({dropped: 1})).err().unwrap();
        assert!(error.fault == Fault::BadInput && error.message.contains(remedy), "{error}");
    }
}

#[tokio::test]
async fn quirk_12_what_lies_in_its_folder_is_listed_and_fails_only_when_it_is_loaded() {
    let (_server, _app, adapter) = double_of(Has { broken: vec!["dir-c"], ..Has::default() }).await;
    assert_eq!(state(&adapter, "dir-c").await, ModelState::Unloaded);
    assert!(in_time(adapter.load("dir-c")).await.is_err());
}

#[tokio::test]
async fn a_chat_that_is_dropped_closes_its_connection() {
    let (server, app, adapter) = double_of(Has { holds: true, ..Has::default() }).await;
    in_time(adapter.load("a.gguf")).await.unwrap();
    {
        let run = adapter.run(chat("a.gguf"), Progress::ignored());
        let begun = async {
            while !posts(&server).contains(&"chat/completions".to_owned()) {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! { _ = run => panic!("it holds"), () = begun => {} }
    }
    in_time(app.until(|has| has.abandoned == 1)).await;
}

#[tokio::test]
async fn on_a_bad_day_every_look_ends_in_an_error_that_names_the_place() {
    for mood in Mood::ALL {
        let (server, _app, adapter) = double_of(Has::default()).await;
        server.misbehave("*", mood);
        match in_time(adapter.observe()).await {
            // The answers are read as JSON, whatever their type is said to be.
            Ok(_) => assert_eq!(mood, Mood::WrongType),
            Err(error) => assert!(
                error.message.contains(&server.address.to_string()) || error.message.contains("/v1/internal/"),
                "{mood:?}: {error}"
            ),
        }
        server.behave();
        assert!(in_time(adapter.observe()).await.is_ok(), "{mood:?}");
    }
}
