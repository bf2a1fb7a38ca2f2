//! One simulation: the world, the program in it, and what happens next, until it has come to rest.
//!
//! 1. The next event of the calendar is taken, and true time moves on to it.
//! 2. It happens: to the machines, to the disk, or to the program, which may call, write and wait.
//! 3. Every invariant is checked. The first that is broken ends the simulation.

use std::fmt;

use crate::core::rng::Rng;
use crate::core::{Kind, Name, ObjectKey};
use crate::decide::dispatch::{Input, Op, Record, WriteId};
use crate::decide::reconcile::plan;
use crate::decide::scheduler::{GpuId, LeaseId, LockMode, Reason, Request, TaskSeq};
use crate::declare::world::Assembly;

use super::broken::Broken;
use super::calendar::Calendar;
use super::disk::{Disk, Fate, Write};
use super::invariant::{Invariant, Occasion, Violation, first_broken};
use super::ledger::Flaws;
use super::machines::{Answer, Ask, CallId, Machines};
use super::program::memory::Memory;
use super::program::{Program, Purpose};
use super::repository::{Library, Repository};
use super::script::{Act, Fault, Script};
use super::time::Clocks;
use super::trace::{Fnv, Trace};
use super::witness::Witness;

/// How soon the program hears of a commit.
const NOTICE_MS: u64 = 5;
/// How long a write takes.
const WRITE_MS: u64 = 1;
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

/// What is due.
#[derive(Clone, Debug)]
pub enum Event {
    /// A step of the script.
    Step(usize),
    CallBegins(CallId),
    CallEnds(CallId),
    /// A model goes by itself.
    Gone {
        runtime: Name,
        model: String,
    },
    /// A runtime is up again.
    Up(Name),
    /// Others' requests end.
    Quiet(Name),
    DiskFree,
    /// The machine wakes up.
    WakeUp {
        slept_ms: u64,
    },
    /// The program is started.
    Start,
    /// Everything that was wrong is well again, and stays so.
    Heal,
    /// The holder of a lease gives a sign of life.
    Beat {
        id: LeaseId,
        ttl_ms: u64,
        until_ms: u64,
    },
    /// The holder of a lease gives it back.
    Release(LeaseId),
    // What the program waits for. It does not happen while the program is not there.
    CallHeard(CallId),
    Written,
    Observe(Name),
    Reconcile(ObjectKey),
    LookAtSource,
    Wake,
    Telemetry,
    /// An attempt that was stopped is over.
    Stopped(CallId),
    /// The dispatcher is told too early that a record is on disk.
    Early(WriteId),
}

impl Event {
    /// Whether it is something that is still to come from outside.
    fn is_to_come(&self) -> bool {
        match self {
            Self::Step(_)
            | Self::CallBegins(_)
            | Self::CallEnds(_)
            | Self::Gone { .. }
            | Self::Start
            | Self::WakeUp { .. }
            | Self::Heal
            | Self::Beat { .. }
            | Self::Release(_)
            | Self::Stopped(_)
            | Self::Early(_) => true,
            Self::Up(_)
            | Self::Quiet(_)
            | Self::DiskFree
            | Self::CallHeard(_)
            | Self::Written
            | Self::Observe(_)
            | Self::Reconcile(_)
            | Self::LookAtSource
            | Self::Wake
            | Self::Telemetry => false,
        }
    }

    /// Whether the program waits for it: lost at a crash, late after sleep.
    fn is_of_program(&self) -> bool {
        match self {
            Self::CallHeard(_)
            | Self::Written
            | Self::Observe(_)
            | Self::Reconcile(_)
            | Self::LookAtSource
            | Self::Wake
            | Self::Telemetry
            | Self::Stopped(_)
            | Self::Early(_) => true,
            Self::Step(_)
            | Self::CallBegins(_)
            | Self::CallEnds(_)
            | Self::Gone { .. }
            | Self::Up(_)
            | Self::Quiet(_)
            | Self::DiskFree
            | Self::WakeUp { .. }
            | Self::Start
            | Self::Heal
            | Self::Beat { .. }
            | Self::Release(_) => false,
        }
    }
}

/// What is handed to the disk.
#[derive(Clone, Debug)]
pub enum Line {
    Loop(Write),
    Record(Record),
    Accept { request: Box<Request>, object: Option<ObjectKey>, work_ms: u64 },
    Rerun(TaskSeq),
}

/// What became of a line that reached the tables.
enum Put {
    Nothing,
    Refused,
    Task { seq: TaskSeq, is_new: bool },
}

