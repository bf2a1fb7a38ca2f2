//! What an answer is made from: the picture and every object's status at one instant, and what the store says.
//!
//! All of a page is computed for the same `now`, so that two figures on it never contradict each other.

use std::sync::Arc;

use serde::Serialize;

use crate::act::engine::picture::Picture;
use crate::core::{ObjectKey, Revision, Timestamp};
use crate::decide::reconcile::{ObjectHistory, ObjectStatus};
use crate::remember::store::row::{TaskRow, TaskState};

use super::view::task::TaskQuery;

/// The picture and the statuses at one instant.
#[derive(Clone, Debug)]
pub struct Facts {
    pub picture: Arc<Picture>,
    /// Sorted by kind and name.
    pub statuses: Vec<ObjectStatus>,
    pub now: Timestamp,
}

impl Facts {
    /// What the picture says at `now`.
    #[must_use]
    pub fn at(picture: Arc<Picture>, now: Timestamp) -> Self {
        let statuses = picture.statuses(now);
        Self::with_statuses(picture, statuses, now)
    }

    /// The same with statuses that were computed elsewhere, for example for a revision that is not in force.
    #[must_use]
    pub fn with_statuses(picture: Arc<Picture>, mut statuses: Vec<ObjectStatus>, now: Timestamp) -> Self {
        statuses.sort_by(|a, b| a.key.cmp(&b.key));
        Self { picture, statuses, now }
    }

    #[must_use]
    pub fn status(&self, key: &ObjectKey) -> Option<&ObjectStatus> {
        let at = self.statuses.binary_search_by(|status| status.key.cmp(key)).ok()?;
        self.statuses.get(at)
    }

    #[must_use]
    pub fn history(&self, key: &ObjectKey) -> Option<&ObjectHistory> {
        self.picture.histories.get(key)
    }

    /// Since when the object has had the sync word it has now; none when that was not noted yet.
    #[must_use]
    pub fn since(&self, status: &ObjectStatus) -> Option<Timestamp> {
        let history = self.history(&status.key)?;
        history.since.filter(|_| history.sync == Some(status.sync))
    }

    /// The applied revision; none before the first.
    #[must_use]
    pub fn revision(&self) -> Option<&Revision> {
        self.picture.world.revision.as_ref()
    }

    /// The applied revision as it is written: `main@sha1:…`.
    #[must_use]
    pub fn revision_text(&self) -> Option<String> {
        self.revision().map(ToString::to_string)
    }
}

/// How many tasks stand where: the JSON contract's `tasks`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TaskCounts {
    pub queued: u64,
    pub blocked: u64,
    pub running: u64,
    pub done: u64,
    pub error: u64,
    pub cancelled: u64,
}

impl TaskCounts {
    /// Counts per state; a state that does not occur has none.
    #[must_use]
    pub fn of(counts: impl IntoIterator<Item = (TaskState, u64)>) -> Self {
        let mut all = Self::default();
        for (state, n) in counts {
            *all.slot(state) += n;
        }
        all
    }

    /// Work that is not over yet.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.queued + self.blocked + self.running
    }

    /// Every task there is.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.open() + self.done + self.error + self.cancelled
    }

    fn slot(&mut self, state: TaskState) -> &mut u64 {
        match state {
            TaskState::Queued => &mut self.queued,
            TaskState::Blocked => &mut self.blocked,
            TaskState::Running => &mut self.running,
            TaskState::Done => &mut self.done,
            TaskState::Error => &mut self.error,
            TaskState::Cancelled => &mut self.cancelled,
        }
    }
}

/// What the store says of the queue for the status page.
#[derive(Clone, Debug, Default)]
pub struct Queue {
    /// Absent when the store could not be read: then nothing is claimed.
    pub counts: Option<TaskCounts>,
    /// What `open` is narrowed to.
    pub query: TaskQuery,
    /// Tasks that are not over, bounded: what runs, then what waits in the scheduler's order.
    pub open: Vec<TaskRow>,
    /// Tasks that failed lately, the newest first, bounded.
    pub failed: Vec<TaskRow>,
    /// Why the store could not be read, when it could not.
    pub problem: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_are_counted_by_state_and_open_means_not_over() {
        let counts = TaskCounts::of([(TaskState::Queued, 2), (TaskState::Running, 1), (TaskState::Error, 4)]);
        assert_eq!((counts.open(), counts.total(), counts.error), (3, 7, 4));
    }
}
