//! A second queue, to check the first against: no index, nothing clever, every answer found by looking at every key.
//!
//! Where the real queue merges what happens during a run as it happens, this one keeps the list and reads it at the end.
//! The lengths of backoffs are random: they are taken from the real queue, after checking that they are allowed.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::moment::Moment;
use super::super::outcome::{Outcome, RetryClass};
use super::super::reason::{Lane, Reason, Run};
use super::super::snapshot::Place;
use super::ending::REST_MIN;
use crate::core::backoff::{BASE, CAP};

pub(super) type K = u8;
pub(super) type E = u8;

pub(super) const FAST_SLOTS: usize = 2;
pub(super) const SLOW_SLOTS: usize = 1;
pub(super) const SLOW_AFTER: Duration = Duration::from_secs(2);

#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) keys: BTreeMap<K, Known>,
    /// Until when each failing dependency backs off.
    dependencies: BTreeMap<E, Moment>,
}

#[derive(Debug)]
pub(super) struct Known {
    generation: Option<u64>,
    at: At,
    reasons: Vec<Reason<E>>,
    failures: u32,
    troubled: bool,
    /// The object's own backoff window.
    own_window: Option<Moment>,
    /// The backoff in force, of its own or of what it fails on.
    not_before: Option<Moment>,
    failing_on: Option<E>,
}

#[derive(Clone, Debug, PartialEq)]
enum At {
    Scheduled { due: Moment, lane: Lane, then: Reason<E> },
    Waiting { on: Vec<E>, deadline: Moment, lane: Lane, then: Reason<E> },
    Pending { due: Moment, lane: Lane },
    Running { since: Moment, lane: Lane, slow: bool, meanwhile: Vec<Event> },
    Idle,
    Stalled,
}

#[derive(Clone, Debug, PartialEq)]
enum Event {
    Asked(Lane, Moment),
    Changed(Moment),
    Forgotten,
    Fired(E),
}

impl Known {
    fn new() -> Self {
        Self {
            generation: None,
            at: At::Idle,
            reasons: Vec::new(),
            failures: 0,
            troubled: false,
            own_window: None,
            not_before: None,
            failing_on: None,
        }
    }

    fn wipe(&mut self) {
        let fresh = Self::new();
        (self.failures, self.troubled, self.failing_on) = (fresh.failures, fresh.troubled, fresh.failing_on);
        (self.own_window, self.not_before) = (fresh.own_window, fresh.not_before);
    }

    fn say(&mut self, reason: Reason<E>) {
        if !self.reasons.contains(&reason) {
            self.reasons.push(reason);
        }
    }

    fn line_up(&mut self, lane: Lane, due: Moment) {
        self.at = match self.at {
            At::Pending { due: earlier, lane: better } => At::Pending { due: due.min(earlier), lane: lane.min(better) },
            _ => At::Pending { due, lane },
        };
    }

    fn ask(&mut self, lane: Lane, at: Moment, now: Moment) {
        let held_back = lane != Lane::Person && self.not_before.is_some_and(|until| now < until);
        match &mut self.at {
            At::Scheduled { lane: kept, .. } | At::Waiting { lane: kept, .. } if held_back => *kept = lane.min(*kept),
            _ => self.line_up(lane, at),
        }
    }

    pub(super) fn place(&self, now: Moment) -> Place<E> {
        match &self.at {
            At::Scheduled { due, lane, .. } => Place::Scheduled { due_in: due.since(now), lane: *lane },
            At::Waiting { on, deadline, .. } => Place::Waiting { on: on.clone(), left: deadline.since(now) },
            At::Pending { due, lane } => Place::Pending { waited: now.since(*due), lane: *lane },
            At::Running { since, lane, slow, .. } => {
                Place::Running { ran: now.since(*since), lane: *lane, slow: *slow }
            }
            At::Idle => Place::Idle,
            At::Stalled => Place::Stalled,
        }
    }
}

impl Model {
    pub(super) fn changed(&mut self, key: K, generation: u64, now: Moment) {
        let known = self.keys.entry(key).or_insert_with(Known::new);
        if known.generation == Some(generation) {
            return;
        }
        known.generation = Some(generation);
        known.wipe();
        known.say(Reason::Changed { generation });
        match &mut known.at {
            At::Running { meanwhile, .. } => meanwhile.push(Event::Changed(now)),
            _ => known.line_up(Lane::Person, now),
        }
    }

