//! Invariant 10: every mutation has exactly one audit entry, and no runtime is told to load or unload before that is on disk.

use std::collections::BTreeSet;

use crate::decide::dispatch::Op;

use super::super::run::Simulation;
use super::Occasion;

/// # Errors
/// How many there are of what.
pub fn check(simulation: &Simulation<'_>, occasion: Occasion<'_>) -> Result<(), String> {
    if let Occasion::Op(op) = occasion {
        return is_written_down(simulation, op);
    }
    let tables = &simulation.disk.tables;
    let (mutations, entries) = (tables.ledger.mutations, tables.ledger.audit.len());
    if mutations != entries as u64 {
        let last = tables.ledger.audit.last();
        return Err(format!(
            "{mutations} changes of tasks, models and leases left {entries} entries, the last {last:?}"
        ));
    }
    let ended = tables.journal.values().filter(|action| !action.open).count() as u64 + tables.applied;
    if ended != tables.audit.len() as u64 {
        return Err(format!("{ended} actions and revisions left {} entries", tables.audit.len()));
    }
    if matches!(occasion, Occasion::Rest) {
        let causes: BTreeSet<&str> = tables.audit.iter().map(|entry| entry.cause.as_str()).collect();
        if causes.len() != tables.audit.len() {
            return Err("two entries tell of one mutation".to_owned());
        }
    }
    Ok(())
}

fn is_written_down(simulation: &Simulation<'_>, op: &Op) -> Result<(), String> {
    let (at, loads) = match op {
        Op::Load { at } => (at, true),
        Op::Unload { at } => (at, false),
        _ => return Ok(()),
    };
    if simulation.disk.tables.ledger.moves.contains_key(&(at.clone(), loads)) {
        return Ok(());
    }
    let verb = if loads { "loaded" } else { "unloaded" };
    Err(format!("{at} is {verb}, and nothing on disk says that it is"))
}
