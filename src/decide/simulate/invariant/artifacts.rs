//! Invariant 6: a done task's artifacts exist, and each attempt's are recorded at most once.

use super::super::ledger::State;
use super::super::run::Simulation;
use super::Occasion;

/// # Errors
/// Which task, and what it has.
pub fn check(simulation: &Simulation<'_>, occasion: Occasion<'_>) -> Result<(), String> {
    if !matches!(occasion, Occasion::Event) {
        return Ok(());
    }
    for task in simulation.disk.tables.ledger.tasks.values() {
        let id = &task.request.id;
        if task.state == State::Done && task.artifacts.is_empty() {
            return Err(format!("{id} is done and has no artifact"));
        }
        if task.artifacts.windows(2).any(|pair| pair[0] >= pair[1]) {
            return Err(format!("{id} recorded the artifacts of attempts {:?}", task.artifacts));
        }
    }
    Ok(())
}
