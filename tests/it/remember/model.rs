//! Random work, done to the store and to a model of it in memory: after any number of restarts both say the same.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use arcology::core::ObjectKey;
use arcology::remember::store::row::{InventoryRow, TaskError, TaskRow, TaskState, Why};
use arcology::remember::store::{AuditFilter, Effects, Page, Removal, Store, TaskFilter, TaskOutcome};

use super::rows::{applied, at, audit, key, load, name, object, open, target, task};

/// Something that is done. Numbers name one of a few tasks, objects and models, so that steps meet.
#[derive(Clone, Debug)]
enum Step {
    Add { task: u8, key: Option<u8> },
    Start { task: u8 },
    Finish { task: u8, outcome: u8 },
    Cancel { task: u8 },
    Block { task: u8, blocked: bool },
    Apply { upsert: u8, remove: u8, undo: bool, generation: u8 },
    Begin { object: u8, model: u8 },
    End { which: u8, how: u8 },
    Drop { object: u8, model: u8 },
    History { object: u8, value: u8 },
    Restart { close: bool },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let few = || 0..4_u8;
    let step = prop_oneof![
        3 => (few(), proptest::option::of(0..2_u8)).prop_map(|(task, key)| Step::Add { task, key }),
        3 => few().prop_map(|task| Step::Start { task }),
        3 => (few(), 0..5_u8).prop_map(|(task, outcome)| Step::Finish { task, outcome }),
        1 => few().prop_map(|task| Step::Cancel { task }),
        1 => (few(), any::<bool>()).prop_map(|(task, blocked)| Step::Block { task, blocked }),
        4 => (0..3_u8, 0..3_u8, any::<bool>(), 1..9_u8)
            .prop_map(|(upsert, remove, undo, generation)| Step::Apply { upsert, remove, undo, generation }),
        3 => (0..3_u8, 0..2_u8).prop_map(|(object, model)| Step::Begin { object, model }),
        4 => (0..3_u8, prop_oneof![2 => Just(0), 1 => 1..4_u8]).prop_map(|(which, how)| Step::End { which, how }),
        1 => (0..3_u8, 0..2_u8).prop_map(|(object, model)| Step::Drop { object, model }),
        1 => (0..3_u8, 0..3_u8).prop_map(|(object, value)| Step::History { object, value }),
        2 => any::<bool>().prop_map(|close| Step::Restart { close }),
    ];
    proptest::collection::vec(step, 1..40)
}

/// The store, as simply as it can be said.
#[derive(Default)]
struct Model {
    tasks: Vec<TaskRow>,
    /// The states of each task's attempts.
    attempts: BTreeMap<String, Vec<&'static str>>,
    applied: Option<u8>,
    objects: BTreeMap<ObjectKey, u8>,
    buried: BTreeMap<ObjectKey, u8>,
    /// Whether it is being deleted.
    inventory: BTreeMap<(ObjectKey, String), bool>,
    /// Object, target and id of what is under way, oldest first.
    open: Vec<(ObjectKey, String, String)>,
    ids: BTreeSet<String>,
    histories: BTreeMap<ObjectKey, String>,
    audits: usize,
}

fn owner(n: u8) -> ObjectKey {
    key(&format!("Loadout/l{n}"))
}

fn model(n: u8) -> String {
    target(&format!("m{n}"))
}

impl Model {
    fn task(&mut self, n: u8) -> Option<&mut TaskRow> {
        let id = format!("task-{n}");
        self.tasks.iter_mut().find(|task| task.id == id)
    }

    fn waiting(&mut self, n: u8) -> Option<&mut TaskRow> {
        self.task(n).filter(|task| matches!(task.state, TaskState::Queued | TaskState::Blocked))
    }

    /// Forgets removed objects of which nothing is left.
    fn sweep(&mut self) {
        let (inventory, open) = (&self.inventory, &self.open);
        self.buried.retain(|object, _| {
            inventory.keys().any(|(owner, _)| owner == object) || open.iter().any(|(owner, ..)| owner == object)
        });
    }
}

async fn add(store: &Store, model: &mut Model, n: u8, idempotency_key: Option<u8>) {
    let mut row = task(&format!("task-{n}"));
    row.spec.idempotency_key = idempotency_key.map(|key| format!("key-{key}"));
    let same_key =
        |first: &&TaskRow| row.spec.idempotency_key.is_some() && first.spec.idempotency_key == row.spec.idempotency_key;
    let first =
        model.tasks.iter().find(|first| first.id == row.id).or_else(|| model.tasks.iter().find(same_key)).cloned();
    let added = store.task_submit(row.clone(), audit("submit", &row.id)).await.unwrap();
    assert_eq!(added.new, first.is_none());
    assert_eq!(added.row, first.clone().unwrap_or_else(|| row.clone()));
    if first.is_none() {
        model.tasks.push(row);
        model.audits += 1;
    }
}

