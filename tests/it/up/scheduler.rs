//! What a person sees of the scheduler on the real program: an exclusive task interrupts, models make way and come back,
//! tasks are taken back, tried again and sent elsewhere, committed ones wait for each other.

use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::harness::{Daemon, Place, eventually, so};
use crate::double::llama_swap::{Double, Model, Serves, Version};

/// A GPU with two llama-swaps on it: `swap` chats with the copilot, `studio` makes summaries, which are exclusive here and
/// too large to stay beside the copilot.
pub struct Desk {
    _tokio: Runtime,
    pub swap: Double,
    pub studio: Double,
    pub place: Place,
}

impl Desk {
    pub fn new() -> Self {
        let tokio = Runtime::new().unwrap();
        let gated = |id| vec![Model { serves: Serves::Gated(&["Done."]), ..Model::new(id) }];
        let swap = tokio.block_on(Double::start(Version::V250, gated("chat")));
        let studio = tokio.block_on(Double::start(Version::V250, gated("big")));
        let place = Place::empty();
        let runtime = |name: &str, endpoint: String, capability: &str| {
            format!(
                "---\napiVersion: arcology/v1alpha1\nkind: Runtime\nmetadata: {{name: {name}}}\nspec: {{host: desk, gpu: \
                 gpu0, adapter: llama-swap, endpoint: '{endpoint}', capabilities: [{capability}], observeEvery: 200ms}}\n"
            )
        };
        let model = |name: &str, runtime: &str, gb: u32, capability: &str| {
            format!(
                "---\napiVersion: arcology/v1alpha1\nkind: Model\nmetadata: {{name: {name}}}\nspec: {{type: llm, vramGb: {gb}, \
                 capabilities: [{capability}], servedBy: [{{runtime: {runtime}}}]}}\n"
            )
        };
        place.write(
            "manifests/desk.yaml",
            &format!(
                "apiVersion: arcology/v1alpha1\nkind: Host\nmetadata: {{name: desk}}\nspec: {{address: 127.0.0.1, local: \
                 true, gpus: [{{id: gpu0, vramGb: 24, simulated: true}}], reserve: {{vramGb: 1}}}}\n{}{}{}{}---\n\
                 apiVersion: arcology/v1alpha1\nkind: Loadout\nmetadata: {{name: desk}}\nspec: {{host: desk, copilot: \
                 chat, models: [{{model: chat, state: loaded}}, {{model: big, state: onDemand}}]}}\n",
                runtime("swap", swap.endpoint(), "text.generate"),
                runtime("studio", studio.endpoint(), "text.summarize"),
                model("chat", "swap", 8, "text.generate"),
                model("big", "studio", 20, "text.summarize"),
            ),
        );
        place.write(
            "policies/desk.yaml",
            "apiVersion: arcology/v1alpha1\nkind: Policy\nmetadata: {name: desk}\nspec: {gpuSharedSlots: 2, \
             gpuExclusiveFor: [text.summarize], copilotPersistent: false, unloadIdleAfterMinutes: 0, retries: {max: 1, \
             backoff: 1s}}\n",
        );
        place.commit("Begin");
        Self { _tokio: tokio, swap, studio, place }
    }

    pub fn up(&self) -> Daemon {
        let daemon = self.place.up();
        daemon.until("Loadout/desk", "is in sync", |row| row["sync"] == "InSync");
        daemon
    }
}

pub fn chat() -> Value {
    json!({"capability": "text.generate", "inputs": {"text": "Good evening"}})
}

fn summary() -> Value {
    json!({"capability": "text.summarize", "inputs": {"text": "A long story"}})
}

fn is(state: &str) -> impl Fn(&Value) -> bool + '_ {
    move |task| task["state"] == state
}

/// The lock of the one GPU.
fn lock(daemon: &Daemon) -> Value {
    daemon.json("/api/v1/resources")["gpu"]["mode"].clone()
}

