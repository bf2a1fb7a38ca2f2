//! Invariant 2: a shielded copilot is unloaded only for a forced exclusive holder. (That it comes back is part of coming to
//! rest.)
//!
//! An unload for a manifest that wants it gone is the planner's and no breach: then it is no copilot any more.

use crate::decide::dispatch::{Op, Record};
use crate::decide::scheduler::{ClaimVerb, Holder, LockMode, ModelAt, Pin};

use super::super::run::Simulation;
use super::Occasion;

/// # Errors
/// Which copilot is unloaded.
pub fn check(simulation: &Simulation<'_>, occasion: Occasion<'_>) -> Result<(), String> {
    let Occasion::Op(op) = occasion else { return Ok(()) };
    let at = match op {
        Op::Write { record: Record::Begin { at, verb: ClaimVerb::Unload, .. }, .. } | Op::Unload { at } => at,
        Op::Claimed { claim, answer: Ok(()) } => match simulation.witness.claims.get(claim) {
            Some((at, ClaimVerb::Unload)) => at,
            _ => return Ok(()),
        },
        _ => return Ok(()),
    };
    if is_shielded(simulation, at) && !forced(simulation, at) {
        return Err(format!("{at} is the shielded copilot and is unloaded"));
    }
    Ok(())
}

fn is_shielded(simulation: &Simulation<'_>, at: &ModelAt) -> bool {
    let config = &simulation.witness.config;
    let host = config.runtimes.get(&at.runtime).and_then(|runtime| config.hosts.get(&runtime.host));
    config.pins.get(at) == Some(&Pin::Copilot) && host.is_some_and(|host| host.policy.copilot_persistent)
}

/// Whether the GPU of `at` belongs to, or is cleared for, somebody who said `force`.
fn forced(simulation: &Simulation<'_>, at: &ModelAt) -> bool {
    let Some(gpu) = simulation.witness.gpu_of(&at.runtime) else { return false };
    match simulation.lock_of(gpu) {
        Some(LockMode::Draining(holder) | LockMode::Exclusive(holder)) => match holder {
            Holder::Task(seq) => simulation.disk.tables.ledger.tasks.get(&seq).is_some_and(|task| task.request.force),
            Holder::Lease(id) => simulation.disk.tables.ledger.leases.get(&id).is_some_and(|lease| lease.request.force),
        },
        Some(LockMode::Shared) | None => false,
    }
}
