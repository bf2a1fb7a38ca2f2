//! What comes from outside: the steps of the script, faults among them, and the program's starts and ends.

use crate::decide::reconcile::Holding;

use super::disk::{Action, Effect, Write};
use super::event::{Event, Whom};
use super::program::Program;
use super::program::memory::Memory;
use super::run::Simulation;
use super::script::{Act, Fault};

/// How soon the program hears of a commit.
const NOTICE_MS: u64 = 5;
/// How soon a program that could not start is started again.
const START_AGAIN_MS: u64 = 1_000;

impl Simulation<'_> {
    /// Whether it cannot happen while the machine sleeps that the program runs on.
    pub(super) fn needs_the_machine(&self, event: &Event) -> bool {
        match event {
            Event::Step(at) => !self.script.steps[*at].act.is_fault(),
            Event::Start | Event::DiskFree | Event::Beat { .. } | Event::Release(_) => true,
            event => event.is_of_program(),
        }
    }

    /// A step of the script.
    pub(super) fn take_step(&mut self, at: usize) {
        let step = &self.script.steps[at];
        self.deed(format_args!("{step}"));
        match &step.act {
            Act::Commit { put, confirm } => {
                let put = put.iter().map(|(path, text)| (path, text.as_ref()));
                self.repository.commit(self.library, put, *confirm, self.clocks.wall());
                self.calendar.put(self.clocks.true_ms + NOTICE_MS, Event::LookAtSource);
            }
            Act::Submit(one) => self.submit(one),
            Act::Cancel { task } => self.cancel(*task),
            Act::Retry { task } => self.retry(*task),
            Act::Reroute { task, runtime, model } => self.reroute(*task, runtime.clone(), model.clone()),
            Act::Lease(lease) => self.ask_lease(lease),
            Act::Fault(fault) => self.go_wrong(fault),
        }
    }

    fn go_wrong(&mut self, fault: &Fault) {
        let now_ms = self.clocks.true_ms;
        match fault {
            Fault::Call { runtime, verb, how } => self.machines.arm(runtime, *verb, *how),
            Fault::Vanish { runtime, model } => self.machines.meddle(runtime, model, false),
            Fault::Appear { runtime, model } => self.machines.meddle(runtime, model, true),
            Fault::Restart { runtime } => self.machines.restart(runtime),
            Fault::Down { runtime, for_ms } => {
                self.machines.set_up(runtime, false);
                self.calendar.put(now_ms + for_ms, Event::Up(runtime.clone()));
            }
            Fault::Busy { runtime, requests, for_ms } => {
                self.machines.set_others(runtime, *requests);
                self.calendar.put(now_ms + for_ms, Event::Quiet(runtime.clone()));
            }
            Fault::Foreign { gpu, gb } => self.machines.set_foreign(*gpu, *gb),
            Fault::WallJump { by_ms } => self.clocks.set_wall(*by_ms),
            Fault::Sleep { ms } if self.asleep_until_ms == 0 => {
                self.asleep_until_ms = now_ms + ms;
                self.calendar.put(now_ms + ms, Event::WakeUp { slept_ms: *ms });
            }
            Fault::Sleep { .. } => {}
            Fault::DiskFull { for_ms } => {
                self.disk.full = true;
                self.calendar.put(now_ms + for_ms, Event::DiskFree);
            }
            Fault::Crash { writes, after, away_ms } => {
                self.disk.crash = Some((*writes, *after));
                self.away_ms = *away_ms;
            }
        }
    }

    /// The program starts from what is on disk.
    pub(super) fn start(&mut self) {
        if self.disk.full && self.disk.tables.journal.values().any(|action| action.open) {
            // What stands open may have to be written about.
            self.calendar.put(self.clocks.true_ms + START_AGAIN_MS, Event::Start);
            return;
        }
        self.clocks.restart();
        self.deed(format_args!("the program starts"));
        let memory = Memory::recover(&self.disk.tables);
        self.program = Some(Program { memory, ..Program::default() });
        self.take_up_open_actions();
        self.start_dispatcher();
        self.align_observers();
        self.wake_actionable(|_| true);
        self.calendar.put(self.clocks.true_ms, Event::LookAtSource);
    }

    /// Actions that were under way are ended when their object is planned. What an object that is gone may have made is taken
    /// into its inventory; where nobody answers for it any more the action is given up.
    fn take_up_open_actions(&mut self) {
        let open = self.disk.tables.journal.iter().filter(|(_, action)| action.open);
        let open: Vec<(u64, Action)> = open.map(|(id, action)| (*id, action.clone())).collect();
        let now = self.clocks.wall();
        for (id, Action { object, verb, target, .. }) in open {
            let Some(program) = &mut self.program else { return };
            if !program.memory.answers_for(&object) {
                let audit = self.audit_of(id, &verb, &object, "abandoned");
                self.write_loop(Write::Finish { id, effect: Effect::Nothing, audit }, Whom::Nobody);
                continue;
            }
            program.open.entry(object.clone()).or_default().insert(id);
            if verb.makes() && !program.memory.world.objects.contains_key(&object) {
                let holding = Holding { target, since: now, deleting_since: Some(now), deadline: None };
                program.memory.hold(&object, holding.clone());
                self.write_loop(Write::Hold { object, holding }, Whom::Nobody);
            }
        }
    }

    /// The program ends at once; nothing of it is left but what is on disk.
    pub(super) fn crash(&mut self) {
        self.deed(format_args!("the program ends"));
        self.program = None;
        self.witness.crashed();
        self.disk.lose();
        self.calendar.retain(|event| !event.is_of_program());
        self.calendar.put(self.clocks.true_ms + self.away_ms.max(1), Event::Start);
    }
}
