//! Objects that are gone from Git: what they may have made beside what is known, and their coming back.

use std::sync::Arc;

use crate::core::ObjectKey;
use crate::decide::reconcile::{Target, Verb};
use crate::remember::store::row::JournalRow;

use super::Memory;

impl Memory {
    /// What an action of an object that stands open may have made.
    pub fn maybe_made(&self, key: &ObjectKey) -> Vec<Target> {
        let makes = |row: &&JournalRow| Verb::from_word(&row.verb).is_some_and(Verb::makes);
        let rows = self.open.get(key).into_iter().flatten().filter(makes);
        rows.filter_map(|row| serde_json::from_str(&row.target).ok()).collect()
    }

    /// What was gone and is in force again is no longer being deleted.
    pub fn revive(&mut self, key: &ObjectKey) {
        if !self.removed.contains_key(key) {
            return;
        }
        Arc::make_mut(&mut self.removed).remove(key);
        for holding in Arc::make_mut(&mut self.inventory).get_mut(key).into_iter().flatten() {
            (holding.deleting_since, holding.deadline) = (None, None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::Timestamp;
    use crate::remember::store::row::JournalState;

    #[test]
    fn what_stands_open_may_have_made_something_only_where_it_was_to_make_it() {
        let desk = ObjectKey::parse("Loadout/desk").unwrap();
        let target = |id: &str| Target::Task { id: id.to_owned() };
        let mut memory = Memory::default();
        for (verb, id) in [("enqueue", "task-1"), ("cancel", "task-2"), ("juggle", "task-3")] {
            memory.note_open(JournalRow {
                id: format!("of {id}"),
                object: desk.clone(),
                verb: verb.to_owned(),
                target: serde_json::to_string(&target(id)).unwrap(),
                reason: String::new(),
                revision: None,
                state: JournalState::Open,
                started_at: Timestamp::UNIX_EPOCH,
                finished_at: None,
                result: None,
            });
        }
        assert_eq!(memory.maybe_made(&desk), [target("task-1")]);
    }
}
