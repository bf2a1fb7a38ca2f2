//! The built-in runtime, through its adapter.

use std::path::PathBuf;
use std::sync::Arc;

use arcology::act::runtime::{Adapter, Fault, Invocation, Progress, RuntimeEvent};
use arcology::decide::view::ModelState;
use futures::future::BoxFuture;
use futures::{FutureExt as _, StreamExt as _};
use serde_json::json;
use tempfile::TempDir;

use super::conformance::{Subject, Work, conform};
use super::{adapter, file, in_time, invocation, spec, text_of_run};

fn builtin() -> (TempDir, Arc<dyn Adapter>) {
    let folder = tempfile::tempdir().unwrap();
    let adapter = adapter(folder.path(), &spec("builtin", json!({}))).unwrap();
    (folder, adapter)
}

fn loaded_file(folder: &TempDir, model: &str) -> PathBuf {
    folder.path().join("state/builtin/desk/loaded").join(model)
}

#[tokio::test]
async fn the_built_in_runtime_conforms_with_both_models() {
    for model in ["lead", "textrank"] {
        let (folder, adapter) = builtin();
        let path = loaded_file(&folder, model);
        let unload_behind_its_back: Option<Box<dyn Fn() -> BoxFuture<'static, ()>>> = Some(Box::new(move || {
            let path = path.clone();
            async move { std::fs::remove_file(path).unwrap() }.boxed()
        }));
        conform(&Subject { adapter, model, work: Work::summary(), unload_behind_its_back, asked: None }).await;
    }
}

#[tokio::test]
async fn what_is_loaded_survives_a_restart_and_is_undone_by_deleting_a_file() {
    let (folder, first) = builtin();
    first.load("textrank").await.unwrap();
    drop(first);
    let second = adapter(folder.path(), &spec("builtin", json!({}))).unwrap();
    assert_eq!(second.observe().await.unwrap().model("textrank").unwrap().state, ModelState::Loaded);
    std::fs::remove_file(loaded_file(&folder, "textrank")).unwrap();
    assert_eq!(second.observe().await.unwrap().model("textrank").unwrap().state, ModelState::Unloaded);
}

#[tokio::test]
async fn deleting_a_file_by_hand_is_told_as_an_event() {
    let (folder, adapter) = builtin();
    adapter.load("lead").await.unwrap();
    let mut events = adapter.events().await.unwrap();
    assert_eq!(in_time(events.next()).await, Some(Ok(RuntimeEvent::Changed)));
    assert_eq!(in_time(events.next()).await, Some(Ok(RuntimeEvent::InFlight(0))));
    std::fs::remove_file(loaded_file(&folder, "lead")).unwrap();
    assert_eq!(in_time(events.next()).await, Some(Ok(RuntimeEvent::Changed)));
}

#[tokio::test]
async fn a_model_that_went_and_came_back_between_two_glances_is_told_all_the_same() {
    let (folder, adapter) = builtin();
    adapter.load("lead").await.unwrap();
    let mut events = adapter.events().await.unwrap();
    assert_eq!(in_time(events.next()).await, Some(Ok(RuntimeEvent::Changed)));
    assert_eq!(in_time(events.next()).await, Some(Ok(RuntimeEvent::InFlight(0))));
    std::fs::remove_file(loaded_file(&folder, "lead")).unwrap();
    adapter.load("lead").await.unwrap();
    assert_eq!(in_time(events.next()).await, Some(Ok(RuntimeEvent::Changed)));
}

#[tokio::test]
async fn a_state_folder_that_cannot_be_written_is_named_in_the_error() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("state/builtin")).unwrap();
    std::fs::write(folder.path().join("state/builtin/desk"), "in the way").unwrap();
    let adapter = adapter(folder.path(), &spec("builtin", json!({}))).unwrap();
    let error = adapter.load("lead").await.unwrap_err();
    assert!(error.fault == Fault::RuntimeError && error.message.contains("state/builtin/desk"), "{error}");
}

