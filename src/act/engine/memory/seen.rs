//! What was seen of runtimes, hosts and GPUs, and how loads went. Looking is the observer's; here it is kept, and said whether it
//! differs from what was known.

use std::sync::Arc;
use std::time::Duration;

use crate::act::controller::breaker;
use crate::core::{Name, Observed, Timestamp};
use crate::decide::host_view::{GpuView, Hosts};
use crate::decide::reconcile::LoadHistory;
use crate::decide::view::RuntimeView;

use super::super::picture::{Link, RuntimePicture};
use super::Memory;

impl Memory {
    /// Keeps a new observation; true when it says something else than the one before.
    pub fn observe(
        &mut self,
        runtime: &Name,
        seen: Observed<RuntimeView>,
        link: Link,
        failures: u32,
        now: Timestamp,
    ) -> bool {
        let before = self.runtimes.get(runtime);
        let said = |observed: &Observed<RuntimeView>| observed.fresh(now).cloned();
        let changed = before.is_none_or(|before| said(&before.view) != said(&seen) || before.link != link);
        let last_seen = seen.at().or_else(|| before.and_then(|before| before.last_seen));
        Arc::make_mut(&mut self.views).insert(runtime.clone(), seen.clone());
        // Where the breaker stands is asked of the breaker itself when a picture is made.
        let breaker = breaker::State::Closed { failures };
        self.runtimes.insert(runtime.clone(), RuntimePicture { view: seen, link, last_seen, failures, breaker });
        changed
    }

    /// Forgets a runtime that is no longer declared.
    pub fn forget_runtime(&mut self, runtime: &Name) {
        self.runtimes.remove(runtime);
        Arc::make_mut(&mut self.views).remove(runtime);
    }

    /// The last observation of a runtime.
    pub fn view(&self, runtime: &Name) -> Option<&Observed<RuntimeView>> {
        self.views.get(runtime)
    }

    /// Keeps what was seen of every host; gives the names of those whose health may have changed, or that are gone.
    pub fn keep_hosts(&mut self, seen: Hosts) -> Vec<Name> {
        let gone = self.hosts.keys().filter(|name| !seen.contains_key(*name));
        let differs = seen.iter().filter(|(name, seen)| said_differently(self.hosts.get(*name), seen));
        let changed = differs.map(|(name, _)| name).chain(gone).cloned().collect();
        self.hosts = Arc::new(seen);
        changed
    }

    /// Keeps what was seen of some GPUs, and forgets those that are no longer declared; gives their hosts as above.
    pub fn keep_gpus(&mut self, seen: Vec<((Name, Name), Observed<GpuView>)>) -> Vec<Name> {
        let declared = |(host, id): &(Name, Name)| {
            self.world.host(host).is_some_and(|spec| spec.gpus.iter().any(|gpu| gpu.id == *id))
        };
        let mut gpus = (*self.gpus).clone();
        let mut changed: Vec<Name> = gpus.keys().filter(|key| !declared(key)).map(|(host, _)| host.clone()).collect();
        gpus.retain(|key, _| declared(key));
        for (key, seen) in seen.into_iter().filter(|(key, _)| declared(key)) {
            if said_differently(gpus.get(&key), &seen) {
                changed.push(key.0.clone());
            }
            gpus.insert(key, seen);
        }
        self.gpus = Arc::new(gpus);
        changed
    }

    /// Notes how a load went, for the next plan's expectation.
    pub fn note_load_history(&mut self, runtime: &Name, served_as: &str, mut durations_ms: Vec<u64>) {
        if durations_ms.is_empty() {
            return;
        }
        durations_ms.sort_unstable();
        let known = self.load_history_of(runtime, served_as);
        known.median_ms = durations_ms[durations_ms.len() / 2];
        known.samples = u32::try_from(durations_ms.len()).unwrap_or(u32::MAX);
    }

    /// Notes how much GPU memory a load was measured to take.
    pub fn note_load_took(&mut self, runtime: &Name, served_as: &str, gb: f64) {
        self.load_history_of(runtime, served_as).took_gb = Some(gb);
    }

    fn load_history_of(&mut self, runtime: &Name, served_as: &str) -> &mut LoadHistory {
        Arc::make_mut(&mut self.load_history).entry((runtime.clone(), served_as.to_owned())).or_default()
    }
}

/// Whether an observation tells another trouble than the one before, or none where there was one.
fn said_differently<T>(before: Option<&Observed<T>>, seen: &Observed<T>) -> bool {
    before.is_none_or(|before| before.problem() != seen.problem() || before.at().is_some() != seen.at().is_some())
}

/// For how long an observation counts as fresh: three looks, and never less than three seconds.
#[must_use]
pub fn fresh_for(observe_every: Duration) -> Duration {
    (observe_every * 3).max(Duration::from_secs(3))
}
