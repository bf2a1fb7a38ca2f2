//! llama-swap, driven through its double: the conformance suite for every version, and each quirk by its number in
//! `docs/adapters/llama-swap.md`.

use std::path::Path;
use std::sync::{Arc, Mutex};

use arcology::act::runtime::{Adapter, Fault, Invocation, Progress, RuntimeEvent};
use arcology::decide::view::ModelState;
use futures::{FutureExt as _, StreamExt as _};
use serde_json::{Value, json};

use crate::double::llama_swap::{Double, Model, Serves, Version};

use super::conformance::{Asked, Subject, Work, conform};
use super::{adapter, file, in_time, invocation, spec, text_of_run};

pub const VERSIONS: [Version; 5] = [Version::V234, Version::V235, Version::V238, Version::V250, Version::Newer];

/// All that observing may ask for.
pub const HARMLESS: &[&str] = &[
    "GET /api/events",
    "GET /api/metrics",
    "GET /api/metrics/activity",
    "GET /api/performance",
    "GET /api/version",
    "GET /health",
    "GET /running",
    "GET /v1/models",
];

/// An adapter of the double, with options and short limits where a test gives them.
fn adapter_of(double: &Double, more: Value) -> Arc<dyn Adapter> {
    let mut all = json!({"endpoint": double.endpoint(), "timeouts": {"connect": "20s", "load": "40s", "run": "40s"}});
    all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    adapter(Path::new("/nowhere"), &spec("llama-swap", all)).unwrap()
}

async fn double_of(models: Vec<Model>) -> (Double, Arc<dyn Adapter>) {
    let double = Double::start(Version::Newer, models).await;
    let adapter = adapter_of(&double, json!({}));
    (double, adapter)
}

async fn serving(serves: Serves) -> (Double, Arc<dyn Adapter>) {
    double_of(vec![Model { serves, ..Model::new("a") }]).await
}

fn chat(model: &str) -> Invocation {
    invocation("text.generate", Some(model), "Say hello.", json!({}))
}

async fn state(adapter: &Arc<dyn Adapter>, model: &str) -> ModelState {
    in_time(adapter.observe()).await.unwrap().model(model).unwrap().state
}

#[tokio::test]
async fn llama_swap_conforms_in_every_version() {
    for version in VERSIONS {
        let double = Double::start(version, vec![Model::new("org/qwen:7b"), Model::new("other")]).await;
        let adapter = adapter_of(&double, json!({}));
        let double = Arc::new(double);
        let (expiring, asked) = (double.clone(), double.clone());
        conform(&Subject {
            adapter,
            model: "org/qwen:7b",
            work: Work::summary(),
            // As its TTL does.
            unload_behind_its_back: Some(Box::new(move || {
                let double = expiring.clone();
                async move { double.expire("org/qwen:7b") }.boxed()
            })),
            // Quirks 10 and 14: other GETs load or unload.
            asked: Some(Asked { log: Box::new(move || asked.log()), harmless: HARMLESS }),
        })
        .await;
    }
}

#[tokio::test]
async fn a_view_tells_what_llama_swap_tells_and_no_command_line() {
    let hidden = Model { unlisted: true, aliases: &["h"], ..Model::new("hidden") };
    let (double, adapter) = double_of(vec![Model { aliases: &["gpt"], ..Model::new("a") }, hidden]).await;
    adapter.load("gpt").await.unwrap();
    let view = in_time(adapter.observe()).await.unwrap();
    assert_eq!((view.version.as_deref(), view.degraded.as_deref()), (Some("v251"), None));
    assert_eq!((view.in_flight, view.queued), (Some(0), None), "what waits is not told apart");
    let far = view.model("box2/far").unwrap();
    assert_eq!((far.state, far.vram_gb, far.expires_at), (ModelState::Unknown, None, None));
    assert_eq!(view.model("a").unwrap().context_tokens, Some(32_000));
    assert_eq!(view.model("gpt").unwrap().name, "a");
    assert!(view.model("best").is_none(), "{view:?}");
    assert!(!format!("{view:?}").contains("s3cret"), "{view:?}");
    drop(double);
}

