//! `arcology retry`: another attempt for a task that failed or was cancelled.

use serde_json::json;

use crate::tell::cli::args::Global;
use crate::tell::cli::client::{Client, encode_segment};
use crate::tell::cli::failure::{Exit, Failure, Outcome};
use crate::tell::cli::follow;
use crate::tell::cli::read::shown;
use crate::tell::cli::ui::Ui;

/// Let tasks that failed or were cancelled run again
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  arcology retry task-0192f3a4
  arcology retry task-0192f3a4 --wait

A task keeps its id, and every attempt its own log and error: arcology get tasks task-0192f3a4 -o yaml
Exit codes: 0 queued again (with --wait: done), 1 it cannot be, or it failed, 2 usage.")]
pub struct Args {
    /// The tasks
    #[arg(value_name = "TASK", required = true)]
    tasks: Vec<String>,
    /// Wait until every task is over, and leave with its fate
    #[arg(short, long)]
    wait: bool,
}

pub fn run(args: &Args, global: &Global, ui: &mut Ui) -> Outcome {
    retry(args, global, ui).map_err(Failure::plain)
}

fn retry(args: &Args, global: &Global, ui: &mut Ui) -> Outcome {
    let client = Client::find(global)?;
    for task in &args.tasks {
        let answer = client.post(&format!("/v1/tasks/{}/retry", encode_segment(task)), &json!({}))?;
        ui.plain(&format!("{} is {} again\n", shown(&answer, "id"), shown(&answer, "state")))?;
    }
    if !args.wait {
        return Ok(Exit::Fine);
    }
    let ended = follow::to_the_end(&client, &args.tasks, ui)?;
    follow::fate(&ended, ui)
}
