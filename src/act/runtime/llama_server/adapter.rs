//! The adapter: its settings, one look, and who does what.

use std::sync::{Mutex, PoisonError};

use futures::FutureExt as _;
use tokio::sync::Semaphore;

use crate::act::http::{Answer, Client};
use crate::act::runtime::adapter::{
    Abilities, Adapter, Call, Events, Fault, Invocation, Outcome, Progress, RuntimeError,
};
use crate::act::runtime::connect::Places;
use crate::act::runtime::limit::slot;
use crate::act::runtime::openai::{Api, chat, embed, transcribe};
use crate::act::runtime::prompts::Prompts;
use crate::act::runtime::reach;
use crate::core::Name;
use crate::decide::view::{ModelState, RuntimeView};
use crate::declare::manifest::kind::options::llama_server::LlamaServerOptions;
use crate::declare::manifest::kind::runtime::{AdapterKind, RuntimeSpec, TimeoutsSpec};

use super::paths::Look;
use super::seen::{Seen, seen, starting};
use super::wire::{Busy, ModelList, Props, busy};
use super::{events, load, told};

/// What this adapter can have done by a llama-server.
pub const CAPABILITIES: &[&str] = &["audio.transcribe", "text.embed", "text.generate", "text.summarize"];
/// The largest answer that is read whole: lists of models, vectors.
const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Tasks that are sent together; what has no free slot waits in the server.
const AT_ONCE: usize = 32;
/// Loaded models of a router whose numbers are read in one look.
const METRICS_MAX: usize = 16;

/// A llama-server.
#[derive(Debug)]
pub struct LlamaServer {
    pub(super) client: Client,
    pub(super) timeouts: TimeoutsSpec,
    prompts: Prompts,
    reads_metrics: bool,
    /// What was last seen.
    known: Mutex<RuntimeView>,
    /// Why it made no vectors when it was last asked to. None once it did, or answered no look since.
    makes_no_vectors: Mutex<Option<String>>,
    slots: Semaphore,
}

impl LlamaServer {
    /// The llama-server that `spec` declares as the runtime `name`.
    ///
    /// # Errors
    /// Bad input when the endpoint or the options cannot be used.
    pub fn new(name: &Name, spec: &RuntimeSpec, places: &Places) -> Result<Self, RuntimeError> {
        let own: LlamaServerOptions = reach::options(name, spec)?;
        Ok(Self {
            client: reach::client(name, spec, places, BODY_BYTES_MAX)?,
            timeouts: spec.timeouts.clone(),
            prompts: Prompts::new(&spec.options)?,
            reads_metrics: own.metrics,
            known: Mutex::default(),
            makes_no_vectors: Mutex::default(),
            slots: Semaphore::new(AT_ONCE),
        })
    }

    /// Looks, with the time limit of looks. There is no other way in here to ask without changing anything.
    async fn look(&self, look: Look<'_>) -> Result<Answer, RuntimeError> {
        reach::look(&self.client, &look.path()).await.map_err(told::meant)
    }

