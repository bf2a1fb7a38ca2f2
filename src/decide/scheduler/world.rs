//! A new world: what stood in lines is placed afresh, drains that still make sense go on.

use std::sync::Arc;

use super::config::Config;
use super::decision::{Decision, Holder};
use super::id::{Moment, TaskSeq};
use super::line::Key;
use super::state::{Stage, State};
use super::table::{GpuIx, Lock};

impl State {
    pub(super) fn change_world(&mut self, config: Arc<Config>, now: Moment, out: &mut Vec<Decision>) {
        self.config = config;
        self.table.adopt(&self.config, now);
        let mut contexts: Vec<u32> = self.config.models.values().filter_map(|model| model.context_tokens).collect();
        contexts.sort_unstable();
        contexts.dedup();
        self.contexts = contexts;
        self.place_afresh(out);
        self.review_drains(now, out);
        self.retake_leases(now, out);
        self.returns.extend(0..self.table.gpus.len());
        self.arm_idle_timers(now);
        self.all_dirty();
    }

    /// Puts everything that stands in a line into the line where it belongs now.
    pub(super) fn place_afresh(&mut self, out: &mut Vec<Decision>) {
        let mut waiting: Vec<Key> = self.lines.busy().flat_map(|(_, line)| line.waiting.iter()).collect();
        waiting.sort_unstable();
        // What was told stays told: the same reason is no news after a commit about something else.
        let told: Vec<_> = self.lines.busy().filter_map(|(_, line)| line.reason.clone()).collect();
        self.lines.clear();
        self.lanes.clear();
        self.dirty.clear();
        self.queued = 0;
        for gpu in &mut self.table.gpus {
            (gpu.memory_waiter, gpu.passed, gpu.polite) = (None, None, None);
            gpu.awake.clear();
            gpu.resting.clear();
        }
        for runtime in &mut self.table.runtimes {
            runtime.lines.clear();
        }
        for key in &waiting {
            self.enqueue(TaskSeq(key.seq), out);
        }
        for (reason, task) in told {
            if let Some(Stage::Waiting(line)) = self.tasks.get(&task).map(|task| &task.stage)
                && self.lines[*line].head().is_some_and(|head| head.seq == task.0)
            {
                let line = *line;
                self.lines[line].reason = Some((reason, task));
            }
        }
        self.all_dirty();
    }

    /// A new world may have taken the ground from under a drain.
    fn review_drains(&mut self, now: Moment, out: &mut Vec<Decision>) {
        for gpu in 0..self.table.gpus.len() {
            if let Lock::Draining { by, .. } = self.table.gpus[gpu].lock.clone()
                && !self.may_drain(gpu, &by)
            {
                self.undrain(gpu, &by, now, out);
            }
        }
    }

    fn may_drain(&self, gpu: GpuIx, by: &Holder) -> bool {
        match by {
            Holder::Lease(id) => self.leases.contains_key(id) && self.table.gpus[gpu].config.is_some(),
            Holder::Task(seq) => match self.tasks.get(seq).map(|task| &task.stage) {
                Some(Stage::Waiting(line)) => self.lines[*line]
                    .plan
                    .choices
                    .iter()
                    .any(|choice| choice.exclusive && self.table.runtimes[choice.runtime].gpu == Some(gpu)),
                Some(Stage::Blocked(_) | Stage::Running(_)) | None => false,
            },
        }
    }
}
