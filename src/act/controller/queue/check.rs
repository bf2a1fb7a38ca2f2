//! The queue's invariants, checked at run time: after every step in debug builds (sums only), and in full by every
//! test step and whenever a snapshot is taken.

use super::super::{Edge, Key};
use super::Queue;
use super::entry::Stance;
use super::slots::Track;

impl<K: Key, E: Edge> Queue<K, E> {
    /// The cheap check: the places add up to the keys, so none is in two and none is lost.
    pub(super) fn adds_up(&self) -> bool {
        let placed = self.timers.len() + self.slots.pending() + self.slots.running() + self.at_rest;
        placed == self.entries.len() && self.slots.running() == self.edges.runs()
    }

    /// The full check: every key is in the one index that belongs to its stance, and no index holds anything else.
    /// Costs O(n log n).
    ///
    /// # Errors
    /// A sentence about the first thing that is not as it should be: a defect of the queue itself.
    pub(in super::super) fn check(&self) -> Result<(), String> {
        let (mut at_rest, mut waiting_pairs) = (0, 0);
        for (key, entry) in &self.entries {
            let stance = &entry.stance;
            at_rest += usize::from(stance.is_at_rest());
            if let Stance::Waiting { on, .. } = stance {
                waiting_pairs += on.len();
            }
            if !self.is_indexed(key, stance) {
                return Err(format!("{key:?} stands as {stance:?} but is not in that place"));
            }
        }
        if at_rest != self.at_rest || !self.adds_up() {
            return Err(format!("{} keys do not add up to their places ({at_rest} at rest)", self.entries.len()));
        }
        if waiting_pairs != self.edges.pairs() {
            return Err(format!("{waiting_pairs} waits are declared, {} are known", self.edges.pairs()));
        }
        if self.slots.running() == 0 && self.edges.remembered() > 0 {
            return Err(format!("{} edges are remembered for nobody", self.edges.remembered()));
        }
        for track in [Track::Fast, Track::Slow] {
            let (used, slots) = self.slots.use_of(track);
            if used > slots {
                return Err(format!("{used} runs in {slots} slots of the {track:?} track"));
            }
        }
        Ok(())
    }

    fn is_indexed(&self, key: &K, stance: &Stance<E>) -> bool {
        match stance {
            Stance::Scheduled { due, .. } => self.timers.contains(&(*due, key.clone())),
            Stance::Waiting { on, deadline, .. } => {
                self.timers.contains(&(*deadline, key.clone())) && self.edges.waits(on, key)
            }
            Stance::Pending { due, lane, track } => self.slots.is_in_line(*track, *lane, *due, key),
            Stance::Running { since, track, .. } => self.slots.occupies(*track, *since, key),
            Stance::Idle | Stance::Stalled => true,
        }
    }
}
