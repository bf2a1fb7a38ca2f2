//! One attempt at a task: gather its inputs, call the runtime, keep what comes out, say what became of it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::act::runtime::limit::within;
use crate::act::runtime::{Fault, Invocation, Outcome, Progress, RuntimeError};
use crate::core::{Digest, Name, Timestamp};
use crate::decide::dispatch::{self, RunFailure, RunOutcome};
use crate::decide::scheduler::{Event, ModelAt, Place};
use crate::remember::store::Yield;
use crate::remember::store::row::{ArtifactRow, TaskRow};
use crate::remember::vault::{ARTIFACT_BYTES_MAX, Input, Lineage, Timings};

use super::dispatch::effect::Stop;
use super::inputs_of::{self, Inputs};
use super::shared::Shared;

/// The most bytes of a log that are kept of one attempt: its end.
const LOG_BYTES_MAX: usize = 64 * 1024;

/// What became of an attempt.
pub struct Finished {
    pub outcome: RunOutcome,
    pub left: Yield,
}

/// What an attempt is about.
struct Attempt<'a> {
    row: &'a TaskRow,
    number: u32,
    place: &'a Place,
}

/// Runs one attempt to its end.
pub async fn run(shared: &Arc<Shared>, id: &str, number: u32, place: &Place, stop: &Stop) -> Finished {
    let log = Log::default();
    shared.keep_live(id, log.clone());
    let with = if place.exclusive { ", with its GPU for itself" } else { "" };
    log.say(&format!("attempt {number} on {}{with}", place.runtime));
    let began = shared.steady_ms();
    let worked = tokio::select! {
        worked = whole(shared, id, number, place, &log) => worked,
        why = stop.stopped() => {
            log.say(&format!("stopped: {why}"));
            tell_reach(shared, place, &log);
            // Shutdown is no one's wish for this task: it is taken up again after the next start.
            let outcome = if shared.shutdown.is_cancelled() { RunOutcome::Shutdown } else { RunOutcome::Stopped };
            return Finished { outcome, left: Yield { log: log.take(), ..Yield::default() } };
        }
    };
    // A model may have been loaded for this, and a GPU that drains waits for what the runtime says now.
    if let Some(slot) = shared.slot(&place.runtime) {
        slot.look.notify_one();
    }
    match worked {
        Ok((model, artifacts)) => {
            let took_ms = shared.steady_ms().saturating_sub(began);
            Finished { outcome: RunOutcome::Done { took_ms }, left: Yield { model, artifacts, log: log.take() } }
        }
        Err(failure) => {
            let failure = run_failure(failure);
            log.say(&format!("failed: {}", failure.message));
            let left = Yield { log: log.take(), ..Yield::default() };
            Finished { outcome: RunOutcome::Failed(failure), left }
        }
    }
}

/// Says whether the runtime could be told to stop: dropping the call tells it, where it listens and can be reached.
fn tell_reach(shared: &Shared, place: &Place, log: &Log) {
    let now = shared.now();
    let runtime = &place.runtime;
    match shared.slot(runtime) {
        None => log.say(&format!("{runtime} is no longer driven: it may still be working on it")),
        Some(slot) if !slot.adapter.abilities().cancels => {
            log.say(&format!("{runtime} cannot be told to stop: it may work on it to the end"));
        }
        Some(_) if shared.memory().inputs(now).fresh_view(runtime).is_none() => {
            log.say(&format!("{runtime} cannot be reached: it may still be working on it"));
        }
        Some(_) => log.say(&format!("{runtime} was told to stop")),
    }
}

enum Failure {
    Runtime(RuntimeError),
    Input(String),
    Keeping(String),
}

/// From the task as it is stored to artifacts in the vault.
async fn whole(
    shared: &Arc<Shared>,
    id: &str,
    number: u32,
    place: &Place,
    log: &Log,
) -> Result<(Option<String>, Vec<ArtifactRow>), Failure> {
    let row = shared.store.task(id).await.map_err(|error| Failure::Keeping(error.to_string()))?;
    let row = row.ok_or_else(|| Failure::Keeping(format!("{id} is not in the store")))?;
    let (outcome, inputs) = work(shared, &row, place, log).await?;
    note_speed(shared, place, &outcome);
    keep(shared, &Attempt { row: &row, number, place }, outcome, inputs).await
}

