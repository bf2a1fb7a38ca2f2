//! The queue itself: a pure value. Time is handed in, nothing is started or awaited here.
//!
//! # Flow of a key
//!
//! ```text
//!                 trigger, new generation                a slot is free
//!   (unknown) ─────────────────────────────▶ Pending ─────────────────────▶ Running
//!                                             ▲   ▲                            │ outcome
//!                 timer                       │   │ edge, timer, trigger       │
//!   Scheduled ────────────────────────────────┘   └──────────────── Waiting ◀──┤ Wait, Retry(Dependency)
//!       ▲                                                                      │
//!       └──────────────────────────────────────────────────────────────────────┤ Done with resync, Retry(Own)
//!   Idle ◀─────────────────────────────────────────────────────────────────────┤ Done
//!   Stalled ◀──────────────────────────────────────────────────────────────────┘ Stalled
//! ```
//!
//! 1. [`Queue::place`] is the only way a key moves: it takes the key out of the index of its old stance and puts it into
//!    that of the new one. That is why a key can never be in two places.
//! 2. What happens while a key runs is noted in its [`Meanwhile`] and weighed against the outcome when the run ends.
//! 3. [`Queue::advance`] turns timers that fired into pending keys; [`Queue::start`] hands out the next run.
//!
//! Triggers respect a backoff that is in force, unless a person asks: else a failing object whose failures make events
//! would run in circles. They are not lost: the run at the end of the backoff carries their reasons.
//!
//! Every operation on one key costs O(log n).

mod check;
mod edges;
mod ending;
mod entry;
#[cfg(test)]
mod model;
mod slots;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod twins;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::backoff::Dependencies;
use super::moment::Moment;
use super::reason::{Lane, Reason, Run};
use super::{Edge, Key};
use crate::core::rng::Rng;
use edges::Edges;
use entry::{Entry, Meanwhile, Record, Stance};
use slots::Slots;

/// How much may run at once, and what counts as slow.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) fast_slots: usize,
    pub(super) slow_slots: usize,
    pub(super) slow_after: Duration,
}

#[derive(Debug)]
pub(super) struct Queue<K, E> {
    entries: BTreeMap<K, Entry<E>>,
    /// The timers of scheduled and waiting keys.
    timers: BTreeSet<(Moment, K)>,
    /// The places of pending and running keys.
    slots: Slots<K>,
    /// What waiting keys wait for.
    edges: Edges<K, E>,
    /// How many keys are idle or stalled.
    at_rest: usize,
    dependencies: Dependencies<E>,
    rng: Rng,
}

impl<K: Key, E: Edge> Queue<K, E> {
    pub(super) fn new(limits: Limits, seed: u64) -> Self {
        Self {
            entries: BTreeMap::new(),
            timers: BTreeSet::new(),
            slots: Slots::new(limits.fast_slots, limits.slow_slots, limits.slow_after),
            edges: Edges::new(),
            at_rest: 0,
            dependencies: Dependencies::default(),
            rng: Rng::new(seed),
        }
    }

    // ── What happens to keys from outside ───────────────────────────────────────────────────────────────────────────

    /// Says which generation `key` has. A new one wipes the record of the old one and runs at once, in a person's lane.
    /// False when it is the known one: then nothing happens.
    pub(super) fn changed(&mut self, key: &K, generation: u64, now: Moment) -> bool {
        let entry = self.entry(key);
        if entry.generation == Some(generation) {
            return false;
        }
        entry.generation = Some(generation);
        entry.record = Record::default();
        entry.reasons.push(Reason::Changed { generation });
        if let Stance::Running { meanwhile, .. } = &mut entry.stance {
            *meanwhile = Meanwhile::Reborn { lane: Lane::Person, at: now };
        } else {
            self.line_up(key, Lane::Person, now);
        }
        debug_assert!(self.adds_up());
        true
    }

    /// Asks for a look at `key`, which need not be known. A stalled key stays stalled.
    pub(super) fn trigger(&mut self, key: &K, reason: Reason<E>, lane: Lane, now: Moment) {
        let entry = self.entry(key);
        if entry.stance == Stance::Stalled {
            return;
        }
        entry.reasons.push(reason);
        if let Stance::Running { meanwhile, .. } = &mut entry.stance {
            *meanwhile = meanwhile.and_asked(lane, now);
        } else {
            self.ask(key, lane, now, now);
        }
        debug_assert!(self.adds_up());
    }

    /// Asks for a look at every known key.
    pub(super) fn trigger_all(&mut self, reason: &Reason<E>, lane: Lane, now: Moment) {
        let known: Vec<K> =
            self.entries.iter().filter(|(_, entry)| !entry.is_forgotten()).map(|(key, _)| key.clone()).collect();
        for key in known {
            self.trigger(&key, reason.clone(), lane, now);
        }
    }

    /// Says that `edge` happened: everyone who waits for it runs, and a dependency of that name is well again.
    pub(super) fn wake(&mut self, edge: &E, now: Moment) {
        self.dependencies.recovered(edge);
        for key in self.edges.fire(edge) {
            let entry = self.entry(&key);
            let Stance::Waiting { lane, .. } = entry.stance else { continue };
            if entry.record.failing_on.as_ref() == Some(edge) {
                entry.record.absolve();
            }
            entry.reasons.push(Reason::Woken { by: edge.clone() });
            self.line_up(&key, lane.min(Lane::Drift), now);
        }
        debug_assert!(self.adds_up());
    }

