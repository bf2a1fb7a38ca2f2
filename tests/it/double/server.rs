//! What all doubles stand on: a server on loopback that keeps a log of what it was asked, and that can be told to misbehave.
//!
//! A double hands in one function from a request to an answer; everything that a bad day brings (slow, half an answer, a
//! wrong type, a huge body, errors, resets) is done here, the same for every double.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{FromRequestParts as _, Request};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use futures::future::BoxFuture;
use futures::stream;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// The largest body that a double reads.
const BODY_BYTES_MAX: usize = 64 << 20;

/// A request as a double sees it.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: Method,
    /// As it was sent, without the query.
    pub path: String,
    /// What follows the `?`; empty without one.
    pub query: String,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// A WebSocket that is asked for; taken by the first who wants it.
    pub socket: Arc<Mutex<Option<WebSocketUpgrade>>>,
}

impl Asked {
    /// The body as JSON; null when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// `GET /health` and the like.
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

/// How a server misbehaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// Takes the request and says nothing more.
    Hangs,
    /// The head and half of the answer, then the end of the connection.
    Half,
    /// The right bytes as `text/html`.
    WrongType,
    /// An answer that never ends.
    Huge,
    /// 500 with an HTML page.
    Fails,
    /// 302 to another host.
    Redirects,
    /// Bytes that are no UTF-8.
    NotUtf8,
    /// JSON that is nested too deeply.
    Deep,
}

impl Mood {
    pub const ALL: [Self; 8] =
        [Self::Hangs, Self::Half, Self::WrongType, Self::Huge, Self::Fails, Self::Redirects, Self::NotUtf8, Self::Deep];
}

#[derive(Default)]
struct Inner {
    log: Vec<Asked>,
    /// What is asked (`GET /health`, or `*` for all) and how it is answered.
    moods: Vec<(String, Mood)>,
}

/// A running server. It ends when it is dropped.
pub struct Server {
    pub address: SocketAddr,
    inner: Arc<Mutex<Inner>>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// Serves what `answer` says, on a free port.
    pub async fn start(answer: impl Fn(Asked) -> BoxFuture<'static, Response> + Send + Sync + 'static) -> Self {
        Self::start_at(([127, 0, 0, 1], 0).into(), answer).await
    }

    /// At an address of the test's choice, for a runtime that comes back where it was.
    pub async fn start_at(
        address: SocketAddr,
        answer: impl Fn(Asked) -> BoxFuture<'static, Response> + Send + Sync + 'static,
    ) -> Self {
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let inner: Arc<Mutex<Inner>> = Arc::default();
        let (shared, answer) = (inner.clone(), Arc::new(answer));
        let router = Router::new().fallback(move |request: Request| serve(shared.clone(), answer.clone(), request));
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, inner, task }
    }

    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Method and path of every request so far.
    pub fn log(&self) -> Vec<(String, String)> {
        self.asked().into_iter().map(|asked| (asked.method.to_string(), asked.path)).collect()
    }

    /// Every request so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.inner.lock().unwrap().log.clone()
    }

    /// From now on `what` (`GET /health`, or `*`) is answered in this way.
    pub fn misbehave(&self, what: &str, mood: Mood) {
        self.inner.lock().unwrap().moods.push((what.to_owned(), mood));
    }

    /// Answers everything properly again.
    pub fn behave(&self) {
        self.inner.lock().unwrap().moods.clear();
    }
}

async fn serve<F>(inner: Arc<Mutex<Inner>>, answer: Arc<F>, request: Request) -> Response
where
    F: Fn(Asked) -> BoxFuture<'static, Response>,
{
    let (mut head, body) = request.into_parts();
    let socket = WebSocketUpgrade::from_request_parts(&mut head, &()).await.ok();
    let asked = Asked {
        method: head.method,
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: head.headers,
        body: to_bytes(body, BODY_BYTES_MAX).await.unwrap_or_default(),
        socket: Arc::new(Mutex::new(socket)),
    };
    let mood = {
        let mut inner = inner.lock().unwrap();
        inner.log.push(asked.clone());
        let line = asked.line();
        inner.moods.iter().rev().find(|(what, _)| what == "*" || *what == line).map(|(_, mood)| *mood)
    };
    match mood {
        None => answer(asked).await,
        Some(mood) => spoil(mood, answer(asked)).await,
    }
}

async fn spoil(mood: Mood, answer: BoxFuture<'static, Response>) -> Response {
    match mood {
        Mood::Hangs => futures::future::pending().await,
        Mood::Fails => {
            (StatusCode::INTERNAL_SERVER_ERROR, "<html><h1>Internal Server Error</h1></html>").into_response()
        }
        Mood::Redirects => (StatusCode::FOUND, [(header::LOCATION, "http://192.0.2.1/elsewhere")]).into_response(),
        Mood::NotUtf8 => typed("application/json", &b"{\"data\": \"\xff\xfe\"}"[..]),
        Mood::Deep => typed("application/json", "[".repeat(100_000)),
        Mood::Huge => {
            let piece = Bytes::from(vec![b' '; 1 << 20]);
            let endless = stream::repeat_with(move || Ok::<_, Infallible>(piece.clone()));
            ([(header::CONTENT_TYPE, "application/json")], Body::from_stream(endless)).into_response()
        }
        Mood::WrongType => {
            let (mut head, body) = answer.await.into_parts();
            head.headers.insert(header::CONTENT_TYPE, "text/html".parse().unwrap());
            Response::from_parts(head, body)
        }
        Mood::Half => {
            let (mut head, body) = answer.await.into_parts();
            head.headers.remove(header::CONTENT_LENGTH);
            let bytes = to_bytes(body, BODY_BYTES_MAX).await.unwrap_or_default();
            let half = bytes.slice(..bytes.len() / 2);
            let broken = stream::iter([Ok(half), Err(std::io::Error::other("the double breaks off"))]);
            Response::from_parts(head, Body::from_stream(broken))
        }
    }
}

/// 200 with a body of a type.
pub fn typed(kind: &'static str, body: impl Into<Body>) -> Response {
    ([(header::CONTENT_TYPE, kind)], body.into()).into_response()
}

/// An answer in JSON.
pub fn json(status: u16, body: &Value) -> Response {
    let kind = [(header::CONTENT_TYPE, "application/json")];
    (StatusCode::from_u16(status).unwrap(), kind, body.to_string()).into_response()
}

/// An event stream that `produce` writes, frame by frame. A send fails once the client has gone away.
pub fn events<F: Future<Output = ()> + Send + 'static>(produce: impl FnOnce(mpsc::Sender<String>) -> F) -> Response {
    let (tx, rx) = mpsc::channel::<String>(8);
    tokio::spawn(produce(tx));
    let frames = stream::unfold(rx, |mut rx| async move {
        rx.recv().await.map(|frame| (Ok::<_, Infallible>(Bytes::from(frame)), rx))
    });
    typed("text/event-stream", Body::from_stream(frames))
}
