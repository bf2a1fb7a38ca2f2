//! What is in force: the applied revision and its objects, changed in one step, and the last rows of removed objects.

use rusqlite::{Connection, Row, params};

use crate::core::{ObjectKey, Timestamp};
use crate::declare::manifest::Place;

use super::audit::{self, AuditEntry};
use super::error::{Error, Trouble};
use super::handle::Store;
use super::inventory;
use super::row::{AppliedRow, InventoryRow, ObjectRow};
use super::sql::{self, Columns};

const WHAT: &str = "object";

/// An object that is no longer in force, and what becomes of what it made.
#[derive(Clone, Debug, PartialEq)]
pub struct Removal {
    pub key: ObjectKey,
    /// By when all that it made should be undone; none when that is left as it is and nobody answers for it any more.
    pub undo_by: Option<Timestamp>,
    /// What else it must stay for until it is gone: a runtime, for what others loaded on it.
    pub holds: Vec<InventoryRow>,
}

impl Store {
    /// Puts a revision in force: all of it or nothing, the beginning of deletions included. Removed objects that have
    /// something to undo, or for which an action is under way, are kept as [`Store::removed_objects`] until neither is so.
    /// An object that comes back is no longer being deleted.
    ///
    /// # Errors
    /// See [`Error`]; nothing has changed then.
    pub async fn apply_revision(
        &self,
        applied: AppliedRow,
        upserts: Vec<ObjectRow>,
        removed: Vec<Removal>,
        audits: Vec<AuditEntry>,
    ) -> Result<(), Error> {
        self.write(move |conn| {
            for object in &upserts {
                put(conn, object)?;
            }
            for removal in &removed {
                bury(conn, removal, applied.applied_at)?;
            }
            sweep(conn)?;
            audits.iter().try_for_each(|entry| audit::insert(conn, entry, None).map(drop))?;
            let revision = sql::json("revision", &applied.revision)?;
            let upsert = "INSERT INTO applied (one, revision, applied_at) VALUES (1, ?1, ?2)
                ON CONFLICT (one) DO UPDATE SET revision = excluded.revision, applied_at = excluded.applied_at";
            sql::change(conn, upsert, params![revision, sql::time(applied.applied_at)])?;
            Ok(())
        })
        .await
    }

    /// The revision in force; none before the first.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn applied(&self) -> Result<Option<AppliedRow>, Error> {
        self.read(applied).await
    }

    /// The objects in force, sorted by kind and name.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn objects(&self) -> Result<Vec<ObjectRow>, Error> {
        self.read(|conn| rows(conn, "object")).await
    }

    /// The last rows of objects that are no longer in force while what they made is still there, sorted likewise.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn removed_objects(&self) -> Result<Vec<ObjectRow>, Error> {
        self.read(|conn| rows(conn, "graveyard")).await
    }
}

fn put(conn: &Connection, object: &ObjectRow) -> Result<(), Trouble> {
    let key = object.key.to_string();
    let upsert = "INSERT OR REPLACE INTO object
        (key, path, line, text, digest, generation, asked_by, revision, standing)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    let values = params![
        key,
        &*object.place.path,
        object.place.line,
        object.text,
        object.digest.to_string(),
        sql::int(WHAT, object.generation)?,
        sql::opt_json(WHAT, object.asked_by.as_ref())?,
        sql::opt_json(WHAT, object.revision.as_ref())?,
        sql::json(WHAT, &object.standing)?,
    ];
    sql::change(conn, upsert, values)?;
    sql::change(conn, "DELETE FROM graveyard WHERE key = ?1", [&key])?;
    let revive = "UPDATE inventory SET deleting_since = NULL, deadline = NULL
        WHERE object = ?1 AND deleting_since IS NOT NULL";
    sql::change(conn, revive, [&key])?;
    Ok(())
}

