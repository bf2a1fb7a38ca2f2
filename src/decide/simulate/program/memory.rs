//! What the simulated program keeps in memory for the planner, as the engine does. All of it is gone at a crash.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::core::{Kind, Name, ObjectKey, Observed, Timestamp};
use crate::decide::host_view::{Gpus, Hosts};
use crate::decide::reconcile::{
    Hold, Holding, Inputs, LoadHistory, ObjectHistory, ObjectPlan, Sync, Target, TaskFact, drift_loop, plan_object,
};
use crate::decide::scheduler::SchedulerView;
use crate::decide::view::RuntimeView;
use crate::declare::world::{Object, World};

use super::super::disk::{Removal, Tables};

/// What the program believes.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    pub world: Arc<World>,
    pub views: BTreeMap<Name, Observed<RuntimeView>>,
    pub inventory: BTreeMap<ObjectKey, Vec<Holding>>,
    pub removed: BTreeMap<ObjectKey, Arc<Object>>,
    pub histories: BTreeMap<ObjectKey, ObjectHistory>,
    pub tasks: BTreeMap<String, TaskFact>,
    pub load_history: BTreeMap<(Name, String), LoadHistory>,
    /// What the scheduler held and did when it was last looked at.
    pub scheduler: SchedulerView,
    /// What the scheduler answered when an object asked for something just now.
    pub refusals: BTreeMap<ObjectKey, Hold>,
    gpus: Gpus,
    hosts: Hosts,
}

impl Memory {
    /// What is found on disk. Nothing was seen yet.
    #[must_use]
    pub fn recover(tables: &Tables) -> Self {
        let world = World { revision: tables.revision.clone(), objects: tables.objects.clone(), ..World::default() };
        Self {
            world: Arc::new(world),
            inventory: tables.inventory.clone(),
            removed: tables.removed.clone(),
            histories: tables.histories.clone(),
            ..Self::default()
        }
    }

    #[must_use]
    pub fn inputs(&self, now: Timestamp) -> Inputs<'_> {
        Inputs {
            world: &self.world,
            runtimes: &self.views,
            inventory: &self.inventory,
            removed: &self.removed,
            tasks: &self.tasks,
            histories: &self.histories,
            load_history: &self.load_history,
            gpus: &self.gpus,
            hosts: &self.hosts,
            scheduler: &self.scheduler,
            refusals: &self.refusals,
            now,
        }
    }

    /// The plan of an object, its answer noted; true when the note changed.
    pub fn plan(&mut self, key: &ObjectKey, now: Timestamp) -> Option<(ObjectPlan, bool)> {
        let plan = plan_object(&self.inputs(now), key)?;
        let generation = self.generation(key);
        let history = self.histories.entry(key.clone()).or_default();
        let noted = history.note(plan.status.sync, plan.status.health, generation, now);
        let settled = settle_loop(history, &plan, generation, now);
        Some((plan, noted || settled))
    }

    #[must_use]
    pub fn generation(&self, key: &ObjectKey) -> u64 {
        self.world.objects.get(key).map_or(0, |object| object.generation)
    }

    /// Adds what an object holds.
    pub fn hold(&mut self, key: &ObjectKey, holding: Holding) {
        let holdings = self.inventory.entry(key.clone()).or_default();
        if holdings.iter().all(|held| held.target != holding.target) {
            holdings.push(holding);
        }
    }

    /// Removes what an object held. A removed object that holds nothing any more is forgotten.
    pub fn release(&mut self, key: &ObjectKey, target: &Target) {
        if let Some(holdings) = self.inventory.get_mut(key) {
            holdings.retain(|held| held.target != *target);
            if holdings.is_empty() {
                self.inventory.remove(key);
            }
        }
        self.bury(key);
    }

    /// Forgets a removed object that holds nothing.
    pub fn bury(&mut self, key: &ObjectKey) {
        if !self.inventory.contains_key(key) && self.removed.remove(key).is_some() {
            self.forget(key);
        }
    }

    fn forget(&mut self, key: &ObjectKey) {
        if !self.world.objects.contains_key(key) {
            self.histories.remove(key);
        }
    }

    /// Takes out an object that is gone, once that is on disk. A loadout or task that holds nothing is kept until it was
    /// looked at once more, because an action for it may still be under way.
    pub fn remove(&mut self, removal: &Removal) {
        let key = &removal.object.document.key;
        let Some((since, deadline)) = removal.undo else {
            self.inventory.remove(key);
            return self.forget(key);
        };
        for holding in &removal.holds {
            self.hold(key, holding.clone());
        }
        match self.inventory.get_mut(key) {
            Some(holdings) => {
                for holding in holdings {
                    holding.deleting_since.get_or_insert(since);
                    holding.deadline.get_or_insert(deadline);
                }
            }
            None if !matches!(key.kind, Kind::Loadout | Kind::Task) => return self.forget(key),
            None => {}
        }
        self.removed.insert(key.clone(), Arc::clone(&removal.object));
    }

    /// What is gone and came back is no longer being deleted.
    pub fn revive(&mut self, key: &ObjectKey) {
        if self.removed.remove(key).is_some() {
            for holding in self.inventory.get_mut(key).into_iter().flatten() {
                (holding.deleting_since, holding.deadline) = (None, None);
            }
        }
    }

    /// Whether somebody answers for what an object makes.
    #[must_use]
    pub fn answers_for(&self, key: &ObjectKey) -> bool {
        self.world.objects.contains_key(key) || self.removed.contains_key(key)
    }
}

/// Makes a loop that the planner sees permanent until it goes away or the manifest changes, as the engine does.
fn settle_loop(history: &mut ObjectHistory, plan: &ObjectPlan, generation: u64, now: Timestamp) -> bool {
    let found = plan.status.fields.iter().find_map(|difference| {
        let saw = format!("{}: {}", difference.field, difference.observed);
        drift_loop::detect(history, &saw, generation, now)
    });
    match (found, &history.drift_loop) {
        (Some(stopped), None) => history.drift_loop = Some(stopped),
        (None, Some(stopped)) if plan.status.sync == Sync::InSync || stopped.generation != generation => {
            history.drift_loop = None;
            history.corrections.clear();
        }
        _ => return false,
    }
    true
}
