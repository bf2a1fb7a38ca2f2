//! What is kept for people to read of scheduling: why tasks wait, and who held a GPU when. Losing the newest is no harm.

use rusqlite::{Connection, params};

use crate::decide::dispatch::{Note, SpanKind, op};
use crate::decide::scheduler::Moment;
use crate::declare::manifest::kind::task::OneOrMany;

use super::error::{Error, Trouble};
use super::handle::Store;
use super::lock::{self, LockChange};
use super::row::{LockKind, LockSpanRow, TaskState, Why};
use super::sql;
use super::task;

impl Store {
    /// Keeps notes, in one step.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn save_dispatch_notes(&self, notes: Vec<Note>, now: Moment) -> Result<(), Error> {
        self.write_relaxed(move |conn| {
            let mut spans = false;
            for note in &notes {
                spans |= matches!(note, Note::SpanBegan { .. });
                keep(conn, note, now)?;
            }
            if spans { lock::trim(conn) } else { Ok(()) }
        })
        .await
    }
}

fn keep(conn: &Connection, note: &Note, now: Moment) -> Result<(), Trouble> {
    match note {
        Note::Why { id, reason, .. } => {
            let state = if op::blocks(reason) { TaskState::Blocked } else { TaskState::Queued };
            let view = reason.view(now);
            let why = Why { reason: view.reason.to_owned(), message: view.message, clears_at: view.clears_at };
            let update = "UPDATE task SET state = ?2, why = ?3 WHERE id = ?1 AND state IN ('queued', 'blocked')";
            sql::change(conn, update, params![id.as_ref(), state.as_str(), sql::json(task::WHAT, &why)?]).map(drop)
        }
        Note::SpanBegan { gpu, kind, holder, since } => {
            let began = LockSpanRow {
                host: gpu.host.clone(),
                gpu: gpu.gpu.clone(),
                kind: kind_of(*kind),
                holder: holder.to_string(),
                what: what(conn, *kind, holder)?,
                since: *since,
                until: None,
            };
            lock::apply(conn, &LockChange::Began(began))
        }
        Note::SpanEnded { gpu, kind, holder, until } => {
            let (host, gpu, holder) = (gpu.host.clone(), gpu.gpu.clone(), holder.to_string());
            lock::apply(conn, &LockChange::Ended { host, gpu, kind: kind_of(*kind), holder, at: *until })
        }
    }
}

fn kind_of(kind: SpanKind) -> LockKind {
    match kind {
        SpanKind::Shared => LockKind::Shared,
        SpanKind::Draining => LockKind::Draining,
        SpanKind::Exclusive => LockKind::Exclusive,
        SpanKind::Lease => LockKind::Lease,
    }
}

/// What a holder does: a task's capability, a lease's purpose. Nothing is said of one that is not there.
fn what(conn: &Connection, kind: SpanKind, holder: &str) -> Result<String, Trouble> {
    let purpose = |conn: &Connection| {
        sql::first(conn, "SELECT purpose FROM lease WHERE id = ?1", [holder], |row| Ok(row.get::<_, String>(0)?))
    };
    let found = match kind {
        SpanKind::Lease => purpose(conn)?,
        SpanKind::Shared | SpanKind::Draining | SpanKind::Exclusive => {
            match capability(conn, holder)? {
                // A lease drains too.
                None => purpose(conn)?,
                capability => capability,
            }
        }
    };
    Ok(found.unwrap_or_default())
}

/// A task's capabilities. Only they are read: the inputs beside them may be long.
fn capability(conn: &Connection, id: &str) -> Result<Option<String>, Trouble> {
    let select = "SELECT json_extract(spec, '$.capability') FROM task WHERE id = ?1";
    let found = sql::first(conn, select, [id], |row| Ok(row.get::<_, String>(0)?))?;
    // One is a bare word, a list is JSON.
    Ok(found.map(|text| serde_json::from_str::<OneOrMany>(&text).map_or(text, |many| many.0.join(" > "))))
}
