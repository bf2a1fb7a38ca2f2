//! A breaker: keeps one dead host from burning everyone's retries. Pure; one a runtime, held by whoever calls it.
//!
//! # Flow
//!
//! 1. Closed: everything passes. [`FAILURES_TO_OPEN`] failures in a row open it.
//! 2. Open: nothing passes until a time that lies further away each time (decorrelated jitter, 0.5 s to 5 min).
//! 3. Half-open: the first call after that time is the probe, alone. Its success closes the breaker, its failure opens
//!    it again for longer. A probe that says nothing for [`PROBE_PATIENCE`] counts as failed.
//!
//! # Guarantees
//!
//! - At most one probe is on its way at a time.
//! - Any success closes: a host that answers is not dead, whoever asked.
//! - Failures of calls that began before it opened do not prolong an opening.
//! - A time of day that jumps back holds nothing up for longer than the longest wait.
//!
//! # Caveats
//!
//! - Results do not say which call they belong to. A call from before the opening that fails during the probe opens the
//!   breaker again; the probe's own success still closes it.

use std::time::Duration;

use jiff::Timestamp;

use crate::core::backoff::{BASE, CAP, next};
use crate::core::clock::after;
use crate::core::rng::Rng;

/// This many failures in a row open the breaker.
pub const FAILURES_TO_OPEN: u32 = 6;
/// How long a probe may take before it counts as failed.
pub const PROBE_PATIENCE: Duration = Duration::from_secs(120);

/// Whether a call may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allow {
    /// Go on.
    Yes,
    /// Go on: this is the one call that finds out. Its result must be told.
    Probe,
    /// Not before this time. There may still be a probe to wait for then.
    No { until: Timestamp },
}

/// Where a breaker stands, as the page shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Closed {
        /// Failures in a row so far.
        failures: u32,
    },
    Open {
        /// When it opened, or opened again after a probe that failed.
        since: Timestamp,
        /// When the next probe is let through.
        until: Timestamp,
    },
    HalfOpen {
        /// When the probe was let through.
        since: Timestamp,
    },
}

/// Lets calls through, or not.
#[derive(Clone, Debug)]
pub struct Breaker {
    state: State,
    /// How long it was open last; zero when it was not since the last success.
    wait: Duration,
    rng: Rng,
}

