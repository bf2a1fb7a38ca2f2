//! The JSON contracts: keys exactly as published, nulls where nothing is known, and what needs attention in its order.

use std::collections::BTreeSet;
use std::sync::Arc;

use arcology::act::engine::picture::Picture;
use arcology::core::Name;
use arcology::decide::reconcile::{Correction, Health, ObjectHistory};
use arcology::decide::view::{ModelState, RuntimeView};
use arcology::remember::store::row::TaskState;
use arcology::tell::web::api::drift::{self, DriftFilter, DriftRow};
use arcology::tell::web::api::object::ObjectBody;
use arcology::tell::web::api::resources;
use arcology::tell::web::api::runtime;
use arcology::tell::web::api::status::Status;
use arcology::tell::web::api::task::TaskStatus;
use arcology::tell::web::api::{model, openapi};
use arcology::tell::web::attention;
use arcology::tell::web::facts::{Facts, Queue};
use serde::Serialize;
use serde_json::{Value, json};

use super::sample::{self, at, key, name};

fn value(body: &impl Serialize) -> Value {
    serde_json::to_value(body).unwrap()
}

fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().expect("an object").keys().map(String::as_str).collect()
}

fn set<'a>(keys: &[&'a str]) -> BTreeSet<&'a str> {
    keys.iter().copied().collect()
}

/// What the description of the API says of a path.
fn described(path: &str) -> BTreeSet<&'static str> {
    set(openapi::keys_of(path).unwrap())
}

#[test]
fn the_status_has_exactly_the_published_keys() {
    let status = value(&Status::of(&sample::broken(), &sample::troubled_queue()));
    assert_eq!(keys(&status), described("/api/v1/status"));
    assert_eq!(keys(&status["commit"]), set(&["sha", "subject", "author", "at"]));
    let source = ["repo", "branch", "ready", "reason", "message", "help", "since", "checked_at", "pending"];
    assert_eq!(keys(&status["source"]), set(&source));
    assert_eq!(keys(&status["objects"]), set(&["total", "in_sync", "drifted", "unknown", "invalid", "held"]));
    let runtime = ["name", "adapter", "health", "link", "reason", "observed_at", "source", "models_loaded"];
    assert_eq!(keys(&status["runtimes"][0]), set(&runtime));
    assert_eq!(keys(&status["tasks"]), set(&["queued", "blocked", "running", "done", "error", "cancelled"]));
    assert_eq!(keys(&status["attention"][0]), set(&["severity", "object", "title", "message", "href", "next"]));
    assert_eq!((&status["locks"], &status["eta_coverage"]), (&json!([]), &json!({"inside": 0, "total": 0})));
    assert_eq!(status["incidents"], json!({"open": 0}));
}

#[test]
fn before_the_first_revision_the_status_claims_nothing() {
    let status = value(&Status::of(&sample::empty(), &Queue { problem: Some("closed".into()), ..Queue::default() }));
    for unknown in ["revision", "commit", "applied_at", "tasks"] {
        assert_eq!(status[unknown], Value::Null, "{unknown}");
    }
    assert_eq!(status["source"]["ready"], json!(false));
    assert_eq!(status["source"]["reason"], json!("NothingApplied"));
    assert_eq!(status["store_problem"], json!("closed"));
}

#[test]
fn a_row_of_drift_is_the_published_one() {
    let facts = sample::broken();
    let row = value(&DriftRow::of(facts.status(&key("Loadout/desk")).unwrap(), &facts));
    assert_eq!(keys(&row), described("/api/v1/drift"));
    assert_eq!((&row["kind"], &row["name"]), (&json!("Loadout"), &json!("desk")));
    assert_eq!((&row["sync"], &row["drift"]), (&json!("Drifted"), &json!("Missing")));
    assert_eq!(keys(&row["hold"]), set(&["reason", "message", "who", "until"]));
    assert_eq!(row["hold"]["reason"], json!("Backoff"));
    assert_eq!(keys(&row["fields"][0]), set(&["field", "desired", "observed", "drift"]));
    assert_eq!(row["manifest"], json!("manifests/loadouts.yaml:1"));
    assert!(row["revision"].as_str().unwrap().starts_with("main@sha1:"));
    assert_eq!(row["since"], json!("2026-11-21T09:55:00Z"));
    let calm = value(&DriftRow::of(facts.status(&key("Host/desk")).unwrap(), &facts));
    assert_eq!((&calm["drift"], &calm["hold"], &calm["sync"]), (&Value::Null, &Value::Null, &json!("InSync")));
}

