//! The dispatcher's state, and how an input becomes ops: it is handed to the file that owns it, and the decisions of the
//! scheduler that follow from it are taken up until none is left.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::decide::scheduler::Reason;
use crate::decide::scheduler::{
    Config, Decision, Event, GpuId, Holder, LeaseId, LockMode, ModelAt, Moment, RuntimeSeen, State, TaskSeq,
};

use super::call::Calls;
use super::ended::Ended;
use super::input::{ClaimId, Input};
use super::lease::Lease;
use super::op::{Note, Op, SpanKind, WriteId};
use super::record::Record;
use super::stored::Stored;
use super::task::Task;

/// How long a write that the disk did not take is left alone.
pub const WRITE_AGAIN_MS: u64 = 1_000;

/// What the dispatcher asks of the scheduler. [`crate::decide::scheduler::State`] is the one that production has; tests
/// bring scripts and broken ones.
pub trait Machine {
    fn apply(&mut self, event: Event, now: Moment) -> Vec<Decision>;
    /// When it wants to be told that time passed, on the steady clock.
    fn next_wake(&self, now: Moment) -> Option<u64>;
}

impl Machine for State {
    fn apply(&mut self, event: Event, now: Moment) -> Vec<Decision> {
        State::apply(self, event, now)
    }

    fn next_wake(&self, now: Moment) -> Option<u64> {
        State::next_wake(self, now)
    }
}

/// The dispatcher: what stands between the scheduler and the world.
#[derive(Debug)]
pub struct Core<M = State> {
    pub(super) machine: M,
    pub(super) config: Arc<Config>,
    pub(super) tasks: BTreeMap<TaskSeq, Task>,
    pub(super) ids: BTreeMap<Arc<str>, TaskSeq>,
    pub(super) ended: Ended,
    pub(super) calls: Calls,
    pub(super) leases: BTreeMap<LeaseId, Lease>,
    /// The draining, exclusive or leased span that is open on each GPU.
    locks: BTreeMap<GpuId, (SpanKind, Arc<str>)>,
    /// Writes under way.
    writes: BTreeMap<WriteId, Record>,
    next_write: u64,
    /// What is done when time has come.
    later: BTreeMap<(u64, u64), Later>,
    next_later: u64,
    /// Tasks whose failure could not be written down yet, and is written again.
    pub(super) unwritten: BTreeMap<TaskSeq, Reason>,
    /// Tasks of the last run whose end is still to be written. What else happens waits for them.
    pub(super) barrier: Barrier,
    pub(super) closing: bool,
    /// Events of our own making, still to be told to the scheduler.
    pub(super) events: VecDeque<Event>,
    pub(super) ops: Vec<Op>,
}

/// What is done when time has come.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Later {
    Write(Record),
    Tell(Event),
}

/// What waits until the tasks that ran when the program ended are settled.
#[derive(Debug, Default)]
pub(super) struct Barrier {
    /// How many ends are still to be written.
    pub(super) open: usize,
    /// Tasks that are told to the scheduler then, in the order of acceptance.
    pub(super) tasks: BTreeMap<TaskSeq, Box<Stored>>,
    pub(super) inputs: Vec<Input>,
}

impl<M: Machine> Core<M> {
    pub(super) fn empty(machine: M) -> Self {
        Self {
            machine,
            config: Arc::default(),
            tasks: BTreeMap::new(),
            ids: BTreeMap::new(),
            ended: Ended::default(),
            calls: Calls::default(),
            leases: BTreeMap::new(),
            locks: BTreeMap::new(),
            writes: BTreeMap::new(),
            next_write: 0,
            later: BTreeMap::new(),
            next_later: 0,
            unwritten: BTreeMap::new(),
            barrier: Barrier::default(),
            closing: false,
            events: VecDeque::new(),
            ops: Vec::new(),
        }
    }

    /// The scheduler, to look at.
    pub fn machine(&self) -> &M {
        &self.machine
    }

    /// The number of a task that is not over.
    #[must_use]
    pub fn seq_of(&self, id: &str) -> Option<TaskSeq> {
        self.ids.get(id).copied()
    }

    /// Tasks that are not over.
    #[must_use]
    pub fn tasks(&self) -> usize {
        self.tasks.len()
    }

