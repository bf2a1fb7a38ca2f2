//! A sorted set of places in the order of work, which also tells how many stand before one.
//!
//! Chunks of at most [`CHUNK_MAX`] keys: the chunk is found by bisection, and what is moved inside it is a few cache lines.
//! Counting what stands before a key takes the chunks before it from a tree of sums, so that a queue of millions costs a few steps
//! more than one of thousands (Fenwick, Software: Practice and Experience 24(3), 1994). Every submission counts in all lanes of a GPU, most of
//! which are in no cache, so a search reads as few keys as it can: the ends of a chunk stand beside it, and the place between
//! them is guessed before it is looked for (interpolation search; Perl, Itai and Avni, Communications of the ACM 21(7), 1978).

use std::collections::VecDeque;

use super::line::Key;

/// Keys in one chunk; a full one is cut in two.
const CHUNK_MAX: usize = if cfg!(test) { 8 } else { 256 };
/// How far from a guess is looked first: keys in a cache line.
const NEAR: usize = 4;

/// A sorted set of keys.
#[derive(Clone, Debug, Default)]
pub(super) struct Queue {
    chunks: VecDeque<Chunk>,
    /// At `n`: how many keys are in the last chunks up to the one with number `n`, as many as the lowest set bit of `n + 1` says.
    sums: Vec<usize>,
    len: usize,
}

/// Some keys in a row, at least one.
#[derive(Clone, Debug)]
struct Chunk {
    first: Key,
    last: Key,
    keys: VecDeque<Key>,
}

impl Chunk {
    fn of(key: Key) -> Self {
        Self { first: key, last: key, keys: VecDeque::from([key]) }
    }

    /// Where `key` is, or else where it belongs.
    fn place(&self, key: Key) -> Result<usize, usize> {
        if key > self.last {
            return Err(self.keys.len());
        }
        if key <= self.first {
            return if key == self.first { Ok(0) } else { Err(0) };
        }
        // From here on: what stands at `low` is less, what stands at `high` is not.
        let (mut low, mut high) = self.around(self.guess(key), key);
        while high - low > 1 {
            let middle = low.midpoint(high);
            if self.keys[middle] < key { low = middle } else { high = middle }
        }
        if self.keys[high] == key { Ok(high) } else { Err(high) }
    }

    /// Where a key between the ends would be if tasks came at a steady pace.
    fn guess(&self, key: Key) -> usize {
        let end = self.keys.len() - 1;
        let (span, into) = (self.last.at.abs_diff(self.first.at), key.at.abs_diff(self.first.at));
        let guess = into.saturating_mul(end as u64) / span.max(1);
        usize::try_from(guess).unwrap_or(end).clamp(1, end)
    }

    /// Two places between which `key` belongs, found in growing steps away from `guess`.
    fn around(&self, guess: usize, key: Key) -> (usize, usize) {
        let (mut low, mut high, mut step) = (0, self.keys.len() - 1, NEAR);
        let mut at = guess;
        if self.keys[at] < key {
            while at < high && self.keys[at] < key {
                low = at;
                at += step;
                step *= 2;
            }
            (low, at.min(high))
        } else {
            while at > low && self.keys[at] >= key {
                high = at;
                at = at.saturating_sub(step);
                step *= 2;
            }
            (at, high)
        }
    }

    fn insert(&mut self, place: usize, key: Key) {
        self.keys.insert(place, key);
        (self.first, self.last) = (self.first.min(key), self.last.max(key));
    }

    /// Takes out what stands at `place`; true when nothing is left.
    fn remove(&mut self, place: usize) -> bool {
        self.keys.remove(place);
        self.note_ends()
    }

    /// Keeps `keep` keys; the others in a chunk of their own.
    fn split_off(&mut self, keep: usize) -> Self {
        let mut rest = Self { first: self.keys[keep], last: self.last, keys: self.keys.split_off(keep) };
        rest.note_ends();
        self.note_ends();
        rest
    }

    /// True when there are none.
    fn note_ends(&mut self) -> bool {
        let (Some(first), Some(last)) = (self.keys.front(), self.keys.back()) else { return true };
        (self.first, self.last) = (*first, *last);
        false
    }
}

impl Queue {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn first(&self) -> Option<Key> {
        Some(self.chunks.front()?.first)
    }

