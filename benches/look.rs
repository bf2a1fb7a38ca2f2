//! One look at a repository: when nothing changed, and when one file did.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arcology::act::clock::{SystemClock, SystemSteady};
use arcology::act::engine::{Engine, Options};
use arcology::act::source::{self, Poll, Snapshot, Source};
use arcology::act::telemetry;
use arcology::core::Timestamp;
use arcology::declare::manifest::parse;
use arcology::declare::world::World;
use arcology::declare::world::assemble::{Assembly, Inputs, assemble};
use arcology::remember::store::Store;
use arcology::remember::store::row::AppliedRow;

use crate::measure::{Times, rev_parse, row};
use crate::repository::Repository;

const SIZES: [usize; 3] = [100, 1_000, 10_000];
const ROUNDS: usize = 100;
/// Nothing answers here: a look at a repository asks no runtime.
const NOWHERE: &str = "http://127.0.0.1:9";

pub fn run() {
    for manifests in SIZES {
        let repository = Repository::of(manifests, NOWHERE);
        nothing_changed(&repository);
        one_file_changed(&repository);
        engine(&repository);
    }
}

/// Opens the source and reads everything once.
pub fn opened(repository: &Repository) -> (Source, World) {
    let path = repository.path().display().to_string();
    let mut source = Source::open(source::Options::new(path, repository.state())).expect("it can be opened");
    let world = assembled(&polled(&mut source, &World::default()), &World::default()).world;
    assert!(world.diagnostics.is_empty(), "the manifests are right: {:?}", world.diagnostics.first());
    (source, world)
}

pub fn polled(source: &mut Source, world: &World) -> Snapshot {
    let applied = world.revision.as_ref().map(|revision| revision.commit.sha.clone());
    match source.poll(applied.as_ref(), false).expect("the repository can be read") {
        Poll::Changed(snapshot) => snapshot,
        other => panic!("a change is there: {other:?}"),
    }
}

pub fn assembled(snapshot: &Snapshot, before: &World) -> Assembly {
    assemble(&Inputs {
        revision: snapshot.revision.clone(),
        files: &snapshot.files,
        in_force: &before.objects,
        commit_of: &|path| snapshot.commits.get(path).cloned(),
        exists: &|path| snapshot.paths.exists(path),
        prune_confirmed: snapshot.prune_confirmed,
    })
}

fn nothing_changed(repository: &Repository) {
    let (mut source, world) = opened(repository);
    let applied = world.revision.as_ref().map(|revision| revision.commit.sha.clone());
    let looks = Times::measure(1_000, || {
        assert!(matches!(source.poll(applied.as_ref(), false), Ok(Poll::Unchanged)));
    });
    let yardstick = rev_parse(&repository.path(), ROUNDS);
    row(format!("{} manifests, nothing changed", repository.files.len()), &looks);
    row("  git rev-parse HEAD", &yardstick);
    row("  ratio of the medians", format!("{:.4} x", looks.against(&yardstick)));
}

/// The parts of a look that finds one new model: reading, assembling, writing down.
fn one_file_changed(repository: &Repository) {
    let (mut source, mut world) = opened(repository);
    let tokio = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let store = Store::open(&repository.state(), Arc::new(SystemClock)).expect("the store can be opened");
    let (mut polls, mut assemblies, mut writes, mut wholes) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for n in 0..ROUNDS {
        repository.stage_changed_model(n);
        repository.commit("Change a model");
        let start = Instant::now();
        let snapshot = polled(&mut source, &world);
        polls.push(start.elapsed());
        let assembling = Instant::now();
        let assembly = assembled(&snapshot, &world);
        drop(snapshot);
        assemblies.push(assembling.elapsed());
        assert_eq!(assembly.changes.changed.len(), 1);
        let writing = Instant::now();
        tokio.block_on(write_down(&store, &assembly));
        writes.push(writing.elapsed());
        wholes.push(start.elapsed());
        world = assembly.world;
    }
    tokio.block_on(store.close());
    let (path, text) = &repository.files[5];
    let yardstick = Times::measure(1_000, || parse::file(path, text.as_bytes()));
    let whole = Times::of(wholes);
    row(format!("{} manifests, one file changed", repository.files.len()), &whole);
    for (what, times) in [("  read", polls), ("  assemble", assemblies), ("  write down (synced)", writes)] {
        row(what, Times::of(times));
    }
    row("  parsing that one file", &yardstick);
    row("  ratio of the medians", format!("{:.1} x", whole.against(&yardstick)));
}

async fn write_down(store: &Store, assembly: &Assembly) {
    let changed = assembly.changes.changed.iter().map(|key| &assembly.world.objects[key]);
    let rows = changed.map(|object| arcology::act::engine::source_loop::row_of(object)).collect();
    let revision = assembly.world.revision.clone().expect("it has one");
    let applied = AppliedRow { revision, applied_at: Timestamp::now() };
    store.apply_revision(applied, rows, Vec::new(), Vec::new()).await.expect("it is written");
}

/// The whole engine, from being asked to look until the new revision is in force.
fn engine(repository: &Repository) {
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let times = tokio.block_on(async {
        let options = Options {
            state_dir: repository.state().join("engine"),
            source: source::Options::new(repository.path().display().to_string(), repository.state().join("engine")),
            // Notifications are on; the interval is out of the way.
            interval: Duration::from_secs(3_600),
            credentials_dir: None,
            inputs_dirs: Vec::new(),
            tools: arcology::act::runtime::exec::Tools::without_confiner(),
            clock: Arc::new(SystemClock),
            steady: Arc::new(SystemSteady::default()),
            telemetry: telemetry::Options::default(),
        };
        let engine = Engine::start(options).await.expect("it starts");
        let handle = engine.handle();
        handle.reconcile(false, "bench").await.expect("it looks");
        let mut times = Vec::new();
        let mut pictures = handle.pictures();
        // What follows from the start is over when nothing new is shown for a while.
        while tokio::time::timeout(Duration::from_secs(1), pictures.changed()).await.is_ok() {}
        for n in 0..ROUNDS {
            let applied = |handle: &arcology::act::engine::Handle| {
                handle.pictures().borrow().world.revision.as_ref().map(|revision| revision.commit.sha.clone())
            };
            let before = applied(&handle);
            repository.stage_changed_model(ROUNDS + n);
            repository.commit("Change a model");
            let start = Instant::now();
            while applied(&handle) == before {
                pictures.changed().await.expect("the engine runs");
            }
            times.push(start.elapsed());
            tokio::time::sleep(Duration::from_millis(60)).await;
        }
        engine.stop().await;
        times
    });
    row("  the whole engine, git commit returns -> shown", Times::of(times));
}
