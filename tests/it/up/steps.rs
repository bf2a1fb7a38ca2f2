//! What a person can do with it, step by step, on the real binary with the built-in runtime.

use std::time::Duration;

use serde_json::{Value, json};

use super::harness::{Daemon, Place, eventually, so, throughout};

const LOADOUT: &str = "manifests/loadout.yaml";

fn up() -> (Place, Daemon) {
    let place = Place::of_this_project();
    let daemon = place.up();
    daemon.until("Loadout/desk", "is in sync", |row| row["sync"] == "InSync");
    daemon.until("Task/summarize-minutes", "is done", |row| row["health"] == "Healthy");
    (place, daemon)
}

#[test]
fn step_1_a_fresh_clone_is_reconciled_and_the_page_says_so() {
    let (place, daemon) = up();
    assert!(place.loaded("textrank").exists());
    let status = daemon.json("/api/v1/status");
    assert_eq!(status["objects"]["in_sync"], status["objects"]["total"], "{status:#}");
    assert_eq!(status["commit"]["subject"], "Begin");
    assert_eq!(daemon.get("/healthz").0, 200);
    assert_eq!(daemon.get("/readyz").0, 200);
    for page in ["/", "/drift", "/tasks", "/runtimes/builtin", "/models", "/vault", "/audit"] {
        let (code, body) = daemon.get(page);
        assert_eq!(code, 200, "{page}");
        assert!(body.contains("</html>"), "{page} is a whole page");
    }
    assert_eq!(place.arcology(&["status"]).status.code(), Some(0));
    let given_up: Vec<Value> =
        daemon.audit().into_iter().filter(|row| row["result"] != "ok" && row["result"] != "done").collect();
    assert!(given_up.is_empty(), "nothing is begun twice: {given_up:#?}");
    let log = daemon.stop();
    assert!(log.lines().count() <= 12, "a few calm lines:\n{log}");
    assert_eq!(place.arcology(&["status"]).status.code(), Some(3), "no daemon");
}

#[test]
fn step_1_once_reconciles_until_settled_and_leaves() {
    let place = Place::of_this_project();
    let output = place.arcology(&["up", "--once", "--listen", "127.0.0.1:0"]);
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{log}");
    assert!(log.contains("settled"), "{log}");
    assert!(place.loaded("textrank").exists());
}

#[test]
fn step_2_a_commit_changes_what_is_loaded() {
    let (place, daemon) = up();
    place.edit(LOADOUT, "{model: lead, state: onDemand}", "{model: lead, state: loaded}");
    let commit = place.commit("Load the lead model too");
    eventually("lead is loaded", || so(place.loaded("lead").exists(), daemon.log()));
    let row = daemon.until_in_sync_at("Loadout/desk", &commit);
    assert_eq!(row["commit"]["sha"], commit);
    assert_eq!(row["commit"]["subject"], "Load the lead model too");
    assert_eq!(row["commit"]["author"], "Ada");
    assert!(row["observed_at"].is_string() && row["source"] == "builtin", "{row:#}");
    place.edit(LOADOUT, "{model: lead, state: loaded}", "{model: lead, state: unloaded}");
    let commit = place.commit("And away again");
    eventually("lead is unloaded", || so(!place.loaded("lead").exists(), daemon.log()));
    daemon.until_in_sync_at("Loadout/desk", &commit);
}

