//! Single values held against a schema: words, numbers, names, lengths of time.

use serde_json::{Number, Value as Json};

use crate::core::text::nearest;
use crate::core::unit::Span;
use crate::core::{Name, Timestamp};

use super::super::code;
use super::super::diagnostic::SourceSpan;
use super::super::source::{Finding, quoted};
use super::super::tree::{Node, Value};
use super::{At, names};

/// The words that a schema allows; none when it is not about words.
pub(in super::super) fn allowed(schema: &Json) -> Vec<&str> {
    let listed = schema.get("enum").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str);
    let constant = schema.get("const").and_then(Json::as_str);
    let choices = schema.get("oneOf").and_then(Json::as_array).into_iter().flatten().flat_map(allowed);
    listed.chain(constant).chain(choices).collect()
}

/// A word that must be one of `allowed`.
pub(super) fn word(allowed: &[&str], at: &At, span: SourceSpan, text: &str) -> Result<Json, Box<Finding>> {
    if allowed.contains(&text) {
        return Ok(Json::from(text));
    }
    let mut help = String::new();
    if let Some(meant) = nearest(text, allowed.iter().copied()) {
        help = format!("did you mean `{meant}`? ");
    }
    help.push_str(&format!("allowed: {}", names(allowed)));
    let finding = Finding::new(code::NOT_ALLOWED, span, format!("`{}` cannot be {}", at.path, quoted(text)));
    Err(Box::new(finding.label("not one of the allowed values").help(help)))
}

/// Reads a scalar as the first of `types` that it can be; none when it can be none of them.
pub(super) fn read(schema: &Json, types: &[&str], at: &At, node: &Node) -> Option<Result<Json, Box<Finding>>> {
    let Value::Scalar { text, plain } = &node.value else { return None };
    let span = node.span;
    // Where a field takes a text or something else, quotes say that it is the text.
    let quoted_text = !plain && types.contains(&"string");
    let has = |name: &str| types.contains(&name) && (name == "string" || !quoted_text);
    // The typed decoding takes quoted numbers and truth values too, and white space around them.
    let bare = text.trim_matches([' ', '\t', '\n', '\r']);
    if has("boolean") && (bare.eq_ignore_ascii_case("true") || bare.eq_ignore_ascii_case("false")) {
        return Some(Ok(Json::Bool(bare.eq_ignore_ascii_case("true"))));
    }
    if has("integer")
        && let Some(number) = whole_number(bare)
    {
        return Some(whole_in_range(schema, at, span, number));
    }
    if has("number")
        && let Some(number) = float(bare)
    {
        return Some(float_in_range(schema, at, span, number));
    }
    has("string").then(|| formed(schema, at, span, text))
}

/// A value without a schema, as YAML's core rules read it.
pub(super) fn untyped(at: &At, node: &Node, text: &str, plain: bool) -> Result<Json, Box<Finding>> {
    if node.is_null() {
        return Ok(Json::Null);
    }
    if !plain {
        return Ok(Json::from(text));
    }
    if text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false") {
        return Ok(Json::Bool(text.eq_ignore_ascii_case("true")));
    }
    if let Some(number) = whole_number(text).and_then(Number::from_i128) {
        return Ok(Json::Number(number));
    }
    match float(text) {
        Some(number) => float_in_range(&Json::Null, at, node.span, number),
        None => Ok(Json::from(text)),
    }
}

/// A whole number: decimal without leading zeros, or `0x`, `0o`, `0b`.
pub(super) fn whole_number(text: &str) -> Option<i128> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (radix, digits) = [("0x", 16), ("0X", 16), ("0o", 8), ("0O", 8), ("0b", 2), ("0B", 2)]
        .into_iter()
        .find_map(|(prefix, radix)| Some((radix, digits.strip_prefix(prefix)?)))
        .unwrap_or((10, digits));
    let starts_well = digits.starts_with(|c: char| c.is_digit(radix));
    if !starts_well || (radix == 10 && digits.len() > 1 && digits.starts_with('0')) {
        return None;
    }
    // A line may stand between two digits, and nowhere else.
    if digits.ends_with('_') || digits.contains("__") {
        return None;
    }
    let digits: String = digits.chars().filter(|c| *c != '_').collect();
    if !digits.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    // Digits beyond 128 bits are a number all the same: one that is out of every range.
    let number = i128::from_str_radix(&digits, radix).unwrap_or(i128::MAX);
    Some(if negative { -number } else { number })
}

