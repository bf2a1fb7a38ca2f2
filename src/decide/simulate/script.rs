//! What happens in a simulation from outside: a world, and steps in time. A seed makes one; shrinking takes steps away.
//!
//! Plain data. A step names tasks and leases by labels of the script, so that taking one step away changes no other; a
//! step whose label is gone does nothing.

use std::collections::BTreeMap;
use std::fmt;

use crate::core::Name;

/// A whole simulation, told from outside.
#[derive(Clone, Debug, PartialEq)]
pub struct Script {
    /// Where latencies and durations come from while it runs.
    pub seed: u64,
    pub site: Site,
    /// The first commit: text by path.
    pub files: BTreeMap<String, String>,
    /// In the order of time.
    pub steps: Vec<Step>,
}

/// What really stands there, whatever the manifests say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Site {
    pub gpus: Vec<GpuSite>,
    pub runtimes: BTreeMap<Name, RuntimeSite>,
}

/// A graphics card.
#[derive(Clone, Debug, PartialEq)]
pub struct GpuSite {
    pub host: Name,
    pub gpu: Name,
    pub total_gb: f64,
}

/// A runtime's program.
#[derive(Clone, Debug, PartialEq)]
pub struct RuntimeSite {
    /// Its card, as a place in [`Site::gpus`]; none on CPU.
    pub gpu: Option<usize>,
    /// Whether models are loaded and unloaded in it.
    pub loads: bool,
    /// Whether it says what its models take.
    pub tells_vram: bool,
    /// Whether it says how many requests it works on.
    pub tells_in_flight: bool,
    /// Whether a request for a model that is not loaded loads it, as llama-swap does.
    pub loads_by_itself: bool,
    pub models: BTreeMap<String, ModelSite>,
}

/// A model as a runtime's program knows it.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelSite {
    /// What it really takes.
    pub gb: f64,
    pub load_ms: u64,
}

/// Something that happens from outside.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// True time.
    pub at_ms: u64,
    pub act: Act,
}

/// What can happen from outside.
#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    /// A commit: what it writes (none: deletes), by path, and whether it confirms removals.
    Commit {
        put: BTreeMap<String, Option<String>>,
        confirm: bool,
    },
    Submit(Submission),
    Cancel {
        task: u32,
    },
    Retry {
        task: u32,
    },
    Reroute {
        task: u32,
        runtime: Option<Name>,
        model: Option<Name>,
    },
    Lease(LeaseScript),
    Fault(Fault),
}

/// A task that a person submits.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Submission {
    pub label: u32,
    pub capability: Vec<String>,
    pub runtime: Option<Name>,
    pub model: Option<Name>,
    pub priority: i32,
    pub force: bool,
    pub exclusive: Option<bool>,
    /// From the start of the simulation, by the wall clock as nobody set it.
    pub not_before_ms: Option<u64>,
    /// Labels of earlier submissions.
    pub depends_on: Vec<u32>,
    pub runs_on_failure: bool,
    pub input_tokens: Option<u32>,
    /// How long its work takes once it runs.
    pub work_ms: u64,
    /// Sent twice with the same key.
    pub twice: bool,
}

/// Another program that wants a GPU.
#[derive(Clone, Debug, PartialEq)]
pub struct LeaseScript {
    pub label: u32,
    /// As places in [`Site::gpus`].
    pub gpus: Vec<usize>,
    pub exclusive: bool,
    pub vram_gb: Option<f64>,
    pub force: bool,
    pub priority: i32,
    pub ttl_ms: u64,
    /// It gives signs of life for so long.
    pub lives_ms: u64,
    /// Whether it gives the lease back at the end of its life, or dies with it.
    pub releases: bool,
}

/// Something that goes wrong.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// The next call of this kind on this runtime goes wrong.
    Call {
        runtime: Name,
        verb: CallVerb,
        how: Mishap,
    },
    /// Something else unloads a model.
    Vanish {
        runtime: Name,
        model: String,
    },
    /// Something else loads one.
    Appear {
        runtime: Name,
        model: String,
    },
    /// A runtime starts anew and forgets what was loaded.
    Restart {
        runtime: Name,
    },
    /// A runtime refuses connections.
    Down {
        runtime: Name,
        for_ms: u64,
    },
    /// Others' requests.
    Busy {
        runtime: Name,
        requests: u32,
        for_ms: u64,
    },
    /// Other programs take so much of a GPU from now on.
    Foreign {
        gpu: usize,
        gb: f64,
    },
    WallJump {
        by_ms: i64,
    },
    Sleep {
        ms: u64,
    },
    /// Nothing can be written.
    DiskFull {
        for_ms: u64,
    },
    /// The program ends at the so-many-th write from now on, before or after it reached the disk.
    Crash {
        writes: u32,
        after: bool,
        away_ms: u64,
    },
}

/// What is asked of a runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CallVerb {
    Observe,
    Load,
    Unload,
    Run,
}

/// How a call goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mishap {
    Slow {
        by_ms: u64,
    },
    /// No answer within the time that is given, and nothing is done.
    Hangs,
    /// No answer within the time that is given, and it is done all the same.
    HangsDone,
    Error,
    /// Refused for good: the input is bad.
    BadInput,
    /// It says that it is done, and soon after it is no longer so.
    DoneThenGone {
        after_ms: u64,
    },
    /// It says that it is done, and nothing is.
    Lies,
}

impl Act {
    /// Whether shrinking tries to take it away among the faults.
    #[must_use]
    pub fn is_fault(&self) -> bool {
        matches!(self, Self::Fault(_))
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>9.3} s  ", self.at_ms as f64 / 1e3)?;
        match &self.act {
            Act::Commit { put, confirm } => {
                write!(f, "commit{}:", if *confirm { " (Prune: confirm)" } else { "" })?;
                for (path, text) in put {
                    match text.as_deref().map(|text| text.lines().last().unwrap_or_default()) {
                        Some(spec) => write!(f, " {path} = {spec}")?,
                        None => write!(f, " {path} deleted")?,
                    }
                }
                Ok(())
            }
            Act::Submit(one) => write!(f, "submit {one:?}"),
            Act::Cancel { task } => write!(f, "cancel task {task}"),
            Act::Retry { task } => write!(f, "retry task {task}"),
            Act::Reroute { task, runtime, model } => write!(f, "reroute task {task} to {runtime:?}, {model:?}"),
            Act::Lease(lease) => write!(f, "lease {lease:?}"),
            Act::Fault(fault) => write!(f, "fault {fault:?}"),
        }
    }
}
