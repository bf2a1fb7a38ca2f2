//! Backoff with windows: however many failures fall into one window, the next is longer by one step only.
//!
//! The lengths come from [`crate::core::backoff`]. Here is what is remembered between failures: one [`Backoff`] an
//! object, and one a dependency in [`Dependencies`].

use std::collections::BTreeMap;
use std::time::Duration;

use super::Edge;
use super::moment::Moment;
use crate::core::backoff::{BASE, CAP, next};
use crate::core::rng::Rng;

/// A dependency that did not fail for this long after its window is forgotten: it is well, or nobody needs it.
const DEPENDENCY_KEPT: Duration = Duration::from_secs(3_600);

/// How long the current wait is, and until when.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Backoff {
    window: Duration,
    until: Moment,
    steps: u32,
}

impl Backoff {
    /// Notes a failure and says when the next try is due. The first failure after a window ended opens a longer one
    /// (between 0.5 s and 5 min, with jitter); failures within a window change nothing.
    pub(super) fn failed(&mut self, now: Moment, rng: &mut Rng) -> Moment {
        if self.steps == 0 || now >= self.until {
            self.window = next(self.window, BASE, CAP, rng);
            self.until = now.after(self.window);
            self.steps = self.steps.saturating_add(1);
        }
        self.until
    }

    pub(super) fn until(&self) -> Moment {
        self.until
    }

    /// How many windows there were since the last success.
    pub(super) fn steps(&self) -> u32 {
        self.steps
    }
}

/// The backoffs of what many objects depend on, by the edge that says it is well again.
#[derive(Debug)]
pub(super) struct Dependencies<E>(BTreeMap<E, Backoff>);

impl<E> Default for Dependencies<E> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<E: Edge> Dependencies<E> {
    /// Notes that an object failed on `dependency`, and says when the next try is due. Costs as much as there are
    /// failing dependencies, which are few: those of long ago are dropped here.
    pub(super) fn failed(&mut self, dependency: &E, now: Moment, rng: &mut Rng) -> Moment {
        self.0.retain(|_, backoff| now < backoff.until.after(DEPENDENCY_KEPT));
        self.0.entry(dependency.clone()).or_default().failed(now, rng)
    }

    /// Notes that `dependency` is well: its next failure is a first one.
    pub(super) fn recovered(&mut self, dependency: &E) {
        self.0.remove(dependency);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&E, &Backoff)> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::core::rng::Rng;

    fn at_ms(ms: u64) -> Moment {
        Moment::since_start(Duration::from_millis(ms))
    }

    proptest! {
        #[test]
        fn there_is_at_most_one_step_an_elapsed_window(seed: u64, gaps in prop::collection::vec(0u64..400_000, 1..60)) {
            let (mut backoff, mut rng, mut now) = (Backoff::default(), Rng::new(seed), Moment::default());
            for gap in gaps {
                now = now.after(Duration::from_millis(gap));
                let before = backoff.clone();
                let until = backoff.failed(now, &mut rng);
                if before.steps > 0 && now < before.until {
                    prop_assert_eq!(&before, &backoff);
                } else {
                    prop_assert_eq!(backoff.steps, before.steps + 1);
                    prop_assert!(until.since(now) >= BASE && until.since(now) <= CAP);
                }
            }
        }
    }

    #[test]
    fn fifty_objects_that_fail_on_one_dead_host_are_one_step() {
        let (mut dependencies, mut rng) = (Dependencies::default(), Rng::new(1));
        let first = dependencies.failed(&"swap", at_ms(0), &mut rng);
        for ms in 0..50 {
            assert_eq!(dependencies.failed(&"swap", at_ms(ms), &mut rng), first);
        }
        assert_eq!(dependencies.iter().map(|(_, backoff)| backoff.steps()).collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn a_dependency_that_recovered_or_was_not_needed_for_long_is_forgotten() {
        let (mut dependencies, mut rng) = (Dependencies::default(), Rng::new(1));
        dependencies.failed(&"a", at_ms(0), &mut rng);
        dependencies.failed(&"b", at_ms(0), &mut rng);
        dependencies.recovered(&"a");
        assert_eq!(dependencies.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["b"]);
        dependencies.failed(&"c", at_ms(2 * 3_600_000), &mut rng);
        assert_eq!(dependencies.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["c"]);
    }
}