async fn start(store: &Store, model: &mut Model, n: u8) {
    let id = format!("task-{n}");
    let started = store.task_start(&id, Some(name("swap")), Some("m0".to_owned()), vec![name("default")], at(5)).await;
    let Some(row) = model.waiting(n) else { return assert!(started.is_err(), "{started:?}") };
    row.state = TaskState::Running;
    row.attempts += 1;
    (row.runtime, row.model, row.why) = (Some(name("swap")), Some("m0".to_owned()), None);
    (row.policy, row.started_at) = (vec![name("default")], Some(at(5)));
    let attempts = model.attempts.entry(id).or_default();
    attempts.push("running");
    assert_eq!(usize::try_from(started.unwrap().number).unwrap(), attempts.len());
}

async fn finish(store: &Store, model: &mut Model, n: u8, outcome: u8) {
    let id = format!("task-{n}");
    let error = TaskError { code: "timeout".to_owned(), message: "too slow".to_owned(), incident: None };
    let why = Why { reason: "Retry".to_owned(), message: "once more".to_owned(), clears_at: Some(at(60)) };
    let (outcome, attempt, state) = match outcome {
        0 => (TaskOutcome::Done { model: Some("m1".to_owned()), artifacts: vec![] }, "done", TaskState::Done),
        1 => (TaskOutcome::Error(error.clone()), "error", TaskState::Error),
        2 => (TaskOutcome::Cancelled(error.clone()), "cancelled", TaskState::Cancelled),
        3 => (TaskOutcome::Interrupted, "interrupted", TaskState::Queued),
        _ => (TaskOutcome::Requeue { why: why.clone(), error: Some(error.clone()) }, "error", TaskState::Queued),
    };
    let number = model.task(n).map_or(1, |row| row.attempts);
    let finished = store.task_finish(&id, number, outcome.clone(), "log", at(9), audit("run", &id)).await;
    let Some(row) = model.task(n).filter(|row| row.state == TaskState::Running) else {
        return assert!(finished.is_err(), "{finished:?}");
    };
    row.state = state;
    match outcome {
        TaskOutcome::Done { model, .. } => row.model = model,
        TaskOutcome::Error(_) | TaskOutcome::Cancelled(_) => row.error = Some(error),
        TaskOutcome::Interrupted => {}
        TaskOutcome::Requeue { .. } => row.why = Some(why),
    }
    if state.is_final() {
        row.finished_at = Some(at(9));
    } else {
        (row.started_at, row.runtime) = (None, None);
    }
    assert_eq!(finished.unwrap(), *row);
    *model.attempts.get_mut(&id).unwrap().last_mut().unwrap() = attempt;
    model.audits += 1;
}

async fn cancel(store: &Store, model: &mut Model, n: u8) {
    let id = format!("task-{n}");
    let cancelled = store.task_cancel(&id, at(9), "uid 1000", audit("cancel", &id)).await;
    let Some(row) = model.waiting(n) else { return assert!(cancelled.is_err(), "{cancelled:?}") };
    let message = "cancelled by uid 1000".to_owned();
    row.error = Some(TaskError { code: "cancelled".to_owned(), message, incident: None });
    (row.state, row.why, row.finished_at) = (TaskState::Cancelled, None, Some(at(9)));
    assert_eq!(cancelled.unwrap(), *row);
    model.audits += 1;
}

async fn apply(store: &Store, model: &mut Model, upsert: u8, remove: u8, undo: bool, generation: u8) {
    let undo_by = undo.then(|| at(65));
    let removal = Removal { key: owner(remove), undo_by, holds: Vec::new() };
    let removed = if upsert == remove { Vec::new() } else { vec![removal] };
    let entry = audit("apply", &owner(upsert).to_string());
    let upserts = vec![object(owner(upsert), generation)];
    store.apply_revision(applied(generation), upserts, removed.clone(), vec![entry]).await.unwrap();
    model.applied = Some(generation);
    model.objects.insert(owner(upsert), generation);
    model.buried.remove(&owner(upsert));
    model.inventory.iter_mut().filter(|((object, _), _)| *object == owner(upsert)).for_each(|(_, gone)| *gone = false);
    for Removal { key: object, undo_by, .. } in removed {
        let generation = model.objects.remove(&object);
        if undo_by.is_none() {
            model.inventory.retain(|(key, _), _| *key != object);
            continue;
        }
        model.inventory.iter_mut().filter(|((key, _), _)| *key == object).for_each(|(_, gone)| *gone = true);
        if let Some(generation) = generation {
            model.buried.insert(object, generation);
        }
    }
    model.sweep();
    model.audits += 1;
}

async fn begin(store: &Store, state: &mut Model, object: u8, n: u8) {
    let row = store.journal_begin(load(owner(object), &format!("m{n}"))).await.unwrap();
    let same = state.open.iter().find(|(owned, target, _)| *owned == owner(object) && *target == model(n));
    match same {
        Some((.., id)) => assert_eq!(row.id, *id),
        None => {
            assert!(state.ids.insert(row.id.clone()), "an id is used once");
            state.open.push((owner(object), model(n), row.id));
        }
    }
}

