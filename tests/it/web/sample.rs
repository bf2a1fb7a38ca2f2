//! Worlds to show: made from manifests the way the program makes them, so that pages are tested with what they will get.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arcology::act::controller::breaker::State;
use arcology::act::engine::picture::{Link, Picture, RuntimePicture, SourcePicture, SourceProblem};
use arcology::core::{Commit, CommitSha, Digest, Name, ObjectKey, Observed, Revision, Timestamp};
use arcology::decide::host_view::{GpuProcess, GpuView, Gpus, HostView, Hosts};
use arcology::decide::reconcile::{Correction, Failure, ObjectHistory, Sync, plan};
use arcology::decide::view::{ModelState, ModelView, RuntimeView, WorkView};
use arcology::declare::manifest::kind::task::TaskSpec;
use arcology::declare::manifest::{ParsedFile, parse};
use arcology::declare::world::{Inputs, World, assemble};
use arcology::remember::store::row::{ArtifactRow, AttemptRow, AuditRow, TaskError, TaskRow, TaskState, Why};
use arcology::tell::web::facts::{Facts, Queue, TaskCounts};

/// `2026-11-21T10:00:00Z`, and that many seconds.
pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_795_255_200 + seconds).unwrap()
}

pub fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

pub fn key(text: &str) -> ObjectKey {
    ObjectKey::parse(text).unwrap()
}

pub fn revision(n: u8, subject: &str, author: &str, seconds: i64) -> Revision {
    let sha = CommitSha::new(&Digest::of(&[n]).hex()[..40]);
    let commit = Commit { sha, subject: subject.into(), author: author.into(), at: at(seconds) };
    Revision { branch: "main".into(), commit }
}

pub const MACHINES: &str = "\
apiVersion: arcology/v1alpha1
kind: Host
metadata: {name: desk}
spec:
  address: 127.0.0.1
  local: true
  gpus:
    - {id: gpu0, index: 0, vramGb: 32, label: RTX 5090}
---
apiVersion: arcology/v1alpha1
kind: Runtime
metadata: {name: swap}
spec:
  host: desk
  gpu: gpu0
  adapter: llama-swap
  endpoint: http://127.0.0.1:8080
  capabilities: [text.generate, text.summarize, text.embed]
---
apiVersion: arcology/v1alpha1
kind: Runtime
metadata: {name: local}
spec: {host: desk, adapter: builtin}
---
apiVersion: arcology/v1alpha1
kind: Runtime
metadata: {name: cluster}
spec: {host: desk, gpu: gpu0, adapter: ray, endpoint: 'http://127.0.0.1:8265', capabilities: [image.gen]}
";

pub const MODELS: &str = "\
apiVersion: arcology/v1alpha1
kind: Model
metadata: {name: qwen2.5-7b-q4}
spec:
  type: llm
  servedBy: [{runtime: swap, as: qwen2.5-7b}]
  capabilities: [text.generate, text.summarize]
  contextTokens: 32000
  vramGb: 7.8
  quantization: Q4_K_M
  parameters: 7B
---
apiVersion: arcology/v1alpha1
kind: Model
metadata: {name: minilm}
spec: {type: embedding, servedBy: [{runtime: swap}], capabilities: [text.embed], vramGb: 0.4}
---
apiVersion: arcology/v1alpha1
kind: Model
metadata: {name: textrank}
spec: {type: other, servedBy: [{runtime: local}], capabilities: [text.summarize]}
";

pub const LOADOUT: &str = "\
apiVersion: arcology/v1alpha1
kind: Loadout
metadata:
  name: desk
  labels: {project: acme}
spec:
  host: desk
  copilot: qwen2.5-7b-q4
  models:
    - {model: qwen2.5-7b-q4, state: loaded}
    - {model: minilm, state: loaded}
    - {model: textrank, state: loaded}
";

pub const POLICY: &str = "\
apiVersion: arcology/v1alpha1
kind: Policy
metadata: {name: default}
spec:
  copilotPersistent: true
  gpuSharedSlots: 2
  gpuExclusiveFor: [video.gen, train.run]
  drift: correct
  retries: {max: 2, backoff: 5s}
";

type Files = BTreeMap<Arc<str>, Arc<ParsedFile>>;

pub fn files(all: &[(&str, &str)]) -> Files {
    all.iter().map(|(path, text)| (Arc::from(*path), Arc::new(parse::file(path, text.as_bytes())))).collect()
}

