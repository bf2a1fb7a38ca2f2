//! The query of a request: known keys only, each once, bounded. A typing error never silently shows everything.

use std::str::FromStr;

use axum::extract::Query;
use axum::http::Uri;

use crate::core::text::nearest;
use crate::core::{Kind, Name, ObjectKey};
use crate::remember::store::row::{LockKind, TaskState};

use super::api::drift::SYNC_WORDS;
use super::api::list::LIMIT_MAX;
use super::problem::Problem;

/// The longest value, in characters.
const VALUE_CHARS_MAX: usize = 200;

/// The parameters of a request.
#[derive(Clone, Debug, Default)]
pub struct Params(Vec<(String, String)>);

impl Params {
    /// Reads the query of `uri`, of which only the keys of `known` are allowed. Empty values count as absent: that is
    /// what a form sends for a field that was left empty.
    ///
    /// # Errors
    /// When a key is unknown or repeated, or a value is too long.
    pub fn read(uri: &Uri, known: &[&str]) -> Result<Self, Problem> {
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map_err(|_| Problem::bad_request("the query of this address cannot be read"))?;
        let mut read: Vec<(String, String)> = Vec::new();
        for (key, value) in pairs {
            if !known.contains(&key.as_str()) {
                let problem = Problem::bad_request(format!("`{key}` is not a parameter of this address"));
                return Err(match nearest(&key, known.iter().copied()) {
                    Some(near) => problem.help(format!("did you mean `{near}`?")),
                    None => problem.help(format!("there is {}", known.join(", "))),
                });
            }
            if value.chars().count() > VALUE_CHARS_MAX {
                return Err(Problem::bad_request(format!("`{key}` has more than {VALUE_CHARS_MAX} characters")));
            }
            if read.iter().any(|(other, _)| *other == key) {
                return Err(Problem::bad_request(format!("`{key}` is given twice")));
            }
            if !value.is_empty() {
                read.push((key, value));
            }
        }
        Ok(Self(read))
    }

    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    #[must_use]
    pub fn text(&self, key: &str) -> Option<String> {
        self.get(key).map(str::to_owned)
    }

    /// How many items are wanted: `otherwise` when nothing is said.
    ///
    /// # Errors
    /// When it is not a whole number from 1 to [`LIMIT_MAX`].
    pub fn limit(&self, otherwise: usize) -> Result<usize, Problem> {
        let Some(text) = self.get("limit") else { return Ok(otherwise) };
        usize::from_str(text).ok().filter(|limit| (1..=LIMIT_MAX).contains(limit)).ok_or_else(|| {
            Problem::bad_request(format!("`limit` is a whole number from 1 to {LIMIT_MAX}, not `{text}`"))
        })
    }

    /// A parameter that takes one of `words`.
    ///
    /// # Errors
    /// When it is none of them.
    pub fn word<'a>(&self, key: &str, words: &[&'a str]) -> Result<Option<&'a str>, Problem> {
        let Some(text) = self.get(key) else { return Ok(None) };
        let found = words.iter().find(|word| **word == text);
        found.copied().map(Some).ok_or_else(|| unknown_value(key, text, words))
    }

    pub fn kind(&self) -> Result<Option<Kind>, Problem> {
        let Some(text) = self.get("kind") else { return Ok(None) };
        Kind::parse_loosely(text).map(Some).ok_or_else(|| unknown_value("kind", text, &Kind::ALL.map(Kind::as_str)))
    }

    pub fn state(&self) -> Result<Option<TaskState>, Problem> {
        let word = self.word("state", &TaskState::ALL.map(TaskState::as_str))?;
        Ok(TaskState::ALL.into_iter().find(|state| Some(state.as_str()) == word))
    }

    pub fn lock_kind(&self) -> Result<Option<LockKind>, Problem> {
        let word = self.word("type", &LockKind::ALL.map(LockKind::as_str))?;
        Ok(LockKind::ALL.into_iter().find(|kind| Some(kind.as_str()) == word))
    }

    pub fn sync(&self) -> Result<Option<String>, Problem> {
        Ok(self.word("sync", &SYNC_WORDS)?.map(str::to_owned))
    }

    pub fn held(&self) -> Result<Option<bool>, Problem> {
        Ok(self.word("held", &["true", "false"])?.map(|word| word == "true"))
    }

    /// A parameter that takes a name.
    pub fn name(&self, key: &str) -> Result<Option<Name>, Problem> {
        let Some(text) = self.get(key) else { return Ok(None) };
        Name::new(text).map(Some).map_err(|error| Problem::bad_request(format!("`{key}`: {error}")))
    }

    /// A parameter that takes `Kind/name`.
    pub fn object(&self, key: &str) -> Result<Option<ObjectKey>, Problem> {
        let Some(text) = self.get(key) else { return Ok(None) };
        let wrong = || Problem::bad_request(format!("`{key}` is of the form Kind/name, not `{text}`"));
        ObjectKey::parse(text).map(Some).ok_or_else(wrong)
    }
}

fn unknown_value(key: &str, text: &str, words: &[&str]) -> Problem {
    let problem = Problem::bad_request(format!("`{key}` is one of {}, not `{text}`", words.join(", ")));
    match nearest(text, words.iter().copied()) {
        Some(near) => problem.help(format!("did you mean `{near}`?")),
        None => problem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<Params, Problem> {
        Params::read(&format!("/drift?{query}").parse().unwrap(), &["sync", "kind", "limit"])
    }

    #[test]
    fn known_parameters_are_read_and_empty_ones_are_absent() {
        let params = read("sync=Drifted&kind=&limit=7").unwrap();
        assert_eq!((params.sync().unwrap().as_deref(), params.kind().unwrap()), (Some("Drifted"), None));
        assert_eq!(params.limit(50).unwrap(), 7);
    }

    #[test]
    fn what_is_misspelt_repeated_or_out_of_range_is_refused_with_what_was_meant() {
        let misspelt = read("snyc=Drifted").unwrap_err();
        assert_eq!((misspelt.status, misspelt.help.as_deref()), (400, Some("did you mean `sync`?")));
        assert!(read("sync=a&sync=b").is_err());
        assert!(read(&format!("sync={}", "x".repeat(201))).is_err());
        let wrong = read("sync=drifted&kind=pod&limit=0").unwrap();
        assert_eq!(wrong.sync().unwrap_err().help.as_deref(), Some("did you mean `Drifted`?"));
        assert!(wrong.kind().is_err() && wrong.limit(1).is_err());
        assert!(read("limit=1001").unwrap().limit(1).is_err());
    }
}
