//! An artifact as one task made it, and one content with every task that made it.

use serde::Serialize;

use crate::core::{Digest, Timestamp};
use crate::remember::store::row::ArtifactRow;

/// An item of `/api/v1/artifacts`.
#[derive(Clone, Debug, Serialize)]
pub struct ArtifactItem {
    #[serde(rename = "type")]
    pub kind: String,
    /// Under the vault.
    pub path: String,
    /// `sha256:…`
    pub checksum: Digest,
    pub bytes: u64,
    pub task: String,
    pub created_at: Timestamp,
    pub lineage: serde_json::Value,
}

impl ArtifactItem {
    #[must_use]
    pub fn of(row: &ArtifactRow) -> Self {
        Self {
            kind: row.kind.clone(),
            path: row.path.clone(),
            checksum: row.sha256,
            bytes: row.bytes,
            task: row.task.clone(),
            created_at: row.created_at,
            lineage: row.lineage.clone(),
        }
    }
}

/// `/api/v1/artifacts/{sha}`: one content.
#[derive(Clone, Debug, Serialize)]
pub struct ArtifactBody {
    pub checksum: Digest,
    pub bytes: u64,
    /// Each task that made exactly these bytes, the newest first.
    pub made_by: Vec<ArtifactItem>,
    /// What was made from it: artifacts whose lineage names this checksum among its inputs.
    pub used_by: Vec<ArtifactItem>,
    /// False when there are more artifacts than were looked through.
    pub used_by_complete: bool,
    pub revision: Option<String>,
    pub generated_at: Timestamp,
}

/// The checksums that a lineage names as its inputs, wherever in `inputs` they stand.
#[must_use]
pub fn inputs_of(lineage: &serde_json::Value) -> Vec<Digest> {
    let mut found = Vec::new();
    if let Some(inputs) = lineage.get("inputs") {
        collect(inputs, &mut found);
    }
    found.dedup();
    found
}

/// The most inputs that are shown of one artifact.
pub const INPUTS_MAX: usize = 100;

fn collect(value: &serde_json::Value, found: &mut Vec<Digest>) {
    use serde_json::Value;
    if found.len() >= INPUTS_MAX {
        return;
    }
    match value {
        Value::String(text) if text.starts_with("sha256:") => found.extend(Digest::parse(text).ok()),
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        Value::Object(fields) => fields.values().for_each(|item| collect(item, found)),
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_are_found_by_their_checksums_and_nothing_else_is() {
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        let lineage = serde_json::json!({
            "inputs": {"files": [{"name": "a.pdf", "checksum": a.to_string()}], "text": b.to_string(), "note": "sha256:no"},
            "prompt": Digest::of(b"c").to_string(),
        });
        assert_eq!(inputs_of(&lineage), [a, b]);
    }
}
