//! Swap thrash: model loads and waiting on the same work, ours beside first-in-first-out with least-recently-used eviction,
//! and beside the best that could have been done.

use std::sync::Arc;

use arcology::core::rng::Rng;
use arcology::decide::scheduler::replay::{Outcome, Report, replay};
use arcology::decide::scheduler::state::State;
use arcology::declare::world::policy::EffectivePolicy;

use crate::measure::row;
use crate::thrash::belady;
use crate::thrash::fifo_lru::FifoLru;
use crate::thrash::optimum::{Aim, Problem, least};
use crate::thrash::workload::{self, Job, MODELS, RESERVE_GB, TOTAL_GB, UNLOAD_MS};

const SEEDS: u64 = 8;
const HOURS: u64 = 24;
/// Small pieces of work for the exact search, and tasks of each.
const PIECES: u64 = 200;
const PIECE_TASKS: usize = 10;
/// Situations that the exact search looks at before it gives a piece up.
const NODES_MAX: usize = 400_000;

pub fn run() {
    println!(
        "{SEEDS} mixed traces of {HOURS} h, one GPU of {TOTAL_GB} GB, models of 1.5 to 11 GB, defaults of the policy"
    );
    for (pace, slots) in [(0.75, 1), (1.0, 1), (1.5, 2), (2.0, 2)] {
        mixed(pace, slots);
    }
    println!("\n{PIECES} pieces of {PIECE_TASKS} tasks in bursts, one slot, against an exact search");
    pieces(workload::small);
    println!("\n{PIECES} pieces of {PIECE_TASKS} tasks of four models in turn, one slot, against an exact search");
    pieces(interleaved);
}

fn policy(slots: u32) -> EffectivePolicy {
    EffectivePolicy { gpu_shared_slots: slots, ..EffectivePolicy::default() }
}

/// Sums over all traces.
#[derive(Default)]
struct Sum {
    loads: u64,
    waited_ms: f64,
    worst_ms: u64,
    p95_ms: u64,
    fewest: u64,
}

impl Sum {
    fn add(&mut self, report: &Report) {
        assert_eq!(report.count(Outcome::Done), report.fates.len() as u64, "everything is done");
        self.loads += report.loads_total();
        self.waited_ms += report.waits.mean * report.waits.count as f64;
        self.worst_ms = self.worst_ms.max(report.waits.max);
        self.p95_ms += report.waits.p95;
        self.fewest += fewest(report);
    }
}

fn mixed(pace: f64, slots: u32) {
    let (mut ours, mut fifo, mut tasks) = (Sum::default(), Sum::default(), 0);
    for seed in 0..SEEDS {
        let trace = workload::trace(workload::mixed(seed, HOURS, pace), workload::config(policy(slots)));
        ours.add(&replay(&mut State::new(), &trace));
        fifo.add(&replay(&mut FifoLru::default(), &trace));
        tasks += trace.submissions.len();
    }
    row(format!("pace {pace}, {slots} slots: {tasks} tasks"), "ours / FIFO with LRU");
    let ratio = |ours: f64, theirs: f64| format!("{:.2}", ours / theirs);
    let (a, b) = (ours.loads as f64, fifo.loads as f64);
    row("  model loads", format!("{a:.0} / {b:.0} = {}", ratio(a, b)));
    let (a, b) = (ours.waited_ms / 1e3 / tasks as f64, fifo.waited_ms / 1e3 / tasks as f64);
    row("  mean wait", format!("{a:.1} s / {b:.1} s = {}", ratio(a, b)));
    let (a, b) = (ours.p95_ms as f64 / 1e3 / SEEDS as f64, fifo.p95_ms as f64 / 1e3 / SEEDS as f64);
    row("  p95 of the waits, mean of the traces", format!("{a:.0} s / {b:.0} s = {}", ratio(a, b)));
    let (a, b) = (ours.worst_ms as f64 / 1e3, fifo.worst_ms as f64 / 1e3);
    row("  longest wait", format!("{a:.0} s / {b:.0} s = {}", ratio(a, b)));
    let eviction = |sum: &Sum| sum.loads as f64 / sum.fewest as f64;
    row("  loads against the fewest for the same order", format!("{:.2} / {:.2}", eviction(&ours), eviction(&fifo)));
}

