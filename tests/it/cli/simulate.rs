//! `arcology simulate` on a prepared store: what it replays, what it says, and what it refuses.

use std::path::Path;
use std::sync::Arc;

use arcology::act::clock::SystemClock;
use arcology::core::{Commit, CommitSha, Name, Revision, Timestamp};
use arcology::declare::manifest::kind::task::TaskSpec;
use arcology::declare::manifest::parse;
use arcology::declare::world::Standing;
use arcology::remember::store::row::{AppliedRow, ObjectRow, TaskRow, TaskState};
use arcology::remember::store::{AuditEntry, Store, TaskOutcome};

use super::context::Context;

const MANIFESTS: &str = "apiVersion: arcology/v1alpha1
kind: Host
metadata: {name: desk}
spec:
  address: 127.0.0.1
  gpus: [{id: gpu0, vramGb: 24, simulated: true}]
---
apiVersion: arcology/v1alpha1
kind: Runtime
metadata: {name: swap}
spec:
  host: desk
  gpu: gpu0
  adapter: llama-swap
  endpoint: http://127.0.0.1:9
  capabilities: [text.generate]
---
apiVersion: arcology/v1alpha1
kind: Model
metadata: {name: chat}
spec: {type: llm, servedBy: [{runtime: swap}], vramGb: 8}
---
apiVersion: arcology/v1alpha1
kind: Policy
metadata: {name: house}
spec: {gpuSharedSlots: 1}
";

fn policy(slots: u32) -> String {
    format!(
        "apiVersion: arcology/v1alpha1\nkind: Policy\nmetadata: {{name: house}}\nspec: {{gpuSharedSlots: {slots}}}\n"
    )
}

fn audit(at: Timestamp) -> AuditEntry {
    AuditEntry {
        at,
        actor: "arcology".to_owned(),
        verb: "finish".to_owned(),
        object: "task".to_owned(),
        reason: String::new(),
        result: "ok".to_owned(),
        before: None,
        after: None,
        revision: None,
    }
}

/// A store with the manifests in force; an hour ago `tasks` chats of 20 s each were asked for, a second apart.
async fn prepare(state: &Path, tasks: u32) -> Store {
    let store = Store::open(state, Arc::new(SystemClock)).unwrap();
    let begin = Timestamp::from_second(Timestamp::now().as_second() - 3_600).unwrap();
    let after = |seconds: u32| Timestamp::from_second(begin.as_second() + i64::from(seconds)).unwrap();
    let commit =
        Commit { sha: CommitSha::new(&"4".repeat(40)), subject: "Begin".into(), author: "Ada".into(), at: begin };
    let revision = Revision { branch: "main".into(), commit };
    let row = |document: &Arc<arcology::declare::manifest::Document>| ObjectRow {
        key: document.key.clone(),
        place: document.place.clone(),
        text: document.text.to_string(),
        digest: document.digest,
        generation: 1,
        asked_by: None,
        revision: None,
        standing: Standing::Current,
    };
    let parsed = parse::file("manifests/all.yaml", MANIFESTS.as_bytes());
    assert!(parsed.broken.is_empty(), "{:?}", parsed.broken);
    let objects = parsed.documents.iter().map(row).collect();
    store.apply_revision(AppliedRow { revision, applied_at: begin }, objects, Vec::new(), Vec::new()).await.unwrap();
    for n in 0..tasks {
        let spec: TaskSpec = serde_json::from_value(serde_json::json!({
            "capability": "text.generate", "inputs": {"text": "hello"}, "target": {"model": "chat"}
        }))
        .unwrap();
        let row = TaskRow {
            id: format!("task-{n}"),
            spec,
            object: None,
            revision: None,
            actor: "uid 1000 (pid 1)".into(),
            state: TaskState::Queued,
            runtime: None,
            model: None,
            why: None,
            error: None,
            attempts: 0,
            policy: Vec::new(),
            created_at: after(n),
            started_at: None,
            finished_at: None,
        };
        store.task_add(row).await.unwrap();
        let (id, swap) = (format!("task-{n}"), Name::new("swap").ok());
        store.task_start(&id, swap, Some("chat".into()), Vec::new(), after(100 + 20 * n)).await.unwrap();
        let done = TaskOutcome::Done { model: None, artifacts: Vec::new() };
        let end = after(120 + 20 * n);
        store.task_finish(&id, 1, done, "", end, audit(end)).await.unwrap();
    }
    store
}

fn prepared(context: &Context, tasks: u32) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async { prepare(&context.path(".arcology"), tasks).await.close().await });
}

