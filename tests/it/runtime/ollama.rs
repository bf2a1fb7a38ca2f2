//! Ollama, driven through its double: the conformance suite, and each quirk by its number in `docs/adapters/ollama.md`.

use std::path::Path;
use std::sync::Arc;

use arcology::act::runtime::{Adapter, Fault, Invocation, Progress};
use arcology::decide::view::ModelState;
use futures::FutureExt as _;
use serde_json::{Value, json};

use crate::double::ollama::Double;
use crate::double::server::Mood;

use super::conformance::{Asked, Subject, Work, conform};
use super::{adapter, in_time, invocation, spec, text_of_run};

/// All that observing may ask for.
pub const HARMLESS: &[&str] = &["GET /api/ps", "GET /api/tags", "GET /api/version"];
pub const QWEN: &str = "org/qwen:7b";

fn adapter_of(double: &Double, options: Value) -> Arc<dyn Adapter> {
    let limits = json!({"connect": "3s", "load": "20s", "run": "20s"});
    let more = json!({"endpoint": double.server.endpoint(), "timeouts": limits, "options": options});
    adapter(Path::new("/nowhere"), &spec("ollama", more)).unwrap()
}

async fn started() -> (Double, Arc<dyn Adapter>) {
    let double = Double::start().await;
    let adapter = adapter_of(&double, json!({}));
    (double, adapter)
}

fn chat(model: &str) -> Invocation {
    invocation("text.generate", Some(model), "Say hello.", json!({}))
}

async fn state(adapter: &Arc<dyn Adapter>, model: &str) -> ModelState {
    in_time(adapter.observe()).await.unwrap().model(model).unwrap().state
}

#[tokio::test]
async fn ollama_conforms() {
    let double = Arc::new(Double::start().await);
    let adapter = adapter_of(&double, json!({}));
    let (other, asked) = (double.clone(), double.clone());
    conform(&Subject {
        adapter,
        model: QWEN,
        work: Work::summary(),
        unload_behind_its_back: Some(Box::new(move || {
            let double = other.clone();
            async move { double.evict(QWEN) }.boxed()
        })),
        asked: Some(Asked { log: Box::new(move || asked.server.log()), harmless: HARMLESS }),
    })
    .await;
}

#[tokio::test]
async fn quirk_7_a_view_tells_memory_context_and_version_and_neither_a_queue_nor_remote_models() {
    let (_double, adapter) = started().await;
    in_time(adapter.load(QWEN)).await.unwrap();
    let view = in_time(adapter.observe()).await.unwrap();
    let qwen = view.model(QWEN).unwrap();
    assert!(qwen.vram_gb.is_some_and(|gb| gb > 0.0), "{qwen:?}");
    assert_eq!((qwen.context_tokens, qwen.expires_at), (Some(4096), None));
    assert_eq!((view.version.as_deref(), view.in_flight, view.queued), (Some("0.33.0"), None, None));
    assert!(view.model("big:cloud").is_none());
}

#[tokio::test]
async fn quirk_1_an_unload_is_done_when_the_model_is_gone_and_not_when_it_is_promised() {
    let (double, adapter) = started().await;
    in_time(adapter.load(QWEN)).await.unwrap();
    let before = double.server.log().len();
    in_time(adapter.unload(QWEN)).await.unwrap();
    assert_eq!(state(&adapter, QWEN).await, ModelState::Unloaded);
    let log = double.server.log().split_off(before);
    let promised = log.iter().position(|(_, path)| path == "/api/generate").unwrap();
    assert!(log[promised..].iter().filter(|(_, path)| path == "/api/ps").count() > 1, "{log:?}");
}

#[tokio::test]
async fn quirk_2_a_pin_is_kept_by_work_replaced_by_others_and_set_again_by_a_load() {
    let (double, adapter) = started().await;
    in_time(adapter.load(QWEN)).await.unwrap();
    text_of_run(&adapter, chat(QWEN)).await.unwrap();
    assert!(double.is_pinned(QWEN));
    let somebody = adapter_of(&double, json!({"keepAlive": "5m"}));
    in_time(somebody.load(QWEN)).await.unwrap();
    assert!(!double.is_pinned(QWEN));
    assert!(in_time(adapter.observe()).await.unwrap().model(QWEN).unwrap().state == ModelState::Loaded);
    in_time(adapter.load(QWEN)).await.unwrap();
    assert!(double.is_pinned(QWEN));
}

