//! The paths of vLLM that are used, and which of them may be used to look.

/// What may be asked without changing anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    Health,
    IsPaused,
    IsSleeping,
    Metrics,
    Models,
    Version,
}

impl Look {
    /// Every path that observing uses.
    pub const ALL: [Self; 6] =
        [Self::Health, Self::IsPaused, Self::IsSleeping, Self::Metrics, Self::Models, Self::Version];

    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::Health => "/health",
            Self::IsPaused => "/is_paused",
            Self::IsSleeping => "/is_sleeping",
            Self::Metrics => "/metrics",
            Self::Models => "/v1/models",
            Self::Version => "/version",
        }
    }
}

/// Wakes everything that sleeps.
pub const WAKE: &str = "/wake_up";
/// Wakes the memory of the weights, with whatever is in it.
pub const WAKE_WEIGHTS: &str = "/wake_up?tags=weights";
/// Wakes the memory of the KV cache.
pub const WAKE_KV_CACHE: &str = "/wake_up?tags=kv_cache";
/// Has a method called in every worker.
pub const COLLECTIVE_RPC: &str = "/collective_rpc";

/// Puts the engine to sleep.
#[must_use]
pub fn sleep(level: u8, mode: &str) -> String {
    format!("/sleep?level={level}&mode={mode}")
}
