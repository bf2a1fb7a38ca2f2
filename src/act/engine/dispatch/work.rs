//! The loop that owns the dispatcher's core: messages in, ops carried out, the view published after each burst.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::core::ObjectKey;
use crate::decide::dispatch::{ClaimId, Core, Input, NotWritten, Note, Op, Record, SpanKind, WriteId};
use crate::decide::reconcile::{Hold, lock};
use crate::decide::scheduler::{ClaimVerb, GpuId, SchedulerView, State, TaskSeq};
use crate::remember::store::{Stamp, Yield};

use super::super::carry_out;
use super::super::shared::Shared;
use super::effect::{self, Stop};
use super::inbox::{Message, Refusal};
use super::lessees::Lessees;
use super::pen::{Line, Pad, Sheet};
use super::waiters::Waiters;
use super::{fact, view};

/// At most one view, and one batch of notes, in this time.
const SHOW_EVERY_MS: u64 = 20;
/// The longest sleep: the wall clock may be set while nothing happens, and dates are compared with it.
const NAP_MAX_MS: u64 = 30_000;
/// How long the end waits for running attempts and for what is still to be written.
const SETTLE_MAX: Duration = Duration::from_secs(5);

/// What the loop is made of.
pub struct Parts {
    pub core: Core<State>,
    /// What recovering asks for.
    pub ops: Vec<Op>,
    /// The committed Tasks that unfinished tasks come from.
    pub objects: HashMap<TaskSeq, ObjectKey>,
    /// Whose leases are not over.
    pub lessees: Lessees,
    pub inbox: mpsc::UnboundedReceiver<Message>,
    pub pen: mpsc::UnboundedSender<Sheet>,
}

struct Work {
    shared: Arc<Shared>,
    core: Core<State>,
    pen: mpsc::UnboundedSender<Sheet>,
    /// What stops each running attempt.
    runs: HashMap<TaskSeq, Stop>,
    /// What attempts leave, until their end is written.
    left: HashMap<TaskSeq, Yield>,
    objects: HashMap<TaskSeq, ObjectKey>,
    lessees: Lessees,
    claims: HashMap<ClaimId, oneshot::Sender<Result<ClaimId, Hold>>>,
    waiters: Waiters,
    pad: Pad,
    /// Records that are not answered.
    writing: usize,
    arrived: usize,
    dirty: bool,
    shown_ms: u64,
    view: view::Shown,
}

/// Works until shutdown, then until running attempts have ended and what they left is written, within limits.
pub async fn run(shared: Arc<Shared>, parts: Parts) {
    let Parts { core, ops, objects, lessees, mut inbox, pen } = parts;
    let mut work = Work {
        shared: Arc::clone(&shared),
        core,
        pen,
        runs: HashMap::new(),
        left: HashMap::new(),
        objects,
        lessees,
        claims: HashMap::new(),
        waiters: Waiters::default(),
        pad: Pad::default(),
        writing: 0,
        arrived: 0,
        dirty: true,
        shown_ms: 0,
        view: view::Shown::default(),
    };
    work.carry(ops);
    work.show();
    loop {
        let nap = Duration::from_millis(work.nap_ms());
        tokio::select! {
            message = inbox.recv() => match message {
                Some(message) => {
                    work.take(message);
                    // A burst is taken whole: what it comes to is shown once.
                    while let Ok(message) = inbox.try_recv() {
                        work.take(message);
                    }
                }
                None => break,
            },
            () = tokio::time::sleep(nap) => work.apply(Input::Tick),
            () = shared.shutdown.cancelled() => break,
        }
        work.show_in_time();
    }
    work.end(inbox).await;
}

impl Work {
    /// Ends: nothing new begins, attempts were told to stop, their ends are written.
    async fn end(mut self, mut inbox: mpsc::UnboundedReceiver<Message>) {
        self.apply(Input::Closing);
        let deadline = tokio::time::Instant::now() + SETTLE_MAX;
        while !self.runs.is_empty() || self.writing > 0 {
            match tokio::time::timeout_at(deadline, inbox.recv()).await {
                Ok(Some(message)) => self.take(message),
                // What did not end in time is left as running in the store, and the next start takes it up.
                Ok(None) | Err(_) => break,
            }
        }
        self.show();
    }

    /// How long nothing is due.
    fn nap_ms(&self) -> u64 {
        let now = self.shared.moment();
        let due = self.core.next_wake(now).map_or(NAP_MAX_MS, |at| at.saturating_sub(now.steady_ms).max(1));
        let show = if self.dirty || !self.pad.is_empty() {
            (self.shown_ms + SHOW_EVERY_MS).saturating_sub(now.steady_ms).max(1)
        } else {
            NAP_MAX_MS
        };
        due.min(show).min(NAP_MAX_MS)
    }