#[test]
fn since_is_unknown_when_the_answer_changed_after_it_was_noted() {
    let mut picture = sample::normal_picture();
    let noted = ObjectHistory { sync: None, since: Some(at(-9_000)), ..ObjectHistory::default() };
    picture.histories = Arc::new([(key("Loadout/desk"), noted)].into());
    let facts = Facts::at(Arc::new(picture), at(0));
    assert_eq!(facts.since(facts.status(&key("Loadout/desk")).unwrap()), None);
}

#[test]
fn a_task_a_model_a_runtime_and_an_object_have_exactly_the_described_keys() {
    let facts = sample::normal();
    let artifact = sample::artifact("task-1", "brief.md", b"# Brief\n");
    let done =
        value(&TaskStatus::of(&sample::task("task-1", TaskState::Done), &sample::attempts("task-1"), &[artifact]));
    assert_eq!(keys(&done), described("/api/v1/tasks/{id}"));
    assert_eq!(keys(&done["artifacts"][0]), set(&["type", "path", "checksum"]));
    assert_eq!(keys(&done["policy_snapshot"]), set(&["name", "revision"]));
    assert_eq!(done["logs_tail"], json!(["reading packet.pdf", "12 pages, 4,031 words", "summarizing"]));
    assert_eq!((&done["state"], &done["eta_seconds"], &done["eta"]), (&json!("done"), &Value::Null, &Value::Null));
    let queued = value(&TaskStatus::of(&sample::task("task-2", TaskState::Queued), &[], &[]));
    assert_eq!(keys(&queued["why"]), set(&["reason", "message", "clears_at"]));
    let failed = value(&TaskStatus::of(&sample::task("task-3", TaskState::Error), &[], &[]));
    assert_eq!(keys(&failed["error"]), set(&["code", "message", "incident"]));
    assert_eq!(keys(&value(&model::all(&facts)[0].row())), described("/api/v1/models"));
    assert_eq!(keys(&value(&runtime::all(&facts)[0].row())), described("/api/v1/runtimes"));
    let object = value(&ObjectBody::of(&facts, &key("Loadout/desk")).unwrap());
    assert_eq!(keys(&object), described("/api/v1/objects/{kind}/{name}"));
    assert!(ObjectBody::of(&facts, &key("Loadout/other")).is_none());
}

#[test]
fn a_model_costs_what_was_measured_when_that_is_more_than_declared_and_is_unknown_without_a_fresh_look() {
    let row = |facts: &Facts, wanted: &str| {
        let found = model::all(facts).into_iter().find(|model| model.name() == wanted);
        value(&found.unwrap().row())
    };
    let normal = sample::normal();
    let qwen = row(&normal, "qwen2.5-7b-q4");
    assert_eq!((&qwen["vram_cost_gb"], &qwen["state"]), (&json!(8.1), &json!("loaded")));
    assert_eq!((&qwen["throughput"], &qwen["last_used_at"]), (&Value::Null, &Value::Null));
    assert_eq!(qwen["source"], json!("swap /running"));
    assert_eq!(row(&normal, "llama3.1-8b")["state"], json!("unloaded"));
    assert_eq!(row(&sample::stale(), "qwen2.5-7b-q4")["state"], json!("unknown"));
    let mut picture = sample::normal_picture();
    picture.runtimes.insert(name("swap"), sample::seen(sample::swap_view(ModelState::Unloading), "swap /running", -1));
    assert_eq!(row(&sample::facts(picture), "qwen2.5-7b-q4")["state"], json!("unknown"));
}

#[test]
fn a_model_that_is_declared_by_an_alias_is_not_listed_a_second_time() {
    let mut picture = sample::normal_picture();
    let mut view = sample::swap_view(ModelState::Loaded);
    view.models.iter_mut().filter(|model| model.name == "minilm").for_each(|model| model.name = "all-minilm-l6".into());
    view.aliases.insert("minilm".into(), "all-minilm-l6".into());
    picture.runtimes.insert(name("swap"), sample::seen(view, "swap /running", -1));
    let facts = sample::facts(picture);
    let models = model::all(&facts);
    let found: Vec<_> = models.iter().filter(|model| model.served_as.contains("minilm")).collect();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].name(), found[0].state()), ("minilm", ModelState::Loaded));
}

