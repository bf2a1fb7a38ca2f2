//! The planner: which file answers for which object, what holds everything of an object, and the plan as a whole.

use crate::core::{ObjectKey, Timestamp};
use crate::declare::manifest::{Broken, Spec};
use crate::declare::world::policy::EffectivePolicy;
use crate::declare::world::{Object, Standing};

use super::inputs::Inputs;
use super::plan::{ObjectPlan, Plan};
use super::status::{Health, Hold, HoldReason, ObjectStatus, Sync};
use super::{declared, host, loadout, model, removed, runtime, task};

/// The plan for everything: every status by kind and name, every intent in the order in which it is carried out.
#[must_use]
pub fn plan(inputs: &Inputs<'_>) -> Plan {
    let mut plan = Plan::default();
    let keys = inputs.world.objects.keys().chain(inputs.removed.keys().filter(|key| is_gone(inputs, key)));
    for key in keys {
        if let Some(one) = plan_object(inputs, key) {
            plan.statuses.push(one.status);
            plan.intents.extend(one.intents);
        }
    }
    for broken in &inputs.world.broken {
        if let Some(key) = &broken.key
            && !inputs.world.objects.contains_key(key)
        {
            plan.statuses.push(broken_status(key, broken));
        }
    }
    plan.statuses.sort_by(|a, b| a.key.cmp(&b.key));
    plan.statuses.dedup_by(|a, b| a.key == b.key);
    plan.intents.sort_by_key(|intent| intent.verb);
    plan
}

/// The plan for one object; none when there is no such object.
#[must_use]
pub fn plan_object(inputs: &Inputs<'_>, key: &ObjectKey) -> Option<ObjectPlan> {
    let Some(object) = inputs.world.objects.get(key) else {
        let broken = inputs.world.broken.iter().find(|broken| broken.key.as_ref() == Some(key));
        return match (inputs.removed.get(key), broken) {
            (Some(object), _) if !inputs.holdings(key).is_empty() => Some(removed::plan(inputs, object)),
            (_, Some(broken)) => {
                Some(ObjectPlan { status: broken_status(key, broken), intents: Vec::new(), bookkeeping: Vec::new() })
            }
            _ => None,
        };
    };
    let mut plan = match &object.document.spec {
        Spec::Loadout(spec) => loadout::plan(inputs, object, spec),
        Spec::Task(_) => task::plan(inputs, object),
        Spec::Runtime(spec) => runtime::plan(inputs, object, spec),
        Spec::Model(spec) => model::plan(inputs, object, spec),
        Spec::Host(spec) => host::plan(inputs, object, spec),
        Spec::Policy(_) | Spec::Blueprint(_) | Spec::Run(_) | Spec::GoldenSet(_) | Spec::Experiment(_) => {
            declared::plan(object)
        }
    };
    note_standing(&mut plan.status, object);
    note_failure(inputs, &mut plan.status, object);
    Some(plan)
}

/// A status that says nothing yet but where the object comes from.
pub(super) fn blank_status(object: &Object) -> ObjectStatus {
    ObjectStatus {
        key: object.document.key.clone(),
        sync: Sync::Unknown,
        fields: Vec::new(),
        health: Health::Unknown,
        hold: None,
        reason: String::new(),
        desired: String::new(),
        observed: String::new(),
        observed_at: None,
        source: String::new(),
        place: Some(object.document.place.clone()),
        revision: object.revision.clone(),
        commit: object.asked_by.clone(),
    }
}

