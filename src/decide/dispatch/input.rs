//! What happens to the dispatcher. An input is handed in once; one that comes twice or too late does no harm.

use std::sync::Arc;

use crate::core::Name;
use crate::decide::scheduler::{ClaimVerb, Config, Event, LeaseId, LeaseRequest, ModelAt, Reason, TaskSeq};

use super::op::WriteId;
use super::stored::Stored;

/// A question of the planner; its answer names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClaimId(pub u64);

/// What happens to the dispatcher.
#[derive(Clone, Debug)]
pub enum Input {
    /// A task is on disk and waits: it was accepted just now, or a person let one that was over run again.
    Accepted(Box<Stored>),
    /// The world in force changed.
    World(Arc<Config>),
    /// What was seen of the world and needs no record: `Seen`, `ForeignUse`, `Disk`, `Measured`, `Took`, `LoadTook`,
    /// `Depends`. Other events are the dispatcher's own to make and are ignored here.
    Event(Event),
    /// A record is on disk.
    Written(WriteId),
    /// A record is not on disk, and nothing of it is.
    NotWritten(WriteId, NotWritten),
    /// An attempt that `Op::Run` began is over, whatever ended it. `attempt` is the one that ran.
    RunEnded {
        task: TaskSeq,
        attempt: u32,
        outcome: RunOutcome,
    },
    /// A load or unload that `Op::Load` or `Op::Unload` began is over.
    CallEnded {
        at: ModelAt,
        verb: ClaimVerb,
        took_ms: u64,
        result: Result<(), CallFailure>,
    },
    /// The planner wants a model loaded or unloaded now. Answered at once by `Op::Claimed`.
    Claim {
        claim: ClaimId,
        at: ModelAt,
        verb: ClaimVerb,
    },
    /// What an admitted claim was for is over, and written.
    ClaimEnded {
        claim: ClaimId,
        took_ms: u64,
        result: Result<(), CallFailure>,
    },
    /// A person takes a task back, waiting or running.
    Cancel {
        task: TaskSeq,
        by: String,
        reason: String,
    },
    /// A person wants a task elsewhere, waiting or running.
    Reroute {
        task: TaskSeq,
        runtime: Option<Name>,
        model: Option<Name>,
        by: String,
    },
    LeaseAsk {
        lease: Box<LeaseRequest>,
        by: String,
    },
    /// A sign of life of who holds a lease or waits for it.
    LeaseRenew {
        id: LeaseId,
        ttl_ms: u64,
    },
    LeaseRelease {
        id: LeaseId,
        by: String,
    },
    /// The program ends: nothing new is begun from now on.
    Closing,
    /// Time passed.
    Tick,
}

/// How an attempt ended in the world. Outputs are kept by whoever ran it until the end is written.
#[derive(Clone, Debug, PartialEq)]
pub enum RunOutcome {
    /// Its outputs are in the vault.
    Done {
        took_ms: u64,
    },
    Failed(RunFailure),
    /// It was stopped because `Op::StopRun` said so.
    Stopped,
    /// It was cut short because the program ends: nobody's wish for this task.
    Shutdown,
}

/// Why an attempt failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunFailure {
    /// A word of the closed set of the task contract.
    pub code: &'static str,
    pub message: String,
    /// Whether trying again can mend it.
    pub transient: bool,
    /// How long the runtime asks to be left alone, where it says so.
    pub retry_after_ms: Option<u64>,
}

/// Why a load or an unload failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallFailure {
    pub message: String,
    /// How long the runtime asks to be left alone, where it says so.
    pub retry_after_ms: Option<u64>,
}

/// Why a record is not on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotWritten {
    /// The disk cannot be written now. Trying later may help.
    Unavailable(String),
    /// What is on disk does not allow it: the task is in another state than the record supposes.
    Refused(String),
}

/// What the planner is told of a claim.
pub type ClaimAnswer = Result<(), Box<Reason>>;