fn float(text: &str) -> Option<f64> {
    match text.to_ascii_lowercase().as_str() {
        ".nan" | "+.nan" | "-.nan" => return Some(f64::NAN),
        ".inf" | "+.inf" => return Some(f64::INFINITY),
        "-.inf" => return Some(f64::NEG_INFINITY),
        _ => {}
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let like_a_number = unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    text.parse().ok().filter(|_| like_a_number)
}

fn whole_in_range(schema: &Json, at: &At, span: SourceSpan, number: i128) -> Result<Json, Box<Finding>> {
    let (low, high) = whole_bounds(schema);
    let within = number >= low && number <= high;
    within.then(|| Number::from_i128(number)).flatten().map(Json::Number).ok_or_else(|| {
        let shown = if number == i128::MAX { "far too large".to_owned() } else { number.to_string() };
        out_of_range(schema, at, span, &shown)
    })
}

/// The smallest and largest whole number: what the schema says, and what the type can hold.
fn whole_bounds(schema: &Json) -> (i128, i128) {
    let (low, high) = match schema.get("format").and_then(Json::as_str) {
        Some("uint32") => (0, i128::from(u32::MAX)),
        Some("int32") => (i128::from(i32::MIN), i128::from(i32::MAX)),
        Some("uint64" | "uint") => (0, i128::from(u64::MAX)),
        _ => (i128::from(i64::MIN), i128::from(u64::MAX)),
    };
    let said = |name: &str| schema.get(name).and_then(Json::as_i64).map(i128::from);
    (said("minimum").unwrap_or(low).max(low), said("maximum").unwrap_or(high).min(high))
}

fn float_in_range(schema: &Json, at: &At, span: SourceSpan, number: f64) -> Result<Json, Box<Finding>> {
    let low = schema.get("minimum").and_then(Json::as_f64).unwrap_or(f64::MIN);
    let high = schema.get("maximum").and_then(Json::as_f64).unwrap_or(f64::MAX);
    let within = number >= low && number <= high;
    within.then(|| Number::from_f64(number)).flatten().map(Json::Number).ok_or_else(|| {
        let shown = if number.is_finite() { number.to_string() } else { "not a finite number".to_owned() };
        out_of_range(schema, at, span, &shown)
    })
}

fn out_of_range(schema: &Json, at: &At, span: SourceSpan, shown: &str) -> Box<Finding> {
    let tail = if shown.starts_with("not ") { "" } else { ", out of range" };
    let finding = Finding::new(code::OUT_OF_RANGE, span, format!("`{}` is {shown}{tail}", at.path));
    Box::new(finding.label(format!("expected {}", expected(schema))))
}

/// A text of the form that the schema names.
fn formed(schema: &Json, at: &At, span: SourceSpan, text: &str) -> Result<Json, Box<Finding>> {
    let path = &at.path;
    let finding = match schema.get("format").and_then(Json::as_str) {
        Some("arcology-name") => Name::new(text).err().map(|error| {
            let finding = Finding::new(code::BAD_NAME, span, format!("{} is not a name: {error}", quoted(text)));
            match name_like(text) {
                Some(name) => finding.help(format!("`{name}` would be one")),
                None => finding.help("for example `desk` or `qwen2.5-7b-q4`"),
            }
        }),
        Some("arcology-span") => Span::parse(text).err().map(|_| {
            let help = match text.trim().parse::<u32>() {
                Ok(number) => format!("write `{number}s` if seconds are meant, or another unit: ms, s, m, h, d"),
                Err(_) => "a whole number and a unit, such as `500ms`, `5s`, `10m`, `2h`, `7d` or `1h30m`".into(),
            };
            let message = format!("`{path}` is {}, which is not a length of time", quoted(text));
            Finding::new(code::BAD_SPAN, span, message).help(help)
        }),
        Some("date-time") => text.parse::<Timestamp>().err().map(|_| {
            let message = format!("`{path}` is {}, which is not a moment in time", quoted(text));
            Finding::new(code::BAD_TIME, span, message)
                .help("write it as RFC 3339 with a zone, such as `2026-11-21T15:00:00Z`")
        }),
        _ => (!has_form(schema, text)).then(|| {
            let message = format!("`{path}` cannot be {}", quoted(text));
            Finding::new(code::BAD_FORM, span, message)
        }),
    };
    match finding {
        None => Ok(Json::from(text)),
        Some(finding) => Err(Box::new(finding.label(format!("expected {}", expected(schema))))),
    }
}

/// The patterns of our types that have no format, each with what decides it and what it is called.
type Form = (&'static str, fn(&str) -> bool, &'static str);
const FORMS: &[Form] =
    &[("^(100|[0-9]{1,2})%$", is_percentage, "a number of objects such as 10, or a percentage such as 25%")];

fn is_percentage(text: &str) -> bool {
    let digits = text.strip_suffix('%').unwrap_or_default();
    digits.bytes().all(|byte| byte.is_ascii_digit()) && digits.parse::<u8>().is_ok_and(|percent| percent <= 100)
}

fn form(schema: &Json) -> Option<&'static Form> {
    let pattern = schema.get("pattern").and_then(Json::as_str)?;
    FORMS.iter().find(|(known, _, _)| *known == pattern)
}

fn has_form(schema: &Json, text: &str) -> bool {
    form(schema).is_none_or(|(_, holds, _)| holds(text))
}

