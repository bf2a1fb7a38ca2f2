//! What is written durably, one step each, and the one audit entry that it leaves.

use std::sync::Arc;

use crate::core::{Name, Timestamp};
use crate::decide::scheduler::{ClaimVerb, FailCode, LeaseId, LeaseRequest, ModelAt, Place, TaskSeq};

/// What is written durably. Each names the state that it supposes; where that is not so, the write is refused whole.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// A waiting task runs from now on. `attempt` is one more than were made before.
    Start {
        task: TaskSeq,
        id: Arc<str>,
        attempt: u32,
        place: Place,
        policy: Vec<Name>,
    },
    /// The attempt that runs is over.
    End {
        task: TaskSeq,
        id: Arc<str>,
        attempt: u32,
        end: AttemptEnd,
    },
    /// A waiting task can never run.
    Fail {
        task: TaskSeq,
        id: Arc<str>,
        code: FailCode,
        message: String,
    },
    /// A waiting task is taken back.
    Cancel {
        task: TaskSeq,
        id: Arc<str>,
        by: String,
        reason: String,
    },
    /// A task that is not over is wanted elsewhere.
    Reroute {
        task: TaskSeq,
        id: Arc<str>,
        runtime: Option<Name>,
        model: Option<Name>,
        by: String,
    },
    /// A model is about to be loaded or unloaded. When the same stands open already, that one is taken up.
    Begin {
        at: ModelAt,
        model: Option<Name>,
        verb: ClaimVerb,
        because: String,
    },
    /// The load or unload that stands open is over.
    Finish {
        at: ModelAt,
        model: Option<Name>,
        verb: ClaimVerb,
        because: String,
        result: Result<(), String>,
    },
    LeaseAsked {
        lease: Box<LeaseRequest>,
        by: String,
    },
    LeaseGranted {
        id: LeaseId,
        holder: String,
    },
    LeaseEnded {
        id: LeaseId,
        end: LeaseEnd,
        by: String,
    },
}

/// How an attempt ended, and what becomes of its task.
#[derive(Clone, Debug, PartialEq)]
pub enum AttemptEnd {
    /// The task is done, with its artifacts.
    Done,
    /// The task failed for good.
    Failed { code: &'static str, message: String },
    /// The task was cancelled while it ran.
    Cancelled { by: String, reason: String },
    /// Cut short: the task waits again at once. `counts` when the program ended under it; too many of those end the task.
    Interrupted { why: String, counts: bool },
    /// It failed, and the task is tried again from `retry_at` on.
    Again { retry_at: Timestamp, code: &'static str, message: String },
}

impl AttemptEnd {
    /// Whether the task is over with it.
    #[must_use]
    pub fn is_final(&self) -> bool {
        match self {
            Self::Done | Self::Failed { .. } | Self::Cancelled { .. } => true,
            Self::Interrupted { .. } | Self::Again { .. } => false,
        }
    }
}

/// How a lease ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseEnd {
    Released,
    /// No sign of life for too long.
    Expired,
}

impl LeaseEnd {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Released => "released",
            Self::Expired => "expired",
        }
    }
}

/// The audit entry of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audit {
    pub actor: String,
    pub verb: &'static str,
    pub object: String,
    pub reason: String,
    pub result: String,
    /// What it was done to or became, where that is not the object itself.
    pub after: Option<String>,
}

impl Record {
    /// The one audit entry that this record leaves; none for one half of a mutation, whose other half leaves it.
    #[must_use]
    pub fn audit(&self) -> Option<Audit> {
        let entry = |actor: &str, verb, object: &str, reason: &str, result: String| {
            let (actor, object, reason) = (actor.to_owned(), object.to_owned(), reason.to_owned());
            Some(Audit { actor, verb, object, reason, result, after: None })
        };
        let ok = || "ok".to_owned();
        match self {
            Self::Start { .. } | Self::Begin { .. } => None,
            Self::End { id, end, attempt, .. } => {
                let attempt = format!("attempt {attempt}");
                match end {
                    AttemptEnd::Done => entry("arcology", "attempt", id, &attempt, "done".into()),
                    AttemptEnd::Failed { code, message } => {
                        entry("arcology", "attempt", id, &attempt, format!("{code}: {message}"))
                    }
                    AttemptEnd::Cancelled { by, reason } => entry(by, "cancel", id, reason, ok()),
                    AttemptEnd::Interrupted { why, .. } => {
                        entry("arcology", "attempt", id, &attempt, format!("tried again: interrupted, {why}"))
                    }
                    AttemptEnd::Again { message, .. } => {
                        entry("arcology", "attempt", id, &attempt, format!("tried again: {message}"))
                    }
                }
            }
            Self::Fail { id, code, message, .. } => {
                entry("arcology", "fail", id, message, format!("error: {}", code.as_str()))
            }
            Self::Cancel { id, by, reason, .. } => entry(by, "cancel", id, reason, ok()),
            Self::Reroute { id, runtime, model, by, .. } => {
                let part = |name: &Option<Name>| name.as_ref().map_or_else(|| "any".to_owned(), ToString::to_string);
                entry(by, "reroute", id, &format!("to {} with {}", part(runtime), part(model)), ok())
            }
            Self::Finish { at, verb, because, result, .. } => {
                let verb = match verb {
                    ClaimVerb::Load => "load",
                    ClaimVerb::Unload => "unload",
                };
                let object = format!("Runtime/{}", at.runtime);
                let result = result.as_ref().map_or_else(Clone::clone, |()| ok());
                let entry = entry("arcology", verb, &object, because, result);
                entry.map(|entry| Audit { after: Some(at.to_string()), ..entry })
            }
            Self::LeaseAsked { lease, by } => entry(by, "lease", &lease.id, &lease.purpose, "asked".into()),
            Self::LeaseGranted { id, holder } => entry("arcology", "lease", id, holder, "granted".into()),
            Self::LeaseEnded { id, end, by } => entry(by, "lease", id, "", end.as_str().into()),
        }
    }
}
