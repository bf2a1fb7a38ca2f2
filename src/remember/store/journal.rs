//! The journal: the intent before every external action, the result after it, and what it changed.
//!
//! An action is begun, then finished or abandoned, each in one step with its audit entry. What stands open after a start
//! was under way when the program ended; whether it happened is for an observation to tell.

use std::collections::BTreeMap;

use rusqlite::{Connection, Row, params};

use crate::core::{Digest, Name, ObjectKey, Timestamp};
use crate::decide::reconcile::Target;

use super::audit::{self, AuditEntry};
use super::error::{Error, Trouble};
use super::handle::Store;
use super::row::{InventoryRow, JournalRow, JournalState};
use super::sql::{self, Columns};
use super::{inventory, revision};

/// How many of the newest loads are looked at for how long a load takes.
const LOAD_DURATIONS_MAX: u32 = 64;
/// How many entries of the journal are given out at once.
const JOURNAL_ROWS_MAX: u32 = 1_000;
/// The id's length in hex digits.
const ID_DIGITS: usize = 16;

const WHAT: &str = "journal entry";
const COLUMNS: &str = "id, object, verb, target, reason, revision, started_at, state, finished_at, result";

/// What is about to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewIntent {
    pub object: ObjectKey,
    /// A word of `decide::reconcile::Verb`.
    pub verb: String,
    /// JSON of `decide::reconcile::Target`.
    pub target: String,
    pub reason: String,
    /// `main@sha1:…` in force.
    pub revision: Option<String>,
}

/// What a finished action changed in the inventory.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Effects {
    pub inventory_add: Vec<InventoryRow>,
    /// Object and target. What is not there is no error.
    pub inventory_remove: Vec<(ObjectKey, String)>,
}

impl Store {
    /// Notes that an action is about to be taken. When the same one (object, verb, target) stands open already, that
    /// one is returned and nothing is added.
    ///
    /// # Errors
    /// See [`Error`]; the action must not be taken then.
    pub async fn journal_begin(&self, intent: NewIntent) -> Result<JournalRow, Error> {
        let now = self.now();
        self.write(move |conn| begin(conn, &intent, now)).await
    }

    /// Notes how an action ended and what it changed, with its audit entry, in one step.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an unknown id, [`Error::Conflict`] when it has ended before; else see [`Error`].
    pub async fn journal_finish(
        &self,
        id: &str,
        result: Result<(), String>,
        effects: Effects,
        audit: AuditEntry,
    ) -> Result<JournalRow, Error> {
        let (id, now) = (id.to_owned(), self.now());
        self.write(move |conn| {
            finish(conn, &id, &result, &effects, &audit, now)?;
            existing(conn, &id)
        })
        .await
    }

    /// Gives up an action whose outcome nobody will report: overtaken by a restart or a new generation. Since it may
    /// have happened, it leaves an audit entry all the same.
    ///
    /// # Errors
    /// As [`Store::journal_finish`].
    pub async fn journal_abandon(&self, id: &str, why: &str) -> Result<JournalRow, Error> {
        let (id, why, now) = (id.to_owned(), why.to_owned(), self.now());
        self.write(move |conn| {
            end(conn, &id, "abandoned", Some(&why), now)?;
            let row = existing(conn, &id)?;
            revision::sweep(conn)?;
            let entry = AuditEntry {
                at: now,
                actor: "arcology".to_owned(),
                verb: row.verb.clone(),
                object: row.object.to_string(),
                reason: row.reason.clone(),
                result: format!("abandoned: {why}"),
                before: None,
                after: None,
                revision: row.revision.clone(),
            };
            audit::insert(conn, &entry, Some(&cause(&id)))?;
            Ok(row)
        })
        .await
    }

    /// The actions under way, oldest first.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn journal_open(&self) -> Result<Vec<JournalRow>, Error> {
        self.read(|conn| {
            let select = format!("SELECT {COLUMNS} FROM journal WHERE state = 'open' ORDER BY seq");
            sql::all(conn, &select, [], read)
        })
        .await
    }

    /// The newest actions, newest first; at most 1,000.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn journal(&self, limit: u32) -> Result<Vec<JournalRow>, Error> {
        let limit = limit.min(JOURNAL_ROWS_MAX);
        self.read(move |conn| {
            let select = format!("SELECT {COLUMNS} FROM journal ORDER BY seq DESC LIMIT ?1");
            sql::all(conn, &select, [limit], read)
        })
        .await
    }

    /// How many milliseconds the newest loads of a model on a runtime took, newest first; at most 64. `served_as` is the
    /// runtime's own name for it.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn load_durations(&self, runtime: &Name, served_as: &str) -> Result<Vec<u64>, Error> {
        let (runtime, served_as) = (runtime.clone(), served_as.to_owned());
        self.read(move |conn| {
            sql::all(conn, LOAD_DURATIONS, params![runtime.as_str(), served_as, LOAD_DURATIONS_MAX], |row| {
                let mut columns = Columns::of(WHAT, row);
                let (started, finished) = (columns.time()?, columns.time()?);
                Ok(crate::core::clock::millis_since(started, finished))
            })
        })
        .await
    }
}

