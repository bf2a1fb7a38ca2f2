//! A cut: the step at which a store stops as if the program had died there, or finds the disk full. For tests; nothing else
//! ever makes one.
//!
//! A store with a cut commits every job alone, so that the number of a step means something. From the cut on nothing is
//! committed and nobody is answered: whoever waits for the store waits until it is dropped, like work in a program that
//! was killed. A full disk refuses that step and so many durable ones after it, and the store lives on. Steps that may be
//! lost with the power (see `writer`) are not counted.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Where a store stops. Clones tell of the same one.
#[derive(Clone, Debug)]
pub struct Cut(Arc<Mutex<State>>);

/// A durable step.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Counted from 1 over all of them.
    Number(usize),
    /// Counted from 1 over those with this name, which changes less from one run to the next.
    Named(String, usize),
}

/// On which side of a step the program dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// The step is never made.
    Before,
    /// The step is made, and nobody learns of it.
    After,
}

#[derive(Debug)]
struct State {
    at: Option<(Side, Step)>,
    /// From where on there is no room, and for how many durable steps.
    full: Option<(Step, usize)>,
    /// How many durable steps are still refused.
    refusals: usize,
    was_full: bool,
    /// The names of the durable steps that came so far, in order; the cut one is the last.
    steps: Vec<&'static str>,
    reached: bool,
}

/// What becomes of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is made and answered.
    Lives,
    /// It is never made.
    Lost,
    /// It is made, and nobody learns of it.
    Unanswered,
    /// There is no room for it, which is its answer.
    Refused,
}

impl Cut {
    /// Dies on that side of that step.
    #[must_use]
    pub fn at(side: Side, step: Step) -> Self {
        Self::new(Some((side, step)), None)
    }

    /// Finds the disk full at that step, and for so many durable steps in all.
    #[must_use]
    pub fn full_at(step: Step, steps: usize) -> Self {
        Self::new(None, Some((step, steps)))
    }

    /// Never dies; only names and counts the steps.
    #[must_use]
    pub fn never() -> Self {
        Self::new(None, None)
    }

    fn new(at: Option<(Side, Step)>, full: Option<(Step, usize)>) -> Self {
        Self(Arc::new(Mutex::new(State { at, full, refusals: 0, was_full: false, steps: Vec::new(), reached: false })))
    }

    /// Whether the disk was found full.
    #[must_use]
    pub fn was_full(&self) -> bool {
        self.lock().was_full
    }

    /// Whether the store has stopped.
    #[must_use]
    pub fn is_reached(&self) -> bool {
        self.lock().reached
    }

    /// The names of the durable steps so far, in order; once the cut is reached its step is the last.
    #[must_use]
    pub fn steps(&self) -> Vec<&'static str> {
        self.lock().steps.clone()
    }

    /// Counts a step that is about to be made.
    pub(super) fn count(&self, step: &'static str) -> Fate {
        let mut state = self.lock();
        state.steps.push(step);
        let is_it = |wanted: &Step| match wanted {
            Step::Number(number) => *number == state.steps.len(),
            Step::Named(name, nth) => {
                name == step && *nth == state.steps.iter().filter(|earlier| **earlier == step).count()
            }
        };
        match &state.at {
            Some((Side::Before, at)) if is_it(at) => return Fate::Lost,
            Some((Side::After, at)) if is_it(at) => return Fate::Unanswered,
            Some(_) | None => {}
        }
        let full = state.full.as_ref().filter(|(at, _)| !state.was_full && is_it(at)).map(|(_, steps)| *steps);
        if let Some(steps) = full {
            (state.refusals, state.was_full) = (steps, true);
        }
        let refused = state.refusals > 0;
        state.refusals = state.refusals.saturating_sub(1);
        if refused { Fate::Refused } else { Fate::Lives }
    }

    /// Says that the store has stopped.
    pub(super) fn reach(&self) {
        self.lock().reached = true;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The name of the function that a job was written in, from the name of the job's type:
/// `…::<impl …::Store>::task_start::{{closure}}::{{closure}}` gives `task_start`.
pub(super) fn step_name(job_type: &'static str) -> &'static str {
    let function = job_type.split("::{{closure}}").next().unwrap_or(job_type);
    function.rsplit("::").next().unwrap_or(function)
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::path::Path;
    use std::task::Poll;

    use super::super::testing::{Still, at, audit, load, open, task};
    use super::super::{Effects, Error, Store};
    use super::*;

    fn cut_open(dir: &Path, cut: &Cut) -> Store {
        Store::open_with(dir, Arc::new(Still(at(0))), Some(cut.clone())).unwrap()
    }

    /// Waits until the store has stopped, and shows that the call is not answered.
    async fn never_answered<T: std::fmt::Debug>(cut: &Cut, call: impl Future<Output = Result<T, Error>>) {
        let mut call = std::pin::pin!(call);
        let stopped = std::future::poll_fn(|context| {
            assert!(call.as_mut().poll(context).is_pending(), "nobody is answered");
            context.waker().wake_by_ref();
            if cut.is_reached() { Poll::Ready(()) } else { Poll::Pending }
        });
        stopped.await;
        assert!(futures::poll!(call.as_mut()).is_pending(), "and nobody will be");
    }

    #[tokio::test]
    async fn before_a_step_it_is_not_made_and_after_it_it_is_and_neither_is_answered() {
        let named = Step::Named("journal_finish".to_owned(), 1);
        for (cut, made) in [
            (Cut::at(Side::Before, Step::Number(2)), false),
            (Cut::at(Side::After, Step::Number(2)), true),
            (Cut::at(Side::Before, named.clone()), false),
            (Cut::at(Side::After, named), true),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let store = cut_open(dir.path(), &cut);
            let first = store.journal_begin(load("Loadout/desk", "qwen")).await.unwrap();
            store.save_history(first.object.clone(), "{}".to_owned()).await.unwrap();
            assert!(!cut.is_reached(), "what may be lost with the power is not counted");
            let entry = audit("load", "Loadout/desk");
            never_answered(&cut, store.journal_finish(&first.id, Ok(()), Effects::default(), entry)).await;
            assert_eq!(cut.steps(), ["journal_begin", "journal_finish"]);
            never_answered(&cut, store.task_add(task("task-1"))).await;
            drop(store);

            let store = open(dir.path());
            assert_eq!(store.journal_open().await.unwrap().is_empty(), made, "{cut:?}");
            assert!(store.tasks_unfinished().await.unwrap().is_empty(), "nothing is made after a crash");
        }
    }

    #[tokio::test]
    async fn a_cut_that_is_never_reached_only_names_what_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let cut = Cut::never();
        let store = cut_open(dir.path(), &cut);
        store.task_submit(task("task-1"), audit("submit", "task-1")).await.unwrap();
        store.task_start("task-1", None, None, Vec::new(), at(1)).await.unwrap();
        store.meta_set("a", "b").await.unwrap();
        store.close().await;
        assert_eq!((cut.steps(), cut.is_reached()), (vec!["task_submit", "task_start", "meta_set"], false));
    }
}
