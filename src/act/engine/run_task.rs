//! One attempt at a task: gather its inputs, call the runtime, keep what comes out, say what became of it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::act::runtime::{Fault, InputFile, Invocation, Outcome, Progress, RuntimeError};
use crate::core::clock::after;
use crate::core::rng::Rng;
use crate::core::{Digest, Name, Timestamp, backoff};
use crate::remember::store::TaskOutcome;
use crate::remember::store::row::{AttemptRow, TaskError, TaskRow, Why};
use crate::remember::vault::{ARTIFACT_BYTES_MAX, Input, Lineage, Timings};

use super::inputs_of;
use super::placement::Placement;
use super::shared::Shared;

/// The most characters of a log that are kept of one attempt: its end.
const LOG_CHARS_MAX: usize = 64 * 1024;
/// A task that was interrupted this often is given up: something about it ends the program.
pub const INTERRUPTIONS_MAX: u32 = 2;

/// What became of an attempt.
pub struct Finished {
    pub outcome: TaskOutcome,
    pub log: String,
}

/// Runs one attempt to its end.
pub async fn run(
    shared: &Arc<Shared>,
    row: &TaskRow,
    attempt: &AttemptRow,
    place: &Placement,
    cancel: &CancellationToken,
) -> Finished {
    let log = Log::default();
    log.say(&format!("attempt {} on {}", attempt.number, place.runtime));
    let worked = tokio::select! {
        worked = work(shared, row, place, &log) => worked,
        () = cancel.cancelled() => {
            // Shutdown is no one's wish for this task: it is taken up again after the next start.
            let outcome = if shared.shutdown.is_cancelled() {
                TaskOutcome::Interrupted
            } else {
                TaskOutcome::Cancelled
            };
            return Finished { outcome, log: log.take() };
        }
    };
    let outcome = match worked {
        Ok((outcome, inputs)) => match keep(shared, row, attempt, place, outcome, inputs).await {
            Ok(outcome) => outcome,
            Err(error) => TaskOutcome::Error(error),
        },
        Err(failure) => next_try(row, attempt, place, failure, shared.now()),
    };
    if let TaskOutcome::Error(error) = &outcome {
        log.say(&format!("failed: {}", error.message));
    }
    Finished { outcome, log: log.take() }
}

enum Failure {
    Runtime(RuntimeError),
    Input(String),
}

async fn work(
    shared: &Arc<Shared>,
    row: &TaskRow,
    place: &Placement,
    log: &Log,
) -> Result<(Outcome, Vec<Input>), Failure> {
    let slot = shared.slot(&place.runtime).ok_or_else(|| {
        Failure::Runtime(RuntimeError::new(Fault::Unreachable, format!("{} is no longer driven", place.runtime)))
    })?;
    let files = inputs_of::read(shared, row).await.map_err(Failure::Input)?;
    let mut lineage: Vec<Input> = files.iter().map(|f| input(&f.name, &f.bytes)).collect();
    if let Some(text) = &row.spec.inputs.text {
        lineage.push(input("text", text.as_bytes()));
    }
    let limit = run_limit(shared, place);
    let mut invocation = Invocation {
        capability: String::new(),
        model: place.served_as.clone(),
        text: row.spec.inputs.text.clone(),
        files,
        params: row.spec.params.clone(),
    };
    let mut last: Option<Outcome> = None;
    for capability in &row.spec.capability.0 {
        capability.clone_into(&mut invocation.capability);
        if let Some(before) = &last {
            feed(&mut invocation, before);
        }
        log.say(&format!("{capability} with {}", place.model.as_deref().unwrap_or("the runtime's own choice")));
        let progress = log.progress();
        let outcome = tokio::time::timeout(limit, slot.adapter.run(invocation.clone(), progress))
            .await
            .unwrap_or_else(|_| {
                Err(RuntimeError::new(Fault::Timeout, format!("{capability} took longer than {} s", limit.as_secs())))
            })
            .map_err(Failure::Runtime)?;
        last = Some(outcome);
    }
    let outcome = last.ok_or_else(|| Failure::Input("the task names no capability".into()))?;
    // A model may have been loaded for this: let the page know.
    slot.look.notify_one();
    Ok((outcome, lineage))
}

/// A chain: the text outputs of one step are the text of the next, other outputs its files.
fn feed(invocation: &mut Invocation, before: &Outcome) {
    let mut text = Vec::new();
    invocation.files.clear();
    for output in &before.outputs {
        match std::str::from_utf8(&output.bytes) {
            Ok(words) if matches!(output.kind.as_str(), "md" | "txt") => text.push(words.to_owned()),
            _ => invocation
                .files
                .push(InputFile { name: output.name.clone(), bytes: Arc::from(output.bytes.as_slice()) }),
        }
    }
    invocation.text = (!text.is_empty()).then(|| text.join("\n\n"));
}

fn run_limit(shared: &Shared, place: &Placement) -> Duration {
    shared.memory().world.runtime(&place.runtime).map_or(Duration::from_secs(600), |spec| spec.timeouts.run.get())
}

