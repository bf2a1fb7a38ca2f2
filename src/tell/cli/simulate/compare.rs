//! All that `arcology simulate` tells, as one value: two replays of the same submissions beside each other.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::core::Timestamp;
use crate::decide::scheduler::replay::history::{Gaps, History, LOAD_ASSUMED_MS};
use crate::decide::scheduler::replay::report::{CapabilityReport, GpuReport};
use crate::decide::scheduler::replay::{Outcome, Report, Spread};

use super::remarks::{self, Remark};

/// Counts up when a key of the JSON changes its meaning or goes away.
pub const VERSION: u32 = 1;

/// What would have been otherwise.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    pub version: u32,
    /// The time of the submissions that were replayed.
    pub from: Timestamp,
    pub to: Timestamp,
    /// What is compared: the revision in force, and what was put in its place.
    pub in_force: String,
    pub changed: String,
    pub submissions: u64,
    pub totals: Pair<Totals>,
    pub capabilities: Vec<CapabilityRow>,
    pub gpus: Vec<GpuRow>,
    /// What would get better or worse, the weightiest first.
    pub remarks: Vec<Remark>,
    /// What could not be known and was assumed.
    pub unknown: Vec<String>,
}

/// The same figure as it is in force, and as it would be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Pair<T> {
    pub in_force: T,
    pub changed: T,
}

/// Figures of a whole replay. Times are in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Totals {
    pub wait: Wait,
    pub loads: u64,
    pub unloads: u64,
    pub loading_ms: u64,
    pub drained_ms: u64,
    pub exclusive_ms: u64,
    pub makespan_ms: u64,
    /// Attempts stopped to make way.
    pub requeued: u64,
    /// Could never run.
    pub refused: u64,
    /// Still waited when nothing could happen any more.
    pub stranded: u64,
}

/// How long tasks waited, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Wait {
    /// How many began.
    pub tasks: u64,
    pub mean_ms: f64,
    pub p50_ms: u64,
    pub p95_ms: u64,
    pub max_ms: u64,
}

/// A capability, or a chain of them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CapabilityRow {
    pub capability: String,
    pub wait: Pair<Wait>,
    pub busy_ms: Pair<u64>,
}

/// A GPU.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GpuRow {
    pub gpu: String,
    pub total_gb: f64,
    /// The most that models took at once.
    pub high_gb: Pair<f64>,
    pub drained_ms: Pair<u64>,
    pub exclusive_ms: Pair<u64>,
}

/// What the two replays were of.
pub struct Subject {
    pub in_force: String,
    pub changed: String,
    pub to: Timestamp,
}

impl Comparison {
    /// Lays two replays of `history` beside each other.
    #[must_use]
    pub fn of(subject: Subject, history: &History, before: &Report, after: &Report) -> Self {
        let mut comparison = Self {
            version: VERSION,
            from: history.start,
            to: subject.to,
            in_force: subject.in_force,
            changed: subject.changed,
            submissions: history.submissions.len() as u64,
            totals: Pair { in_force: totals(before), changed: totals(after) },
            capabilities: capabilities(before, after),
            gpus: gpus(before, after),
            remarks: Vec::new(),
            unknown: unknown(history, before, after),
        };
        comparison.remarks = remarks::of(&comparison);
        comparison
    }
}

impl<T> Pair<T> {
    /// The same part of both.
    pub fn map<U>(self, part: impl Fn(T) -> U) -> Pair<U> {
        Pair { in_force: part(self.in_force), changed: part(self.changed) }
    }
}

impl From<Spread> for Wait {
    fn from(spread: Spread) -> Self {
        Self { tasks: spread.count, mean_ms: spread.mean, p50_ms: spread.p50, p95_ms: spread.p95, max_ms: spread.max }
    }
}

