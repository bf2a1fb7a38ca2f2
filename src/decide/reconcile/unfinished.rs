//! What became of an action that stands open in the journal although nothing is under way: a crash, an overtaken call or a
//! disk that was full left it. Whether anybody still wants it, and what is written of it, is its caller's.

use crate::core::{Kind, ObjectKey};
use crate::decide::view::ModelState;

use super::inputs::{Inputs, TaskPhase};
use super::plan::{Target, Verb};

/// What is seen of an action that may have happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    Done,
    NotDone,
    /// Nothing fresh, or it is on its way.
    Unknown,
}

/// Whether what an action wanted is so.
#[must_use]
pub fn seen(inputs: &Inputs<'_>, verb: Verb, target: &Target) -> Seen {
    let done = match target {
        Target::Model { runtime, served_as, .. } => {
            let Some(view) = inputs.fresh_view(runtime) else {
                let key = ObjectKey::new(Kind::Runtime, runtime.clone());
                let driven = inputs.world.objects.contains_key(&key) || inputs.removed.contains_key(&key);
                // What is no longer driven will never be seen.
                return if driven { Seen::Unknown } else { Seen::NotDone };
            };
            match view.model(served_as).map_or(ModelState::Unloaded, |model| model.state) {
                ModelState::Loaded => verb == Verb::Load,
                ModelState::Unloaded => verb == Verb::Unload,
                ModelState::Loading | ModelState::Unloading | ModelState::Unknown => return Seen::Unknown,
            }
        }
        Target::Task { id } => match inputs.tasks.get(id).map(|fact| fact.phase) {
            Some(TaskPhase::Cancelled) => true,
            Some(TaskPhase::Waiting | TaskPhase::Running | TaskPhase::Done | TaskPhase::Failed) => {
                verb == Verb::Enqueue
            }
            None => false,
        },
    };
    if done { Seen::Done } else { Seen::NotDone }
}
