//! The inventory: what objects made in the world and must be undone when they go. It takes the place of finalizers.

use rusqlite::{Connection, params};

use crate::core::ObjectKey;

use super::error::{Error, Trouble};
use super::handle::Store;
use super::revision;
use super::row::InventoryRow;
use super::sql::{self, Columns};

impl Store {
    /// Everything that objects made, sorted by object and target.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn inventory(&self) -> Result<Vec<InventoryRow>, Error> {
        self.read(|conn| {
            let select = "SELECT object, target, since, prunes, deleting_since, deadline FROM inventory";
            let mut rows = sql::all(conn, select, [], |row| {
                let mut columns = Columns::of("inventory", row);
                Ok(InventoryRow {
                    object: columns.key()?,
                    target: columns.get()?,
                    since: columns.time()?,
                    prunes: columns.get()?,
                    deleting_since: columns.opt_time()?,
                    deadline: columns.opt_time()?,
                })
            })?;
            rows.sort_by(|a, b| (&a.object, &a.target).cmp(&(&b.object, &b.target)));
            Ok(rows)
        })
        .await
    }

    /// Adds an entry without an action, because what an object asks for was there already: it answers for it from now
    /// on.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn adopt(&self, row: InventoryRow) -> Result<(), Error> {
        self.write(move |conn| add(conn, &row)).await
    }

    /// Forgets an entry without an action, because the thing was seen to be gone. False when there was none.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn drop_inventory(&self, object: ObjectKey, target: String) -> Result<bool, Error> {
        self.write(move |conn| {
            let dropped = remove(conn, &object, &target)?;
            revision::sweep(conn)?;
            Ok(dropped)
        })
        .await
    }
}

/// Adds an entry, or takes `prunes` from the new one where there is one already.
pub(super) fn add(conn: &Connection, row: &InventoryRow) -> Result<(), Trouble> {
    let upsert = "INSERT INTO inventory (object, target, since, prunes, deleting_since, deadline)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (object, target) DO UPDATE SET prunes = excluded.prunes";
    let values = params![
        row.object.to_string(),
        row.target,
        sql::time(row.since),
        row.prunes,
        row.deleting_since.map(sql::time),
        row.deadline.map(sql::time),
    ];
    sql::change(conn, upsert, values)?;
    Ok(())
}

pub(super) fn remove(conn: &Connection, object: &ObjectKey, target: &str) -> Result<bool, Trouble> {
    let delete = "DELETE FROM inventory WHERE object = ?1 AND target = ?2";
    Ok(sql::change(conn, delete, params![object.to_string(), target])? > 0)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{at, key, open, target};
    use super::*;

    #[tokio::test]
    async fn what_is_adopted_twice_is_held_once_since_the_first_time_with_the_newest_word_on_pruning() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        let row = |since, prunes| InventoryRow {
            object: key("Loadout/desk"),
            target: target("qwen"),
            since: at(since),
            prunes,
            deleting_since: None,
            deadline: None,
        };
        store.adopt(row(1, true)).await.unwrap();
        store.adopt(row(9, false)).await.unwrap();
        assert_eq!(store.inventory().await.unwrap(), [row(1, false)]);
        assert!(store.drop_inventory(key("Loadout/desk"), target("qwen")).await.unwrap());
        assert!(store.inventory().await.unwrap().is_empty());
    }
}
