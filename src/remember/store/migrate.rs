//! Brings a database to the schema this program knows, in one transaction, and refuses one that is newer.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::error::{Error, Trouble};

/// The schema, one step after the other. `PRAGMA user_version` says how many of them a file has had.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_init.sql"),
    include_str!("migrations/0002_locks.sql"),
    include_str!("migrations/0003_scheduler.sql"),
];

/// Marks a file as ours ("Arco" in ASCII), so that another program's database is never written to.
pub(super) const APPLICATION_ID: i64 = 0x4172_636f;

/// Brings the database at `path`, open as `conn`, up to date.
pub(super) fn migrate(conn: &mut Connection, path: &Path) -> Result<(), Error> {
    run(conn, path, MIGRATIONS).map_err(|trouble| trouble.at(path))
}

/// Refuses a database that is not exactly of the schema this program knows; changes nothing.
pub(super) fn check(conn: &Connection, path: &Path) -> Result<(), Error> {
    let pragmas = || Ok((pragma(conn, "application_id")?, pragma(conn, "user_version")?));
    let (owner, found) = pragmas().map_err(|trouble: Trouble| trouble.at(path))?;
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    let path = path.to_owned();
    match found {
        _ if owner != APPLICATION_ID => Err(Error::Foreign { path }),
        found if found > known => Err(Error::Newer { path, found, known }),
        found if found < known => Err(Error::Older { path, found, known }),
        _ => Ok(()),
    }
}

fn run(conn: &mut Connection, path: &Path, steps: &[&str]) -> Result<(), Trouble> {
    let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let known = i64::try_from(steps.len()).unwrap_or(i64::MAX);
    let found = pragma(&transaction, "user_version")?;
    let owner = pragma(&transaction, "application_id")?;
    let tables: i64 = transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if owner != APPLICATION_ID && (owner != 0 || tables > 0) {
        return Err(Error::Foreign { path: path.to_owned() }.into());
    }
    if found > known {
        return Err(Error::Newer { path: path.to_owned(), found, known }.into());
    }
    for step in steps.iter().skip(usize::try_from(found).unwrap_or(0)) {
        transaction.execute_batch(step)?;
    }
    if found < known {
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", known)?;
    }
    Ok(transaction.commit()?)
}

fn pragma(conn: &Connection, name: &str) -> Result<i64, Trouble> {
    Ok(conn.pragma_query_value(None, name, |row| row.get(0))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "/s/arcology.db";

    #[test]
    fn each_step_is_done_once_and_in_order() {
        let mut conn = Connection::open_in_memory().unwrap();
        let first = "CREATE TABLE a (x INTEGER) STRICT; INSERT INTO a VALUES (1);";
        let second = "INSERT INTO a SELECT x + 1 FROM a;";
        for steps in [&[first][..], &[first], &[first, second], &[first, second]] {
            run(&mut conn, Path::new(PATH), steps).unwrap();
        }
        let sum: i64 = conn.query_row("SELECT sum(x) FROM a", [], |row| row.get(0)).unwrap();
        assert_eq!((sum, pragma(&conn, "user_version").unwrap()), (3, 2));
    }

    #[test]
    fn a_step_that_fails_leaves_the_file_as_it_was() {
        let mut conn = Connection::open_in_memory().unwrap();
        let steps = ["CREATE TABLE a (x INTEGER) STRICT;", "CREATE TABLE b (x INTEGER) STRICT; CREATE TABLE a (x);"];
        assert!(run(&mut conn, Path::new(PATH), &steps).is_err());
        let tables: i64 = conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).unwrap();
        assert_eq!((tables, pragma(&conn, "user_version").unwrap()), (0, 0));
    }

    #[test]
    fn a_newer_file_and_another_programs_file_are_refused_untouched() {
        let mut conn = Connection::open_in_memory().unwrap();
        migrate(&mut conn, Path::new(PATH)).unwrap();
        conn.pragma_update(None, "user_version", 99).unwrap();
        let known = i64::try_from(MIGRATIONS.len()).unwrap();
        let newer = Error::Newer { path: PATH.into(), found: 99, known };
        assert_eq!(migrate(&mut conn, Path::new(PATH)), Err(newer));

        let mut other = Connection::open_in_memory().unwrap();
        other.execute_batch("CREATE TABLE recipes (x INTEGER)").unwrap();
        assert_eq!(migrate(&mut other, Path::new(PATH)), Err(Error::Foreign { path: PATH.into() }));
        assert_eq!(pragma(&other, "application_id").unwrap(), 0);
    }

    #[test]
    fn every_table_is_strict() {
        let mut conn = Connection::open_in_memory().unwrap();
        migrate(&mut conn, Path::new(PATH)).unwrap();
        let mut statement = conn
            .prepare("SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND NOT strict")
            .unwrap();
        let loose: Vec<String> = statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        let ours: Vec<&String> = loose.iter().filter(|name| !name.starts_with("sqlite_")).collect();
        assert!(ours.is_empty(), "{ours:?}");
    }
}
