//! Rows with everything filled in, and a clock that stands still.

use std::path::Path;
use std::sync::Arc;

use arcology::core::{Clock, Commit, CommitSha, Digest, Name, ObjectKey, Revision, Timestamp};
use arcology::declare::manifest::Place;
use arcology::declare::world::Standing;
use arcology::remember::store::row::{AppliedRow, ObjectRow, TaskRow, TaskState};
use arcology::remember::store::{AuditEntry, Error, NewIntent, Store};

struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        at(0)
    }
}

pub fn try_open(dir: &Path) -> Result<Store, Error> {
    Store::open(dir, Arc::new(Still))
}

pub fn open(dir: &Path) -> Store {
    try_open(dir).unwrap()
}

/// `2026-11-21T10:00:00Z` and that many seconds.
pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_795_255_200 + seconds).unwrap()
}

pub fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

pub fn key(text: &str) -> ObjectKey {
    ObjectKey::parse(text).unwrap()
}

pub fn applied(n: u8) -> AppliedRow {
    let sha = CommitSha::new(&format!("{n:040x}"));
    let commit = Commit { sha, subject: format!("change {n}"), author: "Ada".to_owned(), at: at(0) };
    AppliedRow { revision: Revision { branch: "main".to_owned(), commit }, applied_at: at(i64::from(n)) }
}

pub fn object(key: ObjectKey, generation: u8) -> ObjectRow {
    ObjectRow {
        place: Place { path: "manifests/a.yaml".into(), line: u32::from(generation) },
        text: format!("# {key}\n"),
        digest: Digest::of(&[generation]),
        generation: u64::from(generation),
        asked_by: Some(applied(generation).revision.commit),
        revision: None,
        standing: Standing::PruneHeld { reason: "too many at once".to_owned() },
        key,
    }
}

pub fn target(served_as: &str) -> String {
    format!(r#"{{"model":{{"runtime":"swap","model":null,"served_as":"{served_as}"}}}}"#)
}

pub fn load(object: ObjectKey, served_as: &str) -> NewIntent {
    let reason = "it is not loaded".to_owned();
    NewIntent { object, verb: "load".to_owned(), target: target(served_as), reason, revision: None }
}

pub fn audit(verb: &str, object: &str) -> AuditEntry {
    AuditEntry {
        at: at(2),
        actor: "arcology".to_owned(),
        verb: verb.to_owned(),
        object: object.to_owned(),
        reason: "a test".to_owned(),
        result: "ok".to_owned(),
        before: None,
        after: None,
        revision: None,
    }
}

pub fn task(id: &str) -> TaskRow {
    TaskRow {
        id: id.to_owned(),
        spec: serde_json::from_str(r#"{"capability": "text.summarize", "tags": ["project:Acme"]}"#).unwrap(),
        object: None,
        revision: None,
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
