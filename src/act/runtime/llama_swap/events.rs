//! The event stream: doubly encoded JSON, whose shapes differ from version to version.
//!
//! An event is a hint to look again; what is kept from it is only what no list tells in every version: aliases, unlisted
//! models and the requests in flight. A look while nobody listens takes the first burst. The history of the log that is repeated at each start is passed over, and of the log only warnings and errors
//! of llama-swap itself are told on, because the rest may hold command lines and prompts.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use serde::Deserialize;
use serde_json::Value;

use crate::act::http::{Request, Streaming};
use crate::act::runtime::adapter::{Fault, RuntimeError, RuntimeEvent};
use crate::act::runtime::fault;
use crate::act::runtime::sse::{Item, Parser};

use super::adapter::LlamaSwap;
use super::paths::Look;
use super::seen::Heard;
use super::wire::Status;

/// Requests in flight that are told apart; llama-swap allows ten a model.
const IN_FLIGHT_MAX: usize = 10_000;
const LOG_LINE_CHARS_MAX: usize = 500;

type Events = BoxStream<'static, Result<RuntimeEvent, RuntimeError>>;

/// Opens the stream. It ends when the connection does; what was heard on it is forgotten then.
pub(super) async fn open(runtime: &LlamaSwap) -> Result<Events, RuntimeError> {
    let listening = Listening {
        streaming: Some(connect(runtime).await?),
        parser: Parser::default(),
        decoder: Decoder::default(),
        heard: runtime.heard.clone(),
    };
    let batches = stream::unfold(listening, |mut listening| async move {
        let batch = listening.next().await?;
        Some((batch, listening))
    });
    Ok(batches.flat_map(stream::iter).boxed())
}

/// Listens for the first burst alone: all models and the requests in flight. None when it does not come.
pub(super) async fn glimpse(runtime: &LlamaSwap) -> Option<Heard> {
    let listen = async {
        let mut streaming = connect(runtime).await.ok()?;
        let (mut parser, mut decoder) = (Parser::default(), Decoder::default());
        while let Some(piece) = streaming.chunk().await.ok()? {
            for item in parser.push(&piece).ok()? {
                if let Item::Event { data, .. } = item {
                    decoder.take(&data);
                }
            }
            if decoder.told.is_some() && decoder.status.is_some() {
                break;
            }
        }
        decoder.heard()
    };
    tokio::time::timeout(runtime.timeouts.connect.get(), listen).await.ok()?
}

async fn connect(runtime: &LlamaSwap) -> Result<Streaming, RuntimeError> {
    let streaming = runtime.client.open(Request::get(Look::Events.path()).events()).await?;
    if streaming.status != 200 {
        return Err(fault::of_answer(&streaming.read().await?, "cannot listen to events"));
    }
    let kind = streaming.content_type.clone().unwrap_or_default();
    if !kind.starts_with("text/event-stream") {
        let message = format!("{} answers with `{}` in place of events", Look::Events.path(), shown(&kind));
        return Err(RuntimeError::new(Fault::RuntimeError, message));
    }
    Ok(streaming)
}

fn shown(kind: &str) -> String {
    crate::core::text::shorten(kind, 60)
}

/// A connection that is listened to.
struct Listening {
    /// None once it has failed.
    streaming: Option<Streaming>,
    parser: Parser,
    decoder: Decoder,
    heard: Arc<Mutex<Option<Heard>>>,
}

