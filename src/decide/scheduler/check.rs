//! What must be true of the state between two events, whatever happened. For tests and simulation.

use std::collections::BTreeMap;

use crate::core::Name;

use super::decision::Holder;
use super::id::TaskSeq;
use super::line::Key;
use super::state::{Block, Stage, State};
use super::table::Lock;

/// Refuses with a sentence.
macro_rules! hold {
    ($true:expr, $($why:tt)*) => {
        if !$true {
            return Err(format!($($why)*));
        }
    };
}

impl State {
    /// Looks whether everything that the state says twice it says alike.
    ///
    /// # Errors
    /// The first thing that does not hold.
    pub fn check(&self) -> Result<(), String> {
        hold!(self.dirty.is_empty() && self.ended.is_empty() && self.returns.is_empty(), "an event is not worked off");
        self.check_tasks()?;
        self.check_lines()?;
        (0..self.table.gpus.len()).try_for_each(|gpu| self.check_gpu(gpu))?;
        self.check_models()
    }

    fn check_tasks(&self) -> Result<(), String> {
        let (mut queued, mut blocked, mut running) = (0, 0, 0);
        let mut promised: BTreeMap<Name, u64> = BTreeMap::new();
        for (seq, task) in &self.tasks {
            hold!(self.ids.get(&task.request.id) == Some(seq), "{} is not found by its id", task.request.id);
            match &task.stage {
                Stage::Waiting(line) => {
                    queued += 1;
                    let line = &self.lines[*line];
                    hold!(line.waiting.contains(task.key), "{} is not in its line", task.request.id);
                    let lane = self.lanes.get(line.lane);
                    hold!(lane.waiting.contains(task.key), "{} is not in the lane of its line", task.request.id);
                    hold!(lane.kind == line.kind(), "{} is in the lane of others", task.request.id);
                }
                Stage::Blocked(block) => {
                    blocked += 1;
                    hold!(self.blocked.contains(&task.key), "{} is blocked and not counted", task.request.id);
                    if let Block::Dependencies(open) = block {
                        let is_known = |id| self.waiters.get(id).is_some_and(|waiters| waiters.contains(seq));
                        hold!(open.iter().all(is_known), "{} waits for what tells it nothing", task.request.id);
                        hold!(!open.is_empty(), "{} waits for nothing", task.request.id);
                    }
                }
                Stage::Running(run) => {
                    running += 1;
                    if let Some((host, mb)) = run.promised.as_ref().map(|promised| promised.parts()) {
                        *promised.entry(host.clone()).or_default() += mb;
                    }
                    hold!(self.running.contains(seq), "{} runs and is not counted", task.request.id);
                    let place = &self.table.runtimes[run.runtime];
                    hold!(place.running.contains(seq), "{} runs where nobody knows", task.request.id);
                }
            }
            hold!(
                matches!(task.stage, Stage::Running(_)) || self.has_reason(*seq),
                "{} waits without a reason",
                task.request.id
            );
        }
        hold!(self.queued == queued, "{} are said to be queued, {queued} are", self.queued);
        hold!(self.blocked.len() == blocked, "{} are said to be blocked, {blocked} are", self.blocked.len());
        hold!(self.running.len() == running, "{} are said to run, {running} do", self.running.len());
        hold!(
            self.promised_mb == promised,
            "{:?} of disk are said to be counted on, {promised:?} are",
            self.promised_mb
        );
        for (id, waiters) in &self.waiters {
            hold!(!waiters.is_empty(), "nobody waits for {id}");
            let is_blocked = |seq| matches!(&self.tasks.get(seq).map(|it| &it.stage), Some(Stage::Blocked(_)));
            hold!(waiters.iter().all(is_blocked), "somebody waits for {id} who waits no more");
        }
        Ok(())
    }

    fn has_reason(&self, seq: TaskSeq) -> bool {
        match self.tasks.get(&seq).map(|task| &task.stage) {
            Some(Stage::Waiting(line)) => self.lines[*line].told().is_some(),
            Some(Stage::Blocked(_)) => self.own_reason(seq).is_some(),
            Some(Stage::Running(_)) | None => false,
        }
    }

