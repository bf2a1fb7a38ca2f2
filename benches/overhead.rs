//! What Arcology adds to a run and to a load: a task through the real program to a llama-swap that loads and answers at once,
//! beside the same requests made without Arcology in the same run.
//!
//! What a task costs beyond the request is being written down three times, each time on the disk before anything follows from
//! it, its artifact and its lineage; before a load, that the model is seen to be there.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::connection::Connection;
use crate::daemon::Daemon;
use crate::measure::{Times, row};
use crate::swap::{Call, Swap};
use crate::tasks::repository;

/// Runs that are measured, and loads.
const RUNS: usize = 200;
const LOADS: usize = 40;
/// Beginnings that do not count: they open connections and warm caches.
const WARM: usize = 3;
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at a task. What a task is seen to take is longer than it took by up to this much and a request.
const LOOK_EVERY: Duration = Duration::from_millis(1);
/// Looks after which the daemon knows what its runtime has forgotten: the first may have begun before.
const LOOKS_TO_SEE: usize = 3;

pub fn run() {
    let swap = Swap::start(vec!["chat".to_owned()]);
    let dir = tempfile::tempdir().expect("a temporary directory");
    let repo = dir.path().join("repo");
    repository(&repo, &manifests(&swap));
    let mut daemon = Daemon::up(&repo, &dir.path().join("state"));
    daemon.let_log_pass();
    let mut connection = Connection::open(&daemon.socket());
    // The first task loads the model; the runs that follow find it there.
    let first = submit(&mut connection);
    next(&swap, "load");
    next(&swap, "chat");
    wait_for(&mut connection, &first);
    runs(&swap, &mut connection);
    loads(&swap, &mut connection);
}

fn runs(swap: &Swap, connection: &mut Connection) {
    let (mut until_asked, mut until_done) = (Vec::new(), Vec::new());
    for n in 0..RUNS + WARM {
        let begun = Instant::now();
        let id = submit(connection);
        let chat = next(swap, "chat");
        wait_for(connection, &id);
        if n >= WARM {
            until_done.push(begun.elapsed());
            until_asked.push(chat.at.saturating_duration_since(begun));
        }
    }
    let mut bare = Bare::connect(swap);
    let yardstick = Times::measure(RUNS, || bare.chat());
    // What the bare requests told is nothing to the rest.
    while swap.calls.try_recv().is_ok() {}
    let (asked, done) = (Times::of(until_asked), Times::of(until_done));
    row("run: submitted -> request at the runtime", &asked);
    row("run: submitted -> seen done", &done);
    row("  the bare request and its answer", &yardstick);
    row(
        "  ratio of the medians",
        format!("{:.1} x until asked, {:.1} x until done", asked.against(&yardstick), done.against(&yardstick)),
    );
}

fn loads(swap: &Swap, connection: &mut Connection) {
    let (mut until_load, mut until_chat, mut until_done) = (Vec::new(), Vec::new(), Vec::new());
    for n in 0..LOADS + WARM {
        forget(swap);
        let begun = Instant::now();
        let id = submit(connection);
        let (load, chat) = (next(swap, "load"), next(swap, "chat"));
        wait_for(connection, &id);
        if n >= WARM {
            until_done.push(begun.elapsed());
            until_load.push(load.at.saturating_duration_since(begun));
            until_chat.push(chat.at.saturating_duration_since(load.at));
        }
    }
    let mut bare = Bare::connect(swap);
    let yardstick = Times::measure(LOADS, || {
        bare.ask("GET /upstream/chat/health", "");
        bare.chat();
    });
    let (load, chat, done) = (Times::of(until_load), Times::of(until_chat), Times::of(until_done));
    row("load: submitted -> load at the runtime", load);
    row("load: load at the runtime -> request there", chat);
    row("load: submitted -> seen done", &done);
    row("  the bare load, request and answers", &yardstick);
    row("  ratio of the medians", format!("{:.1} x until done", done.against(&yardstick)));
}

/// Takes the model from memory behind the daemon's back, and waits until it must have seen that.
fn forget(swap: &Swap) {
    swap.forget();
    let enough = swap.looks() + LOOKS_TO_SEE;
    let end = Instant::now() + PATIENCE;
    while swap.looks() < enough {
        assert!(Instant::now() < end, "nobody looks at the runtime");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn submit(connection: &mut Connection) -> String {
    let task = json!([{"capability": "text.generate", "inputs": {"text": "Good evening"}}]);
    let (status, answer) = connection.call("POST", "/v1/tasks", &task.to_string());
    assert_eq!(status, 202, "{answer}");
    let accepted: Value = serde_json::from_str(&answer).expect("the answer is JSON");
    accepted[0]["id"].as_str().expect("it has an id").to_owned()
}

fn next(swap: &Swap, verb: &str) -> Call {
    let call = swap.calls.recv_timeout(PATIENCE).expect("the runtime is called");
    assert_eq!(call.verb, verb);
    call
}

fn wait_for(connection: &mut Connection, id: &str) {
    let end = Instant::now() + PATIENCE;
    loop {
        let (status, answer) = connection.call("GET", &format!("/api/v1/tasks/{id}"), "");
        assert_eq!(status, 200, "{answer}");
        let task: Value = serde_json::from_str(&answer).expect("the answer is JSON");
        match task["state"].as_str() {
            Some("done") => return,
            Some("error") => panic!("the task failed: {task:#}"),
            _ => assert!(Instant::now() < end, "not done after {PATIENCE:?}: {task:#}"),
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// A connection to the runtime without Arcology, kept alive.
struct Bare(BufReader<TcpStream>);

impl Bare {
    fn connect(swap: &Swap) -> Self {
        let stream = TcpStream::connect(swap.address).expect("it listens");
        stream.set_nodelay(true).expect("a socket");
        Self(BufReader::new(stream))
    }

    fn chat(&mut self) {
        let body = json!({"model": "chat", "stream": true, "messages": [{"role": "user", "content": "Good evening"}]});
        self.ask("POST /v1/chat/completions", &body.to_string());
    }

    /// Sends a request and reads its answer to the end.
    fn ask(&mut self, line: &str, body: &str) {
        let request = format!(
            "{line} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.0.get_mut().write_all(request.as_bytes()).expect("it reads");
        let (mut line, mut length) = (String::new(), 0);
        while line != "\r\n" {
            line.clear();
            assert!(self.0.read_line(&mut line).expect("it answers") > 0, "the answer is whole");
            if let Some(value) = line.strip_prefix("Content-Length:") {
                length = value.trim().parse().expect("a length");
            }
        }
        let mut answer = vec![0; length];
        self.0.read_exact(&mut answer).expect("the answer is whole");
    }
}

fn manifests(swap: &Swap) -> String {
    format!(
        "apiVersion: arcology/v1alpha1\nkind: Host\nmetadata: {{name: here}}\nspec: {{address: 127.0.0.1, local: true, gpus: \
         [{{id: gpu0, vramGb: 24, simulated: true}}]}}\n\
         ---\napiVersion: arcology/v1alpha1\nkind: Runtime\nmetadata: {{name: swap}}\nspec: {{host: here, gpu: gpu0, adapter: \
         llama-swap, endpoint: '{}', capabilities: [text.generate], observeEvery: 100ms}}\n\
         ---\napiVersion: arcology/v1alpha1\nkind: Model\nmetadata: {{name: chat}}\nspec: {{type: llm, vramGb: 8, \
         capabilities: [text.generate], servedBy: [{{runtime: swap}}]}}\n",
        swap.endpoint()
    )
}
