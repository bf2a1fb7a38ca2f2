//! One reconciliation of one object: plan it, carry the plan out, look again.
//!
//! 1. Plan from memory. What an object holds is settled first, then journal entries that a crash left open.
//! 2. Each intent is journalled, done, observed, and journalled again with its audit entry; only then is it believed.
//! 3. A new generation of the object ends a call under way; the entry is abandoned and the object planned afresh.
//!
//! Nothing here decides: whether, what and in which order is the planner's.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::act::controller::{Outcome, Run};
use crate::act::runtime::{Fault, RuntimeError};
use crate::core::clock::millis_since;
use crate::core::text::age;
use crate::core::{Kind, Name, ObjectKey, Timestamp};
use crate::decide::dispatch::CallFailure;
use crate::decide::reconcile::{
    Bookkeeping, Drift, Failure, Hold, HoldReason, Intent, ObjectPlan, ObjectStatus, Sync, Target, Verb, lock, task,
};
use crate::decide::scheduler::{ClaimVerb, ModelAt};
use crate::declare::manifest::Spec;
use crate::remember::store::row::{InventoryRow, JournalRow};
use crate::remember::store::{ARCOLOGY, AuditEntry, Effects, NewIntent};

use super::dispatch::{Refusal, effect};
use super::observe;
use super::shared::{Edge, Shared};
use super::unfinished::Buried;
use super::{intake, unfinished};

/// How often a settled object is planned again although nothing happened.
const RESYNC: Duration = Duration::from_secs(300);
/// How long an object may wait for an observation before it is planned again all the same.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// Reconciles one object once. `stop` asks it to end early: a newer generation took over, or the program ends.
pub async fn reconcile(shared: Arc<Shared>, run: Run<ObjectKey, Edge>, stop: CancellationToken) -> Outcome<Edge> {
    let key = run.key;
    let now = shared.now();
    let plan = {
        let mut memory = shared.memory();
        // What the scheduler answered last time is asked again.
        memory.note_refusal(&key, None);
        let plan = memory.plan(&key, now);
        if let Some(plan) = &plan {
            memory.settle_loops(plan, now);
        }
        plan
    };
    shared.touch();
    let Some(plan) = plan else {
        return match unfinished::bury(&shared, &key).await {
            Ok(Buried::ForGood) => Outcome::done(),
            Ok(Buried::NotYet) => Outcome::resync(Duration::ZERO),
            Err(error) => failed(&shared, &key, &error),
        };
    };
    if let Err(error) = settle_bookkeeping(&shared, &key, &plan).await {
        return failed(&shared, &key, &error);
    }
    if let Err(error) = unfinished::settle(&shared, &key, &plan.intents).await {
        return failed(&shared, &key, &error);
    }
    for intent in &plan.intents {
        match carry_out(&shared, intent, &stop).await {
            Ok(Done::Carried) => {}
            Ok(Done::Overtaken) => return Outcome::resync(Duration::ZERO),
            Ok(Done::Refused(hold)) => {
                shared.memory().note_refusal(&key, Some(hold));
                // Nothing of it is done now, so what stands open of an earlier try is not taken up.
                if let Err(error) = unfinished::settle(&shared, &key, &[]).await {
                    return failed(&shared, &key, &error);
                }
                break;
            }
            Err(error) => return failed(&shared, &key, &error),
        }
    }
    if !plan.intents.is_empty() {
        shared.memory().history(&key, |history| history.failure = None);
    }
    outcome(&shared, &key, &plan)
}

/// What the object waits for now, read from a fresh plan.
fn outcome(shared: &Shared, key: &ObjectKey, before: &ObjectPlan) -> Outcome<Edge> {
    let now = shared.now();
    let Some(plan) = shared.memory().plan(key, now) else { return Outcome::done() };
    shared.touch();
    if plan.status.sync == Sync::InSync && plan.status.hold.is_none() {
        let mut memory = shared.memory();
        if memory.histories.get(key).is_some_and(|history| history.failure.is_some()) {
            memory.history(key, |history| history.failure = None);
        }
        return Outcome::resync(RESYNC);
    }
    if !plan.intents.is_empty() {
        // Carried out, confirmed, and already different again; or room was made and the next step follows.
        let pause = if before.intents.is_empty() { Duration::ZERO } else { Duration::from_millis(50) };
        return Outcome::resync(pause);
    }
    if let Some(until) = plan.status.hold.as_ref().and_then(|hold| hold.until) {
        return Outcome::resync(until_then(now, until));
    }
    if plan.status.hold.as_ref().is_some_and(|hold| is_the_schedulers(hold.reason)) {
        let mut on = runtimes_of(&plan.status, shared, key);
        on.push(Edge::Locks);
        return Outcome::wait(on, WAIT_MAX, plan.status.reason);
    }
    let on = runtimes_of(&plan.status, shared, key);
    if on.is_empty() || plan.status.hold.is_some() {
        return Outcome::resync(RESYNC);
    }
    Outcome::wait(on, WAIT_MAX, plan.status.reason)
}

