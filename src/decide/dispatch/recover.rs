//! Taking up what is on disk: the only way in, at the first start as after a crash.
//!
//! 1. Tasks that were running are ended on disk as interrupted, or given up when the program ended under them too often.
//! 2. Only when all of these ends are written does the scheduler hear of tasks, all of them in the order of acceptance,
//!    and of anything else: no decision rests on half of the queue.
//! 3. Loads and unloads that stand open are closed when their runtime is seen: it tells whether they happened.

use std::sync::Arc;

use crate::decide::scheduler::{Event, Moment, Over, TaskSeq};

use super::core::{Core, Machine};
use super::input::Input;
use super::op::Op;
use super::record::{AttemptEnd, Record};
use super::retry;
use super::stored::{Phase, Restored, Stored};
use super::task::{Doing, Task};

impl<M: Machine> Core<M> {
    /// A dispatcher that has taken up what is on disk, and what is to be done about that.
    pub fn recover(machine: M, restored: Restored, now: Moment) -> (Self, Vec<Op>) {
        let mut core = Self::empty(machine);
        let Restored { config, tasks, leases, open, history } = restored;
        core.config = Arc::clone(&config);
        core.events.push_back(Event::WorldChanged(config));
        core.events.extend(history);
        // Those that hold a GPU come first: what waits must not be granted what is held.
        let (held, waiting): (Vec<_>, Vec<_>) = leases.into_iter().partition(|lease| lease.request.held);
        for lease in held.into_iter().chain(waiting) {
            core.take_up_lease(lease, now);
        }
        for call in open {
            core.leave_open(call);
        }
        for stored in tasks {
            core.take_up(stored);
        }
        core.raise_barrier(now);
        core.settle(now);
        let ops = std::mem::take(&mut core.ops);
        (core, ops)
    }

    fn take_up(&mut self, stored: Stored) {
        let (seq, id) = (stored.request.task, Arc::clone(&stored.request.id));
        if self.tasks.contains_key(&seq) {
            return;
        }
        let running = stored.phase == Phase::Running;
        let doing = if running { Doing::Recovering } else { Doing::Waiting };
        self.ids.insert(Arc::clone(&id), seq);
        self.tasks.insert(seq, Task::of(&stored, doing));
        if running {
            let (attempt, interruptions) = (stored.request.attempts, stored.interruptions);
            self.barrier.open += 1;
            self.write(Record::End { task: seq, id, attempt, end: end_of(interruptions) });
        }
        self.barrier.tasks.insert(seq, Box::new(stored));
    }

    /// The end of a task that was running is on disk.
    pub(super) fn recovered(&mut self, seq: TaskSeq, end: &AttemptEnd, now: Moment) {
        if end.is_final() {
            self.barrier.tasks.remove(&seq);
            if let Some(task) = self.tasks.get(&seq) {
                self.ended.note(&Arc::clone(&task.id), Over::Failed);
            }
            self.forget(seq);
        } else if let (Some(task), Some(stored)) = (self.tasks.get_mut(&seq), self.barrier.tasks.get_mut(&seq)) {
            task.doing = Doing::Waiting;
            task.interruptions += 1;
            stored.interruptions += 1;
            stored.phase = Phase::Waiting;
        }
        self.barrier.open = self.barrier.open.saturating_sub(1);
        self.raise_barrier(now);
    }

    /// Goes on with everything that waited for the ends, once the last of them is written.
    fn raise_barrier(&mut self, now: Moment) {
        if self.barrier.open > 0 {
            return;
        }
        for stored in std::mem::take(&mut self.barrier.tasks).into_values() {
            self.submit(*stored, now);
        }
        self.settle(now);
        for input in std::mem::take(&mut self.barrier.inputs) {
            self.take_late(input, now);
        }
    }

    fn take_late(&mut self, input: Input, now: Moment) {
        self.take(input, now);
        self.settle(now);
    }
}

fn end_of(interruptions: u32) -> AttemptEnd {
    if retry::is_tried_again(interruptions) {
        return AttemptEnd::Interrupted { why: "Arcology ended while it ran".to_owned(), counts: true };
    }
    let message = format!(
        "Arcology ended {} times while it ran; something about it may end the program",
        interruptions.saturating_add(1)
    );
    AttemptEnd::Failed { code: "interrupted", message }
}
