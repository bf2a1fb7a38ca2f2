//! How tasks come into the queue, from Git or from a person, and how they are taken back.
//!
//! A task is written to the store before anybody is told that it was accepted, and known by one id for ever.

use std::sync::Arc;

use crate::core::{Digest, ObjectKey};
use crate::decide::reconcile::inputs::TaskPhase;
use crate::declare::manifest::Spec;
use crate::declare::manifest::kind::task::TaskSpec;
use crate::remember::store::AuditEntry;
use crate::remember::store::row::{TaskRow, TaskState};

use super::carry_out::Trouble;
use super::queue::{audit_of, fact_of, note_fact};
use super::shared::Shared;

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
    accept(shared, id.to_owned(), spec, Some(key.clone()), object.revision.clone(), actor, None).await?;
    Ok(())
}

/// Accepts a task from a person or a script. Repeating an `idempotency_key` returns the first task.
///
/// # Errors
/// When the store cannot be written.
pub async fn submit(shared: &Arc<Shared>, spec: TaskSpec, actor: String) -> Result<TaskRow, Trouble> {
    let now = shared.now();
    let nonce = shared.next_nonce();
    let text = serde_json::to_string(&spec).unwrap_or_default();
    let digest = Digest::of(format!("{text}\n{now}\n{nonce}\n{actor}").as_bytes());
    let id = format!("task-{}", &digest.hex()[..16]);
    let revision = shared.memory().world.revision.clone();
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
    accept(shared, id, spec, None, revision, actor, Some(audit)).await
}

async fn accept(
    shared: &Arc<Shared>,
    id: String,
    spec: TaskSpec,
    object: Option<ObjectKey>,
    revision: Option<crate::core::Revision>,
    actor: String,
    audit: Option<AuditEntry>,
) -> Result<TaskRow, Trouble> {
    let row = TaskRow {
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
    };
    let added = match audit {
        Some(audit) => shared.store.task_submit(row, audit).await,
        None => shared.store.task_add(row).await,
    };
    shared.note_store(&added);
    let added = added?;
    if added.new {
        shared.tasks.add(added.row.clone());
        note_fact(shared, &added.row, TaskPhase::Waiting, None);
        shared.queue.notify_one();
    } else if let Some(fact) = fact_of(&added.row) {
        shared.note_task(&added.row, fact);
    }
    shared.touch();
    Ok(added.row)
}

/// Cancels a task: taken out of the queue while it waits, stopped in its runtime while it runs.
///
/// # Errors
/// When there is no such task, it is over, or the store cannot be written.
pub async fn cancel(shared: &Arc<Shared>, id: &str, actor: &str, reason: &str) -> Result<(), Trouble> {
    if let Some(row) = shared.tasks.waiting(id) {
        let mut audit = audit_of(shared, &row, "cancel", reason);
        actor.clone_into(&mut audit.actor);
        let result = shared.store.task_cancel(id, shared.now(), actor, audit).await;
        shared.note_store(&result);
        result?;
        shared.tasks.take(&row);
        note_fact(shared, &row, TaskPhase::Cancelled, Some(format!("cancelled by {actor}")));
        shared.queue.notify_one();
        shared.touch();
        return Ok(());
    }
    if let Some(token) = shared.tasks.running(id) {
        token.cancel();
        return Ok(());
    }
    match shared.store.task(id).await? {
        Some(row) => Err(Trouble::Task(format!("{id} is over already: {}", row.state.as_str()))),
        None => Err(Trouble::Task(format!("there is no task {id}"))),
    }
}
