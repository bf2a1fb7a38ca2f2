//! Questions about the queue that change nothing.

use super::super::moment::Moment;
use super::super::reason::Lane;
use super::super::snapshot::{Failing, Place, Snapshot, Standing};
use super::super::{Edge, Key};
use super::Queue;
use super::entry::Stance;
use super::slots::Track;

impl<K: Key, E: Edge> Queue<K, E> {
    /// Where every key stands. Checks the queue in full on the way.
    /// How long until the next look at a key that has one planned.
    pub(in super::super) fn due_in(&self, key: &K, now: Moment) -> Option<std::time::Duration> {
        match self.entries.get(key)?.stance {
            Stance::Scheduled { due, .. } | Stance::Waiting { deadline: due, .. } => Some(due.since(now)),
            Stance::Pending { .. } | Stance::Running { .. } | Stance::Idle | Stance::Stalled => None,
        }
    }

    pub(in super::super) fn snapshot(&self, now: Moment) -> Snapshot<K, E> {
        let standings = self.entries.iter().map(|(key, entry)| Standing {
            key: key.clone(),
            generation: entry.generation,
            place: entry.stance.shown(now),
            failures: entry.record.failures,
            said: entry.record.said.clone(),
            reasons: entry.reasons.clone(),
        });
        let failing = self.dependencies.iter().map(|(edge, backoff)| Failing {
            healed: edge.clone(),
            steps: backoff.steps(),
            left: backoff.until().since(now),
        });
        Snapshot { standings: standings.collect(), failing: failing.collect(), defect: self.check().err() }
    }

    /// True when nothing runs and nothing is due: what is left waits, or is planned for later.
    pub(in super::super) fn is_settled(&self, now: Moment) -> bool {
        let due = self.timers.first().is_some_and(|(due, _)| *due <= now);
        !due && self.slots.pending() == 0 && self.slots.running() == 0
    }

    /// The keys that are owed a run: all but those that are at rest or merely planned for a resync.
    pub(in super::super) fn owed(&self) -> Vec<K> {
        self.entries.iter().filter(|(_, entry)| entry.stance.owes_a_run()).map(|(key, _)| key.clone()).collect()
    }
}

impl<E: Edge> Stance<E> {
    fn shown(&self, now: Moment) -> Place<E> {
        match self {
            Self::Scheduled { due, lane, .. } => Place::Scheduled { due_in: due.since(now), lane: *lane },
            Self::Waiting { on, deadline, .. } => {
                Place::Waiting { on: on.iter().cloned().collect(), left: deadline.since(now) }
            }
            Self::Pending { due, lane, .. } => Place::Pending { waited: now.since(*due), lane: *lane },
            Self::Running { since, lane, track, .. } => {
                Place::Running { ran: now.since(*since), lane: *lane, slow: *track == Track::Slow }
            }
            Self::Idle => Place::Idle,
            Self::Stalled => Place::Stalled,
        }
    }

    fn owes_a_run(&self) -> bool {
        match self {
            Self::Scheduled { lane, .. } => *lane != Lane::Resync,
            Self::Waiting { .. } | Self::Pending { .. } | Self::Running { .. } => true,
            Self::Idle | Self::Stalled => false,
        }
    }
}
