//! Tasks through the whole engine: accepted, started and ended a second, each step on disk before the next; and what a long
//! queue costs to take in, to ask about and to take up again after a restart.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arcology::act::clock::{SystemClock, SystemSteady};
use arcology::act::engine::{Engine, Handle, Options};
use arcology::act::source;
use arcology::act::telemetry;
use arcology::declare::manifest::kind::task::TaskSpec;
use tokio::runtime::Runtime;

use crate::measure::{Times, row};

/// Tasks of the first part.
const TASKS: usize = 10_000;
/// Tasks of the second part.
const WAITING: usize = 100_000;
const LIST: usize = 10_000;
const ROUNDS: usize = 100;

pub fn run() {
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    for slots in [4, 64, 256] {
        // It has nothing to extract from: the attempt ends as soon as the runtime looks at it, and leaves nothing.
        through(&tokio, slots, "that leave nothing", r#"{"capability": "doc.extract"}"#);
    }
    through(
        &tokio,
        64,
        "with an artifact each",
        r#"{"capability": "text.stats", "inputs": {"text": "One. Two words."}}"#,
    );
    long_queue(&tokio);
}

fn spec(json: &str) -> TaskSpec {
    serde_json::from_str(json).expect("a task")
}

/// A repository with a built-in runtime that does so many tasks at once.
fn repository(dir: &Path, slots: usize) {
    let manifests = format!(
        "apiVersion: arcology/v1alpha1\nkind: Host\nmetadata: {{name: desk}}\nspec: {{address: 127.0.0.1, local: true}}\n---\n\
         apiVersion: arcology/v1alpha1\nkind: Runtime\nmetadata: {{name: builtin}}\nspec: {{host: desk, adapter: builtin, \
         slots: {slots}}}\n"
    );
    std::fs::create_dir(dir.join("manifests")).expect("a folder");
    std::fs::write(dir.join("manifests/desk.yaml"), manifests).expect("it is written");
    let git = |args: &[&str]| {
        let mut command = std::process::Command::new("git");
        command.current_dir(dir).args(["-c", "commit.gpgsign=false", "-c", "user.name=Ada", "-c", "user.email=a@b"]);
        assert!(command.args(args).status().expect("git runs").success());
    };
    git(&["init", "-q", "-b", "main"]);
    git(&["add", "-A"]);
    git(&["commit", "-q", "-m", "Begin"]);
}

async fn engine(dir: &Path) -> Engine {
    let (repo, state) = (dir.join("repo"), dir.join("state"));
    let options = Options {
        source: source::Options::new(repo.display().to_string(), state.clone()),
        state_dir: state,
        interval: Duration::from_secs(3_600),
        credentials_dir: None,
        inputs_dirs: Vec::new(),
        tools: arcology::act::runtime::exec::Tools::without_confiner(),
        clock: Arc::new(SystemClock),
        steady: Arc::new(SystemSteady::default()),
        telemetry: telemetry::Options::default(),
    };
    Engine::start(options).await.expect("it starts")
}

async fn empty(handle: &Handle) {
    loop {
        let counts = handle.scheduler_now(0).await.counts;
        if counts.queued + counts.running + counts.blocked == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn through(tokio: &Runtime, slots: usize, what: &str, task: &str) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    std::fs::create_dir(dir.path().join("repo")).expect("a folder");
    repository(&dir.path().join("repo"), slots);
    tokio.block_on(async {
        let engine = engine(dir.path()).await;
        let handle = engine.handle();
        handle.reconcile(false, "bench").await.expect("it looks");
        let before = handle.store().commits();
        let start = Instant::now();
        for _ in 0..TASKS / LIST.min(TASKS) {
            handle.submit_all(vec![spec(task); LIST.min(TASKS)], "bench").await.expect("it is accepted");
        }
        let accepted = start.elapsed();
        empty(&handle).await;
        let elapsed = start.elapsed();
        let commits = handle.store().commits() - before;
        // Accepted, started, ended: three steps on disk for each.
        let a_second = (3 * TASKS) as f64 / elapsed.as_secs_f64();
        let shared = (3 * TASKS) as f64 / commits as f64;
        row(
            format!("{TASKS} tasks {what}, {slots} slots"),
            format!(
                "{a_second:.0} transitions/s, {shared:.1} a commit; accepted in {:.0} ms",
                accepted.as_secs_f64() * 1e3
            ),
        );
        engine.stop().await;
    });
}

fn long_queue(tokio: &Runtime) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    std::fs::create_dir(dir.path().join("repo")).expect("a folder");
    repository(&dir.path().join("repo"), 4);
    // Nobody offers it here: every one of them waits.
    let task = r#"{"capability": "video.gen", "inputs": {"text": "A calm sea"}}"#;
    tokio.block_on(async {
        let engine = engine(dir.path()).await;
        let handle = engine.handle();
        let start = Instant::now();
        let mut last = String::new();
        for _ in 0..WAITING / LIST {
            let rows = handle.submit_all(vec![spec(task); LIST], "bench").await.expect("it is accepted");
            last = rows.last().map(|row| row.id.clone()).unwrap_or_default();
        }
        row(format!("{WAITING} tasks taken in, {LIST} a list"), format!("{:.2} s", start.elapsed().as_secs_f64()));
        let mut times = Vec::new();
        for _ in 0..ROUNDS {
            let start = Instant::now();
            assert!(handle.explain(&last).await.is_some());
            times.push(start.elapsed());
        }
        row(format!("why, behind {WAITING}"), Times::of(times));
        engine.stop().await;
    });
    tokio.block_on(async {
        let start = Instant::now();
        let engine = engine(dir.path()).await;
        let counts = engine.handle().scheduler_now(0).await.counts;
        row(format!("taken up again, {} waiting", counts.queued), format!("{:.2} s", start.elapsed().as_secs_f64()));
        engine.stop().await;
    });
}
