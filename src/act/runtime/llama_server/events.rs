//! The event stream of a router. It tells of changes alone and begins with nothing, so listening begins with a look.
//!
//! A server of a single model has no events: there the stream says once that listening has begun, and ends when the
//! server cannot be reached any more.

use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use serde_json::Value;

use crate::act::http::{Client, Request, Streaming};
use crate::act::runtime::adapter::{Fault, RuntimeError, RuntimeEvent};
use crate::act::runtime::fault;
use crate::act::runtime::sse::{Item, Parser};

use super::adapter::LlamaServer;
use super::paths::Look;
use super::told;
use super::wire::is_id;

/// How often a server without events is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);

type Events = BoxStream<'static, Result<RuntimeEvent, RuntimeError>>;

/// Opens the stream. It ends when the connection does.
pub(super) async fn open(runtime: &LlamaServer) -> Result<Events, RuntimeError> {
    let props = runtime.props().await?;
    if props.is_none_or(|props| !props.is_router()) {
        return Ok(watched(runtime.client.clone()));
    }
    let streaming = runtime.client.open(Request::get(Look::Events.path()).events()).await?;
    if streaming.status != 200 {
        return Err(told::meant(fault::of_answer(&streaming.read().await?, "cannot listen to events")));
    }
    let kind = streaming.content_type.clone().unwrap_or_default();
    if !kind.starts_with("text/event-stream") {
        let kind = crate::core::text::shorten(&kind, 60);
        let message = format!("{} answers with `{kind}` in place of events", Look::Events.path());
        return Err(RuntimeError::new(Fault::RuntimeError, message));
    }
    let begun = stream::iter([Ok(RuntimeEvent::Changed)]);
    let listening = Listening { streaming: Some(streaming), parser: Parser::default() };
    let batches = stream::unfold(listening, |mut listening| async move {
        let batch = listening.next().await?;
        Some((batch, listening))
    });
    Ok(begun.chain(batches.flat_map(stream::iter)).boxed())
}

/// Says once that listening has begun, and ends when the server cannot be reached: what comes back may be a router.
fn watched(client: Client) -> Events {
    let end = stream::once(async move {
        while client.send(Request::get(Look::Health.path())).await.is_ok() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    });
    stream::iter([Ok(RuntimeEvent::Changed)]).chain(end.filter_map(async |()| None)).boxed()
}

/// A connection that is listened to.
struct Listening {
    /// None once it has failed.
    streaming: Option<Streaming>,
    parser: Parser,
}

impl Listening {
    /// What the next piece of the stream tells; none at its end.
    async fn next(&mut self) -> Option<Vec<Result<RuntimeEvent, RuntimeError>>> {
        let piece = match self.streaming.as_mut()?.chunk().await {
            Ok(piece) => piece?,
            Err(e) => return Some(self.failed(e.into())),
        };
        match self.parser.push(&piece) {
            Ok(items) => Some(items.iter().filter_map(event).map(Ok).collect()),
            Err(e) => Some(self.failed(e.into())),
        }
    }

    fn failed(&mut self, error: RuntimeError) -> Vec<Result<RuntimeEvent, RuntimeError>> {
        self.streaming = None;
        vec![Err(error)]
    }
}

/// What one event means. Pure; nothing for one that is unknown.
fn event(item: &Item) -> Option<RuntimeEvent> {
    let Item::Event { data, .. } = item else { return Some(RuntimeEvent::Gap { missed: None }) };
    let Ok(told) = serde_json::from_str::<Value>(data) else { return Some(RuntimeEvent::Gap { missed: None }) };
    let Some(kind) = told.get("event").and_then(Value::as_str) else { return Some(RuntimeEvent::Gap { missed: None }) };
    let model = told.get("model").and_then(Value::as_str).filter(|id| is_id(id)).unwrap_or("a model");
    let data = told.get("data").unwrap_or(&Value::Null);
    match kind {
        "model_status" | "status_change" => Some(match percent_loaded(data) {
            Some(percent) => RuntimeEvent::Log(format!("{model}: {percent} % loaded")),
            None => RuntimeEvent::Changed,
        }),
        "download_progress" => {
            percent_downloaded(data).map(|percent| RuntimeEvent::Log(format!("{model}: {percent} % downloaded")))
        }
        "download_finished" | "download_failed" | "model_remove" | "models_reload" => Some(RuntimeEvent::Changed),
        _ => None,
    }
}

/// How far a load is that is under way.
fn percent_loaded(data: &Value) -> Option<u32> {
    let value = data.get("progress")?.get("value")?.as_f64().filter(|value| (0.0..=1.0).contains(value))?;
    Some((value * 100.0) as u32)
}

/// How far the files of a download are together: under `progress`, or as the map itself.
fn percent_downloaded(data: &Value) -> Option<u32> {
    let files = data.get("progress").unwrap_or(data).as_object()?;
    let sum = |key: &str| files.values().filter_map(|file| file.get(key)?.as_f64()).sum::<f64>();
    let (done, total) = (sum("done"), sum("total"));
    (total > 0.0 && (0.0..=total).contains(&done)).then_some((done / total * 100.0) as u32)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(data: &str) -> Option<RuntimeEvent> {
        event(&Item::Event { name: String::new(), data: data.to_owned() })
    }

    #[test]
    fn quirk_3_both_names_and_both_shapes_are_read() {
        let log = |text: &str| Some(RuntimeEvent::Log(text.to_owned()));
        for kind in ["model_status", "status_change"] {
            let told = |data: Value| of(&json!({"model": "a", "event": kind, "data": data}).to_string());
            assert_eq!(told(json!({"status": "loaded", "info": {}})), Some(RuntimeEvent::Changed));
            let progress = json!({"status": "loading", "progress": {"stages": ["x"], "current": "x", "value": 0.42}});
            assert_eq!(told(progress), log("a: 42 % loaded"));
        }
        let files = json!({"u": {"done": 1, "total": 2}, "v": {"done": 0, "total": 2}});
        for data in [json!({"progress": files}), files] {
            let told = json!({"model": "a", "event": "download_progress", "data": data});
            assert_eq!(of(&told.to_string()), log("a: 25 % downloaded"));
        }
    }

    #[test]
    fn what_is_unknown_is_passed_over_and_what_cannot_be_read_is_a_gap() {
        assert_eq!(of(r#"{"model":"*","event":"models_reload"}"#), Some(RuntimeEvent::Changed));
        assert_eq!(of(r#"{"model":"a","event":"sung","data":null}"#), None);
        for bad in ["{", "[]", "null", r#"{"model":"a"}"#] {
            assert_eq!(of(bad), Some(RuntimeEvent::Gap { missed: None }), "{bad}");
        }
        assert_eq!(event(&Item::Stray("{}".to_owned())), Some(RuntimeEvent::Gap { missed: None }));
    }
}
