//! From opening a repository that was never read to the first plan, beside parsing the same bytes alone.

use std::collections::BTreeMap;

use arcology::core::{Name, Timestamp};
use arcology::decide::reconcile::{self, Inputs};
use arcology::decide::scheduler::SchedulerView;
use arcology::declare::manifest::kind::blueprint::BlueprintSpec;
use arcology::declare::manifest::kind::host::HostSpec;
use arcology::declare::manifest::kind::loadout::LoadoutSpec;
use arcology::declare::manifest::kind::model::ModelSpec;
use arcology::declare::manifest::kind::policy::PolicySpec;
use arcology::declare::manifest::kind::runtime::RuntimeSpec;
use arcology::declare::manifest::kind::task::TaskSpec;
use arcology::declare::manifest::parse;
use arcology::declare::world::World;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::look::opened;
use crate::measure::{Times, row};
use crate::repository::Repository;

const MANIFESTS: usize = 10_000;
const ROUNDS: usize = 7;

/// A document in the same types that the program decodes into.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code, reason = "decoding them is what is measured")]
struct Whole<S> {
    api_version: String,
    kind: String,
    metadata: Metadata,
    spec: S,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "decoding them is what is measured")]
struct Metadata {
    name: Name,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

pub fn run() {
    let repository = Repository::of(MANIFESTS, "http://127.0.0.1:9");
    let alone = Times::measure(ROUNDS, || {
        repository.files.iter().for_each(|(path, text)| decode(path, text));
    });
    let halves: Vec<_> = repository.files.chunks(MANIFESTS.div_ceil(cores())).collect();
    let alone_on_all_cores = Times::measure(ROUNDS, || {
        std::thread::scope(|scope| {
            for half in &halves {
                scope.spawn(|| half.iter().for_each(|(path, text)| decode(path, text)));
            }
        });
    });
    let cold = Times::measure(ROUNDS, || first_plan(&repository));
    row(format!("{MANIFESTS} manifests, opening -> first plan"), &cold);
    row(format!("  the YAML library alone, {} bytes", repository.bytes()), &alone);
    row(format!("  the same on {} cores", cores()), &alone_on_all_cores);
    row(
        "  ratio of the medians",
        format!("{:.2} x alone, {:.2} x on all cores", cold.against(&alone), cold.against(&alone_on_all_cores)),
    );
    parts(&repository);
    // As a repository is when every file was just committed by hand: one object a file, none packed.
    let packs = repository.path().join(".git/objects/pack");
    let moved = repository.path().join("pack");
    std::fs::rename(&packs, &moved).expect("packs can be moved");
    std::fs::create_dir(&packs).expect("a folder for packs");
    unpack(&repository, &moved);
    row("  opening -> first plan, every object loose", Times::measure(ROUNDS, || first_plan(&repository)));
}

/// The parts, each by itself.
fn parts(repository: &Repository) {
    let (mut source, world) = opened(repository);
    row(
        "  of it: parsing, on one core",
        Times::measure(3, || {
            repository.files.iter().map(|(path, text)| parse::file(path, text.as_bytes())).collect::<Vec<_>>()
        }),
    );
    let snapshot = source.snapshot_at("HEAD").expect("it can be read");
    let nothing = World::default();
    row("  of it: assembling", Times::measure(ROUNDS, || crate::look::assembled(&snapshot, &nothing)));
    row("  of it: planning", Times::measure(ROUNDS, || plan(&world)));
}

fn unpack(repository: &Repository, packs: &std::path::Path) {
    for pack in std::fs::read_dir(packs).expect("a folder").filter_map(Result::ok).map(|entry| entry.path()) {
        if pack.extension().is_some_and(|extension| extension == "pack") {
            let mut command = std::process::Command::new("git");
            command.current_dir(repository.path()).args(["unpack-objects", "-q"]);
            command.stdin(std::fs::File::open(pack).expect("a pack"));
            assert!(command.status().expect("git runs").success());
        }
    }
}

fn first_plan(repository: &Repository) -> usize {
    let (_, world) = opened(repository);
    let statuses = plan(&world);
    assert_eq!(statuses, MANIFESTS);
    statuses
}

/// Plans everything, with nothing observed yet.
pub fn plan(world: &World) -> usize {
    let inputs = Inputs {
        world,
        runtimes: &BTreeMap::new(),
        gpus: &BTreeMap::new(),
        hosts: &BTreeMap::new(),
        inventory: &BTreeMap::new(),
        removed: &BTreeMap::new(),
        tasks: &BTreeMap::new(),
        histories: &BTreeMap::new(),
        load_history: &BTreeMap::new(),
        scheduler: &SchedulerView::default(),
        refusals: &BTreeMap::new(),
        now: Timestamp::now(),
    };
    reconcile::plan(&inputs).statuses.len()
}

fn decode(path: &str, text: &str) {
    fn as_kind<S: DeserializeOwned>(text: &str) {
        let whole: Whole<S> = serde_saphyr::from_str(text).expect("the manifests are right");
        std::hint::black_box(whole);
    }
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    match folder {
        "manifests/hosts" => as_kind::<HostSpec>(text),
        "manifests/runtimes" => as_kind::<RuntimeSpec>(text),
        "manifests/models" => as_kind::<ModelSpec>(text),
        "manifests/loadouts" => as_kind::<LoadoutSpec>(text),
        "manifests/tasks" => as_kind::<TaskSpec>(text),
        "policies" => as_kind::<PolicySpec>(text),
        "blueprints" => as_kind::<BlueprintSpec>(text),
        other => unreachable!("no manifest is in {other}"),
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
