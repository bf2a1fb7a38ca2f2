//! Invariant 2: a shielded copilot is unloaded only for a forced exclusive holder, and what made way for one comes back
//! before anything else is loaded on demand. (That it comes back at all is part of coming to rest.)
//!
//! An unload for a manifest that wants it gone is the planner's and no breach: then it is no copilot any more. And an unload
//! is judged when it is decided, since a policy is in force from the next decision on.

use crate::decide::dispatch::{Op, Record};
use crate::decide::scheduler::{ClaimVerb, Holder, LockMode, ModelAt, Pin};

use super::super::run::Simulation;
use super::Occasion;

/// # Errors
/// Which copilot is unloaded.
pub fn check(simulation: &Simulation<'_>, occasion: Occasion<'_>) -> Result<(), String> {
    let Occasion::Op(op) = occasion else { return Ok(()) };
    if let Op::Write { record: Record::Begin { at, verb: ClaimVerb::Load, because, .. }, .. } = op {
        return comes_back_first(simulation, at, because);
    }
    let at = match op {
        Op::Write { record: Record::Begin { at, verb: ClaimVerb::Unload, .. }, .. } => at,
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

/// What made way for an exclusive holder is loaded again before anything else is loaded on demand on its GPU, once nobody
/// has that for himself: as long as its runtime answers and it has the room.
fn comes_back_first(simulation: &Simulation<'_>, at: &ModelAt, because: &str) -> Result<(), String> {
    let witness = &simulation.witness;
    let Some(gpu) = witness.gpu_of(&at.runtime) else { return Ok(()) };
    if witness.is_wanted(at) || !matches!(simulation.lock_of(gpu), Some(LockMode::Shared)) {
        return Ok(());
    }
    let Some(card) = witness.config.gpus.get(gpu) else { return Ok(()) };
    let taken: f64 = witness.residents(gpu).values().sum::<f64>() - witness.cost_gb(at);
    let foreign = witness.foreign_gb.get(gpu).copied().unwrap_or(0.0);
    let waits = witness.displaced.iter().find(|other| {
        let is_up = witness.seen.get(&other.runtime).is_some_and(|seen| seen.up);
        let fits = taken + foreign + card.reserve_gb + witness.cost_gb(other) <= card.total_gb;
        is_up && fits && witness.is_wanted(other) && witness.gpu_of(&other.runtime) == Some(gpu)
    });
    waits.map_or(Ok(()), |other| Err(format!("{at} is loaded ({because}) before {other}, which made way, is back")))
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