#[tokio::test]
async fn the_two_models_choose_differently_and_say_how_much_they_took() {
    let (_folder, adapter) = builtin();
    let text = "Good morning. The storm damaged the harbour and the farms. The storm damaged farms on the island. Bye.";
    let task = |model| invocation("text.summarize", Some(model), text, json!({"max_sentences": 1}));
    assert_eq!(text_of_run(&adapter, task("lead")).await.unwrap(), "Good morning.\n");
    let ranked = adapter.run(task("textrank"), Progress::ignored()).await.unwrap();
    assert_eq!(ranked.outputs[0].bytes, b"The storm damaged the harbour and the farms.\n");
    assert_eq!((ranked.figures["sentences"], ranked.figures["sentences_of_text"]), (1.0, 4.0));
    assert_eq!(ranked.prompt, None);
}

#[tokio::test]
async fn without_a_model_the_loaded_one_is_used_and_else_textrank() {
    let (_folder, adapter) = builtin();
    let task = || invocation("text.summarize", None, "One. Two.", json!({}));
    let model = async |task| adapter.run(task, Progress::ignored()).await.unwrap().model.unwrap();
    adapter.load("lead").await.unwrap();
    assert_eq!(model(task()).await, "lead");
    adapter.unload("lead").await.unwrap();
    assert_eq!(model(task()).await, "textrank");
}

#[tokio::test]
async fn statistics_and_extraction_need_no_model() {
    let (_folder, adapter) = builtin();
    let stats = text_of_run(&adapter, invocation("text.stats", None, "One two. Three!", json!({}))).await.unwrap();
    let stats: serde_json::Value = serde_json::from_str(&stats).unwrap();
    assert_eq!((&stats["words"], &stats["sentences"]), (&json!(3), &json!(2)));

    let page = file("page.html", b"<h1>Title</h1><script>no</script><p>Body &amp; soul");
    let task = Invocation { text: None, files: vec![page.clone()], ..invocation("doc.extract", None, "", json!({})) };
    assert_eq!(text_of_run(&adapter, task.clone()).await.unwrap(), "# Title\n\nBody & soul\n");
    let both = Invocation { files: vec![page, file("b.txt", b"plain")], ..task };
    let text = text_of_run(&adapter, both).await.unwrap();
    assert_eq!(text, "# page.html\n\n# Title\n\nBody & soul\n\n# b.txt\n\nplain\n");
    let view = adapter.observe().await.unwrap();
    assert!(view.models.iter().all(|model| model.state == ModelState::Unloaded));
}

#[tokio::test]
async fn inputs_that_cannot_be_used_name_the_file_and_the_reason() {
    let (_folder, adapter) = builtin();
    let task = |name, bytes: &[u8]| Invocation {
        text: None,
        files: vec![file(name, bytes)],
        ..invocation("doc.extract", None, "", json!({}))
    };
    for (task, says) in [
        (task("a.pdf", b"%PDF-1.7 garbage"), "`a.pdf`"),
        (task("a.bin", b"\0\x01"), "no text"),
        (Invocation { files: Vec::new(), ..task("x", b"") }, "needs a text or a file"),
        (invocation("text.summarize", None, "...", json!({})), "no sentence"),
        (invocation("text.summarize", None, "x", json!({"max_wrods": 3})), "did you mean `max_words`?"),
        (invocation("text.summarize", Some("leed"), "x", json!({})), "did you mean `lead`?"),
    ] {
        let error = text_of_run(&adapter, task).await.unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[test]
fn adapters_that_are_not_driven_yet_and_specs_that_lack_something_are_clear_errors() {
    let folder = tempfile::tempdir().unwrap();
    let error = adapter(folder.path(), &spec("ray", json!({"endpoint": "http://127.0.0.1:1"}))).err().unwrap();
    assert_eq!(error.fault, Fault::BadInput);
    assert!(error.message.contains("`ray`") && error.message.contains("llama-swap"), "{error}");
    for (more, says) in [
        (json!({}), "needs an endpoint"),
        (json!({"endpoint": "ftp://x"}), "only http and https"),
        (json!({"endpoint": "http://x", "options": {"checkpath": "/"}}), "unknown field `checkpath`"),
        (json!({"endpoint": "http://x", "options": {"checkPath": 3}}), "a path such as /health"),
    ] {
        let error = adapter(folder.path(), &spec("llama-swap", more)).err().unwrap();
        assert!(error.fault == Fault::BadInput && error.message.contains(says), "{error}");
    }
}
