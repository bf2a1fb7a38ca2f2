//! How the store is: what went wrong lately, and how often it committed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::error::Error;

/// What is known of the store's health.
#[derive(Debug, Default)]
pub(super) struct Gauge {
    commits: AtomicU64,
    /// Why the newest attempt to write came to nothing, when it did.
    problem: Mutex<Option<String>>,
    /// Damage that somebody met, reading or writing. It does not go away by itself.
    damage: Mutex<Option<String>>,
}

impl Gauge {
    pub(super) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    /// The worst that is known.
    pub(super) fn problem(&self) -> Option<String> {
        lock(&self.damage).clone().or_else(|| lock(&self.problem).clone())
    }

    /// Takes note of an error that a read or a write met.
    pub(super) fn note(&self, error: &Error) {
        if matches!(error, Error::Corrupt { .. }) {
            *lock(&self.damage) = Some(error.to_string());
        }
    }

    /// Takes note of an error that a write met.
    pub(super) fn note_write(&self, error: &Error) {
        self.note(error);
        if error.is_environmental() {
            *lock(&self.problem) = Some(error.to_string());
        }
    }

    /// Takes note of a commit. One that changed something shows that writing works.
    pub(super) fn note_commit(&self, changed: bool) {
        self.commits.fetch_add(1, Ordering::Relaxed);
        if changed {
            *lock(&self.problem) = None;
        }
    }
}

fn lock<T>(slot: &Mutex<T>) -> MutexGuard<'_, T> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}
