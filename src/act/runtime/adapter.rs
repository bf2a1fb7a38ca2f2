//! The contract of every adapter, and the closed set of ways in which a call can fail.
//!
//! Guarantees an adapter gives: observing never changes the runtime; loading and unloading return when the runtime
//! confirms it by observation, not when it says 200; every call is bounded in time and size; the runtime's own words are
//! kept in errors; what a runtime cannot tell is absent.
//!
//! An adapter says only what is done. How long it may take, and what is said when it takes longer, is the business of
//! [`Bounded`](super::limit::Bounded), which [`connect`](super::connect) puts around it. Whoever drops a call cancels it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{self, BoxStream};
use futures::{FutureExt as _, StreamExt as _};
use serde::{Deserialize, Serialize};

use crate::act::telemetry::card::Card;
use crate::core::Timestamp;
use crate::decide::host_view::HostView;
use crate::decide::view::RuntimeView;
use crate::declare::manifest::kind::runtime::AdapterKind;

/// A call to a runtime, under way. Dropping it cancels it where the runtime can be reached.
pub type Call<'a, T> = BoxFuture<'a, Result<T, RuntimeError>>;

/// Changes as they happen. The stream ends when the connection does.
pub type Events = BoxStream<'static, Result<RuntimeEvent, RuntimeError>>;

/// What an adapter can do beyond observing and running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Abilities {
    pub loads: bool,
    pub events: bool,
    pub cancels: bool,
}

/// A program that serves models or does other work, seen through its own protocol.
pub trait Adapter: Send + Sync + 'static {
    fn kind(&self) -> AdapterKind;

    fn abilities(&self) -> Abilities;

    /// The file of the repository that `capability` needs besides a task's own: whoever calls [`run`](Self::run) reads it at
    /// the revision in force and adds it to the files, under its whole path.
    fn reads(&self, capability: &str) -> Option<&str> {
        let _ = capability;
        None
    }

    /// One consistent answer: health, models, what is loaded, what is in flight.
    fn observe(&self) -> Call<'_, RuntimeView>;

    /// Changes as they happen, where the runtime tells; nothing for ever where it does not, and it is looked at instead.
    /// Whoever listens reconnects when the stream ends. An event is a hint: it is followed by an observation.
    fn events(&self) -> Call<'_, Events> {
        async { Ok(stream::pending().boxed()) }.boxed()
    }

    /// Loads a model, by the runtime's own name, and returns when it is seen loaded.
    fn load<'a>(&'a self, _model: &'a str) -> Call<'a, ()> {
        async { Err(cannot_load(self.kind())) }.boxed()
    }

    /// Unloads a model, by the runtime's own name, and returns when it is seen unloaded. Not loaded is success.
    fn unload<'a>(&'a self, _model: &'a str) -> Call<'a, ()> {
        async { Err(cannot_load(self.kind())) }.boxed()
    }

    /// What the runtime measures of the machine that it runs on: the newest samples, each with its own time. None where it
    /// measures nothing.
    fn machine(&self) -> Call<'_, Option<MachineSample>> {
        async { Ok(None) }.boxed()
    }

    /// Carries out an invocation.
    fn run<'a>(&'a self, invocation: Invocation, progress: Progress) -> Call<'a, Outcome>;
}

/// The failure of every load and unload in a runtime that has neither.
fn cannot_load(adapter: AdapterKind) -> RuntimeError {
    let name = adapter.as_str();
    let message = format!("the adapter `{name}` cannot load or unload: its server does that by itself, or not at all");
    RuntimeError::new(Fault::BadInput, message)
}

/// What a runtime measured of its machine, each part at its own time by the clock of that machine.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MachineSample {
    pub host: Option<(Timestamp, HostView)>,
    pub cards: Vec<(Timestamp, Card)>,
}

/// Something that happened in a runtime.
#[derive(Clone, Debug, PartialEq)]
pub enum RuntimeEvent {
    /// Models changed: look again.
    Changed,
    /// How many requests are in flight or waiting.
    InFlight(u32),
    /// A line of the runtime's own log.
    Log(String),
    /// Something happened that was not told: so many entries, where that can be counted.
    Gap { missed: Option<u64> },
}

/// Work for a runtime.
#[derive(Clone, Debug, PartialEq)]
pub struct Invocation {
    pub capability: String,
    /// The runtime's own name of the model; none lets the runtime choose.
    pub model: Option<String>,
    pub text: Option<String>,
    pub files: Vec<InputFile>,
    pub params: BTreeMap<String, serde_json::Value>,
}

/// A file to work on. Its bytes were read by the caller, from the repository or an allowed folder.
#[derive(Clone, Debug, PartialEq)]
pub struct InputFile {
    pub name: String,
    pub bytes: Arc<[u8]>,
}

/// What came of an invocation.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    pub outputs: Vec<Output>,
    /// The model that did it, by the runtime's own name.
    pub model: Option<String>,
    /// The prompt as it was sent, where there was one.
    pub prompt: Option<String>,
    /// Numbers as the runtime reports them: `prompt_tokens`, `tokens`, `tokens_per_s`, `time_to_first_token_ms`…
    pub figures: BTreeMap<String, f64>,
}

/// One output of an invocation.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    /// File name, such as `summary.md`.
    pub name: String,
    /// Short type, such as `md`, `json`, `wav`.
    pub kind: String,
    pub bytes: Vec<u8>,
}

/// Where an adapter reports how far it is: a line for people.
#[derive(Clone)]
pub struct Progress(Arc<dyn Fn(&str) + Send + Sync>);

impl Progress {
    pub fn new(report: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(Arc::new(report))
    }

    /// Nobody is listening.
    #[must_use]
    pub fn ignored() -> Self {
        Self::new(|_| {})
    }

    pub fn say(&self, line: &str) {
        (self.0)(line);
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Progress")
    }
}

/// The closed set of ways in which a call can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// No connection, or it broke.
    Unreachable,
    /// It does not let us in.
    Refused,
    /// It does not know the model or the path.
    NotFound,
    /// It has too much to do; trying later helps.
    Busy,
    /// It cannot use what it was given; trying again does not help.
    BadInput,
    /// It ran out of memory.
    OutOfMemory,
    /// It failed in its own way, or answered with what cannot be understood.
    RuntimeError,
    /// It took too long.
    Timeout,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreachable => "unreachable",
            Self::Refused => "refused",
            Self::NotFound => "not found",
            Self::Busy => "busy",
            Self::BadInput => "bad input",
            Self::OutOfMemory => "out of memory",
            Self::RuntimeError => "runtime error",
            Self::Timeout => "timeout",
        })
    }
}

/// A call to a runtime that failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{fault}: {message}{}", words.as_ref().map(|words| format!(" (it said: {words})")).unwrap_or_default())]
pub struct RuntimeError {
    pub fault: Fault,
    /// What was asked and what came of it, in our words.
    pub message: String,
    /// The runtime's own words, shortened, without secrets.
    pub words: Option<String>,
    /// How long the runtime asks to be left alone, where it says so.
    pub retry_after: Option<Duration>,
}

impl RuntimeError {
    pub fn new(fault: Fault, message: impl Into<String>) -> Self {
        Self { fault, message: message.into(), words: None, retry_after: None }
    }

    /// Keeps the runtime's own words, shortened.
    #[must_use]
    pub fn saying(mut self, words: &str) -> Self {
        self.words = Some(crate::core::text::shorten(words.trim(), 500)).filter(|words| !words.is_empty());
        self
    }
}
