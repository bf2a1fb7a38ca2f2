//! Why a task waits: the closed set of reasons, each with its arguments. How a reason reads is decided here alone.

use std::sync::Arc;

use crate::core::{Name, Timestamp};

use super::id::{GpuId, ModelAt, Moment};
use super::view::WhyView;

/// A policy that lets nothing start, and by which of its two fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Halt {
    /// `Policy/NAME`.
    pub policy: String,
    pub paused: bool,
    pub draining: bool,
}

/// A policy that says `paused: true`.
impl From<&str> for Halt {
    fn from(policy: &str) -> Self {
        Self { policy: policy.to_owned(), paused: true, draining: false }
    }
}

impl Halt {
    /// What stands in the policy's manifest, most telling first.
    fn state(&self) -> &'static str {
        match (self.paused, self.draining) {
            (true, true) => "paused, and draining too",
            (false, true) => "draining",
            (_, false) => "paused",
        }
    }

    /// What its manifest would have to say for something to start.
    pub(super) fn cure(&self) -> String {
        let fields = match (self.paused, self.draining) {
            (true, true) => "`paused: false` and `draining: false`",
            (false, true) => "`draining: false`",
            (_, false) => "`paused: false`",
        };
        format!("{fields} in {}", self.policy)
    }
}

/// Why a task waits now. Holders and owners are named by task id or `lease ID (PURPOSE)`.
#[derive(Clone, Debug, PartialEq)]
pub enum Reason {
    Dependency {
        ids: Vec<Arc<str>>,
    },
    NotBefore {
        at: Timestamp,
    },
    SharedSlotsFull {
        place: Arc<str>,
        slots: u32,
        holders: Arc<[Arc<str>]>,
    },
    ExclusiveHeld {
        gpu: GpuId,
        owner: Arc<str>,
    },
    /// Admission is closed for `by`; or, when `by` is the task itself, what still runs before it owns the GPU.
    Draining {
        gpu: GpuId,
        by: Arc<str>,
        left: Vec<String>,
    },
    CopilotPersistent {
        gpu: GpuId,
        copilot: Name,
    },
    NoRuntime {
        capability: String,
        hint: Option<String>,
    },
    /// `since` is none for one that was never seen.
    RuntimeDown {
        runtime: Name,
        since: Option<Timestamp>,
        why: String,
    },
    ModelLoading {
        model: ModelAt,
    },
    /// `need_gb` is 0 when nobody knows it, `free_gb` negative when more is taken than there is.
    VramFull {
        gpu: GpuId,
        need_gb: f64,
        free_gb: f64,
        evictable_gb: f64,
    },
    /// Less disk is free than the result and the reserve need.
    DiskFull {
        host: Name,
        need_gb: f64,
        reserve_gb: f64,
        /// Less what running tasks are expected to put out.
        free_gb: f64,
    },
    /// Until then, on the steady clock, unless it is renewed.
    Leased {
        gpu: GpuId,
        holder: Arc<str>,
        until_ms: u64,
    },
    Paused {
        policy: Halt,
    },
    Priority {
        ahead: u64,
    },
    /// Until then, on the steady clock.
    Backoff {
        until_ms: u64,
        failed: String,
    },
    /// A model cannot be unloaded: these tasks use it. Said to the planner, never of a task.
    InUse {
        model: ModelAt,
        by: Vec<Arc<str>>,
    },
}

