//! What is due in a simulation, and what is on its way to the disk.

use crate::core::{Name, ObjectKey};
use crate::decide::dispatch::{Record, WriteId};
use crate::decide::scheduler::{LeaseId, Request, TaskSeq};
use crate::declare::world::Assembly;

use super::disk::{Removal, Write};
use super::machines::CallId;

/// What is due.
#[derive(Clone, Debug)]
pub enum Event {
    /// A step of the script.
    Step(usize),
    CallBegins(CallId),
    CallEnds(CallId),
    /// A model goes by itself.
    Gone {
        runtime: Name,
        model: String,
    },
    /// A runtime is up again.
    Up(Name),
    /// Others' requests end.
    Quiet(Name),
    DiskFree,
    /// The machine wakes up.
    WakeUp {
        slept_ms: u64,
    },
    /// The program is started.
    Start,
    /// Everything that was wrong is well again, and stays so.
    Heal,
    /// The holder of a lease gives a sign of life.
    Beat {
        id: LeaseId,
        ttl_ms: u64,
        until_ms: u64,
    },
    /// The holder of a lease gives it back.
    Release(LeaseId),
    // What the program waits for. It does not happen while the program is not there.
    CallHeard(CallId),
    Written,
    Observe(Name),
    Reconcile(ObjectKey),
    LookAtSource,
    Wake,
    Telemetry,
    /// An attempt that was stopped is over.
    Stopped(CallId),
    /// The dispatcher is told too early that a record is on disk.
    Early(WriteId),
}

impl Event {
    /// Whether it is something that is still to come from outside.
    #[must_use]
    pub fn is_to_come(&self) -> bool {
        match self {
            Self::Step(_)
            | Self::CallBegins(_)
            | Self::CallEnds(_)
            | Self::Gone { .. }
            | Self::Start
            | Self::WakeUp { .. }
            | Self::Heal
            | Self::Beat { .. }
            | Self::Release(_)
            | Self::Stopped(_)
            | Self::Early(_) => true,
            Self::Up(_)
            | Self::Quiet(_)
            | Self::DiskFree
            | Self::CallHeard(_)
            | Self::Written
            | Self::Observe(_)
            | Self::Reconcile(_)
            | Self::LookAtSource
            | Self::Wake
            | Self::Telemetry => false,
        }
    }

    /// Whether the program waits for it: lost at a crash, late after sleep.
    #[must_use]
    pub fn is_of_program(&self) -> bool {
        match self {
            Self::CallHeard(_)
            | Self::Written
            | Self::Observe(_)
            | Self::Reconcile(_)
            | Self::LookAtSource
            | Self::Wake
            | Self::Telemetry
            | Self::Stopped(_)
            | Self::Early(_) => true,
            Self::Step(_)
            | Self::CallBegins(_)
            | Self::CallEnds(_)
            | Self::Gone { .. }
            | Self::Up(_)
            | Self::Quiet(_)
            | Self::DiskFree
            | Self::WakeUp { .. }
            | Self::Start
            | Self::Heal
            | Self::Beat { .. }
            | Self::Release(_) => false,
        }
    }
}

/// What is handed to the disk.
#[derive(Clone, Debug)]
pub enum Line {
    Loop(Write),
    Record(Record),
    Accept { request: Box<Request>, object: Option<ObjectKey>, work_ms: u64 },
    Rerun(TaskSeq),
}

/// What became of a line that reached the tables.
pub(super) enum Put {
    Nothing,
    Refused,
    Task { seq: TaskSeq, is_new: bool },
}

/// Whom the fate of a write is told.
#[derive(Debug)]
pub enum Whom {
    Nobody,
    Job(ObjectKey),
    Revision(Box<Assembly>, Vec<Removal>),
    Dispatcher(WriteId),
    /// Who submitted a task, with its label.
    Submitter {
        label: Option<u32>,
    },
}
