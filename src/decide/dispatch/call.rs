//! Loads and unloads: the scheduler's own, journalled before and after, and the planner's, which ask first.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::core::Name;
use crate::decide::scheduler::{ClaimVerb, Event, ModelAt, Moment};
use crate::decide::view::ModelState;
use crate::declare::manifest::kind::policy::RetriesSpec;

use super::core::{Core, Later, Machine, WRITE_AGAIN_MS};
use super::input::{CallFailure, ClaimAnswer, ClaimId};
use super::op::Op;
use super::record::Record;
use super::retry;
use super::stored::OpenCall;

/// The wait before a model is loaded again where no policy says, and the longest.
const AGAIN_BASE: Duration = Duration::from_secs(5);
const AGAIN_MAX: Duration = Duration::from_secs(300);

/// What is said of what stood open and is not so.
const NOT_SO: &str = "Arcology ended meanwhile, and it is not so";

/// Loads and unloads under way.
#[derive(Debug, Default)]
pub(super) struct Calls {
    own: BTreeMap<ModelAt, Call>,
    claims: BTreeMap<ClaimId, (ModelAt, ClaimVerb)>,
    /// The claim that the scheduler is being asked about.
    asking: Option<ClaimId>,
    /// What stood open at the start, until it is seen what became of it.
    left: BTreeMap<ModelAt, OpenCall>,
    /// How often each load failed in a row.
    failures: BTreeMap<ModelAt, u32>,
}

#[derive(Clone, Debug)]
struct Call {
    model: Option<Name>,
    verb: ClaimVerb,
    because: String,
    took_ms: u64,
    retry_ms: u64,
}

impl<M: Machine> Core<M> {
    pub(super) fn load(&mut self, at: ModelAt, because: String) {
        self.begin(at, ClaimVerb::Load, because);
    }

    pub(super) fn unload(&mut self, at: ModelAt, because: String) {
        self.begin(at, ClaimVerb::Unload, because);
    }

    fn begin(&mut self, at: ModelAt, verb: ClaimVerb, because: String) {
        if self.closing || self.calls.own.contains_key(&at) {
            return;
        }
        let model = self.declared(&at);
        let call = Call { model: model.clone(), verb, because: because.clone(), took_ms: 0, retry_ms: 0 };
        self.calls.own.insert(at.clone(), call);
        self.write(Record::Begin { at, model, verb, because });
    }

    /// What is about to be done is on disk: it is done.
    pub(super) fn begun(&mut self, at: ModelAt, verb: ClaimVerb) {
        if self.calls.left.get(&at).is_some_and(|left| left.verb == verb) {
            // It stood open still: that entry is this one's now.
            self.calls.left.remove(&at);
        }
        self.ops.push(match verb {
            ClaimVerb::Load => Op::Load { at },
            ClaimVerb::Unload => Op::Unload { at },
        });
    }

    /// It could not be written, so nothing is done; the scheduler hears of it after a pause.
    pub(super) fn not_begun(&mut self, at: ModelAt, verb: ClaimVerb, why: String, now: Moment) {
        self.calls.own.remove(&at);
        let message = format!("it could not be written down: {why}");
        let event = failed(at, verb, message, WRITE_AGAIN_MS);
        self.later(WRITE_AGAIN_MS, now, Later::Tell(event));
    }

    /// The call is over in the world: how is written.
    pub(super) fn call_ended(&mut self, at: ModelAt, verb: ClaimVerb, took_ms: u64, result: Result<(), CallFailure>) {
        if self.calls.own.get(&at).is_none_or(|call| call.verb != verb) {
            return;
        }
        let retry_ms = self.reckon(&at, verb, &result);
        let Some(call) = self.calls.own.get_mut(&at) else { return };
        (call.took_ms, call.retry_ms) = (took_ms, retry_ms);
        let Call { model, because, .. } = call.clone();
        let result = result.map_err(|failure| failure.message);
        self.write(Record::Finish { at, model, verb, because, result });
    }

    /// How it ended is on disk: it is believed.
    pub(super) fn call_over(&mut self, at: ModelAt, verb: ClaimVerb, because: &str, result: Result<(), String>) {
        // What stood open from the last run says so in its reason: nobody waits for it, and another may be under way by now.
        if self.calls.own.get(&at).is_none_or(|call| call.verb != verb || call.because != because) {
            return;
        }
        let Some(call) = self.calls.own.remove(&at) else { return };
        self.events.push_back(match result {
            Ok(()) => done(at, verb, call.took_ms),
            Err(message) => failed(at, verb, message, call.retry_ms),
        });
    }

