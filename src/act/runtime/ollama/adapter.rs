//! The adapter: its settings, one look, and who does what.

use futures::FutureExt as _;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::Semaphore;

use crate::act::http::Client;
use crate::act::runtime::adapter::{Abilities, Adapter, Call, Fault, Invocation, Outcome, Progress, RuntimeError};
use crate::act::runtime::connect::Places;
use crate::act::runtime::limit::slot;
use crate::act::runtime::openai::{Api, chat, embed};
use crate::act::runtime::prompts::Prompts;
use crate::act::runtime::reach;
use crate::core::Name;
use crate::decide::view::{ModelState, RuntimeView};
use crate::declare::manifest::kind::options::ollama::{KeepAlive, OllamaOptions};
use crate::declare::manifest::kind::runtime::{AdapterKind, RuntimeSpec, TimeoutsSpec};

use super::load;
use super::seen::seen;
use super::wire::{Loaded, Tags, Version, is_same};

/// What this adapter can have done by an Ollama.
pub const CAPABILITIES: &[&str] = &["text.embed", "text.generate", "text.summarize"];
/// The largest answer that is read whole: lists of models, vectors.
const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Tasks that are sent together; Ollama lets the others wait, and refuses after 512.
const AT_ONCE: usize = 32;

/// What may be asked without changing anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    Version,
    Installed,
    Loaded,
}

impl Look {
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::Version => "/api/version",
            Self::Installed => "/api/tags",
            Self::Loaded => "/api/ps",
        }
    }
}

/// An Ollama.
#[derive(Debug)]
pub struct Ollama {
    pub(super) client: Client,
    pub(super) timeouts: TimeoutsSpec,
    prompts: Prompts,
    keep_alive: KeepAlive,
    slots: Semaphore,
}

impl Ollama {
    /// The Ollama that `spec` declares as the runtime `name`.
    ///
    /// # Errors
    /// Bad input when the endpoint or the options cannot be used.
    pub fn new(name: &Name, spec: &RuntimeSpec, places: &Places) -> Result<Self, RuntimeError> {
        let own: OllamaOptions = reach::options(name, spec)?;
        Ok(Self {
            client: reach::client(name, spec, places, BODY_BYTES_MAX)?,
            timeouts: spec.timeouts.clone(),
            prompts: Prompts::new(&spec.options)?,
            keep_alive: own.keep_alive,
            slots: Semaphore::new(AT_ONCE),
        })
    }

    /// How long a model that is loaded stays, in Ollama's words.
    pub(super) fn keep_alive(&self) -> Value {
        match &self.keep_alive {
            KeepAlive::Seconds(seconds) => (*seconds).into(),
            KeepAlive::Span(text) => text.as_str().into(),
        }
    }

    /// Looks, with the time limit of looks. There is no other way in here to ask without changing anything.
    pub(super) async fn look<T: DeserializeOwned>(&self, look: Look) -> Result<T, RuntimeError> {
        Ok(reach::look(&self.client, look.path()).await.map_err(meant)?.json()?)
    }

    /// One consistent answer. What is loaded is asked last, so that it is the newest part.
    async fn see(&self) -> Result<RuntimeView, RuntimeError> {
        let (tags, version) = tokio::join!(self.look::<Tags>(Look::Installed), self.look::<Version>(Look::Version));
        let tags = tags?;
        let loaded: Loaded = self.look(Look::Loaded).await?;
        let mut view = seen(tags, &loaded, jiff::Timestamp::now());
        match version {
            Ok(told) => view.version = Some(crate::core::text::shorten(&told.version, 60)),
            Err(error) => view.degraded = Some(format!("it answers, but does not tell its version: {error}")),
        }
        Ok(view)
    }

    /// The name of an installed or loaded model as Ollama writes it.
    pub(super) async fn known(&self, wanted: &str) -> Result<String, RuntimeError> {
        name_in(&self.see().await?, wanted)
    }

    async fn choose(&self, wanted: Option<&str>) -> Result<String, RuntimeError> {
        let view = self.see().await?;
        let Some(wanted) = wanted else {
            let loaded = view.models.into_iter().find(|model| model.state == ModelState::Loaded);
            return loaded.map(|model| model.name).ok_or_else(|| {
                RuntimeError::new(Fault::BadInput, "the task names no model, and Ollama has none loaded; name one")
            });
        };
        name_in(&view, wanted)
    }

    async fn carry_out(&self, invocation: Invocation, progress: Progress) -> Result<Outcome, RuntimeError> {
        reach::made_for(AdapterKind::Ollama, &invocation.capability, CAPABILITIES)?;
        let _slot = slot(&self.slots).await?;
        let model = self.choose(invocation.model.as_deref()).await?;
        let api = Api::new(&self.client, &self.prompts, self.timeouts.run.get());
        let outcome = match invocation.capability.as_str() {
            "text.embed" => embed::run(&api, model, invocation).await,
            _ => chat::run(&api, model, invocation, progress).await,
        };
        outcome.map_err(meant)
    }
}

fn name_in(view: &RuntimeView, wanted: &str) -> Result<String, RuntimeError> {
    let found = view.models.iter().find(|model| is_same(&model.name, wanted));
    let all = || view.models.iter().map(|model| model.name.as_str());
    found.map(|model| model.name.clone()).ok_or_else(|| reach::no_model("Ollama", wanted, all()))
}

/// `error` with the fault that Ollama means.
pub(super) fn meant(mut error: RuntimeError) -> RuntimeError {
    match error.words.as_deref() {
        Some(words) if words.to_lowercase().contains("out-of-memory") => error.fault = Fault::OutOfMemory,
        None if error.fault == Fault::Refused => error.message.push_str(
            "; without a word, that is its check of the Host header: reach it by IP or `localhost`, or let it listen \
             elsewhere (OLLAMA_HOST)",
        ),
        _ => {}
    }
    error
}

impl Adapter for Ollama {
    fn kind(&self) -> AdapterKind {
        AdapterKind::Ollama
    }

    fn abilities(&self) -> Abilities {
        Abilities { loads: true, events: false, cancels: true }
    }

    fn observe(&self) -> Call<'_, RuntimeView> {
        self.see().boxed()
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
