//! Between rows and columns: times, JSON, keys, and the two shapes of query that everything else is made of.

use rusqlite::{Connection, Params, Row};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::core::{Digest, Name, ObjectKey, Timestamp};

use super::error::Trouble;

/// Nanoseconds since 1970. Times before 1677 and after 2262 become the nearest of these two.
pub(super) fn time(at: Timestamp) -> i64 {
    let nanos = at.as_nanosecond();
    i64::try_from(nanos).unwrap_or(if nanos < 0 { i64::MIN } else { i64::MAX })
}

pub(super) fn from_time(nanos: i64) -> Timestamp {
    Timestamp::from_nanosecond(i128::from(nanos)).expect("64-bit nanoseconds lie within the years that jiff knows")
}

pub(super) fn json<T: Serialize + ?Sized>(what: &'static str, value: &T) -> Result<String, Trouble> {
    serde_json::to_string(value).map_err(|error| Trouble::value(what, error))
}

pub(super) fn opt_json<T: Serialize>(what: &'static str, value: Option<&T>) -> Result<Option<String>, Trouble> {
    value.map(|value| json(what, value)).transpose()
}

/// Reads one row column by column, in the order of the query.
pub(super) struct Columns<'a, 'b> {
    row: &'a Row<'b>,
    what: &'static str,
    next: usize,
}

impl<'a, 'b> Columns<'a, 'b> {
    pub(super) fn of(what: &'static str, row: &'a Row<'b>) -> Self {
        Self { row, what, next: 0 }
    }

    pub(super) fn get<T: rusqlite::types::FromSql>(&mut self) -> Result<T, Trouble> {
        let column = self.next;
        self.next += 1;
        Ok(self.row.get(column)?)
    }

    pub(super) fn time(&mut self) -> Result<Timestamp, Trouble> {
        self.get().map(from_time)
    }

    pub(super) fn opt_time(&mut self) -> Result<Option<Timestamp>, Trouble> {
        Ok(self.get::<Option<i64>>()?.map(from_time))
    }

    pub(super) fn json<T: DeserializeOwned>(&mut self) -> Result<T, Trouble> {
        self.opt_json()?.ok_or_else(|| Trouble::value(self.what, "a value is missing"))
    }

    pub(super) fn opt_json<T: DeserializeOwned>(&mut self) -> Result<Option<T>, Trouble> {
        let text: Option<String> = self.get()?;
        text.map(|text| serde_json::from_str(&text)).transpose().map_err(|error| Trouble::value(self.what, error))
    }

    pub(super) fn key(&mut self) -> Result<ObjectKey, Trouble> {
        self.opt_key()?.ok_or_else(|| Trouble::value(self.what, "an object's key is missing"))
    }

    pub(super) fn opt_key(&mut self) -> Result<Option<ObjectKey>, Trouble> {
        let text: Option<String> = self.get()?;
        text.map(|text| parse_key(self.what, &text)).transpose()
    }

    pub(super) fn opt_name(&mut self) -> Result<Option<Name>, Trouble> {
        let text: Option<String> = self.get()?;
        text.map(|text| Name::new(&text).map_err(|error| Trouble::value(self.what, error))).transpose()
    }

    pub(super) fn digest(&mut self) -> Result<Digest, Trouble> {
        let text: String = self.get()?;
        Digest::parse(&text).map_err(|error| Trouble::value(self.what, error))
    }

    /// A number that is never negative.
    pub(super) fn count<T: TryFrom<i64>>(&mut self) -> Result<T, Trouble> {
        let number: i64 = self.get()?;
        T::try_from(number).map_err(|_| Trouble::value(self.what, format!("{number} is out of range")))
    }

    /// One word of a closed set, written as serde writes it.
    pub(super) fn word<T: DeserializeOwned>(&mut self) -> Result<T, Trouble> {
        let word: String = self.get()?;
        serde_json::from_value(serde_json::Value::String(word)).map_err(|error| Trouble::value(self.what, error))
    }
}

pub(super) fn parse_key(what: &'static str, text: &str) -> Result<ObjectKey, Trouble> {
    ObjectKey::parse(text).ok_or_else(|| Trouble::value(what, format!("`{text}` is no object's key")))
}

/// A count as a column. Counts beyond 2^63 do not occur; they are refused rather than wrapped.
pub(super) fn int(what: &'static str, number: u64) -> Result<i64, Trouble> {
    i64::try_from(number).map_err(|_| Trouble::value(what, format!("{number} is too large to keep")))
}

/// Every row of a query.
pub(super) fn all<T>(
    conn: &Connection,
    sql: &str,
    params: impl Params,
    mut read: impl FnMut(&Row<'_>) -> Result<T, Trouble>,
) -> Result<Vec<T>, Trouble> {
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read(row)?);
    }
    Ok(found)
}

/// The first row of a query, if there is one.
pub(super) fn first<T>(
    conn: &Connection,
    sql: &str,
    params: impl Params,
    read: impl FnOnce(&Row<'_>) -> Result<T, Trouble>,
) -> Result<Option<T>, Trouble> {
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    rows.next()?.map(read).transpose()
}

/// Changes rows and says how many.
pub(super) fn change(conn: &Connection, sql: &str, params: impl Params) -> Result<usize, Trouble> {
    Ok(conn.prepare_cached(sql)?.execute(params)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_come_back_to_the_nanosecond_and_far_ones_as_the_nearest() {
        let at: Timestamp = "2026-11-21T10:00:00.123456789Z".parse().unwrap();
        assert_eq!(from_time(time(at)), at);
        assert_eq!(time(Timestamp::MAX), i64::MAX);
        assert_eq!(time(Timestamp::MIN), i64::MIN);
        assert!(from_time(i64::MAX) < Timestamp::MAX);
    }
}
