//! The runner: the only place with tasks and timers. It starts what the queue hands out and tells it how that ended.
//!
//! # Flow
//!
//! 1. Let timers fire, start runs until slots or keys are used up.
//! 2. Sleep until the next timer, the end of a run, a nudge from a [`Handle`], or shutdown; back to 1.
//! 3. At shutdown: start nothing, ask the runs to end early, wait for the grace time, drop the rest, name what is owed.

use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::handle::{Handle, Shared};
use super::outcome::Outcome;
use super::queue::{Limits, Queue};
use super::reason::Run;
use super::{Edge, Key};

/// The runner looks at its queue at least this often, whatever the timers say.
const NAP_MAX: Duration = Duration::from_secs(3_600);
/// How long dropped runs have to let go of what they hold.
const DROP_TIME: Duration = Duration::from_secs(1);

/// How a controller works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// How many objects without trouble are looked at at once; at least one.
    pub fast_slots: usize,
    /// How many objects that failed or were slow are looked at at once, beside the others; at least one.
    pub slow_slots: usize,
    /// A run that takes this long is slow: it moves to the slow slots where there is room.
    pub slow_after: Duration,
    /// A run that takes this long is dropped, and counts as failed.
    pub run_deadline: Duration,
    /// How long shutdown waits for runs.
    pub grace: Duration,
    /// Makes the jitter of backoffs repeatable.
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            fast_slots: 8,
            slow_slots: 8,
            slow_after: Duration::from_secs(2),
            run_deadline: Duration::from_secs(600),
            grace: Duration::from_secs(10),
            seed: 0,
        }
    }
}

/// What was left undone at shutdown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfinished<K> {
    /// Runs that the grace time was too short for. They are owed a run too.
    pub dropped: Vec<K>,
    /// Every key that waits, backs off, or is due, in order: all but those at rest or merely planned for a resync.
    pub owed: Vec<K>,
}

/// Looks at objects when they are due. See the module for what it guarantees.
pub struct Controller<K, E> {
    options: Options,
    shared: Arc<Shared<K, E>>,
}

impl<K: Key, E: Edge> Controller<K, E> {
    #[must_use]
    pub fn new(options: Options) -> Self {
        let limits =
            Limits { fast_slots: options.fast_slots, slow_slots: options.slow_slots, slow_after: options.slow_after };
        Self { options, shared: Arc::new(Shared::new(Queue::new(limits, options.seed))) }
    }

    #[must_use]
    pub fn handle(&self) -> Handle<K, E> {
        Handle::new(Arc::clone(&self.shared))
    }

    /// Runs until `shutdown`, and says what was left undone.
    ///
    /// `reconcile` gets the run, and a token that is cancelled when the run had better end early: the key was
    /// forgotten, has a new generation, or the controller shuts down. Heeding it is a courtesy; what the run then says
    /// counts only at shutdown.
    pub async fn run<F>(self, reconcile: F, shutdown: CancellationToken) -> Unfinished<K>
    where
        F: Fn(Run<K, E>, CancellationToken) -> BoxFuture<'static, Outcome<E>> + Send + Sync + 'static,
    {
        let _told_however_this_ends = SayStopped(&self.shared);
        let mut runs = Runs {
            shared: &self.shared,
            reconcile: Arc::new(reconcile),
            deadline: self.options.run_deadline,
            shutdown: shutdown.clone(),
            tasks: JoinSet::new(),
            keys: HashMap::new(),
        };
        while !shutdown.is_cancelled() {
            let nap = runs.start_what_is_due();
            tokio::select! {
                biased;
                () = shutdown.cancelled() => {}
                true = runs.end_one() => {}
                () = self.shared.nudged() => {}
                () = sleep(nap) => {}
            }
        }
        runs.wind_up(self.options.grace).await
    }
}

/// Says that the runner ended, even when its future is dropped.
struct SayStopped<'a, K: Key, E: Edge>(&'a Shared<K, E>);