/// Whether the scheduler's letting go is what an object waits for.
fn is_the_schedulers(reason: HoldReason) -> bool {
    match reason {
        HoldReason::Lock | HoldReason::Lease | HoldReason::VramFull => true,
        HoldReason::Suspended
        | HoldReason::Paused
        | HoldReason::Dependency
        | HoldReason::Window
        | HoldReason::Confirm
        | HoldReason::Backoff
        | HoldReason::DriftLoop => false,
    }
}

fn until_then(now: Timestamp, until: Timestamp) -> Duration {
    Duration::from_millis(crate::core::clock::millis_since(now, until)) + Duration::from_millis(20)
}

/// The runtimes whose next observation may change an object's answer.
fn runtimes_of(status: &ObjectStatus, shared: &Shared, key: &ObjectKey) -> Vec<Edge> {
    if !matches!(status.sync, Sync::Unknown | Sync::Drifted(_)) {
        return Vec::new();
    }
    let memory = shared.memory();
    let host = match memory.world.objects.get(key).map(|object| &object.document.spec) {
        Some(Spec::Loadout(spec)) => Some(spec.host.clone()),
        _ => None,
    };
    memory
        .world
        .runtimes()
        .filter(|(_, runtime)| host.as_ref().is_none_or(|host| runtime.host == *host))
        .map(|(object, _)| Edge::Runtime(object.document.key.name.clone()))
        .collect()
}

/// A failure of this object alone: noted, shown, and tried again by the controller's backoff.
fn failed(shared: &Shared, key: &ObjectKey, error: &Trouble) -> Outcome<Edge> {
    let now = shared.now();
    let message = error.to_string();
    tracing::warn!(object = %key, "{key}: {message}");
    let mut memory = shared.memory();
    let generation = memory.generation(key);
    memory.history(key, |history| {
        let attempts = history
            .failure
            .as_ref()
            .filter(|failure| failure.generation == generation)
            .map_or(1, |failure| failure.attempts.saturating_add(1));
        let message = message.clone();
        history.failure = Some(Failure { at: now, message, retry_at: None, attempts, generation });
    });
    let _ = memory.plan(key, now);
    drop(memory);
    shared.touch();
    error.outcome(message)
}

