//! What the planner should know of a committed Task's task, from the records that are written about it.

use std::sync::Arc;

use crate::core::Timestamp;
use crate::decide::dispatch::{AttemptEnd, Record};
use crate::decide::reconcile::TaskFact;
use crate::decide::reconcile::inputs::TaskPhase;
use crate::decide::scheduler::TaskSeq;
use crate::remember::store::cancelled_words;
use crate::remember::store::row::{TaskRow, TaskState};

/// What a record says of a task; none for records about other things, or that change nothing a plan rests on.
#[must_use]
pub fn of(record: &Record, at: Timestamp) -> Option<(TaskSeq, TaskFact)> {
    let fact = |phase, message| TaskFact { phase, message, at };
    match record {
        Record::Start { task, place, .. } => {
            Some((*task, fact(TaskPhase::Running, Some(format!("running on {}", place.runtime)))))
        }
        Record::End { task, end, .. } => {
            let fact = match end {
                AttemptEnd::Done => fact(TaskPhase::Done, None),
                AttemptEnd::Failed { message, .. } => fact(TaskPhase::Failed, Some(message.clone())),
                AttemptEnd::Cancelled { by, reason } => fact(TaskPhase::Cancelled, Some(cancelled_words(by, reason))),
                AttemptEnd::Interrupted { why, .. } => fact(TaskPhase::Waiting, Some(why.clone())),
                AttemptEnd::Again { message, .. } => fact(TaskPhase::Waiting, Some(format!("{message}; tried again"))),
            };
            Some((*task, fact))
        }
        Record::Fail { task, message, .. } => Some((*task, fact(TaskPhase::Failed, Some(message.clone())))),
        Record::Cancel { task, by, reason, .. } => {
            Some((*task, fact(TaskPhase::Cancelled, Some(cancelled_words(by, reason)))))
        }
        Record::Reroute { .. }
        | Record::Begin { .. }
        | Record::Finish { .. }
        | Record::LeaseAsked { .. }
        | Record::LeaseGranted { .. }
        | Record::LeaseEnded { .. } => None,
    }
}

/// The id of the task that a record is about.
#[must_use]
pub fn id(record: &Record) -> Option<&Arc<str>> {
    match record {
        Record::Start { id, .. }
        | Record::End { id, .. }
        | Record::Fail { id, .. }
        | Record::Cancel { id, .. }
        | Record::Reroute { id, .. } => Some(id),
        Record::Begin { .. }
        | Record::Finish { .. }
        | Record::LeaseAsked { .. }
        | Record::LeaseGranted { .. }
        | Record::LeaseEnded { .. } => None,
    }
}

/// A task that waits.
#[must_use]
pub fn waiting(message: Option<String>, at: Timestamp) -> TaskFact {
    TaskFact { phase: TaskPhase::Waiting, message, at }
}

/// Whether nothing more happens to the task.
#[must_use]
pub fn is_over(fact: &TaskFact) -> bool {
    matches!(fact.phase, TaskPhase::Done | TaskPhase::Failed | TaskPhase::Cancelled)
}

/// What the planner should know of a stored task; none for one that was submitted.
#[must_use]
pub fn of_row(row: &TaskRow) -> Option<TaskFact> {
    row.object.as_ref()?;
    let phase = match row.state {
        TaskState::Queued | TaskState::Blocked => TaskPhase::Waiting,
        TaskState::Running => TaskPhase::Running,
        TaskState::Done => TaskPhase::Done,
        TaskState::Error => TaskPhase::Failed,
        TaskState::Cancelled => TaskPhase::Cancelled,
    };
    let message = row.error.as_ref().map(|e| e.message.clone()).or_else(|| row.why.as_ref().map(|w| w.message.clone()));
    Some(TaskFact { phase, message, at: row.finished_at.or(row.started_at).unwrap_or(row.created_at) })
}
