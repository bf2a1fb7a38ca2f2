//! Committed Tasks: each distinct spec is done once. The id is made from the name and the spec, so that a restart
//! finds the same task again and an edit makes a new one.

use crate::core::{Digest, ObjectKey};
use crate::declare::world::Object;

use super::inputs::{Inputs, TaskPhase};
use super::plan::{Bookkeeping, Cost, Intent, ObjectPlan, Target, Verb};
use super::planner::{blank_status, holds_on_everything};
use super::status::{Drift, FieldDifference, Health, HoldReason, Sync};

/// The id of the task that a committed Task with this spec becomes.
#[must_use]
pub fn id_of(key: &ObjectKey, spec_digest: &Digest) -> String {
    format!("task-{}", &Digest::of(format!("{key}\n{spec_digest}").as_bytes()).hex()[..16])
}

/// The plan of one committed Task.
#[must_use]
pub fn plan(inputs: &Inputs<'_>, object: &Object) -> ObjectPlan {
    let key = &object.document.key;
    let id = id_of(key, &object.document.digest);
    let mut status = blank_status(object);
    let (mut intents, mut bookkeeping) = superseded(inputs, object, &id);
    status.desired = format!("done once, as {id}");
    status.source = "task queue".to_owned();
    status.hold = holds_on_everything(inputs, object, &inputs.world.policy_for_all());
    let Some(fact) = inputs.tasks.get(&id) else {
        status.sync = Sync::Drifted(Drift::Missing);
        status.health = Health::Missing;
        status.observed = "not in the queue".to_owned();
        status.fields = vec![field("done", "not in the queue", Drift::Missing)];
        status.reason = "not in the queue yet".to_owned();
        if status.hold.as_ref().is_none_or(|hold| hold.reason == HoldReason::Backoff) {
            intents.push(intent(object, Verb::Enqueue, id, format!("{key} has a spec that was never done")));
        }
        return ObjectPlan { status, intents, bookkeeping };
    };
    let target = Target::Task { id };
    if !inputs.holdings(key).iter().any(|holding| holding.target == target) {
        bookkeeping.push(Bookkeeping::Adopt(target));
    }
    let message = fact.message.clone().unwrap_or_default();
    status.observed_at = Some(fact.at);
    (status.sync, status.health, status.observed, status.reason) = match fact.phase {
        TaskPhase::Waiting => {
            (Sync::InSync, Health::Progressing, "waiting in the queue".into(), or(message, "waits for its turn"))
        }
        TaskPhase::Running => (Sync::InSync, Health::Progressing, "running".into(), or(message, "running")),
        TaskPhase::Done => (Sync::InSync, Health::Healthy, "done".into(), "done once; an edit runs it anew".into()),
        TaskPhase::Failed => (
            Sync::Drifted(Drift::Different),
            Health::Degraded,
            "error".into(),
            format!("failed: {}; edit the manifest to run it anew", or(message, "no reason was kept")),
        ),
        TaskPhase::Cancelled => (
            Sync::Drifted(Drift::Different),
            Health::Missing,
            "cancelled".into(),
            "cancelled by a person; edit the manifest to run it anew".into(),
        ),
    };
    if let Sync::Drifted(drift) = status.sync {
        status.fields = vec![field("done", &status.observed, drift)];
    }
    // The queue, not the reconciler, acts from here on: nothing of this object is being held back.
    status.hold = status.hold.filter(|hold| hold.reason == HoldReason::Suspended);
    ObjectPlan { status, intents, bookkeeping }
}

/// Tasks of earlier specs: cancelled while they wait, let go once they are over.
fn superseded(inputs: &Inputs<'_>, object: &Object, current: &str) -> (Vec<Intent>, Vec<Bookkeeping>) {
    let (mut intents, mut bookkeeping) = (Vec::new(), Vec::new());
    for holding in inputs.holdings(&object.document.key) {
        let Target::Task { id } = &holding.target else { continue };
        if id == current {
            continue;
        }
        if inputs.tasks.get(id).is_some_and(|fact| matches!(fact.phase, TaskPhase::Waiting | TaskPhase::Running)) {
            let reason = format!("{} was edited: {current} takes the place of {id}", object.document.key);
            intents.push(intent(object, Verb::Cancel, id.clone(), reason));
        } else {
            bookkeeping.push(Bookkeeping::Release(holding.target.clone()));
        }
    }
    (intents, bookkeeping)
}

fn intent(object: &Object, verb: Verb, id: String, reason: String) -> Intent {
    Intent {
        object: object.document.key.clone(),
        verb,
        target: Target::Task { id },
        reason,
        place: Some(object.document.place.clone()),
        commit: object.asked_by.clone(),
        cost: Cost::default(),
        corrects: None,
    }
}

fn field(desired: &str, observed: &str, drift: Drift) -> FieldDifference {
    FieldDifference { field: "state".into(), desired: desired.into(), observed: observed.into(), drift }
}

fn or(message: String, otherwise: &str) -> String {
    if message.is_empty() { otherwise.to_owned() } else { message }
}
