//! The end of an attempt: what it held is free again, and the task is over or waits for another try. The end of a task: who
//! depends on it goes on, or fails with it.

use super::decision::{Decision, FailCode, Holder};
use super::event::{End, Over};
use super::id::{Moment, TaskSeq};
use super::state::{Block, Run, Stage, State};
use super::table::Lock;

impl State {
    pub(super) fn end(&mut self, seq: TaskSeq, end: End, now: Moment, out: &mut Vec<Decision>) {
        let Some(task) = self.tasks.get_mut(&seq) else { return };
        let Stage::Running(run) = &task.stage else { return };
        let run = run.clone();
        let told = task.told.take();
        self.let_go(seq, &run, now, out);
        match end {
            End::Done { took_ms } => {
                self.took(run.capability, run.place.model, took_ms);
                if let Some((when, eta)) = told {
                    #[expect(clippy::cast_precision_loss, reason = "milliseconds of a task's life are far below 2^52")]
                    let true_s = now.steady_ms.saturating_sub(when.steady_ms) as f64 / 1_000.0;
                    self.coverage.total += 1;
                    self.coverage.inside += u64::from(eta.optimistic <= true_s && true_s <= eta.pessimistic);
                }
                self.over(seq, Over::Done);
            }
            End::Failed { .. } | End::Cancelled => self.over(seq, Over::Failed),
            End::Again { wait_ms, message } => {
                if self.is_broken(super::broken::Rule::RetryForgotten) {
                    return self.over(seq, Over::Failed);
                }
                if let Some(task) = self.tasks.get_mut(&seq) {
                    task.retry = super::intake::retry_at(Some((wait_ms, message)), now);
                }
                self.place(seq, now, out);
            }
        }
    }

    /// Frees slot, lock and model.
    fn let_go(&mut self, seq: TaskSeq, run: &Run, now: Moment, out: &mut Vec<Decision>) {
        self.running.remove(&seq);
        self.table.runtimes[run.runtime].running.remove(&seq);
        if let Some(model) = run.model {
            let entry = &mut self.table.models[model];
            entry.users.remove(&seq);
            entry.idle_since_ms = now.steady_ms;
            self.arm_idle(model, now);
        }
        // The runtime may have been declared on another GPU meanwhile: what was taken is given back where it was taken.
        let gpu = run.place.gpu.as_ref().and_then(|id| self.table.gpu(id));
        if let Some(gpu) = gpu {
            self.table.gpus[gpu].holders.remove(&seq);
            let holder = Holder::Task(seq);
            if matches!(&self.table.gpus[gpu].lock, Lock::Exclusive { by } if *by == holder) {
                self.give_back(gpu, &holder, now, out);
            }
            self.gpu_dirty(gpu);
        }
        if self.table.runtimes[run.runtime].gpu != gpu || gpu.is_none() {
            self.place_dirty(run.runtime);
        }
    }

    /// A task that can never run. It waited, and stands nowhere any more.
    pub(super) fn fail(&mut self, seq: TaskSeq, code: FailCode, message: String, out: &mut Vec<Decision>) {
        out.push(Decision::Fail { task: seq, code, message });
        self.over(seq, Over::Failed);
    }

    /// Forgets a task that is over; see [`State::let_dependants_go`].
    pub(super) fn over(&mut self, seq: TaskSeq, how: Over) {
        let Some(task) = self.tasks.remove(&seq) else { return };
        self.ids.remove(&task.request.id);
        if self.waiters.contains_key(&task.request.id) {
            self.ended.push_back((task.request.id, how));
        }
    }

    /// Tells those who depend on what ended. One after the other: a long chain that fails takes no depth.
    pub(super) fn let_dependants_go(&mut self, now: Moment, out: &mut Vec<Decision>) {
        while let Some((id, how)) = self.ended.pop_front() {
            for waiter in self.waiters.remove(&id).unwrap_or_default() {
                let Some(waiting) = self.tasks.get_mut(&waiter) else { continue };
                for dependency in waiting.request.depends_on.iter_mut().filter(|it| it.id == id) {
                    dependency.over = Some(how);
                }
                if matches!(waiting.stage, Stage::Blocked(Block::Dependencies(_))) {
                    self.advance(waiter, now, out);
                }
            }
        }
    }
}
