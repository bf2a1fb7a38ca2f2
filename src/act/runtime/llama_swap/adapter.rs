//! The adapter: its settings, one look, and who does what.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;

use crate::act::http::{Answer, Client};
use crate::act::runtime::adapter::{
    Abilities, Adapter, Call, Events, Fault, Invocation, MachineSample, Outcome, Progress, RuntimeError,
};
use crate::act::runtime::connect::Places;
use crate::act::runtime::limit::slot;
use crate::act::runtime::prompts::Prompts;
use crate::act::runtime::reach;
use crate::core::Name;
use crate::decide::view::{ModelState, RuntimeView};
use crate::declare::manifest::kind::options::llama_swap::{CheckPath, LlamaSwapOptions};
use crate::declare::manifest::kind::runtime::{AdapterKind, RuntimeSpec, TimeoutsSpec};

use super::activity::Known;
use super::paths::{self, Look};
use super::seen::{Heard, Seen, seen};
use super::wire::Version;
use super::{events, load, performance, run};

/// What this adapter can have done by a llama-swap.
pub const CAPABILITIES: &[&str] = &["text.embed", "text.generate", "text.summarize"];
/// The largest answer that is read whole: lists of models, vectors.
const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Tasks that are sent together. llama-swap itself refuses the eleventh for one model.
const AT_ONCE: usize = 8;

/// A llama-swap.
#[derive(Debug)]
pub struct LlamaSwap {
    pub(super) client: Client,
    pub(super) timeouts: TimeoutsSpec,
    pub(super) prompts: Prompts,
    /// Where a model's own server is asked in order to load it.
    pub(super) check_path: CheckPath,
    /// What the open event stream has told; none while there is none.
    pub(super) heard: Arc<Mutex<Option<Heard>>>,
    /// What is known of the list of finished requests.
    pub(super) known: Arc<tokio::sync::Mutex<Known>>,
    /// The newest samples of its machine.
    pub(super) sample: Mutex<Option<MachineSample>>,
    /// How long an unload waits for requests in flight.
    pub(super) drain: Duration,
    /// Whether what a failed run asked and was answered may be told.
    pub(super) captures: bool,
    slots: Semaphore,
}

impl LlamaSwap {
    /// The llama-swap that `spec` declares as the runtime `name`.
    ///
    /// # Errors
    /// Bad input when the endpoint or the options cannot be used.
    pub fn new(name: &Name, spec: &RuntimeSpec, places: &Places) -> Result<Self, RuntimeError> {
        let own: LlamaSwapOptions = reach::options(name, spec)?;
        Ok(Self {
            client: reach::client(name, spec, places, BODY_BYTES_MAX)?,
            timeouts: spec.timeouts.clone(),
            prompts: Prompts::new(&spec.options)?,
            check_path: own.check_path,
            heard: Arc::default(),
            known: Arc::default(),
            sample: Mutex::default(),
            drain: own.drain.get(),
            captures: own.captures,
            slots: Semaphore::new(AT_ONCE),
        })
    }

    /// Looks, with the time limit of looks. There is no other way in here to ask without changing anything.
    pub(super) async fn look(&self, look: Look) -> Result<Answer, RuntimeError> {
        paths::look(&self.client, look, "").await
    }

    pub(super) async fn look_at<T: DeserializeOwned>(&self, look: Look) -> Result<T, RuntimeError> {
        Ok(self.look(look).await?.json()?)
    }

    /// One consistent answer. What is loaded is asked last, so that it is the newest part.
    pub(super) async fn see(&self) -> Result<Seen, RuntimeError> {
        let (list, version, health, heard) = tokio::join!(
            self.look_at(Look::Models),
            self.look_at::<Version>(Look::Version),
            self.look(Look::Health),
            self.listen_or_recall(),
        );
        let list = list?;
        let running = self.look_at(Look::Running).await?;
        let mut seen = seen(&list, &running, &heard);
        // Old versions do not tell theirs.
        seen.view.version = version.ok().map(|told| crate::core::text::shorten(&told.version, 60));
        seen.view.degraded = health.err().map(|e| format!("it answers, but its health check does not: {e}"));
        Ok(seen)
    }

    async fn listen_or_recall(&self) -> Heard {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match heard {
            Some(heard) => heard,
            None => events::glimpse(self).await.unwrap_or_default(),
        }
    }

    async fn carry_out(&self, invocation: Invocation, progress: Progress) -> Result<Outcome, RuntimeError> {
        let _slot = slot(&self.slots).await?;
        let model = match &invocation.model {
            Some(model) => model.clone(),
            None => self.any_loaded().await?,
        };
        run::run(self, model, invocation, progress).await
    }

    /// A loaded model for a task that names none: asking for another would unload it.
    async fn any_loaded(&self) -> Result<String, RuntimeError> {
        let seen = self.see().await?;
        let loaded = seen.view.models.into_iter().find(|model| model.state == ModelState::Loaded);
        loaded.map(|model| model.name).ok_or_else(|| {
            RuntimeError::new(Fault::BadInput, "the task names no model, and llama-swap has none loaded; name one")
        })
    }
}

impl Adapter for LlamaSwap {
    fn kind(&self) -> AdapterKind {
        AdapterKind::LlamaSwap
    }

    fn abilities(&self) -> Abilities {
        Abilities { loads: true, events: true, cancels: true }
    }

    fn observe(&self) -> Call<'_, RuntimeView> {
        async { Ok(self.see().await?.view) }.boxed()
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

    fn machine(&self) -> Call<'_, Option<MachineSample>> {
        performance::newest(self).boxed()
    }

    fn run<'a>(&'a self, invocation: Invocation, progress: Progress) -> Call<'a, Outcome> {
        self.carry_out(invocation, progress).boxed()
    }
}
