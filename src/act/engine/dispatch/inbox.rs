//! What can be sent to the scheduler's loop, and how answers come back.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tokio::sync::{mpsc, oneshot};

use crate::act::runtime::RuntimeError;
use crate::core::{Name, ObjectKey};
use crate::decide::dispatch::{ClaimId, Input, NotWritten, Record, RunOutcome, Stored, WriteId};
use crate::decide::reconcile::Hold;
use crate::decide::scheduler::view::Explanation;
use crate::decide::scheduler::{ClaimVerb, LeaseId, LeaseRequest, ModelAt, SchedulerView, TaskSeq};
use crate::remember::store::Yield;
use crate::remember::store::row::TaskState;

/// Why a verb could not be carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is over, or never was.
    #[error("{0}")]
    Unknown(String),
    /// It cannot be done to what is there.
    #[error("{0}")]
    Conflict(String),
    /// The disk cannot be written.
    #[error("{0}")]
    Unavailable(String),
    #[error("Arcology is ending")]
    Ending,
}

/// How an answer comes back.
pub type Reply<T> = oneshot::Sender<Result<T, Refusal>>;

/// What is sent to the loop.
pub enum Message {
    Input(Input),
    /// A task that the store has taken in.
    Accepted {
        stored: Box<Stored>,
        object: Option<ObjectKey>,
    },
    /// The planner asks before it acts.
    Claim {
        at: ModelAt,
        verb: ClaimVerb,
        reply: oneshot::Sender<Result<ClaimId, Hold>>,
    },
    Cancel {
        id: String,
        by: String,
        reason: String,
        reply: Reply<TaskState>,
    },
    Reroute {
        id: String,
        runtime: Option<Name>,
        model: Option<Name>,
        by: String,
        reply: Reply<()>,
    },
    Lease(LeaseAsk),
    Explain {
        id: String,
        reply: oneshot::Sender<Option<Explanation>>,
    },
    /// What the scheduler holds and does at this very moment, with so many rows of its queue.
    View {
        rows: usize,
        reply: oneshot::Sender<SchedulerView>,
    },
    /// Answered once the task is over, or when it is not known as one that is not over.
    End {
        id: String,
        reply: oneshot::Sender<()>,
    },
    /// A record was, or was not, written.
    Answered {
        id: WriteId,
        record: Record,
        result: Result<(), NotWritten>,
    },
    /// An attempt is over, with what it leaves.
    Ran {
        task: TaskSeq,
        attempt: u32,
        outcome: RunOutcome,
        left: Yield,
    },
    /// A load or unload of the scheduler is over.
    Called {
        at: ModelAt,
        verb: ClaimVerb,
        took_ms: u64,
        result: Result<(), RuntimeError>,
    },
}

/// What holders of leases ask.
pub enum LeaseAsk {
    /// Answered once it is written down that it was asked for.
    Ask {
        lease: Box<LeaseRequest>,
        by: String,
        reply: Reply<()>,
    },
    /// Answered once the lease is granted, or over.
    Wait {
        id: LeaseId,
        reply: Reply<()>,
    },
    /// A sign of life; without a time it lives on as long as it asked for.
    Renew {
        id: LeaseId,
        ttl_ms: Option<u64>,
        reply: Reply<()>,
    },
    Release {
        id: LeaseId,
        by: String,
        reply: Reply<()>,
    },
}

/// Where messages are put. Cheap to clone through the `Shared` that holds it.
#[derive(Debug)]
pub struct Inbox {
    sender: mpsc::UnboundedSender<Message>,
    /// Tasks that the store has and the loop has not taken up yet.
    arriving: AtomicUsize,
    /// Tasks that are not over, as of the last batch.
    unfinished: AtomicUsize,
    claims: AtomicU64,
}

impl Inbox {
    /// An inbox and its other end.
    #[must_use]
    pub fn new() -> (Self, mpsc::UnboundedReceiver<Message>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let zero = AtomicUsize::new(0);
        (Self { sender, arriving: zero, unfinished: AtomicUsize::new(0), claims: AtomicU64::new(0) }, receiver)
    }

    /// So many tasks are there from the start.
    pub fn begin(&self, unfinished: usize) {
        self.unfinished.store(unfinished, Ordering::SeqCst);
    }

    /// Sends a message. Once the loop has ended it is dropped, and so is whoever waits for its answer.
    pub fn send(&self, message: Message) {
        // An error means that the program ends: the next start takes everything up from the store.
        drop(self.sender.send(message));
    }

    pub fn input(&self, input: Input) {
        self.send(Message::Input(input));
    }

    /// Hands over a task that the store has taken in.
    pub fn accepted(&self, stored: Stored, object: Option<ObjectKey>) {
        self.arriving.fetch_add(1, Ordering::SeqCst);
        self.send(Message::Accepted { stored: Box::new(stored), object });
    }

    /// The loop has taken up an accepted task; `unfinished` are there now.
    pub(super) fn arrived(&self, count: usize, unfinished: usize) {
        self.unfinished.store(unfinished, Ordering::SeqCst);
        self.arriving.fetch_sub(count, Ordering::SeqCst);
    }

    /// How many tasks are not over.
    #[must_use]
    pub fn unfinished(&self) -> usize {
        // In this order a task that moves from one to the other is counted twice rather than never.
        self.arriving.load(Ordering::SeqCst) + self.unfinished.load(Ordering::SeqCst)
    }

    pub(super) fn next_claim(&self) -> ClaimId {
        ClaimId(self.claims.fetch_add(1, Ordering::Relaxed))
    }

    /// Sends a message made around a reply, and waits for it.
    ///
    /// # Errors
    /// What the loop answers; [`Refusal::Ending`] when it has ended.
    pub async fn ask<T>(&self, message: impl FnOnce(Reply<T>) -> Message) -> Result<T, Refusal> {
        let (reply, answer) = oneshot::channel();
        self.send(message(reply));
        answer.await.unwrap_or(Err(Refusal::Ending))
    }

    /// Asks before the planner loads or unloads a model. An admitted claim must be ended by [`Claim::end`], or ends as
    /// failed when it is dropped.
    ///
    /// # Errors
    /// What to wait for.
    pub async fn claim(&self, at: ModelAt, verb: ClaimVerb) -> Result<Claim<'_>, Hold> {
        let (reply, answer) = oneshot::channel();
        self.send(Message::Claim { at, verb, reply });
        let ending = || Hold {
            reason: crate::decide::reconcile::HoldReason::Lock,
            message: "Arcology is ending".to_owned(),
            who: None,
            until: None,
        };
        let id = answer.await.unwrap_or_else(|_| Err(ending()))?;
        Ok(Claim { inbox: self, id: Some(id) })
    }
}

/// Leave to load or unload a model.
#[derive(Debug)]
pub struct Claim<'a> {
    inbox: &'a Inbox,
    id: Option<ClaimId>,
}

impl Claim<'_> {
    /// Says how it ended.
    pub fn end(mut self, took_ms: u64, result: Result<(), crate::decide::dispatch::CallFailure>) {
        if let Some(claim) = self.id.take() {
            self.inbox.input(Input::ClaimEnded { claim, took_ms, result });
        }
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        if let Some(claim) = self.id.take() {
            let message = "given up before it was done".to_owned();
            let result = Err(crate::decide::dispatch::CallFailure { message, retry_after_ms: None });
            self.inbox.input(Input::ClaimEnded { claim, took_ms: 0, result });
        }
    }
}
