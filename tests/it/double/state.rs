//! What the llama-swap double knows, and how its models come and go.
//!
//! Nothing here sleeps: a start takes as long as a test holds it, and everything that waits waits for a change.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::sync::{broadcast, watch};

/// Versions whose wire format differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// `inflight` is a number, `metrics` events, errors are strings, a peer's model has no prefix.
    V234,
    /// `inflight` is a list, a request in flight can be cancelled.
    V235,
    /// Finished requests are told by their number, and listed in pages.
    V238,
    /// `inflight` comes in operations, a peer's model carries the peer's name.
    V250,
    /// Errors are objects.
    Newer,
}

/// How a model's own server answers a chat.
#[derive(Clone, Debug, PartialEq)]
pub enum Serves {
    /// These words, with usage, timings and `[DONE]`.
    Words(&'static [&'static str]),
    /// One piece, then nothing more until the client goes away.
    Holds,
    /// These words, once a test opens the gate.
    Gated(&'static [&'static str]),
    /// One piece, then the end of the stream without `[DONE]`.
    Half,
    /// One piece, then an error event.
    ErrorInside(&'static str),
    /// Thoughts only, until the token limit.
    ThoughtsOnly,
    /// An error of its own, with status and body.
    Refuses(u16, &'static str),
    /// The whole answer as JSON, because it cannot stream.
    Whole(&'static str),
}

/// A model of the double.
#[derive(Clone, Debug)]
pub struct Model {
    pub id: &'static str,
    pub aliases: &'static [&'static str],
    pub unlisted: bool,
    /// Why it cannot be started.
    pub start_failure: Option<&'static str>,
    pub serves: Serves,
    pub send_loading_state: bool,
    pub concurrency_limit: usize,
}

impl Model {
    pub fn new(id: &'static str) -> Self {
        Self {
            id,
            aliases: &[],
            unlisted: false,
            start_failure: None,
            serves: Serves::Words(&["A ", "short ", "summary."]),
            send_loading_state: false,
            concurrency_limit: 10,
        }
    }
}

/// The state of the double.
pub struct State {
    pub version: Version,
    pub models: Vec<Model>,
    inner: Mutex<Inner>,
    tick: watch::Sender<u64>,
    pub events: broadcast::Sender<String>,
}

#[derive(Default)]
pub struct Inner {
    /// Models that have a process: `starting`, `ready` or `stopping`.
    pub processes: BTreeMap<String, &'static str>,
    /// Models run beside each other, as in a group with `swap: false`.
    pub together: bool,
    /// Starts that do not get ready before a test lets them.
    pub held: BTreeSet<String>,
    /// Models whose gated answers may go on.
    pub open: BTreeSet<String>,
    /// Why the starts of each model failed so far.
    pub failures: BTreeMap<String, Vec<String>>,
    /// The model of every request in flight, and the mark that it carries.
    pub in_flight: BTreeMap<u64, (String, Option<String>)>,
    /// The entries of finished requests that are still listed.
    pub rows: Vec<Value>,
    pub next_row: Option<u64>,
    /// Requests in flight that were told to end.
    pub cancelled: BTreeSet<u64>,
    /// What was kept of requests is gone.
    pub captures_vanished: bool,
    /// What `GET /api/performance` answers; none where measuring is off.
    pub performance: Option<Value>,
    pub next_request: u64,
    /// Requests that a model's own server works on.
    pub running: BTreeMap<String, usize>,
    /// How often everything was lost by a reload.
    pub reloads: u32,
    /// Method and raw path of every request.
    pub log: Vec<(String, String)>,
    /// The JSON bodies that reached a model's own server.
    pub bodies: Vec<Value>,
    /// Chats that ended because the client went away.
    pub abandoned: u32,
}

impl State {
    pub fn new(version: Version, models: Vec<Model>) -> Arc<Self> {
        let (tick, _) = watch::channel(0);
        let (events, _) = broadcast::channel(1_024);
        Arc::new(Self { version, models, inner: Mutex::default(), tick, events })
    }

    /// Changes something; who waits looks again, and listeners hear of processes that changed.
    pub fn change<R>(&self, change: impl FnOnce(&mut Inner) -> R) -> R {
        let (outcome, models_changed) = {
            let mut inner = self.inner.lock().unwrap();
            let before = inner.processes.clone();
            let outcome = change(&mut inner);
            (outcome, before != inner.processes)
        };
        if models_changed {
            self.tell("modelStatus", &self.model_status());
        }
        self.tick.send_modify(|tick| *tick += 1);
        outcome
    }

    pub fn read<R>(&self, read: impl FnOnce(&Inner) -> R) -> R {
        read(&self.inner.lock().unwrap())
    }

    /// Waits until something is so.
    pub async fn until(&self, is_so: impl Fn(&Inner) -> bool) {
        let mut tick = self.tick.subscribe();
        while !self.read(&is_so) {
            tick.changed().await.unwrap();
        }
    }

    pub fn model(&self, name: &str) -> Option<&Model> {
        self.models.iter().find(|model| model.id == name || model.aliases.contains(&name))
    }

    /// Sends an event: the payload is JSON in a JSON string.
    pub fn tell(&self, kind: &str, payload: &Value) {
        let _ = self.events.send(frame(kind, payload));
    }

    /// The id of the model that a peer serves: since v242 it carries the peer's name.
    pub fn peer_model(&self) -> &'static str {
        if self.version < Version::V250 { "far" } else { "box2/far" }
    }

    pub fn model_status(&self) -> Value {
        let state = |id: &str| self.read(|inner| inner.processes.get(id).copied().unwrap_or("stopped"));
        let mut all: Vec<Value> = self
            .models
            .iter()
            .map(|model| {
                let mut entry = json!({"id": model.id, "name": "", "description": "", "state": state(model.id),
                    "unlisted": model.unlisted, "peerID": ""});
                if !model.aliases.is_empty() {
                    entry["aliases"] = json!(model.aliases);
                }
                entry
            })
            .collect();
        all.push(
            json!({"id": "box2/far", "name": "", "description": "", "state": "", "unlisted": false, "peerID": "box2"}),
        );
        Value::Array(all)
    }

    /// Starts `id` unless it runs, as one swap at a time: others are stopped first, once they are idle. The start goes on
    /// when the client that asked for it goes away.
    pub fn start(self: &Arc<Self>, id: &str) {
        let (state, id) = (self.clone(), id.to_owned());
        tokio::spawn(async move {
            loop {
                let begun = state.change(|inner| {
                    let is_busy = |other: &String| inner.running.get(other).is_some_and(|running| *running > 0);
                    let moves = |state: &&str| *state != "ready";
                    if inner.processes.contains_key(&id) {
                        return None;
                    }
                    if !inner.together {
                        if inner.processes.values().any(moves) || inner.processes.keys().any(is_busy) {
                            return Some(false);
                        }
                        inner.processes.clear();
                    }
                    inner.processes.insert(id.clone(), "starting");
                    Some(true)
                });
                match begun {
                    None => return,
                    Some(true) => break,
                    Some(false) => {
                        let settled = |inner: &Inner| {
                            inner.processes.iter().all(|(other, state)| {
                                *state == "ready" && inner.running.get(other).is_none_or(|running| *running == 0)
                            })
                        };
                        state.until(settled).await;
                    }
                }
            }
            state.until(|inner| !inner.held.contains(&id) || !inner.processes.contains_key(&id)).await;
            let failure = state.model(&id).and_then(|model| model.start_failure);
            state.change(|inner| {
                if let Some(why) = failure {
                    inner.processes.remove(&id);
                    inner.failures.entry(id.clone()).or_default().push(why.to_owned());
                } else if let Some(process) = inner.processes.get_mut(&id) {
                    *process = "ready";
                }
            });
        });
    }
}

/// A frame as llama-swap writes it: no space after the colons.
pub fn frame(kind: &str, payload: &Value) -> String {
    let envelope = json!({"type": kind, "data": payload.to_string()});
    format!("event:message\ndata:{envelope}\n\n")
}
