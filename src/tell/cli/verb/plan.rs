//! `arcology plan`: gets two worlds and the plan between them; [`crate::tell::cli::plan`] renders it.

use crate::act::clock::SystemClock;
use crate::act::source::Snapshot;
use crate::core::Clock as _;
use crate::decide::reconcile::assumed::plan_between;
use crate::tell::cli::args::Global;
use crate::tell::cli::client::Client;
use crate::tell::cli::failure::{Exit, Failure, Outcome};
use crate::tell::cli::plan::report::{Report, Side};
use crate::tell::cli::plan::{json, markdown, text};
use crate::tell::cli::ui::Ui;
use crate::tell::cli::{load, read};

/// Tell what a change would do, without touching anything
///
/// Compares two revisions. The base is taken as fulfilled: no runtime is asked. Without --base it is the revision that
/// the daemon has applied, or, with --worktree and no daemon, the commit that is checked out.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  arcology plan --worktree                              what the uncommitted files would do
  arcology plan --base main --head my-change
  arcology plan --base origin/main --head HEAD -o markdown   for a pull request
  arcology plan --base HEAD~1 --exit-code

Exit codes: 0 planned, 1 failed, 2 usage; with --exit-code, 2 when something would change.")]
pub struct Args {
    /// The state repository
    #[arg(long, value_name = "PATH", default_value = ".")]
    repo: String,
    /// What to start from: a branch, a tag, a commit
    #[arg(long, value_name = "REV")]
    base: Option<String>,
    /// What to go to
    #[arg(long, value_name = "REV", default_value = "HEAD")]
    head: String,
    /// Go to the files as they lie in the folder, committed or not
    #[arg(long, conflicts_with = "head")]
    worktree: bool,
    /// How to print it
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    output: Format,
    /// Leave with 2 when something would change
    #[arg(long)]
    exit_code: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    #[default]
    Text,
    Json,
    Markdown,
}

pub fn run(args: &Args, global: &Global, ui: &mut Ui) -> Outcome {
    let report = between(args, global)?;
    match args.output {
        Format::Text => ui.data(&text::render(&report, ui.paint()))?,
        Format::Json => ui.plain(&json::render(&report))?,
        Format::Markdown => ui.plain(&markdown::render(&report))?,
    }
    Ok(if args.exit_code && report.would_change { Exit::WouldChange } else { Exit::Fine })
}

/// The plan from the base to the head. Nothing is asked of a runtime and nothing is changed.
fn between(args: &Args, global: &Global) -> Outcome<Report> {
    let base_rev = base(args, global)?;
    let mut revisions = load::source(&args.repo, &global.state, false)?;
    let base = revisions.snapshot_at(&base_rev).map_err(|error| load::failed(&error))?;
    let head = if args.worktree {
        let mut files = load::source(&args.repo, &global.state, true)?;
        files.worktree_snapshot().map_err(|error| load::failed(&error))?
    } else {
        revisions.snapshot_at(&args.head).map_err(|error| load::failed(&error))?
    };
    let base_world = load::assemble(&base, &Default::default()).world;
    let head_world = load::assemble(&head, &base_world.objects).world;
    let plan = plan_between(&base_world, &head_world, SystemClock.now());
    let head_side = if args.worktree { Side::worktree() } else { side(&head) };
    Ok(Report::new((side(&base), &base_world), (head_side, &head_world), plan))
}

fn side(snapshot: &Snapshot) -> Side {
    Side::of(&snapshot.revision)
}

/// The revision to start from: the one that was named, the one in force, or the commit beneath the worktree.
fn base(args: &Args, global: &Global) -> Outcome<String> {
    if let Some(base) = &args.base {
        return Ok(base.clone());
    }
    let applied = Client::find(global).and_then(|client| client.get("/api/v1/status"));
    match applied.map(|status| read::text(&status, "commit.sha")) {
        Ok(Some(sha)) => Ok(sha),
        Ok(None) | Err(_) if args.worktree => Ok("HEAD".into()),
        Ok(None) => Err(Failure::usage("the daemon has not applied any revision yet").hint(NAME_BASE)),
        Err(failure) if failure.exit == Exit::NoDaemon => {
            Err(Failure::usage("there is nothing to compare with: no daemon runs here").hint(NAME_BASE))
        }
        Err(failure) => Err(failure),
    }
}

const NAME_BASE: &str = "name what to start from: arcology plan --base REV";