    fn apply(&mut self, input: Input) {
        let now = self.shared.moment();
        let ops = self.core.apply(input, now);
        self.carry(ops);
        self.dirty = true;
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Input(input) => self.apply(input),
            Message::Accepted { stored, object } => {
                self.arrived += 1;
                if let Some(object) = object {
                    self.objects.insert(stored.request.task, object);
                }
                self.apply(Input::Accepted(stored));
            }
            Message::Claim { at, verb, reply } => {
                let claim = self.shared.inbox.next_claim();
                self.claims.insert(claim, reply);
                self.apply(Input::Claim { claim, at, verb });
            }
            Message::Cancel { id, by, reason, reply } => match self.core.seq_of(&id) {
                Some(task) => {
                    self.waiters.cancel(task, reply);
                    self.apply(Input::Cancel { task, by, reason });
                }
                None => drop(reply.send(Err(unknown(&id)))),
            },
            Message::Reroute { id, runtime, model, by, reply } => match self.core.seq_of(&id) {
                Some(task) => {
                    self.waiters.reroute(task, reply);
                    self.apply(Input::Reroute { task, runtime, model, by });
                }
                None => drop(reply.send(Err(unknown(&id)))),
            },
            Message::Explain { id, reply } => {
                let now = self.shared.moment();
                let task = self.core.seq_of(&id);
                drop(reply.send(task.and_then(|task| self.core.explain(task, now))));
            }
            Message::View { rows, reply } => {
                drop(reply.send(self.look(rows)));
            }
            Message::End { id, reply } => match self.core.seq_of(&id) {
                Some(task) => self.waiters.end(task, reply),
                None => {
                    let _ = reply.send(());
                }
            },
            Message::Answered { id, record, result } => self.answered(id, &record, result),
            Message::Ran { task, attempt, outcome, left } => {
                self.runs.remove(&task);
                self.left.insert(task, left);
                self.apply(Input::RunEnded { task, attempt, outcome });
            }
            Message::Called { at, verb, took_ms, result } => {
                let result = result.map_err(|error| effect::failure(&error));
                self.apply(Input::CallEnded { at, verb, took_ms, result });
            }
            Message::Lease(ask) => self.lease(ask),
        }
    }

    fn answered(&mut self, id: WriteId, record: &Record, result: Result<(), NotWritten>) {
        self.writing = self.writing.saturating_sub(1);
        self.waiters.answered(record, &result);
        match result {
            Ok(()) => {
                self.believe(record);
                self.apply(Input::Written(id));
            }
            Err(why) => {
                if let Record::LeaseAsked { lease, .. } = record {
                    self.lessees.over(&lease.id);
                }
                self.apply(Input::NotWritten(id, why));
            }
        }
    }

    /// What others are told once a record is on disk.
    fn believe(&mut self, record: &Record) {
        if let Record::End { task, .. } = record {
            self.left.remove(task);
        }
        if let (Some(why), Record::LeaseEnded { id, .. }) = (self.lessees.why_taken_back(record), record) {
            tracing::warn!("{id} is taken back: {why}");
        }
        let (task, fact) = match fact::of(record, self.shared.now()) {
            Some(found) => found,
            None => {
                if let Record::Finish { at, verb: ClaimVerb::Load, result: Ok(()), .. } = record {
                    carry_out::learn_later(&self.shared, at);
                }
                return;
            }
        };
        let over = fact::is_over(&fact);
        if let (Some(object), Some(id)) = (self.objects.get(&task), fact::id(record)) {
            self.shared.note_task(object, id, fact);
        }
        if over {
            self.objects.remove(&task);
            self.shared.memory().needs.remove(&task.0);
        }
    }

    fn carry(&mut self, ops: Vec<Op>) {
        for op in ops {
            match op {
                Op::Write { id, record } => self.write(id, record),
                Op::Note(note) => self.note(note),
                Op::Run { task, id, attempt, place } => {
                    let stop = Stop::new(self.shared.shutdown.child_token());
                    self.runs.insert(task, stop.clone());
                    effect::run(&self.shared, task, id, attempt, place, stop);
                }
                Op::StopRun { task, why, .. } => {
                    if let Some(stop) = self.runs.get(&task) {
                        stop.now(why);
                    }
                }
                Op::Load { at } => effect::call(&self.shared, at, ClaimVerb::Load),
                Op::Unload { at } => effect::call(&self.shared, at, ClaimVerb::Unload),
                Op::Claimed { claim, answer } => {
                    let now = self.shared.moment();
                    if let Some(reply) = self.claims.remove(&claim) {
                        let answer = answer.map(|()| claim).map_err(|reason| lock::refused(&reason, now));
                        // Nobody asks any more: what was granted is given back.
                        if let Err(Ok(claim)) = reply.send(answer) {
                            self.shared.inbox.input(given_up(claim));
                        }
                    }
                }
                Op::LeaseGranted { id } => self.waiters.granted(&id),
                Op::LeaseOver { id } => {
                    self.lessees.over(&id);
                    self.waiters.lease_over(&id);
                }
            }
        }
    }

    fn write(&mut self, id: WriteId, record: Record) {
        let left = match &record {
            Record::End { task, .. } => self.left.get(task).cloned().unwrap_or_default(),
            _ => Yield::default(),
        };
        if let Record::Start { task, .. } | Record::Fail { task, .. } | Record::Cancel { task, .. } = &record {
            self.pad.forget(task.0);
        }
        if let Record::LeaseAsked { lease, .. } = &record {
            self.lessees.asked(lease);
        }
        let because = self.lessees.why_taken_back(&record);
        let stamp = Stamp { at: self.shared.now(), revision: self.shared.revision_text(), because };
        self.writing += 1;
        // The pen outlives this loop: it ends when this end is dropped.
        drop(self.pen.send(Sheet::Record(Box::new(Line { id, record, left, stamp }))));
    }

    fn note(&mut self, note: Note) {
        match &note {
            Note::Why { task, id, reason } => {
                if let Some(object) = self.objects.get(task) {
                    let message = reason.view(self.shared.moment()).message;
                    self.shared.note_task(object, id, fact::waiting(Some(message), self.shared.now()));
                }
            }
            Note::SpanBegan { gpu, kind: SpanKind::Draining, .. } => self.look_at(gpu),
            Note::SpanBegan { .. } | Note::SpanEnded { .. } => {}
        }
        self.pad.note(note);
    }

    /// A drain waits for what runtimes themselves say: they are asked at once.
    fn look_at(&self, gpu: &GpuId) {
        let memory = self.shared.memory();
        let on = |spec: &&crate::declare::manifest::kind::runtime::RuntimeSpec| {
            spec.host == gpu.host && spec.gpu.as_ref() == Some(&gpu.gpu)
        };
        let names = memory.world.runtimes().filter(|(_, spec)| on(spec)).map(|(object, _)| &object.document.key.name);
        for slot in names.filter_map(|name| self.shared.slot(name)) {
            slot.look.notify_one();
        }
    }

    /// What the scheduler holds and does now. A lease counts as granted once that is on disk.
    fn look(&self, rows: usize) -> SchedulerView {
        let mut view = self.core.machine().view(self.shared.moment(), rows);
        for lease in &mut view.leases {
            lease.granted = self.core.lease_is_held(&lease.id) == Some(true);
        }
        view
    }

    fn show_in_time(&mut self) {
        let now = self.shared.steady_ms();
        let waits = self.dirty || !self.pad.is_empty() || self.arrived > 0;
        if waits && now >= self.shown_ms.saturating_add(SHOW_EVERY_MS) {
            self.show();
        }
    }

    /// Publishes the view, and lets notes be written.
    fn show(&mut self) {
        let now = self.shared.moment();
        self.shown_ms = now.steady_ms;
        self.dirty = false;
        self.view.publish(&self.shared, self.look(view::ROWS));
        self.shared.inbox.arrived(std::mem::take(&mut self.arrived), self.core.tasks());
        if !self.pad.is_empty() {
            drop(self.pen.send(Sheet::Notes(self.pad.take(), now)));
        }
    }

    fn lease(&mut self, ask: super::inbox::LeaseAsk) {
        use super::inbox::LeaseAsk;
        match ask {
            LeaseAsk::Ask { lease, by, reply } => {
                self.waiters.ask(Arc::clone(&lease.id), reply);
                self.apply(Input::LeaseAsk { lease, by });
            }
            LeaseAsk::Wait { id, reply } => match self.core.lease_is_held(&id) {
                Some(true) => drop(reply.send(Ok(()))),
                Some(false) => self.waiters.grant(id, reply),
                None => drop(reply.send(Err(no_lease(&id)))),
            },
            LeaseAsk::Renew { id, ttl_ms, reply } => {
                let Some(usual_ms) = self.core.lease_ttl_ms(&id) else {
                    return drop(reply.send(Err(no_lease(&id))));
                };
                let ttl_ms = ttl_ms.unwrap_or(usual_ms);
                self.lessees.renewed(&id, ttl_ms);
                self.apply(Input::LeaseRenew { id, ttl_ms });
                drop(reply.send(Ok(())));
            }
            LeaseAsk::Release { id, by, reply } => {
                if self.core.lease_is_held(&id).is_some() {
                    self.waiters.release(Arc::clone(&id), reply);
                    self.apply(Input::LeaseRelease { id, by });
                } else {
                    drop(reply.send(Err(no_lease(&id))));
                }
            }
        }
    }
}

fn unknown(id: &str) -> Refusal {
    Refusal::Unknown(format!("{id} is not in the queue"))
}

fn no_lease(id: &str) -> Refusal {
    Refusal::Unknown(format!("there is no lease {id}; it may have expired"))
}

fn given_up(claim: ClaimId) -> Input {
    let message = "nobody asked any more".to_owned();
    let result = Err(crate::decide::dispatch::CallFailure { message, retry_after_ms: None });
    Input::ClaimEnded { claim, took_ms: 0, result }
}
