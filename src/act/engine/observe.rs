//! Observing runtimes: one observer a runtime, by events where it has them and by looking where it has not.
//!
//! 1. Look now, then every `observeEvery` with jitter, and at once when an event or a finished action says so.
//! 2. A look that fails keeps the last value, which is stale from then on; after six failures the breaker lets a
//!    single probe through at growing intervals.
//! 3. When a look says something new, whatever depends on the runtime is reconciled.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::act::controller::Lane;
use crate::act::runtime::{Adapter, RuntimeError, RuntimeEvent, connect};
use crate::core::rng::Rng;
use crate::core::{Digest, Kind, Name, Observed, backoff};
use crate::decide::view::RuntimeView;
use crate::declare::manifest::Spec;
use crate::declare::manifest::kind::runtime::RuntimeSpec;
use crate::declare::world::Object;

use super::memory::fresh_for;
use super::picture::Link;
use super::shared::{Edge, Shared, Slot};

/// This many looks may fail in a row before the link counts as down and probes become rare.
const FAILURES_TO_OPEN: u32 = 6;
/// Events within this time are followed by one look.
const EVENT_PAUSE: Duration = Duration::from_millis(15);
/// The longest pause between probes of a runtime that is down.
const PROBE_MAX: Duration = Duration::from_secs(60);

/// Starts observers for runtimes that are new or changed, and ends those of runtimes that are gone.
pub fn align(shared: &Arc<Shared>) {
    let wanted: BTreeMap<Name, Arc<Object>> = {
        let memory = shared.memory();
        let objects = memory.world.objects.values().chain(memory.removed.values());
        let runtimes = objects.filter(|object| object.document.key.kind == Kind::Runtime);
        runtimes.map(|object| (object.document.key.name.clone(), Arc::clone(object))).collect()
    };
    let ended: Vec<Name> = {
        let mut slots = shared.slots();
        let stale = |name: &Name, slot: &Slot| wanted.get(name).is_none_or(|it| it.generation != slot.generation);
        let ended: Vec<Name> =
            slots.iter().filter(|(name, slot)| stale(name, slot)).map(|(name, _)| name.clone()).collect();
        for name in &ended {
            if let Some(slot) = slots.remove(name) {
                slot.stop.cancel();
            }
        }
        ended
    };
    for name in ended.iter().filter(|name| !wanted.contains_key(*name)) {
        shared.memory().forget_runtime(name);
    }
    for (name, object) in &wanted {
        if let Spec::Runtime(spec) = &object.document.spec
            && shared.slot(name).is_none()
        {
            start(shared, name, spec, object.generation);
        }
    }
}

fn start(shared: &Arc<Shared>, name: &Name, spec: &RuntimeSpec, generation: u64) {
    let adapter = match connect(name, spec, &shared.places) {
        Ok(adapter) => adapter,
        Err(error) => {
            let unknown = Observed::unknown(name.as_str(), error.to_string());
            shared.memory().observe(name, unknown, Link::Down, 0, shared.now());
            shared.touch();
            return;
        }
    };
    let slot = Slot {
        adapter: Arc::clone(&adapter),
        look: Arc::new(Notify::new()),
        stop: shared.shutdown.child_token(),
        generation,
    };
    shared.slots().insert(name.clone(), slot.clone());
    let observer = Observer {
        shared: Arc::clone(shared),
        name: name.clone(),
        spec: spec.clone(),
        adapter,
        failures: 0,
        pause: Duration::ZERO,
        // Jitter must differ between runtimes and repeat between runs: the name is the seed.
        rng: Rng::new(seed_of(name)),
    };
    if observer.adapter.abilities().events {
        tokio::spawn(listen(Arc::clone(&observer.adapter), Arc::clone(&slot.look), slot.stop.clone(), seed_of(name)));
    }
    tokio::spawn(observer.run(slot.look, slot.stop));
}

fn seed_of(name: &Name) -> u64 {
    let hex = Digest::of(name.as_str().as_bytes()).hex();
    u64::from_str_radix(&hex[..16], 16).unwrap_or(0)
}

struct Observer {
    shared: Arc<Shared>,
    name: Name,
    spec: RuntimeSpec,
    adapter: Arc<dyn Adapter>,
    failures: u32,
    /// The pause before the next probe while the runtime is down.
    pause: Duration,
    rng: Rng,
}

