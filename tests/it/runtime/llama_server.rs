//! llama.cpp's server, driven through its double: the conformance suite with a router, and each quirk by its number in
//! `docs/adapters/llama-server.md`, with a router and with a single model.

use std::path::Path;
use std::sync::{Arc, Mutex};

use arcology::act::runtime::{Adapter, Fault, Invocation, Progress, RuntimeEvent};
use arcology::decide::view::ModelState;
use futures::{FutureExt as _, StreamExt as _};
use serde_json::{Value, json};

use crate::double::llama_server::{Double, Has, Says};
use crate::double::server::Mood;

use super::conformance::{Asked, Subject, Work, conform, conform_with_one_model};
use super::{adapter, in_time, invocation, spec, text_of_run};

/// All that observing may ask for.
pub const HARMLESS: &[&str] = &["GET /health", "GET /metrics", "GET /models", "GET /models/sse", "GET /props"];
pub const QWEN: &str = "org/qwen:7b";

fn adapter_of(double: &Double, options: Value) -> Arc<dyn Adapter> {
    let limits = json!({"connect": "3s", "load": "20s", "run": "20s"});
    let more = json!({"endpoint": double.server.endpoint(), "timeouts": limits, "options": options});
    adapter(Path::new("/nowhere"), &spec("llama-server", more)).unwrap()
}

async fn double_of(has: Has) -> (Double, Arc<dyn Adapter>) {
    let double = Double::start(has).await;
    let adapter = adapter_of(&double, json!({}));
    (double, adapter)
}

/// A server of a single model.
fn single() -> Has {
    Has { router: false, models: vec!["tiny"], ..Has::default() }
}

fn chat(model: &str) -> Invocation {
    invocation("text.generate", Some(model), "Say hello.", json!({}))
}

async fn state(adapter: &Arc<dyn Adapter>, model: &str) -> ModelState {
    in_time(adapter.observe()).await.unwrap().model(model).unwrap().state
}

#[tokio::test]
async fn a_router_conforms_with_and_without_autoload() {
    for autoload in [true, false] {
        let double = Arc::new(Double::start(Has { autoload, ..Has::default() }).await);
        let adapter = adapter_of(&double, json!({}));
        let (other, asked) = (double.clone(), double.clone());
        conform(&Subject {
            adapter,
            model: QWEN,
            work: Work::summary(),
            unload_behind_its_back: Some(Box::new(move || {
                let double = other.clone();
                async move { double.set(QWEN, "unloaded") }.boxed()
            })),
            asked: Some(Asked { log: Box::new(move || asked.server.log()), harmless: HARMLESS }),
        })
        .await;
    }
}

#[tokio::test]
async fn a_single_model_conforms() {
    let (double, adapter) = double_of(single()).await;
    let asked = Some(Asked { log: Box::new(move || double.server.log()), harmless: HARMLESS });
    conform_with_one_model(Subject {
        adapter,
        model: "tiny",
        work: Work::summary(),
        unload_behind_its_back: None,
        asked,
    })
    .await;
}

#[tokio::test]
async fn a_single_model_is_observed_used_and_never_unloaded() {
    let (double, adapter) = double_of(single()).await;
    let view = in_time(adapter.observe()).await.unwrap();
    let tiny = view.model("tiny-alias").unwrap();
    assert_eq!((tiny.name.as_str(), tiny.state, tiny.context_tokens), ("tiny", ModelState::Loaded, Some(8192)));
    assert_eq!((view.version.as_deref(), tiny.vram_gb), (Some("b10500-0c1e57098"), None));
    in_time(adapter.load("tiny-alias")).await.unwrap();
    let error = in_time(adapter.unload("tiny")).await.unwrap_err();
    assert!(error.fault == Fault::BadInput && error.message.contains("--sleep-idle-seconds"), "{error}");
    // The server itself would answer for any name.
    for refused in [in_time(adapter.load("x")).await, text_of_run(&adapter, chat("x")).await.map(|_| ())] {
        assert_eq!(refused.unwrap_err().fault, Fault::NotFound);
    }
    let any = invocation("text.generate", None, "Say hello.", json!({}));
    assert_eq!(text_of_run(&adapter, any).await.unwrap(), "All is well.\n");
    let mut events = in_time(adapter.events()).await.unwrap();
    assert_eq!(in_time(events.next()).await.unwrap().unwrap(), RuntimeEvent::Changed);
    drop(double);
}

