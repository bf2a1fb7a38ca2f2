//! What the engine knows at this moment: the world in force, the last observations, and what was noted of each object.
//!
//! Plain data behind one short lock. Methods compute; they never wait and never call out. The durable copy of all that
//! must survive is the store's: whoever changes something here has written it there first.

mod gone;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::act::controller::breaker;
use crate::act::telemetry::keep::Afar;
use crate::core::{Kind, Name, ObjectKey, Observed, Timestamp};
use crate::decide::host_view::{GpuView, Gpus, Hosts};
use crate::decide::reconcile::{
    Bookkeeping, Hold, Holding, Inputs, LoadHistory, ObjectHistory, ObjectPlan, Target, TaskFact, drift_loop,
    held_since, plan_object,
};
use crate::decide::scheduler::SchedulerView;
use crate::decide::view::RuntimeView;
use crate::declare::manifest::Spec;
use crate::declare::manifest::kind::runtime::RuntimeSpec;
use crate::declare::world::{Object, World};
use crate::remember::store::Removal;
use crate::remember::store::row::JournalRow;

use super::picture::{Link, Picture, RuntimePicture, SourcePicture};

/// What the engine knows at this moment.
#[derive(Debug, Default)]
pub struct Memory {
    pub started_at: Option<Timestamp>,
    pub world: Arc<World>,
    pub source: SourcePicture,
    pub runtimes: BTreeMap<Name, RuntimePicture>,
    /// The observations of `runtimes` in the planner's shape.
    views: Arc<BTreeMap<Name, Observed<RuntimeView>>>,
    pub gpus: Arc<Gpus>,
    pub hosts: Arc<Hosts>,
    /// What runtimes on other machines told of those.
    pub afar: Arc<Afar>,
    pub histories: Arc<BTreeMap<ObjectKey, ObjectHistory>>,
    pub inventory: Arc<BTreeMap<ObjectKey, Vec<Holding>>>,
    pub removed: Arc<BTreeMap<ObjectKey, Arc<Object>>>,
    pub tasks: Arc<BTreeMap<String, TaskFact>>,
    pub load_history: Arc<BTreeMap<(Name, String), LoadHistory>>,
    /// What the scheduler held and did when it was last looked at.
    pub scheduler: Arc<SchedulerView>,
    /// What the scheduler answered when an object asked for something just now.
    pub refusals: Arc<BTreeMap<ObjectKey, Hold>>,
    /// Tasks of committed Tasks that are not over and depend on others, by number: their ids, and the names in their specs.
    pub needs: BTreeMap<u64, Needs>,
    pub store_problem: Option<String>,
    /// Histories that changed since they were last written.
    unsaved: BTreeSet<ObjectKey>,
    /// Observations that are to be written.
    unsaved_views: BTreeMap<Name, String>,
    /// Journal entries that stand open, by their object: those of an action under way, and those whose end could not be
    /// written, because the program or the store failed in between.
    open: BTreeMap<ObjectKey, Vec<JournalRow>>,
}

