//! `arcology simulate`: reads recorded work, replays it under the world in force and under a changed one;
//! [`crate::tell::cli::simulate`] renders what comes out.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::act::clock::SystemClock;
use crate::act::source::{self, Snapshot};
use crate::core::unit::Span;
use crate::core::{Clock as _, Kind, Timestamp};
use crate::decide::scheduler::Config;
use crate::decide::scheduler::replay::history::History;
use crate::decide::scheduler::replay::replay;
use crate::decide::scheduler::state::State;
use crate::declare::manifest::{Diagnostic, ParsedFile};
use crate::declare::world::World;
use crate::remember::store::Archive;
use crate::tell::cli::args::Global;
use crate::tell::cli::failure::{Exit, Failure, Outcome, chain};
use crate::tell::cli::load;
use crate::tell::cli::simulate::compare::{Comparison, Subject};
use crate::tell::cli::simulate::{markdown, text};
use crate::tell::cli::ui::Ui;
use crate::tell::diagnostics;

/// Tell how recorded work would have gone under another policy, loadout or revision
///
/// Replays what was submitted since then, with the times it really took, through the scheduler that runs in the daemon: once
/// as the world in force has it and once with the change. Nothing is touched and no runtime is asked; a running daemon is
/// not disturbed. What was recorded is read from the state directory of this machine.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  arcology simulate --policy policies/default.yaml             the last week under an edited policy
  arcology simulate --policy night.yaml --policy loadout.yaml --since 30d
  arcology simulate --worktree                                 under the files as they lie in the folder
  arcology simulate --rev origin/my-change -o markdown         for a pull request

Exit codes: 0 compared, 1 failed or invalid manifests, 2 usage.")]
pub struct Args {
    /// A file whose Policies, Loadouts, Models, Runtimes and Hosts take the place of those of the same name; repeatable
    #[arg(long = "policy", value_name = "FILE", required_unless_present_any = ["rev", "worktree"])]
    #[arg(conflicts_with_all = ["rev", "worktree"])]
    policies: Vec<PathBuf>,
    /// Compare with this revision of the repository
    #[arg(long, value_name = "REV", conflicts_with = "worktree")]
    rev: Option<String>,
    /// Compare with the files as they lie in the folder, committed or not
    #[arg(long)]
    worktree: bool,
    /// The state repository, for --rev and --worktree
    #[arg(long, value_name = "PATH", default_value = ".")]
    repo: String,
    /// How far back submissions are replayed, such as 12h, 7d, 30d
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = Span::parse)]
    since: Span,
    /// How to print it
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    output: Format,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    #[default]
    Text,
    Json,
    Markdown,
}

/// Kinds that have a say in scheduling.
const KINDS: [Kind; 5] = [Kind::Host, Kind::Runtime, Kind::Model, Kind::Loadout, Kind::Policy];

pub fn run(args: &Args, global: &Global, ui: &mut Ui) -> Outcome {
    let now = SystemClock.now();
    let archive = open(global)?;
    let in_force = in_force(&archive, global)?;
    let changed = match changed(args, global, &in_force)? {
        Changed::World(world, name) => (world, name),
        Changed::Invalid { diagnostics, files } => return invalid(&diagnostics, files, ui),
    };
    let comparison = compare(args, global, &archive, (&in_force, changed), now)?;
    match args.output {
        Format::Text => ui.data(&text::render(&comparison, ui.width(), ui.paint()))?,
        Format::Json => {
            let json = serde_json::to_string_pretty(&comparison).expect("a comparison holds nothing JSON cannot say");
            ui.plain(&format!("{json}\n"))?;
        }
        Format::Markdown => ui.plain(&markdown::render(&comparison))?,
    }
    Ok(Exit::Fine)
}

const NO_HISTORY: &str =
    "history is kept where the daemon runs: run this there, or name its directory with --state DIR";

fn open(global: &Global) -> Outcome<Archive> {
    let opened = Archive::open(&global.state).map_err(|error| Failure::new(chain(&error)))?;
    opened.ok_or_else(|| Failure::new("there is no history to replay").at(global.state.display()).hint(NO_HISTORY))
}

/// The world that the daemon has applied.
fn in_force(archive: &Archive, global: &Global) -> Outcome<World> {
    let failed = |error: crate::remember::store::Error| Failure::new(chain(&error));
    let (world, unreadable) = archive.world().map_err(failed)?;
    if world.revision.is_none() {
        return Err(Failure::new("no revision was applied yet, so nothing is in force to compare with")
            .at(global.state.display())
            .hint("start the daemon: arcology up"));
    }
    if let Some(key) = unreadable.first() {
        return Err(Failure::new(format!("this version cannot read {key} as it is in force"))
            .at(global.state.display())
            .hint("start the daemon of this version once: it takes the object from the repository again"));
    }
    Ok(world)
}

/// The world to compare with, and how it is called; or why there is none.
enum Changed {
    World(World, String),
    Invalid { diagnostics: Vec<Diagnostic>, files: usize },
}

