//! Measuring: how long something takes, again and again, and the percentiles of it.

use std::fmt;
use std::hint::black_box;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long something took, each time it was done.
#[derive(Clone, Debug)]
pub struct Times(Vec<Duration>);

impl Times {
    /// # Panics
    /// Without a single time.
    pub fn of(mut times: Vec<Duration>) -> Self {
        assert!(!times.is_empty(), "something was measured");
        times.sort_unstable();
        Self(times)
    }

    /// Does it `rounds` times, after once that does not count.
    pub fn measure<T>(rounds: usize, mut work: impl FnMut() -> T) -> Self {
        black_box(work());
        let one = |_| {
            let start = Instant::now();
            black_box(work());
            start.elapsed()
        };
        Self::of((0..rounds).map(one).collect())
    }

    /// The smallest time that at least `percent` of all do not exceed (nearest rank).
    pub fn percentile(&self, percent: usize) -> Duration {
        let rank = (self.0.len() * percent).div_ceil(100).max(1);
        self.0[rank - 1]
    }

    pub fn median(&self) -> Duration {
        self.percentile(50)
    }

    /// How many times longer this takes than `other`, by the medians.
    pub fn against(&self, other: &Self) -> f64 {
        self.median().as_secs_f64() / other.median().as_secs_f64()
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [p50, p99] = [50, 99].map(|percent| shown(self.percentile(percent)));
        let most = shown(self.0[self.0.len() - 1]);
        write!(f, "p50 {p50:>9}  p99 {p99:>9}  most {most:>9}  of {}", self.0.len())
    }
}

/// A time with three figures and its unit.
pub fn shown(time: Duration) -> String {
    let micros = time.as_secs_f64() * 1e6;
    let (value, unit) = match micros {
        ..1e3 => (micros, "us"),
        ..1e6 => (micros / 1e3, "ms"),
        _ => (micros / 1e6, "s"),
    };
    let digits = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
    format!("{value:.digits$} {unit}")
}

/// One line of a table.
pub fn row(what: impl fmt::Display, says: impl fmt::Display) {
    println!("{what:<46} {says}");
}

/// The yardstick of everything that looks at a repository: what asking Git for its tip costs as a process.
pub fn rev_parse(repo: &Path, rounds: usize) -> Times {
    Times::measure(rounds, || {
        let mut command = Command::new("git");
        command.current_dir(repo).args(["rev-parse", "HEAD"]).stdin(Stdio::null()).stdout(Stdio::null());
        assert!(command.status().expect("git runs").success());
    })
}

/// Processor time of this thread so far, from the scheduler's own count (proc_pid_schedstat, first field, nanoseconds): what
/// others do on the machine is not in it, apart from what they do to the caches.
pub fn processor_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux counts it");
    let nanos: u64 = text.split_whitespace().next().and_then(|field| field.parse().ok()).expect("a number");
    nanos as f64 / 1e9
}
