//! Durable throughput: tasks that do next to nothing, through the real program and its control socket, from being accepted to
//! being done.
//!
//! Each task is written down three times, each time before anything follows from it: when it is accepted, when it starts,
//! when it is done (`synchronous=FULL`, group commit). `benches/peers/peers.py` does the same with other queues.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

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

const MANIFESTS: &str = "apiVersion: arcology/v1alpha1
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

/// HTTP/1.1 over the control socket, kept alive; just enough of it for answers with a length or in chunks.
pub struct Connection {
    stream: BufReader<UnixStream>,
}

impl Connection {
    pub fn open(socket: &Path) -> Self {
        Self { stream: BufReader::new(UnixStream::connect(socket).expect("the daemon listens")) }
    }

    pub fn call(&mut self, method: &str, path: &str, body: &str) -> (u16, String) {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: arcology\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        self.stream.get_mut().write_all((head + body).as_bytes()).expect("the daemon reads");
        let status = self.line().split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
        let (mut length, mut chunked) = (0, false);
        loop {
            let line = self.line().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().expect("a length");
            }
            chunked |= line.starts_with("transfer-encoding:") && line.contains("chunked");
        }
        let mut answer = Vec::new();
        if chunked {
            loop {
                let size = usize::from_str_radix(self.line().trim(), 16).expect("a size");
                self.bytes(size, &mut answer);
                assert!(self.line().is_empty(), "a chunk ends with its line");
                if size == 0 {
                    break;
                }
            }
        } else {
            self.bytes(length, &mut answer);
        }
        (status, String::from_utf8(answer).expect("the answer is text"))
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).expect("the daemon answers");
        line.trim_end().to_owned()
    }

    fn bytes(&mut self, count: usize, into: &mut Vec<u8>) {
        let read = (&mut self.stream).take(count as u64).read_to_end(into).expect("the daemon answers");
        assert_eq!(read, count, "the answer is whole");
    }
}
