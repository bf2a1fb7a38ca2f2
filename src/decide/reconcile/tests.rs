//! The planner, told in manifests: what differs, what is done about it, and why not yet.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::inputs::TaskPhase;
use super::*;
use crate::core::{Commit, CommitSha, Kind, Name, ObjectKey, Observed, Revision, Timestamp};
use crate::decide::host_view::{Gpus, Hosts};
use crate::decide::scheduler::SchedulerView;
use crate::decide::view::{ModelState, ModelView, RuntimeView};
use crate::declare::manifest::parse;
use crate::declare::world::assemble::{self, assemble};
use crate::declare::world::{Object, World};

const BASE: &str = "
apiVersion: arcology/v1alpha1
kind: Host
metadata: {name: desk}
spec: {address: 127.0.0.1, local: true, gpus: [{id: gpu0, vramGb: 24, simulated: true}], reserve: {vramGb: 1}}
---
apiVersion: arcology/v1alpha1
kind: Runtime
metadata: {name: swap}
spec: {host: desk, gpu: gpu0, adapter: llama-swap, endpoint: 'http://127.0.0.1:8080', capabilities: [text.generate]}
---
apiVersion: arcology/v1alpha1
kind: Model
metadata: {name: small}
spec: {type: llm, servedBy: [{runtime: swap, as: s}], vramGb: 6}
---
apiVersion: arcology/v1alpha1
kind: Model
metadata: {name: large}
spec: {type: llm, servedBy: [{runtime: swap, as: l}], vramGb: 16}
---
apiVersion: arcology/v1alpha1
kind: Model
metadata: {name: other}
spec: {type: llm, servedBy: [{runtime: swap, as: o}], vramGb: 5}
";

fn loadout(spec: &str) -> String {
    format!("{BASE}---\napiVersion: arcology/v1alpha1\nkind: Loadout\nmetadata: {{name: desk}}\nspec: {spec}\n")
}

fn now() -> Timestamp {
    Timestamp::from_second(1_000_000).unwrap()
}

fn earlier(seconds: i64) -> Timestamp {
    Timestamp::from_second(now().as_second() - seconds).unwrap()
}

/// Everything that a plan rests on, owned.
#[derive(Default)]
struct Scene {
    world: World,
    runtimes: BTreeMap<Name, Observed<RuntimeView>>,
    gpus: Gpus,
    hosts: Hosts,
    inventory: BTreeMap<ObjectKey, Vec<Holding>>,
    removed: BTreeMap<ObjectKey, Arc<Object>>,
    tasks: BTreeMap<String, TaskFact>,
    histories: BTreeMap<ObjectKey, ObjectHistory>,
    load_history: BTreeMap<(Name, String), LoadHistory>,
    scheduler: SchedulerView,
    refusals: BTreeMap<ObjectKey, Hold>,
}

impl Scene {
    fn of(yaml: &str) -> Self {
        let mut scene = Self::default();
        scene.commit(yaml);
        scene
    }

    fn commit(&mut self, yaml: &str) {
        let path: Arc<str> = "manifests/all.yaml".into();
        let file = Arc::new(parse::file(&path, yaml.as_bytes()));
        let files = BTreeMap::from([(path, file)]);
        let commit =
            Commit { sha: CommitSha::new(&"a".repeat(40)), subject: "s".into(), author: "Ada".into(), at: now() };
        let assembly = assemble(&assemble::Inputs {
            revision: Revision { branch: "main".into(), commit },
            files: &files,
            in_force: &self.world.objects,
            commit_of: &|_| None,
            exists: &|_| true,
            prune_confirmed: true,
        });
        for object in assembly.changes.removed {
            self.removed.insert(object.document.key.clone(), object);
        }
        self.world = assembly.world;
    }

    fn sees(mut self, models: &[(&str, ModelState)]) -> Self {
        self.look(models);
        self
    }

    fn look(&mut self, models: &[(&str, ModelState)]) {
        self.look_at(models, now());
    }

