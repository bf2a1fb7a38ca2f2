//! A row of `/drift`: what was asked for, by which line and commit, what was seen, and what follows from it.

use serde::Serialize;

use crate::core::{Commit, Kind, ObjectKey, Timestamp};
use crate::decide::reconcile::{Drift, FieldDifference, HoldReason, ObjectStatus, Sync};
use crate::tell::web::facts::Facts;

/// One object: a row of `/api/v1/drift`.
#[derive(Clone, Debug, Serialize)]
pub struct DriftRow {
    pub kind: Kind,
    pub name: String,
    /// `InSync`, `Drifted`, `Unknown` or `Invalid`.
    pub sync: &'static str,
    /// In which way it drifted; null when it did not.
    pub drift: Option<Drift>,
    pub fields: Vec<FieldDifference>,
    pub health: &'static str,
    pub hold: Option<HoldBody>,
    pub reason: String,
    /// Since when `sync` has been so; null when that is not known.
    pub since: Option<Timestamp>,
    pub desired: String,
    pub observed: String,
    /// When that was seen; null when nothing was.
    pub observed_at: Option<Timestamp>,
    pub source: String,
    /// `path:line` of the manifest.
    pub manifest: Option<String>,
    pub revision: Option<String>,
    pub commit: Option<Commit>,
}

/// Why nothing is being done about an object.
#[derive(Clone, Debug, Serialize)]
pub struct HoldBody {
    pub reason: HoldReason,
    pub message: String,
    pub who: Option<String>,
    pub until: Option<Timestamp>,
}

impl DriftRow {
    #[must_use]
    pub fn of(status: &ObjectStatus, facts: &Facts) -> Self {
        Self {
            kind: status.key.kind,
            name: status.key.name.to_string(),
            sync: status.sync.as_str(),
            drift: drift_of(status.sync),
            fields: status.fields.clone(),
            health: status.health.as_str(),
            hold: status.hold.as_ref().map(|hold| HoldBody {
                reason: hold.reason,
                message: hold.message.clone(),
                who: hold.who.clone(),
                until: hold.until,
            }),
            reason: status.reason.clone(),
            since: facts.since(status),
            desired: status.desired.clone(),
            observed: status.observed.clone(),
            observed_at: status.observed_at,
            source: status.source.clone(),
            manifest: status.place.as_ref().map(ToString::to_string),
            revision: status.revision.as_ref().map(ToString::to_string),
            commit: status.commit.clone(),
        }
    }
}

/// In which way an object drifted.
#[must_use]
pub fn drift_of(sync: Sync) -> Option<Drift> {
    match sync {
        Sync::Drifted(drift) => Some(drift),
        Sync::InSync | Sync::Unknown | Sync::Invalid => None,
    }
}

/// What the list is narrowed to. Absent: everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DriftFilter {
    /// One of the four words.
    pub sync: Option<String>,
    pub kind: Option<Kind>,
    /// Only what is held, or only what is not.
    pub held: Option<bool>,
}

/// The words of `sync`, the most urgent first.
pub const SYNC_WORDS: [&str; 4] = ["Invalid", "Drifted", "Unknown", "InSync"];

impl DriftFilter {
    #[must_use]
    pub fn keeps(&self, status: &ObjectStatus) -> bool {
        self.sync.as_deref().is_none_or(|word| word == status.sync.as_str())
            && self.kind.is_none_or(|kind| kind == status.key.kind)
            && self.held.is_none_or(|held| held == status.hold.is_some())
    }
}

/// One page of the statuses that the filter keeps, the most urgent first, then by kind and name.
#[must_use]
pub fn page<'a>(
    facts: &'a Facts,
    filter: &DriftFilter,
    limit: usize,
    cursor: Option<&str>,
) -> (Vec<&'a ObjectStatus>, Option<String>) {
    let kept = facts.statuses.iter().filter(|status| filter.keeps(status)).collect();
    super::list::cut(kept, limit, cursor, |status: &&ObjectStatus| order(status.sync, &status.key))
}

/// The place of an object in the list, as text that sorts.
fn order(sync: Sync, key: &ObjectKey) -> String {
    let rank = SYNC_WORDS.iter().position(|word| *word == sync.as_str()).unwrap_or(SYNC_WORDS.len());
    let kind = Kind::ALL.iter().position(|kind| *kind == key.kind).unwrap_or(Kind::ALL.len());
    format!("{rank}.{kind:02}.{}", key.name)
}