impl Store {
    /// How many milliseconds the newest loads took, for every runtime and model, newest first: what a start reads once.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn load_durations_all(&self) -> Result<BTreeMap<(Name, String), Vec<u64>>, Error> {
        self.read(|conn| {
            let select = "SELECT runtime, served_as, started_at, finished_at FROM journal
                WHERE verb = 'load' AND state = 'done' AND runtime IS NOT NULL ORDER BY seq DESC LIMIT ?1";
            let rows = sql::all(conn, select, [LOAD_DURATIONS_ALL_MAX], |row| {
                let mut columns = Columns::of(WHAT, row);
                let (runtime, served_as): (Option<Name>, String) = (columns.opt_name()?, columns.get()?);
                let (started, finished) = (columns.time()?, columns.time()?);
                Ok((runtime, served_as, crate::core::clock::millis_since(started, finished)))
            })?;
            let mut all: BTreeMap<(Name, String), Vec<u64>> = BTreeMap::new();
            for (runtime, served_as, millis) in rows {
                let Some(runtime) = runtime else { continue };
                let durations = all.entry((runtime, served_as)).or_default();
                if durations.len() < LOAD_DURATIONS_MAX as usize {
                    durations.push(millis);
                }
            }
            Ok(all)
        })
        .await
    }
}

/// How many loads a start looks at to learn how long they take.
const LOAD_DURATIONS_ALL_MAX: u32 = 20_000;

/// Kept whole for the test that looks at its plan.
pub(super) const LOAD_DURATIONS: &str = "SELECT started_at, finished_at FROM journal
    WHERE runtime = ?1 AND served_as = ?2 AND verb = 'load' AND state = 'done' ORDER BY seq DESC LIMIT ?3";

/// The id of the action of an object that stands open.
pub(super) fn open_id(conn: &Connection, object: &ObjectKey, verb: &str, target: &str) -> Result<String, Trouble> {
    let select = "SELECT id FROM journal WHERE object = ?1 AND verb = ?2 AND target = ?3 AND state = 'open'";
    let found =
        sql::first(conn, select, params![object.to_string(), verb, target], |row| Ok(row.get::<_, String>(0)?))?;
    found.ok_or_else(|| Trouble::not_found(WHAT, &format!("{verb} {target}")))
}

/// Ends an action with what it changed and its audit entry.
pub(super) fn finish(
    conn: &Connection,
    id: &str,
    result: &Result<(), String>,
    effects: &Effects,
    audit: &AuditEntry,
    now: Timestamp,
) -> Result<(), Trouble> {
    let (state, error) = match result {
        Ok(()) => ("done", None),
        Err(error) => ("failed", Some(error.as_str())),
    };
    end(conn, id, state, error, now)?;
    effects.inventory_add.iter().try_for_each(|row| inventory::add(conn, row))?;
    for (object, target) in &effects.inventory_remove {
        inventory::remove(conn, object, target)?;
    }
    revision::sweep(conn)?;
    audit::insert(conn, audit, Some(&cause(id))).map(drop)
}

pub(super) fn begin(conn: &Connection, intent: &NewIntent, now: Timestamp) -> Result<JournalRow, Trouble> {
    let object = intent.object.to_string();
    let same = params![object, intent.verb, intent.target];
    let open =
        format!("SELECT {COLUMNS} FROM journal WHERE object = ?1 AND verb = ?2 AND target = ?3 AND state = 'open'");
    if let Some(row) = sql::first(conn, &open, same, read)? {
        return Ok(row);
    }
    let turns = "SELECT max(turn) + 1 FROM journal WHERE object = ?1 AND verb = ?2 AND target = ?3";
    let turn: Option<Option<i64>> = sql::first(conn, turns, same, |row| Ok(row.get(0)?))?;
    let turn = turn.flatten().unwrap_or(0);
    let id = id_of(&object, &intent.verb, &intent.target, turn);
    let (runtime, served_as) = model_of(&intent.target);
    let insert = "INSERT INTO journal
        (id, object, verb, target, turn, reason, revision, started_at, state, runtime, served_as)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 'open', ?9, ?10)";
    let values = params![
        id,
        object,
        intent.verb,
        intent.target,
        turn,
        intent.reason,
        intent.revision,
        sql::time(now),
        runtime,
        served_as
    ];
    sql::change(conn, insert, values)?;
    existing(conn, &id)
}

