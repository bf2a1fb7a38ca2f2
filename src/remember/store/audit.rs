//! The audit: who did what, when and why, one entry a mutation. Entries are added and never changed.

use rusqlite::types::Value;
use rusqlite::{Connection, Row, params, params_from_iter};

use crate::core::Timestamp;

use super::error::{Error, Trouble};
use super::handle::Store;
use super::page::{List, Listing, Page, Window};
use super::row::AuditRow;
use super::sql::{self, Columns};

/// An entry to be made; the store gives it its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    pub at: Timestamp,
    /// `commit AUTHOR`, `uid 1000 (pid 4711)`, or `arcology`.
    pub actor: String,
    /// `apply`, `load`, `unload`, `submit`, `reconcile`…
    pub verb: String,
    /// What it was done to, such as `Loadout/desk` or `task-…`.
    pub object: String,
    pub reason: String,
    /// `ok`, or the error.
    pub result: String,
    pub before: Option<String>,
    pub after: Option<String>,
    /// `main@sha1:…` in force at that time.
    pub revision: Option<String>,
}

/// Which entries are wanted; what is absent does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    pub object: Option<String>,
    pub actor: Option<String>,
    pub verb: Option<String>,
}

impl Store {
    /// Makes an entry for a mutation that the store itself does not see, and says its number.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn audit(&self, entry: AuditEntry) -> Result<i64, Error> {
        self.write(move |conn| insert(conn, &entry, None)).await
    }

    /// Entries, newest first.
    ///
    /// # Errors
    /// [`Error::BadCursor`]; else see [`Error`].
    pub async fn audit_list(&self, filter: AuditFilter, page: Page) -> Result<Listing<AuditRow>, Error> {
        let window = Window::of(List::Audit, &page)?;
        self.read(move |conn| {
            let (query, values) = query(&filter, window);
            let rows =
                sql::all(conn, &query, params_from_iter(values), |row| read(row).map(|entry| (entry.seq, entry)))?;
            Ok(window.listing(rows))
        })
        .await
    }
}

/// Adds an entry. `cause` names the mutation; a second entry for the same cause is refused by the database.
pub(super) fn insert(conn: &Connection, entry: &AuditEntry, cause: Option<&str>) -> Result<i64, Trouble> {
    let insert = "INSERT INTO audit (at, actor, verb, object, reason, result, before, after, revision, cause)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    let values = params![
        sql::time(entry.at),
        entry.actor,
        entry.verb,
        entry.object,
        entry.reason,
        entry.result,
        entry.before,
        entry.after,
        entry.revision,
        cause,
    ];
    sql::change(conn, insert, values)?;
    Ok(conn.last_insert_rowid())
}

/// The index of the first filter that is given finds the rows, the others only thin them out: a `+` keeps SQLite from
/// choosing another index and sorting.
pub(super) fn query(filter: &AuditFilter, window: Window) -> (String, Vec<Value>) {
    let mut query =
        "SELECT seq, at, actor, verb, object, reason, result, before, after, revision FROM audit WHERE seq < ?"
            .to_owned();
    let mut values = vec![Value::from(window.before)];
    let given = [("object", &filter.object), ("actor", &filter.actor), ("verb", &filter.verb)];
    for (column, wanted) in given {
        if let Some(wanted) = wanted {
            let plus = if values.len() == 1 { "" } else { "+" };
            query.push_str(&format!(" AND {plus}{column} = ?"));
            values.push(Value::from(wanted.clone()));
        }
    }
    query.push_str(" ORDER BY seq DESC LIMIT ?");
    values.push(Value::from(window.fetch()));
    (query, values)
}

fn read(row: &Row<'_>) -> Result<AuditRow, Trouble> {
    let mut columns = Columns::of("audit entry", row);
    Ok(AuditRow {
        seq: columns.get()?,
        at: columns.time()?,
        actor: columns.get()?,
        verb: columns.get()?,
        object: columns.get()?,
        reason: columns.get()?,
        result: columns.get()?,
        before: columns.get()?,
        after: columns.get()?,
        revision: columns.get()?,
    })
}
