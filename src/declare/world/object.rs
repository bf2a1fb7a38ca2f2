//! An object in force: its document, how often it changed, which commit asked for it, and how it stands.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::core::{Commit, ObjectKey, Revision};
use crate::declare::manifest::{Diagnostic, Document};

/// An object in force.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    pub document: Arc<Document>,
    /// Counts the distinct specs this name has had, from 1.
    pub generation: u64,
    /// The commit that asked for this text: the last one that changed its file when the text was first seen. Moving the
    /// document, or changing others of its file, asks for nothing new. None when it is older than the known history.
    pub asked_by: Option<Commit>,
    /// The revision from which this version was taken.
    pub revision: Option<Revision>,
    pub standing: Standing,
}

/// How an object in force stands to the applied revision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
    /// The applied revision says so.
    Current,
    /// The applied revision has a broken version; this is the last good one.
    LastGood { diagnostics: Vec<Diagnostic> },
    /// Gone from the applied revision, but `by` (itself standing on its last good version) still refers to it.
    Retained { by: ObjectKey },
    /// Gone from the applied revision; a prune guard holds it until a commit says `Prune: confirm`.
    PruneHeld { reason: String },
}

impl Object {
    /// True when the applied revision itself declares this version.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.standing == Standing::Current
    }
}
