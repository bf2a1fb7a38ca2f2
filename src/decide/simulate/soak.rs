//! Many seeds, one after the other or shared among workers, and one digest over all of their traces.

use super::repository::Library;
use super::seed::{Outcome, run_seed};
use super::trace::Fnv;

/// What came of a range of seeds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub seeds: u64,
    pub events: u64,
    pub simulated_ms: u64,
    /// Seeds that broke an invariant, in their order.
    pub failed: Vec<u64>,
    digest: Fnv,
}

impl Tally {
    /// Adds the next seed. Seeds are added in their order, whoever ran them.
    pub fn add(&mut self, seed: u64, outcome: &Outcome) {
        self.seeds += 1;
        self.events += outcome.events;
        self.simulated_ms += outcome.simulated_ms;
        self.digest.add(&seed.to_le_bytes());
        self.digest.add(&outcome.digest.to_le_bytes());
        if outcome.violation.is_some() {
            self.failed.push(seed);
        }
    }

    /// The digest over all traces: 16 hex digits.
    #[must_use]
    pub fn digest(&self) -> String {
        format!("{:016x}", self.digest.value())
    }
}

/// Runs the seeds `from..from + seeds`.
#[must_use]
pub fn soak(from: u64, seeds: u64) -> Tally {
    let (mut tally, mut library) = (Tally::default(), Library::default());
    for seed in from..from.saturating_add(seeds) {
        tally.add(seed, &run_seed(seed, &mut library));
    }
    tally
}
