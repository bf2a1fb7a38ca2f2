//! What the disk is, as a plain value: what each record changes, what it refuses, and what is read back from it.
//!
//! The store keeps this contract in SQLite. Simulations write to this one, cut it off anywhere, and recover from it; a test
//! holds both to the same answers.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::decide::scheduler::{ClaimVerb, Config, LeaseId, ModelAt, Over, TaskSeq};

use super::record::{AttemptEnd, Audit, Record};
use super::stored::{OpenCall, Phase, Restored, Stored, StoredLease};

/// What is on disk.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    pub tasks: BTreeMap<TaskSeq, Entry>,
    pub leases: BTreeMap<LeaseId, StoredLease>,
    /// Loads and unloads that stand open.
    pub open: BTreeMap<(ModelAt, bool), OpenCall>,
    pub audit: Vec<Audit>,
}

/// A task on disk.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub stored: Stored,
    /// None while it waits or runs.
    pub over: Option<How>,
}

/// How a task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    Done,
    Error,
    Cancelled,
}

impl Ledger {
    /// Takes a new task in.
    pub fn accept(&mut self, stored: Stored) {
        self.tasks.entry(stored.request.task).or_insert(Entry { stored, over: None });
    }

    /// Lets a task that failed or was cancelled run again: the same task, its attempts kept, a fresh allowance of failures.
    pub fn reopen(&mut self, task: TaskSeq) -> Option<Stored> {
        let entry =
            self.tasks.get_mut(&task).filter(|entry| matches!(entry.over, Some(How::Error | How::Cancelled)))?;
        entry.over = None;
        let stored = &mut entry.stored;
        (stored.failures, stored.interruptions, stored.retry_at) = (0, 0, None);
        Some(stored.clone())
    }

    /// Writes a record.
    ///
    /// # Errors
    /// A sentence that says why what is there does not allow it; nothing is changed then.
    pub fn write(&mut self, record: &Record) -> Result<(), String> {
        match record {
            Record::Start { task, attempt, .. } => {
                let stored = self.waiting(*task)?;
                if stored.request.attempts + 1 != *attempt {
                    return Err(format!("attempt {attempt} does not follow {}", stored.request.attempts));
                }
                (stored.request.attempts, stored.phase, stored.retry_at) = (*attempt, Phase::Running, None);
            }
            Record::End { task, attempt, end, .. } => self.end(*task, *attempt, end)?,
            Record::Fail { task, .. } => {
                self.waiting(*task)?;
                self.settle(*task, How::Error);
            }
            Record::Cancel { task, .. } => {
                self.waiting(*task)?;
                self.settle(*task, How::Cancelled);
            }
            Record::Reroute { task, runtime, model, .. } => {
                let stored = self.unfinished(*task)?;
                (stored.request.runtime, stored.request.model) = (runtime.clone(), model.clone());
            }
            Record::Begin { at, model, verb, because } => {
                let call = OpenCall { at: at.clone(), model: model.clone(), verb: *verb, because: because.clone() };
                self.open.entry((at.clone(), *verb == ClaimVerb::Load)).or_insert(call);
            }
            Record::Finish { at, verb, .. } => {
                let open = self.open.remove(&(at.clone(), *verb == ClaimVerb::Load));
                open.ok_or_else(|| format!("nothing stands open for {at}"))?;
            }
            Record::LeaseAsked { lease, by } => {
                if self.leases.contains_key(&lease.id) {
                    return Err(format!("lease {} is there already", lease.id));
                }
                let stored = StoredLease { request: (**lease).clone(), by: by.clone() };
                self.leases.insert(Arc::clone(&lease.id), stored);
            }
            Record::LeaseGranted { id, .. } => {
                let waits = self.leases.get_mut(id).filter(|lease| !lease.request.held);
                waits.ok_or_else(|| format!("no lease {id} waits"))?.request.held = true;
            }
            Record::LeaseEnded { id, .. } => {
                self.leases.remove(id).ok_or_else(|| format!("no lease {id}"))?;
            }
        }
        self.audit.extend(record.audit());
        Ok(())
    }

    fn end(&mut self, task: TaskSeq, attempt: u32, end: &AttemptEnd) -> Result<(), String> {
        let stored = self.unfinished(task)?;
        if stored.phase != Phase::Running || stored.request.attempts != attempt {
            return Err(format!("attempt {attempt} is not the one running"));
        }
        stored.phase = Phase::Waiting;
        match end {
            AttemptEnd::Done => self.settle(task, How::Done),
            AttemptEnd::Failed { .. } => self.settle(task, How::Error),
            AttemptEnd::Cancelled { .. } => self.settle(task, How::Cancelled),
            AttemptEnd::Interrupted { counts, .. } => stored.interruptions += u32::from(*counts),
            AttemptEnd::Again { retry_at, message, .. } => {
                stored.failures += 1;
                stored.retry_at = Some((*retry_at, message.clone()));
            }
        }
        Ok(())
    }

    fn settle(&mut self, task: TaskSeq, how: How) {
        if let Some(entry) = self.tasks.get_mut(&task) {
            entry.over = Some(how);
        }
    }

    fn unfinished(&mut self, task: TaskSeq) -> Result<&mut Stored, String> {
        match self.tasks.get_mut(&task) {
            Some(Entry { stored, over: None }) => Ok(stored),
            Some(_) => Err(format!("task {} is over", task.0)),
            None => Err(format!("there is no task {}", task.0)),
        }
    }

    fn waiting(&mut self, task: TaskSeq) -> Result<&mut Stored, String> {
        let stored = self.unfinished(task)?;
        if stored.phase == Phase::Waiting { Ok(stored) } else { Err(format!("task {} runs", task.0)) }
    }

    /// What a start reads: everything that is not over, with what is known by now of the tasks that others depend on.
    #[must_use]
    pub fn read(&self, config: Arc<Config>) -> Restored {
        let over: BTreeMap<&Arc<str>, How> =
            self.tasks.values().filter_map(|entry| Some((&entry.stored.request.id, entry.over?))).collect();
        let mut tasks: Vec<Stored> =
            self.tasks.values().filter(|entry| entry.over.is_none()).map(|entry| entry.stored.clone()).collect();
        for dependency in tasks.iter_mut().flat_map(|stored| &mut stored.request.depends_on) {
            dependency.over = over.get(&dependency.id).map(|how| how.over());
        }
        Restored {
            config,
            tasks,
            leases: self.leases.values().cloned().collect(),
            open: self.open.values().cloned().collect(),
            history: Vec::new(),
        }
    }
}

impl How {
    /// What that means for those that depend on it.
    #[must_use]
    pub fn over(self) -> Over {
        match self {
            Self::Done => Over::Done,
            Self::Error | Self::Cancelled => Over::Failed,
        }
    }
}
