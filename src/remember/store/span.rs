//! What is kept for people to read of scheduling: why tasks wait, and who held a GPU when. Losing the newest is no harm.

use rusqlite::{Connection, params};

use crate::core::Timestamp;
use crate::decide::dispatch::{Note, op};
use crate::decide::scheduler::{GpuId, Moment};

use super::error::{Error, Trouble};
use super::handle::Store;
use super::row::{LockSpanRow, TaskState, Why};
use super::sql::{self, Columns};
use super::task;

/// How many spans are kept: the newest.
pub const SPANS_MAX: i64 = 10_000;
/// How many are given out at once.
const SPANS_PAGE: u32 = 2_000;

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
            if spans {
                let drop_old = "DELETE FROM lock_span WHERE seq <= (SELECT max(seq) FROM lock_span) - ?1";
                sql::change(conn, drop_old, [SPANS_MAX])?;
            }
            Ok(())
        })
        .await
    }

    /// Ends the spans that stood open when the program ended, for which nobody knows better than "until then at most".
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn close_lock_spans(&self, until: Timestamp) -> Result<usize, Error> {
        self.write_relaxed(move |conn| {
            sql::change(conn, "UPDATE lock_span SET until = max(since, ?1) WHERE until IS NULL", [sql::time(until)])
        })
        .await
    }

    /// Who held a GPU since `since`, or still does; the newest first, at most 2,000.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn lock_spans(&self, gpu: &GpuId, since: Timestamp) -> Result<Vec<LockSpanRow>, Error> {
        let gpu = gpu.to_string();
        self.read(move |conn| {
            let select = "SELECT gpu, kind, holder, since, until FROM lock_span
                WHERE gpu = ?1 AND (until IS NULL OR until >= ?2) ORDER BY seq DESC LIMIT ?3";
            sql::all(conn, select, params![gpu, sql::time(since), SPANS_PAGE], |row| {
                let mut columns = Columns::of("lock span", row);
                Ok(LockSpanRow {
                    gpu: columns.get()?,
                    kind: columns.get()?,
                    holder: columns.get()?,
                    since: columns.time()?,
                    until: columns.opt_time()?,
                })
            })
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
            let insert = "INSERT INTO lock_span (gpu, kind, holder, since) VALUES (?1, ?2, ?3, ?4)";
            sql::change(conn, insert, params![gpu.to_string(), kind.as_str(), holder.as_ref(), sql::time(*since)])
                .map(drop)
        }
        Note::SpanEnded { gpu, kind, holder, until } => {
            let update = "UPDATE lock_span SET until = max(since, ?4)
                WHERE gpu = ?1 AND holder = ?3 AND kind = ?2 AND until IS NULL";
            sql::change(conn, update, params![gpu.to_string(), kind.as_str(), holder.as_ref(), sql::time(*until)])
                .map(drop)
        }
    }
}