/// Moves an object to the graveyard with all that it made marked as being deleted; [`sweep`] takes it from there when nothing
/// of it is left in the world. One whose things are left alone is forgotten at once, with its inventory.
fn bury(conn: &Connection, removal: &Removal, now: Timestamp) -> Result<(), Trouble> {
    let key = removal.key.to_string();
    match removal.undo_by {
        Some(deadline) => {
            sql::change(conn, "INSERT OR REPLACE INTO graveyard SELECT * FROM object WHERE key = ?1", [&key])?;
            removal.holds.iter().try_for_each(|held| inventory::add(conn, held))?;
            let mark = "UPDATE inventory SET deleting_since = ?2, deadline = ?3
                WHERE object = ?1 AND deleting_since IS NULL";
            sql::change(conn, mark, params![key, sql::time(now), sql::time(deadline)])?;
        }
        None => drop(sql::change(conn, "DELETE FROM inventory WHERE object = ?1", [&key])?),
    }
    sql::change(conn, "DELETE FROM object WHERE key = ?1", [&key])?;
    Ok(())
}

/// Forgets removed objects that have neither inventory nor an action under way.
pub(super) fn sweep(conn: &Connection) -> Result<(), Trouble> {
    let forget = "DELETE FROM graveyard WHERE key NOT IN (SELECT object FROM inventory)
        AND key NOT IN (SELECT object FROM journal WHERE state = 'open')";
    sql::change(conn, forget, [])?;
    Ok(())
}

/// The revision in force, read from a connection.
pub(super) fn applied(conn: &Connection) -> Result<Option<AppliedRow>, Trouble> {
    sql::first(conn, "SELECT revision, applied_at FROM applied", [], |row| {
        let mut columns = Columns::of("revision", row);
        Ok(AppliedRow { revision: columns.json()?, applied_at: columns.time()? })
    })
}

pub(super) fn rows(conn: &Connection, table: &str) -> Result<Vec<ObjectRow>, Trouble> {
    let select = format!(
        "SELECT key, path, line, text, digest, generation, asked_by, revision, standing FROM {table} ORDER BY key"
    );
    let mut objects = sql::all(conn, &select, [], object)?;
    objects.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(objects)
}

