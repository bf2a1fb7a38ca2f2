//! A server that writes exactly the bytes it is told to, for answers that no HTTP library would give.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What happens on a connection once the head of a request has come in.
#[derive(Clone, Debug)]
pub enum Step {
    Write(Vec<u8>),
    /// Writes the bytes again and again until the other side has had enough.
    Endless(Vec<u8>),
    /// Says nothing more, and holds the connection.
    Hang,
    /// Ends the connection with a reset in place of a proper end.
    Reset,
}

/// A running server. It ends when it is dropped.
pub struct Raw {
    pub address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
    endless_bytes: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Drop for Raw {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Raw {
    /// Answers every request with `steps`.
    pub async fn always(steps: Vec<Step>) -> Self {
        Self::by_path(BTreeMap::new(), steps).await
    }

    /// Answers the paths of `answers` with their steps, and others with `otherwise`.
    pub async fn by_path(answers: BTreeMap<&'static str, Vec<Step>>, otherwise: Vec<Step>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heads: Arc<Mutex<Vec<String>>> = Arc::default();
        let endless_bytes: Arc<AtomicUsize> = Arc::default();
        let (seen, answers, written) = (heads.clone(), Arc::new(answers), endless_bytes.clone());
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (seen, answers, otherwise) = (seen.clone(), answers.clone(), otherwise.clone());
                let written = written.clone();
                tokio::spawn(async move {
                    let mut stream = stream;
                    let head = read_head(&mut stream).await;
                    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
                    seen.lock().unwrap().push(head);
                    let steps = answers.get(path.as_str()).cloned().unwrap_or(otherwise);
                    perform(stream, steps, &written).await;
                });
            }
        });
        Self { address, heads, endless_bytes, task }
    }

    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How much of endless answers the other side and the sockets between have taken.
    pub fn endless_bytes(&self) -> usize {
        self.endless_bytes.load(Ordering::Relaxed)
    }

    /// The heads of the requests so far.
    pub fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

/// A whole answer with status 200.
pub fn ok(content_type: &str, body: &str) -> Vec<Step> {
    status("200 OK", content_type, body)
}

/// A whole answer.
pub fn status(status: &str, content_type: &str, body: &str) -> Vec<Step> {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    vec![Step::Write((head + body).into_bytes())]
}

/// The head of an answer whose body is sent in chunks.
pub fn chunked(content_type: &str) -> Step {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nTransfer-Encoding: chunked\r\n\r\n");
    Step::Write(head.into_bytes())
}

/// One chunk of such a body.
pub fn chunk(data: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{:x}\r\n", data.len()).into_bytes();
    bytes.extend_from_slice(data);
    bytes.extend_from_slice(b"\r\n");
    bytes
}

async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).await.is_ok_and(|n| n == 1) {
        head.push(byte[0]);
    }
    String::from_utf8_lossy(&head).into_owned()
}

async fn perform(mut stream: TcpStream, steps: Vec<Step>, written: &AtomicUsize) {
    for step in steps {
        match step {
            Step::Write(bytes) => {
                if stream.write_all(&bytes).await.is_err() {
                    return;
                }
            }
            Step::Endless(bytes) => {
                while stream.write_all(&bytes).await.is_ok() {
                    written.fetch_add(bytes.len(), Ordering::Relaxed);
                }
            }
            Step::Hang => {
                // Ends when the other side closes.
                let _ = stream.read(&mut [0; 1_024]).await;
                std::future::pending::<()>().await;
            }
            Step::Reset => {
                stream.set_zero_linger().unwrap();
                return;
            }
        }
    }
    let _ = stream.shutdown().await;
}
