//! The adapter: its settings, one look, and who does what.

use futures::FutureExt as _;
use serde::de::DeserializeOwned;

use crate::act::http::{Answer, Client};
use crate::act::runtime::adapter::{Abilities, Adapter, Call, Fault, Invocation, Outcome, Progress, RuntimeError};
use crate::act::runtime::connect::Places;
use crate::act::runtime::limit::within;
use crate::act::runtime::openai::models::{Known, pick};
use crate::act::runtime::openai::{Api, chat, embed, transcribe};
use crate::act::runtime::prompts::Prompts;
use crate::act::runtime::reach;
use crate::core::Name;
use crate::decide::view::{ModelState, RuntimeView};
use crate::declare::manifest::kind::options::vllm::{SleepMode, VllmOptions};
use crate::declare::manifest::kind::runtime::{AdapterKind, RuntimeSpec, TimeoutsSpec};

use super::metrics;
use super::paths::Look;
use super::seen::{Answers, Seen, Told, seen};
use super::sleep;
use super::wire::{IsPaused, IsSleeping, Version};

/// What this adapter can have done by a vLLM. Which of them a process does depends on its model.
pub const CAPABILITIES: &[&str] = &["audio.transcribe", "text.embed", "text.generate", "text.summarize"];
/// The largest answer that is read whole: metrics, vectors.
const BODY_BYTES_MAX: usize = 32 * 1024 * 1024;

/// A vLLM.
#[derive(Debug)]
pub struct Vllm {
    pub(super) client: Client,
    pub(super) timeouts: TimeoutsSpec,
    prompts: Prompts,
    pub(super) sleep_level: u8,
    pub(super) sleep_mode: SleepMode,
}

impl Vllm {
    /// The vLLM that `spec` declares as the runtime `name`.
    ///
    /// # Errors
    /// Bad input when the endpoint or the options cannot be used.
    pub fn new(name: &Name, spec: &RuntimeSpec, places: &Places) -> Result<Self, RuntimeError> {
        let own: VllmOptions = reach::options(name, spec)?;
        Ok(Self {
            client: reach::client(name, spec, places, BODY_BYTES_MAX)?,
            timeouts: spec.timeouts.clone(),
            prompts: Prompts::new(&spec.options)?,
            sleep_level: own.sleep_level.number(),
            sleep_mode: own.sleep_mode,
        })
    }

    /// Looks, with the time limit of looks. There is no other way in here to ask without changing anything.
    async fn look(&self, look: Look) -> Result<Answer, RuntimeError> {
        reach::look(&self.client, look.path()).await
    }

    async fn look_at<T: DeserializeOwned>(&self, look: Look) -> Result<T, RuntimeError> {
        Ok(self.look(look).await?.json()?)
    }

    /// One consistent answer. What sleeps is asked last, so that it is the newest part.
    pub(super) async fn see(&self) -> Result<Seen, RuntimeError> {
        let (list, version, health) =
            tokio::join!(self.look_at(Look::Models), self.look_at::<Version>(Look::Version), self.look(Look::Health),);
        let list = list?;
        let (metrics, is_sleeping, is_paused) = tokio::join!(
            self.look(Look::Metrics),
            self.look_at::<IsSleeping>(Look::IsSleeping),
            self.look_at::<IsPaused>(Look::IsPaused),
        );
        Ok(seen(Answers {
            list,
            metrics: metrics.ok().and_then(|answer| answer.text().ok().map(metrics::read)).unwrap_or_default(),
            is_sleeping: told(is_sleeping.map(|told| told.is_sleeping)),
            is_paused: told(is_paused.map(|told| told.is_paused)),
            unhealthy: health.err().map(|error| error.to_string()),
            version: version.ok().map(|told| crate::core::text::shorten(&told.version, 60)),
        }))
    }

    async fn carry_out(&self, invocation: Invocation, progress: Progress) -> Result<Outcome, RuntimeError> {
        let capability = invocation.capability.clone();
        reach::made_for(AdapterKind::Vllm, &capability, CAPABILITIES)?;
        let seen = self.see().await?;
        let model = chosen(&seen, invocation.model.as_deref())?;
        if seen.is_paused {
            let message = format!("cannot do `{capability}` with `{model}`: the engine is paused until it is resumed");
            return Err(RuntimeError::new(Fault::Busy, message));
        }
        // A request does not wake it.
        if seen.view.model(&model).is_some_and(|seen| seen.state == ModelState::Unloaded) {
            progress.say(&format!("waking {model}"));
            let limit = self.timeouts.load.get();
            within(limit, &format!("cannot wake `{model}`"), sleep::wake(self, &model, &seen)).await?;
        }
        let api = Api::new(&self.client, &self.prompts, self.timeouts.run.get());
        match capability.as_str() {
            "audio.transcribe" => transcribe::run(&api, model, invocation, progress).await,
            "text.embed" => embed::run(&api, model, invocation).await,
            _ => chat::run(&api, model, invocation, progress).await,
        }
    }
}

/// The served name to ask for; a task that names none gets the base model, not one of its LoRA adapters.
fn chosen(seen: &Seen, wanted: Option<&str>) -> Result<String, RuntimeError> {
    let models = seen.view.models.iter().map(|model| model.name.as_str());
    let known: Vec<Known> = match wanted {
        Some(_) => models.chain(seen.view.aliases.keys().map(String::as_str)).map(known).collect(),
        None => models.filter(|name| !seen.loras.contains_key(*name)).map(known).collect(),
    };
    pick(&known, wanted)
}

fn known(id: &str) -> Known {
    Known { id: id.to_owned(), context_tokens: None }
}

fn told(answer: Result<bool, RuntimeError>) -> Told {
    match answer {
        Ok(told) => Told::This(told),
        Err(error) if error.fault == Fault::NotFound => Told::NoRoute,
        Err(_) => Told::Unknown,
    }
}

impl Adapter for Vllm {
    fn kind(&self) -> AdapterKind {
        AdapterKind::Vllm
    }

    fn abilities(&self) -> Abilities {
        Abilities { loads: true, events: false, cancels: true }
    }

    fn observe(&self) -> Call<'_, RuntimeView> {
        async { Ok(self.see().await?.view) }.boxed()
    }

    fn load<'a>(&'a self, model: &'a str) -> Call<'a, ()> {
        sleep::load(self, model).boxed()
    }

    fn unload<'a>(&'a self, model: &'a str) -> Call<'a, ()> {
        sleep::unload(self, model).boxed()
    }

    fn run<'a>(&'a self, invocation: Invocation, progress: Progress) -> Call<'a, Outcome> {
        self.carry_out(invocation, progress).boxed()
    }
}