#[tokio::test]
async fn quirk_1_503_means_starting_or_no_free_slot_and_the_two_are_told_apart() {
    let (double, adapter) = double_of(single()).await;
    double.starting(true);
    let view = in_time(adapter.observe()).await.unwrap();
    assert!(view.degraded.unwrap().contains("still loading") && view.models.is_empty());
    let error = text_of_run(&adapter, chat("tiny")).await.unwrap_err();
    assert!(error.fault == Fault::Busy && error.to_string().contains("still loading"), "{error}");
    double.starting(false);
    assert_eq!(state(&adapter, "tiny").await, ModelState::Loaded);
    double.starting(true);
    assert_eq!(state(&adapter, "tiny").await, ModelState::Loading);
    let error = text_of_run(&adapter, chat("tiny")).await.unwrap_err();
    assert!(error.fault == Fault::Busy && error.words.as_deref() == Some("Loading model"), "{error}");

    let (_full, adapter) = double_of(Has { says: Says::NoSlot, ..single() }).await;
    let error = text_of_run(&adapter, chat("tiny")).await.unwrap_err();
    assert!(error.fault == Fault::Busy && error.message.contains("slots are taken"), "{error}");
}

#[tokio::test]
async fn quirk_1_a_load_waits_until_the_server_has_started() {
    let (double, adapter) = double_of(single()).await;
    double.starting(true);
    let meanwhile = async {
        while double.server.log().is_empty() {
            tokio::task::yield_now().await;
        }
        double.starting(false);
    };
    let (loaded, ()) = in_time(async { tokio::join!(adapter.load("tiny"), meanwhile) }).await;
    loaded.unwrap();
}

#[tokio::test]
async fn quirk_2_a_load_that_fails_tells_the_exit_code_and_where_to_look() {
    let (_double, adapter) = double_of(Has { broken: vec!["other"], ..Has::default() }).await;
    let error = in_time(adapter.load("other")).await.unwrap_err();
    assert!(error.fault == Fault::RuntimeError && error.message.contains("exit code 1"), "{error}");
    let error = text_of_run(&adapter, chat("other")).await.unwrap_err();
    assert_eq!((error.fault, error.words.as_deref()), (Fault::RuntimeError, Some("model name=other failed to load")));
}

