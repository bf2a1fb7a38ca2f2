//! The one HTTP client: bounded in time and size, and told nothing it need not know.
//!
//! It owns connecting (TCP, TLS, Unix socket), time limits, the cap on bodies, the bearer token and the refusal of
//! redirects; this room alone names `reqwest`. What an answer means is left to the callers.
//!
//! Guarantees: no body costs more memory than its cap plus one read; a redirect is an error that names where it points;
//! no proxy, no cookies, no decompression; only `http` and `https`; a token is read when it is used and appears in no
//! error; the path that is asked for is the path that was written, never one that was normalised into another.

mod request;
mod secret;
mod socket;

use std::error::Error as _;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

pub use self::request::{Part, Request};
use self::secret::Secret;
pub use self::socket::Socket;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER};
use serde::de::DeserializeOwned;

/// The longest wait that a `Retry-After` header is believed to ask for.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);
const KEEPALIVE: Duration = Duration::from_secs(30);
const IDLE_CONNECTIONS_MAX: usize = 4;

/// Limits of a client, and how it proves who it is.
#[derive(Clone, Debug)]
pub struct Options {
    /// To open a connection.
    pub connect: Duration,
    /// From sending a request to the last byte of its answer; a request may set its own.
    pub total: Duration,
    /// The largest body that is read whole.
    pub body_bytes_max: usize,
    /// The file that holds the bearer token.
    pub token_file: Option<PathBuf>,
}

/// A client of one server.
#[derive(Clone)]
pub struct Client {
    inner: reqwest::Client,
    /// Scheme, host and path prefix, without a slash at the end.
    base: Arc<str>,
    /// Host and port, as errors name it.
    host: Arc<str>,
    options: Arc<Options>,
    /// A header that goes with every request.
    mark: Option<(&'static str, Arc<str>)>,
}

/// Why there is no answer that can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("`{address}` cannot be used as an address: {why}")]
    Address { address: String, why: String },
    #[error("cannot connect to {host}: {why}")]
    Connect { host: Arc<str>, why: String },
    #[error("the connection to {host} broke: {why}")]
    Broken { host: Arc<str>, why: String },
    #[error("{host} did not answer {path} within {} ms", after.as_millis())]
    Timeout { host: Arc<str>, path: String, after: Duration },
    #[error("{host} answers {path} with a redirect ({status}) to {target}; redirects are not followed")]
    Redirect { host: Arc<str>, path: String, status: u16, target: String },
    #[error("the answer of {host} to {path} is larger than the limit of {limit_bytes} bytes")]
    TooLarge { host: Arc<str>, path: String, limit_bytes: usize },
    #[error("the answer of {host} to {path} is not UTF-8: byte {at} is wrong")]
    NotUtf8 { host: Arc<str>, path: String, at: usize },
    #[error("the answer of {host} to {path} is not the JSON that was expected: {why}")]
    NotJson { host: Arc<str>, path: String, why: String },
    #[error("the token file `{file}` cannot be used: {why}")]
    Token { file: String, why: String },
}

/// A whole answer.
pub struct Answer {
    pub status: u16,
    pub content_type: Option<String>,
    pub retry_after: Option<Duration>,
    pub body: Vec<u8>,
    host: Arc<str>,
    path: String,
    secret: Option<Secret>,
}

/// An answer whose body is read piece by piece. Dropping it closes the connection.
pub struct Streaming {
    pub status: u16,
    pub content_type: Option<String>,
    pub retry_after: Option<Duration>,
    response: reqwest::Response,
    host: Arc<str>,
    path: String,
    body_bytes_max: usize,
    secret: Option<Secret>,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Answer({} to {}, {} bytes)", self.status, self.path, self.body.len())
    }
}

