//! Calls: attempts, and the scheduler's own loads and unloads. Each answers to the inbox exactly once, whatever becomes of
//! it.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};

use futures::FutureExt;
use tokio_util::sync::CancellationToken;

use crate::act::controller::breaker::Allow;
use crate::act::runtime::{Fault, RuntimeError};
use crate::core::Name;
use crate::decide::dispatch::{CallFailure, RunFailure, RunOutcome};
use crate::decide::scheduler::{ClaimVerb, ModelAt, Place, TaskSeq};
use crate::remember::store::Yield;

use super::super::observe::look_now;
use super::super::run_task;
use super::super::shared::Shared;
use super::inbox::Message;

/// What ends an attempt, and why.
#[derive(Clone, Debug)]
pub struct Stop {
    token: CancellationToken,
    why: Arc<OnceLock<String>>,
}

impl Stop {
    #[must_use]
    pub fn new(token: CancellationToken) -> Self {
        Self { token, why: Arc::default() }
    }

    /// Ends the attempt.
    pub fn now(&self, why: String) {
        // The first word stands.
        drop(self.why.set(why));
        self.token.cancel();
    }

    /// Waits until the attempt is to end; gives why.
    pub async fn stopped(&self) -> &str {
        self.token.cancelled().await;
        self.why.get().map_or("Arcology is ending", String::as_str)
    }
}

/// Begins an attempt.
pub fn run(shared: &Arc<Shared>, task: TaskSeq, id: Arc<str>, attempt: u32, place: Place, stop: Stop) {
    let shared = Arc::clone(shared);
    tokio::spawn(async move {
        let run = AssertUnwindSafe(run_task::run(&shared, &id, attempt, &place, &stop));
        let (outcome, left) = match run.catch_unwind().await {
            Ok(finished) => (finished.outcome, finished.left),
            Err(_) => {
                let message = "the attempt broke off inside Arcology; its log says where".to_owned();
                let failure = RunFailure { code: "internal", message, transient: false, retry_after_ms: None };
                (RunOutcome::Failed(failure), Yield::default())
            }
        };
        shared.forget_live(&id);
        shared.inbox.send(Message::Ran { task, attempt, outcome, left });
    });
}

/// Begins a load or an unload.
pub fn call(shared: &Arc<Shared>, at: ModelAt, verb: ClaimVerb) {
    let shared = Arc::clone(shared);
    tokio::spawn(async move {
        let began = shared.steady_ms();
        let stop = shared.shutdown.clone();
        let result = tokio::select! {
            result = AssertUnwindSafe(carry_out(&shared, &at.runtime, &at.served_as, verb)).catch_unwind() => result,
            // It stands open in the journal, and the next start looks what came of it.
            () = stop.cancelled() => return,
        };
        let result = result.unwrap_or_else(|_| {
            Err(RuntimeError::new(Fault::RuntimeError, "the call broke off inside Arcology; its log says where"))
        });
        let took_ms = shared.steady_ms().saturating_sub(began);
        shared.inbox.send(Message::Called { at, verb, took_ms, result });
    });
}

/// Loads or unloads a model, and looks at the runtime before anything is said of it.
///
/// # Errors
/// What the runtime said, or that it is left alone for now.
pub async fn carry_out(shared: &Shared, runtime: &Name, served_as: &str, verb: ClaimVerb) -> Result<(), RuntimeError> {
    let slot = shared
        .slot(runtime)
        .ok_or_else(|| RuntimeError::new(Fault::Unreachable, format!("{runtime} is no longer driven")))?;
    let allowed = slot.breaker().allow(shared.now());
    if let Allow::No { until } = allowed {
        let message = format!("it failed too often and is not called before {until}");
        return Err(RuntimeError::new(Fault::Unreachable, message));
    }
    let result = match verb {
        ClaimVerb::Load => slot.adapter.load(served_as).await,
        ClaimVerb::Unload => slot.adapter.unload(served_as).await,
    };
    match &result {
        Err(error) if matches!(error.fault, Fault::Unreachable | Fault::Timeout) => slot.breaker().failed(shared.now()),
        // It answered, and an answer that says no speaks for the host all the same.
        Ok(()) | Err(_) => slot.breaker().succeeded(),
    }
    // Success and failure both changed what is so: see it before anything is said of it.
    let seen = look_now(shared, runtime).await;
    result.and(seen)
}

/// A failed call in the dispatcher's words.
#[must_use]
pub fn failure(error: &RuntimeError) -> CallFailure {
    let retry_after_ms = error.retry_after.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
    CallFailure { message: error.to_string(), retry_after_ms }
}
