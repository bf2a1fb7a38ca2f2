//! `arcology submit`: work from a file or stdin; with `--wait` the verb leaves with the task's fate.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::declare::manifest::limit::FILE_BYTES_MAX;
use crate::declare::manifest::parse;
use crate::tell::cli::args::Global;
use crate::tell::cli::client::Client;
use crate::tell::cli::failure::{Exit, Failure, Outcome};
use crate::tell::cli::follow;
use crate::tell::cli::read::text;
use crate::tell::cli::ui::Ui;
use crate::tell::diagnostics::{self, text::Look};

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
    submit(args, global, ui).map_err(Failure::plain)
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
    if tasks.is_empty() {
        return Err(Failure::new("there is no task in it").at(name));
    }
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
    let ended = follow::to_the_end(&client, &ids, ui)?;
    print(args.output, &ended, ui)?;
    follow::fate(&ended, ui)
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_answer_is_one_task_or_a_list() {
        let task = json!({"id": "task-1", "items": null});
        for answer in [task.clone(), json!([task]), json!({"items": [task], "next": null})] {
            assert_eq!(listed(answer), std::slice::from_ref(&task));
        }
    }
}
