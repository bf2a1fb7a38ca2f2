//! Starting from what the store remembers: the world in force, inventory, histories, tasks. No repository is needed.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::core::{Clock, Kind, Name, ObjectKey, Observed};
use crate::decide::dispatch::{OpenCall, Phase, Restored, Stored};
use crate::decide::reconcile::{Holding, ObjectHistory, Target, Verb};
use crate::decide::scheduler::{ClaimVerb, Event, ModelAt, TaskSeq};
use crate::decide::view::RuntimeView;
use crate::declare::world::{Object, Standing, World};
use crate::remember::store::row::{InventoryRow, JournalRow, ObjectRow};
use crate::remember::store::{Error as StoreError, Store};

use super::dispatch::{config, fact};
use super::intake;
use super::memory::{Memory, Needs};
use super::picture::Link;
use super::unfinished;

/// What was in force when the program last ran, and the tasks that were not over.
pub struct Recovered {
    pub memory: Memory,
    /// What the scheduler takes up.
    pub restored: Restored,
    /// The committed Tasks that unfinished tasks come from.
    pub objects: HashMap<TaskSeq, ObjectKey>,
    /// Objects whose stored text this version can no longer read; they are taken from Git again.
    pub unreadable: Vec<ObjectKey>,
    /// How many tasks were running when the program stopped.
    pub interrupted: usize,
}

/// Reads everything that must survive a restart.
///
/// # Errors
/// When the store cannot be read or written.
pub async fn recover(store: &Store, clock: &Arc<dyn Clock>) -> Result<Recovered, StoreError> {
    let now = clock.now();
    let mut memory = Memory::default();
    memory.started_at = Some(now);
    let mut unreadable = Vec::new();
    let mut world = World::default();
    if let Some(applied) = store.applied().await? {
        world.revision = Some(applied.revision);
        memory.source.applied_at = Some(applied.applied_at);
    }
    world.objects = objects(store.objects().await?, &mut unreadable);
    for object in world.objects.values() {
        if let Standing::LastGood { diagnostics } = &object.standing {
            world.diagnostics.extend(diagnostics.iter().cloned());
        }
    }
    memory.world = Arc::new(world);
    let removed = objects(store.removed_objects().await?, &mut unreadable);
    for row in store.inventory().await? {
        let Ok(target) = serde_json::from_str::<Target>(&row.target) else { continue };
        let holding = Holding { target, since: row.since, deleting_since: row.deleting_since, deadline: row.deadline };
        Arc::make_mut(&mut memory.inventory).entry(row.object).or_default().push(holding);
    }
    memory.removed = Arc::new(removed);
    let histories: BTreeMap<ObjectKey, ObjectHistory> = store
        .histories()
        .await?
        .into_iter()
        .filter_map(|(key, json)| Some((key, serde_json::from_str(&json).ok()?)))
        .collect();
    memory.histories = Arc::new(histories);
    let open = open_actions(store, &mut memory, now).await?;
    last_observations(store, &mut memory, now).await?;
    let (tasks, objects) = tasks(store, &mut memory).await?;
    let interrupted = tasks.iter().filter(|stored| stored.phase == Phase::Running).count();
    let mut history = durations(store).await?;
    history.extend(load_history(store, &mut memory).await?);
    store.lock_spans_end_all(now).await?;
    let restored = Restored {
        config: config::of(&memory.world, &memory.views, now),
        tasks,
        leases: store.leases_open().await?,
        open,
        history,
    };
    Ok(Recovered { memory, restored, objects, unreadable, interrupted })
}

fn objects(rows: Vec<ObjectRow>, unreadable: &mut Vec<ObjectKey>) -> BTreeMap<ObjectKey, Arc<Object>> {
    let mut found = BTreeMap::new();
    for row in rows {
        let key = row.key.clone();
        match row.into_object() {
            Some(object) => drop(found.insert(key, Arc::new(object))),
            // Git has it, the next look reads it.
            None => unreadable.push(key),
        }
    }
    found
}

