//! What the dispatcher wants done. Ops are carried out in their order; writes of one batch may share one commit.

use std::sync::Arc;

use crate::core::Timestamp;
use crate::decide::scheduler::{GpuId, LeaseId, ModelAt, Place, Reason, TaskSeq};

use super::input::{ClaimAnswer, ClaimId};
use super::record::Record;

/// A write under way; its answer names it. Counts up from the start of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WriteId(pub u64);

/// What the dispatcher wants done.
#[derive(Clone, Debug)]
pub enum Op {
    /// Write it durably, in one step with its audit entry, and answer by `Written` or `NotWritten`. Writes take effect in
    /// the order in which they were asked for.
    Write { id: WriteId, record: Record },
    /// Write it when there is time; losing the newest is no harm. Not answered.
    Note(Note),
    /// Begin the attempt, and answer by `RunEnded` once.
    Run { task: TaskSeq, id: Arc<str>, attempt: u32, place: Place },
    /// End the attempt that runs: drop its call, so that the runtime is told where it can be reached.
    StopRun { task: TaskSeq, attempt: u32, why: String },
    /// Load a model, and answer by `CallEnded` once.
    Load { at: ModelAt },
    /// Unload a model, and answer by `CallEnded` once.
    Unload { at: ModelAt },
    /// The answer to a claim of the planner.
    Claimed { claim: ClaimId, answer: ClaimAnswer },
    /// The lease is its holder's from now on: written, and to be told.
    LeaseGranted { id: LeaseId },
    /// The lease is over: written, and to be told to whoever waits for it.
    LeaseOver { id: LeaseId },
}

/// What is kept for people to read.
#[derive(Clone, Debug, PartialEq)]
pub enum Note {
    /// Why a task waits. Only for tasks with a reason of their own and for those that stand first in their line.
    Why {
        task: TaskSeq,
        id: Arc<str>,
        reason: Reason,
    },
    /// A GPU is held from now on: the timeline of locks.
    SpanBegan {
        gpu: GpuId,
        kind: SpanKind,
        holder: Arc<str>,
        since: Timestamp,
    },
    SpanEnded {
        gpu: GpuId,
        kind: SpanKind,
        holder: Arc<str>,
        until: Timestamp,
    },
}

/// In which way a GPU is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SpanKind {
    /// A shared slot of a task.
    Shared,
    /// Closed for `holder`, who waits for what still runs.
    Draining,
    /// A task has it for itself.
    Exclusive,
    /// A lease, shared or exclusive.
    Lease,
}

impl SpanKind {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Shared => "shared",
            Self::Draining => "draining",
            Self::Exclusive => "exclusive",
            Self::Lease => "lease",
        }
    }
}

/// Whether a task with this reason is shown as `blocked` (it cannot run yet whatever is free) rather than `queued`.
#[must_use]
pub fn blocks(reason: &Reason) -> bool {
    match reason {
        Reason::Dependency { .. } | Reason::NotBefore { .. } => true,
        Reason::SharedSlotsFull { .. }
        | Reason::ExclusiveHeld { .. }
        | Reason::Draining { .. }
        | Reason::CopilotPersistent { .. }
        | Reason::NoRuntime { .. }
        | Reason::RuntimeDown { .. }
        | Reason::ModelLoading { .. }
        | Reason::VramFull { .. }
        | Reason::DiskFull { .. }
        | Reason::Leased { .. }
        | Reason::Paused { .. }
        | Reason::Priority { .. }
        | Reason::Backoff { .. }
        | Reason::InUse { .. } => false,
    }
}
