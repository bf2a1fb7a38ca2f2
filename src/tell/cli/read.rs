//! Reading the daemon's JSON: fields that may be missing, times as ages. Keys are contracts; a missing one is told as `-`.

use serde_json::Value;

use crate::core::Timestamp;
use crate::core::clock::millis_since;
use crate::core::text::age;

use super::table::Cell;
use super::ui::Tone;

/// What stands in a table where nothing is known.
pub const NOTHING: &str = "-";

/// The text at `path` (`commit.subject`); numbers and truth values as text; none for null, empty and missing.
#[must_use]
pub fn text(value: &Value, path: &str) -> Option<String> {
    match at(value, path)? {
        Value::Null | Value::Array(_) | Value::Object(_) => None,
        Value::String(text) => Some(text.clone()).filter(|text| !text.is_empty()),
        other => Some(other.to_string()),
    }
}

/// The same, or `-`.
#[must_use]
pub fn shown(value: &Value, path: &str) -> String {
    text(value, path).unwrap_or_else(|| NOTHING.into())
}

/// The value at `path`.
#[must_use]
pub fn at<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(value, |value, key| value.get(key))
}

/// The items of the list at `path`; none when there is none.
pub fn items<'a>(value: &'a Value, path: &str) -> impl Iterator<Item = &'a Value> {
    at(value, path).and_then(Value::as_array).into_iter().flatten()
}

/// The texts of the list at `path`, in one line.
#[must_use]
pub fn joined(value: &Value, path: &str) -> String {
    let texts: Vec<&str> = items(value, path).filter_map(Value::as_str).collect();
    if texts.is_empty() { NOTHING.into() } else { texts.join(", ") }
}

/// The whole number at `path`; 0 when there is none.
#[must_use]
pub fn number(value: &Value, path: &str) -> u64 {
    at(value, path).and_then(Value::as_u64).unwrap_or(0)
}

/// The time at `path`.
#[must_use]
pub fn time(value: &Value, path: &str) -> Option<Timestamp> {
    at(value, path)?.as_str()?.parse().ok()
}

/// The time at `path` as a person reads it: to the second.
#[must_use]
pub fn clock(value: &Value, path: &str) -> Option<Timestamp> {
    time(value, path).and_then(|at| Timestamp::from_second(at.as_second()).ok())
}

/// How long ago the time at `path` was.
#[must_use]
pub fn ago(value: &Value, path: &str, now: Timestamp) -> Option<String> {
    time(value, path).map(|at| age(millis_since(at, now)))
}

/// The same for a table.
#[must_use]
pub fn ago_shown(value: &Value, path: &str, now: Timestamp) -> String {
    ago(value, path, now).unwrap_or_else(|| NOTHING.into())
}

/// A cell whose word says how good it is.
#[must_use]
pub fn judged(word: &str) -> Cell {
    let tone = match word {
        "InSync" | "Healthy" | "healthy" | "connected" | "loaded" | "done" | "ok" => Tone::Good,
        "Unknown" | "unknown" | "Progressing" | "progressing" | "reconnecting" | "blocked" | "stale" | "loading"
        | "unloading" | "running" => Tone::Warning,
        "Degraded" | "degraded" | "Missing" | "missing" | "Invalid" | "Drifted" | "down" | "error" | "cancelled" => {
            Tone::Bad
        }
        _ if word.starts_with("Drifted") => Tone::Bad,
        _ => Tone::Plain,
    };
    Cell::new(word).tone(tone)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn missing_null_and_empty_fields_are_nothing() {
        let value = json!({"a": {"b": "x", "n": 4, "none": null, "empty": ""}, "list": ["p", "q"]});
        assert_eq!((shown(&value, "a.b"), shown(&value, "a.n")), ("x".into(), "4".into()));
        for path in ["a.none", "a.empty", "a.missing", "a", "nowhere.at.all", "list"] {
            assert_eq!(shown(&value, path), "-", "{path}");
        }
        assert_eq!((joined(&value, "list"), joined(&value, "a")), ("p, q".into(), "-".into()));
        assert_eq!((number(&value, "a.n"), number(&value, "a.b")), (4, 0));
    }

    #[test]
    fn ages_are_counted_from_the_given_time() {
        let value = json!({"at": "2026-11-21T10:00:00Z", "bad": "yesterday"});
        let now = "2026-11-21T10:03:00Z".parse().unwrap();
        assert_eq!(ago_shown(&value, "at", now), "3 min");
        assert_eq!(ago_shown(&value, "bad", now), "-");
    }
}
