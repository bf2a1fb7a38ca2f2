//! What comes from outside: the steps of the script, faults among them, and the program's starts and ends.

use super::event::Event;
use super::program::Program;
use super::program::memory::Memory;
use super::run::Simulation;
use super::script::{Act, Fault};

/// How soon the program hears of a commit.
const NOTICE_MS: u64 = 5;

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
        self.clocks.restart();
        self.deed(format_args!("the program starts"));
        let memory = Memory::recover(&self.disk.tables);
        let mut program = Program { memory, ..Program::default() };
        for (id, action) in self.disk.tables.journal.iter().filter(|(_, action)| action.open) {
            program.open.entry(action.object.clone()).or_default().insert(*id);
        }
        self.program = Some(program);
        self.start_dispatcher();
        self.align_observers();
        self.wake_actionable(|_| true);
        self.calendar.put(self.clocks.true_ms, Event::LookAtSource);
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
