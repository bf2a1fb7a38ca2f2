//! How the newest tasks ended: what a task that comes now and depends on one of them may not have heard yet.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::decide::scheduler::{Dependency, Over};

/// How many are remembered. What is older was on disk when whoever accepts a task looked there.
const KEPT: usize = 10_000;

#[derive(Debug, Default)]
pub(super) struct Ended {
    over: BTreeMap<Arc<str>, Over>,
    order: VecDeque<Arc<str>>,
}

impl Ended {
    pub(super) fn note(&mut self, id: &Arc<str>, over: Over) {
        if self.over.insert(Arc::clone(id), over).is_none() {
            self.order.push_back(Arc::clone(id));
        }
        if self.order.len() > KEPT
            && let Some(oldest) = self.order.pop_front()
        {
            self.over.remove(&oldest);
        }
    }

    /// A task that was over goes on.
    pub(super) fn reopen(&mut self, id: &str) {
        if self.over.remove(id).is_some() {
            self.order.retain(|known| **known != *id);
        }
    }

    /// Says of dependencies what is known by now.
    pub(super) fn patch(&self, dependencies: &mut [Dependency]) {
        for dependency in dependencies.iter_mut().filter(|dependency| dependency.over.is_none()) {
            dependency.over = self.over.get(&dependency.id).copied();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(id: &str) -> Dependency {
        Dependency { id: id.into(), over: None }
    }

    #[test]
    fn what_ended_just_now_is_known_to_who_comes_next_and_the_oldest_is_forgotten() {
        let mut ended = Ended::default();
        ended.note(&"a".into(), Over::Done);
        let mut dependencies = [on("a"), on("b"), Dependency { id: "c".into(), over: Some(Over::Failed) }];
        ended.patch(&mut dependencies);
        assert_eq!(dependencies.clone().map(|it| it.over), [Some(Over::Done), None, Some(Over::Failed)]);
        for n in 0..KEPT {
            ended.note(&n.to_string().into(), Over::Failed);
        }
        let mut dependencies = [on("a"), on("0")];
        ended.patch(&mut dependencies);
        assert_eq!(dependencies.map(|it| it.over), [None, Some(Over::Failed)]);
        assert_eq!((ended.over.len(), ended.order.len()), (KEPT, KEPT));
    }

    #[test]
    fn a_task_that_goes_on_is_not_over() {
        let mut ended = Ended::default();
        ended.note(&"a".into(), Over::Failed);
        ended.reopen("a");
        let mut dependencies = [on("a")];
        ended.patch(&mut dependencies);
        assert_eq!(dependencies[0].over, None);
        assert!(ended.order.is_empty());
    }
}