/// Whom the fate of a write is told.
#[derive(Debug)]
pub enum Whom {
    Nobody,
    Job(ObjectKey),
    Revision(Box<Assembly>),
    Dispatcher(WriteId),
    /// Who submitted a task, with its label.
    Submitter {
        label: Option<u32>,
    },
}

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
    away_ms: u64,
    /// When something was last done that changes anything.
    last_deed_ms: u64,
    pub next_claim: u64,
    /// The id of the next action in the journal.
    pub next_action: u64,
    /// Until when the machine sleeps, in true time.
    asleep_until_ms: u64,
    trace: Trace,
    /// When everything became well.
    healed_ms: u64,
    calls: u64,
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

    /// Whether it cannot happen while the machine sleeps that the program runs on.
    fn needs_the_machine(&self, event: &Event) -> bool {
        match event {
            Event::Step(at) => !self.script.steps[*at].act.is_fault(),
            Event::Start | Event::DiskFree | Event::Beat { .. } | Event::Release(_) => true,
            event => event.is_of_program(),
        }
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
        self.program.as_ref()?.dispatcher.as_ref()?.machine().why(task)
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
                self.machines.end(call);
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

    /// A step of the script.
    fn take_step(&mut self, at: usize) {
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
    fn start(&mut self) {
        self.clocks.restart();
        self.deed(format_args!("the program starts"));
        let memory = Memory::recover(&self.disk.tables);
        let mut program = Program { memory, ..Program::default() };
        for (id, action) in self.disk.tables.journal.iter().filter(|(_, action)| action.open) {
            program.open.entry(action.object.clone()).or_default().push(*id);
        }
        self.program = Some(program);
        self.start_dispatcher();
        self.align_observers();
        self.wake_actionable(|_| true);
        self.calendar.put(self.clocks.true_ms, Event::LookAtSource);
    }

    /// The program ends at once; nothing of it is left but what is on disk.
    fn crash(&mut self) {
        self.deed(format_args!("the program ends"));
        self.program = None;
        self.witness.crashed();
        self.disk.lose();
        self.calendar.retain(|event| !event.is_of_program());
        self.calendar.put(self.clocks.true_ms + self.away_ms.max(1), Event::Start);
    }

    /// Hands a write to the disk.
    pub fn write(&mut self, line: Line, whom: Whom) {
        self.disk.push((line, whom));
        self.calendar.put(self.clocks.true_ms + WRITE_MS, Event::Written);
    }

    /// Hands a write of the loop to the disk.
    pub fn write_loop(&mut self, write: Write, whom: Whom) {
        if let Some(line) = write.line() {
            self.deed(format_args!("{line}"));
        }
        self.write(Line::Loop(write), whom);
    }

    fn written(&mut self) {
        let Some(((line, whom), fate, put)) = self.disk.pop() else { return };
        let lies = self.rule == Some(Broken::ArtifactRecordedTwice) && matches!(line, Line::Record(_));
        let outcome = if put || (lies && fate == Fate::Full) { self.put(&line) } else { Put::Nothing };
        if fate == Fate::Crashed {
            return self.crash();
        }
        match (whom, line) {
            (Whom::Nobody, _) => {}
            (Whom::Job(key), _) => self.job_written(&key, fate),
            (Whom::Revision(assembly), _) => self.revision_written(*assembly, fate),
            (Whom::Dispatcher(id), Line::Record(record)) => {
                self.record_written(id, &record, fate, matches!(outcome, Put::Refused));
            }
            (Whom::Submitter { label }, _) => match outcome {
                Put::Task { seq, is_new } => self.accepted(seq, label, is_new),
                Put::Nothing | Put::Refused => {}
            },
            (Whom::Dispatcher(_), _) => {}
        }
    }

    /// Puts a line into the tables.
    fn put(&mut self, line: &Line) -> Put {
        let at = self.clocks.wall();
        if let Line::Record(record) = line {
            self.look_for(Occasion::Put(record));
        }
        let ledger = &mut self.disk.tables.ledger;
        match line {
            Line::Loop(write) => {
                self.disk.tables.put(write);
                Put::Nothing
            }
            Line::Record(record) => {
                let flaws = Flaws {
                    forgets_audit: self.rule == Some(Broken::AuditForgotten),
                    records_twice: self.rule == Some(Broken::ArtifactRecordedTwice),
                };
                if ledger.put(record, at, flaws) { Put::Nothing } else { Put::Refused }
            }
            Line::Accept { request, object, work_ms } => {
                let (seq, is_new) = ledger.accept((**request).clone(), object.clone(), *work_ms, at);
                Put::Task { seq, is_new }
            }
            Line::Rerun(seq) => match ledger.rerun(*seq, at) {
                true => Put::Task { seq: *seq, is_new: true },
                false => Put::Refused,
            },
        }
    }

    /// Asks something of a runtime.
    pub fn call(&mut self, runtime: &Name, ask: Ask, limit_ms: u64, purpose: Purpose) {
        let mut seed = Fnv::default();
        seed.add(runtime.as_str().as_bytes());
        self.calls += 1;
        let jitter = Rng::new(self.script.seed ^ seed.value() ^ self.calls).next_u64();
        let (call, moments) = self.machines.call(runtime, ask, limit_ms, jitter);
        let now_ms = self.clocks.true_ms;
        self.calendar.put(now_ms + moments.begins, Event::CallBegins(call));
        if let Some(ends) = moments.ends {
            self.calendar.put(now_ms + ends, Event::CallEnds(call));
        }
        self.calendar.put(now_ms + moments.heard, Event::CallHeard(call));
        if let Some(program) = &mut self.program {
            program.calls.insert(call, purpose);
        }
    }

    fn heard(&mut self, call: CallId) {
        let answer = self.machines.hear(call);
        let Some(purpose) = self.program.as_mut().and_then(|program| program.calls.remove(&call)) else { return };
        match purpose {
            Purpose::Look(runtime) => self.observer_heard(&runtime, &answer),
            Purpose::Act(key) => self.job_answered(&key, &answer),
            Purpose::Run { task, attempt, began_ms } => self.run_heard(call, task, attempt, began_ms, &answer),
            Purpose::Move { at, verb, began_ms } => self.move_heard(at, verb, began_ms, &answer),
            Purpose::LookAfterMove { at, verb, began_ms, result } => {
                self.keep(&at.runtime.clone(), &answer);
                self.move_looked(at, verb, began_ms, result, matches!(answer, Answer::Seen(_)));
            }
            Purpose::LookAfter(key, runtime) => {
                self.keep(&runtime, &answer);
                self.job_looked(&key, matches!(answer, Answer::Seen(_)));
            }
        }
    }
}
