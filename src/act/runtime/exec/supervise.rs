//! One command from its start to its end: read, watched, and ended when it takes too much, takes too long, or nobody waits
//! for it any more. First it is asked (SIGTERM), then it is ended (SIGKILL), and with it all that it started.

use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::Signal;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::act::runtime::adapter::{Fault, Progress, RuntimeError};
use crate::declare::manifest::kind::options::exec::Limits;

use super::family::{Family, Taken};
use super::folder::Folder;
use super::gather::{Gathered, Keep};
use super::process::{self, Running, Start};
use super::report::Report;
use super::verdict::{self, Cause, Exit};

/// How often it is looked what a command takes.
const WATCH_EVERY: Duration = Duration::from_millis(50);
/// How long a command has between being asked to end and being ended.
const GRACE: Duration = Duration::from_secs(2);
/// How long the kernel has to take away what was ended.
const SWEEP_MAX: Duration = Duration::from_secs(5);
/// How long what was printed may take to arrive after the end.
const PIPE_PATIENCE: Duration = Duration::from_secs(1);
/// What is kept of a command's words to people.
const STDERR_BYTES_MAX: usize = 16 * 1024;
/// Progress is told at most this often.
const TELL_EVERY: Duration = Duration::from_millis(100);

/// What is known of a run besides the command.
pub(super) struct Surroundings<'a> {
    pub folder: &'a Arc<Folder>,
    pub limits: &'a Limits,
    pub deadline: Instant,
    /// The time from start to deadline, for people.
    pub time: Duration,
    /// Nobody waits any more.
    pub cancelled: &'a CancellationToken,
    /// Whether a sandbox holds the processes together; its first process is then the sandbox itself.
    pub is_sandboxed: bool,
    pub progress: &'a Progress,
}

/// What a command left when it succeeded.
#[derive(Debug, Default)]
pub(super) struct Left {
    pub stdout: Vec<u8>,
    pub memory_bytes_peak: u64,
}

/// Runs a command to its end. `keeps` says whether what it prints is wanted, `report` what its words say of progress.
pub(super) async fn command(
    name: &str,
    start: Start,
    keeps: bool,
    report: Report,
    around: &Surroundings<'_>,
) -> Result<Left, RuntimeError> {
    let program = PathBuf::from(start.argv.first().cloned().unwrap_or_default());
    let running = process::start(start).await.map_err(|error| {
        let message = format!("{name} cannot be started ({}): {error}", program.display());
        RuntimeError::new(Fault::RuntimeError, message)
    })?;
    let Running { id, group, mut ended, stdout, stderr } = running;
    let _leash = group.leash();
    let over = CancellationToken::new();
    let bytes_max = around.limits.output_mb.saturating_mul(1024 * 1024);
    let keep = if keeps { Keep::All } else { Keep::End(STDERR_BYTES_MAX) };
    let gathered = Gathered::from(stdout, keep, bytes_max, over.clone(), |_| {}).and_then(|stdout| {
        let told = teller(report, around.progress.clone());
        Ok((stdout, Gathered::from(stderr, Keep::End(STDERR_BYTES_MAX), bytes_max, over.clone(), told)?))
    });
    let family = Arc::new(Mutex::new(Family::new(id, &around.folder.mark)));
    let mut peak = 0;
    let (first, cause) = match &gathered {
        Err(_) => (None, Some(Cause::Cancelled)),
        Ok(_) => tokio::select! {
            status = &mut ended => (Some(status), None),
            cause = watch(around, &family, &mut peak) => (None, Some(cause)),
            () = over.cancelled() => (None, Some(Cause::Printed)),
            () = around.cancelled.cancelled() => (None, Some(Cause::Cancelled)),
            () = sleep_until(around.deadline) => (None, Some(Cause::Late(around.time))),
        },
    };
    let status = match first {
        Some(status) => Some(status),
        None => {
            ask(&family, &group, around.is_sandboxed).await;
            match timeout(GRACE, &mut ended).await {
                Ok(status) => Some(status),
                Err(_) => {
                    group.signal(Signal::KILL);
                    timeout(SWEEP_MAX, &mut ended).await.ok()
                }
            }
        }
    };
    sweep(&family).await;
    let (stdout, stderr) = gathered.map_err(|error| {
        RuntimeError::new(Fault::RuntimeError, format!("what {name} prints cannot be read: {error}"))
    })?;
    let (stdout, words) = (stdout.end(PIPE_PATIENCE).await, stderr.end(PIPE_PATIENCE).await);
    let words = String::from_utf8_lossy(&words);
    // It may have printed too much and ended in the same moment.
    let cause = cause.or_else(|| over.is_cancelled().then_some(Cause::Printed));
    if let Some(cause) = cause {
        return Err(verdict::ended(name, &cause, around.limits).saying(verdict::last_words(&words)));
    }
    let broken = || RuntimeError::new(Fault::RuntimeError, format!("how {name} ended could not be learnt"));
    let status = status.ok_or_else(broken)?.map_err(|_| broken())?.map_err(|_| broken())?;
    let exit = match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, signal) => Exit::Signal(signal.unwrap_or_default()),
    };
    match verdict::failed(name, exit, &words, around.limits) {
        Some(error) => Err(error),
        None => Ok(Left { stdout, memory_bytes_peak: peak }),
    }
}

