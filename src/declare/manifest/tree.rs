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
        let mut here = self;
        let mut best = self.head();
        for step in path {
            let next = match (step, &here.value) {
                (Step::Index(index), Value::List(items)) => items.get(*index).map(|item| (item, item.head())),
                (Step::Key(key), Value::Map(entries)) => entries.iter().find(|entry| entry.key == *key).map(|entry| {
                    let scalar = matches!(entry.node.value, Value::Scalar { .. }) && !entry.node.is_null();
                    (&entry.node, if scalar { entry.node.span } else { entry.key_span })
                }),
                _ => None,
            };
            let Some((node, span)) = next else { break };
            (here, best) = (node, span);
        }
        best
    }

    /// The span of a scalar, else of the first thing inside, so that a caret underlines one line.
    fn head(&self) -> SourceSpan {
        match &self.value {
            Value::Scalar { .. } => self.span,
            Value::List(items) => items.first().map_or(self.span, Self::head),
            Value::Map(entries) => entries.first().map_or(self.span, |entry| entry.key_span),
        }
    }
}
