//! What must be true: at the end of a stage while the program runs, and of all that was written when the story is over.
//!
//! Each check gives what is wrong in words, so that waiting can go on until nothing is, and a failure tells everything at
//! once.

use std::collections::{BTreeMap, BTreeSet};

use arcology::act::engine::Handle;
use arcology::core::Digest;
use arcology::decide::reconcile::{Sync, Target};
use arcology::remember::store::row::{AttemptRow, TaskRow, TaskState};
use arcology::remember::store::{ArtifactFilter, Page, Store, TaskFilter};
use rusqlite::Connection;

use super::scene::{Scene, Stage};

/// More than any story has.
const ALL: Page = Page { limit: 500, cursor: None };

/// How the scheduler's own action is told of that was under way when the program ended.
const CUT_SHORT: &str = "Arcology ended meanwhile";

/// How a change that is not in the store itself is told of, that found the disk full: its failure can be written down by then.
const NO_ROOM: &str = "there is no room left for";

/// A task with its attempts.
pub type Worked = (TaskRow, Vec<AttemptRow>);

/// Adds a sentence unless the two are the same.
macro_rules! same {
    ($wrong:expr, $what:expr, $found:expr, $wanted:expr) => {{
        let (found, wanted) = (&$found, &$wanted);
        if found != wanted {
            $wrong.push(format!("{}: {found:?} and not {wanted:?}", $what));
        }
    }};
}
pub(super) use same;

/// What is not yet as the stage asks. Empty once the program has got there.
pub async fn unsettled(handle: &Handle, scene: &Scene, stage: Stage, given_up: bool) -> Vec<String> {
    let mut wrong = outward(handle, scene, stage, given_up);
    if wrong.is_empty() {
        wrong = inward(handle, scene, stage, given_up).await;
    }
    wrong
}

/// What can be seen without asking the store.
fn outward(handle: &Handle, scene: &Scene, stage: Stage, given_up: bool) -> Vec<String> {
    let mut wrong = Vec::new();
    let picture = handle.pictures().borrow().clone();
    let revision = picture.world.revision.as_ref().map(|revision| revision.commit.sha.clone());
    same!(wrong, "the revision in force", revision.as_ref(), Some(scene.tip()));
    let loaded: Vec<String> =
        scene.double.state.read(|inner| inner.processes.iter().map(|(id, state)| format!("{id} {state}")).collect());
    let wanted: Vec<String> = stage.loaded().iter().map(|id| format!("{id} ready")).collect();
    same!(wrong, "what is loaded", loaded, wanted);
    for status in picture.statuses(handle.now()) {
        let allowed =
            status.sync == Sync::InSync || (given_up && matches!(status.key.kind, arcology::core::Kind::Task));
        if !allowed || status.hold.is_some() {
            wrong.push(format!("{} is {:?}, held by {:?}: {}", status.key, status.sync, status.hold, status.reason));
        }
    }
    for (key, history) in picture.histories.iter() {
        if history.failure.is_some() || history.drift_loop.is_some() {
            wrong.push(format!("{key} has a failure or a drift loop: {history:?}"));
        }
    }
    same!(wrong, "the store's problem", picture.store_problem, None);
    wrong
}

/// What the store says.
async fn inward(handle: &Handle, scene: &Scene, stage: Stage, given_up: bool) -> Vec<String> {
    let mut wrong = Vec::new();
    let store = handle.store();
    same!(wrong, "open journal entries", store.journal_open().await.unwrap(), []);
    let removed: Vec<String> =
        store.removed_objects().await.unwrap().iter().map(|object| object.key.to_string()).collect();
    same!(wrong, "removed objects that are still remembered", removed, Vec::<String>::new());
    let tasks = tasks(&store).await;
    let over: Vec<&str> = tasks.iter().filter(|task| is_over(task, given_up)).map(text).collect();
    same!(wrong, "tasks that are over", sorted(over), stage.done().to_vec());
    same!(wrong, "tasks", tasks.len(), stage.done().len());
    let mut held: Vec<(String, String)> = Vec::new();
    for row in store.inventory().await.unwrap() {
        let name = match serde_json::from_str(&row.target).unwrap() {
            Target::Model { served_as, .. } => served_as,
            Target::Task { id } => tasks.iter().find(|task| task.id == id).map_or(id.as_str(), text).to_owned(),
        };
        held.push((row.object.to_string(), name));
        same!(wrong, format!("deletion of what {} holds", row.object), row.deleting_since, None);
    }
    let held: Vec<(&str, &str)> = held.iter().map(|(object, name)| (object.as_str(), name.as_str())).collect();
    same!(wrong, "the inventory", sorted(held), stage.held().to_vec());
    same!(wrong, "the inventory in memory", in_memory(handle), store.inventory().await.unwrap().len());
    if let Some(answered) = &scene.answered {
        let kept = tasks.iter().filter(|task| task.id == *answered).count();
        same!(wrong, "tasks with the id that was answered", kept, 1);
    }
    wrong
}

