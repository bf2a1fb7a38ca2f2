//! What the engine knows at this moment: the picture as it stands, which surfaces are shown copies of, and what is kept beside
//! it for the engine alone.
//!
//! Plain data behind one short lock. Methods compute; they never wait and never call out. The durable copy of all that
//! must survive is the store's: whoever changes something here has written it there first.
//!
//! Here stand the plan of an object and what is noted of its answer. [`seen`] keeps observations, [`held`] what objects hold,
//! [`gone`] what those that are gone may have made, [`written`] what is still to be written.

mod gone;
mod held;
mod seen;
mod written;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use crate::act::telemetry::keep::Afar;
use crate::core::{Name, ObjectKey, Timestamp};
use crate::decide::reconcile::{Hold, ObjectHistory, ObjectPlan, Sync, drift_loop, plan_object};
use crate::remember::store::row::JournalRow;

use super::picture::Picture;

pub use self::seen::fresh_for;

/// What the engine knows at this moment.
#[derive(Debug, Default)]
pub struct Memory {
    /// All that surfaces may show; a copy of it is published after each change.
    shown: Picture,
    /// What runtimes on other machines told of those.
    pub afar: Arc<Afar>,
    /// Tasks of committed Tasks that are not over and depend on others, by number: their ids, and the names in their specs.
    pub needs: BTreeMap<u64, Needs>,
    /// Histories that changed since they were last written.
    unsaved: BTreeSet<ObjectKey>,
    /// Observations that are to be written.
    unsaved_views: BTreeMap<Name, String>,
    /// Journal entries that stand open, by their object: those of an action under way, and those whose end could not be
    /// written, because the program or the store failed in between.
    open: BTreeMap<ObjectKey, Vec<JournalRow>>,
}

/// The names that a committed Task depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Needs {
    pub id: String,
    pub names: Vec<String>,
}

impl Deref for Memory {
    type Target = Picture;

    fn deref(&self) -> &Picture {
        &self.shown
    }
}

impl DerefMut for Memory {
    fn deref_mut(&mut self) -> &mut Picture {
        &mut self.shown
    }
}

impl Memory {
    /// The plan of one object, its answer noted.
    pub fn plan(&mut self, key: &ObjectKey, now: Timestamp) -> Option<ObjectPlan> {
        let plan = plan_object(&self.inputs(now), key)?;
        self.note(&plan, now);
        Some(plan)
    }

    /// Notes the answers of `keys` at `now`, so that "since" is known without anybody looking.
    pub fn note_all(&mut self, keys: impl IntoIterator<Item = ObjectKey>, now: Timestamp) {
        for key in keys {
            let _ = self.plan(&key, now);
        }
    }

    fn note(&mut self, plan: &ObjectPlan, now: Timestamp) {
        let key = &plan.status.key;
        let generation = self.generation(key);
        let unchanged = self.histories.get(key).is_some_and(|history| {
            history.sync == Some(plan.status.sync)
                && history.health == Some(plan.status.health)
                && (plan.status.sync != Sync::InSync || history.settled_generation == Some(generation))
        });
        if unchanged {
            return;
        }
        let history = Arc::make_mut(&mut self.histories).entry(key.clone()).or_default();
        if history.note(plan.status.sync, plan.status.health, generation, now) {
            self.unsaved.insert(key.clone());
        }
    }

    /// Keeps, or forgets, what the scheduler answered an object.
    pub fn note_refusal(&mut self, key: &ObjectKey, refusal: Option<Hold>) {
        if self.refusals.get(key) == refusal.as_ref() {
            return;
        }
        let refusals = Arc::make_mut(&mut self.refusals);
        match refusal {
            Some(hold) => drop(refusals.insert(key.clone(), hold)),
            None => drop(refusals.remove(key)),
        }
    }

    /// The generation of an object in force; 0 when there is none.
    pub fn generation(&self, key: &ObjectKey) -> u64 {
        self.world.objects.get(key).map_or(0, |object| object.generation)
    }

    /// Changes the history of an object.
    pub fn history<T>(&mut self, key: &ObjectKey, change: impl FnOnce(&mut ObjectHistory) -> T) -> T {
        self.unsaved.insert(key.clone());
        change(Arc::make_mut(&mut self.histories).entry(key.clone()).or_default())
    }

    /// Notes that a drift is about to be corrected, and whether that makes it a loop.
    pub fn note_correction(&mut self, key: &ObjectKey, saw: &str, now: Timestamp) {
        self.history(key, |history| drift_loop::note(history, saw.to_owned(), now));
    }

    /// Makes loops that the planner sees permanent, so that the clock alone never resumes a fight.
    pub fn settle_loops(&mut self, plan: &ObjectPlan, now: Timestamp) {
        let key = plan.status.key.clone();
        let generation = self.generation(&key);
        let Some(history) = self.histories.get(&key) else { return };
        let found = plan.status.fields.iter().find_map(|difference| {
            let saw = format!("{}: {}", difference.field, difference.observed);
            drift_loop::detect(history, &saw, generation, now)
        });
        let in_sync = plan.status.sync == Sync::InSync;
        match (found, &history.drift_loop) {
            (Some(stopped), None) => self.history(&key, |history| history.drift_loop = Some(stopped)),
            // The drift went away without us, or the manifest changed: the fight is over.
            (None, Some(stopped)) if in_sync || stopped.generation != generation => {
                self.history(&key, |history| {
                    history.drift_loop = None;
                    history.corrections.clear();
                });
            }
            _ => {}
        }
    }

    /// The picture of this moment.
    pub fn picture(&self, now: Timestamp) -> Picture {
        Picture { made_at: Some(now), ..self.shown.clone() }
    }
}