    pub(super) fn trigger(&mut self, key: K, lane: Lane, why: &str, now: Moment) {
        let known = self.keys.entry(key).or_insert_with(Known::new);
        if known.at == At::Stalled {
            return;
        }
        known.say(Reason::Asked { lane, why: why.into() });
        match &mut known.at {
            At::Running { meanwhile, .. } => meanwhile.push(Event::Asked(lane, now)),
            _ => known.ask(lane, now, now),
        }
    }

    pub(super) fn trigger_all(&mut self, lane: Lane, why: &str, now: Moment) {
        let forgotten = |known: &Known| match &known.at {
            At::Running { meanwhile, .. } => Self::is_forgotten(meanwhile),
            _ => false,
        };
        let known: Vec<K> = self.keys.iter().filter(|(_, known)| !forgotten(known)).map(|(key, _)| *key).collect();
        known.into_iter().for_each(|key| self.trigger(key, lane, why, now));
    }

    fn is_forgotten(meanwhile: &[Event]) -> bool {
        meanwhile.iter().rev().find(|event| !matches!(event, Event::Fired(_))) == Some(&Event::Forgotten)
    }

    pub(super) fn wake(&mut self, edge: E, now: Moment) {
        self.dependencies.remove(&edge);
        for known in self.keys.values_mut() {
            match &mut known.at {
                At::Running { meanwhile, .. } => meanwhile.push(Event::Fired(edge)),
                At::Waiting { on, lane, .. } if on.contains(&edge) => {
                    let lane = (*lane).min(Lane::Drift);
                    if known.failing_on == Some(edge) {
                        (known.not_before, known.failing_on, known.troubled) = (None, None, false);
                    }
                    known.say(Reason::Woken { by: edge });
                    known.line_up(lane, now);
                }
                _ => {}
            }
        }
    }

    pub(super) fn forget(&mut self, key: K) {
        let Some(known) = self.keys.get_mut(&key) else { return };
        if let At::Running { meanwhile, .. } = &mut known.at {
            meanwhile.push(Event::Forgotten);
            known.wipe();
            known.generation = None;
            known.reasons.clear();
        } else {
            self.keys.remove(&key);
        }
    }

    pub(super) fn advance(&mut self, now: Moment) {
        for known in self.keys.values_mut() {
            let (At::Scheduled { due, lane, then } | At::Waiting { deadline: due, lane, then, .. }) = known.at.clone()
            else {
                continue;
            };
            if due <= now {
                known.say(then);
                known.line_up(lane, due);
            }
        }
        while self.running_on(true) < SLOW_SLOTS {
            let on_fast = self.keys.iter_mut().filter_map(|(key, known)| match &mut known.at {
                At::Running { since, slow, .. } if !*slow => Some((*since, *key, slow)),
                _ => None,
            });
            let Some((since, _, slow)) = on_fast.min_by_key(|(since, key, _)| (*since, *key)) else { break };
            if now.since(since) < SLOW_AFTER {
                break;
            }
            *slow = true;
        }
    }

    fn running_on(&self, track: bool) -> usize {
        self.keys.values().filter(|known| matches!(known.at, At::Running { slow, .. } if slow == track)).count()
    }

    pub(super) fn start(&mut self, now: Moment) -> Option<Run<K, E>> {
        let room = [self.running_on(false) < FAST_SLOTS, self.running_on(true) < SLOW_SLOTS];
        let startable = self.keys.iter().filter_map(|(key, known)| match known.at {
            At::Pending { due, lane } if room[usize::from(known.troubled)] => Some((known.troubled, lane, due, *key)),
            _ => None,
        });
        let (slow, lane, _, key) = startable.min()?;
        let known = self.keys.get_mut(&key).unwrap();
        known.at = At::Running { since: now, lane, slow, meanwhile: Vec::new() };
        known.not_before = None;
        let mut run =
            Run { key, generation: known.generation, lane, reasons: Default::default(), failures: known.failures };
        known.reasons.drain(..).for_each(|reason| run.reasons.push(reason));
        Some(run)
    }

    pub(super) fn running(&self) -> Vec<K> {
        let running = self.keys.iter().filter(|(_, known)| matches!(known.at, At::Running { .. }));
        running.map(|(key, _)| *key).collect()
    }