#[test]
fn more_slots_are_found_to_shorten_the_wait() {
    let context = Context::new();
    prepared(&context, 6);
    context.write("two.yaml", &policy(2));
    let ran = context.run(&["simulate", "--policy", "two.yaml", "-o", "json"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let report: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(report["submissions"], 6);
    assert_eq!(report["changed"], "Policy/house from two.yaml");
    let mean = |side: &str| report["totals"][side]["wait"]["mean_ms"].as_f64().unwrap();
    // A load of ten seconds, which nobody recorded, then one after the other (submitted a second apart), or two at a time.
    assert_eq!((mean("in_force"), mean("changed")), (57_500.0, 27_500.0));
    assert_eq!(report["totals"]["changed"]["loads"], 1);
    assert_eq!(report["remarks"][0]["effect"], "better");
    let unknown = report["unknown"].to_string();
    assert!(unknown.contains("loads without history, taken as 10.0 s (a guess): chat on swap"), "{unknown}");

    let text = context.run(&["simulate", "--policy", "two.yaml"]).out;
    assert!(text.contains("better: tasks would wait 27.5 s on average instead of 57.5 s (52 % less)"), "{text}");
    let markdown = context.run(&["simulate", "--policy", "two.yaml", "-o", "markdown"]).out;
    assert!(markdown.starts_with("### Arcology simulation: 6 submissions\n"), "{markdown}");
}

#[test]
fn the_policy_that_is_in_force_changes_nothing_and_a_running_daemon_is_not_disturbed() {
    let context = Context::new();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    // Held open, as the daemon holds it.
    let store = runtime.block_on(prepare(&context.path(".arcology"), 3));
    context.write("same.yaml", &policy(1));
    let ran = context.run(&["simulate", "--policy", "same.yaml"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.out.contains("nothing that matters would be otherwise"), "{}", ran.out);
    assert_eq!(runtime.block_on(store.task_counts()).unwrap()[&TaskState::Done], 3);
    runtime.block_on(store.close());
}

#[test]
fn the_files_of_the_folder_are_compared_with_what_is_in_force() {
    let context = Context::with_repository();
    prepared(&context, 6);
    context.write("manifests/all.yaml", &MANIFESTS.replace("gpuSharedSlots: 1", "gpuSharedSlots: 3"));
    for folder in ["blueprints", "goldensets", "policies"] {
        let _ = std::fs::remove_dir_all(context.path(folder));
    }
    for entry in std::fs::read_dir(context.path("manifests")).unwrap().map(Result::unwrap) {
        if entry.file_name() != "all.yaml" {
            let _ = std::fs::remove_file(entry.path()).or_else(|_| std::fs::remove_dir_all(entry.path()));
        }
    }
    let ran = context.run(&["simulate", "--worktree", "-o", "json"]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    let report: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(report["changed"], "worktree");
    let mean = |side: &str| report["totals"][side]["wait"]["mean_ms"].as_f64().unwrap();
    assert!(mean("changed") < mean("in_force"), "{}", ran.out);
}

#[test]
fn without_history_or_a_change_it_says_what_to_do() {
    let context = Context::new();
    context.write("two.yaml", &policy(2));
    let none = context.run(&["simulate", "--policy", "two.yaml"]);
    assert_eq!((none.code, none.out.as_str()), (1, ""));
    assert!(none.err.contains("there is no history to replay") && none.err.contains("--state DIR"), "{}", none.err);
    assert!(!context.path(".arcology").exists(), "looking makes nothing");
    assert_eq!(context.run(&["simulate"]).code, 2);

    prepared(&context, 0);
    let empty = context.run(&["simulate", "--policy", "two.yaml"]);
    assert_eq!(empty.code, 1);
    assert!(empty.err.contains("nothing was submitted in the last 7d"), "{}", empty.err);
    let gone = context.run(&["simulate", "--policy", "gone.yaml"]);
    assert_eq!(gone.code, 2);
    assert!(gone.err.contains("gone.yaml"), "{}", gone.err);
}

#[test]
fn what_is_invalid_is_told_as_validate_tells_it() {
    let context = Context::new();
    prepared(&context, 2);
    context.write("bad.yaml", &policy(2).replace("gpuSharedSlots", "gpuSharedSlot"));
    let ran = context.run(&["simulate", "--policy", "bad.yaml"]);
    assert_eq!(ran.code, 1);
    let validated = context.run(&["validate", "bad.yaml"]);
    let first = |text: &str| text.lines().next().unwrap_or_default().to_owned();
    assert_eq!(first(&ran.out), first(&validated.out), "{}", ran.err);
    assert!(ran.out.contains("gpuSharedSlot"), "{}", ran.out);
    context.write(
        "task.yaml",
        "apiVersion: arcology/v1alpha1\nkind: Task\nmetadata: {name: a}\nspec: {capability: text.stats}\n",
    );
    let task = context.run(&["simulate", "--policy", "task.yaml"]);
    assert_eq!(task.code, 2);
    assert!(task.err.contains("Task/a has no say in scheduling"), "{}", task.err);
}
