//! The routes: each takes facts and rows, hands them to a pure function, and answers. None of them writes.

mod api;
mod asset;
mod events;
mod page;
mod probe;
mod raw;

use axum::Router;
use axum::routing::get;
use tokio_util::sync::CancellationToken;

use super::problem::Problem;
use super::state::WebState;

pub use api::{PATHS as API_PATHS, router as api_router};

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
pub async fn nowhere() -> Problem {
    Problem::not_found("there is no such page in this version").help("everything there is can be reached from /")
}
