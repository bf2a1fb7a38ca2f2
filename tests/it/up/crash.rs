//! Killed at random moments while work flows, and started again: nothing lost, nothing done twice.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use arcology::core::rng::Rng;
use serde_json::{Value, json};

use super::harness::{Daemon, Place, eventually, so};

/// Names the seed to be tried again.
const SEED: &str = "ARCOLOGY_CRASH_SEED";
/// How often the daemon is killed in one run.
const KILLS: u64 = 10;

#[test]
fn killed_at_any_moment_it_loses_nothing_and_does_nothing_twice() {
    let seed = std::env::var(SEED).map_or_else(
        |_| u64::from(std::process::id()) ^ 0x5eed,
        |text| text.parse().unwrap_or_else(|_| panic!("{SEED} is a whole number, and not `{text}`")),
    );
    println!("the same kills again: {SEED}={seed}");
    let mut rng = Rng::new(seed);
    let place = Place::of_this_project();
    let mut submitted = BTreeMap::new();
    let mut specs = 1;
    let mut last = String::new();
    for kill in 0..KILLS {
        let daemon = place.up();
        let end = Instant::now() + Duration::from_millis(rng.between(20, 700));
        let mut act = 0;
        while Instant::now() < end {
            match rng.below(4) {
                0 => last = flip(&place),
                1 => {
                    specs += 1;
                    place.write("manifests/task.yaml", &task(specs));
                    last = place.commit("Another task");
                }
                2 => submit(&daemon, &format!("key-{kill}-{act}"), &mut submitted),
                _ => {
                    let _ = std::fs::remove_file(place.loaded("textrank"));
                }
            }
            act += 1;
        }
        daemon.kill();
    }
    assert!(!last.is_empty(), "something was committed; seed {seed}");
    let daemon = place.up();
    // Unloading it behind the daemon's back this often is a drift loop, unless a person says to go on.
    daemon.call("/v1/reconcile", &json!({}));
    daemon.until_in_sync_at("Loadout/desk", &last);
    eventually("every task is over", || {
        let tasks = daemon.json("/api/v1/status")["tasks"].clone();
        let open: u64 = ["queued", "blocked", "running"].iter().map(|state| tasks[state].as_u64().unwrap()).sum();
        so(open == 0, tasks)
    });
    check_tasks(&place, &daemon, &submitted, seed);
    check_audit(&daemon, seed);
    settled_is_settled(&place, daemon);
}

/// Applying the same revision once more changes nothing.
fn settled_is_settled(place: &Place, daemon: Daemon) {
    let before: Vec<Value> = daemon.audit().iter().map(|row| row["seq"].clone()).collect();
    daemon.kill();
    let daemon = place.up();
    daemon.until("Loadout/desk", "is in sync again", |row| row["sync"] == "InSync");
    daemon.call("/v1/reconcile", &json!({}));
    let new: Vec<Value> = daemon.audit().into_iter().filter(|row| !before.contains(&row["seq"])).collect();
    let acted: Vec<&Value> =
        new.iter().filter(|row| !["apply", "reconcile"].contains(&row["verb"].as_str().unwrap())).collect();
    assert!(acted.is_empty(), "{acted:#?}");
}

/// Every accepted task is there once, over, and what it made is in the vault with its checksum.
fn check_tasks(place: &Place, daemon: &Daemon, submitted: &BTreeMap<String, String>, seed: u64) {
    let mut tasks = Vec::new();
    let mut next = Some(String::new());
    while let Some(cursor) = next {
        let query = if cursor.is_empty() { String::new() } else { format!("&cursor={cursor}") };
        let page = daemon.json(&format!("/api/v1/tasks?limit=200{query}"));
        tasks.extend(page["items"].as_array().unwrap().clone());
        next = page["next"].as_str().map(str::to_owned);
    }
    let ids: Vec<&str> = tasks.iter().map(|task| task["id"].as_str().unwrap()).collect();
    for (key, id) in submitted {
        assert_eq!(ids.iter().filter(|seen| *seen == id).count(), 1, "{key} {id}; seed {seed}");
        let (_, again) = daemon.call("/v1/tasks", &submission(key));
        assert_eq!(again[0]["id"], *id, "the same key is the same task; seed {seed}");
    }
    let mut paths = std::collections::BTreeSet::new();
    for task in &tasks {
        let state = task["state"].as_str().unwrap();
        assert!(["done", "error", "cancelled"].contains(&state), "{task:#}; seed {seed}");
        if state == "error" {
            assert_eq!(task["error"]["code"], "interrupted", "only being killed again and again may fail it: {task:#}");
        }
        for artifact in task["artifacts"].as_array().unwrap() {
            let path = artifact["path"].as_str().unwrap();
            assert!(paths.insert(path.to_owned()), "{path} is recorded once; seed {seed}");
            let bytes = std::fs::read(place.state().join("vault").join(path)).unwrap();
            assert_eq!(arcology::core::Digest::of(&bytes).to_string(), artifact["checksum"], "seed {seed}");
        }
        if state == "done" {
            assert_eq!(task["artifacts"].as_array().unwrap().len(), 1, "{task:#}; seed {seed}");
        }
    }
}

/// Every applied revision and every submission stands in the audit once.
fn check_audit(daemon: &Daemon, seed: u64) {
    let mut seen = std::collections::BTreeSet::new();
    for row in daemon.audit() {
        if row["verb"] == "submit" {
            assert!(seen.insert(row["object"].to_string()), "{row:#}; seed {seed}");
        }
    }
}

fn flip(place: &Place) -> String {
    let text = std::fs::read_to_string(place.repo().join("manifests/loadout.yaml")).unwrap();
    let (from, to) =
        if text.contains("lead, state: onDemand") { ("onDemand", "loaded") } else { ("loaded", "onDemand") };
    place.edit("manifests/loadout.yaml", &format!("lead, state: {from}"), &format!("lead, state: {to}"));
    place.commit("Flip lead")
}

fn task(n: u64) -> String {
    format!(
        "apiVersion: arcology/v1alpha1\nkind: Task\nmetadata: {{name: work}}\nspec:\n  capability: text.stats\n  \
         inputs: {{text: Text number {n}.}}\n"
    )
}

fn submission(key: &str) -> Value {
    json!({"capability": "text.stats", "inputs": {"text": "Some words."}, "idempotency_key": key})
}

fn submit(daemon: &Daemon, key: &str, submitted: &mut BTreeMap<String, String>) {
    let (status, answer) = daemon.call("/v1/tasks", &submission(key));
    assert_eq!(status, 202, "{answer:#}");
    submitted.insert(key.to_owned(), answer[0]["id"].as_str().unwrap().to_owned());
}