/// Why an action did not come off.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    #[error("{verb} {target}: {error}")]
    Runtime { verb: &'static str, target: String, runtime: Name, error: RuntimeError },
    #[error(transparent)]
    Store(#[from] crate::remember::store::Error),
    #[error("{0} is not driven: its runtime is not declared or not supported by this version")]
    NotDriven(String),
    #[error("{0}")]
    Task(String),
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl Trouble {
    /// An unreachable runtime is everybody's trouble: those who need it share one backoff, which its return ends.
    fn outcome(&self, why: String) -> Outcome<Edge> {
        match self {
            Self::Runtime { runtime, error, .. } if matches!(error.fault, Fault::Unreachable) => {
                Outcome::retry_dependency(Edge::Runtime(runtime.clone()), why)
            }
            Self::Runtime { .. } | Self::Store(_) | Self::NotDriven(_) | Self::Task(_) | Self::Refused(_) => {
                Outcome::retry(why)
            }
        }
    }
}

enum Done {
    Carried,
    /// A newer generation took the object over while the call was under way, or the program ends.
    Overtaken,
    /// The scheduler says not now.
    Refused(Hold),
}

async fn settle_bookkeeping(shared: &Arc<Shared>, key: &ObjectKey, plan: &ObjectPlan) -> Result<(), Trouble> {
    for entry in &plan.bookkeeping {
        let now = shared.now();
        let result = match entry {
            Bookkeeping::Adopt(target) => shared.store.adopt(held(shared, key, target, now)).await.map(|()| true),
            Bookkeeping::Release(target) => shared.store.drop_inventory(key.clone(), json(target)).await,
        };
        shared.note_store(&result);
        result?;
        shared.memory().book(key, entry, now);
    }
    if key.kind == Kind::Runtime && !plan.bookkeeping.is_empty() {
        // What was left on a runtime that is gone is undone: it need not be driven any more.
        observe::align(shared);
    }
    Ok(())
}

async fn carry_out(shared: &Arc<Shared>, intent: &Intent, stop: &CancellationToken) -> Result<Done, Trouble> {
    let key = &intent.object;
    if stop.is_cancelled() {
        // Overtaken before it began: nothing is to be told of.
        return Ok(Done::Overtaken);
    }
    let claim = match claim_of(shared, intent) {
        Some((at, verb)) => match shared.inbox.claim(at, verb).await {
            Ok(claim) => Some(claim),
            Err(hold) => return Ok(Done::Refused(hold)),
        },
        None => None,
    };
    let revision = shared.revision_text();
    let begun = shared
        .store
        .journal_begin(NewIntent {
            object: key.clone(),
            verb: intent.verb.as_str().into(),
            target: json(&intent.target),
            reason: intent.reason.clone(),
            revision: revision.clone(),
        })
        .await;
    shared.note_store(&begun);
    let row = begun?;
    shared.memory().note_open(row.clone());
    if let Some(saw) = &intent.corrects {
        shared.memory().note_correction(key, saw, shared.now());
    }
    tracing::info!(object = %key, "{} {}: {}", intent.verb.as_str(), intent.target, intent.reason);
    let (began, began_ms) = (shared.now(), shared.steady_ms());
    if stop.is_cancelled() {
        return Ok(overtaken(shared, intent, &row).await);
    }
    let result = tokio::select! {
        biased;
        result = act(shared, intent) => result,
        () = stop.cancelled() => return Ok(overtaken(shared, intent, &row).await),
    };
    let audit = AuditEntry {
        at: shared.now(),
        actor: "arcology".into(),
        verb: intent.verb.as_str().into(),
        object: key.to_string(),
        reason: intent.reason.clone(),
        result: result.as_ref().map_or_else(ToString::to_string, |()| "ok".into()),
        before: intent.corrects.clone(),
        after: Some(intent.target.to_string()),
        revision,
    };
    let (outcome, effects) = match &result {
        Ok(()) => (Ok(()), effects(shared, key, intent.verb.as_str(), &intent.target)),
        Err(error) => (Err(error.to_string()), Effects::default()),
    };
    let finished = shared.store.journal_finish(&row.id, outcome, effects, audit).await;
    shared.note_store(&finished);
    if finished.is_ok() {
        shared.memory().note_closed(&row);
    }
    if let Some(claim) = claim {
        let took_ms = shared.steady_ms().saturating_sub(began_ms);
        let said = result.as_ref().map(|_| ()).map_err(|error| match error {
            Trouble::Runtime { error, .. } => effect::failure(error),
            other => CallFailure { message: other.to_string(), retry_after_ms: None },
        });
        claim.end(took_ms, said);
    }
    result?;
    finished?;
    let took = age(millis_since(began, shared.now()));
    tracing::info!(object = %key, "{} {}: done in {took}", intent.verb.as_str(), intent.target);
    believe(shared, key, intent.verb.as_str(), &intent.target);
    learn(shared, intent).await;
    Ok(Done::Carried)
}

/// Gives up an action that nobody wants to hear of any more.
async fn overtaken(shared: &Shared, intent: &Intent, row: &JournalRow) -> Done {
    let key = &intent.object;
    let answered_for = shared.memory().answers_for(key);
    if intent.verb == Verb::Load && answered_for {
        // It may come to be loaded all the same, and then somebody must answer for it.
        let adopted = shared.store.adopt(held(shared, key, &intent.target, shared.now())).await;
        shared.note_store(&adopted);
        shared.memory().hold(key, intent.target.clone(), shared.now());
    }
    let why = "a newer version of the manifest took over, or Arcology was stopped";
    let abandoned = shared.store.journal_abandon(&row.id, why).await;
    shared.note_store(&abandoned);
    if abandoned.is_ok() {
        shared.memory().note_closed(row);
    }
    Done::Overtaken
}

async fn act(shared: &Arc<Shared>, intent: &Intent) -> Result<(), Trouble> {
    match (&intent.target, intent.verb) {
        (Target::Model { runtime, served_as, .. }, verb @ (Verb::Load | Verb::Unload)) => {
            if shared.slot(runtime).is_none() {
                return Err(Trouble::NotDriven(intent.target.to_string()));
            }
            let trouble = |error| {
                let (verb, target) = (verb.as_str(), intent.target.to_string());
                Trouble::Runtime { verb, target, runtime: runtime.clone(), error }
            };
            effect::carry_out(shared, runtime, served_as, claim_verb(verb)).await.map_err(trouble)
        }
        (Target::Task { id }, Verb::Enqueue) => intake::enqueue_committed(shared, &intent.object, id).await,
        (Target::Task { id }, Verb::Cancel) => {
            intake::cancel(shared, id, ARCOLOGY, &in_revision(shared, &intent.reason)).await
        }
        (Target::Model { .. }, Verb::Enqueue | Verb::Cancel) | (Target::Task { .. }, Verb::Load | Verb::Unload) => {
            Err(Trouble::Task(format!("{} makes no sense for {}", intent.verb.as_str(), intent.target)))
        }
    }
}

/// A reason that rests on what Git says, with the revision that is in force.
fn in_revision(shared: &Shared, reason: &str) -> String {
    match &shared.memory().world.revision {
        Some(revision) => format!("{reason} (revision {}@{})", revision.branch, revision.commit.sha.short()),
        None => reason.to_owned(),
    }
}

/// What a finished action adds to and takes from the inventory.
pub(super) fn effects(shared: &Shared, key: &ObjectKey, verb: &str, target: &Target) -> Effects {
    if verb == Verb::Load.as_str() || verb == Verb::Enqueue.as_str() {
        Effects { inventory_add: vec![held(shared, key, target, shared.now())], inventory_remove: Vec::new() }
    } else {
        Effects { inventory_add: Vec::new(), inventory_remove: vec![(key.clone(), json(target))] }
    }
}

/// An inventory entry, as it is written down.
pub fn held(shared: &Shared, key: &ObjectKey, target: &Target, now: Timestamp) -> InventoryRow {
    let memory = shared.memory();
    let prunes = memory.world.objects.get(key).is_none_or(|object| object.document.prunes());
    let since = memory.held_since(target, now);
    InventoryRow { object: key.clone(), target: json(target), since, prunes, deleting_since: None, deadline: None }
}

/// The same in memory, once the store has it.
pub(super) fn believe(shared: &Shared, key: &ObjectKey, verb: &str, target: &Target) {
    let now = shared.now();
    let entry = if verb == Verb::Load.as_str() || verb == Verb::Enqueue.as_str() {
        Bookkeeping::Adopt(target.clone())
    } else {
        Bookkeeping::Release(target.clone())
    };
    shared.memory().book(key, &entry, now);
}

/// Learns from a load how long loads of this model take.
async fn learn(shared: &Shared, intent: &Intent) {
    if intent.verb != Verb::Load {
        return;
    }
    if let Target::Model { runtime, served_as, .. } = &intent.target
        && let Ok(durations) = shared.store.load_durations(runtime, served_as).await
    {
        shared.memory().note_load_history(runtime, served_as, durations);
    }
}

/// The same for a load of the scheduler's, without waiting.
pub fn learn_later(shared: &Arc<Shared>, at: &ModelAt) {
    let (shared, at) = (Arc::clone(shared), at.clone());
    tokio::spawn(async move {
        if let Ok(durations) = shared.store.load_durations(&at.runtime, &at.served_as).await {
            shared.memory().note_load_history(&at.runtime, &at.served_as, durations);
        }
    });
}

/// What the scheduler is asked before an intent is carried out; none for what is not its business.
fn claim_of(shared: &Shared, intent: &Intent) -> Option<(ModelAt, ClaimVerb)> {
    let Target::Model { runtime, served_as, .. } = &intent.target else { return None };
    let now = shared.now();
    let at = lock::model_at(&shared.memory().inputs(now), runtime, served_as);
    Some((at, claim_verb(intent.verb)))
}

fn claim_verb(verb: Verb) -> ClaimVerb {
    match verb {
        Verb::Load => ClaimVerb::Load,
        Verb::Unload | Verb::Enqueue | Verb::Cancel => ClaimVerb::Unload,
    }
}

/// A target as it stands in journal and inventory.
#[must_use]
pub fn json(target: &Target) -> String {
    serde_json::to_string(target).unwrap_or_default()
}

/// Whether an object still has something to do that nothing holds back: what `up --once` waits for.
#[must_use]
pub fn is_settled(status: &ObjectStatus, failed: bool) -> bool {
    match status.sync {
        Sync::InSync | Sync::Invalid => true,
        // A task that failed or was cancelled stays so until its manifest is edited.
        Sync::Drifted(Drift::Different) if status.key.kind == Kind::Task => true,
        Sync::Drifted(_) | Sync::Unknown => {
            failed || status.hold.as_ref().is_some_and(|hold| hold.reason != HoldReason::Backoff)
        }
    }
}

/// The id of the task that a committed Task becomes.
#[must_use]
pub fn task_id(key: &ObjectKey, digest: &crate::core::Digest) -> String {
    task::id_of(key, digest)
}
