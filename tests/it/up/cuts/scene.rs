//! The scene of a story: a repository, a llama-swap that outlives the program, and what people do to them, stage by stage.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arcology::act::engine::{Engine, Options};
use arcology::act::source;
use arcology::core::{Clock, CommitSha, Timestamp};
use arcology::declare::manifest::kind::task::TaskSpec;
use arcology::remember::store::Store;
use arcology::remember::store::cut::Cut;
use serde_json::json;
use tokio::runtime::Runtime;

use crate::double::llama_swap::{Double, Model, Version};
use crate::source::repo::TestRepo;

/// What happens, one after the other. A stage is over when everything is as it asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// A loadout that wants two models, one whose deletion leaves its model alone, two tasks of which one waits for the other.
    Begin,
    /// The first loadout wants another model and no longer one of the two.
    Change,
    /// A person submits a task with an idempotency key, for a model that no loadout asks for: the scheduler loads it.
    Submit,
    /// Both loadouts and a task are deleted; the other task is edited.
    Delete,
}

impl Stage {
    pub const ALL: [Self; 4] = [Self::Begin, Self::Change, Self::Submit, Self::Delete];

    /// What is loaded at its end.
    pub fn loaded(self) -> &'static [&'static str] {
        match self {
            Self::Begin => &["alpha", "beta", "delta"],
            Self::Change => &["beta", "delta", "gamma"],
            Self::Submit => &["beta", "delta", "epsilon", "gamma"],
            Self::Delete => &["delta", "epsilon"],
        }
    }

    /// The texts of the tasks that are done at its end.
    pub fn done(self) -> &'static [&'static str] {
        match self {
            Self::Begin | Self::Change => &["first", "second"],
            Self::Submit => &["first", "second", "submitted"],
            Self::Delete => &["edited", "first", "second", "submitted"],
        }
    }

    /// What objects hold at its end: models by name, tasks by text.
    pub fn held(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Begin => &[
                ("Loadout/desk", "alpha"),
                ("Loadout/desk", "beta"),
                ("Loadout/kept", "delta"),
                ("Task/one", "first"),
                ("Task/two", "second"),
            ],
            Self::Change | Self::Submit => &[
                ("Loadout/desk", "beta"),
                ("Loadout/desk", "gamma"),
                ("Loadout/kept", "delta"),
                ("Task/one", "first"),
                ("Task/two", "second"),
            ],
            Self::Delete => &[("Task/one", "edited")],
        }
    }

    /// How many commits there are at its end.
    pub fn commits(self) -> usize {
        match self {
            Self::Begin => 1,
            Self::Change | Self::Submit => 2,
            Self::Delete => 3,
        }
    }
}

/// Everything that outlives the program.
pub struct Scene {
    repo: TestRepo,
    pub double: Double,
    commits: Vec<CommitSha>,
    clock: Arc<Anchored>,
    /// The id that the submission was answered with.
    pub answered: Option<String>,
}

/// Begins at one time wherever and whenever the test runs, so that no run crosses midnight.
struct Anchored(Instant);

impl Clock for Anchored {
    fn now(&self) -> Timestamp {
        let begin: Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
        arcology::core::clock::after(begin, self.0.elapsed())
    }
}

impl Scene {
    pub fn new(outside: &Runtime) -> Self {
        let models = ["alpha", "beta", "gamma", "delta", "epsilon"].map(Model::new).to_vec();
        let double = outside.block_on(Double::start(Version::V250, models));
        double.state.change(|inner| inner.together = true);
        let clock = Arc::new(Anchored(Instant::now()));
        Self { repo: TestRepo::new(), double, commits: Vec::new(), clock, answered: None }
    }

    /// Opens the store and starts the program on it.
    pub async fn start(&self, cut: &Cut) -> Engine {
        let state_dir = self.repo.state_dir();
        let clock: Arc<dyn Clock> = Arc::clone(&self.clock) as Arc<dyn Clock>;
        let store = self.open(&clock, cut).await;
        let options = Options {
            state_dir: state_dir.clone(),
            source: source::Options { branch: Some("main".into()), ..self.repo.options() },
            interval: Duration::from_secs(1),
            credentials_dir: None,
            inputs_dirs: Vec::new(),
            tools: arcology::act::runtime::exec::Tools::without_confiner(),
            clock,
            steady: Arc::new(arcology::act::clock::SystemSteady::default()),
            telemetry: arcology::act::telemetry::Options::default(),
        };
        Engine::start_on(store, options).await.unwrap()
    }

