//! The files that pages refer to. They are part of the program.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::core::Digest;
use crate::tell::web::problem::Problem;

struct Asset {
    name: &'static str,
    mime: &'static str,
    text: &'static str,
    /// Made of the content, so that a new version is never mistaken for an old one.
    etag: String,
}

fn asset(name: &'static str, mime: &'static str, text: &'static str) -> Asset {
    Asset { name, mime, text, etag: format!("\"{}\"", &Digest::of(text.as_bytes()).hex()[..32]) }
}

static ASSETS: LazyLock<[Asset; 3]> = LazyLock::new(|| {
    [
        asset("style.css", "text/css; charset=utf-8", include_str!("../static/style.css")),
        asset("live.js", "text/javascript; charset=utf-8", include_str!("../static/live.js")),
        asset("icon.svg", "image/svg+xml", include_str!("../static/icon.svg")),
    ]
});

pub(super) async fn file(Path(name): Path<String>, headers: HeaderMap) -> Result<Response, Problem> {
    let asset = ASSETS.iter().find(|asset| asset.name == name);
    let asset = asset.ok_or_else(|| Problem::not_found(format!("there is no file `{name}`")))?;
    let cache = [(header::CACHE_CONTROL, "no-cache"), (header::ETAG, asset.etag.as_str())];
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    if known == Some(asset.etag.as_str()) {
        return Ok((StatusCode::NOT_MODIFIED, cache).into_response());
    }
    Ok((cache, [(header::CONTENT_TYPE, asset.mime)], asset.text).into_response())
}