fn totals(report: &Report) -> Totals {
    Totals {
        wait: report.waits.into(),
        loads: report.loads_total(),
        unloads: report.unloads,
        loading_ms: report.loading_ms,
        drained_ms: report.gpus.values().map(|gpu| gpu.drained_ms).sum(),
        exclusive_ms: report.gpus.values().map(|gpu| gpu.exclusive_ms).sum(),
        makespan_ms: report.makespan_ms,
        requeued: report.requeued,
        refused: report.count(Outcome::Refused),
        stranded: report.count(Outcome::Stranded),
    }
}

fn capabilities(before: &Report, after: &Report) -> Vec<CapabilityRow> {
    let all: BTreeSet<&String> = before.capabilities.keys().chain(after.capabilities.keys()).collect();
    let of = |report: &Report, name: &String| -> CapabilityReport {
        report.capabilities.get(name).cloned().unwrap_or_default()
    };
    let row = |name: &String| {
        let (before, after) = (of(before, name), of(after, name));
        CapabilityRow {
            capability: name.clone(),
            wait: Pair { in_force: before.waits.into(), changed: after.waits.into() },
            busy_ms: Pair { in_force: before.busy_ms, changed: after.busy_ms },
        }
    };
    all.into_iter().map(row).collect()
}

fn gpus(before: &Report, after: &Report) -> Vec<GpuRow> {
    let mut all: BTreeMap<String, Pair<GpuReport>> = BTreeMap::new();
    for (id, gpu) in &before.gpus {
        all.entry(id.to_string()).or_default().in_force = gpu.clone();
    }
    for (id, gpu) in &after.gpus {
        all.entry(id.to_string()).or_default().changed = gpu.clone();
    }
    let row = |(gpu, pair): (String, Pair<GpuReport>)| GpuRow {
        gpu,
        total_gb: pair.in_force.total_gb.max(pair.changed.total_gb),
        high_gb: Pair { in_force: pair.in_force.high_gb, changed: pair.changed.high_gb },
        drained_ms: Pair { in_force: pair.in_force.drained_ms, changed: pair.changed.drained_ms },
        exclusive_ms: Pair { in_force: pair.in_force.exclusive_ms, changed: pair.changed.exclusive_ms },
    };
    all.into_iter().map(row).collect()
}

/// What was assumed, each in one sentence.
fn unknown(history: &History, before: &Report, after: &Report) -> Vec<String> {
    let Gaps { left_out, never_ran, dependencies_taken_as_done, no_load_recorded } = &history.gaps;
    let mut all = Vec::new();
    for (capability, count) in left_out {
        all.push(format!("{} of {capability} left out: none of them ever ran", tasks(*count)));
    }
    if *never_ran > 0 {
        all.push(format!("{} that never ran: taken to last as long as others of their capability", tasks(*never_ran)));
    }
    let assumed: BTreeSet<String> =
        [before, after].into_iter().flat_map(|report| history.loads_assumed(report)).map(|at| at.to_string()).collect();
    if !assumed.is_empty() {
        let ms = history.load_times.load_otherwise;
        let how = if *no_load_recorded { "a guess" } else { "the median of all recorded loads" };
        debug_assert!(!no_load_recorded || ms == LOAD_ASSUMED_MS);
        let (time, names) = (super::lasting(ms as f64), assumed.into_iter().collect::<Vec<_>>().join(", "));
        all.push(format!("loads without history, taken as {time} ({how}): {names}"));
    }
    let guessed = before.guessed.max(after.guessed);
    if guessed > 0 {
        let starts = crate::core::text::count(usize::try_from(guessed).unwrap_or(usize::MAX), "start");
        all.push(format!("{starts} where such work never ran: taken to last as long as it did elsewhere"));
    }
    if *dependencies_taken_as_done > 0 {
        let times = if *dependencies_taken_as_done == 1 { "once" } else { "several times" };
        all.push(format!("{times}, a task depended on one from before that time: taken as done"));
    }
    all.push(
        "not replayed: what was queued before that time, leases of other programs, GPU memory that other programs took, \
         failures of runtimes"
            .to_owned(),
    );
    all
}

fn tasks(count: u64) -> String {
    crate::core::text::count(usize::try_from(count).unwrap_or(usize::MAX), "task")
}
