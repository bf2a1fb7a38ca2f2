//! Starting the engine and ending it: opens nothing twice, loses nothing on the way down.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::act::controller::{self, Controller, Lane};
use crate::act::runtime::Places;
use crate::act::runtime::exec::Tools;
use crate::act::source::{self, Source, Watcher};
use crate::act::telemetry;
use crate::core::clock::Steady;
use crate::core::{Clock, Kind};
use crate::decide::dispatch::Core;
use crate::decide::scheduler::{Moment, State};
use crate::remember::store::{self, Store};
use crate::remember::vault::{self, Vault};

use super::dispatch::Inbox;
use super::dispatch::lessees::Lessees;
use super::handle::Handle;
use super::recover::{Recovered, recover};
use super::shared::{Parts, Shared};
use super::{carry_out, dispatch, measure, observe, publish, source_loop};

/// Requests for a look that may wait; a person who asks twice at once gets two answers from few looks.
const REQUESTS_MAX: usize = 64;

/// One reconciliation may take this long. Calls to runtimes have limits of their own, set in manifests; this is the net
/// below them.
const RUN_DEADLINE: Duration = Duration::from_secs(4 * 3_600);

/// What the engine is told.
pub struct Options {
    pub state_dir: PathBuf,
    pub source: source::Options,
    /// How often the repository is looked at when nothing else asks for it.
    pub interval: Duration,
    pub credentials_dir: Option<PathBuf>,
    pub inputs_dirs: Vec<PathBuf>,
    /// What programs of runtimes are held with.
    pub tools: Tools,
    pub clock: Arc<dyn Clock>,
    pub steady: Arc<dyn Steady>,
    pub telemetry: telemetry::Options,
}

/// Why the engine could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error(transparent)]
    Vault(#[from] vault::Error),
    #[error(transparent)]
    Source(#[from] source::Error),
}

impl StartError {
    /// What to do next.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Source(error) => error.help(),
            // Their messages say it themselves.
            Self::Store(_) | Self::Vault(_) => None,
        }
    }
}

/// A running engine.
pub struct Engine {
    handle: Handle,
    shared: Arc<Shared>,
    parts: JoinSet<()>,
    /// Ends observers, queue and source; the controller ends by itself when they did.
    shutdown: CancellationToken,
    /// Ends a fetch that is under way: it may take long, and the next start does it again.
    stop_looking: Arc<AtomicBool>,
}

impl Engine {
    /// Opens the state directory, takes up what was in force, and starts every part.
    ///
    /// # Errors
    /// When the store, the vault or the repository cannot be opened at all.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let store = Store::open(&options.state_dir, Arc::clone(&options.clock))?;
        Self::start_on(store, options).await
    }

    /// The same on the store of `options.state_dir`, which is open already.
    ///
    /// # Errors
    /// When the store cannot be read, or the vault or the repository cannot be opened at all.
    pub async fn start_on(store: Store, options: Options) -> Result<Self, StartError> {
        let Options { state_dir, source, interval, credentials_dir, inputs_dirs, tools, clock, steady, telemetry } =
            options;
        let vault = Vault::open(&state_dir.join("vault"))?;
        let Recovered { memory, restored, objects, unreadable, interrupted } = recover(&store, &clock).await?;
        if !unreadable.is_empty() {
            tracing::warn!(objects = ?unreadable, "stored objects could not be read and are taken from Git again");
        }
        if interrupted > 0 {
            tracing::info!(tasks = interrupted, "tasks that were running are tried again");
        }
        let stop_looking = Arc::clone(&source.stop);
        let source = Source::open(source)?;
        let (repo, branch) = source.describe();
        let watcher = Watcher::new(source.places(), interval);
        let mut memory = memory;
        memory.source.repo = repo;
        memory.source.branch = branch;
        let shutdown = CancellationToken::new();
        let controller =
            Controller::new(controller::Options { run_deadline: RUN_DEADLINE, ..controller::Options::default() });
        let now = Moment { steady_ms: steady.steady_ms(), wall: clock.now() };
        let lessees = Lessees::taken_up(restored.leases.iter().map(|stored| &stored.request));
        let (core, ops) = Core::recover(State::new(), restored, now);
        let (inbox, messages) = Inbox::new();
        inbox.begin(core.tasks());
        let (pen, sheets) = mpsc::unbounded_channel();
        let shared = Shared::new(Parts {
            clock,
            steady,
            store,
            vault,
            source,
            controller: controller.handle(),
            inputs_dirs,
            places: Places {
                credentials_dir: credentials_dir.unwrap_or_else(|| state_dir.join("credentials")),
                state_dir,
                tools,
            },
            shutdown: shutdown.clone(),
            memory,
            inbox,
        });
        let (requests, inbox) = mpsc::channel(REQUESTS_MAX);
        let mut parts = JoinSet::new();
        parts.spawn(publish::run(Arc::clone(&shared)));
        parts.spawn(dispatch::pen::run(Arc::clone(&shared), sheets));
        let work = dispatch::work::Parts { core, ops, objects, lessees, inbox: messages, pen };
        parts.spawn(dispatch::work::run(Arc::clone(&shared), work));
        parts.spawn(measure::run(Arc::clone(&shared), telemetry));
        let reconciling = Arc::clone(&shared);
        let stop = shutdown.clone();
        parts.spawn(async move {
            let left = controller
                .run(move |run, stop| Box::pin(carry_out::reconcile(Arc::clone(&reconciling), run, stop)), stop)
                .await;
            tracing::debug!(owed = left.owed.len(), dropped = left.dropped.len(), "reconciling ended");
        });
        let handle = Handle::new(Arc::clone(&shared), requests);
        let engine = Self { handle, shared, parts, shutdown, stop_looking };
        engine.resume();
        let mut engine = engine;
        let shared = Arc::clone(&engine.shared);
        engine.parts.spawn(async move {
            // What was in force is in force again before the repository is asked, so a slow remote delays nothing.
            source_loop::look(&shared, false).await;
            source_loop::run(shared, watcher, inbox).await;
        });
        Ok(engine)
    }

    /// Takes up what was in force before the start.
    fn resume(&self) {
        let now = self.shared.now();
        observe::align(&self.shared);
        let (objects, removed) = {
            let mut memory = self.shared.memory();
            let keys: Vec<_> = memory.world.objects.keys().cloned().collect();
            memory.note_all(keys.iter().cloned(), now);
            let removed: Vec<_> = memory.removed.keys().cloned().collect();
            (keys, removed)
        };
        let actionable = objects.into_iter().filter(|key| matches!(key.kind, Kind::Loadout | Kind::Task));
        for key in actionable.chain(removed) {
            self.shared.controller.trigger(&key, Lane::Resync, "Arcology was started");
        }
        self.shared.touch();
    }

    /// How others speak with the engine.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Starts nothing new, lets running work finish within the controller's grace time, and closes the store.
    pub async fn stop(mut self) {
        self.shutdown.cancel();
        self.stop_looking.store(true, Ordering::Relaxed);
        while self.parts.join_next().await.is_some() {}
        self.shared.publish();
        self.shared.store.close().await;
    }
}
