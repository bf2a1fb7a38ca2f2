//! Durable throughput: tasks that do next to nothing, through the real program and its control socket, from being accepted to
//! being done.
//!
//! Each task is written down three times, each time before anything follows from it: when it is accepted, when it starts,
//! when it is done (`synchronous=FULL`, group commit). `benches/peers/peers.py` does the same with other queues.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::connection::Connection;
use crate::daemon::Daemon;
use crate::measure::row;
use crate::repository::git;

/// Tasks of a run, tasks of one call, and calls at once.
const RUNS: [(usize, usize, usize); 3] = [(5_000, 1, 64), (20_000, 100, 8), (20_000, 100, 64)];
/// Durable transitions of a task: accepted, started, done.
const TRANSITIONS: usize = 3;
/// How long a run may take.
const PATIENCE: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(20);

pub const MANIFESTS: &str = "apiVersion: arcology/v1alpha1
kind: Host
metadata:
  name: here
spec:
  address: 127.0.0.1
  local: true
---
apiVersion: arcology/v1alpha1
kind: Runtime
metadata:
  name: builtin
spec:
  host: here
  adapter: builtin
  slots: 64
";

pub fn run() {
    for (tasks, each, connections) in RUNS {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let repo = dir.path().join("repo");
        repository(&repo, MANIFESTS);
        let mut daemon = Daemon::up(&repo, &dir.path().join("state"));
        daemon.let_log_pass();
        daemon.wait_until_idle();
        // The first task opens files and warms caches; it does not count.
        submit(&daemon.socket(), 1, 1);
        wait_for(&daemon.socket(), 1, Instant::now());
        let (begun, used) = (Instant::now(), daemon.processor_seconds());
        std::thread::scope(|scope| {
            for _ in 0..connections {
                scope.spawn(|| submit(&daemon.socket(), tasks / connections, each));
            }
        });
        let sent = tasks / connections * connections;
        let accepted = begun.elapsed();
        let done = wait_for(&daemon.socket(), sent + 1, begun);
        let used = daemon.processor_seconds() - used;
        let a_second = |count: usize, time: Duration| count as f64 / time.as_secs_f64();
        row(
            format!("{sent} tasks, {each} a call, {connections} calls at once"),
            format!(
                "{:.0} tasks/s from the first call to the last end, {:.0} durable transitions/s",
                a_second(sent, done),
                a_second(sent * TRANSITIONS, done)
            ),
        );
        row(
            "  accepted",
            format!(
                "{:.0} tasks/s; processor time {:.2} ms a task",
                a_second(sent, accepted),
                used * 1e3 / sent as f64
            ),
        );
    }
    println!("beside it: python3 benches/peers/peers.py");
}

/// A repository of one file.
pub fn repository(repo: &Path, manifests: &str) {
    std::fs::create_dir_all(repo.join("manifests")).expect("a directory");
    std::fs::write(repo.join("manifests/all.yaml"), manifests).expect("a file is written");
    git(repo, &["init", "-q", "-b", "main"]);
    for (name, value) in [("user.name", "Ada"), ("user.email", "ada@example.org")] {
        git(repo, &["config", name, value]);
    }
    git(repo, &["add", "."]);
    git(repo, &["commit", "-q", "-m", "Begin"]);
}

/// Submits so many tasks on one connection, so many a call, each call when the one before was answered.
fn submit(socket: &Path, tasks: usize, each: usize) {
    let mut connection = Connection::open(socket);
    let mut left = tasks;
    while left > 0 {
        let now = left.min(each);
        let one = json!({"capability": "text.stats", "inputs": {"text": "one two three"}});
        let body = Value::Array(vec![one; now]).to_string();
        let (status, answer) = connection.call("POST", "/v1/tasks", &body);
        assert_eq!(status, 202, "{answer}");
        left -= now;
    }
}

/// Waits until so many tasks are done, and says how long after `begun` that was.
fn wait_for(socket: &Path, tasks: usize, begun: Instant) -> Duration {
    let mut connection = Connection::open(socket);
    loop {
        let (status, answer) = connection.call("GET", "/api/v1/status", "");
        assert_eq!(status, 200, "{answer}");
        let seen = begun.elapsed();
        let answer: Value = serde_json::from_str(&answer).expect("the status is JSON");
        assert_eq!(answer["tasks"]["error"], 0, "no task fails");
        if answer["tasks"]["done"].as_u64() == Some(tasks as u64) {
            return seen;
        }
        assert!(seen < PATIENCE, "not done after {PATIENCE:?}: {}", answer["tasks"]);
        std::thread::sleep(LOOK_EVERY);
    }
}
