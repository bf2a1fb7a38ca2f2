//! How tasks come in, wait for things of their own, stand in a line, and leave it again.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::core::Name;

use super::decision::{Decision, FailCode};
use super::eta::Told;
use super::event::{Dependency, Over, Request};
use super::id::{Moment, TaskSeq};
use super::line::{Key, LineIx, LineKey};
use super::reason::Reason;
use super::state::{Block, Stage, State, Task};
use super::table::GpuIx;

impl State {
    pub(super) fn submit(&mut self, request: Box<Request>, now: Moment, out: &mut Vec<Decision>) {
        let seq = request.task;
        if self.tasks.contains_key(&seq) && !self.is_broken(super::broken::Rule::StartedTwice) {
            return;
        }
        let waited = i64::try_from(request.waited_ms).unwrap_or(i64::MAX);
        let submitted_ms = i64::try_from(now.steady_ms).unwrap_or(i64::MAX).saturating_sub(waited);
        let key = Key::new(submitted_ms, request.priority, seq);
        self.ids.insert(request.id.clone(), seq);
        let retry = retry_at(request.backoff.as_ref().map(|(wait_ms, failed)| (*wait_ms, failed.clone())), now);
        self.tasks.insert(seq, Task { request, key, submitted_ms, retry, stage: Stage::NOWHERE, told: None });
        self.place(seq, now, out);
        let eta = self.tasks.get(&seq).and_then(|task| match task.stage {
            Stage::Waiting(line) => self.eta_of_waiting(line, key, now),
            Stage::Blocked(_) | Stage::Running(_) => None,
        });
        if let (Some(eta), Some(task)) = (eta, self.tasks.get_mut(&seq)) {
            task.told = Some(Told::new(now, &eta));
        }
    }

    /// Something that a blocked task waits for may have happened.
    pub(super) fn advance(&mut self, seq: TaskSeq, now: Moment, out: &mut Vec<Decision>) {
        self.forget_own(seq);
        self.place(seq, now, out);
    }

    /// Puts a task that stands nowhere where it belongs: blocked, in a line, or given up.
    pub(super) fn place(&mut self, seq: TaskSeq, now: Moment, out: &mut Vec<Decision>) {
        let Some(task) = self.tasks.get(&seq) else { return };
        let request = &task.request;
        let mut open = BTreeSet::new();
        for dependency in &request.depends_on {
            match dependency.over {
                Some(Over::Done) => {}
                Some(Over::Failed) if request.runs_on_failure => {}
                Some(Over::Failed) => {
                    let message = format!("{}, which it depends on, was not done", dependency.id);
                    return self.fail(seq, FailCode::DependencyFailed, message, out);
                }
                None => drop(open.insert(dependency.id.clone())),
            }
        }
        if !open.is_empty() && !self.is_broken(super::broken::Rule::DependenciesIgnored) {
            return self.block(seq, Block::Dependencies(open), out);
        }
        if let Some(at) = request.not_before.filter(|at| *at > now.wall) {
            self.timers.at_date(at, seq);
            return self.block(seq, Block::NotBefore, out);
        }
        if let Some(until_ms) = task.retry.as_ref().map(|retry| retry.0).filter(|until_ms| *until_ms > now.steady_ms) {
            self.timers.task_at(until_ms, seq);
            return self.block(seq, Block::Backoff, out);
        }
        self.enqueue(seq, out);
    }

    /// The task waits for something of its own, and is told when that is news.
    fn block(&mut self, seq: TaskSeq, block: Block, out: &mut Vec<Decision>) {
        let Some(task) = self.tasks.get_mut(&seq) else { return };
        if let Block::Dependencies(open) = &block {
            for id in open {
                self.waiters.entry(id.clone()).or_default().insert(seq);
            }
        }
        task.stage = Stage::Blocked(block);
        self.blocked.insert(task.key);
        if let Some(reason) = self.own_reason(seq) {
            out.push(Decision::Wait { task: seq, reason });
        }
    }

    /// Into the line of those that ask for the same.
    pub(super) fn enqueue(&mut self, seq: TaskSeq, out: &mut Vec<Decision>) {
        let Some(task) = self.tasks.get(&seq) else { return };
        let key = task.key;
        let line = match self.lines.find(&task.request, &self.contexts) {
            Some(line) => line,
            None => {
                let (line_key, plan) = (LineKey::of(&task.request, &self.contexts), self.plan(&task.request));
                let window = self.window_of(&line_key, &plan);
                self.lines.add(line_key, plan, window)
            }
        };
        if self.lines[line].plan.is_hopeless {
            let sums = self.hopeless(&task.request);
            self.lines.note_empty(line);
            return self.fail(seq, FailCode::FitFailed, sums, out);
        }
        if self.lines[line].waiting.is_empty() {
            self.enlist(line);
        }
        self.lines[line].waiting.insert(key);
        self.lanes.insert(self.lines[line].lane, key);
        if let Some(task) = self.tasks.get_mut(&seq) {
            task.stage = Stage::Waiting(line);
            self.lines[line].key.share(&mut task.request);
        }
        self.queued += 1;
        if self.lines[line].head() == Some(key) {
            self.dirty.insert(line);
        }
    }

    /// Whoever frees a place that this line may use looks at it from now on.
    fn enlist(&mut self, line: LineIx) {
        self.lines[line].lane = self.lanes.open(self.lines[line].kind());
        for choice in &self.lines[line].plan.choices {
            let runtime = &mut self.table.runtimes[choice.runtime];
            runtime.lines.insert(line);
            if let Some(gpu) = runtime.gpu {
                self.table.gpus[gpu].awake.insert(line);
            }
        }
    }

