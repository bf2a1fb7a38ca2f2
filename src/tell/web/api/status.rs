//! `/api/v1/status`: one screen. `arcology status` prints it, the front page shows it.

use serde::Serialize;

use crate::core::{Commit, Timestamp};
use crate::decide::reconcile::Sync;
use crate::tell::web::attention::{self, Attention};
use crate::tell::web::facts::{Facts, Queue, TaskCounts};

use super::host::{self, GpuRow, HostRow};
use super::lock::{self, LockBrief};
use super::runtime::{self, RuntimeBrief};

/// One screen of status.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// The applied revision, `main@sha1:…`; null before the first.
    pub revision: Option<String>,
    pub commit: Option<Commit>,
    pub applied_at: Option<Timestamp>,
    pub generated_at: Timestamp,
    pub source: SourceBody,
    pub objects: ObjectCounts,
    pub runtimes: Vec<RuntimeBrief>,
    pub hosts: Vec<HostRow>,
    pub gpus: Vec<GpuRow>,
    /// Null when the store could not be read; `store_problem` says why.
    pub tasks: Option<TaskCounts>,
    pub attention: Vec<Attention>,
    pub locks: Vec<LockBrief>,
    /// How often a task ended inside the band that was told when it was asked for.
    pub eta_coverage: EtaCoverage,
    pub incidents: Incidents,
    pub store_problem: Option<String>,
}

/// Where desired state comes from, and whether that works.
#[derive(Clone, Debug, Serialize)]
pub struct SourceBody {
    pub repo: String,
    pub branch: String,
    pub ready: bool,
    pub reason: Option<String>,
    pub message: Option<String>,
    pub help: Option<String>,
    pub since: Option<Timestamp>,
    pub checked_at: Option<Timestamp>,
    /// The newest revision that was seen but is not in force.
    pub pending: Option<String>,
}

/// How many objects there are, by sync. `held` ones are counted under their sync as well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ObjectCounts {
    pub total: u64,
    pub in_sync: u64,
    pub drifted: u64,
    pub unknown: u64,
    pub invalid: u64,
    pub held: u64,
}

/// How good estimates were.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct EtaCoverage {
    pub inside: u64,
    pub total: u64,
}

impl EtaCoverage {
    fn of(facts: &Facts) -> Self {
        let told = facts.picture.scheduler.eta_coverage;
        Self { inside: told.inside, total: told.total }
    }
}

/// Nothing opens incidents in this version.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Incidents {
    pub open: u64,
}

impl Status {
    #[must_use]
    pub fn of(facts: &Facts, queue: &Queue) -> Self {
        Self {
            revision: facts.revision_text(),
            commit: facts.revision().map(|revision| revision.commit.clone()),
            applied_at: facts.picture.source.applied_at,
            generated_at: facts.now,
            source: SourceBody::of(facts),
            objects: ObjectCounts::of(facts),
            runtimes: runtime::all(facts).iter().map(runtime::RuntimeFacts::brief).collect(),
            hosts: host::hosts(facts),
            gpus: host::gpus(facts),
            tasks: queue.counts,
            attention: attention::list(facts, queue),
            locks: lock::briefs(facts),
            eta_coverage: EtaCoverage::of(facts),
            incidents: Incidents::default(),
            store_problem: facts.picture.store_problem.clone().or_else(|| queue.problem.clone()),
        }
    }
}

impl SourceBody {
    #[must_use]
    pub fn of(facts: &Facts) -> Self {
        let source = &facts.picture.source;
        let waiting = facts.revision().is_none().then_some(());
        let problem = source.problem.as_ref();
        Self {
            repo: super::runtime::without_credentials(&source.repo),
            branch: source.branch.clone(),
            ready: problem.is_none() && waiting.is_none(),
            reason: problem.map(|problem| problem.reason.clone()).or_else(|| waiting.map(|()| "NothingApplied".into())),
            message: problem
                .map(|problem| problem.message.clone())
                .or_else(|| waiting.map(|()| "no revision was applied yet".into())),
            help: problem.and_then(|problem| problem.help.clone()),
            since: problem.map(|problem| problem.since),
            checked_at: source.checked_at,
            pending: source.pending.as_ref().map(ToString::to_string),
        }
    }
}

impl ObjectCounts {
    #[must_use]
    pub fn of(facts: &Facts) -> Self {
        let mut counts = Self::default();
        for status in &facts.statuses {
            counts.total += 1;
            counts.held += u64::from(status.hold.is_some());
            match status.sync {
                Sync::InSync => counts.in_sync += 1,
                Sync::Drifted(_) => counts.drifted += 1,
                Sync::Unknown => counts.unknown += 1,
                Sync::Invalid => counts.invalid += 1,
            }
        }
        counts
    }
}
