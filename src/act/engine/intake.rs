//! How tasks come into the queue, from Git or from a person, and how they are taken back, tried again or sent elsewhere.
//!
//! A task is written to the store before anybody is told that it was accepted, and known by one id for ever.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::oneshot;

use crate::core::{Digest, Kind, Name, ObjectKey, Revision};
use crate::decide::dispatch::{Input, Stored};
use crate::decide::scheduler::{Dependency, Event, TaskSeq};
use crate::declare::manifest::Spec;
use crate::declare::manifest::kind::task::TaskSpec;
use crate::declare::world::World;
use crate::remember::store::resume::{over, request};
use crate::remember::store::row::{TaskRow, TaskState};
use crate::remember::store::{AuditEntry, Error as StoreError, NewTask, Store};

use super::carry_out::{Trouble, task_id};
use super::dispatch::{Message, fact};
use super::memory::Needs;
use super::shared::Shared;
use super::tokens;

/// Puts the task of a committed Task into the queue. Doing it twice changes nothing.
///
/// # Errors
/// When the object is gone meanwhile or the store cannot be written.
pub async fn enqueue_committed(shared: &Arc<Shared>, key: &ObjectKey, id: &str) -> Result<(), Trouble> {
    let object = shared.memory().world.objects.get(key).cloned();
    let Some(object) = object else { return Err(Trouble::Task(format!("{key} is gone"))) };
    let Spec::Task(spec) = &object.document.spec else {
        return Err(Trouble::Task(format!("{key} is not a Task")));
    };
    let actor = object.asked_by.as_ref().map_or_else(|| "commit".to_owned(), |c| format!("commit {}", c.author));
    let mut spec = spec.clone();
    // The name and the spec are the identity of a committed task; a key of its own could only contradict them.
    spec.idempotency_key = None;
    let row = row_of(shared, id.to_owned(), spec, Some(key.clone()), object.revision.clone(), actor);
    accept(shared, vec![(row, None)]).await?;
    Ok(())
}

/// Accepts tasks from a person or a script: all of them, or none. Repeating an `idempotency_key` returns the first task.
///
/// # Errors
/// When the store cannot be written.
pub async fn submit(shared: &Arc<Shared>, specs: Vec<TaskSpec>, actor: String) -> Result<Vec<TaskRow>, Trouble> {
    let now = shared.now();
    let revision = shared.memory().world.revision.clone();
    let mut rows = Vec::with_capacity(specs.len());
    for spec in specs {
        let nonce = shared.next_nonce();
        let text = serde_json::to_string(&spec).unwrap_or_default();
        let digest = Digest::of(format!("{text}\n{now}\n{nonce}\n{actor}").as_bytes());
        let id = format!("task-{}", &digest.hex()[..16]);
        let audit = AuditEntry {
            at: now,
            actor: actor.clone(),
            verb: "submit".into(),
            object: id.clone(),
            reason: spec.capability.0.join(" > "),
            result: "ok".into(),
            before: None,
            after: None,
            revision: revision.as_ref().map(ToString::to_string),
        };
        rows.push((row_of(shared, id, spec, None, revision.clone(), actor.clone()), Some(audit)));
    }
    // Whoever asked may hang up meanwhile: what the store has taken in, the scheduler must hear of all the same.
    let shared = Arc::clone(shared);
    let accepting = tokio::spawn(async move { accept(&shared, rows).await });
    accepting.await.map_err(|panic| Trouble::Task(format!("taking the tasks in broke off: {panic}")))?
}

fn row_of(
    shared: &Shared,
    id: String,
    spec: TaskSpec,
    object: Option<ObjectKey>,
    revision: Option<Revision>,
    actor: String,
) -> TaskRow {
    TaskRow {
        id,
        spec,
        object,
        revision,
        actor,
        state: TaskState::Queued,
        runtime: None,
        model: None,
        why: None,
        error: None,
        attempts: 0,
        policy: Vec::new(),
        created_at: shared.now(),
        started_at: None,
        finished_at: None,
    }
}

