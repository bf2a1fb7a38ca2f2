//! `audio.tts`: a text, spoken.

use std::collections::BTreeMap;
use std::time::Instant;

use serde_json::{Map, Value, json};

use crate::act::http::Request;
use crate::act::runtime::adapter::{Fault, Invocation, Outcome, Output, Progress, RuntimeError};
use crate::act::runtime::fault;
use crate::act::runtime::input;
use crate::declare::manifest::kind::options::openai::SpeechFormat;

use super::api::Api;
use super::sound;

/// Settings that a task may choose.
const SETTINGS: &[&str] = &["speed", "voice"];
/// How much slower or faster speech can be asked for.
const SPEEDS: std::ops::RangeInclusive<f64> = 0.25..=4.0;

/// What is spoken with when the task does not say.
#[derive(Clone, Debug, Default)]
pub struct Manner {
    pub voice: Option<String>,
    pub format: SpeechFormat,
    /// What is said of `stream` to servers that stream unless they are told not to; none says nothing.
    pub stream: Option<bool>,
}

/// Does `invocation` with `model`.
///
/// # Errors
/// Bad input, or what the server says.
pub async fn run(
    api: &Api<'_>,
    manner: &Manner,
    model: String,
    invocation: Invocation,
    progress: Progress,
) -> Result<Outcome, RuntimeError> {
    let asked = format!("cannot do `{}` with `{model}`", invocation.capability);
    let mut body = settings(&invocation.params, manner)?;
    let text = input::read(invocation, api.limit).await?;
    let characters = text.chars().count();
    body.insert("model".to_owned(), model.clone().into());
    body.insert("input".to_owned(), text.into());
    body.insert("response_format".to_owned(), manner.format.as_str().into());
    if let Some(stream) = manner.stream {
        body.insert("stream".to_owned(), stream.into());
    }
    progress.say(&format!("speaking {characters} characters"));
    let started = Instant::now();
    let request = Request::post(api.routes.speech).json(&Value::Object(body)).bytes().within(api.limit);
    let answer = api.client.send(request).await?;
    if answer.status != 200 {
        return Err(fault::of_answer(&answer, &asked));
    }
    let kind = match sound::kind_of(&answer.body) {
        Some(kind) => kind,
        // Raw samples have no head to be known by.
        None if manner.format == SpeechFormat::Pcm && !answer.body.is_empty() => "pcm",
        None => return Err(no_sound(&answer.body, &asked)),
    };
    let figures = [
        ("characters", characters as f64),
        ("bytes", answer.body.len() as f64),
        ("generation_ms", started.elapsed().as_secs_f64() * 1_000.0),
    ];
    Ok(Outcome {
        outputs: vec![Output { name: format!("speech.{kind}"), kind: kind.to_owned(), bytes: answer.body }],
        model: Some(model),
        prompt: None,
        figures: figures.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
    })
}

fn settings(params: &BTreeMap<String, Value>, manner: &Manner) -> Result<Map<String, Value>, RuntimeError> {
    let bad = |message: String| RuntimeError::new(Fault::BadInput, message);
    if let Some(stranger) = params.keys().find(|key| !SETTINGS.contains(&key.as_str())) {
        let all = SETTINGS.join(" and ");
        return Err(bad(format!("audio.tts has no setting `{stranger}`; it has {all}")));
    }
    let mut body = Map::new();
    match params.get("voice") {
        Some(Value::String(voice)) if !voice.is_empty() => drop(body.insert("voice".to_owned(), json!(voice))),
        Some(other) => return Err(bad(format!("`voice` is the name of a voice, not {other}"))),
        None => drop(manner.voice.as_ref().map(|voice| body.insert("voice".to_owned(), json!(voice)))),
    }
    if let Some(value) = params.get("speed") {
        let speed = value.as_f64().filter(|speed| SPEEDS.contains(speed));
        let speed = speed.ok_or_else(|| bad(format!("`speed` is a number from 0.25 to 4, not {value}")))?;
        body.insert("speed".to_owned(), json!(speed));
    }
    Ok(body)
}

/// An answer of 200 that holds no sound: an error in JSON, or nothing.
fn no_sound(body: &[u8], asked: &str) -> RuntimeError {
    let words = String::from_utf8_lossy(&body[..body.len().min(300)]);
    let what = if body.is_empty() { "its answer is empty" } else { "its answer is no sound" };
    RuntimeError::new(Fault::RuntimeError, format!("{asked}: {what}")).saying(&words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(params: Value) -> Result<Value, String> {
        let manner = Manner { voice: Some("af_heart".to_owned()), format: SpeechFormat::Wav, stream: None };
        let params: BTreeMap<String, Value> = serde_json::from_value(params).unwrap();
        settings(&params, &manner).map(Value::Object).map_err(|error| error.message)
    }

    #[test]
    fn a_task_may_choose_voice_and_speed_and_nothing_else() {
        assert_eq!(set(json!({})), Ok(json!({"voice": "af_heart"})));
        assert_eq!(set(json!({"voice": "bm_george", "speed": 1.5})), Ok(json!({"voice": "bm_george", "speed": 1.5})));
        for bad in [
            json!({"speed": 9}),
            json!({"speed": "fast"}),
            json!({"voice": ""}),
            json!({"voice": 3}),
            json!({"input": "x"}),
        ] {
            assert!(set(bad.clone()).is_err(), "{bad}");
        }
    }
}