    /// A child that is being started elsewhere in this process has a copy of the lock until it is another program.
    async fn open(&self, clock: &Arc<dyn Clock>, cut: &Cut) -> Store {
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            match Store::open_with(&self.repo.state_dir(), Arc::clone(clock), Some(cut.clone())) {
                Ok(store) => return store,
                Err(error) => assert!(Instant::now() < end, "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    pub fn database(&self) -> std::path::PathBuf {
        self.repo.state_dir().join(arcology::remember::store::DATABASE_FILE)
    }

    /// Makes the commit of a stage, unless it was made before the program died.
    pub fn commit(&mut self, stage: Stage) {
        if self.commits.len() >= stage.commits() {
            return;
        }
        let world = world(&self.double.endpoint());
        let changes: Vec<(&str, Option<&str>)> = match stage {
            Stage::Begin => vec![
                ("manifests/world.yaml", Some(&world)),
                ("manifests/desk.yaml", Some(DESK)),
                ("manifests/kept.yaml", Some(KEPT)),
                ("manifests/one.yaml", Some(ONE)),
                ("manifests/two.yaml", Some(TWO)),
            ],
            Stage::Change => vec![("manifests/desk.yaml", Some(DESK_CHANGED))],
            Stage::Submit => Vec::new(),
            Stage::Delete => vec![
                ("manifests/desk.yaml", None),
                ("manifests/kept.yaml", None),
                ("manifests/one.yaml", Some(ONE_EDITED)),
                ("manifests/two.yaml", None),
            ],
        };
        let made = self.repo.commit(&format!("{stage:?}\n\nPrune: confirm"), &changes);
        self.commits.push(made);
    }

    /// The newest commit.
    pub fn tip(&self) -> &CommitSha {
        self.commits.last().unwrap()
    }

    pub fn commits(&self) -> &[CommitSha] {
        &self.commits
    }

    /// How often a call reached llama-swap.
    pub fn calls(&self, path: &str) -> usize {
        self.double.log().iter().filter(|(_, called)| called == path).count()
    }

    /// How often a model worked on a text.
    pub fn runs(&self, text: &str) -> usize {
        let wanted = format!("{text} words");
        self.double.state.read(|inner| inner.bodies.iter().filter(|body| body.to_string().contains(&wanted)).count())
    }
}

/// The task that a person submits.
pub fn submission() -> TaskSpec {
    serde_json::from_value(json!({"capability": "text.generate", "inputs": {"text": "submitted words"},
        "target": {"model": "epsilon"}, "idempotency_key": "only-once"}))
    .unwrap()
}

fn world(endpoint: &str) -> String {
    let models = ["alpha", "beta", "gamma", "delta", "epsilon"].map(|name| {
        format!(
            "---\napiVersion: arcology/v1alpha1\nkind: Model\nmetadata: {{name: {name}}}\n\
             spec: {{type: llm, servedBy: [{{runtime: swap, as: {name}}}]}}\n"
        )
    });
    format!(
        "apiVersion: arcology/v1alpha1\nkind: Host\nmetadata: {{name: desk}}\nspec: {{address: 127.0.0.1, local: true}}\n\
         ---\napiVersion: arcology/v1alpha1\nkind: Policy\nmetadata: {{name: default}}\nspec: {{drift: correct, prune: true}}\n\
         ---\napiVersion: arcology/v1alpha1\nkind: Runtime\nmetadata: {{name: swap}}\n\
         spec: {{host: desk, adapter: llama-swap, endpoint: '{endpoint}', capabilities: [text.generate], observeEvery: 1s}}\n\
         {}",
        models.concat()
    )
}

const DESK: &str = "apiVersion: arcology/v1alpha1\nkind: Loadout\nmetadata: {name: desk}\n\
    spec: {host: desk, models: [{model: alpha, state: loaded}, {model: beta, state: loaded}]}\n";
const DESK_CHANGED: &str = "apiVersion: arcology/v1alpha1\nkind: Loadout\nmetadata: {name: desk}\n\
    spec: {host: desk, models: [{model: beta, state: loaded}, {model: gamma, state: loaded}]}\n";
const KEPT: &str = "apiVersion: arcology/v1alpha1\nkind: Loadout\n\
    metadata: {name: kept, annotations: {arcology/prune: disabled}}\n\
    spec: {host: desk, models: [{model: delta, state: loaded}]}\n";
const ONE: &str = "apiVersion: arcology/v1alpha1\nkind: Task\nmetadata: {name: one}\n\
    spec: {capability: text.generate, inputs: {text: first words}, target: {model: delta}}\n";
const ONE_EDITED: &str = "apiVersion: arcology/v1alpha1\nkind: Task\nmetadata: {name: one}\n\
    spec: {capability: text.generate, inputs: {text: edited words}, target: {model: delta}}\n";
const TWO: &str = "apiVersion: arcology/v1alpha1\nkind: Task\nmetadata: {name: two}\n\
    spec: {capability: text.generate, inputs: {text: second words}, target: {model: delta}, dependencies: [one]}\n";
