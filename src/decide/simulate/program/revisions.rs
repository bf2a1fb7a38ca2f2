//! Taking revisions in: assembled, written down, and only then in force, as `act/engine/source_loop.rs` does it.

use std::sync::Arc;

use crate::core::clock::after;
use crate::core::{Kind, ObjectKey};
use crate::decide::reconcile::{Holding, Target};
use crate::declare::world::{Assembly, Object};

use super::super::disk::{Fate, Write};
use super::super::event::{Event, Whom};
use super::super::run::Simulation;

/// How long a deletion may take before it is called overdue.
const DELETION_DEADLINE: std::time::Duration = std::time::Duration::from_secs(300);
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
        self.keep_driven(&assembly);
        let revision = self.repository.head();
        let removed = assembly.changes.removed.clone();
        self.write_loop(Write::Apply { revision, objects, removed }, Whom::Revision(Box::new(assembly)));
    }

    /// A runtime that goes together with what was loaded on it is driven until that is undone: it holds the same things.
    fn keep_driven(&mut self, assembly: &Assembly) {
        let Some(program) = &self.program else { return };
        if !program.memory.world.policy_for_all().prune {
            return;
        }
        let removed = &assembly.changes.removed;
        let going = |key: &ObjectKey| {
            program.memory.removed.contains_key(key) || removed.iter().any(|object| object.document.key == *key)
        };
        let mut holds: Vec<(ObjectKey, Holding)> = Vec::new();
        for object in removed.iter().filter(|object| object.document.key.kind == Kind::Runtime) {
            let key = &object.document.key;
            for (_, holdings) in program.memory.inventory.iter().filter(|(key, _)| going(key)) {
                let on_it = |holding: &&Holding| matches!(&holding.target, Target::Model { runtime, .. } if *runtime == key.name);
                holds.extend(holdings.iter().filter(on_it).map(|holding| (key.clone(), holding.clone())));
            }
        }
        for (object, holding) in holds {
            if let Some(program) = &mut self.program {
                program.memory.hold(&object, holding.clone());
            }
            self.write_loop(Write::Hold { object, holding }, Whom::Nobody);
        }
    }

    /// A revision reached the disk, or did not.
    pub fn revision_written(&mut self, assembly: Assembly, fate: Fate) {
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
        for object in &changes.removed {
            self.begin_deletion(object);
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

    fn begin_deletion(&mut self, object: &Arc<Object>) {
        let now = self.clocks.wall();
        let key = &object.document.key;
        let Some(program) = &mut self.program else { return };
        let prunes = object.document.prunes() && program.memory.world.policy_for_all().prune;
        let mut holdings = program.memory.inventory.get(key).cloned().unwrap_or_default();
        if holdings.is_empty() || !prunes {
            program.memory.inventory.remove(key);
            program.memory.histories.remove(key);
            for holding in holdings {
                self.write_loop(Write::Release { object: key.clone(), target: holding.target }, Whom::Nobody);
            }
            return;
        }
        for holding in &mut holdings {
            holding.deleting_since.get_or_insert(now);
            holding.deadline.get_or_insert(after(now, DELETION_DEADLINE));
        }
        program.memory.inventory.insert(key.clone(), holdings.clone());
        program.memory.removed.insert(key.clone(), Arc::clone(object));
        self.write_loop(Write::Delete { object: Arc::clone(object), holdings }, Whom::Nobody);
    }
}
