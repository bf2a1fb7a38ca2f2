//! `text.generate` and `text.summarize`: one streamed chat.
//!
//! Dropping the future closes the connection, which is how these servers are told to stop.

use std::time::Instant;

use serde_json::{Map, Value, json};

use crate::act::http::{Request, Streaming};
use crate::act::runtime::adapter::{Fault, Invocation, Outcome, Output, Progress, RuntimeError};
use crate::act::runtime::fault;
use crate::act::runtime::input;
use crate::act::runtime::params::{self, MAX_SENTENCES, MAX_WORDS};
use crate::act::runtime::prompts::{self, Turn};
use crate::act::runtime::sse::Parser;

use super::api::Api;
use super::reply::{Brought, Reply};

/// Settings that are not the task's to choose.
const RESERVED: &[&str] = &["messages", "model", "n", "prompt", "stream", "stream_options"];
/// Progress is reported once in so many pieces.
const PIECES_PER_REPORT: u32 = 25;

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
    let capability = invocation.capability.clone();
    let for_model = settings(api, &invocation)?;
    let given = invocation.params.clone();
    let text = input::read(invocation, api.limit).await?;
    let turns = api.prompts.render(&capability, &text, &given)?;
    let started = Instant::now();
    let request = Request::post(api.routes.chat).json(&body(&model, &turns, for_model)).events();
    let streaming = api.client.open(request.within(api.limit)).await?;
    if streaming.status != 200 {
        return Err(fault::of_answer(&streaming.read().await?, &asked));
    }
    let (reply, first_ms) = receive(streaming, &asked, started, &progress).await?;
    let mut figures = reply.figures();
    if let Some(first_ms) = first_ms {
        figures.insert("time_to_first_token_ms".to_owned(), first_ms);
    }
    let name = if capability == "text.summarize" { "summary.md" } else { "text.md" };
    let text = reply.text.trim().to_owned() + "\n";
    Ok(Outcome {
        outputs: vec![Output { name: name.to_owned(), kind: "md".to_owned(), bytes: text.into_bytes() }],
        model: Some(model),
        prompt: Some(prompts::shown(&turns)),
        figures,
    })
}

/// The settings that go to the model server: all but those that the prompts use.
fn settings(api: &Api<'_>, invocation: &Invocation) -> Result<Map<String, Value>, RuntimeError> {
    if let Some(reserved) = invocation.params.keys().find(|key| RESERVED.contains(&key.as_str())) {
        return Err(RuntimeError::new(Fault::BadInput, format!("`{reserved}` is not a task's to set")));
    }
    for number in [MAX_WORDS, MAX_SENTENCES] {
        params::get(&invocation.params, number)?;
    }
    let of_prompts = api.prompts.settings(&invocation.capability);
    let for_model = invocation.params.iter().filter(|(key, _)| !of_prompts.contains(*key));
    Ok(for_model.map(|(key, value)| (key.clone(), value.clone())).collect())
}

fn body(model: &str, turns: &[Turn], settings: Map<String, Value>) -> Value {
    let messages: Vec<Value> = turns.iter().map(|turn| json!({"role": turn.role, "content": turn.content})).collect();
    let mut body = settings;
    body.insert("model".to_owned(), model.into());
    body.insert("messages".to_owned(), messages.into());
    body.insert("stream".to_owned(), true.into());
    body.insert("stream_options".to_owned(), json!({"include_usage": true}));
    Value::Object(body)
}

/// Reads the answer to its end, and tells when its first text came, in milliseconds.
async fn receive(
    mut streaming: Streaming,
    asked: &str,
    started: Instant,
    progress: &Progress,
) -> Result<(Reply, Option<f64>), RuntimeError> {
    let mut reply = Reply::default();
    let kind = streaming.content_type.clone().unwrap_or_default();
    if kind.starts_with("application/json") {
        reply.take_whole(&streaming.read().await?.json()?, asked)?;
        reply.check(asked)?;
        return Ok((reply, None));
    }
    if !kind.starts_with("text/event-stream") {
        let kind = crate::core::text::shorten(&kind, 60);
        return Err(RuntimeError::new(
            Fault::RuntimeError,
            format!("{asked}: it answers with `{kind}`, not with events"),
        ));
    }
    let mut parser = Parser::default();
    let mut first_ms = None;
    'answer: while let Some(piece) = streaming.chunk().await? {
        for item in parser.push(&piece)? {
            match reply.take(&item, asked).map_err(|e| hide(e, &streaming))? {
                Brought::Text => {
                    first_ms.get_or_insert_with(|| started.elapsed().as_secs_f64() * 1_000.0);
                    report(&reply, progress);
                }
                Brought::Aside(words) => progress.say(words.trim()),
                Brought::Nothing => {}
                Brought::End => break 'answer,
            }
        }
    }
    if let Some(item) = parser.finish() {
        reply.take(&item, asked).map_err(|e| hide(e, &streaming))?;
    }
    reply.check(asked)?;
    Ok((reply, first_ms))
}

fn hide(mut error: RuntimeError, streaming: &Streaming) -> RuntimeError {
    error.words = error.words.map(|words| streaming.without_secret(&words));
    error
}

fn report(reply: &Reply, progress: &Progress) {
    if reply.pieces == 1 {
        progress.say("the answer begins");
    } else if reply.pieces.is_multiple_of(PIECES_PER_REPORT) {
        progress.say(&format!("{} pieces of the answer", reply.pieces));
    }
}
