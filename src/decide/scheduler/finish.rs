//! The end of an attempt: what it held is free again, and the task is over or waits for another try.

use super::decision::{Decision, Holder};
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
                let capability = self.lines[run.line].key.capability.clone();
                self.durations.note(capability, run.place.model.clone(), took_ms);
                if let Some((when, eta)) = told {
                    #[expect(clippy::cast_precision_loss, reason = "milliseconds of a task's life are far below 2^52")]
                    let true_s = now.steady_ms.saturating_sub(when.steady_ms) as f64 / 1_000.0;
                    self.coverage.total += 1;
                    self.coverage.inside += u64::from(eta.optimistic <= true_s && true_s <= eta.pessimistic);
                }
                self.over(seq, Over::Done, now, out);
            }
            End::Failed { .. } | End::Cancelled => self.over(seq, Over::Failed, now, out),
            End::Again { wait_ms, message } => {
                if let Some(task) = self.tasks.get_mut(&seq) {
                    task.request.attempts += 1;
                    task.request.backoff = Some((wait_ms, message));
                    task.stage = Stage::Blocked(Block::NotBefore);
                    self.blocked += 1;
                }
                self.advance(seq, now, out);
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
        if let Some(gpu) = run.place.gpu.as_ref().and_then(|id| self.table.gpu(id)) {
            self.table.gpus[gpu].holders.remove(&seq);
            let holder = Holder::Task(seq);
            if matches!(&self.table.gpus[gpu].lock, Lock::Exclusive { by } if *by == holder) {
                self.give_back(gpu, &holder, now, out);
            }
            self.gpu_dirty(gpu);
        }
        self.place_dirty(run.runtime);
    }
}
