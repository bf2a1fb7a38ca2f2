//! Lanes: everything that waits for the same places and takes about as long, in one queue.
//!
//! What is told of the end of a task counts what goes before it, by how long it takes. Tasks that ask for different things
//! stand in different lines, but many lines differ in what does not matter here (priority, the length of an input): counting
//! in a lane is one search where there would be one a line. Which task goes next is the lines' alone.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::line::Key;
use super::queue::Queue;
use super::table::{GpuIx, RuntimeIx};

pub(super) type LaneIx = usize;

/// What tasks take turns on: a GPU, or a runtime that uses none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Place {
    Gpu(GpuIx),
    Runtime(RuntimeIx),
}

/// What all tasks of a lane have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Kind {
    /// Every place that any of them may use; ascending.
    pub places: Arc<[Place]>,
    /// Where durations of their work are kept, once there are any.
    pub window: Option<usize>,
}

/// One queue.
#[derive(Clone, Debug)]
pub(super) struct Lane {
    pub kind: Kind,
    pub waiting: Queue,
}

/// All lanes. There is none without a task.
#[derive(Clone, Debug, Default)]
pub(super) struct Lanes {
    rows: Vec<Lane>,
    by_kind: HashMap<Kind, LaneIx>,
    by_place: BTreeMap<Place, Vec<LaneIx>>,
    free: Vec<LaneIx>,
}

impl Lanes {
    /// The lane of a kind, for somebody who goes into it at once.
    pub(super) fn open(&mut self, kind: Kind) -> LaneIx {
        if let Some(lane) = self.by_kind.get(&kind) {
            return *lane;
        }
        let lane = Lane { kind: kind.clone(), waiting: Queue::default() };
        let ix = match self.free.pop() {
            Some(ix) => {
                self.rows[ix] = lane;
                ix
            }
            None => {
                self.rows.push(lane);
                self.rows.len() - 1
            }
        };
        for place in kind.places.iter() {
            self.by_place.entry(*place).or_default().push(ix);
        }
        self.by_kind.insert(kind, ix);
        ix
    }

    pub(super) fn insert(&mut self, lane: LaneIx, key: Key) {
        self.rows[lane].waiting.insert(key);
    }

    /// Takes a task out; the last one closes the lane.
    pub(super) fn remove(&mut self, lane: LaneIx, key: Key) {
        let row = &mut self.rows[lane];
        if !row.waiting.remove(key) || !row.waiting.is_empty() {
            return;
        }
        for place in row.kind.places.iter() {
            if let Some(lanes) = self.by_place.get_mut(place) {
                lanes.retain(|other| *other != lane);
            }
        }
        self.by_kind.remove(&row.kind);
        self.free.push(lane);
    }

    /// Forgets every lane. Who stood in one has to be put into a new one.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// The lanes of those who may use a place.
    pub(super) fn of(&self, place: Place) -> impl Iterator<Item = &Lane> {
        self.by_place.get(&place).into_iter().flatten().map(|lane| &self.rows[*lane])
    }

    /// Every lane, once.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Lane> {
        self.by_kind.values().map(|lane| &self.rows[*lane])
    }

    /// A lane in which somebody stands.
    pub(super) fn get(&self, lane: LaneIx) -> &Lane {
        &self.rows[lane]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(places: &[Place], window: Option<usize>) -> Kind {
        Kind { places: places.into(), window }
    }

    fn counts(lanes: &Lanes, place: Place) -> Vec<usize> {
        lanes.of(place).map(|lane| lane.waiting.len()).collect()
    }

    #[test]
    fn a_lane_is_found_from_each_of_its_places_until_its_last_task_leaves() {
        let [gpu, other, cpu] = [Place::Gpu(0), Place::Gpu(1), Place::Runtime(0)];
        let mut lanes = Lanes::default();
        let both = lanes.open(kind(&[gpu, cpu], Some(3)));
        lanes.insert(both, Key { at: 5, seq: 1 });
        lanes.insert(both, Key { at: 4, seq: 2 });
        let unknown = lanes.open(kind(&[gpu], None));
        lanes.insert(unknown, Key { at: 6, seq: 3 });
        assert_eq!(lanes.open(kind(&[gpu, cpu], Some(3))), both, "one kind has one lane");
        assert_eq!((counts(&lanes, gpu), counts(&lanes, cpu), counts(&lanes, other)), (vec![2, 1], vec![2], vec![]));

        lanes.remove(both, Key { at: 5, seq: 1 });
        assert_eq!(counts(&lanes, cpu), [1]);
        lanes.remove(both, Key { at: 4, seq: 2 });
        assert_eq!((counts(&lanes, gpu), counts(&lanes, cpu)), (vec![1], vec![]));
        assert_eq!(lanes.iter().count(), 1);
        assert_eq!(lanes.open(kind(&[other], None)), both, "the row is used again");
    }
}
