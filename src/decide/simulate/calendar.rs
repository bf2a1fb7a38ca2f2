//! What is due when: events by true time, and among those of one moment by the order in which they were put down.

use std::collections::BTreeMap;

/// Events in the order of time.
#[derive(Clone, Debug)]
pub struct Calendar<E> {
    due: BTreeMap<(u64, u64), E>,
    next: u64,
}

impl<E> Default for Calendar<E> {
    fn default() -> Self {
        Self { due: BTreeMap::new(), next: 0 }
    }
}

impl<E> Calendar<E> {
    /// Puts an event down for `at_ms`.
    pub fn put(&mut self, at_ms: u64, event: E) {
        self.due.insert((at_ms, self.next), event);
        self.next += 1;
    }

    /// Takes the next event with its time.
    pub fn pop(&mut self) -> Option<(u64, E)> {
        self.due.pop_first().map(|((at_ms, _), event)| (at_ms, event))
    }

    /// Keeps only those events for which `keep` holds.
    pub fn retain(&mut self, mut keep: impl FnMut(&E) -> bool) {
        self.due.retain(|_, event| keep(event));
    }

    /// The next event for which `is` holds.
    pub fn find(&self, is: impl Fn(&E) -> bool) -> Option<&E> {
        self.due.values().find(|event| is(event))
    }
}

#[cfg(test)]
mod tests {
    use super::Calendar;

    #[test]
    fn events_of_one_moment_come_in_the_order_in_which_they_were_put_down() {
        let mut calendar = Calendar::default();
        for (at, event) in [(5, 'c'), (1, 'a'), (5, 'd'), (2, 'b')] {
            calendar.put(at, event);
        }
        let order: String = std::iter::from_fn(|| calendar.pop()).map(|(_, event)| event).collect();
        assert_eq!(order, "abcd");
    }

    #[test]
    fn what_is_not_kept_never_comes() {
        let mut calendar = Calendar::default();
        for (at, event) in [(1, 'a'), (2, 'b'), (3, 'c')] {
            calendar.put(at, event);
        }
        calendar.retain(|event| *event != 'b');
        assert!(calendar.find(|event| *event == 'c').is_some() && calendar.find(|event| *event == 'b').is_none());
        let order: Vec<_> = std::iter::from_fn(|| calendar.pop()).collect();
        assert_eq!(order, [(1, 'a'), (3, 'c')]);
    }
}