    /// The key after `key`.
    pub(super) fn after(&self, key: Key) -> Option<Key> {
        let at = self.chunk_of(key)?;
        let inside = self.chunks[at].place(key).map_or_else(|place| place, |place| place + 1);
        self.chunks[at].keys.get(inside).or_else(|| self.chunks.get(at + 1)?.keys.front()).copied()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Key> {
        self.chunks.iter().flat_map(|chunk| &chunk.keys).copied()
    }

    /// The chunk in which `key` is or belongs; none when there is no chunk.
    fn chunk_of(&self, key: Key) -> Option<usize> {
        // Most come in at the end.
        if self.chunks.back()?.first <= key {
            return Some(self.chunks.len() - 1);
        }
        Some(self.chunks.partition_point(|chunk| chunk.first <= key).saturating_sub(1))
    }

    /// Puts `key` in its place; false when it stood there already.
    pub(super) fn insert(&mut self, key: Key) -> bool {
        let Some(at) = self.chunk_of(key) else {
            self.chunks.push_back(Chunk::of(key));
            self.len = 1;
            self.add_up();
            return true;
        };
        let chunk = &mut self.chunks[at];
        let Err(place) = chunk.place(key) else { return false };
        self.len += 1;
        if chunk.keys.len() < CHUNK_MAX {
            chunk.insert(place, key);
            self.for_sums_with(at, |sum| *sum += 1);
            return true;
        }
        if place == CHUNK_MAX {
            // Keys mostly come at the end and leave at the front: a chunk at the end is left full.
            self.chunks.insert(at + 1, Chunk::of(key));
        } else {
            let mut rest = chunk.split_off(CHUNK_MAX / 2);
            match place.checked_sub(CHUNK_MAX / 2) {
                Some(place) => rest.insert(place, key),
                None => chunk.insert(place, key),
            }
            self.chunks.insert(at + 1, rest);
        }
        self.add_up();
        true
    }

    /// Takes `key` out; false when it was not there.
    pub(super) fn remove(&mut self, key: Key) -> bool {
        let Some(at) = self.chunk_of(key) else { return false };
        let chunk = &mut self.chunks[at];
        let Ok(place) = chunk.place(key) else { return false };
        self.len -= 1;
        if chunk.remove(place) {
            self.chunks.remove(at);
            self.add_up();
        } else {
            self.for_sums_with(at, |sum| *sum -= 1);
        }
        true
    }

    /// Makes all sums anew: there is a chunk more or less.
    fn add_up(&mut self) {
        self.sums.clear();
        self.sums.extend(self.chunks.iter().map(|chunk| chunk.keys.len()));
        for at in 0..self.sums.len() {
            let sum = self.sums[at];
            if let Some(next) = self.sums.get_mut(at | (at + 1)) {
                *next += sum;
            }
        }
    }

    /// Every sum that counts the chunk with the number `at`.
    fn for_sums_with(&mut self, mut at: usize, change: impl Fn(&mut usize)) {
        while let Some(sum) = self.sums.get_mut(at) {
            change(sum);
            at |= at + 1;
        }
    }

    /// How many keys the first chunks have, as many chunks as `count`.
    fn in_first(&self, mut count: usize) -> usize {
        let mut found = 0;
        while count > 0 {
            found += self.sums[count - 1];
            count &= count - 1;
        }
        found
    }

    pub(super) fn contains(&self, key: Key) -> bool {
        self.chunk_of(key).is_some_and(|at| self.chunks[at].place(key).is_ok())
    }

    /// How many keys are less than `key`.
    pub(super) fn before(&self, key: Key) -> usize {
        let Some(at) = self.chunk_of(key) else { return 0 };
        let inside = self.chunks[at].place(key).unwrap_or_else(|place| place);
        self.in_first(at) + inside
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn many_keys_in_a_row_fill_their_chunks() {
        let mut queue = Queue::default();
        (0..10_000).for_each(|n| assert!(queue.insert(Key { at: n, seq: 0 })));
        assert!(queue.chunks.len() <= 10_000 / CHUNK_MAX + 2, "{} chunks", queue.chunks.len());
        assert_eq!(queue.before(Key { at: 7_777, seq: 0 }), 7_777);
    }

    #[test]
    fn keys_that_came_in_no_steady_pace_are_found_too() {
        let ats = [i64::MIN, -9, 0, 0, 0, 1, 1 << 40, i64::MAX - 1, i64::MAX];
        let keys: Vec<Key> = ats.iter().zip(0..).map(|(at, seq)| Key { at: *at, seq }).collect();
        let mut queue = Queue::default();
        keys.iter().for_each(|key| assert!(queue.insert(*key)));
        for (nth, key) in keys.iter().enumerate() {
            assert_eq!(queue.before(*key), nth);
            assert_eq!(queue.before(Key { seq: key.seq + 100, ..*key }), keys.partition_point(|it| it.at <= key.at));
        }
    }

    proptest! {
        #[test]
        fn it_is_a_sorted_set(steps in prop::collection::vec((any::<bool>(), 0..400i64, 0..3u64), 0..600)) {
            let mut queue = Queue::default();
            let mut set = BTreeSet::new();
            for (add, at, seq) in steps {
                let key = Key { at, seq };
                if add {
                    prop_assert_eq!(queue.insert(key), set.insert(key));
                } else {
                    prop_assert_eq!(queue.remove(key), set.remove(&key));
                }
                prop_assert_eq!(queue.len(), set.len());
                prop_assert_eq!(queue.contains(key), add);
                let other = Key { seq: seq + 1, ..key };
                prop_assert_eq!(queue.contains(other), set.contains(&other));
                prop_assert_eq!(queue.first(), set.first().copied());
                prop_assert_eq!(queue.before(key), set.range(..key).count());
                let after = set.range((std::ops::Bound::Excluded(key), std::ops::Bound::Unbounded)).next();
                prop_assert_eq!(queue.after(key), after.copied());
            }
            prop_assert!(queue.iter().eq(set.iter().copied()));
        }
    }
}
