//! Time as the queue sees it: how long ago the controller began. It reads no clock; it is handed one.

use std::time::Duration;

/// A point in time, counted from the controller's start. Unlike the time of day it never runs backwards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(Duration);

impl Moment {
    pub(super) fn since_start(elapsed: Duration) -> Self {
        Self(elapsed)
    }

    /// This moment moved forward, at most to the end of representable time.
    pub(super) fn after(self, by: Duration) -> Self {
        Self(self.0.saturating_add(by))
    }

    /// How long this is after `earlier`; zero when it is not.
    pub(super) fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}
