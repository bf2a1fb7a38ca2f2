//! Lines that rest: their heads wait for the one GPU that they can share, and it is full or closed. Most lines are in that
//! state most of the time, so an end of a task must not look at all of them: only when a slot is free the first in order is
//! looked at, and then the next.

use std::collections::BTreeSet;

use super::dispatch::Candidate;
use super::line::{Key, LineIx};
use super::reason::Reason;
use super::state::State;
use super::table::{GpuIx, Phase};

impl State {
    /// Lets a line rest when its head was told that its GPU is full or closed, and nothing else can change what it was told.
    pub(super) fn let_rest(&mut self, line: LineIx) {
        let entry = &self.lines[line];
        let (Some(gpu), Some(key)) = (entry.plan.shares_only, entry.head()) else { return };
        let place = &self.table.gpus[gpu];
        let is_closed = !place.has_slot()
            && match entry.told() {
                Some(Reason::SharedSlotsFull { place: full, .. }) => **full == *place.place,
                Some(Reason::Draining { .. } | Reason::ExclusiveHeld { .. } | Reason::Leased { .. }) => true,
                _ => false,
            };
        if is_closed && entry.rests.is_none() {
            self.table.gpus[gpu].awake.remove(&line);
            self.table.gpus[gpu].resting.insert((key, line));
            self.lines[line].rests = Some(key);
        }
    }

    /// A line is looked at again.
    pub(super) fn wake(&mut self, line: LineIx) {
        let entry = &mut self.lines[line];
        if let (Some(gpu), Some(key)) = (entry.plan.shares_only, entry.rests.take()) {
            self.table.gpus[gpu].resting.remove(&(key, line));
            self.table.gpus[gpu].awake.insert(line);
        }
    }

    /// The lock of a GPU changed: everybody who rests there is told anew.
    pub(super) fn wake_all(&mut self, gpu: GpuIx) {
        let resting = std::mem::take(&mut self.table.gpus[gpu].resting);
        for (_, line) in resting {
            self.lines[line].rests = None;
            self.table.gpus[gpu].awake.insert(line);
            self.dirty.insert(line);
        }
    }

    /// What may be done on a runtime changed for everybody who could use it.
    pub(super) fn wake_lines_of(&mut self, runtime: usize) {
        let lines: Vec<LineIx> = self.table.runtimes[runtime].lines.iter().copied().collect();
        for line in lines {
            self.wake(line);
            self.dirty.insert(line);
        }
    }

    /// On GPUs that have a slot now, the first of those who rest is a candidate.
    pub(super) fn wake_for_slots(&mut self, heads: &mut BTreeSet<(Key, Candidate)>) {
        let walks: Vec<GpuIx> = self.walks.iter().copied().collect();
        for gpu in walks {
            let first = self.table.gpus[gpu].resting.first().copied();
            match first.filter(|_| self.table.gpus[gpu].has_slot()) {
                Some((key, line)) => {
                    self.wake(line);
                    heads.insert((key, Candidate::Line(line)));
                }
                None => drop(self.walks.remove(&gpu)),
            }
        }
    }

    /// Whether the head of a line that uses no GPU was told that its runtime is full, and that is still all there is to say.
    pub(super) fn waits_as_before(&self, line: LineIx) -> bool {
        let line = &self.lines[line];
        let [choice] = line.plan.choices.as_slice() else { return false };
        let runtime = &self.table.runtimes[choice.runtime];
        let is_loaded = choice.model.is_none_or(|model| self.table.models[model].phase == Phase::Loaded);
        line.plan.gpus.is_empty()
            && is_loaded
            && matches!(line.told(), Some(Reason::SharedSlotsFull { .. }))
            && runtime.config.as_ref().is_some_and(|config| runtime.running.len() >= config.slots as usize)
            && self.is_up(choice.runtime)
    }
}