#[tokio::test]
async fn quirk_3_events_begin_with_a_look_and_what_cannot_be_read_is_a_gap() {
    let (double, adapter) = double_of(Has::default()).await;
    let mut events = in_time(adapter.events()).await.unwrap();
    let mut next = async || in_time(events.next()).await.unwrap().unwrap();
    assert_eq!(next().await, RuntimeEvent::Changed);
    double.set("other", "loaded");
    assert_eq!(next().await, RuntimeEvent::Changed);
    double.tell(
        "data: {\"model\":\"other\",\"event\":\"download_progress\",\"data\":{\"u\":{\"done\":1,\"total\":4}}}\n\n",
    );
    assert_eq!(next().await, RuntimeEvent::Log("other: 25 % downloaded".to_owned()));
    double.tell("data: {oops\n\n");
    assert_eq!(next().await, RuntimeEvent::Gap { missed: None });
    drop(events);
    // The double hears that nobody listens with its next word.
    while double.listeners() > 0 {
        double.tell(":\n\n");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn quirk_4_an_unknown_model_is_not_found_whatever_the_status() {
    let (double, adapter) = double_of(Has::default()).await;
    assert_eq!(text_of_run(&adapter, chat(QWEN)).await.unwrap(), "All is well.\n");
    for refused in [in_time(adapter.load("x")).await, in_time(adapter.unload("x")).await] {
        assert_eq!(refused.unwrap_err().fault, Fault::NotFound);
    }
    let error = text_of_run(&adapter, chat("othr")).await.unwrap_err();
    assert!(error.fault == Fault::NotFound && error.message.contains("did you mean `other`"), "{error}");
    drop(double);
}

#[tokio::test]
async fn quirk_5_loading_and_unloading_are_done_when_they_are_seen_and_not_when_they_are_promised() {
    let (double, adapter) = double_of(Has::default()).await;
    double.hold(QWEN);
    let wait_for = async |line: &str| {
        while !double.server.asked().iter().any(|asked| asked.line() == line) {
            tokio::task::yield_now().await;
        }
    };
    let mut load = adapter.load(QWEN);
    tokio::select! {
        loaded = &mut load => panic!("{loaded:?}"),
        () = wait_for("POST /models/load") => {}
    }
    assert_eq!(state(&adapter, QWEN).await, ModelState::Loading);
    // Another load of the same model is "already running", and waits too.
    double.release(QWEN);
    let (first, second) = in_time(async { tokio::join!(load, adapter.load(QWEN)) }).await;
    first.and(second).unwrap();
    double.hold(QWEN);
    let mut unload = adapter.unload(QWEN);
    tokio::select! {
        unloaded = &mut unload => panic!("{unloaded:?}"),
        () = wait_for("POST /models/unload") => {}
    }
    assert_eq!(double.value(QWEN), "loaded", "no word says that it is stopping");
    double.release(QWEN);
    in_time(unload).await.unwrap();
    assert_eq!(double.value(QWEN), "unloaded");
}

#[tokio::test]
async fn quirk_5_the_limit_of_models_is_busy() {
    let (_double, adapter) = double_of(Has { models_max: 1, ..Has::default() }).await;
    in_time(adapter.load(QWEN)).await.unwrap();
    let error = in_time(adapter.load("other")).await.unwrap_err();
    assert!(error.fault == Fault::Busy && error.message.contains("--models-max"), "{error}");
}

#[tokio::test]
async fn quirk_6_looking_neither_loads_nor_wakes_and_loading_wakes() {
    let (double, adapter) = double_of(Has::default()).await;
    double.set(QWEN, "sleeping");
    for _ in 0..2 {
        assert_eq!((state(&adapter, QWEN).await, double.value(QWEN)), (ModelState::Unloaded, "sleeping"));
        assert_eq!((state(&adapter, "other").await, double.value("other")), (ModelState::Unloaded, "unloaded"));
    }
    in_time(adapter.load(QWEN)).await.unwrap();
    assert_eq!(double.value(QWEN), "loaded");
    double.set(QWEN, "sleeping");
    in_time(adapter.unload(QWEN)).await.unwrap();
    assert_eq!(double.value(QWEN), "unloaded");

    let (double, adapter) = double_of(single()).await;
    double.sleeping(true);
    assert_eq!((state(&adapter, "tiny").await, double.is_sleeping()), (ModelState::Unloaded, true));
    in_time(adapter.unload("tiny")).await.unwrap();
    in_time(adapter.load("tiny")).await.unwrap();
    assert_eq!((state(&adapter, "tiny").await, double.is_sleeping()), (ModelState::Loaded, false));

    let (double, adapter) = double_of(Has { slots: false, ..single() }).await;
    double.sleeping(true);
    let error = in_time(adapter.load("tiny")).await.unwrap_err();
    assert!(error.fault == Fault::BadInput && error.message.contains("--no-slots"), "{error}");
}

#[tokio::test]
async fn quirk_7_the_queue_is_told_with_metrics_and_absent_without() {
    let counted = async |has: Has, options: Value| {
        let double = Double::start(has).await;
        for id in ["other", QWEN].into_iter().filter(|_| double.is_router()) {
            double.set(id, "loaded");
        }
        let view = in_time(adapter_of(&double, options).observe()).await.unwrap();
        (view.in_flight, view.queued)
    };
    assert_eq!(counted(single(), json!({})).await, (Some(2), Some(1)));
    assert_eq!(counted(Has::default(), json!({})).await, (Some(4), Some(2)), "of two models");
    assert_eq!(counted(Has { metrics: false, ..single() }, json!({})).await, (None, None));
    assert_eq!(counted(Has { metrics: false, ..Has::default() }, json!({})).await, (None, None));
    assert_eq!(counted(single(), json!({"metrics": false})).await, (None, None));
}

#[tokio::test]
async fn quirks_8_and_10_the_context_is_what_one_slot_really_has() {
    let (_double, adapter) = double_of(single()).await;
    let view = in_time(adapter.observe()).await.unwrap();
    assert_eq!(view.models[0].context_tokens, Some(8192), "and not the 32768 of the list");
}

#[tokio::test]
async fn quirk_11_the_numbers_and_the_progress_of_the_prompt_are_kept_wherever_they_are() {
    let (double, adapter) = double_of(single()).await;
    let said = Arc::new(Mutex::new(Vec::new()));
    let heard = said.clone();
    let progress = Progress::new(move |line: &str| heard.lock().unwrap().push(line.to_owned()));
    let outcome = in_time(adapter.run(chat("tiny"), progress)).await.unwrap();
    assert_eq!((outcome.figures["prompt_tokens"], outcome.figures["tokens_per_s"]), (31.0, 96.2));
    assert!(outcome.figures["time_to_first_token_ms"] >= 0.0);
    assert_eq!(*said.lock().unwrap(), ["16 of 31 tokens of the prompt read", "the answer begins"]);
    assert_eq!(double.server.asked().last().unwrap().json()["return_progress"], json!(true));
}

#[tokio::test]
async fn quirk_12_arguments_and_presets_are_shown_nowhere() {
    for has in [Has::default(), single()] {
        let (_double, adapter) = double_of(has).await;
        assert!(!format!("{:?}", in_time(adapter.observe()).await.unwrap()).contains("s3cret"));
    }
}

#[tokio::test]
async fn quirk_13_a_model_that_is_downloading_cannot_be_loaded_yet() {
    let (double, adapter) = double_of(Has::default()).await;
    double.set("other", "downloading");
    assert_eq!(in_time(adapter.load("other")).await.unwrap_err().fault, Fault::Busy);
    in_time(adapter.unload("other")).await.unwrap();
    assert_eq!(double.value("other"), "downloading", "and it is not cancelled");
}

#[tokio::test]
async fn a_task_that_is_dropped_closes_the_connection_and_an_error_inside_is_an_error() {
    let (double, adapter) = double_of(Has { says: Says::Holds, ..single() }).await;
    let (tx, mut begun) = tokio::sync::mpsc::unbounded_channel();
    let progress = Progress::new(move |_: &str| {
        let _ = tx.send(());
    });
    let mut task = adapter.run(chat("tiny"), progress);
    tokio::select! {
        outcome = &mut task => panic!("{outcome:?}"),
        _ = begun.recv() => {}
    }
    drop(task);
    in_time(async {
        while double.abandoned() == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let (_double, adapter) = double_of(Has { says: Says::ErrorInside, ..single() }).await;
    let error = text_of_run(&adapter, chat("tiny")).await.unwrap_err();
    assert_eq!((error.fault, error.words.as_deref()), (Fault::RuntimeError, Some("context shift failed")));
}

#[tokio::test]
async fn vectors_come_from_a_server_that_was_started_for_them_and_others_say_so() {
    let vectors = || invocation("text.embed", Some("tiny"), "x", json!({}));
    let (_double, adapter) = double_of(single()).await;
    assert!(text_of_run(&adapter, vectors()).await.unwrap().contains("\"dimensions\""));
    let (_double, adapter) = double_of(Has { embeddings: false, ..single() }).await;
    let error = text_of_run(&adapter, vectors()).await.unwrap_err();
    assert!(error.fault == Fault::BadInput && error.to_string().contains("--embeddings"), "{error}");
}

#[tokio::test]
async fn quirk_9_the_token_goes_along_with_every_look() {
    let double = Double::start(single()).await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("credentials")).unwrap();
    std::fs::write(folder.path().join("credentials/key"), "s3cret\n").unwrap();
    let more = json!({"endpoint": double.server.endpoint(), "auth": {"tokenFrom": {"file": "key"}}});
    in_time(adapter(folder.path(), &spec("llama-server", more)).unwrap().observe()).await.unwrap();
    assert!(double.server.asked().iter().all(|asked| asked.headers["authorization"] == "Bearer s3cret"));
}

#[tokio::test]
async fn on_a_bad_day_every_look_ends_in_an_error_that_names_the_place() {
    for has in [Has::default(), single()] {
        for mood in Mood::ALL {
            let (double, adapter) = double_of(has.clone()).await;
            double.server.misbehave("*", mood);
            match in_time(adapter.observe()).await {
                // What is asked for as JSON is read as JSON, whatever its type is said to be.
                Ok(_) => assert_eq!(mood, Mood::WrongType),
                Err(error) => assert!(
                    error.message.contains(&double.server.address.to_string()) || error.message.contains("/props"),
                    "{mood:?}: {error}"
                ),
            }
            double.server.behave();
            assert!(in_time(adapter.observe()).await.is_ok(), "{mood:?}");
            double.server.misbehave("GET /health", mood);
            let view = in_time(adapter.observe()).await.unwrap();
            assert_eq!(
                view.degraded.is_some(),
                matches!(mood, Mood::Hangs | Mood::Half | Mood::Fails | Mood::Huge | Mood::Redirects),
                "{mood:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_server_that_refused_vectors_lacks_them_until_it_makes_some_or_was_away() {
    let (double, adapter) = double_of(Has { embeddings: false, ..single() }).await;
    let lacks = async || in_time(adapter.observe()).await.unwrap().lacks.remove("text.embed");
    assert_eq!(lacks().await, None, "nobody asked yet, and looking does not tell");
    let task = || invocation("text.embed", Some("tiny"), "A cat.", json!({}));
    in_time(adapter.run(task(), Progress::ignored())).await.unwrap_err();
    assert!(lacks().await.unwrap().contains("--embeddings"));
    double.server.misbehave("*", Mood::Fails);
    in_time(adapter.observe()).await.unwrap_err();
    double.server.behave();
    assert_eq!(lacks().await, None);
}