#[test]
fn step_3_drift_is_corrected_and_the_fourth_time_is_a_drift_loop() {
    let (place, daemon) = up();
    let file = place.loaded("textrank");
    for turn in 1..=3 {
        std::fs::remove_file(&file).unwrap();
        eventually("it is back", || so(file.exists(), daemon.log()));
        eventually("it is corrected once more", || {
            let loads = audit_of(&daemon, "load", "Loadout/desk").len();
            so(loads == 1 + turn, loads)
        });
        daemon.until("Loadout/desk", "is in sync", |row| row["sync"] == "InSync");
    }
    std::fs::remove_file(&file).unwrap();
    let row = daemon.until("Loadout/desk", "is in a drift loop", |row| row["hold"]["reason"] == "DriftLoop");
    assert_eq!((&row["sync"], &row["drift"]), (&json!("Drifted"), &json!("Missing")));
    assert!(row["hold"]["message"].as_str().unwrap().contains("models[textrank].state: unloaded"), "{row:#}");
    throughout(Duration::from_millis(700), || so(!file.exists(), "it fights on"));
    let page = daemon.page("/drift");
    assert!(page.contains("DriftLoop"), "the page names it");
    place.says(&["reconcile"]);
    eventually("a person asked, so it is loaded again", || so(file.exists(), daemon.log()));
}

#[test]
fn step_4_a_broken_manifest_costs_only_itself_across_a_restart_too() {
    let (place, daemon) = up();
    place.edit(LOADOUT, "models: #", "modles: #");
    place.edit("manifests/task.yaml", "capability: text.summarize", "capability: text.sumarize");
    place.write("manifests/good.yaml", &model("good"));
    let broken = place.commit("Two typing errors and a good file");
    let good = daemon.until("Model/good", "is in force", |row| row["sync"] != Value::Null);
    assert_eq!(good["commit"]["sha"], broken);
    let row = daemon.until("Loadout/desk", "is invalid", |row| row["sync"] == "Invalid");
    let reason = row["reason"].as_str().unwrap();
    assert!(reason.contains("manifests/loadout.yaml:") && reason.contains("stays in force"), "{reason}");
    assert!(place.loaded("textrank").exists(), "the last good version is in force");

    let validated = place.arcology(&["validate"]);
    assert_eq!(validated.status.code(), Some(1));
    let text = String::from_utf8_lossy(&validated.stdout).into_owned() + &String::from_utf8_lossy(&validated.stderr);
    for part in
        ["manifests/loadout.yaml:", "modles", "models", "manifests/task.yaml:", "text.sumarize", "text.summarize"]
    {
        assert!(text.contains(part), "{part} is missing in:\n{text}");
    }
    let page = daemon.page("/objects/Loadout/desk");
    assert!(page.contains("manifests/loadout.yaml") && page.contains("modles"), "the page shows it too");

    daemon.kill();
    let daemon = place.up();
    daemon.until("Loadout/desk", "is still invalid", |row| row["sync"] == "Invalid");
    std::fs::remove_file(place.loaded("textrank")).unwrap();
    eventually("the last good version is still carried out", || so(place.loaded("textrank").exists(), daemon.log()));

    place.edit(LOADOUT, "modles: #", "models: #");
    let mended = place.commit("Mend the loadout");
    daemon.until_in_sync_at("Loadout/desk", &mended);
    daemon.until("Task/summarize-minutes", "is still broken", |row| row["sync"] == "Invalid");
}

#[test]
fn step_5_plan_tells_what_a_commit_does_and_touches_nothing() {
    let (place, daemon) = up();
    daemon.stop();
    place.edit(LOADOUT, "{model: lead, state: onDemand}", "{model: lead, state: loaded}");
    place.commit("Load the lead model too");
    let before = listing(&place);
    let planned: Value =
        serde_json::from_str(&place.says(&["plan", "--base", "HEAD~1", "--head", "HEAD", "-o", "json"])).unwrap();
    let intents = planned["intents"].as_array().unwrap();
    assert_eq!(intents.len(), 1, "{planned:#}");
    assert_eq!(intents[0]["verb"], "load");
    assert_eq!(intents[0]["object"], "Loadout/desk");
    assert_eq!(listing(&place), before, "nothing was touched");
    let code = place.arcology(&["plan", "--base", "HEAD~1", "--exit-code"]).status.code();
    assert_eq!(code, Some(2));

    let daemon = place.up();
    eventually("the loop did it", || so(place.loaded("lead").exists(), daemon.log()));
    eventually("it was the very plan that the loop carried out", || {
        let done = audit_of(&daemon, "load", "Loadout/desk");
        so(done.last().is_some_and(|row| row["reason"] == intents[0]["reason"]), done)
    });
}

