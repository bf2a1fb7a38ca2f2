//! What a reconciliation says when it ends. It says what it needs; the queue decides when, and arms every timer.

use std::time::Duration;

/// What is to follow a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome<E> {
    /// The object is as declared. Looked at again after `resync`, or only when something happens.
    Done { resync: Option<Duration> },
    /// Nothing can be done until one of `on` happens; looked at again after `deadline` at the latest. Not a failure.
    Wait { on: Vec<E>, deadline: Duration, why: String },
    /// It failed, and trying again may help. When is a matter of backoff.
    Retry { class: RetryClass<E>, why: String },
    /// It failed, and only another generation helps.
    Stalled { why: String },
}

/// What a failure is to be blamed on, and so whose backoff grows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RetryClass<E> {
    /// The object itself: others are not held up by it.
    Own,
    /// Something that many objects need, named by the edge that says it is well again. They share one backoff, so that
    /// fifty failures on one dead host count as one; and that edge ends it.
    Dependency(E),
}

impl<E> Outcome<E> {
    /// Done, and no look is planned.
    #[must_use]
    pub fn done() -> Self {
        Self::Done { resync: None }
    }

    /// Done, and looked at again after `every`.
    #[must_use]
    pub fn resync(every: Duration) -> Self {
        Self::Done { resync: Some(every) }
    }

    pub fn wait(on: impl IntoIterator<Item = E>, deadline: Duration, why: impl Into<String>) -> Self {
        Self::Wait { on: on.into_iter().collect(), deadline, why: why.into() }
    }

    /// Failed by its own fault; tried again after its own backoff.
    pub fn retry(why: impl Into<String>) -> Self {
        Self::Retry { class: RetryClass::Own, why: why.into() }
    }

    /// Failed because of what it depends on; tried again after that one's backoff, or when `healed` happens.
    pub fn retry_dependency(healed: E, why: impl Into<String>) -> Self {
        Self::Retry { class: RetryClass::Dependency(healed), why: why.into() }
    }

    pub fn stalled(why: impl Into<String>) -> Self {
        Self::Stalled { why: why.into() }
    }
}
