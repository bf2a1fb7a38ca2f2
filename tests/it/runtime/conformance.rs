//! What every adapter must do, whatever runtime it drives.

use std::sync::Arc;

use arcology::act::runtime::{Adapter, Fault, Progress, RuntimeEvent};
use arcology::decide::view::ModelState;
use futures::StreamExt as _;
use futures::future::BoxFuture;
use serde_json::json;

use super::{in_time, invocation, text_of_run};

/// A runtime under test.
pub struct Subject {
    pub adapter: Arc<dyn Adapter>,
    /// A model that can summarise; nothing is loaded at the start.
    pub model: &'static str,
    /// Unloads that model without asking the adapter.
    pub unload_behind_its_back: Box<dyn Fn() -> BoxFuture<'static, ()>>,
}

const TEXT: &str = "Storms hit the island. The storms damaged farms on the island. Nobody was hurt.";

/// Runs the whole suite; each step leaves the model unloaded.
pub async fn conform(subject: &Subject) {
    observing_changes_nothing(subject).await;
    loading_is_seen_and_so_is_unloading(subject).await;
    what_happens_behind_its_back_is_seen(subject).await;
    a_task_loads_what_it_needs(subject).await;
    unknown_models_and_capabilities_are_refused(subject).await;
    settings_that_make_no_sense_are_refused(subject).await;
    events_tell_that_models_changed(subject).await;
    a_task_that_is_dropped_leaves_the_runtime_usable(subject).await;
}

async fn state(subject: &Subject) -> ModelState {
    let view = in_time(subject.adapter.observe()).await.unwrap();
    assert!(view.models.is_sorted_by_key(|model| model.name.clone()), "{view:?}");
    view.model(subject.model).unwrap_or_else(|| panic!("{} is not known: {view:?}", subject.model)).state
}

async fn observing_changes_nothing(subject: &Subject) {
    assert_eq!(state(subject).await, ModelState::Unloaded);
    assert_eq!(state(subject).await, ModelState::Unloaded);
}

async fn loading_is_seen_and_so_is_unloading(subject: &Subject) {
    for _ in 0..2 {
        in_time(subject.adapter.load(subject.model)).await.unwrap();
        assert_eq!(state(subject).await, ModelState::Loaded);
    }
    for _ in 0..2 {
        in_time(subject.adapter.unload(subject.model)).await.unwrap();
        assert_eq!(state(subject).await, ModelState::Unloaded);
    }
}

async fn what_happens_behind_its_back_is_seen(subject: &Subject) {
    in_time(subject.adapter.load(subject.model)).await.unwrap();
    in_time((subject.unload_behind_its_back)()).await;
    assert_eq!(state(subject).await, ModelState::Unloaded);
    in_time(subject.adapter.load(subject.model)).await.unwrap();
    assert_eq!(state(subject).await, ModelState::Loaded);
    in_time(subject.adapter.unload(subject.model)).await.unwrap();
}

async fn a_task_loads_what_it_needs(subject: &Subject) {
    let task = invocation("text.summarize", Some(subject.model), TEXT, json!({"max_words": 40}));
    let outcome = in_time(subject.adapter.run(task, Progress::ignored())).await.unwrap();
    assert_eq!(outcome.outputs.len(), 1);
    assert_eq!((outcome.outputs[0].name.as_str(), outcome.outputs[0].kind.as_str()), ("summary.md", "md"));
    let text = String::from_utf8(outcome.outputs[0].bytes.clone()).unwrap();
    assert!(text.trim().len() > 5 && text.ends_with('\n'), "{text:?}");
    assert_eq!(outcome.model.as_deref(), Some(subject.model));
    assert!(outcome.figures.values().all(|value| value.is_finite()), "{:?}", outcome.figures);
    assert_eq!(state(subject).await, ModelState::Loaded);
    in_time(subject.adapter.unload(subject.model)).await.unwrap();
}

async fn unknown_models_and_capabilities_are_refused(subject: &Subject) {
    let unknown = "no/such:model";
    for error in [
        in_time(subject.adapter.load(unknown)).await.unwrap_err(),
        in_time(subject.adapter.unload(unknown)).await.unwrap_err(),
        text_of_run(&subject.adapter, invocation("text.summarize", Some(unknown), TEXT, json!({}))).await.unwrap_err(),
    ] {
        assert_eq!(error.fault, Fault::NotFound, "{error}");
        assert!(error.to_string().contains(unknown), "{error}");
    }
    let task = invocation("video.gen", Some(subject.model), TEXT, json!({}));
    let error = text_of_run(&subject.adapter, task).await.unwrap_err();
    assert!(error.fault == Fault::BadInput && error.message.contains("video.gen"), "{error}");
    assert_eq!(state(subject).await, ModelState::Unloaded);
}

async fn settings_that_make_no_sense_are_refused(subject: &Subject) {
    for params in [json!({"max_words": 0}), json!({"max_words": "many"}), json!({"max_sentences": -1})] {
        let task = invocation("text.summarize", Some(subject.model), TEXT, params.clone());
        let error = text_of_run(&subject.adapter, task).await.unwrap_err();
        assert_eq!(error.fault, Fault::BadInput, "{params}: {error}");
    }
    in_time(subject.adapter.unload(subject.model)).await.unwrap();
}

async fn events_tell_that_models_changed(subject: &Subject) {
    let mut events = in_time(subject.adapter.events()).await.unwrap();
    let mut next_change = async || loop {
        match in_time(events.next()).await.expect("the stream goes on").unwrap() {
            RuntimeEvent::Changed => return,
            RuntimeEvent::InFlight(_) | RuntimeEvent::Log(_) => {}
            RuntimeEvent::Gap => panic!("nothing was missed"),
        }
    };
    // The first tells that listening has begun; what follows is followed by a look, as the engine does.
    next_change().await;
    in_time(subject.adapter.load(subject.model)).await.unwrap();
    next_change().await;
    in_time(subject.adapter.unload(subject.model)).await.unwrap();
    while state(subject).await != ModelState::Unloaded {
        next_change().await;
    }
}

async fn a_task_that_is_dropped_leaves_the_runtime_usable(subject: &Subject) {
    let task = || invocation("text.summarize", Some(subject.model), TEXT, json!({}));
    let started = subject.adapter.run(task(), Progress::ignored());
    // Polled once, so that it has really begun, and then dropped.
    let begun = tokio::time::timeout(std::time::Duration::ZERO, started).await;
    drop(begun);
    assert!(!text_of_run(&subject.adapter, task()).await.unwrap().is_empty());
    in_time(subject.adapter.unload(subject.model)).await.unwrap();
    assert_eq!(state(subject).await, ModelState::Unloaded);
}
