//! Leases: asked for, granted, over. Each step once; the ones that are not over are taken up at the next start.

use rusqlite::params;

use crate::core::Timestamp;
use crate::decide::dispatch::{LeaseEnd, StoredLease};
use crate::decide::scheduler::{GpuId, LeaseRequest};

use super::audit::{self, AuditEntry};
use super::error::{Error, Trouble};
use super::handle::{Answer, Store};
use super::sql::{self, Columns};
use super::writer::Durability;

const WHAT: &str = "lease";

impl Store {
    /// The leases that are not over, in the order in which they were asked for.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn leases_open(&self) -> Result<Vec<StoredLease>, Error> {
        self.read(|conn| {
            let select = "SELECT id, gpus, holder, purpose, exclusive, vram_gb, force, priority, ttl_ms, state, actor
                FROM lease WHERE state IN ('waiting', 'held') ORDER BY asked_at, id";
            sql::all(conn, select, [], |row| {
                let mut columns = Columns::of(WHAT, row);
                let id: String = columns.get()?;
                let gpus: Vec<GpuId> = columns.json()?;
                let (holder, purpose, exclusive) = (columns.get()?, columns.get()?, columns.get()?);
                let (vram_gb, force, priority) = (columns.get()?, columns.get()?, columns.get()?);
                let (ttl_ms, state): (u64, String) = (columns.count()?, columns.get()?);
                let held = state == "held";
                let request = LeaseRequest {
                    id: id.into(),
                    gpus,
                    holder,
                    purpose,
                    exclusive,
                    vram_gb,
                    force,
                    priority,
                    ttl_ms,
                    held,
                };
                Ok(StoredLease { request, by: columns.get()? })
            })
        })
        .await
    }

    pub(super) async fn lease_ask(
        &self,
        lease: LeaseRequest,
        by: String,
        at: Timestamp,
        entry: Option<AuditEntry>,
    ) -> Result<Answer<()>, Error> {
        self.line_up(Durability::Synced, move |conn| {
            let insert = "INSERT INTO lease
                (id, gpus, holder, purpose, exclusive, vram_gb, force, priority, ttl_ms, actor, state, asked_at)
                VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, 'waiting', ?11) ON CONFLICT (id) DO NOTHING";
            let values = params![
                lease.id.as_ref(),
                sql::json(WHAT, &lease.gpus)?,
                lease.holder,
                lease.purpose,
                lease.exclusive,
                lease.vram_gb,
                lease.force,
                lease.priority,
                sql::int(WHAT, lease.ttl_ms)?,
                by,
                sql::time(at),
            ];
            expect(sql::change(conn, insert, values)?, &lease.id, "is there already")?;
            note(conn, entry.as_ref(), &lease.id, "asked")
        })
        .await
    }

    pub(super) async fn lease_grant(
        &self,
        id: String,
        at: Timestamp,
        entry: Option<AuditEntry>,
    ) -> Result<Answer<()>, Error> {
        self.line_up(Durability::Synced, move |conn| {
            let update = "UPDATE lease SET state = 'held', granted_at = ?2 WHERE id = ?1 AND state = 'waiting'";
            expect(sql::change(conn, update, params![id, sql::time(at)])?, &id, "does not wait")?;
            note(conn, entry.as_ref(), &id, "granted")
        })
        .await
    }

    pub(super) async fn lease_end(
        &self,
        id: String,
        end: LeaseEnd,
        at: Timestamp,
        entry: Option<AuditEntry>,
    ) -> Result<Answer<()>, Error> {
        self.line_up(Durability::Synced, move |conn| {
            let update = "UPDATE lease SET state = ?2, ended_at = ?3 WHERE id = ?1 AND state IN ('waiting', 'held')";
            let changed = sql::change(conn, update, params![id, end.as_str(), sql::time(at)])?;
            expect(changed, &id, "is over, or was never asked for")?;
            note(conn, entry.as_ref(), &id, "over")
        })
        .await
    }
}

fn expect(changed: usize, id: &str, state: &str) -> Result<(), Trouble> {
    if changed == 1 { Ok(()) } else { Err(Trouble::conflict(WHAT, id, state)) }
}

fn note(conn: &rusqlite::Connection, entry: Option<&AuditEntry>, id: &str, step: &str) -> Result<(), Trouble> {
    let entry = entry.ok_or_else(|| Trouble::value(WHAT, "a step leaves no audit entry"))?;
    audit::insert(conn, entry, Some(&format!("lease/{id}/{step}"))).map(drop)
}
