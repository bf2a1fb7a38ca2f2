//! Invariant 7: with no faults and no new commits everything comes to rest as declared, and stays so; applying the same
//! revision again changes nothing.

use crate::core::{Kind, ObjectKey};
use crate::decide::reconcile::{HoldReason, Sync, plan};
use crate::declare::manifest::Spec;
use crate::declare::manifest::kind::loadout::DesiredState;

use super::super::run::Simulation;
use super::Occasion;

/// # Errors
/// What is not as declared, or does not stay so.
pub fn check(simulation: &Simulation<'_>, occasion: Occasion<'_>) -> Result<(), String> {
    if !matches!(occasion, Occasion::Rest) {
        return Ok(());
    }
    let Some(program) = &simulation.program else { return Err("the program is not there".into()) };
    if program.memory.world.revision.as_ref() != Some(&simulation.repository.head()) {
        return Err(format!("the newest revision is not in force, but {:?}", program.memory.world.revision));
    }
    let again = simulation.repository.assemble(&program.memory.world.objects).changes;
    if !again.is_empty() {
        return Err(format!("the same revision applied again changes {again:?}"));
    }
    let whole = plan(&program.memory.inputs(simulation.clocks.wall()));
    for status in whole.statuses.iter().filter(|status| matches!(status.key.kind, Kind::Loadout | Kind::Task)) {
        let held = status.hold.as_ref().map(|hold| hold.reason);
        let settled = match status.sync {
            Sync::InSync | Sync::Invalid => true,
            // A task that failed or was cancelled stays different until its manifest is edited.
            Sync::Drifted(_) if status.key.kind == Kind::Task => !whole.intents.iter().any(|i| i.object == status.key),
            Sync::Drifted(_) | Sync::Unknown => held.is_some_and(lasts),
        };
        if !settled {
            return Err(format!("{} is {} ({}) and held by {held:?}", status.key, status.sync, status.reason));
        }
        if status.sync == Sync::InSync && status.key.kind == Kind::Loadout {
            really_so(simulation, &status.key)?;
        }
    }
    if let Some(open) = simulation.disk.tables.journal.values().find(|action| action.open) {
        return Err(format!("{} {} of {} stands open in the journal", open.verb.as_str(), open.target, open.object));
    }
    if let Some(open) = simulation.disk.tables.ledger.moves.keys().next() {
        return Err(format!("a load or unload stands open: {open:?}"));
    }
    if let Some(lease) = simulation.disk.tables.ledger.leases.keys().next() {
        return Err(format!("{lease} has no holder that lives and is not over"));
    }
    Ok(())
}

/// Whether a hold can last when nothing happens any more: what a manifest says, a fight that was stopped, no room.
fn lasts(hold: HoldReason) -> bool {
    match hold {
        HoldReason::Suspended
        | HoldReason::Paused
        | HoldReason::VramFull
        | HoldReason::Confirm
        | HoldReason::DriftLoop => true,
        HoldReason::Lock | HoldReason::Lease | HoldReason::Dependency | HoldReason::Window | HoldReason::Backoff => {
            false
        }
    }
}

/// A loadout that is said to be in sync is so in the machines.
fn really_so(simulation: &Simulation<'_>, key: &ObjectKey) -> Result<(), String> {
    let Some(program) = &simulation.program else { return Ok(()) };
    let world = &program.memory.world;
    let Some(Spec::Loadout(spec)) = world.objects.get(key).map(|object| &object.document.spec) else { return Ok(()) };
    let copilot = spec.copilot.iter().map(|model| (model, DesiredState::Loaded));
    let listed = spec.models.iter().map(|entry| (&entry.model, entry.state));
    let listed = listed.filter(|(model, _)| spec.copilot.as_ref() != Some(*model));
    for (model, state) in copilot.chain(listed) {
        let served = world.model(model).and_then(|model| {
            model.served_by.iter().find(|by| world.runtime(&by.runtime).is_some_and(|at| at.host == spec.host))
        });
        let Some(served) = served else { continue };
        let name = served.served_as.as_deref().unwrap_or(model.as_str());
        let loaded = simulation.machines.is_loaded(&served.runtime, name);
        let asked = match state {
            DesiredState::Loaded => true,
            DesiredState::Unloaded => false,
            DesiredState::OnDemand => loaded,
        };
        if loaded != asked {
            return Err(format!("{key} is said to be in sync, and {name} on {} is loaded: {loaded}", served.runtime));
        }
    }
    Ok(())
}
