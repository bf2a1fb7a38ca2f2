//! What the scheduler decides. A decision is persisted before it is carried out.

use std::sync::Arc;

use crate::core::Name;

use super::id::{GpuId, LeaseId, ModelAt, TaskSeq};
use super::reason::Reason;

/// What the scheduler decides.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// Begin an attempt there. Slot, lock and memory are taken already.
    Start {
        task: TaskSeq,
        place: Place,
    },
    /// End a running attempt: a person took the task back, or it makes way (`requeue`).
    Stop {
        task: TaskSeq,
        requeue: bool,
    },
    /// Memory is reserved already.
    Load {
        at: ModelAt,
        gpu: Option<GpuId>,
        need_gb: Option<f64>,
        because: String,
    },
    Unload {
        at: ModelAt,
        because: String,
    },
    /// It waits, for this reason from now on. Told when the reason of a task changes that is blocked by something of its own
    /// or stands first in its line; what stands behind is told on demand.
    Wait {
        task: TaskSeq,
        reason: Reason,
    },
    /// It can never run.
    Fail {
        task: TaskSeq,
        code: FailCode,
        message: String,
    },
    /// Taken out of the queue: it was cancelled while it waited.
    Drop {
        task: TaskSeq,
    },
    Grant {
        lease: LeaseId,
    },
    /// Taken back: no sign of life for too long. `held` is false for one that was never granted.
    Expire {
        lease: LeaseId,
        held: bool,
    },
    /// The lock of a GPU changed: for the timeline.
    Lock {
        gpu: GpuId,
        mode: LockMode,
    },
    Admit {
        at: ModelAt,
    },
    Refuse {
        at: ModelAt,
        reason: Reason,
    },
}

/// Where a task runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub runtime: Name,
    /// The declared model; none lets the runtime choose.
    pub model: Option<Name>,
    /// The runtime's own name of it.
    pub served_as: Option<Arc<str>>,
    pub gpu: Option<GpuId>,
    /// Whether it has the GPU for itself.
    pub exclusive: bool,
}

/// Why a task can never run: codes of the task contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailCode {
    FitFailed,
    DependencyFailed,
}

impl FailCode {
    /// The word of the JSON contract.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FitFailed => "fit_failed",
            Self::DependencyFailed => "dependency_failed",
        }
    }
}

/// The lock of a GPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LockMode {
    Shared,
    /// Nothing new is admitted until this one owns it.
    Draining(Holder),
    Exclusive(Holder),
}

impl LockMode {
    /// The word of the JSON contract.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Shared => "shared",
            Self::Draining(_) => "draining",
            Self::Exclusive(_) => "exclusive",
        }
    }
}

/// Who holds a GPU or waits for it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Holder {
    Task(TaskSeq),
    Lease(LeaseId),
}
