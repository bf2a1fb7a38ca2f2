//! The real clocks: the only place that reads the time of day and the machine's steady clock.

use std::time::Instant;

use crate::core::clock::Steady;
use crate::core::{Clock, Timestamp};

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// The machine's steady clock, from the moment at which this was made.
#[derive(Clone, Copy, Debug)]
pub struct SystemSteady(Instant);

impl Default for SystemSteady {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Steady for SystemSteady {
    fn steady_ms(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
