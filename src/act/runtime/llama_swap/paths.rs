//! The paths of llama-swap that are used, and which of them may be used to look.
//!
//! `GET /unload` unloads everything and `GET /upstream/…` loads: a GET is not harmless here. So looking takes a [`Look`],
//! and there is no way to look at a path that is not in it.

use crate::act::http::encode_segment;

/// What may be asked without changing anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    Health,
    Models,
    Running,
    Version,
    Events,
}

impl Look {
    /// Every path that observing uses.
    pub const ALL: [Self; 5] = [Self::Health, Self::Models, Self::Running, Self::Version, Self::Events];

    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::Health => "/health",
            Self::Models => "/v1/models",
            Self::Running => "/running",
            Self::Version => "/api/version",
            Self::Events => "/api/events",
        }
    }
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
