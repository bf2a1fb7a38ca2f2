//! What every adapter must do, whatever runtime it drives.

use std::sync::Arc;

use arcology::act::runtime::{Abilities, Adapter, Fault, Invocation, Outcome, Progress, RuntimeError, RuntimeEvent};
use arcology::decide::view::{ModelState, RuntimeView};
use arcology::declare::manifest::kind::runtime::AdapterKind;
use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use serde_json::{Value, json};

use super::{in_time, invocation, text_of_run};

/// A runtime under test.
pub struct Subject {
    pub adapter: Arc<dyn Adapter>,
    /// A model that can do the work. Where the runtime loads models, nothing is loaded at the start.
    pub model: &'static str,
    pub work: Work,
    /// Unloads that model without asking the adapter; none where the runtime cannot.
    pub unload_behind_its_back: Option<Box<dyn Fn() -> BoxFuture<'static, ()>>>,
    /// What the runtime was asked so far; none where it is not reached over HTTP.
    pub asked: Option<Asked>,
}

/// What a runtime was asked, and what it may be asked while it is only looked at.
pub struct Asked {
    /// Method and path of every request so far.
    pub log: Box<dyn Fn() -> Vec<(String, String)>>,
    /// `GET /health` and the like.
    pub harmless: &'static [&'static str],
}

/// Work that the runtime can do.
pub struct Work {
    pub capability: &'static str,
    pub text: &'static str,
    pub params: Value,
    /// Name and short type of its only output.
    pub output: (&'static str, &'static str),
    pub is_right: fn(&[u8]) -> bool,
    /// Settings that make no sense for it.
    pub senseless: Vec<Value>,
    /// A capability that this runtime never has.
    pub never: &'static str,
}

impl Work {
    /// `text.summarize`, as every runtime with a language model or an extractive one does it.
    pub fn summary() -> Self {
        Self {
            capability: "text.summarize",
            text: TEXT,
            params: json!({"max_words": 40}),
            output: ("summary.md", "md"),
            is_right: |bytes| {
                std::str::from_utf8(bytes).is_ok_and(|text| text.trim().len() > 5 && text.ends_with('\n'))
            },
            senseless: vec![json!({"max_words": 0}), json!({"max_words": "many"}), json!({"max_sentences": -1})],
            never: "video.gen",
        }
    }
}

const TEXT: &str = "Storms hit the island. The storms damaged farms on the island. Nobody was hurt.";

/// Runs the whole suite against a double, which tells what it was asked.
pub async fn conform(subject: &Subject) {
    let is_local = matches!(subject.adapter.kind(), AdapterKind::Builtin | AdapterKind::Exec);
    assert!(is_local || subject.asked.is_some(), "what is asked of a runtime over HTTP is looked into");
    conform_for_real(subject).await;
}

/// The same for a real program, which tells nobody what it was asked; its double is held to the list of what is harmless.
/// Each step leaves the model unloaded, where it can be.
pub async fn conform_for_real(subject: &Subject) {
    observing_changes_nothing(subject).await;
    if subject.adapter.abilities().loads {
        loading_is_seen_and_so_is_unloading(subject).await;
        what_happens_behind_its_back_is_seen(subject).await;
    } else {
        a_runtime_that_cannot_load_says_so(subject).await;
    }
    a_task_loads_what_it_needs(subject).await;
    observing_after_work_changes_nothing(subject).await;
    unknown_models_and_capabilities_are_refused(subject).await;
    settings_that_make_no_sense_are_refused(subject).await;
    let Abilities { loads, events, .. } = subject.adapter.abilities();
    if loads && events {
        events_tell_that_models_changed(subject).await;
    }
    a_task_that_is_dropped_leaves_the_runtime_usable(subject).await;
}

/// The suite for a server that has one model for as long as it runs: it is loaded, stays so, and all else is as ever.
pub async fn conform_with_one_model(subject: Subject) {
    let stays = Subject { adapter: Arc::new(OneModel(subject.adapter.clone())), ..subject };
    observing_changes_nothing(&stays).await;
    its_only_model_is_loaded_and_stays_so(&stays).await;
    a_task_loads_what_it_needs(&stays).await;
    observing_after_work_changes_nothing(&stays).await;
    unknown_models_and_capabilities_are_refused(&stays).await;
    settings_that_make_no_sense_are_refused(&stays).await;
    a_task_that_is_dropped_leaves_the_runtime_usable(&stays).await;
}