#[test]
fn no_runtime_is_healthier_than_the_newest_look_at_it_allows() {
    let stale = sample::stale();
    let mut statuses = stale.statuses.clone();
    statuses.iter_mut().for_each(|status| status.health = Health::Healthy);
    let facts = Facts::with_statuses(Arc::clone(&stale.picture), statuses, at(0));
    let status = value(&Status::of(&facts, &sample::queue()));
    for runtime in status["runtimes"].as_array().unwrap() {
        assert_eq!(runtime["health"], json!("Unknown"), "{runtime}");
    }
    assert_eq!(status["runtimes"][0]["models_loaded"], Value::Null, "never seen is not an empty list: {status}");
    let mut picture = sample::normal_picture();
    let view = RuntimeView { degraded: Some("half of it".into()), ..sample::swap_view(ModelState::Loaded) };
    picture.runtimes.insert(name("swap"), sample::seen(view, "swap /running", -1));
    let mut statuses = sample::normal().statuses;
    statuses.iter_mut().for_each(|status| status.health = Health::Healthy);
    let facts = Facts::with_statuses(Arc::new(picture), statuses, at(0));
    let swap = name("swap");
    assert_eq!(runtime::RuntimeFacts::of(&facts, &swap).health(), Health::Degraded);
}

#[test]
fn resources_tell_what_is_fresh_and_null_for_the_rest() {
    let facts = sample::normal();
    let all = value(&resources::of(&facts, None).unwrap());
    assert_eq!(all["gpu"], json!({"mode": "shared", "util_pct": 63.0, "vram_used_gb": 9.0, "vram_total_gb": 31.84}));
    assert_eq!((&all["cpu"], &all["ram_gb"]), (&json!({"util_pct": 28.4}), &json!({"used": 38.0, "total": 96.0})));
    assert_eq!(all["observed_at"], json!("2026-11-21T09:59:58Z"));
    // qwen and minilm are loaded: 8.1 and 0.4 of the 9 GB are theirs.
    assert_eq!((&all["gpus"][0]["vram_foreign_gb"], &all["gpus"][0]["reading"]), (&json!(0.5), &json!("fresh")));
    assert_eq!(all["gpus"][0]["processes"][0], json!({"pid": 4711, "name": "llama-server", "vram_used_gb": 8.4}));
    assert_eq!(
        (&all["hosts"][0]["disk_gb"]["free"], &all["hosts"][0]["source"]),
        (&json!(512.3), &json!("operating system"))
    );
    let stale = value(&resources::of(&sample::stale(), Some("gpu0")).unwrap());
    let nothing = json!({"mode": null, "util_pct": null, "vram_used_gb": null, "vram_total_gb": null});
    assert_eq!((&stale["gpu"], &stale["observed_at"]), (&nothing, &Value::Null), "what is old is not told as new");
    let gpu = &stale["gpus"][0];
    assert_eq!((&gpu["reading"], &gpu["problem"]), (&json!("stale"), &json!("the card fell off the bus")));
    assert_eq!((&gpu["observed_at"], &gpu["vram_foreign_gb"]), (&json!("2026-11-21T09:56:00Z"), &Value::Null));
    assert_eq!(stale["hosts"][0]["reading"], json!("unknown"));
}

#[test]
fn resources_claim_nothing_that_was_not_measured() {
    let (gpus, hosts, scheduler) = (Arc::default(), Arc::default(), Arc::default());
    let picture = Picture { gpus, hosts, scheduler, ..sample::normal_picture() };
    let facts = sample::facts(picture);
    let all = value(&resources::of(&facts, None).unwrap());
    assert_eq!(keys(&all), described("/api/v1/resources"));
    let nothing = json!({"mode": null, "util_pct": null, "vram_used_gb": null, "vram_total_gb": null});
    assert_eq!(all["gpu"], nothing);
    assert_eq!((&all["cpu"], &all["ram_gb"]), (&json!({"util_pct": null}), &json!({"used": null, "total": null})));
    assert_eq!((&all["observed_at"], &all["locks"]), (&Value::Null, &json!([])));
    assert_eq!(all["gpus"][0]["vram_declared_gb"], json!(32.0));
    assert!(resources::of(&facts, Some("desk/gpu0")).is_ok() && resources::of(&facts, Some("gpu0")).is_ok());
    assert_eq!(resources::of(&facts, Some("gpu9")).unwrap_err(), ["desk/gpu0"]);
}

