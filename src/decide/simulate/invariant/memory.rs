//! Invariant 3: loaded models never take more than the fit check allows.
//!
//! The sum is made anew from what the program was told and did: models seen loaded or on their way, foreign use, leases,
//! reserve. What somebody else loads beside it can exceed a card; a load that Arcology decides cannot.

use crate::decide::dispatch::{Op, Record};
use crate::decide::scheduler::{ClaimVerb, ModelAt};
use crate::decide::view::ModelState;

use super::super::run::Simulation;
use super::Occasion;

/// Sums of decimal fractions are not exact.
const SLACK_GB: f64 = 1e-6;

/// # Errors
/// The sum, and what it exceeds.
pub fn check(simulation: &Simulation<'_>, occasion: Occasion<'_>) -> Result<(), String> {
    let op = match occasion {
        Occasion::Call(at, ClaimVerb::Load) if !simulation.witness.loading.contains(at) => {
            return Err(format!("{at} is loaded and nobody asked whether it fits"));
        }
        Occasion::Op(op) => op,
        Occasion::Call(..) | Occasion::Put(_) | Occasion::Plan(_) | Occasion::Event | Occasion::Rest => return Ok(()),
    };
    match op {
        Op::Write { record: Record::Begin { at, verb: ClaimVerb::Load, .. }, .. } => fits(simulation, at),
        Op::Claimed { claim, answer: Ok(()) } => match simulation.witness.claims.get(claim) {
            Some((at, ClaimVerb::Load)) => fits(simulation, at),
            _ => Ok(()),
        },
        _ => Ok(()),
    }
}

/// `at` was just added to what is on its way.
fn fits(simulation: &Simulation<'_>, at: &ModelAt) -> Result<(), String> {
    let witness = &simulation.witness;
    let Some(gpu) = witness.gpu_of(&at.runtime) else { return Ok(()) };
    let Some(card) = witness.config.gpus.get(gpu) else { return Ok(()) };
    let is_there = witness.seen.get(&at.runtime).and_then(|seen| seen.models.get(&at.served_as));
    if witness.cost_gb(at) <= 0.0 || is_there.is_some_and(|(state, _)| *state == ModelState::Loaded) {
        // Nobody said what it takes, and then it cannot be counted; or it is there already and takes nothing more.
        return Ok(());
    }
    let models: f64 = witness.residents(gpu).values().sum();
    let foreign = witness.foreign_gb.get(gpu).copied().unwrap_or(0.0);
    let leased: f64 = (witness.leases.values().filter(|lease| lease.gpus.contains(gpu)))
        .map(|lease| lease.vram_gb.unwrap_or(if lease.exclusive { card.total_gb } else { 0.0 }))
        .sum();
    let sum = models + foreign + leased + card.reserve_gb;
    if sum > card.total_gb + SLACK_GB {
        return Err(format!(
            "{at} is loaded on {gpu}: {models:.1} GB of models + {foreign:.1} foreign + {leased:.1} leased + {:.1} reserve of {:.1}",
            card.reserve_gb, card.total_gb
        ));
    }
    Ok(())
}
