//! The clocks of a simulated machine: one that nobody can set, one that sleeps with the machine, one that people set.

use crate::core::Timestamp;
use crate::decide::scheduler::Moment;

/// What the wall clock shows when a simulation begins: 2026-11-21 00:00:00 UTC.
const EPOCH_MS: i64 = 1_795_219_200_000;

/// The clocks of the machine that Arcology runs on. All in milliseconds.
#[derive(Clone, Debug, Default)]
pub struct Clocks {
    /// True time since the simulation began. Runs on while the machine sleeps; nobody in the simulation can read it.
    pub true_ms: u64,
    /// For how long the machine slept in all.
    slept_ms: u64,
    /// How far the wall clock was set forth or back.
    set_ms: i64,
    /// True time at which the program was last started, without sleep.
    started_ms: u64,
}

impl Clocks {
    /// Both clocks as the program reads them: the steady one counts from its start and stands still in sleep.
    #[must_use]
    pub fn moment(&self) -> Moment {
        Moment { steady_ms: self.awake_ms().saturating_sub(self.started_ms), wall: self.wall() }
    }

    /// What the wall clock shows.
    #[must_use]
    pub fn wall(&self) -> Timestamp {
        let true_ms = i64::try_from(self.true_ms).unwrap_or(i64::MAX);
        Timestamp::from_millisecond(EPOCH_MS.saturating_add(true_ms).saturating_add(self.set_ms))
            .unwrap_or(Timestamp::MAX)
    }

    /// What the wall clock would show at a true time, had nobody set it.
    #[must_use]
    pub fn true_wall(&self, true_ms: u64) -> Timestamp {
        Timestamp::from_millisecond(EPOCH_MS.saturating_add(i64::try_from(true_ms).unwrap_or(i64::MAX)))
            .unwrap_or(Timestamp::MAX)
    }

    /// True time at which the steady clock will show `steady_ms`, if the machine does not sleep meanwhile.
    #[must_use]
    pub fn true_at(&self, steady_ms: u64) -> u64 {
        self.started_ms.saturating_add(steady_ms).saturating_add(self.slept_ms)
    }

    /// The program was started anew.
    pub fn restart(&mut self) {
        self.started_ms = self.awake_ms();
    }

    /// The machine slept for so long; true time has moved on meanwhile.
    pub fn slept(&mut self, ms: u64) {
        self.slept_ms = self.slept_ms.saturating_add(ms).min(self.true_ms);
    }

    /// Somebody set the wall clock.
    pub fn set_wall(&mut self, by_ms: i64) {
        self.set_ms = self.set_ms.saturating_add(by_ms);
    }

    fn awake_ms(&self) -> u64 {
        self.true_ms.saturating_sub(self.slept_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_steady_clock_stands_still_in_sleep_and_the_wall_clock_does_not() {
        let mut clocks = Clocks { true_ms: 1_000, ..Clocks::default() };
        let before = clocks.moment();
        clocks.true_ms += 5_000;
        clocks.slept(5_000);
        let after = clocks.moment();
        assert_eq!(after.steady_ms, before.steady_ms);
        assert_eq!(after.wall.as_millisecond() - before.wall.as_millisecond(), 5_000);
        assert_eq!(clocks.true_at(after.steady_ms), clocks.true_ms);
    }

    #[test]
    fn a_wall_clock_that_is_set_back_leaves_the_steady_one_alone() {
        let mut clocks = Clocks { true_ms: 1_000, ..Clocks::default() };
        clocks.set_wall(-3_600_000);
        assert_eq!(clocks.moment().steady_ms, 1_000);
        clocks.restart();
        assert_eq!(clocks.moment().steady_ms, 0);
    }
}
