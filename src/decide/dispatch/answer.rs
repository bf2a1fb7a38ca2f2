//! What follows from a record being on disk, or not.

use crate::decide::scheduler::view::Explanation;
use crate::decide::scheduler::{Moment, Reason, State, TaskSeq};

use super::core::{Core, Later, Machine, WRITE_AGAIN_MS};
use super::input::NotWritten;
use super::op::{Note, Op};
use super::record::{AttemptEnd, LeaseEnd, Record};

impl<M: Machine> Core<M> {
    pub(super) fn written(&mut self, record: Record, now: Moment) {
        match record {
            Record::Start { task, attempt, place, .. } => self.started(task, attempt, place, now),
            Record::End { task, end, .. } => self.attempt_over(task, end, now),
            Record::Fail { task, .. } => self.failed_for_good(task),
            Record::Cancel { task, .. } => self.cancelled(task),
            Record::Reroute { task, runtime, model, .. } => self.rerouted(task, runtime, model),
            Record::Begin { at, verb, .. } => self.begun(at, verb),
            Record::Finish { at, verb, because, result, .. } => self.call_over(at, verb, &because, result),
            Record::LeaseAsked { lease, .. } => self.lease_asked(*lease),
            Record::LeaseGranted { id, .. } => self.granted(id, now),
            Record::LeaseEnded { id, end, .. } => self.lease_ended(id, end, now),
        }
    }

    /// What a person asked for fails, and they are told; what must be told sooner or later is written again.
    pub(super) fn not_written(&mut self, record: Record, why: &NotWritten, now: Moment) {
        let (unavailable, words) = match why {
            NotWritten::Unavailable(words) => (true, words.clone()),
            NotWritten::Refused(words) => (false, words.clone()),
        };
        match record {
            Record::Start { task, .. } => self.start_not_written(task, unavailable),
            Record::Begin { at, verb, .. } => self.not_begun(at, verb, words, now),
            Record::Cancel { task, .. } => self.not_cancelled(task),
            Record::Reroute { .. } => {}
            Record::LeaseAsked { lease, .. } => {
                self.leases.remove(&lease.id);
            }
            Record::LeaseEnded { ref id, end: LeaseEnd::Released, .. } => self.lease_goes_on(id),
            Record::End { .. }
            | Record::Fail { .. }
            | Record::Finish { .. }
            | Record::LeaseGranted { .. }
            | Record::LeaseEnded { end: LeaseEnd::Expired, .. }
                if unavailable =>
            {
                self.tell_unwritten(&record, &words, now);
                self.later(WRITE_AGAIN_MS, now, Later::Write(record));
            }
            // What it made cannot be recorded, for example because a file has its name: that is how it failed.
            Record::End { task, id, attempt, end: AttemptEnd::Done } => {
                let end = AttemptEnd::Failed { code: "internal", message: words };
                self.write(Record::End { task, id, attempt, end });
            }
            // The disk has it so, or has it as something else that is over: there is nothing left to write.
            Record::End { task, end, .. } => self.attempt_over(task, end, now),
            Record::Fail { task, .. } => self.failed_for_good(task),
            Record::Finish { at, verb, because, result, .. } => self.call_over(at, verb, &because, result),
            Record::LeaseGranted { id, .. } | Record::LeaseEnded { id, .. } => {
                self.lease_ended(id, LeaseEnd::Released, now);
            }
        }
    }
    /// A task that fails, while nothing can say so on disk, waits for that: the scheduler has forgotten it already.
    fn tell_unwritten(&mut self, record: &Record, why: &str, now: Moment) {
        let Record::Fail { task, id, message, .. } = record else { return };
        let until_ms = now.steady_ms.saturating_add(WRITE_AGAIN_MS);
        let failed = format!("it fails ({message}), which cannot be written down: {why}");
        self.unwritten.insert(*task, Reason::Backoff { until_ms, failed: failed.clone() });
        self.ops.push(Op::Note(Note::Why {
            task: *task,
            id: id.clone(),
            reason: Reason::Backoff { until_ms, failed },
        }));
    }
}

impl Core<State> {
    /// The answer to "why does it wait": the scheduler's, or that its end could not be written down yet, of which the
    /// scheduler knows nothing.
    #[must_use]
    pub fn explain(&self, task: TaskSeq, now: Moment) -> Option<Explanation> {
        self.machine.explain(task, now).or_else(|| Some(Explanation::of(self.unwritten(task)?, now)))
    }
}

impl<M: Machine> Core<M> {
    /// Why a task that should be over is not: it could not be written down yet. The scheduler knows nothing of it.
    #[must_use]
    pub fn unwritten(&self, task: TaskSeq) -> Option<&Reason> {
        self.unwritten.get(&task)
    }
}
