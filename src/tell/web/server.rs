//! The listener: loopback only, bounded in connections and in silence, and the routes behind the guard.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep};
use tokio_util::sync::CancellationToken;

use super::guard::{Guard, watch_over};
use super::route;
use super::state::WebState;

/// The most connections at once.
pub const CONNECTIONS_MAX: usize = 128;
/// A connection on which nothing moves in either direction is closed after this time. Event streams send a sign of
/// life more often.
pub const SILENCE_MAX: Duration = Duration::from_secs(45);
/// How long running answers may still take when the server stops.
pub const GRACE: Duration = Duration::from_secs(3);
/// How long to wait after the system refused a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Why the page cannot be served at an address.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    #[error("`{address}` is no address to listen on; write HOST:PORT, such as 127.0.0.1:7480")]
    NoAddress { address: String },
    #[error("`{address}`: listening on the tailnet comes with a later version; use 127.0.0.1:PORT until then")]
    Tailnet { address: String },
    #[error("`{address}` cannot be resolved: {source}; write the address itself, such as 127.0.0.1:7480")]
    Resolve { address: String, source: std::io::Error },
    #[error(
        "`{address}` is {found}, which others can reach; the page has no login and is served on loopback alone: \
         use 127.0.0.1:PORT, and reach it from elsewhere through SSH (ssh -L 7480:127.0.0.1:7480 HOST)"
    )]
    NotLoopback { address: String, found: std::net::IpAddr },
    #[error("cannot listen on {address}: {source}; another program may use the port, choose another with --listen")]
    Listen { address: String, source: std::io::Error },
}

/// Listens on a loopback address: `127.0.0.1:7480`, `[::1]:7480` or `localhost:7480`; port 0 takes a free one.
///
/// # Errors
/// When the address is anything else, or cannot be listened on. There is no override.
pub async fn bind(address: &str) -> Result<TcpListener, BindError> {
    let text = || address.to_owned();
    if address.starts_with("tailscale:") {
        return Err(BindError::Tailnet { address: text() });
    }
    let port =
        address.rsplit_once(':').filter(|(host, _)| !host.is_empty()).and_then(|(_, port)| port.parse::<u16>().ok());
    if port.is_none() {
        return Err(BindError::NoAddress { address: text() });
    }
    let found: Vec<SocketAddr> = tokio::net::lookup_host(address)
        .await
        .map_err(|source| BindError::Resolve { address: text(), source })?
        .collect();
    if let Some(outside) = found.iter().find(|found| !found.ip().to_canonical().is_loopback()) {
        return Err(BindError::NotLoopback { address: text(), found: outside.ip() });
    }
    TcpListener::bind(found.as_slice()).await.map_err(|source| BindError::Listen { address: text(), source })
}

/// Serves the page until `shutdown` is cancelled and running answers are done or [`GRACE`] is over.
///
/// # Errors
/// When the listener has no address of its own, which only a closed one has not.
pub async fn serve(listener: TcpListener, state: WebState, shutdown: CancellationToken) -> std::io::Result<()> {
    let address = listener.local_addr()?;
    let app = router(address, state, shutdown.clone());
    let bounded = Bounded { listener, places: Arc::new(Semaphore::new(CONNECTIONS_MAX)) };
    let serving = axum::serve(bounded, app).with_graceful_shutdown(shutdown.clone().cancelled_owned());
    let overdue = async {
        shutdown.cancelled().await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        served = serving => served,
        () = overdue => Ok(()),
    }
}

/// Every route of the page, behind the guard of a listener at `address`. Event streams end with `shutdown`.
pub fn router(address: SocketAddr, state: WebState, shutdown: CancellationToken) -> Router {
    let guard = Guard::new(address, Arc::clone(&state.clock));
    route::pages(state.clone(), shutdown)
        .merge(route::api_router(state))
        .fallback(route::nowhere)
        .layer(from_fn_with_state(guard, watch_over))
}

/// A listener that accepts only as many connections as there are places.
struct Bounded {
    listener: TcpListener,
    places: Arc<Semaphore>,
}

impl Listener for Bounded {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let place = Arc::clone(&self.places).acquire_owned().await.expect("nobody closes the places");
        loop {
            match self.listener.accept().await {
                Ok((stream, peer)) => {
                    let silence = Box::pin(tokio::time::sleep(SILENCE_MAX));
                    return (Connection { stream, silence, _place: place }, peer);
                }
                // A client that left meanwhile, or too many open files: the next one may do better.
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

/// A connection that gives its place free when it ends, and ends when nothing moves on it for too long.
struct Connection {
    stream: TcpStream,
    silence: Pin<Box<Sleep>>,
    _place: OwnedSemaphorePermit,
}

impl Connection {
    /// Something moved: the silence begins anew.
    fn moved(&mut self) {
        self.silence.as_mut().reset(Instant::now() + SILENCE_MAX);
    }

    /// What a call that waits becomes: an error when the silence was too long.
    fn waiting<T>(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<T>> {
        self.silence.as_mut().poll(cx).map(|()| Err(std::io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        match Pin::new(&mut self.stream).poll_read(cx, buf) {
            Poll::Ready(read) => {
                self.moved();
                Poll::Ready(read)
            }
            Poll::Pending => self.waiting(cx),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<std::io::Result<usize>> {
        match Pin::new(&mut self.stream).poll_write(cx, buf) {
            Poll::Ready(written) => {
                self.moved();
                Poll::Ready(written)
            }
            Poll::Pending => self.waiting(cx),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_loopback_is_listened_on_and_everything_else_is_refused_with_the_reason() {
        for (address, why) in [
            ("0.0.0.0:0", "others can reach"),
            ("[::]:0", "others can reach"),
            ("192.168.1.7:7480", "others can reach"),
            ("8.8.8.8:80", "others can reach"),
            ("[::ffff:10.0.0.1]:80", "others can reach"),
            ("tailscale:7480", "comes with a later version"),
            ("", "write HOST:PORT"),
            ("7480", "write HOST:PORT"),
            (":7480", "write HOST:PORT"),
            ("127.0.0.1", "write HOST:PORT"),
            ("127.0.0.1:port", "write HOST:PORT"),
            ("127.0.0.1:70000", "write HOST:PORT"),
        ] {
            let error = bind(address).await.expect_err(address).to_string();
            assert!(error.contains(why), "{address}: {error}");
        }
    }

    #[tokio::test]
    async fn loopback_addresses_are_listened_on_and_a_taken_port_is_told() {
        let listener = bind("127.0.0.1:0").await.unwrap();
        let taken = listener.local_addr().unwrap();
        assert!(taken.ip().is_loopback());
        assert!(matches!(bind(&taken.to_string()).await, Err(BindError::Listen { .. })));
        assert!(bind("localhost:0").await.unwrap().local_addr().unwrap().ip().is_loopback());
    }
}
