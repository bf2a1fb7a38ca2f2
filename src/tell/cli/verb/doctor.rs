//! `arcology doctor`: looks everything over that Arcology needs, and says how to mend what is wrong.

use std::path::{Path, PathBuf};

use crate::act::clock::SystemClock;
use crate::act::doctor::daemon::Running;
use crate::act::doctor::runtimes::Said;
use crate::act::doctor::{
    Finding, Status, clock, daemon, git, limits, machine, page, repository, runtimes, sandbox, state, worst,
};
use crate::act::runtime::Places;
use crate::act::runtime::exec::Tools;
use crate::core::clock::Clock as _;
use crate::core::{Name, Timestamp};
use crate::declare::manifest::Severity;
use crate::declare::manifest::kind::runtime::{AdapterKind, RuntimeSpec};
use crate::declare::world::World;
use crate::tell::cli::args::Global;
use crate::tell::cli::client::Client;
use crate::tell::cli::doctor as shown;
use crate::tell::cli::failure::{Exit, Failure, Outcome};
use crate::tell::cli::load;
use crate::tell::cli::read::text;
use crate::tell::cli::ui::Ui;
use crate::tell::web;

/// Look over Git, runtimes, GPUs, disk and permissions, and say how to mend them
///
/// Changes nothing. With a daemon, its word on the runtimes counts; without one they are asked directly.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  arcology doctor                            the repository and state directory of this folder
  arcology doctor --repo ~/state --credentials ~/keys
  arcology doctor -o json | jq '.checks[] | select(.status == \"fail\")'

Exit codes: 0 nothing failed (warnings are allowed), 1 something did, 2 usage.")]
pub struct Args {
    /// The state repository
    #[arg(long, value_name = "PATH|URL", default_value = ".")]
    repo: String,
    /// The folder with tokens and keys, as for `arcology up`
    #[arg(long, value_name = "DIR")]
    credentials: Option<PathBuf>,
    /// Where the page is to listen
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7480")]
    listen: String,
    /// How to print it
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    output: Format,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    #[default]
    Text,
    Json,
}

pub fn run(args: &Args, global: &Global, ui: &mut Ui) -> Outcome {
    let findings = look(args, global, ui)?;
    match args.output {
        Format::Text => ui.data(&shown::text(&findings, ui.width(), ui.paint()))?,
        Format::Json => ui.plain(&format!("{:#}\n", shown::json(&findings)))?,
    }
    Ok(if worst(&findings) == Status::Fail { Exit::Problem } else { Exit::Fine })
}

fn look(args: &Args, global: &Global, ui: &mut Ui) -> Outcome<Vec<Finding>> {
    ui.progress("looking everything over");
    // The client has an event loop of its own, so it is asked before there is another.
    let (daemon_facts, told) = ask_daemon(global);
    let runs = daemon_facts.runs();
    let (repository_facts, world, newest) = read_repository(&args.repo, &global.state);
    let this_host = world.iter().flat_map(World::hosts).map(|(_, spec)| spec).find(|spec| spec.local);
    let declared: Vec<(Name, RuntimeSpec)> = world
        .iter()
        .flat_map(World::runtimes)
        .map(|(object, spec)| (object.document.key.name.clone(), spec.clone()))
        .collect();
    let has_programs = declared.iter().any(|(_, spec)| spec.adapter == AdapterKind::Exec);
    let places = Places {
        credentials_dir: args.credentials.clone().unwrap_or_else(|| global.state.join("credentials")),
        state_dir: global.state.clone(),
        tools: Tools::of_arcology(),
    };
    let event_loop = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format!("the system gives no event loop: {error}")))?;
    Ok(event_loop.block_on(async {
        let gpus = this_host.map(|host| host.gpus.clone()).unwrap_or_default();
        let path = std::env::var_os("PATH");
        let (git_facts, machine_facts, sandbox_facts, runtime_facts, free) = tokio::join!(
            git::gather(path.as_deref(), Path::new(&args.repo), |name| std::env::var(name).ok()),
            machine::gather(gpus),
            sandbox::gather(has_programs),
            async {
                match told {
                    Some(told) => told,
                    None => runtimes::gather(declared, &places).await,
                }
            },
            async { web::bind(&args.listen).await.map(drop).map_err(|error| error.to_string()) },
        );
        let reserve_gb = this_host.map(|host| host.reserve.disk_gb);
        let page_facts =
            page::Facts { address: args.listen.clone(), free, daemon_runs: runs, has_tailscale: page::has_tailscale() };
        [
            git::judge(&git_facts),
            repository::judge(&repository_facts),
            state::judge(&state::gather(&global.state, runs, reserve_gb)),
            daemon::judge(&daemon_facts, env!("CARGO_PKG_VERSION")),
            page::judge(&page_facts),
            runtimes::judge(&runtime_facts),
            machine::judge(&machine_facts),
            sandbox::judge(&sandbox_facts),
            limits::judge(&limits::gather()),
            clock::judge(SystemClock.now(), newest),
        ]
        .concat()
    }))
}