impl<K: Key, E: Edge> Drop for SayStopped<'_, K, E> {
    fn drop(&mut self) {
        self.0.say_stopped();
    }
}

/// The runs that are under way, each a task of its own.
struct Runs<'a, K, E, F> {
    shared: &'a Shared<K, E>,
    reconcile: Arc<F>,
    deadline: Duration,
    shutdown: CancellationToken,
    tasks: JoinSet<Outcome<E>>,
    keys: HashMap<Id, K>,
}

impl<K: Key, E: Edge, F> Runs<'_, K, E, F>
where
    F: Fn(Run<K, E>, CancellationToken) -> BoxFuture<'static, Outcome<E>> + Send + Sync + 'static,
{
    /// Starts all that may start now, and says how long there is nothing else to do.
    fn start_what_is_due(&mut self) -> Duration {
        let mut started = Vec::new();
        let (mut state, now) = self.shared.lock();
        state.queue.advance(now);
        while let Some(run) = state.queue.start(now) {
            let stop = self.shutdown.child_token();
            state.stops.insert(run.key.clone(), stop.clone());
            started.push((run, stop));
        }
        let nap = state.queue.next_due().map_or(NAP_MAX, |due| due.since(now).min(NAP_MAX));
        let settled = state.queue.is_settled(now);
        drop(state);

        started.into_iter().for_each(|(run, stop)| self.spawn(run, stop));
        if settled {
            self.shared.say_quiet();
        }
        nap
    }

    fn spawn(&mut self, run: Run<K, E>, stop: CancellationToken) {
        let key = run.key.clone();
        let span = tracing::info_span!("reconcile", ?key, generation = run.generation, reasons = %run.reasons);
        let (reconcile, deadline) = (Arc::clone(&self.reconcile), self.deadline);
        let task = async move {
            let in_time = timeout(deadline, async move { reconcile(run, stop).await }).await;
            in_time.unwrap_or_else(|_| Outcome::retry(format!("it took longer than {} s", deadline.as_secs_f64())))
        };
        let id = self.tasks.spawn(task.instrument(span)).id();
        self.keys.insert(id, key);
    }

    /// Waits for the end of a run and enters it into the queue. False when none is under way. May be cancelled.
    async fn end_one(&mut self) -> bool {
        let Some(ended) = self.tasks.join_next_with_id().await else { return false };
        self.enter(ended);
        true
    }

    fn enter(&mut self, ended: Result<(Id, Outcome<E>), JoinError>) {
        let id = ended.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
        let key = self.keys.remove(&id).expect("every task was entered when it was spawned");
        let (mut state, now) = self.shared.lock();
        state.stops.remove(&key);
        match ended {
            Ok((_, outcome)) => state.queue.finish(&key, outcome, now),
            Err(error) => match error.try_into_panic() {
                Ok(panic) => state.queue.finish(&key, Outcome::retry(panic_words(&*panic)), now),
                Err(_cancelled) => state.queue.cut_short(&key, now),
            },
        }
    }

    /// Lets the runs end within `grace`, drops what is left, and says what is owed.
    async fn wind_up(mut self, grace: Duration) -> Unfinished<K> {
        // Whether the time was enough shows in what is left.
        let _ = timeout(grace, async { while self.end_one().await {} }).await;
        let mut dropped: Vec<K> = self.keys.values().cloned().collect();
        self.tasks.abort_all();
        let _ = timeout(DROP_TIME, async { while self.end_one().await {} }).await;

        let (mut state, now) = self.shared.lock();
        for key in std::mem::take(&mut self.keys).into_values() {
            state.stops.remove(&key);
            state.queue.cut_short(&key, now);
        }
        let owed = state.queue.owed();
        dropped.sort();
        dropped.retain(|key| owed.binary_search(key).is_ok());
        Unfinished { dropped, owed }
    }
}

fn panic_words(panic: &(dyn Any + Send)) -> String {
    let words = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("the reconciliation panicked: {}", words.unwrap_or("without words"))
}
