//! `arcology submit`: work from a file or stdin; with `--wait` the verb leaves with the task's fate.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::core::text::count;
use crate::declare::manifest::limit::FILE_BYTES_MAX;
use crate::declare::manifest::parse;
use crate::tell::cli::args::Global;
use crate::tell::cli::client::{Client, encode_segment};
use crate::tell::cli::failure::{Exit, Failure, Outcome};
use crate::tell::cli::read::{number, shown, text};
use crate::tell::cli::ui::Ui;
use crate::tell::diagnostics::{self, text::Look};

/// How often a task under way is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(300);
/// What stands for stdin.
const STDIN: &str = "-";

/// Submit one task or a list of them, as YAML or JSON
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  arcology submit task.yaml
  arcology submit task.yaml --wait
  echo '{capability: text.stats, inputs: {text: hello}}' | arcology submit - --wait

FILE holds a task, or a list of tasks, with or without the manifest envelope.
Exit codes: 0 accepted (with --wait: done), 1 refused or failed, 2 usage.")]
pub struct Args {
    /// The file with the tasks, or - for stdin
    #[arg(value_name = "FILE|-")]
    file: PathBuf,
    /// Wait until every task is over, and leave with its fate
    #[arg(short, long)]
    wait: bool,
    /// How to print it: ids, or the status objects
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
    submit(args, global, ui).map_err(|failure| match failure.exit {
        Exit::NoDaemon => failure.exit(Exit::Problem),
        Exit::Fine | Exit::Problem | Exit::WouldChange | Exit::Usage => failure,
    })
}

fn submit(args: &Args, global: &Global, ui: &mut Ui) -> Outcome {
    let bytes = read(&args.file)?;
    let name = if args.file == Path::new(STDIN) { "stdin".to_owned() } else { args.file.display().to_string() };
    let tasks = match parse::tasks(&name, &bytes) {
        Ok(tasks) => tasks,
        Err(found) => {
            let report = diagnostics::Report::new(&found, 1);
            ui.say(diagnostics::text::render(&report, Look::default()).trim_end());
            return Err(Failure::new("nothing was submitted").at(name));
        }
    };
    let client = Client::find(global)?;
    let body = match tasks.as_slice() {
        [(_, one)] => to_json(one),
        many => Value::Array(many.iter().map(|(_, task)| to_json(task)).collect()),
    };
    let accepted = listed(client.post("/v1/tasks", &body)?);
    let ids: Vec<String> = accepted.iter().filter_map(|task| text(task, "id")).collect();
    if !args.wait {
        print(args.output, &accepted, ui)?;
        return Ok(Exit::Fine);
    }
    let ended = wait(&client, &ids, ui)?;
    print(args.output, &ended, ui)?;
    fate(&ended, ui)
}

fn to_json(task: &impl serde::Serialize) -> Value {
    serde_json::to_value(task).expect("a task that was read can be written")
}

