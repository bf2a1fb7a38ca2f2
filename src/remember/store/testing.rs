//! What the tests of this room share: a clock that stands still, and rows with everything filled in.

use std::path::Path;
use std::sync::Arc;

use crate::core::{Clock, Commit, CommitSha, Digest, Kind, Name, ObjectKey, Revision, Timestamp};
use crate::declare::manifest::Place;
use crate::declare::manifest::kind::task::{OneOrMany, TaskSpec};
use crate::declare::world::Standing;

use super::row::{AppliedRow, ArtifactRow, ObjectRow, TaskRow, TaskState};
use super::{AuditEntry, NewIntent, Store};

/// A clock that stands still.
pub(super) struct Still(pub(super) Timestamp);

impl Clock for Still {
    fn now(&self) -> Timestamp {
        self.0
    }
}

/// `2026-11-21T10:00:00Z` and that many seconds.
pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_795_255_200 + seconds).unwrap()
}

pub(super) fn open(dir: &Path) -> Store {
    Store::open(dir, Arc::new(Still(at(0)))).unwrap()
}

pub(super) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

pub(super) fn key(text: &str) -> ObjectKey {
    ObjectKey::parse(text).unwrap()
}

pub(super) fn revision(n: u64) -> Revision {
    let sha = CommitSha::new(&format!("{n:040x}"));
    let commit = Commit { sha, subject: format!("change {n}"), author: "Ada".to_owned(), at: at(0) };
    Revision { branch: "main".to_owned(), commit }
}

pub(super) fn applied(n: u64) -> AppliedRow {
    AppliedRow { revision: revision(n), applied_at: at(1) }
}

pub(super) fn object(text: &str, generation: u64) -> ObjectRow {
    ObjectRow {
        key: key(text),
        place: Place { path: "manifests/a.yaml".into(), line: 3 },
        text: format!("kind: {text}\n"),
        digest: Digest::of(text.as_bytes()),
        generation,
        asked_by: Some(revision(generation).commit),
        revision: Some(revision(generation)),
        standing: Standing::Retained { by: ObjectKey::new(Kind::Loadout, name("desk")) },
    }
}

pub(super) fn audit(verb: &str, object: &str) -> AuditEntry {
    AuditEntry {
        at: at(2),
        actor: "arcology".to_owned(),
        verb: verb.to_owned(),
        object: object.to_owned(),
        reason: "a test".to_owned(),
        result: "ok".to_owned(),
        before: None,
        after: Some("{}".to_owned()),
        revision: Some(revision(1).to_string()),
    }
}

/// What is loaded where, as the journal and the inventory write it.
pub(super) fn target(served_as: &str) -> String {
    format!(r#"{{"model":{{"runtime":"swap","model":null,"served_as":"{served_as}"}}}}"#)
}

pub(super) fn load(object: &str, served_as: &str) -> NewIntent {
    NewIntent {
        object: key(object),
        verb: "load".to_owned(),
        target: target(served_as),
        reason: "the copilot is not loaded".to_owned(),
        revision: Some(revision(1).to_string()),
    }
}

pub(super) fn task(id: &str) -> TaskRow {
    TaskRow {
        id: id.to_owned(),
        spec: TaskSpec {
            capability: OneOrMany(vec!["text.summarize".to_owned()]),
            inputs: Default::default(),
            params: Default::default(),
            dependencies: Vec::new(),
            priority: 0,
            policy_overrides: Default::default(),
            force: false,
            not_before: None,
            target: Default::default(),
            tags: vec!["project:Acme".to_owned()],
            source: None,
            idempotency_key: None,
            on_failure: Default::default(),
        },
        object: None,
        revision: Some(revision(1)),
        actor: "uid 1000 (pid 4711)".to_owned(),
        state: TaskState::Queued,
        runtime: None,
        model: None,
        why: None,
        error: None,
        attempts: 0,
        policy: Vec::new(),
        created_at: at(0),
        started_at: None,
        finished_at: None,
    }
}

pub(super) fn artifact(task: &str, file: &str) -> ArtifactRow {
    ArtifactRow {
        sha256: Digest::of(file.as_bytes()),
        bytes: 7,
        kind: "md".to_owned(),
        path: format!("runs/2026-11-21/{task}/{file}"),
        task: task.to_owned(),
        created_at: at(3),
        lineage: serde_json::json!({
            "task": task, "capability": "text.summarize", "model": "qwen2.5-7b-q4", "prompt": "Summarize the packet",
        }),
    }
}
