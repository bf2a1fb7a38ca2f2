//! A document as a tree in which every key and every value knows where it stands.
//!
//! Built only when there is something to say about a document; values are read by [`super::envelope`] without it.

use super::diagnostic::SourceSpan;
use super::path::Step;

/// A value and its place. Lines count from 1 within the document's own text.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    pub span: SourceSpan,
    pub value: Value,
}

/// What a value is, before anyone asked for a type.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Any single value; `plain` when it was written without quotes and so may be a number, a truth value or null.
    Scalar {
        text: String,
        plain: bool,
    },
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key with its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub key: String,
    pub key_span: SourceSpan,
    pub node: Node,
}

impl Node {
    /// The text of a scalar that is not null.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, .. } if !self.is_null() => Some(text),
            Value::Scalar { .. } | Value::List(_) | Value::Map(_) => None,
        }
    }

    /// Whether nothing stands here, or an unquoted `null` or `~`.
    #[must_use]
    pub fn is_null(&self) -> bool {
        match &self.value {
            Value::Scalar { text, plain } => {
                *plain && (text.is_empty() || text == "~" || text.eq_ignore_ascii_case("null"))
            }
            Value::List(_) | Value::Map(_) => false,
        }
    }

    /// The entry of a mapping; none when this is no mapping.
    #[must_use]
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|entry| entry.key == key),
            Value::Scalar { .. } | Value::List(_) => None,
        }
    }

    /// Where to point to for the value at `path`: the value when it is a scalar, else its key or its first key; when
    /// there is no such value, the nearest parent that exists.
    #[must_use]
    pub fn locate(&self, path: &[Step]) -> SourceSpan {
        let (node, key_span) = self.follow(path);
        match (&node.value, key_span) {
            (Value::Scalar { .. }, _) if !node.is_null() => node.span,
            (_, Some(key_span)) => key_span,
            (_, None) => node.head(),
        }
    }

    /// The key of the value at `path`, or the value itself when it has none.
    #[must_use]
    pub fn locate_key(&self, path: &[Step]) -> SourceSpan {
        let (node, key_span) = self.follow(path);
        key_span.unwrap_or_else(|| node.head())
    }

    /// The value at `path`, or the nearest parent that exists, with the span of its key.
    fn follow(&self, path: &[Step]) -> (&Self, Option<SourceSpan>) {
        let mut here = (self, None);
        for step in path {
            let next = match (step, &here.0.value) {
                (Step::Index(index), Value::List(items)) => items.get(*index).map(|item| (item, None)),
                (Step::Key(key), Value::Map(entries)) => {
                    entries.iter().find(|entry| entry.key == *key).map(|entry| (&entry.node, Some(entry.key_span)))
                }
                (Step::Index(_) | Step::Key(_), _) => None,
            };
            let Some(next) = next else {
                // Nothing stands there: a caret under a value that is in order would mislead.
                return here;
            };
            here = next;
        }
        here
    }

    /// The span of a scalar, else of the first thing inside, so that a caret underlines one line.
    #[must_use]
    pub fn head(&self) -> SourceSpan {
        match &self.value {
            Value::Scalar { .. } => self.span,
            Value::List(items) => items.first().map_or(self.span, Self::head),
            Value::Map(entries) => entries.first().map_or(self.span, |entry| entry.key_span),
        }
    }
}
