//! `arcology soak` (hidden): simulations from many seeds, shared among workers, with one digest over all of their traces.
//!
//! What is simulated and what is checked is `decide::simulate`'s; here are workers, progress and the report.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Instant;

use serde_json::json;

use crate::decide::simulate::repository::Library;
use crate::decide::simulate::seed::{Failure as Broken, Outcome as Ran, explain, run_seed};
use crate::decide::simulate::soak::Tally;
use crate::tell::cli::failure::{Exit, Outcome};
use crate::tell::cli::ui::Ui;

/// Simulate the planner, the scheduler and the engine's core from seeds, and check their invariants
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How many seeds
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    seeds: u64,
    /// The first seed
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    from: u64,
    /// How many at once [default: one for each core]
    #[arg(long, value_name = "N")]
    workers: Option<usize>,
    /// How to print the outcome
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    output: Format,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    #[default]
    Text,
    Json,
}

/// Failing seeds that are made small and told in full; of more only the numbers are told.
const EXPLAINED_MAX: usize = 3;
/// How often progress is told, in seeds.
const PROGRESS_SEEDS: u64 = 64;
/// Outcomes that may wait for their turn.
const INBOX_MAX: usize = 1_024;

pub fn run(args: &Args, ui: &mut Ui) -> Outcome {
    let began = Instant::now();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let workers = args.workers.unwrap_or(cores).max(1);
    let (tally, cpu_s) = share(args.from, args.seeds, workers, |done, failed| {
        let rate = done as f64 / began.elapsed().as_secs_f64().max(1e-9);
        ui.progress(&format!("{done} of {} seeds, {failed} failed, {rate:.0} seeds/s", args.seeds));
    });
    let wall_s = began.elapsed().as_secs_f64();
    let mut library = Library::default();
    let explained = tally.failed.iter().take(EXPLAINED_MAX).filter_map(|seed| explain(*seed, &mut library, None));
    let broken: Vec<Broken> = explained.collect();
    match args.output {
        Format::Text => ui.data(&text(&tally, &broken, wall_s, cpu_s))?,
        Format::Json => ui.plain(&format!("{:#}\n", as_json(args, &tally, &broken, wall_s, cpu_s)))?,
    }
    Ok(if tally.failed.is_empty() { Exit::Fine } else { Exit::Problem })
}

/// Runs the seeds `from..from + seeds` on `workers` threads. Gives what came of them in the order of seeds, and how many
/// seconds of processor time it took. `told` hears of progress.
fn share(from: u64, seeds: u64, workers: usize, mut told: impl FnMut(u64, usize)) -> (Tally, f64) {
    let end = from.saturating_add(seeds);
    let next = AtomicU64::new(from);
    let (send, inbox) = mpsc::sync_channel::<(u64, Ran)>(INBOX_MAX);
    let mut tally = Tally::default();
    let cpu_s = std::thread::scope(|scope| {
        let work = |send: mpsc::SyncSender<(u64, Ran)>, at: &AtomicU64| {
            let mut library = Library::default();
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= end {
                    return thread_cpu_s();
                }
                at.store(seed, Ordering::Relaxed);
                if send.send((seed, run_seed(seed, &mut library))).is_err() {
                    return thread_cpu_s();
                }
            }
        };
        let threads: Vec<_> = (0..workers)
            .map(|_| {
                let (send, at) = (send.clone(), Arc::new(AtomicU64::new(from)));
                (Arc::clone(&at), scope.spawn(move || work(send, &at)))
            })
            .collect();
        drop(send);
        let mut early = BTreeMap::new();
        let mut turn = from;
        for (seed, outcome) in inbox {
            early.insert(seed, outcome);
            while let Some(outcome) = early.remove(&turn) {
                tally.add(turn, &outcome);
                turn += 1;
                if tally.seeds % PROGRESS_SEEDS == 0 {
                    told(tally.seeds, tally.failed.len());
                }
            }
        }
        let cpu_s = threads.into_iter().map(|(at, thread)| match thread.join() {
            Ok(cpu_s) => cpu_s,
            // A simulation that panicked is no simulation that passed: no report is printed.
            Err(_) => {
                let seed = at.load(Ordering::Relaxed);
                panic!("seed {seed} panicked; again, alone: arcology soak --from {seed} --seeds 1")
            }
        });
        cpu_s.sum::<f64>()
    });
    (tally, cpu_s)
}

/// Processor time of this thread in seconds: the first figure of `schedstat`, in nanoseconds (Linux, proc(5)); 0 where there
/// is none.
fn thread_cpu_s() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let ns = text.split_whitespace().next().and_then(|first| first.parse::<f64>().ok());
    ns.unwrap_or(0.0) / 1e9
}

fn text(tally: &Tally, broken: &[Broken], wall_s: f64, cpu_s: f64) -> String {
    let mut text = String::new();
    for failure in broken {
        text.push_str(&failure.report());
        text.push('\n');
    }
    if tally.failed.len() > broken.len() {
        let seeds: Vec<String> = tally.failed.iter().map(ToString::to_string).collect();
        text.push_str(&format!("seeds that failed: {}\n", seeds.join(" ")));
    }
    let (rate, ratio) = rates(tally, wall_s, cpu_s);
    text.push_str(&format!(
        "{} seeds, {} failed, digest {}\n{} events in {wall_s:.1} s: {rate:.0} seeds/s, {ratio:.0} simulated seconds in one \
         second of processor time\n",
        tally.seeds,
        tally.failed.len(),
        tally.digest(),
        tally.events
    ));
    text
}

fn as_json(args: &Args, tally: &Tally, broken: &[Broken], wall_s: f64, cpu_s: f64) -> serde_json::Value {
    let (rate, ratio) = rates(tally, wall_s, cpu_s);
    let failures = broken.iter().map(|failure| {
        json!({"seed": failure.seed, "invariant": failure.violation.invariant.words(),
            "message": failure.violation.message, "report": failure.report()})
    });
    json!({"from": args.from, "seeds": tally.seeds, "failed": tally.failed, "digest": tally.digest(),
        "events": tally.events, "seconds": wall_s, "seeds_per_s": rate, "simulated_s": tally.simulated_ms as f64 / 1e3,
        "simulated_s_per_cpu_s": ratio, "failures": failures.collect::<Vec<_>>()})
}

/// Seeds a second, and simulated seconds in one second of processor time.
fn rates(tally: &Tally, wall_s: f64, cpu_s: f64) -> (f64, f64) {
    let busy_s = if cpu_s > 0.0 { cpu_s } else { wall_s };
    (tally.seeds as f64 / wall_s.max(1e-9), tally.simulated_ms as f64 / 1e3 / busy_s.max(1e-9))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_workers_come_to_the_same_as_one() {
        let (alone, _) = share(5, 12, 1, |_, _| {});
        let (shared, _) = share(5, 12, 4, |_, _| {});
        assert_eq!(alone, shared);
        assert_eq!(alone.seeds, 12);
    }
}
