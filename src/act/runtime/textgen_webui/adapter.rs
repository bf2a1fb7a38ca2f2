//! The adapter: its settings, one look, and who does what.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use futures::FutureExt as _;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::RwLock;
use tokio::time::Instant;

use crate::act::http::{Answer, Client};
use crate::act::runtime::adapter::{Abilities, Adapter, Call, Fault, Invocation, Outcome, Progress, RuntimeError};
use crate::act::runtime::connect::Places;
use crate::act::runtime::limit::within;
use crate::act::runtime::openai::{Api, chat};
use crate::act::runtime::prompts::Prompts;
use crate::act::runtime::reach;
use crate::core::Name;
use crate::decide::view::{ModelState, RuntimeView};
use crate::declare::manifest::kind::options::textgen_webui::TextgenWebuiOptions;
use crate::declare::manifest::kind::runtime::{AdapterKind, RuntimeSpec, TimeoutsSpec};

use super::load;
use super::paths::Look;
use super::seen::{Answers, Found, seen};
use super::wire::{Info, List};

/// What this adapter can have done by a text-generation-webui.
pub const CAPABILITIES: &[&str] = &["text.generate", "text.summarize"];
/// The largest answer that is read whole.
const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Arguments that the server drops without a word, each with what to write instead.
const DROPPED: [(&str, &str); 3] = [
    ("extra_flags", "put it on its command line"),
    ("n_gpu_layers", "write `gpu_layers`"),
    ("trust_remote_code", "put it on its command line"),
];

/// A text-generation-webui.
#[derive(Debug)]
pub struct TextgenWebui {
    pub(super) client: Client,
    pub(super) timeouts: TimeoutsSpec,
    prompts: Prompts,
    pub(super) load_args: BTreeMap<String, BTreeMap<String, Value>>,
    /// Held while a model is loaded or unloaded.
    pub(super) changing: tokio::sync::Mutex<()>,
    /// Tasks share it; one that needs another model waits until they have ended.
    working: RwLock<()>,
    memory: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    answers: Option<Answers>,
    found: Option<Found>,
    /// Until when it may be silent because of a load or unload of ours.
    silent_until: Option<Instant>,
}

impl TextgenWebui {
    /// The text-generation-webui that `spec` declares as the runtime `name`.
    ///
    /// # Errors
    /// Bad input when the endpoint or the options cannot be used.
    pub fn new(name: &Name, spec: &RuntimeSpec, places: &Places) -> Result<Self, RuntimeError> {
        let own: TextgenWebuiOptions = reach::options(name, spec)?;
        for (model, args) in &own.load_args {
            if let Some((arg, remedy)) = DROPPED.iter().find(|(arg, _)| args.contains_key(*arg)) {
                let message = format!(
                    "the options of runtime `{name}` cannot be used: `loadArgs` of `{model}` has `{arg}`, which the \
                     server drops without a word; {remedy}"
                );
                return Err(RuntimeError::new(Fault::BadInput, message));
            }
        }
        Ok(Self {
            client: reach::client(name, spec, places, BODY_BYTES_MAX)?,
            timeouts: spec.timeouts.clone(),
            prompts: Prompts::new(&spec.options)?,
            load_args: own.load_args,
            changing: tokio::sync::Mutex::default(),
            working: RwLock::default(),
            memory: Mutex::default(),
        })
    }

    /// Looks, with the time limit of looks. There is no other way in here to ask without changing anything.
    async fn look(&self, look: Look) -> Result<Answer, RuntimeError> {
        reach::look(&self.client, look.path()).await
    }

    async fn look_at<T: DeserializeOwned>(&self, look: Look) -> Result<T, RuntimeError> {
        Ok(self.look(look).await?.json()?)
    }

    async fn answers(&self) -> Result<Answers, RuntimeError> {
        let (health, list) = tokio::join!(self.look(Look::Health), self.look_at::<List>(Look::List));
        let info: Info = self.look_at(Look::Info).await?;
        let (listed, refused) = match list {
            Ok(list) => (list.model_names, None),
            // Its list is behind the admin key, the rest behind the other one.
            Err(error) if error.fault == Fault::Refused => {
                (Vec::new(), Some(format!("its models cannot be listed or loaded without the admin key: {error}")))
            }
            Err(error) => return Err(error),
        };
        let unhealthy = health.err().map(|error| format!("it answers, but its health check does not: {error}"));
        Ok(Answers { listed, named: info.named(), degraded: unhealthy.or(refused) })
    }

    /// One consistent answer; while a load or unload of ours keeps the server silent, what was seen before.
    pub(super) async fn see(&self) -> Result<RuntimeView, RuntimeError> {
        let answers = self.answers().await;
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        match answers {
            Ok(answers) => {
                let is_changing = memory.silent_until.is_some_and(|until| Instant::now() < until);
                let is_on_the_way = memory
                    .found
                    .as_ref()
                    .is_some_and(|found| matches!(found.state, ModelState::Loading | ModelState::Unloading));
                // It answers again although nobody waits for the change any more: it is over, and how is not known.
                if is_on_the_way && (!is_changing || self.is_idle()) {
                    memory.found = None;
                    memory.silent_until = None;
                }
                let view = seen(&answers, memory.found.as_ref());
                memory.answers = Some(answers);
                Ok(view)
            }
            Err(error) => match (&memory.answers, memory.silent_until) {
                (Some(answers), Some(until)) if error.fault == Fault::Timeout && Instant::now() < until => {
                    Ok(seen(answers, memory.found.as_ref()))
                }
                _ => Err(error),
            },
        }
    }

    fn is_idle(&self) -> bool {
        self.changing.try_lock().is_ok()
    }

    /// Keeps what was found out about the model that is named, and until when silence is excused.
    pub(super) fn found(&self, found: Option<Found>, silent_until: Option<Instant>) {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory.found = found;
        memory.silent_until = silent_until;
    }

    async fn carry_out(&self, invocation: Invocation, progress: Progress) -> Result<Outcome, RuntimeError> {
        let capability = invocation.capability.clone();
        reach::made_for(AdapterKind::TextgenWebui, &capability, CAPABILITIES)?;
        let wanted = match &invocation.model {
            Some(model) => model.clone(),
            None => self.answers().await?.named.ok_or_else(|| {
                RuntimeError::new(Fault::BadInput, "the task names no model, and none is loaded; name one")
            })?,
        };
        // What a request says of its model is ignored, so it is seen to beforehand.
        let mut shared = self.working.read().await;
        if self.see().await?.model(&wanted).is_none_or(|model| model.state != ModelState::Loaded) {
            drop(shared);
            let alone = self.working.write().await;
            progress.say(&format!("loading {wanted}"));
            let limit = self.timeouts.load.get();
            within(limit, &format!("cannot load `{wanted}`"), load::load(self, &wanted)).await?;
            shared = alone.downgrade();
        }
        let api = Api::new(&self.client, &self.prompts, self.timeouts.run.get());
        let result = chat::run(&api, wanted, invocation, progress).await;
        if matches!(&result, Err(error) if matches!(error.fault, Fault::Unreachable | Fault::RuntimeError)) {
            // An answer that breaks off may mean that no model is there: that is found out again.
            self.found(None, None);
        }
        drop(shared);
        result
    }
}

impl Adapter for TextgenWebui {
    fn kind(&self) -> AdapterKind {
        AdapterKind::TextgenWebui
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