/// The same for the same action after the same number of earlier ones, whenever and by whichever process it is made.
fn id_of(object: &str, verb: &str, target: &str, turn: i64) -> String {
    // Lengths come first, so that no two actions read the same.
    let text = format!("{}:{object}{}:{verb}{}:{target}{turn}", object.len(), verb.len(), target.len());
    Digest::of(text.as_bytes()).hex().chars().take(ID_DIGITS).collect()
}

/// The runtime and the model that a target is about; none for a task, or for a target in words of another version.
fn model_of(target: &str) -> (Option<String>, Option<String>) {
    match serde_json::from_str(target) {
        Ok(Target::Model { runtime, served_as, .. }) => (Some(runtime.to_string()), Some(served_as)),
        Ok(Target::Task { .. }) | Err(_) => (None, None),
    }
}

fn end(conn: &Connection, id: &str, state: &str, result: Option<&str>, now: Timestamp) -> Result<(), Trouble> {
    let update = "UPDATE journal SET state = ?2, result = ?3, finished_at = ?4 WHERE id = ?1 AND state = 'open'";
    if sql::change(conn, update, params![id, state, result, sql::time(now)])? == 1 {
        return Ok(());
    }
    let row = existing(conn, id)?;
    Err(Trouble::conflict(WHAT, id, format!("has ended already ({:?})", row.state)))
}

fn existing(conn: &Connection, id: &str) -> Result<JournalRow, Trouble> {
    let select = format!("SELECT {COLUMNS} FROM journal WHERE id = ?1");
    sql::first(conn, &select, [id], read)?.ok_or_else(|| Trouble::not_found(WHAT, id))
}

fn cause(id: &str) -> String {
    format!("journal/{id}")
}