async fn end(store: &Store, model: &mut Model, which: u8, how: u8) {
    let Some(at_index) = usize::from(which).checked_rem(model.open.len()) else {
        return assert!(store.journal_abandon("nothing", "").await.is_err());
    };
    let (object, target, id) = model.open.remove(at_index);
    let entry = audit("load", &object.to_string());
    let thing = InventoryRow {
        object: object.clone(),
        target: target.clone(),
        since: at(3),
        prunes: true,
        deleting_since: None,
        deadline: None,
    };
    let gone = Effects { inventory_add: Vec::new(), inventory_remove: vec![(object.clone(), target.clone())] };
    let made = Effects { inventory_add: vec![thing], inventory_remove: Vec::new() };
    match how {
        0 => drop(store.journal_finish(&id, Ok(()), made, entry).await.unwrap()),
        1 => drop(store.journal_finish(&id, Ok(()), gone, entry).await.unwrap()),
        2 => drop(store.journal_finish(&id, Err("no".to_owned()), Effects::default(), entry).await.unwrap()),
        _ => drop(store.journal_abandon(&id, "restart").await.unwrap()),
    }
    match how {
        0 => drop(model.inventory.entry((object, target)).or_insert(false)),
        1 => drop(model.inventory.remove(&(object, target))),
        _ => {}
    }
    model.sweep();
    model.audits += 1;
}

async fn compare(store: &Store, model: &Model) {
    let page = || Page { limit: 500, cursor: None };
    let newest_first: Vec<TaskRow> = model.tasks.iter().rev().cloned().collect();
    assert_eq!(store.tasks(TaskFilter::default(), page()).await.unwrap().items, newest_first);
    let unfinished: Vec<TaskRow> = model.tasks.iter().filter(|task| !task.state.is_final()).cloned().collect();
    assert_eq!(store.tasks_unfinished().await.unwrap(), unfinished);
    for (state, count) in store.task_counts().await.unwrap() {
        let expected = model.tasks.iter().filter(|task| task.state == state).count();
        assert_eq!(usize::try_from(count).unwrap(), expected, "{state:?}");
    }
    for (id, states) in &model.attempts {
        let attempts = store.attempts(id).await.unwrap();
        assert_eq!(attempts.iter().map(|attempt| attempt.state.as_str()).collect::<Vec<_>>(), *states, "{id}");
    }
    let rows =
        |objects: &BTreeMap<ObjectKey, u8>| objects.iter().map(|(key, n)| object(key.clone(), *n)).collect::<Vec<_>>();
    assert_eq!(store.applied().await.unwrap(), model.applied.map(applied));
    assert_eq!(store.objects().await.unwrap(), rows(&model.objects));
    assert_eq!(store.removed_objects().await.unwrap(), rows(&model.buried));
    let inventory = store.inventory().await.unwrap();
    let inventory = inventory.into_iter().map(|row| ((row.object, row.target), row.deleting_since.is_some()));
    assert_eq!(inventory.collect::<BTreeMap<_, _>>(), model.inventory);
    let open = store.journal_open().await.unwrap().into_iter().map(|row| (row.object, row.target, row.id));
    assert_eq!(open.collect::<Vec<_>>(), model.open);
    assert_eq!(store.histories().await.unwrap(), model.histories);
    assert_eq!(store.audit_list(AuditFilter::default(), page()).await.unwrap().items.len(), model.audits);
}

async fn carry_out(steps: Vec<Step>) {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    let mut state = Model::default();
    for step in steps.into_iter().chain([Step::Restart { close: true }]) {
        match step {
            Step::Add { task, key } => add(&store, &mut state, task, key).await,
            Step::Start { task } => start(&store, &mut state, task).await,
            Step::Finish { task, outcome } => finish(&store, &mut state, task, outcome).await,
            Step::Cancel { task } => cancel(&store, &mut state, task).await,
            Step::Block { task, blocked } => {
                let done = store.task_block(&format!("task-{task}"), blocked, None).await;
                let row = state.waiting(task);
                assert_eq!(done.is_ok(), row.is_some());
                if let Some(row) = row {
                    row.state = if blocked { TaskState::Blocked } else { TaskState::Queued };
                    row.why = None;
                }
            }
            Step::Apply { upsert, remove, undo, generation } => {
                apply(&store, &mut state, upsert, remove, undo, generation).await;
            }
            Step::Begin { object, model } => begin(&store, &mut state, object, model).await,
            Step::End { which, how } => end(&store, &mut state, which, how).await,
            Step::Drop { object, model: n } => {
                let dropped = store.drop_inventory(owner(object), model(n)).await.unwrap();
                assert_eq!(dropped, state.inventory.remove(&(owner(object), model(n))).is_some());
                state.sweep();
            }
            Step::History { object, value: 0 } => {
                store.forget_history(owner(object)).await.unwrap();
                state.histories.remove(&owner(object));
            }
            Step::History { object, value } => {
                store.save_history(owner(object), value.to_string()).await.unwrap();
                state.histories.insert(owner(object), value.to_string());
            }
            Step::Restart { close } => {
                if close {
                    store.close().await;
                }
                drop(store);
                store = open(dir.path());
                compare(&store, &state).await;
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn after_any_work_and_any_restarts_the_store_says_what_the_model_says(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(carry_out(steps));
    }
}
