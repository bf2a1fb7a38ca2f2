//! What goes wrong with a request, told once: as an RFC 9457 problem document for programs, as a page for people.
//!
//! A handler answers with a [`Problem`]; it becomes JSON. The guard of the page turns it into HTML where a person asked.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::core::Timestamp;
use crate::core::text::shorten;
use crate::remember::store::Error as StoreError;

use super::render::{self, Template};
use super::view;

/// The longest detail, in characters: part of it may be what the client sent.
const DETAIL_CHARS_MAX: usize = 500;

/// Why a request was not answered as asked.
#[derive(Clone, Debug, Serialize)]
pub struct Problem {
    /// Always `about:blank`: the status says what kind of problem it is.
    #[serde(rename = "type")]
    kind: &'static str,
    pub title: &'static str,
    pub status: u16,
    pub detail: String,
    /// What to do next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

impl Problem {
    pub fn new(status: StatusCode, detail: impl AsRef<str>) -> Self {
        Self {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: shorten(detail.as_ref(), DETAIL_CHARS_MAX),
            help: None,
        }
    }

    /// Says what to do next.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub fn not_found(detail: impl AsRef<str>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    pub fn bad_request(detail: impl AsRef<str>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// The same as a page.
    #[must_use]
    pub fn page(&self, now: Timestamp) -> Response {
        let page = view::message::error(self.status, self.title, &self.detail, self.help.as_deref(), now);
        match render::html(Template::Message, &page) {
            Ok(html) => (self.code(), [(header::CONTENT_TYPE, "text/html; charset=utf-8")], html).into_response(),
            Err(_) => (self.code(), format!("{} {}\n{}\n", self.status, self.title, self.detail)).into_response(),
        }
    }

    fn code(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.code(), Json(&self)).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        response.extensions_mut().insert(self);
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let status = match &error {
            StoreError::BadCursor(_) => StatusCode::BAD_REQUEST,
            StoreError::NotFound { .. } => StatusCode::NOT_FOUND,
            StoreError::Locked { .. }
            | StoreError::Newer { .. }
            | StoreError::Older { .. }
            | StoreError::Foreign { .. }
            | StoreError::Corrupt { .. }
            | StoreError::ReadOnly { .. }
            | StoreError::Full { .. }
            | StoreError::Io { .. }
            | StoreError::Exists { .. }
            | StoreError::Conflict { .. }
            | StoreError::TooLarge { .. }
            | StoreError::Value { .. }
            | StoreError::Internal { .. }
            | StoreError::Closed => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self::new(status, error.to_string())
    }
}

impl From<render::RenderError> for Problem {
    fn from(error: render::RenderError) -> Self {
        let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        tracing::error!(cause, "a page could not be rendered");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).help("the same facts stand in the JSON API")
    }
}
