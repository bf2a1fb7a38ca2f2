//! How long computations are told to stop: the caller went away, or the time is over.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Asked every so often by loops that may run long.
#[derive(Clone, Debug)]
pub struct Stop {
    gone: Arc<AtomicBool>,
    deadline: Instant,
}

/// Why a computation was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stopped {
    #[error("nobody waits for the result any more")]
    Gone,
    #[error("it took longer than it may")]
    Late,
}

/// While it lives, somebody waits for the result.
#[derive(Debug)]
pub struct Waiting(Arc<AtomicBool>);

impl Stop {
    /// A pair: what the computation asks, and what its caller holds.
    #[must_use]
    pub fn after(limit: Duration) -> (Self, Waiting) {
        let gone = Arc::new(AtomicBool::new(false));
        let now = Instant::now();
        let deadline = now.checked_add(limit).unwrap_or(now + Duration::from_secs(86_400));
        (Self { gone: gone.clone(), deadline }, Waiting(gone))
    }

    /// # Errors
    /// When the computation is to end now.
    pub fn check(&self) -> Result<(), Stopped> {
        if self.gone.load(Ordering::Relaxed) {
            Err(Stopped::Gone)
        } else if Instant::now() > self.deadline {
            Err(Stopped::Late)
        } else {
            Ok(())
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_computation_is_told_that_its_caller_went_away_or_that_it_is_late() {
        let (stop, waiting) = Stop::after(Duration::from_secs(60));
        assert_eq!(stop.check(), Ok(()));
        drop(waiting);
        assert_eq!(stop.check(), Err(Stopped::Gone));
        let (stop, _waiting) = Stop::after(Duration::ZERO);
        std::thread::yield_now();
        let late = std::iter::repeat_with(|| stop.check()).find(Result::is_err);
        assert_eq!(late, Some(Err(Stopped::Late)));
    }
}
