//! How the scheduler calls things: tasks by the order in which they were accepted, GPUs, models where they are served.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::core::{Name, Timestamp};

/// A task: its place in the order of acceptance (the store's `seq`). Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TaskSeq(pub u64);

/// A GPU of a host.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GpuId {
    pub host: Name,
    pub gpu: Name,
}

impl fmt::Display for GpuId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.gpu)
    }
}

/// A model where it is served.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ModelAt {
    pub runtime: Name,
    /// The runtime's own (real) name for it.
    pub served_as: Arc<str>,
}

impl fmt::Display for ModelAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}", self.served_as, self.runtime)
    }
}

/// A lease: the id that its holder was given.
pub type LeaseId = Arc<str>;

/// The time of an event, on two clocks.
///
/// Lengths (ages, backoffs, leases, idle times) are measured on the steady one, so that a wall clock that jumps makes
/// nothing fire early, starve or die. Dates that people wrote (`not_before`) are compared with the wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
    /// Milliseconds since the scheduler was started. Never runs backwards.
    pub steady_ms: u64,
    pub wall: Timestamp,
}

impl Moment {
    /// What the wall clock will show at `steady_ms`, if nobody sets it meanwhile.
    #[must_use]
    pub fn wall_at(&self, steady_ms: u64) -> Timestamp {
        let ahead = i64::try_from(steady_ms).unwrap_or(i64::MAX) - i64::try_from(self.steady_ms).unwrap_or(i64::MAX);
        let millis = self.wall.as_millisecond().saturating_add(ahead);
        Timestamp::from_millisecond(millis).unwrap_or(if ahead < 0 { Timestamp::MIN } else { Timestamp::MAX })
    }
}
