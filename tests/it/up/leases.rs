//! Leases on the real program: another program takes a GPU through the control socket, keeps it across a restart, and
//! gives it back or loses it.

use serde_json::{Value, json};

use super::harness::{eventually, so};
use super::scheduler::{Desk, chat};

fn wish(exclusive: bool, ttl_s: u64) -> Value {
    json!({"gpus": ["desk/gpu0"], "purpose": "an evening of games", "holder": "steam", "exclusive": exclusive,
        "ttl_s": ttl_s, "confirm": true})
}

#[test]
fn a_leased_gpu_takes_nothing_new_until_it_is_given_back_across_a_restart_too() {
    let desk = Desk::new();
    desk.swap.open("chat");
    let daemon = desk.up();
    let mut unconfirmed = wish(true, 600);
    unconfirmed["confirm"] = false.into();
    let (status, answer) = daemon.call("/v1/leases", &unconfirmed);
    assert_eq!(status, 409);
    assert!(answer["detail"].as_str().unwrap().contains("nothing new would start on desk/gpu0"), "{answer:#}");

    let (_, lease) = daemon.call("/v1/leases", &wish(true, 600));
    let id = lease["id"].as_str().unwrap_or_else(|| panic!("{lease:#}")).to_owned();
    eventually("it is granted once the GPU is empty", || {
        let leases = daemon.told("/v1/leases");
        so(leases["items"][0]["granted"] == true, leases)
    });
    let task = daemon.submit(&chat()).remove(0);
    let why = daemon.until_waits(&task, "Leased");
    assert!(why["why"]["message"].as_str().unwrap().contains("an evening of games"), "{why:#}");
    let row = daemon.until("Loadout/desk", "is held by the lease", |row| row["hold"]["reason"] == "Lease");
    assert!(row["hold"]["who"].as_str().unwrap().contains(&id), "{row:#}");

    daemon.kill();
    let daemon = desk.place.up();
    daemon.until_waits(&task, "Leased");
    assert_eq!(daemon.told("/v1/leases")["items"][0]["granted"], true);
    assert_eq!(daemon.call(&format!("/v1/leases/{id}/renew"), &json!({"ttl_s": 300})).0, 200);
    assert_eq!(daemon.call(&format!("/v1/leases/{id}/release"), &json!({})).0, 200);
    daemon.until_task(&task, "is done", |task| task["state"] == "done");
    daemon.until("Loadout/desk", "has its copilot again", |row| row["sync"] == "InSync");
    assert_eq!(daemon.call(&format!("/v1/leases/{id}/renew"), &json!({})).0, 404, "it is over");
    let told: Vec<String> =
        daemon.audit().iter().filter(|row| row["object"] == id.as_str()).map(|row| row["result"].to_string()).collect();
    assert_eq!(told, ["\"asked\"", "\"granted\"", "\"released\""], "one entry a mutation");
}

#[test]
fn a_lease_without_a_sign_of_life_is_taken_back() {
    let desk = Desk::new();
    desk.swap.open("chat");
    let daemon = desk.up();
    let (_, lease) = daemon.call("/v1/leases", &wish(true, 1));
    let id = lease["id"].as_str().unwrap().to_owned();
    let task = daemon.submit(&chat()).remove(0);
    daemon.until_task(&task, "is done once the lease has run out", |task| task["state"] == "done");
    let audit = daemon.audit();
    let told: Vec<(&Value, &Value)> =
        audit.iter().filter(|row| row["object"] == id.as_str()).map(|row| (&row["result"], &row["reason"])).collect();
    let why = "an evening of games by steam: no sign of life for 1s";
    assert_eq!(told.last(), Some(&(&json!("expired"), &json!(why))), "{told:?}");
    let log = daemon.log();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains(why)).collect();
    assert!(matches!(lines[..], [line] if line.contains(&format!("warning: {id} is taken back: "))), "{log}");
    assert!(daemon.told("/v1/leases")["items"].as_array().unwrap().is_empty());
}

#[test]
fn a_shared_lease_takes_a_slot_and_bad_wishes_are_told_what_is_wrong() {
    let desk = Desk::new();
    let daemon = desk.up();
    let mut shared = wish(false, 600);
    shared["vram_gb"] = 2.0.into();
    let (status, lease) = daemon.call("/v1/leases", &shared);
    assert_eq!((status, &lease["granted"]), (201, &json!(true)), "nobody has to wait for it: {lease:#}");
    let tasks = daemon.submit(&json!([chat(), chat()]));
    daemon.until_task(&tasks[0], "runs beside it", |task| task["state"] == "running");
    daemon.until_waits(&tasks[1], "SharedSlotsFull");
    for (change, part) in [
        (json!({"gpus": ["desk/gpu9"]}), "did you mean `desk/gpu0`?"),
        (json!({"gpus": ["gpu0"]}), "HOST/GPU"),
        (json!({"gpus": []}), "between 1 and"),
        (json!({"purpose": " "}), "`purpose` says nothing"),
        (json!({"ttl_s": 0}), "`ttl_s` is 0"),
        (json!({"vram_gb": -1}), "no amount of memory"),
        (json!({"colour": "red"}), "unknown field"),
    ] {
        let mut body = wish(false, 60);
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let (status, answer) = daemon.call("/v1/leases", &body);
        assert!((400..500).contains(&status), "{status}");
        assert!(answer["detail"].to_string().contains(part), "{part}: {answer:#}");
    }
    assert_eq!(daemon.told("/v1/leases")["items"].as_array().unwrap().len(), 1);
}
