//! All that a plan rests on. Everything is handed in; nothing is looked up.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::core::{Kind, Name, ObjectKey, Observed, Timestamp};
use crate::decide::host_view::{Gpus, Hosts};
use crate::decide::scheduler::SchedulerView;
use crate::decide::view::{ModelState, RuntimeView};
use crate::declare::world::{Object, World};

use super::history::ObjectHistory;
use super::plan::Target;
use super::status::Hold;

/// All that a plan rests on.
#[derive(Clone, Copy)]
pub struct Inputs<'a> {
    pub world: &'a World,
    /// What each runtime was last seen to be.
    pub runtimes: &'a BTreeMap<Name, Observed<RuntimeView>>,
    /// What each GPU and each host was last seen to be.
    pub gpus: &'a Gpus,
    pub hosts: &'a Hosts,
    /// What each object made in the world.
    pub inventory: &'a BTreeMap<ObjectKey, Vec<Holding>>,
    /// The last version of objects that are gone from Git but still hold something.
    pub removed: &'a BTreeMap<ObjectKey, Arc<Object>>,
    /// The tasks that committed Tasks became, by id.
    pub tasks: &'a BTreeMap<String, TaskFact>,
    pub histories: &'a BTreeMap<ObjectKey, ObjectHistory>,
    pub load_history: &'a BTreeMap<(Name, String), LoadHistory>,
    /// What the scheduler holds and does.
    pub scheduler: &'a SchedulerView,
    /// What the scheduler answered when an object asked for something just now, until the object is planned anew.
    pub refusals: &'a BTreeMap<ObjectKey, Hold>,
    pub now: Timestamp,
}

/// Something that an object made in the world.
#[derive(Clone, Debug, PartialEq)]
pub struct Holding {
    pub target: Target,
    pub since: Timestamp,
    /// When its deletion was asked for, and until when it should be done.
    pub deleting_since: Option<Timestamp>,
    pub deadline: Option<Timestamp>,
}

/// Since when something is held that is booked `now`: since the look that saw it loaded, so that this look counts as one of
/// it, and no other is waited for before it can be let go.
#[must_use]
pub fn held_since(target: &Target, runtimes: &BTreeMap<Name, Observed<RuntimeView>>, now: Timestamp) -> Timestamp {
    let Target::Model { runtime, served_as, .. } = target else { return now };
    let looked = runtimes.get(runtime).and_then(|seen| {
        let model = seen.fresh(now)?.model(served_as)?;
        (model.state == ModelState::Loaded).then(|| seen.at()).flatten()
    });
    looked.map_or(now, |at| at.min(now))
}

/// What is known of a task that a committed Task became.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskFact {
    pub phase: TaskPhase,
    /// Why it waits or failed, one sentence.
    pub message: Option<String>,
    pub at: Timestamp,
}

/// Where a task stands, as far as a plan cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskPhase {
    Waiting,
    Running,
    Done,
    Failed,
    Cancelled,
}

/// What is known from earlier loads of a model on a runtime.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LoadHistory {
    /// How long they took; means something when there are samples.
    pub median_ms: u64,
    pub samples: u32,
    /// GPU memory that the newest one was measured to take, in GB.
    pub took_gb: Option<f64>,
}

impl<'a> Inputs<'a> {
    /// What an object made in the world.
    #[must_use]
    pub fn holdings(&self, key: &ObjectKey) -> &'a [Holding] {
        self.inventory.get(key).map_or(&[], Vec::as_slice)
    }

    /// What a runtime reports, while that is fresh.
    #[must_use]
    pub fn fresh_view(&self, runtime: &Name) -> Option<&'a RuntimeView> {
        self.runtimes.get(runtime)?.fresh(self.now)
    }

    /// Whether a runtime is neither declared nor driven until something is undone: nobody looks at it any more, so what is
    /// loaded there is nobody's here.
    #[must_use]
    pub fn is_given_up(&self, runtime: &Name) -> bool {
        let key = ObjectKey::new(Kind::Runtime, runtime.clone());
        self.world.runtime(runtime).is_none()
            && !self.removed.contains_key(&key)
            && !self.runtimes.contains_key(runtime)
    }

    /// What a runtime reports, while that is fresh and was seen since `since`: an older look says nothing of what was done
    /// then. (A time that lies ahead comes from a clock that was set back, and asks for nothing.)
    #[must_use]
    pub fn view_since(&self, runtime: &Name, since: Timestamp) -> Option<&'a RuntimeView> {
        let seen = self.runtimes.get(runtime)?;
        let is_older = since <= self.now && seen.at().is_none_or(|at| at < since);
        seen.fresh(self.now).filter(|_| !is_older)
    }
}