/// The fewest loads with which the tasks could have been done in the order in which they were.
fn fewest(report: &Report) -> u64 {
    let index = |served_as: &str| MODELS.iter().position(|model| model.0 == served_as);
    let mut starts: Vec<_> = report.fates.iter().filter_map(|fate| Some((fate.started_ms?, &fate.model))).collect();
    starts.sort_by_key(|(at, _)| *at);
    let uses: Vec<Option<usize>> =
        starts.into_iter().map(|(_, model)| model.as_ref().and_then(|at| index(&at.served_as))).collect();
    let sizes = MODELS.map(|model| model.2);
    belady::fewest_loads(&uses, &sizes, TOTAL_GB - RESERVE_GB)
}

/// The exact problem that a piece of work is.
pub fn problem(jobs: &[Job], slots: usize) -> Problem {
    let of =
        |model: &str| jobs.iter().filter(move |job| job.2 == Some(model)).map(|job| (job.0, job.3)).collect::<Vec<_>>();
    Problem {
        models: MODELS.iter().map(|(_, _, gb, ms)| (*gb, *ms)).collect(),
        room_gb: TOTAL_GB - RESERVE_GB,
        slots,
        unload_ms: UNLOAD_MS,
        tasks: MODELS.iter().map(|(model, ..)| of(model)).collect(),
    }
}

fn pieces(make: fn(u64, usize) -> Vec<Job>) {
    let config = workload::config(policy(1));
    let mut totals = [[0.0_f64; 3]; 2];
    let (mut regrets, mut given_up) = ([Vec::new(), Vec::new()], 0);
    for seed in 0..PIECES {
        let jobs = make(seed, PIECE_TASKS);
        let problem = problem(&jobs, 1);
        let best = [Aim::Loads, Aim::Waiting].map(|aim| least(&problem, aim, NODES_MAX));
        let [Some(loads), Some(waiting)] = best else {
            given_up += 1;
            continue;
        };
        let trace = workload::trace(jobs, Arc::clone(&config));
        let ours = replay(&mut State::new(), &trace);
        let fifo = replay(&mut FifoLru::default(), &trace);
        let figures = |report: &Report| [report.loads_total() as f64, report.waits.mean * report.waits.count as f64];
        let (ours, fifo, best) = (figures(&ours), figures(&fifo), [loads as f64, waiting as f64]);
        for at in 0..2 {
            assert!(ours[at] >= best[at] - 1e-6, "seed {seed}: nothing is better than the best");
            for (sum, value) in totals[at].iter_mut().zip([ours[at], fifo[at], best[at]]) {
                *sum += value;
            }
            regrets[at].push(if best[at] > 0.0 { ours[at] / best[at] } else { 1.0 });
        }
    }
    for (at, what) in ["loads", "waiting"].into_iter().enumerate() {
        let [ours, fifo, best] = totals[at];
        regrets[at].sort_by(f64::total_cmp);
        let percentile = |percent: usize| regrets[at][(regrets[at].len() * percent).div_ceil(100).max(1) - 1];
        let says = format!(
            "ours / best {:.2} (p50 {:.2}, p95 {:.2}), FIFO with LRU / best {:.2}",
            ours / best,
            percentile(50),
            percentile(95),
            fifo / best
        );
        row(format!("  {what}"), says);
    }
    if given_up > 0 {
        row("  given up by the exact search", given_up);
    }
}

/// A small piece of work without bursts: every task is of another of the four large models, so that every order but a good one swaps.
fn interleaved(seed: u64, count: usize) -> Vec<Job> {
    let mut rng = Rng::new(seed);
    let mut now = 0;
    let job = |_| {
        let (model, capability, ..) = MODELS[[0, 1, 3, 4][rng.below(4) as usize]];
        let job = (now, capability, Some(model), 1_000 * rng.between(2, 15));
        now += 1_000 * rng.between(0, 8);
        job
    };
    (0..count).map(job).collect()
}
