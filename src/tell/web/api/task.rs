//! The status of a task: the contract that `arcology submit --wait`, the page and scripts read.

use serde::Serialize;

use crate::core::Timestamp;
use crate::remember::store::row::{ArtifactRow, AttemptRow, TaskError, TaskRow, TaskState, Why};
use crate::tell::web::outlook::{Outlook, Outlooks};

/// How many lines of the newest attempt's log are shown.
pub const LOG_LINES_MAX: usize = 20;

/// A task as people and scripts see it.
#[derive(Clone, Debug, Serialize)]
pub struct TaskStatus {
    pub id: String,
    pub state: TaskState,
    pub runtime_assigned: Option<String>,
    pub model_used: Option<String>,
    /// The likely one; for a running task, what is left of it. Null when nothing is known to estimate from.
    pub eta_seconds: Option<u64>,
    pub eta: Option<Eta>,
    pub why: Option<Why>,
    pub artifacts: Vec<ArtifactRef>,
    pub attempts: u32,
    pub logs_tail: Vec<String>,
    pub error: Option<TaskError>,
    pub policy_snapshot: Option<PolicySnapshot>,
    pub created_at: Timestamp,
    pub started_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
}

/// When a task is expected to be done, in seconds from now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Eta {
    pub optimistic: u64,
    pub likely: u64,
    pub pessimistic: u64,
}

/// An artifact of a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ArtifactRef {
    #[serde(rename = "type")]
    pub kind: String,
    /// Under the vault.
    pub path: String,
    /// `sha256:…`
    pub checksum: String,
}

/// The policy under which a task ran.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PolicySnapshot {
    /// The most specific one.
    pub name: String,
    pub revision: Option<String>,
}

impl TaskStatus {
    #[must_use]
    pub fn of(task: &TaskRow, attempts: &[AttemptRow], artifacts: &[ArtifactRow]) -> Self {
        Self {
            id: task.id.clone(),
            state: task.state,
            runtime_assigned: task.runtime.as_ref().map(ToString::to_string),
            model_used: task.model.clone(),
            eta_seconds: None,
            eta: None,
            why: task.why.clone(),
            artifacts: artifacts.iter().map(ArtifactRef::of).collect(),
            attempts: task.attempts,
            logs_tail: tail(attempts),
            error: task.error.clone(),
            policy_snapshot: task.policy.first().map(|name| PolicySnapshot {
                name: name.to_string(),
                revision: task.revision.as_ref().map(ToString::to_string),
            }),
            created_at: task.created_at,
            started_at: task.started_at,
            finished_at: task.finished_at,
        }
    }

    /// The same with what the scheduler says of it now.
    #[must_use]
    pub fn expecting(self, outlooks: &Outlooks<'_>, outlook: Outlook) -> Self {
        let left = outlooks.seconds_left(&outlook);
        Self {
            eta_seconds: outlook.band.map(|band| band.likely).or(left),
            eta: outlook.band.map(|band| Eta {
                optimistic: band.optimistic,
                likely: band.likely,
                pessimistic: band.pessimistic,
            }),
            why: outlook.why,
            ..self
        }
    }
}

impl ArtifactRef {
    fn of(row: &ArtifactRow) -> Self {
        Self { kind: row.kind.clone(), path: row.path.clone(), checksum: row.sha256.to_string() }
    }
}

/// The last lines of the newest attempt's log.
fn tail(attempts: &[AttemptRow]) -> Vec<String> {
    let Some(newest) = attempts.iter().max_by_key(|attempt| attempt.number) else { return Vec::new() };
    let lines: Vec<&str> = newest.log.lines().collect();
    lines[lines.len().saturating_sub(LOG_LINES_MAX)..].iter().map(ToString::to_string).collect()
}