fn of(daemon: &Daemon, verb: &str, object: &str) -> Vec<Value> {
    let rows = daemon.audit();
    rows.into_iter().filter(|row| row["verb"] == verb && row["object"] == object).collect()
}

#[test]
fn an_exclusive_task_drains_the_gpu_the_copilot_makes_way_and_comes_back_before_anything_else() {
    let desk = Desk::new();
    let daemon = desk.up();
    let chats = daemon.submit(&json!([chat(), chat()]));
    for id in &chats {
        daemon.until_task(id, "runs", is("running"));
    }
    let video = daemon.submit(&summary()).remove(0);
    let why = daemon.until_waits(&video, "Draining");
    assert!(why["why"]["message"].as_str().unwrap().contains(&chats[0]), "it says what still runs: {why:#}");
    let late = daemon.submit(&chat()).remove(0);
    daemon.until_waits(&late, "Draining");
    eventually("the page shows it", || so(lock(&daemon) == "draining", lock(&daemon)));

    desk.swap.open("chat");
    daemon.until_task(&video, "runs", is("running"));
    desk.swap.close("chat");
    for id in &chats {
        daemon.until_task(id, "is done", is("done"));
    }
    eventually("the page shows it", || so(lock(&daemon) == "exclusive", lock(&daemon)));
    daemon.until_waits(&late, "ExclusiveHeld");
    let row = daemon.until("Loadout/desk", "is held by the lock", |row| row["hold"]["reason"] == "Lock");
    assert_eq!(row["drift"], "Missing", "what is so is said: {row:#}");
    assert_eq!(of(&daemon, "unload", "Runtime/swap").len(), 1);

    desk.studio.open("big");
    daemon.until_task(&video, "is done", is("done"));
    daemon.until("Loadout/desk", "is in sync again", |row| row["sync"] == "InSync");
    desk.swap.open("chat");
    daemon.until_task(&late, "is done", is("done"));
    let back = of(&daemon, "load", "Runtime/swap");
    assert_eq!(back.len(), 1, "once, by the scheduler: {back:#?}");
    assert!(back[0]["reason"].as_str().unwrap().contains("comes back"), "{back:#?}");
    assert_eq!(of(&daemon, "load", "Loadout/desk").len(), 1, "the planner did not interfere");
    let spans = daemon.json("/api/v1/locks?limit=100");
    let kinds: Vec<&str> = spans["items"].as_array().unwrap().iter().filter_map(|span| span["type"].as_str()).collect();
    for kind in ["shared", "draining", "exclusive"] {
        assert!(kinds.contains(&kind), "{kind} is missing in the timeline: {kinds:?}");
    }
}

#[test]
fn killed_while_the_copilot_is_out_it_takes_everything_up_and_brings_it_back() {
    let desk = Desk::new();
    let daemon = desk.up();
    let video = daemon.submit(&summary()).remove(0);
    daemon.until_task(&video, "runs", is("running"));
    daemon.kill();
    desk.studio.open("big");
    let daemon = desk.up();
    let task = daemon.until_task(&video, "is done", is("done"));
    assert_eq!(task["attempts"], 2, "it was interrupted once: {task:#}");
    daemon.until("Loadout/desk", "is in sync", |row| row["sync"] == "InSync");
    let rows = daemon.audit();
    let about: Vec<&Value> = rows.iter().filter(|row| row["object"] == video.as_str()).collect();
    assert_eq!(about.len(), 3, "submitted, interrupted, done: {about:#?}");
}

