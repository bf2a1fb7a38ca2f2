//! What the parts of the engine share: the ports they act through and the one memory they agree on.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::act::controller::{self, Breaker, Lane};
use crate::act::runtime::Adapter;
use crate::act::source::Source;
use crate::core::clock::Steady;
use crate::core::{Clock, Name, ObjectKey, Timestamp};
use crate::decide::reconcile::TaskFact;
use crate::decide::scheduler::Moment;
use crate::remember::store::Store;
use crate::remember::vault::Vault;

use super::dispatch::Inbox;
use super::memory::Memory;
use super::picture::Picture;
use super::run_task::Log;

/// What a reconciliation can wait for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Edge {
    /// Something new was seen of a runtime.
    Runtime(Name),
    /// The scheduler holds other things than before: locks, leases, models in use or on their way.
    Locks,
}

/// A runtime that is being observed.
#[derive(Clone)]
pub struct Slot {
    pub adapter: Arc<dyn Adapter>,
    /// Look now.
    pub look: Arc<Notify>,
    /// Ends the observer.
    pub stop: CancellationToken,
    /// The generation of the Runtime it was made from.
    pub generation: u64,
    /// Keeps a dead runtime from being called by everybody; looks are its probes.
    breaker: Arc<Mutex<Breaker>>,
}

impl Slot {
    #[must_use]
    pub fn new(adapter: Arc<dyn Adapter>, stop: CancellationToken, generation: u64, seed: u64) -> Self {
        let breaker = Arc::new(Mutex::new(Breaker::new(seed)));
        Self { adapter, look: Arc::new(Notify::new()), stop, generation, breaker }
    }

    /// The breaker. Held for the length of a question.
    pub fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the parts of the engine share.
pub struct Shared {
    pub clock: Arc<dyn Clock>,
    pub store: Store,
    pub vault: Vault,
    pub source: Arc<Mutex<Source>>,
    pub controller: controller::Handle<ObjectKey, Edge>,
    /// Folders below which submitted tasks may name files.
    pub inputs_dirs: Vec<PathBuf>,
    pub places: crate::act::runtime::Places,
    /// Ends everything.
    pub shutdown: CancellationToken,
    memory: Mutex<Memory>,
    slots: Mutex<BTreeMap<Name, Slot>>,
    /// Something changed that surfaces show.
    dirty: Notify,
    /// The scheduler's loop.
    pub inbox: Inbox,
    pub steady: Arc<dyn Steady>,
    /// What running attempts have said so far, by task.
    live: Mutex<BTreeMap<String, Log>>,
    /// Makes ids of submitted tasks differ that come within one tick of the clock.
    nonce: AtomicU64,
    pictures: watch::Sender<Arc<Picture>>,
}

/// The parts that [`Shared`] is made from.
pub struct Parts {
    pub clock: Arc<dyn Clock>,
    pub store: Store,
    pub vault: Vault,
    pub source: Source,
    pub controller: controller::Handle<ObjectKey, Edge>,
    pub inputs_dirs: Vec<PathBuf>,
    pub places: crate::act::runtime::Places,
    pub shutdown: CancellationToken,
    pub memory: Memory,
    pub inbox: Inbox,
    pub steady: Arc<dyn Steady>,
}

impl Shared {
    #[must_use]
    pub fn new(parts: Parts) -> Arc<Self> {
        let now = parts.clock.now();
        let (pictures, _) = watch::channel(Arc::new(parts.memory.picture(now)));
        Arc::new(Self {
            clock: parts.clock,
            store: parts.store,
            vault: parts.vault,
            source: Arc::new(Mutex::new(parts.source)),
            controller: parts.controller,
            inputs_dirs: parts.inputs_dirs,
            places: parts.places,
            shutdown: parts.shutdown,
            memory: Mutex::new(parts.memory),
            slots: Mutex::default(),
            dirty: Notify::new(),
            inbox: parts.inbox,
            steady: parts.steady,
            live: Mutex::default(),
            nonce: AtomicU64::new(0),
            pictures,
        })
    }

    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Milliseconds on the clock that nobody sets.
    #[must_use]
    pub fn steady_ms(&self) -> u64 {
        self.steady.steady_ms()
    }

