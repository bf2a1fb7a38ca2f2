//! The engine beside a driver that comes and goes: what it shows of GPUs and hosts, and that it goes on when one hangs.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arcology::act::clock::{SystemClock, SystemSteady};
use arcology::act::engine::picture::Picture;
use arcology::act::engine::{Engine, Options};
use arcology::act::{source, telemetry};
use arcology::core::clock::millis_since;
use arcology::core::{Name, Reading, Timestamp};
use arcology::decide::host_view::GpuView;
use arcology::decide::reconcile::gpu_use::foreign_on;
use arcology::declare::manifest::kind::task::TaskSpec;

use super::fake::FakeNvml;
use crate::double::llama_swap::{Double, Model, Version};
use crate::up::harness::git;

const PATIENCE: Duration = Duration::from_secs(60);

const WORLD: &str = "\
apiVersion: arcology/v1alpha1
kind: Host
metadata: {name: desk}
spec:
  address: 127.0.0.1
  local: true
  gpus:
    - {id: big, uuid: GPU-11111111-AAAA, vramGb: 24}
    - {id: small, index: 1, vramGb: 12}
    - {id: sim0, vramGb: 8, simulated: true}
---
apiVersion: arcology/v1alpha1
kind: Host
metadata: {name: attic}
spec: {address: attic.example, gpus: [{id: gpu0, index: 0, vramGb: 24}]}
---
apiVersion: arcology/v1alpha1
kind: Runtime
metadata: {name: builtin}
spec: {host: desk, gpu: sim0, adapter: builtin, observeEvery: 1s}
---
apiVersion: arcology/v1alpha1
kind: Model
metadata: {name: textrank}
spec: {type: other, servedBy: [{runtime: builtin}], vramGb: 2.5}
---
apiVersion: arcology/v1alpha1
kind: Loadout
metadata: {name: desk}
spec: {host: desk, models: [{model: textrank, state: loaded}]}
";

struct Running {
    engine: Engine,
    dir: tempfile::TempDir,
}

impl Running {
    async fn start(fake: &FakeNvml) -> Self {
        Self::start_with(fake, WORLD).await
    }

    async fn start_with(fake: &FakeNvml, world: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let repo = dir.path().join("repo");
        std::fs::create_dir_all(repo.join("manifests")).unwrap();
        git(&repo, &["init", "-q", "-b", "main"]);
        commit(&repo, world);
        let state_dir = dir.path().join("state");
        let options = Options {
            source: source::Options::new(repo.display().to_string(), state_dir.clone()),
            state_dir,
            interval: Duration::from_millis(50),
            credentials_dir: None,
            inputs_dirs: Vec::new(),
            tools: arcology::act::runtime::exec::Tools::without_confiner(),
            clock: Arc::new(SystemClock),
            steady: Arc::new(SystemSteady::default()),
            telemetry: telemetry::Options {
                every: Duration::from_millis(20),
                deadline: Duration::from_millis(200),
                nvml_library: Some(fake.library()),
            },
        };
        Self { engine: Engine::start(options).await.unwrap(), dir }
    }

    /// Waits for a picture of which `look` makes something.
    async fn until<T>(&self, what: &str, mut look: impl FnMut(&Picture, Timestamp) -> Result<T, String>) -> T {
        let mut pictures = self.engine.handle().pictures();
        let end = Instant::now() + PATIENCE;
        loop {
            let picture = Arc::clone(&pictures.borrow_and_update());
            match look(&picture, self.engine.handle().now()) {
                Ok(found) => return found,
                Err(last) => assert!(Instant::now() < end, "not in time: {what}; last seen: {last}"),
            }
            let _ = tokio::time::timeout(Duration::from_secs(1), pictures.changed()).await;
        }
    }
}

