//! Why an object is looked at: lanes, reasons, and the [`Run`] that carries them to the reconcile function.
//!
//! Reasons are for telling ("why did this run?"). What is to be done follows from the world, never from the reason.

use std::fmt;
use std::sync::Arc;

use super::Edge;

/// How many different reasons are kept for one run; of further ones only the number is.
pub const REASONS_MAX: usize = 8;

/// How urgent a look is. Better lanes come first, whatever the due times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// A person changed something or asks.
    Person,
    /// The world differs from what was seen before.
    Drift,
    /// The last try failed.
    Retry,
    /// Nothing happened; a look from time to time.
    Resync,
}

/// One reason to look at an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason<E> {
    /// Its declaration changed.
    Changed { generation: u64 },
    /// Somebody or something asked, and says why.
    Asked { lane: Lane, why: Arc<str> },
    /// What it waited for happened.
    Woken { by: E },
    /// What it waited for did not happen in time.
    DeadlinePassed,
    /// Its last tries, this many in a row, failed.
    Retry { failures: u32 },
    /// It was time for another look.
    Resync,
    /// Its last run was cut short.
    CutShort,
}

/// All reasons of one run: each once, in the order in which they came, at most `REASONS_MAX`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reasons<E> {
    kept: Vec<Reason<E>>,
    more: u32,
}

/// One look at one object, as the reconcile function gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run<K, E> {
    pub key: K,
    /// The generation that is looked at; none when only triggers named this key so far.
    pub generation: Option<u64>,
    /// The most urgent of the reasons' lanes.
    pub lane: Lane,
    pub reasons: Reasons<E>,
    /// How many runs of this generation failed in a row before this one.
    pub failures: u32,
}

impl<E> Default for Reasons<E> {
    fn default() -> Self {
        Self { kept: Vec::new(), more: 0 }
    }
}

impl<E: Edge> Reasons<E> {
    pub(super) fn push(&mut self, reason: Reason<E>) {
        if self.kept.contains(&reason) {
            return;
        }
        if self.kept.len() < REASONS_MAX {
            self.kept.push(reason);
        } else {
            self.more = self.more.saturating_add(1);
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = &Reason<E>> {
        self.kept.iter()
    }

    #[must_use]
    pub fn contains(&self, reason: &Reason<E>) -> bool {
        self.kept.contains(reason)
    }
}

impl<E: Edge> fmt::Display for Reason<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed { generation } => write!(f, "changed to generation {generation}"),
            Self::Asked { lane: _, why } => f.write_str(why),
            Self::Woken { by } => write!(f, "{by:?} happened"),
            Self::DeadlinePassed => f.write_str("what it waited for did not happen in time"),
            Self::Retry { failures: 1 } => f.write_str("retry after a failure"),
            Self::Retry { failures } => write!(f, "retry after {failures} failures"),
            Self::Resync => f.write_str("resync"),
            Self::CutShort => f.write_str("its last run was cut short"),
        }
    }
}

impl<E: Edge> fmt::Display for Reasons<E> {
    /// As in `changed to generation 2; resync; and 3 more`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, reason) in self.kept.iter().enumerate() {
            write!(f, "{}{reason}", if nth == 0 { "" } else { "; " })?;
        }
        if self.more > 0 { write!(f, "; and {} more", self.more) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_told_once_each_and_only_so_many() {
        let mut reasons = Reasons::<&str>::default();
        for _ in 0..3 {
            reasons.push(Reason::Resync);
            reasons.push(Reason::Woken { by: "swap is up" });
        }
        assert_eq!(reasons.to_string(), "resync; \"swap is up\" happened");

        for generation in 0..20 {
            reasons.push(Reason::Changed { generation });
        }
        assert_eq!(reasons.iter().count(), REASONS_MAX);
        assert!(reasons.to_string().ends_with("changed to generation 5; and 14 more"), "{reasons}");
    }

    #[test]
    fn lanes_are_ordered_from_a_person_to_a_resync() {
        let mut lanes = [Lane::Resync, Lane::Drift, Lane::Person, Lane::Retry];
        lanes.sort();
        assert_eq!(lanes, [Lane::Person, Lane::Drift, Lane::Retry, Lane::Resync]);
    }
}
