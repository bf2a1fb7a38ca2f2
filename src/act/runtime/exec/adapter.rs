//! The adapter `exec`: which programs are there, how well this machine is protected from them, who may work, and that a run
//! ends when nobody waits for it any more.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::act::runtime::adapter::{Abilities, Adapter, Call, Fault, Invocation, Outcome, Progress, RuntimeError};
use crate::act::runtime::connect::Places;
use crate::act::runtime::reach;
use crate::core::Name;
use crate::decide::view::{ModelState, ModelView, RuntimeView};
use crate::declare::manifest::kind::options::exec::{ExecOptions, Program, Sandboxing};
use crate::declare::manifest::kind::runtime::{AdapterKind, RuntimeSpec};

use super::probe::{Protection, Tools};
use super::run::{Run, found};
use super::{family, folder};

/// Runs at once when the manifest does not say it.
const SLOTS: u32 = 4;

/// Plain programs as a runtime.
#[derive(Debug)]
pub struct Exec {
    options: Arc<ExecOptions>,
    tools: Tools,
    home: PathBuf,
    run_limit: Duration,
    slots: Arc<Semaphore>,
    waiting: Arc<AtomicU32>,
    working: Arc<AtomicU32>,
    /// What was found when it was last looked.
    protection: Mutex<Option<Arc<Protection>>>,
}

/// Counts one piece of work for as long as it lives.
struct Counted(Arc<AtomicU32>);

