//! One reconciliation of one object in the simulated program, step by step, as `act/engine/carry_out.rs` does it: settle what
//! it holds, then each intent: ask the scheduler, journal, do, look, journal again, and only then believe.

use std::collections::VecDeque;

use crate::core::ObjectKey;
use crate::core::clock::after;
use crate::decide::reconcile::unfinished::{self, Seen};
use crate::decide::reconcile::{
    Bookkeeping, HoldReason, Holding, Intent, ObjectPlan, Sync, Target, Verb, drift_loop, held_since,
};
use crate::decide::scheduler::{ClaimVerb, ModelAt};

use super::super::disk::{Action, Audit, Effect, Fate, Write};
use super::super::event::{Event, Whom};
use super::super::invariant::Occasion;
use super::super::machines::{Answer, Ask};
use super::super::run::Simulation;
use super::Purpose;
use super::revisions::DELETION_DEADLINE;

/// How often an object is planned again although nothing happened, in milliseconds.
const RESYNC_MS: u64 = 300_000;
/// How long an object waits for an observation before it is planned again all the same, in milliseconds.
const WAIT_MAX_MS: u64 = 60_000;
/// The first wait after a failure, and the longest.
const BACKOFF_MS: (u64, u64) = (500, 60_000);
/// How long a load or an unload may take.
const LOAD_LIMIT_MS: u64 = 60_000;

/// An object that is being reconciled.
#[derive(Clone, Debug)]
pub struct Job {
    books: VecDeque<Bookkeeping>,
    /// Journal entries that a crash left open.
    leftovers: VecDeque<(u64, bool)>,
    intents: VecDeque<Intent>,
    doing: Doing,
    /// Something happened meanwhile: it is looked at once more.
    pub again: bool,
}

/// What a job waits for.
#[derive(Clone, Debug)]
enum Doing {
    Nothing,
    Book(Bookkeeping),
    /// A journal entry that stood open.
    Settle(u64),
    Begin {
        id: u64,
        intent: Intent,
    },
    Act {
        id: u64,
        intent: Intent,
        began_ms: u64,
    },
    Look {
        id: u64,
        intent: Intent,
        began_ms: u64,
        problem: Option<String>,
    },
    Finish {
        id: u64,
        intent: Intent,
        problem: Option<String>,
        took_ms: u64,
    },
}