impl Client {
    /// A client of the server at `endpoint`, such as `http://127.0.0.1:8080` or `https://box.example/llama`.
    ///
    /// # Errors
    /// When the address is not http or https, or carries a user name, a password, a query or a fragment.
    pub fn new(endpoint: &str, options: Options) -> Result<Self, Error> {
        let bad = |why: &str| Error::Address { address: without_credentials(endpoint), why: why.to_owned() };
        let url = reqwest::Url::parse(endpoint).map_err(|e| bad(&e.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(bad("only http and https are spoken"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(bad("it carries a user name or a password; use `auth.tokenFrom` instead"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(bad("it carries a query or a fragment"));
        }
        let host = host_of(&url).ok_or_else(|| bad("it names no host"))?;
        let mut builder = builder(&options);
        if url.scheme() == "http" {
            // No root certificates: a machine without any can still talk to its own runtimes.
            builder = builder.tls_certs_only([]);
        }
        let inner = builder.build().map_err(|e| bad(&words(&e)))?;
        Ok(Self {
            inner,
            base: url.as_str().trim_end_matches('/').into(),
            host,
            options: Arc::new(options),
            mark: None,
        })
    }

    /// A client of the server that listens on the Unix socket `socket`.
    ///
    /// # Errors
    /// When a client cannot be set up at all.
    pub fn over_unix_socket(socket: &Path, options: Options) -> Result<Self, Error> {
        let host: Arc<str> = socket.display().to_string().into();
        let inner = builder(&options)
            .tls_certs_only([])
            .unix_socket(socket.to_path_buf())
            .build()
            .map_err(|e| Error::Address { address: host.to_string(), why: words(&e) })?;
        Ok(Self { inner, base: "http://localhost".into(), host, options: Arc::new(options), mark: None })
    }

    /// The same client, whose requests carry the header `name` with `value` too.
    #[must_use]
    pub fn marked(&self, name: &'static str, value: &str) -> Self {
        Self { mark: Some((name, value.into())), ..self.clone() }
    }

    /// Host and port, for messages.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Asks and reads the whole answer, whatever its status.
    ///
    /// # Errors
    /// When there is no answer, not in time, a redirect, or one larger than the cap.
    pub async fn send(&self, request: Request) -> Result<Answer, Error> {
        let total = request.total.unwrap_or(self.options.total);
        let path = request.path.clone();
        let work = async { self.start(request).await?.read().await };
        tokio::time::timeout(total, work).await.unwrap_or_else(|_| Err(self.late(path, total)))
    }

    /// Asks and hands back the answer as soon as its head is there. The request's time limit covers only the head.
    ///
    /// # Errors
    /// When there is no answer, not in time, or a redirect.
    pub async fn open(&self, request: Request) -> Result<Streaming, Error> {
        let total = request.total.unwrap_or(self.options.total);
        let path = request.path.clone();
        tokio::time::timeout(total, self.start(request)).await.unwrap_or_else(|_| Err(self.late(path, total)))
    }

    fn late(&self, path: String, after: Duration) -> Error {
        Error::Timeout { host: self.host.clone(), path, after }
    }

    async fn start(&self, request: Request) -> Result<Streaming, Error> {
        let Request { method, path, body, accept, .. } = request;
        let url = self.url(&path)?;
        let secret = self.token().await?;
        let mut builder = self.inner.request(method, url).header(ACCEPT, accept);
        if let Some(secret) = &secret {
            builder = builder.header(AUTHORIZATION, self.bearer(secret)?);
        }
        if let Some((name, value)) = &self.mark {
            builder = builder.header(*name, &**value);
        }
        if let Some((kind, body)) = body {
            builder = builder.header(CONTENT_TYPE, kind).body(body);
        }
        let response = builder.send().await.map_err(|e| self.failed(&e))?;
        let status = response.status().as_u16();
        if (300..400).contains(&status) && status != 304 {
            let target = redirect_target(response.headers(), response.url());
            return Err(Error::Redirect { host: self.host.clone(), path, status, target });
        }
        Ok(Streaming {
            status,
            content_type: text_header(response.headers().get(CONTENT_TYPE)),
            retry_after: retry_after(response.headers()),
            response,
            host: self.host.clone(),
            path,
            body_bytes_max: self.options.body_bytes_max,
            secret,
        })
    }

    /// The address of `path`, which must come out exactly as it went in: `..` or `%2e%2e` would name another one.
    fn url(&self, path: &str) -> Result<reqwest::Url, Error> {
        let whole = format!("{}{path}", self.base);
        let bad = |why: String| Error::Address { address: path.to_owned(), why };
        let url = reqwest::Url::parse(&whole).map_err(|e| bad(e.to_string()))?;
        if path.starts_with('/') && url.as_str() == whole {
            Ok(url)
        } else {
            Err(bad("it does not stand for itself in a URL".to_owned()))
        }
    }

    fn failed(&self, error: &reqwest::Error) -> Error {
        let (host, why) = (self.host.clone(), words(error));
        if error.is_connect() { Error::Connect { host, why } } else { Error::Broken { host, why } }
    }

    async fn token(&self) -> Result<Option<Secret>, Error> {
        let Some(path) = &self.options.token_file else { return Ok(None) };
        let bad = |why: String| Error::Token { file: path.display().to_string(), why };
        Secret::read(path).await.map(Some).map_err(bad)
    }

    fn bearer(&self, secret: &Secret) -> Result<HeaderValue, Error> {
        let mut value = HeaderValue::from_str(&secret.bearer()).map_err(|_| Error::Token {
            file: "of the runtime".to_owned(),
            why: "no header can carry it".to_owned(),
        })?;
        value.set_sensitive(true);
        Ok(value)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Client({})", self.host)
    }
}

impl Streaming {
    /// The next piece of the body; none at its end.
    ///
    /// # Errors
    /// When the connection breaks before the body has ended.
    pub async fn chunk(&mut self) -> Result<Option<Vec<u8>>, Error> {
        match self.response.chunk().await {
            Ok(piece) => Ok(piece.map(Vec::from)),
            Err(e) => Err(Error::Broken { host: self.host.clone(), why: words(&e) }),
        }
    }

    /// Reads the whole body, up to the cap of the client.
    ///
    /// # Errors
    /// When it is larger, or breaks off.
    pub async fn read(self) -> Result<Answer, Error> {
        let limit_bytes = self.body_bytes_max;
        self.read_up_to(limit_bytes).await
    }

    /// Reads the whole body, up to `limit_bytes`, which may be more or less than the cap of the client.
    ///
    /// # Errors
    /// When it is larger, or breaks off.
    pub async fn read_up_to(mut self, limit_bytes: usize) -> Result<Answer, Error> {
        let too_large = |this: &Self| Error::TooLarge { host: this.host.clone(), path: this.path.clone(), limit_bytes };
        if self.response.content_length().is_some_and(|length| length > limit_bytes as u64) {
            return Err(too_large(&self));
        }
        let mut body = Vec::new();
        while let Some(piece) = self.chunk().await? {
            if body.len() + piece.len() > limit_bytes {
                return Err(too_large(&self));
            }
            body.extend_from_slice(&piece);
        }
        let Self { status, content_type, retry_after, host, path, secret, .. } = self;
        Ok(Answer { status, content_type, retry_after, body, host, path, secret })
    }

    /// `text` of the server without the token, should the server repeat it.
    #[must_use]
    pub fn without_secret(&self, text: &str) -> String {
        without_secret(self.secret.as_ref(), text)
    }
}

impl Answer {
    /// Whether it is a page for people, such as servers of web interfaces give for any path that they do not know.
    #[must_use]
    pub fn is_page(&self) -> bool {
        let told = self.content_type.as_deref().is_some_and(|kind| kind.starts_with("text/html"));
        told || self
            .body
            .trim_ascii_start()
            .get(..5)
            .is_some_and(|head| head.eq_ignore_ascii_case(b"<!doc") || head.eq_ignore_ascii_case(b"<html"))
    }

    /// The body as text.
    ///
    /// # Errors
    /// When it is not UTF-8.
    pub fn text(&self) -> Result<&str, Error> {
        std::str::from_utf8(&self.body).map_err(|e| Error::NotUtf8 {
            host: self.host.clone(),
            path: self.path.clone(),
            at: e.valid_up_to(),
        })
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// When it is not UTF-8, not JSON, or JSON of another shape.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_str(self.text()?).map_err(|e| Error::NotJson {
            host: self.host.clone(),
            path: self.path.clone(),
            why: crate::core::text::shorten(&without_secret(self.secret.as_ref(), &e.to_string()), 200),
        })
    }

    /// `text` of the server without the token, should the server repeat it.
    #[must_use]
    pub fn without_secret(&self, text: &str) -> String {
        without_secret(self.secret.as_ref(), text)
    }
}

/// `segment` as one segment of a URL's path: all but letters, digits and `-._~` is percent-encoded.
#[must_use]
pub fn encode_segment(segment: &str) -> String {
    let mut encoded = String::with_capacity(segment.len());
    for byte in segment.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(byte as char);
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

fn builder(options: &Options) -> reqwest::ClientBuilder {
    static PROVIDER: OnceLock<()> = OnceLock::new();
    PROVIDER.get_or_init(|| {
        // An error means that one is installed already, which serves as well.
        drop(rustls::crypto::ring::default_provider().install_default());
    });
    reqwest::Client::builder()
        .user_agent(concat!("arcology/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(options.connect)
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .no_proxy()
        .tcp_keepalive(KEEPALIVE)
        .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
}

fn host_of(url: &reqwest::Url) -> Option<Arc<str>> {
    let host = url.host_str()?;
    Some(url.port().map_or_else(|| host.into(), |port| format!("{host}:{port}").into()))
}

/// What stands before an `@` may be a password: it is never repeated.
fn without_credentials(endpoint: &str) -> String {
    let shown = crate::core::text::shorten(endpoint, 200);
    match shown.rsplit_once('@') {
        Some((_, rest)) => format!("…@{rest}"),
        None => shown,
    }
}

fn redirect_target(headers: &HeaderMap, asked: &reqwest::Url) -> String {
    let Some(location) = text_header(headers.get(LOCATION)) else { return "nowhere".to_owned() };
    let host = asked.join(&location).ok().and_then(|url| host_of(&url));
    host.map_or_else(|| "an address that cannot be read".to_owned(), |host| host.to_string())
}

fn text_header(value: Option<&HeaderValue>) -> Option<String> {
    value.and_then(|value| value.to_str().ok()).map(str::to_owned)
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(RETRY_AFTER_MAX))
}

fn without_secret(secret: Option<&Secret>, text: &str) -> String {
    secret.map_or_else(|| text.to_owned(), |secret| secret.hide(text))
}

/// The innermost cause, which names what happened; the outer ones repeat the address.
fn words(error: &reqwest::Error) -> String {
    let mut cause = error.source();
    let mut text = None;
    while let Some(inner) = cause {
        text = Some(inner.to_string());
        cause = inner.source();
    }
    crate::core::text::shorten(&text.unwrap_or_else(|| "the request cannot be sent".to_owned()), 200)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> Options {
        let second = Duration::from_secs(1);
        Options { connect: second, total: second, body_bytes_max: 1_000, token_file: None }
    }

    #[test]
    fn addresses_that_are_not_plain_http_are_refused_and_no_password_is_repeated() {
        for bad in ["", "ftp://host/", "file:///etc/passwd", "http://", "http://h/?a=b", "http://h/#f", "unix:/x"] {
            assert!(matches!(Client::new(bad, options()), Err(Error::Address { .. })), "{bad}");
        }
        let error = Client::new("http://me:hunter2@host/", options()).unwrap_err().to_string();
        assert!(!error.contains("hunter2") && error.contains("auth.tokenFrom"), "{error}");
    }

    #[test]
    fn a_path_that_a_url_would_normalise_into_another_is_refused() {
        let client = Client::new("http://127.0.0.1:1/prefix/", options()).unwrap();
        assert_eq!(client.url("/a%2Fb/c").unwrap().as_str(), "http://127.0.0.1:1/prefix/a%2Fb/c");
        for path in ["/a/../b", "/a/%2e%2e/b", "/./a", "a", "/a b", "/a?b#c d", "//x/\n"] {
            assert!(client.url(path).is_err(), "{path}");
        }
    }

    #[test]
    fn segments_are_encoded_byte_by_byte() {
        assert_eq!(encode_segment("qwen2.5:7b"), "qwen2.5%3A7b");
        assert_eq!(encode_segment("a/b é%"), "a%2Fb%20%C3%A9%25");
    }

    #[test]
    fn a_hostile_retry_after_is_capped_and_a_date_is_ignored() {
        let wait = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_str(text).unwrap());
            retry_after(&headers)
        };
        assert_eq!(wait("1"), Some(Duration::from_secs(1)));
        assert_eq!(wait("99999999999"), Some(RETRY_AFTER_MAX));
        assert_eq!(wait("Wed, 21 Oct 2015 07:28:00 GMT"), None);
    }
}
