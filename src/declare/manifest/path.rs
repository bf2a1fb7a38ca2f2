//! Paths of fields: `spec.models[1].model`, `metadata.annotations.arcology/prune`, `spec.inputs["a.b"].file`.
//!
//! A key with other characters than letters, digits, `_`, `-` and `/` is written in brackets and double quotes, with
//! `\"` and `\\` as its only escapes. [`Path`] writes them, so callers never quote by hand.

use std::fmt;

use crate::core::text::shorten;

use super::limit::KEY_CHARS_MAX;

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    Key(String),
    Index(usize),
}

/// A path that is being built: `Path::new("spec").key("models").index(1).key("model")`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Path(String);

impl Path {
    /// A path that starts at a field of the document, such as `spec`.
    #[must_use]
    pub fn new(field: &str) -> Self {
        Self::default().key(field)
    }

    /// The path of a field of the mapping at this path. A key that is too long to be read is cut, and then stands for
    /// the mapping.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '/');
        let mut text = self.0.clone();
        let key = &*shorten(key, KEY_CHARS_MAX);
        if !key.is_empty() && key.chars().all(plain) {
            if !text.is_empty() {
                text.push('.');
            }
            text.push_str(key);
        } else {
            text.push_str("[\"");
            for c in key.chars() {
                if matches!(c, '"' | '\\') {
                    text.push('\\');
                }
                text.push(c);
            }
            text.push_str("\"]");
        }
        Self(text)
    }

    /// The path of an item of the list at this path, counting from 0.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        Self(format!("{}[{index}]", self.0))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the two are the same place, or one lies inside the other.
    #[must_use]
    pub fn touches(&self, other: &Self) -> bool {
        within(&self.0, &other.0) || within(&other.0, &self.0)
    }

    /// Whether `path` is this place, or lies inside it.
    #[must_use]
    pub fn holds(&self, path: &str) -> bool {
        within(path, &self.0)
    }

    /// Whether this place is `path`, or lies inside it.
    #[must_use]
    pub fn is_within(&self, path: &str) -> bool {
        within(&self.0, path)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether `inner` is the place `outer`, or lies inside it.
fn within(inner: &str, outer: &str) -> bool {
    inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// The steps of a written path. Anything that is no path is read as far as it goes.
#[must_use]
pub fn steps(path: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        if let Some(quoted) = rest.strip_prefix("[\"") {
            let (key, after) = unquote(quoted);
            steps.push(Step::Key(key));
            rest = after;
        } else if let Some((digits, after)) = rest.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
            match digits.parse() {
                Ok(index) => steps.push(Step::Index(index)),
                Err(_) => steps.push(Step::Key(digits.to_owned())),
            }
            rest = after;
        } else {
            let end =
                rest.char_indices().skip(1).find(|(_, c)| matches!(c, '.' | '[')).map_or(rest.len(), |(at, _)| at);
            steps.push(Step::Key(rest[..end].to_owned()));
            rest = &rest[end..];
        }
        rest = rest.strip_prefix('.').unwrap_or(rest);
    }
    steps
}

/// Reads up to `"]`, and gives the key and what follows.
fn unquote(text: &str) -> (String, &str) {
    let mut key = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => key.extend(chars.next().map(|(_, escaped)| escaped)),
            '"' => {
                let after = &text[at + 1..];
                return (key, after.strip_prefix(']').unwrap_or(after));
            }
            other => key.push(other),
        }
    }
    (key, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_path_writes_is_read_back_whatever_the_keys_are() {
        let awkward = ["spec", "a.b", "", "x[0]", "quo\"te", "back\\slash", "arcology/prune", "ä"];
        for first in awkward {
            for second in awkward {
                let path = Path::new(first).index(3).key(second);
                let expected = [Step::Key(first.into()), Step::Index(3), Step::Key(second.into())];
                assert_eq!(steps(path.as_str()), expected, "{path}");
            }
        }
    }

    #[test]
    fn ordinary_paths_look_as_people_write_them() {
        let path = Path::new("metadata").key("annotations").key("arcology/prune");
        assert_eq!(path.as_str(), "metadata.annotations.arcology/prune");
        assert_eq!(Path::new("spec").key("models").index(1).key("model").as_str(), "spec.models[1].model");
    }

    #[test]
    fn a_place_touches_itself_what_it_is_in_and_what_is_in_it() {
        let (spec, models, model) =
            (Path::new("spec"), Path::new("spec").key("models"), Path::new("spec").key("model"));
        assert!(models.touches(&spec) && spec.touches(&models) && models.touches(&models));
        assert!(models.index(1).touches(&models));
        assert!(!models.touches(&model) && !models.index(1).touches(&models.index(10)));
    }

    #[test]
    fn text_that_is_no_path_is_read_without_a_panic() {
        for text in ["", ".", "..", "[", "[]", "[\"", "[\"a", "]", "a..b", "[\\", "ä[é].ö"] {
            let _ = steps(text);
        }
    }
}
