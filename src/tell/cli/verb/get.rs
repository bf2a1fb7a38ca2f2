//! `arcology get`: lists of what is declared, of work and of what it made; one thing when a name is given.

use std::time::Duration;

use serde_json::Value;

use crate::core::{Kind, Name, ObjectKey, Timestamp};
use crate::remember::store::row::TaskState;
use crate::tell::cli::args::Global;
use crate::tell::cli::client::{Client, encode_segment};
use crate::tell::cli::failure::{Exit, Failure, Outcome};
use crate::tell::cli::ui::Ui;
use crate::tell::cli::{columns, read, yaml};
use crate::tell::terminal::clean;

/// How often `--watch` looks again.
const WATCH_EVERY: Duration = Duration::from_secs(2);

/// List objects, tasks or artifacts, or show one
///
/// KIND is any declared kind (host, runtime, model, loadout, policy, blueprint, run, goldenset, experiment), in any case,
/// singular or plural; or tasks, artifacts, drift, audit.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  arcology get loadouts
  arcology get loadout desk -o yaml
  arcology get tasks --watch
  arcology get tasks --in-state error --capability text.summarize --tag inbox
  arcology get tasks --object Task/read-the-letters
  arcology get artifacts -o json | jq '.[].path'
  arcology get drift

Exit codes: 0 found, 1 not found or no daemon, 2 usage.")]
pub struct Args {
    /// What to list
    #[arg(value_name = "KIND", value_parser = parse_subject)]
    subject: Subject,
    /// Show only this one
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// How to print it
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    output: Format,
    /// Look again every two seconds until interrupted
    #[arg(short, long)]
    watch: bool,
    /// The most items to list, the newest first
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    #[command(flatten)]
    wanted: Wanted,
}

/// Which tasks are wanted; what is not said does not matter.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Which tasks")]
struct Wanted {
    /// Only tasks in this state
    // Not `--state`: that is the state directory, for every verb.
    #[arg(long, value_name = "STATE", value_parser = TaskState::ALL.map(TaskState::as_str))]
    in_state: Option<String>,
    /// Only tasks of this capability
    #[arg(long, value_name = "CAPABILITY")]
    capability: Option<String>,
    /// Only tasks that run or ran there
    #[arg(long, value_name = "RUNTIME", value_parser = name)]
    runtime: Option<Name>,
    /// Only tasks with this tag
    #[arg(long, value_name = "TAG")]
    tag: Option<String>,
    /// Only tasks that this committed object asked for
    #[arg(long, value_name = "KIND/NAME", value_parser = object)]
    object: Option<ObjectKey>,
}

impl Wanted {
    /// The flags that are given, without their dashes, what the API calls them, and their values.
    fn given(&self) -> Vec<(&'static str, &'static str, String)> {
        let all = [
            ("in-state", "state", self.in_state.clone()),
            ("capability", "capability", self.capability.clone()),
            ("runtime", "runtime", self.runtime.as_ref().map(ToString::to_string)),
            ("tag", "tag", self.tag.clone()),
            ("object", "object", self.object.as_ref().map(ToString::to_string)),
        ];
        all.into_iter().filter_map(|(flag, key, value)| Some((flag, key, value?))).collect()
    }
}

fn name(text: &str) -> Result<Name, String> {
    Name::new(text).map_err(|error| error.to_string())
}

fn object(text: &str) -> Result<ObjectKey, String> {
    ObjectKey::parse(text).ok_or_else(|| "not of the form KIND/NAME, such as Task/read-the-letters".to_owned())
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    #[default]
    Table,
    Json,
    Yaml,
    Name,
}

/// What can be listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A declared kind.
    Kind(Kind),
    /// The queue and its history.
    Tasks,
    Artifacts,
    /// Every object with how it stands.
    Drift,
    Audit,
}

const OTHERS: [(&str, Subject); 6] = [
    ("task", Subject::Tasks),
    ("tasks", Subject::Tasks),
    ("artifact", Subject::Artifacts),
    ("artifacts", Subject::Artifacts),
    ("drift", Subject::Drift),
    ("audit", Subject::Audit),
];

