//! The adapter of the built-in runtime: who may work, what is loaded, and the events of both.
//!
//! Work runs on threads for blocking work, at most [`AT_ONCE`] pieces together, each with a time limit and each told to
//! stop when its caller goes away. Loading writes a file and unloading removes it (see [`super::loaded`]).

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use futures::FutureExt as _;
use futures::StreamExt as _;
use futures::stream;
use tokio::sync::Semaphore;

use crate::act::runtime::adapter::{
    Abilities, Adapter, Call, Events, Fault, Invocation, Outcome, Progress, RuntimeError, RuntimeEvent,
};
use crate::act::runtime::stop::Stop;
use crate::core::Name;
use crate::core::text::nearest;
use crate::decide::view::{ModelState, ModelView, RuntimeView};
use crate::declare::manifest::kind::runtime::AdapterKind;

use super::loaded::Loaded;
use super::summarize::Method;
use super::work;

/// The models, sorted by name.
pub const MODELS: &[&str] = &["lead", "textrank"];
/// What the runtime can do.
pub const CAPABILITIES: &[&str] = &["doc.extract", "text.stats", "text.summarize"];
/// Pieces of work that run together.
const AT_ONCE: usize = 2;
/// How often the files of loaded models are looked at for events.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// The built-in runtime.
#[derive(Debug)]
pub struct Builtin {
    loaded: Loaded,
    run_limit: Duration,
    slots: Arc<Semaphore>,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    waiting: AtomicU32,
    working: AtomicU32,
}

/// Counts one piece of work for as long as it lives.
struct Counted<'a>(&'a AtomicU32);

impl<'a> Counted<'a> {
    fn new(counter: &'a AtomicU32) -> Self {
        counter.fetch_add(1, Ordering::Relaxed);
        Self(counter)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Builtin {
    /// The runtime called `name`, which keeps its loaded models under `state_dir` and gives a task `run_limit`.
    #[must_use]
    pub fn new(name: &Name, state_dir: &Path, run_limit: Duration) -> Self {
        Self {
            loaded: Loaded::new(state_dir, name.as_str()),
            run_limit,
            slots: Arc::new(Semaphore::new(AT_ONCE)),
            counts: Arc::default(),
        }
    }

    async fn view(&self) -> Result<RuntimeView, RuntimeError> {
        let mut models = Vec::with_capacity(MODELS.len());
        for model in MODELS {
            models.push(ModelView {
                name: (*model).to_owned(),
                state: if self.is_loaded(model).await? { ModelState::Loaded } else { ModelState::Unloaded },
                vram_gb: None,
                context_tokens: None,
                expires_at: None,
            });
        }
        Ok(RuntimeView {
            version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            models,
            in_flight: Some(self.counts.working.load(Ordering::Relaxed)),
            queued: Some(self.counts.waiting.load(Ordering::Relaxed)),
            ..RuntimeView::default()
        })
    }

    async fn is_loaded(&self, model: &str) -> Result<bool, RuntimeError> {
        self.loaded.contains(model).await.map_err(|e| self.broken("read", model, &e))
    }

    async fn set_loaded(&self, model: &str, wanted: bool) -> Result<(), RuntimeError> {
        let model = known(model)?;
        let done = if wanted { self.loaded.insert(model).await } else { self.loaded.remove(model).await };
        done.map_err(|e| self.broken("write", model, &e))?;
        if self.is_loaded(model).await? == wanted {
            return Ok(());
        }
        let state = if wanted { "loaded" } else { "unloaded" };
        Err(RuntimeError::new(
            Fault::RuntimeError,
            format!("`{model}` is still not {state}; something else changes it"),
        ))
    }

    fn broken(&self, verb: &str, model: &str, error: &std::io::Error) -> RuntimeError {
        let file = self.loaded.file(model);
        RuntimeError::new(Fault::RuntimeError, format!("cannot {verb} {}: {error}", file.display()))
    }

    /// The model that does `invocation`: the one it names, else one that is loaded, else `textrank`.
    async fn choose(&self, invocation: &Invocation) -> Result<&'static str, RuntimeError> {
        if let Some(model) = &invocation.model {
            return known(model);
        }
        for model in ["textrank", "lead"] {
            if self.is_loaded(model).await? {
                return Ok(model);
            }
        }
        Ok("textrank")
    }

    async fn carry_out(&self, invocation: Invocation, progress: Progress) -> Result<Outcome, RuntimeError> {
        let model = match invocation.capability.as_str() {
            "text.summarize" => Some(self.choose(&invocation).await?),
            capability if CAPABILITIES.contains(&capability) => None,
            other => return Err(cannot(other)),
        };
        let waiting = Counted::new(&self.counts.waiting);
        let _slot = self
            .slots
            .clone()
            .acquire_owned()
            .await
            .map_err(|_| RuntimeError::new(Fault::Unreachable, "the built-in runtime is shutting down"))?;
        drop(waiting);
        let _working = Counted::new(&self.counts.working);
        if let Some(model) = model
            && !self.is_loaded(model).await?
        {
            progress.say(&format!("loading {model}"));
            self.set_loaded(model, true).await?;
        }
        let (stop, waiting) = Stop::after(self.run_limit);
        let work = tokio::task::spawn_blocking(move || perform(&invocation, model, &stop));
        let outcome = work.await;
        drop(waiting);
        outcome.unwrap_or_else(|e| Err(RuntimeError::new(Fault::RuntimeError, format!("the work broke off: {e}"))))
    }

    /// What events are made of: the loaded models and the work in flight.
    async fn glance(&self) -> Result<Glance, RuntimeError> {
        // Taken before the models are looked at: what changes meanwhile shows at the next glance.
        let touched = self.loaded.touched().await;
        let mut loaded = Vec::with_capacity(MODELS.len());
        for model in MODELS {
            loaded.push(self.is_loaded(model).await?);
        }
        let count = |counter: &AtomicU32| counter.load(Ordering::Relaxed);
        let in_flight = count(&self.counts.working) + count(&self.counts.waiting);
        Ok(Glance { models: (touched, loaded), in_flight })
    }

    fn share(&self) -> Self {
        Self {
            loaded: self.loaded.clone(),
            run_limit: self.run_limit,
            slots: self.slots.clone(),
            counts: self.counts.clone(),
        }
    }
}

fn perform(invocation: &Invocation, model: Option<&str>, stop: &Stop) -> Result<Outcome, RuntimeError> {
    match (invocation.capability.as_str(), model) {
        ("text.summarize", Some("lead")) => work::summary(invocation, "lead", Method::Lead, stop),
        ("text.summarize", Some("textrank")) => work::summary(invocation, "textrank", Method::TextRank, stop),
        ("doc.extract", _) => work::extraction(invocation, stop),
        ("text.stats", _) => work::statistics(invocation, stop),
        (other, _) => Err(cannot(other)),
    }
}

fn cannot(capability: &str) -> RuntimeError {
    let all = CAPABILITIES.join(", ");
    RuntimeError::new(Fault::BadInput, format!("the built-in runtime cannot do `{capability}`; it can do {all}"))
}

fn known(model: &str) -> Result<&'static str, RuntimeError> {
    MODELS.iter().copied().find(|known| *known == model).ok_or_else(|| {
        let hint = match nearest(model, MODELS.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("it has {}", MODELS.join(" and ")),
        };
        RuntimeError::new(Fault::NotFound, format!("the built-in runtime has no model `{model}`; {hint}"))
    })
}