    /// What the server tells of itself; none while it is still loading its only model.
    pub(super) async fn props(&self) -> Result<Option<Props>, RuntimeError> {
        let answer = self.look(Look::Props).await;
        if answer.is_err() {
            // It may be another process by now, started with other arguments.
            self.remember_vectors(None);
        }
        match answer {
            Ok(answer) => Ok(Some(answer.json()?)),
            Err(error) if error.words.as_deref() == Some("Loading model") => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn list(&self) -> Result<ModelList, RuntimeError> {
        Ok(self.look(Look::Models).await?.json()?)
    }

    /// One consistent answer; none while the server is still loading its only model.
    pub(super) async fn see(&self) -> Result<Option<Seen>, RuntimeError> {
        let Some(props) = self.props().await? else { return Ok(None) };
        let (list, health) = tokio::join!(self.list(), self.look(Look::Health));
        let mut seen = seen(&props, list?, None);
        if let Some(busy) = self.busy(&props, &seen).await {
            (seen.view.in_flight, seen.view.queued) = (Some(busy.processing), Some(busy.deferred));
        }
        seen.view.degraded = health.err().map(|e| format!("it answers, but its health check does not: {e}"));
        // The refusal of one model of a router says nothing of its others.
        if let Some(why) = self.vectors_refused().filter(|_| !seen.is_router) {
            seen.view.lacks.insert("text.embed".to_owned(), why);
        }
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&seen.view);
        Ok(Some(seen))
    }

    fn vectors_refused(&self) -> Option<String> {
        self.makes_no_vectors.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn remember_vectors(&self, refused: Option<String>) {
        *self.makes_no_vectors.lock().unwrap_or_else(PoisonError::into_inner) = refused;
    }

    /// The requests that run and wait, where the server counts them.
    async fn busy(&self, props: &Props, seen: &Seen) -> Option<Busy> {
        if !self.reads_metrics {
            return None;
        }
        if !seen.is_router {
            return if props.endpoint_metrics { self.busy_with(None).await } else { None };
        }
        let loaded = seen.view.models.iter().filter(|model| model.state == ModelState::Loaded);
        let names: Vec<&str> = loaded.map(|model| model.name.as_str()).collect();
        if names.len() > METRICS_MAX {
            return None;
        }
        let told = futures::future::join_all(names.into_iter().map(|name| self.busy_with(Some(name)))).await;
        // A number that is missing for one model would make the sum a wrong one.
        told.into_iter().try_fold(Busy::default(), |sum, one| {
            let one = one?;
            Some(Busy {
                processing: sum.processing.saturating_add(one.processing),
                deferred: sum.deferred.saturating_add(one.deferred),
            })
        })
    }

    async fn busy_with(&self, model: Option<&str>) -> Option<Busy> {
        busy(self.look(Look::Metrics(model)).await.ok()?.text().ok()?)
    }

    async fn view(&self) -> Result<RuntimeView, RuntimeError> {
        Ok(match self.see().await? {
            Some(seen) => seen.view,
            None => starting(&self.known.lock().unwrap_or_else(PoisonError::into_inner)),
        })
    }

    /// The model to work with. A server of a single model answers with it whatever name it is asked for, so that is
    /// checked here.
    async fn choose(&self, wanted: Option<&str>) -> Result<String, RuntimeError> {
        if let Some(name) = wanted {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(model) = known.model(name) {
                return Ok(model.name.clone());
            }
        }
        let view = self.view().await?;
        if let Some(busy) = view.degraded.as_ref().filter(|_| view.models.is_empty()) {
            return Err(RuntimeError::new(Fault::Busy, busy.clone()));
        }
        let Some(name) = wanted else {
            let loaded = view.models.iter().find(|model| model.state == ModelState::Loaded);
            let any = loaded.or(if let [only] = view.models.as_slice() { Some(only) } else { None });
            return any.map(|model| model.name.clone()).ok_or_else(|| {
                RuntimeError::new(Fault::BadInput, "the task names no model, and the server has none loaded; name one")
            });
        };
        view.model(name)
            .map(|model| model.name.clone())
            .ok_or_else(|| reach::no_model("the server", name, view.models.iter().map(|model| model.name.as_str())))
    }

    async fn carry_out(&self, invocation: Invocation, progress: Progress) -> Result<Outcome, RuntimeError> {
        reach::made_for(AdapterKind::LlamaServer, &invocation.capability, CAPABILITIES)?;
        let _slot = slot(&self.slots).await?;
        let model = self.choose(invocation.model.as_deref()).await?;
        match self.attempt(&model, invocation.clone(), progress.clone()).await {
            // A router that loads nothing by itself.
            Err(error) if told::is_not_loaded(&error) => {
                progress.say("the model is being loaded");
                load::load(self, &model).await?;
                self.attempt(&model, invocation, progress).await
            }
            outcome => outcome,
        }
    }

    async fn attempt(
        &self,
        model: &str,
        mut invocation: Invocation,
        progress: Progress,
    ) -> Result<Outcome, RuntimeError> {
        let api = Api::new(&self.client, &self.prompts, self.timeouts.run.get());
        let model = model.to_owned();
        let outcome = match invocation.capability.as_str() {
            "text.embed" => {
                let outcome = embed::run(&api, model, invocation).await;
                if let Some(told) = told::of_vectors(outcome.as_ref().err()) {
                    self.remember_vectors(told);
                }
                outcome
            }
            "audio.transcribe" => transcribe::run(&api, model, invocation, progress).await,
            _ => {
                invocation.params.entry("return_progress".to_owned()).or_insert(true.into());
                chat::run(&api, model, invocation, progress).await
            }
        };
        outcome.map_err(told::meant)
    }
}

impl Adapter for LlamaServer {
    fn kind(&self) -> AdapterKind {
        AdapterKind::LlamaServer
    }

    fn abilities(&self) -> Abilities {
        Abilities { loads: true, events: true, cancels: true }
    }

    fn observe(&self) -> Call<'_, RuntimeView> {
        self.view().boxed()
    }

    fn events(&self) -> Call<'_, Events> {
        events::open(self).boxed()
    }

    fn load<'a>(&'a self, model: &'a str) -> Call<'a, ()> {
        load::load(self, model).boxed()
    }

    fn unload<'a>(&'a self, model: &'a str) -> Call<'a, ()> {
        load::unload(self, model).boxed()
    }

    fn run<'a>(&'a self, invocation: Invocation, progress: Progress) -> Call<'a, Outcome> {
        self.carry_out(invocation, progress).boxed()
    }
}
