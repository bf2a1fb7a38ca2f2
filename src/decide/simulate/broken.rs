//! Rules that are broken on purpose in a simulation, to show that its invariants have teeth.
//!
//! Those of the scheduler are the scheduler's own (`scheduler::Rule`) and are there in tests only; the others lie around it:
//! what the dispatcher is told, what the disk keeps, what the planner is shown.

#[cfg(any(test, feature = "broken-rules"))]
use crate::decide::scheduler::Rule;
use crate::decide::scheduler::State;

/// A rule to break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// One of the scheduler's own.
    #[cfg(any(test, feature = "broken-rules"))]
    Scheduler(Rule),
    /// A cancelled task leaves no audit entry.
    AuditForgotten,
    /// The disk says that it is full and writes all the same, and takes the end of an attempt that it has already.
    ArtifactRecordedTwice,
    /// The dispatcher is told that a record is on disk before it is.
    BelievedBeforeWritten,
    /// What was seen last counts as fresh for ever.
    StaleActedOn,
    /// A person is told that a task is accepted before it is on disk.
    AcceptedBeforeWritten,
    /// A restart forgets attempts that were under way.
    RunningForgotten,
    /// A restart forgets leases.
    LeasesForgotten,
    /// The scheduler is not told what runtimes work on.
    InFlightHidden,
    /// The planner loads and unloads without asking the scheduler.
    ClaimsSkipped,
}

impl Broken {
    /// Those that lie around the scheduler.
    pub const AROUND: [Self; 9] = [
        Self::AuditForgotten,
        Self::ArtifactRecordedTwice,
        Self::BelievedBeforeWritten,
        Self::StaleActedOn,
        Self::AcceptedBeforeWritten,
        Self::RunningForgotten,
        Self::LeasesForgotten,
        Self::InFlightHidden,
        Self::ClaimsSkipped,
    ];

    /// Breaks the scheduler's own rule, where it is one of those.
    pub(super) fn break_scheduler(rule: Option<Self>, state: &mut State) {
        #[cfg(any(test, feature = "broken-rules"))]
        if let Some(Self::Scheduler(rule)) = rule {
            state.break_rule(rule);
        }
        #[cfg(not(any(test, feature = "broken-rules")))]
        let _ = (rule, state);
    }
}