impl Drop for Listening {
    fn drop(&mut self) {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Listening {
    /// What the next piece of the stream tells; none at its end.
    async fn next(&mut self) -> Option<Vec<Result<RuntimeEvent, RuntimeError>>> {
        let piece = match self.streaming.as_mut()?.chunk().await {
            Ok(piece) => piece?,
            Err(e) => return Some(self.failed(e.into())),
        };
        let items = match self.parser.push(&piece) {
            Ok(items) => items,
            Err(e) => return Some(self.failed(e.into())),
        };
        let mut events = Vec::new();
        for item in items {
            match item {
                Item::Event { data, .. } => events.extend(self.decoder.take(&data).into_iter().map(Ok)),
                Item::Stray(_) => {}
            }
        }
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&self.decoder.heard());
        Some(events)
    }

    fn failed(&mut self, error: RuntimeError) -> Vec<Result<RuntimeEvent, RuntimeError>> {
        self.streaming = None;
        vec![Err(error)]
    }
}

/// The outer layer of an event.
#[derive(Deserialize)]
struct Envelope {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    data: String,
}

/// The `inflight` event of every version.
#[derive(Deserialize)]
struct InFlight {
    operation: Option<String>,
    requests: Option<Vec<InFlightRequest>>,
    request: Option<InFlightRequest>,
    id: Option<String>,
    total: Option<u32>,
}

#[derive(Deserialize)]
struct InFlightRequest {
    id: Value,
}

#[derive(Deserialize)]
struct Log {
    source: String,
    data: String,
}

/// Turns events into what they mean. Pure: one for each connection.
#[derive(Debug, Default)]
struct Decoder {
    status: Option<Vec<Status>>,
    /// The requests in flight by id, once a snapshot has told all of them.
    requests: Option<BTreeSet<String>>,
    /// Their number, where only that is told.
    total: Option<u32>,
    told: Option<u32>,
    /// The sources of the log whose history has been passed over.
    sources: BTreeSet<String>,
}

impl Decoder {
    /// What one event means; nothing for one that is unknown or says nothing new.
    fn take(&mut self, data: &str) -> Vec<RuntimeEvent> {
        let Ok(envelope) = serde_json::from_str::<Envelope>(data) else { return vec![RuntimeEvent::Gap] };
        let told = match envelope.kind.as_str() {
            "modelStatus" => self.models(&envelope.data),
            "inflight" => self.in_flight(&envelope.data),
            "logData" => self.log(&envelope.data),
            // `activity`, `metrics`, `uiConfig`, `profileChanged` and what is to come.
            _ => Some(Vec::new()),
        };
        told.unwrap_or_else(|| vec![RuntimeEvent::Gap])
    }

    /// What is known by now; none before all models were told.
    fn heard(&self) -> Option<Heard> {
        Some(Heard { models: self.status.clone()?, in_flight: self.told })
    }

    fn models(&mut self, data: &str) -> Option<Vec<RuntimeEvent>> {
        let now: Vec<Status> = serde_json::from_str(data).ok()?;
        let changed = self.status.as_ref() != Some(&now);
        self.status = Some(now);
        Some(if changed { vec![RuntimeEvent::Changed] } else { Vec::new() })
    }

    fn in_flight(&mut self, data: &str) -> Option<Vec<RuntimeEvent>> {
        let update: InFlight = serde_json::from_str(data).ok()?;
        let ids = |all: Vec<InFlightRequest>| all.iter().map(|request| request.id.to_string()).collect();
        match (update.operation.as_deref(), &mut self.requests) {
            // v240 and later; an empty snapshot has no `requests`.
            (Some("snapshot"), requests) => *requests = Some(ids(update.requests.unwrap_or_default())),
            (Some("upsert"), Some(requests)) => drop(requests.insert(update.request?.id.to_string())),
            (Some("remove"), Some(requests)) => drop(requests.remove(&Value::from(update.id?).to_string())),
            // Before the snapshot, or an operation that is to come.
            (Some(_), _) => {}
            // v235 to v239.
            (None, requests) if update.requests.is_some() => *requests = update.requests.map(ids),
            // Up to v234.
            (None, _) => self.total = update.total.or(Some(0)),
        }
        if self.requests.as_ref().is_some_and(|requests| requests.len() > IN_FLIGHT_MAX) {
            self.requests = None;
            self.told = None;
            return None;
        }
        let count = self.requests.as_ref().and_then(|requests| u32::try_from(requests.len()).ok()).or(self.total);
        let changed = count != self.told;
        self.told = count;
        Some(count.filter(|_| changed).map(RuntimeEvent::InFlight).into_iter().collect())
    }

