//! Each guarantee of the queue by name.

use std::time::Duration;

use super::super::moment::Moment;
use super::super::outcome::Outcome;
use super::super::reason::{Lane, Reason, Run};
use super::super::snapshot::Place;
use super::{Limits, Queue};
use crate::core::backoff::{BASE, CAP};

const NONE: [u32; 0] = [];

fn at(ms: u64) -> Moment {
    Moment::since_start(Duration::from_millis(ms))
}

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn queue_of(fast_slots: usize, slow_slots: usize) -> Queue<u32, &'static str> {
    Queue::new(Limits { fast_slots, slow_slots, slow_after: secs(2) }, 1)
}

type Runs = Vec<Run<u32, &'static str>>;

fn ask(queue: &mut Queue<u32, &'static str>, key: u32, lane: Lane, now: Moment) {
    queue.trigger(&key, Reason::Asked { lane, why: "asked".into() }, lane, now);
}

/// Starts all that may start at `now`.
fn start_all(queue: &mut Queue<u32, &'static str>, now: Moment) -> Runs {
    queue.advance(now);
    let runs = std::iter::from_fn(|| queue.start(now)).collect();
    assert_eq!(queue.check(), Ok(()));
    runs
}

fn keys(runs: &Runs) -> Vec<u32> {
    runs.iter().map(|run| run.key).collect()
}

