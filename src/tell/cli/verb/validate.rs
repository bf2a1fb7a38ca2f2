//! `arcology validate`: every problem of every manifest at once, before anything runs.

use std::path::PathBuf;

use crate::act::source::{self, Snapshot};
use crate::tell::cli::args::Global;
use crate::tell::cli::failure::{Exit, Failure, Outcome};
use crate::tell::cli::ui::Ui;
use crate::tell::cli::{load, verb::explain};
use crate::tell::diagnostics::{Report, github, json, sarif, text};

/// Check manifests: form, fields, references, graphs, memory
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  arcology validate                        the files of this folder, committed or not
  arcology validate --rev HEAD~1           a revision
  arcology validate -o github              annotations on a pull request
  arcology validate -o sarif > arcology.sarif

Exit codes: 0 valid (warnings are allowed), 1 problems, 2 usage.")]
pub struct Args {
    /// The state repository, or any folder with manifests
    #[arg(value_name = "PATH", default_value = ".")]
    path: PathBuf,
    /// Check this revision instead of the files as they lie there
    #[arg(long, value_name = "REV")]
    rev: Option<String>,
    /// How to print what was found
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    output: Format,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    #[default]
    Text,
    Json,
    Github,
    Sarif,
}

pub fn run(args: &Args, global: &Global, ui: &mut Ui) -> Outcome {
    let snapshot = snapshot(args, global)?;
    if snapshot.files.is_empty() {
        let folders = source::options::FOLDERS.map(|folder| format!("{folder}/")).join(", ");
        return Err(Failure::usage("there are no manifests")
            .at(args.path.display())
            .hint(format!("they are read from {folders}"))
            .hint("to begin with valid ones: arcology init my-state"));
    }
    let found = load::check(&snapshot);
    let report = Report::new(&found, snapshot.files.len());
    match args.output {
        Format::Text => {
            let width = ui.width().unwrap_or(text::Look::default().width);
            ui.data(&text::render(&report, text::Look { colour: ui.paint().on, width }))?;
        }
        Format::Json => ui.plain(&json::render(&report))?,
        Format::Github => ui.plain(&github::render(&report))?,
        Format::Sarif => ui.plain(&sarif::render(&report, explain::find))?,
    }
    Ok(if report.is_valid() { Exit::Fine } else { Exit::Problem })
}

const NAME_PATH: &str = "give the folder of a state repository: arcology validate PATH";

fn snapshot(args: &Args, global: &Global) -> Outcome<Snapshot> {
    // What cannot be read at all is a mistake of the call: the manifests were not judged.
    let usage = |error: &source::Error| load::failed(error).exit(Exit::Usage).hint(NAME_PATH);
    match &args.rev {
        None => source::snapshot_of_dir(&args.path).map_err(|error| usage(&error)),
        Some(rev) => load::source(&args.path.display().to_string(), &global.state, false)?
            .snapshot_at(rev)
            .map_err(|error| usage(&error)),
    }
}
