//! One argument of a command: literal text with placeholders. Nothing in it is read by a shell, and what is filled in stays
//! within its argument.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};

/// The longest argument as it is written, in bytes.
const TEMPLATE_BYTES_MAX: usize = 8 * 1024;

/// An argument with placeholders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    pub pieces: Vec<Piece>,
}

/// A part of an argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    Literal(String),
    Slot(Slot),
}

/// What a placeholder stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Slot {
    /// The path of the only file that was given.
    Input,
    /// The paths of all files that were given, each an argument of its own.
    Inputs,
    /// The path of a file with the text that was given.
    TextFile,
    /// What the manifest says of the model.
    Model,
    /// The path of the file that the command is run for.
    Each,
    /// The name of that file without its end.
    EachStem,
    /// The value of a setting.
    Setting(String),
}

/// Names that no setting can have.
pub const RESERVED: &[&str] = &["input", "inputs", "textFile", "model", "each", "eachStem"];

impl Slot {
    fn named(name: &str) -> Self {
        match name {
            "input" => Self::Input,
            "inputs" => Self::Inputs,
            "textFile" => Self::TextFile,
            "model" => Self::Model,
            "each" => Self::Each,
            "eachStem" => Self::EachStem,
            setting => Self::Setting(setting.to_owned()),
        }
    }
}

impl Template {
    /// Reads an argument.
    ///
    /// # Errors
    /// When it is too long, holds a character that no argument can hold, or a brace has no partner.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > TEMPLATE_BYTES_MAX {
            return Err(format!("an argument has {} bytes, more than {TEMPLATE_BYTES_MAX}", text.len()));
        }
        if text.contains('\0') {
            return Err("an argument cannot hold a zero character".to_owned());
        }
        let (mut pieces, mut literal, mut rest) = (Vec::new(), String::new(), text);
        while let Some(at) = rest.find(['{', '}']) {
            literal.push_str(&rest[..at]);
            let tail = &rest[at..];
            if let Some(after) = tail.strip_prefix("{{").or_else(|| tail.strip_prefix("}}")) {
                literal.push_str(&tail[..1]);
                rest = after;
                continue;
            }
            let inside = tail.strip_prefix('{').and_then(|tail| tail.split_once('}'));
            let Some((name, after)) = inside.filter(|(name, _)| is_name(name)) else {
                return Err(format!("`{text}` has a brace that is no placeholder; write {{{{ or }}}} for a brace"));
            };
            if !literal.is_empty() {
                pieces.push(Piece::Literal(std::mem::take(&mut literal)));
            }
            pieces.push(Piece::Slot(Slot::named(name)));
            rest = after;
        }
        literal.push_str(rest);
        if !literal.is_empty() || pieces.is_empty() {
            pieces.push(Piece::Literal(literal));
        }
        Ok(Self { pieces })
    }

    /// The text of an argument without placeholders.
    #[must_use]
    pub fn literal(&self) -> Option<&str> {
        match self.pieces.as_slice() {
            [Piece::Literal(text)] => Some(text),
            _ => None,
        }
    }

    /// The placeholders of the argument, in order.
    pub fn slots(&self) -> impl Iterator<Item = &Slot> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Literal(_) => None,
            Piece::Slot(slot) => Some(slot),
        })
    }
}

/// Whether a placeholder or a setting can be called so.
#[must_use]
pub fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.len() <= 40
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Template {
    fn schema_name() -> Cow<'static, str> {
        "Argument".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "An argument, with placeholders such as {input} and {model}.",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn literal(text: &str) -> Piece {
        Piece::Literal(text.to_owned())
    }

    #[test]
    fn arguments_are_read_into_text_and_placeholders() {
        for (text, pieces) in [
            ("-r", vec![literal("-r")]),
            ("", vec![literal("")]),
            ("{input}", vec![Piece::Slot(Slot::Input)]),
            (
                "s={size}:{model}.",
                vec![
                    literal("s="),
                    Piece::Slot(Slot::Setting("size".to_owned())),
                    literal(":"),
                    Piece::Slot(Slot::Model),
                    literal("."),
                ],
            ),
            ("a{{b}}c", vec![literal("a{b}c")]),
            ("$(id); `id` | sh", vec![literal("$(id); `id` | sh")]),
        ] {
            assert_eq!(Template::parse(text).map(|template| template.pieces), Ok(pieces), "{text}");
        }
    }

    #[test]
    fn braces_that_are_no_placeholders_are_refused() {
        for text in ["{", "}", "{}", "a{b", "{a b}", "{1}", "{../x}", "x}y", "nul\0"] {
            assert!(Template::parse(text).is_err(), "{text}");
        }
        assert!(Template::parse(&"x".repeat(TEMPLATE_BYTES_MAX + 1)).is_err());
    }
}
