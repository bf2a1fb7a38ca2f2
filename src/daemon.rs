//! `arcology up`: starts the engine, the page and the control socket, and ends them in order.
//!
//! 1. Say where everything is. 2. Start the engine from the store; what was in force is in force again. 3. Serve.
//! 4. On a signal, or with `--once` when everything is settled: stop accepting, let running work end, close the store.
//!
//! Stands above the wings, because it is where they meet.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::act::clock::{SystemClock, SystemSteady};
use crate::act::engine::{Engine, Handle, Options};
use crate::act::runtime::exec::Tools;
use crate::act::source;
use crate::act::telemetry;
use crate::decide::reconcile::{ObjectStatus, Sync};
use crate::tell::cli::verb::up::{LogFormat, UpArgs};
use crate::tell::control::{self, ControlState};
use crate::tell::log::Calm;
use crate::tell::web::{self, WebState};

/// How long `--once` waits for everything to settle.
const ONCE_MAX: Duration = Duration::from_secs(3_600);

/// Runs the daemon until it is told to stop; 0 when it ended well, 1 when it could not start or `--once` did not settle
/// in sync.
#[must_use]
pub fn run(args: UpArgs) -> ExitCode {
    start_log(args.log, args.verbose);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("cannot start threads: {error}"), None),
    };
    let code = runtime.block_on(up(args));
    // Blocking work that is still under way, such as a fetch, must not keep the process.
    runtime.shutdown_timeout(Duration::from_secs(2));
    code
}

fn start_log(format: LogFormat, verbose: u8) {
    let level = match verbose {
        0 => "warn,arcology=info",
        1 => "info,arcology=debug",
        _ => "debug,arcology=trace",
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::new(level))
        .with_writer(std::io::stderr)
        .with_target(false)
        .with_ansi(false);
    // A second subscriber in one process (tests) is refused; the first one goes on.
    let _ = match format {
        LogFormat::Text => builder.event_format(Calm { fields: verbose > 0 }).try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
}

/// Says why it cannot go on, and what to do next.
fn fail(message: &str, help: Option<&str>) -> ExitCode {
    let mut err = std::io::stderr().lock();
    let _ = writeln!(err, "error: {message}");
    if let Some(help) = help {
        let _ = writeln!(err, "hint: {help}");
    }
    ExitCode::FAILURE
}

async fn up(args: UpArgs) -> ExitCode {
    let bound = match web::bind(&args.listen).await {
        Ok(listener) => listener.local_addr().map(|address| (listener, address)).map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    let (listener, address) = match bound {
        Ok(bound) => bound,
        Err(message) => return fail(&message, None),
    };
    let source = source::Options {
        branch: args.branch.clone(),
        allowed_signers: args.verify.clone(),
        worktree: args.worktree,
        credentials_dir: args.credentials.clone(),
        ..source::Options::new(whole(&args.repo), args.state.clone())
    };
    let options = Options {
        state_dir: args.state.clone(),
        source,
        interval: args.interval,
        credentials_dir: args.credentials.clone(),
        inputs_dirs: args.inputs.clone(),
        tools: Tools::of_arcology(),
        clock: Arc::new(SystemClock),
        steady: Arc::new(SystemSteady::default()),
        telemetry: telemetry::Options::default(),
    };
    let engine = match Engine::start(options).await {
        Ok(engine) => engine,
        Err(error) => return fail(&error.to_string(), error.help().as_deref()),
    };
    let handle = engine.handle();
    let web_state = WebState {
        picture: handle.pictures(),
        store: handle.store(),
        vault: handle.vault(),
        clock: Arc::new(SystemClock),
        explainer: Some(explainer(&handle)),
        live_logs: Some(live_logs(&handle)),
    };
    let socket = match control::bind(&args.control).await {
        Ok(socket) => socket,
        Err(error) => {
            engine.stop().await;
            return fail(&error.to_string(), None);
        }
    };
    greet(&handle, address, &args.control);
    let serving = CancellationToken::new();
    let state = ControlState { engine: handle.clone(), web: web_state.clone() };
    let servers = [
        tokio::spawn(serve_page(listener, web_state, serving.clone())),
        tokio::spawn(control::serve(socket, args.control.clone(), state, serving.clone())),
    ];
    let code = if args.once { settle(&handle).await } else { wait_for_signal().await };
    serving.cancel();
    for server in servers {
        // Long answers, such as an open event stream, do not hold up the end.
        let _ = tokio::time::timeout(Duration::from_secs(1), server).await;
    }
    engine.stop().await;
    tracing::info!("stopped; what was applied stays in force and is taken up at the next start");
    code
}

/// What the page asks why a task waits.
fn explainer(handle: &Handle) -> web::Explainer {
    let handle = handle.clone();
    Arc::new(move |task| {
        let handle = handle.clone();
        Box::pin(async move { handle.explain(&task).await })
    })
}

/// What the page shows of an attempt that runs.
fn live_logs(handle: &Handle) -> web::LiveLogs {
    let handle = handle.clone();
    Arc::new(move |task| handle.progress(task))
}

/// A local path written out, so that the page can say which folder it is about; an address as it is.
fn whole(repo: &str) -> String {
    Path::new(repo).canonicalize().map_or_else(|_| repo.to_owned(), |path| path.display().to_string())
}

async fn serve_page(listener: tokio::net::TcpListener, state: WebState, shutdown: CancellationToken) {
    if let Err(error) = web::serve(listener, state, shutdown).await {
        tracing::error!(%error, "the page ended");
    }
}

fn greet(handle: &Handle, address: std::net::SocketAddr, control: &Path) {
    let source = handle.pictures().borrow().source.clone();
    let branch = if source.branch.is_empty() { "no branch yet" } else { &source.branch };
    tracing::info!("watching {} ({branch})", source.repo);
    tracing::info!("page at http://{address}, control socket {}", control.display());
}

async fn wait_for_signal() -> ExitCode {
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return fail("cannot listen for signals", None);
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    tracing::info!("stopping; running work ends first");
    ExitCode::SUCCESS
}

/// `--once`: waits until there is nothing left to do and says what is not in sync.
async fn settle(handle: &Handle) -> ExitCode {
    let settled = tokio::select! {
        settled = tokio::time::timeout(ONCE_MAX, handle.settled()) => settled,
        code = wait_for_signal() => return code,
    };
    let Ok(statuses) = settled else {
        return fail(&format!("not settled after {} min", ONCE_MAX.as_secs() / 60), Some("see `arcology status`"));
    };
    let picture = handle.pictures().borrow().clone();
    if let Some(problem) = &picture.source.problem {
        return fail(&format!("{}: {}", problem.reason, problem.message), problem.help.as_deref());
    }
    let open: Vec<&ObjectStatus> = statuses.iter().filter(|status| status.sync != Sync::InSync).collect();
    for status in &open {
        tracing::warn!("{} is {}: {}", status.key, status.sync, status.reason);
    }
    if open.is_empty() {
        tracing::info!("settled: {} objects in sync", statuses.len());
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