    /// Counts failures in a row, and says how long to leave it alone.
    fn reckon(&mut self, at: &ModelAt, verb: ClaimVerb, result: &Result<(), CallFailure>) -> u64 {
        let Err(failure) = result else {
            self.calls.failures.remove(at);
            return 0;
        };
        let runtime = self.config.runtimes.get(&at.runtime);
        let policy = runtime.and_then(|runtime| self.config.hosts.get(&runtime.host));
        let retries: Option<&RetriesSpec> = policy.map(|host| &host.policy.retries);
        let base = retries.map_or(AGAIN_BASE, |retries| retries.backoff.get());
        let cap = retries.map_or(AGAIN_MAX, |retries| retries.max_backoff.get());
        let count = self.calls.failures.entry(at.clone()).or_default();
        let wait = retry::wait(&format!("{at} {verb:?}"), *count, base, cap);
        *count = count.saturating_add(1);
        u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(failure.retry_after_ms.unwrap_or(0))
    }

    /// What stood open at the start. Whether it happened is for an observation to tell. A load and an unload of the same
    /// model that both stand open cannot both have been meant: the first is closed at once.
    pub(super) fn leave_open(&mut self, call: OpenCall) {
        if let Some(other) = self.calls.left.insert(call.at.clone(), call) {
            self.close(other, Err(NOT_SO.to_owned()));
        }
    }

    /// A runtime was seen: what stood open there happened, is still on its way, is begun anew under the same entry, or came
    /// to nothing.
    pub(super) fn settle_left(&mut self, runtime: &Name, models: &[(Arc<str>, ModelState)]) {
        let left = self.calls.left.keys().filter(|at| at.runtime == *runtime).cloned().collect::<Vec<_>>();
        for at in left {
            let state = models.iter().find(|(name, _)| *name == at.served_as).map_or(ModelState::Unloaded, |it| it.1);
            let Some(call) = self.calls.left.get(&at).filter(|_| !self.calls.own.contains_key(&at)) else { continue };
            let result = match (call.verb, state) {
                (ClaimVerb::Load, ModelState::Loaded) | (ClaimVerb::Unload, ModelState::Unloaded) => Ok(()),
                (_, ModelState::Loading | ModelState::Unloading | ModelState::Unknown) => continue,
                (ClaimVerb::Load, ModelState::Unloaded) | (ClaimVerb::Unload, ModelState::Loaded) => {
                    Err(NOT_SO.to_owned())
                }
            };
            if let Some(call) = self.calls.left.remove(&at) {
                self.close(call, result);
            }
        }
    }

    fn close(&mut self, call: OpenCall, result: Result<(), String>) {
        let OpenCall { at, model, verb, because } = call;
        let because = format!("{because} (seen after an interruption)");
        self.write(Record::Finish { at, model, verb, because, result });
    }

    /// Whether anything stands open from the last run.
    pub(super) fn has_left(&self) -> bool {
        !self.calls.left.is_empty()
    }

    pub(super) fn claim(&mut self, claim: ClaimId, at: ModelAt, verb: ClaimVerb, now: Moment) {
        self.calls.asking = Some(claim);
        self.calls.claims.insert(claim, (at.clone(), verb));
        // What came before is told first: the answer must rest on it.
        self.settle(now);
        self.events.push_back(Event::Claim { at, verb });
        self.settle(now);
        self.calls.asking = None;
    }

    pub(super) fn answer_claim(&mut self, at: &ModelAt, answer: ClaimAnswer) {
        let Some(claim) = self.calls.asking.filter(|claim| self.calls.claims.get(claim).is_some_and(|it| it.0 == *at))
        else {
            return;
        };
        self.calls.asking = None;
        if answer.is_err() {
            self.calls.claims.remove(&claim);
        }
        self.tell_claim(claim, answer);
    }

    pub(super) fn claim_ended(&mut self, claim: ClaimId, took_ms: u64, result: Result<(), CallFailure>) {
        let Some((at, verb)) = self.calls.claims.remove(&claim) else { return };
        let retry_ms = self.reckon(&at, verb, &result);
        self.events.push_back(match result {
            Ok(()) => done(at, verb, took_ms),
            Err(failure) => failed(at, verb, failure.message, retry_ms),
        });
    }
}

fn done(at: ModelAt, verb: ClaimVerb, took_ms: u64) -> Event {
    match verb {
        ClaimVerb::Load => Event::Loaded { at, took_ms },
        ClaimVerb::Unload => Event::Unloaded(at),
    }
}

fn failed(at: ModelAt, verb: ClaimVerb, message: String, retry_ms: u64) -> Event {
    match verb {
        ClaimVerb::Load => Event::LoadFailed { at, message, retry_ms },
        ClaimVerb::Unload => Event::UnloadFailed { at, message, retry_ms },
    }
}
