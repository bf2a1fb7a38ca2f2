//! The state of the scheduler, and what each event does to it.
//!
//! [`State::apply`] takes one event in, marks the lines that it may have set free, and lets [`super::dispatch`] look at their
//! heads. How tasks come in and where they stand is `intake`'s, what a task needs and where it could run is `options`', starting
//! and loading is `start`'s, the GPU lock is `exclusive`'s and `lease`'s, memory is `memory`'s.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::config::Config;
use super::decision::Decision;
use super::disk::Promised;
use super::eta::{Durations, Told};
use super::event::{End, Event, Over, Request};
use super::hash::{ById, ByTask};
use super::id::{LeaseId, Moment, TaskSeq};
use super::lane::Lanes;
use super::lease::Lease;
use super::line::{Key, LineIx, Lines};
use super::memory::LookedFor;
use super::table::{GpuIx, ModelIx, RuntimeIx, Table};
use super::timer::Timers;
use super::view::Coverage;

/// When a start that could not be written down is tried again, in milliseconds.
const NOT_STARTED_MS: u64 = 1_000;

/// The state of the scheduler.
#[derive(Clone, Debug, Default)]
pub struct State {
    pub(super) config: Arc<Config>,
    pub(super) table: Table,
    pub(super) tasks: ByTask<Task>,
    pub(super) ids: ById<TaskSeq>,
    /// Who waits for a task, by its id.
    pub(super) waiters: ById<BTreeSet<TaskSeq>>,
    pub(super) lines: Lines,
    pub(super) lanes: Lanes,
    /// The distinct context lengths of the models in force, ascending.
    pub(super) contexts: Vec<u32>,
    pub(super) running: BTreeSet<TaskSeq>,
    /// The tasks that wait for something of their own.
    pub(super) blocked: BTreeSet<Key>,
    pub(super) queued: u64,
    pub(super) leases: BTreeMap<LeaseId, Lease>,
    pub(super) leases_asked: u64,
    pub(super) timers: Timers,
    pub(super) free_disk_gb: BTreeMap<crate::core::Name, f64>,
    /// What running tasks are expected to put out, by host, in thousandths of a GB. None is zero.
    pub(super) promised_mb: BTreeMap<crate::core::Name, u64>,
    pub(super) durations: Durations,
    pub(super) coverage: Coverage,
    /// Tasks that ended in this event, by id: who depends on them is still to be told.
    pub(super) ended: VecDeque<(Arc<str>, Over)>,
    /// Lines whose heads are to be looked at before this event is over.
    pub(super) dirty: BTreeSet<LineIx>,
    /// GPUs on which those who rest may find a slot.
    pub(super) walks: BTreeSet<usize>,
    /// GPUs on which something that was displaced may come back.
    pub(super) returns: BTreeSet<usize>,
    /// What the look under way found.
    pub(super) look: LookedFor,
    /// True when leases that wait are to be looked at.
    pub(super) leases_dirty: bool,
    #[cfg(any(test, feature = "broken-rules"))]
    pub(super) broken: Option<super::broken::Rule>,
}

/// A task that is not over. There may be a million: what few of them have is boxed.
#[derive(Clone, Debug)]
pub(super) struct Task {
    pub request: Box<Request>,
    pub key: Key,
    /// When it came, on the steady clock; negative for what came before a restart.
    pub submitted_ms: i64,
    /// Not before this time on the steady clock, and what failed.
    pub retry: Option<Box<(u64, String)>>,
    pub stage: Stage,
    /// What was told of its end when it came, for the coverage.
    pub told: Option<Told>,
}

/// Where a task stands.
#[derive(Clone, Debug)]
pub(super) enum Stage {
    /// On things of its own: in no line.
    Blocked(Block),
    Waiting(LineIx),
    Running(Box<Run>),
}

impl Stage {
    /// Of a task that is about to be placed or forgotten.
    pub(super) const NOWHERE: Self = Self::Blocked(Block::NotBefore);
}

/// What of its own a task waits for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Block {
    Dependencies(BTreeSet<Arc<str>>),
    NotBefore,
    Backoff,
}

