//! Why a task waits: the closed set of reasons, each with its arguments. How a reason reads is decided here alone.

use std::sync::Arc;

use crate::core::{Name, Timestamp};

use super::id::{GpuId, ModelAt};

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
        place: String,
        slots: u32,
        holders: Vec<Arc<str>>,
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
    RuntimeDown {
        runtime: Name,
        since: Timestamp,
        why: String,
    },
    ModelLoading {
        model: ModelAt,
    },
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
        free_gb: f64,
    },
    Leased {
        gpu: GpuId,
        holder: Arc<str>,
        until: Timestamp,
    },
    Paused {
        policy: String,
    },
    Priority {
        ahead: u64,
    },
    Backoff {
        until: Timestamp,
        failed: String,
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
        }
    }
}
