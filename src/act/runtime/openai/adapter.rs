//! The adapter `openai`: any server that speaks the protocol, and tells no more of itself than its list of models.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt as _, StreamExt as _};

use crate::act::http::{Client, Request};
use crate::act::runtime::adapter::{
    Abilities, Adapter, Fault, Invocation, Outcome, Progress, RuntimeError, RuntimeEvent,
};
use crate::act::runtime::connect::Places;
use crate::act::runtime::prompts::Prompts;
use crate::act::runtime::{fault, limit};
use crate::core::Name;
use crate::decide::view::{ModelState, ModelView, RuntimeView};
use crate::declare::manifest::kind::options::openai::OpenaiOptions;
use crate::declare::manifest::kind::runtime::{AdapterKind, RuntimeSpec, TimeoutsSpec};

use super::api::{Api, Routes};
use super::models::{Known, ModelList, pick};
use super::speech::Manner;
use super::{chat, embed, reach, speech, transcribe};

/// What can be asked of such a server.
pub const CAPABILITIES: &[&str] = &["audio.transcribe", "audio.tts", "text.embed", "text.generate", "text.summarize"];
/// The largest answer that is read whole: lists of models, vectors, sounds.
const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Where the models are listed.
const MODELS: &str = "/v1/models";

/// A server that speaks OpenAI's protocol.
#[derive(Debug)]
pub struct OpenAi {
    client: Client,
    timeouts: TimeoutsSpec,
    prompts: Prompts,
    manner: Manner,
    health_path: Option<String>,
    /// Models of a server that has no list of its own.
    declared: Vec<String>,
    /// What was listed when it was last looked at.
    listed: Mutex<Vec<Known>>,
    /// Whether the server told its models when it was last asked.
    has_list: AtomicBool,
}

impl OpenAi {
    /// The server that `spec` declares as the runtime `name`.
    ///
    /// # Errors
    /// Bad input when the endpoint or the options cannot be used.
    pub fn new(name: &Name, spec: &RuntimeSpec, places: &Places) -> Result<Self, RuntimeError> {
        let own: OpenaiOptions = reach::options(name, spec)?;
        Ok(Self {
            client: reach::client(name, spec, places, BODY_BYTES_MAX)?,
            timeouts: spec.timeouts.clone(),
            prompts: Prompts::new(&spec.options)?,
            manner: Manner { voice: own.voice, format: own.speech_format, stream: None },
            health_path: own.health_path,
            declared: own.models,
            listed: Mutex::default(),
            has_list: AtomicBool::new(true),
        })
    }

    /// The models: those of its list, or those that the manifest names for a server without one.
    async fn list(&self) -> Result<Vec<Known>, RuntimeError> {
        let answer = self.client.send(Request::get(MODELS)).await?;
        self.has_list.store(answer.status == 200, Ordering::Relaxed);
        let known = match answer.status {
            200 => answer.json::<ModelList>()?.known(),
            404 | 405 if !self.declared.is_empty() => {
                self.declared.iter().map(|id| Known { id: id.clone(), context_tokens: None }).collect()
            }
            _ => return Err(fault::of_answer(&answer, &format!("cannot read {MODELS}"))),
        };
        self.listed.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&known);
        Ok(known)
    }

    async fn see(&self) -> Result<RuntimeView, RuntimeError> {
        let known = self.list().await?;
        let mut view = RuntimeView::default();
        if let Some(path) = &self.health_path {
            let answer = self.client.send(Request::get(path.as_str())).await?;
            if answer.status != 200 {
                let error = fault::of_answer(&answer, &format!("cannot read {path}"));
                view.degraded = Some(format!("it answers, but its health check does not: {error}"));
            } else if answer.is_page() {
                view.degraded =
                    Some(format!("{path} is a page for people and no health check; set another `healthPath`"));
            }
        }
        // Whether a model is loaded is not told by this protocol, so it is not claimed.
        let model = |known: Known| ModelView {
            name: known.id,
            state: ModelState::Unknown,
            vram_gb: None,
            context_tokens: known.context_tokens,
            expires_at: None,
        };
        // Without a list, what the manifest names is all that is known.
        view.partial = !self.has_list.load(Ordering::Relaxed);
        view.models = known.into_iter().map(model).collect();
        Ok(view)
    }

    /// The model to work with, out of the list.
    async fn choose(&self, wanted: Option<&str>) -> Result<String, RuntimeError> {
        let cached = self.listed.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match wanted {
            Some(id) if cached.iter().any(|model| model.id == id) => Ok(id.to_owned()),
            _ => pick(&self.list().await?, wanted),
        }
    }

    async fn carry_out(&self, invocation: Invocation, progress: Progress) -> Result<Outcome, RuntimeError> {
        let capability = invocation.capability.clone();
        reach::made_for(AdapterKind::Openai, &capability, CAPABILITIES)?;
        let model = self.choose(invocation.model.as_deref()).await?;
        let api =
            Api { client: &self.client, prompts: &self.prompts, limit: self.timeouts.run.get(), routes: Routes::USUAL };
        match capability.as_str() {
            "audio.tts" => speech::run(&api, &self.manner, model, invocation, progress).await,
            "audio.transcribe" => transcribe::run(&api, model, invocation, progress).await,
            "text.embed" => embed::run(&api, model, invocation).await,
            _ => chat::run(&api, model, invocation, progress).await,
        }
    }
}

/// The failure of every load and unload in a runtime that has neither.
#[must_use]
pub fn cannot_load(adapter: AdapterKind) -> RuntimeError {
    let name = adapter.as_str();
    let message = format!("the adapter `{name}` cannot load or unload: its server does that by itself, or not at all");
    RuntimeError::new(Fault::BadInput, message)
}

impl Adapter for OpenAi {
    fn kind(&self) -> AdapterKind {
        AdapterKind::Openai
    }

    fn abilities(&self) -> Abilities {
        Abilities { loads: false, events: false, cancels: true }
    }

    fn observe(&self) -> BoxFuture<'_, Result<RuntimeView, RuntimeError>> {
        self.see().boxed()
    }

    fn events(&self) -> BoxFuture<'_, Result<BoxStream<'static, Result<RuntimeEvent, RuntimeError>>, RuntimeError>> {
        // There are none: it is looked at instead.
        async { Ok(futures::stream::pending().boxed()) }.boxed()
    }

    fn load<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<(), RuntimeError>> {
        async { Err(cannot_load(AdapterKind::Openai)) }.boxed()
    }

    fn unload<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<(), RuntimeError>> {
        async { Err(cannot_load(AdapterKind::Openai)) }.boxed()
    }

    fn run<'a>(&'a self, invocation: Invocation, progress: Progress) -> BoxFuture<'a, Result<Outcome, RuntimeError>> {
        let asked = format!("cannot do `{}`", invocation.capability);
        let limit = self.timeouts.run.get();
        async move { limit::within(limit, &asked, self.carry_out(invocation, progress)).await }.boxed()
    }
}
