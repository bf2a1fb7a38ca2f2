//! Looking at heads: in the order of their keys, each once for every change that may have set it free.

use std::collections::BTreeSet;

use super::decision::Decision;
use super::id::{LeaseId, Moment, TaskSeq};
use super::line::{Key, LineIx};
use super::reason::Reason;
use super::state::State;

/// What came of looking at a head.
#[derive(Debug, PartialEq)]
pub(super) enum Look {
    Started,
    Waits(Reason),
}

/// Who may be next: a line's head, or a lease that waits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Candidate {
    Line(LineIx),
    Lease(LeaseId),
}

impl State {
    /// Looks at every head that may have become free, the first in order first, until nothing more starts. Then what made
    /// way for an exclusive holder comes back, unless the next one follows at once.
    pub(super) fn dispatch(&mut self, now: Moment, out: &mut Vec<Decision>) {
        let mut heads: BTreeSet<(Key, Candidate)> = BTreeSet::new();
        loop {
            self.collect(&mut heads);
            match heads.pop_first() {
                Some((_, Candidate::Lease(id))) => self.look_at_lease(&id, now, out),
                Some((_, Candidate::Line(line))) => {
                    let Some(key) = self.lines[line].head() else { continue };
                    match self.look_at_head(line, key, now, out) {
                        Look::Started => {
                            if let Some(next) = self.lines[line].head() {
                                heads.insert((next, Candidate::Line(line)));
                            }
                        }
                        Look::Waits(reason) => self.tell(line, key, reason, out),
                    }
                }
                None => match self.returns.pop_first() {
                    Some(gpu) => self.restore(gpu, out),
                    None => return,
                },
            }
        }
    }

    /// Adds what has become dirty meanwhile, without those that surely wait for the same as before.
    fn collect(&mut self, heads: &mut BTreeSet<(Key, Candidate)>) {
        while let Some(line) = self.dirty.pop_first() {
            self.wake(line);
            if let Some(key) = self.lines[line].head().filter(|_| !self.waits_as_before(line)) {
                heads.insert((key, Candidate::Line(line)));
            }
        }
        if std::mem::take(&mut self.leases_dirty) {
            let waiting = self.leases.iter().filter(|(_, lease)| !lease.is_granted);
            heads.extend(waiting.map(|(id, lease)| (lease.key, Candidate::Lease(id.clone()))));
        }
        self.wake_for_slots(heads);
    }

    /// Says why the head of a line waits, when that is news.
    fn tell(&mut self, line: LineIx, key: Key, reason: Reason, out: &mut Vec<Decision>) {
        let task = TaskSeq(key.seq);
        if self.lines[line].told().is_none_or(|before| !before.is_same_news(&reason)) {
            out.push(Decision::Wait { task, reason: reason.clone() });
        }
        self.lines[line].reason = Some((reason, task));
        self.let_rest(line);
    }
}
