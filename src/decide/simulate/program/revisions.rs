//! Taking revisions in: assembled, written down, and only then in force, as `act/engine/source_loop.rs` does it.

use std::sync::Arc;

use crate::core::clock::after;
use crate::core::{Kind, ObjectKey};
use crate::decide::reconcile::{Holding, Target};
use crate::declare::world::{Assembly, Object};

use super::super::disk::{Fate, Removal, Write};
use super::super::event::{Event, Whom};
use super::super::run::Simulation;

/// How long a deletion may take before it is called overdue.
pub(super) const DELETION_DEADLINE: std::time::Duration = std::time::Duration::from_secs(300);
/// How soon a revision that could not be written down is tried again, in milliseconds.
const AGAIN_MS: u64 = 2_000;

impl Simulation<'_> {
    /// Looks at the repository; a new revision is assembled and handed to the disk.
    pub fn look_at_source(&mut self) {
        let Some(program) = &mut self.program else { return };
        if program.applying || program.memory.world.revision.as_ref() == Some(&self.repository.head()) {
            return;
        }
        let assembly = self.repository.assemble(&program.memory.world.objects);
        program.applying = true;
        let before = &program.memory.world.objects;
        let changed = assembly.world.objects.iter();
        let objects: Vec<Arc<Object>> = changed
            .filter(|(key, object)| before.get(*key).is_none_or(|old| !Arc::ptr_eq(old, object)))
            .map(|(_, object)| Arc::clone(object))
            .collect();
        let removals = self.removals(&assembly);
        let revision = self.repository.head();
        let whom = Whom::Revision(Box::new(assembly), removals.clone());
        self.write_loop(Write::Apply { revision, objects, removed: removals }, whom);
    }

    /// What becomes of each object that is gone. A runtime that goes together with what was loaded on it is driven until that
    /// is undone: it is made to hold the same things. What an action that stands open may have made is undone too.
    fn removals(&self, assembly: &Assembly) -> Vec<Removal> {
        let now = self.clocks.wall();
        let undone = assembly.world.policy_for_all().prune;
        let removed = &assembly.changes.removed;
        let removal = |object: &Arc<Object>| {
            let undo = (undone && object.document.prunes()).then(|| (now, after(now, DELETION_DEADLINE)));
            let holds = if undo.is_some() { self.left_by(&object.document.key, removed) } else { Vec::new() };
            Removal { object: Arc::clone(object), undo, holds }
        };
        removed.iter().map(removal).collect()
    }

    fn left_by(&self, key: &ObjectKey, removed: &[Arc<Object>]) -> Vec<Holding> {
        let Some(program) = &self.program else { return Vec::new() };
        if key.kind != Kind::Runtime {
            let open = program.open.get(key).into_iter().flatten().filter_map(|id| self.disk.tables.journal.get(id));
            return open.filter(|action| action.verb.makes()).map(|action| self.held(action.target.clone())).collect();
        }
        let going = |key: &ObjectKey| {
            program.memory.removed.contains_key(key)
                || removed.iter().any(|object| object.document.key == *key && object.document.prunes())
        };
        let on_it =
            |holding: &&Holding| matches!(&holding.target, Target::Model { runtime, .. } if *runtime == key.name);
        let holdings = program.memory.inventory.iter().filter(|(key, _)| going(key));
        holdings.flat_map(|(_, holdings)| holdings).filter(on_it).map(|held| self.held(held.target.clone())).collect()
    }

    /// A revision reached the disk, or did not.
    pub fn revision_written(&mut self, assembly: Assembly, removals: &[Removal], fate: Fate) {
        let now_ms = self.clocks.true_ms;
        let Some(program) = &mut self.program else { return };
        program.applying = false;
        if fate != Fate::Written {
            self.calendar.put(now_ms + AGAIN_MS, Event::LookAtSource);
            return;
        }
        let Assembly { world, changes } = assembly;
        if world.revision.as_ref() == Some(&self.repository.head()) {
            self.repository.applied();
        }
        let first = program.memory.world.revision.is_none();
        program.memory.world = Arc::new(world);
        self.trace(format_args!(
            "applied: {} added, {} changed, {} removed, {} quarantined",
            changes.added.len(),
            changes.changed.len(),
            changes.removed.len(),
            changes.quarantined.len()
        ));
        if let Some(program) = &mut self.program {
            changes.added.iter().for_each(|key| program.memory.revive(key));
            removals.iter().for_each(|removal| program.memory.remove(removal));
        }
        self.align_observers();
        self.tell_world();
        let broad = first
            || changes
                .added
                .iter()
                .chain(&changes.changed)
                .chain(changes.removed.iter().map(|o| &o.document.key))
                .any(|key| matches!(key.kind, Kind::Host | Kind::Runtime | Kind::Model | Kind::Policy));
        let touched: Vec<ObjectKey> = changes.added.iter().chain(&changes.changed).cloned().collect();
        // A policy may have held tasks back too.
        self.wake_actionable(|key| broad || touched.contains(key));
        if self.program.as_ref().is_some_and(|p| p.memory.world.revision.as_ref() != Some(&self.repository.head())) {
            self.calendar.put(now_ms + 1, Event::LookAtSource);
        }
    }

    /// Wakes loadouts, tasks and removed objects.
    pub fn wake_actionable(&mut self, which: impl Fn(&ObjectKey) -> bool) {
        let Some(program) = &self.program else { return };
        let objects = program.memory.world.objects.keys();
        let acting = objects.filter(|key| matches!(key.kind, Kind::Loadout | Kind::Task) && which(key));
        let keys: Vec<ObjectKey> = acting.chain(program.memory.removed.keys()).cloned().collect();
        for key in keys {
            self.wake_at(&key, self.clocks.true_ms);
        }
    }
}
