//! Which columns a list has. Pure: items of the JSON API in, a table out.

use serde_json::Value;

use crate::core::{Kind, Timestamp};

use super::read::{NOTHING, ago_shown, items, joined, judged, shown, text};
use super::table::{Cell, Table};
use super::verb::get::Subject;

/// How one item becomes the cells of a row, at a time.
type Row = fn(&Value, Timestamp) -> Vec<Cell>;

/// The items as a table; ages count from `now`.
#[must_use]
pub fn table(subject: Subject, all: &[Value], now: Timestamp) -> Table {
    let (headings, row): (&[&str], Row) = match subject {
        Subject::Kind(Kind::Runtime) => (&RUNTIME, runtime),
        Subject::Kind(Kind::Model) => (&MODEL, model),
        Subject::Kind(Kind::Host) => (&HOST, host),
        Subject::Kind(
            Kind::Loadout
            | Kind::Policy
            | Kind::Blueprint
            | Kind::Task
            | Kind::Run
            | Kind::GoldenSet
            | Kind::Experiment,
        )
        | Subject::Drift => (&OBJECT, object),
        Subject::Tasks => (&TASK, task),
        Subject::Artifacts => (&ARTIFACT, artifact),
        Subject::Audit => (&AUDIT, audit),
    };
    let mut table = Table::new(headings);
    for item in all {
        table.row(row(item, now));
    }
    table
}

const OBJECT: [&str; 7] = ["OBJECT", "SYNC", "HEALTH", "HOLD", "SINCE", "MANIFEST", "REASON"];

fn object(row: &Value, now: Timestamp) -> Vec<Cell> {
    let sync = match text(row, "drift") {
        Some(drift) => format!("{}: {drift}", shown(row, "sync")),
        None => shown(row, "sync"),
    };
    vec![
        format!("{}/{}", shown(row, "kind"), shown(row, "name")).into(),
        judged(&sync),
        judged(&shown(row, "health")),
        shown(row, "hold.reason").into(),
        ago_shown(row, "since", now).into(),
        shown(row, "manifest").into(),
        shown(row, "reason").into(),
    ]
}

const RUNTIME: [&str; 7] = ["NAME", "ADAPTER", "HEALTH", "LINK", "LOADED", "SEEN", "REASON"];

fn runtime(row: &Value, now: Timestamp) -> Vec<Cell> {
    let loaded: Vec<String> =
        items(row, "models").filter(|model| model["state"] == "loaded").map(|model| shown(model, "name")).collect();
    vec![
        shown(row, "name").into(),
        shown(row, "adapter").into(),
        judged(&shown(row, "health")),
        judged(&shown(row, "link")),
        if loaded.is_empty() { NOTHING.to_owned() } else { loaded.join(", ") }.into(),
        ago_shown(row, "observed_at", now).into(),
        shown(row, "reason").into(),
    ]
}

const MODEL: [&str; 7] = ["NAME", "RUNTIME", "STATE", "VRAM GB", "TOKENS/S", "SEEN", "CAPABILITIES"];

fn model(row: &Value, now: Timestamp) -> Vec<Cell> {
    vec![
        shown(row, "name").into(),
        shown(row, "runtime").into(),
        judged(&shown(row, "state")),
        shown(row, "vram_cost_gb").into(),
        shown(row, "throughput.tokens_per_s").into(),
        ago_shown(row, "observed_at", now).into(),
        joined(row, "capabilities").into(),
    ]
}

const HOST: [&str; 5] = ["NAME", "HEALTH", "MEASURED", "SEEN", "REASON"];

fn host(row: &Value, now: Timestamp) -> Vec<Cell> {
    vec![
        shown(row, "name").into(),
        judged(&shown(row, "health")),
        shown(row, "observed").into(),
        ago_shown(row, "observed_at", now).into(),
        shown(row, "reason").into(),
    ]
}

const TASK: [&str; 7] = ["ID", "STATE", "CAPABILITY", "RUNTIME", "MODEL", "AGE", "WHY"];

fn task(row: &Value, now: Timestamp) -> Vec<Cell> {
    let why = match (text(row, "error.code"), text(row, "why.reason")) {
        (Some(code), _) => format!("{code}: {}", shown(row, "error.message")),
        (None, Some(reason)) => format!("{reason}: {}", shown(row, "why.message")),
        (None, None) => NOTHING.into(),
    };
    vec![
        shown(row, "id").into(),
        judged(&shown(row, "state")),
        shown(row, "capability").into(),
        shown(row, "runtime_assigned").into(),
        shown(row, "model_used").into(),
        ago_shown(row, "created_at", now).into(),
        why.into(),
    ]
}

