//! The net below every call to a runtime: work that must end in time.

use std::time::Duration;

use futures::FutureExt as _;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::decide::view::RuntimeView;
use crate::declare::manifest::kind::runtime::{AdapterKind, TimeoutsSpec};

use super::adapter::{
    Abilities, Adapter, Call, Events, Fault, Invocation, MachineSample, Outcome, Progress, RuntimeError,
};

/// `work`, which must end within `limit`; `asked` says what was asked, as in "cannot load x".
///
/// # Errors
/// A timeout, or what the work itself says.
pub async fn within<T>(
    limit: Duration,
    asked: &str,
    work: impl Future<Output = Result<T, RuntimeError>>,
) -> Result<T, RuntimeError> {
    tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
        let millis = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        let message = format!("{asked}: not done within {}", crate::core::text::age(millis));
        Err(RuntimeError::new(Fault::Timeout, message))
    })
}

/// One of `slots`, waited for; it is free again when what is given back is dropped.
///
/// # Errors
/// When nothing is taken on any more.
pub async fn slot(slots: &Semaphore) -> Result<SemaphorePermit<'_>, RuntimeError> {
    slots.acquire().await.map_err(|_| RuntimeError::new(Fault::Unreachable, "shutting down"))
}

/// An adapter whose loads, unloads and runs end in the time that its Runtime gives them. What is late is dropped, and so
/// cancelled. Looks and events are bounded request by request.
#[derive(Debug)]
pub struct Bounded<A> {
    adapter: A,
    load: Duration,
    run: Duration,
}

impl<A> Bounded<A> {
    pub fn new(adapter: A, timeouts: &TimeoutsSpec) -> Self {
        Self { adapter, load: timeouts.load.get(), run: timeouts.run.get() }
    }
}

impl<A: Adapter> Adapter for Bounded<A> {
    fn kind(&self) -> AdapterKind {
        self.adapter.kind()
    }

    fn abilities(&self) -> Abilities {
        self.adapter.abilities()
    }

    fn reads(&self, capability: &str) -> Option<&str> {
        self.adapter.reads(capability)
    }

    fn observe(&self) -> Call<'_, RuntimeView> {
        self.adapter.observe()
    }

    fn events(&self) -> Call<'_, Events> {
        self.adapter.events()
    }

    fn load<'a>(&'a self, model: &'a str) -> Call<'a, ()> {
        async move { within(self.load, &format!("cannot load `{model}`"), self.adapter.load(model)).await }.boxed()
    }

    fn unload<'a>(&'a self, model: &'a str) -> Call<'a, ()> {
        async move { within(self.load, &format!("cannot unload `{model}`"), self.adapter.unload(model)).await }.boxed()
    }

    fn machine(&self) -> Call<'_, Option<MachineSample>> {
        self.adapter.machine()
    }

    fn run<'a>(&'a self, invocation: Invocation, progress: Progress) -> Call<'a, Outcome> {
        let asked = format!("cannot do `{}`", invocation.capability);
        async move { within(self.run, &asked, self.adapter.run(invocation, progress)).await }.boxed()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// Whatever it is asked to do, it does not come to an end.
    struct Endless;

    impl Adapter for Endless {
        fn kind(&self) -> AdapterKind {
            AdapterKind::Openai
        }

        fn abilities(&self) -> Abilities {
            Abilities { loads: true, events: false, cancels: true }
        }

        fn observe(&self) -> Call<'_, RuntimeView> {
            std::future::pending().boxed()
        }

        fn load<'a>(&'a self, _: &'a str) -> Call<'a, ()> {
            std::future::pending().boxed()
        }

        fn unload<'a>(&'a self, _: &'a str) -> Call<'a, ()> {
            std::future::pending().boxed()
        }

        fn run<'a>(&'a self, _: Invocation, _: Progress) -> Call<'a, Outcome> {
            std::future::pending().boxed()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_does_not_end_by_itself_is_ended_and_said_in_the_same_words_for_all() {
        let adapter = Bounded { adapter: Endless, load: Duration::from_secs(120), run: Duration::from_millis(50) };
        let invocation = Invocation {
            capability: "text.embed".to_owned(),
            model: None,
            text: None,
            files: Vec::new(),
            params: BTreeMap::new(),
        };
        let run = adapter.run(invocation, Progress::ignored()).await.map(drop);
        for (outcome, said) in [
            (adapter.load("a").await, "timeout: cannot load `a`: not done within 2 min"),
            (adapter.unload("a").await, "timeout: cannot unload `a`: not done within 2 min"),
            (run, "timeout: cannot do `text.embed`: not done within 50 ms"),
        ] {
            assert_eq!(outcome.unwrap_err().to_string(), said);
        }
    }
}