/// What holds back everything that an object asks for: suspension, a paused policy, a wait after a failure.
pub(super) fn holds_on_everything(inputs: &Inputs<'_>, object: &Object, policy: &EffectivePolicy) -> Option<Hold> {
    if let Some(suspension) = object.document.suspension(inputs.now) {
        let why = suspension.reason.map(|reason| format!(": {reason}")).unwrap_or_default();
        return Some(Hold {
            reason: HoldReason::Suspended,
            message: format!("the annotation `arcology/suspend` says so{why}"),
            who: object.asked_by.as_ref().map(|commit| commit.author.clone()),
            until: suspension.until,
        });
    }
    if policy.paused || policy.draining {
        let word = if policy.paused { "paused" } else { "draining" };
        return Some(Hold {
            reason: HoldReason::Paused,
            message: format!("the policy says `{word}: true`"),
            who: policy.sources.first().map(|name| format!("Policy/{name}")),
            until: None,
        });
    }
    retry_at(inputs, object).map(|(at, message)| Hold {
        reason: HoldReason::Backoff,
        message: format!("the last try failed ({message}); it is tried again"),
        who: None,
        until: Some(at),
    })
}

fn retry_at(inputs: &Inputs<'_>, object: &Object) -> Option<(Timestamp, String)> {
    let failure = inputs.histories.get(&object.document.key)?.failure.as_ref()?;
    let at = failure.retry_at.filter(|at| *at > inputs.now && failure.generation == object.generation)?;
    Some((at, failure.message.clone()))
}

/// Says what the version in force is, when it is not simply the applied revision's.
fn note_standing(status: &mut ObjectStatus, object: &Object) {
    match &object.standing {
        Standing::Current => {}
        Standing::LastGood { diagnostics } => {
            status.sync = Sync::Invalid;
            let problem = diagnostics.first().map_or_else(
                || "the newest version is broken".to_owned(),
                |first| {
                    format!(
                        "{} at {}:{}:{}: {}",
                        first.code, first.path, first.span.line, first.span.column, first.message
                    )
                },
            );
            let good = object.revision.as_ref().map_or_else(
                || "the last good version".to_owned(),
                |revision| format!("the version of {}", revision.commit.sha.short()),
            );
            status.reason = format!("{problem}; {good} stays in force");
        }
        Standing::Retained { by } => {
            status.reason = format!("gone from Git, but kept because {by} still refers to it; {}", status.reason);
        }
        Standing::PruneHeld { reason } => {
            let confirm = "git commit --allow-empty -m Prune --trailer \"Prune: confirm\"";
            let message = format!("gone from Git, and kept: {reason}; to delete it all the same: {confirm}");
            status.hold = Some(Hold { reason: HoldReason::Confirm, message, who: None, until: None });
        }
    }
}

/// An action that failed makes its object degraded, whatever the comparison alone would say.
fn note_failure(inputs: &Inputs<'_>, status: &mut ObjectStatus, object: &Object) {
    let failure = inputs.histories.get(&object.document.key).and_then(|history| history.failure.as_ref());
    let Some(failure) = failure.filter(|failure| failure.generation == object.generation) else { return };
    if matches!(status.sync, Sync::Drifted(_)) {
        status.health = Health::Degraded;
        status.reason = format!("{}; the last try failed: {}", status.reason, failure.message);
    }
}

/// Gone from Git and still holding something.
fn is_gone(inputs: &Inputs<'_>, key: &ObjectKey) -> bool {
    !inputs.world.objects.contains_key(key) && !inputs.holdings(key).is_empty()
}

/// The row of an object of which no version is in force.
fn broken_status(key: &ObjectKey, broken: &Broken) -> ObjectStatus {
    let reason = broken.diagnostics.first().map_or_else(
        || "broken".to_owned(),
        |first| {
            format!("{} at {}:{}:{}: {}", first.code, first.path, first.span.line, first.span.column, first.message)
        },
    );
    ObjectStatus {
        key: key.clone(),
        sync: Sync::Invalid,
        fields: Vec::new(),
        health: Health::Missing,
        hold: None,
        reason: format!("{reason}; no good version of it was ever applied"),
        desired: "cannot be told".to_owned(),
        observed: "nothing of it is in force".to_owned(),
        observed_at: None,
        source: "manifest".to_owned(),
        place: Some(broken.place.clone()),
        revision: None,
        commit: None,
    }
}
