//! Small opaque values: drift histories by object, last observations by runtime, and settings of the program itself.
//! Their JSON belongs to those who keep it here; losing the newest with the power is no harm.

use std::collections::BTreeMap;

use rusqlite::params;

use crate::core::{Name, ObjectKey};

use super::error::{Error, Trouble};
use super::handle::Store;
use super::sql::{self, Columns};

/// The longest value in bytes.
const VALUE_BYTES_MAX: usize = 4 << 20;

impl Store {
    /// Every object's history.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn histories(&self) -> Result<BTreeMap<ObjectKey, String>, Error> {
        self.read(|conn| {
            let rows = sql::all(conn, "SELECT key, json FROM history", [], |row| {
                let mut columns = Columns::of("history", row);
                Ok((columns.key()?, columns.get()?))
            })?;
            Ok(rows.into_iter().collect())
        })
        .await
    }

    /// Keeps an object's history.
    ///
    /// # Errors
    /// [`Error::TooLarge`]; else see [`Error`].
    pub async fn save_history(&self, key: ObjectKey, json: String) -> Result<(), Error> {
        bounded("a history", &json)?;
        self.write_relaxed(move |conn| {
            let upsert = "INSERT INTO history (key, json) VALUES (?1, ?2)
                ON CONFLICT (key) DO UPDATE SET json = excluded.json";
            sql::change(conn, upsert, params![key.to_string(), json]).map(drop)
        })
        .await
    }

    /// Keeps or forgets (`None`) the histories of many objects and keeps observations of runtimes, in one step: what is
    /// noted of a burst of changes.
    ///
    /// # Errors
    /// [`Error::TooLarge`]; else see [`Error`].
    pub async fn save_notes(
        &self,
        histories: Vec<(ObjectKey, Option<String>)>,
        observations: BTreeMap<Name, String>,
    ) -> Result<(), Error> {
        histories.iter().filter_map(|(_, json)| json.as_ref()).try_for_each(|json| bounded("a history", json))?;
        observations.values().try_for_each(|json| bounded("an observation", json))?;
        self.write_relaxed(move |conn| {
            let keep = "INSERT INTO history (key, json) VALUES (?1, ?2)
                ON CONFLICT (key) DO UPDATE SET json = excluded.json";
            for (key, json) in &histories {
                match json {
                    Some(json) => sql::change(conn, keep, params![key.to_string(), json])?,
                    None => sql::change(conn, "DELETE FROM history WHERE key = ?1", [key.to_string()])?,
                };
            }
            let keep = "INSERT INTO observation (runtime, json) VALUES (?1, ?2)
                ON CONFLICT (runtime) DO UPDATE SET json = excluded.json";
            for (runtime, json) in &observations {
                sql::change(conn, keep, params![runtime.as_str(), json])?;
            }
            Ok(())
        })
        .await
    }

    /// Forgets an object's history. There being none is fine.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn forget_history(&self, key: ObjectKey) -> Result<(), Error> {
        self.write_relaxed(move |conn| {
            sql::change(conn, "DELETE FROM history WHERE key = ?1", [key.to_string()]).map(drop)
        })
        .await
    }

    /// The last observation of every runtime.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn observations(&self) -> Result<BTreeMap<Name, String>, Error> {
        self.read(|conn| {
            let rows = sql::all(conn, "SELECT runtime, json FROM observation", [], |row| {
                let mut columns = Columns::of("observation", row);
                let runtime = columns.opt_name()?;
                let runtime = runtime.ok_or_else(|| Trouble::value("observation", "a runtime's name is missing"))?;
                Ok((runtime, columns.get()?))
            })?;
            Ok(rows.into_iter().collect())
        })
        .await
    }

    /// Keeps the last observation of a runtime.
    ///
    /// # Errors
    /// [`Error::TooLarge`]; else see [`Error`].
    pub async fn save_observation(&self, runtime: Name, json: String) -> Result<(), Error> {
        bounded("an observation", &json)?;
        self.write_relaxed(move |conn| {
            let upsert = "INSERT INTO observation (runtime, json) VALUES (?1, ?2)
                ON CONFLICT (runtime) DO UPDATE SET json = excluded.json";
            sql::change(conn, upsert, params![runtime.as_str(), json]).map(drop)
        })
        .await
    }

    /// A small value kept under a key of the program's own.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn meta_get(&self, key: &str) -> Result<Option<String>, Error> {
        let key = key.to_owned();
        self.read(move |conn| sql::first(conn, "SELECT value FROM meta WHERE key = ?1", [key], |row| Ok(row.get(0)?)))
            .await
    }

    /// Keeps a small value. Unlike histories it is on disk when this returns.
    ///
    /// # Errors
    /// [`Error::TooLarge`]; else see [`Error`].
    pub async fn meta_set(&self, key: &str, value: &str) -> Result<(), Error> {
        bounded("a value", value)?;
        let (key, value) = (key.to_owned(), value.to_owned());
        self.write(move |conn| {
            let upsert = "INSERT INTO meta (key, value) VALUES (?1, ?2)
                ON CONFLICT (key) DO UPDATE SET value = excluded.value";
            sql::change(conn, upsert, params![key, value]).map(drop)
        })
        .await
    }
}

fn bounded(what: &'static str, value: &str) -> Result<(), Error> {
    if value.len() > VALUE_BYTES_MAX {
        return Err(Error::TooLarge { what, found: value.len(), max: VALUE_BYTES_MAX });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{key, name, open};
    use super::*;

    #[tokio::test]
    async fn notes_are_kept_and_forgotten_together_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        let (desk, side) = (key("Loadout/desk"), key("Loadout/side"));
        let seen = BTreeMap::from([(name("swap"), "seen".to_owned())]);
        let both = vec![(desk.clone(), Some("a".to_owned())), (side.clone(), Some("b".to_owned()))];
        store.save_notes(both, seen.clone()).await.unwrap();
        store
            .save_notes(vec![(desk.clone(), None), (side.clone(), Some("c".to_owned()))], BTreeMap::new())
            .await
            .unwrap();
        let kept = BTreeMap::from([(side.clone(), "c".to_owned())]);
        assert_eq!(
            (store.histories().await.unwrap(), store.observations().await.unwrap()),
            (kept.clone(), seen.clone())
        );

        let long = "x".repeat(VALUE_BYTES_MAX + 1);
        let refused = store.save_notes(vec![(desk, Some("d".to_owned())), (side, Some(long))], BTreeMap::new()).await;
        assert!(matches!(refused, Err(Error::TooLarge { what: "a history", .. })), "{refused:?}");
        assert_eq!((store.histories().await.unwrap(), store.observations().await.unwrap()), (kept, seen));
    }
}
