//! The dispatcher in the simulated program: inputs handed to it, its ops carried out on machines and disk.

use std::sync::Arc;

use crate::core::{Name, ObjectKey, Observed};
use crate::decide::dispatch::{
    CallFailure, ClaimId, Core, Input, NotWritten, Op, Phase, Record, Restored, RunFailure, RunOutcome, WriteId,
};
use crate::decide::reconcile::lock::refused;
use crate::decide::reconcile::{Hold, HoldReason, Intent, Target, Verb};
use crate::decide::scheduler::{
    ClaimVerb, Config, Event as Told, GpuId, ModelAt, Place, RuntimeSeen, SchedulerView, TaskSeq,
};

use super::super::broken::Broken;
use super::super::disk::Fate;
use super::super::event::{Event, Line, Whom};
use super::super::invariant::Occasion;
use super::super::machines::{Answer, Ask, CallFault, CallId};
use super::super::run::Simulation;
use super::super::watched::Watched;
use super::Purpose;

/// How long an attempt may take.
const RUN_LIMIT_MS: u64 = 120_000;
/// How long a load or an unload may take.
const MOVE_LIMIT_MS: u64 = 60_000;
/// How soon the caller of an attempt that is stopped hears that it is over.
const STOP_MS: u64 = 20;
/// How often cards are measured.
const TELEMETRY_MS: u64 = 10_000;

