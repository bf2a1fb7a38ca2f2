//! The three answers each object has: sync, health and hold. Never one light.

use serde::{Deserialize, Serialize};

use crate::core::{Commit, ObjectKey, Revision, Timestamp};
use crate::declare::manifest::Place;

/// Whether what is declared is what is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Sync {
    InSync,
    Drifted(Drift),
    /// No fresh observation: nothing is claimed, nothing is done.
    Unknown,
    /// The newest version is broken; the last good one, if any, is in force.
    Invalid,
}

/// In which way an object drifted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Drift {
    Missing,
    Unexpected,
    Different,
}

impl Sync {
    /// `InSync`, `Drifted`, `Unknown` or `Invalid`: the word of the JSON contract.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InSync => "InSync",
            Self::Drifted(_) => "Drifted",
            Self::Unknown => "Unknown",
            Self::Invalid => "Invalid",
        }
    }
}

impl std::fmt::Display for Sync {
    /// As people read it: `InSync`, `Drifted: Missing`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Drifted(drift) => write!(f, "Drifted: {drift:?}"),
            other => f.write_str(other.as_str()),
        }
    }
}

/// How the thing itself is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Health {
    Healthy,
    Progressing,
    Degraded,
    Missing,
    Unknown,
}

impl Health {
    /// The word of the JSON contract.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "Healthy",
            Self::Progressing => "Progressing",
            Self::Degraded => "Degraded",
            Self::Missing => "Missing",
            Self::Unknown => "Unknown",
        }
    }
}

/// Why nothing is being done about an object now. Waiting is not failing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    pub reason: HoldReason,
    /// What is waited for, one sentence.
    pub message: String,
    /// Who asked for it, or what holds it.
    pub who: Option<String>,
    pub until: Option<Timestamp>,
}

/// The closed set of reasons to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum HoldReason {
    Suspended,
    Paused,
    Lock,
    Lease,
    Dependency,
    VramFull,
    Window,
    Confirm,
    Backoff,
    /// Corrected too often in too short a time: something else keeps changing it back.
    DriftLoop,
}

/// A field in which desired and observed differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldDifference {
    /// Such as `models[qwen2.5-7b-q4].state`.
    pub field: String,
    pub desired: String,
    pub observed: String,
    pub drift: Drift,
}

/// All that is known of one object: a row of `/drift`.
#[derive(Clone, Debug, PartialEq)]
pub struct ObjectStatus {
    pub key: ObjectKey,
    pub sync: Sync,
    /// At least one when drifted.
    pub fields: Vec<FieldDifference>,
    pub health: Health,
    pub hold: Option<Hold>,
    /// One sentence for a person.
    pub reason: String,
    /// What is declared, in a few words.
    pub desired: String,
    /// What was seen, in a few words.
    pub observed: String,
    /// When that was seen; none when nothing was.
    pub observed_at: Option<Timestamp>,
    /// Where that was seen, such as `swap /running`.
    pub source: String,
    /// Where it is declared; none for what is only known to be broken.
    pub place: Option<Place>,
    /// The revision whose version is in force.
    pub revision: Option<Revision>,
    /// The commit that last changed its manifest.
    pub commit: Option<Commit>,
}
