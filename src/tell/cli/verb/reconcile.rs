//! `arcology reconcile`: look now instead of at the next interval, and tell what came of it.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use crate::core::text::count;
use crate::tell::cli::args::Global;
use crate::tell::cli::client::Client;
use crate::tell::cli::failure::{Exit, Failure, Outcome};
use crate::tell::cli::read::{items, number, shown, text};
use crate::tell::cli::ui::Ui;
use crate::tell::terminal::clean_line;

/// A look may fetch from a slow remote; the source gives that up after two minutes.
const LOOK_WITHIN: Duration = Duration::from_secs(150);

/// Look at the repository now, and tell what came of it
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  arcology reconcile                a post-receive hook or a forge's runner calls this
  arcology reconcile --accept       take a history that was rewritten

Exit codes: 0 the newest commit is in force, 1 it is not, 2 usage.")]
pub struct Args {
    /// Take a rewritten history
    #[arg(long)]
    accept: bool,
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
    reconcile(args, global, ui).map_err(Failure::plain)
}

fn reconcile(args: &Args, global: &Global, ui: &mut Ui) -> Outcome {
    let client = Client::find(global)?;
    ui.progress("looking at the repository");
    let report = client.post_within("/v1/reconcile", &json!({"accept": args.accept}), LOOK_WITHIN)?;
    match args.output {
        Format::Json => ui.plain(&format!("{report:#}\n"))?,
        Format::Text => ui.data(&told(&report))?,
    }
    match report["outcome"].as_str() {
        Some("unchanged" | "applied") => Ok(Exit::Fine),
        _ => Err(not_in_force(&report)),
    }
}

/// What is in force now, what that changed, and what is wrong with it. A look that failed is told as a failure.
fn told(report: &Value) -> String {
    let mut told = String::new();
    if let Some(revision) = text(report, "revision") {
        let _ = writeln!(told, "{}: {}", clean_line(&revision), clean_line(&shown(report, "outcome")));
    }
    let counts: Vec<String> = ["added", "changed", "removed", "quarantined", "held"]
        .into_iter()
        .filter(|key| number(report, key) > 0)
        .map(|key| format!("{} {key}", number(report, key)))
        .collect();
    if !counts.is_empty() {
        let _ = writeln!(told, "{}", counts.join(", "));
    }
    let problems: Vec<&str> = items(report, "problems").filter_map(Value::as_str).collect();
    if !problems.is_empty() {
        let _ = writeln!(told, "{}:", count(problems.len(), "problem"));
    }
    for problem in problems {
        let _ = writeln!(told, "  {}", clean_line(problem));
    }
    told
}

fn not_in_force(report: &Value) -> Failure {
    let failure = Failure::new(format!("the newest commit is not in force: {}", shown(report, "message")));
    match text(report, "help") {
        Some(help) => failure.hint(help),
        None => failure.hint("arcology status"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_of_a_look_is_told_with_its_problems() {
        let report = json!({"outcome": "applied", "message": "m", "revision": "main@sha1:0123", "added": 2, "changed": 0,
            "removed": 1, "quarantined": 1, "held": 0, "problems": ["ARC201 manifests/a.yaml:3:1: unknown\u{1b} field"]});
        insta::assert_snapshot!(told(&report), @"
        main@sha1:0123: applied
        2 added, 1 removed, 1 quarantined
        1 problem:
          ARC201 manifests/a.yaml:3:1: unknown� field
        ");
    }

    #[test]
    fn a_history_that_is_held_is_a_failure_with_its_help() {
        let failure = not_in_force(&json!({"outcome": "held", "message": "the history was rewritten",
            "help": "arcology reconcile --accept", "revision": "main@sha1:0123"}));
        assert_eq!(failure.what, "the newest commit is not in force: the history was rewritten");
        assert_eq!((failure.hints.len(), failure.exit), (1, Exit::Problem));
    }
}
