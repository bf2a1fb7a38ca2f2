//! What was noted of an object over time: since when it is as it is, what was corrected, what failed.

use serde::{Deserialize, Serialize};

use crate::core::Timestamp;

use super::status::{Health, Sync};

/// What was noted of an object over time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ObjectHistory {
    /// The last answer, and since when it has been so.
    pub sync: Option<Sync>,
    pub health: Option<Health>,
    pub since: Option<Timestamp>,
    /// The generation that was last seen in sync: what differs after that is drift, not a change still to be made.
    pub settled_generation: Option<u64>,
    /// Corrections of drift, the newest last; only as many as the loop rule needs.
    pub corrections: Vec<Correction>,
    /// The generation for which corrections stopped because something else keeps changing it back, and since when.
    pub drift_loop: Option<DriftLoop>,
    /// The newest failure of an action for this object; cleared by success.
    pub failure: Option<Failure>,
}

/// A drift that was corrected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Correction {
    pub at: Timestamp,
    /// What had been seen, such as `models[textrank].state: unloaded`.
    pub saw: String,
}

/// Corrections stopped: something else keeps changing it back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DriftLoop {
    pub since: Timestamp,
    pub generation: u64,
    /// What was seen each time, with its time.
    pub saw: Vec<Correction>,
}

/// An action that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    pub at: Timestamp,
    pub message: String,
    /// When the next try is due; none while one is under way.
    pub retry_at: Option<Timestamp>,
    pub attempts: u32,
    /// The generation it failed for: a newer one starts afresh.
    pub generation: u64,
}

impl ObjectHistory {
    /// Notes the answer at `now`; true when it changed.
    pub fn note(&mut self, sync: Sync, health: Health, generation: u64, now: Timestamp) -> bool {
        let mut changed = false;
        if self.sync != Some(sync) {
            self.sync = Some(sync);
            self.since = Some(now);
            changed = true;
        }
        if self.health != Some(health) {
            self.health = Some(health);
            changed = true;
        }
        if sync == Sync::InSync && self.settled_generation != Some(generation) {
            self.settled_generation = Some(generation);
            changed = true;
        }
        changed
    }
}
