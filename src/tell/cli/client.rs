//! Talks to the daemon: HTTP over its Unix socket, bounded in time and size. What an answer means is the verbs' business.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::act::http;
pub use crate::act::http::encode_segment;

use super::args::Global;
use super::failure::{Exit, Failure, Outcome};

/// The largest answer that is read.
const ANSWER_BYTES_MAX: usize = 32 * 1024 * 1024;
/// A daemon on the same machine answers at once or not at all.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// Pages of a list that are fetched for one command.
const PAGES_MAX: usize = 100;

/// A connection to the daemon of a state directory.
pub struct Client {
    runtime: tokio::runtime::Runtime,
    http: http::Client,
    socket: String,
}

/// An answer of the daemon that is not a failure of the connection.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: Value,
}

impl Client {
    /// Prepares to talk to the daemon that the flags point at. Nothing is sent yet.
    ///
    /// # Errors
    /// When there is no socket, so no daemon runs there.
    pub fn find(global: &Global) -> Outcome<Self> {
        let socket = global.control_socket();
        if !socket.exists() {
            return Err(no_daemon(&socket, global).detail("there is no such file"));
        }
        let options = http::Options {
            connect: CONNECT_WITHIN,
            total: ANSWER_WITHIN,
            body_bytes_max: ANSWER_BYTES_MAX,
            token_file: None,
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::new(format!("the system gives no event loop: {error}")))?;
        let http = http::Client::over_unix_socket(&socket, options)
            .map_err(|error| Failure::new(error.to_string()).at(socket.display()))?;
        Ok(Self { runtime, http, socket: socket.display().to_string() })
    }

    /// Reads `path`.
    ///
    /// # Errors
    /// When the daemon does not answer, or answers with a problem.
    pub fn get(&self, path: &str) -> Outcome<Value> {
        self.accept(path, self.send(http::Request::get(path))?)
    }

    /// Reads `path`; none when the daemon knows nothing under it.
    ///
    /// # Errors
    /// As for [`Client::get`], but for 404.
    pub fn find_one(&self, path: &str) -> Outcome<Option<Value>> {
        let answer = self.send(http::Request::get(path))?;
        if answer.status == 404 { Ok(None) } else { self.accept(path, answer).map(Some) }
    }

    /// Posts `body` to `path`.
    ///
    /// # Errors
    /// As for [`Client::get`].
    pub fn post(&self, path: &str, body: &Value) -> Outcome<Value> {
        self.accept(path, self.send(http::Request::post(path).json(body))?)
    }

    /// Posts `body` to `path`, and gives the daemon time to do what was asked before it answers.
    ///
    /// # Errors
    /// As for [`Client::get`].
    pub fn post_within(&self, path: &str, body: &Value, within: Duration) -> Outcome<Value> {
        self.accept(path, self.send(http::Request::post(path).json(body).within(within))?)
    }

    /// The items of a list, page after page, at most `limit`.
    ///
    /// # Errors
    /// As for [`Client::get`].
    pub fn list(&self, path: &str, query: &[(&str, &str)], limit: usize) -> Outcome<Vec<Value>> {
        let mut items: Vec<Value> = Vec::new();
        let mut cursor: Option<String> = None;
        for _ in 0..PAGES_MAX {
            let wanted = limit.saturating_sub(items.len()).min(PAGE_ITEMS_MAX).to_string();
            let mut query = query.to_vec();
            query.push(("limit", &wanted));
            if let Some(cursor) = &cursor {
                query.push(("cursor", cursor));
            }
            let page = self.get(&with_query(path, &query))?;
            items.extend(page["items"].as_array().into_iter().flatten().cloned());
            cursor = page["next"].as_str().map(ToOwned::to_owned);
            if cursor.is_none() || items.len() >= limit {
                break;
            }
        }
        items.truncate(limit);
        Ok(items)
    }

    fn send(&self, request: http::Request) -> Outcome<Answer> {
        let answer = self.runtime.block_on(self.http.send(request)).map_err(|error| self.failed(&error))?;
        let body =
            if answer.body.is_empty() { Value::Null } else { answer.json().map_err(|error| self.failed(&error))? };
        Ok(Answer { status: answer.status, body })
    }

