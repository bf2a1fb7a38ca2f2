//! What surfaces and the planner may see of the scheduler: a bounded value, made after each burst of events.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::core::{Name, Timestamp};

use super::id::{GpuId, ModelAt, Moment, TaskSeq};
use super::reason::Reason;

/// What surfaces and the planner may see of the scheduler.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SchedulerView {
    pub gpus: BTreeMap<GpuId, GpuLockView>,
    /// Models that running tasks use, with the ids of these tasks: the planner must not unload them.
    pub in_use: BTreeMap<ModelAt, Vec<Arc<str>>>,
    /// When the newest run of a task with a model ended, since this program began.
    pub last_used: BTreeMap<ModelAt, Timestamp>,
    /// Models that the scheduler itself is loading or unloading, or took out for an exclusive holder and brings back.
    pub moving: BTreeMap<ModelAt, Moving>,
    /// The head of the queue in order, at most as many as were asked for.
    pub queue: Vec<Waiting>,
    pub counts: Counts,
    pub leases: Vec<LeaseView>,
    /// How often a finished task's true end fell into its ETA band.
    pub eta_coverage: Coverage,
}

/// What the scheduler does with a model of its own accord.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moving {
    Loading,
    Unloading,
    /// Taken out for an exclusive holder; it comes back when the lock clears.
    Displaced,
}

/// The lock of a GPU, and who stands where.
#[derive(Clone, Debug, PartialEq)]
pub struct GpuLockView {
    /// `shared`, `draining` or `exclusive`.
    pub mode: &'static str,
    pub since: Timestamp,
    /// Who owns it or drains it: a task id or `lease ID (PURPOSE)`.
    pub owner: Option<Arc<str>>,
    pub owner_task: Option<Arc<str>>,
    /// When the owner is expected to give it back, or the drain to end.
    pub clears_at: Option<Timestamp>,
    /// The tasks and leases that share it.
    pub holders: Vec<HolderView>,
    pub slots: u32,
    /// Memory sums in GB: total, reserve, what loaded and loading models take, foreign use where it is known.
    pub total_gb: f64,
    pub reserve_gb: f64,
    pub models_gb: f64,
    pub foreign_gb: Option<f64>,
    /// Memory of loaded models that nothing uses and no loadout wants, in GB.
    pub idle_gb: f64,
    pub simulated: bool,
}

/// One holder of a shared slot.
#[derive(Clone, Debug, PartialEq)]
pub struct HolderView {
    pub id: Arc<str>,
    /// What it does, such as `text.summarize`, or a lease's purpose.
    pub what: String,
    pub since: Timestamp,
    /// When it is expected to end.
    pub until: Option<Timestamp>,
}

/// A waiting task.
#[derive(Clone, Debug, PartialEq)]
pub struct Waiting {
    pub task: TaskSeq,
    pub id: Arc<str>,
    pub capability: Arc<str>,
    pub blocked: bool,
    pub why: WhyView,
    pub eta: Option<Eta>,
    pub priority: i32,
    /// When it was asked for.
    pub since: Timestamp,
    /// By when it was to be done at the latest, as was told when it was asked for; none when that could not be told.
    pub due_by: Option<Timestamp>,
    /// The GPU that its reason is about.
    pub gpu: Option<GpuId>,
}

/// A reason in words, for surfaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WhyView {
    /// A word of the closed set.
    pub reason: &'static str,
    /// One sentence.
    pub message: String,
    pub clears_at: Option<Timestamp>,
}

/// Seconds until a task is expected to be done: the 10th, 50th and 90th percentile of recent runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Eta {
    pub optimistic: f64,
    pub likely: f64,
    pub pessimistic: f64,
    /// From how many earlier runs.
    pub samples: u32,
}

/// A complete answer to "why does it wait".
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    pub why: WhyView,
    /// The chain: what it waits for, what that waits for, and so on, bounded.
    pub chain: Vec<WhyView>,
    /// What was looked at and ruled out, counted by cause: `2 runtimes do not offer video.gen`.
    pub ruled_out: Vec<String>,
    /// The exact shortfall in units: `4.4 GB more VRAM on desk/gpu0`.
    pub shortfall: Option<String>,
    /// The smallest change that would start it sooner.
    pub sooner: Option<String>,
    pub eta: Option<Eta>,
    /// Tasks that run before it.
    pub ahead: u64,
}

impl Explanation {
    /// What there is to say of a reason that rests on nothing the scheduler has.
    #[must_use]
    pub fn of(reason: &Reason, now: Moment) -> Self {
        Self {
            why: reason.view(now),
            chain: Vec::new(),
            ruled_out: Vec::new(),
            shortfall: None,
            sooner: None,
            eta: None,
            ahead: 0,
        }
    }
}

/// How many tasks stand where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub queued: u64,
    pub blocked: u64,
    pub running: u64,
}

/// A lease, granted or waiting.
#[derive(Clone, Debug, PartialEq)]
pub struct LeaseView {
    pub id: Arc<str>,
    pub gpus: Vec<GpuId>,
    pub holder: String,
    pub purpose: String,
    pub exclusive: bool,
    pub granted: bool,
    pub since: Timestamp,
    pub until: Timestamp,
    /// Why it is not granted yet.
    pub why: Option<WhyView>,
}

/// How often an ETA band held the truth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    pub inside: u64,
    pub total: u64,
}

impl SchedulerView {
    /// What a runtime's GPU is called for, when it is known.
    #[must_use]
    pub fn lock(&self, host: &Name, gpu: &Name) -> Option<&GpuLockView> {
        self.gpus.get(&GpuId { host: host.clone(), gpu: gpu.clone() })
    }
}