impl Simulation<'_> {
    /// Lets an object be reconciled at `at_ms`, or earlier when that is planned already.
    pub fn wake_at(&mut self, key: &ObjectKey, at_ms: u64) {
        let Some(program) = &mut self.program else { return };
        if program.due.get(key).is_none_or(|due| at_ms < *due) {
            program.due.insert(key.clone(), at_ms);
            self.calendar.put(at_ms, Event::Reconcile(key.clone()));
        }
    }

    /// The time for which an object was woken has come.
    pub fn reconcile_due(&mut self, key: &ObjectKey, at_ms: u64) {
        let Some(program) = &mut self.program else { return };
        // An earlier time took its place, or it was late because the machine slept.
        if program.due.get(key).is_none_or(|due| *due > at_ms) {
            return;
        }
        program.due.remove(key);
        match program.jobs.get_mut(key) {
            Some(job) => job.again = true,
            None => self.reconcile(key),
        }
    }

    fn reconcile(&mut self, key: &ObjectKey) {
        if let Some(program) = &mut self.program {
            // What the scheduler answered last time is asked again.
            program.memory.refusals.remove(key);
            program.waiting.remove(key);
        }
        let plan = self.plan(key);
        let Some(program) = &mut self.program else { return };
        let Some(plan) = plan else {
            // It is gone, and so is what failed about it.
            program.failures.remove(key);
            return self.bury(key);
        };
        let job = Job {
            leftovers: VecDeque::new(),
            books: plan.bookkeeping.into(),
            intents: plan.intents.into(),
            doing: Doing::Nothing,
            again: false,
        };
        program.jobs.insert(key.clone(), job);
        self.take_up_leftovers(key);
        self.step_job(key);
    }

    /// What stands open for an object and is not about to be done again is ended, where it is seen what became of it.
    fn take_up_leftovers(&mut self, key: &ObjectKey) {
        let now = self.clocks.wall();
        let Some(program) = &mut self.program else { return };
        let Some(job) = program.jobs.get_mut(key) else { return };
        let (inputs, gone) = (program.memory.inputs(now), !program.memory.answers_for(key));
        let leftovers = program.open.get(key).into_iter().flatten().filter_map(|id| {
            let action = self.disk.tables.journal.get(id).filter(|action| action.open)?;
            let wanted = job.intents.iter().any(|one| one.verb == action.verb && one.target == action.target);
            match unfinished::seen(&inputs, action.verb, &action.target) {
                _ if wanted => None,
                Seen::Unknown if !gone => None,
                seen => Some((*id, seen == Seen::Done)),
            }
        });
        job.leftovers = leftovers.collect();
    }

    /// Forgets an object that is gone and holds nothing, unless an action that stands open may have made something.
    fn bury(&mut self, key: &ObjectKey) {
        let now = self.clocks.wall();
        let Some(program) = &mut self.program else { return };
        let open = program.open.get(key).cloned().unwrap_or_default();
        let open: Vec<(u64, Action)> =
            open.iter().filter_map(|id| Some((*id, self.disk.tables.journal.get(id)?.clone()))).collect();
        let is_undone = program.memory.removed.contains_key(key);
        let made = open.iter().filter(|(_, action)| is_undone && action.verb.makes());
        let made: Vec<Target> = made.map(|(_, action)| action.target.clone()).collect();
        for target in &made {
            let deadline = Some(after(now, DELETION_DEADLINE));
            let holding = Holding { deleting_since: Some(now), deadline, ..self.held(target.clone()) };
            self.believe(key, &Effect::Hold(holding.clone()));
            self.write_loop(Write::Hold { object: key.clone(), holding }, Whom::Nobody);
        }
        if !made.is_empty() {
            return self.wake_at(key, self.clocks.true_ms);
        }
        if let Some(program) = &mut self.program {
            program.memory.bury(key);
            program.open.remove(key);
        }
        for (id, action) in open {
            let audit = self.audit_of(id, &action.verb, key, "abandoned");
            self.write_loop(Write::Finish { id, effect: Effect::Nothing, audit }, Whom::Nobody);
        }
    }

    /// The plan of an object, noted in its history.
    pub fn plan(&mut self, key: &ObjectKey) -> Option<ObjectPlan> {
        let now = self.clocks.wall();
        self.view_scheduler();
        let program = self.program.as_mut()?;
        let (plan, noted) = program.memory.plan(key, now)?;
        if noted {
            self.save_history(key);
        }
        self.look_for(Occasion::Plan(&plan));
        Some(plan)
    }

    fn save_history(&mut self, key: &ObjectKey) {
        let Some(program) = &self.program else { return };
        if let Some(history) = program.memory.histories.get(key).cloned() {
            self.write_loop(Write::Note { object: key.clone(), history }, Whom::Nobody);
        }
    }

    /// The next step of a job that waits for nothing.
    fn step_job(&mut self, key: &ObjectKey) {
        let Some(job) = self.program.as_mut().and_then(|program| program.jobs.get_mut(key)) else { return };
        if let Some(book) = job.books.pop_front() {
            job.doing = Doing::Book(book.clone());
            let write = match book {
                Bookkeeping::Adopt(target) => Write::Hold { object: key.clone(), holding: self.held(target) },
                Bookkeeping::Release(target) => Write::Release { object: key.clone(), target },
            };
            self.write_loop(write, Whom::Job(key.clone()));
        } else if let Some((id, done)) = job.leftovers.pop_front() {
            job.doing = Doing::Settle(id);
            self.settle(key, id, done);
        } else if let Some(intent) = job.intents.pop_front() {
            self.begin(key, intent);
        } else {
            self.end_job(key, None);
        }
    }

    fn settle(&mut self, key: &ObjectKey, id: u64, done: bool) {
        let Some(action) = self.disk.tables.journal.get(&id).cloned() else { return self.step_job(key) };
        let effect = match (done, action.verb) {
            (false, _) => Effect::Nothing,
            (true, Verb::Load | Verb::Enqueue) => Effect::Hold(self.held(action.target.clone())),
            (true, Verb::Unload | Verb::Cancel) => Effect::Release(action.target.clone()),
        };
        self.believe(key, &effect);
        let audit = self.audit_of(id, &action.verb, key, if done { "ok" } else { "abandoned" });
        self.write_loop(Write::Finish { id, effect, audit }, Whom::Job(key.clone()));
    }

    /// Asks whether it may be done now, and notes that it is about to be done.
    fn begin(&mut self, key: &ObjectKey, intent: Intent) {
        if let Err(hold) = self.ask_scheduler(key, &intent) {
            self.trace(format_args!("{key}: {} {} refused: {}", intent.verb.as_str(), intent.target, hold.message));
            if let Some(program) = &mut self.program {
                program.memory.refusals.insert(key.clone(), hold);
                program.waiting.insert(key.clone());
                // Nothing of it is done now, so what stands open of an earlier try is not taken up.
                program.jobs.entry(key.clone()).and_modify(|job| job.intents.clear());
            }
            self.take_up_leftovers(key);
            return self.step_job(key);
        }
        let open = self.disk.tables.journal.iter().find(|(_, action)| {
            action.open && action.object == *key && action.verb == intent.verb && action.target == intent.target
        });
        let id = open.map_or(self.next_action, |(id, _)| *id);
        self.next_action = self.next_action.max(id + 1);
        let action = Action { object: key.clone(), verb: intent.verb, target: intent.target.clone(), open: true };
        self.set_doing(key, Doing::Begin { id, intent });
        self.write_loop(Write::Begin { id, action }, Whom::Job(key.clone()));
    }

    /// A write of a job came back.
    pub fn job_written(&mut self, key: &ObjectKey, fate: Fate) {
        let Some(job) = self.program.as_mut().and_then(|program| program.jobs.get_mut(key)) else { return };
        let doing = std::mem::replace(&mut job.doing, Doing::Nothing);
        let failed = fate != Fate::Written;
        match doing {
            Doing::Settle(_) if failed => self.fail_job(key, "the disk is full"),
            Doing::Book(_) if failed => self.fail_job(key, "the disk is full"),
            Doing::Book(book) => {
                match book {
                    Bookkeeping::Adopt(target) => self.believe(key, &Effect::Hold(self.held(target))),
                    Bookkeeping::Release(target) => self.believe(key, &Effect::Release(target)),
                }
                self.step_job(key);
            }
            Doing::Settle(id) => {
                self.closed(key, id);
                self.step_job(key);
            }
            Doing::Begin { intent, .. } if failed => {
                drop(intent);
                self.end_claim(key, Some("it could not be written down"), 0);
                self.fail_job(key, "the disk is full");
            }
            Doing::Begin { id, intent } => self.act(key, id, intent),
            Doing::Finish { id, intent, problem, took_ms } => {
                if failed && let Some(program) = &mut self.program {
                    program.open.entry(key.clone()).or_default().insert(id);
                } else {
                    self.closed(key, id);
                }
                let failure = if failed { Some("it could not be written down") } else { problem.as_deref() };
                self.end_claim(key, failure, took_ms);
                self.finished(key, &intent, problem, failed);
            }
            Doing::Nothing | Doing::Act { .. } | Doing::Look { .. } => {}
        }
    }

    /// A journal entry stands open no longer.
    fn closed(&mut self, key: &ObjectKey, id: u64) {
        if let Some(open) = self.program.as_mut().and_then(|program| program.open.get_mut(key)) {
            open.remove(&id);
        }
    }

    fn act(&mut self, key: &ObjectKey, id: u64, intent: Intent) {
        let began_ms = self.clocks.true_ms;
        if let Some(saw) = &intent.corrects {
            let now = self.clocks.wall();
            if let Some(program) = &mut self.program {
                let history = program.memory.histories.entry(key.clone()).or_default();
                drift_loop::note(history, saw.clone(), now);
            }
            self.save_history(key);
        }
        match &intent.target {
            Target::Model { runtime, served_as, .. } => {
                let loads = intent.verb == Verb::Load;
                let ask = if loads { Ask::Load(served_as.clone()) } else { Ask::Unload(served_as.clone()) };
                let runtime = runtime.clone();
                let at = ModelAt { runtime: runtime.clone(), served_as: served_as.as_str().into() };
                self.look_for(Occasion::Call(&at, if loads { ClaimVerb::Load } else { ClaimVerb::Unload }));
                self.set_doing(key, Doing::Act { id, intent, began_ms });
                self.call(&runtime, ask, LOAD_LIMIT_MS, Purpose::Act(key.clone()));
            }
            Target::Task { .. } => {
                let problem = self.carry_out_task(key, &intent).err();
                self.finish(key, id, intent, problem, 0);
            }
        }
    }

    /// The runtime answered; whatever it said, what is so is seen before anything is said of it.
    pub fn job_answered(&mut self, key: &ObjectKey, answer: &Answer) {
        let Some(job) = self.program.as_mut().and_then(|program| program.jobs.get_mut(key)) else { return };
        let Doing::Act { id, intent, began_ms } = std::mem::replace(&mut job.doing, Doing::Nothing) else { return };
        let Target::Model { runtime, .. } = &intent.target else { return };
        let runtime = runtime.clone();
        let problem = match answer {
            Answer::Failed(fault) => Some(fault.as_str().to_owned()),
            Answer::Seen(_) | Answer::Done => None,
        };
        self.set_doing(key, Doing::Look { id, intent, began_ms, problem });
        self.look(&runtime, Purpose::LookAfter(key.clone(), runtime.clone()));
    }

    /// The look after an action came back.
    pub fn job_looked(&mut self, key: &ObjectKey, seen: bool) {
        let Some(job) = self.program.as_mut().and_then(|program| program.jobs.get_mut(key)) else { return };
        let Doing::Look { id, intent, began_ms, problem } = std::mem::replace(&mut job.doing, Doing::Nothing) else {
            return;
        };
        let problem = problem.or_else(|| (!seen).then(|| "it could not be seen afterwards".to_owned()));
        let took_ms = self.clocks.true_ms - began_ms;
        self.finish(key, id, intent, problem, took_ms);
    }

    fn finish(&mut self, key: &ObjectKey, id: u64, intent: Intent, problem: Option<String>, took_ms: u64) {
        let effect = match (&problem, intent.verb) {
            (Some(_), _) => Effect::Nothing,
            (None, Verb::Load | Verb::Enqueue) => Effect::Hold(self.held(intent.target.clone())),
            (None, Verb::Unload | Verb::Cancel) => Effect::Release(intent.target.clone()),
        };
        let audit = self.audit_of(id, &intent.verb, key, problem.as_deref().unwrap_or("ok"));
        self.set_doing(key, Doing::Finish { id, intent, problem, took_ms });
        self.write_loop(Write::Finish { id, effect, audit }, Whom::Job(key.clone()));
    }

    fn finished(&mut self, key: &ObjectKey, intent: &Intent, problem: Option<String>, failed: bool) {
        if failed {
            return self.fail_job(key, "the disk is full");
        }
        if let Some(problem) = problem {
            return self.fail_job(key, &problem);
        }
        let effect = match intent.verb {
            Verb::Load | Verb::Enqueue => Effect::Hold(self.held(intent.target.clone())),
            Verb::Unload | Verb::Cancel => Effect::Release(intent.target.clone()),
        };
        self.believe(key, &effect);
        self.step_job(key);
    }

    /// A new entry of the inventory.
    pub fn held(&self, target: Target) -> Holding {
        let now = self.clocks.wall();
        let views = self.program.as_ref().map(|program| &program.memory.views);
        let since = views.map_or(now, |views| held_since(&target, views, now));
        Holding { target, since, deleting_since: None, deadline: None }
    }

    fn believe(&mut self, key: &ObjectKey, effect: &Effect) {
        let Some(program) = &mut self.program else { return };
        match effect {
            Effect::Nothing => {}
            Effect::Hold(holding) => program.memory.hold(key, holding.clone()),
            Effect::Release(target) => program.memory.release(key, target),
        }
    }

    fn fail_job(&mut self, key: &ObjectKey, why: &str) {
        let Some(program) = &mut self.program else { return };
        let failures = program.failures.entry(key.clone()).or_default();
        *failures = failures.saturating_add(1);
        let wait_ms = (BACKOFF_MS.0 << (*failures).min(10)).min(BACKOFF_MS.1);
        self.trace(format_args!("{key}: failed: {why}"));
        self.end_job(key, Some(wait_ms));
    }

    /// The job ends; the object is looked at again after `retry_ms`, or when its plan says so.
    fn end_job(&mut self, key: &ObjectKey, retry_ms: Option<u64>) {
        let Some(program) = &mut self.program else { return };
        let Some(job) = program.jobs.remove(key) else { return };
        let now_ms = self.clocks.true_ms;
        if let Some(ms) = retry_ms {
            self.wake_at(key, now_ms + ms);
            return;
        }
        program.failures.remove(key);
        let Some(plan) = self.plan(key) else { return self.bury(key) };
        let hold_until = plan.status.hold.as_ref().and_then(|hold| hold.until);
        let wait_ms = if job.again || !plan.intents.is_empty() {
            100
        } else if let Some(until) = hold_until {
            crate::core::clock::millis_since(self.clocks.wall(), until) + 20
        } else if plan.status.hold.as_ref().is_some_and(|hold| is_the_schedulers(hold.reason)) {
            if let Some(program) = &mut self.program {
                program.waiting.insert(key.clone());
            }
            WAIT_MAX_MS
        } else if plan.status.sync == Sync::InSync || plan.status.hold.is_some() {
            RESYNC_MS
        } else {
            WAIT_MAX_MS
        };
        self.wake_at(key, now_ms + wait_ms);
    }

    fn set_doing(&mut self, key: &ObjectKey, doing: Doing) {
        if let Some(job) = self.program.as_mut().and_then(|program| program.jobs.get_mut(key)) {
            job.doing = doing;
        }
    }

    pub fn audit_of(&self, id: u64, verb: &Verb, key: &ObjectKey, result: &str) -> Option<Audit> {
        Some(Audit {
            verb: verb.as_str().into(),
            object: key.to_string(),
            result: result.into(),
            cause: format!("journal {id}"),
        })
    }
}

/// Whether the scheduler's letting go is what an object waits for.
fn is_the_schedulers(reason: HoldReason) -> bool {
    matches!(reason, HoldReason::Lock | HoldReason::Lease | HoldReason::VramFull)
}
