//! How long to wait before the next try: decorrelated jitter, pure, so that simulations repeat exactly.
//!
//! Formula: `sleep = min(cap, uniform(base, 3 * previous))` (Marc Brooker, "Exponential Backoff And Jitter",
//! AWS Architecture Blog, 2015).

use std::time::Duration;

use super::rng::Rng;

/// The shortest wait after a failure.
pub const BASE: Duration = Duration::from_millis(500);
/// The longest wait after any number of failures.
pub const CAP: Duration = Duration::from_secs(300);

/// The wait that follows one of length `previous` (zero before the first failure).
#[must_use]
pub fn next(previous: Duration, base: Duration, cap: Duration, rng: &mut Rng) -> Duration {
    let millis = |d: Duration| u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
    let (base, cap, previous) = (millis(base).max(1), millis(cap).max(1), millis(previous));
    let high = previous.max(base).saturating_mul(3);
    Duration::from_millis(rng.between(base, high).min(cap))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_stay_between_base_and_cap_and_reach_the_cap() {
        for seed in 0..200 {
            let mut rng = Rng::new(seed);
            let mut wait = Duration::ZERO;
            let mut longest = Duration::ZERO;
            for _ in 0..200 {
                wait = next(wait, BASE, CAP, &mut rng);
                assert!(wait >= BASE && wait <= CAP, "{wait:?}");
                longest = longest.max(wait);
            }
            assert_eq!(longest, CAP);
        }
    }
}
