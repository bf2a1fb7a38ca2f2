//! The port through which time comes in. The real clock lives in `act`, the simulated one in tests.

use jiff::Timestamp;

/// Tells the time. Pure code never holds one: it is handed `now` as a value.
pub trait Clock: Send + Sync + 'static {
    /// The wall-clock time now.
    fn now(&self) -> Timestamp;
}

/// Measures time: a clock that nobody can set. Lengths are measured by it, dates are not.
pub trait Steady: Send + Sync + 'static {
    /// Milliseconds since some fixed moment. Never runs backwards.
    fn steady_ms(&self) -> u64;
}

/// Whole milliseconds since `earlier`, never negative: clocks jump, ages do not run backwards.
#[must_use]
pub fn millis_since(earlier: Timestamp, now: Timestamp) -> u64 {
    u64::try_from(now.as_millisecond().saturating_sub(earlier.as_millisecond())).unwrap_or(0)
}

/// `at` moved forward by `by`, saturating at the end of representable time.
#[must_use]
pub fn after(at: Timestamp, by: std::time::Duration) -> Timestamp {
    let millis = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_millisecond(at.as_millisecond().saturating_add(millis)).unwrap_or(Timestamp::MAX)
}
