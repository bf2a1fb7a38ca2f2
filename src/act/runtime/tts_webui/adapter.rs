//! The adapter: its settings, one look, and who does what.

use std::sync::{Mutex, PoisonError};

use futures::FutureExt as _;
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::act::http::{Answer, Client};
use crate::act::runtime::adapter::{Abilities, Adapter, Call, Fault, Invocation, Outcome, Progress, RuntimeError};
use crate::act::runtime::connect::Places;
use crate::act::runtime::limit::slot;
use crate::act::runtime::openai::models::{Known, ModelList, pick};
use crate::act::runtime::openai::speech::Manner;
use crate::act::runtime::openai::{Api, speech, transcribe};
use crate::act::runtime::prompts::Prompts;
use crate::act::runtime::reach;
use crate::core::Name;
use crate::decide::view::RuntimeView;
use crate::declare::manifest::kind::options::tts_webui::{SpeechServer, TtsWebuiOptions};
use crate::declare::manifest::kind::runtime::{AdapterKind, RuntimeSpec, TimeoutsSpec};

use super::paths::Look;
use super::wire::{Health, Voices};
use super::{voice, wave};

/// What this adapter can have done by a speech server. Not all of them listen.
pub const CAPABILITIES: &[&str] = &["audio.transcribe", "audio.tts"];
/// The largest answer that is read whole: a sound.
const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Tasks that are sent together to a server that does not do one thing at a time.
const AT_ONCE: usize = 8;

/// Models whose voices are read in one look.
const VOICE_LISTS_MAX: usize = 16;

/// A speech server.
#[derive(Debug)]
pub struct TtsWebui {
    client: Client,
    timeouts: TimeoutsSpec,
    prompts: Prompts,
    manner: Manner,
    server: SpeechServer,
    /// What was listed when it was last looked at.
    listed: Mutex<Option<Vec<Known>>>,
    /// Until when it may be silent because of a task of ours.
    silent_until: Mutex<Option<Instant>>,
    slots: Semaphore,
}

impl TtsWebui {
    /// The speech server that `spec` declares as the runtime `name`.
    ///
    /// # Errors
    /// Bad input when the endpoint or the options cannot be used.
    pub fn new(name: &Name, spec: &RuntimeSpec, places: &Places) -> Result<Self, RuntimeError> {
        let own: TtsWebuiOptions = reach::options(name, spec)?;
        // A stream has no place for an error once it has begun: whole answers do.
        let stream = match own.server {
            SpeechServer::TtsWebui | SpeechServer::Kokoro => Some(false),
            SpeechServer::Speaches | SpeechServer::Openedai => None,
        };
        let at_once = if own.server == SpeechServer::TtsWebui { 1 } else { AT_ONCE };
        Ok(Self {
            client: reach::client(name, spec, places, BODY_BYTES_MAX)?,
            timeouts: spec.timeouts.clone(),
            prompts: Prompts::new(&spec.options)?,
            manner: Manner { voice: own.voice, format: own.speech_format, stream },
            server: own.server,
            listed: Mutex::default(),
            silent_until: Mutex::default(),
            slots: Semaphore::new(at_once),
        })
    }

    /// Looks, with the time limit of looks; none where such a server has nothing to look at. There is no other way in
    /// here to ask without changing anything.
    async fn look(&self, look: Look) -> Result<Option<Answer>, RuntimeError> {
        let Some(path) = look.path(self.server) else { return Ok(None) };
        reach::look(&self.client, &path).await.map(Some)
    }

    async fn look_at<T: DeserializeOwned>(&self, look: Look) -> Result<Option<T>, RuntimeError> {
        Ok(self.look(look).await?.map(|answer| answer.json()).transpose()?)
    }

    async fn list(&self) -> Result<Vec<Known>, RuntimeError> {
        let list: Option<ModelList> = self.look_at(Look::Models).await?;
        let known = list.map(ModelList::known).unwrap_or_default();
        *self.listed.lock().unwrap_or_else(PoisonError::into_inner) = Some(known.clone());
        Ok(known)
    }