#[tokio::test]
async fn quirk_1_a_load_is_a_request_to_the_models_server_and_blocks_until_it_is_ready() {
    let (double, adapter) = double_of(vec![Model::new("a")]).await;
    double.hold("a");
    let load = adapter.load("a");
    let meanwhile = async {
        double.state.until(|inner| inner.processes.get("a") == Some(&"starting")).await;
        assert_eq!(state(&adapter, "a").await, ModelState::Loading);
        double.release("a");
    };
    let (outcome, ()) = in_time(async { tokio::join!(load, meanwhile) }).await;
    outcome.unwrap();
    assert!(double.log().contains(&("GET".to_owned(), "/upstream/a/health".to_owned())));
    assert_eq!(state(&adapter, "a").await, ModelState::Loaded);
}

#[tokio::test]
async fn a_load_that_takes_longer_than_it_may_is_a_timeout() {
    let double = Double::start(Version::Newer, vec![Model::new("a")]).await;
    let adapter = adapter_of(&double, json!({"timeouts": {"load": "100ms", "connect": "20s"}}));
    double.hold("a");
    let error = in_time(adapter.load("a")).await.unwrap_err();
    assert_eq!(error.fault, Fault::Timeout, "{error}");
    double.release("a");
}

#[tokio::test]
async fn quirk_1_a_check_path_that_is_ignored_is_said_with_the_remedy_and_can_be_changed() {
    let double = Double::start(Version::Newer, vec![Model::new("a"), Model::new("b")]).await;
    let options = json!({"options": {"checkPath": {"a": "/info.json", "b": "/v1/ping"}}});
    let adapter = adapter_of(&double, options);
    let error = in_time(adapter.load("a")).await.unwrap_err();
    assert!(error.fault == Fault::BadInput && error.message.contains("options.checkPath"), "{error}");
    // The server of `b` does not know the path either, but it runs: that is what counts.
    in_time(adapter.load("b")).await.unwrap();
    assert!(double.log().iter().any(|(_, path)| path == "/upstream/b/v1/ping"));
}

#[tokio::test]
async fn quirk_8_a_start_that_fails_keeps_llama_swaps_words_in_both_error_shapes() {
    for version in VERSIONS {
        for (why, fault) in [
            ("upstream command exited prematurely but successfully", Fault::RuntimeError),
            ("health check timed out after 15s", Fault::Timeout),
            ("CUDA error: out of memory", Fault::OutOfMemory),
        ] {
            let broken = Model { start_failure: Some(why), ..Model::new("a") };
            let double = Double::start(version, vec![broken]).await;
            let error = in_time(adapter_of(&double, json!({})).load("a")).await.unwrap_err();
            assert_eq!(error.fault, fault, "{error}");
            assert_eq!(error.words, Some(format!("unspecific error: {why}")));
        }
    }
}

#[tokio::test]
async fn quirks_3_and_12_unloading_by_id_is_confirmed_by_looking_whatever_the_id() {
    for id in ["plain", "org/team/qwen:7b-q4", "with space%", "ünï"] {
        let (double, adapter) = double_of(vec![Model::new(id), Model::new("other")]).await;
        in_time(adapter.load(id)).await.unwrap();
        assert_eq!(state(&adapter, id).await, ModelState::Loaded, "{id}");
        in_time(adapter.unload(id)).await.unwrap();
        assert_eq!(state(&adapter, id).await, ModelState::Unloaded, "{id}");
        let log = double.log();
        assert!(log.iter().all(|(_, path)| path != "/unload" && path != "/api/models/unload"), "{log:?}");
    }
}

