//! Observing runtimes: one observer a runtime, by events where it has them and by looking where it has not.
//!
//! 1. Look now, then every `observeEvery` with jitter, and at once when an event or a finished action says so.
//! 2. A look that fails keeps the last value, which is stale from then on. After six failures the runtime's breaker
//!    opens: looks become single probes at growing intervals, and nothing else calls it.
//! 3. When a look says something new, whatever depends on the runtime is reconciled.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::act::controller::Lane;
use crate::act::controller::breaker::Allow;
use crate::act::runtime::{Adapter, RuntimeError, RuntimeEvent, connect};
use crate::core::clock::millis_since;
use crate::core::observed::Reading;
use crate::core::rng::Rng;
use crate::core::{Digest, Kind, Name, Observed, Timestamp, backoff};
use crate::decide::dispatch::Input;
use crate::decide::scheduler::{Event, RuntimeSeen};
use crate::decide::view::RuntimeView;
use crate::declare::manifest::Spec;
use crate::declare::manifest::kind::runtime::RuntimeSpec;
use crate::declare::world::Object;

use super::dispatch;
use super::memory::{Memory, fresh_for};
use super::picture::Link;
use super::shared::{Edge, Shared, Slot};

/// Events within this time are followed by one look.
const EVENT_PAUSE: Duration = Duration::from_millis(15);
/// The longest pause between attempts to connect to a runtime's events.
const RECONNECT_MAX: Duration = Duration::from_secs(60);

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
    // Jitter must differ between runtimes and repeat between runs: the name is the seed.
    let seed = seed_of(name);
    let slot = Slot::new(Arc::clone(&adapter), shared.shutdown.child_token(), generation, seed);
    shared.slots().insert(name.clone(), slot.clone());
    let observer = Observer {
        shared: Arc::clone(shared),
        name: name.clone(),
        spec: spec.clone(),
        slot: slot.clone(),
        failures: 0,
        pause: Duration::ZERO,
        rng: Rng::new(seed),
    };
    if adapter.abilities().events {
        tokio::spawn(listen(name.clone(), adapter, slot.look, slot.stop, seed));
    }
    tokio::spawn(observer.run());
}

fn seed_of(name: &Name) -> u64 {
    let hex = Digest::of(name.as_str().as_bytes()).hex();
    u64::from_str_radix(&hex[..16], 16).unwrap_or(0)
}

struct Observer {
    shared: Arc<Shared>,
    name: Name,
    spec: RuntimeSpec,
    slot: Slot,
    failures: u32,
    /// The pause after the last failed look, while the breaker is closed.
    pause: Duration,
    rng: Rng,
}

impl Observer {
    async fn run(mut self) {
        let Slot { adapter, look, stop, .. } = self.slot.clone();
        loop {
            let allowed = self.slot.breaker().allow(self.shared.now());
            let pause = if let Allow::No { until } = allowed {
                Duration::from_millis(millis_since(self.shared.now(), until).max(1))
            } else {
                if allowed == Allow::Probe {
                    // A probe may take its time: that it is on its way is shown meanwhile.
                    self.shared.touch();
                }
                let seen = tokio::select! {
                    seen = adapter.observe() => seen,
                    () = stop.cancelled() => return,
                };
                self.keep(seen)
            };
            let open = self.slot.breaker().open_until().is_some();
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = look.notified(), if !open => {}
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
                self.slot.breaker().succeeded();
                keep_view(&self.shared, &self.name, &self.spec, view);
                // Up to a tenth early, so that many runtimes do not stay in step.
                let tenth = u64::try_from(every.as_millis()).unwrap_or(u64::MAX) / 10;
                every.saturating_sub(Duration::from_millis(self.rng.below(tenth.max(1))))
            }
            Err(error) => {
                let now = self.shared.now();
                self.failures = self.failures.saturating_add(1);
                self.slot.breaker().failed(now);
                let open_until = self.slot.breaker().open_until();
                self.pause = match open_until {
                    Some(until) => Duration::from_millis(millis_since(now, until)),
                    None => backoff::next(self.pause, backoff::BASE, every.max(backoff::BASE), &mut self.rng),
                };
                keep_failure(&self.shared, &self.name, &error, self.failures, open_until);
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
    let seen = seen_by_scheduler(observed.fresh(now));
    let (changed, dependents) = {
        let mut memory = shared.memory();
        let renamed = observed.fresh(now).is_some_and(|new| names_differ(memory.view(name), new, now));
        let changed = memory.observe(name, observed, Link::Connected, 0, now);
        if renamed {
            tell_world(shared, &memory, now);
        }
        if let Some(seen) = seen {
            shared.inbox.input(Input::Event(Event::Seen { runtime: name.clone(), seen }));
        }
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

/// An observation in the scheduler's words.
fn seen_by_scheduler(view: Option<&RuntimeView>) -> Option<RuntimeSeen> {
    let view = view?;
    let models = view.models.iter().map(|model| (model.name.as_str().into(), model.state, model.vram_gb)).collect();
    let in_flight = view.in_flight.map(|works| works.saturating_add(view.queued.unwrap_or(0)));
    Some(RuntimeSeen::Up { models, in_flight })
}

/// Whether a runtime knows its models by other names than before.
fn names_differ(before: Option<&Observed<RuntimeView>>, new: &RuntimeView, now: Timestamp) -> bool {
    match before.map(|seen| seen.read(now)) {
        Some(Reading::Fresh { value, .. } | Reading::Stale { value, .. }) => value.aliases != new.aliases,
        Some(Reading::Unknown { .. }) | None => !new.aliases.is_empty(),
    }
}

/// Tells the scheduler of the world in force, under the names by which runtimes know their models.
pub fn tell_world(shared: &Shared, memory: &Memory, now: Timestamp) {
    let config = dispatch::config::of(&memory.world, &memory.views, now);
    shared.inbox.input(Input::World(config));
}

fn keep_failure(shared: &Shared, name: &Name, error: &RuntimeError, failures: u32, open_until: Option<Timestamp>) {
    let now = shared.now();
    let link = if open_until.is_some() { Link::Down } else { Link::Reconnecting };
    let why = error.to_string();
    let (changed, dependents) = {
        let mut memory = shared.memory();
        let seen = match memory.view(name) {
            Some(last) => last.clone().failed(why.clone()),
            None => Observed::unknown(name.as_str(), why.clone()),
        };
        let since = seen.at().unwrap_or(now);
        let down = RuntimeSeen::Down { since, why: why.clone() };
        shared.inbox.input(Input::Event(Event::Seen { runtime: name.clone(), seen: down }));
        let changed = memory.observe(name, seen, link, failures, now);
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
async fn listen(name: Name, adapter: Arc<dyn Adapter>, look: Arc<Notify>, stop: CancellationToken, seed: u64) {
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
                    Some(Ok(
                        event @ (RuntimeEvent::Changed | RuntimeEvent::Gap { .. } | RuntimeEvent::InFlight(_)),
                    )) => {
                        tell_gap(&name, &event);
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
        pause = backoff::next(pause, backoff::BASE, RECONNECT_MAX, &mut rng);
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = stop.cancelled() => return,
        }
    }
}

/// What was missed is looked at again, and said: nobody will ever hear of it from the runtime.
fn tell_gap(name: &Name, event: &RuntimeEvent) {
    if let RuntimeEvent::Gap { missed } = event {
        let how_many = missed.map_or("some".to_owned(), |missed| missed.to_string());
        tracing::warn!(runtime = %name, "{how_many} events of {name} were missed; it is looked at again");
    }
}
