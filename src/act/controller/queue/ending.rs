//! How a run ends: the outcome, and what happened meanwhile, become the key's next place.

use std::time::Duration;

use super::super::moment::Moment;
use super::super::outcome::{Outcome, RetryClass};
use super::super::reason::{Lane, Reason};
use super::super::{Edge, Key};
use super::Queue;
use super::edges::Mark;
use super::entry::{Meanwhile, Record, Stance};
use crate::core::text::shorten;

/// The shortest rest between two runs: a reconcile function that asks for none cannot spin.
pub(super) const REST_MIN: Duration = Duration::from_millis(100);
/// How much of what an outcome says is kept.
const SAID_CHARS_MAX: usize = 300;

/// What the end of a run needs to know of the run.
#[derive(Clone, Copy)]
struct Ended {
    lane: Lane,
    mark: Mark,
    slow: bool,
    now: Moment,
}

impl<K: Key, E: Edge> Queue<K, E> {
    /// Ends the run of `key` with what it said.
    pub(in super::super) fn finish(&mut self, key: &K, outcome: Outcome<E>, now: Moment) {
        let Stance::Running { since, lane, mark, meanwhile, .. } = self.entry(key).stance else {
            unreachable!("only runs that were started end");
        };
        let ended = Ended { lane, mark, slow: self.slots.is_slow(since, now), now };
        match meanwhile {
            Meanwhile::Nothing => {
                let next = self.weigh(key, outcome, ended);
                self.place(key, next);
            }
            Meanwhile::AskedAgain { lane, at } => {
                let next = self.weigh(key, outcome, ended);
                self.place(key, next);
                self.ask(key, lane, at, now);
            }
            Meanwhile::Reborn { lane, at } => self.line_up(key, lane, at),
            Meanwhile::Forgotten => self.remove(key),
        }
        self.edges.run_ended(mark);
        debug_assert!(self.adds_up());
    }

    /// Ends the run of `key`, which was cut short by no fault of its own: it is pending again.
    pub(in super::super) fn cut_short(&mut self, key: &K, now: Moment) {
        let entry = self.entry(key);
        let Stance::Running { lane, mark, meanwhile, .. } = entry.stance else {
            unreachable!("only runs that were started are cut short");
        };
        match meanwhile {
            Meanwhile::Nothing => {
                entry.reasons.push(Reason::CutShort);
                self.line_up(key, lane, now);
            }
            Meanwhile::AskedAgain { lane: asked, at } => {
                entry.reasons.push(Reason::CutShort);
                self.line_up(key, lane.min(asked), at);
            }
            Meanwhile::Reborn { lane, at } => self.line_up(key, lane, at),
            Meanwhile::Forgotten => self.remove(key),
        }
        self.edges.run_ended(mark);
        debug_assert!(self.adds_up());
    }

    /// Enters an outcome into the record of `key`, and says where the key stands after it.
    fn weigh(&mut self, key: &K, outcome: Outcome<E>, ended: Ended) -> Stance<E> {
        match outcome {
            Outcome::Done { resync } => self.weigh_done(key, resync, ended),
            Outcome::Wait { on, deadline, why } => self.weigh_wait(key, on, deadline, &why, ended),
            Outcome::Retry { class, why } => self.weigh_retry(key, class, &why, ended),
            Outcome::Stalled { why } => {
                let record = &mut self.entry(key).record;
                record.failures = record.failures.saturating_add(1);
                record.said = Some(shorten(&why, SAID_CHARS_MAX));
                Stance::Stalled
            }
        }
    }

    /// Success: the record is clean, and what the object last failed on is well.
    fn weigh_done(&mut self, key: &K, resync: Option<Duration>, ended: Ended) -> Stance<E> {
        let clean = Record { troubled: ended.slow, ..Record::default() };
        let before = std::mem::replace(&mut self.entry(key).record, clean);
        if let Some(dependency) = &before.failing_on {
            self.dependencies.recovered(dependency);
        }
        match resync {
            None => Stance::Idle,
            Some(rest) => Stance::Scheduled {
                due: ended.now.after(rest.max(REST_MIN)),
                lane: Lane::Resync,
                why_then: Reason::Resync,
            },
        }
    }

    /// Waiting, neither success nor failure. Where one of the edges fired during the run, the wait is over at once.
    fn weigh_wait(&mut self, key: &K, on: Vec<E>, deadline: Duration, why: &str, ended: Ended) -> Stance<E> {
        let fired = self.edges.fired_since(ended.mark, &on).cloned();
        let entry = self.entry(key);
        entry.record.absolve();
        entry.record.troubled = ended.slow;
        entry.record.said = Some(shorten(why, SAID_CHARS_MAX));
        if let Some(edge) = fired {
            entry.reasons.push(Reason::Woken { by: edge });
            return Stance::Pending { due: ended.now, lane: ended.lane.min(Lane::Drift), track: entry.track() };
        }
        Stance::Waiting {
            on: on.into_iter().collect(),
            deadline: ended.now.after(deadline.max(REST_MIN)),
            lane: ended.lane,
            why_then: Reason::DeadlinePassed,
        }
    }

    /// Failure: the backoff of whoever is to blame decides when the next try is due. An edge that says the dependency
    /// is well ends that wait; one that fired during the run has already ended the backoff of earlier failures.
    fn weigh_retry(&mut self, key: &K, class: RetryClass<E>, why: &str, ended: Ended) -> Stance<E> {
        let Self { entries, rng, dependencies, .. } = self;
        let record = &mut entries.get_mut(key).expect("a key that ran is known").record;
        record.failures = record.failures.saturating_add(1);
        record.troubled = true;
        record.said = Some(shorten(why, SAID_CHARS_MAX));
        let why_then = Reason::Retry { failures: record.failures };
        match class {
            RetryClass::Own => {
                let due = record.backoff.failed(ended.now, rng);
                record.failing_on = None;
                record.not_before = Some(due);
                Stance::Scheduled { due, lane: Lane::Retry, why_then }
            }
            RetryClass::Dependency(dependency) => {
                let deadline = dependencies.failed(&dependency, ended.now, rng);
                record.failing_on = Some(dependency.clone());
                record.not_before = Some(deadline);
                Stance::Waiting { on: [dependency].into(), deadline, lane: Lane::Retry, why_then }
            }
        }
    }
}
