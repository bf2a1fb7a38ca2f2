//! Invariant 1: at most `gpuSharedSlots` shared holders on a GPU, and none beside an exclusive owner.
//!
//! Looked at when an attempt is decided or a lease granted, by the attempts and leases that were decided and did not end.
//! What holds a slot keeps it when a commit makes the slots fewer; only what comes after must fit.

use crate::decide::dispatch::{Op, Record};
use crate::decide::scheduler::GpuId;

use super::super::run::Simulation;
use super::Occasion;

/// # Errors
/// What is held beside what.
pub fn check(simulation: &Simulation<'_>, occasion: Occasion<'_>) -> Result<(), String> {
    let Occasion::Op(Op::Write { record, .. }) = occasion else { return Ok(()) };
    match record {
        Record::Start { place, id, .. } => {
            let Some(gpu) = &place.gpu else { return Ok(()) };
            newcomer(simulation, gpu, id, place.exclusive)
        }
        // One that is written again holds it already: what came after it had to make room for it.
        Record::LeaseGranted { .. } if !simulation.witness.grant_is_news => Ok(()),
        Record::LeaseGranted { id, .. } => {
            let Some(lease) = simulation.witness.leases.get(id) else { return Ok(()) };
            lease.gpus.iter().try_for_each(|gpu| newcomer(simulation, gpu, id, lease.exclusive))
        }
        _ => Ok(()),
    }
}

/// `id` was just added to those who hold `gpu`.
fn newcomer(simulation: &Simulation<'_>, gpu: &GpuId, id: &str, exclusive: bool) -> Result<(), String> {
    let witness = &simulation.witness;
    let tasks = witness.running.iter().filter(|(_, place)| place.gpu.as_ref() == Some(gpu));
    let leases = witness.leases.values().filter(|lease| lease.gpus.contains(gpu));
    let holders = tasks.clone().count() + leases.clone().count();
    let owners = tasks.filter(|(_, place)| place.exclusive).count() + leases.filter(|lease| lease.exclusive).count();
    if owners > 0 && holders > 1 {
        return Err(format!("{id} is let onto {gpu} although {holders} hold it, {owners} of them exclusively"));
    }
    let host = witness.config.hosts.get(&gpu.host);
    let slots = host.map_or(1, |host| host.policy.gpu_shared_slots);
    if !exclusive && holders > slots as usize {
        return Err(format!("{id} is let onto {gpu} as holder {holders} of at most {slots}"));
    }
    if exclusive { idle(simulation, gpu, id) } else { Ok(()) }
}

/// Whoever gets a GPU for itself gets it only once every runtime on it was seen to be idle.
fn idle(simulation: &Simulation<'_>, gpu: &GpuId, id: &str) -> Result<(), String> {
    let on_it = simulation.witness.config.runtimes.iter().filter(|(_, runtime)| runtime.gpu.as_ref() == Some(gpu));
    for (name, _) in on_it {
        let busy = simulation.witness.seen.get(name).and_then(|seen| seen.in_flight).unwrap_or(0);
        if busy > 0 {
            return Err(format!("{id} gets {gpu} for itself although {name} was last seen to work on {busy}"));
        }
    }
    Ok(())
}