fn in_memory(handle: &Handle) -> usize {
    handle.pictures().borrow().inventory.values().map(Vec::len).sum()
}

fn is_over(task: &TaskRow, given_up: bool) -> bool {
    task.state == TaskState::Done || (given_up && task.state == TaskState::Error)
}

fn sorted<T: Ord>(mut all: Vec<T>) -> Vec<T> {
    all.sort();
    all
}

/// The first word of a task's text, by which it is known here.
pub fn text(task: &TaskRow) -> &str {
    task.spec.inputs.text.as_deref().and_then(|text| text.split(' ').next()).unwrap_or_default()
}

async fn tasks(store: &Store) -> Vec<TaskRow> {
    store.tasks(TaskFilter::default(), ALL).await.unwrap().items
}

/// Every task with its attempts.
pub async fn worked(store: &Store) -> Vec<Worked> {
    let mut all = Vec::new();
    for task in tasks(store).await {
        let attempts = store.attempts(&task.id).await.unwrap();
        all.push((task, attempts));
    }
    all
}

/// What is wrong with tasks and what they made, at the end of the story.
pub async fn faults_of_work(handle: &Handle, scene: &Scene, before: &[Worked], given_up: bool) -> Vec<String> {
    let mut wrong = Vec::new();
    let all = worked(&handle.store()).await;
    for done in before.iter().filter(|(task, _)| task.state.is_final()) {
        if !all.contains(done) {
            wrong.push(format!("{} was over and has changed since", text(&done.0)));
        }
    }
    for (task, attempts) in &all {
        let name = text(task);
        let states: Vec<&str> = attempts.iter().map(|attempt| attempt.state.as_str()).collect();
        let interrupted = states.iter().filter(|state| **state == "interrupted").count();
        let numbers: Vec<u32> = attempts.iter().map(|attempt| attempt.number).collect();
        same!(wrong, format!("{name}: numbers of attempts"), numbers, (1..=task.attempts).collect::<Vec<_>>());
        if task.state == TaskState::Done {
            let chain = [vec!["interrupted"; interrupted], vec!["done"]].concat();
            same!(wrong, format!("{name}: attempts"), states, chain);
            same!(wrong, format!("{name}: error"), task.error, None);
        } else if !given_up || task.error.is_none() {
            wrong.push(format!("{name} is {:?}: {:?}", task.state, task.error));
        }
        let runs = scene.runs(name);
        let least = usize::from(task.state == TaskState::Done);
        if runs < least || runs > attempts.len() {
            wrong.push(format!("{name}: {runs} runs in {} attempts", attempts.len()));
        }
        wrong.extend(faults_of_artifacts(handle, task).await);
    }
    wrong.extend(too_early(&all));
    wrong
}

/// A task that waits for another starts after it is done.
fn too_early(all: &[Worked]) -> Option<String> {
    let (one, _) = all.iter().find(|(task, _)| text(task) == "first")?;
    let (_, attempts) = all.iter().find(|(task, _)| text(task) == "second")?;
    let began = attempts.first()?.started_at;
    let in_order = one.finished_at.is_some_and(|finished| finished <= began);
    (!in_order).then(|| format!("second began at {began}, first was over at {:?}", one.finished_at))
}

async fn faults_of_artifacts(handle: &Handle, task: &TaskRow) -> Vec<String> {
    let mut wrong = Vec::new();
    let (name, vault) = (text(task), handle.vault());
    let filter = ArtifactFilter { task: Some(task.id.clone()), ..ArtifactFilter::default() };
    let recorded = handle.store().artifacts(filter, ALL).await.unwrap().items;
    same!(wrong, format!("{name}: artifacts"), recorded.len(), usize::from(task.state == TaskState::Done));
    for artifact in &recorded {
        match std::fs::read(vault.dir().join(&artifact.path)) {
            Ok(bytes) => same!(wrong, format!("{name}: checksum"), Digest::of(&bytes), artifact.sha256),
            Err(error) => wrong.push(format!("{name}: {}: {error}", artifact.path)),
        }
    }
    if task.state == TaskState::Done {
        let found = vault.rebuild().unwrap().rows;
        let on_disk: Vec<_> = found.iter().filter(|row| row.task == task.id).map(|row| &row.path).collect();
        same!(wrong, format!("{name}: files"), on_disk, recorded.iter().map(|row| &row.path).collect::<Vec<_>>());
    }
    for problem in vault.verify().unwrap().problems {
        wrong.push(format!("the vault: {}: {}", problem.path.display(), problem.message));
    }
    wrong
}

