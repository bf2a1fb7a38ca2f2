//! The capabilities of the built-in runtime, as plain functions from inputs to an outcome.

use std::collections::BTreeMap;

use crate::act::runtime::adapter::{Fault, Invocation, Outcome, Output, RuntimeError};
use crate::act::runtime::document;
use crate::act::runtime::input::{nothing_given, text_of};
use crate::act::runtime::params::{self, MAX_SENTENCES, MAX_WORDS};
use crate::act::runtime::stop::{Stop, Stopped};

use super::stats::stats;
use super::summarize::{Length, Method, summarize};

/// Summarises with `method`, which the runtime calls `model`.
pub(super) fn summary(
    invocation: &Invocation,
    model: &str,
    method: Method,
    stop: &Stop,
) -> Result<Outcome, RuntimeError> {
    params::only(&invocation.params, &invocation.capability, &[MAX_WORDS, MAX_SENTENCES])?;
    let length = Length {
        words_max: params::get(&invocation.params, MAX_WORDS)?,
        sentences_max: params::get(&invocation.params, MAX_SENTENCES)?,
    };
    let text = text_of(invocation, stop)?;
    let summary = summarize(&text, method, length, stop)
        .map_err(stopped)?
        .ok_or_else(|| RuntimeError::new(Fault::BadInput, "the text has no sentence that could be summarised"))?;
    let figures = [
        ("words", summary.words),
        ("sentences", summary.sentences),
        ("words_of_text", summary.words_of_text),
        ("sentences_of_text", summary.sentences_of_text),
        ("sentences_ranked", summary.sentences_ranked),
    ];
    Ok(Outcome {
        outputs: vec![output("summary.md", "md", summary.text + "\n")],
        model: Some(model.to_owned()),
        prompt: None,
        figures: figures_of(&figures),
    })
}

/// Takes the text out of the files.
pub(super) fn extraction(invocation: &Invocation, stop: &Stop) -> Result<Outcome, RuntimeError> {
    params::only(&invocation.params, &invocation.capability, &[])?;
    let mut parts = Vec::new();
    let mut pages = 0;
    for file in &invocation.files {
        let extracted = document::extract(file, stop).map_err(|e| e.of(&file.name))?;
        pages += extracted.pages.unwrap_or(0);
        let heading = if invocation.files.len() > 1 { format!("# {}\n\n", file.name) } else { String::new() };
        parts.push(heading + extracted.text.trim_end() + "\n");
    }
    parts.extend(invocation.text.clone());
    if parts.is_empty() {
        return Err(nothing_given(&invocation.capability));
    }
    let text = parts.join("\n");
    let figures = [("files", invocation.files.len()), ("pages", pages), ("characters", text.chars().count())];
    Ok(Outcome {
        outputs: vec![output("text.md", "md", text)],
        model: None,
        prompt: None,
        figures: figures_of(&figures),
    })
}

/// Counts the text.
pub(super) fn statistics(invocation: &Invocation, stop: &Stop) -> Result<Outcome, RuntimeError> {
    params::only(&invocation.params, &invocation.capability, &[])?;
    let counted = stats(&text_of(invocation, stop)?);
    let json = serde_json::to_string_pretty(&counted)
        .map_err(|e| RuntimeError::new(Fault::RuntimeError, format!("the numbers cannot be written as JSON: {e}")))?;
    let figures = [("words", counted.words), ("sentences", counted.sentences), ("characters", counted.characters)];
    Ok(Outcome {
        outputs: vec![output("stats.json", "json", json + "\n")],
        model: None,
        prompt: None,
        figures: figures_of(&figures),
    })
}

pub(super) fn stopped(why: Stopped) -> RuntimeError {
    RuntimeError::new(Fault::Timeout, why.to_string())
}

fn output(name: &str, kind: &str, text: String) -> Output {
    Output { name: name.to_owned(), kind: kind.to_owned(), bytes: text.into_bytes() }
}

#[expect(clippy::cast_precision_loss, reason = "counts of a text are far below 2^52")]
fn figures_of(all: &[(&str, usize)]) -> BTreeMap<String, f64> {
    all.iter().map(|(name, value)| ((*name).to_owned(), *value as f64)).collect()
}
