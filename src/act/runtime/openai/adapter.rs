//! The adapter `openai`: any server that speaks the protocol, and tells no more of itself than its list of models.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use futures::FutureExt as _;

use crate::act::http::{Client, Request};
use crate::act::runtime::adapter::{Abilities, Adapter, Call, Invocation, Outcome, Progress, RuntimeError};
use crate::act::runtime::connect::Places;
use crate::act::runtime::fault;
use crate::act::runtime::prompts::Prompts;
use crate::act::runtime::reach;
use crate::core::Name;
use crate::decide::view::RuntimeView;
use crate::declare::manifest::kind::options::openai::OpenaiOptions;
use crate::declare::manifest::kind::runtime::{AdapterKind, RuntimeSpec, TimeoutsSpec};

use super::api::Api;
use super::models::{Known, ModelList, pick};
use super::speech::Manner;
use super::{chat, embed, speech, transcribe};

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
        // Without a list, what the manifest names is all that is known.
        view.partial = !self.has_list.load(Ordering::Relaxed);
        view.models = known.into_iter().map(Known::view).collect();
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
        let api = Api::new(&self.client, &self.prompts, self.timeouts.run.get());
        match capability.as_str() {
            "audio.tts" => speech::run(&api, &self.manner, model, invocation, progress).await,
            "audio.transcribe" => transcribe::run(&api, model, invocation, progress).await,
            "text.embed" => embed::run(&api, model, invocation).await,
            _ => chat::run(&api, model, invocation, progress).await,
        }
    }
}

impl Adapter for OpenAi {
    fn kind(&self) -> AdapterKind {
        AdapterKind::Openai
    }

    fn abilities(&self) -> Abilities {
        Abilities { loads: false, events: false, cancels: true }
    }

    fn observe(&self) -> Call<'_, RuntimeView> {
        self.see().boxed()
    }

    fn run<'a>(&'a self, invocation: Invocation, progress: Progress) -> Call<'a, Outcome> {
        self.carry_out(invocation, progress).boxed()
    }
}