/// An attempt under way.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub runtime: RuntimeIx,
    pub model: Option<ModelIx>,
    /// What the model was declared as when it began.
    pub declared: Option<crate::core::Name>,
    /// The GPU on which it took a slot or the lock.
    pub gpu: Option<GpuIx>,
    /// Whether it has that GPU for itself.
    pub exclusive: bool,
    /// The chain, joined by ` > `.
    pub capability: Arc<str>,
    /// Where durations of its work are kept, once there are any.
    pub window: Option<usize>,
    /// Disk space that is counted on for it.
    pub promised: Option<Box<Promised>>,
    pub since: Moment,
    pub is_stopping: bool,
}

impl State {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes an event in and says what follows from it. Events come in the order of their moments.
    pub fn apply(&mut self, event: Event, now: Moment) -> Vec<Decision> {
        let mut out = Vec::new();
        self.take_in(event, now, &mut out);
        self.fire(now, &mut out);
        self.let_dependants_go(now, &mut out);
        self.dispatch(now, &mut out);
        out
    }

    fn take_in(&mut self, event: Event, now: Moment, out: &mut Vec<Decision>) {
        match event {
            Event::WorldChanged(config) => self.change_world(config, now, out),
            Event::Submitted(request) => self.submit(request, now, out),
            Event::Depends { task, on } => self.depend(task, on, now, out),
            Event::Rerouted { task, runtime, model } => self.reroute(task, runtime, model, now, out),
            Event::Cancelled(task) => self.cancel(task, now, out),
            Event::Ended { task, end } => self.end(task, end, now, out),
            Event::NotStarted { task } => {
                let message = "its start could not be written down".to_owned();
                self.end(task, End::Again { wait_ms: NOT_STARTED_MS, message }, now, out);
            }
            Event::Loaded { at, took_ms } => self.loaded(&at, took_ms, now),
            Event::Unloaded(at) => self.unloaded(&at, now),
            Event::LoadFailed { at, message, retry_ms } => self.load_failed(&at, message, retry_ms, now),
            Event::UnloadFailed { at, message, retry_ms } => self.unload_failed(&at, message, retry_ms, now),
            Event::Seen { runtime, seen } => self.seen(&runtime, seen, now),
            Event::ForeignUse { gpu, gb } => self.foreign_use(&gpu, gb),
            Event::Disk { host, free_gb } => self.disk(host, free_gb),
            Event::Measured { at, gb } => self.measured(&at, gb, out),
            Event::Took { capability, model, ms } => self.took(&capability, model, ms),
            Event::PutOut { capability, bytes } => self.put_out(&capability, bytes),
            Event::LoadTook { at, ms } => self.durations.note_load(at, ms),
            Event::LeaseAsked(asked) => self.ask_lease(*asked, now, out),
            Event::LeaseRenewed { id, ttl_ms } => self.renew_lease(&id, ttl_ms, now),
            Event::LeaseReleased(id) => self.release_lease(&id, now, out),
            Event::Claim { at, verb } => self.claim(&at, verb, now, out),
            Event::Tick => {}
        }
    }

    /// Every line is to be looked at.
    pub(super) fn all_dirty(&mut self) {
        let Self { dirty, lines, .. } = self;
        dirty.extend(lines.busy().map(|(line, _)| line));
        self.leases_dirty = true;
    }

    /// The lines that may use any runtime of a GPU, and the leases that wait, are to be looked at.
    pub(super) fn gpu_dirty(&mut self, gpu: usize) {
        let Self { table, dirty, .. } = self;
        dirty.extend(table.gpus[gpu].awake.iter().copied());
        self.walks.insert(gpu);
        if !table.gpus[gpu].displaced.is_empty() {
            self.returns.insert(gpu);
        }
        self.leases_dirty = true;
    }

    /// Whatever shares memory or a lock with a runtime is to be looked at.
    pub(super) fn place_dirty(&mut self, runtime: usize) {
        match self.table.runtimes[runtime].gpu {
            Some(gpu) => self.gpu_dirty(gpu),
            None => self.dirty.extend(self.table.runtimes[runtime].lines.iter().copied()),
        }
    }

    /// The next time at which something happens by itself, on the steady clock.
    #[must_use]
    pub fn next_wake(&self, now: Moment) -> Option<u64> {
        self.timers.next(now)
    }
}