/// What events are made of.
struct Glance {
    /// When the set of loaded models was last changed, and which are loaded. The time tells of a model that went and came
    /// back, or the other way round, between two glances.
    models: (Option<SystemTime>, Vec<bool>),
    in_flight: u32,
}

/// Looks every [`LOOK_EVERY`] and tells what changed. The first look tells too, so that nothing that happened between
/// an observation and the start of the stream is missed.
fn watch(runtime: Builtin) -> Events {
    let mut interval = tokio::time::interval(LOOK_EVERY);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let last: Option<Glance> = None;
    let looks = stream::unfold((runtime, interval, last), |(runtime, mut interval, last)| async move {
        interval.tick().await;
        let now = match runtime.glance().await {
            Ok(now) => now,
            Err(e) => return Some((vec![Err(e)], (runtime, interval, None))),
        };
        let mut events = Vec::new();
        if last.as_ref().is_none_or(|last| last.models != now.models) {
            events.push(Ok(RuntimeEvent::Changed));
        }
        if last.as_ref().is_none_or(|last| last.in_flight != now.in_flight) {
            events.push(Ok(RuntimeEvent::InFlight(now.in_flight)));
        }
        Some((events, (runtime, interval, Some(now))))
    });
    looks.flat_map(stream::iter).boxed()
}

impl Adapter for Builtin {
    fn kind(&self) -> AdapterKind {
        AdapterKind::Builtin
    }

    fn abilities(&self) -> Abilities {
        Abilities { loads: true, events: true, cancels: true }
    }

    fn observe(&self) -> Call<'_, RuntimeView> {
        self.view().boxed()
    }

    fn events(&self) -> Call<'_, Events> {
        async { Ok(watch(self.share())) }.boxed()
    }

    fn load<'a>(&'a self, model: &'a str) -> Call<'a, ()> {
        self.set_loaded(model, true).boxed()
    }

    fn unload<'a>(&'a self, model: &'a str) -> Call<'a, ()> {
        self.set_loaded(model, false).boxed()
    }

    fn run<'a>(&'a self, invocation: Invocation, progress: Progress) -> Call<'a, Outcome> {
        self.carry_out(invocation, progress).boxed()
    }
}
