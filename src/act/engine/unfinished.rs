//! Journal entries that stand open although nothing is under way: a crash, an overtaken call or a store that failed left
//! them.
//!
//! What they wanted is planned again under the same id, or it is seen to be so, and then they are done, or seen not to be
//! so, and nobody wants it any more. What cannot be seen yet stays open.

use crate::core::ObjectKey;
use crate::decide::reconcile::inputs::TaskPhase;
use crate::decide::reconcile::{ObjectPlan, Target, Verb};
use crate::decide::view::ModelState;
use crate::remember::store::AuditEntry;

use super::carry_out::{Trouble, believe, effects};
use super::shared::Shared;

/// Ends the journal entries of an object that stand open, as far as it can be seen what became of them.
pub(super) async fn settle(shared: &Shared, key: &ObjectKey, plan: &ObjectPlan) -> Result<(), Trouble> {
    let open = shared.memory().open_of(key);
    for row in open {
        let Ok(target) = serde_json::from_str::<Target>(&row.target) else { continue };
        let wanted = plan.intents.iter().any(|intent| intent.verb.as_str() == row.verb && intent.target == target);
        if wanted {
            continue;
        }
        let result = match seen(shared, &row.verb, &target) {
            // An object that is forgotten will not be looked at again.
            Seen::Unknown if shared.memory().answers_for(key) => continue,
            Seen::Done => {
                let effects = effects(shared, key, &row.verb, &target);
                let audit = AuditEntry {
                    at: shared.now(),
                    actor: "arcology".into(),
                    verb: row.verb.clone(),
                    object: key.to_string(),
                    reason: format!("{} (seen to be so after an interruption)", row.reason),
                    result: "ok".into(),
                    before: None,
                    after: Some(target.to_string()),
                    revision: row.revision.clone(),
                };
                let result = shared.store.journal_finish(&row.id, Ok(()), effects, audit).await;
                if result.is_ok() {
                    believe(shared, key, &row.verb, &target);
                }
                result
            }
            Seen::NotDone | Seen::Unknown => {
                shared.store.journal_abandon(&row.id, "overtaken: what is so was observed afresh").await
            }
        };
        shared.note_store(&result);
        shared.memory().note_closed(&result?);
    }
    Ok(())
}

/// What is seen of an action that may have happened.
enum Seen {
    Done,
    NotDone,
    /// Nothing fresh, or it is on its way.
    Unknown,
}

fn seen(shared: &Shared, verb: &str, target: &Target) -> Seen {
    let now = shared.now();
    let memory = shared.memory();
    let done = match target {
        Target::Model { runtime, served_as, .. } => {
            let Some(view) = memory.inputs(now).fresh_view(runtime) else {
                // What is no longer driven will never be seen.
                return if memory.driven(runtime).is_some() { Seen::Unknown } else { Seen::NotDone };
            };
            match view.model(served_as).map_or(ModelState::Unloaded, |model| model.state) {
                ModelState::Loaded => verb == Verb::Load.as_str(),
                ModelState::Unloaded => verb == Verb::Unload.as_str(),
                ModelState::Loading | ModelState::Unloading | ModelState::Unknown => return Seen::Unknown,
            }
        }
        Target::Task { id } => match memory.tasks.get(id).map(|fact| fact.phase) {
            Some(TaskPhase::Cancelled) => true,
            Some(TaskPhase::Waiting | TaskPhase::Running | TaskPhase::Done | TaskPhase::Failed) => {
                verb == Verb::Enqueue.as_str()
            }
            None => false,
        },
    };
    if done { Seen::Done } else { Seen::NotDone }
}