fn parse_subject(text: &str) -> Result<Subject, String> {
    let wanted = text.to_ascii_lowercase();
    if let Some((_, subject)) = OTHERS.iter().find(|(word, _)| *word == wanted) {
        return Ok(*subject);
    }
    Kind::parse_loosely(text).map(Subject::Kind).ok_or_else(|| {
        let kinds = Kind::ALL.map(|kind| kind.as_str().to_ascii_lowercase());
        let words: Vec<&str> = kinds.iter().map(String::as_str).chain(OTHERS.iter().map(|(word, _)| *word)).collect();
        match crate::core::text::nearest(&wanted, words.iter().copied()) {
            Some(near) => format!("nothing is called that; did you mean `{near}`?"),
            None => format!("nothing is called that; there is {}", words.join(", ")),
        }
    })
}

pub fn run(args: &Args, global: &Global, ui: &mut Ui) -> Outcome {
    only_for_tasks(args)?;
    let fetched = Client::find(global).and_then(|client| watch(args, &client, ui));
    // The published codes of this verb are 0 and 1: nothing can be found where no daemon answers.
    fetched.map_err(|failure| if failure.exit == Exit::NoDaemon { failure.exit(Exit::Problem) } else { failure })
}

/// A filter that would be passed over in silence is an error.
fn only_for_tasks(args: &Args) -> Outcome<()> {
    let given = args.wanted.given();
    let Some((flag, ..)) = given.first() else { return Ok(()) };
    let why = match (args.subject, &args.name) {
        (Subject::Tasks, None) => return Ok(()),
        (Subject::Tasks, Some(name)) => format!("--{flag} chooses among tasks, and `{name}` is one already"),
        (Subject::Kind(_) | Subject::Artifacts | Subject::Drift | Subject::Audit, _) => {
            format!("--{flag} chooses among tasks, not among anything else")
        }
    };
    let flags: String = given.iter().map(|(flag, _, value)| format!(" --{flag} {value}")).collect();
    Err(Failure::usage(why).hint(format!("arcology get tasks{flags}")))
}

fn watch(args: &Args, client: &Client, ui: &mut Ui) -> Outcome {
    let mut last = String::new();
    loop {
        let (values, now) = fetch(args, client)?;
        let text = print(args, &values, now, ui);
        if !args.watch {
            ui.data(&text)?;
            return Ok(Exit::Fine);
        }
        if text != last {
            ui.redraw(&text)?;
            last = text;
        }
        std::thread::sleep(WATCH_EVERY);
    }
}

/// What was found and the daemon's time.
fn fetch(args: &Args, client: &Client) -> Outcome<(Vec<Value>, Timestamp)> {
    let items = match &args.name {
        Some(name) => vec![one(args.subject, name, client)?],
        None => many(args.subject, &args.wanted, usize::try_from(args.limit).unwrap_or(usize::MAX), client)?,
    };
    let now = items.iter().find_map(|item| read::time(item, "generated_at")).unwrap_or_else(Timestamp::now);
    Ok((items, now))
}

fn many(subject: Subject, wanted: &Wanted, limit: usize, client: &Client) -> Outcome<Vec<Value>> {
    let given = wanted.given();
    let query: Vec<(&str, &str)> = given.iter().map(|(_, key, value)| (*key, value.as_str())).collect();
    match subject {
        Subject::Kind(Kind::Runtime) => client.list("/api/v1/runtimes", &[], limit),
        Subject::Kind(Kind::Model) => client.list("/api/v1/models", &[], limit),
        Subject::Kind(kind) => client.list("/api/v1/drift", &[("kind", kind.as_str())], limit),
        Subject::Tasks => client.list("/api/v1/tasks", &query, limit),
        Subject::Artifacts => client.list("/api/v1/artifacts", &[], limit),
        Subject::Drift => client.list("/api/v1/drift", &[], limit),
        Subject::Audit => client.list("/api/v1/audit", &[], limit),
    }
}

