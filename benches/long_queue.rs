//! A hundred thousand tasks that wait, in the real program: what it takes to accept them, what the page and the JSON cost then,
//! how much memory they take, and how long a start takes with them.

use std::time::Instant;

use serde_json::{Value, json};

use crate::connection::Connection;
use crate::daemon::Daemon;
use crate::measure::{Times, row};
use crate::tasks::{MANIFESTS, repository};

const WAITING: usize = 100_000;
/// Tasks of one call.
const EACH: usize = 1_000;
const ROUNDS: usize = 30;

pub fn run() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (repo, state) = (dir.path().join("repo"), dir.path().join("state"));
    repository(&repo, MANIFESTS);
    let mut daemon = Daemon::up(&repo, &state);
    daemon.let_log_pass();
    daemon.wait_until_idle();
    let before = daemon.kib("VmRSS");
    look(&daemon, "0 waiting", None);
    let begun = Instant::now();
    let last = submit(&daemon);
    row(format!("{WAITING} tasks accepted, {EACH} a call"), format!("{:.2} s", begun.elapsed().as_secs_f64()));
    daemon.wait_until_idle();
    let mib = |kib: u64| format!("{:.1} MiB", kib as f64 / 1024.0);
    row(
        "  memory before and with them, state on disk",
        format!("{}, {}, {}", mib(before), mib(daemon.kib("VmRSS")), mib(daemon.state_bytes() / 1024)),
    );
    look(&daemon, &format!("{WAITING} waiting"), Some(&last));
    drop(daemon);
    let begun = Instant::now();
    let daemon = Daemon::up(&repo, &state);
    row(
        "  started again (kill -9 before), to the revision in force",
        format!("{:.2} s", begun.elapsed().as_secs_f64()),
    );
    let mut connection = Connection::open(&daemon.socket());
    let (_, answer) = connection.call("GET", "/api/v1/status", "");
    let answer: Value = serde_json::from_str(&answer).expect("the status is JSON");
    assert_eq!(answer["tasks"]["queued"], WAITING, "nothing is lost");
    row("  to an answer that knows them all", format!("{:.2} s", begun.elapsed().as_secs_f64()));
}

/// Tasks that nobody offers: each waits. Gives the id of the last one.
fn submit(daemon: &Daemon) -> String {
    let mut connection = Connection::open(&daemon.socket());
    let one = json!({"capability": "video.gen", "inputs": {"text": "A calm sea"}});
    let body = Value::Array(vec![one; EACH]).to_string();
    let mut last = String::new();
    for _ in 0..WAITING / EACH {
        let (status, answer) = connection.call("POST", "/v1/tasks", &body);
        assert_eq!(status, 202, "{answer}");
        let answer: Value = serde_json::from_str(&answer).expect("the answer is JSON");
        let ids = answer.as_array().or_else(|| answer["tasks"].as_array());
        let id = ids.and_then(|ids| ids.last()).map(|task| task["id"].as_str().or(task.as_str()).unwrap_or_default());
        last = id.expect("the ids are told").to_owned();
    }
    last
}

fn look(daemon: &Daemon, when: &str, task: Option<&str>) {
    let mut connection = Connection::to_page(daemon.page());
    let mut paths = vec!["/".to_owned(), "/tasks".to_owned(), "/locks".to_owned(), "/api/v1/tasks".to_owned()];
    paths.extend(task.map(|id| format!("/tasks/{id}")));
    paths.extend(task.map(|id| format!("/api/v1/tasks/{id}/why")));
    for path in paths {
        let times = Times::measure(ROUNDS, || {
            let (status, answer) = connection.call("GET", &path, "");
            assert_eq!(status, 200, "{path}: {answer}");
            answer.len()
        });
        let path = path.replace(task.unwrap_or("-"), "ID");
        row(format!("  GET {path}, {when}"), times);
    }
}
