//! The queue against its model: random steps, and after each of them both must stand alike.

use std::time::Duration;

use proptest::prelude::*;

use super::super::moment::Moment;
use super::super::outcome::Outcome;
use super::super::reason::{Lane, Reason};
use super::model::{self, Model};
use super::{Limits, Queue};

#[derive(Clone, Debug)]
enum Step {
    Changed(u8, u64),
    Trigger(u8, Lane, u8),
    TriggerAll(Lane),
    Wake(u8),
    Forget(u8),
    Pass(u64),
    Start,
    /// Ends one of the runs that are under way, or cuts it short.
    End(usize, Option<Outcome<u8>>),
}

fn lanes() -> impl Strategy<Value = Lane> {
    prop::sample::select(vec![Lane::Person, Lane::Drift, Lane::Retry, Lane::Resync])
}

fn lengths_ms() -> impl Strategy<Value = u64> {
    prop::sample::select(vec![0, 1, 50, 500, 900, 2_000, 10_000, 400_000, 4_000_000])
}

fn lengths() -> impl Strategy<Value = Duration> {
    lengths_ms().prop_map(Duration::from_millis)
}

fn outcomes() -> impl Strategy<Value = Outcome<u8>> {
    prop_oneof![
        2 => prop::option::of(lengths()).prop_map(|resync| Outcome::Done { resync }),
        2 => (prop::collection::vec(0u8..3, 0..3), lengths()).prop_map(|(on, rest)| Outcome::wait(on, rest, "waits")),
        2 => Just(Outcome::retry("failed")),
        2 => (0u8..3).prop_map(|edge| Outcome::retry_dependency(edge, "host is down")),
        1 => Just(Outcome::stalled("needs a person")),
    ]
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0u8..6, 0u64..3).prop_map(|(key, generation)| Step::Changed(key, generation)),
        4 => (0u8..6, lanes(), 0u8..3).prop_map(|(key, lane, why)| Step::Trigger(key, lane, why)),
        1 => lanes().prop_map(Step::TriggerAll),
        3 => (0u8..3).prop_map(Step::Wake),
        1 => (0u8..6).prop_map(Step::Forget),
        5 => lengths_ms().prop_map(Step::Pass),
        6 => Just(Step::Start),
        6 => (any::<usize>(), prop::option::weighted(0.9, outcomes())).prop_map(|(nth, outcome)| Step::End(nth, outcome)),
    ]
}

/// Both queues, kept in step.
struct Twins {
    queue: Queue<u8, u8>,
    model: Model,
    now: Moment,
}

impl Twins {
    fn new(seed: u64) -> Self {
        let limits =
            Limits { fast_slots: model::FAST_SLOTS, slow_slots: model::SLOW_SLOTS, slow_after: model::SLOW_AFTER };
        Self { queue: Queue::new(limits, seed), model: Model::default(), now: Moment::default() }
    }

    fn take(&mut self, step: Step) {
        let Self { queue, model, now } = self;
        match step {
            Step::Changed(key, generation) => {
                queue.changed(&key, generation, *now);
                model.changed(key, generation, *now);
            }
            Step::Trigger(key, lane, why) => {
                let why = format!("reason {why}");
                queue.trigger(&key, Reason::Asked { lane, why: why.as_str().into() }, lane, *now);
                model.trigger(key, lane, &why, *now);
            }
            Step::TriggerAll(lane) => {
                queue.trigger_all(&Reason::Asked { lane, why: "all".into() }, lane, *now);
                model.trigger_all(lane, "all", *now);
            }
            Step::Wake(edge) => {
                queue.wake(&edge, *now);
                model.wake(edge, *now);
            }
            Step::Forget(key) => {
                queue.forget(&key);
                model.forget(key);
            }
            Step::Pass(ms) => {
                *now = now.after(Duration::from_millis(ms));
                queue.advance(*now);
                model.advance(*now);
                assert!(queue.next_due().is_none_or(|due| due > *now), "a timer that is due did not fire");
            }
            Step::Start => {
                queue.advance(*now);
                model.advance(*now);
                assert_eq!(queue.start(*now), model.start(*now));
            }
            Step::End(nth, outcome) => {
                let running = model.running();
                let Some(key) = running.get(nth.checked_rem(running.len()).unwrap_or(0)).copied() else { return };
                match outcome.clone() {
                    Some(outcome) => queue.finish(&key, outcome, *now),
                    None => queue.cut_short(&key, *now),
                }
                let window = queue.entries.get(&key).and_then(|entry| entry.record.not_before);
                model.finish(key, outcome, *now, window);
            }
        }
    }

    fn agree(&self) {
        let seen = self.queue.snapshot(self.now);
        assert_eq!(seen.defect, None);
        let places: Vec<_> = seen.standings.into_iter().map(|standing| (standing.key, standing.place)).collect();
        let expected: Vec<_> = self.model.keys.iter().map(|(key, known)| (*key, known.place(self.now))).collect();
        assert_eq!(places, expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever happens in whatever order: every key is in exactly one place, the one that the model says.
    #[test]
    fn the_queue_does_what_its_model_does(seed: u64, steps in prop::collection::vec(steps(), 1..120)) {
        let mut twins = Twins::new(seed);
        for step in steps {
            twins.take(step);
            twins.agree();
        }
    }
}
