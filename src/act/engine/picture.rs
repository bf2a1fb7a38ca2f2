//! The picture: all that surfaces may show, published as one immutable value after each change.
//!
//! Surfaces read it and the store; they never ask a runtime. Statuses are computed from it with the time of the
//! request, so that what is shown ages even when nothing happens.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::act::controller::breaker;
use crate::core::{Name, ObjectKey, Observed, Revision, Timestamp};
use crate::decide::host_view::{Gpus, Hosts};
pub use crate::decide::reconcile::{Correction, Failure, ObjectHistory};
use crate::decide::reconcile::{Hold, Holding, Inputs, LoadHistory, ObjectStatus, TaskFact, plan};
use crate::decide::scheduler::{ModelAt, SchedulerView};
use crate::decide::view::RuntimeView;
use crate::declare::world::{Object, World};

/// All that surfaces may show, apart from what the store holds.
#[derive(Clone, Debug, Default)]
pub struct Picture {
    /// When this picture was made; none before the first.
    pub made_at: Option<Timestamp>,
    pub started_at: Option<Timestamp>,
    pub world: Arc<World>,
    pub source: SourcePicture,
    pub runtimes: BTreeMap<Name, RuntimePicture>,
    /// What each runtime was last seen to be: the same values as in `runtimes`, in the planner's shape.
    pub views: Arc<BTreeMap<Name, Observed<RuntimeView>>>,
    /// What each GPU and each host was last seen to be.
    pub gpus: Arc<Gpus>,
    pub hosts: Arc<Hosts>,
    /// Since when each object has had its sync word, and what was done about it lately.
    pub histories: Arc<BTreeMap<ObjectKey, ObjectHistory>>,
    pub inventory: Arc<BTreeMap<ObjectKey, Vec<Holding>>>,
    /// The last version of objects that are gone from Git but still hold something.
    pub removed: Arc<BTreeMap<ObjectKey, Arc<Object>>>,
    pub tasks: Arc<BTreeMap<String, TaskFact>>,
    /// Tokens per second of the newest run with each model, as its runtime measured it, since this program began.
    pub speeds: Arc<BTreeMap<ModelAt, f64>>,
    pub load_history: Arc<BTreeMap<(Name, String), LoadHistory>>,
    /// What the scheduler holds, drains and keeps waiting.
    pub scheduler: Arc<SchedulerView>,
    /// What the scheduler answered when an object asked for something just now.
    pub refusals: Arc<BTreeMap<ObjectKey, Hold>>,
    /// Why the store cannot be written, when it cannot.
    pub store_problem: Option<String>,
}

impl Picture {
    /// What the planner rests on, at `now`.
    #[must_use]
    pub fn inputs(&self, now: Timestamp) -> Inputs<'_> {
        Inputs {
            world: &self.world,
            runtimes: &self.views,
            gpus: &self.gpus,
            hosts: &self.hosts,
            inventory: &self.inventory,
            removed: &self.removed,
            tasks: &self.tasks,
            histories: &self.histories,
            load_history: &self.load_history,
            scheduler: &self.scheduler,
            refusals: &self.refusals,
            now,
        }
    }

    /// The status of every object at `now`, sorted by kind and name.
    #[must_use]
    pub fn statuses(&self, now: Timestamp) -> Vec<ObjectStatus> {
        plan(&self.inputs(now)).statuses
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
    /// Where its breaker stands, whoever's call moved it there.
    pub breaker: breaker::State,
}

/// The state of the connection to a runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Link {
    Connected,
    Reconnecting,
    Down,
}
