//! `/api/v1/tasks/{id}/why`: the answer at length to why a task waits. `arcology why` prints it, the task's page shows it.

use serde::Serialize;

use crate::core::Timestamp;
use crate::decide::scheduler::view::{Explanation, WhyView};
use crate::remember::store::row::{TaskRow, TaskState, Why};
use crate::tell::web::outlook::{Band, Outlook};

/// Why a task waits. For one that does not, all but its state is empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WhyBody {
    pub id: String,
    pub state: TaskState,
    pub why: Option<Why>,
    /// What it waits for, what that waits for, and so on.
    pub chain: Vec<Why>,
    /// What was looked at and ruled out, counted by cause.
    pub ruled_out: Vec<String>,
    /// What is missing, in units; null when nothing can be counted.
    pub shortfall: Option<String>,
    /// The smallest change that would start it sooner.
    pub sooner: Option<String>,
    /// Null without enough earlier runs to estimate from.
    pub eta: Option<Band>,
    /// Tasks that run before it; null when nobody counted them.
    pub ahead: Option<u64>,
    pub generated_at: Timestamp,
}

impl WhyBody {
    #[must_use]
    pub fn of(task: &TaskRow, outlook: Outlook, explanation: Option<&Explanation>, now: Timestamp) -> Self {
        // A task that started or ended since it was asked about waits no more.
        let explanation = explanation.filter(|_| matches!(task.state, TaskState::Queued | TaskState::Blocked));
        Self {
            id: task.id.clone(),
            state: task.state,
            why: outlook.why,
            chain: explanation.map(|told| told.chain.iter().map(link).collect()).unwrap_or_default(),
            ruled_out: explanation.map(|told| told.ruled_out.clone()).unwrap_or_default(),
            shortfall: explanation.and_then(|told| told.shortfall.clone()),
            sooner: explanation.and_then(|told| told.sooner.clone()),
            eta: outlook.band,
            ahead: explanation.map(|told| told.ahead),
            generated_at: now,
        }
    }
}

fn link(why: &WhyView) -> Why {
    Why { reason: why.reason.to_owned(), message: why.message.clone(), clears_at: why.clears_at }
}