/// Actions that were under way. They are ended when their object is planned, as it is then seen what became of them. What
/// an object that is gone may have made is taken into its inventory, and so undone if it is there. Where nobody answers for
/// it any more the action is given up. Those of the scheduler are given back: they are its own to end.
async fn open_actions(
    store: &Store,
    memory: &mut Memory,
    now: crate::core::Timestamp,
) -> Result<Vec<OpenCall>, StoreError> {
    let mut open = Vec::new();
    for row in store.journal_open().await? {
        // A Runtime in force does nothing of its own: these are the scheduler's.
        if row.object.kind == Kind::Runtime
            && memory.world.objects.contains_key(&row.object)
            && let Some(call) = call_of(&row)
        {
            open.push(call);
            continue;
        }
        if !memory.answers_for(&row.object) {
            store.journal_abandon(&row.id, "its object is gone, and what it made is left alone").await?;
            continue;
        }
        let gone = !memory.world.objects.contains_key(&row.object);
        let makes = row.verb == Verb::Load.as_str() || row.verb == Verb::Enqueue.as_str();
        if let (true, true, Ok(target)) = (gone, makes, serde_json::from_str::<Target>(&row.target)) {
            let deadline = unfinished::undo_by(now);
            let held = InventoryRow {
                object: row.object.clone(),
                target: row.target.clone(),
                since: now,
                prunes: true,
                deleting_since: Some(now),
                deadline: Some(deadline),
            };
            store.adopt(held).await?;
            memory.hold_to_undo(&row.object, target, now, deadline);
        }
        memory.note_open(row);
    }
    Ok(open)
}

/// A load or unload that the scheduler had begun.
fn call_of(row: &JournalRow) -> Option<OpenCall> {
    let Ok(Target::Model { runtime, model, served_as }) = serde_json::from_str(&row.target) else { return None };
    let verb = match row.verb.as_str() {
        verb if verb == Verb::Load.as_str() => ClaimVerb::Load,
        verb if verb == Verb::Unload.as_str() => ClaimVerb::Unload,
        _ => return None,
    };
    let at = ModelAt { runtime, served_as: served_as.into() };
    Some(OpenCall { at, model, verb, because: row.reason.clone() })
}

/// What was last seen of each runtime is shown as stale until it is seen again.
async fn last_observations(store: &Store, memory: &mut Memory, now: crate::core::Timestamp) -> Result<(), StoreError> {
    for (runtime, json) in store.observations().await? {
        if memory.world.runtime(&runtime).is_none() {
            continue;
        }
        if let Ok(seen) = serde_json::from_str::<Observed<RuntimeView>>(&json) {
            let stale = seen.failed("not seen since Arcology was started");
            memory.observe(&runtime, stale, Link::Reconnecting, 0, now);
        }
    }
    Ok(())
}

/// Tasks that are not over, with what is known of those that they depend on.
async fn tasks(store: &Store, memory: &mut Memory) -> Result<(Vec<Stored>, HashMap<TaskSeq, ObjectKey>), StoreError> {
    let mut objects = HashMap::new();
    let mut tasks = Vec::new();
    for open in store.tasks_open().await? {
        let mut stored = open.stored;
        if let Some(object) = open.object {
            let request = &mut stored.request;
            if !request.depends_on.is_empty() {
                let names: Vec<String> = request.depends_on.iter().map(|on| on.id.to_string()).collect();
                request.depends_on = intake::resolve(&memory.world, &names);
                memory.needs.insert(request.task.0, Needs { id: request.id.to_string(), names });
            }
            objects.insert(request.task, object);
        }
        tasks.push(stored);
    }
    intake::look_up(store, &mut tasks).await?;
    // Finished ones matter too: they are why a committed Task is not done again.
    let facts = store.tasks_of_objects().await?;
    memory.tasks = Arc::new(facts.iter().filter_map(|row| Some((row.id.clone(), fact::of_row(row)?))).collect());
    Ok((tasks, objects))
}

/// How long earlier runs took, and how much they put out.
async fn durations(store: &Store) -> Result<Vec<Event>, StoreError> {
    let told = store.task_durations().await?.into_iter().flat_map(|took| {
        let capability: Arc<str> = took.capability.join(" > ").into();
        let model = took.model.and_then(|model| Name::new(&model).ok());
        let bytes = Event::PutOut { capability: Arc::clone(&capability), bytes: took.bytes };
        [Event::Took { capability, model, ms: took.millis }, bytes]
    });
    Ok(told.collect())
}

/// How long earlier loads took, for the planner and, as events, for the scheduler.
async fn load_history(store: &Store, memory: &mut Memory) -> Result<Vec<Event>, StoreError> {
    let mut wanted: Vec<(Name, String)> = Vec::new();
    for (object, model) in memory.world.models() {
        for served in &model.served_by {
            let served_as = served.served_as.clone().unwrap_or_else(|| object.document.key.name.to_string());
            wanted.push((served.runtime.clone(), served_as));
        }
    }
    // One query for all: a start with ten thousand models must not ask ten thousand times.
    let known = store.load_durations_all().await?;
    let mut events = Vec::new();
    for (runtime, served_as) in wanted {
        if let Some(durations) = known.get(&(runtime.clone(), served_as.clone())) {
            memory.note_load_history(&runtime, &served_as, durations.clone());
            let at = ModelAt { runtime, served_as: served_as.into() };
            events.extend(durations.iter().rev().map(|ms| Event::LoadTook { at: at.clone(), ms: *ms }));
        }
    }
    Ok(events)
}