impl Counted {
    fn new(counter: &Arc<AtomicU32>) -> Self {
        counter.fetch_add(1, Ordering::Relaxed);
        Self(counter.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Exec {
    /// The programs that `spec` declares as the runtime `name`.
    ///
    /// # Errors
    /// Bad input when the options cannot be used, or say nothing of a capability that the runtime is to have.
    pub fn new(name: &Name, spec: &RuntimeSpec, places: &Places) -> Result<Self, RuntimeError> {
        let bad = |message: String| RuntimeError::new(Fault::BadInput, message);
        let options: ExecOptions = reach::options(name, spec)?;
        if let Some(missing) = spec.capabilities.iter().find(|wanted| !options.programs.contains_key(*wanted)) {
            let message = format!("runtime `{name}` offers `{missing}`, and `options.programs` does not say how");
            return Err(bad(message));
        }
        let home = places.state_dir.join("exec").join(name.as_str());
        if let Some(path) = options.readable.iter().find(|path| shows(path, places)) {
            let message = format!(
                "`readable` of runtime `{name}` cannot hold {path}: it would show Arcology's own state or tokens"
            );
            return Err(bad(message));
        }
        for mark in folder::tidy(&home) {
            family::end_marked(&mark);
        }
        let slots = usize::try_from(spec.slots.unwrap_or(SLOTS)).unwrap_or(1);
        Ok(Self {
            options: Arc::new(options),
            tools: places.tools.clone(),
            home,
            run_limit: spec.timeouts.run.get(),
            slots: Arc::new(Semaphore::new(slots)),
            waiting: Arc::default(),
            working: Arc::default(),
            protection: Mutex::default(),
        })
    }

    /// What protects this machine. What works is believed; what does not is tried again, since somebody may mend it.
    async fn protection(&self, looks_again: bool) -> Result<Arc<Protection>, RuntimeError> {
        let known = self.protection.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match known {
            Some(known) if !looks_again || known.missing().is_none() => return Ok(known),
            Some(_) | None => {}
        }
        let (wish, tools) = (self.options.sandbox, self.tools.clone());
        let found = tokio::task::spawn_blocking(move || Protection::found(wish, &tools)).await;
        let found =
            found.map_err(|error| RuntimeError::new(Fault::RuntimeError, format!("looking broke off: {error}")))?;
        let found = Arc::new(found);
        *self.protection.lock().unwrap_or_else(PoisonError::into_inner) = Some(found.clone());
        Ok(found)
    }

    async fn see(&self) -> Result<RuntimeView, RuntimeError> {
        let protection = self.protection(true).await?;
        let count = |counter: &AtomicU32| Some(counter.load(Ordering::Relaxed));
        let mut notes = Vec::new();
        if let Some(missing) = self.missing_programs() {
            notes.push(missing);
        }
        let refusal = protection.refusal().filter(|_| self.options.sandbox == Sandboxing::Required);
        match refusal {
            Some(why) => notes.push(format!("nothing is run, since `sandbox` is `required`: {why}")),
            None => notes.extend(protection.missing()),
        }
        Ok(RuntimeView {
            degraded: (!notes.is_empty()).then(|| notes.join(". ")),
            models: self.options.models.keys().map(|name| model(name)).collect(),
            protection: Some(protection.in_words()),
            in_flight: count(&self.working),
            queued: count(&self.waiting),
            lacks: self
                .missing()
                .map(|(capability, program)| {
                    (capability.to_owned(), format!("its program `{program}` is not installed"))
                })
                .collect(),
            ..RuntimeView::default()
        })
    }

    /// The programs that are not there, each once for every capability that needs it.
    fn missing(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut missing = BTreeSet::new();
        for (capability, program) in &self.options.programs {
            for name in program.steps.iter().filter_map(|step| step.run.first()?.literal()) {
                if found(&self.options, name).is_err() {
                    missing.insert((name, capability.as_str()));
                }
            }
        }
        missing.into_iter().map(|(program, capability)| (capability, program))
    }

    /// The programs that are not there, in one sentence.
    fn missing_programs(&self) -> Option<String> {
        let list: Vec<String> =
            self.missing().map(|(capability, program)| format!("`{program}` (for {capability})")).collect();
        (!list.is_empty()).then(|| format!("programs that are not installed: {}", list.join(", ")))
    }

    fn program(&self, capability: &str) -> Result<&Program, RuntimeError> {
        self.options.programs.get(capability).ok_or_else(|| {
            let all = self.options.programs.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            let message = format!("no program is declared for `{capability}`, but for {all}");
            RuntimeError::new(Fault::BadInput, message)
        })
    }

    /// The model to work with and what the manifest says of it.
    fn choose(&self, wanted: Option<&str>) -> Result<(Option<String>, Option<String>), RuntimeError> {
        let models = &self.options.models;
        let Some(wanted) = wanted else {
            let only = (models.len() == 1).then(|| models.first_key_value()).flatten();
            return Ok(only.map(|(name, value)| (name.clone(), value.clone())).unzip());
        };
        let known = models
            .get(wanted)
            .ok_or_else(|| reach::no_model("`options.models`", wanted, models.keys().map(String::as_str)));
        Ok((Some(wanted.to_owned()), Some(known?.clone())))
    }

    async fn carry_out(&self, mut invocation: Invocation, progress: Progress) -> Result<Outcome, RuntimeError> {
        let program = self.program(&invocation.capability)?.clone();
        let (model, model_value) = self.choose(invocation.model.as_deref())?;
        invocation.model = model;
        let protection = self.protection(false).await?;
        if let (Sandboxing::Required, Some(why)) = (self.options.sandbox, protection.refusal()) {
            let message = format!("nothing is run without a sandbox, since `sandbox` is `required`: {why}");
            return Err(RuntimeError::new(Fault::Refused, message));
        }
        let waiting = Counted::new(&self.waiting);
        let slot = self.slots.clone().acquire_owned().await;
        let slot = slot.map_err(|_| RuntimeError::new(Fault::Unreachable, "the runtime is shutting down"))?;
        drop(waiting);
        let working = Counted::new(&self.working);
        let cancelled = CancellationToken::new();
        // When this future is dropped, the run is told, and ends its processes before it gives up its place.
        let _tells = cancelled.clone().drop_guard();
        let run = Run {
            options: self.options.clone(),
            time: program.limits.time.map_or(self.run_limit, |time| time.get().min(self.run_limit)),
            program,
            protection,
            home: self.home.clone(),
            invocation,
            model_value,
            progress,
            cancelled,
        };
        let work = tokio::spawn(async move {
            let outcome = run.carry_out().await;
            drop((slot, working));
            outcome
        });
        work.await
            .unwrap_or_else(|error| Err(RuntimeError::new(Fault::RuntimeError, format!("the run broke off: {error}"))))
    }
}

/// Whether programs that may read `path` could read what is Arcology's alone.
fn shows(path: &str, places: &Places) -> bool {
    let real = |path: &Path| path.canonicalize().or_else(|_| std::path::absolute(path)).unwrap_or_default();
    let path = real(Path::new(path));
    [&places.credentials_dir, &places.state_dir].iter().any(|own| {
        let own = real(own);
        own.starts_with(&path) || path.starts_with(&own)
    })
}

fn model(name: &str) -> ModelView {
    // A program loads its model by itself, each time.
    let state = ModelState::Unknown;
    ModelView { name: name.to_owned(), state, vram_gb: None, context_tokens: None, expires_at: None }
}

fn cannot_load() -> RuntimeError {
    let message =
        "the adapter `exec` cannot load or unload: a program takes its model for each run and gives it up after it";
    RuntimeError::new(Fault::BadInput, message)
}

impl Adapter for Exec {
    fn kind(&self) -> AdapterKind {
        AdapterKind::Exec
    }

    fn abilities(&self) -> Abilities {
        Abilities { loads: false, events: false, cancels: true }
    }

    fn observe(&self) -> Call<'_, RuntimeView> {
        self.see().boxed()
    }

    fn load<'a>(&'a self, _: &'a str) -> Call<'a, ()> {
        async { Err(cannot_load()) }.boxed()
    }

    fn unload<'a>(&'a self, _: &'a str) -> Call<'a, ()> {
        async { Err(cannot_load()) }.boxed()
    }

    fn run<'a>(&'a self, invocation: Invocation, progress: Progress) -> Call<'a, Outcome> {
        self.carry_out(invocation, progress).boxed()
    }
}
