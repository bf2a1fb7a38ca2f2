//! Where an artifact came from, as it stands beside the file and in the store. What is not known is absent.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::core::{Digest, Name, ObjectKey, Timestamp};

/// Where an artifact came from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Lineage {
    /// What it is about; the vault fills it in when the artifact gets its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact: Option<Identity>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// The committed Task that the task came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<ObjectKey>,
    /// The attempt of the task that made it, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// The node of the run's graph.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capability: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime: Option<Name>,
    /// The runtime's own version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime_version: Option<String>,
    /// Which adapter spoke to it, and that one's version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adapter: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adapter_version: Option<String>,
    /// The model, as declared, or as the runtime calls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The runtime's own name for the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub served_as: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_hash: Option<Digest>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<String, serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
    /// The prompt as it was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// What it was made from.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<Input>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// The policies in force, the most specific first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub policy: Vec<Name>,
    /// `main@sha1:…` in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    #[serde(skip_serializing_if = "Timings::is_empty")]
    pub timings: Timings,
    /// Numbers as the runtime reported them: `tokens`, `tokens_per_s`…
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub figures: BTreeMap<String, f64>,
    /// The machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
}

/// The artifact itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The name that its maker gave it, before it was made fit for a file system.
    pub name: String,
    /// Short type, such as `md`.
    pub kind: String,
    pub sha256: Digest,
    pub bytes: u64,
    pub created_at: Timestamp,
}

/// Something that an artifact was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    pub name: String,
    pub sha256: Digest,
    pub bytes: u64,
}

/// When the task that made it went through its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Timings {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queued_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
}

impl Timings {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_absent_and_comes_back_so() {
        assert_eq!(serde_json::to_string(&Lineage::default()).unwrap(), "{}");
        assert_eq!(serde_json::from_str::<Lineage>("{}").unwrap(), Lineage::default());
        let newer = r#"{"task": "task-1", "planet": "earth"}"#;
        assert_eq!(serde_json::from_str::<Lineage>(newer).unwrap().task.as_deref(), Some("task-1"));
    }

    #[test]
    fn a_full_lineage_reads_as_the_contract_says() {
        let at: Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
        let input = Input { name: "packet.pdf".to_owned(), sha256: Digest::of(b"x"), bytes: 1 };
        let lineage = Lineage {
            task: Some("task-1".to_owned()),
            model_hash: Some(Digest::of(b"m")),
            inputs: vec![input],
            policy: vec![Name::new("default").unwrap()],
            timings: Timings { queued_at: Some(at), ..Timings::default() },
            figures: BTreeMap::from([("tokens".to_owned(), 12.0)]),
            seed: Some(7),
            ..Lineage::default()
        };
        insta::assert_snapshot!(serde_json::to_string_pretty(&lineage).unwrap(), @r#"
        {
          "task": "task-1",
          "model_hash": "sha256:62c66a7a5dd70c3146618063c344e531e6d4b59e379808443ce962b3abd63c5a",
          "seed": 7,
          "inputs": [
            {
              "name": "packet.pdf",
              "sha256": "sha256:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881",
              "bytes": 1
            }
          ],
          "policy": [
            "default"
          ],
          "timings": {
            "queued_at": "2026-11-21T10:00:00Z"
          },
          "figures": {
            "tokens": 12.0
          }
        }
        "#);
        let text = serde_json::to_string(&lineage).unwrap();
        assert_eq!(serde_json::from_str::<Lineage>(&text).unwrap(), lineage);
    }
}
