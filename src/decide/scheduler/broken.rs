//! Rules that are broken on purpose, to show that checks have teeth. Nothing of it is in a release: without the switch a
//! rule is never broken, and the question costs nothing.

use super::state::State;

/// A rule that can be broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// One shared holder more than there are slots.
    OneSlotTooMany,
    /// Shared tasks start beside an exclusive owner.
    SharedBesideExclusive,
    /// A model that a loadout wants loaded is evicted for an on-demand load.
    PinnedEvicted,
    /// A model that a loadout wants loaded is unloaded for being idle.
    PinnedUnloadedWhenIdle,
    /// The copilot is not shielded.
    ShieldIgnored,
    /// What made way for an exclusive holder does not come back.
    DisplacedForgotten,
    /// A load that is under way takes no memory.
    ReservationsForgotten,
    /// A task starts before those that it depends on are done.
    DependenciesIgnored,
    /// A task that is to be tried again is dropped without a word.
    RetryForgotten,
    /// A task that runs is taken in a second time, as if it had never started.
    StartedTwice,
}

#[cfg(any(test, feature = "broken-rules"))]
impl Rule {
    pub const ALL: [Self; 10] = [
        Self::OneSlotTooMany,
        Self::SharedBesideExclusive,
        Self::PinnedEvicted,
        Self::PinnedUnloadedWhenIdle,
        Self::ShieldIgnored,
        Self::DisplacedForgotten,
        Self::ReservationsForgotten,
        Self::DependenciesIgnored,
        Self::RetryForgotten,
        Self::StartedTwice,
    ];
}

#[cfg(any(test, feature = "broken-rules"))]
impl State {
    /// Breaks a rule from now on.
    pub fn break_rule(&mut self, rule: Rule) {
        self.broken = Some(rule);
    }

    pub(super) fn is_broken(&self, rule: Rule) -> bool {
        self.broken == Some(rule)
    }
}

#[cfg(not(any(test, feature = "broken-rules")))]
impl State {
    #[expect(clippy::unused_self, reason = "the same question, which nobody can answer with yes here")]
    pub(super) const fn is_broken(&self, _: Rule) -> bool {
        false
    }
}