    fn look_at(&mut self, models: &[(&str, ModelState)], at: Timestamp) {
        let models = models
            .iter()
            .map(|(name, state)| ModelView {
                name: (*name).to_owned(),
                state: *state,
                vram_gb: None,
                context_tokens: None,
                expires_at: None,
            })
            .collect();
        let view = RuntimeView { models, ..RuntimeView::default() };
        self.runtimes.insert(name("swap"), Observed::seen(view, "swap /running", at, Duration::from_secs(15)));
    }

    fn inputs(&self) -> Inputs<'_> {
        Inputs {
            world: &self.world,
            runtimes: &self.runtimes,
            gpus: &self.gpus,
            hosts: &self.hosts,
            inventory: &self.inventory,
            removed: &self.removed,
            tasks: &self.tasks,
            histories: &self.histories,
            load_history: &self.load_history,
            scheduler: &self.scheduler,
            refusals: &self.refusals,
            now: now(),
        }
    }

    fn desk(&self) -> ObjectPlan {
        plan_object(&self.inputs(), &key("Loadout/desk")).unwrap()
    }

    /// Carries the intents of an object out: what a runtime that does as it is told would report next.
    fn obey(&mut self, plan: &ObjectPlan) {
        let mut states: BTreeMap<String, ModelState> = self
            .inputs()
            .fresh_view(&name("swap"))
            .map(|view| view.models.iter().map(|model| (model.name.clone(), model.state)).collect())
            .unwrap_or_default();
        for intent in &plan.intents {
            let holdings = self.inventory.entry(intent.object.clone()).or_default();
            match (&intent.target, intent.verb) {
                (Target::Model { served_as, .. }, Verb::Load) => {
                    states.insert(served_as.clone(), ModelState::Loaded);
                    holdings.push(holding(intent.target.clone()));
                }
                (Target::Model { served_as, .. }, _) => {
                    states.insert(served_as.clone(), ModelState::Unloaded);
                    holdings.retain(|holding| holding.target != intent.target);
                }
                (Target::Task { id }, Verb::Enqueue) => {
                    let fact = TaskFact { phase: TaskPhase::Waiting, message: None, at: now() };
                    self.tasks.insert(id.clone(), fact);
                    holdings.push(holding(intent.target.clone()));
                }
                (Target::Task { id }, _) => {
                    let fact = TaskFact { phase: TaskPhase::Cancelled, message: None, at: now() };
                    self.tasks.insert(id.clone(), fact);
                    holdings.retain(|holding| holding.target != intent.target);
                }
            }
        }
        for entry in &plan.bookkeeping {
            let holdings = self.inventory.entry(plan.status.key.clone()).or_default();
            match entry {
                Bookkeeping::Adopt(target) => holdings.push(holding(target.clone())),
                Bookkeeping::Release(target) => holdings.retain(|holding| holding.target != *target),
            }
        }
        self.inventory.retain(|_, holdings| !holdings.is_empty());
        let states: Vec<(&str, ModelState)> = states.iter().map(|(name, state)| (name.as_str(), *state)).collect();
        self.look(&states);
    }

    fn settle(&mut self, at: &str) {
        let key = key(at);
        let generation = self.world.objects[&key].generation;
        self.histories.entry(key).or_default().settled_generation = Some(generation);
    }
}