#[test]
fn objects_are_paged_the_most_urgent_first_and_none_is_lost() {
    let facts = sample::broken();
    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let (rows, next) = drift::page(&facts, &DriftFilter::default(), 2, cursor.as_deref());
        seen.extend(rows.iter().map(|status| (status.sync.as_str(), status.key.to_string())));
        cursor = next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), facts.statuses.len());
    let order: Vec<_> = seen.iter().map(|(sync, _)| *sync).collect();
    let rank = |sync: &&str| drift::SYNC_WORDS.iter().position(|word| word == sync);
    assert!(order.is_sorted_by_key(rank), "{order:?}");
    let filter = DriftFilter { sync: Some("Drifted".into()), held: Some(true), ..DriftFilter::default() };
    let (held, _) = drift::page(&facts, &filter, 10, None);
    assert_eq!(held.iter().map(|status| status.key.to_string()).collect::<Vec<_>>(), ["Loadout/desk"]);
}

#[test]
fn attention_is_in_the_published_order_and_everything_leads_somewhere() {
    let items = attention::list(&sample::broken(), &sample::troubled_queue());
    let told: Vec<_> = items.iter().map(|item| (item.object.as_deref().unwrap_or("-"), item.title.as_str())).collect();
    assert_eq!(
        told,
        [
            ("-", "the repository is not ready: NotFastForward"),
            ("-", "the store does not work"),
            ("-", "manifests/notes.yaml:1 cannot be read"),
            ("Policy/default", "invalid"),
            ("Loadout/desk", "drifted, and held"),
            ("Runtime/local", "has not answered lately"),
            ("Runtime/swap", "is degraded"),
            ("Host/desk", "gpu0 is not as declared"),
            ("task-4", "failed: runtime_error"),
        ]
    );
    assert!(items.iter().all(|item| item.href.starts_with('/') && item.next.is_some()), "{items:?}");
    assert_eq!(attention::list(&sample::normal(), &sample::queue()), []);
}

#[test]
fn a_drift_loop_is_an_error_and_drift_that_nothing_holds_is_a_warning() {
    let with = |corrections: usize| {
        let mut picture = sample::normal_picture();
        let view = sample::swap_view(ModelState::Unloaded);
        picture.runtimes.insert(name("swap"), sample::seen(view, "swap /running", -1));
        let views = picture.runtimes.iter().map(|(name, seen)| (Name::clone(name), seen.view.clone())).collect();
        picture.views = Arc::new(views);
        let saw = Facts::at(Arc::new(picture.clone()), at(0));
        let saw = &saw.status(&key("Loadout/desk")).unwrap().fields[0];
        let saw = format!("{}: {}", saw.field, saw.observed);
        let corrections = (1..).take(corrections).map(|n| Correction { at: at(-60 * n), saw: saw.clone() }).collect();
        let settled = Some(1);
        let history = ObjectHistory { corrections, settled_generation: settled, ..ObjectHistory::default() };
        picture.histories = Arc::new([(key("Loadout/desk"), history)].into());
        attention::list(&Facts::at(Arc::new(picture), at(0)), &sample::queue())
    };
    let (free, looping) = (with(0), with(3));
    assert_eq!((free[0].severity, free[0].title.as_str()), (attention::Severity::Warning, "drifted"));
    assert_eq!(looping[0].severity, attention::Severity::Error, "{looping:?}");
    assert_eq!(looping[0].title, "something keeps changing it back");
}

#[test]
fn held_deletions_are_one_item_with_the_commit_that_lets_them_go() {
    let before = sample::normal();
    let world = sample::world(
        &[("policies/default.yaml", sample::POLICY)],
        Some(&before.picture.world),
        sample::revision(5, "Remove nearly everything", "Grace Hopper", -5),
    );
    let mut picture = sample::normal_picture();
    picture.world = Arc::new(world);
    let items = attention::list(&Facts::at(Arc::new(picture), at(0)), &sample::queue());
    let held: Vec<_> = items.iter().filter(|item| item.title.contains("gone from Git")).collect();
    assert_eq!(held.len(), 1, "{items:?}");
    assert_eq!(held[0].title, "8 objects are gone from Git, their deletion is held");
    assert!(held[0].next.as_deref().unwrap().contains("Prune: confirm"));
}