/// Keeps how fast the model was, where its runtime measured it.
fn note_speed(shared: &Shared, place: &Place, outcome: &Outcome) {
    let told = outcome.figures.get("tokens_per_s").copied().filter(|speed| speed.is_finite() && *speed > 0.0);
    if let (Some(speed), Some(served_as)) = (told, &place.served_as) {
        let at = ModelAt { runtime: place.runtime.clone(), served_as: served_as.clone() };
        Arc::make_mut(&mut shared.memory().speeds).insert(at, speed);
    }
}

async fn work(shared: &Arc<Shared>, row: &TaskRow, place: &Place, log: &Log) -> Result<(Outcome, Vec<Input>), Failure> {
    let slot = shared.slot(&place.runtime).ok_or_else(|| {
        Failure::Runtime(RuntimeError::new(Fault::Unreachable, format!("{} is no longer driven", place.runtime)))
    })?;
    let Inputs { text, files, mut lineage } = inputs_of::read(shared, row).await.map_err(Failure::Input)?;
    let limit = run_limit(shared, place);
    let mut invocation = Invocation {
        capability: String::new(),
        model: place.served_as.as_deref().map(str::to_owned),
        text,
        files,
        params: row.spec.params.clone(),
    };
    let mut last: Option<Outcome> = None;
    for capability in &row.spec.capability.0 {
        capability.clone_into(&mut invocation.capability);
        if let Some(before) = &last {
            feed(&mut invocation, before);
        }
        if let Some(path) = slot.adapter.reads(capability) {
            let file = inputs_of::read_in_force(shared, path).await.map_err(Failure::Input)?;
            lineage.push(inputs_of::named(&file.name, &file.bytes));
            invocation.files.push(file);
        }
        let model = place.model.as_ref().map_or("the runtime's own choice", Name::as_str);
        log.say(&format!("{capability} with {model}"));
        let progress = log.progress();
        // With the time that it waits inside the adapter.
        let asked = format!("cannot do `{capability}`");
        let outcome = within(limit, &asked, slot.adapter.run(invocation.clone(), progress)).await;
        last = Some(outcome.map_err(Failure::Runtime)?);
    }
    let outcome = last.ok_or_else(|| Failure::Input("the task names no capability".into()))?;
    Ok((outcome, lineage))
}

/// A chain: what one step made is what the next one works on.
fn feed(invocation: &mut Invocation, before: &Outcome) {
    let made =
        before.outputs.iter().map(|output| (output.name.as_str(), output.kind.as_str(), output.bytes.as_slice()));
    let inputs = Inputs::of_made(made);
    (invocation.text, invocation.files) = (inputs.text, inputs.files);
}

fn run_limit(shared: &Shared, place: &Place) -> Duration {
    shared.memory().world.runtime(&place.runtime).map_or(Duration::from_secs(600), |spec| spec.timeouts.run.get())
}

/// Stores the outputs, then hands over what the store should record of them.
async fn keep(
    shared: &Arc<Shared>,
    attempt: &Attempt<'_>,
    outcome: Outcome,
    inputs: Vec<Input>,
) -> Result<(Option<String>, Vec<ArtifactRow>), Failure> {
    let finished_at = shared.now();
    let lineage = lineage(shared, attempt, &outcome, inputs, finished_at);
    let vault = shared.vault.clone();
    let (id, outputs) = (attempt.row.id.clone(), outcome.outputs);
    let kept = tokio::task::spawn_blocking(move || {
        let mut rows = Vec::with_capacity(outputs.len());
        for output in &outputs {
            let (digest, _) = vault.put(output.bytes.as_slice(), ARTIFACT_BYTES_MAX)?;
            let published = vault.publish(finished_at, &id, &output.name, Some(&output.kind), digest, &lineage)?;
            rows.push(published.row);
        }
        Ok::<_, crate::remember::vault::Error>(rows)
    })
    .await;
    let artifacts = kept
        .map_err(|panic| Failure::Keeping(format!("keeping the outputs broke off: {panic}")))?
        .map_err(|error| Failure::Keeping(error.to_string()))?;
    let capability = attempt.row.spec.capability.0.join(" > ").into();
    let bytes = artifacts.iter().map(|artifact| artifact.bytes).sum();
    shared.inbox.input(dispatch::Input::Event(Event::PutOut { capability, bytes }));
    let declared = attempt.place.model.as_ref().map(ToString::to_string);
    Ok((declared.or(outcome.model), artifacts))
}