    fn log(&mut self, data: &str) -> Option<Vec<RuntimeEvent>> {
        let log: Log = serde_json::from_str(data).ok()?;
        let is_history = self.sources.insert(log.source.clone());
        if is_history || log.source != "proxy" {
            return Some(Vec::new());
        }
        let matters = |line: &&str| line.contains("[WARN]") || line.contains("[ERROR]");
        let lines = log.data.lines().filter(matters);
        Some(lines.map(|line| RuntimeEvent::Log(crate::core::text::shorten(line.trim(), LOG_LINE_CHARS_MAX))).collect())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(kind: &str, inner: &Value) -> String {
        json!({"type": kind, "data": inner.to_string()}).to_string()
    }

    fn told(decoder: &mut Decoder, kind: &str, inner: Value) -> Vec<RuntimeEvent> {
        decoder.take(&event(kind, &inner))
    }

    #[test]
    fn quirk_7_in_flight_requests_are_counted_in_the_shape_of_every_version() {
        let mut old = Decoder::default();
        assert_eq!(told(&mut old, "inflight", json!({"total": 3})), [RuntimeEvent::InFlight(3)]);
        assert_eq!(told(&mut old, "inflight", json!({"total": 3})), []);

        let mut middle = Decoder::default();
        let two = json!({"requests": [{"id": "1"}, {"id": "2"}]});
        assert_eq!(told(&mut middle, "inflight", two), [RuntimeEvent::InFlight(2)]);
        assert_eq!(told(&mut middle, "inflight", json!({"requests": []})), [RuntimeEvent::InFlight(0)]);

        let mut new = Decoder::default();
        assert_eq!(told(&mut new, "inflight", json!({"operation": "upsert", "request": {"id": "9"}})), []);
        // An empty snapshot leaves `requests` out.
        assert_eq!(told(&mut new, "inflight", json!({"operation": "snapshot"})), [RuntimeEvent::InFlight(0)]);
        let upsert = json!({"operation": "upsert", "request": {"id": "1", "model": "a"}});
        assert_eq!(told(&mut new, "inflight", upsert.clone()), [RuntimeEvent::InFlight(1)]);
        assert_eq!(told(&mut new, "inflight", upsert), []);
        assert_eq!((new.told, new.heard()), (Some(1), None));
        assert_eq!(told(&mut new, "inflight", json!({"operation": "remove", "id": "1"})), [RuntimeEvent::InFlight(0)]);
        assert_eq!(told(&mut new, "inflight", json!({"operation": "remove", "id": "7"})), []);
        assert_eq!(told(&mut new, "inflight", json!({"operation": "dance"})), []);
    }

    #[test]
    fn a_full_list_that_says_nothing_new_is_no_event() {
        let mut decoder = Decoder::default();
        let models =
            |state: &str| json!([{"id": "a", "state": state, "unlisted": true, "peerID": "", "aliases": ["x"]}]);
        assert_eq!(told(&mut decoder, "modelStatus", models("stopped")), [RuntimeEvent::Changed]);
        assert_eq!(told(&mut decoder, "modelStatus", models("stopped")), []);
        assert_eq!(told(&mut decoder, "modelStatus", models("ready")), [RuntimeEvent::Changed]);
        let heard = decoder.heard().unwrap().models;
        assert_eq!(
            (heard[0].id.as_str(), heard[0].unlisted, heard[0].aliases.as_slice()),
            ("a", true, &["x".to_owned()][..])
        );
    }

    #[test]
    fn quirk_6_a_config_error_in_the_log_is_told_on_but_neither_history_nor_commands_are() {
        let mut decoder = Decoder::default();
        let log = |text: &str| json!({"source": "proxy", "data": text});
        assert_eq!(told(&mut decoder, "logData", log("[ERROR] old\n")), []);
        assert_eq!(told(&mut decoder, "logData", log("[DEBUG] Executing start command: x --api-key s3cret\n")), []);
        let new = told(&mut decoder, "logData", log("[INFO] a\n[WARN] Unable to reload config: yaml: line 3\n"));
        assert_eq!(new, [RuntimeEvent::Log("[WARN] Unable to reload config: yaml: line 3".to_owned())]);
        let prompt = json!({"source": "upstream", "data": "[WARN] my prompt"});
        assert_eq!(told(&mut decoder, "logData", prompt.clone()), []);
        assert_eq!(told(&mut decoder, "logData", prompt), []);
    }

    #[test]
    fn unknown_types_are_passed_over_and_what_cannot_be_read_is_a_gap() {
        let mut decoder = Decoder::default();
        for kind in ["activity", "metrics", "uiConfig", "profileChanged", "whatever"] {
            assert_eq!(told(&mut decoder, kind, json!({"id": 1})), [], "{kind}");
        }
        assert_eq!(decoder.take(r#"{"type":"profileChanged"}"#), []);
        for broken in ["", "[]", r#"{"type":"modelStatus","data":"{"}"#, r#"{"type":"inflight","data":"7"}"#] {
            assert_eq!(decoder.take(broken), [RuntimeEvent::Gap], "{broken}");
        }
    }
}
