//! Who waits for which edge, and which edges fired lately: so that a wake-up is never lost.
//!
//! A run that decides to wait does so on what it saw; an edge may fire between its look and its end. Each run therefore
//! takes a [`Mark`] when it starts, and every edge that fires while anything runs is remembered until no run that
//! started before it is left.

use std::collections::{BTreeMap, BTreeSet};

use super::super::{Edge, Key};

/// How many fired edges are remembered. When more fire during one run, that run's wait ends at once to be safe: a look
/// too many instead of a wake-up too few.
pub(super) const FIRED_MAX: usize = 4_096;

/// How many edges had fired when a run started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Mark(u64);

#[derive(Debug)]
pub(super) struct Edges<K, E> {
    waiters: BTreeMap<E, BTreeSet<K>>,
    /// How many edges fired so far.
    count: u64,
    /// The newest firing of each remembered edge, and the same the other way round.
    fired: BTreeMap<E, u64>,
    fired_in_order: BTreeMap<u64, E>,
    /// Firings up to this one may have been dropped to keep memory bounded.
    dropped: u64,
    /// How many runs hold each mark.
    marks: BTreeMap<Mark, usize>,
}

impl<K: Key, E: Edge> Edges<K, E> {
    pub(super) fn new() -> Self {
        Self {
            waiters: BTreeMap::new(),
            count: 0,
            fired: BTreeMap::new(),
            fired_in_order: BTreeMap::new(),
            dropped: 0,
            marks: BTreeMap::new(),
        }
    }

    pub(super) fn add_waiter(&mut self, on: &BTreeSet<E>, key: &K) {
        for edge in on {
            self.waiters.entry(edge.clone()).or_default().insert(key.clone());
        }
    }

    pub(super) fn remove_waiter(&mut self, on: &BTreeSet<E>, key: &K) {
        for edge in on {
            if let Some(keys) = self.waiters.get_mut(edge) {
                keys.remove(key);
                if keys.is_empty() {
                    self.waiters.remove(edge);
                }
            }
        }
    }

    /// Notes that `edge` happened, and says who waits for it.
    pub(super) fn fire(&mut self, edge: &E) -> BTreeSet<K> {
        if !self.marks.is_empty() {
            self.remember(edge);
        }
        self.waiters.get(edge).cloned().unwrap_or_default()
    }

    fn remember(&mut self, edge: &E) {
        self.count += 1;
        if let Some(earlier) = self.fired.insert(edge.clone(), self.count) {
            self.fired_in_order.remove(&earlier);
        }
        self.fired_in_order.insert(self.count, edge.clone());
        if self.fired_in_order.len() > FIRED_MAX
            && let Some((oldest, edge)) = self.fired_in_order.pop_first()
        {
            self.fired.remove(&edge);
            self.dropped = oldest;
        }
    }

    pub(super) fn run_started(&mut self) -> Mark {
        let mark = Mark(self.count);
        *self.marks.entry(mark).or_default() += 1;
        mark
    }

    /// Ends the run that took `mark`. Ask [`Self::fired_since`] before.
    pub(super) fn run_ended(&mut self, mark: Mark) {
        if let Some(runs) = self.marks.get_mut(&mark) {
            *runs -= 1;
            if *runs == 0 {
                self.marks.remove(&mark);
            }
        }
        let needed_after = self.marks.keys().next().map_or(self.count, |oldest| oldest.0);
        while let Some(entry) = self.fired_in_order.first_entry()
            && *entry.key() <= needed_after
        {
            self.fired.remove(entry.get());
            entry.remove();
        }
    }

    /// One of `on` that fired after `mark` was taken, or may have.
    pub(super) fn fired_since<'a>(&self, mark: Mark, on: impl IntoIterator<Item = &'a E>) -> Option<&'a E> {
        let unsure = mark.0 < self.dropped;
        on.into_iter().find(|edge| unsure || self.fired.get(*edge).is_some_and(|at| *at > mark.0))
    }

    pub(super) fn waits(&self, on: &BTreeSet<E>, key: &K) -> bool {
        on.iter().all(|edge| self.waiters.get(edge).is_some_and(|keys| keys.contains(key)))
    }

    /// How many pairs of edge and waiting key there are.
    pub(super) fn pairs(&self) -> usize {
        self.waiters.values().map(BTreeSet::len).sum()
    }

    pub(super) fn remembered(&self) -> usize {
        debug_assert_eq!(self.fired.len(), self.fired_in_order.len());
        self.fired.len()
    }

    pub(super) fn runs(&self) -> usize {
        self.marks.values().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edges() -> Edges<u32, u64> {
        Edges::new()
    }

    #[test]
    fn an_edge_is_remembered_only_for_runs_that_were_under_way() {
        let mut edges = edges();
        edges.fire(&1);
        let early = edges.run_started();
        edges.fire(&2);
        let late = edges.run_started();
        assert_eq!(edges.fired_since(early, &[1, 2]), Some(&2));
        assert_eq!(edges.fired_since(late, &[1, 2]), None);
        edges.run_ended(early);
        assert_eq!(edges.remembered(), 0, "the run that is left started after both");
        edges.run_ended(late);
        assert_eq!(edges.runs(), 0);
    }

    #[test]
    fn more_edges_than_can_be_remembered_wake_rather_than_get_lost() {
        let mut edges = edges();
        let run = edges.run_started();
        for edge in 0..FIRED_MAX as u64 + 1 {
            edges.fire(&edge);
        }
        assert_eq!(edges.remembered(), FIRED_MAX);
        assert_eq!(edges.fired_since(run, &[0]), Some(&0), "dropped, and yet not lost");
        let later = edges.run_started();
        assert_eq!(edges.fired_since(later, &[0]), None);
        edges.run_ended(run);
        edges.run_ended(later);
        assert_eq!(edges.remembered(), 0);
    }
}
