//! A quick hash of task numbers, which nobody but ourselves gives out: Fibonacci hashing (Knuth, "The Art of Computer
//! Programming", volume 3, section 6.4).

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::id::TaskSeq;

/// A map by task. Nobody goes through it in its own order.
pub(super) type ByTask<T> = HashMap<TaskSeq, T, BuildHasherDefault<SeqHasher>>;

/// 2^64 divided by the golden ratio, odd.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SeqHasher(u64);

impl Hasher for SeqHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        // The high half is the well-mixed one, and tables take the low bits.
        self.0 = (self.0 ^ number).wrapping_mul(GOLDEN).rotate_left(32);
    }
}

#[cfg(test)]
mod tests {
    use std::hash::BuildHasher;

    use super::*;

    #[test]
    fn numbers_in_a_row_fall_into_different_buckets() {
        let map: ByTask<()> = ByTask::default();
        let buckets: std::collections::BTreeSet<u64> =
            (0..1_024).map(|seq| map.hasher().hash_one(TaskSeq(seq)) % 4_096).collect();
        assert!(buckets.len() > 900, "{} buckets", buckets.len());
    }
}