/// What is wrong with the audit, and with how it tells of what reached llama-swap. Read from the file itself, because what
/// caused an entry is nobody else's business.
pub fn faults_of_audit(scene: &Scene, given_up: bool) -> Vec<String> {
    let mut wrong = Vec::new();
    let conn = Connection::open(scene.database()).unwrap();
    let audit = rows(&conn, "SELECT coalesce(cause, ''), verb, object, result, coalesce(after, '') FROM audit");
    let mut caused: BTreeMap<&str, usize> = BTreeMap::new();
    for [cause, ..] in audit.iter().filter(|entry| !entry[0].is_empty()) {
        *caused.entry(cause).or_default() += 1;
    }
    let ends = "SELECT 'journal/' || id, '', '', '', '' FROM journal WHERE state <> 'open'
        UNION ALL SELECT 'task/' || task || '/' || number, '', '', '', '' FROM attempt WHERE state <> 'running'
        UNION ALL SELECT 'task/' || id || '/end/' || attempts, '', '', '', '' FROM task WHERE state = 'error' AND attempts = 0
        UNION ALL SELECT 'submit/' || id, '', '', '', '' FROM task WHERE object IS NULL";
    let mutations = rows(&conn, ends);
    let wanted: BTreeMap<&str, usize> = mutations.iter().map(|row| (row[0].as_str(), 1)).collect();
    same!(wrong, "audit entries by what caused them", caused, wanted);

    let mut others: Vec<String> =
        audit.iter().filter(|entry| entry[0].is_empty()).map(|entry| format!("{} {}", entry[1], entry[2])).collect();
    others.sort();
    let mut applied: Vec<String> = scene.commits().iter().map(|sha| format!("apply main@sha1:{sha}")).collect();
    applied.push("policy Policy/default".to_owned());
    applied.sort();
    same!(wrong, "audit entries of what the store itself does not see", others, applied);
    wrong.extend(faults_of_calls(scene, &audit, given_up));
    wrong
}

/// Every call that reached llama-swap is told of once, as what it was, and none came twice.
fn faults_of_calls(scene: &Scene, audit: &[[String; 5]], given_up: bool) -> Vec<String> {
    let mut wrong = Vec::new();
    // What the scheduler itself had begun when the program ended is told of as just that.
    let cut_short = |object: &str, result: &str| object.starts_with("Runtime/") && result.starts_with(CUT_SHORT);
    let told = |verb: &str, model: &str| {
        let target = format!("{model} on swap");
        let tells = |entry: &&[String; 5]| entry[1] == verb && entry[4] == target;
        audit.iter().filter(tells).filter(|entry| entry[3] == "ok" || cut_short(&entry[2], &entry[3])).count()
    };
    let wanted = [("alpha", 1, 1), ("beta", 1, 1), ("gamma", 1, 1), ("delta", 1, 0), ("epsilon", 1, 0)];
    for (model, loads, unloads) in wanted {
        let (load, unload) = (format!("/upstream/{model}/health"), format!("/api/models/unload/{model}"));
        let (loaded, unloaded) = (scene.calls(&load), scene.calls(&unload));
        // A task has its model loaded where no loadout asks for it, or before the loadout comes to it, in an action that
        // may have been cut short.
        let by_task = matches!(model, "delta" | "epsilon");
        let (least, most_told) = if by_task { (0, usize::MAX) } else { (1, loads) };
        if loaded > loads || loaded < least || told("load", model) < loaded || told("load", model) > most_told {
            wrong.push(format!("{model}: {loaded} calls to load it, {} told of", told("load", model)));
        }
        same!(
            wrong,
            format!("{model}: calls to unload it, and those told of"),
            (unloaded, told("unload", model)),
            (unloads, unloads)
        );
    }
    let failed: BTreeSet<String> = audit
        .iter()
        .filter(|[_, verb, object, result, _]| {
            let ended = result == "ok" || (verb == "attempt" && (result == "done" || result.contains("interrupted")));
            // A load that had only been begun may be made by the scheduler instead, for a task that needs the same model.
            let by_scheduler = object == "Loadout/kept" && result.starts_with("abandoned: overtaken");
            let given_up = given_up && object.starts_with("task-");
            let was_full = result.starts_with(NO_ROOM);
            !ended && !was_full && !by_scheduler && !cut_short(object, result) && !given_up
        })
        .map(|entry| entry.join(" "))
        .collect();
    same!(wrong, "audit entries of failures", failed, BTreeSet::new());
    wrong
}

fn rows(conn: &Connection, select: &str) -> Vec<[String; 5]> {
    let mut statement = conn.prepare(select).unwrap();
    let read = statement.query_map([], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?]));
    read.unwrap().map(Result::unwrap).collect()
}
