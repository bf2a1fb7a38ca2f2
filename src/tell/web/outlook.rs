//! What the scheduler says of tasks at one instant: why each waits, when it is expected to be done, where it stands.
//!
//! The scheduler's word is newer than the row's in the store, which is written for the heads of lines alone; the row's
//! stands where the scheduler says nothing. Estimates age with the picture they came with.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::core::Timestamp;
use crate::core::clock::millis_since;
use crate::decide::scheduler::SchedulerView;
use crate::decide::scheduler::view::{Eta, Explanation, Waiting, WhyView};
use crate::remember::store::row::{TaskRow, TaskState, Why};

use super::facts::Facts;

/// What is to be expected of one task.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outlook {
    /// Why it waits; none when it does not, or nobody knows.
    pub why: Option<Why>,
    pub band: Option<Band>,
    /// When a running task is expected to end; may be past.
    pub ends_at: Option<Timestamp>,
    /// Its place in the order of the queue, from 1; none while it is blocked, and behind the head that is published.
    pub place: Option<usize>,
}

/// Seconds from now until a task is expected to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Band {
    pub optimistic: u64,
    pub likely: u64,
    pub pessimistic: u64,
    /// From how many earlier runs.
    pub samples: u32,
}

/// What the scheduler published, by task.
#[derive(Clone, Debug)]
pub struct Outlooks<'a> {
    waiting: BTreeMap<&'a str, (usize, &'a Waiting)>,
    ends: BTreeMap<&'a str, Timestamp>,
    /// How old the picture is, in seconds.
    aged_s: f64,
    now: Timestamp,
}

impl<'a> Outlooks<'a> {
    #[must_use]
    pub fn of(facts: &'a Facts) -> Self {
        let view: &SchedulerView = &facts.picture.scheduler;
        let made_at = facts.picture.made_at.unwrap_or(facts.now);
        #[expect(clippy::cast_precision_loss, reason = "ages of pictures are far below 2^53 ms")]
        let aged_s = millis_since(made_at, facts.now) as f64 / 1_000.0;
        let places = view.queue.iter().enumerate();
        Self {
            waiting: places.map(|(n, waiting)| (&*waiting.id, (n + 1, waiting))).collect(),
            ends: ends(view),
            aged_s,
            now: facts.now,
        }
    }

    /// What the queue's head says of a waiting task.
    #[must_use]
    pub fn waiting(&self, id: &str) -> Option<&'a Waiting> {
        self.waiting.get(id).map(|(_, waiting)| *waiting)
    }

    /// Of a task, with the scheduler's answer at length where it was asked for one. That one is as new as the request.
    #[must_use]
    pub fn task(&self, row: &TaskRow, explanation: Option<&Explanation>) -> Outlook {
        if row.state.is_final() {
            return Outlook::default();
        }
        if row.state == TaskState::Running {
            let ends_at = self.ends.get(row.id.as_str()).copied();
            return Outlook { ends_at, ..Outlook::default() };
        }
        let told = self.waiting.get(row.id.as_str());
        let band = match explanation {
            Some(explanation) => explanation.eta.map(|eta| self.not_before(Band::of(&eta, 0.0), &explanation.why)),
            None => told.and_then(|(_, waiting)| self.band_of(waiting)),
        };
        let newest = explanation.map(|explanation| &explanation.why).or(told.map(|(_, waiting)| &waiting.why));
        Outlook {
            why: newest.map(why).or_else(|| row.why.clone()),
            band,
            ends_at: None,
            // What is blocked stands in no line yet.
            place: told.filter(|(_, waiting)| !waiting.blocked).map(|(place, _)| *place),
        }
    }

    /// What is estimated of a waiting task.
    #[must_use]
    pub fn band_of(&self, waiting: &Waiting) -> Option<Band> {
        waiting.eta.map(|eta| self.not_before(Band::of(&eta, self.aged_s), &waiting.why))
    }

    /// What is estimated from earlier runs knows nothing of dates and of other programs: a task is not done before what it
    /// waits for is over. A lease may end early, so that the optimistic figure stays.
    fn not_before(&self, band: Band, why: &WhyView) -> Band {
        let (hard, soft) = (["NotBefore", "Backoff"].contains(&why.reason), why.reason == "Leased");
        let left = why.clears_at.filter(|at| *at > self.now && (hard || soft));
        let left = left.map_or(0, |at| millis_since(self.now, at).div_ceil(1_000));
        Band {
            optimistic: if hard { band.optimistic + left } else { band.optimistic },
            likely: band.likely + left,
            pessimistic: band.pessimistic + left,
            samples: band.samples,
        }
    }

    /// Seconds until a running task is expected to end; none when it is not known, 0 when it should have ended.
    #[must_use]
    pub fn seconds_left(&self, outlook: &Outlook) -> Option<u64> {
        outlook.ends_at.map(|at| if at > self.now { millis_since(self.now, at).div_ceil(1_000) } else { 0 })
    }
}

