//! How an attempt ends, and what that means for the attempt and for its task.

use super::row::{ArtifactRow, TaskError, TaskState, Why};

/// How much of an attempt's log is kept, in bytes: the end of it.
const LOG_BYTES_MAX: usize = 64 << 10;

/// How an attempt ended, and what becomes of its task.
#[derive(Clone, Debug, PartialEq)]
pub enum TaskOutcome {
    /// It is done. The files of the artifacts are in the vault already.
    Done { model: Option<String>, artifacts: Vec<ArtifactRow> },
    /// It failed for good.
    Error(TaskError),
    /// Somebody cancelled it while it ran; who and why.
    Cancelled(TaskError),
    /// The attempt was cut short, by a restart for example; the task waits for the next one.
    Interrupted,
    /// The attempt came to nothing, `error` says how if it failed, and the task waits for the next one.
    Requeue { why: Why, error: Option<TaskError> },
}

/// What an outcome means for the attempt and for the task.
pub(super) struct Ending<'a> {
    pub(super) attempt_state: &'static str,
    pub(super) attempt_error: Option<&'a TaskError>,
    pub(super) task_state: TaskState,
    pub(super) why: Option<&'a Why>,
    pub(super) model: Option<&'a str>,
    pub(super) artifacts: &'a [ArtifactRow],
}

impl<'a> Ending<'a> {
    pub(super) fn of(outcome: &'a TaskOutcome) -> Self {
        let (attempt_state, task_state) = match outcome {
            TaskOutcome::Done { .. } => ("done", TaskState::Done),
            TaskOutcome::Error(_) => ("error", TaskState::Error),
            TaskOutcome::Cancelled(_) => ("cancelled", TaskState::Cancelled),
            TaskOutcome::Interrupted | TaskOutcome::Requeue { error: None, .. } => ("interrupted", TaskState::Queued),
            TaskOutcome::Requeue { error: Some(_), .. } => ("error", TaskState::Queued),
        };
        let none = Self { attempt_state, attempt_error: None, task_state, why: None, model: None, artifacts: &[] };
        match outcome {
            TaskOutcome::Done { model, artifacts } => Self { model: model.as_deref(), artifacts, ..none },
            TaskOutcome::Error(error) | TaskOutcome::Cancelled(error) => Self { attempt_error: Some(error), ..none },
            TaskOutcome::Interrupted => none,
            TaskOutcome::Requeue { why, error } => Self { why: Some(why), attempt_error: error.as_ref(), ..none },
        }
    }
}

/// The end of a log, cut at a character.
pub(super) fn tail(log: &str) -> &str {
    let from = log.len().saturating_sub(LOG_BYTES_MAX);
    let from = (from..=log.len()).find(|at| log.is_char_boundary(*at)).unwrap_or(log.len());
    &log[from..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_log_keeps_its_end_and_whole_characters() {
        assert_eq!(tail("short"), "short");
        let long = format!("{}end", "é".repeat(LOG_BYTES_MAX));
        let kept = tail(&long);
        assert!(kept.len() <= LOG_BYTES_MAX && kept.len() > LOG_BYTES_MAX - 4, "{}", kept.len());
        assert!(kept.ends_with("éend"));
    }
}
