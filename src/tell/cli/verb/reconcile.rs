//! `arcology reconcile`: look now instead of at the next interval, and tell what came of it.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::core::Timestamp;
use crate::tell::cli::args::Global;
use crate::tell::cli::client::Client;
use crate::tell::cli::failure::{Exit, Failure, Outcome};
use crate::tell::cli::read::{number, shown, text, time};
use crate::tell::cli::ui::Ui;

/// How often the daemon is asked whether it has looked.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// A look at a slow remote repository takes some time; longer than this something is wrong.
const LOOK_WITHIN: Duration = Duration::from_secs(120);

/// Look at the repository now, and tell what came of it
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  arcology reconcile                a post-receive hook or a forge's runner calls this
  arcology reconcile --accept       take a history that was rewritten

Exit codes: 0 the newest commit is applied, 1 it is not, 2 usage.")]
pub struct Args {
    /// Take a rewritten history, or commits that were held for another reason
    #[arg(long)]
    accept: bool,
}

pub fn run(args: &Args, global: &Global, ui: &mut Ui) -> Outcome {
    reconcile(args, global, ui).map_err(|failure| match failure.exit {
        Exit::NoDaemon => failure.exit(Exit::Problem),
        _ => failure,
    })
}

fn reconcile(args: &Args, global: &Global, ui: &mut Ui) -> Outcome {
    let client = Client::find(global)?;
    let before = client.get(STATUS)?;
    client.post("/v1/reconcile", &json!({"accept": args.accept}))?;
    let asked = Instant::now();
    loop {
        let after = client.get(STATUS)?;
        if has_looked(&before, &after) {
            ui.data(&told(&before, &after))?;
            return if is_applied(&after) { Ok(Exit::Fine) } else { Err(not_applied(&after)) };
        }
        if asked.elapsed() > LOOK_WITHIN {
            return Err(Failure::new(format!("the daemon has not looked within {} s", LOOK_WITHIN.as_secs()))
                .hint("its log says what it is doing: arcology status"));
        }
        ui.progress("looking at the repository");
        std::thread::sleep(LOOK_EVERY);
    }
}

const STATUS: &str = "/api/v1/status";

/// Whether the daemon has looked since `before`, with success or without.
fn has_looked(before: &Value, after: &Value) -> bool {
    let asked = time(before, "generated_at").unwrap_or(Timestamp::MIN);
    let looked = |path: &str| time(after, path).is_some_and(|at| at >= asked);
    let fails = after["source"]["ready"] == false;
    looked("source.checked_at") || (fails && (looked("source.since") || before["source"]["ready"] == false))
}

/// The newest commit is in force: the source works and nothing newer waits.
fn is_applied(status: &Value) -> bool {
    status["source"]["ready"] == true && status["source"]["pending"].is_null()
}

fn told(before: &Value, after: &Value) -> String {
    let commit = |status: &Value| -> String { shown(status, "commit.sha").chars().take(12).collect() };
    let revision = format!("{} {}", commit(after), shown(after, "commit.subject"));
    let change = if text(before, "commit.sha") == text(after, "commit.sha") {
        format!("nothing new: {revision} is in force")
    } else {
        format!("applied {revision} (before: {})", commit(before))
    };
    let of = |key: &str| number(after, &format!("objects.{key}"));
    let objects = format!("{} of {} objects in sync", of("in_sync"), of("total"));
    crate::tell::terminal::clean(&format!("{change}\n{objects}\n"))
}

fn not_applied(status: &Value) -> Failure {
    let what = match text(status, "source.reason") {
        Some(reason) => format!("the repository is not ready: {reason}: {}", shown(status, "source.message")),
        None => "the newest commit is not applied yet".to_owned(),
    };
    let failure = Failure::new(what).at(shown(status, "source.repo"));
    match text(status, "source.help") {
        Some(help) => failure.hint(help),
        None => failure.hint("arcology status"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(checked: &str, sha: &str) -> Value {
        json!({"generated_at": checked, "commit": {"sha": sha, "subject": "Begin"},
            "source": {"ready": true, "checked_at": checked, "pending": null, "repo": "/srv/state"},
            "objects": {"in_sync": 7, "total": 8}})
    }

    #[test]
    fn a_look_counts_only_when_it_came_after_the_question() {
        let before = status("2026-11-21T10:00:00Z", "a");
        assert!(has_looked(&before, &status("2026-11-21T10:00:01Z", "a")));
        assert!(!has_looked(&before, &status("2026-11-21T09:59:59Z", "a")));
        let mut failing = status("2026-11-21T09:59:59Z", "a");
        failing["source"]["ready"] = json!(false);
        assert!(!has_looked(&before, &failing));
        failing["source"]["since"] = json!("2026-11-21T10:00:01Z");
        assert!(has_looked(&before, &failing));
    }

    #[test]
    fn what_came_of_it_is_told_in_two_lines() {
        let (before, after) = (status("2026-11-21T10:00:00Z", "a"), status("2026-11-21T10:00:01Z", "b"));
        assert_eq!(told(&before, &after), "applied b Begin (before: a)\n7 of 8 objects in sync\n");
        assert_eq!(told(&after, &after), "nothing new: b Begin is in force\n7 of 8 objects in sync\n");
    }

    #[test]
    fn a_held_history_is_a_failure_with_its_help() {
        let mut held = status("2026-11-21T10:00:01Z", "a");
        held["source"] = json!({"ready": false, "reason": "NotFastForward", "message": "the history was rewritten",
            "help": "arcology reconcile --accept", "repo": "/srv/state"});
        assert!(!is_applied(&held));
        let failure = not_applied(&held);
        assert_eq!(failure.hints, ["arcology reconcile --accept"]);
        assert!(failure.what.contains("NotFastForward: the history was rewritten"));
    }
}