    /// Ends a run, without an outcome when it was cut short. `window` is the end of the backoff that the real queue put
    /// in force: taken over when it is allowed.
    pub(super) fn finish(&mut self, key: K, outcome: Option<Outcome<E>>, now: Moment, window: Option<Moment>) {
        let known = self.keys.get_mut(&key).unwrap();
        let At::Running { since, lane, meanwhile, .. } = known.at.clone() else { panic!("{key} does not run") };
        if Self::is_forgotten(&meanwhile) {
            self.keys.remove(&key);
            return;
        }
        // Only what came after the last forgetting counts, and a new life makes the outcome void.
        let lives = meanwhile.split(|event| *event == Event::Forgotten).collect::<Vec<_>>();
        let this_life = *lives.last().unwrap();
        let changed = this_life.iter().rposition(|event| matches!(event, Event::Changed(_)));
        let from = changed.unwrap_or(0);
        let calls: Vec<(Lane, Moment)> = this_life[from..]
            .iter()
            .filter_map(|event| match event {
                Event::Asked(lane, at) => Some((*lane, *at)),
                Event::Changed(at) => Some((Lane::Person, *at)),
                Event::Fired(_) | Event::Forgotten => None,
            })
            .collect();
        let again = calls.iter().map(|call| call.0).min().zip(calls.iter().map(|call| call.1).min());
        if lives.len() > 1 || changed.is_some() {
            let (lane, at) = again.unwrap();
            known.line_up(lane, at);
            return;
        }
        let Some(outcome) = outcome else {
            known.say(Reason::CutShort);
            let (again_lane, at) = again.unwrap_or((lane, now));
            known.line_up(lane.min(again_lane), at);
            return;
        };
        let fired = |edge: &E| meanwhile.contains(&Event::Fired(*edge));
        self.weigh(key, outcome, lane, now.since(since) >= SLOW_AFTER, fired, now, window);
        if let Some((lane, at)) = again {
            self.keys.get_mut(&key).unwrap().ask(lane, at, now);
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one flat function reads easiest as a specification")]
    fn weigh(
        &mut self,
        key: K,
        outcome: Outcome<E>,
        lane: Lane,
        slow: bool,
        fired: impl Fn(&E) -> bool,
        now: Moment,
        new_window: Option<Moment>,
    ) {
        let known = self.keys.get_mut(&key).unwrap();
        match outcome {
            Outcome::Done { resync } => {
                if let Some(edge) = known.failing_on {
                    self.dependencies.remove(&edge);
                }
                known.wipe();
                known.troubled = slow;
                known.at = match resync {
                    None => At::Idle,
                    Some(rest) => {
                        At::Scheduled { due: now.after(rest.max(REST_MIN)), lane: Lane::Resync, then: Reason::Resync }
                    }
                };
            }
            Outcome::Wait { mut on, deadline, .. } => {
                known.failing_on = None;
                known.troubled = slow;
                if let Some(edge) = on.iter().copied().find(fired) {
                    known.say(Reason::Woken { by: edge });
                    known.at = At::Pending { due: now, lane: lane.min(Lane::Drift) };
                    return;
                }
                on.sort_unstable();
                on.dedup();
                let deadline = now.after(deadline.max(REST_MIN));
                known.at = At::Waiting { on, deadline, lane, then: Reason::DeadlinePassed };
            }
            Outcome::Retry { class, .. } => {
                known.failures += 1;
                known.troubled = true;
                let then = Reason::Retry { failures: known.failures };
                let window = match &class {
                    RetryClass::Own => known.own_window,
                    RetryClass::Dependency(edge) => self.dependencies.get(edge).copied(),
                };
                let due = window.filter(|until| now < *until).unwrap_or_else(|| {
                    let until = new_window.expect("a retry puts a backoff in force");
                    assert!((BASE..=CAP).contains(&until.since(now)), "a backoff of {:?}", until.since(now));
                    until
                });
                known.not_before = Some(due);
                match class {
                    RetryClass::Own => {
                        (known.own_window, known.failing_on) = (Some(due), None);
                        known.at = At::Scheduled { due, lane: Lane::Retry, then };
                    }
                    RetryClass::Dependency(edge) => {
                        self.dependencies.insert(edge, due);
                        known.failing_on = Some(edge);
                        known.at = At::Waiting { on: vec![edge], deadline: due, lane: Lane::Retry, then };
                    }
                }
            }
            Outcome::Stalled { .. } => {
                known.failures += 1;
                known.at = At::Stalled;
            }
        }
    }
}
