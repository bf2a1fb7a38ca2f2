//! The part of the simulated disk that the dispatcher writes to: tasks, attempts, artifacts, loads and leases.
//!
//! As in the store, each record supposes a state and is refused whole where that is not so. What a record changes is
//! counted apart from the audit entry that it leaves, so that the two can be compared.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::core::{ObjectKey, Timestamp};
use crate::decide::dispatch::{AttemptEnd, OpenCall, Phase, Record, Stored, StoredLease};
use crate::decide::reconcile::TaskFact;
use crate::decide::reconcile::inputs::TaskPhase;
use crate::decide::scheduler::{ClaimVerb, Dependency, Event, LeaseId, ModelAt, Over, Request, TaskSeq};

/// Where a task stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Waiting,
    Running,
    Done,
    Error,
    Cancelled,
}

impl State {
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Error | Self::Cancelled)
    }
}

/// A task on disk.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    pub request: Request,
    pub created_at: Timestamp,
    pub state: State,
    /// Attempts that were made.
    pub attempts: u32,
    pub failures: u32,
    pub interruptions: u32,
    pub retry_at: Option<(Timestamp, String)>,
    /// The committed Task it comes from.
    pub object: Option<ObjectKey>,
    /// How long its work takes.
    pub work_ms: u64,
    /// Attempts that left an artifact.
    pub artifacts: Vec<u32>,
    /// How often it came to an end: once, and once more for each time that a person let it run again.
    pub ends: u32,
    /// How often a person let it run again.
    pub reruns: u32,
    pub changed_at: Timestamp,
    pub message: Option<String>,
}

/// An entry of the audit that a record left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub verb: &'static str,
    pub object: String,
}

/// Everything that the dispatcher writes and reads back.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    pub tasks: BTreeMap<TaskSeq, Task>,
    /// Tasks by id.
    pub ids: BTreeMap<Arc<str>, TaskSeq>,
    pub leases: BTreeMap<LeaseId, StoredLease>,
    /// Loads and unloads that stand open.
    pub moves: BTreeMap<(ModelAt, bool), OpenCall>,
    pub history: Vec<Event>,
    pub audit: Vec<Entry>,
    /// Changes that must have left an audit entry each.
    pub mutations: u64,
    next_seq: u64,
}

/// Whether an audit entry is forgotten, an artifact recorded again, and so on: rules broken on purpose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flaws {
    pub forgets_audit: bool,
    pub records_twice: bool,
}

impl Ledger {
    /// Takes a task in; the first one where its id is known already. True when it is new.
    pub fn accept(
        &mut self,
        request: Request,
        object: Option<ObjectKey>,
        work_ms: u64,
        at: Timestamp,
    ) -> (TaskSeq, bool) {
        if let Some(seq) = self.ids.get(&request.id) {
            return (*seq, false);
        }
        self.next_seq += 1;
        let seq = TaskSeq(self.next_seq);
        let by_person = object.is_none();
        self.ids.insert(Arc::clone(&request.id), seq);
        let id = request.id.to_string();
        let request = Request { task: seq, ..request };
        let task = Task {
            request,
            created_at: at,
            state: State::Waiting,
            attempts: 0,
            failures: 0,
            interruptions: 0,
            retry_at: None,
            object,
            work_ms,
            artifacts: Vec::new(),
            ends: 0,
            reruns: 0,
            changed_at: at,
            message: None,
        };
        self.tasks.insert(seq, task);
        if by_person {
            self.mutations += 1;
            self.audit.push(Entry { verb: "submit", object: id });
        }
        (seq, true)
    }

    /// A person lets a task that failed or was cancelled run again.
    pub fn rerun(&mut self, seq: TaskSeq, at: Timestamp) -> bool {
        let Some(task) = self.tasks.get_mut(&seq).filter(|task| matches!(task.state, State::Error | State::Cancelled))
        else {
            return false;
        };
        task.state = State::Waiting;
        (task.failures, task.interruptions, task.retry_at) = (0, 0, None);
        task.reruns += 1;
        task.changed_at = at;
        self.mutations += 1;
        self.audit.push(Entry { verb: "retry", object: task.request.id.to_string() });
        true
    }

    /// Writes a record; false when what is on disk does not allow it.
    pub fn put(&mut self, record: &Record, at: Timestamp, flaws: Flaws) -> bool {
        let Some(mutates) = self.change(record, at, flaws) else { return false };
        self.mutations += u64::from(mutates);
        if let Some(audit) = record.audit().filter(|_| !flaws.forgets_audit || !matches!(record, Record::Cancel { .. }))
        {
            self.audit.push(Entry { verb: audit.verb, object: audit.object });
        }
        true
    }