async fn accept(shared: &Arc<Shared>, rows: Vec<(TaskRow, Option<AuditEntry>)>) -> Result<Vec<TaskRow>, Trouble> {
    let mut tasks = Vec::with_capacity(rows.len());
    for (row, audit) in rows {
        let input_tokens = tokens::estimate(shared, &row).await;
        tasks.push(NewTask { row, input_tokens, audit });
    }
    let estimates: Vec<Option<u32>> = tasks.iter().map(|task| task.input_tokens).collect();
    let added = shared.store.tasks_accept(tasks).await;
    shared.note_store(&added);
    let added = added?;
    let mut accepted = Vec::with_capacity(added.len());
    for (added, input_tokens) in added.into_iter().zip(estimates) {
        let row = added.row;
        if added.new {
            let seq = TaskSeq(added.seq);
            let stored = Stored {
                request: request(seq, row.id.as_str().into(), &row.spec, input_tokens, 0),
                created_at: row.created_at,
                failures: 0,
                interruptions: 0,
                retry_at: None,
                phase: crate::decide::dispatch::Phase::Waiting,
            };
            hand_over(shared, stored, row.object.clone()).await?;
        }
        if let (Some(key), Some(fact)) = (&row.object, fact::of_row(&row)) {
            shared.note_task(key, &row.id, fact);
        }
        accepted.push(row);
    }
    shared.touch();
    Ok(accepted)
}

/// Tells the scheduler of a task that waits, with what is known of the tasks that it depends on.
async fn hand_over(shared: &Arc<Shared>, mut stored: Stored, object: Option<ObjectKey>) -> Result<(), Trouble> {
    if !stored.request.depends_on.is_empty() {
        if object.is_some() {
            let names: Vec<String> = stored.request.depends_on.iter().map(|on| on.id.to_string()).collect();
            let mut memory = shared.memory();
            stored.request.depends_on = resolve(&memory.world, &names);
            let needs = Needs { id: stored.request.id.to_string(), names };
            memory.needs.insert(stored.request.task.0, needs);
        }
        look_up(&shared.store, std::slice::from_mut(&mut stored)).await?;
    }
    shared.inbox.accepted(stored, object);
    Ok(())
}

/// The ids that names of committed Tasks stand for now. A name that stands for nothing is waited for under itself.
#[must_use]
pub fn resolve(world: &World, names: &[String]) -> Vec<Dependency> {
    let id = |name: &String| {
        let key = ObjectKey::new(Kind::Task, Name::new(name).ok()?);
        Some(task_id(&key, &world.objects.get(&key)?.document.digest))
    };
    let dependency = |name| Dependency { id: id(name).unwrap_or_else(|| format!("Task/{name}")).into(), over: None };
    names.iter().map(dependency).collect()
}

/// Says of every dependency how it ended, where it did.
///
/// # Errors
/// When the store cannot be read.
pub async fn look_up(store: &Store, tasks: &mut [Stored]) -> Result<(), StoreError> {
    let ids: BTreeSet<String> =
        tasks.iter().flat_map(|stored| &stored.request.depends_on).map(|on| on.id.to_string()).collect();
    if ids.is_empty() {
        return Ok(());
    }
    let states = store.task_states(ids).await?;
    for on in tasks.iter_mut().flat_map(|stored| &mut stored.request.depends_on) {
        on.over = states.get(&*on.id).copied().and_then(over);
    }
    Ok(())
}

/// Tells the scheduler what committed Tasks that wait depend on in `world`, which is about to be in force: before anything
/// that it supersedes is cancelled, so that nothing fails for a dependency that it no longer has.
///
/// # Errors
/// When the store cannot be read.
pub async fn depend_anew(shared: &Shared, world: &World) -> Result<(), StoreError> {
    let needs = shared.memory().needs.clone();
    if needs.is_empty() {
        return Ok(());
    }
    let on: Vec<(u64, Vec<Dependency>)> =
        needs.iter().map(|(task, needs)| (*task, resolve(world, &needs.names))).collect();
    let ids = on.iter().flat_map(|(_, on)| on).map(|on| on.id.to_string()).collect();
    let states = shared.store.task_states(ids).await?;
    for (task, mut on) in on {
        for dependency in &mut on {
            dependency.over = states.get(&*dependency.id).copied().and_then(over);
        }
        shared.inbox.input(Input::Event(Event::Depends { task: TaskSeq(task), on }));
    }
    Ok(())
}

