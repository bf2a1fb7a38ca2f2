//! Runtimes that are well and runtimes that are not, under the real binary: what one of them does stays its own affair.

use std::time::Duration;

use serde_json::Value;
use tokio::runtime::Runtime;

use super::harness::{Daemon, Place, eventually, so, throughout};
use crate::double::llama_swap::{Double, Model, Version};
use crate::double::port;
use crate::double::raw::{self, Raw, Step};

/// Adds a llama-swap at `endpoint` with one model and a loadout of its own host.
fn declare(place: &Place, name: &str, endpoint: &str, state: &str) {
    place.write(
        &format!("manifests/{name}.yaml"),
        &format!(
            "apiVersion: arcology/v1alpha1\nkind: Host\nmetadata: {{name: {name}-host}}\nspec: {{address: 127.0.0.1}}\n\
             ---\napiVersion: arcology/v1alpha1\nkind: Runtime\nmetadata: {{name: {name}}}\nspec: {{host: {name}-host, \
             adapter: llama-swap, endpoint: '{endpoint}', capabilities: [text.generate], observeEvery: 200ms, \
             timeouts: {{connect: 1s, load: 5m}}}}\n\
             ---\napiVersion: arcology/v1alpha1\nkind: Model\nmetadata: {{name: {name}-model}}\nspec: {{type: llm, \
             servedBy: [{{runtime: {name}, as: chat}}]}}\n\
             ---\napiVersion: arcology/v1alpha1\nkind: Loadout\nmetadata: {{name: {name}}}\nspec: {{host: {name}-host, \
             models: [{{model: {name}-model, state: {state}}}]}}\n"
        ),
    );
}

fn calls(double: &Double, part: &str) -> usize {
    double.log().iter().filter(|(_, path)| path.contains(part)).count()
}

#[test]
fn a_commit_loads_and_unloads_on_a_llama_swap_and_drift_comes_back() {
    let tokio = Runtime::new().unwrap();
    let double = tokio.block_on(Double::start(Version::V250, vec![Model::new("chat")]));
    let place = Place::of_this_project();
    declare(&place, "swap", &double.endpoint(), "loaded");
    let commit = place.commit("Load chat");
    let daemon = place.up();
    daemon.until_in_sync_at("Loadout/swap", &commit);
    assert_eq!(calls(&double, "/upstream/chat"), 1, "loaded once");
    // Its TTL ends it: seen by event, and loaded again.
    double.expire("chat");
    eventually("it is loaded again", || so(calls(&double, "/upstream/chat") == 2, double.log()));
    daemon.until("Loadout/swap", "is in sync", |row| row["sync"] == "InSync");
    place.edit("manifests/swap.yaml", "state: loaded", "state: unloaded");
    let commit = place.commit("Unload chat");
    daemon.until_in_sync_at("Loadout/swap", &commit);
    assert_eq!(calls(&double, "/api/models/unload/chat"), 1);
    assert!(daemon.log().lines().all(|line| !line.contains("warning")), "{}", daemon.log());
}

#[test]
fn a_change_of_mind_ends_a_load_that_hangs_and_nothing_else_waits_for_it() {
    let tokio = Runtime::new().unwrap();
    let double = tokio.block_on(Double::start(Version::V250, vec![Model::new("chat")]));
    double.hold("chat");
    let place = Place::of_this_project();
    declare(&place, "swap", &double.endpoint(), "loaded");
    place.commit("Load chat, which never gets ready");
    let daemon = place.up();
    eventually("the load began", || so(calls(&double, "/upstream/chat") == 1, double.log()));
    daemon.until("Loadout/desk", "is in sync meanwhile", |row| row["sync"] == "InSync");
    place.edit("manifests/loadout.yaml", "lead, state: onDemand", "lead, state: loaded");
    place.commit("Load lead");
    eventually("another object's change takes effect at once", || so(place.loaded("lead").exists(), daemon.log()));
    place.edit("manifests/swap.yaml", "state: loaded", "state: unloaded");
    place.commit("Never mind");
    eventually("the unload is called while the load still hangs", || {
        so(calls(&double, "/api/models/unload/chat") >= 1, double.log())
    });
    double.release("chat");
    daemon.until("Loadout/swap", "is in sync", |row| row["sync"] == "InSync");
}