fn lineage(
    shared: &Shared,
    attempt: &Attempt<'_>,
    outcome: &Outcome,
    inputs: Vec<Input>,
    finished_at: Timestamp,
) -> Lineage {
    let Attempt { row, number, place } = attempt;
    let memory = shared.memory();
    let model = place.model.as_ref().and_then(|name| memory.world.model(name));
    let model_hash = model.and_then(|model| Digest::parse(model.sha256.as_ref()?).ok());
    let runtime = memory.world.runtime(&place.runtime);
    let version = memory.inputs(finished_at).fresh_view(&place.runtime).and_then(|view| view.version.clone());
    Lineage {
        task: Some(row.id.clone()),
        object: row.object.clone(),
        attempt: Some(*number),
        capability: Some(row.spec.capability.0.join(" > ")),
        runtime: Some(place.runtime.clone()),
        runtime_version: version,
        adapter: runtime.map(|spec| spec.adapter.as_str().to_owned()),
        adapter_version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        model: place.model.as_ref().map(ToString::to_string),
        served_as: outcome.model.clone().or_else(|| place.served_as.as_deref().map(str::to_owned)),
        model_hash,
        params: row.spec.params.clone(),
        seed: seed(row, outcome),
        prompt: outcome.prompt.clone(),
        inputs,
        tags: row.spec.tags.clone(),
        policy: row.policy.clone(),
        revision: row.revision.as_ref().map(ToString::to_string),
        timings: Timings {
            queued_at: Some(row.created_at),
            started_at: row.started_at,
            finished_at: Some(finished_at),
        },
        figures: outcome.figures.clone(),
        host: runtime.map(|spec| spec.host.to_string()),
        ..Lineage::default()
    }
}

/// The seed: the task's, or the one that its runtime chose and tells.
#[expect(clippy::cast_possible_truncation, reason = "whole numbers that a figure holds exactly")]
fn seed(row: &TaskRow, outcome: &Outcome) -> Option<i64> {
    let told = outcome.figures.get("seed").filter(|told| told.fract() == 0.0 && told.abs() < 2_f64.powi(53));
    row.spec.params.get("seed").and_then(serde_json::Value::as_i64).or_else(|| told.map(|told| *told as i64))
}

/// A failure in the dispatcher's words. Whether it is tried again is decided there.
fn run_failure(failure: Failure) -> RunFailure {
    let error = match failure {
        Failure::Input(message) => {
            return RunFailure { code: "bad_input", message, transient: false, retry_after_ms: None };
        }
        Failure::Keeping(message) => {
            return RunFailure { code: "internal", message, transient: false, retry_after_ms: None };
        }
        Failure::Runtime(error) => error,
    };
    let transient = match error.fault {
        Fault::Unreachable | Fault::Busy | Fault::Timeout | Fault::RuntimeError | Fault::OutOfMemory => true,
        Fault::Refused | Fault::NotFound | Fault::BadInput => false,
    };
    let code = match error.fault {
        Fault::Timeout => "timeout",
        Fault::BadInput => "bad_input",
        Fault::OutOfMemory => "fit_failed",
        Fault::Unreachable | Fault::Refused | Fault::NotFound | Fault::Busy | Fault::RuntimeError => "runtime_error",
    };
    let retry_after_ms = error.retry_after.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
    RunFailure { code, message: error.to_string(), transient, retry_after_ms }
}

/// A log of one attempt that keeps its end.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<String>>);

impl Log {
    /// What was said so far.
    #[must_use]
    pub fn text(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn say(&self, line: &str) {
        let mut text = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        text.push_str(&crate::core::text::shorten(line, 2_000));
        text.push('\n');
        if text.len() > LOG_BYTES_MAX {
            let mut cut = text.len() - LOG_BYTES_MAX;
            while !text.is_char_boundary(cut) {
                cut += 1;
            }
            text.drain(..cut);
        }
    }

    fn progress(&self) -> Progress {
        let log = self.clone();
        Progress::new(move |line| log.say(line))
    }

    fn take(&self) -> String {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
