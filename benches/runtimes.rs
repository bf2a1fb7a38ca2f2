//! What observing runtimes costs: processor time and memory of the real program with one llama-swap and with fifty, each
//! looked at every five seconds and by its events, while nothing changes.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use crate::daemon::Daemon;
use crate::measure::row;
use crate::swap::Swap;
use crate::tasks::repository;

/// How many runtimes there are; the first is the yardstick.
const COUNTS: [usize; 3] = [1, 10, 50];
const MODELS_EACH: usize = 10;
/// What follows from the start is over after this time: first looks, first writes.
const SETTLE: Duration = Duration::from_secs(10);
/// Four looks at each.
const WATCHED: Duration = Duration::from_secs(20);

/// What a daemon took with so many runtimes.
struct Taken {
    /// Percent of one core.
    percent: f64,
    resident_mib: f64,
}

pub fn run() {
    let mut first: Option<Taken> = None;
    for count in COUNTS {
        let taken = with(count);
        if let Some(one) = &first {
            row(
                "  against one runtime",
                format!(
                    "{:.2} % and {:.2} MiB more for each further one",
                    (taken.percent - one.percent) / (count - 1) as f64,
                    (taken.resident_mib - one.resident_mib) / (count - 1) as f64
                ),
            );
        }
        first.get_or_insert(taken);
    }
}

fn with(count: usize) -> Taken {
    let swaps: Vec<Swap> =
        (0..count).map(|n| Swap::start((0..MODELS_EACH).map(|model| format!("model-{n}-{model}")).collect())).collect();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let repo = dir.path().join("repo");
    repository(&repo, &manifests(&swaps));
    let mut daemon = Daemon::up(&repo, &dir.path().join("state"));
    daemon.let_log_pass();
    std::thread::sleep(SETTLE);
    let looks = || swaps.iter().map(Swap::looks).sum::<usize>();
    let (begun, used, looked) = (Instant::now(), daemon.processor_seconds(), looks());
    std::thread::sleep(WATCHED);
    let (used, looked) = (daemon.processor_seconds() - used, looks() - looked);
    let percent = 100.0 * used / begun.elapsed().as_secs_f64();
    let resident_mib = daemon.kib("VmRSS") as f64 / 1_024.0;
    row(
        format!("{count} runtimes, looked at every 5 s"),
        format!(
            "{percent:.2} % of one core, resident {resident_mib:.1} MiB, {} threads; {:.1} looks/s, {:.2} ms each",
            daemon.threads(),
            looked as f64 / begun.elapsed().as_secs_f64(),
            used * 1e3 / looked as f64
        ),
    );
    Taken { percent, resident_mib }
}

fn manifests(swaps: &[Swap]) -> String {
    let mut text = String::from(
        "apiVersion: arcology/v1alpha1\nkind: Host\nmetadata: {name: here}\nspec: {address: 127.0.0.1, local: true}\n",
    );
    for (n, swap) in swaps.iter().enumerate() {
        write!(
            text,
            "---\napiVersion: arcology/v1alpha1\nkind: Runtime\nmetadata: {{name: swap-{n}}}\nspec: {{host: here, adapter: \
             llama-swap, endpoint: '{}', capabilities: [text.generate], observeEvery: 5s}}\n",
            swap.endpoint()
        )
        .expect("text grows");
        for model in 0..MODELS_EACH {
            write!(
                text,
                "---\napiVersion: arcology/v1alpha1\nkind: Model\nmetadata: {{name: model-{n}-{model}}}\nspec: {{type: llm, \
                 servedBy: [{{runtime: swap-{n}}}]}}\n"
            )
            .expect("text grows");
        }
    }
    text
}
