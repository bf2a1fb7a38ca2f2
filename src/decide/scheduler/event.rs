//! What happens to the scheduler. An event is persisted before it is applied, wherever its loss would lose work.

use std::sync::Arc;

use crate::core::{Name, Timestamp};
use crate::decide::view::ModelState;

use super::config::Config;
use super::id::{GpuId, LeaseId, ModelAt, TaskSeq};

/// What happens to the scheduler.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// New policies, models, loadouts, runtimes. In force from the next decision on.
    WorldChanged(Arc<Config>),
    /// A task was accepted, or comes back from the store after a restart or for another attempt.
    Submitted(Box<Request>),
    /// The ids that a waiting task depends on changed (a committed Task it names was edited).
    Depends {
        task: TaskSeq,
        on: Vec<Dependency>,
    },
    /// A person wants it elsewhere. A waiting task only; a running one is stopped first by the caller.
    Rerouted {
        task: TaskSeq,
        runtime: Option<Name>,
        model: Option<Name>,
    },
    /// A person takes it back, waiting or running.
    Cancelled(TaskSeq),
    /// An attempt that was started ended.
    Ended {
        task: TaskSeq,
        end: End,
    },
    /// The start could not be written down: nothing was begun.
    NotStarted {
        task: TaskSeq,
    },
    Loaded {
        at: ModelAt,
        took_ms: u64,
    },
    Unloaded(ModelAt),
    /// A load or an unload failed. Not tried again for another task before `retry_ms` have passed.
    LoadFailed {
        at: ModelAt,
        message: String,
        retry_ms: u64,
    },
    UnloadFailed {
        at: ModelAt,
        message: String,
        retry_ms: u64,
    },
    /// What a runtime was seen to be.
    Seen {
        runtime: Name,
        seen: RuntimeSeen,
    },
    /// GPU memory that programs take which Arcology does not drive, in GB; none when it is not known.
    ForeignUse {
        gpu: GpuId,
        gb: Option<f64>,
    },
    /// Free disk space of a host in GB; none when it is not known.
    Disk {
        host: Name,
        free_gb: Option<f64>,
    },
    /// What a model was measured to take once loaded, in GB. Wins over the declared figure when larger.
    Measured {
        at: ModelAt,
        gb: f64,
    },
    /// How long an earlier attempt took: history for ETAs, replayed at the start.
    Took {
        capability: Arc<str>,
        model: Option<Name>,
        ms: u64,
    },
    /// How much an attempt put out, in bytes; history too, replayed at the start.
    PutOut {
        capability: Arc<str>,
        bytes: u64,
    },
    /// How long an earlier load took.
    LoadTook {
        at: ModelAt,
        ms: u64,
    },
    LeaseAsked(Box<LeaseRequest>),
    /// The holder (or who waits for it) is alive: the lease lasts `ttl_ms` from now on.
    LeaseRenewed {
        id: LeaseId,
        ttl_ms: u64,
    },
    LeaseReleased(LeaseId),
    /// The planner wants a model loaded or unloaded now; answered by `Admit` or `Refuse`. An admitted one is ended by
    /// `Loaded`, `LoadFailed`, `Unloaded` or `UnloadFailed`.
    Claim {
        at: ModelAt,
        verb: ClaimVerb,
    },
    /// Time passed.
    Tick,
}

/// What the planner wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimVerb {
    Load,
    Unload,
}

/// A task, as far as scheduling cares.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    pub task: TaskSeq,
    pub id: Arc<str>,
    /// A chain: all of them on one runtime, one after the other.
    pub capability: Arc<[String]>,
    pub runtime: Option<Name>,
    /// None: `auto`.
    pub model: Option<Name>,
    pub priority: i32,
    pub force: bool,
    /// `policy_overrides.gpu_exclusive`.
    pub exclusive: Option<bool>,
    pub not_before: Option<Timestamp>,
    pub depends_on: Vec<Dependency>,
    /// Runs although a dependency failed.
    pub runs_on_failure: bool,
    /// Tokens of its input: the runtime's own count, or a stated estimate.
    pub input_tokens: Option<u32>,
    /// Expected size of what comes out, in GB.
    pub output_gb: Option<f64>,
    /// For how long it has waited already, before this event. After a restart or a retry it keeps its age.
    pub waited_ms: u64,
    /// Attempts that were made.
    pub attempts: u32,
    /// Not before so many milliseconds from now: the rest of a backoff, with what failed.
    pub backoff: Option<(u64, String)>,
}

/// Something a task waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependency {
    pub id: Arc<str>,
    /// What is known of it already; none: it is still to come, or in the queue.
    pub over: Option<Over>,
}

/// How a dependency ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    Done,
    /// Failed or cancelled.
    Failed,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq)]
pub enum End {
    Done {
        took_ms: u64,
    },
    /// It failed for good.
    Failed {
        message: String,
    },
    Cancelled,
    /// It failed and is tried again after `wait_ms`, or was interrupted (`wait_ms` 0).
    Again {
        wait_ms: u64,
        message: String,
    },
}

/// What a runtime was seen to be.
#[derive(Clone, Debug, PartialEq)]
pub enum RuntimeSeen {
    /// A fresh observation.
    Up {
        /// By the runtime's own real name.
        models: Vec<(Arc<str>, ModelState, Option<f64>)>,
        /// Requests it works on or that wait in it, ours and others'; none when it cannot tell.
        in_flight: Option<u32>,
    },
    /// It cannot be observed, since then.
    Down { since: Timestamp, why: String },
}

/// Another program that wants a GPU or a host.
#[derive(Clone, Debug, PartialEq)]
pub struct LeaseRequest {
    pub id: LeaseId,
    /// The GPUs it wants, all at once.
    pub gpus: Vec<GpuId>,
    pub holder: String,
    pub purpose: String,
    /// Alone, or in a shared slot beside others.
    pub exclusive: bool,
    /// GPU memory it will take on each, in GB; none: all there is when exclusive, nothing when shared.
    pub vram_gb: Option<f64>,
    pub force: bool,
    pub priority: i32,
    /// It ends so long after the last sign of life.
    pub ttl_ms: u64,
    /// True when it was granted before a restart. After one, these are told before leases and tasks that wait.
    pub held: bool,
}