#[test]
fn deleting_a_loadout_while_its_load_hangs_leaves_nothing_loaded() {
    let tokio = Runtime::new().unwrap();
    let double = tokio.block_on(Double::start(Version::V250, vec![Model::new("chat")]));
    double.hold("chat");
    let place = Place::of_this_project();
    declare(&place, "swap", &double.endpoint(), "loaded");
    place.commit("Load chat, which never gets ready");
    let daemon = place.up();
    eventually("the load began", || so(calls(&double, "/upstream/chat") == 1, double.log()));
    let text = std::fs::read_to_string(place.repo().join("manifests/swap.yaml")).unwrap();
    let without = text.split("---\n").filter(|part| !part.contains("kind: Loadout")).collect::<Vec<_>>().join("---\n");
    place.write("manifests/swap.yaml", &without);
    place.commit("No loadout any more");
    eventually("its row is gone or being undone", || {
        let row = daemon.drift("Loadout/swap").unwrap_or(Value::Null);
        so(row.is_null() || row["desired"] == "gone", row)
    });
    double.release("chat");
    eventually("it is gone, and so is the model", || {
        let model = daemon.drift("Model/swap-model").unwrap();
        let row = daemon.drift("Loadout/swap").unwrap_or(Value::Null);
        so(row.is_null() && model["observed"] == "unloaded on swap", format!("{row:#} {model:#}"))
    });
}

/// A runtime that answers in a way that is of no use.
fn sick(tokio: &Runtime, steps: Vec<Step>) -> Raw {
    tokio.block_on(Raw::always(steps))
}

#[test]
fn a_sick_runtime_is_unknown_with_its_reason_and_the_others_are_driven_on() {
    let tokio = Runtime::new().unwrap();
    let half = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{\"data\": [".to_vec();
    let endless = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n".to_vec();
    let servers = [
        ("garbage", sick(&tokio, raw::ok("text/html", "<p>It works!</p>"))),
        ("hangs", sick(&tokio, vec![Step::Hang])),
        ("half", sick(&tokio, vec![Step::Write(half), Step::Reset])),
        ("endless", sick(&tokio, vec![Step::Write(endless), Step::Endless(vec![b'x'; 65_536])])),
    ];
    let place = Place::of_this_project();
    for (name, server) in &servers {
        declare(&place, name, &server.endpoint(), "loaded");
    }
    declare(&place, "nobody", "http://127.0.0.1:1", "loaded");
    place.commit("Five sick runtimes");
    let daemon = place.up();
    for name in ["garbage", "hangs", "half", "endless", "nobody"] {
        let row = daemon.until(&format!("Runtime/{name}"), "says what is wrong", |row| {
            row["sync"] == "Unknown" && row["reason"].as_str().is_some_and(|reason| reason.contains(": "))
        });
        assert_ne!(row["health"], "Healthy", "{row:#}");
        let loadout = daemon.drift(&format!("Loadout/{name}")).unwrap();
        assert_eq!(loadout["sync"], "Unknown", "nothing is claimed: {loadout:#}");
    }
    // The healthy one beside them is corrected as ever.
    daemon.until("Loadout/desk", "is in sync", |row| row["sync"] == "InSync");
    std::fs::remove_file(place.loaded("textrank")).unwrap();
    eventually("drift is corrected", || so(place.loaded("textrank").exists(), daemon.log()));
    assert!(resident_mb(&daemon) < 300, "endless answers cost bounded memory");
}

#[test]
fn a_runtime_that_comes_back_is_taken_up_by_itself() {
    let tokio = Runtime::new().unwrap();
    let place = Place::of_this_project();
    let free = port::free();
    declare(&place, "swap", &format!("http://{free}"), "loaded");
    place.commit("A runtime that is not there yet");
    let daemon = place.up();
    daemon.until("Runtime/swap", "is unknown", |row| row["sync"] == "Unknown" && row["reason"] != "not observed yet");
    let double = tokio.block_on(Double::start_at(free, Version::V250, vec![Model::new("chat")]));
    daemon.until("Loadout/swap", "is in sync", |row| row["sync"] == "InSync");
    let calls_then = calls(&double, "/upstream/chat");
    throughout(Duration::from_millis(500), || so(calls(&double, "/upstream/chat") == calls_then, double.log()));
    assert_eq!(calls_then, 1, "loaded once");
}

/// Resident memory of the daemon in MB (10^6 bytes).
fn resident_mb(daemon: &Daemon) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1_024 / 1_000_000
}

#[test]
fn a_model_that_a_runtime_does_not_know_is_told_by_name_on_its_own_line() {
    let tokio = Runtime::new().unwrap();
    let double = tokio.block_on(Double::start(Version::Newer, vec![Model::new("chat-8b"), Model::new("other")]));
    let place = Place::of_this_project();
    declare(&place, "swap", &double.endpoint(), "unloaded");
    place.commit("Declare chat, which is called chat-8b there");
    let daemon = place.up();
    let row = daemon.until("Runtime/swap", "is drifted", |row| row["sync"] == "Drifted");
    let reason = row["reason"].as_str().unwrap();
    assert!(reason.starts_with("model \"chat\" is declared here, and the runtime does not know it"), "{row}");
    assert!(reason.contains("nearest \"chat-8b\""), "{row}");
    assert!(daemon.page("/drift").contains("does not know it"));
    place.edit("manifests/swap.yaml", "as: chat}", "as: chat-8b}");
    place.commit("Call it by its name");
    daemon.until("Runtime/swap", "is in sync", |row| row["sync"] == "InSync");
}