/// When what runs is expected to end: holders of shared slots and owners of whole GPUs.
fn ends(view: &SchedulerView) -> BTreeMap<&str, Timestamp> {
    let mut ends = BTreeMap::new();
    for lock in view.gpus.values() {
        ends.extend(lock.holders.iter().filter_map(|holder| Some((&*holder.id, holder.until?))));
        if lock.mode == "exclusive"
            && let (Some(task), Some(at)) = (&lock.owner_task, lock.clears_at)
        {
            ends.insert(&**task, at);
        }
    }
    ends
}

fn why(view: &WhyView) -> Why {
    Why { reason: view.reason.to_owned(), message: view.message.clone(), clears_at: view.clears_at }
}

impl Band {
    fn of(eta: &Eta, aged_s: f64) -> Self {
        let seconds = |told: f64| whole_seconds(told - aged_s);
        Self {
            optimistic: seconds(eta.optimistic),
            likely: seconds(eta.likely),
            pessimistic: seconds(eta.pessimistic),
            samples: eta.samples,
        }
    }
}

/// Rounded, and never below zero.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to what fits before the cast")]
fn whole_seconds(seconds: f64) -> u64 {
    // A century is more than anybody waits; NaN becomes 0.
    seconds.round().clamp(0.0, 3.2e9) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_for_a_date_or_a_lease_is_not_done_before_and_what_waits_for_a_task_is_as_it_was_estimated() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let outlooks = Outlooks { waiting: BTreeMap::new(), ends: BTreeMap::new(), aged_s: 0.0, now: at(1_000) };
        let band = Band { optimistic: 1, likely: 2, pessimistic: 3, samples: 9 };
        let told = |reason, clears: Option<i64>| {
            let why = WhyView { reason, message: String::new(), clears_at: clears.map(at) };
            let band = outlooks.not_before(band, &why);
            (band.optimistic, band.likely, band.pessimistic)
        };
        assert_eq!(told("NotBefore", Some(1_060)), (61, 62, 63));
        assert_eq!(told("Leased", Some(1_060)), (1, 62, 63));
        for (reason, clears) in [("ExclusiveHeld", Some(1_060)), ("Leased", Some(900)), ("Backoff", None)] {
            assert_eq!(told(reason, clears), (1, 2, 3), "{reason}");
        }
    }

    #[test]
    fn an_estimate_grows_old_with_its_picture_and_never_becomes_negative() {
        let eta = Eta { optimistic: 3.0, likely: 42.4, pessimistic: 90.0, samples: 14 };
        let band = |aged| {
            let band = Band::of(&eta, aged);
            (band.optimistic, band.likely, band.pessimistic)
        };
        assert_eq!((band(0.0), band(5.0), band(1e9)), ((3, 42, 90), (0, 37, 85), (0, 0, 0)));
        assert_eq!((whole_seconds(f64::NAN), whole_seconds(f64::INFINITY)), (0, 3_200_000_000));
    }
}
