//! What is replayed: submissions with their true durations, and how long models take to come and go.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::core::{Name, Timestamp};

use super::super::config::Config;
use super::super::decision::Place;
use super::super::event::Request;
use super::super::id::ModelAt;

/// What is replayed.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    /// What the wall clock shows when the replay begins.
    pub start: Timestamp,
    pub config: Arc<Config>,
    /// In the order of their time.
    pub submissions: Vec<Submission>,
    /// Models that are loaded when the replay begins. They must fit.
    pub loaded: Vec<ModelAt>,
    pub load_times: LoadTimes,
    /// How long work takes where it did not run in truth, in milliseconds, by the words of its capabilities and the model.
    pub durations: BTreeMap<(String, Option<Name>), u64>,
}

/// A task, when it was asked for, and what is known of its work.
#[derive(Clone, Debug, PartialEq)]
pub struct Submission {
    /// Milliseconds after the beginning.
    pub at_ms: u64,
    pub request: Request,
    pub work: Work,
    /// When a person took it back, in milliseconds after the beginning. Does nothing to one that is over by then.
    pub cancelled_ms: Option<u64>,
}

/// How long a task's work takes, and how it ends.
#[derive(Clone, Debug, PartialEq)]
pub struct Work {
    pub took_ms: u64,
    /// Where it took that long; none: it takes as long wherever it runs.
    pub on: Option<(Name, Option<Name>)>,
    pub fails: bool,
}

/// How long models take to be loaded and unloaded, in milliseconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LoadTimes {
    pub load: BTreeMap<ModelAt, u64>,
    /// For a model without a figure of its own.
    pub load_otherwise: u64,
    pub unload: u64,
}

impl LoadTimes {
    /// How long this model takes to be loaded.
    #[must_use]
    pub fn of(&self, at: &ModelAt) -> u64 {
        self.load.get(at).copied().unwrap_or(self.load_otherwise)
    }
}

impl Trace {
    /// How long a submission's work takes at `place`, in milliseconds, and whether that is known rather than taken from
    /// another place.
    #[must_use]
    pub fn duration(&self, submission: &Submission, place: &Place) -> (u64, bool) {
        let work = &submission.work;
        let Some((runtime, model)) = &work.on else { return (work.took_ms, true) };
        if (runtime, model) == (&place.runtime, &place.model) {
            return (work.took_ms, true);
        }
        let elsewhere = self.durations.get(&(label(&submission.request), place.model.clone()));
        (elsewhere.copied().unwrap_or(work.took_ms), elsewhere.is_some())
    }
}

/// What a request asks for in one word: its capability, or the chain of them.
#[must_use]
pub fn label(request: &Request) -> String {
    request.capability.join(" > ")
}