    /// The head of a line stands before nobody any more, except on the GPU where it starts: who waited behind it is looked at.
    pub(super) fn make_room_behind(&mut self, line: LineIx, except: Option<GpuIx>) {
        for at in 0..self.lines[line].plan.gpus.len() {
            let gpu = self.lines[line].plan.gpus[at];
            if Some(gpu) != except {
                self.gpu_dirty(gpu);
            }
        }
    }

    /// Takes a task out of its line, which may have no other.
    pub(super) fn take_out(&mut self, line: LineIx, key: Key) {
        self.lines[line].waiting.remove(key);
        self.lanes.remove(self.lines[line].lane, key);
        self.queued -= 1;
        if !self.lines[line].waiting.is_empty() {
            return;
        }
        self.wake(line);
        self.lines[line].reason = None;
        for choice in &self.lines[line].plan.choices {
            let runtime = &mut self.table.runtimes[choice.runtime];
            runtime.lines.remove(&line);
            if let Some(gpu) = runtime.gpu {
                self.table.gpus[gpu].awake.remove(&line);
            }
        }
        self.lines.note_empty(line);
    }

    /// Out of its line, or out of being blocked; true when it was there.
    pub(super) fn unqueue(&mut self, seq: TaskSeq, now: Moment, out: &mut Vec<Decision>) -> bool {
        let Some(task) = self.tasks.get(&seq) else { return false };
        let key = task.key;
        match &task.stage {
            Stage::Waiting(line) => {
                let line = *line;
                self.forget_wishes(key, line, now, out);
                if self.lines[line].head() == Some(key) {
                    self.make_room_behind(line, None);
                    self.dirty.insert(line);
                }
                self.take_out(line, key);
                true
            }
            Stage::Blocked(_) => {
                self.forget_own(seq);
                true
            }
            Stage::Running(_) => false,
        }
    }

    /// Nothing that a blocked task waits for is looked out for any more.
    pub(super) fn forget_own(&mut self, seq: TaskSeq) {
        let Some(task) = self.tasks.get(&seq) else { return };
        self.blocked.remove(&task.key);
        match &task.stage {
            Stage::Blocked(Block::Dependencies(open)) => {
                for id in open {
                    if let Some(waiters) = self.waiters.get_mut(id) {
                        waiters.remove(&seq);
                        if waiters.is_empty() {
                            self.waiters.remove(id);
                        }
                    }
                }
            }
            Stage::Blocked(Block::NotBefore) => self.timers.not_at_date(task.request.not_before, seq),
            Stage::Blocked(Block::Backoff) => {
                let until_ms = task.retry.as_ref().map_or(0, |retry| retry.0);
                self.timers.not_task_at(until_ms, seq);
            }
            Stage::Waiting(_) | Stage::Running(_) => {}
        }
    }

    pub(super) fn depend(&mut self, seq: TaskSeq, on: Vec<Dependency>, now: Moment, out: &mut Vec<Decision>) {
        let Some(task) = self.tasks.get(&seq) else { return };
        if task.request.depends_on != on {
            self.start_over(seq, now, out, |request| request.depends_on = on);
        }
    }

    pub(super) fn reroute(
        &mut self,
        seq: TaskSeq,
        runtime: Option<Name>,
        model: Option<Name>,
        now: Moment,
        out: &mut Vec<Decision>,
    ) {
        self.start_over(seq, now, out, |request| (request.runtime, request.model) = (runtime, model));
    }

    /// A waiting task is changed and placed afresh, with its age.
    fn start_over(&mut self, seq: TaskSeq, now: Moment, out: &mut Vec<Decision>, change: impl FnOnce(&mut Request)) {
        if !self.unqueue(seq, now, out) {
            return;
        }
        if let Some(task) = self.tasks.get_mut(&seq) {
            change(&mut task.request);
        }
        self.place(seq, now, out);
    }

    pub(super) fn cancel(&mut self, seq: TaskSeq, now: Moment, out: &mut Vec<Decision>) {
        if self.unqueue(seq, now, out) {
            out.push(Decision::Drop { task: seq });
            self.over(seq, Over::Failed);
            return;
        }
        if let Some(Task { stage: Stage::Running(run), .. }) = self.tasks.get_mut(&seq)
            && !run.is_stopping
        {
            run.is_stopping = true;
            out.push(Decision::Stop { task: seq, requeue: false });
        }
    }

    /// Why a blocked task waits; none for one in a line.
    pub(super) fn own_reason(&self, seq: TaskSeq) -> Option<Reason> {
        let task = self.tasks.get(&seq)?;
        match &task.stage {
            Stage::Blocked(Block::Dependencies(open)) => {
                let ids: Vec<Arc<str>> = open.iter().cloned().collect();
                Some(Reason::Dependency { ids })
            }
            Stage::Blocked(Block::NotBefore) => task.request.not_before.map(|at| Reason::NotBefore { at }),
            Stage::Blocked(Block::Backoff) => {
                let (until_ms, failed) = *task.retry.clone()?;
                Some(Reason::Backoff { until_ms, failed })
            }
            Stage::Waiting(_) | Stage::Running(_) => None,
        }
    }
}

/// When a task may be tried again; none when it may be at once.
pub(super) fn retry_at(backoff: Option<(u64, String)>, now: Moment) -> Option<Box<(u64, String)>> {
    let (wait_ms, failed) = backoff.filter(|(wait_ms, _)| *wait_ms > 0)?;
    Some(Box::new((now.steady_ms.saturating_add(wait_ms), failed)))
}
