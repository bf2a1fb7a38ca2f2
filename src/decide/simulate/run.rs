//! One simulation: the world, the program in it, and what happens next, until it has come to rest.
//!
//! 1. The next event of the calendar is taken, and true time moves on to it.
//! 2. It happens: to the machines, to the disk, or to the program, which may call, write and wait.
//! 3. Every invariant is checked. The first that is broken ends the simulation.

use std::fmt;

use crate::decide::dispatch::{Input, Op};
use crate::decide::scheduler::{GpuId, LockMode, Reason, TaskSeq};

use super::broken::Broken;
use super::calendar::Calendar;
use super::disk::Disk;
use super::event::{Event, Line, Whom};
use super::invariant::{Invariant, Occasion, Violation, first_broken};
use super::machines::Machines;
use super::program::{Program, Purpose};
use super::repository::{Library, Repository};
use super::script::Script;
use super::time::Clocks;
use super::trace::Trace;
use super::witness::Witness;

/// How long after the last step everything that is wrong becomes well.
const HEAL_AFTER_MS: u64 = 20_000;
/// Nothing is going on when nothing was done for so long; then only looks and resyncs are left.
const QUIET_MS: u64 = 45_000;
/// A wake that is further away than this is somebody's date, not work under way.
const SOON_MS: u64 = 900_000;
/// When nothing was done for so long, timers change nothing any more.
const IDLE_MS: u64 = 1_800_000;
/// So many events are no life but a loop.
const EVENTS_MAX: u64 = 60_000;
/// Within this time everything must have come to rest.
const REST_WITHIN_MS: u64 = 4 * 3_600_000;

/// A simulation under way.
pub struct Simulation<'a> {
    pub script: &'a Script,
    pub library: &'a mut Library,
    pub clocks: Clocks,
    pub calendar: Calendar<Event>,
    pub machines: Machines,
    pub repository: Repository,
    pub disk: Disk<(Line, Whom)>,
    pub program: Option<Program>,
    pub witness: Witness,
    /// The rule that is broken on purpose.
    pub rule: Option<Broken>,
    /// The first invariant that did not hold.
    pub violation: Option<Violation>,
    /// For how long the program stays away after the crash that is to come.
    pub(super) away_ms: u64,
    /// When something was last done that changes anything.
    pub(super) last_deed_ms: u64,
    pub next_claim: u64,
    /// The id of the next action in the journal.
    pub next_action: u64,
    /// Until when the machine sleeps, in true time.
    pub(super) asleep_until_ms: u64,
    pub(super) trace: Trace,
    /// When everything became well.
    healed_ms: u64,
    pub(super) calls: u64,
    pub events: u64,
}

impl<'a> Simulation<'a> {
    /// A simulation that has not begun.
    #[must_use]
    pub fn new(script: &'a Script, library: &'a mut Library, trace: Trace, rule: Option<Broken>) -> Self {
        let mut simulation = Self {
            script,
            library,
            clocks: Clocks::default(),
            calendar: Calendar::default(),
            machines: Machines::new(&script.site),
            repository: Repository::default(),
            disk: Disk::default(),
            program: None,
            witness: Witness::default(),
            rule,
            violation: None,
            away_ms: 0,
            last_deed_ms: 0,
            next_claim: 0,
            next_action: 1,
            asleep_until_ms: 0,
            trace,
            healed_ms: u64::MAX,
            calls: 0,
            events: 0,
        };
        let files = script.files.iter().map(|(path, text)| (path, Some(text)));
        simulation.repository.commit(simulation.library, files, false, simulation.clocks.wall());
        simulation.calendar.put(0, Event::Start);
        for (at, step) in script.steps.iter().enumerate() {
            simulation.calendar.put(step.at_ms, Event::Step(at));
        }
        let last_ms = script.steps.last().map_or(0, |step| step.at_ms);
        simulation.calendar.put(last_ms + HEAL_AFTER_MS, Event::Heal);
        simulation
    }

    /// Runs to rest, or to the first invariant that does not hold.
    pub fn run(&mut self) {
        while self.violation.is_none() {
            let unrest = self.unrest();
            if unrest.is_none() {
                // As whoever looks at the page would: what the scheduler holds now.
                self.view_scheduler();
                self.violation = first_broken(self, Occasion::Rest);
                return;
            }
            let late = self.clocks.true_ms > self.healed_ms.saturating_add(REST_WITHIN_MS);
            if !self.step() || late || self.events > EVENTS_MAX {
                let message = format!("it does not come to rest: {}", unrest.unwrap_or_default());
                let invariant = Invariant::Rest;
                self.violation = Some(Violation { invariant, at_ms: self.clocks.true_ms, message });
            }
        }
    }

