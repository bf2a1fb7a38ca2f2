//! Looking at runtimes: by the clock, after actions, and what is made of an answer.

use std::time::Duration;

use crate::core::{Kind, Name, ObjectKey, Observed};
use crate::decide::view::RuntimeView;
use crate::declare::manifest::Spec;
use crate::declare::manifest::kind::runtime::RuntimeSpec;

use super::super::broken::Broken;
use super::super::event::Event;
use super::super::machines::{Answer, Ask};
use super::super::run::Simulation;
use super::Purpose;

/// How long a look may take.
const LOOK_LIMIT_MS: u64 = 2_000;
/// Failed looks in a row after which a runtime is left alone for a while, and for how long.
const PATIENCE: u32 = 6;
const LEFT_ALONE_MS: u64 = 30_000;
/// For how long a look counts as fresh where that rule is broken on purpose.
const FOR_EVER: Duration = Duration::from_secs(1_000_000);

impl Simulation<'_> {
    /// Observes every runtime that can be driven, and no other.
    pub fn align_observers(&mut self) {
        let now_ms = self.clocks.true_ms;
        let Some(program) = &mut self.program else { return };
        let removed = program.memory.removed.values();
        let declared = program.memory.world.runtimes().map(|(object, spec)| (object, spec.adapter));
        let gone = removed.filter_map(|object| match &object.document.spec {
            Spec::Runtime(spec) => Some((object, spec.adapter)),
            _ => None,
        });
        let driven: Vec<Name> = declared
            .chain(gone)
            .filter(|(_, adapter)| adapter.is_driven())
            .map(|(object, _)| object.document.key.name.clone())
            .collect();
        program.observers.retain(|name, _| driven.contains(name));
        program.memory.views.retain(|name, _| driven.contains(name));
        for name in driven {
            if !program.observers.contains_key(&name) {
                program.observers.insert(name.clone(), 0);
                self.calendar.put(now_ms, Event::Observe(name));
            }
        }
    }

    /// It is time to look at a runtime.
    pub fn observe_due(&mut self, runtime: &Name) {
        if self.program.as_ref().is_some_and(|program| program.observers.contains_key(runtime)) {
            self.look(runtime, Purpose::Look(runtime.clone()));
        }
    }

    /// Asks a runtime how it is.
    pub fn look(&mut self, runtime: &Name, purpose: Purpose) {
        self.call(runtime, Ask::Observe, LOOK_LIMIT_MS, purpose);
    }

    /// The answer of a look that an observer made: keeps it, and plans the next one.
    pub fn observer_heard(&mut self, runtime: &Name, answer: &Answer) {
        self.keep(runtime, answer);
        let Some(every) = self.runtime_spec(runtime).map(|spec| spec.observe_every.get()) else { return };
        let every_ms = u64::try_from(every.as_millis()).unwrap_or(u64::MAX);
        let Some(failures) = self.program.as_mut().and_then(|program| program.observers.get_mut(runtime)) else {
            return;
        };
        let wait_ms = match answer {
            Answer::Seen(_) => {
                *failures = 0;
                every_ms
            }
            Answer::Done | Answer::Failed(_) => {
                *failures = failures.saturating_add(1);
                if *failures >= PATIENCE { LEFT_ALONE_MS } else { 1_000 }
            }
        };
        self.calendar.put(self.clocks.true_ms + wait_ms, Event::Observe(runtime.clone()));
    }

    /// Keeps what was seen, and wakes whom it concerns when it says something new.
    pub fn keep(&mut self, runtime: &Name, answer: &Answer) {
        let (now, steady_ms) = (self.clocks.wall(), self.clocks.moment().steady_ms);
        let Some(spec) = self.runtime_spec(runtime).cloned() else { return };
        let Some(program) = &mut self.program else { return };
        let before = program.memory.views.get(runtime);
        let stale = self.rule == Some(Broken::StaleActedOn);
        let seen = match answer {
            Answer::Failed(_) if stale && before.is_some() => return,
            Answer::Seen(view) => {
                let fresh_for = if stale { FOR_EVER } else { fresh_for(spec.observe_every.get()) };
                Observed::seen(view.clone(), runtime.as_str(), now, fresh_for)
            }
            Answer::Failed(fault) => match before {
                Some(last) => last.clone().failed(fault.as_str()),
                None => Observed::unknown(runtime.as_str(), fault.as_str()),
            },
            Answer::Done => return,
        };
        let said = |observed: &Observed<RuntimeView>| observed.fresh(now).cloned();
        let changed = before.is_none_or(|before| said(before) != said(&seen));
        program.memory.views.insert(runtime.clone(), seen);
        if matches!(answer, Answer::Seen(_)) {
            program.heard_ms.insert(runtime.clone(), steady_ms);
        }
        self.tell_seen(runtime, answer);
        if changed {
            for key in self.dependents(runtime) {
                self.wake_at(&key, self.clocks.true_ms);
            }
        }
    }

    /// The loadouts and removed objects whose answer depends on a runtime.
    fn dependents(&self, runtime: &Name) -> Vec<ObjectKey> {
        let Some(program) = &self.program else { return Vec::new() };
        let world = &program.memory.world;
        let host = world.runtime(runtime).map(|spec| &spec.host);
        let loadouts = world.loadouts().filter(|(_, loadout)| Some(&loadout.host) == host);
        loadouts.map(|(object, _)| object.document.key.clone()).chain(program.memory.removed.keys().cloned()).collect()
    }

    /// A runtime that is declared, or gone and still driven.
    pub fn runtime_spec(&self, runtime: &Name) -> Option<&RuntimeSpec> {
        let memory = &self.program.as_ref()?.memory;
        let key = ObjectKey::new(Kind::Runtime, runtime.clone());
        match &memory.world.objects.get(&key).or_else(|| memory.removed.get(&key))?.document.spec {
            Spec::Runtime(spec) => Some(spec),
            _ => None,
        }
    }
}

/// For how long an observation counts as fresh, as in the engine: three looks, and never less than three seconds.
fn fresh_for(observe_every: Duration) -> Duration {
    (observe_every * 3).max(Duration::from_secs(3))
}
