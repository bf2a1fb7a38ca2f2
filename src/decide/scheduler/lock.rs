//! The lock of a GPU, once it is decided who has it: taken, given back, opened; and what made way comes back. Who may take
//! it, and when, is [`super::exclusive`]'s.

use super::config::Pin;
use super::decision::{Decision, Holder, LockMode};
use super::id::{Moment, TaskSeq};
use super::memory::Room;
use super::state::State;
use super::table::{GpuIx, Lock, ModelIx, Phase, Turn};

impl State {
    /// The lock is the holder's.
    pub(super) fn own(&mut self, gpu: GpuIx, by: Holder, now: Moment, out: &mut Vec<Decision>) {
        self.table.gpus[gpu].in_a_row = self.table.gpus[gpu].in_a_row.saturating_add(1);
        self.set_lock(gpu, Lock::Exclusive { by }, now, out);
    }

    pub(super) fn is_drained_by(&self, gpu: GpuIx, holder: &Holder) -> bool {
        matches!(&self.table.gpus[gpu].lock, Lock::Draining { by, .. } if by == holder)
    }

    /// Opens admission again when `holder` drains the GPU and will not have it after all.
    pub(super) fn undrain(&mut self, gpu: GpuIx, holder: &Holder, now: Moment, out: &mut Vec<Decision>) {
        if self.is_drained_by(gpu, holder) {
            self.open(gpu, now, out);
        }
    }

    /// The exclusive holder is gone: older shared tasks get their turn, what made way comes back.
    pub(super) fn give_back(&mut self, gpu: GpuIx, by: &Holder, now: Moment, out: &mut Vec<Decision>) {
        let before = match by {
            Holder::Task(seq) => self.tasks.get(seq).map(|task| (task.submitted_ms, *seq)),
            Holder::Lease(id) => {
                let asked = self.leases.get(id).map(|lease| i64::try_from(lease.asked_ms).unwrap_or(i64::MAX));
                asked.map(|asked_ms| (asked_ms, TaskSeq(u64::MAX)))
            }
        };
        let left = self.table.gpus[gpu].policy.gpu_shared_slots;
        self.table.gpus[gpu].turn = before.map(|before| Turn { before, left });
        self.open(gpu, now, out);
    }

    fn open(&mut self, gpu: GpuIx, now: Moment, out: &mut Vec<Decision>) {
        self.set_lock(gpu, Lock::Shared, now, out);
        if self.table.gpus[gpu].displaced.is_empty() {
            self.table.gpus[gpu].in_a_row = 0;
        }
    }

    pub(super) fn set_lock(&mut self, gpu: GpuIx, lock: Lock, now: Moment, out: &mut Vec<Decision>) {
        let mode = match &lock {
            Lock::Shared => LockMode::Shared,
            Lock::Draining { by, .. } => LockMode::Draining(by.clone()),
            Lock::Exclusive { by } => LockMode::Exclusive(by.clone()),
        };
        let entry = &mut self.table.gpus[gpu];
        entry.lock = lock;
        entry.lock_since = now;
        out.push(Decision::Lock { gpu: entry.id.clone(), mode });
        self.wake_all(gpu);
        self.gpu_dirty(gpu);
    }

    /// Loads what made way, the copilot first. What no longer fits or is no longer wanted is let go. Whoever was held back for
    /// it, and is no longer, is looked at once more.
    pub(super) fn restore(&mut self, gpu: GpuIx, out: &mut Vec<Decision>) {
        let held_back = std::mem::take(&mut self.table.gpus[gpu].in_the_way);
        self.bring_back(gpu, out);
        if !held_back.is_subset(&self.table.gpus[gpu].in_the_way) {
            self.dirty.extend(self.table.gpus[gpu].awake.iter().copied());
            self.walks.insert(gpu);
        }
    }

    fn bring_back(&mut self, gpu: GpuIx, out: &mut Vec<Decision>) {
        if self.is_broken(super::broken::Rule::DisplacedForgotten) {
            self.table.gpus[gpu].displaced.clear();
        }
        if self.table.gpus[gpu].lock != Lock::Shared || self.unseen_on(gpu).is_some() {
            return;
        }
        let mut displaced: Vec<ModelIx> = self.table.gpus[gpu].displaced.iter().copied().collect();
        displaced.sort_by_key(|ix| (self.table.models[*ix].pin != Some(Pin::Copilot), *ix));
        for ix in displaced {
            let model = &self.table.models[ix];
            if !model.is_pinned() || model.phase == Phase::Loaded {
                self.back(gpu, ix);
                continue;
            }
            if !matches!(model.phase, Phase::Unloaded | Phase::Unknown) {
                continue;
            }
            match self.room(gpu, model.cost_gb().unwrap_or(0.0), false) {
                Room::Enough => self.load(ix, "comes back: it made way for an exclusive holder".to_owned(), out),
                Room::Evict(victims) => {
                    for victim in victims {
                        let because = format!("makes room for {}, which comes back", self.table.models[ix].at);
                        self.unload(victim, because, out);
                    }
                    return;
                }
                Room::Busy(victims) => {
                    self.table.gpus[gpu].in_the_way = victims;
                    return;
                }
                // Something foreign took the room: the loadout says what is missing, and why.
                Room::Full => self.back(gpu, ix),
            }
        }
    }

    /// A model is no longer displaced.
    pub(super) fn back(&mut self, gpu: GpuIx, ix: ModelIx) {
        let entry = &mut self.table.gpus[gpu];
        if entry.displaced.remove(&ix) {
            if entry.displaced.is_empty() {
                entry.in_a_row = 0;
                entry.in_the_way.clear();
            }
            self.gpu_dirty(gpu);
        }
    }
}