fn changed(args: &Args, global: &Global, in_force: &World) -> Outcome<Changed> {
    if !args.policies.is_empty() {
        return replaced(&args.policies, in_force);
    }
    let mut source = load::source(&args.repo, &global.state, args.worktree)?;
    let (snapshot, name) = match &args.rev {
        Some(rev) => {
            let snapshot = source.snapshot_at(rev).map_err(|error| load::failed(&error))?;
            let name = snapshot.revision.to_string();
            (snapshot, name)
        }
        None => (source.worktree_snapshot().map_err(|error| load::failed(&error))?, "worktree".to_owned()),
    };
    let problems = load::check(&snapshot);
    if !diagnostics::Report::new(&problems, snapshot.files.len()).is_valid() {
        return Ok(Changed::Invalid { diagnostics: problems, files: snapshot.files.len() });
    }
    Ok(Changed::World(load::assemble(&snapshot, &in_force.objects).world, name))
}

/// The world in force with the documents of `files` in the place of those of the same kind and name.
fn replaced(files: &[PathBuf], in_force: &World) -> Outcome<Changed> {
    let mut given: BTreeMap<Arc<str>, ParsedFile> = BTreeMap::new();
    let mut names = Vec::new();
    for path in files {
        let snapshot = read(path)?;
        for file in snapshot.files.values() {
            if let Some(other) = file.documents.iter().find(|document| !KINDS.contains(&document.key.kind)) {
                return Err(Failure::usage(format!("{} has no say in scheduling", other.key))
                    .at(&other.place)
                    .hint("give Policies, Loadouts, Models, Runtimes or Hosts"));
            }
            names.extend(file.documents.iter().map(|document| format!("{} from {}", document.key, path.display())));
            // Two files of the same name in different folders are read under the same path.
            let kept = given.entry(Arc::clone(&file.path)).or_insert_with(|| empty(&file.path));
            kept.documents.extend_from_slice(&file.documents);
            kept.broken.extend_from_slice(&file.broken);
            kept.warnings.extend_from_slice(&file.warnings);
        }
    }
    let all = beside(in_force, given);
    let world = load::assemble_files(&all, in_force).ok_or_else(|| Failure::new("nothing is in force"))?;
    if !diagnostics::Report::new(&world.diagnostics, all.len()).is_valid() {
        return Ok(Changed::Invalid { diagnostics: world.diagnostics, files: files.len() });
    }
    Ok(Changed::World(world, names.join(", ")))
}

/// The manifests of one file.
fn read(path: &std::path::Path) -> Outcome<Snapshot> {
    let failure = |what: String| Failure::usage(what).at(path.display()).hint("name a manifest file: --policy FILE");
    if path.is_dir() {
        return Err(failure("this is a folder, not a file".to_owned()));
    }
    let snapshot = source::snapshot_of_dir(path).map_err(|error| failure(chain(&error)))?;
    if snapshot.files.values().all(|file| file.documents.is_empty() && file.broken.is_empty()) {
        return Err(failure("there is no manifest in it".to_owned()));
    }
    Ok(snapshot)
}

/// The files of the world in force, without what is given anew, and the given ones.
fn beside(in_force: &World, mut given: BTreeMap<Arc<str>, ParsedFile>) -> BTreeMap<Arc<str>, Arc<ParsedFile>> {
    let replaced: Vec<_> =
        given.values().flat_map(|file| &file.documents).map(|document| document.key.clone()).collect();
    for (key, object) in &in_force.objects {
        if replaced.contains(key) {
            continue;
        }
        let path = &object.document.place.path;
        let file = given.entry(Arc::clone(path)).or_insert_with(|| empty(path));
        file.documents.push(Arc::clone(&object.document));
    }
    given.into_iter().map(|(path, file)| (path, Arc::new(file))).collect()
}

fn empty(path: &Arc<str>) -> ParsedFile {
    ParsedFile {
        path: Arc::clone(path),
        documents: Vec::new(),
        broken: Vec::new(),
        salvaged: Vec::new(),
        warnings: Vec::new(),
    }
}

/// The same words as those of `validate`.
fn invalid(problems: &[Diagnostic], files: usize, ui: &mut Ui) -> Outcome {
    let report = diagnostics::Report::new(problems, files);
    let width = ui.width().unwrap_or(diagnostics::text::Look::default().width);
    let look = diagnostics::text::Look { colour: ui.paint().on, width };
    ui.data(&diagnostics::text::render(&report, look))?;
    Ok(Exit::Problem)
}

fn compare(
    args: &Args,
    global: &Global,
    archive: &Archive,
    (in_force, (changed, name)): (&World, (World, String)),
    now: Timestamp,
) -> Outcome<Comparison> {
    let from = now.checked_sub(args.since.get()).unwrap_or(Timestamp::MIN);
    let recorded = archive.recorded(from).map_err(|error| Failure::new(chain(&error)))?;
    let (before, after) = (Arc::new(Config::of(in_force)), Arc::new(Config::of(&changed)));
    let history = History::of(&recorded, from, &before).ok_or_else(|| {
        let what = match recorded.tasks.len() {
            0 => format!("nothing was submitted in the last {}", args.since),
            _ => format!("none of what was submitted in the last {} ever ran", args.since),
        };
        Failure::new(what).at(global.state.display()).hint("look further back: --since 30d")
    })?;
    let before = replay(&mut State::new(), &history.trace(before));
    let after = replay(&mut State::new(), &history.trace(after));
    let in_force = in_force.revision.as_ref().map_or_else(String::new, ToString::to_string);
    Ok(Comparison::of(Subject { in_force, changed: name, to: now }, &history, &before, &after))
}
