//! The yardsticks of `cargo bench -- swap-thrash` held to cases that can be reckoned by hand, and ours to them.

use std::sync::Arc;

use arcology::decide::scheduler::replay::{Outcome, Report, replay};
use arcology::decide::scheduler::state::State;
use arcology::declare::world::policy::EffectivePolicy;

use super::thrash::belady::fewest_loads;
use super::thrash::fifo_lru::FifoLru;
use super::thrash::optimum::{Aim, Problem, least};
use super::thrash::workload::{self, Job, MODELS, RESERVE_GB, TOTAL_GB, UNLOAD_MS};

/// Two models that do not fit beside each other, a second each to load, none to unload.
fn problem(tasks: [&[(u64, u64)]; 2]) -> Problem {
    Problem {
        models: vec![(6.0, 1_000), (6.0, 1_000)],
        room_gb: 10.0,
        slots: 1,
        unload_ms: 0,
        tasks: tasks.map(<[(u64, u64)]>::to_vec).to_vec(),
    }
}

#[test]
fn the_exact_search_groups_what_shares_a_model() {
    // Two of each, all there at once: each model once, the one after the other.
    let both = problem([&[(0, 1_000), (0, 1_000)], &[(0, 1_000), (0, 1_000)]]);
    assert_eq!(least(&both, Aim::Loads, 10_000), Some(2));
    // They start at 1, 2, 4 and 5 s.
    assert_eq!(least(&both, Aim::Waiting, 10_000), Some(12_000));
}

#[test]
fn the_exact_search_is_never_idle_for_nothing_when_it_counts_loads() {
    // Waiting for the third task would save a load; but a load may not be put off while something waits.
    let third = problem([&[(0, 1_000), (2_500, 1_000)], &[(500, 1_000)]]);
    assert_eq!(least(&third, Aim::Loads, 10_000), Some(3));
}

#[test]
fn the_fewest_loads_for_an_order_keep_what_comes_back() {
    let uses = [0, 1, 2, 0, 1, 2].map(Some);
    // Two of three fit: the third takes the place of one, which has to come back.
    assert_eq!(fewest_loads(&uses, &[1.0, 1.0, 1.0], 2.0), 4);
    assert_eq!(fewest_loads(&uses, &[1.0, 1.0, 1.0], 3.0), 3);
    assert_eq!(fewest_loads(&[Some(0), None, Some(0)], &[1.0], 2.0), 2, "nothing stays beside an owner");
    // A large one takes the place of both small ones.
    assert_eq!(fewest_loads(&[Some(0), Some(1), Some(2), Some(0)], &[1.0, 1.0, 2.0], 2.0), 4);
}

#[test]
fn first_in_first_out_goes_back_and_forth_where_batching_does_not() {
    let jobs: Vec<Job> = (0..6)
        .map(|n| {
            let (model, capability, ..) = MODELS[if n % 2 == 0 { 1 } else { 3 }];
            (n, capability, Some(model), 2_000)
        })
        // A third one, so that the two do not fit beside each other and it.
        .chain([(6, MODELS[4].1, Some(MODELS[4].0), 2_000)])
        .collect();
    let trace = workload::trace(jobs, workload::config(EffectivePolicy::default()));
    let fifo = replay(&mut FifoLru::default(), &trace);
    assert_eq!(fifo.count(Outcome::Done), 7);
    let order: Vec<u64> = fifo.fates.iter().filter_map(|fate| fate.started_ms).collect();
    assert!(order.is_sorted(), "first in, first out: {order:?}");
}

fn figures(report: &Report) -> [f64; 2] {
    [report.loads_total() as f64, report.waits.mean * report.waits.count as f64]
}

/// Held well above what was measured, so that only a real change for the worse is found.
const REGRET_MAX: [f64; 2] = [1.30, 1.60];

#[test]
fn ours_is_never_better_than_the_best_and_not_much_worse() {
    let config = workload::config(EffectivePolicy::default());
    let (mut ours_all, mut best_all) = ([0.0; 2], [0.0; 2]);
    for seed in 0..40 {
        let jobs = workload::small(seed, 8);
        let of = |model: &str| jobs.iter().filter(move |job| job.2 == Some(model)).map(|job| (job.0, job.3)).collect();
        let problem = Problem {
            models: MODELS.iter().map(|(_, _, gb, ms)| (*gb, *ms)).collect(),
            room_gb: TOTAL_GB - RESERVE_GB,
            slots: 1,
            unload_ms: UNLOAD_MS,
            tasks: MODELS.iter().map(|(model, ..)| of(model)).collect(),
        };
        let best = [Aim::Loads, Aim::Waiting].map(|aim| least(&problem, aim, 1_000_000).unwrap() as f64);
        let ours = figures(&replay(&mut State::new(), &workload::trace(jobs, Arc::clone(&config))));
        for at in 0..2 {
            assert!(ours[at] >= best[at] - 1e-6, "seed {seed}: {ours:?} against {best:?}");
            ours_all[at] += ours[at];
            best_all[at] += best[at];
        }
    }
    for at in 0..2 {
        assert!(ours_all[at] <= REGRET_MAX[at] * best_all[at], "{ours_all:?} against {best_all:?}");
    }
}

#[test]
fn on_mixed_work_ours_loads_less_than_first_in_first_out_and_waits_less() {
    let policy = EffectivePolicy { gpu_shared_slots: 2, ..EffectivePolicy::default() };
    let trace = workload::trace(workload::mixed(3, 12, 1.5), workload::config(policy));
    let [ours, fifo] = [replay(&mut State::new(), &trace), replay(&mut FifoLru::default(), &trace)];
    assert_eq!(
        (ours.count(Outcome::Done), fifo.count(Outcome::Done)),
        (trace.submissions.len() as u64, ours.fates.len() as u64)
    );
    let (ours, fifo) = (figures(&ours), figures(&fifo));
    assert!(ours[0] < fifo[0] && ours[1] < fifo[1], "{ours:?} against {fifo:?}");
}
