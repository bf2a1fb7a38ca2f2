//! What a replay counted. Plain data; how it reads is for those who show it.

use std::collections::BTreeMap;

use super::super::id::{GpuId, ModelAt};

/// What a replay counted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// What became of each submission, in the order of the trace.
    pub fates: Vec<Fate>,
    /// Waiting of everything that began.
    pub waits: Spread,
    /// By capability, or chain of them.
    pub capabilities: BTreeMap<String, CapabilityReport>,
    /// Loads that were begun, by model.
    pub loads: BTreeMap<ModelAt, u64>,
    pub unloads: u64,
    /// Milliseconds that models took to be loaded, all together.
    pub loading_ms: u64,
    pub gpus: BTreeMap<GpuId, GpuReport>,
    /// Milliseconds from the first submission to the last end.
    pub makespan_ms: u64,
    /// Attempts that were stopped to make way and done again.
    pub requeued: u64,
    /// Starts at a place where it is not known how long such work takes: the time of another place was taken.
    pub guessed: u64,
    /// What the scheduler was told and what it decided.
    pub events: u64,
    pub decisions: u64,
}

/// What became of a submission.
#[derive(Clone, Debug, PartialEq)]
pub struct Fate {
    pub outcome: Outcome,
    /// Milliseconds between the moment when nothing of its own held it back any more (its time, its dependencies) and its
    /// first start; none when it never began.
    pub waited_ms: Option<u64>,
    /// First start, in milliseconds after the beginning.
    pub started_ms: Option<u64>,
    pub ended_ms: Option<u64>,
    /// The model that its newest attempt used.
    pub model: Option<ModelAt>,
}

/// How a submission ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    Done,
    /// It failed as it did in truth.
    Failed,
    /// The scheduler said that it can never run.
    Refused,
    Cancelled,
    /// It still waited when nothing could happen any more.
    Stranded,
}

/// How long tasks of a capability waited and worked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CapabilityReport {
    pub waits: Spread,
    /// Milliseconds of work, all together.
    pub busy_ms: u64,
}

/// How a GPU was used.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GpuReport {
    pub total_gb: f64,
    /// The most that models took at once, loading ones included. An exclusive task's own memory is not known.
    pub high_gb: f64,
    /// Milliseconds for which admission was closed because somebody waited to own it.
    pub drained_ms: u64,
    /// Milliseconds for which somebody owned it.
    pub exclusive_ms: u64,
}

/// The spread of many times in milliseconds; all zero when there are none. Percentiles are nearest rank.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spread {
    pub count: u64,
    pub mean: f64,
    pub p50: u64,
    pub p95: u64,
    pub max: u64,
}

impl Spread {
    #[must_use]
    pub fn of(mut times: Vec<u64>) -> Self {
        times.sort_unstable();
        let Some(max) = times.last().copied() else { return Self::default() };
        let at = |percent: usize| times[(times.len() * percent).div_ceil(100).max(1) - 1];
        let sum: u128 = times.iter().map(|time| u128::from(*time)).sum();
        // Both are far below 2^53: milliseconds of years, and a count of tasks.
        let mean = sum as f64 / times.len() as f64;
        Self { count: times.len() as u64, mean, p50: at(50), p95: at(95), max }
    }
}

impl Report {
    /// How many submissions ended so.
    #[must_use]
    pub fn count(&self, outcome: Outcome) -> u64 {
        self.fates.iter().filter(|fate| fate.outcome == outcome).count() as u64
    }

    /// Loads of every model.
    #[must_use]
    pub fn loads_total(&self) -> u64 {
        self.loads.values().sum()
    }

    /// Milliseconds for which GPUs were closed to new shared work, drained or owned, all together.
    #[must_use]
    pub fn contention_ms(&self) -> u64 {
        self.gpus.values().map(|gpu| gpu.drained_ms + gpu.exclusive_ms).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_rank() {
        let spread = Spread::of((1..=100).rev().collect());
        assert_eq!(spread, Spread { count: 100, mean: 50.5, p50: 50, p95: 95, max: 100 });
        assert_eq!(Spread::of(vec![7]), Spread { count: 1, mean: 7.0, p50: 7, p95: 7, max: 7 });
        assert_eq!(Spread::of(Vec::new()), Spread::default());
    }
}
