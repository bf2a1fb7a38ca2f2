//! What the queue knows of one key: where it stands, why it runs next, and how its last runs went.

use std::collections::BTreeSet;

use super::super::Edge;
use super::super::backoff::Backoff;
use super::super::moment::Moment;
use super::super::reason::{Lane, Reason, Reasons};
use super::edges::Mark;
use super::slots::Track;

/// One key.
#[derive(Debug)]
pub(super) struct Entry<E> {
    pub(super) generation: Option<u64>,
    pub(super) stance: Stance<E>,
    /// Gathered for the next run.
    pub(super) reasons: Reasons<E>,
    pub(super) record: Record<E>,
}

/// Where a key stands: in one place, by construction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stance<E> {
    /// A timer is armed: the next look, or the next try.
    Scheduled { due: Moment, lane: Lane, why_then: Reason<E> },
    /// An edge wakes it, or the timer does.
    Waiting { on: BTreeSet<E>, deadline: Moment, lane: Lane, why_then: Reason<E> },
    /// Due, and waiting for a slot.
    Pending { due: Moment, lane: Lane, track: Track },
    /// Being reconciled.
    Running { since: Moment, lane: Lane, track: Track, mark: Mark, meanwhile: Meanwhile },
    /// Done, and nothing planned.
    Idle,
    /// Only another generation helps.
    Stalled,
}

/// What happened to a key while it ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meanwhile {
    /// Nothing: the outcome decides what follows.
    Nothing,
    /// It was triggered: the outcome counts, and one more run follows.
    AskedAgain { lane: Lane, at: Moment },
    /// It has a new generation, or was forgotten and named anew: the outcome does not count, and a run follows.
    Reborn { lane: Lane, at: Moment },
    /// It was forgotten: the outcome does not count, and nothing follows.
    Forgotten,
}

/// How the runs of this generation went.
#[derive(Debug)]
pub(super) struct Record<E> {
    /// Grows with failures that are the object's own.
    pub(super) backoff: Backoff,
    /// Failures in a row, of whatever class.
    pub(super) failures: u32,
    /// The end of the backoff that is in force; before it only a person starts a run.
    pub(super) not_before: Option<Moment>,
    /// What the last failure was blamed on, when not on the object.
    pub(super) failing_on: Option<E>,
    /// The last run failed or was slow: the next one uses the slow track.
    pub(super) troubled: bool,
    /// What the last outcome said.
    pub(super) said: Option<String>,
}

impl<E: Edge> Entry<E> {
    pub(super) fn new() -> Self {
        Self { generation: None, stance: Stance::Idle, reasons: Reasons::default(), record: Record::default() }
    }

    /// True while a backoff is in force, which machines respect and people do not.
    pub(super) fn backs_off(&self, now: Moment) -> bool {
        self.record.not_before.is_some_and(|until| now < until)
    }

    pub(super) fn track(&self) -> Track {
        if self.record.troubled { Track::Slow } else { Track::Fast }
    }

    pub(super) fn is_forgotten(&self) -> bool {
        matches!(self.stance, Stance::Running { meanwhile: Meanwhile::Forgotten, .. })
    }
}

impl<E> Stance<E> {
    /// True for keys that are in no index: nothing is planned for them.
    pub(super) fn is_at_rest(&self) -> bool {
        match self {
            Self::Idle | Self::Stalled => true,
            Self::Scheduled { .. } | Self::Waiting { .. } | Self::Pending { .. } | Self::Running { .. } => false,
        }
    }
}

impl Meanwhile {
    /// What has happened in all, now that a trigger came too.
    pub(super) fn and_asked(self, asked_lane: Lane, now: Moment) -> Self {
        match self {
            Self::Nothing => Self::AskedAgain { lane: asked_lane, at: now },
            Self::AskedAgain { lane, at } => Self::AskedAgain { lane: lane.min(asked_lane), at },
            Self::Reborn { lane, at } => Self::Reborn { lane: lane.min(asked_lane), at },
            Self::Forgotten => Self::Reborn { lane: asked_lane, at: now },
        }
    }
}

impl<E> Record<E> {
    /// The last failure no longer says anything about the next run.
    pub(super) fn absolve(&mut self) {
        self.not_before = None;
        self.failing_on = None;
        self.troubled = false;
    }
}

impl<E> Default for Record<E> {
    fn default() -> Self {
        Self {
            backoff: Backoff::default(),
            failures: 0,
            not_before: None,
            failing_on: None,
            troubled: false,
            said: None,
        }
    }
}
