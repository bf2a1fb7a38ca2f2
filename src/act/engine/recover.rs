//! Starting from what the store remembers: the world in force, inventory, histories, tasks. No repository is needed.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::core::{Clock, Name, ObjectKey, Observed};
use crate::decide::reconcile::{Holding, ObjectHistory, Target, Verb};
use crate::decide::view::RuntimeView;
use crate::declare::manifest::parse;
use crate::declare::world::{Object, Standing, World};
use crate::remember::store::row::{InventoryRow, ObjectRow, TaskRow, TaskState};
use crate::remember::store::{AuditEntry, Error as StoreError, Store, TaskOutcome};

use super::memory::Memory;
use super::picture::Link;
use super::queue::{Queue, fact_of};
use super::run_task::INTERRUPTIONS_MAX;

/// What was in force when the program last ran, and the tasks that were not over.
pub struct Recovered {
    pub memory: Memory,
    pub queue: Queue,
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
    open_actions(store, &mut memory, now).await?;
    last_observations(store, &mut memory, now).await?;
    let (queue, interrupted) = tasks(store, &mut memory, clock).await?;
    load_times(store, &mut memory).await?;
    Ok(Recovered { memory, queue, unreadable, interrupted })
}

fn objects(rows: Vec<ObjectRow>, unreadable: &mut Vec<ObjectKey>) -> BTreeMap<ObjectKey, Arc<Object>> {
    let mut found = BTreeMap::new();
    for row in rows {
        match parse::document(&row.place.path, row.place.line, &row.text) {
            Ok(document) => {
                let object = Object {
                    document: Arc::new(document),
                    generation: row.generation,
                    asked_by: row.asked_by,
                    revision: row.revision,
                    standing: row.standing,
                };
                found.insert(row.key, Arc::new(object));
            }
            // Written by a version that understood more or less than this one: Git has it, the next look reads it.
            Err(_) => unreadable.push(row.key),
        }
    }
    found
}

/// Actions that were under way. Those of objects in force are settled when their object is planned. Those of objects that
/// are gone may have made something all the same: it is taken into the inventory, and so undone if it is there.
async fn open_actions(store: &Store, memory: &mut Memory, now: crate::core::Timestamp) -> Result<(), StoreError> {
    for row in store.journal_open().await? {
        if memory.world.objects.contains_key(&row.object) {
            memory.open.entry(row.object.clone()).or_default().push(row);
            continue;
        }
        let makes = row.verb == Verb::Load.as_str() || row.verb == Verb::Enqueue.as_str();
        if let (true, Ok(target)) = (makes, serde_json::from_str::<Target>(&row.target)) {
            let held = InventoryRow {
                object: row.object.clone(),
                target: row.target.clone(),
                since: now,
                prunes: true,
                deleting_since: Some(now),
                deadline: None,
            };
            store.adopt(held).await?;
            memory.hold(&row.object, target, now);
        }
        store.journal_abandon(&row.id, "its object is gone; what it made is undone").await?;
    }
    Ok(())
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

/// Tasks that were not over go on: waiting ones wait, running ones were interrupted and are tried again, at most twice.
async fn tasks(store: &Store, memory: &mut Memory, clock: &Arc<dyn Clock>) -> Result<(Queue, usize), StoreError> {
    let queue = Queue::default();
    let mut interrupted_count = 0;
    let mut facts = BTreeMap::new();
    for row in store.tasks_unfinished().await? {
        let row = if row.state == TaskState::Running {
            interrupted_count += 1;
            take_up(store, row, clock).await?
        } else {
            row
        };
        if let Some(fact) = fact_of(&row) {
            facts.insert(row.id.clone(), fact);
        }
        if !row.state.is_final() {
            queue.add(row);
        }
    }
    // Finished ones matter too: they are why a committed Task is not done again.
    for row in store.tasks_of_objects().await? {
        if let Some(fact) = fact_of(&row) {
            facts.entry(row.id.clone()).or_insert(fact);
        }
    }
    memory.tasks = Arc::new(facts);
    Ok((queue, interrupted_count))
}

async fn take_up(store: &Store, row: TaskRow, clock: &Arc<dyn Clock>) -> Result<TaskRow, StoreError> {
    let attempts = store.attempts(&row.id).await?;
    let earlier = attempts.iter().filter(|attempt| attempt.state == "interrupted").count();
    let outcome = if earlier < INTERRUPTIONS_MAX as usize {
        TaskOutcome::Interrupted
    } else {
        TaskOutcome::Error(crate::remember::store::row::TaskError {
            code: "interrupted".into(),
            message: format!(
                "Arcology ended {} times while it ran; something about it may end the program",
                earlier + 1
            ),
            incident: None,
        })
    };
    let audit = AuditEntry {
        at: clock.now(),
        actor: "arcology".into(),
        verb: "attempt".into(),
        object: row.id.clone(),
        reason: "found running at start".into(),
        result: "interrupted".into(),
        before: Some(row.state.as_str().into()),
        after: None,
        revision: row.revision.as_ref().map(ToString::to_string),
    };
    store.task_finish(&row.id, row.attempts, outcome, "", clock.now(), audit).await
}

async fn load_times(store: &Store, memory: &mut Memory) -> Result<(), StoreError> {
    let mut wanted: Vec<(Name, String)> = Vec::new();
    for (object, model) in memory.world.models() {
        for served in &model.served_by {
            let served_as = served.served_as.clone().unwrap_or_else(|| object.document.key.name.to_string());
            wanted.push((served.runtime.clone(), served_as));
        }
    }
    // One query for all: a start with ten thousand models must not ask ten thousand times.
    let known = store.load_durations_all().await?;
    for (runtime, served_as) in wanted {
        if let Some(durations) = known.get(&(runtime.clone(), served_as.clone())) {
            memory.note_load_times(&runtime, &served_as, durations.clone());
        }
    }
    Ok(())
}
