//! A page that says what went wrong, or where to look: what happened, where, and what to do next.

use serde::Serialize;

use crate::core::Timestamp;
use crate::tell::web::facts::Facts;

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

/// A page for the readiness probe: ready, or why not.
#[must_use]
pub fn readiness(facts: &Facts, reasons: &[String]) -> Page {
    let ready = reasons.is_empty();
    Page {
        frame: Frame::new(facts, "Readiness", "", "/readyz"),
        mark: if ready { Mark::new(Tone::Good, "ready") } else { Mark::new(Tone::Bad, "not ready") },
        title: if ready { "Ready" } else { "Not ready" }.to_owned(),
        detail: if ready {
            "A revision is in force and the store can be written.".to_owned()
        } else {
            reasons.join("; ")
        },
        next: (!ready).then(|| "arcology status".to_owned()),
        links: vec![Link::new("Status", "/"), Link::new("Source", "/#source")],
    }
}