impl Reason {
    /// The word of the JSON contract.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Dependency { .. } => "Dependency",
            Self::NotBefore { .. } => "NotBefore",
            Self::SharedSlotsFull { .. } => "SharedSlotsFull",
            Self::ExclusiveHeld { .. } => "ExclusiveHeld",
            Self::Draining { .. } => "Draining",
            Self::CopilotPersistent { .. } => "CopilotPersistent",
            Self::NoRuntime { .. } => "NoRuntime",
            Self::RuntimeDown { .. } => "RuntimeDown",
            Self::ModelLoading { .. } => "ModelLoading",
            Self::VramFull { .. } => "VramFull",
            Self::DiskFull { .. } => "DiskFull",
            Self::Leased { .. } => "Leased",
            Self::Paused { .. } => "Paused",
            Self::Priority { .. } => "Priority",
            Self::Backoff { .. } => "Backoff",
            Self::InUse { .. } => "InUse",
        }
    }

    /// How far off it is from clearing: the smaller, the nearer. Of several places the nearest one's reason is told.
    pub(super) fn rank(&self) -> u8 {
        match self {
            Self::ModelLoading { .. } => 1,
            Self::SharedSlotsFull { .. } | Self::Priority { .. } => 2,
            Self::Draining { .. } | Self::ExclusiveHeld { .. } | Self::InUse { .. } => 3,
            Self::VramFull { .. } | Self::Backoff { .. } | Self::Leased { .. } => 4,
            Self::CopilotPersistent { .. } | Self::DiskFull { .. } => 5,
            Self::Paused { .. } | Self::RuntimeDown { .. } => 6,
            Self::NoRuntime { .. } | Self::Dependency { .. } | Self::NotBefore { .. } => 7,
        }
    }

    /// Whether it clears as soon as the lock of the GPU opens, or a slot becomes free.
    pub(super) fn is_about_the_lock(&self) -> bool {
        matches!(
            self,
            Self::SharedSlotsFull { .. }
                | Self::Draining { .. }
                | Self::ExclusiveHeld { .. }
                | Self::Leased { .. }
                | Self::Priority { .. }
                | Self::ModelLoading { .. }
        )
    }

    /// Whether it lasts until somebody changes something: however long earlier runs took, that says nothing of the end.
    pub(super) fn has_no_known_end(&self) -> bool {
        matches!(
            self,
            Self::Paused { .. }
                | Self::RuntimeDown { .. }
                | Self::NoRuntime { .. }
                | Self::CopilotPersistent { .. }
                | Self::DiskFull { .. }
        )
    }

    /// Whether somebody who was told `self` need not be told `other`: the same word about the same thing. Numbers and
    /// lists that move all the time are read when they are asked for.
    pub(super) fn is_same_news(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::SharedSlotsFull { place: a, .. }, Self::SharedSlotsFull { place: b, .. }) => a == b,
            (Self::Draining { gpu: a, by: c, .. }, Self::Draining { gpu: b, by: d, .. }) => a == b && c == d,
            (Self::VramFull { gpu: a, .. }, Self::VramFull { gpu: b, .. }) => a == b,
            (Self::Priority { .. }, Self::Priority { .. }) => true,
            (Self::Leased { gpu: a, holder: c, .. }, Self::Leased { gpu: b, holder: d, .. }) => a == b && c == d,
            (a, b) => a == b,
        }
    }

    /// The reason in words, at `now`.
    #[must_use]
    pub fn view(&self, now: Moment) -> WhyView {
        let (message, clears_at) = self.words(now);
        WhyView { reason: self.word(), message, clears_at }
    }

    fn words(&self, now: Moment) -> (String, Option<Timestamp>) {
        let all = |ids: &[Arc<str>]| shown(ids.iter().map(AsRef::as_ref));
        match self {
            Self::Dependency { ids } => (format!("waits for {}", all(ids)), None),
            Self::NotBefore { at } => (format!("not before {at}"), Some(*at)),
            Self::SharedSlotsFull { place, slots, holders } => {
                let plural = if *slots == 1 { "slot" } else { "slots" };
                (format!("the {slots} shared {plural} of {place} are taken by {}", all(holders)), None)
            }
            Self::ExclusiveHeld { gpu, owner } => (format!("{owner} has {gpu} for itself"), None),
            Self::Draining { gpu, by, left } if left.is_empty() => {
                (format!("{gpu} takes nothing new in: it drains for {by}"), None)
            }
            Self::Draining { gpu, left, .. } => {
                (format!("{gpu} drains: {}", shown(left.iter().map(String::as_str))), None)
            }
            Self::CopilotPersistent { gpu, copilot } => (
                format!(
                    "the policy keeps the copilot {copilot} on {gpu}; `force: true` or another policy would let it run"
                ),
                None,
            ),
            Self::NoRuntime { capability, hint } => {
                let hint = hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default();
                (format!("no runtime offers {capability}{hint}"), None)
            }
            Self::RuntimeDown { runtime, since, why } => {
                let since = since.map(|since| format!(" since {since}")).unwrap_or_default();
                (format!("{runtime} cannot be used{since}: {why}"), None)
            }
            Self::ModelLoading { model } => (format!("{model} is being loaded"), None),
            Self::VramFull { gpu, need_gb, free_gb, evictable_gb } => {
                let need = match *need_gb {
                    0.0 => format!("needs memory on {gpu} (how much is not known)"),
                    gb => format!("needs {gb:.1} GB on {gpu}"),
                };
                let free = match *free_gb {
                    gb if gb < 0.0 => format!("{:.1} GB more are taken than there are", -gb),
                    gb => format!("{gb:.1} GB are free"),
                };
                let short = (need_gb - free_gb).max(0.0);
                let sums = format!("{need}, {free} and {evictable_gb:.1} GB could make way: {short:.1} GB short");
                (sums, None)
            }
            Self::DiskFull { host, need_gb, reserve_gb, free_gb } => {
                let sums = format!(
                    "needs {need_gb:.1} GB of disk on {host} beside the {reserve_gb:.1} GB that stay free, {:.1} GB are \
                     free",
                    free_gb.max(0.0)
                );
                (sums, None)
            }
            Self::Leased { gpu, holder, until_ms } => {
                let until = now.wall_at(*until_ms);
                (format!("{holder} has {gpu} until {until}, unless it is renewed"), Some(until))
            }
            Self::Paused { policy: halt } => (format!("{} is {}: nothing starts", halt.policy, halt.state()), None),
            Self::Priority { ahead: 1 } => ("one task goes first".to_owned(), None),
            Self::Priority { ahead } => (format!("{ahead} tasks go first"), None),
            Self::Backoff { until_ms, failed } => {
                let until = now.wall_at(*until_ms);
                (format!("tried again at {until}: {failed}"), Some(until))
            }
            Self::InUse { model, by } => (format!("{model} is in use by {}", all(by)), None),
        }
    }
}

/// The first few of many names.
fn shown<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> String {
    const SHOWN_MAX: usize = 3;
    let more = names.len().saturating_sub(SHOWN_MAX);
    let first: Vec<&str> = names.take(SHOWN_MAX).collect();
    if more == 0 { first.join(", ") } else { format!("{} and {more} more", first.join(", ")) }
}
