//! A sorted set of places in the order of work, which also tells how many stand before one.
//!
//! Chunks of at most [`CHUNK_MAX`] keys: the chunk is found by bisection, and what is moved inside it is a few cache lines.
//! Counting what stands before a key adds up the chunks before it.

use std::collections::VecDeque;

use super::line::Key;

/// Keys in one chunk; a full one is cut in two.
const CHUNK_MAX: usize = if cfg!(test) { 8 } else { 512 };

/// A sorted set of keys.
#[derive(Clone, Debug, Default)]
pub(super) struct Queue {
    /// None of them is empty.
    chunks: VecDeque<VecDeque<Key>>,
    len: usize,
}

impl Queue {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn first(&self) -> Option<Key> {
        self.chunks.front()?.front().copied()
    }

    /// The key after `key`.
    pub(super) fn after(&self, key: Key) -> Option<Key> {
        if self.chunks.is_empty() {
            return None;
        }
        let at = self.chunk_of(key);
        let inside = self.chunks[at].partition_point(|other| *other <= key);
        self.chunks[at].get(inside).or_else(|| self.chunks.get(at + 1)?.front()).copied()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Key> {
        self.chunks.iter().flatten().copied()
    }

    /// The chunk in which `key` is or belongs.
    fn chunk_of(&self, key: Key) -> usize {
        // Most come in at the end.
        if self.chunks.back().is_some_and(|last| last[0] <= key) {
            return self.chunks.len() - 1;
        }
        self.chunks.partition_point(|chunk| chunk[0] <= key).saturating_sub(1)
    }

    /// Puts `key` in its place; false when it stood there already.
    pub(super) fn insert(&mut self, key: Key) -> bool {
        if self.chunks.is_empty() {
            self.chunks.push_back(VecDeque::from([key]));
            self.len = 1;
            return true;
        }
        let at = self.chunk_of(key);
        let chunk = &mut self.chunks[at];
        let Err(place) = chunk.binary_search(&key) else { return false };
        chunk.insert(place, key);
        self.len += 1;
        if chunk.len() > CHUNK_MAX {
            // Keys mostly come at the end and leave at the front: a chunk at the end is left nearly full.
            let keep = if place == CHUNK_MAX { CHUNK_MAX } else { CHUNK_MAX / 2 };
            let rest = chunk.split_off(keep);
            self.chunks.insert(at + 1, rest);
        }
        true
    }

    /// Takes `key` out; false when it was not there.
    pub(super) fn remove(&mut self, key: Key) -> bool {
        if self.chunks.is_empty() {
            return false;
        }
        let at = self.chunk_of(key);
        let chunk = &mut self.chunks[at];
        let Ok(place) = chunk.binary_search(&key) else { return false };
        chunk.remove(place);
        self.len -= 1;
        if chunk.is_empty() {
            self.chunks.remove(at);
        }
        true
    }

    /// How many keys are less than `key`.
    pub(super) fn before(&self, key: Key) -> usize {
        if self.chunks.is_empty() {
            return 0;
        }
        let at = self.chunk_of(key);
        let inside = self.chunks[at].binary_search(&key).unwrap_or_else(|place| place);
        // From the nearer end.
        if at * 2 > self.chunks.len() {
            let after: usize = self.chunks.iter().skip(at + 1).map(VecDeque::len).sum();
            self.len - after - (self.chunks[at].len() - inside)
        } else {
            self.chunks.iter().take(at).map(VecDeque::len).sum::<usize>() + inside
        }
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
                prop_assert_eq!(queue.first(), set.first().copied());
                prop_assert_eq!(queue.before(key), set.range(..key).count());
                let after = set.range((std::ops::Bound::Excluded(key), std::ops::Bound::Unbounded)).next();
                prop_assert_eq!(queue.after(key), after.copied());
            }
            prop_assert!(queue.iter().eq(set.iter().copied()));
        }
    }
}
