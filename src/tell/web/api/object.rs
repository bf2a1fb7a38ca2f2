//! `/api/v1/objects/{kind}/{name}`: one declared object with its text, diagnostics and what was done about it.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::core::{Commit, ObjectKey, Timestamp};
use crate::decide::reconcile::ObjectHistory;
use crate::declare::manifest::Diagnostic;
use crate::declare::world::{Object, Standing};
use crate::tell::web::attention;
use crate::tell::web::facts::Facts;

use super::drift::DriftRow;

/// One declared object.
#[derive(Clone, Debug, Serialize)]
pub struct ObjectBody {
    /// The same row as on `/api/v1/drift`; null for one that the planner does not judge.
    pub status: Option<DriftRow>,
    /// `Current`, `LastGood`, `Retained` or `PruneHeld`; null when nothing of it is in force.
    pub standing: Option<&'static str>,
    pub generation: Option<u64>,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    /// The document in force, as it is written in the repository.
    pub text: Option<String>,
    pub spec: Option<serde_json::Value>,
    pub asked_by: Option<Commit>,
    pub diagnostics: Vec<Diagnostic>,
    pub history: Option<ObjectHistory>,
    pub revision: Option<String>,
    pub generated_at: Timestamp,
}

impl ObjectBody {
    /// None when there is no such object, neither in force nor broken.
    #[must_use]
    pub fn of(facts: &Facts, key: &ObjectKey) -> Option<Self> {
        let (object, status) = (facts.picture.world.objects.get(key), facts.status(key));
        let broken = facts.picture.world.broken.iter().any(|broken| broken.key.as_ref() == Some(key));
        if object.is_none() && status.is_none() && !broken {
            return None;
        }
        let document = object.map(|object| &object.document);
        Some(Self {
            status: status.map(|status| DriftRow::of(status, facts)),
            standing: object.map(|object| standing_word(object)),
            generation: object.map(|object| object.generation),
            labels: document.map(|document| document.labels.clone()).unwrap_or_default(),
            annotations: document.map(|document| document.annotations.clone()).unwrap_or_default(),
            text: document.map(|document| document.text.to_string()),
            spec: document.and_then(|document| serde_json::to_value(&document.spec).ok()),
            asked_by: object.and_then(|object| object.asked_by.clone()),
            diagnostics: attention::diagnostics_of(facts, key).into_iter().cloned().collect(),
            history: facts.history(key).cloned(),
            revision: facts.revision_text(),
            generated_at: facts.now,
        })
    }
}

/// How an object in force stands to the applied revision.
#[must_use]
pub fn standing_word(object: &Object) -> &'static str {
    match object.standing {
        Standing::Current => "Current",
        Standing::LastGood { .. } => "LastGood",
        Standing::Retained { .. } => "Retained",
        Standing::PruneHeld { .. } => "PruneHeld",
    }
}
