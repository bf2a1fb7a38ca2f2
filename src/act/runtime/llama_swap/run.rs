//! One run: sent under a mark of its own, cancelled for certain, and told with the figures that llama-swap measured of it.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, PoisonError};

use crate::act::http::{Client, Request};
use crate::act::runtime::adapter::{Invocation, Outcome, Progress, RuntimeError};
use crate::act::runtime::openai::{Api, Routes, chat, embed};
use crate::act::runtime::reach;
use crate::declare::manifest::kind::runtime::AdapterKind;

use super::activity::{self, Before, Sent};
use super::adapter::{CAPABILITIES, LlamaSwap};
use super::captures;
use super::in_flight::MARK;
use super::paths;
use super::seen::Heard;

/// Does `invocation` with `model`.
pub(super) async fn run(
    runtime: &LlamaSwap,
    model: String,
    invocation: Invocation,
    progress: Progress,
) -> Result<Outcome, RuntimeError> {
    let capability = invocation.capability.clone();
    let path = match capability.as_str() {
        "text.generate" | "text.summarize" => Routes::USUAL.chat,
        "text.embed" => Routes::USUAL.embeddings,
        other => return Err(reach::not_made_for(AdapterKind::LlamaSwap, other, CAPABILITIES)),
    };
    let asked = Asked { runtime, model: &model, path, before: activity::before(&runtime.client).await };
    let mut mark = Mark::new(runtime);
    let client = runtime.client.marked(MARK, &mark.value);
    let api = Api::new(&client, &runtime.prompts, runtime.timeouts.run.get());
    let outcome = match capability.as_str() {
        "text.embed" => embed::run(&api, model.clone(), invocation).await,
        _ => chat::run(&api, model.clone(), invocation, progress.clone()).await,
    };
    mark.ended = true;
    match outcome {
        Ok(outcome) => Ok(asked.with_figures(outcome).await),
        Err(error) => {
            asked.tell_capture(&progress).await;
            Err(error)
        }
    }
}

/// What is needed to find the entry of a run afterwards.
struct Asked<'a> {
    runtime: &'a LlamaSwap,
    model: &'a str,
    path: &'a str,
    before: Option<Before>,
}

impl Asked<'_> {
    /// Adds the figures that llama-swap measured, where the answer itself did not tell them.
    async fn with_figures(&self, mut outcome: Outcome) -> Outcome {
        let figure = |name: &str| outcome.figures.get(name).copied();
        let sent = Sent {
            path: self.path,
            model: &self.real_model(),
            prompt_tokens: figure("prompt_tokens"),
            tokens: figure("tokens"),
            succeeded: true,
        };
        let Some(before) = self.before else { return outcome };
        if let Some(row) = activity::of_run(&self.runtime.client, before, &sent).await {
            for (name, value) in row.figures() {
                outcome.figures.entry(name.to_owned()).or_insert(value);
            }
        }
        outcome
    }

    /// Tells what a failed run asked and was answered, where the options ask for it.
    async fn tell_capture(&self, progress: &Progress) {
        let Some(before) = self.before.filter(|_| self.runtime.captures) else { return };
        let model = self.real_model();
        let sent = Sent { path: self.path, model: &model, prompt_tokens: None, tokens: None, succeeded: false };
        let row = activity::of_run(&self.runtime.client, before, &sent).await;
        if let Some(row) = row.filter(|row| row.has_capture) {
            captures::tell(&self.runtime.client, row.id, progress).await;
        }
    }

    /// Entries carry real names. An alias is known while the events are listened to.
    fn real_model(&self) -> String {
        let heard = self.runtime.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let mut models = heard.iter().flat_map(|heard| &heard.models);
        let aliased = models.find(|told| told.aliases.iter().any(|alias| alias == self.model));
        aliased.map_or(self.model, |told| &told.id).to_owned()
    }
}

/// A mark that no other request carries. When it is dropped before its run has ended, llama-swap is told to cancel the
/// request that carries it, beside the connection that is closed: a proxy in between may keep that one open.
struct Mark {
    value: String,
    ended: bool,
    client: Client,
    heard: Arc<Mutex<Option<Heard>>>,
}

impl Mark {
    fn new(runtime: &LlamaSwap) -> Self {
        // A fresh state is seeded by the operating system.
        let random = || RandomState::new().hash_one(MARK);
        let value = format!("{:016x}{:016x}", random(), random());
        Self { value, ended: false, client: runtime.client.clone(), heard: Arc::clone(&runtime.heard) }
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let id = heard.as_ref().and_then(|heard| heard.in_flight.marked(&self.value)).map(str::to_owned);
        drop(heard);
        if let (Some(id), Ok(handle)) = (id, tokio::runtime::Handle::try_current()) {
            let client = self.client.clone();
            // That it is gone by now is as good.
            handle.spawn(async move { client.send(Request::post(paths::cancel(&id))).await });
        }
    }
}