fn commit(repo: &Path, world: &str) {
    std::fs::write(repo.join("manifests/all.yaml"), world).unwrap();
    git(repo, &["add", "-A"]);
    git(repo, &["commit", "-q", "-m", "A machine"]);
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// What is said of a GPU: the word, the figures if there are some, and the trouble.
fn said(picture: &Picture, now: Timestamp, host: &str, gpu: &str) -> (String, Option<GpuView>, String) {
    let Some(seen) = picture.gpus.get(&(name(host), name(gpu))) else { return ("absent".into(), None, String::new()) };
    let word = format!("{} by {}", seen.read(now).word(), seen.source());
    match seen.read(now) {
        Reading::Fresh { value, .. } => (word, Some(value.clone()), String::new()),
        Reading::Stale { value, problem, .. } => (word, Some(value.clone()), problem.unwrap_or_default().into()),
        Reading::Unknown { why } => (word, None, why.into()),
    }
}

/// Waits until a GPU is said to be so, and gives its figures and trouble.
async fn gpu(running: &Running, host: &str, gpu: &str, wanted: &str) -> (Option<GpuView>, String) {
    running
        .until(&format!("{gpu} is {wanted}"), |picture, now| {
            let (word, view, why) = said(picture, now, host, gpu);
            if word == wanted { Ok((view, why)) } else { Err(format!("{word} {why}")) }
        })
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn gpus_and_hosts_are_shown_as_they_are() {
    let fake = FakeNvml::new("present");
    let running = Running::start(&fake).await;
    let (big, _) = gpu(&running, "desk", "big", "fresh by NVML").await;
    let big = big.unwrap();
    assert_eq!((big.total_gb, big.used_gb, big.index), (32.0, 9.5, Some(0)));
    assert_eq!(big.note.as_deref(), Some("the manifest says 24 GB, the driver says 32 GB"));
    let (_, why) = gpu(&running, "attic", "gpu0", "unknown by agent").await;
    assert!(why.starts_with("this host is not local"), "{why}");
    // Two looks: processor use is counted from one to the next.
    running
        .until("the machine is measured", |picture, now| {
            let seen = picture.hosts.get(&name("desk")).ok_or("not yet")?;
            let view = seen.fresh(now).ok_or("not fresh")?;
            if view.cpu_util_pct.is_some() && view.disk_free_gb.is_some() { Ok(()) } else { Err(format!("{view:?}")) }
        })
        .await;
    running
        .until("a simulated GPU holds what is loaded on it", |picture, now| match said(picture, now, "desk", "sim0") {
            (word, Some(view), _) if word == "fresh by simulated" && view.simulated && view.used_gb == 2.5 => Ok(()),
            other => Err(format!("{other:?}")),
        })
        .await;
    let foreign = |picture: &Picture, now, gpu: &str| foreign_on(&picture.inputs(now), &name("desk"), &name(gpu));
    let picture = Arc::clone(&running.engine.handle().pictures().borrow());
    let at = picture.made_at.unwrap();
    assert_eq!(foreign(&picture, at, "big"), Some(9.5), "no model of ours is on it");
    assert_eq!(foreign(&picture, at, "sim0"), None, "nothing was measured there");
    // What is no longer declared is no longer shown.
    commit(&running.dir.path().join("repo"), &WORLD.replace("    - {id: small, index: 1, vramGb: 12}\n", ""));
    gpu(&running, "desk", "small", "absent").await;
    running.engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_card_and_a_driver_that_hangs_make_figures_old_and_stop_nothing_else() {
    let fake = FakeNvml::new("present");
    let running = Running::start(&fake).await;
    gpu(&running, "desk", "small", "fresh by NVML").await;
    fake.set("lost");
    let (view, why) = gpu(&running, "desk", "small", "stale by NVML").await;
    assert_eq!(view.unwrap().total_gb, 12.0, "the last figures are kept");
    assert!(why.starts_with("the card fell off the bus"), "{why}");
    gpu(&running, "desk", "big", "fresh by NVML").await;
    fake.set("hang");
    let (view, why) = gpu(&running, "desk", "big", "stale by NVML").await;
    assert_eq!(view.unwrap().used_gb, 9.5);
    assert_eq!(why, "NVIDIA's driver: it has not answered within 0.2 s and may hang");
    let hung_at = running.engine.handle().now();
    running
        .until("the machine is measured all the same", |picture, now| {
            let seen = picture.hosts.get(&name("desk")).ok_or("not yet")?;
            let fresh = seen.fresh(now).is_some() && seen.at().is_some_and(|at| at > hung_at);
            if fresh { Ok(()) } else { Err(format!("{seen:?}")) }
        })
        .await;
    let spec: TaskSpec = serde_json::from_value(serde_json::json!({
        "capability": "text.summarize", "inputs": {"text": "One sentence is here. Another one is there."},
    }))
    .unwrap();
    let handle = running.engine.handle();
    let id = handle.submit(spec, "a test").await.unwrap().id;
    let end = Instant::now() + PATIENCE;
    while handle.store().task(&id).await.unwrap().unwrap().finished_at.is_none() {
        assert!(Instant::now() < end, "a task runs while the driver hangs");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let begun = Instant::now();
    running.engine.stop().await;
    assert!(begun.elapsed() < Duration::from_secs(30), "a driver that hangs does not keep the engine from ending");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_without_a_driver_is_an_ordinary_machine() {
    let fake = FakeNvml::new("unloaded");
    let running = Running::start(&fake).await;
    let (_, why) = gpu(&running, "desk", "big", "unknown by NVML").await;
    assert_eq!(why, "NVIDIA's driver is not loaded; nvidia-smi says more");
    running.engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_load_really_took_counts_from_then_on() {
    let fake = FakeNvml::new("present");
    let double = Double::start(Version::V250, vec![Model::new("chat")]).await;
    double.hold("chat");
    let rest = format!(
        "---
apiVersion: arcology/v1alpha1
kind: Runtime
metadata: {{name: swap}}
spec: {{host: desk, gpu: big, adapter: llama-swap, endpoint: '{}', observeEvery: 1s}}
---
apiVersion: arcology/v1alpha1
kind: Model
metadata: {{name: chat}}
spec: {{type: llm, servedBy: [{{runtime: swap}}], vramGb: 6}}
",
        double.endpoint()
    );
    let wants = "models: [{model: textrank, state: loaded}, {model: chat, state: loaded}]";
    let running = Running::start_with(&fake, &(WORLD.to_owned() + &rest)).await;
    // A look at the card that is newer than the first word of the runtime, and so knows that nothing is loaded.
    running
        .until("the card was seen since the runtime was", |picture, _| {
            let swap = picture.views.get(&name("swap")).and_then(|seen| seen.at()).ok_or("not seen")?;
            let big = picture.gpus.get(&(name("desk"), name("big"))).and_then(|seen| seen.at()).ok_or("no card")?;
            if millis_since(swap, big) > 100 { Ok(()) } else { Err("not yet".to_owned()) }
        })
        .await;
    let world = WORLD.replace("models: [{model: textrank, state: loaded}]", wants) + &rest;
    commit(&running.dir.path().join("repo"), &world);
    running
        .until("it is being loaded", |picture, _| {
            if picture.scheduler.moving.is_empty() { Err("nothing moves".to_owned()) } else { Ok(()) }
        })
        .await;
    fake.set("loaded");
    double.release("chat");
    running
        .until("it is said to take the 8 GB that it was measured to take", |picture, now| {
            let known = picture.load_history.get(&(name("swap"), "chat".to_owned()));
            let big = picture.scheduler.gpus.values().find(|gpu| gpu.models_gb == 8.0);
            let foreign = foreign_on(&picture.inputs(now), &name("desk"), &name("big"));
            match (known.and_then(|known| known.took_gb), big, foreign) {
                (Some(8.0), Some(_), Some(9.5)) => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
    running.engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gpu_of_another_machine_is_as_its_llama_swap_measures_it() {
    let fake = FakeNvml::new("present");
    let running = Running::start(&fake).await;
    let (_, why) = gpu(&running, "attic", "gpu0", "unknown by agent").await;
    assert!(why.starts_with("this host is not local"), "{why}");
    let double = Double::start(Version::Newer, vec![Model::new("a")]).await;
    let at = Timestamp::now().to_string();
    double.state.change(|inner| {
        inner.performance = Some(serde_json::json!({
            "sys_stats": [{"timestamp": at, "cpu_util_per_core": [50.0], "mem_total_mb": 65536, "mem_used_mb": 1024}],
            "gpu_stats": [{"timestamp": at, "id": 0, "name": "RTX 3090", "uuid": "GPU-far", "temp_c": 51,
                "gpu_util_pct": 88, "mem_used_mb": 6144, "mem_total_mb": 24576}]}));
    });
    let runtime = format!(
        "---\napiVersion: arcology/v1alpha1\nkind: Runtime\nmetadata: {{name: far}}\nspec: {{host: attic, gpu: gpu0, \
         adapter: llama-swap, endpoint: \"{}\"}}\n",
        double.endpoint()
    );
    commit(&running.dir.path().join("repo"), &format!("{WORLD}{runtime}"));
    let (view, _) = gpu(&running, "attic", "gpu0", "fresh by far's own samples").await;
    assert_eq!(view.map(|view| (view.used_gb, view.total_gb, view.simulated)), Some((6.0, 24.0, false)));
    running
        .until("the far machine is measured", |picture, now| {
            let seen = picture.hosts.get(&name("attic")).ok_or("not yet")?;
            let view = seen.fresh(now).ok_or_else(|| format!("{seen:?}"))?;
            if view.ram_total_gb == 64.0 { Ok(()) } else { Err(format!("{view:?}")) }
        })
        .await;
    // What is measured here stays measured here.
    gpu(&running, "desk", "big", "fresh by NVML").await;
}
