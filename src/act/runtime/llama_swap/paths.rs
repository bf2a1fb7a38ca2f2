//! The paths of llama-swap that are used, and which of them may be used to look.
//!
//! `GET /unload` unloads everything and `GET /upstream/…` loads: a GET is not harmless here. So looking takes a [`Look`],
//! and there is no way to look at a path that is not in it.

use crate::act::http::{Answer, Client, encode_segment};
use crate::act::runtime::adapter::RuntimeError;
use crate::act::runtime::reach;

/// What may be asked without changing anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    Health,
    Models,
    Running,
    Version,
    Events,
    /// Finished requests, in pages; since v236.
    Activity,
    /// Finished requests, all at once; up to v235.
    Metrics,
    /// Samples of the machine.
    Performance,
    /// What one request asked and was answered; its number follows.
    Captures,
}

impl Look {
    /// Every path that observing uses.
    pub const ALL: [Self; 9] = [
        Self::Health,
        Self::Models,
        Self::Running,
        Self::Version,
        Self::Events,
        Self::Activity,
        Self::Metrics,
        Self::Performance,
        Self::Captures,
    ];

    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::Health => "/health",
            Self::Models => "/v1/models",
            Self::Running => "/running",
            Self::Version => "/api/version",
            Self::Events => "/api/events",
            Self::Activity => "/api/metrics/activity",
            Self::Metrics => "/api/metrics",
            Self::Performance => "/api/performance",
            Self::Captures => "/api/captures",
        }
    }
}

/// Looks, with the client's time limit. `more` is a query, or one more segment.
pub(super) async fn look(client: &Client, look: Look, more: &str) -> Result<Answer, RuntimeError> {
    reach::look(client, &format!("{}{more}", look.path())).await
}

/// The path that ends the request in flight with the id `id`.
#[must_use]
pub fn cancel(id: &str) -> String {
    format!("/api/inflight/{}/cancel", encode_segment(id))
}

/// The path that loads `model`: a request to its own server, which is started for it.
#[must_use]
pub fn load(model: &str, check_path: &str) -> String {
    format!("/upstream/{}/{}", segments(model), segments(check_path.trim_matches('/')))
}

/// The path that unloads `model`.
#[must_use]
pub fn unload(model: &str) -> String {
    format!("/api/models/unload/{}", segments(model))
}

/// `id` with each of its segments encoded: slashes separate, as the server expects.
fn segments(id: &str) -> String {
    id.split('/').map(encode_segment).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quirk_12_ids_with_slashes_and_colons_are_encoded_segment_by_segment() {
        assert_eq!(load("org/qwen:7b", "/health"), "/upstream/org/qwen%3A7b/health");
        assert_eq!(unload("org/a b%"), "/api/models/unload/org/a%20b%25");
    }

    #[test]
    fn quirk_14_no_path_for_looking_can_load_or_unload() {
        for look in Look::ALL {
            assert!(!look.path().contains("unload") && !look.path().contains("upstream"), "{look:?}");
        }
    }
}
