//! The adapter: its settings, one look, and who does what.

use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt as _, StreamExt as _};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::Semaphore;

use crate::act::http::{Client, Options, Request};
use crate::act::runtime::adapter::{
    Abilities, Adapter, Fault, Invocation, Outcome, Progress, RuntimeError, RuntimeEvent,
};
use crate::act::runtime::connect::Places;
use crate::act::runtime::fault;
use crate::act::runtime::limit::within;
use crate::act::runtime::openai::{Api, Routes, chat, embed};
use crate::act::runtime::prompts::Prompts;
use crate::core::Name;
use crate::core::text::nearest;
use crate::decide::view::{ModelState, RuntimeView};
use crate::declare::manifest::kind::options;
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
        let bad = |message: String| RuntimeError::new(Fault::BadInput, message);
        let endpoint = spec
            .endpoint
            .as_deref()
            .ok_or_else(|| bad(format!("runtime `{name}` needs an endpoint, such as http://127.0.0.1:11434")))?;
        let own: OllamaOptions = options::read(&spec.options)
            .map_err(|why| bad(format!("the options of runtime `{name}` cannot be used: {why}")))?;
        let options = Options {
            connect: spec.timeouts.connect.get(),
            total: spec.timeouts.connect.get(),
            body_bytes_max: BODY_BYTES_MAX,
            token_file: spec.auth.as_ref().map(|auth| places.credentials_dir.join(auth.token_from.file.as_str())),
        };
        Ok(Self {
            client: Client::new(endpoint, options)?,
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
        let answer = self.client.send(Request::get(look.path())).await?;
        if answer.status != 200 {
            return Err(meant(fault::of_answer(&answer, &format!("cannot read {}", look.path()))));
        }
        Ok(answer.json()?)
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
        if !CAPABILITIES.contains(&invocation.capability.as_str()) {
            let all = CAPABILITIES.join(", ");
            let message = format!("Ollama is not driven for `{}`, but for {all}", invocation.capability);
            return Err(RuntimeError::new(Fault::BadInput, message));
        }
        let _slot = self.slots.acquire().await.map_err(|_| RuntimeError::new(Fault::Unreachable, "shutting down"))?;
        let model = self.choose(invocation.model.as_deref()).await?;
        let api =
            Api { client: &self.client, prompts: &self.prompts, limit: self.timeouts.run.get(), routes: Routes::USUAL };
        let outcome = match invocation.capability.as_str() {
            "text.embed" => embed::run(&api, model, invocation).await,
            _ => chat::run(&api, model, invocation, progress).await,
        };
        outcome.map_err(meant)
    }
}

fn name_in(view: &RuntimeView, wanted: &str) -> Result<String, RuntimeError> {
    let found = view.models.iter().find(|model| is_same(&model.name, wanted));
    found.map(|model| model.name.clone()).ok_or_else(|| {
        let near = nearest(wanted, view.models.iter().map(|model| model.name.as_str()));
        let hint = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        RuntimeError::new(Fault::NotFound, format!("Ollama has no model `{wanted}`{hint}"))
    })
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

    fn observe(&self) -> BoxFuture<'_, Result<RuntimeView, RuntimeError>> {
        self.see().boxed()
    }

    fn events(&self) -> BoxFuture<'_, Result<BoxStream<'static, Result<RuntimeEvent, RuntimeError>>, RuntimeError>> {
        // There are none: it is looked at instead.
        async { Ok(futures::stream::pending().boxed()) }.boxed()
    }

    fn load<'a>(&'a self, model: &'a str) -> BoxFuture<'a, Result<(), RuntimeError>> {
        let asked = format!("cannot load `{model}`");
        let limit = self.timeouts.load.get();
        async move { within(limit, &asked, load::load(self, model)).await }.boxed()
    }

    fn unload<'a>(&'a self, model: &'a str) -> BoxFuture<'a, Result<(), RuntimeError>> {
        let asked = format!("cannot unload `{model}`");
        let limit = self.timeouts.load.get();
        async move { within(limit, &asked, load::unload(self, model)).await }.boxed()
    }

    fn run<'a>(&'a self, invocation: Invocation, progress: Progress) -> BoxFuture<'a, Result<Outcome, RuntimeError>> {
        let asked = format!("cannot do `{}`", invocation.capability);
        let limit = self.timeouts.run.get();
        async move { within(limit, &asked, self.carry_out(invocation, progress)).await }.boxed()
    }
}