impl Breaker {
    /// A closed breaker. The seed makes its jitter repeatable; give each runtime another one.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { state: State::Closed { failures: 0 }, wait: Duration::ZERO, rng: Rng::new(seed) }
    }

    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// When the next probe is let through; none while the breaker is closed or a probe is on its way.
    #[must_use]
    pub fn open_until(&self) -> Option<Timestamp> {
        match self.state {
            State::Open { until, .. } => Some(until),
            State::Closed { .. } | State::HalfOpen { .. } => None,
        }
    }

    /// Asks for one call. Whoever gets [`Allow::Yes`] or [`Allow::Probe`] tells what came of it.
    pub fn allow(&mut self, now: Timestamp) -> Allow {
        self.mend_clock(now);
        if let State::HalfOpen { since } = self.state
            && now >= after(since, PROBE_PATIENCE)
        {
            self.open(now);
        }
        match self.state {
            State::Closed { .. } => Allow::Yes,
            State::Open { until, .. } if now < until => Allow::No { until },
            State::Open { .. } => {
                self.state = State::HalfOpen { since: now };
                Allow::Probe
            }
            State::HalfOpen { since } => Allow::No { until: after(since, PROBE_PATIENCE) },
        }
    }

    /// A call was answered.
    pub fn succeeded(&mut self) {
        self.state = State::Closed { failures: 0 };
        self.wait = Duration::ZERO;
    }

    /// A call failed in a way that speaks against the host (not in a way that speaks against the request).
    pub fn failed(&mut self, now: Timestamp) {
        match self.state {
            State::Closed { failures } if failures + 1 < FAILURES_TO_OPEN => {
                self.state = State::Closed { failures: failures + 1 };
            }
            State::Closed { .. } | State::HalfOpen { .. } => self.open(now),
            State::Open { .. } => {}
        }
    }

    /// Opens for longer than the last time, up to the cap.
    fn open(&mut self, now: Timestamp) {
        let longer_than_last = if self.wait.is_zero() { BASE } else { self.wait + BASE };
        self.wait = next(self.wait, longer_than_last, CAP, &mut self.rng);
        self.state = State::Open { since: now, until: after(now, self.wait) };
    }

    /// Times that a clock, now set back, made lie too far in the future are taken back too.
    fn mend_clock(&mut self, now: Timestamp) {
        self.state = match self.state {
            State::Closed { failures } => State::Closed { failures },
            State::Open { since, until } => {
                State::Open { since: since.min(now), until: until.min(after(now, self.wait)) }
            }
            State::HalfOpen { since } => State::HalfOpen { since: since.min(now) },
        };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at_ms(ms: i64) -> Timestamp {
        Timestamp::from_millisecond(ms).unwrap()
    }

    fn opened() -> (Breaker, Timestamp) {
        let mut breaker = Breaker::new(7);
        for _ in 0..FAILURES_TO_OPEN {
            breaker.failed(at_ms(0));
        }
        let until = breaker.open_until().expect("six failures open it");
        (breaker, until)
    }

    #[test]
    fn six_failures_in_a_row_open_it_and_five_do_not() {
        let mut breaker = Breaker::new(1);
        for _ in 0..5 {
            breaker.failed(at_ms(0));
        }
        assert_eq!(breaker.allow(at_ms(0)), Allow::Yes);
        breaker.succeeded();
        for _ in 0..5 {
            breaker.failed(at_ms(0));
        }
        assert_eq!(breaker.state(), State::Closed { failures: 5 });
        breaker.failed(at_ms(0));
        assert!(matches!(breaker.allow(at_ms(0)), Allow::No { until } if until >= at_ms(500)));
    }

    #[test]
    fn half_open_lets_exactly_one_probe_through() {
        let (mut breaker, until) = opened();
        assert_eq!(breaker.allow(until), Allow::Probe);
        for _ in 0..10 {
            assert_eq!(breaker.allow(until), Allow::No { until: after(until, PROBE_PATIENCE) });
        }
        breaker.succeeded();
        assert_eq!(breaker.allow(until), Allow::Yes);
        assert_eq!(breaker.state(), State::Closed { failures: 0 });
    }

    #[test]
    fn each_failed_probe_opens_it_for_longer_up_to_the_cap() {
        let (mut breaker, mut until) = opened();
        let mut last = Duration::ZERO;
        for _ in 0..60 {
            let now = until;
            assert_eq!(breaker.allow(now), Allow::Probe);
            breaker.failed(now);
            until = breaker.open_until().expect("a failed probe opens it again");
            assert!(breaker.wait > last || breaker.wait == CAP, "{:?} after {last:?}", breaker.wait);
            last = breaker.wait;
        }
        assert_eq!(last, CAP);
    }

    #[test]
    fn a_success_makes_the_next_opening_a_short_one_again() {
        let (mut breaker, mut until) = opened();
        for _ in 0..30 {
            breaker.allow(until);
            breaker.failed(until);
            until = breaker.open_until().unwrap();
        }
        breaker.succeeded();
        for _ in 0..FAILURES_TO_OPEN {
            breaker.failed(until);
        }
        assert!(breaker.wait <= 3 * BASE, "{:?}", breaker.wait);
    }

    #[test]
    fn a_probe_that_says_nothing_counts_as_failed() {
        let (mut breaker, until) = opened();
        assert_eq!(breaker.allow(until), Allow::Probe);
        let lost = after(until, PROBE_PATIENCE);
        assert!(matches!(breaker.allow(lost), Allow::No { until } if until > lost));
    }

    #[test]
    fn runtimes_that_die_together_are_not_probed_together() {
        let probes: std::collections::BTreeSet<Timestamp> = (0..50)
            .map(|seed| {
                let mut breaker = Breaker::new(seed);
                for _ in 0..FAILURES_TO_OPEN {
                    breaker.failed(at_ms(0));
                }
                breaker.open_until().expect("six failures open it")
            })
            .collect();
        assert!(probes.len() > 40, "fifty seeds, {} times", probes.len());
    }

    #[test]
    fn where_it_stands_is_told_with_since_when() {
        let (mut breaker, until) = opened();
        assert_eq!(breaker.state(), State::Open { since: at_ms(0), until });
        breaker.allow(until);
        assert_eq!(breaker.state(), State::HalfOpen { since: until });
        breaker.failed(after(until, BASE));
        assert!(matches!(breaker.state(), State::Open { since, .. } if since == after(until, BASE)));
    }

    #[test]
    fn late_failures_do_not_prolong_an_opening() {
        let (mut breaker, until) = opened();
        breaker.failed(after(at_ms(0), Duration::from_millis(100)));
        assert_eq!(breaker.open_until(), Some(until));
    }

    #[test]
    fn a_clock_that_jumps_back_an_hour_holds_nothing_up() {
        let (mut breaker, _) = opened();
        let Allow::No { until } = breaker.allow(at_ms(-3_600_000)) else { panic!("it is open") };
        assert!(until <= after(at_ms(-3_600_000), CAP));
    }

    proptest! {
        /// Whatever happens: an open breaker lets nothing through before its time, and never two probes at once.
        #[test]
        fn there_is_never_more_than_one_probe(seed: u64, steps in prop::collection::vec((0u8..4, 0i64..200_000), 1..200)) {
            let (mut breaker, mut now) = (Breaker::new(seed), 0);
            let mut probe_since: Option<i64> = None;
            let mut failures_in_a_row = 0u32;
            for (step, gap) in steps {
                now += gap;
                match step {
                    0 | 1 => match breaker.allow(at_ms(now)) {
                        Allow::Yes => prop_assert!(failures_in_a_row < FAILURES_TO_OPEN),
                        Allow::Probe => {
                            prop_assert!(failures_in_a_row >= FAILURES_TO_OPEN);
                            prop_assert!(probe_since.is_none_or(|since| now - since >= 120_000));
                            probe_since = Some(now);
                        }
                        Allow::No { until } => prop_assert!(until > at_ms(now) && until <= after(at_ms(now), CAP)),
                    },
                    2 => {
                        breaker.succeeded();
                        (probe_since, failures_in_a_row) = (None, 0);
                    }
                    _ => {
                        breaker.failed(at_ms(now));
                        probe_since = None;
                        failures_in_a_row += 1;
                    }
                }
            }
        }
    }
}
