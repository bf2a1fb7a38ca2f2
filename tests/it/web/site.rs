//! A running page on a free loopback port, over a store and a vault of its own, and a client that says exactly what it is
//! told to: real browsers are too polite to test a guard with.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arcology::act::engine::picture::Picture;
use arcology::core::{Clock, Digest, Timestamp};
use arcology::remember::store::row::{TaskRow, TaskState};
use arcology::remember::store::{AuditEntry, Store, TaskOutcome};
use arcology::remember::vault::Vault;
use arcology::tell::web::{Explainer, WebState, bind, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::sample::{self, at, name};

/// Long enough for a busy machine; nothing waits for it when all is well.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Ten o'clock, always.
struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        at(0)
    }
}

/// A running page.
pub struct Site {
    pub address: SocketAddr,
    pub publish: watch::Sender<Arc<Picture>>,
    pub state: WebState,
    pub shutdown: CancellationToken,
    pub running: JoinHandle<std::io::Result<()>>,
    _dir: tempfile::TempDir,
}

/// An answer, its header names in lower case.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }
}

impl Site {
    pub async fn open(picture: Picture) -> Self {
        Self::explained(picture, None).await
    }

    /// A page beside something that explains why tasks wait.
    pub async fn explained(picture: Picture, explainer: Option<Explainer>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock: Arc<dyn Clock> = Arc::new(Still);
        let store = Store::open(&dir.path().join("store"), Arc::clone(&clock)).unwrap();
        let vault = Vault::open(&dir.path().join("vault")).unwrap();
        let (publish, picture) = watch::channel(Arc::new(picture));
        let state = WebState { picture, store, vault, clock, explainer, live_logs: None };
        let listener = bind("127.0.0.1:0").await.unwrap();
        let (address, shutdown) = (listener.local_addr().unwrap(), CancellationToken::new());
        let running = tokio::spawn(serve(listener, state.clone(), shutdown.clone()));
        Self { address, publish, state, shutdown, running, _dir: dir }
    }

    /// A request with these lines and nothing else; its answer to the end of the connection.
    pub async fn say(&self, lines: &[&str]) -> Answer {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request = format!("{}\r\n\r\n", lines.join("\r\n"));
        // The server may refuse before all was written; what it says is read all the same.
        let _ = stream.write_all(request.as_bytes()).await;
        let mut bytes = Vec::new();
        let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes)).await;
        read.expect("an answer in time").expect("an answer");
        parse(&bytes)
    }

    /// A request as a browser makes it.
    pub async fn browse(&self, path: &str) -> Answer {
        self.ask("GET", path, &["Accept: text/html"]).await
    }

    /// A request as a program makes it.
    pub async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[]).await
    }

    pub async fn ask(&self, method: &str, path: &str, headers: &[&str]) -> Answer {
        let (first, host) = (format!("{method} {path} HTTP/1.1"), format!("Host: {}", self.address));
        let lines = [&[first.as_str(), host.as_str(), "Connection: close"], headers].concat();
        self.say(&lines).await
    }

    /// A task in this state, as the sample has it.
    pub async fn add_task(&self, id: &str, state: TaskState) {
        self.state.store.task_add(sample::task(id, state)).await.unwrap();
    }

    /// A task that is done and made these files; their digests.
    pub async fn finish_task(&self, id: &str, files: &[(&str, &[u8])]) -> Vec<Digest> {
        let store = &self.state.store;
        let row = TaskRow { attempts: 0, policy: Vec::new(), ..sample::task(id, TaskState::Queued) };
        store.task_add(row).await.unwrap();
        let policy = vec![name("default")];
        let attempt = store.task_start(id, Some(name("swap")), None, policy, at(-280)).await.unwrap();
        let artifacts: Vec<_> = files.iter().map(|(file, bytes)| sample::artifact(id, file, bytes)).collect();
        for (row, (_, bytes)) in artifacts.iter().zip(files) {
            let (digest, _) = self.state.vault.put(*bytes, 1 << 20).unwrap();
            assert_eq!(digest, row.sha256);
        }
        let digests = artifacts.iter().map(|row| row.sha256).collect();
        let outcome = TaskOutcome::Done { artifacts, model: Some("qwen2.5-7b-q4".into()) };
        let entry = AuditEntry {
            at: at(-240),
            actor: "arcology".into(),
            verb: "run".into(),
            object: id.into(),
            reason: "asked for".into(),
            result: "ok".into(),
            before: None,
            after: None,
            revision: None,
        };
        store.task_finish(id, attempt.number, outcome, "reading\ndone\n", at(-240), entry).await.unwrap();
        digests
    }
}

fn parse(bytes: &[u8]) -> Answer {
    let split = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
    let head = std::str::from_utf8(&bytes[..split]).unwrap();
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers: BTreeMap<_, _> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let body = &bytes[split + 4..];
    let chunked = headers.get("transfer-encoding").is_some_and(|encoding| encoding == "chunked");
    let body = if chunked { unchunk(body) } else { body.to_vec() };
    Answer { status, headers, body }
}

fn unchunk(mut body: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Some(end) = body.windows(2).position(|two| two == b"\r\n") {
        let length = usize::from_str_radix(std::str::from_utf8(&body[..end]).unwrap(), 16).unwrap();
        whole.extend_from_slice(&body[end + 2..end + 2 + length]);
        body = &body[end + 4 + length..];
    }
    whole
}