/// An adapter whose runtime is not asked to load or unload between the steps.
struct OneModel(Arc<dyn Adapter>);

impl Adapter for OneModel {
    fn kind(&self) -> AdapterKind {
        self.0.kind()
    }

    fn abilities(&self) -> Abilities {
        Abilities { loads: false, ..self.0.abilities() }
    }

    fn observe(&self) -> BoxFuture<'_, Result<RuntimeView, RuntimeError>> {
        self.0.observe()
    }

    fn events(&self) -> BoxFuture<'_, Result<BoxStream<'static, Result<RuntimeEvent, RuntimeError>>, RuntimeError>> {
        self.0.events()
    }

    fn load<'a>(&'a self, model: &'a str) -> BoxFuture<'a, Result<(), RuntimeError>> {
        self.0.load(model)
    }

    fn unload<'a>(&'a self, model: &'a str) -> BoxFuture<'a, Result<(), RuntimeError>> {
        self.0.unload(model)
    }

    fn run<'a>(&'a self, invocation: Invocation, progress: Progress) -> BoxFuture<'a, Result<Outcome, RuntimeError>> {
        self.0.run(invocation, progress)
    }
}

fn task(subject: &Subject, model: &str) -> Invocation {
    let work = &subject.work;
    invocation(work.capability, Some(model), work.text, work.params.clone())
}

/// Leaves nothing loaded for the next step.
async fn tidy(subject: &Subject) {
    if subject.adapter.abilities().loads {
        in_time(subject.adapter.unload(subject.model)).await.unwrap();
        assert_eq!(state(subject).await, ModelState::Unloaded);
    }
}

async fn state(subject: &Subject) -> ModelState {
    let view = in_time(subject.adapter.observe()).await.unwrap();
    assert!(view.models.is_sorted_by_key(|model| model.name.clone()), "{view:?}");
    view.model(subject.model).unwrap_or_else(|| panic!("{} is not known: {view:?}", subject.model)).state
}

async fn observing_changes_nothing(subject: &Subject) {
    let before = subject.asked.as_ref().map_or(0, |asked| (asked.log)().len());
    let first = state(subject).await;
    assert_eq!(state(subject).await, first);
    if subject.adapter.abilities().loads {
        assert_eq!(first, ModelState::Unloaded);
    }
    let Some(asked) = &subject.asked else { return };
    if subject.adapter.abilities().events {
        let mut events = in_time(subject.adapter.events()).await.unwrap();
        assert!(in_time(events.next()).await.unwrap().is_ok());
    }
    is_harmless(asked, before);
    assert_eq!(state(subject).await, first);
}

/// Whether all that was asked since `before` is on the list of what may be asked while it is only looked at.
fn is_harmless(asked: &Asked, before: usize) {
    let looks = (asked.log)().split_off(before);
    assert!(!looks.is_empty(), "it was looked at");
    for (method, path) in looks {
        let look = format!("{method} {}", path.split('?').next().unwrap_or_default());
        assert!(asked.harmless.contains(&look.as_str()), "looking asked for {look}");
    }
}

/// A model that is loaded and a runtime that has worked have more to tell; being asked for it changes nothing either.
async fn observing_after_work_changes_nothing(subject: &Subject) {
    in_time(subject.adapter.run(task(subject, subject.model), Progress::ignored())).await.unwrap();
    let before = subject.asked.as_ref().map_or(0, |asked| (asked.log)().len());
    let first = state(subject).await;
    assert_eq!(state(subject).await, first);
    if let Some(asked) = &subject.asked {
        is_harmless(asked, before);
    }
    tidy(subject).await;
}

async fn a_runtime_that_cannot_load_says_so(subject: &Subject) {
    for refused in [subject.adapter.load(subject.model), subject.adapter.unload(subject.model)] {
        let error = in_time(refused).await.unwrap_err();
        assert_eq!(error.fault, Fault::BadInput, "{error}");
    }
}

