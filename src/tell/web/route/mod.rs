//! The routes: each takes facts and rows, hands them to a pure function, and answers. None of them writes.

mod api;
mod asset;
mod events;
mod page;
mod probe;
mod raw;

use axum::Router;
use axum::http::Uri;
use axum::routing::get;
use tokio_util::sync::CancellationToken;

use crate::core::text::{nearest, shorten};

use super::problem::Problem;
use super::state::WebState;

pub use api::{PATHS as API_PATHS, router as api_router};

/// The most characters that are repeated of a path that there is not.
const PATH_CHARS_MAX: usize = 200;

/// The pages and what belongs to them. Event streams end with `shutdown`.
pub fn pages(state: WebState, shutdown: CancellationToken) -> Router {
    let stream = events::Stream::new(state.picture.clone(), state.clock.clone(), shutdown);
    Router::new()
        .route("/", get(page::home))
        .route("/drift", get(page::drift))
        .route("/objects/{kind}/{name}", get(page::object))
        .route("/locks", get(page::locks))
        .route("/tasks", get(page::tasks))
        .route("/tasks/{id}", get(page::task))
        .route("/runtimes/{name}", get(page::runtime))
        .route("/models", get(page::models))
        .route("/vault", get(page::vault))
        .route("/artifacts/{sha}", get(page::artifact))
        .route("/artifacts/{sha}/raw", get(raw::artifact))
        .route("/audit", get(page::audit))
        .route("/models/{name}", get(page::model))
        .route("/policies", get(page::policies))
        .route("/blueprints/{name}", get(page::blueprint))
        .route("/goldensets/{name}", get(page::golden_set))
        .route("/healthz", get(probe::alive))
        .route("/readyz", get(probe::ready))
        .route("/static/{file}", get(asset::file))
        .with_state(state)
        .route("/events", get(events::follow).with_state(stream))
}

/// What is not served.
pub async fn nowhere(uri: Uri) -> Problem {
    if is_api(uri.path()) {
        return no_api(uri.path());
    }
    Problem::not_found("there is no such page in this version").help("everything there is can be reached from /")
}

/// Whether whoever asks for this path means the JSON API.
#[must_use]
pub fn is_api(path: &str) -> bool {
    path == "/api" || path.starts_with("/api/")
}

/// An address of the JSON API that there is not.
#[must_use]
pub fn no_api(path: &str) -> Problem {
    let shown = shorten(path, PATH_CHARS_MAX);
    let problem =
        Problem::not_found(format!("there is no `{shown}` in this version; /api/v1/openapi.json lists what there is"));
    match nearest(path, API_PATHS.iter().copied()) {
        Some(near) => problem.help(format!("did you mean `{near}`?")),
        None => problem.help("GET /api/v1/openapi.json"),
    }
}
