//! The paths of text-generation-webui that are used, and which of them may be used to look.

/// What may be asked without changing anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    Health,
    /// The model that it names, be it there or not.
    Info,
    /// The models on its disk.
    List,
}

impl Look {
    /// Every path that observing uses.
    pub const ALL: [Self; 3] = [Self::Health, Self::Info, Self::List];

    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::Health => "/v1/internal/health",
            Self::Info => "/v1/internal/model/info",
            Self::List => "/v1/internal/model/list",
        }
    }
}

pub const LOAD: &str = "/v1/internal/model/load";
pub const UNLOAD: &str = "/v1/internal/model/unload";
/// Counts tokens, which only a model that is really there can do. With `--idle-timeout` it loads the model that is named,
/// so it is no look.
pub const PROBE: &str = "/v1/internal/token-count";
