//! Invariant 4: every accepted task ends in exactly one of done, error, cancelled, or waits or runs with one stated reason.

use crate::decide::dispatch::{Op, Record};
use crate::decide::scheduler::{ModelAt, Pin, Reason};

use super::super::ledger::{State, Task};
use super::super::run::Simulation;
use super::Occasion;

/// # Errors
/// Which task, and what is wrong with it.
pub fn check(simulation: &Simulation<'_>, occasion: Occasion<'_>) -> Result<(), String> {
    match occasion {
        Occasion::Event => {
            accepted_ones_are_there(simulation)?;
            ends_once(simulation)?;
            waits_for_a_reason(simulation)
        }
        Occasion::Op(Op::Write { record: Record::Start { task, id, .. }, .. }) => {
            let state = simulation.disk.tables.ledger.tasks.get(task).map(|task| task.state);
            if state.is_some_and(State::is_final) {
                return Err(format!("{id} is over ({state:?}) and is started"));
            }
            Ok(())
        }
        Occasion::Rest => waits_for_what_can_last(simulation),
        Occasion::Op(_) | Occasion::Plan(_) | Occasion::Put(_) | Occasion::Call(..) => Ok(()),
    }
}

fn accepted_ones_are_there(simulation: &Simulation<'_>) -> Result<(), String> {
    let ledger = &simulation.disk.tables.ledger;
    let lost = simulation.witness.accepted.values().find(|id| !ledger.ids.contains_key(*id));
    lost.map_or(Ok(()), |id| Err(format!("{id} was accepted and is not on disk")))
}

fn ends_once(simulation: &Simulation<'_>) -> Result<(), String> {
    for task in simulation.disk.tables.ledger.tasks.values() {
        let most = task.reruns + u32::from(task.state.is_final());
        if task.ends != most {
            return Err(format!(
                "{} came to an end {} times, and should have {most} times",
                task.request.id, task.ends
            ));
        }
    }
    Ok(())
}

/// A task that waits says why; one that runs does not. While a record of it is on its way, its state is not known.
fn waits_for_a_reason(simulation: &Simulation<'_>) -> Result<(), String> {
    let is_news = simulation.last_deed_ms == simulation.clocks.true_ms;
    if !is_news || !simulation.disk.is_idle() || simulation.program.is_none() {
        return Ok(());
    }
    let tasks = &simulation.disk.tables.ledger.tasks;
    let recovering =
        |(seq, task): (_, &Task)| task.state == State::Running && !simulation.witness.running.contains_key(seq);
    if tasks.iter().any(recovering) {
        // The program has just started, and settles first what ran when it ended.
        return Ok(());
    }
    for (seq, task) in tasks {
        let why = simulation.why(*seq);
        match task.state {
            State::Waiting if why.is_none() => {
                return Err(format!("{} waits and nobody says why", task.request.id));
            }
            State::Running | State::Done | State::Error | State::Cancelled if why.is_some() => {
                return Err(format!("{} is {:?} and is said to wait for {why:?}", task.request.id, task.state));
            }
            State::Waiting | State::Running | State::Done | State::Error | State::Cancelled => {}
        }
    }
    Ok(())
}

/// Once everything is quiet, only some reasons can be left: what a manifest says, what cannot be done, what lies ahead.
fn waits_for_what_can_last(simulation: &Simulation<'_>) -> Result<(), String> {
    for (seq, task) in &simulation.disk.tables.ledger.tasks {
        let id = &task.request.id;
        match task.state {
            State::Done | State::Error | State::Cancelled => {}
            State::Running => return Err(format!("{id} is still running when nothing happens any more")),
            State::Waiting => {
                let reason = simulation.why(*seq);
                let lasts = match reason.as_ref().map(Reason::word) {
                    // The first of its line waits for something that lasts, or it is told below.
                    Some("Priority") => true,
                    Some("NoRuntime" | "CopilotPersistent" | "Paused" | "NotBefore") => true,
                    Some("Dependency") => waits_for_one_that_waits(simulation, id),
                    Some("VramFull") => reason.as_ref().is_some_and(|reason| full_for_good(simulation, reason)),
                    _ => false,
                };
                if !lasts {
                    return Err(format!("{id} waits for {reason:?} when nothing happens any more"));
                }
            }
        }
    }
    Ok(())
}

/// Whether what must stay loaded leaves no room, however long one waits.
fn full_for_good(simulation: &Simulation<'_>, reason: &Reason) -> bool {
    let Reason::VramFull { gpu, need_gb, .. } = reason else { return false };
    let config = &simulation.witness.config;
    let Some(card) = config.gpus.get(gpu) else { return false };
    let unlisted = config.hosts.get(&gpu.host).map_or(Pin::OnDemand, |host| host.unlisted);
    let can_go = |at: &ModelAt| config.runtimes.get(&at.runtime).is_some_and(|runtime| runtime.loads);
    let stays = |at: &ModelAt| {
        !can_go(at)
            || simulation.witness.is_strange(at)
            || match config.pins.get(at).copied().unwrap_or(unlisted) {
                Pin::Copilot | Pin::Loaded | Pin::Ignored => true,
                Pin::OnDemand | Pin::Unloaded => false,
            }
    };
    let residents = simulation.witness.residents(gpu);
    let kept: f64 = residents.iter().filter(|(at, _)| stays(at)).map(|(_, gb)| gb).sum();
    kept + need_gb + card.reserve_gb > card.total_gb
}

fn waits_for_one_that_waits(simulation: &Simulation<'_>, id: &str) -> bool {
    let ledger = &simulation.disk.tables.ledger;
    let Some(task) = ledger.by_id(id) else { return false };
    let mut on = task.request.depends_on.iter();
    // One that nobody knows is still to come: a commit may bring it.
    on.any(|dependency| ledger.by_id(&dependency.id).is_none_or(|other| other.state == State::Waiting))
}
