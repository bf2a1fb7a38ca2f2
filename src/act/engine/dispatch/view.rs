//! The scheduler's view, published for the planner and for surfaces; who waits for a lock is woken when one changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::decide::scheduler::view::Moving;
use crate::decide::scheduler::{GpuId, ModelAt, SchedulerView};

use super::super::shared::{Edge, Shared};

/// How much of the queue the view shows.
pub const ROWS: usize = 200;

/// What was shown last of the things that a plan may wait for.
#[derive(Default)]
pub struct Shown {
    locks: BTreeMap<GpuId, (&'static str, Option<Arc<str>>)>,
    moving: BTreeMap<ModelAt, Moving>,
    in_use: Vec<ModelAt>,
}

impl Shown {
    /// Publishes a view.
    pub fn publish(&mut self, shared: &Shared, view: SchedulerView) {
        let changed = self.note(&view);
        shared.memory().scheduler = Arc::new(view);
        if changed {
            shared.controller.wake(&Edge::Locks);
        }
        shared.touch();
    }

    fn note(&mut self, view: &SchedulerView) -> bool {
        let locks = view.gpus.iter().map(|(gpu, lock)| (gpu.clone(), (lock.mode, lock.owner.clone()))).collect();
        let in_use: Vec<ModelAt> = view.in_use.keys().cloned().collect();
        let changed = self.locks != locks || self.moving != view.moving || self.in_use != in_use;
        if changed {
            (self.locks, self.moving, self.in_use) = (locks, view.moving.clone(), in_use);
        }
        changed
    }
}
