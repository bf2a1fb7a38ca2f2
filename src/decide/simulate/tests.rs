//! Thousands of seeds, seeds that once failed, and rules broken on purpose that each invariant must catch.

use std::sync::atomic::{AtomicU64, Ordering};

use super::broken::Broken;
use super::generate;
use super::invariant::Invariant;
use super::known::KNOWN;
use super::repository::Library;
use super::seed::{explain, run, run_seed};
use super::soak::soak;
use crate::decide::scheduler::Rule;

/// Seeds that every run of the tests goes through, beside those that once failed.
const SEEDS: u64 = 5_000;
/// Threads that share them.
const WORKERS: u64 = 2;

/// The first seed in `seeds` that breaks an invariant, with its story.
fn first_failure(seeds: std::ops::Range<u64>) -> Option<String> {
    let next = AtomicU64::new(seeds.start);
    let worker = || {
        let mut library = Library::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return None;
            }
            if run_seed(seed, &mut library).violation.is_some() {
                next.store(seeds.end, Ordering::Relaxed);
                return explain(seed, &mut library, None).map(|failure| failure.report());
            }
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().find_map(|worker| worker.join().unwrap())
    })
}

#[test]
fn no_seed_of_thousands_breaks_an_invariant() {
    if let Some(report) = first_failure(0..SEEDS) {
        panic!("{report}");
    }
}

#[test]
fn seeds_that_once_failed_fail_no_more() {
    let mut library = Library::default();
    for (seed, found) in KNOWN {
        let violation = run_seed(*seed, &mut library).violation;
        assert_eq!(violation, None, "seed {seed}, which once found: {found}");
    }
}

#[test]
fn the_same_seeds_give_the_same_digest_and_others_another() {
    let first = soak(100, 30);
    assert_eq!(first, soak(100, 30));
    assert_ne!(first.digest(), soak(101, 30).digest());
}

#[test]
fn a_seed_gives_the_same_trace_alone_and_after_others() {
    let mut library = Library::default();
    for seed in 40..50 {
        let after_others = run_seed(seed, &mut library);
        assert_eq!(after_others, run_seed(seed, &mut Library::default()));
    }
}

/// Every rule that can be broken, and the invariants of which one must notice it.
fn teeth() -> Vec<(Broken, &'static [Invariant])> {
    use Invariant::{Artifacts, Audit, Copilot, Dependencies, Freshness, Life, Memory, Rest, Slots, Sound};
    let own = |rule| match rule {
        Rule::OneSlotTooMany | Rule::SharedBesideExclusive => &[Slots, Sound][..],
        Rule::ShieldIgnored => &[Copilot],
        Rule::ReservationsForgotten => &[Memory],
        Rule::DependenciesIgnored => &[Dependencies],
        Rule::PinnedEvicted | Rule::DisplacedForgotten => &[Copilot],
        Rule::PinnedUnloadedWhenIdle => &[Rest, Copilot],
        Rule::RetryForgotten => &[Life, Rest],
        Rule::StartedTwice => &[Sound],
    };
    let around = |rule| match rule {
        Broken::AuditForgotten => &[Audit][..],
        Broken::ArtifactRecordedTwice => &[Artifacts, Life],
        Broken::BelievedBeforeWritten => &[Audit, Life, Dependencies, Rest, Slots],
        Broken::StaleActedOn => &[Freshness],
        Broken::AcceptedBeforeWritten | Broken::RunningForgotten => &[Life],
        Broken::LeasesForgotten => &[Slots, Rest],
        Broken::InFlightHidden => &[Slots],
        Broken::ClaimsSkipped => &[Memory],
        Broken::Scheduler(_) => unreachable!("those are the scheduler's own"),
    };
    let own = Rule::ALL.into_iter().map(|rule| (Broken::Scheduler(rule), own(rule)));
    own.chain(Broken::AROUND.into_iter().map(|rule| (rule, around(rule)))).collect()
}

/// Within so many seeds a broken rule must be noticed.
const SEEDS_TO_BITE: u64 = 400;

#[test]
fn every_rule_that_is_broken_on_purpose_is_noticed() {
    let mut library = Library::default();
    let mut table = Vec::new();
    let mut missed = Vec::new();
    for (rule, expected) in teeth() {
        let caught = (0..SEEDS_TO_BITE).find_map(|seed| {
            let violation = run(&generate::script(seed), &mut library, Some(rule), false).violation?;
            Some((seed, violation))
        });
        match caught {
            Some((seed, violation)) if expected.contains(&violation.invariant) => {
                table.push(format!("{rule:?}: {:?}, seed {seed}", violation.invariant));
            }
            other => missed.push(format!("{rule:?}: {other:?}, expected {expected:?}")),
        }
    }
    assert!(missed.is_empty(), "{missed:#?}\ncaught: {table:#?}");
}
