//! `audio.transcribe`: what is said in a sound file.

use std::collections::BTreeMap;
use std::time::Instant;

use serde_json::Value;

use crate::act::http::{Part, Request};
use crate::act::runtime::adapter::{Fault, Invocation, Outcome, Output, Progress, RuntimeError};
use crate::act::runtime::fault;

use super::api::Api;

/// Settings that a task may choose; they go to the server as they are.
const SETTINGS: &[&str] = &["language", "prompt", "temperature"];

/// Does `invocation` with `model`.
///
/// # Errors
/// Bad input, or what the server says.
pub async fn run(
    api: &Api<'_>,
    model: String,
    invocation: Invocation,
    progress: Progress,
) -> Result<Outcome, RuntimeError> {
    let asked = format!("cannot do `{}` with `{model}`", invocation.capability);
    let settings = settings(&invocation.params)?;
    let [file] = invocation.files.as_slice() else {
        let message = format!("audio.transcribe takes one sound file, and was given {}", invocation.files.len());
        return Err(RuntimeError::new(Fault::BadInput, message));
    };
    let mut parts = vec![Part::Field { name: "model", value: &model }];
    parts.extend(settings.iter().map(|(name, value)| Part::Field { name, value }));
    parts.push(Part::Field { name: "response_format", value: "json" });
    parts.push(Part::File { name: "file", file_name: &file.name, bytes: &file.bytes });
    progress.say(&format!("listening to {} ({} bytes)", file.name, file.bytes.len()));
    let started = Instant::now();
    let answer = api.client.send(Request::post(api.routes.transcriptions).form(&parts).within(api.limit)).await?;
    if answer.status != 200 {
        return Err(fault::of_answer(&answer, &asked));
    }
    let told: Value = answer.json()?;
    if let Some(error) = fault::in_stream(&told, &asked) {
        return Err(error);
    }
    let text = told
        .get("text")
        .and_then(Value::as_str)
        .ok_or_else(|| RuntimeError::new(Fault::RuntimeError, format!("{asked}: its answer holds no text")))?;
    let mut figures = BTreeMap::from([("generation_ms".to_owned(), started.elapsed().as_secs_f64() * 1_000.0)]);
    if let Some(seconds) = told.get("duration").and_then(Value::as_f64).filter(|seconds| seconds.is_finite()) {
        figures.insert("sound_s".to_owned(), seconds);
    }
    let bytes = (text.trim().to_owned() + "\n").into_bytes();
    let outputs = vec![Output { name: "transcript.txt".to_owned(), kind: "txt".to_owned(), bytes }];
    Ok(Outcome { outputs, model: Some(model), prompt: None, figures })
}

fn settings(params: &BTreeMap<String, Value>) -> Result<Vec<(&str, String)>, RuntimeError> {
    params
        .iter()
        .map(|(name, value)| match value {
            _ if !SETTINGS.contains(&name.as_str()) => {
                let all = SETTINGS.join(", ");
                Err(RuntimeError::new(
                    Fault::BadInput,
                    format!("audio.transcribe has no setting `{name}`; it has {all}"),
                ))
            }
            Value::String(text) => Ok((name.as_str(), text.clone())),
            Value::Number(number) => Ok((name.as_str(), number.to_string())),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
                Err(RuntimeError::new(Fault::BadInput, format!("`{name}` is a text or a number, not {value}")))
            }
        })
        .collect()
}