    /// Changes the tables; whether that is a mutation of its own, or the first half of one. None where it is refused.
    fn change(&mut self, record: &Record, at: Timestamp, flaws: Flaws) -> Option<bool> {
        match record {
            Record::Start { task, attempt, .. } => {
                let task = self.tasks.get_mut(task).filter(|task| task.state == State::Waiting)?;
                if *attempt != task.attempts + 1 {
                    return None;
                }
                task.state = State::Running;
                task.attempts = *attempt;
                task.retry_at = None;
                task.changed_at = at;
                Some(false)
            }
            Record::End { task, attempt, end, .. } => {
                let again = flaws.records_twice && matches!(end, AttemptEnd::Done);
                let task = self.tasks.get_mut(task)?;
                if (task.state != State::Running && !(again && task.state == State::Done)) || task.attempts != *attempt
                {
                    return None;
                }
                task.end(*attempt, end, at);
                Some(true)
            }
            Record::Fail { task, message, .. } => {
                let task = self.tasks.get_mut(task).filter(|task| task.state == State::Waiting)?;
                task.over(State::Error, Some(message.clone()), at);
                Some(true)
            }
            Record::Cancel { task, .. } => {
                let task = self.tasks.get_mut(task).filter(|task| task.state == State::Waiting)?;
                task.over(State::Cancelled, None, at);
                Some(true)
            }
            Record::Reroute { task, runtime, model, .. } => {
                let task = self.tasks.get_mut(task).filter(|task| !task.state.is_final())?;
                task.request.runtime = runtime.clone();
                task.request.model = model.clone();
                Some(true)
            }
            Record::Begin { at, verb, model, because } => {
                let (at, model, because) = (at.clone(), model.clone(), because.clone());
                let call = OpenCall { at: at.clone(), model, verb: *verb, because };
                self.moves.insert((at, *verb == ClaimVerb::Load), call);
                Some(false)
            }
            Record::Finish { at, verb, .. } => {
                self.moves.remove(&(at.clone(), *verb == ClaimVerb::Load))?;
                Some(true)
            }
            Record::LeaseAsked { lease, by } => {
                let stored = StoredLease { request: (**lease).clone(), by: by.clone() };
                self.leases.insert(Arc::clone(&lease.id), stored).is_none().then_some(true)
            }
            Record::LeaseGranted { id, .. } => {
                let lease = self.leases.get_mut(id).filter(|lease| !lease.request.held)?;
                lease.request.held = true;
                Some(true)
            }
            Record::LeaseEnded { id, .. } => self.leases.remove(id).map(|_| true),
        }
    }

    /// Tasks that are not over, as they are taken up.
    #[must_use]
    pub fn unfinished(&self) -> Vec<Stored> {
        self.tasks.values().filter(|task| !task.state.is_final()).map(|task| self.stored(task)).collect()
    }

    /// Loads and unloads that stand open.
    #[must_use]
    pub fn open_calls(&self) -> Vec<OpenCall> {
        self.moves.values().cloned().collect()
    }

    /// A task as the dispatcher takes it up.
    #[must_use]
    pub fn stored(&self, task: &Task) -> Stored {
        let mut request = task.request.clone();
        request.attempts = task.attempts;
        for dependency in &mut request.depends_on {
            dependency.over = self.over(&dependency.id);
        }
        Stored {
            request,
            created_at: task.created_at,
            failures: task.failures,
            interruptions: task.interruptions,
            retry_at: task.retry_at.clone(),
            phase: if task.state == State::Running { Phase::Running } else { Phase::Waiting },
        }
    }

    /// What is known of a dependency.
    #[must_use]
    pub fn dependency(&self, id: Arc<str>) -> Dependency {
        let over = self.over(&id);
        Dependency { id, over }
    }

    fn over(&self, id: &str) -> Option<Over> {
        match self.tasks.get(self.ids.get(id)?)?.state {
            State::Done => Some(Over::Done),
            State::Error | State::Cancelled => Some(Over::Failed),
            State::Waiting | State::Running => None,
        }
    }

    /// What the planner should know of the tasks that committed Tasks became.
    #[must_use]
    pub fn facts(&self) -> BTreeMap<String, TaskFact> {
        let committed = self.tasks.values().filter(|task| task.object.is_some());
        committed
            .map(|task| {
                let phase = match task.state {
                    State::Waiting => TaskPhase::Waiting,
                    State::Running => TaskPhase::Running,
                    State::Done => TaskPhase::Done,
                    State::Error => TaskPhase::Failed,
                    State::Cancelled => TaskPhase::Cancelled,
                };
                let fact = TaskFact { phase, message: task.message.clone(), at: task.changed_at };
                (task.request.id.to_string(), fact)
            })
            .collect()
    }

    /// A task by its id.
    #[must_use]
    pub fn by_id(&self, id: &str) -> Option<&Task> {
        self.tasks.get(self.ids.get(id)?)
    }
}

impl Task {
    fn end(&mut self, attempt: u32, end: &AttemptEnd, at: Timestamp) {
        match end {
            AttemptEnd::Done => {
                self.artifacts.push(attempt);
                self.over(State::Done, None, at);
            }
            AttemptEnd::Failed { message, .. } => self.over(State::Error, Some(message.clone()), at),
            AttemptEnd::Cancelled { .. } => self.over(State::Cancelled, None, at),
            AttemptEnd::Interrupted { counts, .. } => {
                self.interruptions += u32::from(*counts);
                self.state = State::Waiting;
            }
            AttemptEnd::Again { retry_at, message, .. } => {
                self.failures += 1;
                self.retry_at = Some((*retry_at, message.clone()));
                self.state = State::Waiting;
            }
        }
        self.changed_at = at;
    }

    fn over(&mut self, state: State, message: Option<String>, at: Timestamp) {
        self.state = state;
        self.message = message;
        self.changed_at = at;
        self.ends += 1;
    }
}