#[test]
fn step_6_a_task_runs_once_and_leaves_an_artifact_with_lineage() {
    let (place, daemon) = up();
    let tasks = daemon.json("/api/v1/tasks");
    let task = &tasks["items"][0];
    assert_eq!((&task["state"], &task["attempts"]), (&json!("done"), &json!(1)), "{task:#}");
    let artifact = &task["artifacts"][0];
    let path = place.state().join("vault").join(artifact["path"].as_str().unwrap());
    let bytes = std::fs::read(&path).unwrap();
    assert_eq!(arcology::core::Digest::of(&bytes).to_string(), artifact["checksum"]);
    let lineage: Value =
        serde_json::from_slice(&std::fs::read(format!("{}.lineage.json", path.display())).unwrap()).unwrap();
    assert_eq!(lineage["object"], "Task/summarize-minutes");
    assert_eq!(lineage["capability"], "text.summarize");
    assert_eq!(lineage["inputs"][0]["name"], "minutes.txt");

    daemon.kill();
    let daemon = place.up();
    daemon.until("Task/summarize-minutes", "is done", |row| row["health"] == "Healthy");
    let again = daemon.json("/api/v1/tasks");
    assert_eq!(again["items"].as_array().unwrap().len(), 1);
    assert_eq!(again["items"][0]["attempts"], 1, "a restart never repeats it");

    place.edit("manifests/task.yaml", "max_words: 60", "max_words: 30");
    place.commit("Shorter");
    eventually("an edit runs it anew", || {
        let tasks = daemon.json("/api/v1/tasks?state=done");
        so(tasks["items"].as_array().unwrap().len() == 2, tasks)
    });
}

#[test]
fn step_6_a_submitted_task_runs_and_its_fate_is_the_exit_code() {
    let (place, _daemon) = up();
    place.write("task.json", &json!({"capability": "text.stats", "inputs": {"text": "One. Two words."}}).to_string());
    let id = place.says(&["submit", "--wait", "task.json"]);
    let why = place.says(&["why", id.trim()]);
    assert!(why.contains("done"), "{why}");
    place.write("bad.json", &json!({"capability": "doc.extract"}).to_string());
    assert_eq!(place.arcology(&["submit", "--wait", "bad.json"]).status.code(), Some(1));
    place.write("typo.json", &json!({"capability": "text.statz"}).to_string());
    let typo = place.arcology(&["submit", "typo.json"]);
    assert_eq!(typo.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&typo.stderr).contains("text.stats"), "the nearest name is offered");
}

#[test]
fn step_7_deleting_a_manifest_undoes_what_it_asked_for_once() {
    let (place, daemon) = up();
    std::fs::remove_file(place.repo().join(LOADOUT)).unwrap();
    place.commit("No loadout any more");
    eventually("textrank is unloaded", || so(!place.loaded("textrank").exists(), daemon.log()));
    eventually("its row is gone", || so(daemon.drift("Loadout/desk").is_none(), "still there"));
    // Somebody loads it by hand: nothing asks for it to be unloaded any more.
    std::fs::write(place.loaded("textrank"), "").unwrap();
    throughout(Duration::from_millis(700), || so(place.loaded("textrank").exists(), "undone twice"));
    assert_eq!(audit_of(&daemon, "unload", "Loadout/desk").len(), 1);
}

