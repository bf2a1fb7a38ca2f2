//! From a commit to the call that a runtime receives because of it, on the real program.

use std::time::{Duration, Instant};

use crate::daemon::Daemon;
use crate::measure::{Times, rev_parse, row, shown};
use crate::repository::{FLIPPED, Repository, model_names};
use crate::swap::Swap;

/// Commits that are measured at each size.
const COMMITS: [(usize, usize); 3] = [(100, 100), (1_000, 150), (10_000, 100)];
/// How long a call may take to come. None may be lost, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between a call and the next commit: people do not commit faster, and the daemon is done with the last one.
const PAUSE: Duration = Duration::from_millis(100);

pub fn run() {
    for (manifests, commits) in COMMITS {
        let swap = Swap::start(model_names(manifests).collect());
        let repository = Repository::of(manifests, &swap.endpoint());
        let mut daemon = Daemon::up(&repository.path(), &repository.state());
        daemon.let_log_pass();
        daemon.wait_until_idle();
        // The first load and unload open connections and warm caches; they do not count.
        let (mut from_return, mut committing) = (Vec::new(), Vec::new());
        for n in 0..commits + 2 {
            let (state, verb) = if n % 2 == 0 { ("loaded", "load") } else { ("unloaded", "unload") };
            repository.stage_flipped(state);
            let begun = Instant::now();
            repository.commit(&format!("Make it {state}"));
            let returned = Instant::now();
            let call = swap.calls.recv_timeout(PATIENCE).expect("the runtime is called");
            assert_eq!((call.verb, call.model.as_str()), (verb, FLIPPED));
            if n >= 2 {
                from_return.push(call.at.saturating_duration_since(returned));
                committing.push(returned - begun);
            }
            std::thread::sleep(PAUSE);
        }
        let yardstick = rev_parse(&repository.path(), commits);
        let times = Times::of(from_return);
        row(format!("{manifests} manifests: git commit returns -> call"), &times);
        row("  git commit itself", Times::of(committing));
        row("  git rev-parse HEAD", &yardstick);
        let ratio = times.against(&yardstick);
        row("  ratio of the medians", format!("{ratio:.1} x; p90 {}", shown(times.percentile(90))));
    }
}
