//! The picture: all that surfaces may show, published as one immutable value after each change.
//!
//! Surfaces read it and the store; they never ask a runtime. Statuses are computed from it with the time of the
//! request, so that what is shown ages even when nothing happens.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::core::{Name, ObjectKey, Observed, Revision, Timestamp};
use crate::decide::reconcile::ObjectStatus;
use crate::decide::view::RuntimeView;
use crate::declare::world::World;

/// All that surfaces may show, apart from what the store holds.
#[derive(Clone, Debug, Default)]
pub struct Picture {
    /// When this picture was made; none before the first.
    pub made_at: Option<Timestamp>,
    pub started_at: Option<Timestamp>,
    pub world: Arc<World>,
    pub source: SourcePicture,
    pub runtimes: BTreeMap<Name, RuntimePicture>,
    /// Since when each object has had its sync word, and what was done about it lately.
    pub histories: BTreeMap<ObjectKey, ObjectHistory>,
    /// Why the store cannot be written, when it cannot.
    pub store_problem: Option<String>,
}

impl Picture {
    /// The status of every object at `now`, sorted by kind and name.
    #[must_use]
    pub fn statuses(&self, _now: Timestamp) -> Vec<ObjectStatus> {
        Vec::new()
    }
}

/// Where desired state comes from, and whether that works.
#[derive(Clone, Debug, Default)]
pub struct SourcePicture {
    /// Path or URL, without credentials.
    pub repo: String,
    pub branch: String,
    pub applied_at: Option<Timestamp>,
    /// The newest revision that was seen, when it differs from the applied one.
    pub pending: Option<Revision>,
    /// When the repository was last looked at with success.
    pub checked_at: Option<Timestamp>,
    /// Why it is not ready, and since when.
    pub problem: Option<SourceProblem>,
}

/// Why the source is not ready. The last applied revision stays in force meanwhile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceProblem {
    /// A stable word: `Unreachable`, `BranchMissing`, `Corrupt`, `NotFastForward`, `Unverified`, `Failed`.
    pub reason: String,
    pub message: String,
    /// What to do next.
    pub help: Option<String>,
    pub since: Timestamp,
}

/// A runtime as it is shown.
#[derive(Clone, Debug)]
pub struct RuntimePicture {
    pub view: Observed<RuntimeView>,
    pub link: Link,
    pub last_seen: Option<Timestamp>,
    /// How many looks in a row failed.
    pub failures: u32,
    /// When the breaker lets the next probe through; none while it is closed.
    pub breaker_until: Option<Timestamp>,
}

/// The state of the connection to a runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Link {
    Connected,
    Reconnecting,
    Down,
}

/// What was noted of an object over time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ObjectHistory {
    /// The sync word and since when it has been so.
    pub sync: String,
    pub since: Option<Timestamp>,
    /// Corrections of drift: when, and what had been seen. The newest last; only as many as the loop rule needs.
    pub corrections: Vec<Correction>,
    /// The newest failure of an action for this object, cleared by success.
    pub failure: Option<Failure>,
}

/// A drift that was corrected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Correction {
    pub at: Timestamp,
    /// What had been seen, such as `models[textrank].state: unloaded`.
    pub saw: String,
}

/// An action that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    pub at: Timestamp,
    pub message: String,
    /// When the next try is due; none while one is under way.
    pub retry_at: Option<Timestamp>,
    pub attempts: u32,
}
