//! Twenty runtimes that work while one more hangs, resets connections, talks nonsense or is dead: how long the twenty's tasks
//! take, beside the same twenty in a daemon of their own whose twenty-first is well.
//!
//! The two daemons run side by side and take turns, so that whatever else the machine does meets both. The first pair is well on
//! both sides: what its ratios differ from 1 is the noise of the run, against which the others are to be read.

use std::fmt;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use arcology::core::Timestamp;
use serde_json::{Value, json};

use crate::connection::Connection;
use crate::daemon::Daemon;
use crate::measure::{Times, row};
use crate::swap::Swap;
use crate::tasks::repository;

const HEALTHY: usize = 20;
/// Rounds of each side. In each every healthy runtime has one task, and so has the twenty-first.
const ROUNDS: usize = 100;
/// Rounds that do not count: they open connections, warm caches and let the sick one be found out.
const WARM: usize = 5;
const PATIENCE: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// What is wrong with the twenty-first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ill {
    Nothing,
    Hangs,
    Resets,
    Nonsense,
    Dead,
}

impl fmt::Display for Ill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "is well too (the noise)",
            Self::Hangs => "takes requests and says nothing",
            Self::Resets => "resets every connection",
            Self::Nonsense => "answers bytes that are no HTTP",
            Self::Dead => "is dead: nobody listens",
        })
    }
}

pub fn run() {
    for ill in [Ill::Nothing, Ill::Hangs, Ill::Resets, Ill::Nonsense, Ill::Dead] {
        let (mut well, mut beside) = (Ward::with(Ill::Nothing), Ward::with(ill));
        let (mut of_well, mut of_beside) = (Vec::new(), Vec::new());
        for round in 0..WARM + ROUNDS {
            // Each goes first as often as the other.
            let (one, other) = if round % 2 == 0 {
                let one = well.round();
                (one, beside.round())
            } else {
                let other = beside.round();
                (well.round(), other)
            };
            if round >= WARM {
                of_well.extend(one);
                of_beside.extend(other);
            }
        }
        let (of_well, of_beside) = (Times::of(of_well), Times::of(of_beside));
        let ratio = |percent| of_beside.percentile(percent).as_secs_f64() / of_well.percentile(percent).as_secs_f64();
        row(format!("the twenty-first {ill}"), format!("ratio p50 {:.2}  p99 {:.2}", ratio(50), ratio(99)));
        row("  the twenty's tasks beside it", &of_beside);
        row("  the twenty's tasks beside a healthy one", &of_well);
    }
}

/// A daemon with twenty healthy runtimes and one more.
struct Ward {
    _dir: tempfile::TempDir,
    _healthy: Vec<Swap>,
    _daemon: Daemon,
    connection: Connection,
    /// The tasks of one round, as they are submitted.
    tasks: String,
}

impl Ward {
    fn with(ill: Ill) -> Self {
        let healthy: Vec<Swap> = (0..HEALTHY).map(|_| Swap::start(vec!["tiny".to_owned()])).collect();
        let last = match ill {
            Ill::Nothing => Swap::start(vec!["tiny".to_owned()]).address,
            Ill::Hangs | Ill::Resets | Ill::Nonsense | Ill::Dead => sick(ill),
        };
        let addresses: Vec<SocketAddr> = healthy.iter().map(|swap| swap.address).chain([last]).collect();
        let dir = tempfile::tempdir().expect("a temporary directory");
        let repo = dir.path().join("repo");
        repository(&repo, &manifests(&addresses));
        let mut daemon = Daemon::up(&repo, &dir.path().join("state"));
        daemon.let_log_pass();
        let connection = Connection::open(&daemon.socket());
        let tasks: Vec<Value> = (0..=HEALTHY)
            .map(|n| json!({"capability": "text.generate", "target": {"model": format!("model-{n}")}, "inputs": {"text": "Good evening"}}))
            .collect();
        Self { _dir: dir, _healthy: healthy, _daemon: daemon, connection, tasks: Value::Array(tasks).to_string() }
    }

    /// One task for every runtime; how long those of the twenty took from being accepted to being done, as the daemon noted.
    fn round(&mut self) -> Vec<Duration> {
        let (status, answer) = self.connection.call("POST", "/v1/tasks", &self.tasks);
        assert_eq!(status, 202, "{answer}");
        let accepted: Value = serde_json::from_str(&answer).expect("the answer is JSON");
        let ids: Vec<&str> =
            accepted.as_array().expect("a list").iter().filter_map(|task| task["id"].as_str()).collect();
        assert_eq!(ids.len(), HEALTHY + 1, "{accepted}");
        ids.into_iter().take(HEALTHY).map(|id| self.took(id)).collect()
    }

    /// Waits until the task is done.
    fn took(&mut self, id: &str) -> Duration {
        let end = Instant::now() + PATIENCE;
        loop {
            let (status, answer) = self.connection.call("GET", &format!("/api/v1/tasks/{id}"), "");
            assert_eq!(status, 200, "{answer}");
            let task: Value = serde_json::from_str(&answer).expect("the answer is JSON");
            match task["state"].as_str() {
                Some("done") => {
                    let at =
                        |key: &str| -> Timestamp { task[key].as_str().and_then(|at| at.parse().ok()).expect("a time") };
                    let took = at("finished_at").duration_since(at("created_at"));
                    return Duration::try_from(took).expect("it ends after it begins");
                }
                Some("error") => panic!("a task of a healthy runtime failed: {task:#}"),
                _ => assert!(Instant::now() < end, "not done after {PATIENCE:?}: {task:#}"),
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }
}

/// A runtime that is ill in this way, for as long as the program runs.
fn sick(ill: Ill) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    if ill != Ill::Dead {
        std::thread::spawn(move || {
            let mut held = Vec::new();
            for stream in listener.incoming().map_while(Result::ok) {
                if ill == Ill::Hangs {
                    held.push(stream);
                } else {
                    // A connection that breaks is all that is wanted here.
                    drop(upset(ill, stream));
                }
            }
        });
    }
    address
}

fn upset(ill: Ill, mut stream: TcpStream) -> std::io::Result<()> {
    let mut some = [0];
    stream.read_exact(&mut some)?;
    if ill == Ill::Nonsense {
        return stream.write_all(b"\x00\xff\xfe no HTTP\r\n\r\n");
    }
    // Closed with bytes that were not read, it is reset (RFC 9293, section 3.10.4, and RFC 2525, section 2.17).
    Ok(())
}

fn manifests(addresses: &[SocketAddr]) -> String {
    let mut text = String::from(
        "apiVersion: arcology/v1alpha1\nkind: Host\nmetadata: {name: here}\nspec: {address: 127.0.0.1, local: true}\n",
    );
    for (n, address) in addresses.iter().enumerate() {
        write!(
            text,
            "---\napiVersion: arcology/v1alpha1\nkind: Runtime\nmetadata: {{name: runtime-{n}}}\nspec: {{host: here, adapter: \
             openai, endpoint: 'http://{address}', capabilities: [text.generate], observeEvery: 1s}}\n\
             ---\napiVersion: arcology/v1alpha1\nkind: Model\nmetadata: {{name: model-{n}}}\nspec: {{type: llm, capabilities: \
             [text.generate], servedBy: [{{runtime: runtime-{n}, as: tiny}}]}}\n"
        )
        .expect("text grows");
    }
    text
}