impl Memory {
    /// What the planner rests on, at `now`.
    pub fn inputs(&self, now: Timestamp) -> Inputs<'_> {
        Inputs {
            world: &self.world,
            runtimes: &self.views,
            gpus: &self.gpus,
            hosts: &self.hosts,
            inventory: &self.inventory,
            removed: &self.removed,
            tasks: &self.tasks,
            histories: &self.histories,
            load_history: &self.load_history,
            scheduler: &self.scheduler,
            refusals: &self.refusals,
            now,
        }
    }

    /// The plan of one object, its answer noted.
    pub fn plan(&mut self, key: &ObjectKey, now: Timestamp) -> Option<ObjectPlan> {
        let plan = plan_object(&self.inputs(now), key)?;
        self.note(&plan, now);
        Some(plan)
    }

    /// Notes the answers of `keys` at `now`, so that "since" is known without anybody looking.
    pub fn note_all(&mut self, keys: impl IntoIterator<Item = ObjectKey>, now: Timestamp) {
        for key in keys {
            let _ = self.plan(&key, now);
        }
    }

    fn note(&mut self, plan: &ObjectPlan, now: Timestamp) {
        let key = &plan.status.key;
        let generation = self.generation(key);
        let unchanged = self.histories.get(key).is_some_and(|history| {
            history.sync == Some(plan.status.sync)
                && history.health == Some(plan.status.health)
                && (plan.status.sync != crate::decide::reconcile::Sync::InSync
                    || history.settled_generation == Some(generation))
        });
        if unchanged {
            return;
        }
        let history = Arc::make_mut(&mut self.histories).entry(key.clone()).or_default();
        if history.note(plan.status.sync, plan.status.health, generation, now) {
            self.unsaved.insert(key.clone());
        }
    }

    /// Keeps, or forgets, what the scheduler answered an object.
    pub fn note_refusal(&mut self, key: &ObjectKey, refusal: Option<Hold>) {
        if self.refusals.get(key) == refusal.as_ref() {
            return;
        }
        let refusals = Arc::make_mut(&mut self.refusals);
        match refusal {
            Some(hold) => drop(refusals.insert(key.clone(), hold)),
            None => drop(refusals.remove(key)),
        }
    }

    /// The generation of an object in force; 0 when there is none.
    pub fn generation(&self, key: &ObjectKey) -> u64 {
        self.world.objects.get(key).map_or(0, |object| object.generation)
    }

    /// Changes the history of an object.
    pub fn history<T>(&mut self, key: &ObjectKey, change: impl FnOnce(&mut ObjectHistory) -> T) -> T {
        self.unsaved.insert(key.clone());
        change(Arc::make_mut(&mut self.histories).entry(key.clone()).or_default())
    }

    /// Notes that a drift is about to be corrected, and whether that makes it a loop.
    pub fn note_correction(&mut self, key: &ObjectKey, saw: &str, now: Timestamp) {
        self.history(key, |history| drift_loop::note(history, saw.to_owned(), now));
    }

    /// Makes loops that the planner sees permanent, so that the clock alone never resumes a fight.
    pub fn settle_loops(&mut self, plan: &ObjectPlan, now: Timestamp) {
        let key = plan.status.key.clone();
        let generation = self.generation(&key);
        let Some(history) = self.histories.get(&key) else { return };
        let found = plan.status.fields.iter().find_map(|difference| {
            let saw = format!("{}: {}", difference.field, difference.observed);
            drift_loop::detect(history, &saw, generation, now)
        });
        let in_sync = plan.status.sync == crate::decide::reconcile::Sync::InSync;
        match (found, &history.drift_loop) {
            (Some(stopped), None) => self.history(&key, |history| history.drift_loop = Some(stopped)),
            // The drift went away without us, or the manifest changed: the fight is over.
            (None, Some(stopped)) if in_sync || stopped.generation != generation => {
                self.history(&key, |history| {
                    history.drift_loop = None;
                    history.corrections.clear();
                });
            }
            _ => {}
        }
    }

    /// Takes the histories that changed, as JSON, to be written.
    pub fn take_unsaved(&mut self) -> Vec<(ObjectKey, Option<String>)> {
        std::mem::take(&mut self.unsaved)
            .into_iter()
            .map(|key| {
                let json = self.histories.get(&key).and_then(|history| serde_json::to_string(history).ok());
                (key, json)
            })
            .collect()
    }

    /// Keeps the newest observation of a runtime to be written.
    pub fn save_later(&mut self, runtime: &Name, json: String) {
        self.unsaved_views.insert(runtime.clone(), json);
    }

    /// Takes the observations that are to be written.
    pub fn take_unsaved_views(&mut self) -> BTreeMap<Name, String> {
        std::mem::take(&mut self.unsaved_views)
    }

    /// Takes back what could not be written, to be written with what comes next. A newer observation stands.
    pub fn put_back_unsaved(&mut self, histories: Vec<ObjectKey>, views: BTreeMap<Name, String>) {
        self.unsaved.extend(histories);
        for (runtime, json) in views {
            self.unsaved_views.entry(runtime).or_insert(json);
        }
    }

    /// Keeps a journal entry that stands open.
    pub fn note_open(&mut self, row: JournalRow) {
        let rows = self.open.entry(row.object.clone()).or_default();
        if rows.iter().all(|known| known.id != row.id) {
            rows.push(row);
        }
    }

    /// Forgets a journal entry whose end is written.
    pub fn note_closed(&mut self, row: &JournalRow) {
        if let Some(rows) = self.open.get_mut(&row.object) {
            rows.retain(|open| open.id != row.id);
            if rows.is_empty() {
                self.open.remove(&row.object);
            }
        }
    }

    /// The journal entries of an object that stand open, the oldest first.
    pub fn open_of(&self, key: &ObjectKey) -> Vec<JournalRow> {
        self.open.get(key).cloned().unwrap_or_default()
    }

    /// Forgets the history of objects that are gone for good.
    pub fn forget(&mut self, key: &ObjectKey) {
        if self.histories.contains_key(key) {
            Arc::make_mut(&mut self.histories).remove(key);
            self.unsaved.insert(key.clone());
        }
    }

    /// Keeps a new observation; true when it says something else than the one before.
    pub fn observe(
        &mut self,
        runtime: &Name,
        seen: Observed<RuntimeView>,
        link: Link,
        failures: u32,
        now: Timestamp,
    ) -> bool {
        let before = self.runtimes.get(runtime);
        let said = |observed: &Observed<RuntimeView>| observed.fresh(now).cloned();
        let changed = before.is_none_or(|before| said(&before.view) != said(&seen) || before.link != link);
        let last_seen = seen.at().or_else(|| before.and_then(|before| before.last_seen));
        Arc::make_mut(&mut self.views).insert(runtime.clone(), seen.clone());
        // Where the breaker stands is asked of the breaker itself when a picture is made.
        let breaker = breaker::State::Closed { failures };
        self.runtimes.insert(runtime.clone(), RuntimePicture { view: seen, link, last_seen, failures, breaker });
        changed
    }

    /// Keeps what was seen of every host; gives the names of those whose health may have changed, or that are gone.
    pub fn keep_hosts(&mut self, seen: Hosts) -> Vec<Name> {
        let gone = self.hosts.keys().filter(|name| !seen.contains_key(*name));
        let differs = seen.iter().filter(|(name, seen)| said_differently(self.hosts.get(*name), seen));
        let changed = differs.map(|(name, _)| name).chain(gone).cloned().collect();
        self.hosts = Arc::new(seen);
        changed
    }

    /// Keeps what was seen of some GPUs, and forgets those that are no longer declared; gives their hosts as above.
    pub fn keep_gpus(&mut self, seen: Vec<((Name, Name), Observed<GpuView>)>) -> Vec<Name> {
        let declared = |(host, id): &(Name, Name)| {
            self.world.host(host).is_some_and(|spec| spec.gpus.iter().any(|gpu| gpu.id == *id))
        };
        let mut gpus = (*self.gpus).clone();
        let mut changed: Vec<Name> = gpus.keys().filter(|key| !declared(key)).map(|(host, _)| host.clone()).collect();
        gpus.retain(|key, _| declared(key));
        for (key, seen) in seen.into_iter().filter(|(key, _)| declared(key)) {
            if said_differently(gpus.get(&key), &seen) {
                changed.push(key.0.clone());
            }
            gpus.insert(key, seen);
        }
        self.gpus = Arc::new(gpus);
        changed
    }

    /// Forgets a runtime that is no longer declared.
    pub fn forget_runtime(&mut self, runtime: &Name) {
        self.runtimes.remove(runtime);
        Arc::make_mut(&mut self.views).remove(runtime);
    }

    /// The last observations of every runtime.
    pub fn views(&self) -> &BTreeMap<Name, Observed<RuntimeView>> {
        &self.views
    }

    /// The last observation of a runtime.
    pub fn view(&self, runtime: &Name) -> Option<&Observed<RuntimeView>> {
        self.views.get(runtime)
    }

    /// A runtime that is declared, or gone from Git and still driven until what was loaded on it is undone.
    pub fn driven(&self, runtime: &Name) -> Option<(&Arc<Object>, &RuntimeSpec)> {
        let key = ObjectKey::new(Kind::Runtime, runtime.clone());
        let object = self.world.objects.get(&key).or_else(|| self.removed.get(&key))?;
        match &object.document.spec {
            Spec::Runtime(spec) => Some((object, spec)),
            _ => None,
        }
    }

    /// What objects that are gone, or about to be (`removed`), still hold on a runtime.
    pub fn left_on(&self, runtime: &Name, removed: &[Arc<Object>]) -> Vec<Target> {
        let going = |key: &ObjectKey| {
            self.removed.contains_key(key)
                || removed.iter().any(|object| object.document.key == *key && object.document.prunes())
        };
        let held = self.inventory.iter().filter(|(key, _)| going(key)).flat_map(|(_, holdings)| holdings);
        let targets = held.map(|holding| holding.target.clone());
        targets.filter(|target| matches!(target, Target::Model { runtime: at, .. } if at == runtime)).collect()
    }

    /// The objects whose answer depends on a runtime: itself, the models it serves, the loadouts of its host, and
    /// removed objects that hold something on it.
    pub fn dependents(&self, runtime: &Name) -> Vec<ObjectKey> {
        let host = self.world.runtime(runtime).map(|spec| &spec.host);
        let models = self.world.models().filter(|(_, model)| model.served_by.iter().any(|by| by.runtime == *runtime));
        let loadouts = self.world.loadouts().filter(|(_, loadout)| Some(&loadout.host) == host);
        let holds = |key: &&ObjectKey| {
            self.inventory.get(*key).is_some_and(|holdings| {
                holdings.iter().any(|h| matches!(&h.target, Target::Model { runtime: at, .. } if at == runtime))
            })
        };
        [ObjectKey::new(Kind::Runtime, runtime.clone())]
            .into_iter()
            .chain(models.map(|(object, _)| object.document.key.clone()))
            .chain(loadouts.map(|(object, _)| object.document.key.clone()))
            .chain(self.removed.keys().filter(holds).cloned())
            .collect()
    }

    /// Adds what an object holds; false when it holds it already.
    pub fn hold(&mut self, key: &ObjectKey, target: Target, now: Timestamp) -> bool {
        let since = self.held_since(&target, now);
        let holdings = Arc::make_mut(&mut self.inventory).entry(key.clone()).or_default();
        if holdings.iter().any(|holding| holding.target == target) {
            return false;
        }
        holdings.push(Holding { target, since, deleting_since: None, deadline: None });
        true
    }

    /// Since when something is held that is booked `now`.
    pub fn held_since(&self, target: &Target, now: Timestamp) -> Timestamp {
        held_since(target, &self.views, now)
    }

    /// Removes what an object held. A removed object that holds nothing any more is forgotten for good.
    pub fn release(&mut self, key: &ObjectKey, target: &Target) {
        let inventory = Arc::make_mut(&mut self.inventory);
        if let Some(holdings) = inventory.get_mut(key) {
            holdings.retain(|holding| holding.target != *target);
            if holdings.is_empty() {
                inventory.remove(key);
            }
        }
        if !self.inventory.contains_key(key) && self.removed.contains_key(key) {
            Arc::make_mut(&mut self.removed).remove(key);
            if !self.world.objects.contains_key(key) {
                self.forget(key);
            }
        }
    }

    /// Forgets a removed object that holds nothing.
    pub fn bury(&mut self, key: &ObjectKey) {
        if self.removed.contains_key(key) && !self.inventory.contains_key(key) {
            Arc::make_mut(&mut self.removed).remove(key);
            self.forget(key);
        }
    }

    /// Takes an object that is gone out of what is in force, once the store has it so. What it holds is being undone from now
    /// on, or let go. One that holds nothing is kept until it was looked at once more, because an action for it may still be
    /// under way.
    pub fn remove(&mut self, object: &Arc<Object>, removal: &Removal, now: Timestamp) {
        let key = &object.document.key;
        let Some(deadline) = removal.undo_by else {
            Arc::make_mut(&mut self.inventory).remove(key);
            self.forget(key);
            return;
        };
        for held in &removal.holds {
            if let Ok(target) = serde_json::from_str(&held.target) {
                self.hold(key, target, now);
            }
        }
        if let Some(holdings) = Arc::make_mut(&mut self.inventory).get_mut(key) {
            for holding in holdings {
                holding.deleting_since.get_or_insert(now);
                holding.deadline.get_or_insert(deadline);
            }
        } else if !matches!(key.kind, Kind::Loadout | Kind::Task) {
            self.forget(key);
            return;
        }
        Arc::make_mut(&mut self.removed).insert(key.clone(), Arc::clone(object));
    }

    /// Whether somebody answers for what an object makes: it is in force, or gone and being undone.
    pub fn answers_for(&self, key: &ObjectKey) -> bool {
        self.world.objects.contains_key(key) || self.removed.contains_key(key)
    }

    /// Applies bookkeeping that the store has taken.
    pub fn book(&mut self, key: &ObjectKey, entry: &Bookkeeping, now: Timestamp) {
        match entry {
            Bookkeeping::Adopt(target) => {
                self.hold(key, target.clone(), now);
            }
            Bookkeeping::Release(target) => self.release(key, target),
        }
    }

    /// Notes how a load went, for the next plan's expectation.
    pub fn note_load_history(&mut self, runtime: &Name, served_as: &str, mut durations_ms: Vec<u64>) {
        if durations_ms.is_empty() {
            return;
        }
        durations_ms.sort_unstable();
        let known = self.load_history_of(runtime, served_as);
        known.median_ms = durations_ms[durations_ms.len() / 2];
        known.samples = u32::try_from(durations_ms.len()).unwrap_or(u32::MAX);
    }

    /// Notes how much GPU memory a load was measured to take.
    pub fn note_load_took(&mut self, runtime: &Name, served_as: &str, gb: f64) {
        self.load_history_of(runtime, served_as).took_gb = Some(gb);
    }

    fn load_history_of(&mut self, runtime: &Name, served_as: &str) -> &mut LoadHistory {
        Arc::make_mut(&mut self.load_history).entry((runtime.clone(), served_as.to_owned())).or_default()
    }

    /// The picture of this moment.
    pub fn picture(&self, now: Timestamp) -> Picture {
        Picture {
            made_at: Some(now),
            started_at: self.started_at,
            world: Arc::clone(&self.world),
            source: self.source.clone(),
            runtimes: self.runtimes.clone(),
            views: Arc::clone(&self.views),
            gpus: Arc::clone(&self.gpus),
            hosts: Arc::clone(&self.hosts),
            histories: Arc::clone(&self.histories),
            inventory: Arc::clone(&self.inventory),
            removed: Arc::clone(&self.removed),
            tasks: Arc::clone(&self.tasks),
            load_history: Arc::clone(&self.load_history),
            scheduler: Arc::clone(&self.scheduler),
            refusals: Arc::clone(&self.refusals),
            store_problem: self.store_problem.clone(),
        }
    }
}