fn place(queue: &Queue<u32, &'static str>, key: u32, now: Moment) -> Option<Place<&'static str>> {
    queue.snapshot(now).standings.into_iter().find(|standing| standing.key == key).map(|standing| standing.place)
}

/// When the timer of `key`, which runs, is due once it failed.
fn fail(queue: &mut Queue<u32, &'static str>, key: u32, now: Moment) -> Moment {
    queue.finish(&key, Outcome::retry("no"), now);
    let Some(Place::Scheduled { due_in, .. }) = place(queue, key, now) else { panic!("it failed, so it is scheduled") };
    now.after(due_in)
}

#[test]
fn a_key_stands_in_the_queue_once_with_its_earliest_due_time_and_best_lane() {
    let mut queue = queue_of(1, 1);
    ask(&mut queue, 1, Lane::Resync, at(0));
    ask(&mut queue, 2, Lane::Drift, at(1));
    ask(&mut queue, 1, Lane::Drift, at(2));
    let runs = start_all(&mut queue, at(3));
    assert_eq!(keys(&runs), [1], "asked first, and no longer in a worse lane");
    queue.finish(&1, Outcome::done(), at(3));
    assert_eq!(keys(&start_all(&mut queue, at(3))), [2], "the second ask was the same key");
}

#[test]
fn a_trigger_makes_a_planned_look_happen_at_once_and_only_once() {
    let mut queue = queue_of(1, 1);
    ask(&mut queue, 1, Lane::Drift, at(0));
    start_all(&mut queue, at(0));
    queue.finish(&1, Outcome::resync(secs(600)), at(0));
    ask(&mut queue, 1, Lane::Drift, at(1_000));
    assert_eq!(keys(&start_all(&mut queue, at(1_000))), [1]);
    queue.finish(&1, Outcome::done(), at(1_000));
    assert_eq!(queue.next_due(), None, "the planned look is gone");
}

#[test]
fn a_trigger_during_a_run_causes_one_more_run_whatever_the_outcome() {
    for outcome in
        [Outcome::done(), Outcome::wait(["edge"], secs(60), ""), Outcome::retry("no"), Outcome::stalled("no")]
    {
        let mut queue = queue_of(1, 1);
        ask(&mut queue, 1, Lane::Drift, at(0));
        start_all(&mut queue, at(0));
        ask(&mut queue, 1, Lane::Drift, at(1));
        ask(&mut queue, 1, Lane::Drift, at(2));
        assert_eq!(keys(&start_all(&mut queue, at(3))), NONE, "never twice at once");
        queue.finish(&1, outcome.clone(), at(4));
        let runs = start_all(&mut queue, at(4).after(CAP));
        assert_eq!(keys(&runs), [1], "after {outcome:?}");
        assert!(runs[0].reasons.contains(&Reason::Asked { lane: Lane::Drift, why: "asked".into() }));
    }
}

#[test]
fn lanes_come_before_due_times() {
    let mut queue = queue_of(1, 1);
    for (key, lane) in [(1, Lane::Resync), (2, Lane::Retry), (3, Lane::Drift), (4, Lane::Person), (5, Lane::Person)] {
        ask(&mut queue, key, lane, at(u64::from(key)));
    }
    let mut order = Vec::new();
    while let Some(run) = queue.start(at(10)) {
        order.push(run.key);
        queue.finish(&run.key, Outcome::done(), at(10));
    }
    assert_eq!(order, [4, 5, 3, 2, 1]);
}

#[test]
fn an_edge_that_fires_during_the_run_that_goes_on_to_wait_for_it_wakes_it() {
    let mut queue = queue_of(1, 1);
    ask(&mut queue, 1, Lane::Resync, at(0));
    start_all(&mut queue, at(0));
    queue.wake(&"swap is up", at(1));
    queue.finish(&1, Outcome::wait(["model is loaded", "swap is up"], secs(600), ""), at(2));
    let runs = start_all(&mut queue, at(2));
    assert_eq!(keys(&runs), [1]);
    assert!(runs[0].reasons.contains(&Reason::Woken { by: "swap is up" }));
    queue.finish(&1, Outcome::wait(["swap is up"], secs(600), ""), at(3));
    assert_eq!(keys(&start_all(&mut queue, at(3))), NONE, "it fired before this run, which saw what came of it");
}

#[test]
fn a_wait_gives_its_slot_back_and_ends_at_its_edge_or_its_deadline() {
    let mut queue = queue_of(1, 1);
    ask(&mut queue, 1, Lane::Drift, at(0));
    ask(&mut queue, 2, Lane::Drift, at(0));
    start_all(&mut queue, at(0));
    queue.finish(&1, Outcome::wait(["edge"], secs(60), "needs memory"), at(0));
    assert_eq!(keys(&start_all(&mut queue, at(0))), [2], "the slot is free");
    queue.finish(&2, Outcome::wait(["edge"], secs(90), "needs memory"), at(0));
    assert!(queue.is_settled(at(0)), "waiting does not count");

    let runs = start_all(&mut queue, at(60_000));
    assert_eq!(keys(&runs), [1]);
    assert!(runs[0].reasons.contains(&Reason::DeadlinePassed));
    queue.finish(&1, Outcome::done(), at(60_000));
    queue.wake(&"edge", at(61_000));
    assert_eq!(keys(&start_all(&mut queue, at(61_000))), [2]);
}

#[test]
fn a_new_generation_ends_a_wait_a_backoff_and_a_stall_and_the_same_one_does_not() {
    for outcome in [
        Outcome::wait(["edge"], secs(600), ""),
        Outcome::retry("no"),
        Outcome::retry_dependency("swap is up", "no"),
        Outcome::stalled("no"),
    ] {
        let mut queue = queue_of(1, 1);
        assert!(queue.changed(&1, 1, at(0)));
        start_all(&mut queue, at(0));
        queue.finish(&1, outcome.clone(), at(0));
        assert!(!queue.changed(&1, 1, at(1)));
        assert_eq!(keys(&start_all(&mut queue, at(1))), NONE);
        assert!(queue.changed(&1, 2, at(2)));
        let runs = start_all(&mut queue, at(2));
        assert_eq!(
            (runs[0].generation, runs[0].lane, runs[0].failures),
            (Some(2), Lane::Person, 0),
            "after {outcome:?}"
        );
    }
}

#[test]
fn what_a_run_of_an_old_generation_says_does_not_count() {
    for outcome in [Outcome::done(), Outcome::retry("no"), Outcome::stalled("no")] {
        let mut queue = queue_of(1, 1);
        queue.changed(&1, 1, at(0));
        start_all(&mut queue, at(0));
        queue.changed(&1, 2, at(1));
        queue.finish(&1, outcome, at(2));
        let runs = start_all(&mut queue, at(2));
        assert_eq!((runs[0].generation, runs[0].failures), (Some(2), 0));
    }
}

#[test]
fn only_a_person_breaks_into_a_backoff_and_that_is_no_further_step() {
    let mut queue = queue_of(1, 1);
    ask(&mut queue, 1, Lane::Drift, at(0));
    start_all(&mut queue, at(0));
    let due = fail(&mut queue, 1, at(0));
    ask(&mut queue, 1, Lane::Drift, at(1));
    assert_eq!(keys(&start_all(&mut queue, at(1))), NONE, "a machine's trigger waits for the end of the backoff");
    ask(&mut queue, 1, Lane::Person, at(2));
    assert_eq!(keys(&start_all(&mut queue, at(2))), [1]);
    assert_eq!(fail(&mut queue, 1, at(3)), due, "one window, one step");
    let runs = start_all(&mut queue, due);
    assert_eq!((runs[0].lane, runs[0].failures), (Lane::Retry, 2));
}

#[test]
fn backoff_grows_to_five_minutes_and_success_resets_it() {
    let (mut queue, mut now, mut longest) = (queue_of(1, 1), at(0), Duration::ZERO);
    ask(&mut queue, 1, Lane::Drift, now);
    for _ in 0..100 {
        assert_eq!(keys(&start_all(&mut queue, now)), [1]);
        let due = fail(&mut queue, 1, now);
        longest = longest.max(due.since(now));
        now = due;
    }
    assert_eq!(longest, CAP);
    start_all(&mut queue, now);
    queue.finish(&1, Outcome::done(), now);
    ask(&mut queue, 1, Lane::Drift, now);
    start_all(&mut queue, now);
    assert!(fail(&mut queue, 1, now).since(now) <= 3 * BASE);
}

#[test]
fn objects_that_fail_on_one_dependency_share_its_backoff_and_its_recovery() {
    let mut queue = queue_of(3, 3);
    (1..=3).for_each(|key| ask(&mut queue, key, Lane::Drift, at(0)));
    for run in start_all(&mut queue, at(0)) {
        queue.finish(&run.key, Outcome::retry_dependency("swap is up", "connection refused"), at(u64::from(run.key)));
    }
    let failing = queue.snapshot(at(4)).failing;
    assert_eq!((failing[0].healed, failing[0].steps), ("swap is up", 1), "three failures in one window");
    queue.wake(&"swap is up", at(5));
    assert_eq!(queue.snapshot(at(5)).failing, [], "it is well");
    assert_eq!(keys(&start_all(&mut queue, at(5))), [1, 2, 3], "at once, in the fast slots");
}

#[test]
fn one_objects_success_is_its_dependencys_recovery() {
    let mut queue = queue_of(1, 1);
    ask(&mut queue, 1, Lane::Drift, at(0));
    start_all(&mut queue, at(0));
    queue.finish(&1, Outcome::retry_dependency("swap is up", "connection refused"), at(0));
    start_all(&mut queue, at(0).after(CAP));
    assert_eq!(queue.snapshot(at(0)).failing.len(), 1);
    queue.finish(&1, Outcome::done(), at(0).after(CAP));
    assert_eq!(queue.snapshot(at(0)).failing, []);
}

#[test]
fn among_a_thousand_failing_keys_a_persons_change_of_a_healthy_one_is_next() {
    let mut queue = queue_of(2, 2);
    let mut now = at(0);
    (0..1_000).for_each(|key| ask(&mut queue, key, Lane::Drift, now));
    let mut failed = 0;
    while failed < 1_000 {
        for run in start_all(&mut queue, now).into_iter().filter(|run| run.failures == 0) {
            queue.finish(&run.key, Outcome::retry("no"), now);
            failed += 1;
        }
    }
    now = now.after(CAP);
    let busy = start_all(&mut queue, now);
    assert_eq!(busy.len(), 2, "a thousand are due, and all they get is the slow slots");
    assert!(queue.changed(&5_000, 1, now));
    assert_eq!(keys(&start_all(&mut queue, now)), [5_000]);
}

#[test]
fn a_slow_run_leaves_the_fast_slot_to_others_and_is_slow_the_next_time_too() {
    let mut queue = queue_of(1, 1);
    ask(&mut queue, 1, Lane::Drift, at(0));
    start_all(&mut queue, at(0));
    ask(&mut queue, 2, Lane::Drift, at(1));
    assert_eq!(keys(&start_all(&mut queue, at(1_999))), NONE);
    assert_eq!(queue.next_due(), Some(at(2_000)));
    assert_eq!(keys(&start_all(&mut queue, at(2_000))), [2]);
    assert!(matches!(place(&queue, 1, at(2_000)), Some(Place::Running { slow: true, .. })));

    queue.finish(&2, Outcome::done(), at(2_100));
    queue.finish(&1, Outcome::done(), at(9_000));
    ask(&mut queue, 1, Lane::Person, at(9_000));
    start_all(&mut queue, at(9_000));
    assert!(matches!(place(&queue, 1, at(9_000)), Some(Place::Running { slow: true, .. })));
}

#[test]
fn what_is_cut_short_is_pending_again() {
    let mut queue = queue_of(1, 1);
    queue.changed(&1, 1, at(0));
    start_all(&mut queue, at(0));
    queue.cut_short(&1, at(1));
    let runs = start_all(&mut queue, at(1));
    assert_eq!((keys(&runs), runs[0].lane, runs[0].failures), (vec![1], Lane::Person, 0));
    assert!(runs[0].reasons.contains(&Reason::CutShort));
}

#[test]
fn a_key_that_is_forgotten_while_it_runs_and_named_again_never_runs_twice_at_once() {
    let mut queue = queue_of(4, 4);
    queue.changed(&1, 1, at(0));
    start_all(&mut queue, at(0));
    queue.forget(&1);
    queue.changed(&1, 1, at(1));
    assert_eq!(keys(&start_all(&mut queue, at(1))), NONE);
    queue.finish(&1, Outcome::stalled("of the life before"), at(2));
    assert_eq!(keys(&start_all(&mut queue, at(2))), [1]);
}

#[test]
fn forgetting_frees_all_that_is_known_of_a_key() {
    let mut queue = queue_of(1, 1);
    let outcomes = [Outcome::done(), Outcome::resync(secs(9)), Outcome::retry("no"), Outcome::stalled("no")];
    let waits = [Outcome::wait(["a", "b"], secs(9), ""), Outcome::retry("no")];
    for (key, outcome) in (0..).zip(outcomes.into_iter().chain(waits)) {
        queue.changed(&key, 1, at(0));
        start_all(&mut queue, at(0));
        queue.finish(&key, outcome, at(0));
    }
    queue.changed(&90, 1, at(0));
    queue.changed(&91, 1, at(0));
    start_all(&mut queue, at(0));
    queue.wake(&"c", at(0));
    (0..100).for_each(|key| queue.forget(&key));
    queue.finish(&90, Outcome::retry("no"), at(1));
    let empty = (queue.entries.len(), queue.timers.len(), queue.edges.pairs(), queue.edges.remembered(), queue.at_rest);
    assert_eq!(empty, (0, 0, 0, 0, 0));
    assert_eq!(queue.slots.pending() + queue.slots.running(), 0);
}

#[test]
fn a_reconciler_that_asks_for_no_rest_cannot_spin() {
    for outcome in [Outcome::resync(Duration::ZERO), Outcome::wait([], Duration::ZERO, "")] {
        let mut queue = queue_of(1, 1);
        ask(&mut queue, 1, Lane::Drift, at(0));
        start_all(&mut queue, at(0));
        queue.finish(&1, outcome, at(0));
        assert_eq!(keys(&start_all(&mut queue, at(99))), NONE);
        assert_eq!(keys(&start_all(&mut queue, at(100))), [1]);
    }
}

#[test]
fn a_timer_that_is_due_unsettles_the_queue_even_before_it_fired() {
    let mut queue = queue_of(1, 1);
    ask(&mut queue, 1, Lane::Drift, at(0));
    assert!(!queue.is_settled(at(0)));
    start_all(&mut queue, at(0));
    assert!(!queue.is_settled(at(0)));
    queue.finish(&1, Outcome::resync(secs(9)), at(0));
    assert!(queue.is_settled(at(8_999)));
    assert!(!queue.is_settled(at(9_000)));
}

#[test]
fn keys_that_wait_back_off_or_are_due_are_owed_a_run_and_others_are_not() {
    let mut queue = queue_of(1, 1);
    let outcomes = [Outcome::done(), Outcome::resync(secs(9)), Outcome::retry("no"), Outcome::stalled("no")];
    for (key, outcome) in (0..).zip(outcomes.into_iter().chain([Outcome::wait(["a"], secs(9), "")])) {
        queue.changed(&key, 1, at(0));
        start_all(&mut queue, at(0));
        queue.finish(&key, outcome, at(0));
    }
    queue.changed(&5, 1, at(0));
    assert_eq!(queue.owed(), [2, 4, 5]);
}