    /// This moment on both clocks.
    #[must_use]
    pub fn moment(&self) -> Moment {
        Moment { steady_ms: self.steady_ms(), wall: self.now() }
    }

    /// Keeps the log of an attempt while it runs.
    pub fn keep_live(&self, id: &str, log: Log) {
        self.live.lock().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned(), log);
    }

    pub fn forget_live(&self, id: &str) {
        self.live.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }

    /// What the running attempt at a task has said so far.
    #[must_use]
    pub fn live(&self, id: &str) -> Option<String> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner).get(id).map(Log::text)
    }

    /// The memory. Held for the length of a computation, never across an await.
    pub fn memory(&self) -> MutexGuard<'_, Memory> {
        // A panic while it was held left plain data behind, no broken invariant: going on is better than stopping all.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn slots(&self) -> MutexGuard<'_, BTreeMap<Name, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number that no other call gets.
    #[must_use]
    pub fn next_nonce(&self) -> u64 {
        self.nonce.fetch_add(1, Ordering::Relaxed)
    }

    /// Keeps what the planner should know of a task that a committed Task became.
    pub fn note_task(&self, key: &ObjectKey, id: &str, fact: TaskFact) {
        let now = self.now();
        let mut memory = self.memory();
        if memory.tasks.get(id).is_some_and(|known| known.phase == fact.phase && known.message == fact.message) {
            return;
        }
        Arc::make_mut(&mut memory.tasks).insert(id.to_owned(), fact);
        memory.note_all([key.clone()], now);
        drop(memory);
        self.controller.trigger(key, Lane::Drift, "its task changed");
    }

    /// The slot of a runtime, if it is declared and driven.
    #[must_use]
    pub fn slot(&self, runtime: &Name) -> Option<Slot> {
        self.slots().get(runtime).cloned()
    }

    /// Surfaces should see a new picture soon.
    pub fn touch(&self) {
        self.dirty.notify_one();
    }

    /// Pictures as they are made.
    #[must_use]
    pub fn pictures(&self) -> watch::Receiver<Arc<Picture>> {
        self.pictures.subscribe()
    }

    /// Waits until something changed that surfaces show.
    pub async fn dirtied(&self) {
        self.dirty.notified().await;
    }

    /// Makes and publishes the picture of this moment.
    pub fn publish(&self) {
        let now = self.now();
        let mut picture = self.memory().picture(now);
        for (name, runtime) in &mut picture.runtimes {
            if let Some(slot) = self.slot(name) {
                runtime.breaker = slot.breaker().state();
            }
        }
        // When a failed object is tried again only the controller knows: it arms the timers.
        let failed: Vec<ObjectKey> =
            picture.histories.iter().filter(|(_, it)| it.failure.is_some()).map(|(key, _)| key.clone()).collect();
        for key in failed {
            let retry_at = self.controller.due_in(&key).map(|wait| crate::core::clock::after(now, wait));
            let history = Arc::make_mut(&mut picture.histories).get_mut(&key);
            if let Some(failure) = history.and_then(|history| history.failure.as_mut()) {
                failure.retry_at = retry_at;
            }
        }
        self.pictures.send_replace(Arc::new(picture));
    }

    /// The revision in force, as it stands in audit and journal.
    #[must_use]
    pub fn revision_text(&self) -> Option<String> {
        self.memory().world.revision.as_ref().map(ToString::to_string)
    }

    /// Notes that the store could, or could not, be written.
    pub fn note_store<T>(&self, result: &Result<T, crate::remember::store::Error>) {
        self.note_store_words(result.as_ref().err().map(ToString::to_string).as_deref());
    }

    /// The same, where the error is known by its words alone.
    pub fn note_store_words(&self, problem: Option<&str>) {
        let mut memory = self.memory();
        if memory.store_problem.as_deref() != problem {
            if let Some(problem) = problem {
                tracing::error!(%problem, "the store cannot be written");
            }
            memory.store_problem = problem.map(str::to_owned);
            drop(memory);
            self.touch();
        }
    }
}