/// What a schema wants, in words.
pub(super) fn expected(schema: &Json) -> String {
    if let Some((_, _, words)) = form(schema) {
        return (*words).to_owned();
    }
    match schema.get("format").and_then(Json::as_str) {
        Some("arcology-name") => return "a name".into(),
        Some("arcology-span") => return "a length of time such as 5s".into(),
        Some("date-time") => return "a moment in time such as 2026-11-21T15:00:00Z".into(),
        _ => {}
    }
    let words = allowed(schema);
    if !words.is_empty() {
        return format!("one of {}", names(&words));
    }
    let types: Vec<&str> = match schema.get("type") {
        Some(Json::String(one)) => vec![one],
        Some(Json::Array(many)) => many.iter().filter_map(Json::as_str).collect(),
        _ => Vec::new(),
    };
    let phrases: Vec<String> = types
        .into_iter()
        .filter_map(|name| match name {
            "object" => Some("a mapping".into()),
            "array" => Some("a list".into()),
            "boolean" => Some("true or false".into()),
            "integer" => Some(format!("a whole number{}", limits(schema, true))),
            "number" => Some(format!("a number{}", limits(schema, false))),
            "string" => Some("a text".into()),
            _ => None,
        })
        .collect();
    if phrases.is_empty() { "a finite number".into() } else { phrases.join(" or ") }
}

/// ` from 1 to 64`, ` of at least 0`, or nothing.
fn limits(schema: &Json, whole: bool) -> String {
    let (low, high) = (schema.get("minimum"), schema.get("maximum"));
    match (low, high) {
        (Some(low), Some(high)) => format!(" from {low} to {high}"),
        (Some(low), None) if whole && schema.get("format") == Some(&Json::from("uint32")) => {
            format!(" from {low} to {}", u32::MAX)
        }
        (Some(low), None) => format!(" of at least {}", low.as_f64().unwrap_or_default()),
        (None, Some(high)) => format!(" of at most {high}"),
        (None, None) => String::new(),
    }
}

/// What to do about a value of the wrong type, where that can be told from the value.
pub(super) fn advice(schema: &Json, node: &Node) -> Option<String> {
    let types = schema.get("type").map(ToString::to_string).unwrap_or_default();
    match &node.value {
        Value::Scalar { text, .. } if types.contains("boolean") && is_other_bool(text) => {
            Some("write `true` or `false`; yes, no, on and off are not read".into())
        }
        Value::Scalar { text, .. } if types.contains("integer") && float(text).is_some() => {
            Some("write it without a decimal point".into())
        }
        Value::Scalar { .. } if types.contains("array") => Some("write it as a list, in brackets: `[…]`".into()),
        Value::Scalar { text, .. } if types.contains("number") || types.contains("integer") => {
            let digits: String = text.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
            (!digits.is_empty()).then(|| format!("write the number alone, without a unit: `{digits}`"))
        }
        Value::List(items) if types.contains("string") && items.len() == 1 => {
            Some("write it without the brackets".into())
        }
        Value::Scalar { .. } | Value::List(_) | Value::Map(_) => None,
    }
}

fn is_other_bool(text: &str) -> bool {
    ["yes", "no", "on", "off", "y", "n"].iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// The name that a text would be with small changes.
fn name_like(text: &str) -> Option<Name> {
    let changed: String = text.trim().to_lowercase().replace(['_', ' ', '/'], "-");
    Name::new(changed.trim_matches(['-', '.'])).ok()
}

#[cfg(test)]
mod tests {
    use super::super::super::schema;
    use super::*;

    #[test]
    fn every_pattern_of_our_types_is_one_that_this_file_decides() {
        fn patterns(schema: &Json, found: &mut Vec<String>) {
            match schema {
                Json::Object(fields) => {
                    if let (Some(Json::String(pattern)), None) = (fields.get("pattern"), fields.get("format")) {
                        found.push(pattern.clone());
                    }
                    fields.values().for_each(|inner| patterns(inner, found));
                }
                Json::Array(items) => items.iter().for_each(|inner| patterns(inner, found)),
                Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
            }
        }
        let mut found = Vec::new();
        patterns(&schema::all(), &mut found);
        assert!(!found.is_empty());
        for pattern in found {
            assert!(FORMS.iter().any(|(known, _, _)| *known == pattern), "{pattern}");
        }
    }

    #[test]
    fn whole_numbers_are_read_as_the_yaml_library_reads_them() {
        for (text, number) in [("0", 0), ("-5", -5), ("+7", 7), ("0x10", 16), ("0X1_f", 31), ("0o17", 15), ("0b11", 3)]
        {
            assert_eq!(whole_number(text), Some(number), "{text}");
        }
        for text in ["", "-", "1_", "1__0", "007", "1.0", "1e3", "ten", "0x", "_1", "１"] {
            assert_eq!(whole_number(text), None, "{text}");
        }
        assert_eq!(whole_number(&"9".repeat(60)), Some(i128::MAX));
    }

    #[test]
    fn a_near_name_is_offered_where_there_is_one() {
        assert_eq!(name_like("My_GPU box").unwrap().as_str(), "my-gpu-box");
        assert_eq!(name_like("日本"), None);
    }
}