    /// What is going on or to come, besides looks and resyncs; none once everything has come to rest.
    fn unrest(&self) -> Option<String> {
        let now_ms = self.clocks.true_ms;
        if self.healed_ms == u64::MAX || now_ms < self.last_deed_ms.max(self.healed_ms) + QUIET_MS {
            return Some("something was done just now".to_owned());
        }
        let Some(program) = &self.program else { return Some("the program is not there".to_owned()) };
        let moment = self.clocks.moment();
        let wakes = program.dispatcher.as_ref().and_then(|dispatcher| dispatcher.next_wake(moment));
        // A timer that comes again and again and changes nothing is no work.
        let is_idle = now_ms > self.last_deed_ms.max(self.healed_ms) + IDLE_MS;
        if let Some(at) = wakes.filter(|at| *at < moment.steady_ms + SOON_MS && !is_idle) {
            return Some(format!("the scheduler wakes at {at} ms, and it is {} ms", moment.steady_ms));
        }
        if let Some((key, failures)) = program.failures.iter().next() {
            return Some(format!("{key} failed {failures} times and is tried again"));
        }
        let works = |purpose: &&Purpose| !matches!(purpose, Purpose::Look(_));
        if let Some(purpose) = program.calls.values().find(works) {
            return Some(format!("{purpose:?} is not over"));
        }
        if let Some(key) = program.jobs.keys().next() {
            return Some(format!("{key} is being reconciled"));
        }
        let event = self.calendar.find(Event::is_to_come).map(|event| format!("{event:?} is still to come"));
        event.or_else(|| (!self.disk.is_idle()).then(|| "something is being written".to_owned()))
    }

    /// Lets the next event happen; false when there is none.
    pub fn step(&mut self) -> bool {
        let Some((at_ms, event)) = self.calendar.pop() else { return false };
        if self.asleep_until_ms > 0 && at_ms <= self.asleep_until_ms && self.needs_the_machine(&event) {
            self.calendar.put(self.asleep_until_ms, event);
            return true;
        }
        self.clocks.true_ms = self.clocks.true_ms.max(at_ms);
        self.events += 1;
        self.happen(event, at_ms);
        if self.violation.is_none() {
            self.violation = first_broken(self, Occasion::Event);
        }
        true
    }

    /// Adds a line to the trace.
    pub fn trace(&mut self, line: fmt::Arguments<'_>) {
        self.trace.add(self.clocks.true_ms, line);
    }

    /// Something is done that changes something.
    pub fn deed(&mut self, line: fmt::Arguments<'_>) {
        self.last_deed_ms = self.clocks.true_ms;
        self.trace(line);
    }

    /// The dispatcher wants something done: it is noted, and the invariants are looked at.
    pub fn watch(&mut self, op: &Op) {
        self.witness.op(op);
        match op {
            Op::Note(note) => self.deed(format_args!("{note:?}")),
            op => self.deed(format_args!("{op:?}")),
        }
        self.look_for(Occasion::Op(op));
    }

    /// Looks at the invariants on an occasion within an event.
    pub fn look_for(&mut self, occasion: Occasion<'_>) {
        if self.violation.is_none() {
            self.violation = first_broken(self, occasion);
        }
    }

    /// Why a task waits, as the program says.
    #[must_use]
    pub fn why(&self, task: TaskSeq) -> Option<Reason> {
        let dispatcher = self.program.as_ref()?.dispatcher.as_ref()?;
        dispatcher.machine().why(task).or_else(|| dispatcher.unwritten(task).cloned())
    }

    /// What the lock of a GPU was last said to be.
    #[must_use]
    pub fn lock_of(&self, gpu: &GpuId) -> Option<LockMode> {
        self.program.as_ref()?.dispatcher.as_ref()?.machine().locks.get(gpu).cloned()
    }

    /// The scheduler's own books.
    ///
    /// # Errors
    /// What does not add up in them.
    pub fn check_books(&self, occasion: Occasion<'_>) -> Result<(), String> {
        let dispatcher = self.program.as_ref().and_then(|program| program.dispatcher.as_ref());
        match (occasion, dispatcher) {
            (Occasion::Event, Some(dispatcher)) => dispatcher.machine().check(),
            _ => Ok(()),
        }
    }

    /// What the simulation leaves: its trace.
    #[must_use]
    pub fn into_trace(self) -> Trace {
        self.trace
    }

    fn happen(&mut self, event: Event, at_ms: u64) {
        match event {
            Event::Step(at) => self.take_step(at),
            Event::CallBegins(call) => self.machines.begin(call),
            Event::CallEnds(call) => {
                if self.machines.end(call) {
                    // The program may see it only at its next look.
                    self.last_deed_ms = at_ms;
                }
                if let Some((after_ms, runtime, model)) = self.machines.aftermath(call) {
                    self.calendar.put(at_ms + after_ms, Event::Gone { runtime, model });
                }
            }
            Event::Gone { runtime, model } => self.machines.meddle(&runtime, &model, false),
            Event::Up(runtime) => self.machines.set_up(&runtime, true),
            Event::Quiet(runtime) => self.machines.set_others(&runtime, 0),
            Event::DiskFree => self.disk.full = false,
            Event::WakeUp { slept_ms } => {
                self.clocks.slept(slept_ms);
                self.deed(format_args!("the machine wakes up"));
                self.asleep_until_ms = 0;
            }
            Event::Start => self.start(),
            Event::Heal => {
                self.machines.heal();
                self.disk.full = false;
                self.disk.crash = None;
                self.healed_ms = at_ms;
            }
            Event::Beat { id, ttl_ms, until_ms } => self.beat(id, ttl_ms, until_ms),
            Event::Release(id) => self.release(id),
            Event::Wake => self.wake_due(at_ms),
            Event::Telemetry => self.measure(),
            Event::Stopped(call) => self.stopped(call),
            Event::Early(id) => self.dispatch(Input::Written(id)),
            Event::CallHeard(call) => self.heard(call),
            Event::Written => self.written(),
            Event::Observe(runtime) => self.observe_due(&runtime),
            Event::Reconcile(key) => self.reconcile_due(&key, at_ms),
            Event::LookAtSource => self.look_at_source(),
        }
    }
}