pub fn usual() -> [(&'static str, &'static str); 4] {
    [
        ("manifests/loadouts.yaml", LOADOUT),
        ("manifests/machines.yaml", MACHINES),
        ("manifests/models.yaml", MODELS),
        ("policies/default.yaml", POLICY),
    ]
}

/// The world after `revision` with these files, where `before` was in force.
pub fn world(all: &[(&str, &str)], before: Option<&World>, revision: Revision) -> World {
    let none = BTreeMap::new();
    let commit = revision.commit.clone();
    let inputs = Inputs {
        revision,
        files: &files(all),
        in_force: before.map_or(&none, |world| &world.objects),
        commit_of: &|_| Some(commit.clone()),
        exists: &|_| true,
        prune_confirmed: false,
    };
    assemble(&inputs).world
}

fn model(name: &str, state: ModelState, vram_gb: Option<f64>) -> ModelView {
    ModelView { name: name.into(), state, vram_gb, context_tokens: None, expires_at: None }
}

pub fn swap_view(qwen: ModelState) -> RuntimeView {
    RuntimeView {
        version: Some("v168".into()),
        models: vec![
            model("llama3.1-8b", ModelState::Unloaded, None),
            model("minilm", ModelState::Loaded, Some(0.4)),
            model("qwen2.5-7b", qwen, Some(8.1)),
        ],
        in_flight: Some(1),
        queued: Some(2),
        works: Some(vec![WorkView {
            id: "41".into(),
            model: "qwen2.5-7b".into(),
            since: Some(at(-4)),
            path: "/v1/chat/completions".into(),
        }]),
        ..RuntimeView::default()
    }
}

pub fn local_view() -> RuntimeView {
    RuntimeView {
        version: Some("0.1.0".into()),
        models: vec![model("textrank", ModelState::Loaded, None)],
        ..RuntimeView::default()
    }
}

/// A runtime that was seen `seconds` from ten o'clock, fresh for fifteen seconds.
pub fn seen(view: RuntimeView, source: &str, seconds: i64) -> RuntimePicture {
    RuntimePicture {
        view: Observed::seen(view, source, at(seconds), Duration::from_secs(15)),
        link: Link::Connected,
        last_seen: Some(at(seconds)),
        failures: 0,
        breaker: State::Closed { failures: 0 },
    }
}

/// A card that holds the models and half a gigabyte of somebody else's.
pub fn gpu_view() -> GpuView {
    GpuView {
        name: Some("NVIDIA GeForce RTX 5090".into()),
        uuid: Some("GPU-1".into()),
        index: Some(0),
        total_gb: 31.84,
        used_gb: 9.0,
        util_pct: Some(63.0),
        temperature_c: Some(61.0),
        processes: vec![GpuProcess { pid: 4711, name: Some("llama-server".into()), used_gb: Some(8.4) }],
        simulated: false,
        note: None,
    }
}

pub fn host_view() -> HostView {
    HostView {
        cpu_util_pct: Some(28.4),
        ram_used_gb: 38.0,
        ram_total_gb: 96.0,
        disk_free_gb: Some(512.3),
        disk_total_gb: Some(900.0),
    }
}

/// What was seen of the desk and its card, `seconds` from ten o'clock.
pub fn measured(seconds: i64) -> (Arc<Gpus>, Arc<Hosts>) {
    let fresh = Duration::from_secs(15);
    let gpu = Observed::seen(gpu_view(), "NVML", at(seconds), fresh);
    let host = Observed::seen(host_view(), "operating system", at(seconds), fresh);
    (Arc::new([((name("desk"), name("gpu0")), gpu)].into()), Arc::new([(name("desk"), host)].into()))
}

fn picture(world: World, runtimes: BTreeMap<Name, RuntimePicture>) -> Picture {
    let views = runtimes.iter().map(|(name, runtime)| (name.clone(), runtime.view.clone())).collect();
    let (gpus, hosts) = measured(-2);
    Picture {
        gpus,
        hosts,
        made_at: Some(at(0)),
        started_at: Some(at(-7_200)),
        world: Arc::new(world),
        source: SourcePicture {
            repo: "/srv/state".into(),
            branch: "main".into(),
            applied_at: Some(at(-660)),
            pending: None,
            checked_at: Some(at(-4)),
            problem: None,
        },
        runtimes,
        views: Arc::new(views),
        ..Picture::default()
    }
}