    fn recalled(&self) -> Option<Vec<Known>> {
        self.listed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn see(&self) -> Result<RuntimeView, RuntimeError> {
        let (known, degraded) = match (self.list().await, self.recalled()) {
            (Ok(known), _) => (known, self.complaint().await),
            (Err(error), Some(known)) if error.fault == Fault::Timeout && self.may_be_silent() => {
                let why = "it answers nothing while it speaks; its models are those that were seen before";
                (known, Some(why.to_owned()))
            }
            (Err(error), _) => return Err(error),
        };
        let lacks = self.unspoken(&known, degraded.is_some()).await;
        let lacks = lacks.map(|why| ("audio.tts".to_owned(), why)).into_iter().collect();
        let models = known.into_iter().map(Known::view).collect();
        Ok(RuntimeView { degraded, models, lacks, ..RuntimeView::default() })
    }

    /// Why the voice that the manifest names cannot speak; none where all voices cannot be read.
    async fn unspoken(&self, known: &[Known], is_degraded: bool) -> Option<String> {
        let wanted = self.manner.voice.as_deref().filter(|_| !is_degraded)?;
        let of: Vec<Option<String>> = match self.server {
            SpeechServer::Openedai => return None,
            // Each of its models has voices of its own, and any of them may be the one that is meant.
            SpeechServer::TtsWebui if known.len() <= VOICE_LISTS_MAX => {
                known.iter().map(|model| Some(model.id.clone())).collect()
            }
            SpeechServer::TtsWebui => return None,
            SpeechServer::Kokoro | SpeechServer::Speaches => vec![None],
        };
        let looks = of.into_iter().map(|of| self.look_at::<Voices>(Look::Voices { of }));
        let lists = futures::future::join_all(looks).await;
        let mut all = Vec::new();
        for list in lists {
            all.extend(list.ok().flatten()?.names());
        }
        voice::lacking(wanted, &all)
    }

    /// What its health check says against it.
    async fn complaint(&self) -> Option<String> {
        match self.look(Look::Health).await {
            Err(error) => Some(format!("it answers, but its health check does not: {error}")),
            Ok(answer) => {
                let answer = answer?;
                if answer.is_page() {
                    return Some(
                        "its health check is a page for people, so `server` may name another than it is".to_owned(),
                    );
                }
                let health: Health = answer.json().ok()?;
                let complaint = crate::core::text::shorten(health.complaint()?, 60);
                Some(format!("its health check says `{complaint}`"))
            }
        }
    }

    fn may_be_silent(&self) -> bool {
        let until = *self.silent_until.lock().unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| Instant::now() < until)
    }

    fn expect_silence(&self, until: Option<Instant>) {
        *self.silent_until.lock().unwrap_or_else(PoisonError::into_inner) = until;
    }

    async fn choose(&self, wanted: Option<&str>) -> Result<String, RuntimeError> {
        match (wanted, self.recalled()) {
            (Some(id), Some(known)) if known.iter().any(|model| model.id == id) => Ok(id.to_owned()),
            _ => pick(&self.list().await?, wanted),
        }
    }

    async fn carry_out(&self, invocation: Invocation, progress: Progress) -> Result<Outcome, RuntimeError> {
        let capability = invocation.capability.clone();
        reach::made_for(AdapterKind::TtsWebui, &capability, self.server.does())?;
        let _slot = slot(&self.slots).await?;
        let model = self.choose(invocation.model.as_deref()).await?;
        let api = Api::new(&self.client, &self.prompts, self.timeouts.run.get());
        if self.server == SpeechServer::TtsWebui {
            // Also when the task is dropped: it speaks to the end all the same.
            self.expect_silence(Some(Instant::now() + self.timeouts.run.get()));
        }
        let result = match capability.as_str() {
            "audio.transcribe" => transcribe::run(&api, model, invocation, progress).await,
            _ => self.speak(&api, model, invocation, progress).await,
        };
        self.expect_silence(None);
        result
    }

    async fn speak(
        &self,
        api: &Api<'_>,
        model: String,
        invocation: Invocation,
        progress: Progress,
    ) -> Result<Outcome, RuntimeError> {
        let of_task = invocation.params.get("voice").and_then(serde_json::Value::as_str).map(str::to_owned);
        let voice = of_task.or_else(|| self.manner.voice.clone());
        let asked = format!("cannot do `{}` with `{model}`", invocation.capability);
        let mut outcome = match speech::run(api, &self.manner, model.clone(), invocation, progress).await {
            Ok(outcome) => outcome,
            Err(error) => return Err(self.explained(error, model, voice).await),
        };
        for output in outcome.outputs.iter_mut().filter(|output| output.kind == "wav") {
            let whole = wave::mend(std::mem::take(&mut output.bytes));
            output.bytes = whole.map_err(|why| RuntimeError::new(Fault::RuntimeError, format!("{asked}: {why}")))?;
        }
        Ok(outcome)
    }

    /// `error`, or that there is no such voice: servers answer that in any way, TTS-WebUI as a failure of its own.
    async fn explained(&self, error: RuntimeError, model: String, voice: Option<String>) -> RuntimeError {
        let (Some(voice), Fault::RuntimeError | Fault::BadInput | Fault::NotFound) = (voice, error.fault) else {
            return error;
        };
        let voices = match self.look_at::<Voices>(Look::Voices { of: Some(model) }).await {
            Ok(Some(voices)) => voices.names(),
            Ok(None) | Err(_) => return error,
        };
        let Some(stranger) = voice::stranger(&voice, &voices) else { return error };
        let hint = voice::hint(stranger, &voices);
        let message = format!("{}; it has no voice `{stranger}`{hint}", error.message);
        RuntimeError { fault: Fault::BadInput, message, ..error }
    }
}

impl Adapter for TtsWebui {
    fn kind(&self) -> AdapterKind {
        AdapterKind::TtsWebui
    }

    fn abilities(&self) -> Abilities {
        let cancels = match self.server {
            SpeechServer::Kokoro | SpeechServer::Speaches => true,
            SpeechServer::TtsWebui | SpeechServer::Openedai => false,
        };
        Abilities { loads: false, events: false, cancels }
    }

    fn observe(&self) -> Call<'_, RuntimeView> {
        self.see().boxed()
    }

    fn run<'a>(&'a self, invocation: Invocation, progress: Progress) -> Call<'a, Outcome> {
        self.carry_out(invocation, progress).boxed()
    }
}
