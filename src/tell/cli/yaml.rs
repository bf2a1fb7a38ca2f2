//! JSON values as YAML, for people who want to read or copy them. Every text that could mean something else is quoted.

use std::fmt::Write as _;

use serde_json::Value;

/// The value as a YAML document with a line end.
#[must_use]
pub fn render(value: &Value) -> String {
    let mut text = String::new();
    write(&mut text, value, 0, false);
    text
}

/// Writes `value` at `depth`; `inline` when the line already has a key or a dash.
fn write(text: &mut String, value: &Value, depth: usize, inline: bool) {
    match value {
        Value::Array(items) if !items.is_empty() => {
            if inline {
                text.push('\n');
            }
            for item in items {
                let _ = write!(text, "{}-", "  ".repeat(depth));
                match item {
                    Value::Object(fields) if !fields.is_empty() => {
                        text.push(' ');
                        write_fields(text, fields, depth + 1, true);
                    }
                    item => write(text, item, depth + 1, true),
                }
            }
        }
        Value::Object(fields) if !fields.is_empty() => {
            if inline {
                text.push('\n');
            }
            write_fields(text, fields, depth, false);
        }
        scalar => {
            if inline {
                text.push(' ');
            }
            match scalar {
                Value::String(words) => text.push_str(&quoted(words)),
                // JSON's numbers, truth values, null and empty collections are YAML as they are.
                other => text.push_str(&other.to_string()),
            }
            text.push('\n');
        }
    }
}

fn write_fields(text: &mut String, fields: &serde_json::Map<String, Value>, depth: usize, first_inline: bool) {
    for (index, (key, value)) in fields.iter().enumerate() {
        if index > 0 || !first_inline {
            text.push_str(&"  ".repeat(depth));
        }
        let _ = write!(text, "{}:", quoted(key));
        write(text, value, depth + 1, true);
    }
}

/// A text as a plain scalar when it can only be a text, else in double quotes, whose escapes are JSON's (YAML 1.2, 5.7).
fn quoted(text: &str) -> String {
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && !text.ends_with([' ', ':'])
        && text.chars().all(|c| c.is_ascii_alphanumeric() || " _-./@+()".contains(c) || (c == ':'))
        && !text.contains(": ")
        && !RESERVED.contains(&text.to_ascii_lowercase().as_str());
    if plain {
        return text.to_owned();
    }
    let json = Value::String(text.to_owned()).to_string();
    json.chars().map(|c| if c.is_control() { format!("\\x{:02x}", u32::from(c)) } else { c.to_string() }).collect()
}

/// Words that some YAML reader takes for a truth value, nothing or a number.
const RESERVED: [&str; 11] = ["true", "false", "yes", "no", "on", "off", "y", "n", "null", "nan", "inf"];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::declare::manifest::parse;

    #[test]
    fn nested_values_read_like_manifests() {
        let value = json!({"kind": "Loadout", "empty": [], "none": null, "models": [{"model": "a", "tags": ["x", "yes"]},
            {"model": "b", "deep": {"n": 1}}], "text": "two\nlines", "lists": [[1, 2], []]});
        insta::assert_snapshot!(render(&value), @r#"
        empty: []
        kind: Loadout
        lists:
          -
            - 1
            - 2
          - []
        models:
          - model: a
            tags:
              - x
              - "yes"
          - deep:
              "n": 1
            model: b
        none: null
        text: "two\nlines"
        "#);
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            "\\PC{0,12}".prop_map(Value::from),
            "[a-z :#'\"-]{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map("[a-z:# -]{0,6}", inner, 0..4)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back_the_same(value in any_json()) {
            let text = render(&json!({"capability": "text.stats", "params": {"value": value}}));
            let read = parse::tasks("task.yaml", text.as_bytes());
            let read = read.map_err(|found| TestCaseError::fail(format!("{found:?}\n{text}")))?;
            prop_assert_eq!(&read[0].1.params["value"], &value, "{}", text);
        }
    }
}
