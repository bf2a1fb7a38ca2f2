//! Two worlds and the plan between them, for the tests of the renderers: every kind of news occurs once.

use std::sync::Arc;

use serde_json::json;

use crate::core::{Commit, CommitSha, Digest, Kind, Name, ObjectKey, Revision};
use crate::decide::reconcile::{Cost, Hold, HoldReason, Intent, ObjectStatus, Plan, Target, Verb};
use crate::decide::reconcile::{Health, Sync};
use crate::declare::manifest::{Broken, Document, Place, Spec};
use crate::declare::world::{Object, Standing, World};
use crate::tell::diagnostics;

use super::report::{Report, Side};

pub fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn revision(digit: &str, subject: &str) -> Revision {
    Revision {
        branch: "main".into(),
        commit: Commit {
            sha: CommitSha::new(&digit.repeat(40)),
            subject: subject.into(),
            author: "Ada".into(),
            at: "2026-11-21T10:00:00Z".parse().unwrap(),
        },
    }
}

fn object(spec: Spec, name: &str, place: &str, standing: Standing) -> (ObjectKey, Arc<Object>) {
    let key = ObjectKey::new(spec.kind(), Name::new(name).unwrap());
    let (path, line) = place.split_once(':').unwrap();
    let text: Arc<str> = serde_json::to_string(&spec).unwrap().into();
    let document = Document {
        key: key.clone(),
        labels: Default::default(),
        annotations: Default::default(),
        digest: Digest::of(text.as_bytes()),
        place: Place { path: path.into(), line: line.parse().unwrap() },
        text,
        spec,
    };
    let document = Arc::new(document);
    (key, Arc::new(Object { document, generation: 1, asked_by: None, revision: None, standing }))
}

fn loadout(models: serde_json::Value) -> Spec {
    Spec::Loadout(serde_json::from_value(json!({"host": "desk", "models": models})).unwrap())
}

fn model(served_as: &str) -> Spec {
    let spec = json!({"type": "other", "servedBy": [{"runtime": "builtin", "as": served_as}]});
    Spec::Model(serde_json::from_value(spec).unwrap())
}

fn runtime() -> Spec {
    Spec::Runtime(serde_json::from_value(json!({"host": "desk", "adapter": "builtin"})).unwrap())
}

/// Before and after.
pub fn worlds() -> (World, World) {
    let current = || Standing::Current;
    let runtime_line = "manifests/runtime.yaml:1";
    let base = World {
        revision: Some(revision("a", "Begin")),
        objects: [
            object(loadout(json!([{"model": "lead", "state": "loaded"}])), "desk", "manifests/desk.yaml:1", current()),
            object(model("lead"), "lead", "manifests/models.yaml:1", current()),
            object(model("old"), "old", "manifests/old.yaml:1", current()),
            object(runtime(), "builtin", runtime_line, current()),
        ]
        .into(),
        ..World::default()
    };
    let mut problem = diagnostics::samples::all().remove(0);
    problem.message = "unknown field | `modle` <b>@everyone</b>".into();
    let broken_place = Place { path: "manifests/broken.yaml".into(), line: 1 };
    let head = World {
        revision: Some(revision("b", "Try | textrank")),
        objects: [
            object(
                loadout(json!([{"model": "lead", "state": "unloaded"}, {"model": "textrank", "state": "loaded"}])),
                "desk",
                "manifests/desk.yaml:1",
                current(),
            ),
            object(
                model("lead"),
                "lead",
                "manifests/models.yaml:9",
                Standing::LastGood { diagnostics: vec![problem.clone()] },
            ),
            object(model("textrank"), "textrank", "manifests/models.yaml:20", current()),
            object(runtime(), "builtin", runtime_line, Standing::PruneHeld { reason: "it is the last Runtime".into() }),
        ]
        .into(),
        broken: vec![Broken { key: None, meant: None, place: broken_place, diagnostics: vec![problem.clone()] }],
        diagnostics: vec![problem],
    };
    (base, head)
}

fn intent(verb: Verb, model: &str, cost: Cost) -> Intent {
    Intent {
        object: ObjectKey::new(Kind::Loadout, name("desk")),
        verb,
        target: Target::Model { runtime: name("builtin"), model: Some(name(model)), served_as: model.into() },
        reason: format!("Loadout desk wants {model} to {}", verb.as_str()),
        place: Some(Place { path: "manifests/desk.yaml".into(), line: 7 }),
        commit: Some(revision("b", "Try | textrank").commit),
        cost,
        corrects: None,
    }
}

/// A plan with an action on a GPU, one on CPU, and something that waits.
pub fn plan() -> Plan {
    let freed = Cost {
        vram_gb: Some(-7.8),
        gpu: Some("desk/gpu0".into()),
        touches_tasks: vec!["task-1".into()],
        ..Cost::default()
    };
    let hold = Hold {
        reason: HoldReason::Suspended,
        message: "suspended while the disk is replaced".into(),
        who: Some("Ada".into()),
        until: None,
    };
    let status = ObjectStatus {
        key: ObjectKey::new(Kind::Loadout, name("desk")),
        sync: Sync::InSync,
        fields: Vec::new(),
        health: Health::Healthy,
        hold: Some(hold),
        reason: "suspended".into(),
        desired: String::new(),
        observed: String::new(),
        observed_at: None,
        source: String::new(),
        place: None,
        revision: None,
        commit: None,
    };
    Plan {
        statuses: vec![status],
        intents: vec![
            intent(Verb::Unload, "lead", freed),
            intent(Verb::Load, "textrank", Cost { evicts: vec!["tiny".into()], ..Cost::default() }),
        ],
    }
}

/// The report on all of it.
pub fn report() -> Report {
    let (base, head) = worlds();
    let sides = (base.revision.as_ref().map(Side::of).unwrap(), head.revision.as_ref().map(Side::of).unwrap());
    Report::new((sides.0, &base), (sides.1, &head), plan())
}
