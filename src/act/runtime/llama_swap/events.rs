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

use crate::act::http::{Client, Request, Streaming};
use crate::act::runtime::adapter::{Fault, RuntimeError, RuntimeEvent};
use crate::act::runtime::fault;
use crate::act::runtime::sse::{Item, Parser};

use super::activity::{self, Known, Missed};
use super::adapter::LlamaSwap;
use super::in_flight::InFlight;
use super::paths::Look;
use super::seen::Heard;
use super::wire::Status;

/// Something came that could not be read.
const GAP: RuntimeEvent = RuntimeEvent::Gap { missed: None };
const LOG_LINE_CHARS_MAX: usize = 500;

type Events = BoxStream<'static, Result<RuntimeEvent, RuntimeError>>;

/// Opens the stream. It ends when the connection does; what was heard on it is forgotten then.
pub(super) async fn open(runtime: &LlamaSwap) -> Result<Events, RuntimeError> {
    let streaming = Some(connect(runtime).await?);
    // What finished while nobody listened. What finishes from now on is told as well, and then nothing new.
    let missed = activity::catch_up(&runtime.client, &mut *runtime.known.lock().await).await;
    let listening = Listening {
        streaming,
        client: runtime.client.clone(),
        known: Arc::clone(&runtime.known),
        missed: missed.unwrap_or(Missed::Nothing),
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
    client: Client,
    known: Arc<tokio::sync::Mutex<Known>>,
    /// What was missed before the connection was there, until it is told.
    missed: Missed,
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
        if let Some(gap) = gap(std::mem::replace(&mut self.missed, Missed::Nothing)) {
            return Some(vec![Ok(gap)]);
        }
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
        let lost = self.lost().await;
        events.extend(gap(Missed::Entries(lost)).map(Ok));
        Some(events)
    }

    /// How many entries there must have been between those that were told and cannot be told any more.
    async fn lost(&mut self) -> u64 {
        let mut known = self.known.lock().await;
        let mut lost = 0_u64;
        for id in std::mem::take(&mut self.decoder.finished) {
            if let Some(hole) = known.told(id) {
                lost = lost.saturating_add(activity::lost(&self.client, hole).await);
            }
        }
        lost
    }

    fn failed(&mut self, error: RuntimeError) -> Vec<Result<RuntimeEvent, RuntimeError>> {
        self.streaming = None;
        vec![Err(error)]
    }
}

fn gap(missed: Missed) -> Option<RuntimeEvent> {
    match missed {
        Missed::Nothing | Missed::Entries(0) => None,
        Missed::Entries(missed) => Some(RuntimeEvent::Gap { missed: Some(missed) }),
        Missed::Unknown => Some(RuntimeEvent::Gap { missed: None }),
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

/// The `activity` event, and an entry of the `metrics` event.
#[derive(Deserialize)]
struct Finished {
    id: u64,
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
    in_flight: InFlight,
    /// How many requests in flight were told on last.
    told: Option<u32>,
    /// Numbers of requests that finished, until somebody takes them.
    finished: Vec<u64>,
    /// The sources of the log whose history has been passed over.
    sources: BTreeSet<String>,
}

impl Decoder {
    /// What one event means; nothing for one that is unknown or says nothing new.
    fn take(&mut self, data: &str) -> Vec<RuntimeEvent> {
        let Ok(envelope) = serde_json::from_str::<Envelope>(data) else { return vec![GAP] };
        let told = match envelope.kind.as_str() {
            "modelStatus" => self.models(&envelope.data),
            "inflight" => self.in_flight(&envelope.data),
            "logData" => self.log(&envelope.data),
            "activity" => self.finished(&envelope.data, false),
            "metrics" => self.finished(&envelope.data, true),
            // `uiConfig`, `profileChanged` and what is to come.
            _ => Some(Vec::new()),
        };
        told.unwrap_or_else(|| vec![GAP])
    }

    /// What is known by now; none before all models were told.
    fn heard(&self) -> Option<Heard> {
        Some(Heard { models: self.status.clone()?, in_flight: self.in_flight.clone() })
    }

    fn models(&mut self, data: &str) -> Option<Vec<RuntimeEvent>> {
        let now: Vec<Status> = serde_json::from_str(data).ok()?;
        let changed = self.status.as_ref() != Some(&now);
        self.status = Some(now);
        Some(if changed { vec![RuntimeEvent::Changed] } else { Vec::new() })
    }

    fn in_flight(&mut self, data: &str) -> Option<Vec<RuntimeEvent>> {
        let taken = self.in_flight.take(data);
        let count = self.in_flight.count();
        let changed = count != self.told;
        self.told = count;
        taken?;
        Some(count.filter(|_| changed).map(RuntimeEvent::InFlight).into_iter().collect())
    }

    fn finished(&mut self, data: &str, many: bool) -> Option<Vec<RuntimeEvent>> {
        let all: Vec<Finished> = if many {
            serde_json::from_str::<Option<_>>(data).ok()?.unwrap_or_default()
        } else {
            vec![serde_json::from_str(data).ok()?]
        };
        self.finished.extend(all.iter().map(|one| one.id));
        Some(Vec::new())
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
    use serde_json::{Value, json};

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
        assert!(new.told == Some(1) && new.heard().is_none());
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
        for kind in ["uiConfig", "profileChanged", "whatever"] {
            assert_eq!(told(&mut decoder, kind, json!({"id": 1})), [], "{kind}");
        }
        assert_eq!(decoder.take(r#"{"type":"profileChanged"}"#), []);
        assert_eq!(told(&mut decoder, "activity", json!({"id": 7})), []);
        assert_eq!(told(&mut decoder, "metrics", json!([{"id": 8, "model": "a"}, {"id": 9}])), []);
        assert_eq!(told(&mut decoder, "metrics", json!(null)), [], "no entry yet");
        assert_eq!(decoder.finished, [7, 8, 9]);
        for broken in [
            "",
            "[]",
            r#"{"type":"modelStatus","data":"{"}"#,
            r#"{"type":"inflight","data":"7"}"#,
            r#"{"type":"activity","data":"{}"}"#,
        ] {
            assert_eq!(decoder.take(broken), [GAP], "{broken}");
        }
    }
}
