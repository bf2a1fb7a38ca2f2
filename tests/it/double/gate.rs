//! A gate before any double: what is asked goes through as it is, until the gate is told to answer in the double's place, in a
//! way that no double and no HTTP library would.
//!
//! Every request has a connection of its own, so that what is told to the gate holds from the next request on. How many bytes
//! the other side took is counted: that is what an answer without an end can have cost at most, sockets apart.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::raw::chunk;

/// How an answer is hostile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hostile {
    /// JSON that never ends, in chunks.
    Endless,
    /// An event whose line never ends.
    EndlessLine,
    /// Header after header, without an end.
    EndlessHead,
    /// A length of 10 GB is announced.
    LongLength,
    /// More is announced than comes.
    ShortBody,
    /// Half of a body in chunks, and then a proper end of the connection.
    Half,
    /// Half of a body in chunks, and then a reset.
    Reset,
    /// To another host.
    Redirect,
    /// JSON that is nested too deeply.
    Deep,
    /// Bytes that are no UTF-8.
    NotUtf8,
    /// A page for people, with status 200.
    WrongType,
    /// 500 with a page for people.
    Fails,
    /// The greeting of an SSH server.
    NoHttp,
    /// A byte now and then, for ever.
    Drips,
    /// Nothing at all, for ever.
    Hangs,
}

impl Hostile {
    pub const ALL: [Self; 15] = [
        Self::Endless,
        Self::EndlessLine,
        Self::EndlessHead,
        Self::LongLength,
        Self::ShortBody,
        Self::Half,
        Self::Reset,
        Self::Redirect,
        Self::Deep,
        Self::NotUtf8,
        Self::WrongType,
        Self::Fails,
        Self::NoHttp,
        Self::Drips,
        Self::Hangs,
    ];

    /// Whether only a time limit ends it.
    pub fn is_slow(self) -> bool {
        matches!(self, Self::Drips | Self::Hangs)
    }
}

#[derive(Default)]
struct Inner {
    /// `GET /health` and the like of every request so far.
    asked: Vec<String>,
    /// What is answered here (a path, or the beginning of paths before a `*`), and how.
    spoilt: Option<(String, Hostile)>,
    /// How many requests were answered here since then.
    answered: usize,
}

/// A running gate. It ends when it is dropped.
pub struct Gate {
    pub address: SocketAddr,
    inner: Arc<Mutex<Inner>>,
    sent: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Gate {
    /// Before the server at `upstream`.
    pub async fn before(upstream: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let inner: Arc<Mutex<Inner>> = Arc::default();
        let sent: Arc<AtomicUsize> = Arc::default();
        let (shared, counted) = (inner.clone(), sent.clone());
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(pass(stream, upstream, shared.clone(), counted.clone()));
            }
        });
        Self { address, inner, sent, task }
    }

    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on `path` (or all that begin as it does before its `*`) is answered in this way; what was asked and sent so far is forgotten.
    pub fn spoil(&self, path: &str, how: Hostile) {
        *self.inner.lock().unwrap() = Inner { spoilt: Some((path.to_owned(), how)), ..Inner::default() };
        self.sent.store(0, Ordering::Relaxed);
    }

    /// Lets everything through again.
    pub fn behave(&self) {
        self.inner.lock().unwrap().spoilt = None;
    }

    /// Method and path of every request since it was last told how to answer.
    pub fn asked(&self) -> Vec<String> {
        self.inner.lock().unwrap().asked.clone()
    }

    /// How many hostile answers were begun since then.
    pub fn answered(&self) -> usize {
        self.inner.lock().unwrap().answered
    }

    /// Bytes of hostile answers that the other side and the sockets between took.
    pub fn sent(&self) -> usize {
        self.sent.load(Ordering::Relaxed)
    }
}

/// One request: passed on, or answered here.
async fn pass(mut stream: TcpStream, upstream: SocketAddr, inner: Arc<Mutex<Inner>>, sent: Arc<AtomicUsize>) {
    let Some((head, body)) = read(&mut stream).await else { return };
    let mut words = head.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let path = target.split('?').next().unwrap_or_default();
    let how = {
        let mut inner = inner.lock().unwrap();
        inner.asked.push(format!("{method} {path}"));
        let how = inner.spoilt.as_ref().filter(|(spoilt, _)| matches(spoilt, path)).map(|(_, how)| *how);
        inner.answered += usize::from(how.is_some());
        how
    };
    if let Some(how) = how {
        answer(&mut stream, how, &sent).await;
        return;
    }
    // One request a connection; a WebSocket is a connection of its own anyway.
    let is_socket = head.to_ascii_lowercase().contains("\r\nupgrade:");
    let head = if is_socket { head.clone() } else { head.replacen("\r\n", "\r\nConnection: close\r\n", 1) };
    let Ok(mut onward) = TcpStream::connect(upstream).await else { return };
    if onward.write_all(&[head.as_bytes(), &body].concat()).await.is_ok() {
        // It ends as one of the two does.
        drop(copy_bidirectional(&mut stream, &mut onward).await);
    }
}

