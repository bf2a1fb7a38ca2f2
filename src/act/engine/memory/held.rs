//! What objects hold on runtimes, who answers for it, and what becomes of an object that is gone until nothing of it is left.

use std::sync::Arc;

use crate::core::{Kind, Name, ObjectKey, Timestamp};
use crate::decide::reconcile::{Bookkeeping, Holding, Target, held_since};
use crate::declare::manifest::Spec;
use crate::declare::manifest::kind::runtime::RuntimeSpec;
use crate::declare::world::Object;
use crate::remember::store::Removal;

use super::Memory;

impl Memory {
    /// A runtime that is declared, or gone from Git and still driven until what was loaded on it is undone.
    pub fn driven(&self, runtime: &Name) -> Option<(&Arc<Object>, &RuntimeSpec)> {
        let key = ObjectKey::new(Kind::Runtime, runtime.clone());
        let object = self.world.objects.get(&key).or_else(|| self.removed.get(&key))?;
        match &object.document.spec {
            Spec::Runtime(spec) => Some((object, spec)),
            _ => None,
        }
    }

    /// The objects whose answer depends on a runtime: itself, the models it serves, the loadouts of its host, and
    /// removed objects that hold something on it.
    pub fn dependents(&self, runtime: &Name) -> Vec<ObjectKey> {
        let host = self.world.runtime(runtime).map(|spec| &spec.host);
        let models = self.world.models().filter(|(_, model)| model.served_by.iter().any(|by| by.runtime == *runtime));
        let loadouts = self.world.loadouts().filter(|(_, loadout)| Some(&loadout.host) == host);
        let holds = |key: &&ObjectKey| {
            self.inventory.get(*key).is_some_and(|holdings| {
                holdings.iter().any(|h| matches!(&h.target, Target::Model { runtime: at, .. } if at == runtime))
            })
        };
        [ObjectKey::new(Kind::Runtime, runtime.clone())]
            .into_iter()
            .chain(models.map(|(object, _)| object.document.key.clone()))
            .chain(loadouts.map(|(object, _)| object.document.key.clone()))
            .chain(self.removed.keys().filter(holds).cloned())
            .collect()
    }

    /// What objects that are gone, or about to be (`removed`), still hold on a runtime.
    pub fn left_on(&self, runtime: &Name, removed: &[Arc<Object>]) -> Vec<Target> {
        let going = |key: &ObjectKey| {
            self.removed.contains_key(key)
                || removed.iter().any(|object| object.document.key == *key && object.document.prunes())
        };
        let held = self.inventory.iter().filter(|(key, _)| going(key)).flat_map(|(_, holdings)| holdings);
        let targets = held.map(|holding| holding.target.clone());
        targets.filter(|target| matches!(target, Target::Model { runtime: at, .. } if at == runtime)).collect()
    }

    /// Whether somebody answers for what an object makes: it is in force, or gone and being undone.
    pub fn answers_for(&self, key: &ObjectKey) -> bool {
        self.world.objects.contains_key(key) || self.removed.contains_key(key)
    }

    /// Adds what an object holds; false when it holds it already.
    pub fn hold(&mut self, key: &ObjectKey, target: Target, now: Timestamp) -> bool {
        let since = self.held_since(&target, now);
        let holdings = Arc::make_mut(&mut self.inventory).entry(key.clone()).or_default();
        if holdings.iter().any(|holding| holding.target == target) {
            return false;
        }
        holdings.push(Holding { target, since, deleting_since: None, deadline: None });
        true
    }

    /// Adds what an object that is gone may have made: it is being undone from now on, by `deadline`.
    pub fn hold_to_undo(&mut self, key: &ObjectKey, target: Target, now: Timestamp, deadline: Timestamp) {
        self.hold(key, target, now);
        self.begin_undoing(key, now, deadline);
    }

    /// What an object holds is being undone from now on.
    fn begin_undoing(&mut self, key: &ObjectKey, now: Timestamp, deadline: Timestamp) {
        for holding in Arc::make_mut(&mut self.inventory).get_mut(key).into_iter().flatten() {
            holding.deleting_since.get_or_insert(now);
            holding.deadline.get_or_insert(deadline);
        }
    }

    /// Since when something is held that is booked `now`.
    pub fn held_since(&self, target: &Target, now: Timestamp) -> Timestamp {
        held_since(target, &self.views, now)
    }

    /// Removes what an object held. A removed object that holds nothing any more is forgotten for good.
    pub fn release(&mut self, key: &ObjectKey, target: &Target) {
        let inventory = Arc::make_mut(&mut self.inventory);
        if let Some(holdings) = inventory.get_mut(key) {
            holdings.retain(|holding| holding.target != *target);
            if holdings.is_empty() {
                inventory.remove(key);
            }
        }
        if !self.inventory.contains_key(key) && self.removed.contains_key(key) {
            Arc::make_mut(&mut self.removed).remove(key);
            if !self.world.objects.contains_key(key) {
                self.forget(key);
            }
        }
    }

    /// Applies bookkeeping that the store has taken.
    pub fn book(&mut self, key: &ObjectKey, entry: &Bookkeeping, now: Timestamp) {
        match entry {
            Bookkeeping::Adopt(target) => {
                self.hold(key, target.clone(), now);
            }
            Bookkeeping::Release(target) => self.release(key, target),
        }
    }

    /// Forgets a removed object that holds nothing.
    pub fn bury(&mut self, key: &ObjectKey) {
        if self.removed.contains_key(key) && !self.inventory.contains_key(key) {
            Arc::make_mut(&mut self.removed).remove(key);
            self.forget(key);
        }
    }

    /// Takes an object that is gone out of what is in force, once the store has it so. What it holds is being undone from now
    /// on, or let go. One that holds nothing is kept until it was looked at once more, because an action for it may still be
    /// under way.
    pub fn remove(&mut self, object: &Arc<Object>, removal: &Removal, now: Timestamp) {
        let key = &object.document.key;
        let Some(deadline) = removal.undo_by else {
            Arc::make_mut(&mut self.inventory).remove(key);
            self.forget(key);
            return;
        };
        for held in &removal.holds {
            if let Ok(target) = serde_json::from_str(&held.target) {
                self.hold(key, target, now);
            }
        }
        self.begin_undoing(key, now, deadline);
        if !self.inventory.contains_key(key) && !matches!(key.kind, Kind::Loadout | Kind::Task) {
            self.forget(key);
            return;
        }
        Arc::make_mut(&mut self.removed).insert(key.clone(), Arc::clone(object));
    }

    /// Forgets the history of objects that are gone for good.
    pub fn forget(&mut self, key: &ObjectKey) {
        if self.histories.contains_key(key) {
            Arc::make_mut(&mut self.histories).remove(key);
            self.unsaved.insert(key.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::clock::after;

    #[test]
    fn what_an_object_that_is_gone_may_have_made_is_undone_by_a_deadline_that_it_keeps() {
        let desk = ObjectKey::parse("Loadout/desk").unwrap();
        let (now, later) = (Timestamp::UNIX_EPOCH, after(Timestamp::UNIX_EPOCH, std::time::Duration::from_secs(60)));
        let target = Target::Task { id: "task-1".to_owned() };
        let mut memory = Memory::default();
        memory.hold_to_undo(&desk, target.clone(), now, later);
        memory.hold_to_undo(&desk, target, later, after(later, std::time::Duration::from_secs(60)));
        let held: Vec<_> = memory.inventory[&desk].iter().map(|it| (it.deleting_since, it.deadline)).collect();
        assert_eq!(held, [(Some(now), Some(later))]);
    }
}
