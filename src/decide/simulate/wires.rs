//! The ways between the program and the world: writes to the disk, calls to runtimes, and what is heard of them.

use crate::core::Name;
use crate::core::rng::Rng;

use super::broken::Broken;
use super::disk::{Fate, Write};
use super::event::{Event, Line, Put, Whom};
use super::invariant::Occasion;
use super::ledger::Flaws;
use super::machines::{Answer, Ask, CallId};
use super::program::Purpose;
use super::run::Simulation;
use super::trace::Fnv;

/// How long a write takes.
const WRITE_MS: u64 = 1;

impl Simulation<'_> {
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

    pub(super) fn written(&mut self) {
        let Some(((line, whom), fate, put)) = self.disk.pop() else { return };
        let lies = self.rule == Some(Broken::ArtifactRecordedTwice) && matches!(line, Line::Record(_));
        let outcome = if put || (lies && fate == Fate::Full) { self.put(&line) } else { Put::Nothing };
        if fate == Fate::Crashed {
            return self.crash();
        }
        match (whom, line) {
            (Whom::Nobody, _) => {}
            (Whom::Job(key), _) => self.job_written(&key, fate),
            (Whom::Revision(assembly, removals), _) => self.revision_written(*assembly, &removals, fate),
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

    pub(super) fn heard(&mut self, call: CallId) {
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
