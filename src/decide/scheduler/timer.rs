//! What happens by itself: backoffs and dates that come due, leases that run out, models that were idle for too long.

use std::collections::BTreeSet;

use crate::core::Timestamp;

use super::config::Pin;
use super::decision::Decision;
use super::id::{LeaseId, Moment, TaskSeq};
use super::state::{Block, Stage, State};
use super::table::{GpuIx, Lock, ModelIx, Phase};

/// Everything that is due some time.
#[derive(Clone, Debug, Default)]
pub(super) struct Timers {
    due: BTreeSet<(u64, Due)>,
    /// Dates that people wrote, on the wall clock.
    dates: BTreeSet<(Timestamp, TaskSeq)>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Task(TaskSeq),
    Lease(LeaseId),
    Model(ModelIx),
    Gpu(GpuIx),
}

impl Timers {
    pub(super) fn task_at(&mut self, at_ms: u64, task: TaskSeq) {
        self.due.insert((at_ms, Due::Task(task)));
    }

    pub(super) fn lease_at(&mut self, at_ms: u64, lease: LeaseId) {
        self.due.insert((at_ms, Due::Lease(lease)));
    }

    pub(super) fn model_at(&mut self, at_ms: u64, model: ModelIx) {
        self.due.insert((at_ms, Due::Model(model)));
    }

    pub(super) fn gpu_at(&mut self, at_ms: u64, gpu: GpuIx) {
        self.due.insert((at_ms, Due::Gpu(gpu)));
    }

    pub(super) fn at_date(&mut self, at: Timestamp, task: TaskSeq) {
        self.dates.insert((at, task));
    }

    pub(super) fn not_task_at(&mut self, at_ms: u64, task: TaskSeq) {
        self.due.remove(&(at_ms, Due::Task(task)));
    }

    pub(super) fn not_at_date(&mut self, at: Option<Timestamp>, task: TaskSeq) {
        if let Some(at) = at {
            self.dates.remove(&(at, task));
        }
    }

    /// When the next one is due, on the steady clock; a date as far off as the wall clock says now.
    pub(super) fn next(&self, now: Moment) -> Option<u64> {
        let due = self.due.first().map(|(at_ms, _)| *at_ms);
        let date = self.dates.first().map(|(at, _)| {
            let ahead = at.as_millisecond().saturating_sub(now.wall.as_millisecond()).max(0);
            now.steady_ms.saturating_add(u64::try_from(ahead).unwrap_or(0)).saturating_add(1)
        });
        due.into_iter().chain(date).min()
    }

    fn pop(&mut self, now: Moment) -> Option<Due> {
        if self.due.first().is_some_and(|(at_ms, _)| *at_ms <= now.steady_ms) {
            return self.due.pop_first().map(|(_, due)| due);
        }
        if self.dates.first().is_some_and(|(at, _)| *at <= now.wall) {
            return self.dates.pop_first().map(|(_, task)| Due::Task(task));
        }
        None
    }
}

impl State {
    /// Does everything that has come due.
    pub(super) fn fire(&mut self, now: Moment, out: &mut Vec<Decision>) {
        while let Some(due) = self.timers.pop(now) {
            match due {
                Due::Task(seq) => self.task_due(seq, now, out),
                Due::Lease(id) => self.lease_due(&id, now, out),
                Due::Model(ix) => self.model_due(ix, now, out),
                Due::Gpu(gpu) => self.gpu_dirty(gpu),
            }
        }
    }

    fn task_due(&mut self, seq: TaskSeq, now: Moment, out: &mut Vec<Decision>) {
        let Some(task) = self.tasks.get(&seq) else { return };
        match &task.stage {
            Stage::Blocked(Block::NotBefore | Block::Backoff) => self.advance(seq, now, out),
            Stage::Blocked(Block::Dependencies(_)) | Stage::Waiting(_) | Stage::Running(_) => {}
        }
    }

