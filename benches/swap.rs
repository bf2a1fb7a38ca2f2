//! A llama-swap that loads and answers at once and notes when it was told to: as much of its HTTP as the adapter uses.
//!
//! A thread a connection and blocking sockets, so that the moment of a call is taken where its bytes arrive.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use serde_json::json;

/// What it was told to do, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    pub at: Instant,
    /// `load`, `unload` or `chat`; the model of a chat is not noted.
    pub verb: &'static str,
    pub model: String,
}

/// A running one; it ends with the program.
pub struct Swap {
    pub address: SocketAddr,
    pub calls: Receiver<Call>,
    state: Arc<State>,
}

struct State {
    models: Vec<String>,
    loaded: Mutex<BTreeSet<String>>,
    looks: AtomicUsize,
}

impl Swap {
    pub fn start(models: Vec<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let (told, calls) = channel();
        let state = Arc::new(State { models, loaded: Mutex::default(), looks: AtomicUsize::new(0) });
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (state, told) = (Arc::clone(&shared), told.clone());
                // A connection that breaks ends its thread; the daemon opens another.
                std::thread::spawn(move || drop(serve(&state, &told, stream)));
            }
        });
        Self { address, calls, state }
    }

    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How often it was looked at so far.
    pub fn looks(&self) -> usize {
        self.state.looks.load(Ordering::Relaxed)
    }

    /// Nothing is loaded any more, as if a time to live had ended.
    pub fn forget(&self) {
        self.state.loaded.lock().expect("nobody panics with it").clear();
    }
}

/// Answers the requests of one connection, one after the other.
fn serve(state: &State, told: &Sender<Call>, mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    while reader.read_line(&mut line)? > 0 {
        let at = Instant::now();
        let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
        let mut length = 0;
        while line != "\r\n" {
            line.clear();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
        }
        std::io::copy(&mut (&mut reader).take(length), &mut std::io::sink())?;
        line.clear();
        if path == "/api/events" {
            return events(state, stream);
        }
        let body = answer(state, told, &path, at);
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length";
        stream.write_all(format!("{head}: {}\r\n\r\n{body}", body.len()).as_bytes())?;
    }
    Ok(())
}

fn answer(state: &State, told: &Sender<Call>, path: &str, at: Instant) -> String {
    let mut loaded = state.loaded.lock().expect("nobody panics with it");
    let call = |verb, model: &str| {
        // Whoever measures may have heard enough.
        let _ = told.send(Call { at, verb, model: model.to_owned() });
    };
    if let Some(model) = path.strip_prefix("/upstream/").and_then(|rest| rest.strip_suffix("/health")) {
        call("load", model);
        loaded.insert(model.to_owned());
        return json!({"status": "ok"}).to_string();
    }
    if let Some(model) = path.strip_prefix("/api/models/unload/") {
        call("unload", model);
        loaded.remove(model);
        return "OK".to_owned();
    }
    match path {
        "/v1/chat/completions" => {
            call("chat", "");
            let message = json!({"role": "assistant", "content": "All is well."});
            let usage = json!({"prompt_tokens": 3, "completion_tokens": 3});
            json!({"choices": [{"index": 0, "finish_reason": "stop", "message": message}], "usage": usage}).to_string()
        }
        "/v1/models" => {
            let entry = |id: &String| json!({"id": id, "object": "model", "owned_by": "llama-swap"});
            json!({"object": "list", "data": state.models.iter().map(entry).collect::<Vec<_>>()}).to_string()
        }
        "/running" => {
            state.looks.fetch_add(1, Ordering::Relaxed);
            let entry =
                |id: &String| json!({"model": id, "state": "ready", "proxy": "http://localhost:5800", "ttl": 0});
            json!({"running": loaded.iter().map(entry).collect::<Vec<_>>()}).to_string()
        }
        "/api/version" => json!({"version": "v250", "commit": "abc"}).to_string(),
        _ => "OK".to_owned(),
    }
}

/// The first burst of events; then nothing more happens until the other side goes away.
fn events(state: &State, mut stream: TcpStream) -> std::io::Result<()> {
    let status = |id: &String| json!({"id": id, "state": "stopped", "unlisted": false, "peerID": ""});
    let all: Vec<_> = state.models.iter().map(status).collect();
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")?;
    for (kind, payload) in [("modelStatus", json!(all)), ("inflight", json!({"operation": "snapshot"}))] {
        let envelope = json!({"type": kind, "data": payload.to_string()});
        stream.write_all(format!("event:message\ndata:{envelope}\n\n").as_bytes())?;
    }
    let mut reader = BufReader::new(stream);
    let mut ignored = Vec::new();
    reader.read_until(b'\n', &mut ignored).map(drop)
}
