//! What the page shows of the controller: where each key stands, why, and for how long.
//!
//! Times are lengths counted from the snapshot, so that it needs no clock: add them to the time it was taken at.

use std::time::Duration;

use super::reason::{Lane, Reasons};

/// Everything at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot<K, E> {
    /// Every known key, in order.
    pub standings: Vec<Standing<K, E>>,
    /// What many objects need and what fails, in order.
    pub failing: Vec<Failing<E>>,
    /// A defect of the queue itself, should one ever show; to be told loudly.
    pub defect: Option<String>,
}

/// One key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing<K, E> {
    pub key: K,
    pub generation: Option<u64>,
    pub place: Place<E>,
    /// Failures in a row.
    pub failures: u32,
    /// What the last outcome said; none after success.
    pub said: Option<String>,
    /// What is gathered for the next run.
    pub reasons: Reasons<E>,
}

/// Where a key stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place<E> {
    /// Looked at again in `due_in`: a resync or a retry.
    Scheduled { due_in: Duration, lane: Lane },
    /// Waits for a slot.
    Pending { waited: Duration, lane: Lane },
    /// Being looked at; `slow` when it uses the slow track.
    Running { ran: Duration, lane: Lane, slow: bool },
    /// Waits for one of `on`, at most for `left`.
    Waiting { on: Vec<E>, left: Duration },
    /// As declared, and no look planned.
    Idle,
    /// Only another generation helps.
    Stalled,
}

/// A dependency that fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failing<E> {
    /// The edge that would say it is well.
    pub healed: E,
    /// How many backoff windows there were so far.
    pub steps: u32,
    /// How long until the next try; zero when it is due.
    pub left: Duration,
}
