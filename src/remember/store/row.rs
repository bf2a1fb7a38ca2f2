//! The rows of the store, as the rest of the program sees them. No SQL type leaves this wing.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::core::{Commit, Digest, Name, ObjectKey, Revision, Timestamp};
use crate::declare::manifest::kind::task::TaskSpec;
use crate::declare::manifest::{Place, parse};
use crate::declare::world::{Object, Standing};

/// The revision in force.
#[derive(Clone, Debug, PartialEq)]
pub struct AppliedRow {
    pub revision: Revision,
    pub applied_at: Timestamp,
}

/// An object in force, complete enough to be put in force again after a restart without the repository.
#[derive(Clone, Debug, PartialEq)]
pub struct ObjectRow {
    pub key: ObjectKey,
    pub place: Place,
    /// The document's own text.
    pub text: String,
    pub digest: Digest,
    pub generation: u64,
    pub asked_by: Option<Commit>,
    pub revision: Option<Revision>,
    pub standing: Standing,
}

impl ObjectRow {
    /// The object as it was in force; none when its text was written by a version that understood more or less than this
    /// one: Git has it.
    #[must_use]
    pub fn into_object(self) -> Option<Object> {
        let document = parse::document(&self.place.path, self.place.line, &self.text).ok()?;
        Some(Object {
            document: Arc::new(document),
            generation: self.generation,
            asked_by: self.asked_by,
            revision: self.revision,
            standing: self.standing,
        })
    }
}

/// Something that an object made in the world and that must be undone when the object goes.
#[derive(Clone, Debug, PartialEq)]
pub struct InventoryRow {
    pub object: ObjectKey,
    /// The thing, as JSON of `decide::reconcile::Target`.
    pub target: String,
    pub since: Timestamp,
    /// False when deleting the object leaves the thing alone.
    pub prunes: bool,
    /// When the deletion was asked for (first phase), and until when it should be done.
    pub deleting_since: Option<Timestamp>,
    pub deadline: Option<Timestamp>,
}

/// An action in the journal: the intent before, the result after.
#[derive(Clone, Debug, PartialEq)]
pub struct JournalRow {
    /// The same after a restart.
    pub id: String,
    pub object: ObjectKey,
    pub verb: String,
    /// JSON of `decide::reconcile::Target`.
    pub target: String,
    pub reason: String,
    pub revision: Option<String>,
    pub started_at: Timestamp,
    pub state: JournalState,
    pub finished_at: Option<Timestamp>,
    /// The error, when it failed.
    pub result: Option<String>,
}

/// Where a journalled action stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JournalState {
    /// Begun; after a restart it is not known whether it happened.
    Open,
    Done,
    Failed,
    /// Overtaken by a restart or a new generation; what is true was observed afresh.
    Abandoned,
}

/// An entry of the audit: one a mutation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AuditRow {
    /// Counts up; the newest is the largest.
    pub seq: i64,
    pub at: Timestamp,
    /// `commit AUTHOR`, `uid 1000 (pid 4711)`, or `arcology`.
    pub actor: String,
    /// `apply`, `load`, `unload`, `submit`, `reconcile`…
    pub verb: String,
    /// What it was done to, such as `Loadout/desk` or `task-…`.
    pub object: String,
    pub reason: String,
    /// `ok`, or the error.
    pub result: String,
    pub before: Option<String>,
    pub after: Option<String>,
    /// `main@sha1:…` in force at that time.
    pub revision: Option<String>,
}

/// Where a task stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskState {
    Queued,
    Blocked,
    Running,
    Done,
    Error,
    Cancelled,
}

impl TaskState {
    /// Every state, in the order of a task's life.
    pub const ALL: [Self; 6] = [Self::Queued, Self::Blocked, Self::Running, Self::Done, Self::Error, Self::Cancelled];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Blocked => "blocked",
            Self::Running => "running",
            Self::Done => "done",
            Self::Error => "error",
            Self::Cancelled => "cancelled",
        }
    }

    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Error | Self::Cancelled)
    }
}

/// A task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskRow {
    pub id: String,
    pub spec: TaskSpec,
    /// The committed Task it comes from; none when it was submitted.
    pub object: Option<ObjectKey>,
    /// The commit whose repository its files are read from.
    pub revision: Option<Revision>,
    /// Who asked: `commit AUTHOR` or `uid 1000 (pid 4711)`.
    pub actor: String,
    pub state: TaskState,
    pub runtime: Option<Name>,
    /// The model that did it, as declared, or as the runtime calls it.
    pub model: Option<String>,
    /// Why it is not running or done: a word of the closed set, with a sentence.
    pub why: Option<Why>,
    pub error: Option<TaskError>,
    pub attempts: u32,
    /// The policies in force when it started, the most specific first.
    pub policy: Vec<Name>,
    pub created_at: Timestamp,
    /// When its newest attempt began; none while it waits for the first or the next one.
    pub started_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
}

/// Why a task waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Why {
    pub reason: String,
    pub message: String,
    pub clears_at: Option<Timestamp>,
}

/// Why a task failed. `code` is of the closed set: `fit_failed`, `no_runtime`, `runtime_error`, `timeout`, `bad_input`,
/// `dependency_failed`, `cancelled`, `interrupted`, `internal`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskError {
    pub code: String,
    pub message: String,
    pub incident: Option<String>,
}

/// One attempt at a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttemptRow {
    pub task: String,
    /// Counts from 1.
    pub number: u32,
    pub runtime: Option<Name>,
    pub model: Option<String>,
    pub started_at: Timestamp,
    pub finished_at: Option<Timestamp>,
    /// `running`, `done`, `error`, `cancelled` or `interrupted`.
    pub state: String,
    /// The end of its log, bounded.
    pub log: String,
    pub error: Option<TaskError>,
    /// The GPU that it ran on, as `host/gpu`; none on CPU.
    #[serde(default)]
    pub gpu: Option<String>,
    /// Whether it had the GPU for itself.
    #[serde(default)]
    pub exclusive: bool,
}

/// An artifact as one task made it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ArtifactRow {
    pub sha256: Digest,
    pub bytes: u64,
    /// Short type, such as `md`.
    pub kind: String,
    /// Under the vault, such as `runs/2026-11-21/task-…/brief.md`.
    pub path: String,
    pub task: String,
    pub created_at: Timestamp,
    /// The lineage, as the JSON that also stands beside the file.
    pub lineage: serde_json::Value,
}

/// In which way a GPU was held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LockKind {
    /// A task in one of its shared slots.
    Shared,
    /// Nothing new was admitted until the holder owned it.
    Draining,
    /// A task or a lease had it for itself.
    Exclusive,
    /// Another program had it, alone or in a slot.
    Lease,
}

impl LockKind {
    pub const ALL: [Self; 4] = [Self::Exclusive, Self::Draining, Self::Lease, Self::Shared];

    /// The word of the JSON contract.
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

/// A time during which somebody held a GPU, or drained it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockSpanRow {
    pub host: Name,
    pub gpu: Name,
    pub kind: LockKind,
    /// A task's id or a lease's. At most one open span for each (host, gpu, kind, holder).
    pub holder: String,
    /// What it did, such as `text.summarize`, or a lease's purpose.
    pub what: String,
    pub since: Timestamp,
    /// None while it lasts.
    pub until: Option<Timestamp>,
}
