//! Kinds and names: how every declared object is called.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The longest name, as for a DNS label.
pub const NAME_CHARS_MAX: usize = 63;

/// The kinds of object that can be declared in Git.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Kind {
    Host,
    Runtime,
    Model,
    Loadout,
    Policy,
    Blueprint,
    Task,
    Run,
    GoldenSet,
    Experiment,
}

impl Kind {
    /// Every kind, in the order in which they are shown: what others refer to comes first.
    pub const ALL: [Self; 10] = [
        Self::Host,
        Self::Runtime,
        Self::Model,
        Self::Loadout,
        Self::Policy,
        Self::Blueprint,
        Self::Task,
        Self::Run,
        Self::GoldenSet,
        Self::Experiment,
    ];

    /// The name as it stands in `kind:`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Host => "Host",
            Self::Runtime => "Runtime",
            Self::Model => "Model",
            Self::Loadout => "Loadout",
            Self::Policy => "Policy",
            Self::Blueprint => "Blueprint",
            Self::Task => "Task",
            Self::Run => "Run",
            Self::GoldenSet => "GoldenSet",
            Self::Experiment => "Experiment",
        }
    }

    /// The kind written exactly as in a manifest.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// The kind as a person types it on a command line: any case, singular or plural.
    #[must_use]
    pub fn parse_loosely(text: &str) -> Option<Self> {
        let wanted = text.to_ascii_lowercase();
        Self::ALL.into_iter().find(|kind| {
            let name = kind.as_str().to_ascii_lowercase();
            let plural = name.strip_suffix('y').map_or_else(|| format!("{name}s"), |stem| format!("{stem}ies"));
            wanted == name || wanted == plural
        })
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An object's name: a DNS label, unique within its kind. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Arc<str>);

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error("a name cannot be empty")]
    Empty,
    #[error("a name has at most {NAME_CHARS_MAX} characters, this one has {0}")]
    TooLong(usize),
    #[error("a name is made of a-z, 0-9, `-` and `.`, not `{0}`")]
    BadChar(char),
    #[error("a name starts and ends with a letter or a digit")]
    BadEnd,
}

impl Name {
    /// Checks and keeps `text`. Dots are allowed inside, because model names carry versions (`qwen2.5-7b`).
    ///
    /// # Errors
    /// When `text` is no such name.
    pub fn new(text: &str) -> Result<Self, NameError> {
        let chars = text.chars().count();
        if chars == 0 {
            return Err(NameError::Empty);
        }
        if chars > NAME_CHARS_MAX {
            return Err(NameError::TooLong(chars));
        }
        if let Some(bad) = text.chars().find(|c| !matches!(c, 'a'..='z' | '0'..='9' | '-' | '.')) {
            return Err(NameError::BadChar(bad));
        }
        if text.starts_with(['-', '.']) || text.ends_with(['-', '.']) {
            return Err(NameError::BadEnd);
        }
        Ok(Self(text.into()))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl PartialEq<str> for Name {
    fn eq(&self, other: &str) -> bool {
        &*self.0 == other
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl schemars::JsonSchema for Name {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Name".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "A name: a-z, 0-9, `-` and `.`, starting and ending with a letter or a digit.",
            "pattern": "^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$",
            "maxLength": NAME_CHARS_MAX,
            "format": "arcology-name",
        })
    }
}

/// A declared object's identity, written `Loadout/desk`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey {
    pub kind: Kind,
    pub name: Name,
}

impl ObjectKey {
    #[must_use]
    pub fn new(kind: Kind, name: Name) -> Self {
        Self { kind, name }
    }

    /// A key that stands before every key of its kind and after those of the kinds before it. No object is called so.
    #[must_use]
    pub fn before_all(kind: Kind) -> Self {
        Self { kind, name: Name("".into()) }
    }

    /// Reads `Kind/name`, the kind in any case.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, name) = text.split_once('/')?;
        Some(Self { kind: Kind::parse_loosely(kind)?, name: Name::new(name).ok()? })
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.name)
    }
}

impl fmt::Debug for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for ObjectKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ObjectKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom(format!("`{text}` is not of the form Kind/name")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_dns_labels_with_inner_dots() {
        for good in ["a", "desk", "qwen2.5-7b-q4", "0"] {
            assert!(Name::new(good).is_ok(), "{good}");
        }
        for (bad, why) in [
            ("", NameError::Empty),
            ("Desk", NameError::BadChar('D')),
            ("a/b", NameError::BadChar('/')),
            ("-a", NameError::BadEnd),
            ("a.", NameError::BadEnd),
            (&"a".repeat(64), NameError::TooLong(64)),
        ] {
            assert_eq!(Name::new(bad).unwrap_err(), why, "{bad}");
        }
    }

    #[test]
    fn kinds_are_understood_as_people_type_them() {
        for (text, kind) in [("loadout", Kind::Loadout), ("Policies", Kind::Policy), ("goldensets", Kind::GoldenSet)] {
            assert_eq!(Kind::parse_loosely(text), Some(kind));
        }
        assert_eq!(Kind::parse_loosely("pod"), None);
        assert_eq!(ObjectKey::parse("loadouts/desk").unwrap().to_string(), "Loadout/desk");
    }
}