/// Cancels a task: taken out of the queue while it waits, stopped in its runtime while it runs. Returns once that is
/// written.
///
/// # Errors
/// When there is no such task, it is over, it was done before it could be stopped, or the store cannot be written.
pub async fn cancel(shared: &Shared, id: &str, actor: &str, reason: &str) -> Result<(), Trouble> {
    let (id, by, reason) = (id.to_owned(), actor.to_owned(), reason.to_owned());
    let asked = id.clone();
    let answer = shared.inbox.ask(|reply| Message::Cancel { id: asked, by, reason, reply }).await;
    match answer {
        Ok(TaskState::Cancelled) => Ok(()),
        Ok(state) => Err(Trouble::Task(format!("{id} is over already: {}", state.as_str()))),
        Err(refusal) => Err(explain(shared, &id, refusal).await),
    }
}

/// Lets a task that failed or was cancelled run again: the same task, with its history.
///
/// # Errors
/// When there is no such task, it is not over or was done, or the store cannot be written.
pub async fn retry(shared: &Arc<Shared>, id: &str, actor: &str) -> Result<(), Trouble> {
    let audit = AuditEntry {
        at: shared.now(),
        actor: actor.to_owned(),
        verb: "retry".into(),
        object: id.to_owned(),
        reason: "asked for".into(),
        result: "ok".into(),
        before: None,
        after: None,
        revision: shared.revision_text(),
    };
    let (shared, id) = (Arc::clone(shared), id.to_owned());
    let retrying = tokio::spawn(async move {
        let open = shared.store.task_reopen(&id, audit).await;
        let open = match open {
            Ok(open) => open,
            Err(error @ (StoreError::NotFound { .. } | StoreError::Conflict { .. })) => {
                return Err(Trouble::Task(error.to_string()));
            }
            Err(error) => {
                shared.note_store(&Err::<(), _>(error.clone()));
                return Err(error.into());
            }
        };
        if let Some(key) = &open.object {
            shared.note_task(key, &id, fact::waiting(Some("a person lets it run again".into()), shared.now()));
        }
        hand_over(&shared, open.stored, open.object).await
    });
    retrying.await.map_err(|panic| Trouble::Task(format!("it broke off: {panic}")))?
}

/// Sends a task that is not over elsewhere: to a runtime, to a model, or, with neither, wherever the scheduler thinks best.
///
/// # Errors
/// When there is no such task, it is over, or the store cannot be written.
pub async fn reroute(
    shared: &Shared,
    id: &str,
    runtime: Option<Name>,
    model: Option<Name>,
    actor: &str,
) -> Result<(), Trouble> {
    let (asked, by) = (id.to_owned(), actor.to_owned());
    let answer = shared.inbox.ask(|reply| Message::Reroute { id: asked, runtime, model, by, reply }).await;
    match answer {
        Ok(()) => Ok(()),
        Err(refusal) => Err(explain(shared, id, refusal).await),
    }
}

/// A refusal in the words of what the store knows.
async fn explain(shared: &Shared, id: &str, refusal: super::dispatch::Refusal) -> Trouble {
    match shared.store.task(id).await {
        Ok(Some(row)) if row.state.is_final() => Trouble::Task(format!("{id} is over already: {}", row.state.as_str())),
        Ok(Some(_)) => Trouble::Refused(refusal),
        Ok(None) => Trouble::Task(format!("there is no task {id}")),
        Err(error) => error.into(),
    }
}

/// Waits until a task is over; at once when it is not in the queue.
pub async fn ended(shared: &Shared, id: &str) {
    let (reply, answer) = oneshot::channel();
    shared.inbox.send(Message::End { id: id.to_owned(), reply });
    // An error means that the program ends: there is nothing to wait for any more.
    drop(answer.await);
}