#[test]
fn step_7_an_emptied_folder_unloads_nothing_until_it_is_confirmed() {
    let (place, daemon) = up();
    std::fs::remove_dir_all(place.repo().join("manifests")).unwrap();
    place.commit("Oh no");
    let row = daemon.until("Loadout/desk", "is held", |row| row["hold"]["reason"] == "Confirm");
    assert!(row["hold"]["message"].as_str().unwrap().contains("Prune: confirm"), "{row:#}");
    assert!(place.loaded("textrank").exists());
    let daemon = {
        daemon.kill();
        place.up()
    };
    daemon.until("Loadout/desk", "is still held", |row| row["hold"]["reason"] == "Confirm");
    place.commit("Yes, all of it\n\nPrune: confirm");
    eventually("it is undone", || so(daemon.drift("Loadout/desk").is_none(), daemon.drift("Loadout/desk")));
    assert!(!place.loaded("textrank").exists(), "its runtime is gone from Git too, but what it held was undone first");
}

#[test]
fn step_8_without_its_repository_the_last_applied_state_stays_in_force() {
    let (place, daemon) = up();
    let away = place.dir.path().join("away");
    std::fs::rename(place.repo(), &away).unwrap();
    let (_, answer) = daemon.call("/v1/reconcile", &json!({}));
    assert_eq!(answer["outcome"], "failed", "{answer:#}");
    let source = daemon.json("/api/v1/status")["source"].clone();
    assert_eq!(source["ready"], false);
    assert!(source["since"].is_string() && source["message"].is_string(), "{source:#}");
    std::fs::remove_file(place.loaded("textrank")).unwrap();
    eventually("drift is still corrected", || so(place.loaded("textrank").exists(), daemon.log()));
    std::fs::rename(&away, place.repo()).unwrap();
    let (_, answer) = daemon.call("/v1/reconcile", &json!({}));
    assert_ne!(answer["outcome"], "failed", "{answer:#}");
    assert_eq!(daemon.json("/api/v1/status")["source"]["ready"], true);
}

#[test]
fn nothing_on_the_page_changes_anything() {
    let (_place, daemon) = up();
    for method in ["POST", "PUT", "DELETE", "PATCH"] {
        for path in ["/", "/api/v1/status", "/v1/reconcile", "/v1/tasks"] {
            let (status, _) = daemon.ask(method, path);
            assert!(status == 405 || status == 404, "{method} {path}: {status}");
        }
    }
}

#[test]
fn an_address_that_the_socket_does_not_have_is_told_with_what_there_is() {
    let (_place, daemon) = up();
    for (path, part) in [
        ("/v1/nowhere", "this socket has no `POST /v1/nowhere`"),
        ("/", "GET /api/v1/openapi.json lists that"),
        ("/api/v1/nowhere", "/api/v1/openapi.json lists what there is"),
    ] {
        let (status, problem) = daemon.call(path, &json!({}));
        assert_eq!((status, &problem["status"]), (404, &json!(404)), "{path}: {problem:#}");
        assert!(problem["title"].is_string() && problem["type"] == "about:blank", "{path}: {problem:#}");
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains(part)), "{path}: {problem:#}");
    }
}

fn audit_of(daemon: &Daemon, verb: &str, object: &str) -> Vec<Value> {
    let rows = daemon.audit();
    rows.into_iter().filter(|row| row["verb"] == verb && row["object"] == object).collect()
}

/// Every file of the state directory with its size and time: what "touches nothing" is measured by.
fn listing(place: &Place) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![place.state(), place.repo().join("manifests")];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let entry = entry.unwrap();
            let meta = entry.metadata().unwrap();
            if meta.is_dir() {
                open.push(entry.path());
            } else {
                found.push(format!("{} {} {:?}", entry.path().display(), meta.len(), meta.modified().unwrap()));
            }
        }
    }
    found.sort();
    found
}

fn model(name: &str) -> String {
    format!(
        "apiVersion: arcology/v1alpha1\nkind: Model\nmetadata: {{name: {name}}}\nspec:\n  type: other\n  \
         servedBy: [{{runtime: builtin, as: lead}}]\n  capabilities: [text.summarize]\n"
    )
}