impl Simulation<'_> {
    /// Takes up what is on disk.
    pub fn start_dispatcher(&mut self) {
        let now = self.clocks.moment();
        let Some(program) = &self.program else { return };
        let forgets = |rule| self.rule == Some(rule);
        let mut restored = Restored {
            config: Arc::new(self.site_config(&program.memory.world)),
            tasks: self.disk.tables.ledger.unfinished(),
            leases: self.disk.tables.ledger.leases.values().cloned().collect(),
            open: self.disk.tables.ledger.open_calls(),
            history: self.disk.tables.ledger.history.clone(),
        };
        if forgets(Broken::RunningForgotten) {
            restored.tasks.retain(|task| task.phase != Phase::Running);
        }
        if forgets(Broken::LeasesForgotten) {
            restored.leases.clear();
        }
        self.witness.restored(&restored.config, restored.leases.iter().map(|lease| lease.request.clone()));
        let (dispatcher, ops) = Core::recover(Watched::new(self.rule, now), restored, now);
        if let Some(program) = &mut self.program {
            program.memory.tasks = self.disk.tables.ledger.facts();
            program.dispatcher = Some(dispatcher);
        }
        self.calendar.put(self.clocks.true_ms + 1, Event::Telemetry);
        self.carry_out(ops);
    }

    /// Hands an input to the dispatcher and carries out what it wants done.
    pub fn dispatch(&mut self, input: Input) {
        let now = self.clocks.moment();
        let Some(dispatcher) = self.program.as_mut().and_then(|program| program.dispatcher.as_mut()) else { return };
        self.witness.input(&input);
        let ops = dispatcher.apply(input, now);
        self.carry_out(ops);
    }

    fn carry_out(&mut self, ops: Vec<Op>) {
        for op in ops {
            self.watch(&op);
            self.carry_out_one(op);
        }
        self.plan_wake();
        self.wake_waiting();
    }

    /// Looks at what the scheduler holds and does, for the planner.
    pub fn view_scheduler(&mut self) {
        let now = self.clocks.moment();
        let Some(program) = &mut self.program else { return };
        if let Some(dispatcher) = &program.dispatcher {
            program.memory.scheduler = dispatcher.machine().state.view(now, 0);
        }
    }

    /// Wakes the objects that wait for the scheduler to let go of something, once it holds something else.
    fn wake_waiting(&mut self) {
        let waits = self.program.as_ref().is_some_and(|program| !program.waiting.is_empty());
        if !waits {
            return;
        }
        let held = |view: &SchedulerView| {
            let modes: Vec<(&'static str, usize)> =
                view.gpus.values().map(|gpu| (gpu.mode, gpu.holders.len())).collect();
            (modes, view.moving.clone(), view.in_use.len())
        };
        let before = self.program.as_ref().map(|program| held(&program.memory.scheduler));
        self.view_scheduler();
        let Some(program) = &mut self.program else { return };
        if before == Some(held(&program.memory.scheduler)) {
            return;
        }
        for key in std::mem::take(&mut program.waiting) {
            self.wake_at(&key, self.clocks.true_ms);
        }
    }

    fn carry_out_one(&mut self, op: Op) {
        match op {
            Op::Write { id, record } if self.rule == Some(Broken::BelievedBeforeWritten) => {
                self.write(Line::Record(record), Whom::Nobody);
                self.calendar.put(self.clocks.true_ms, Event::Early(id));
            }
            Op::Write { id, record } => self.write(Line::Record(record), Whom::Dispatcher(id)),
            Op::Note(_) => {}
            Op::Run { task, attempt, place, .. } => self.run_attempt(task, attempt, &place),
            Op::StopRun { task, attempt, .. } => self.stop_attempt(task, attempt),
            Op::Load { at } => self.move_model(at, ClaimVerb::Load),
            Op::Unload { at } => self.move_model(at, ClaimVerb::Unload),
            Op::Claimed { claim, answer } => {
                if let Some(program) = &mut self.program {
                    program.answers.insert(claim, answer.map_err(|reason| refused(&reason, self.clocks.moment())));
                }
            }
            Op::LeaseGranted { .. } | Op::LeaseOver { .. } => {}
        }
    }

    /// Puts the dispatcher's next wake into the calendar.
    fn plan_wake(&mut self) {
        let now = self.clocks.moment();
        let Some(program) = &mut self.program else { return };
        let wake = program.dispatcher.as_ref().and_then(|dispatcher| dispatcher.next_wake(now));
        let Some(at_ms) = wake.map(|steady_ms| self.clocks.true_at(steady_ms).max(self.clocks.true_ms + 1)) else {
            return;
        };
        if program.wake_at.is_none_or(|planned| at_ms < planned || planned <= self.clocks.true_ms) {
            program.wake_at = Some(at_ms);
            self.calendar.put(at_ms, Event::Wake);
        }
    }

    /// The time for which the dispatcher asked has come.
    pub fn wake_due(&mut self, at_ms: u64) {
        let Some(program) = &mut self.program else { return };
        if program.wake_at.is_some_and(|planned| planned <= at_ms) {
            program.wake_at = None;
            self.dispatch(Input::Tick);
        }
    }

    /// A record reached the disk, or did not.
    pub fn record_written(&mut self, id: WriteId, record: &Record, fate: Fate, refused: bool) {
        let input = match fate {
            Fate::Written if !refused => Input::Written(id),
            Fate::Written => Input::NotWritten(id, NotWritten::Refused("it is in another state".into())),
            Fate::Full | Fate::Crashed => Input::NotWritten(id, NotWritten::Unavailable("the disk is full".into())),
        };
        if let Some(program) = &mut self.program {
            program.memory.tasks = self.disk.tables.ledger.facts();
        }
        self.dispatch(input);
        if let Some(key) = self.object_of(record) {
            self.wake_at(&key, self.clocks.true_ms);
        }
    }

    /// The committed Task that a record is about.
    fn object_of(&self, record: &Record) -> Option<ObjectKey> {
        let seq = match record {
            Record::Start { task, .. }
            | Record::End { task, .. }
            | Record::Fail { task, .. }
            | Record::Cancel { task, .. }
            | Record::Reroute { task, .. } => task,
            Record::Begin { .. }
            | Record::Finish { .. }
            | Record::LeaseAsked { .. }
            | Record::LeaseGranted { .. }
            | Record::LeaseEnded { .. } => return None,
        };
        self.disk.tables.ledger.tasks.get(seq)?.object.clone()
    }

    fn run_attempt(&mut self, task: TaskSeq, attempt: u32, place: &Place) {
        let work_ms = self.disk.tables.ledger.tasks.get(&task).map_or(1, |task| task.work_ms);
        let ask = Ask::Run { model: place.served_as.as_deref().map(str::to_owned), work_ms };
        let began_ms = self.clocks.true_ms;
        self.call(&place.runtime, ask, RUN_LIMIT_MS, Purpose::Run { task, attempt, began_ms });
    }

    fn stop_attempt(&mut self, task: TaskSeq, attempt: u32) {
        let Some(program) = &self.program else { return };
        let call = program.calls.iter().find(
            |(_, purpose)| matches!(purpose, Purpose::Run { task: t, attempt: a, .. } if *t == task && *a == attempt),
        );
        if let Some(call) = call.map(|(call, _)| *call) {
            self.calendar.put(self.clocks.true_ms + STOP_MS, Event::Stopped(call));
        }
    }

    /// The caller of an attempt has hung up. A runtime in three does not mind and goes on.
    pub fn stopped(&mut self, call: CallId) {
        let purpose = self.program.as_mut().and_then(|program| program.calls.remove(&call));
        let Some(Purpose::Run { task, attempt, .. }) = purpose else { return };
        self.machines.hang_up(call, !call.is_multiple_of(3));
        self.dispatch(Input::RunEnded { task, attempt, outcome: RunOutcome::Stopped });
    }

    /// The answer of an attempt was heard. Now and then it is told twice.
    pub fn run_heard(&mut self, call: CallId, task: TaskSeq, attempt: u32, began_ms: u64, answer: &Answer) {
        let outcome = match answer {
            Answer::Done | Answer::Seen(_) => RunOutcome::Done { took_ms: self.clocks.true_ms - began_ms },
            Answer::Failed(fault) => RunOutcome::Failed(failure_of(*fault)),
        };
        let twice = call.is_multiple_of(11);
        if twice {
            self.dispatch(Input::RunEnded { task, attempt, outcome: outcome.clone() });
        }
        self.dispatch(Input::RunEnded { task, attempt, outcome });
    }

    fn move_model(&mut self, at: ModelAt, verb: ClaimVerb) {
        let ask = match verb {
            ClaimVerb::Load => Ask::Load(at.served_as.to_string()),
            ClaimVerb::Unload => Ask::Unload(at.served_as.to_string()),
        };
        let (runtime, began_ms) = (at.runtime.clone(), self.clocks.true_ms);
        self.look_for(Occasion::Call(&at, verb));
        self.call(&runtime, ask, MOVE_LIMIT_MS, Purpose::Move { at, verb, began_ms });
    }

    /// A load or unload of the dispatcher's was answered: what is so is seen before it is told.
    pub fn move_heard(&mut self, at: ModelAt, verb: ClaimVerb, began_ms: u64, answer: &Answer) {
        let result = match answer {
            Answer::Done | Answer::Seen(_) => Ok(()),
            Answer::Failed(fault) => Err(fault.as_str().to_owned()),
        };
        let runtime = at.runtime.clone();
        self.look(&runtime, Purpose::LookAfterMove { at, verb, began_ms, result });
    }

    /// The look after it came back.
    pub fn move_looked(&mut self, at: ModelAt, verb: ClaimVerb, began_ms: u64, result: Result<(), String>, seen: bool) {
        let result =
            result.and_then(|()| if seen { Ok(()) } else { Err("it could not be seen afterwards".to_owned()) });
        let result = result.map_err(|message| CallFailure { message, retry_after_ms: None });
        let took_ms = self.clocks.true_ms - began_ms;
        self.dispatch(Input::CallEnded { at, verb, took_ms, result });
    }

    /// Asks the scheduler whether an intent of the planner may be carried out now.
    ///
    /// # Errors
    /// The hold that its refusal means.
    pub fn ask_scheduler(&mut self, key: &ObjectKey, intent: &Intent) -> Result<(), Hold> {
        let Some((at, verb)) = claim_of(intent).filter(|_| self.rule != Some(Broken::ClaimsSkipped)) else {
            return Ok(());
        };
        self.next_claim += 1;
        let claim = ClaimId(self.next_claim);
        self.dispatch(Input::Claim { claim, at, verb });
        let Some(program) = &mut self.program else { return Ok(()) };
        // While the ends of the last run are written, there is no answer yet: it is asked again.
        let later = || Hold { reason: HoldReason::Lock, message: "not answered yet".into(), who: None, until: None };
        match program.answers.remove(&claim) {
            Some(answer) => answer?,
            None => {
                // Nobody waits for the answer: what is granted then is given back.
                let result = Err(CallFailure { message: "given up before it was done".into(), retry_after_ms: None });
                self.dispatch(Input::ClaimEnded { claim, took_ms: 0, result });
                return Err(later());
            }
        }
        program.claims.insert(key.clone(), claim);
        Ok(())
    }

    /// What an admitted claim was for is over.
    pub fn end_claim(&mut self, key: &ObjectKey, problem: Option<&str>, took_ms: u64) {
        let Some(claim) = self.program.as_mut().and_then(|program| program.claims.remove(key)) else { return };
        let result = match problem {
            None => Ok(()),
            Some(message) => Err(CallFailure { message: message.to_owned(), retry_after_ms: None }),
        };
        self.dispatch(Input::ClaimEnded { claim, took_ms, result });
    }

    /// Tells the dispatcher what was seen of a runtime.
    pub fn tell_seen(&mut self, runtime: &Name, answer: &Answer) {
        let seen = match answer {
            Answer::Seen(view) => RuntimeSeen::Up {
                models: view
                    .models
                    .iter()
                    .map(|model| (model.name.as_str().into(), model.state, model.vram_gb))
                    .collect(),
                in_flight: view.in_flight.filter(|_| self.rule != Some(Broken::InFlightHidden)),
            },
            Answer::Failed(fault) => {
                let view = self.program.as_ref().and_then(|program| program.memory.views.get(runtime));
                let since = view.and_then(Observed::at).unwrap_or_else(|| self.clocks.wall());
                RuntimeSeen::Down { since, why: fault.as_str().into() }
            }
            Answer::Done => return,
        };
        self.witness.heard(runtime, answer);
        self.dispatch(Input::Event(Told::Seen { runtime: runtime.clone(), seen }));
    }

    /// Tells the dispatcher of a new world.
    pub fn tell_world(&mut self) {
        let Some(program) = &self.program else { return };
        let config = Arc::new(self.site_config(&program.memory.world));
        self.dispatch(Input::World(config));
        self.tell_dependencies();
    }

    /// What the scheduler takes from the world; which runtimes load models is known of their programs.
    fn site_config(&self, world: &crate::declare::world::World) -> Config {
        let mut config = Config::of(world);
        for (name, runtime) in &mut config.runtimes {
            if let Some(site) = self.script.site.runtimes.get(name) {
                runtime.loads &= site.loads;
            }
        }
        config
    }

    /// Measures every card that can be measured. One in four cannot.
    pub fn measure(&mut self) {
        for (at, gpu) in self.script.site.gpus.iter().enumerate() {
            if !(self.script.seed >> at).is_multiple_of(4) {
                let id = GpuId { host: gpu.host.clone(), gpu: gpu.gpu.clone() };
                let gb = Some(self.machines.foreign_gb(at));
                self.dispatch(Input::Event(Told::ForeignUse { gpu: id, gb }));
            }
        }
        self.calendar.put(self.clocks.true_ms + TELEMETRY_MS, Event::Telemetry);
    }
}

/// What an intent asks the scheduler for; none where it is not about a model.
fn claim_of(intent: &Intent) -> Option<(ModelAt, ClaimVerb)> {
    let Target::Model { runtime, served_as, .. } = &intent.target else { return None };
    let verb = match intent.verb {
        Verb::Load => ClaimVerb::Load,
        Verb::Unload => ClaimVerb::Unload,
        Verb::Enqueue | Verb::Cancel => return None,
    };
    Some((ModelAt { runtime: runtime.clone(), served_as: served_as.as_str().into() }, verb))
}

fn failure_of(fault: CallFault) -> RunFailure {
    let (code, transient) = match fault {
        CallFault::Unreachable | CallFault::RuntimeError | CallFault::OutOfMemory => ("runtime_error", true),
        CallFault::Timeout => ("timeout", true),
        CallFault::NotFound => ("runtime_error", false),
        CallFault::BadInput => ("bad_input", false),
    };
    RunFailure { code, message: fault.as_str().into(), transient, retry_after_ms: None }
}
