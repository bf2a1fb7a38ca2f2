//! What is read back from disk: all that recovering needs, and no more, so that a hundred thousand tasks stay small.

use std::sync::Arc;

use crate::core::{Name, Timestamp};
use crate::decide::scheduler::{ClaimVerb, Config, Event, LeaseRequest, ModelAt, Request};

/// A task that is not over, as it is on disk.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// `waited_ms` and `backoff` are reckoned from the fields below when it is taken up; `attempts` is how many were made.
    pub request: Request,
    pub created_at: Timestamp,
    /// Attempts that failed since a person last let it run.
    pub failures: u32,
    /// Attempts that ended with the program, since a person last let it run.
    pub interruptions: u32,
    /// Not before this time, and what failed: the wait after a failure.
    pub retry_at: Option<(Timestamp, String)>,
    pub phase: Phase,
}

/// Where a task that is not over stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Waiting,
    /// Its newest attempt began and did not end.
    Running,
}

/// A lease that is not over, as it is on disk.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredLease {
    /// `held` says whether it was granted.
    pub request: LeaseRequest,
    pub by: String,
}

/// All that is taken up at a start.
#[derive(Clone, Debug, Default)]
pub struct Restored {
    pub config: Arc<Config>,
    /// In the order of acceptance.
    pub tasks: Vec<Stored>,
    pub leases: Vec<StoredLease>,
    /// Loads and unloads that the scheduler had begun: whether they happened is for an observation to tell.
    pub open: Vec<OpenCall>,
    /// `Took`, `LoadTook` and `Measured` of earlier runs.
    pub history: Vec<Event>,
}

/// A load or unload that was begun and not finished.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenCall {
    pub at: ModelAt,
    pub model: Option<Name>,
    pub verb: ClaimVerb,
    pub because: String,
}
