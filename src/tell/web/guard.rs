//! What every request of the page's listener passes through: who may ask, what may be asked, and what every answer says.
//!
//! 1. Only GET and HEAD exist.
//! 2. Addresses are bounded.
//! 3. `Host` must be an address that is served here, so that a page of another site cannot read this one by pointing its
//!    own name at it (DNS rebinding).
//! 4. An answer is made within a bounded time.
//! 5. Every answer carries the headers that keep it from running, framing or leaking anything.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::core::Clock;

use super::problem::Problem;

/// The longest path and query, in bytes.
pub const URL_BYTES_MAX: usize = 2_048;
/// How long making an answer may take. A stream counts as made when it begins.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Nothing but files of this server runs, is shown or is asked; forms lead back here; nobody frames it.
const CSP: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; \
                   connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; \
                   require-trusted-types-for 'script'";

/// What an answer says when its handler says nothing else.
const HEADERS: [(HeaderName, &str); 8] = [
    (header::CONTENT_SECURITY_POLICY, CSP),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
];

/// Who is served: the names under which this listener may be asked.
#[derive(Clone)]
pub struct Guard {
    hosts: Arc<[String]>,
    clock: Arc<dyn Clock>,
}

impl Guard {
    #[must_use]
    pub fn new(address: SocketAddr, clock: Arc<dyn Clock>) -> Self {
        Self { hosts: hosts(address).into(), clock }
    }

    fn serves(&self, headers: &HeaderMap) -> bool {
        let mut hosts = headers.get_all(header::HOST).iter();
        let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
        host.to_str().is_ok_and(|host| self.hosts.iter().any(|own| own.eq_ignore_ascii_case(host)))
    }

    fn refusal(&self, request: &Request) -> Option<Problem> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let detail = format!("{} does not exist here: this page only reads", request.method());
            let help = "change things by commit, or with the command line: arcology --help";
            return Some(Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail).help(help));
        }
        let length = request.uri().path_and_query().map_or(0, |path| path.as_str().len());
        if length > URL_BYTES_MAX {
            let detail = format!("the address has {length} bytes, at most {URL_BYTES_MAX} are read");
            return Some(Problem::new(StatusCode::URI_TOO_LONG, detail));
        }
        if !self.serves(request.headers()) {
            let detail = "this host is not served here: the page answers under its own address alone";
            let help = format!("open http://{}/", self.hosts.first().map_or("127.0.0.1", String::as_str));
            return Some(Problem::new(StatusCode::MISDIRECTED_REQUEST, detail).help(help));
        }
        None
    }
}

/// The names of a loopback listener. The port is part of a name, but where it is the one that browsers leave out.
fn hosts(address: SocketAddr) -> Vec<String> {
    let port = address.port();
    let own = match address {
        SocketAddr::V4(v4) => v4.ip().to_string(),
        SocketAddr::V6(v6) => format!("[{}]", v6.ip()),
    };
    let mut names = vec![own];
    for name in ["localhost", "127.0.0.1", "[::1]"] {
        if !names.iter().any(|own| own == name) {
            names.push(name.to_owned());
        }
    }
    let with_port = names.iter().map(|name| format!("{name}:{port}")).collect::<Vec<_>>();
    if port == 80 { with_port.into_iter().chain(names).collect() } else { with_port }
}

/// The middleware.
pub async fn watch_over(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let wants_page = wants_page(request.uri().path(), request.headers());
    let answer = match guard.refusal(&request) {
        Some(problem) => problem.into_response(),
        None => tokio::time::timeout(ANSWER_WITHIN, next.run(request)).await.unwrap_or_else(|_| {
            let detail = format!("no answer could be made within {} s", ANSWER_WITHIN.as_secs());
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).into_response()
        }),
    };
    let mut answer = match answer.extensions().get::<Problem>() {
        Some(problem) if wants_page => problem.page(guard.clock.now()),
        Some(_) | None => answer,
    };
    if answer.status() == StatusCode::METHOD_NOT_ALLOWED {
        answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    for (name, value) in HEADERS {
        answer.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    answer
}

/// Whether a problem is told as a page: to browsers, and not below `/api`.
#[must_use]
pub fn wants_page(path: &str, headers: &HeaderMap) -> bool {
    let accepts_html = headers
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html"));
    !path.starts_with("/api/") && accepts_html
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_is_known_by_its_own_address_and_the_names_of_loopback() {
        assert_eq!(hosts("127.0.0.1:7480".parse().unwrap()), ["127.0.0.1:7480", "localhost:7480", "[::1]:7480"]);
        assert!(hosts("[::1]:7480".parse().unwrap()).contains(&"[::1]:7480".to_owned()));
        assert!(hosts("127.0.0.1:80".parse().unwrap()).contains(&"localhost".to_owned()));
    }
}
