//! What is still to be written, and which journal entries stand open. Writing is the callers': what they could not write they put
//! back.

use std::collections::BTreeMap;

use crate::core::{Name, ObjectKey};
use crate::remember::store::row::JournalRow;

use super::Memory;

impl Memory {
    /// Keeps the newest observation of a runtime to be written.
    pub fn save_later(&mut self, runtime: &Name, json: String) {
        self.unsaved_views.insert(runtime.clone(), json);
    }

    /// Takes the histories that changed, as JSON, to be written.
    pub fn take_unsaved(&mut self) -> Vec<(ObjectKey, Option<String>)> {
        std::mem::take(&mut self.unsaved)
            .into_iter()
            .map(|key| {
                let json = self.histories.get(&key).and_then(|history| serde_json::to_string(history).ok());
                (key, json)
            })
            .collect()
    }

    /// Takes the observations that are to be written.
    pub fn take_unsaved_views(&mut self) -> BTreeMap<Name, String> {
        std::mem::take(&mut self.unsaved_views)
    }

    /// Takes back what could not be written, to be written with what comes next. A newer observation stands.
    pub fn put_back_unsaved(&mut self, histories: Vec<ObjectKey>, views: BTreeMap<Name, String>) {
        self.unsaved.extend(histories);
        for (runtime, json) in views {
            self.unsaved_views.entry(runtime).or_insert(json);
        }
    }

    /// Keeps a journal entry that stands open.
    pub fn note_open(&mut self, row: JournalRow) {
        let rows = self.open.entry(row.object.clone()).or_default();
        if rows.iter().all(|known| known.id != row.id) {
            rows.push(row);
        }
    }

    /// Forgets a journal entry whose end is written.
    pub fn note_closed(&mut self, row: &JournalRow) {
        if let Some(rows) = self.open.get_mut(&row.object) {
            rows.retain(|open| open.id != row.id);
            if rows.is_empty() {
                self.open.remove(&row.object);
            }
        }
    }

    /// The journal entries of an object that stand open, the oldest first.
    pub fn open_of(&self, key: &ObjectKey) -> Vec<JournalRow> {
        self.open.get(key).cloned().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use crate::decide::reconcile::ObjectHistory;

    use super::*;

    #[test]
    fn what_could_not_be_written_is_written_next_as_it_is_by_then() {
        let (desk, swap, other) =
            (ObjectKey::parse("Loadout/desk").unwrap(), Name::new("swap").unwrap(), Name::new("other").unwrap());
        let mut memory = Memory::default();
        memory.history(&desk, |history| history.settled_generation = Some(1));
        memory.save_later(&swap, "old".to_owned());
        memory.save_later(&other, "kept".to_owned());
        let (histories, views) = (memory.take_unsaved(), memory.take_unsaved_views());
        assert!(memory.take_unsaved().is_empty() && memory.take_unsaved_views().is_empty());

        memory.history(&desk, |history| history.settled_generation = Some(2));
        memory.save_later(&swap, "new".to_owned());
        memory.put_back_unsaved(histories.into_iter().map(|(key, _)| key).collect(), views);
        let again = memory.take_unsaved();
        assert_eq!(again.len(), 1);
        let written: ObjectHistory = serde_json::from_str(again[0].1.as_deref().unwrap()).unwrap();
        assert_eq!(written.settled_generation, Some(2));
        let views = memory.take_unsaved_views();
        assert_eq!((views[&swap].as_str(), views[&other].as_str()), ("new", "kept"));
    }
}