    /// Whether a lease is held (true) or waits (false); none when there is no such lease.
    #[must_use]
    pub fn lease_is_held(&self, id: &str) -> Option<bool> {
        self.leases.get(id).map(Lease::is_held)
    }

    /// For how long a lease lives on after a sign of life; none when there is no such lease.
    #[must_use]
    pub fn lease_ttl_ms(&self, id: &str) -> Option<u64> {
        self.leases.get(id).map(Lease::ttl_ms)
    }

    /// When something is due although nothing happens, on the steady clock.
    #[must_use]
    pub fn next_wake(&self, now: Moment) -> Option<u64> {
        let later = self.later.keys().next().map(|(at, _)| *at);
        match (later, self.machine.next_wake(now)) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        }
    }

    /// Takes an input and gives what is to be done about it, in order.
    pub fn apply(&mut self, input: Input, now: Moment) -> Vec<Op> {
        self.fire(now);
        self.take(input, now);
        self.settle(now);
        std::mem::take(&mut self.ops)
    }

    pub(super) fn take(&mut self, input: Input, now: Moment) {
        match input {
            Input::Written(id) => {
                if let Some(record) = self.writes.remove(&id) {
                    self.written(record, now);
                }
            }
            Input::NotWritten(id, why) => {
                if let Some(record) = self.writes.remove(&id) {
                    self.not_written(record, &why, now);
                }
            }
            Input::Closing => self.closing = true,
            Input::Tick => self.events.push_back(Event::Tick),
            input if self.barrier.open > 0 => self.barrier.inputs.push(input),
            Input::Accepted(stored) => self.accept(*stored, now),
            Input::World(config) => {
                self.config = Arc::clone(&config);
                self.events.push_back(Event::WorldChanged(config));
            }
            Input::Event(event) => self.see(event, now),
            Input::RunEnded { task, attempt, outcome } => self.run_ended(task, attempt, outcome, now),
            Input::CallEnded { at, verb, took_ms, result } => self.call_ended(at, verb, took_ms, result),
            Input::Claim { claim, at, verb } => self.claim(claim, at, verb, now),
            Input::ClaimEnded { claim, took_ms, result } => self.claim_ended(claim, took_ms, result),
            Input::Cancel { task, by, reason } => self.cancel(task, by, reason),
            Input::Reroute { task, runtime, model, by } => self.reroute(task, runtime, model, by),
            Input::LeaseAsk { lease, by } => self.lease_ask(*lease, by),
            Input::LeaseRenew { id, ttl_ms } => self.events.push_back(Event::LeaseRenewed { id, ttl_ms }),
            Input::LeaseRelease { id, by } => self.lease_release(&id, by),
        }
    }

    /// Lets through what needs no record.
    fn see(&mut self, event: Event, now: Moment) {
        match event {
            Event::Seen { ref runtime, seen: RuntimeSeen::Up { ref models, .. } } if self.has_left() => {
                let runtime = runtime.clone();
                let models: Vec<_> = models.iter().map(|(name, state, _)| (Arc::clone(name), *state)).collect();
                self.events.push_back(event);
                // The scheduler first: what it begins anew is no longer left.
                self.settle(now);
                self.settle_left(&runtime, &models);
            }
            Event::Seen { .. }
            | Event::ForeignUse { .. }
            | Event::Disk { .. }
            | Event::Measured { .. }
            | Event::Took { .. }
            | Event::PutOut { .. }
            | Event::LoadTook { .. } => self.events.push_back(event),
            Event::Depends { task, on } => self.depends(task, on),
            Event::WorldChanged(_)
            | Event::Submitted(_)
            | Event::Rerouted { .. }
            | Event::Cancelled(_)
            | Event::Ended { .. }
            | Event::NotStarted { .. }
            | Event::Loaded { .. }
            | Event::Unloaded(_)
            | Event::LoadFailed { .. }
            | Event::UnloadFailed { .. }
            | Event::LeaseAsked(_)
            | Event::LeaseRenewed { .. }
            | Event::LeaseReleased(_)
            | Event::Claim { .. }
            | Event::Tick => {}
        }
    }

    /// Tells the scheduler what there is to tell, and takes up what it decides, until nothing is left.
    pub(super) fn settle(&mut self, now: Moment) {
        while let Some(mut event) = self.events.pop_front() {
            // What ended may have ended since this was queued, and is told of only once.
            if let Event::Submitted(request) = &mut event {
                self.ended.patch(&mut request.depends_on);
            } else if let Event::Depends { on, .. } = &mut event {
                self.ended.patch(on);
            }
            for decision in self.machine.apply(event, now) {
                self.decide(decision, now);
            }
        }
    }

    fn decide(&mut self, decision: Decision, now: Moment) {
        match decision {
            Decision::Start { task, place } => self.start(task, place),
            Decision::Stop { task, requeue } => self.stop(task, requeue),
            Decision::Wait { task, reason } => {
                if let Some(known) = self.tasks.get(&task) {
                    let id = Arc::clone(&known.id);
                    self.ops.push(Op::Note(Note::Why { task, id, reason }));
                }
            }
            Decision::Fail { task, code, message } => self.fail(task, code, message),
            Decision::Drop { task } => self.forget(task),
            Decision::Load { at, because, .. } => self.load(at, because),
            Decision::Unload { at, because } => self.unload(at, because),
            Decision::Grant { lease } => self.grant(&lease),
            Decision::Expire { lease, .. } => self.expire(&lease),
            Decision::Lock { gpu, mode } => self.lock(gpu, mode, now),
            Decision::Admit { at } => self.answer_claim(&at, Ok(())),
            Decision::Refuse { at, reason } => self.answer_claim(&at, Err(Box::new(reason))),
        }
    }

    /// The lock of a GPU changed: one span ends, another begins.
    fn lock(&mut self, gpu: GpuId, mode: LockMode, now: Moment) {
        if let Some((kind, holder)) = self.locks.remove(&gpu) {
            self.ops.push(Op::Note(Note::SpanEnded { gpu: gpu.clone(), kind, holder, until: now.wall }));
        }
        let (kind, holder) = match mode {
            LockMode::Shared => return,
            LockMode::Draining(holder) => (SpanKind::Draining, holder),
            LockMode::Exclusive(Holder::Task(task)) => (SpanKind::Exclusive, Holder::Task(task)),
            LockMode::Exclusive(Holder::Lease(lease)) => (SpanKind::Lease, Holder::Lease(lease)),
        };
        let holder = match holder {
            Holder::Task(task) => match self.tasks.get(&task) {
                Some(known) => Arc::clone(&known.id),
                None => return,
            },
            Holder::Lease(id) => id,
        };
        self.locks.insert(gpu.clone(), (kind, Arc::clone(&holder)));
        self.ops.push(Op::Note(Note::SpanBegan { gpu, kind, holder, since: now.wall }));
    }

    /// Asks for a record to be written.
    pub(super) fn write(&mut self, record: Record) {
        let id = WriteId(self.next_write);
        self.next_write += 1;
        self.writes.insert(id, record.clone());
        self.ops.push(Op::Write { id, record });
    }

    /// Does something when `wait_ms` have passed.
    pub(super) fn later(&mut self, wait_ms: u64, now: Moment, what: Later) {
        self.later.insert((now.steady_ms.saturating_add(wait_ms), self.next_later), what);
        self.next_later += 1;
    }

    fn fire(&mut self, now: Moment) {
        while let Some(entry) = self.later.first_entry() {
            if entry.key().0 > now.steady_ms {
                return;
            }
            match entry.remove() {
                Later::Write(Record::LeaseGranted { id, holder }) => self.grant_again(id, holder),
                Later::Write(record) => self.write(record),
                Later::Tell(event) => self.events.push_back(event),
            }
        }
    }

    /// The model that a place serves, as it is declared.
    pub(super) fn declared(&self, at: &ModelAt) -> Option<crate::core::Name> {
        self.config.models.iter().find(|(_, model)| model.served.contains(at)).map(|(name, _)| name.clone())
    }

    pub(super) fn tell_claim(&mut self, claim: ClaimId, answer: super::input::ClaimAnswer) {
        self.ops.push(Op::Claimed { claim, answer });
    }
}
