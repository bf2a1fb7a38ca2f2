//! `arcology reroute`: sends a task to another runtime or model.

use serde_json::json;

use crate::tell::cli::args::Global;
use crate::tell::cli::client::{Client, encode_segment};
use crate::tell::cli::failure::{Exit, Failure, Outcome};
use crate::tell::cli::follow;
use crate::tell::cli::ui::Ui;

/// Send a task to another runtime or model
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  arcology reroute task-0192f3a4 --runtime textgen
  arcology reroute task-0192f3a4 --model qwen2.5-7b-q4 --wait
  arcology reroute task-0192f3a4 --model auto

A waiting task keeps its place in the order. A running one is stopped and begins anew, which needs --stop.
Exit codes: 0 sent (with --wait: done), 1 it cannot be, or it failed, 2 usage.")]
pub struct Args {
    /// The task
    #[arg(value_name = "TASK")]
    task: String,
    /// The Runtime that is to do it
    #[arg(long, value_name = "RUNTIME", required_unless_present = "model")]
    runtime: Option<String>,
    /// The Model that is to do it, or auto
    #[arg(long, value_name = "MODEL")]
    model: Option<String>,
    /// Stop it when it runs: what it has done so far is lost
    #[arg(long)]
    stop: bool,
    /// Wait until it is over, and leave with its fate
    #[arg(short, long)]
    wait: bool,
}

pub fn run(args: &Args, global: &Global, ui: &mut Ui) -> Outcome {
    reroute(args, global, ui).map_err(Failure::plain)
}

fn reroute(args: &Args, global: &Global, ui: &mut Ui) -> Outcome {
    let client = Client::find(global)?;
    let path = format!("/v1/tasks/{}/reroute", encode_segment(&args.task));
    let body = json!({"runtime": args.runtime, "model": args.model, "confirm": args.stop});
    client.post(&path, &body).map_err(|failure| {
        let runs = || failure.what.contains(" is running");
        if !args.stop && runs() {
            failure.hint("to stop it for that, and lose what it has done: --stop")
        } else {
            failure
        }
    })?;
    let place = [args.runtime.as_deref(), args.model.as_deref()];
    let place: Vec<&str> = place.into_iter().flatten().collect();
    ui.plain(&format!("{} goes to {}\n", args.task, place.join(", ")))?;
    if !args.wait {
        return Ok(Exit::Fine);
    }
    let ended = follow::to_the_end(&client, std::slice::from_ref(&args.task), ui)?;
    follow::fate(&ended, ui)
}