/// What the facts of a picture are ten o'clock, after the loop has noted how each object stands.
pub fn facts(mut picture: Picture) -> Facts {
    let mut histories = (*picture.histories).clone();
    for status in plan(&picture.inputs(at(0))).statuses {
        let history = histories.entry(status.key.clone()).or_default();
        history.sync = Some(status.sync);
        history.health = Some(status.health);
        history.since = history.since.or(Some(at(-600)));
    }
    picture.histories = Arc::new(histories);
    Facts::at(Arc::new(picture), at(0))
}

fn raised() -> Revision {
    revision(1, "Raise the copilot to qwen2.5", "Ada Lovelace", -720)
}

/// Everything is as declared.
pub fn normal_picture() -> Picture {
    let runtimes = [
        (name("swap"), seen(swap_view(ModelState::Loaded), "swap /running", -3)),
        (name("local"), seen(local_view(), "builtin", -1)),
    ];
    let scheduler = Arc::new(super::sample_work::shared());
    Picture { scheduler, ..picture(world(&usual(), None, raised()), runtimes.into()) }
}

pub fn normal() -> Facts {
    facts(normal_picture())
}

/// Nothing was applied, nothing was looked at.
pub fn empty() -> Facts {
    Facts::at(Arc::new(Picture::default()), at(0))
}

/// The runtimes have not answered for minutes; a newer commit was seen and could not be read.
pub fn stale() -> Facts {
    let mut swap = seen(swap_view(ModelState::Loaded), "swap /running", -240);
    swap.view = swap.view.failed("connection refused");
    (swap.link, swap.failures, swap.breaker) = (Link::Down, 9, State::Open { since: at(-20), until: at(40) });
    let mut local = seen(local_view(), "builtin", -1);
    local.view = Observed::unknown("builtin", "not looked at yet");
    (local.link, local.last_seen) = (Link::Reconnecting, None);
    let mut picture = picture(world(&usual(), None, raised()), [(name("swap"), swap), (name("local"), local)].into());
    let (gpus, _) = measured(-240);
    let lost = |seen: &Observed<GpuView>| seen.clone().failed("the card fell off the bus");
    picture.gpus = Arc::new(gpus.iter().map(|(key, seen)| (key.clone(), lost(seen))).collect());
    let unknown = Observed::unknown("operating system", "it does not tell how much memory there is");
    picture.hosts = Arc::new([(name("desk"), unknown)].into());
    picture.source.pending = Some(revision(2, "Try a larger context", "Grace Hopper", -30));
    facts(picture)
}

/// All that can be wrong at once.
pub fn broken() -> Facts {
    let before = world(&usual(), None, raised());
    let bad_policy = POLICY.replace("gpuSharedSlots", "gpuSharedSlot");
    let files = [
        ("manifests/loadouts.yaml", LOADOUT),
        ("manifests/machines.yaml", MACHINES),
        ("manifests/models.yaml", MODELS),
        ("manifests/notes.yaml", "kind Runtime\n  metadata: [\n"),
        ("policies/default.yaml", bad_policy.as_str()),
    ];
    let world = world(&files, Some(&before), revision(3, "Tune the policy", "Grace Hopper", -90));
    let mut view = swap_view(ModelState::Unloaded);
    view.degraded = Some("1 of 3 models fails to start".into());
    let mut comfyless = seen(local_view(), "builtin", -1);
    comfyless.view = comfyless.view.failed("the worker thread ended");
    let mut picture =
        picture(world, [(name("swap"), seen(view, "swap /running", -3)), (name("local"), comfyless)].into());
    picture.source.problem = Some(SourceProblem {
        reason: "NotFastForward".into(),
        message: "the history of main was rewritten: 4bf5122f3445 is not an ancestor of dbc1b4c900ff".into(),
        help: Some("arcology reconcile --accept".into()),
        since: at(-50),
    });
    let smaller =
        GpuView { note: Some("the manifest says 32 GB, the driver says 24 GB".into()), total_gb: 24.0, ..gpu_view() };
    let key_of_gpu = (name("desk"), name("gpu0"));
    picture.gpus = Arc::new([(key_of_gpu, Observed::seen(smaller, "NVML", at(-2), Duration::from_secs(15)))].into());
    picture.store_problem = Some("there is no room left for /srv/state/.arcology/arcology.db".into());
    let history = ObjectHistory {
        sync: Some(Sync::Unknown),
        since: Some(at(-300)),
        corrections: vec![Correction { at: at(-200), saw: "models[qwen2.5-7b-q4].state: unloaded".into() }],
        failure: Some(Failure {
            at: at(-20),
            message: "out of memory: loading qwen2.5-7b needs 8.1 GB".into(),
            retry_at: Some(at(25)),
            attempts: 3,
            generation: 1,
        }),
        ..ObjectHistory::default()
    };
    picture.histories = Arc::new([(key("Loadout/desk"), history)].into());
    facts(picture)
}