#[test]
fn cancelling_reaches_the_runtime_and_a_person_can_have_it_run_again() {
    let desk = Desk::new();
    let daemon = desk.up();
    let id = daemon.submit(&chat()).remove(0);
    daemon.until_task(&id, "runs", is("running"));
    daemon.until_task(&id, "tells what it does while it runs", |task| {
        is("running")(task) && task["logs_tail"].to_string().contains("attempt 1 on swap")
    });
    assert!(daemon.page(&format!("/tasks/{id}")).contains("attempt 1 on swap"), "the page tells it, too");
    let path = format!("/v1/tasks/{id}/cancel");
    assert_eq!(daemon.call(&path, &json!({})).0, 409, "it must be confirmed");
    let (status, answer) = daemon.call(&path, &json!({"confirm": true, "reason": "too slow"}));
    assert_eq!((status, answer["state"].as_str()), (200, Some("cancelled")), "{answer:#}");
    eventually("the runtime was told", || so(desk.swap.state.read(|inner| inner.abandoned) == 1, desk.swap.log()));
    let task = daemon.json(&format!("/api/v1/tasks/{id}"));
    assert_eq!(task["state"], "cancelled", "written before it was answered");
    assert!(task["logs_tail"].to_string().contains("was told to stop"), "{task:#}");
    let cancels = of(&daemon, "cancel", &id);
    assert_eq!(cancels.len(), 1, "{cancels:#?}");
    assert!(cancels[0]["actor"].as_str().unwrap().starts_with("uid"), "{cancels:#?}");
    assert_eq!(daemon.call(&path, &json!({"confirm": true})).0, 409, "it is over");
    let (_, unconfirmed) = daemon.call(&path, &json!({}));
    assert!(unconfirmed["detail"].as_str().unwrap().ends_with("is over already: cancelled"), "{unconfirmed:#}");

    desk.swap.open("chat");
    assert_eq!(daemon.call(&format!("/v1/tasks/{id}/retry"), &json!({})).0, 202);
    let task = daemon.until_task(&id, "is done", is("done"));
    assert_eq!(task["attempts"], 2, "the same task with its history");
    assert_eq!(daemon.call(&format!("/v1/tasks/{id}/retry"), &json!({})).0, 409, "what is done is done");
    assert_eq!(daemon.call("/v1/tasks/task-none/retry", &json!({})).0, 404);
}

#[test]
fn a_task_is_sent_elsewhere_while_it_waits_and_while_it_runs() {
    let desk = Desk::new();
    let daemon = desk.up();
    let mut task = chat();
    task["not_before"] = "2100-01-01T00:00:00Z".into();
    let id = daemon.submit(&task).remove(0);
    daemon.until_waits(&id, "NotBefore");
    let path = format!("/v1/tasks/{id}/reroute");
    let (status, answer) = daemon.call(&path, &json!({"runtime": "swapp"}));
    assert_eq!(status, 422);
    assert!(answer["detail"].as_str().unwrap().contains("did you mean `swap`?"), "{answer:#}");
    assert_eq!(daemon.call(&path, &json!({"runtime": "swap", "model": "chat"})).0, 202);
    assert_eq!(of(&daemon, "reroute", &id).len(), 1);

    let id = daemon.submit(&chat()).remove(0);
    daemon.until_task(&id, "runs", is("running"));
    let path = format!("/v1/tasks/{id}/reroute");
    assert_eq!(daemon.call(&path, &json!({"runtime": "studio"})).0, 409, "it loses what it has done: confirm");
    assert_eq!(daemon.call(&path, &json!({"runtime": "studio", "confirm": true})).0, 202);
    daemon.until_waits(&id, "NoRuntime");
    assert_eq!(daemon.call(&path, &json!({"model": "auto"})).0, 202, "anywhere again");
    desk.swap.open("chat");
    let task = daemon.until_task(&id, "is done", is("done"));
    assert_eq!((&task["attempts"], &task["runtime_assigned"]), (&json!(2), &json!("swap")), "{task:#}");
    eventually("its model tells when it was used and how fast it was", || {
        let models = daemon.json("/api/v1/models");
        let chat = models["items"].as_array().unwrap().iter().find(|model| model["name"] == "chat").unwrap();
        so(chat["last_used_at"].is_string() && chat["throughput"]["tokens_per_s"] == 96.2, chat)
    });
}