fn holding(target: Target) -> Holding {
    Holding { target, since: now(), deleting_since: None, deadline: None }
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn key(text: &str) -> ObjectKey {
    ObjectKey::parse(text).unwrap()
}

fn deeds(plan: &ObjectPlan) -> Vec<String> {
    plan.intents.iter().map(|intent| format!("{} {}", intent.verb.as_str(), intent.target)).collect()
}

use ModelState::{Loaded, Loading, Unloaded};

#[test]
fn a_model_that_should_be_loaded_and_is_not_is_missing_and_loaded() {
    let scene = Scene::of(&loadout("{host: desk, models: [{model: small, state: loaded}]}")).sees(&[("s", Unloaded)]);
    let plan = scene.desk();
    assert_eq!(plan.status.sync, Sync::Drifted(Drift::Missing));
    assert_eq!(plan.status.fields[0].field, "models[small].state");
    assert_eq!(deeds(&plan), ["load s on swap"]);
    assert_eq!(plan.intents[0].cost.vram_gb, Some(6.0));
    assert_eq!(plan.intents[0].cost.gpu.as_deref(), Some("desk/gpu0"));
    assert_eq!(plan.intents[0].corrects, None, "a change that was just committed is no drift");
}

#[test]
fn without_a_fresh_observation_nothing_is_claimed_and_nothing_is_done() {
    let yaml = loadout("{host: desk, models: [{model: small, state: loaded}]}");
    let never = Scene::of(&yaml).desk();
    let mut stale = Scene::of(&yaml).sees(&[("s", Unloaded)]);
    let old = stale.runtimes.remove(&name("swap")).unwrap().failed("connection refused");
    stale.runtimes.insert(name("swap"), old);
    for plan in [never, stale.desk()] {
        assert_eq!((plan.status.sync, plan.status.health), (Sync::Unknown, Health::Unknown));
        assert!(plan.intents.is_empty() && plan.bookkeeping.is_empty());
    }
}

#[test]
fn a_model_that_is_being_loaded_is_waited_for() {
    let scene = Scene::of(&loadout("{host: desk, models: [{model: small, state: loaded}]}")).sees(&[("s", Loading)]);
    let plan = scene.desk();
    assert_eq!(plan.status.health, Health::Progressing);
    assert!(plan.intents.is_empty());
    assert!(!plan.status.fields.is_empty(), "whatever is drifted names at least one field");
}

#[test]
fn the_copilot_comes_first_and_unloads_come_before_loads() {
    let yaml = loadout(
        "{host: desk, copilot: small, models: [{model: other, state: unloaded}, {model: large, state: loaded}, {model: small, state: loaded}]}",
    );
    let plan = Scene::of(&yaml).sees(&[("s", Unloaded), ("l", Unloaded), ("o", Loaded)]).desk();
    assert_eq!(deeds(&plan), ["unload o on swap", "load s on swap", "load l on swap"]);
    assert!(plan.intents[1].reason.contains("as copilot"), "{}", plan.intents[1].reason);
}

#[test]
fn a_model_that_was_in_sync_and_is_gone_is_a_drift_that_counts() {
    let mut scene =
        Scene::of(&loadout("{host: desk, models: [{model: small, state: loaded}]}")).sees(&[("s", Unloaded)]);
    scene.settle("Loadout/desk");
    assert_eq!(scene.desk().intents[0].corrects.as_deref(), Some("models[small].state: unloaded"));
}

#[test]
fn the_fourth_time_is_a_drift_loop_that_names_what_it_saw() {
    let mut scene =
        Scene::of(&loadout("{host: desk, models: [{model: small, state: loaded}]}")).sees(&[("s", Unloaded)]);
    scene.settle("Loadout/desk");
    for _ in 0..3 {
        let saw = scene.desk().intents[0].corrects.clone().unwrap();
        drift_loop::note(scene.histories.get_mut(&key("Loadout/desk")).unwrap(), saw, now());
    }
    let plan = scene.desk();
    assert!(plan.intents.is_empty());
    let hold = plan.status.hold.unwrap();
    assert_eq!(hold.reason, HoldReason::DriftLoop);
    assert!(hold.message.contains("models[small].state: unloaded"), "{}", hold.message);
}

#[test]
fn holds_say_who_and_why_and_nothing_is_done_meanwhile() {
    let suspended = loadout("{host: desk, models: [{model: small, state: loaded}]}").replace(
        "kind: Loadout\nmetadata: {name: desk}",
        "kind: Loadout\nmetadata: {name: desk, annotations: {arcology/suspend: 'true', arcology/suspend-reason: demo}}",
    );
    let paused = format!(
        "{}---\napiVersion: arcology/v1alpha1\nkind: Policy\nmetadata: {{name: p}}\nspec: {{paused: true}}\n",
        loadout("{host: desk, models: [{model: small, state: loaded}]}")
    );
    for (yaml, reason, word) in [(suspended, HoldReason::Suspended, "demo"), (paused, HoldReason::Paused, "paused")] {
        let plan = Scene::of(&yaml).sees(&[("s", Unloaded)]).desk();
        assert_eq!(plan.status.sync, Sync::Drifted(Drift::Missing), "waiting is not failing, and not in sync either");
        let hold = plan.status.hold.expect("it is held");
        assert_eq!(hold.reason, reason);
        assert!(hold.message.contains(word), "{}", hold.message);
        assert!(plan.intents.is_empty());
    }
}

#[test]
fn drift_that_is_only_reported_is_still_corrected_after_a_commit() {
    let yaml = format!(
        "{}---\napiVersion: arcology/v1alpha1\nkind: Policy\nmetadata: {{name: p}}\nspec: {{drift: report}}\n",
        loadout("{host: desk, models: [{model: small, state: loaded}]}")
    );
    let mut scene = Scene::of(&yaml).sees(&[("s", Unloaded)]);
    assert_eq!(deeds(&scene.desk()), ["load s on swap"], "a new manifest is applied");
    scene.settle("Loadout/desk");
    let plan = scene.desk();
    assert!(plan.intents.is_empty() && plan.status.hold.is_some(), "a drift is shown");
}

#[test]
fn what_does_not_fit_makes_room_or_says_what_is_missing() {
    let yaml = loadout("{host: desk, models: [{model: large, state: loaded}]}");
    let evicting = Scene::of(&yaml).sees(&[("s", Loaded), ("o", Loaded), ("l", Unloaded)]).desk();
    assert_eq!(deeds(&evicting), ["unload s on swap", "load l on swap"], "6 + 5 + 16 + 1 > 24; 5 + 16 + 1 <= 24");
    assert_eq!(evicting.intents[1].cost.evicts, ["s on swap"]);

    let pinned = format!(
        "{}---\napiVersion: arcology/v1alpha1\nkind: Loadout\nmetadata: {{name: pins}}\nspec: {{host: desk, models: [{{model: small, state: loaded}}, {{model: other, state: loaded}}]}}\n",
        BASE
    );
    let mut scene = Scene::of(&pinned).sees(&[("s", Loaded), ("o", Loaded), ("l", Unloaded)]);
    scene.world.objects.extend(Scene::of(&yaml).world.objects);
    let plan = scene.desk();
    assert!(plan.intents.is_empty());
    let hold = plan.status.hold.unwrap();
    assert_eq!(hold.reason, HoldReason::VramFull);
    assert!(hold.message.contains("4.0 GB short"), "{}", hold.message);
}

#[test]
fn unlisted_unloaded_means_every_model_that_is_not_named() {
    let yaml = loadout("{host: desk, unlisted: unloaded, models: [{model: small, state: onDemand}]}");
    let plan = Scene::of(&yaml).sees(&[("s", Loaded), ("o", Loaded), ("x", Loaded)]).desk();
    assert_eq!(deeds(&plan), ["unload o on swap", "unload x on swap"]);
    assert_eq!(plan.status.sync, Sync::Drifted(Drift::Unexpected));
}

#[test]
fn a_model_that_is_named_by_an_alias_is_not_taken_for_an_unlisted_one() {
    let yaml = loadout("{host: desk, unlisted: unloaded, models: [{model: small, state: loaded}]}");
    let mut scene = Scene::of(&yaml).sees(&[("small-q4", Loaded)]);
    let seen = scene.runtimes.get_mut(&name("swap")).unwrap();
    let mut view = seen.fresh(now()).unwrap().clone();
    view.aliases.insert("s".to_owned(), "small-q4".to_owned());
    *seen = Observed::seen(view, "swap", now(), Duration::from_secs(15));
    let plan = scene.desk();
    assert_eq!(plan.status.sync, Sync::InSync, "{}", plan.status.reason);
    assert!(deeds(&plan).is_empty());
}

const TASK: &str = "---
apiVersion: arcology/v1alpha1
kind: Runtime
metadata: {name: here}
spec: {host: desk, adapter: builtin}
---
apiVersion: arcology/v1alpha1
kind: Task
metadata: {name: brief}
spec: {capability: text.summarize, inputs: {text: A long text.}}
";

#[test]
fn a_committed_task_is_queued_once_for_each_distinct_spec() {
    let mut scene = Scene::of(&format!("{BASE}{TASK}"));
    let task = key("Task/brief");
    let first = plan_object(&scene.inputs(), &task).unwrap();
    assert_eq!(first.intents.len(), 1);
    scene.obey(&first);
    assert!(plan_object(&scene.inputs(), &task).unwrap().intents.is_empty());
    scene.commit(&format!("{BASE}{}", TASK.replace("A long text.", "Another text.")));
    let edited = plan_object(&scene.inputs(), &task).unwrap();
    let verbs: Vec<Verb> = edited.intents.iter().map(|intent| intent.verb).collect();
    assert_eq!(verbs, [Verb::Cancel, Verb::Enqueue], "the waiting one gives way to the edited one");
}

#[test]
fn deleting_a_task_cancels_it_while_it_waits_and_leaves_it_when_it_is_done() {
    for (phase, verbs) in [(TaskPhase::Waiting, vec![Verb::Cancel]), (TaskPhase::Done, vec![])] {
        let mut scene = Scene::of(&format!("{BASE}{TASK}"));
        let queued = plan_object(&scene.inputs(), &key("Task/brief")).unwrap();
        scene.obey(&queued);
        scene.tasks.values_mut().for_each(|fact| fact.phase = phase);
        scene.commit(BASE);
        let gone = plan_object(&scene.inputs(), &key("Task/brief")).unwrap();
        assert_eq!(gone.intents.iter().map(|intent| intent.verb).collect::<Vec<_>>(), verbs);
    }
}

#[test]
fn a_broken_version_shows_as_invalid_and_the_last_good_one_is_still_carried_out() {
    let good = loadout("{host: desk, models: [{model: small, state: loaded}]}");
    let mut scene = Scene::of(&good).sees(&[("s", Unloaded)]);
    scene.commit(&loadout("{host: desk, models: [{model: smal, state: loaded}]}"));
    let plan = scene.desk();
    assert_eq!(plan.status.sync, Sync::Invalid);
    assert!(plan.status.reason.contains("stays in force"), "{}", plan.status.reason);
    assert_eq!(deeds(&plan), ["load s on swap"]);
}

#[test]
fn the_plan_between_two_revisions_is_the_difference_alone() {
    let base = Scene::of(&loadout("{host: desk, models: [{model: small, state: loaded}]}")).world;
    let head = Scene::of(&loadout("{host: desk, models: [{model: other, state: loaded}]}")).world;
    let same = assumed::plan_between(&base, &base, now());
    assert!(same.intents.is_empty());
    let changed = assumed::plan_between(&base, &head, now());
    let deeds: Vec<String> =
        changed.intents.iter().map(|intent| format!("{} {}", intent.verb.as_str(), intent.target)).collect();
    assert_eq!(deeds, ["unload s on swap", "load o on swap"]);
    let back: Vec<_> = assumed::plan_between(&head, &base, now()).intents.iter().map(|i| i.verb).collect();
    assert_eq!(back, [Verb::Unload, Verb::Load]);
}

mod gpu_use;
mod offer;
mod properties;
mod undone;

#[test]
fn kinds_that_need_nothing_done_say_so_and_are_listed() {
    let scene = Scene::of(&format!("{BASE}{TASK}"));
    let plan = plan(&scene.inputs());
    let kinds: std::collections::BTreeSet<Kind> = plan.statuses.iter().map(|status| status.key.kind).collect();
    assert_eq!(kinds, [Kind::Host, Kind::Runtime, Kind::Model, Kind::Task].into());
    assert!(plan.statuses.windows(2).all(|pair| pair[0].key < pair[1].key));
}