pub fn task(id: &str, state: TaskState) -> TaskRow {
    let spec: TaskSpec = serde_json::from_value(serde_json::json!({
        "capability": "text.summarize",
        "inputs": {"text": "A long text about boards.", "files": ["packet.pdf"]},
        "params": {"max_words": 200, "temperature": 0},
        "tags": ["project:Acme"],
    }))
    .unwrap();
    let started = !matches!(state, TaskState::Queued | TaskState::Blocked);
    TaskRow {
        id: id.into(),
        spec,
        object: Some(key("Task/brief")),
        revision: Some(raised()),
        actor: "commit Ada Lovelace".into(),
        state,
        runtime: started.then(|| name("swap")),
        model: started.then(|| "qwen2.5-7b-q4".to_owned()),
        why: (!started).then(|| Why {
            reason: "SharedSlotsFull".into(),
            message: "both shared slots of desk/gpu0 are taken".into(),
            clears_at: Some(at(30)),
        }),
        error: (state == TaskState::Error).then(|| TaskError {
            code: "runtime_error".into(),
            message: "swap answered 500: the model stopped".into(),
            incident: None,
        }),
        attempts: u32::from(started),
        policy: vec![name("default")],
        created_at: at(-300),
        started_at: started.then(|| at(-280)),
        finished_at: state.is_final().then(|| at(-240)),
    }
}

pub fn attempts(id: &str) -> Vec<AttemptRow> {
    vec![AttemptRow {
        task: id.into(),
        number: 1,
        runtime: Some(name("swap")),
        model: Some("qwen2.5-7b-q4".into()),
        started_at: at(-280),
        finished_at: Some(at(-240)),
        state: "done".into(),
        log: "reading packet.pdf\n12 pages, 4,031 words\nsummarizing\n".into(),
        error: None,
        gpu: None,
        exclusive: false,
    }]
}

pub fn artifact(task: &str, file: &str, bytes: &[u8]) -> ArtifactRow {
    let input = Digest::of(b"packet");
    ArtifactRow {
        sha256: Digest::of(bytes),
        bytes: u64::try_from(bytes.len()).unwrap(),
        kind: file.rsplit('.').next().unwrap().into(),
        path: format!("runs/2026-11-21/{task}/{file}"),
        task: task.into(),
        created_at: at(-240),
        lineage: serde_json::json!({
            "task": task, "capability": "text.summarize", "model": "qwen2.5-7b-q4", "seed": 7,
            "inputs": [{"name": "packet.pdf", "sha256": input.to_string(), "bytes": 6}],
        }),
    }
}

pub fn audit() -> Vec<AuditRow> {
    let row = |seq, seconds, actor: &str, verb: &str, object: &str, reason: &str, result: &str| AuditRow {
        seq,
        at: at(seconds),
        actor: actor.into(),
        verb: verb.into(),
        object: object.into(),
        reason: reason.into(),
        result: result.into(),
        before: None,
        after: None,
        revision: Some(raised().to_string()),
    };
    let mut apply = row(1, -660, "commit Ada Lovelace", "apply", "Policy/default", "the manifest changed", "ok");
    apply.before = Some("gpuSharedSlots: 1".into());
    apply.after = Some("gpuSharedSlots: 2".into());
    vec![
        row(3, -100, "uid 1000 (pid 4711)", "submit", "task-1", "asked for on the control socket", "ok"),
        row(2, -650, "arcology", "load", "Loadout/desk", "the copilot is missing", "out of memory"),
        apply,
    ]
}

pub fn queue() -> Queue {
    let open = vec![task("task-3", TaskState::Queued), task("task-2", TaskState::Running)];
    let counts = TaskCounts { queued: 1, running: 1, done: 12, ..TaskCounts::default() };
    Queue { counts: Some(counts), open, ..Queue::default() }
}

pub fn troubled_queue() -> Queue {
    let counts = TaskCounts { error: 1, ..TaskCounts::default() };
    Queue { counts: Some(counts), failed: vec![task("task-4", TaskState::Error)], ..Queue::default() }
}
