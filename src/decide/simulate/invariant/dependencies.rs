//! Invariant 5: a task whose dependencies are not done has not started.
//!
//! Looked at when the start reaches the disk, by what is on disk then.

use crate::decide::dispatch::Record;

use super::super::ledger::State;
use super::super::run::Simulation;
use super::Occasion;

/// # Errors
/// Which task is started, and what it waits for.
pub fn check(simulation: &Simulation<'_>, occasion: Occasion<'_>) -> Result<(), String> {
    let Occasion::Put(Record::Start { task, id, .. }) = occasion else { return Ok(()) };
    let ledger = &simulation.disk.tables.ledger;
    let Some(task) = ledger.tasks.get(task) else { return Err(format!("{id} is started and not on disk")) };
    for dependency in &task.request.depends_on {
        let other = ledger.by_id(&dependency.id);
        let state = other.map(|other| other.state);
        let enough = match state {
            Some(State::Done) => true,
            Some(State::Error | State::Cancelled) => task.request.runs_on_failure,
            // It was over, and a person let it run again since.
            Some(State::Waiting | State::Running) => {
                other.is_some_and(|other| other.reruns > 0) && task.request.runs_on_failure
            }
            None => false,
        };
        if !enough {
            return Err(format!("{id} is started although {} is {state:?}", dependency.id));
        }
    }
    Ok(())
}