impl Observer {
    async fn run(mut self, look: Arc<Notify>, stop: CancellationToken) {
        loop {
            let seen = tokio::select! {
                seen = self.adapter.observe() => seen,
                () = stop.cancelled() => return,
            };
            let pause = self.keep(seen);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = look.notified(), if self.failures < FAILURES_TO_OPEN => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// Keeps what was seen and says how long to wait until the next look.
    fn keep(&mut self, seen: Result<RuntimeView, RuntimeError>) -> Duration {
        let every = self.spec.observe_every.get();
        match seen {
            Ok(view) => {
                self.failures = 0;
                self.pause = Duration::ZERO;
                keep_view(&self.shared, &self.name, &self.spec, view);
                // Up to a tenth early, so that many runtimes do not stay in step.
                let tenth = u64::try_from(every.as_millis()).unwrap_or(u64::MAX) / 10;
                every.saturating_sub(Duration::from_millis(self.rng.below(tenth.max(1))))
            }
            Err(error) => {
                self.failures = self.failures.saturating_add(1);
                let link = if self.failures >= FAILURES_TO_OPEN { Link::Down } else { Link::Reconnecting };
                self.pause = backoff::next(self.pause, backoff::BASE, PROBE_MAX.max(every), &mut self.rng);
                keep_failure(&self.shared, &self.name, &error, link, self.failures, self.pause);
                self.pause
            }
        }
    }
}

/// Keeps a view and lets whatever depends on it be reconciled when it says something new.
pub fn keep_view(shared: &Shared, name: &Name, spec: &RuntimeSpec, view: RuntimeView) {
    let now = shared.now();
    let fresh = fresh_for(spec.observe_every.get());
    let observed = Observed::seen(view, name.as_str(), now, fresh);
    let json = serde_json::to_string(&observed).unwrap_or_default();
    let (changed, dependents) = {
        let mut memory = shared.memory();
        let changed = memory.observe(name, observed, Link::Connected, 0, now);
        let dependents = if changed { memory.dependents(name) } else { Vec::new() };
        memory.note_all(dependents.iter().cloned(), now);
        (changed, dependents)
    };
    if changed {
        shared.memory().save_later(name, json);
        trigger(shared, name, dependents, "a runtime reports something new");
    }
    shared.touch();
}

fn keep_failure(shared: &Shared, name: &Name, error: &RuntimeError, link: Link, failures: u32, pause: Duration) {
    let now = shared.now();
    let why = error.to_string();
    let (changed, dependents) = {
        let mut memory = shared.memory();
        let seen = match memory.view(name) {
            Some(last) => last.clone().failed(why.clone()),
            None => Observed::unknown(name.as_str(), why.clone()),
        };
        let changed = memory.observe(name, seen, link, failures, now);
        if let Some(runtime) = memory.runtimes.get_mut(name) {
            runtime.breaker_until = (link == Link::Down).then(|| crate::core::clock::after(now, pause));
        }
        let dependents = if changed { memory.dependents(name) } else { Vec::new() };
        memory.note_all(dependents.iter().cloned(), now);
        (changed, dependents)
    };
    if changed {
        tracing::warn!(runtime = %name, "{name} cannot be observed: {why}");
        trigger(shared, name, dependents, "a runtime cannot be observed");
    }
    shared.touch();
}

fn trigger(shared: &Shared, name: &Name, dependents: Vec<crate::core::ObjectKey>, reason: &'static str) {
    let removed = Arc::clone(&shared.memory().removed);
    let acts = |key: &crate::core::ObjectKey| key.kind == Kind::Loadout || removed.contains_key(key);
    for key in dependents.into_iter().filter(acts) {
        shared.controller.trigger(&key, Lane::Drift, reason);
    }
    shared.controller.wake(&Edge::Runtime(name.clone()));
    shared.queue.notify_one();
}

/// Looks at a runtime now and keeps what is seen: after an action, before saying that it worked.
pub async fn look_now(shared: &Shared, name: &Name) -> Result<(), RuntimeError> {
    let Some(slot) = shared.slot(name) else { return Ok(()) };
    let view = slot.adapter.observe().await?;
    let spec = shared.memory().driven(name).map(|(_, spec)| spec.clone());
    if let Some(spec) = spec {
        keep_view(shared, name, &spec, view);
    }
    Ok(())
}

/// Follows the runtime's events and asks for a look after each burst; reconnects with backoff for as long as it takes.
async fn listen(adapter: Arc<dyn Adapter>, look: Arc<Notify>, stop: CancellationToken, seed: u64) {
    let mut rng = Rng::new(seed.wrapping_add(1));
    let mut pause = Duration::ZERO;
    loop {
        let stream = tokio::select! {
            stream = adapter.events() => stream,
            () = stop.cancelled() => return,
        };
        if let Ok(mut events) = stream {
            loop {
                let event = tokio::select! {
                    event = events.next() => event,
                    () = stop.cancelled() => return,
                };
                match event {
                    Some(Ok(RuntimeEvent::Changed | RuntimeEvent::Gap | RuntimeEvent::InFlight(_))) => {
                        pause = Duration::ZERO;
                        tokio::time::sleep(EVENT_PAUSE).await;
                        look.notify_one();
                    }
                    Some(Ok(RuntimeEvent::Log(_))) => {}
                    Some(Err(_)) | None => break,
                }
            }
            // The connection ended: models may have changed unseen.
            look.notify_one();
        }
        pause = backoff::next(pause, backoff::BASE, PROBE_MAX, &mut rng);
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = stop.cancelled() => return,
        }
    }
}
