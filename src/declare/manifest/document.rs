//! A parsed manifest document: identity, metadata, typed spec, and where it stood.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::core::{Digest, Kind, ObjectKey, Timestamp};

use super::diagnostic::Diagnostic;
use super::kind::{
    blueprint::BlueprintSpec, experiment::ExperimentSpec, golden_set::GoldenSetSpec, host::HostSpec,
    loadout::LoadoutSpec, model::ModelSpec, policy::PolicySpec, run::RunSpec, runtime::RuntimeSpec, task::TaskSpec,
};
use super::salvage::Salvaged;

/// Deleting the manifest leaves the real thing alone when this annotation says `disabled`.
pub const ANNOTATION_PRUNE: &str = "arcology/prune";
/// Observe and report drift, change nothing, when this annotation says `true`.
pub const ANNOTATION_SUSPEND: &str = "arcology/suspend";
/// Why the object is suspended; free text, shown beside it.
pub const ANNOTATION_SUSPEND_REASON: &str = "arcology/suspend-reason";
/// When the suspension ends by itself, RFC 3339.
pub const ANNOTATION_SUSPEND_UNTIL: &str = "arcology/suspend-until";
/// Every annotation that means something.
pub const ANNOTATIONS: [&str; 4] =
    [ANNOTATION_PRUNE, ANNOTATION_SUSPEND, ANNOTATION_SUSPEND_REASON, ANNOTATION_SUSPEND_UNTIL];

/// A place in the repository, written `path:line` (lines count from 1).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    pub path: Arc<str>,
    pub line: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.path, self.line)
    }
}

/// The spec of any kind.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Spec {
    Host(HostSpec),
    Runtime(RuntimeSpec),
    Model(ModelSpec),
    Loadout(LoadoutSpec),
    Policy(PolicySpec),
    Blueprint(BlueprintSpec),
    Task(TaskSpec),
    Run(RunSpec),
    GoldenSet(GoldenSetSpec),
    Experiment(ExperimentSpec),
}

impl Spec {
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Host(_) => Kind::Host,
            Self::Runtime(_) => Kind::Runtime,
            Self::Model(_) => Kind::Model,
            Self::Loadout(_) => Kind::Loadout,
            Self::Policy(_) => Kind::Policy,
            Self::Blueprint(_) => Kind::Blueprint,
            Self::Task(_) => Kind::Task,
            Self::Run(_) => Kind::Run,
            Self::GoldenSet(_) => Kind::GoldenSet,
            Self::Experiment(_) => Kind::Experiment,
        }
    }
}

/// A valid document. Whether what it refers to exists is another question.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    pub key: ObjectKey,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    pub spec: Spec,
    /// The line of the document's first key.
    pub place: Place,
    /// Digest of the canonical spec and the annotations that mean something: what a generation is counted by.
    pub digest: Digest,
    /// The document's own text, kept so that the last good version survives a restart and can be shown and edited.
    pub text: Arc<str>,
}

/// A suspension in force: who and why are told, and it may end by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suspension {
    pub reason: Option<String>,
    pub until: Option<Timestamp>,
}

impl Document {
    /// Whether deleting the manifest undoes what it asked for.
    #[must_use]
    pub fn prunes(&self) -> bool {
        self.annotations.get(ANNOTATION_PRUNE).is_none_or(|value| value != "disabled")
    }

    /// The suspension in force at `now`, if any.
    #[must_use]
    pub fn suspension(&self, now: Timestamp) -> Option<Suspension> {
        if self.annotations.get(ANNOTATION_SUSPEND).is_none_or(|value| value != "true") {
            return None;
        }
        let until = self.annotations.get(ANNOTATION_SUSPEND_UNTIL).and_then(|text| text.parse::<Timestamp>().ok());
        if until.is_some_and(|until| until <= now) {
            return None;
        }
        Some(Suspension { reason: self.annotations.get(ANNOTATION_SUSPEND_REASON).cloned(), until })
    }
}

/// A document that could not be used. When its header could be read, `key` says whose last good version stays.
#[derive(Clone, Debug, PartialEq)]
pub struct Broken {
    pub key: Option<ObjectKey>,
    /// Whose document it seems to be when its kind is misspelt; for words only, it speaks for nobody.
    pub meant: Option<ObjectKey>,
    pub place: Place,
    pub diagnostics: Vec<Diagnostic>,
}

/// All that a manifest file holds. Parsing never fails as a whole: the worst file is one `Broken`.
#[derive(Clone, Debug, PartialEq)]
pub struct ParsedFile {
    pub path: Arc<str>,
    pub documents: Vec<Arc<Document>>,
    pub broken: Vec<Broken>,
    /// What can be read of the broken ones, to tell what else is wrong with them; never used for anything else.
    pub salvaged: Vec<Arc<Salvaged>>,
    /// Remarks that do not make anything invalid.
    pub warnings: Vec<Diagnostic>,
}
