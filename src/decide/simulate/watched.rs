//! The scheduler, watched: the real state machine, with the locks that it announced written down beside it.

use std::collections::{BTreeMap, BTreeSet};

use crate::decide::dispatch::Machine;
use crate::decide::scheduler::{Decision, Event, GpuId, LockMode, Moment, Reason, State, TaskSeq};

use super::broken::Broken;

/// The scheduler with what it announced.
#[derive(Clone, Debug)]
pub struct Watched {
    pub state: State,
    /// What each GPU's lock was last said to be.
    pub locks: BTreeMap<GpuId, LockMode>,
    now: Moment,
    /// Tasks that it started and that did not end, counted apart from its own books.
    started: BTreeSet<TaskSeq>,
    /// What did not add up in its books after an event.
    broken: Option<String>,
}

impl Watched {
    /// A scheduler that knows nothing yet, and keeps all rules but the one that is broken on purpose.
    #[must_use]
    pub fn new(rule: Option<Broken>, now: Moment) -> Self {
        let mut state = State::new();
        Broken::break_scheduler(rule, &mut state);
        Self { state, locks: BTreeMap::new(), now, started: BTreeSet::new(), broken: None }
    }

    /// Whether the scheduler's books added up after every event so far.
    ///
    /// # Errors
    /// What did not.
    pub fn check(&self) -> Result<(), String> {
        self.broken.clone().map_or(Ok(()), Err)
    }

    /// Why a task waits, as the scheduler says at the time of its last event.
    #[must_use]
    pub fn why(&self, task: TaskSeq) -> Option<Reason> {
        self.state.why(task, self.now)
    }
}

impl Machine for Watched {
    fn apply(&mut self, event: Event, now: Moment) -> Vec<Decision> {
        self.now = now;
        if let Event::Ended { task, .. } | Event::NotStarted { task } = &event {
            self.started.remove(task);
        }
        let is_look = matches!(&event, Event::Seen { .. } | Event::ForeignUse { .. } | Event::Tick);
        // One task in four is told of twice: that must change nothing.
        let twice = matches!(&event, Event::Submitted(request) if request.task.0 % 4 == 0).then(|| event.clone());
        let mut decisions = self.state.apply(event, now);
        if let Some(event) = twice {
            decisions.extend(self.state.apply(event, now));
        }
        if self.broken.is_none() && !(is_look && decisions.is_empty()) {
            self.broken = self.state.check().err();
        }
        for decision in &decisions {
            if let Decision::Lock { gpu, mode } = decision {
                self.locks.insert(gpu.clone(), mode.clone());
            }
            if let Decision::Start { task, .. } = decision
                && !self.started.insert(*task)
            {
                self.broken.get_or_insert_with(|| format!("task {} is started and runs already", task.0));
            }
        }
        decisions
    }

    fn next_wake(&self, now: Moment) -> Option<u64> {
        self.state.next_wake(now)
    }
}
