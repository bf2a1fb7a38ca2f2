//! A page that says what went wrong, or where to look: what happened, where, and what to do next.

use serde::Serialize;

use crate::core::Timestamp;

use super::frame::Frame;
use super::part::{Link, Mark, Tone};

/// A page with a message.
#[derive(Clone, Debug, Serialize)]
pub struct Page {
    pub frame: Frame,
    pub mark: Mark,
    pub title: String,
    pub detail: String,
    pub next: Option<String>,
    pub links: Vec<Link>,
}

/// A page for an error.
pub fn error(status: u16, title: &str, detail: &str, next: Option<&str>, now: Timestamp) -> Page {
    Page {
        frame: Frame::bare(title, now),
        mark: Mark::new(Tone::Bad, format!("error {status}")),
        title: title.to_owned(),
        detail: detail.to_owned(),
        next: next.map(str::to_owned),
        links: vec![Link::new("Status", "/"), Link::new("All objects", "/drift")],
    }
}
