//! The paths of llama-server that are used, and which of them may be used to look.
//!
//! `GET /slots` wakes a server that sleeps, `GET /models?reload=1` reads the disk again, and with a router
//! `GET /metrics?model=x` alone would load `x`. So looking takes a [`Look`], and there is no way to look at a path that is
//! not in it.

use crate::act::http::encode_segment;

/// Starts a model of a router.
pub const LOAD: &str = "/models/load";
/// Stops a model of a router.
pub const UNLOAD: &str = "/models/unload";

/// What may be asked without changing anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look<'a> {
    Health,
    Props,
    Models,
    /// The numbers of the only model, or of one that a router has.
    Metrics(Option<&'a str>),
    Events,
}

impl Look<'_> {
    #[must_use]
    pub fn path(self) -> String {
        match self {
            Self::Health => "/health".to_owned(),
            Self::Props => "/props".to_owned(),
            Self::Models => "/models".to_owned(),
            Self::Metrics(None) => "/metrics".to_owned(),
            Self::Metrics(Some(model)) => format!("/metrics?model={}&autoload=false", encode_segment(model)),
            Self::Events => "/models/sse".to_owned(),
        }
    }
}

/// The path that wakes a server that sleeps, of a router the one of `model`. It starts no model that is not there.
#[must_use]
pub fn wake(model: Option<&str>) -> String {
    match model {
        None => "/slots".to_owned(),
        Some(model) => format!("/slots?model={}&autoload=false", encode_segment(model)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quirk_6_no_path_for_looking_can_load_or_wake() {
        for look in
            [Look::Health, Look::Props, Look::Models, Look::Metrics(None), Look::Metrics(Some("a&b")), Look::Events]
        {
            let path = look.path();
            assert!(!path.contains("slots") && !path.contains("reload") && !path.contains("load=true"), "{path}");
        }
        assert_eq!(Look::Metrics(Some("org/a&b")).path(), "/metrics?model=org%2Fa%26b&autoload=false");
    }
}
