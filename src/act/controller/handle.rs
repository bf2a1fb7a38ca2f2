//! The way in: what the rest of the house tells the controller, and asks it.
//!
//! All of it is a short lock around the pure queue and a nudge for the runner. There is no channel: keys fold into one
//! another, so a flood of triggers takes no more memory than the keys it names.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::moment::Moment;
use super::queue::Queue;
use super::reason::{Lane, Reason};
use super::snapshot::Snapshot;
use super::{Edge, Key};

/// The controller's runner has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the controller has stopped")]
pub struct Stopped;

/// Talks to a controller. Cheap to clone. Works before the runner starts and after it ended: what is told then is kept
/// in the queue.
pub struct Handle<K, E> {
    shared: Arc<Shared<K, E>>,
}

/// What handles and the runner share.
pub(super) struct Shared<K, E> {
    began: Instant,
    state: Mutex<State<K, E>>,
    /// Something changed that the runner may have to act on.
    nudged: Notify,
    /// The queue may be settled, or the runner has ended.
    quiet: Notify,
    stopped: AtomicBool,
}

/// What the lock guards.
pub(super) struct State<K, E> {
    pub(super) queue: Queue<K, E>,
    /// Asks a run to end early.
    pub(super) stops: BTreeMap<K, CancellationToken>,
}

impl<K: Key, E: Edge> Handle<K, E> {
    pub(super) fn new(shared: Arc<Shared<K, E>>) -> Self {
        Self { shared }
    }

    /// Asks for a look at `key`, and says why. Folds into what is already asked. While the key backs off after a
    /// failure only a [`Lane::Person`] gets a run before its end; a stalled key gets none.
    pub fn trigger(&self, key: &K, lane: Lane, why: impl Into<Arc<str>>) {
        let reason = Reason::Asked { lane, why: why.into() };
        self.shared.tell(|state, now| state.queue.trigger(key, reason, lane, now));
    }

    /// Asks for a look at every known key.
    pub fn trigger_all(&self, lane: Lane, why: impl Into<Arc<str>>) {
        let reason = Reason::Asked { lane, why: why.into() };
        self.shared.tell(|state, now| state.queue.trigger_all(&reason, lane, now));
    }

    /// Says which generation of `key` is declared now. A new one ends wait, backoff and stall of the old one, asks a
    /// run of the old one to end early, and runs in the lane of persons. True when it is new.
    pub fn changed(&self, key: &K, generation: u64) -> bool {
        self.shared.tell(|state, now| {
            let is_new = state.queue.changed(key, generation, now);
            if is_new {
                state.stop_early(key);
            }
            is_new
        })
    }

    /// Says that `edge` happened. Everyone who waits for it runs, and so does who starts to wait for it at the end of a
    /// run that is under way now.
    pub fn wake(&self, edge: &E) {
        self.shared.tell(|state, now| state.queue.wake(edge, now));
    }

    /// Drops all that is known of `key`; a run of it is asked to end early, and its outcome does not count.
    pub fn forget(&self, key: &K) {
        self.shared.tell(|state, _| {
            state.queue.forget(key);
            state.stop_early(key);
        });
    }

    /// How long until the next look at `key`; none when it is being looked at, is due, or has none planned.
    #[must_use]
    pub fn due_in(&self, key: &K) -> Option<std::time::Duration> {
        let (state, now) = self.shared.lock();
        state.queue.due_in(key, now)
    }

    /// Where every key stands.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot<K, E> {
        let (state, now) = self.shared.lock();
        let snapshot = state.queue.snapshot(now);
        drop(state);
        if let Some(defect) = &snapshot.defect {
            tracing::error!(defect, "the queue of reconciliations contradicts itself");
        }
        snapshot
    }

    /// True when nothing runs and nothing is due now. What waits, backs off or is planned for later does not count.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        let (state, now) = self.shared.lock();
        state.queue.is_settled(now)
    }

    /// Returns as soon as [`Self::is_settled`].
    ///
    /// # Errors
    /// When the runner ended before that.
    pub async fn settled(&self) -> Result<(), Stopped> {
        loop {
            let mut quiet = std::pin::pin!(self.shared.quiet.notified());
            quiet.as_mut().enable();
            if self.is_settled() {
                return Ok(());
            }
            if self.shared.stopped.load(Ordering::Acquire) {
                return Err(Stopped);
            }
            quiet.await;
        }
    }
}

impl<K: Key, E: Edge> Shared<K, E> {
    pub(super) fn new(queue: Queue<K, E>) -> Self {
        Self {
            began: Instant::now(),
            state: Mutex::new(State { queue, stops: BTreeMap::new() }),
            nudged: Notify::new(),
            quiet: Notify::new(),
            stopped: AtomicBool::new(false),
        }
    }

    /// The state, and the time at which it was locked. No foreign code runs under this lock.
    pub(super) fn lock(&self) -> (MutexGuard<'_, State<K, E>>, Moment) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        (state, Moment::since_start(self.began.elapsed()))
    }

    fn tell<T>(&self, what: impl FnOnce(&mut State<K, E>, Moment) -> T) -> T {
        let (mut state, now) = self.lock();
        let answer = what(&mut state, now);
        drop(state);
        self.nudged.notify_one();
        answer
    }

    pub(super) async fn nudged(&self) {
        self.nudged.notified().await;
    }

    pub(super) fn say_quiet(&self) {
        self.quiet.notify_waiters();
    }

    pub(super) fn say_stopped(&self) {
        self.stopped.store(true, Ordering::Release);
        self.say_quiet();
    }
}

impl<K: Key, E: Edge> State<K, E> {
    fn stop_early(&mut self, key: &K) {
        if let Some(stop) = self.stops.get(key) {
            stop.cancel();
        }
    }
}

impl<K, E> Clone for Handle<K, E> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<K, E> fmt::Debug for Handle<K, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handle")
    }
}
