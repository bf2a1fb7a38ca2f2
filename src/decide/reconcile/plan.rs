//! A plan is a value: the loop carries it out, `arcology plan` prints it, the page shows it. The same one.

use serde::{Deserialize, Serialize};

use crate::core::{Commit, Name, ObjectKey};
use crate::declare::manifest::Place;

use super::status::ObjectStatus;

/// What is so, and what is to be done about it, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    pub statuses: Vec<ObjectStatus>,
    pub intents: Vec<Intent>,
}

/// The part of a plan that is about one object.
#[derive(Clone, Debug, PartialEq)]
pub struct ObjectPlan {
    pub status: ObjectStatus,
    pub intents: Vec<Intent>,
    pub bookkeeping: Vec<Bookkeeping>,
}

/// A change of the inventory that needs nothing done to the world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bookkeeping {
    /// What the object asks for was there already: it answers for it from now on.
    Adopt(Target),
    /// The object no longer asks for it, and there is nothing to undo.
    Release(Target),
}

/// One thing to be done to the world.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Intent {
    /// The object that asks for it.
    pub object: ObjectKey,
    pub verb: Verb,
    pub target: Target,
    /// Why, one sentence.
    pub reason: String,
    /// The manifest line that asks for it; none for the cleaning up of what is gone.
    pub place: Option<Place>,
    /// The commit that asks for it.
    pub commit: Option<Commit>,
    pub cost: Cost,
    /// What was seen, when this answers a drift rather than a change of the manifest; such ones are counted against a
    /// loop.
    pub corrects: Option<String>,
}

/// What can be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    Unload,
    Load,
    /// Put a committed task into the queue.
    Enqueue,
    /// Take a task whose manifest is gone out of the queue.
    Cancel,
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Model { runtime, served_as, .. } => write!(f, "{served_as} on {runtime}"),
            Self::Task { id } => f.write_str(id),
        }
    }
}

impl Verb {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unload => "unload",
            Self::Load => "load",
            Self::Enqueue => "enqueue",
            Self::Cancel => "cancel",
        }
    }

    /// The verb of a word, as a journal has it.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Unload, Self::Load, Self::Enqueue, Self::Cancel].into_iter().find(|verb| verb.as_str() == word)
    }

    /// Whether something is there afterwards that was not, and has to be undone one day.
    #[must_use]
    pub fn makes(self) -> bool {
        match self {
            Self::Load | Self::Enqueue => true,
            Self::Unload | Self::Cancel => false,
        }
    }
}

/// What it is done to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// A model on a runtime.
    Model {
        runtime: Name,
        /// The declared Model, where it is declared.
        model: Option<Name>,
        /// The runtime's own name for it.
        served_as: String,
    },
    /// A task of the queue.
    Task { id: String },
}

/// What an intent costs. What is not known is absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// Change of GPU memory in GB: positive takes, negative frees.
    pub vram_gb: Option<f64>,
    /// The GPU it is about, as `host/gpu`; none on CPU.
    pub gpu: Option<String>,
    pub ram_gb: Option<f64>,
    pub disk_gb: Option<f64>,
    pub download_bytes: Option<u64>,
    /// Expected time, the median of earlier loads of this model on this runtime.
    pub expected_ms: Option<u64>,
    /// From how many earlier loads.
    pub samples: u32,
    /// Models that the runtime evicts for it.
    pub evicts: Vec<String>,
    /// Tasks that run on or wait for what is changed.
    pub touches_tasks: Vec<String>,
}