fn one(subject: Subject, name: &str, client: &Client) -> Outcome<Value> {
    let name = name.rsplit_once('/').filter(|_| matches!(subject, Subject::Kind(_))).map_or(name, |(_, name)| name);
    let segment = encode_segment(name);
    let path = match subject {
        Subject::Kind(kind) => format!("/api/v1/objects/{kind}/{segment}"),
        Subject::Tasks => format!("/api/v1/tasks/{segment}"),
        Subject::Artifacts => format!("/api/v1/artifacts/{segment}"),
        Subject::Drift => match crate::core::ObjectKey::parse(name) {
            Some(key) => format!("/api/v1/objects/{}/{}", key.kind, encode_segment(key.name.as_str())),
            None => return Err(Failure::usage(format!("`{name}` is not of the form KIND/NAME"))),
        },
        Subject::Audit => return Err(Failure::usage("an audit entry has no name").hint("arcology get audit")),
    };
    if let Some(found) = client.find_one(&path)? {
        return Ok(found);
    }
    let failure = Failure::new(format!("there is no {} called `{name}`", singular(subject)));
    let others = many(subject, &Wanted::default(), 1_000, client).unwrap_or_default();
    let names: Vec<String> = others.iter().filter_map(|item| name_of(subject, item)).collect();
    let short = names.iter().map(|name| name.rsplit('/').next().unwrap_or(name));
    Err(failure.did_you_mean(name, short).hint(format!("to see what there is: arcology get {}", singular(subject))))
}

fn singular(subject: Subject) -> String {
    match subject {
        Subject::Kind(kind) => kind.as_str().to_ascii_lowercase(),
        Subject::Tasks => "task".into(),
        Subject::Artifacts => "artifact".into(),
        Subject::Drift => "object".into(),
        Subject::Audit => "audit".into(),
    }
}

/// How an item is called on a command line.
fn name_of(subject: Subject, item: &Value) -> Option<String> {
    match subject {
        Subject::Kind(Kind::Model) => read::text(item, "name"),
        Subject::Kind(kind) => read::text(item, "name").map(|name| format!("{kind}/{name}")),
        Subject::Drift => Some(format!("{}/{}", read::text(item, "kind")?, read::text(item, "name")?)),
        Subject::Tasks => read::text(item, "id"),
        Subject::Artifacts => read::text(item, "checksum").or_else(|| read::text(item, "path")),
        Subject::Audit => read::text(item, "seq"),
    }
}

fn print(args: &Args, items: &[Value], now: Timestamp, ui: &Ui) -> String {
    // One thing is printed as itself, a list as a list.
    let whole = match (&args.name, items) {
        (Some(_), [one]) => one.clone(),
        _ => Value::Array(items.to_vec()),
    };
    match args.output {
        Format::Json => harmless(format!("{whole:#}\n"), ui),
        Format::Yaml => harmless(yaml::render(&whole), ui),
        Format::Name => {
            harmless(items.iter().filter_map(|item| name_of(args.subject, item)).map(|name| name + "\n").collect(), ui)
        }
        Format::Table if args.name.is_some() => harmless(yaml::render(&whole), ui),
        Format::Table => {
            let table = columns::table(args.subject, items, now);
            if table.is_empty() { "none\n".to_owned() } else { table.render(ui.width(), ui.paint()) }
        }
    }
}

/// What others wrote, for a terminal; as it is for a pipe.
fn harmless(text: String, ui: &Ui) -> String {
    if ui.width().is_some() { clean(&text) } else { text }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn kinds_are_understood_as_people_type_them() {
        for (text, subject) in [
            ("Loadouts", Subject::Kind(Kind::Loadout)),
            ("policies", Subject::Kind(Kind::Policy)),
            ("tasks", Subject::Tasks),
            ("TASK", Subject::Tasks),
            ("drift", Subject::Drift),
        ] {
            assert_eq!(parse_subject(text), Ok(subject), "{text}");
        }
        assert_eq!(parse_subject("lodouts").unwrap_err(), "nothing is called that; did you mean `loadout`?");
        assert!(parse_subject("pods").unwrap_err().contains("there is host, runtime"));
    }

    #[test]
    fn names_can_be_handed_to_the_next_command() {
        let row = json!({"kind": "Loadout", "name": "desk"});
        assert_eq!(name_of(Subject::Drift, &row).unwrap(), "Loadout/desk");
        assert_eq!(name_of(Subject::Kind(Kind::Loadout), &row).unwrap(), "Loadout/desk");
        assert_eq!(name_of(Subject::Tasks, &json!({"id": "task-1"})).unwrap(), "task-1");
    }
}