const ARTIFACT: [&str; 5] = ["PATH", "TYPE", "BYTES", "TASK", "AGE"];

fn artifact(row: &Value, now: Timestamp) -> Vec<Cell> {
    vec![
        shown(row, "path").into(),
        shown(row, "type").into(),
        shown(row, "bytes").into(),
        shown(row, "task").into(),
        ago_shown(row, "created_at", now).into(),
    ]
}

const AUDIT: [&str; 6] = ["AGE", "ACTOR", "VERB", "OBJECT", "RESULT", "REASON"];

fn audit(row: &Value, now: Timestamp) -> Vec<Cell> {
    vec![
        ago_shown(row, "at", now).into(),
        shown(row, "actor").into(),
        shown(row, "verb").into(),
        shown(row, "object").into(),
        judged(&shown(row, "result")),
        shown(row, "reason").into(),
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::tell::cli::ui::Paint;

    fn render(subject: Subject, items: &[Value]) -> String {
        table(subject, items, "2026-11-21T10:05:00Z".parse().unwrap()).render(None, Paint { on: false })
    }

    #[test]
    fn objects_show_sync_health_and_hold_apart() {
        let rows = [
            json!({"kind": "Loadout", "name": "desk", "sync": "Drifted", "drift": "Missing", "health": "Progressing",
                "hold": {"reason": "Backoff"}, "since": "2026-11-21T10:03:00Z", "manifest": "manifests/desk.yaml:1",
                "reason": "textrank is not loaded"}),
            json!({"kind": "Policy", "name": "default", "sync": "InSync", "drift": null, "health": "Healthy",
                "hold": null, "since": null, "manifest": "policies/default.yaml:2", "reason": ""}),
        ];
        insta::assert_snapshot!(render(Subject::Drift, &rows), @"
        OBJECT          SYNC              HEALTH       HOLD     SINCE  MANIFEST                 REASON
        Loadout/desk    Drifted: Missing  Progressing  Backoff  2 min  manifests/desk.yaml:1    textrank is not loaded
        Policy/default  InSync            Healthy      -        -      policies/default.yaml:2  -
        ");
    }

    #[test]
    fn runtimes_show_what_is_loaded_now() {
        let rows = [json!({"name": "swap", "adapter": "llama-swap", "health": "Unknown", "link": "reconnecting",
            "observed_at": "2026-11-21T10:00:00Z", "reason": "connection refused",
            "models": [{"name": "a", "state": "loaded"}, {"name": "b", "state": "unloaded"}]})];
        insta::assert_snapshot!(render(Subject::Kind(Kind::Runtime), &rows), @"
        NAME  ADAPTER     HEALTH   LINK          LOADED  SEEN   REASON
        swap  llama-swap  Unknown  reconnecting  a       5 min  connection refused
        ");
    }

    #[test]
    fn hosts_show_what_is_measured_and_how_old_it_is() {
        let rows =
            [json!({"kind": "Host", "name": "desk", "health": "Healthy", "observed": "CPU 28 %, RAM 38 of 96 GB",
            "observed_at": "2026-11-21T10:04:57Z", "reason": "its declaration is in force, and it is measured"})];
        insta::assert_snapshot!(render(Subject::Kind(Kind::Host), &rows), @"
        NAME  HEALTH   MEASURED                   SEEN  REASON
        desk  Healthy  CPU 28 %, RAM 38 of 96 GB  3 s   its declaration is in force, and it is measured
        ");
    }

    #[test]
    fn tasks_show_why_they_wait_or_failed() {
        let rows = [
            json!({"id": "task-1", "state": "queued", "capability": "text.summarize", "created_at": "2026-11-21T10:04:30Z",
                "why": {"reason": "Paused", "message": "the policy default says paused"}}),
            json!({"id": "task-2", "state": "error", "capability": "ocr.pdf",
                "runtime_assigned": "builtin", "created_at": "2026-11-21T09:05:00Z",
                "error": {"code": "bad_input", "message": "the PDF has no text"}}),
        ];
        insta::assert_snapshot!(render(Subject::Tasks, &rows), @"
        ID      STATE   CAPABILITY      RUNTIME  MODEL  AGE   WHY
        task-1  queued  text.summarize  -        -      30 s  Paused: the policy default says paused
        task-2  error   ocr.pdf         builtin  -      1 h   bad_input: the PDF has no text
        ");
    }
}