#[tokio::test]
async fn quirk_3_an_error_with_200_is_an_error_and_words_become_faults() {
    for (failure, fault) in [
        ((200, r#"{"error":"it broke"}"#), Fault::RuntimeError),
        ((500, r#"{"error":"llama-server reported out-of-memory during startup: x"}"#), Fault::OutOfMemory),
        ((500, r#"{"error":"timed out waiting for llama-server to start - x"}"#), Fault::Timeout),
        ((500, r#"{"error":"llama-server process has terminated: exit status 1"}"#), Fault::RuntimeError),
        ((503, r#"{"error":"server busy, please try again.  maximum pending requests exceeded"}"#), Fault::Busy),
        ((404, r#"{"error":"model \"x\" not found, try pulling it first"}"#), Fault::NotFound),
    ] {
        let (double, adapter) = started().await;
        double.fail(failure);
        for outcome in [in_time(adapter.load(QWEN)).await, text_of_run(&adapter, chat(QWEN)).await.map(|_| ())] {
            let error = outcome.unwrap_err();
            assert!(error.fault == fault, "{failure:?}: {error}");
        }
    }
}

#[tokio::test]
async fn quirk_4_a_name_without_a_tag_means_latest_and_case_does_not_count() {
    let (_double, adapter) = started().await;
    in_time(adapter.load("Llama3.2")).await.unwrap();
    assert_eq!(state(&adapter, "llama3.2").await, ModelState::Loaded);
    let outcome = in_time(adapter.run(chat("llama3.2"), Progress::ignored())).await.unwrap();
    assert_eq!(outcome.model.as_deref(), Some("llama3.2:latest"));
    in_time(adapter.unload("LLAMA3.2:latest")).await.unwrap();
    let error = in_time(adapter.load("llama3.3:latest")).await.unwrap_err();
    assert!(error.fault == Fault::NotFound && error.message.contains("did you mean"), "{error}");
}

#[tokio::test]
async fn quirk_10_a_load_that_takes_longer_than_it_may_is_a_timeout() {
    let double = Double::start().await;
    double.server.misbehave("POST /api/generate", Mood::Hangs);
    let limits = json!({"connect": "3s", "load": "100ms"});
    let more = json!({"endpoint": double.server.endpoint(), "timeouts": limits});
    let adapter = adapter(Path::new("/nowhere"), &spec("ollama", more)).unwrap();
    assert_eq!(in_time(adapter.load(QWEN)).await.unwrap_err().fault, Fault::Timeout);
}

#[tokio::test]
async fn quirk_12_a_refusal_without_a_word_names_the_host_check() {
    let (double, adapter) = started().await;
    double.fail((403, ""));
    let error = in_time(adapter.load(QWEN)).await.unwrap_err();
    assert!(error.fault == Fault::Refused && error.message.contains("OLLAMA_HOST"), "{error}");
}

#[tokio::test]
async fn quirk_13_work_goes_without_a_time_to_keep_and_models_for_vectors_load_by_vectors() {
    let (double, adapter) = started().await;
    in_time(adapter.load("nomic")).await.unwrap();
    let vectors = invocation("text.embed", Some("nomic"), "x", json!({}));
    assert!(text_of_run(&adapter, vectors).await.unwrap().contains("\"dimensions\""));
    assert_eq!(double.server.asked().last().unwrap().json()["keep_alive"], Value::Null);
    in_time(adapter.unload("nomic")).await.unwrap();
    assert_eq!(state(&adapter, "nomic").await, ModelState::Unloaded);
}

#[tokio::test]
async fn a_task_that_is_dropped_closes_the_connection() {
    let (double, adapter) = started().await;
    double.hold();
    let (tx, mut begun) = tokio::sync::mpsc::unbounded_channel();
    let progress = Progress::new(move |_: &str| {
        let _ = tx.send(());
    });
    let mut task = adapter.run(chat(QWEN), progress);
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
}

#[tokio::test]
async fn on_a_bad_day_every_look_ends_in_an_error_that_names_the_place() {
    for mood in Mood::ALL {
        let (double, adapter) = started().await;
        double.server.misbehave("*", mood);
        match in_time(adapter.observe()).await {
            // What is asked for as JSON is read as JSON, whatever its type is said to be.
            Ok(_) => assert_eq!(mood, Mood::WrongType),
            Err(error) => assert!(
                error.message.contains(&double.server.address.to_string()) || error.message.contains("/api/"),
                "{mood:?}: {error}"
            ),
        }
        double.server.behave();
        assert!(in_time(adapter.observe()).await.is_ok(), "{mood:?}");
    }
}