#[test]
fn what_is_submitted_names_only_what_there_is_and_stays_within_bounds() {
    let desk = Desk::new();
    let daemon = desk.up();
    for (key, value, told) in [
        ("dependencies", json!(["task-none"]), "task 1: there is no task task-none to depend on"),
        ("target", json!({"runtime": "swapp"}), "did you mean `swap`?"),
        ("target", json!({"model": "nobody"}), "no Model `nobody` is declared"),
        ("priority", json!(1_001), "between -1000 and 1000"),
        ("capability", json!(vec!["text.generate"; 33]), "a chain of 33; at most 32"),
    ] {
        let mut task = chat();
        task[key] = value;
        let (status, answer) = daemon.call("/v1/tasks", &task);
        assert_eq!(status, 422, "{answer:#}");
        assert!(answer["detail"].as_str().unwrap().contains(told), "{answer:#}");
    }
    assert_eq!(daemon.json("/api/v1/tasks")["items"], json!([]), "nothing of it was taken in");
}

#[test]
fn what_can_never_fit_fails_at_once_with_its_sums() {
    let desk = Desk::new();
    desk.place.edit("manifests/desk.yaml", "vramGb: 8,", "vramGb: 8, contextTokens: 512,");
    desk.place.commit("A copilot with a small window");
    let daemon = desk.up();
    let long = json!({"capability": "text.generate", "inputs": {"text": "word ".repeat(800)}});
    let id = daemon.submit(&long).remove(0);
    let task = daemon.until_task(&id, "fails", is("error"));
    assert_eq!((&task["error"]["code"], &task["attempts"]), (&json!("fit_failed"), &json!(0)), "{task:#}");
    let message = task["error"]["message"].as_str().unwrap();
    assert!(message.contains("1000") && message.contains("512") && message.contains("about"), "{message}");
    assert_eq!(of(&daemon, "fail", &id).len(), 1);
}

#[test]
fn a_host_that_keeps_more_disk_free_than_there_is_starts_nothing_until_a_commit_asks_for_less() {
    let desk = Desk::new();
    desk.place.edit("manifests/desk.yaml", "{vramGb: 1}", "{vramGb: 1, diskGb: 9000000}");
    desk.place.commit("Keep more free than there is");
    let daemon = desk.up();
    let id = daemon.submit(&chat()).remove(0);
    let task = daemon.until_waits(&id, "DiskFull");
    let message = task["why"]["message"].as_str().unwrap();
    assert!(message.contains("on desk beside the 9000000.0 GB that stay free"), "{message}");

    desk.place.edit("manifests/desk.yaml", "diskGb: 9000000", "diskGb: 0");
    desk.place.commit("Keep nothing free");
    daemon.until_task(&id, "runs", is("running"));
    desk.swap.open("chat");
    daemon.until_task(&id, "is done", is("done"));
}

/// A committed Task that says so many words.
fn committed(name: &str, words: &str, on: &str) -> String {
    format!(
        "---\napiVersion: arcology/v1alpha1\nkind: Task\nmetadata: {{name: {name}}}\nspec: {{capability: text.stats, \
         inputs: {{text: '{words}'}}, dependencies: [{on}]}}\n"
    )
}

