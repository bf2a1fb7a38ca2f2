//! Settings of a task, read strictly: a misspelt or impossible one is an error, never ignored.

use std::collections::BTreeMap;

use serde_json::Value;

use super::adapter::{Fault, RuntimeError};

/// A whole-number setting of a capability.
#[derive(Clone, Copy, Debug)]
pub struct Number {
    pub name: &'static str,
    pub min: u64,
    pub max: u64,
}

/// The longest summary that can be asked for, in words.
pub const MAX_WORDS: Number = Number { name: "max_words", min: 1, max: 100_000 };
/// The longest summary that can be asked for, in sentences.
pub const MAX_SENTENCES: Number = Number { name: "max_sentences", min: 1, max: 10_000 };

/// Refuses every setting that `known` does not name.
///
/// # Errors
/// Bad input that names the setting and the nearest known one.
pub fn only(params: &BTreeMap<String, Value>, capability: &str, known: &[Number]) -> Result<(), RuntimeError> {
    let names = || known.iter().map(|number| number.name);
    let Some(stranger) = params.keys().find(|key| names().all(|name| name != key.as_str())) else { return Ok(()) };
    let hint = match crate::core::text::nearest(stranger, names()) {
        Some(near) => format!("; did you mean `{near}`?"),
        None if known.is_empty() => "; it has none".to_owned(),
        None => format!("; it has {}", names().collect::<Vec<_>>().join(", ")),
    };
    Err(RuntimeError::new(Fault::BadInput, format!("{capability} has no setting `{stranger}`{hint}")))
}

/// The value of `number`, when it is set.
///
/// # Errors
/// Bad input when it is no whole number or out of range.
pub fn get(params: &BTreeMap<String, Value>, number: Number) -> Result<Option<usize>, RuntimeError> {
    let Some(value) = params.get(number.name) else { return Ok(None) };
    let whole = value.as_u64().filter(|whole| (number.min..=number.max).contains(whole));
    whole.and_then(|whole| usize::try_from(whole).ok()).map(Some).ok_or_else(|| {
        let Number { name, min, max } = number;
        let shown = crate::core::text::shorten(&value.to_string(), 40);
        RuntimeError::new(Fault::BadInput, format!("`{name}` is a whole number from {min} to {max}, not {shown}"))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn params(value: Value) -> BTreeMap<String, Value> {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_misspelt_setting_is_refused_with_the_one_that_was_meant() {
        let known = [MAX_WORDS, MAX_SENTENCES];
        assert_eq!(only(&params(json!({"max_words": 1})), "text.summarize", &known), Ok(()));
        let error = only(&params(json!({"max_wrods": 1})), "text.summarize", &known).unwrap_err();
        assert_eq!(error.message, "text.summarize has no setting `max_wrods`; did you mean `max_words`?");
        let error = only(&params(json!({"x": 1})), "text.stats", &[]).unwrap_err();
        assert_eq!(error.message, "text.stats has no setting `x`; it has none");
    }

    #[test]
    fn numbers_out_of_range_or_of_another_type_are_refused() {
        assert_eq!(get(&params(json!({"max_words": 60})), MAX_WORDS), Ok(Some(60)));
        assert_eq!(get(&params(json!({})), MAX_WORDS), Ok(None));
        for bad in [json!(0), json!(-1), json!(1.5), json!("60"), json!(null), json!(u64::MAX)] {
            assert_eq!(get(&params(json!({"max_words": bad})), MAX_WORDS).unwrap_err().fault, Fault::BadInput);
        }
    }
}