#[tokio::test]
async fn quirk_4_unloading_kills_what_runs_and_the_task_says_so() {
    let double = Double::start(Version::Newer, vec![Model { serves: Serves::Holds, ..Model::new("a") }]).await;
    let adapter = adapter_of(&double, json!({"options": {"drain": "50ms"}}));
    let task = adapter.run(chat("a"), Progress::ignored());
    let unload = async {
        double.state.until(|inner| inner.running.get("a") == Some(&1)).await;
        adapter.unload("a").await.unwrap();
    };
    let (outcome, ()) = in_time(async { tokio::join!(task, unload) }).await;
    let error = outcome.unwrap_err();
    assert!(error.fault == Fault::Unreachable && error.message.contains("broke off"), "{error}");
}

#[tokio::test]
async fn quirk_5_a_reload_ends_the_events_and_loses_every_model() {
    let (double, adapter) = double_of(vec![Model::new("a")]).await;
    in_time(adapter.load("a")).await.unwrap();
    let events = in_time(adapter.events()).await.unwrap();
    double.state.until(|inner| inner.log.iter().any(|(_, path)| path == "/api/events")).await;
    double.reload();
    let all: Vec<_> = in_time(events.collect()).await;
    assert!(all.iter().all(Result::is_ok), "{all:?}");
    assert_eq!(state(&adapter, "a").await, ModelState::Unloaded);
    in_time(adapter.load("a")).await.unwrap();
    assert!(in_time(adapter.events()).await.is_ok());
}

#[tokio::test]
async fn quirk_7_in_flight_requests_are_counted_in_every_version_and_shown_while_listening() {
    for version in VERSIONS {
        let double = Double::start(version, vec![Model { serves: Serves::Holds, ..Model::new("a") }]).await;
        let adapter = adapter_of(&double, json!({}));
        let mut events = in_time(adapter.events()).await.unwrap();
        let mut wait_for = async |wanted| {
            while in_time(events.next()).await.unwrap().unwrap() != RuntimeEvent::InFlight(wanted) {}
        };
        wait_for(0).await;
        let mut task = adapter.run(chat("a"), Progress::ignored());
        tokio::select! {
            outcome = &mut task => panic!("{version:?}: {outcome:?}"),
            () = wait_for(1) => {}
        }
        assert_eq!(in_time(adapter.observe()).await.unwrap().in_flight, Some(1), "{version:?}");
        drop(task);
        wait_for(0).await;
        assert_eq!(in_time(adapter.observe()).await.unwrap().in_flight, Some(0), "{version:?}");
        // What was heard is forgotten with the stream: the next look listens for itself.
        drop(events);
        let _task = double.occupy("a");
        assert_eq!(in_time(adapter.observe()).await.unwrap().in_flight, Some(1), "{version:?}");
    }
}

