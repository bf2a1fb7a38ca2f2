//! WebSockets of a server, opened by the same client and under the same rules: its token, no redirects, bounded frames.
//!
//! It owns the handshake (RFC 6455, section 4) and what of a socket is handed on: text. What the text means is the caller's.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use reqwest::header::{CONNECTION, HeaderName, UPGRADE};
use reqwest::{StatusCode, Upgraded};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Message, Role, WebSocketConfig};

use super::{AUTHORIZATION, Client, Error, words};

const KEY: HeaderName = HeaderName::from_static("sec-websocket-key");
const VERSION: HeaderName = HeaderName::from_static("sec-websocket-version");
const ACCEPT_KEY: HeaderName = HeaderName::from_static("sec-websocket-accept");

/// An open WebSocket that is listened to. Dropping it closes the connection.
pub struct Socket {
    stream: WebSocketStream<Upgraded>,
    host: Arc<str>,
}

impl std::fmt::Debug for Socket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Socket({})", self.host)
    }
}

impl Client {
    /// Opens the WebSocket at `path`, within `limit`, whose messages have at most `message_bytes_max` bytes.
    ///
    /// # Errors
    /// When there is no answer, not in time, or one that is no WebSocket.
    pub async fn socket(&self, path: &str, limit: Duration, message_bytes_max: usize) -> Result<Socket, Error> {
        let opened = tokio::time::timeout(limit, self.shake_hands(path, message_bytes_max)).await;
        opened.unwrap_or_else(|_| Err(self.late(path.to_owned(), limit)))
    }

    async fn shake_hands(&self, path: &str, message_bytes_max: usize) -> Result<Socket, Error> {
        let broken = |why: String| Error::Broken { host: self.host.clone(), why };
        let (url, key) = (self.url(path)?, generate_key());
        let mut builder = self.inner.get(url).header(CONNECTION, "Upgrade").header(UPGRADE, "websocket");
        builder = builder.header(VERSION, "13").header(KEY, &key);
        if let Some(secret) = self.token().await? {
            builder = builder.header(AUTHORIZATION, self.bearer(&secret)?);
        }
        let response = builder.send().await.map_err(|error| self.failed(&error))?;
        let status = response.status();
        let accepts = response.headers().get(ACCEPT_KEY).is_some_and(|told| *told == derive_accept_key(key.as_bytes()));
        if status != StatusCode::SWITCHING_PROTOCOLS || !accepts {
            return Err(broken(format!("it opens no WebSocket at {path}: HTTP {}", status.as_u16())));
        }
        let upgraded = response.upgrade().await.map_err(|error| broken(words(&error)))?;
        let limits = WebSocketConfig::default()
            .max_message_size(Some(message_bytes_max))
            .max_frame_size(Some(message_bytes_max));
        let stream = WebSocketStream::from_raw_socket(upgraded, Role::Client, Some(limits)).await;
        Ok(Socket { stream, host: self.host.clone() })
    }
}

impl Socket {
    /// The next text; none when the server has closed. Anything but text is passed over.
    ///
    /// # Errors
    /// When the connection breaks, or something larger than the limit comes.
    pub async fn text(&mut self) -> Result<Option<String>, Error> {
        loop {
            match self.stream.next().await {
                None | Some(Ok(Message::Close(_))) => return Ok(None),
                Some(Ok(Message::Text(text))) => return Ok(Some(text.as_str().to_owned())),
                Some(Ok(Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Err(error)) => {
                    let why = crate::core::text::shorten(&error.to_string(), 200);
                    return Err(Error::Broken { host: self.host.clone(), why });
                }
            }
        }
    }
}