/// Stores the outputs, then hands over what the store should record of them.
async fn keep(
    shared: &Arc<Shared>,
    row: &TaskRow,
    attempt: &AttemptRow,
    place: &Placement,
    outcome: Outcome,
    inputs: Vec<Input>,
) -> Result<TaskOutcome, TaskError> {
    let finished_at = shared.now();
    let lineage = lineage(shared, row, attempt, place, &outcome, inputs, finished_at);
    let vault = shared.vault.clone();
    let (id, outputs) = (row.id.clone(), outcome.outputs);
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
    let internal = |message: String| TaskError { code: "internal".into(), message, incident: None };
    let artifacts = kept
        .map_err(|panic| internal(format!("keeping the outputs broke off: {panic}")))?
        .map_err(|error| internal(error.to_string()))?;
    Ok(TaskOutcome::Done { model: place.model.clone().or(outcome.model), artifacts })
}

fn lineage(
    shared: &Shared,
    row: &TaskRow,
    attempt: &AttemptRow,
    place: &Placement,
    outcome: &Outcome,
    inputs: Vec<Input>,
    finished_at: Timestamp,
) -> Lineage {
    let memory = shared.memory();
    let model = place.model.as_ref().and_then(|name| Name::new(name).ok());
    let model_hash = model.and_then(|name| Digest::parse(memory.world.model(&name)?.sha256.as_ref()?).ok());
    let runtime = memory.world.runtime(&place.runtime);
    let version = memory.inputs(finished_at).fresh_view(&place.runtime).and_then(|view| view.version.clone());
    Lineage {
        task: Some(row.id.clone()),
        object: row.object.clone(),
        attempt: Some(attempt.number),
        capability: Some(row.spec.capability.0.join(" > ")),
        runtime: Some(place.runtime.clone()),
        runtime_version: version,
        adapter: runtime.map(|spec| spec.adapter.as_str().to_owned()),
        adapter_version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        model: place.model.clone(),
        served_as: outcome.model.clone().or_else(|| place.served_as.clone()),
        model_hash,
        params: row.spec.params.clone(),
        seed: row.spec.params.get("seed").and_then(serde_json::Value::as_i64),
        prompt: outcome.prompt.clone(),
        inputs,
        tags: row.spec.tags.clone(),
        policy: place.policy.sources.clone(),
        revision: row.revision.as_ref().map(ToString::to_string),
        timings: Timings {
            queued_at: Some(row.created_at),
            started_at: Some(attempt.started_at),
            finished_at: Some(finished_at),
        },
        figures: outcome.figures.clone(),
        host: runtime.map(|spec| spec.host.to_string()),
        ..Lineage::default()
    }
}

fn input(name: &str, bytes: &[u8]) -> Input {
    Input { name: name.to_owned(), sha256: Digest::of(bytes), bytes: bytes.len() as u64 }
}

/// A failure that trying again can mend is tried again, as often as the policy says; any other is the end.
fn next_try(row: &TaskRow, attempt: &AttemptRow, place: &Placement, failure: Failure, now: Timestamp) -> TaskOutcome {
    let error = match failure {
        Failure::Input(message) => {
            return TaskOutcome::Error(TaskError { code: "bad_input".into(), message, incident: None });
        }
        Failure::Runtime(error) => error,
    };
    let retries = &place.policy.retries;
    let transient = match error.fault {
        Fault::Unreachable | Fault::Busy | Fault::Timeout | Fault::RuntimeError | Fault::OutOfMemory => true,
        Fault::Refused | Fault::NotFound | Fault::BadInput => false,
    };
    if transient && attempt.number <= retries.max {
        let mut rng = Rng::new(seed_of(&row.id, attempt.number));
        let wait = backoff::next(
            retries.backoff.get() * attempt.number.saturating_sub(1),
            retries.backoff.get(),
            retries.max_backoff.get(),
            &mut rng,
        );
        let why = Why {
            reason: "Backoff".into(),
            message: format!("attempt {} failed ({error}); tried again", attempt.number),
            clears_at: Some(after(now, wait)),
        };
        return TaskOutcome::Requeue { why, error: Some(task_error(&error)) };
    }
    TaskOutcome::Error(task_error(&error))
}

fn seed_of(id: &str, attempt: u32) -> u64 {
    let hex = Digest::of(format!("{id}/{attempt}").as_bytes()).hex();
    u64::from_str_radix(&hex[..16], 16).unwrap_or(0)
}

fn task_error(error: &RuntimeError) -> TaskError {
    let code = match error.fault {
        Fault::Timeout => "timeout",
        Fault::BadInput => "bad_input",
        Fault::OutOfMemory => "fit_failed",
        Fault::Unreachable | Fault::Refused | Fault::NotFound | Fault::Busy | Fault::RuntimeError => "runtime_error",
    };
    TaskError { code: code.into(), message: error.to_string(), incident: None }
}

/// A log of one attempt that keeps its end.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

impl Log {
    fn say(&self, line: &str) {
        let mut text = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        text.push_str(&crate::core::text::shorten(line, 2_000));
        text.push('\n');
        if text.len() > LOG_CHARS_MAX {
            let mut cut = text.len() - LOG_CHARS_MAX;
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
