//! The order in which tasks run, and the lines they stand in.
//!
//! Tasks that can be done in the same places stand in one line; only the heads of lines are candidates. The order is a
//! static key, so that ageing costs nothing: a step of priority is a head start of one minute.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::id::TaskSeq;
use super::reason::Reason;
use super::table::{ModelIx, RuntimeIx};

pub(super) type LineIx = usize;

/// What one step of priority is worth.
pub const PRIORITY_STEP_MS: i64 = 60_000;

/// The place of a task or a lease in the order: the smaller goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// When it came, on the steady clock, less its head start. Negative for what came before a restart.
    pub at: i64,
    pub seq: u64,
}

impl Key {
    #[must_use]
    pub fn new(submitted_ms: i64, priority: i32, seq: TaskSeq) -> Self {
        Self { at: submitted_ms.saturating_sub(i64::from(priority).saturating_mul(PRIORITY_STEP_MS)), seq: seq.0 }
    }
}

/// A place that could ever do a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Choice {
    pub runtime: RuntimeIx,
    pub model: Option<ModelIx>,
    /// Whether the task takes the GPU of that runtime for itself.
    pub exclusive: bool,
}

/// What tasks of one line have in common.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct LineKey {
    /// The chain, joined by ` > `.
    pub capability: Arc<str>,
    /// The places, the preferred one first; empty: nobody offers it.
    pub choices: Vec<Choice>,
    pub force: bool,
    /// Only tasks of one priority stand in a line: batching compares priorities.
    pub priority: i32,
    /// Expected size of the result, in thousandths of a GB.
    pub output_mb: u64,
    /// Why there are no choices, where a word helps.
    pub hint: Option<Arc<str>>,
}

/// A line of waiting tasks.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub key: LineKey,
    pub waiting: BTreeSet<Key>,
    /// Why its head waits, and which task was told so.
    pub reason: Option<(Reason, TaskSeq)>,
}

impl Line {
    pub(super) fn new(key: LineKey) -> Self {
        Self { key, waiting: BTreeSet::new(), reason: None }
    }

    pub(super) fn head(&self) -> Option<Key> {
        self.waiting.first().copied()
    }

    /// Whether any of its places takes a GPU for itself.
    pub(super) fn is_exclusive(&self) -> bool {
        self.key.choices.iter().any(|choice| choice.exclusive)
    }
}