async fn its_only_model_is_loaded_and_stays_so(subject: &Subject) {
    in_time(subject.adapter.load(subject.model)).await.unwrap();
    let error = in_time(subject.adapter.unload(subject.model)).await.unwrap_err();
    assert_eq!((error.fault, state(subject).await), (Fault::BadInput, ModelState::Loaded), "{error}");
    let unknown = "no/such:model";
    for refused in [subject.adapter.load(unknown), subject.adapter.unload(unknown)] {
        let error = in_time(refused).await.unwrap_err();
        assert!(error.fault == Fault::NotFound && error.to_string().contains(unknown), "{error}");
    }
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
    let Some(unload_behind_its_back) = &subject.unload_behind_its_back else { return tidy(subject).await };
    in_time(unload_behind_its_back()).await;
    assert_eq!(state(subject).await, ModelState::Unloaded);
    in_time(subject.adapter.load(subject.model)).await.unwrap();
    assert_eq!(state(subject).await, ModelState::Loaded);
    in_time(subject.adapter.unload(subject.model)).await.unwrap();
}

async fn a_task_loads_what_it_needs(subject: &Subject) {
    let outcome = in_time(subject.adapter.run(task(subject, subject.model), Progress::ignored())).await.unwrap();
    assert_eq!(outcome.outputs.len(), 1);
    let output = &outcome.outputs[0];
    assert_eq!((output.name.as_str(), output.kind.as_str()), subject.work.output);
    assert!((subject.work.is_right)(&output.bytes), "{:?}", String::from_utf8_lossy(&output.bytes));
    assert_eq!(outcome.model.as_deref(), Some(subject.model));
    assert!(outcome.figures.values().all(|value| value.is_finite()), "{:?}", outcome.figures);
    if subject.adapter.abilities().loads {
        assert_eq!(state(subject).await, ModelState::Loaded);
    }
    tidy(subject).await;
}

async fn unknown_models_and_capabilities_are_refused(subject: &Subject) {
    let unknown = "no/such:model";
    let mut refused = vec![subject.adapter.run(task(subject, unknown), Progress::ignored()).await.map(|_| ())];
    if subject.adapter.abilities().loads {
        refused.push(in_time(subject.adapter.load(unknown)).await);
        refused.push(in_time(subject.adapter.unload(unknown)).await);
    }
    for refused in refused {
        let error = refused.unwrap_err();
        assert_eq!(error.fault, Fault::NotFound, "{error}");
        assert!(error.to_string().contains(unknown), "{error}");
    }
    let never = subject.work.never;
    let task = invocation(never, Some(subject.model), TEXT, json!({}));
    let error = text_of_run(&subject.adapter, task).await.unwrap_err();
    assert!(error.fault == Fault::BadInput && error.message.contains(never), "{error}");
    tidy(subject).await;
}

async fn settings_that_make_no_sense_are_refused(subject: &Subject) {
    for params in &subject.work.senseless {
        let task =
            Invocation { params: serde_json::from_value(params.clone()).unwrap(), ..task(subject, subject.model) };
        let error = in_time(subject.adapter.run(task, Progress::ignored())).await.unwrap_err();
        assert_eq!(error.fault, Fault::BadInput, "{params}: {error}");
    }
    tidy(subject).await;
}

async fn events_tell_that_models_changed(subject: &Subject) {
    let mut events = in_time(subject.adapter.events()).await.unwrap();
    let mut next_change = async || loop {
        match in_time(events.next()).await.expect("the stream goes on").unwrap() {
            RuntimeEvent::Changed => return,
            RuntimeEvent::InFlight(_) | RuntimeEvent::Log(_) => {}
            RuntimeEvent::Gap { .. } => panic!("nothing was missed"),
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
    let started = subject.adapter.run(task(subject, subject.model), Progress::ignored());
    // Polled once, so that it has really begun, and then dropped.
    let begun = tokio::time::timeout(std::time::Duration::ZERO, started).await;
    drop(begun);
    let outcome = in_time(subject.adapter.run(task(subject, subject.model), Progress::ignored())).await.unwrap();
    assert!(!outcome.outputs[0].bytes.is_empty());
    tidy(subject).await;
}
