//! How things stand in a simulation, for whoever reads the trace of one that failed.

use crate::core::Kind;
use crate::decide::reconcile::plan;

use super::run::Simulation;

impl Simulation<'_> {
    /// How things stand, for whoever reads the trace.
    #[must_use]
    pub fn describe(&self) -> Vec<String> {
        let Some(program) = &self.program else { return vec!["the program is not there".to_owned()] };
        let statuses = plan(&program.memory.inputs(self.clocks.wall())).statuses;
        let acting = statuses.iter().filter(|status| matches!(status.key.kind, Kind::Loadout | Kind::Task));
        let objects = acting.map(|status| {
            let held = status.hold.as_ref().map(|hold| format!(", held: {:?} {}", hold.reason, hold.message));
            format!("{}: {}, {}{}", status.key, status.sync, status.reason, held.unwrap_or_default())
        });
        let tasks = self.disk.tables.ledger.tasks.iter().map(|(seq, task)| {
            let why = self.why(*seq).map(|reason| format!(", {reason:?}"));
            format!("{}: {:?}{}", task.request.id, task.state, why.unwrap_or_default())
        });
        let seen = self.witness.seen.iter().map(|(name, seen)| format!("{name} was last seen: {seen:?}"));
        let pins = self.witness.config.pins.iter().map(|(at, pin)| format!("{at} is pinned {pin:?}"));
        objects.chain(tasks).chain(seen).chain(pins).collect()
    }
}
