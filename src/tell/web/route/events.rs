//! `/events`: a sign when the picture changed, and when time has passed. The sign holds no facts; the page is asked for
//! again, so that there is one way only in which facts are shown.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::sse::{Event, Sse};
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_util::sync::CancellationToken;

use crate::act::engine::picture::Picture;
use crate::core::Clock;
use crate::tell::web::problem::Problem;

/// The most streams at once: a few operators with a few tabs each.
const STREAMS_MAX: usize = 48;
/// Without a change a stream says this often that time has passed, so that what is shown ages.
pub(super) const TICK: Duration = Duration::from_secs(15);
/// Changes that follow each other faster are told as one.
pub(super) const CALM: Duration = Duration::from_secs(1);
/// After how long a browser tries again when the connection broke.
const RETRY: Duration = Duration::from_secs(3);

/// What every stream is made from.
#[derive(Clone)]
pub(super) struct Stream {
    picture: watch::Receiver<Arc<Picture>>,
    clock: Arc<dyn Clock>,
    shutdown: CancellationToken,
    places: Arc<Semaphore>,
}

impl Stream {
    pub(super) fn new(
        picture: watch::Receiver<Arc<Picture>>,
        clock: Arc<dyn Clock>,
        shutdown: CancellationToken,
    ) -> Self {
        Self { picture, clock, shutdown, places: Arc::new(Semaphore::new(STREAMS_MAX)) }
    }
}

/// One browser's stream.
struct Follower {
    from: Stream,
    greeted: bool,
    _place: OwnedSemaphorePermit,
}

pub(super) async fn follow(
    State(stream): State<Stream>,
) -> Result<Sse<impl futures::Stream<Item = Result<Event, Infallible>>>, Problem> {
    let place = Arc::clone(&stream.places).try_acquire_owned().map_err(|_| {
        let detail = format!("{STREAMS_MAX} pages are followed already; this one works without live updates");
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail)
    })?;
    let mut follower = Follower { from: stream, greeted: false, _place: place };
    follower.from.picture.mark_unchanged();
    Ok(Sse::new(futures::stream::unfold(follower, next)))
}

/// The next sign; none when the server stops or the engine is gone.
async fn next(mut follower: Follower) -> Option<(Result<Event, Infallible>, Follower)> {
    if !std::mem::replace(&mut follower.greeted, true) {
        return Some((Ok(Event::default().retry(RETRY).comment("connected")), follower));
    }
    let Stream { picture, shutdown, .. } = &mut follower.from;
    let name = tokio::select! {
        () = shutdown.cancelled() => return None,
        changed = picture.changed() => {
            changed.ok()?;
            tokio::select! {
                () = shutdown.cancelled() => return None,
                () = tokio::time::sleep(CALM) => {}
            }
            picture.mark_unchanged();
            "picture"
        }
        () = tokio::time::sleep(TICK) => "tick",
    };
    let revision = picture.borrow().world.revision.as_ref().map(ToString::to_string);
    let data = json!({"revision": revision, "generated_at": follower.from.clock.now()});
    Some((Ok(Event::default().event(name).data(data.to_string())), follower))
}