#[tokio::test]
async fn quirk_8_a_models_own_error_comes_through_as_it_is() {
    for (status, body, fault, words) in [
        (
            400,
            r#"{"error":{"message":"the request exceeds the context","code":400}}"#,
            Fault::BadInput,
            "the request exceeds the context",
        ),
        (500, r#"{"error":"kernel crashed"}"#, Fault::RuntimeError, "kernel crashed"),
        (
            503,
            r#"{"error":{"message":"Loading model","type":"unavailable_error","code":503}}"#,
            Fault::Busy,
            "Loading model",
        ),
        (502, "<html>bad</html>", Fault::RuntimeError, "<html>bad</html>"),
    ] {
        let (_double, adapter) = serving(Serves::Refuses(status, body)).await;
        let error = text_of_run(&adapter, chat("a")).await.unwrap_err();
        assert_eq!((error.fault, error.words.as_deref()), (fault, Some(words)), "{error}");
    }
}

#[tokio::test]
async fn quirk_9_too_many_requests_is_busy_and_says_when_to_come_back() {
    for version in VERSIONS {
        let double = Double::start(version, vec![Model { concurrency_limit: 0, ..Model::new("a") }]).await;
        let error = text_of_run(&adapter_of(&double, json!({})), chat("a")).await.unwrap_err();
        assert_eq!(error.fault, Fault::Busy);
        assert_eq!(error.retry_after, Some(std::time::Duration::from_secs(1)));
        assert_eq!(error.words.as_deref(), Some("Too many requests"));
    }
}

#[tokio::test]
async fn quirk_11_aliases_and_unlisted_models_are_known_in_every_version_also_without_listening() {
    for version in VERSIONS {
        let hidden = Model { unlisted: true, aliases: &["h", "org/h"], ..Model::new("hidden") };
        let double = Double::start(version, vec![Model { aliases: &["gpt"], ..Model::new("a") }, hidden]).await;
        let adapter = adapter_of(&double, json!({}));
        assert_eq!(state(&adapter, "hidden").await, ModelState::Unloaded, "{version:?}");
        for (alias, id) in [("org/h", "hidden"), ("gpt", "a")] {
            in_time(adapter.load(alias)).await.unwrap();
            let view = in_time(adapter.observe()).await.unwrap();
            assert_eq!(
                (view.model(alias).unwrap().name.as_str(), view.model(id).unwrap().state),
                (id, ModelState::Loaded)
            );
            in_time(adapter.unload(alias)).await.unwrap();
            assert_eq!(state(&adapter, id).await, ModelState::Unloaded);
        }
    }
}

#[tokio::test]
async fn quirk_13_peers_and_selectors_are_never_loaded_or_unloaded() {
    for version in VERSIONS {
        let double = Double::start(version, vec![Model::new("a")]).await;
        let adapter = adapter_of(&double, json!({}));
        let peer = double.state.peer_model();
        assert_eq!(state(&adapter, peer).await, ModelState::Unknown);
        let selectors: &[&str] = if version < Version::V250 { &[] } else { &["best"] };
        for name in selectors.iter().copied().chain([peer]) {
            for outcome in [in_time(adapter.load(name)).await, in_time(adapter.unload(name)).await] {
                assert_eq!(outcome.unwrap_err().fault, Fault::BadInput);
            }
        }
        assert!(double.log().iter().all(|(method, path)| HARMLESS.contains(&format!("{method} {path}").as_str())));
    }
}

#[tokio::test]
async fn a_chat_sends_the_rendered_turns_and_keeps_the_servers_numbers() {
    let (double, adapter) = serving(Serves::Words(&["Hel", "lo"])).await;
    let said = Arc::new(Mutex::new(Vec::new()));
    let heard = said.clone();
    let progress = Progress::new(move |line: &str| heard.lock().unwrap().push(line.to_owned()));
    let params = json!({"max_words": 30, "temperature": 0.2, "seed": 7});
    let task =
        Invocation { files: vec![file("b.md", b"More.")], ..invocation("text.summarize", Some("a"), "Text.", params) };
    let outcome = in_time(adapter.run(task, progress)).await.unwrap();
    assert_eq!(outcome.outputs[0].bytes, b"Hello\n");
    let prompt = outcome.prompt.unwrap();
    assert!(prompt.contains("in at most 30 words") && prompt.contains("Text.\n\nMore."), "{prompt}");
    assert_eq!((outcome.figures["prompt_tokens"], outcome.figures["tokens"]), (31.0, 2.0));
    assert_eq!(outcome.figures["tokens_per_s"], 96.2);
    assert!(outcome.figures["time_to_first_token_ms"] >= 0.0);
    assert_eq!(*said.lock().unwrap(), ["the answer begins"]);
    let body = double.state.read(|inner| inner.bodies[0].clone());
    assert_eq!((&body["stream"], &body["stream_options"]), (&json!(true), &json!({"include_usage": true})));
    assert_eq!((&body["temperature"], &body["seed"], &body["max_words"]), (&json!(0.2), &json!(7), &Value::Null));
    assert_eq!(body["messages"][0]["role"], "system");
}

#[tokio::test]
async fn answers_that_are_not_whole_are_failures() {
    for (serves, fault, says) in [
        (Serves::Half, Fault::Unreachable, "broke off"),
        (Serves::ErrorInside("decode failed"), Fault::RuntimeError, "decode failed"),
        (Serves::ErrorInside("ggml: out of memory"), Fault::OutOfMemory, "out of memory"),
        (Serves::ThoughtsOnly, Fault::RuntimeError, "thinking"),
        (Serves::Whole(""), Fault::RuntimeError, "no chat completion"),
    ] {
        let (_double, adapter) = serving(serves).await;
        let error = text_of_run(&adapter, chat("a")).await.unwrap_err();
        assert!(error.fault == fault && error.to_string().contains(says), "{error}");
    }
    let (_double, adapter) = serving(Serves::Whole("All at once.")).await;
    assert_eq!(text_of_run(&adapter, chat("a")).await.unwrap(), "All at once.\n");
}

#[tokio::test]
async fn loading_messages_are_progress_and_a_start_that_fails_inside_a_200_is_an_error() {
    for (start_failure, expected) in
        [(None, Ok("A short summary.\n".to_owned())), (Some("upstream command exited"), Err(()))]
    {
        let model = Model { send_loading_state: true, start_failure, ..Model::new("a") };
        let (_double, adapter) = double_of(vec![model]).await;
        let outcome = text_of_run(&adapter, chat("a")).await;
        if let Err(error) = &outcome {
            assert_eq!(error.words.as_deref(), Some("unspecific error: upstream command exited"), "{error}");
        }
        assert_eq!(outcome.map_err(drop), expected);
    }
}

#[tokio::test]
async fn dropping_a_task_stops_the_model_server() {
    let (double, adapter) = serving(Serves::Holds).await;
    let task = adapter.run(chat("a"), Progress::ignored());
    tokio::select! {
        outcome = task => panic!("{outcome:?}"),
        () = double.state.until(|inner| inner.running.get("a") == Some(&1)) => {}
    }
    in_time(double.state.until(|inner| inner.abandoned == 1 && inner.in_flight.is_empty())).await;
}

#[tokio::test]
async fn a_task_without_a_model_takes_a_loaded_one_and_swaps_nothing() {
    let (_double, adapter) = double_of(vec![Model::new("a"), Model::new("b")]).await;
    let task = || invocation("text.generate", None, "Hello", json!({}));
    let error = text_of_run(&adapter, task()).await.unwrap_err();
    assert!(error.fault == Fault::BadInput && error.message.contains("names no model"), "{error}");
    in_time(adapter.load("b")).await.unwrap();
    let outcome = in_time(adapter.run(task(), Progress::ignored())).await.unwrap();
    assert_eq!(outcome.model.as_deref(), Some("b"));
}

#[tokio::test]
async fn vectors_are_matched_to_texts_and_settings_that_are_not_a_tasks_are_refused() {
    let (_double, adapter) = double_of(vec![Model::new("a")]).await;
    let task =
        Invocation { files: vec![file("b.txt", b"12345")], ..invocation("text.embed", Some("a"), "123", json!({})) };
    let vectors: Value = serde_json::from_str(&text_of_run(&adapter, task).await.unwrap()).unwrap();
    assert_eq!(
        vectors,
        json!({"model": "a", "dimensions": 2,
            "vectors": [{"of": "text", "vector": [3.0, 0.5]}, {"of": "b.txt", "vector": [5.0, 0.5]}]})
    );
    for reserved in ["model", "messages", "stream"] {
        let task = invocation("text.generate", Some("a"), "x", json!({reserved: 1}));
        let error = text_of_run(&adapter, task).await.unwrap_err();
        assert!(error.fault == Fault::BadInput && error.message.contains(reserved), "{error}");
    }
}
