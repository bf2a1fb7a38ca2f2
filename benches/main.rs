//! Every benchmark in one program: `cargo bench` runs all, `cargo bench -- NAME...` runs those whose name holds a NAME.
//!
//! One program and no framework, because most of what is measured here is a daemon, a process or a repository, where
//! percentiles of whole runs beside a yardstick of the same run say more than a statistics library can. Nothing here
//! passes or fails by time; `docs/benchmarks.md` says how to read the numbers.

mod cold_start;
mod commit_to_action;
mod connection;
mod daemon;
mod durable;
mod isolation;
mod long_queue;
mod look;
mod measure;
mod overhead;
mod plan_and_page;
mod repository;
mod resident;
mod runtimes;
mod scheduler;
mod simulated_time;
mod swap;
mod swap_thrash;
mod tasks;
mod telemetry;
mod thrash;
mod transitions;

use std::process::ExitCode;

/// A benchmark's name, and what runs it.
type Bench = (&'static str, fn());

const ALL: [Bench; 16] = [
    ("commit-to-action", commit_to_action::run),
    ("look", look::run),
    ("cold-start", cold_start::run),
    ("resident", resident::run),
    ("runtimes", runtimes::run),
    ("overhead", overhead::run),
    ("plan-and-page", plan_and_page::run),
    ("durable", durable::run),
    ("isolation", isolation::run),
    ("long-queue", long_queue::run),
    ("scheduler", scheduler::run),
    ("simulated-time", simulated_time::run),
    ("swap-thrash", swap_thrash::run),
    ("tasks", tasks::run),
    ("telemetry", telemetry::run),
    ("transitions", transitions::run),
];

fn main() -> ExitCode {
    // Cargo adds flags of its own, such as `--bench`.
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let chosen: Vec<_> =
        ALL.iter().filter(|(name, _)| wanted.is_empty() || wanted.iter().any(|part| name.contains(part))).collect();
    if chosen.is_empty() {
        let names: Vec<_> = ALL.iter().map(|(name, _)| *name).collect();
        eprintln!("no benchmark is called {}; there are {}", wanted.join(", "), names.join(", "));
        return ExitCode::FAILURE;
    }
    for (name, run) in chosen {
        println!("\n== {name}");
        run();
    }
    ExitCode::SUCCESS
}
