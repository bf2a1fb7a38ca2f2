//! `arcology cancel`: takes tasks back, waiting or running.

use serde_json::json;

use crate::tell::cli::args::Global;
use crate::tell::cli::client::{Client, encode_segment};
use crate::tell::cli::failure::{Exit, Failure, Outcome};
use crate::tell::cli::read::{shown, text};
use crate::tell::cli::ui::Ui;

/// Take tasks back: out of the queue, or out of the runtime where it can be told to stop
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  arcology cancel task-0192f3a4
  arcology cancel task-0192f3a4 task-77ab01ff --because 'wrong file'
  arcology cancel task-0192f3a4 --dry-run

What a running task has done so far is lost. A committed Task that is cancelled runs anew once its manifest is edited.
Exit codes: 0 cancelled, 1 not found, over already or no daemon, 2 usage.")]
pub struct Args {
    /// The tasks
    #[arg(value_name = "TASK", required = true)]
    tasks: Vec<String>,
    /// Why, for the audit
    #[arg(long, value_name = "TEXT", default_value = "")]
    because: String,
    /// Say what would happen, and do nothing
    #[arg(long)]
    dry_run: bool,
}

pub fn run(args: &Args, global: &Global, ui: &mut Ui) -> Outcome {
    cancel(args, global, ui).map_err(Failure::plain)
}

fn cancel(args: &Args, global: &Global, ui: &mut Ui) -> Outcome {
    let client = Client::find(global)?;
    let mut exit = Exit::Fine;
    for task in &args.tasks {
        let done = if args.dry_run { look(&client, task) } else { one(&client, task, &args.because) };
        match done {
            Ok(line) => ui.plain(&format!("{line}\n"))?,
            // One that cannot be cancelled leaves the others to be.
            Err(failure) if failure.exit == Exit::Problem && args.tasks.len() > 1 => {
                ui.fail(&failure);
                exit = Exit::Problem;
            }
            Err(failure) => return Err(failure),
        }
    }
    Ok(exit)
}

fn one(client: &Client, task: &str, because: &str) -> Outcome<String> {
    let path = format!("/v1/tasks/{}/cancel", encode_segment(task));
    let answer = client.post(&path, &json!({"confirm": true, "reason": because}))?;
    Ok(format!("{} is being cancelled", shown(&answer, "id")))
}

fn look(client: &Client, task: &str) -> Outcome<String> {
    let Some(found) = client.find_one(&format!("/api/v1/tasks/{}", encode_segment(task)))? else {
        return Err(Failure::new(format!("there is no task `{task}`")).hint("to see the tasks: arcology get tasks"));
    };
    let place = text(&found, "runtime_assigned").map(|runtime| format!(" on {runtime}")).unwrap_or_default();
    Ok(match shown(&found, "state").as_str() {
        "running" => format!("{task} runs{place} and would be stopped"),
        "queued" | "blocked" => format!("{task} waits and would be taken out of the queue"),
        over => format!("{task} is over already: {over}"),
    })
}
