//! `Observed<T>`: a value that cannot be separated from where it came from and when.
//!
//! There is no way to get at the value without saying what time it is, so nothing can be shown as fresh that is old,
//! and nothing can be shown at all that was never seen.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::clock::millis_since;

/// Something seen in the world: the value, its source, its time, and for how long it counts as fresh.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Observed<T> {
    value: Option<T>,
    source: String,
    at: Option<Timestamp>,
    fresh_ms: u64,
    /// Why there is no value, or why the last look failed although an older value is kept.
    problem: Option<String>,
}

/// What may be said of an observation at a given moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reading<'a, T> {
    /// Seen recently enough to act on.
    Fresh { value: &'a T, age_ms: u64 },
    /// Seen, but too long ago: it may be shown with its age, never acted on.
    Stale { value: &'a T, age_ms: u64, problem: Option<&'a str> },
    /// Never seen, or not knowable.
    Unknown { why: &'a str },
}

impl<T> Observed<T> {
    /// A value seen `at`, from `source`, fresh for `fresh_for`.
    pub fn seen(value: T, source: impl Into<String>, at: Timestamp, fresh_for: Duration) -> Self {
        Self { value: Some(value), source: source.into(), at: Some(at), fresh_ms: as_millis(fresh_for), problem: None }
    }

    /// Nothing was seen, and `why`.
    pub fn unknown(source: impl Into<String>, why: impl Into<String>) -> Self {
        Self { value: None, source: source.into(), at: None, fresh_ms: 0, problem: Some(why.into()) }
    }

    /// Keeps the last value with its own time, and notes that the newest look failed. The value ages from then on.
    #[must_use]
    pub fn failed(mut self, why: impl Into<String>) -> Self {
        self.problem = Some(why.into());
        self
    }

    /// What may be said at `now`. A failed newest look makes even a young value stale.
    #[must_use]
    pub fn read(&self, now: Timestamp) -> Reading<'_, T> {
        let problem = self.problem.as_deref();
        match (&self.value, self.at) {
            (Some(value), Some(at)) => {
                let age_ms = millis_since(at, now);
                if problem.is_none() && age_ms <= self.fresh_ms {
                    Reading::Fresh { value, age_ms }
                } else {
                    Reading::Stale { value, age_ms, problem }
                }
            }
            _ => Reading::Unknown { why: problem.unwrap_or("never observed") },
        }
    }

    /// The value only while it is fresh: what a decision may rest on.
    #[must_use]
    pub fn fresh(&self, now: Timestamp) -> Option<&T> {
        match self.read(now) {
            Reading::Fresh { value, .. } => Some(value),
            Reading::Stale { .. } | Reading::Unknown { .. } => None,
        }
    }

    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// When the value was seen; none when it never was.
    #[must_use]
    pub fn at(&self) -> Option<Timestamp> {
        self.at
    }

    /// Why the newest look failed, if it did.
    #[must_use]
    pub fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }
}

impl<T> Reading<'_, T> {
    /// One word for machines and style sheets.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Fresh { .. } => "fresh",
            Self::Stale { .. } => "stale",
            Self::Unknown { .. } => "unknown",
        }
    }
}

fn as_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_value_ages_from_fresh_to_stale_and_never_back() {
        let seen = Observed::seen(7, "swap /running", at(100), Duration::from_secs(10));
        assert_eq!(seen.read(at(105)), Reading::Fresh { value: &7, age_ms: 5_000 });
        assert_eq!(seen.read(at(111)).word(), "stale");
        assert_eq!(seen.fresh(at(111)), None);
    }

    #[test]
    fn a_failed_look_makes_the_last_value_stale_at_once() {
        let seen = Observed::seen(7, "s", at(100), Duration::from_secs(10)).failed("connection refused");
        assert_eq!(
            seen.read(at(101)),
            Reading::Stale { value: &7, age_ms: 1_000, problem: Some("connection refused") }
        );
    }

    #[test]
    fn a_clock_that_jumped_back_shows_age_zero_rather_than_a_negative_one() {
        let seen = Observed::seen(7, "s", at(100), Duration::from_secs(10));
        assert_eq!(seen.read(at(50)), Reading::Fresh { value: &7, age_ms: 0 });
    }

    #[test]
    fn what_was_never_seen_is_unknown_with_a_reason() {
        let never: Observed<u8> = Observed::unknown("s", "not asked yet");
        assert_eq!(never.read(at(1)), Reading::Unknown { why: "not asked yet" });
    }
}
