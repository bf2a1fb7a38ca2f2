//! Who waits for what became of a task or a lease. An answer that nobody waits for any more is dropped.

use std::collections::HashMap;

use tokio::sync::oneshot;

use crate::decide::dispatch::{AttemptEnd, NotWritten, Record};
use crate::decide::scheduler::{LeaseId, TaskSeq};
use crate::remember::store::row::TaskState;

use super::inbox::{Refusal, Reply};

/// Who waits for what.
#[derive(Default)]
pub struct Waiters {
    cancels: HashMap<TaskSeq, Vec<Reply<TaskState>>>,
    reroutes: HashMap<TaskSeq, Vec<Reply<()>>>,
    ends: HashMap<TaskSeq, Vec<oneshot::Sender<()>>>,
    asks: HashMap<LeaseId, Vec<Reply<()>>>,
    grants: HashMap<LeaseId, Vec<Reply<()>>>,
    releases: HashMap<LeaseId, Vec<Reply<()>>>,
}

fn tell<T: Clone>(waiting: Option<Vec<Reply<T>>>, answer: &Result<T, Refusal>) {
    for reply in waiting.into_iter().flatten() {
        // Whoever asked may have gone away.
        drop(reply.send(answer.clone()));
    }
}

impl Waiters {
    pub fn cancel(&mut self, task: TaskSeq, reply: Reply<TaskState>) {
        self.cancels.entry(task).or_default().push(reply);
    }

    pub fn reroute(&mut self, task: TaskSeq, reply: Reply<()>) {
        self.reroutes.entry(task).or_default().push(reply);
    }

    pub fn end(&mut self, task: TaskSeq, reply: oneshot::Sender<()>) {
        self.ends.entry(task).or_default().push(reply);
    }

    pub fn ask(&mut self, lease: LeaseId, reply: Reply<()>) {
        self.asks.entry(lease).or_default().push(reply);
    }

    pub fn grant(&mut self, lease: LeaseId, reply: Reply<()>) {
        self.grants.entry(lease).or_default().push(reply);
    }

    pub fn release(&mut self, lease: LeaseId, reply: Reply<()>) {
        self.releases.entry(lease).or_default().push(reply);
    }

    pub fn granted(&mut self, lease: &LeaseId) {
        tell(self.grants.remove(lease), &Ok(()));
    }

    pub fn lease_over(&mut self, lease: &LeaseId) {
        tell(self.grants.remove(lease), &Err(Refusal::Unknown(format!("lease {lease} is over"))));
    }

    /// A record was, or was not, written.
    pub fn answered(&mut self, record: &Record, result: &Result<(), NotWritten>) {
        let plain = result.clone().map_err(|why| match why {
            NotWritten::Refused(words) => Refusal::Conflict(words),
            NotWritten::Unavailable(words) => Refusal::Unavailable(words),
        });
        match (record, &plain) {
            (Record::Cancel { task, .. }, Err(refusal)) => tell(self.cancels.remove(task), &Err(refusal.clone())),
            (Record::Cancel { task, .. }, Ok(())) => self.over(*task, TaskState::Cancelled),
            (Record::Fail { task, .. }, Ok(())) => self.over(*task, TaskState::Error),
            (Record::End { task, end, .. }, Ok(())) => match end {
                AttemptEnd::Done => self.over(*task, TaskState::Done),
                AttemptEnd::Failed { .. } => self.over(*task, TaskState::Error),
                AttemptEnd::Cancelled { .. } => self.over(*task, TaskState::Cancelled),
                AttemptEnd::Interrupted { .. } | AttemptEnd::Again { .. } => {}
            },
            (Record::Reroute { task, .. }, _) => tell(self.reroutes.remove(task), &plain),
            (Record::LeaseAsked { lease, .. }, _) => tell(self.asks.remove(&lease.id), &plain),
            (Record::LeaseEnded { id, .. }, _) => tell(self.releases.remove(id), &plain),
            (Record::Fail { .. } | Record::End { .. }, Err(_))
            | (Record::Start { .. } | Record::Begin { .. } | Record::Finish { .. } | Record::LeaseGranted { .. }, _) => {
            }
        }
    }

    fn over(&mut self, task: TaskSeq, state: TaskState) {
        tell(self.cancels.remove(&task), &Ok(state));
        tell(self.reroutes.remove(&task), &Err(Refusal::Conflict(format!("it is over: {}", state.as_str()))));
        for reply in self.ends.remove(&task).into_iter().flatten() {
            // Whoever waited may have gone away.
            let _ = reply.send(());
        }
    }
}