/// Tells lines of progress, not faster than people read.
fn teller(report: Report, progress: Progress) -> impl FnMut(&str) + Send + 'static {
    let mut last: Option<Instant> = None;
    move |line| {
        let now = Instant::now();
        if last.is_some_and(|last| now.duration_since(last) < TELL_EVERY) {
            return;
        }
        if let Some(told) = report.of(line) {
            progress.say(&told);
            last = Some(now);
        }
    }
}

/// Looks again and again what the command takes, and comes back when it is too much.
async fn watch(around: &Surroundings<'_>, family: &Arc<Mutex<Family>>, peak: &mut u64) -> Cause {
    loop {
        let (family, folder) = (family.clone(), around.folder.clone());
        let look = move || {
            let members = family.lock().unwrap_or_else(PoisonError::into_inner).look();
            (Taken::by(&members), folder.weigh())
        };
        if let Ok((taken, lying)) = tokio::task::spawn_blocking(look).await {
            *peak = (*peak).max(taken.memory_bytes);
            if let Some(cause) = verdict::excess(around.limits, &taken, lying) {
                return cause;
            }
        }
        sleep(WATCH_EVERY).await;
    }
}

/// Asks all processes to end. A sandbox itself is not asked, since its end would be that of all in it at once.
async fn ask(family: &Arc<Mutex<Family>>, group: &process::Group, is_sandboxed: bool) {
    if !is_sandboxed {
        group.signal(Signal::TERM);
    }
    with(family, move |family| family.signal(Signal::TERM, !is_sandboxed)).await;
}

/// Ends whatever is left, and waits until it is gone.
async fn sweep(family: &Arc<Mutex<Family>>) {
    let until = Instant::now() + SWEEP_MAX;
    while Instant::now() < until {
        let left = with(family, |family| {
            family.signal(Signal::KILL, true);
            family.look().len()
        });
        if left.await.is_none_or(|left| left == 0) {
            return;
        }
        sleep(Duration::from_millis(5)).await;
    }
    tracing::warn!("processes of a run are left that do not end");
}

async fn with<T: Send + 'static>(
    family: &Arc<Mutex<Family>>,
    work: impl FnOnce(&mut Family) -> T + Send + 'static,
) -> Option<T> {
    let family = family.clone();
    let worked = tokio::task::spawn_blocking(move || work(&mut family.lock().unwrap_or_else(PoisonError::into_inner)));
    worked.await.ok()
}