    /// Drops all that is known of `key`. One that runs is dropped when its run ends, unless it is named again before.
    pub(super) fn forget(&mut self, key: &K) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        if let Stance::Running { meanwhile, .. } = &mut entry.stance {
            *meanwhile = Meanwhile::Forgotten;
            entry.generation = None;
            entry.reasons = Default::default();
            entry.record = Record::default();
        } else {
            self.remove(key);
        }
        debug_assert!(self.adds_up());
    }

    // ── Time, and what it starts ────────────────────────────────────────────────────────────────────────────────────

    /// Lets timers fire up to `now`, and moves runs that became slow to the slow track.
    pub(super) fn advance(&mut self, now: Moment) {
        while let Some((due, key)) = self.timers.first().filter(|(due, _)| *due <= now).cloned() {
            let entry = self.entry(&key);
            let (Stance::Scheduled { lane, why_then, .. } | Stance::Waiting { lane, why_then, .. }) = &entry.stance
            else {
                unreachable!("only scheduled and waiting keys have timers");
            };
            let lane = *lane;
            entry.reasons.push(why_then.clone());
            self.line_up(&key, lane, due);
        }
        while let Some(key) = self.slots.overstayer(now).cloned() {
            let mut stance = self.entry(&key).stance.clone();
            if let Stance::Running { track, .. } = &mut stance {
                *track = slots::Track::Slow;
            }
            self.place(&key, stance);
        }
        debug_assert!(self.adds_up());
    }

    /// Starts the next run, if something is pending and a slot is free. Call [`Self::advance`] before.
    pub(super) fn start(&mut self, now: Moment) -> Option<Run<K, E>> {
        let key = self.slots.next()?.clone();
        let mark = self.edges.run_started();
        let entry = self.entry(&key);
        let Stance::Pending { lane, track, .. } = entry.stance else { unreachable!("only pending keys are in line") };
        let run = Run {
            key: key.clone(),
            generation: entry.generation,
            lane,
            reasons: std::mem::take(&mut entry.reasons),
            failures: entry.record.failures,
        };
        self.place(&key, Stance::Running { since: now, lane, track, mark, meanwhile: Meanwhile::Nothing });
        debug_assert!(self.adds_up());
        Some(run)
    }

    /// When [`Self::advance`] has something to do next, unless something happens before.
    pub(super) fn next_due(&self) -> Option<Moment> {
        let timer = self.timers.first().map(|(due, _)| *due);
        [timer, self.slots.next_overstay()].into_iter().flatten().min()
    }

    // ── The parts of it all ─────────────────────────────────────────────────────────────────────────────────────────

    /// The entry of `key`, made when there is none.
    fn entry(&mut self, key: &K) -> &mut Entry<E> {
        if !self.entries.contains_key(key) {
            self.at_rest += 1;
        }
        self.entries.entry(key.clone()).or_insert_with(Entry::new)
    }

    /// A trigger for a key that does not run: at once, or when the backoff in force ends, which its timer knows.
    fn ask(&mut self, key: &K, asked_lane: Lane, asked_at: Moment, now: Moment) {
        let entry = self.entry(key);
        let held_back = entry.backs_off(now) && asked_lane != Lane::Person;
        if let Stance::Scheduled { lane, .. } | Stance::Waiting { lane, .. } = &mut entry.stance
            && held_back
        {
            *lane = asked_lane.min(*lane);
        } else {
            self.line_up(key, asked_lane, asked_at);
        }
    }

    /// Makes a key that does not run pending. One that already is keeps the earlier due time and the better lane.
    fn line_up(&mut self, key: &K, asked_lane: Lane, asked_due: Moment) {
        let entry = self.entry(key);
        let track = entry.track();
        let (lane, due) = if let Stance::Pending { lane, due, .. } = entry.stance {
            (lane.min(asked_lane), due.min(asked_due))
        } else {
            (asked_lane, asked_due)
        };
        self.place(key, Stance::Pending { due, lane, track });
    }

    /// Moves `key` to `stance`: out of the index of the old one, into that of the new one.
    fn place(&mut self, key: &K, stance: Stance<E>) {
        let old = std::mem::replace(&mut self.entry(key).stance, stance.clone());
        self.unindex(key, old);
        match &stance {
            Stance::Scheduled { due, .. } => drop(self.timers.insert((*due, key.clone()))),
            Stance::Waiting { on, deadline, .. } => {
                self.timers.insert((*deadline, key.clone()));
                self.edges.add_waiter(on, key);
            }
            Stance::Pending { due, lane, track } => self.slots.line_up(*track, *lane, *due, key),
            Stance::Running { since, track, .. } => self.slots.occupy(*track, *since, key),
            Stance::Idle | Stance::Stalled => self.at_rest += 1,
        }
    }

    fn unindex(&mut self, key: &K, stance: Stance<E>) {
        match stance {
            Stance::Scheduled { due, .. } => drop(self.timers.remove(&(due, key.clone()))),
            Stance::Waiting { on, deadline, .. } => {
                self.timers.remove(&(deadline, key.clone()));
                self.edges.remove_waiter(&on, key);
            }
            Stance::Pending { due, lane, track } => self.slots.step_out(track, lane, due, key),
            Stance::Running { since, track, .. } => self.slots.vacate(track, since, key),
            Stance::Idle | Stance::Stalled => self.at_rest -= 1,
        }
    }

    fn remove(&mut self, key: &K) {
        if let Some(entry) = self.entries.remove(key) {
            self.unindex(key, entry.stance);
        }
    }
}