fn object(row: &Row<'_>) -> Result<ObjectRow, Trouble> {
    let mut columns = Columns::of(WHAT, row);
    Ok(ObjectRow {
        key: columns.key()?,
        place: Place { path: columns.get::<String>()?.into(), line: columns.count()? },
        text: columns.get()?,
        digest: columns.digest()?,
        generation: columns.count()?,
        asked_by: columns.opt_json()?,
        revision: columns.opt_json()?,
        standing: columns.json()?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{applied, at, audit, key, load, object, open, target};
    use super::*;
    use crate::remember::store::row::InventoryRow;
    use crate::remember::store::{AuditFilter, Effects, Page};

    /// A loaded model of `Loadout/desk`.
    fn thing() -> InventoryRow {
        let (deleting_since, deadline) = (None, None);
        InventoryRow {
            object: key("Loadout/desk"),
            target: target("qwen"),
            since: at(0),
            prunes: true,
            deleting_since,
            deadline,
        }
    }

    async fn loaded(store: &Store) {
        store.apply_revision(applied(1), vec![object("Loadout/desk", 1)], Vec::new(), Vec::new()).await.unwrap();
        let row = store.journal_begin(load("Loadout/desk", "qwen")).await.unwrap();
        let effects = Effects { inventory_add: vec![thing()], ..Effects::default() };
        store.journal_finish(&row.id, Ok(()), effects, audit("load", "Loadout/desk")).await.unwrap();
    }

    fn gone(undo_by: Option<Timestamp>) -> Removal {
        Removal { key: key("Loadout/desk"), undo_by, holds: Vec::new() }
    }

    #[tokio::test]
    async fn a_revision_is_in_force_as_a_whole() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        assert_eq!(store.applied().await.unwrap(), None);
        let upserts = vec![object("Model/qwen", 1), object("Loadout/desk", 2)];
        let audits = vec![audit("apply", "Model/qwen"), audit("apply", "Loadout/desk")];
        store.apply_revision(applied(1), upserts, Vec::new(), audits).await.unwrap();
        store
            .apply_revision(applied(2), vec![object("Model/qwen", 2)], vec![gone(Some(at(65)))], Vec::new())
            .await
            .unwrap();
        assert_eq!(store.applied().await.unwrap(), Some(applied(2)));
        assert_eq!(store.objects().await.unwrap(), [object("Model/qwen", 2)]);
        assert!(store.removed_objects().await.unwrap().is_empty(), "it left nothing behind");
        assert_eq!(store.audit_list(AuditFilter::default(), Page::default()).await.unwrap().items.len(), 2);
    }

    #[tokio::test]
    async fn a_removed_object_is_remembered_until_its_inventory_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        loaded(&store).await;
        store.apply_revision(applied(2), Vec::new(), vec![gone(Some(at(65)))], Vec::new()).await.unwrap();
        assert!(store.objects().await.unwrap().is_empty());
        assert_eq!(store.removed_objects().await.unwrap(), [object("Loadout/desk", 1)]);
        let row = store.inventory().await.unwrap().remove(0);
        assert_eq!((row.deleting_since, row.deadline), (Some(applied(2).applied_at), Some(at(65))));
        assert!(store.drop_inventory(key("Loadout/desk"), target("qwen")).await.unwrap());
        assert!(store.removed_objects().await.unwrap().is_empty());
        assert!(!store.drop_inventory(key("Loadout/desk"), target("qwen")).await.unwrap());
    }

    #[tokio::test]
    async fn what_a_removed_object_made_is_left_alone_where_it_says_so_and_forgotten_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        loaded(&store).await;
        let begun = store.journal_begin(load("Loadout/desk", "llama")).await.unwrap();
        store.apply_revision(applied(2), Vec::new(), vec![gone(None)], Vec::new()).await.unwrap();
        assert!(store.objects().await.unwrap().is_empty());
        assert!(store.removed_objects().await.unwrap().is_empty());
        assert!(store.inventory().await.unwrap().is_empty());
        store.journal_abandon(&begun.id, "nobody answers for it").await.unwrap();
    }

    #[tokio::test]
    async fn a_removed_object_stays_for_what_it_is_made_to_hold() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        let runtime = InventoryRow { object: key("Runtime/swap"), ..thing() };
        store.apply_revision(applied(1), vec![object("Runtime/swap", 1)], Vec::new(), Vec::new()).await.unwrap();
        let removal = Removal { key: key("Runtime/swap"), undo_by: Some(at(65)), holds: vec![runtime] };
        store.apply_revision(applied(2), Vec::new(), vec![removal], Vec::new()).await.unwrap();
        assert_eq!(store.removed_objects().await.unwrap(), [object("Runtime/swap", 1)]);
        assert_eq!(store.inventory().await.unwrap()[0].deadline, Some(at(65)));
        store.drop_inventory(key("Runtime/swap"), target("qwen")).await.unwrap();
        assert!(store.removed_objects().await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn an_object_that_comes_back_is_no_longer_being_deleted() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        loaded(&store).await;
        store.apply_revision(applied(2), Vec::new(), vec![gone(Some(at(65)))], Vec::new()).await.unwrap();
        store.apply_revision(applied(3), vec![object("Loadout/desk", 2)], Vec::new(), Vec::new()).await.unwrap();
        assert!(store.removed_objects().await.unwrap().is_empty());
        assert_eq!(store.inventory().await.unwrap(), [thing()]);
    }

    #[tokio::test]
    async fn an_object_removed_while_it_is_being_loaded_is_remembered_until_that_has_ended() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        store.apply_revision(applied(1), vec![object("Loadout/desk", 1)], Vec::new(), Vec::new()).await.unwrap();
        let row = store.journal_begin(load("Loadout/desk", "qwen")).await.unwrap();
        store.apply_revision(applied(2), Vec::new(), vec![gone(Some(at(65)))], Vec::new()).await.unwrap();
        assert_eq!(store.removed_objects().await.unwrap().len(), 1);
        store.journal_abandon(&row.id, "a new generation").await.unwrap();
        assert!(store.removed_objects().await.unwrap().is_empty());
    }
}