fn read(row: &Row<'_>) -> Result<JournalRow, Trouble> {
    let mut columns = Columns::of(WHAT, row);
    Ok(JournalRow {
        id: columns.get()?,
        object: columns.key()?,
        verb: columns.get()?,
        target: columns.get()?,
        reason: columns.get()?,
        revision: columns.get()?,
        started_at: columns.time()?,
        state: columns.word::<JournalState>()?,
        finished_at: columns.opt_time()?,
        result: columns.get()?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{audit, key, load, name, open, target};
    use super::*;
    use crate::remember::store::{AuditFilter, Page};

    fn made(object: &str, served_as: &str) -> Effects {
        let row = InventoryRow {
            object: key(object),
            target: target(served_as),
            since: Timestamp::UNIX_EPOCH,
            prunes: true,
            deleting_since: None,
            deadline: None,
        };
        Effects { inventory_add: vec![row], inventory_remove: Vec::new() }
    }

    #[tokio::test]
    async fn an_action_that_is_under_way_is_not_begun_twice_and_a_later_one_has_another_id() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        let first = store.journal_begin(load("Loadout/desk", "qwen")).await.unwrap();
        assert_eq!(store.journal_begin(load("Loadout/desk", "qwen")).await.unwrap(), first);
        let other = store.journal_begin(load("Loadout/desk", "llama")).await.unwrap();
        assert_ne!(other.id, first.id);
        store.journal_finish(&first.id, Ok(()), Effects::default(), audit("load", "Loadout/desk")).await.unwrap();
        let second = store.journal_begin(load("Loadout/desk", "qwen")).await.unwrap();
        assert_ne!(second.id, first.id);
        assert_eq!(store.journal_open().await.unwrap(), [other, second]);
    }

    #[test]
    fn an_id_depends_on_nothing_but_the_action_and_its_turn() {
        let id = id_of("Loadout/desk", "load", &target("qwen"), 0);
        assert_eq!(id, "652b097a8bfbfc49", "ids must stay what they are: open ones are found again by them");
        assert_ne!(id, id_of("Loadout/desk", "load", &target("qwen"), 1));
        assert_ne!(id_of("Loadout/a", "bload", "t", 0), id_of("Loadout/ab", "load", "t", 0));
    }

    #[tokio::test]
    async fn an_action_ends_once_with_its_inventory_and_its_audit_entry() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        let row = store.journal_begin(load("Loadout/desk", "qwen")).await.unwrap();
        let entry = audit("load", "Loadout/desk");
        let done = store.journal_finish(&row.id, Ok(()), made("Loadout/desk", "qwen"), entry.clone()).await.unwrap();
        assert_eq!((done.state, done.result), (JournalState::Done, None));
        assert_eq!(store.inventory().await.unwrap().len(), 1);

        let again = store.journal_finish(&row.id, Err("no".to_owned()), Effects::default(), entry.clone()).await;
        assert!(matches!(again, Err(Error::Conflict { .. })), "{again:?}");
        assert!(matches!(store.journal_abandon(&row.id, "restart").await, Err(Error::Conflict { .. })));
        let unknown = store.journal_finish("nope", Ok(()), Effects::default(), entry).await;
        assert!(matches!(unknown, Err(Error::NotFound { .. })), "{unknown:?}");
        let listing = store.audit_list(AuditFilter::default(), Page::default()).await.unwrap();
        assert_eq!(listing.items.len(), 1);
    }

    #[tokio::test]
    async fn every_action_that_ended_has_one_audit_entry_whichever_way_it_ended() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        for served_as in ["done", "failed", "abandoned", "open"] {
            let row = store.journal_begin(load("Loadout/desk", served_as)).await.unwrap();
            let entry = audit("load", "Loadout/desk");
            match served_as {
                "done" => drop(store.journal_finish(&row.id, Ok(()), Effects::default(), entry).await.unwrap()),
                "failed" => {
                    let error = Err("out of memory".to_owned());
                    let failed = store.journal_finish(&row.id, error, Effects::default(), entry).await.unwrap();
                    assert_eq!(failed.result.as_deref(), Some("out of memory"));
                }
                "abandoned" => drop(store.journal_abandon(&row.id, "restart").await.unwrap()),
                _ => {}
            }
        }
        let counted = store
            .read(|conn| {
                let count =
                    "SELECT j.state, count(a.seq) FROM journal j LEFT JOIN audit a ON a.cause = 'journal/' || j.id
                    GROUP BY j.seq ORDER BY j.seq";
                sql::all(conn, count, [], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)))
            })
            .await
            .unwrap();
        let expected = [("done", 1), ("failed", 1), ("abandoned", 1), ("open", 0)];
        assert_eq!(counted, expected.map(|(state, n)| (state.to_owned(), n)));
    }

    #[tokio::test]
    async fn a_second_audit_entry_for_one_action_is_refused_by_the_database_itself() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        let twice = store.write(|conn| {
            audit::insert(conn, &audit("load", "Loadout/desk"), Some("journal/1"))?;
            audit::insert(conn, &audit("load", "Loadout/desk"), Some("journal/1"))
        });
        assert!(twice.await.is_err());
        assert!(store.audit_list(AuditFilter::default(), Page::default()).await.unwrap().items.is_empty());
    }

    #[tokio::test]
    async fn load_durations_are_those_of_loads_that_were_done_newest_first_and_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        store
            .write(|conn| {
                for n in 0..70 {
                    let insert = "INSERT INTO journal (id, object, verb, target, turn, reason, started_at, finished_at, state,
                        runtime, served_as) VALUES (?1, 'Loadout/desk', 'load', 't', ?2, '', 0, ?2 * 1000000, ?3, 'swap', 'qwen')";
                    let state = if n == 69 { "failed" } else { "done" };
                    sql::change(conn, insert, params![format!("{n}"), n, state])?;
                }
                Ok(())
            })
            .await
            .unwrap();
        let durations = store.load_durations(&name("swap"), "qwen").await.unwrap();
        assert_eq!((durations.len(), durations[0], durations[63]), (64, 68, 5));
        assert_eq!(store.load_durations(&name("swap"), "llama").await.unwrap(), Vec::<u64>::new());
        let row = store.journal_begin(load("Loadout/desk", "llama")).await.unwrap();
        store.journal_finish(&row.id, Ok(()), Effects::default(), audit("load", "Loadout/desk")).await.unwrap();
        let all = store.load_durations_all().await.unwrap();
        let qwen = (name("swap"), "qwen".to_owned());
        let llama = (name("swap"), "llama".to_owned());
        assert_eq!(all, BTreeMap::from([(qwen, durations), (llama, vec![0])]), "the same for every model at once");
    }
}