    /// A model that may be tried again, or that was idle for too long.
    fn model_due(&mut self, ix: ModelIx, now: Moment, out: &mut Vec<Decision>) {
        let model = &mut self.table.models[ix];
        if model.failed.as_ref().is_some_and(|(until_ms, _)| *until_ms <= now.steady_ms) {
            model.failed = None;
            self.place_dirty(self.table.models[ix].runtime);
        }
        if self.table.models[ix].idle_timer_ms.is_some_and(|at_ms| at_ms <= now.steady_ms) {
            self.table.models[ix].idle_timer_ms = None;
            self.unload_if_idle(ix, now, out);
        }
    }

    /// How long a model may stay loaded without being used; none: for ever.
    fn idle_limit_ms(&self, ix: ModelIx) -> Option<u64> {
        let model = &self.table.models[ix];
        let runtime = &self.table.runtimes[model.runtime];
        let broken = self.is_broken(super::broken::Rule::PinnedUnloadedWhenIdle);
        let keeps = match model.pin {
            Some(Pin::Copilot | Pin::Loaded) => !broken,
            Some(Pin::Ignored) => true,
            // What nobody declared is none of ours, unless a loadout wants such models gone; the planner sees to that.
            Some(Pin::OnDemand | Pin::Unloaded) | None => !model.is_known(),
        };
        let minutes = u64::from(runtime.policy.unload_idle_after_minutes);
        (runtime.config.as_ref()?.loads && !keeps && minutes > 0).then_some(minutes * 60_000)
    }

    /// Sees to it that a model is looked at when it was idle for long enough. One timer a model: one that comes too early,
    /// because the model was used meanwhile, sets the next.
    pub(super) fn arm_idle(&mut self, ix: ModelIx, now: Moment) {
        let model = &self.table.models[ix];
        if model.phase == Phase::Loaded
            && model.users.is_empty()
            && let Some(limit_ms) = self.idle_limit_ms(ix)
        {
            let at_ms = self.table.models[ix].idle_since_ms.saturating_add(limit_ms).max(now.steady_ms + 1);
            self.idle_timer(ix, at_ms);
        }
    }

    fn idle_timer(&mut self, ix: ModelIx, at_ms: u64) {
        let timer = &mut self.table.models[ix].idle_timer_ms;
        if timer.is_none_or(|before| at_ms < before) {
            *timer = Some(at_ms);
            self.timers.model_at(at_ms, ix);
        }
    }

    pub(super) fn arm_idle_timers(&mut self, now: Moment) {
        for ix in 0..self.table.models.len() {
            self.arm_idle(ix, now);
        }
    }

    fn unload_if_idle(&mut self, ix: ModelIx, now: Moment, out: &mut Vec<Decision>) {
        let model = &self.table.models[ix];
        let Some(limit_ms) = self.idle_limit_ms(ix) else { return };
        if model.phase != Phase::Loaded || !model.users.is_empty() {
            return;
        }
        let idle_ms = now.steady_ms.saturating_sub(model.idle_since_ms);
        let is_failing = model.failed.as_ref().is_some_and(|(until_ms, _)| *until_ms > now.steady_ms);
        let gpu = self.table.gpu_of_model(ix);
        let is_shared = gpu.is_none_or(|gpu| self.table.gpus[gpu].lock == Lock::Shared);
        if idle_ms < limit_ms {
            return self.arm_idle(ix, now);
        }
        // One that the planner is about to load all the same.
        let is_claimed = model.told.is_some();
        if is_failing || is_claimed || !is_shared || self.is_wanted(ix) {
            // Not now: looked at again in a while.
            return self.idle_timer(ix, now.steady_ms.saturating_add(limit_ms));
        }
        let minutes = limit_ms / 60_000;
        self.unload(ix, format!("nothing used it for {minutes} min, and no loadout wants it loaded"), out);
    }

    /// Whether a waiting task can be done with this model alone.
    fn is_wanted(&self, ix: ModelIx) -> bool {
        let runtime = &self.table.runtimes[self.table.models[ix].runtime];
        runtime.lines.iter().any(|line| self.lines[*line].plan.choices.iter().all(|choice| choice.model == Some(ix)))
    }
}