fn matches(spoilt: &str, path: &str) -> bool {
    spoilt.strip_suffix('*').map_or(spoilt == path, |begin| path.starts_with(begin))
}

/// The head of a request and its body.
async fn read(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).await.ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).ok()?;
    let lower = head.to_ascii_lowercase();
    let length = lower.split("content-length:").nth(1).and_then(|rest| rest.split("\r\n").next()?.trim().parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).await.ok()?;
    Some((head, body))
}

fn head(content_type: &str, more: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\n{more}\r\n\r\n").into_bytes()
}

async fn answer(stream: &mut TcpStream, how: Hostile, sent: &AtomicUsize) {
    const CHUNKED: &str = "Transfer-Encoding: chunked";
    let half = || [head("application/json", CHUNKED), chunk(b"{\"data\": [")].concat();
    let page = "<!doctype html><title>It works!</title>";
    let json = |body: &[u8]| {
        [head("application/json", &format!("Content-Length: {}\r\nConnection: close", body.len())), body.to_vec()]
            .concat()
    };
    let whole = match how {
        Hostile::Endless => {
            return endless(stream, head("application/json", CHUNKED), chunk(&vec![b' '; 65_536]), sent).await;
        }
        Hostile::EndlessLine => {
            let begin = [head("text/event-stream", CHUNKED), chunk(b"data: ")].concat();
            return endless(stream, begin, chunk(&vec![b'x'; 65_536]), sent).await;
        }
        Hostile::EndlessHead => {
            return endless(stream, b"HTTP/1.1 200 OK\r\n".to_vec(), b"X-More: and more\r\n".repeat(1_000), sent).await;
        }
        Hostile::LongLength => {
            let begin = head("application/json", "Content-Length: 10000000000");
            return endless(stream, begin, vec![b' '; 65_536], sent).await;
        }
        Hostile::Drips => return drip(stream, head("application/json", CHUNKED), sent).await,
        Hostile::Hangs => return std::future::pending().await,
        Hostile::ShortBody => [head("application/json", "Content-Length: 5000"), b"{\"data\": [".to_vec()].concat(),
        Hostile::Half | Hostile::Reset => half(),
        Hostile::Redirect => {
            b"HTTP/1.1 302 Found\r\nLocation: http://192.0.2.1/elsewhere\r\nContent-Length: 0\r\n\r\n".to_vec()
        }
        Hostile::Deep => json("[".repeat(100_000).as_bytes()),
        Hostile::NotUtf8 => json(b"{\"data\": \"\xff\xfe\"}"),
        Hostile::WrongType => {
            let answer =
                format!("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\r\n{page}", page.len());
            answer.into_bytes()
        }
        Hostile::Fails => {
            let length = page.len();
            format!("HTTP/1.1 500 Oops\r\nContent-Type: text/html\r\nContent-Length: {length}\r\n\r\n{page}")
                .into_bytes()
        }
        Hostile::NoHttp => b"SSH-2.0-OpenSSH_9.7\r\n".to_vec(),
    };
    if stream.write_all(&whole).await.is_ok() {
        sent.fetch_add(whole.len(), Ordering::Relaxed);
    }
    if how == Hostile::Reset {
        stream.set_zero_linger().unwrap();
        return;
    }
    drop(stream.shutdown().await);
    // The other side reads to the end before the socket goes.
    drop(stream.read(&mut [0; 64]).await);
}

/// Writes `piece` for as long as the other side takes it.
async fn endless(stream: &mut TcpStream, begin: Vec<u8>, piece: Vec<u8>, sent: &AtomicUsize) {
    let mut next = begin;
    while let Ok(taken) = stream.write(&next).await {
        sent.fetch_add(taken, Ordering::Relaxed);
        next.drain(..taken);
        if next.is_empty() {
            next.clone_from(&piece);
        }
    }
}

/// Writes a space now and then for as long as the other side takes it.
async fn drip(stream: &mut TcpStream, begin: Vec<u8>, sent: &AtomicUsize) {
    let mut next = begin;
    while stream.write_all(&next).await.is_ok() {
        sent.fetch_add(next.len(), Ordering::Relaxed);
        next = chunk(b" ");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
