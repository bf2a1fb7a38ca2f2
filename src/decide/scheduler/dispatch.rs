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
enum Candidate {
    Line(LineIx),
    Lease(LeaseId),
}

impl State {
    /// Looks at every head that may have become free, the first in order first, until nothing more starts.
    pub(super) fn dispatch(&mut self, now: Moment, out: &mut Vec<Decision>) {
        let mut heads: BTreeSet<(Key, Candidate)> = BTreeSet::new();
        loop {
            self.collect(&mut heads);
            let Some((_, candidate)) = heads.pop_first() else { return };
            match candidate {
                Candidate::Lease(id) => self.look_at_lease(&id, now, out),
                Candidate::Line(line) => {
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
            }
        }
    }

    /// Adds what has become dirty meanwhile.
    fn collect(&mut self, heads: &mut BTreeSet<(Key, Candidate)>) {
        for line in std::mem::take(&mut self.dirty) {
            if let Some(key) = self.lines[line].head() {
                heads.insert((key, Candidate::Line(line)));
            }
        }
        if std::mem::take(&mut self.leases_dirty) {
            let waiting = self.leases.iter().filter(|(_, lease)| !lease.is_granted);
            heads.extend(waiting.map(|(id, lease)| (lease.key, Candidate::Lease(id.clone()))));
        }
    }

    /// Says why the head of a line waits, when that is news.
    fn tell(&mut self, line: LineIx, key: Key, reason: Reason, out: &mut Vec<Decision>) {
        let task = TaskSeq(key.seq);
        let told = self.lines[line].reason.as_ref();
        if told.is_some_and(|(before, to)| *to == task && before.is_same_news(&reason)) {
            self.lines[line].reason = Some((reason, task));
            return;
        }
        out.push(Decision::Wait { task, reason: reason.clone() });
        self.lines[line].reason = Some((reason, task));
    }
}
