//! Invariant 9: a value is never shown fresher than it was seen, and nothing is claimed of what is not seen.
//!
//! The truth is when the runtime's answer arrived, by a clock that nobody sets. A wall clock that is set back makes old
//! things look young; looks that follow each other must be close enough that it does no harm.

use crate::core::{Name, Observed};
use crate::decide::reconcile::{ObjectPlan, Sync};
use crate::decide::view::RuntimeView;
use crate::declare::manifest::Spec;

use super::super::run::Simulation;
use super::Occasion;

/// One look takes at most so long, and the next may be under way.
const LOOK_MS: u64 = 4_000;

/// # Errors
/// What is claimed, and on which ground.
pub fn check(simulation: &Simulation<'_>, occasion: Occasion<'_>) -> Result<(), String> {
    let Occasion::Plan(plan) = occasion else { return Ok(()) };
    let Some(program) = &simulation.program else { return Ok(()) };
    let now = simulation.clocks.wall();
    let Some(object) = program.memory.world.objects.get(&plan.status.key) else { return Ok(()) };
    let Spec::Loadout(spec) = &object.document.spec else { return Ok(()) };
    let here = program.memory.world.runtimes().filter(|(_, runtime)| runtime.host == spec.host);
    for (runtime, _) in here {
        let name = &runtime.document.key.name;
        let Some(view) = program.memory.views.get(name) else { continue };
        if view.fresh(now).is_some() {
            really_fresh(simulation, name, view)?;
        }
        shown_as_old_as_it_is(plan, name, view)?;
    }
    Ok(())
}

/// What counts as fresh was really seen a short while ago.
fn really_fresh(simulation: &Simulation<'_>, name: &Name, view: &Observed<RuntimeView>) -> Result<(), String> {
    let Some(program) = &simulation.program else { return Ok(()) };
    let Some(heard_ms) = program.heard_ms.get(name) else {
        return Err(format!("{name} is shown as fresh and was never seen"));
    };
    let awake_ms = simulation.clocks.moment().steady_ms.saturating_sub(*heard_ms);
    let every = simulation.runtime_spec(name).map_or(0, |spec| spec.observe_every.get().as_millis());
    let most_ms = u64::try_from(every).unwrap_or(u64::MAX).saturating_mul(3).max(3_000) + LOOK_MS;
    if awake_ms > most_ms {
        return Err(format!("{name} is shown as fresh ({:?}) {awake_ms} ms after it was seen", view.at()));
    }
    Ok(())
}

/// A row names the time of the oldest thing it rests on.
fn shown_as_old_as_it_is(plan: &ObjectPlan, name: &Name, view: &Observed<RuntimeView>) -> Result<(), String> {
    let claims = matches!(plan.status.sync, Sync::InSync | Sync::Drifted(_));
    let named = plan.status.source.split(", ").any(|source| source == view.source());
    match (plan.status.observed_at, view.at()) {
        (Some(shown), Some(seen)) if claims && named && shown > seen => {
            Err(format!("{} shows {shown} and rests on {name}, seen at {seen}", plan.status.key))
        }
        _ => Ok(()),
    }
}
