//! Who runs, and who is next: two tracks with slots of their own, each in the order of lane, due time, key.
//!
//! Objects without trouble use the fast track. Those whose last run failed or was slow use the slow track, and a run
//! that turns out to be slow moves there while it runs, when there is room. So a thousand broken objects compete with
//! each other, and a healthy one finds a slot.

use std::collections::BTreeSet;
use std::time::Duration;

use super::super::Key;
use super::super::moment::Moment;
use super::super::reason::Lane;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Track {
    Fast,
    Slow,
}

#[derive(Debug)]
pub(super) struct Slots<K> {
    fast: Lot<K>,
    slow: Lot<K>,
    slow_after: Duration,
}

/// The slots of one track, and the line before them.
#[derive(Debug)]
struct Lot<K> {
    slots: usize,
    line: BTreeSet<(Lane, Moment, K)>,
    running: BTreeSet<(Moment, K)>,
}

impl<K: Key> Slots<K> {
    /// At least one slot a track, so that nothing waits for ever.
    pub(super) fn new(fast: usize, slow: usize, slow_after: Duration) -> Self {
        Self { fast: Lot::new(fast.max(1)), slow: Lot::new(slow.max(1)), slow_after }
    }

    pub(super) fn line_up(&mut self, track: Track, lane: Lane, due: Moment, key: &K) {
        self.lot_mut(track).line.insert((lane, due, key.clone()));
    }

    pub(super) fn step_out(&mut self, track: Track, lane: Lane, due: Moment, key: &K) {
        self.lot_mut(track).line.remove(&(lane, due, key.clone()));
    }

    pub(super) fn occupy(&mut self, track: Track, since: Moment, key: &K) {
        self.lot_mut(track).running.insert((since, key.clone()));
    }

    pub(super) fn vacate(&mut self, track: Track, since: Moment, key: &K) {
        self.lot_mut(track).running.remove(&(since, key.clone()));
    }

    /// The key to start next; none when the lines are empty or the slots full.
    pub(super) fn next(&self) -> Option<&K> {
        [&self.fast, &self.slow].into_iter().find_map(|lot| {
            let (_, _, key) = lot.line.first().filter(|_| lot.has_room())?;
            Some(key)
        })
    }

    /// A run on the fast track that has become slow by `now`, and for which the slow track has room.
    pub(super) fn overstayer(&self, now: Moment) -> Option<&K> {
        let (since, key) = self.fast.running.first()?;
        (self.slow.has_room() && now.since(*since) >= self.slow_after).then_some(key)
    }

    /// When there may be an overstayer, unless something changes before.
    pub(super) fn next_overstay(&self) -> Option<Moment> {
        let (since, _) = self.fast.running.first()?;
        self.slow.has_room().then(|| since.after(self.slow_after))
    }

    pub(super) fn is_slow(&self, since: Moment, now: Moment) -> bool {
        now.since(since) >= self.slow_after
    }

    /// How many wait for a slot.
    pub(super) fn pending(&self) -> usize {
        self.fast.line.len() + self.slow.line.len()
    }

    pub(super) fn running(&self) -> usize {
        self.fast.running.len() + self.slow.running.len()
    }

    /// How many run on `track`, of how many that may.
    pub(super) fn use_of(&self, track: Track) -> (usize, usize) {
        let lot = self.lot(track);
        (lot.running.len(), lot.slots)
    }

    pub(super) fn is_in_line(&self, track: Track, lane: Lane, due: Moment, key: &K) -> bool {
        self.lot(track).line.contains(&(lane, due, key.clone()))
    }

    pub(super) fn occupies(&self, track: Track, since: Moment, key: &K) -> bool {
        self.lot(track).running.contains(&(since, key.clone()))
    }

    fn lot(&self, track: Track) -> &Lot<K> {
        match track {
            Track::Fast => &self.fast,
            Track::Slow => &self.slow,
        }
    }

    fn lot_mut(&mut self, track: Track) -> &mut Lot<K> {
        match track {
            Track::Fast => &mut self.fast,
            Track::Slow => &mut self.slow,
        }
    }
}

impl<K: Key> Lot<K> {
    fn new(slots: usize) -> Self {
        Self { slots, line: BTreeSet::new(), running: BTreeSet::new() }
    }

    fn has_room(&self) -> bool {
        self.running.len() < self.slots
    }
}