fn read(file: &Path) -> Outcome<Vec<u8>> {
    let limit = u64::try_from(FILE_BYTES_MAX).unwrap_or(u64::MAX);
    let failed = |error: std::io::Error| Failure::new(format!("it cannot be read: {error}")).at(file.display());
    let mut bytes = Vec::new();
    let source: Box<dyn std::io::Read> = if file == Path::new(STDIN) {
        Box::new(std::io::stdin())
    } else {
        Box::new(std::fs::File::open(file).map_err(failed)?)
    };
    // One byte more than allowed, so that the parser can say that it is too much.
    source.take(limit + 1).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

/// The status objects of an answer: one, or a list of them.
fn listed(answer: Value) -> Vec<Value> {
    match answer {
        Value::Array(tasks) => tasks,
        Value::Object(mut fields) if fields.get("items").is_some_and(Value::is_array) => {
            fields.remove("items").map(listed).unwrap_or_default()
        }
        one => vec![one],
    }
}

fn print(output: Format, tasks: &[Value], ui: &mut Ui) -> Outcome<()> {
    let whole = match tasks {
        [one] => one.clone(),
        many => Value::Array(many.to_vec()),
    };
    let text = match output {
        Format::Json => format!("{whole:#}\n"),
        Format::Text => tasks.iter().filter_map(|task| text(task, "id")).map(|id| id + "\n").collect(),
    };
    Ok(ui.plain(&text)?)
}

/// The tasks once all of them are over.
fn wait(client: &Client, ids: &[String], ui: &mut Ui) -> Outcome<Vec<Value>> {
    loop {
        let tasks = ids
            .iter()
            .map(|id| client.get(&format!("/api/v1/tasks/{}", encode_segment(id))))
            .collect::<Outcome<Vec<Value>>>()?;
        if tasks.iter().all(is_over) {
            return Ok(tasks);
        }
        ui.progress(&progress(&tasks));
        std::thread::sleep(LOOK_EVERY);
    }
}

fn is_over(task: &Value) -> bool {
    matches!(task["state"].as_str(), Some("done" | "error" | "cancelled"))
}

/// How far the tasks are, in one line.
fn progress(tasks: &[Value]) -> String {
    let open: Vec<&Value> = tasks.iter().filter(|task| !is_over(task)).collect();
    let [task] = open.as_slice() else {
        return format!("{} of {} over", tasks.len() - open.len(), count(tasks.len(), "task"));
    };
    let mut line = format!("{} {}", shown(task, "id"), shown(task, "state"));
    if let Some(why) = text(task, "why.message") {
        line.push_str(&format!(": {why}"));
    } else if let Some(last) = task["logs_tail"].as_array().and_then(|lines| lines.last()).and_then(Value::as_str) {
        line.push_str(&format!(": {last}"));
    }
    if number(task, "eta_seconds") > 0 {
        line.push_str(&format!(" (about {} s left)", number(task, "eta_seconds")));
    }
    line
}

fn fate(tasks: &[Value], ui: &mut Ui) -> Outcome {
    let mut exit = Exit::Fine;
    for task in tasks {
        let id = shown(task, "id");
        if task["state"] == "done" {
            for artifact in crate::tell::cli::read::items(task, "artifacts") {
                ui.say(&format!("{id} made {}", shown(artifact, "path")));
            }
        } else {
            exit = Exit::Problem;
            let why = text(task, "error.message").unwrap_or_else(|| shown(task, "state"));
            ui.fail(
                &Failure::new(format!("{id} is {}: {why}", shown(task, "state"))).hint(format!("arcology why {id}")),
            );
        }
    }
    Ok(exit)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::tell::cli::ui::capture::Captured;

    #[test]
    fn an_answer_is_one_task_or_a_list() {
        let task = json!({"id": "task-1", "items": null});
        for answer in [task.clone(), json!([task]), json!({"items": [task], "next": null})] {
            assert_eq!(listed(answer), std::slice::from_ref(&task));
        }
    }

    #[test]
    fn the_verb_leaves_with_the_fate_of_the_worst_task() {
        let done = json!({"id": "task-1", "state": "done", "artifacts": [{"path": "runs/a/summary.md"}]});
        let failed =
            json!({"id": "task-2", "state": "error", "error": {"code": "timeout", "message": "it took too long"}});
        let said = Captured::default();
        let mut ui = Ui::to(Captured::default(), said.clone(), None, false);
        assert_eq!(fate(std::slice::from_ref(&done), &mut ui).unwrap(), Exit::Fine);
        assert_eq!(fate(&[done, failed], &mut ui).unwrap(), Exit::Problem);
        assert!(said.text().contains("task-1 made runs/a/summary.md"));
        assert!(said.text().contains("error: task-2 is error: it took too long\nhint: arcology why task-2\n"));
    }

    #[test]
    fn progress_says_what_a_single_task_waits_for() {
        let waiting =
            json!({"id": "task-1", "state": "queued", "why": {"reason": "Paused", "message": "paused by policy"}});
        let running = json!({"id": "task-2", "state": "running", "logs_tail": ["a", "reading"], "eta_seconds": 4});
        assert_eq!(progress(std::slice::from_ref(&waiting)), "task-1 queued: paused by policy");
        assert_eq!(progress(std::slice::from_ref(&running)), "task-2 running: reading (about 4 s left)");
        assert_eq!(progress(&[waiting, running, json!({"state": "done"})]), "1 of 3 tasks over");
    }
}