    fn check_lines(&self) -> Result<(), String> {
        let mut queued = 0;
        for (ix, line) in self.lines.busy() {
            queued += line.waiting.len() as u64;
            for choice in &line.plan.choices {
                let runtime = &self.table.runtimes[choice.runtime];
                let is_listed = runtime.lines.contains(&ix)
                    && runtime.gpu.is_none_or(|gpu| self.table.gpus[gpu].lines().any(|other| other == ix));
                hold!(is_listed, "a line for {} is not looked at when {} is free", line.capability, runtime.name);
            }
        }
        hold!(self.queued == queued, "{} are said to be queued, {queued} stand in lines", self.queued);
        let in_lanes: usize = self.lanes.iter().map(|lane| lane.waiting.len()).sum();
        hold!(queued == in_lanes as u64, "{queued} stand in lines, {in_lanes} in lanes");
        let listed = self.table.runtimes.iter().flat_map(|runtime| runtime.lines.iter().copied());
        for line in listed.chain(self.table.gpus.iter().flat_map(super::table::Gpu::lines)) {
            hold!(
                !self.lines[line].waiting.is_empty(),
                "an empty line for {} is looked at",
                self.lines[line].capability
            );
        }
        Ok(())
    }

    fn check_gpu(&self, gpu: usize) -> Result<(), String> {
        let entry = &self.table.gpus[gpu];
        for (key, line) in &entry.resting {
            let rests = self.lines[*line].rests == Some(*key) && self.lines[*line].head() == Some(*key);
            hold!(rests && !entry.has_slot(), "{key:?} rests while {} has a slot for it", entry.id);
        }
        for seq in entry.holders.keys() {
            let run = match self.tasks.get(seq).map(|task| &task.stage) {
                Some(Stage::Running(run)) => run,
                _ => return Err(format!("task {} shares {} and does not run", seq.0, entry.id)),
            };
            hold!(!run.exclusive, "{} is shared by a task that wants it alone", entry.id);
        }
        match &entry.lock {
            Lock::Shared => {}
            Lock::Draining { by, .. } => {
                let waits = match by {
                    Holder::Task(seq) => matches!(self.tasks.get(seq).map(|it| &it.stage), Some(Stage::Waiting(_))),
                    Holder::Lease(id) => self.leases.get(id).is_some_and(|lease| !lease.is_granted),
                };
                hold!(waits, "{} drains for {by:?}, which does not wait", entry.id);
            }
            Lock::Exclusive { by } => {
                let holds = match by {
                    Holder::Task(seq) => matches!(
                        self.tasks.get(seq).map(|it| &it.stage),
                        Some(Stage::Running(run)) if run.exclusive
                    ),
                    Holder::Lease(id) => self.leases.get(id).is_some_and(|lease| lease.is_granted),
                };
                hold!(holds, "{} belongs to {by:?}, which does not hold it", entry.id);
                hold!(entry.taken() == 0, "{} is shared beside {by:?}, which has it alone", entry.id);
            }
        }
        let waits = |key: Key| {
            matches!(self.tasks.get(&TaskSeq(key.seq)).map(|task| &task.stage), Some(Stage::Waiting(_)))
                || self.leases.values().any(|lease| !lease.is_granted && lease.key == key)
        };
        let is_kept = entry.memory_waiter.is_none_or(waits);
        hold!(is_kept, "memory of {} is kept for {:?}, which does not wait", entry.id, entry.memory_waiter);
        for passed in [&entry.passed, &entry.polite].into_iter().flatten() {
            hold!(waits(passed.key), "{:?} is passed over on {} and does not wait", passed.key, entry.id);
        }
        Ok(())
    }

    fn check_models(&self) -> Result<(), String> {
        for model in self.table.models.iter().filter(|model| !model.is_free) {
            for seq in &model.users {
                let is_used = self.running.contains(seq);
                hold!(is_used, "task {} uses {} and does not run", seq.0, model.at);
            }
        }
        Ok(())
    }
}