/// The names that a committed Task depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Needs {
    pub id: String,
    pub names: Vec<String>,
}

/// Whether an observation tells another trouble than the one before, or none where there was one.
fn said_differently<T>(before: Option<&Observed<T>>, seen: &Observed<T>) -> bool {
    before.is_none_or(|before| before.problem() != seen.problem() || before.at().is_some() != seen.at().is_some())
}

/// For how long an observation counts as fresh: three looks, and never less than three seconds.
#[must_use]
pub fn fresh_for(observe_every: Duration) -> Duration {
    (observe_every * 3).max(Duration::from_secs(3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_be_written_is_written_next_as_it_is_by_then() {
        let (desk, swap, other) =
            (ObjectKey::parse("Loadout/desk").unwrap(), Name::new("swap").unwrap(), Name::new("other").unwrap());
        let mut memory = Memory::default();
        memory.history(&desk, |history| history.settled_generation = Some(1));
        memory.save_later(&swap, "old".to_owned());
        memory.save_later(&other, "kept".to_owned());
        let (histories, views) = (memory.take_unsaved(), memory.take_unsaved_views());
        assert!(memory.take_unsaved().is_empty() && memory.take_unsaved_views().is_empty());

        memory.history(&desk, |history| history.settled_generation = Some(2));
        memory.save_later(&swap, "new".to_owned());
        memory.put_back_unsaved(histories.into_iter().map(|(key, _)| key).collect(), views);
        let again = memory.take_unsaved();
        assert_eq!(again.len(), 1);
        let written: ObjectHistory = serde_json::from_str(again[0].1.as_deref().unwrap()).unwrap();
        assert_eq!(written.settled_generation, Some(2));
        let views = memory.take_unsaved_views();
        assert_eq!((views[&swap].as_str(), views[&other].as_str()), ("new", "kept"));
    }
}
