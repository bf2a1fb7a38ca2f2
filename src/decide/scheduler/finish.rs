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
        if !matches!(task.stage, Stage::Running(_)) {
            return;
        }
        // It stands nowhere until it is over or placed afresh.
        let Stage::Running(run) = std::mem::replace(&mut task.stage, Stage::NOWHERE) else { return };
        let told = task.told.take();
        self.let_go(seq, &run, now, out);
        match end {
            End::Done { took_ms } => {
                self.note_run(*run, took_ms);
                if let Some(told) = told {
                    self.coverage.total += 1;
                    self.coverage.inside += u64::from(told.holds(now));
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
        if let Some(promised) = &run.promised {
            self.give_disk_back(promised);
        }
        self.table.runtimes[run.runtime].running.remove(&seq);
        if let Some(model) = run.model {
            let entry = &mut self.table.models[model];
            entry.users.remove(&seq);
            entry.idle_since_ms = now.steady_ms;
            entry.last_used = Some(now.wall);
            self.arm_idle(model, now);
        }
        // The runtime may have been declared on another GPU meanwhile: what was taken is given back where it was taken.
        if let Some(gpu) = run.gpu {
            self.table.gpus[gpu].holders.remove(&seq);
            let holder = Holder::Task(seq);
            if matches!(&self.table.gpus[gpu].lock, Lock::Exclusive { by } if *by == holder) {
                self.give_back(gpu, &holder, now, out);
            }
            self.gpu_dirty(gpu);
        }
        if self.table.runtimes[run.runtime].gpu != run.gpu || run.gpu.is_none() {
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