#[test]
fn committed_tasks_wait_for_each_other_by_name_across_edits_and_restarts() {
    let place = Place::of_this_project();
    let chain = |first: &str| format!("{}{}", committed("first", first, ""), committed("second", "two", "first"));
    let later = chain("one").replacen("dependencies: []", "not_before: '2100-01-01T00:00:00Z'", 1);
    place.write("manifests/chain.yaml", &later);
    place.commit("A chain whose first link is for later");
    let daemon = place.up();
    daemon.until("Task/second", "waits for the first", |row| {
        row["health"] == "Progressing"
            && row["reason"].as_str().is_some_and(|reason| reason.contains("waits for task-"))
    });
    daemon.kill();
    let daemon = place.up();
    daemon.until("Task/second", "still waits", |row| {
        row["reason"].as_str().is_some_and(|reason| reason.contains("waits for task-"))
    });
    place.write("manifests/chain.yaml", &chain("one"));
    place.commit("Now");
    daemon.until("Task/first", "is done", |row| row["health"] == "Healthy");
    daemon.until("Task/second", "is done and did not fail with the version that was replaced", |row| {
        row["health"] == "Healthy"
    });
    let tasks = daemon.json("/api/v1/tasks?limit=100");
    let states: Vec<&str> =
        tasks["items"].as_array().unwrap().iter().filter_map(|task| task["state"].as_str()).collect();
    assert_eq!(states.iter().filter(|state| **state == "cancelled").count(), 1, "the old first: {tasks:#}");
    let old = daemon.json("/api/v1/tasks?state=cancelled")["items"][0]["error"]["message"].clone();
    let told = old.as_str().unwrap();
    assert!(
        told.starts_with("cancelled by arcology: Task/first was edited: ") && told.contains(" (revision "),
        "{told}"
    );
    assert!(!states.contains(&"error"), "{tasks:#}");
}

#[test]
fn a_committed_task_that_is_edited_or_removed_while_it_runs_says_so_and_in_which_revision() {
    let desk = Desk::new();
    let chat = |name: &str, words: &str| {
        format!(
            "---\napiVersion: arcology/v1alpha1\nkind: Task\nmetadata: {{name: {name}}}\nspec: {{capability: \
             text.generate, inputs: {{text: '{words}'}}}}\n"
        )
    };
    desk.place.write("manifests/chats.yaml", &(chat("edited", "one") + &chat("removed", "two")));
    desk.place.commit("Two chats");
    let daemon = desk.up();
    for key in ["Task/edited", "Task/removed"] {
        daemon.until(key, "runs", |row| row["observed"] == "running");
    }
    desk.place.write("manifests/chats.yaml", &chat("edited", "other words"));
    desk.place.commit("Another question, and one less");
    let commit = desk.place.git(&["rev-parse", "HEAD"]);
    let told = eventually("both are taken back", || {
        let tasks = daemon.json("/api/v1/tasks?state=cancelled")["items"].as_array().unwrap().clone();
        let mut told: Vec<String> = tasks.iter().map(|task| task["error"]["message"].to_string()).collect();
        told.sort();
        if told.len() == 2 { Ok(told) } else { Err(format!("{told:#?}")) }
    });
    let place = format!(" (revision main@{})", &commit[..12]);
    for (told, part) in told.iter().zip(["Task/edited was edited: task-", "Task/removed is gone from Git"]) {
        let begin = format!("\"cancelled by arcology: {part}");
        assert!(told.starts_with(&begin) && told.contains(&place), "{told}");
    }
}

#[test]
fn a_dependency_that_fails_fails_those_that_wait_for_it_unless_they_run_all_the_same() {
    let place = Place::of_this_project();
    let daemon = place.up();
    let broken = json!({"capability": "doc.extract", "inputs": {}, "not_before": "2100-01-01T00:00:00Z"});
    let first = daemon.submit(&broken).remove(0);
    let after = |on_failure: &str| json!({"capability": "text.stats", "inputs": {"text": "x"}, "dependencies": [first], "onFailure": on_failure});
    let waiting = daemon.submit(&json!([after("fail"), after("run")]));
    daemon.until_waits(&waiting[0], "Dependency");
    assert_eq!(daemon.call(&format!("/v1/tasks/{first}/cancel"), &json!({"confirm": true})).0, 200);
    let failed = daemon.until_task(&waiting[0], "fails", is("error"));
    assert_eq!(failed["error"]["code"], "dependency_failed");
    daemon.until_task(&waiting[1], "runs all the same", is("done"));
    let late = daemon.submit(&after("fail")).remove(0);
    daemon.until_task(&late, "fails, though it came after", is("error"));
}
