//! The queue on the front page: what runs, what waits in the order of the scheduler, why, and until when; with filters.

use serde::Serialize;

use crate::core::text::{age, count};
use crate::remember::store::row::TaskState;
use crate::tell::web::facts::{Facts, Queue};
use crate::tell::web::outlook::{Band, Outlooks};

use super::frame::{Choice, choices};
use super::part::Empty;
use super::task::{TaskLine, TaskQuery, capability_choices, runtime_choices};

/// The most waiting tasks that the front page lists, and the most running ones before them.
pub const WAITING_SHOWN_MAX: usize = 12;
pub const RUNNING_SHOWN_MAX: usize = 6;

/// The queue.
#[derive(Clone, Debug, Serialize)]
pub struct QueuePart {
    pub caption: &'static str,
    pub rows: Vec<TaskLine>,
    /// Where the rest is listed, and how many that are; none when all are here.
    pub more: Option<More>,
    pub states: Vec<Choice>,
    pub capabilities: Vec<Choice>,
    pub runtimes: Vec<Choice>,
    pub tag: String,
    pub filtered: bool,
    /// How often estimates were right.
    pub coverage: Option<String>,
    pub empty: Option<Empty>,
}

/// What is not listed here.
#[derive(Clone, Debug, Serialize)]
pub struct More {
    pub text: String,
    pub href: String,
}

impl QueuePart {
    #[must_use]
    pub fn of(facts: &Facts, queue: &Queue) -> Self {
        let (outlooks, query) = (Outlooks::of(facts), &queue.query);
        let filtered = *query != TaskQuery::default();
        let live = TaskState::ALL.into_iter().filter(|state| !state.is_final()).map(TaskState::as_str);
        let rows = queue.open.iter().map(|task| TaskLine::of(task, &outlooks.task(task, None), facts.now));
        Self {
            caption: match (filtered, facts.picture.scheduler.queue.is_empty()) {
                (true, _) => "Tasks that match and run or wait",
                (false, false) => "What runs, then what waits in the order in which it is to start",
                (false, true) => "Tasks that run or wait, the newest first",
            },
            rows: rows.collect(),
            more: more(queue, filtered),
            states: choices("running or waiting", live, query.state.map(TaskState::as_str)),
            capabilities: capability_choices(query),
            runtimes: runtime_choices(facts, query),
            tag: query.tag.clone().unwrap_or_default(),
            filtered,
            coverage: coverage(facts),
            empty: queue.open.is_empty().then(|| empty(queue, filtered)),
        }
    }
}

fn more(queue: &Queue, filtered: bool) -> Option<More> {
    let href = queue.query.address(super::task::ROWS_DEFAULT, None);
    if filtered {
        let full = queue.open.len() >= WAITING_SHOWN_MAX + RUNNING_SHOWN_MAX;
        return full.then(|| More { text: "all that match".into(), href });
    }
    let shown = u64::try_from(queue.open.len()).unwrap_or(u64::MAX);
    let rest = queue.counts.map_or(0, |counts| counts.open()).saturating_sub(shown);
    (rest > 0).then(|| More { text: format!("{rest} more"), href })
}

fn empty(queue: &Queue, filtered: bool) -> Empty {
    match &queue.problem {
        Some(problem) => Empty::new(format!("The queue is not known: {problem}"), Some("arcology status")),
        None if filtered => Empty::new("Nothing that runs or waits matches this filter.", None),
        None => Empty::new("Nothing waits and nothing runs.", Some("arcology submit FILE --wait")),
    }
}

/// `82 of the last 100 tasks ended inside the band that was told when they were asked for`.
fn coverage(facts: &Facts) -> Option<String> {
    let told = facts.picture.scheduler.eta_coverage;
    let total = usize::try_from(told.total).unwrap_or(usize::MAX);
    (total > 0).then(|| {
        let tasks = count(total, "task");
        format!("Estimates: {} of the last {tasks} ended inside the band that was told at the start.", told.inside)
    })
}

/// `done in about 42 s (30 s to 2 min, from 14 earlier runs)`.
#[must_use]
pub fn expectation(band: &Band) -> String {
    let said = |seconds: u64| age(seconds.saturating_mul(1_000));
    let runs = count(band.samples as usize, "earlier run");
    if band.pessimistic == 0 {
        return format!("done any moment (from {runs})");
    }
    format!(
        "done in about {} ({} to {}, from {runs})",
        said(band.likely),
        said(band.optimistic),
        said(band.pessimistic)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_estimate_is_a_likely_time_with_its_band_and_where_it_comes_from() {
        let band = |optimistic, likely, pessimistic, samples| Band { optimistic, likely, pessimistic, samples };
        assert_eq!(expectation(&band(30, 42, 150, 14)), "done in about 42 s (30 s to 2 min, from 14 earlier runs)");
        assert_eq!(expectation(&band(0, 0, 0, 3)), "done any moment (from 3 earlier runs)");
    }
}