    fn failed(&self, error: &http::Error) -> Failure {
        match error {
            http::Error::Connect { why, .. } => {
                Failure::new("no daemon answers").at(&self.socket).detail(why).hint(START).exit(Exit::NoDaemon)
            }
            other => Failure::new(other.to_string()).at(&self.socket),
        }
    }

    /// Keeps SIGINT and SIGTERM from ending this process for as long as the value lives: who holds something for a program
    /// ends after it.
    ///
    /// # Errors
    /// When the system does not let us listen to signals.
    pub fn deaf_to_signals(&self) -> Outcome<Deaf> {
        use tokio::signal::unix::{SignalKind, signal};
        let _inside = self.runtime.enter();
        let listen =
            |kind| signal(kind).map_err(|error| Failure::new(format!("signals cannot be listened to: {error}")));
        Ok(Deaf { _interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    /// Lets a moment pass; true when this process was told to end meanwhile.
    pub fn pause(&self, time: Duration, deaf: &mut Deaf) -> bool {
        self.runtime.block_on(async { tokio::time::timeout(time, deaf.terminate.recv()).await.is_ok() })
    }

    fn accept(&self, path: &str, answer: Answer) -> Outcome<Value> {
        if (200..300).contains(&answer.status) { Ok(answer.body) } else { Err(problem(path, &answer)) }
    }
}

/// While it lives, SIGINT and SIGTERM do not end this process.
pub struct Deaf {
    _interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

/// The most items that one page of the daemon's lists holds.
const PAGE_ITEMS_MAX: usize = 1_000;

const START: &str = "start one in the state repository: arcology up";

fn no_daemon(socket: &Path, global: &Global) -> Failure {
    let failure = Failure::new("no daemon runs here").at(socket.display()).exit(Exit::NoDaemon).hint(START);
    if global.control.is_some() {
        return failure;
    }
    failure.hint("if it runs elsewhere, say where: --state DIR or --control SOCKET")
}

/// An RFC 9457 problem document, as a person needs it.
fn problem(path: &str, answer: &Answer) -> Failure {
    let text = |key: &str| answer.body[key].as_str().filter(|text| !text.is_empty());
    let what = match (text("title"), text("detail")) {
        (_, Some(detail)) => detail.to_owned(),
        (Some(title), None) => title.to_owned(),
        (None, None) => format!("the daemon answers with status {}", answer.status),
    };
    let mut failure = Failure::new(what).detail(format!("{path} answered {}", answer.status));
    for key in ["help", "next"] {
        if let Some(hint) = text(key) {
            failure = failure.hint(hint);
        }
    }
    failure
}

/// `path` with a query, its values percent-encoded.
#[must_use]
pub fn with_query(path: &str, query: &[(&str, &str)]) -> String {
    let pairs: Vec<String> = query.iter().map(|(key, value)| format!("{key}={}", encode_segment(value))).collect();
    if pairs.is_empty() { path.to_owned() } else { format!("{path}?{}", pairs.join("&")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_document_becomes_what_happened_and_what_next() {
        let body = serde_json::json!({"title": "Not Found", "detail": "no task is called `task-9`", "help": "arcology get tasks"});
        let failure = problem("/api/v1/tasks/task-9", &Answer { status: 404, body });
        assert_eq!(failure.what, "no task is called `task-9`");
        assert_eq!(failure.hints, ["arcology get tasks"]);
        let bare = problem("/x", &Answer { status: 500, body: Value::Null });
        assert_eq!(bare.what, "the daemon answers with status 500");
    }

    #[test]
    fn queries_cannot_smuggle_further_parameters() {
        assert_eq!(with_query("/a", &[("kind", "x&limit=9"), ("cursor", "ü")]), "/a?kind=x%26limit%3D9&cursor=%C3%BC");
        assert_eq!(with_query("/a", &[]), "/a");
    }
}
