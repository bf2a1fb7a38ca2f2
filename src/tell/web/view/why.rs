//! Why a task waits, at length: the four parts of a good answer, as the task's page shows them.

use serde::Serialize;

use crate::core::Timestamp;
use crate::decide::scheduler::view::Explanation;
use crate::remember::store::row::{TaskRow, TaskState, Why};
use crate::tell::web::api::why::WhyBody;
use crate::tell::web::outlook::Outlook;

use super::lock::Countdown;
use super::queue::expectation;

/// Why a task waits.
#[derive(Clone, Debug, Serialize)]
pub struct WhyPart {
    pub reason: String,
    pub message: String,
    pub clears: Option<Countdown>,
    /// What it waits for, what that waits for, and so on.
    pub chain: Vec<Step>,
    /// What was looked at and ruled out, counted by cause.
    pub ruled_out: Vec<String>,
    pub shortfall: Option<String>,
    pub sooner: Option<String>,
    /// When it is expected to be done; none without enough earlier runs.
    pub expected: Option<String>,
    pub ahead: Option<u64>,
    /// False when the scheduler was not there to be asked: then only its last word is told.
    pub at_length: bool,
}

/// One step of the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    pub reason: String,
    pub message: String,
    pub clears: Option<Countdown>,
}

impl WhyPart {
    /// None for a task that does not wait, or of which nobody knows why.
    #[must_use]
    pub fn of(task: &TaskRow, outlook: Outlook, explanation: Option<&Explanation>, now: Timestamp) -> Option<Self> {
        if !matches!(task.state, TaskState::Queued | TaskState::Blocked) {
            return None;
        }
        let body = WhyBody::of(task, outlook, explanation, now);
        let Step { reason, message, clears } = Step::of(body.why?, now);
        Some(Self {
            reason,
            message,
            clears,
            chain: body.chain.into_iter().map(|why| Step::of(why, now)).collect(),
            ruled_out: body.ruled_out,
            shortfall: body.shortfall,
            sooner: body.sooner,
            expected: body.eta.as_ref().map(expectation),
            ahead: body.ahead,
            at_length: explanation.is_some(),
        })
    }
}

impl Step {
    fn of(why: Why, now: Timestamp) -> Self {
        Self { reason: why.reason, message: why.message, clears: why.clears_at.map(|at| Countdown::of(at, now)) }
    }
}
