//! Objects that are gone from Git but still hold something in the world: undone from their last spec, once.
//!
//! A runtime that is gone stays driven until what others had loaded on it is undone; it does nothing itself.
//!
//! Two phases: the engine notes when deletion began and by when it should be done; here it is carried out, and past
//! the deadline it says so. The inventory entry goes only when the thing is seen gone.

use crate::core::{Kind, ObjectKey};
use crate::decide::view::ModelState;
use crate::declare::world::Object;

use super::cost;
use super::inputs::{Holding, Inputs, TaskPhase};
use super::lock;
use super::plan::{Bookkeeping, Cost, Intent, ObjectPlan, Target, Verb};
use super::planner::{blank_status, holds_on_everything};
use super::status::{Drift, FieldDifference, Health, HoldReason, ObjectStatus, Sync};

/// The plan of one removed object.
#[must_use]
pub fn plan(inputs: &Inputs<'_>, object: &Object) -> ObjectPlan {
    let key = &object.document.key;
    let mut status = blank_status(object);
    status.desired = "gone".to_owned();
    status.source = "inventory".to_owned();
    let (mut intents, mut bookkeeping, mut left) = (Vec::new(), Vec::new(), Vec::new());
    let mut unseen = Vec::new();
    for holding in inputs.holdings(key) {
        match remains(inputs, key, holding) {
            Remains::Gone => bookkeeping.push(Bookkeeping::Release(holding.target.clone())),
            Remains::Unseen => unseen.push(holding.target.to_string()),
            Remains::There(verb) => {
                left.push(holding.target.to_string());
                intents.push(undo(inputs, object, holding, verb));
            }
        }
    }
    let policy = inputs.world.policy_for_all();
    status.hold = holds_on_everything(inputs, object, &policy);
    let held = status.hold.as_ref().is_some_and(|hold| hold.reason != HoldReason::Backoff);
    if held || key.kind == Kind::Runtime {
        intents.clear();
    }
    wait_for_locks(inputs, &mut status, &mut intents);
    let overdue = inputs.holdings(key).iter().any(|holding| holding.deadline.is_some_and(|at| at <= inputs.now));
    let late = if overdue { "; overdue: it should have been done by now" } else { "" };
    status.observed = if left.is_empty() { "nothing left".to_owned() } else { format!("left: {}", left.join(", ")) };
    (status.sync, status.health, status.reason) = if !left.is_empty() {
        status.fields = left
            .iter()
            .map(|target| FieldDifference {
                field: target.clone(),
                desired: "gone".into(),
                observed: "still there".into(),
                drift: Drift::Unexpected,
            })
            .collect();
        let health = if overdue { Health::Degraded } else { Health::Progressing };
        (Sync::Drifted(Drift::Unexpected), health, format!("its manifest is gone; undoing what it asked for{late}"))
    } else if !unseen.is_empty() {
        (Sync::Unknown, Health::Unknown, format!("cannot see whether {} is gone{late}", unseen.join(", ")))
    } else {
        (Sync::InSync, Health::Healthy, "undone".to_owned())
    };
    ObjectPlan { status, intents, bookkeeping }
}

/// What the scheduler holds is undone when it lets go.
fn wait_for_locks(inputs: &Inputs<'_>, status: &mut ObjectStatus, intents: &mut Vec<Intent>) {
    intents.retain(|intent| {
        let Target::Model { runtime, served_as, .. } = &intent.target else { return true };
        let refusal = || inputs.refusals.get(&intent.object).cloned();
        let hold = lock::hold(inputs, runtime, served_as, intent.verb).or_else(refusal);
        let free = hold.is_none();
        if status.hold.is_none() {
            status.hold = hold;
        }
        free
    });
}

enum Remains {
    Gone,
    Unseen,
    There(Verb),
}

fn remains(inputs: &Inputs<'_>, key: &ObjectKey, holding: &Holding) -> Remains {
    match &holding.target {
        Target::Task { id } => match inputs.tasks.get(id).map(|fact| fact.phase) {
            Some(TaskPhase::Waiting | TaskPhase::Running) => Remains::There(Verb::Cancel),
            Some(TaskPhase::Done | TaskPhase::Failed | TaskPhase::Cancelled) | None => Remains::Gone,
        },
        Target::Model { runtime, served_as, .. } => {
            // A runtime that nothing keeps driven is no longer ours to change, and a model that an object in force holds
            // is that one's.
            let claimed = inputs.inventory.iter().any(|(other, holdings)| {
                other != key
                    && inputs.world.objects.contains_key(other)
                    && holdings.iter().any(|theirs| {
                        matches!(&theirs.target, Target::Model { runtime: at, served_as: name, .. }
                            if at == runtime && name == served_as)
                    })
            });
            let at = ObjectKey::new(Kind::Runtime, runtime.clone());
            let driven = inputs.world.objects.contains_key(&at) || inputs.removed.contains_key(&at);
            if !driven || claimed {
                return Remains::Gone;
            }
            match inputs.view_since(runtime, holding.since).map(|view| view.model(served_as).map(|model| model.state)) {
                None | Some(Some(ModelState::Unknown)) => Remains::Unseen,
                Some(None | Some(ModelState::Unloaded)) => Remains::Gone,
                Some(Some(ModelState::Loaded | ModelState::Loading | ModelState::Unloading)) => {
                    Remains::There(Verb::Unload)
                }
            }
        }
    }
}

fn undo(inputs: &Inputs<'_>, object: &Object, holding: &Holding, verb: Verb) -> Intent {
    let cost = match &holding.target {
        Target::Model { runtime, model, served_as } => {
            let spec = model.as_ref().and_then(|model| inputs.world.model(model));
            cost::of_model(inputs, runtime, served_as, spec, -1.0)
        }
        Target::Task { .. } => Cost::default(),
    };
    Intent {
        object: object.document.key.clone(),
        verb,
        target: holding.target.clone(),
        reason: format!("{} is gone from Git, and this is what it had asked for", object.document.key),
        place: None,
        commit: object.asked_by.clone(),
        cost,
        corrects: None,
    }
}
