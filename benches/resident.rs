//! What the daemon's process takes when nothing happens, and how large the program is.

use std::time::Instant;

use crate::daemon::{Daemon, PROGRAM};
use crate::measure::{row, shown};
use crate::repository::{Repository, model_names};
use crate::swap::Swap;

pub fn run() {
    let bytes = std::fs::metadata(PROGRAM).expect("the program is there").len();
    row("the program", format!("{:.1} MiB", mib(bytes / 1_024)));
    for manifests in [100, 1_000, 10_000] {
        let swap = Swap::start(model_names(manifests).collect());
        let repository = Repository::of(manifests, &swap.endpoint());
        let start = Instant::now();
        let mut first = Daemon::up(&repository.path(), &repository.state());
        let applied = start.elapsed();
        first.let_log_pass();
        first.wait_until_idle();
        row(format!("{manifests} manifests, idle after the first start"), says(&first));
        row("  start -> applied", shown(applied));
        row("  state directory", format!("{:.1} MiB", mib(first.state_bytes() / 1_024)));
        drop(first);
        let mut again = Daemon::up(&repository.path(), &repository.state());
        again.let_log_pass();
        again.wait_until_idle();
        row("  idle after a restart", says(&again));
    }
}

fn says(daemon: &Daemon) -> String {
    let of = |field| mib(daemon.kib(field));
    format!(
        "resident {:.1} MiB (own {:.1}, mapped files {:.1}), most {:.1} MiB, {} threads",
        of("VmRSS"),
        of("RssAnon"),
        of("RssFile"),
        of("VmHWM"),
        daemon.threads()
    )
}

fn mib(kib: u64) -> f64 {
    kib as f64 / 1_024.0
}