/// What the daemon says of itself and of the runtimes.
fn ask_daemon(global: &Global) -> (daemon::Facts, Option<Vec<runtimes::Facts>>) {
    let socket = global.control_socket();
    if !socket.exists() {
        return (daemon::Facts::NoSocket, None);
    }
    let asked = || -> Outcome<(Running, Vec<runtimes::Facts>)> {
        let client = Client::find(global)?;
        let status = client.get("/api/v1/status")?;
        let described = client.find_one("/api/v1/openapi.json")?;
        let running = Running {
            version: described.as_ref().and_then(|described| text(described, "info.version")),
            source_problem: text(&status, "source.message").filter(|_| status["source"]["ready"] == false),
            store_problem: text(&status, "store_problem"),
        };
        let runtimes = client.list("/api/v1/runtimes", &[], RUNTIMES_MAX)?;
        Ok((running, runtimes.iter().filter_map(runtime).collect()))
    };
    match asked() {
        Ok((running, runtimes)) => (daemon::Facts::Runs(running), Some(runtimes)),
        Err(failure) => (daemon::Facts::Silent { socket: socket.display().to_string(), why: failure.what }, None),
    }
}

/// The most runtimes that are told of.
const RUNTIMES_MAX: usize = 1_000;

/// A runtime as the daemon tells of it; none for one that is no longer declared.
fn runtime(row: &serde_json::Value) -> Option<runtimes::Facts> {
    let adapter: AdapterKind = serde_json::from_value(row.get("adapter")?.clone()).ok()?;
    let said = Said::Daemon {
        health: text(row, "health")?,
        reason: text(row, "reason").unwrap_or_default(),
        version: text(row, "version"),
    };
    Some(runtimes::Facts { name: text(row, "name")?, adapter, endpoint: text(row, "endpoint"), said })
}

fn read_repository(repo: &str, state: &Path) -> (repository::Facts, Option<World>, Option<Timestamp>) {
    if repo.contains(':') && !Path::new(repo).exists() {
        return (repository::Facts::Remote, None, None);
    }
    let unreadable = |failure: Failure| {
        let facts = repository::Facts::Unreadable {
            at: repo.to_owned(),
            why: failure.what,
            help: failure.hints.into_iter().next(),
        };
        (facts, None, None)
    };
    let read = load::source(repo, state, false).and_then(|mut source| {
        let branch = source.describe().1;
        let rev = if branch.is_empty() { "HEAD".to_owned() } else { branch };
        source.snapshot_at(&rev).map_err(|error| load::failed(&error))
    });
    let snapshot = match read {
        Ok(snapshot) => snapshot,
        Err(failure) => return unreadable(failure),
    };
    let world = load::assemble(&snapshot, &std::collections::BTreeMap::new()).world;
    let found = load::check(&snapshot);
    let count = |severity| found.iter().filter(|diagnostic| diagnostic.severity == severity).count();
    let commit = &snapshot.revision.commit;
    let read = repository::Read {
        revision: format!("{}@{}", snapshot.revision.branch, commit.sha.short()),
        files: snapshot.files.len(),
        objects: world.objects.len(),
        errors: count(Severity::Error),
        warnings: count(Severity::Warning),
    };
    (repository::Facts::Read(read), Some(world), Some(commit.at))
}
