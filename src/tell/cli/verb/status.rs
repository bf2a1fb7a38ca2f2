//! `arcology status`: one screen that says what is so and what needs attention first.

use std::fmt::Write as _;

use serde_json::Value;

use crate::core::Timestamp;
use crate::tell::cli::args::Global;
use crate::tell::cli::client::Client;
use crate::tell::cli::failure::{Exit, Outcome};
use crate::tell::cli::host;
use crate::tell::cli::read::{ago, ago_shown, items, joined, judged, number, shown, text, time};
use crate::tell::cli::table::Table;
use crate::tell::cli::ui::{Paint, Tone, Ui};
use crate::tell::terminal::{clean_line, wrap};

/// Show revision, drift, runtimes, work and what needs attention on one screen
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  arcology status
  arcology status -o json | jq .objects
  arcology status || notify-send 'not in sync'

Exit codes: 0 all in sync, 1 not, 2 usage, 3 no daemon.")]
pub struct Args {
    /// How to print it
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    output: Format,
}

#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
enum Format {
    #[default]
    Text,
    Json,
}

pub fn run(args: &Args, global: &Global, ui: &mut Ui) -> Outcome {
    let status = Client::find(global)?.get("/api/v1/status")?;
    match args.output {
        Format::Text => ui.data(&render(&status, ui.width(), ui.paint()))?,
        Format::Json => ui.plain(&format!("{status:#}\n"))?,
    }
    Ok(if in_sync(&status) { Exit::Fine } else { Exit::Problem })
}

/// Everything that is declared is so, and the repository can be read.
fn in_sync(status: &Value) -> bool {
    status["source"]["ready"] == true
        && text(status, "revision").is_some()
        && number(status, "objects.in_sync") == number(status, "objects.total")
}

/// The screen. Ages count from the moment for which the daemon made the answer.
fn render(status: &Value, width: Option<usize>, paint: Paint) -> String {
    let now = time(status, "generated_at").unwrap_or(Timestamp::UNIX_EPOCH);
    let mut screen = String::new();
    revision(&mut screen, status, now, paint);
    source(&mut screen, status, now, paint);
    objects(&mut screen, status, paint);
    tasks(&mut screen, status, paint);
    hosts(&mut screen, status, now, paint);
    runtimes(&mut screen, status, now, width, paint);
    attention(&mut screen, status, width, paint);
    screen
}

fn line(screen: &mut String, label: &str, value: &str, paint: Paint) {
    let _ = writeln!(screen, "{} {value}", paint.tone(&format!("{label:<10}"), Tone::Strong));
}

fn revision(screen: &mut String, status: &Value, now: Timestamp, paint: Paint) {
    let Some(sha) = text(status, "commit.sha") else {
        return line(screen, "revision", &paint.tone("none applied yet", Tone::Warning), paint);
    };
    let branch = text(status, "source.branch").map(|branch| format!("{branch}@")).unwrap_or_default();
    let short: String = sha.chars().take(12).collect();
    line(screen, "revision", &clean_line(&format!("{branch}{short} {}", shown(status, "commit.subject"))), paint);
    let mut about = format!("by {}", shown(status, "commit.author"));
    for (words, path) in [("committed", "commit.at"), ("applied", "applied_at")] {
        if let Some(ago) = ago(status, path, now) {
            let _ = write!(about, ", {words} {ago} ago");
        }
    }
    line(screen, "", &clean_line(&about), paint);
}

fn source(screen: &mut String, status: &Value, now: Timestamp, paint: Paint) {
    let place = format!("{} branch {}", shown(status, "source.repo"), shown(status, "source.branch"));
    let checked = ago(status, "source.checked_at", now).map(|ago| format!(", looked at {ago} ago")).unwrap_or_default();
    if status["source"]["ready"] == true {
        line(screen, "source", &clean_line(&format!("{place}{checked}")), paint);
    } else {
        let since = ago(status, "source.since", now).map(|ago| format!(" for {ago}")).unwrap_or_default();
        let problem =
            format!("not ready{since}: {}: {}", shown(status, "source.reason"), shown(status, "source.message"));
        line(screen, "source", &paint.tone(&clean_line(&problem), Tone::Bad), paint);
        line(screen, "", &clean_line(&format!("{place}; the applied revision stays in force")), paint);
        if let Some(help) = text(status, "source.help") {
            line(screen, "", &clean_line(&format!("next: {help}")), paint);
        }
    }
    if let Some(pending) = pending(status) {
        line(screen, "pending", &paint.tone(&clean_line(&pending), Tone::Warning), paint);
    }
    if let Some(problem) = text(status, "store_problem") {
        line(screen, "store", &paint.tone(&clean_line(&format!("cannot be written: {problem}")), Tone::Bad), paint);
    }
}

/// The revision that was seen and is not applied: as text, or as an object with its commit.
fn pending(status: &Value) -> Option<String> {
    text(status, "source.pending").or_else(|| {
        let sha: String = text(status, "source.pending.commit.sha")?.chars().take(12).collect();
        Some(format!("{sha} {}", shown(status, "source.pending.commit.subject")))
    })
}

fn objects(screen: &mut String, status: &Value, paint: Paint) {
    let count = |key: &str| number(status, &format!("objects.{key}"));
    let mut parts = vec![format!("{} of {} in sync", count("in_sync"), count("total"))];
    for (key, tone) in
        [("drifted", Tone::Bad), ("invalid", Tone::Bad), ("unknown", Tone::Warning), ("held", Tone::Warning)]
    {
        if count(key) > 0 {
            parts.push(paint.tone(&format!("{} {key}", count(key)), tone));
        }
    }
    line(screen, "objects", &parts.join(", "), paint);
}

fn tasks(screen: &mut String, status: &Value, paint: Paint) {
    let states = ["running", "queued", "blocked", "done", "error", "cancelled"];
    let parts: Vec<String> = states
        .iter()
        .map(|state| (state, number(status, &format!("tasks.{state}"))))
        .filter(|(_, n)| *n > 0)
        .map(|(state, n)| format!("{n} {state}"))
        .collect();
    let counted = match parts.as_slice() {
        [] if status["tasks"].is_object() => "none".to_owned(),
        [] => paint.tone("unknown: the store could not be read", Tone::Warning),
        parts => parts.join(", "),
    };
    line(screen, "tasks", &counted, paint);
    for lock in items(status, "locks") {
        let owner = text(lock, "owner_task_id").unwrap_or_else(|| "a lease (arcology lease list)".to_owned());
        let how = match text(lock, "type").as_deref() {
            Some("draining") => format!("drains for {owner}"),
            kind => format!("{}: {owner}", kind.unwrap_or("held")),
        };
        let told = format!("{}/{} {how}", shown(lock, "host"), shown(lock, "gpu"));
        line(screen, "lock", &clean_line(&told), paint);
    }
    if number(status, "incidents.open") > 0 {
        let open = format!("{} open", number(status, "incidents.open"));
        line(screen, "incidents", &paint.tone(&open, Tone::Bad), paint);
    }
}

/// One line a host; what is not fresh says so.
fn hosts(screen: &mut String, status: &Value, now: Timestamp, paint: Paint) {
    for host in items(status, "hosts") {
        let told = clean_line(&host::line(host, items(status, "gpus"), now));
        let fresh = text(host, "reading").as_deref() == Some("fresh");
        line(screen, "host", &if fresh { told } else { paint.tone(&told, Tone::Warning) }, paint);
    }
}

fn runtimes(screen: &mut String, status: &Value, now: Timestamp, width: Option<usize>, paint: Paint) {
    let mut table = Table::new(&["RUNTIME", "ADAPTER", "HEALTH", "LINK", "LOADED", "SEEN", "REASON"]);
    for runtime in items(status, "runtimes") {
        table.row([
            shown(runtime, "name").into(),
            shown(runtime, "adapter").into(),
            judged(&shown(runtime, "health")),
            judged(&shown(runtime, "link")),
            joined(runtime, "models_loaded").into(),
            ago_shown(runtime, "observed_at", now).into(),
            text(runtime, "reason").unwrap_or_default().into(),
        ]);
    }
    if !table.is_empty() {
        let _ = write!(screen, "\n{}", table.render(width, paint));
    }
}

fn attention(screen: &mut String, status: &Value, width: Option<usize>, paint: Paint) {
    let mut said = false;
    for entry in items(status, "attention") {
        if !std::mem::replace(&mut said, true) {
            let _ = writeln!(screen, "\n{}", paint.tone("needs attention", Tone::Strong));
        }
        let severity = shown(entry, "severity");
        let tone = if severity == "error" { Tone::Bad } else { Tone::Warning };
        let object = text(entry, "object").map(|object| format!("{object}: ")).unwrap_or_default();
        let title = clean_line(&format!("{object}{}", shown(entry, "title")));
        let _ = writeln!(screen, "  {} {title}", paint.tone(&clean_line(&severity), tone));
        for key in ["message", "next"] {
            let Some(words) = text(entry, key) else { continue };
            let words = if key == "next" { format!("next: {words}") } else { words };
            for part in wrap(&clean_line(&words), width.unwrap_or(usize::MAX).saturating_sub(4).max(20)) {
                let _ = writeln!(screen, "    {part}");
            }
        }
    }
    if !said {
        let _ = writeln!(screen, "\nnothing needs attention");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn good() -> Value {
        json!({
            "revision": "main@sha1:0123456789abcdef", "applied_at": "2026-11-21T10:01:00Z",
            "commit": {"sha": "0123456789abcdef", "subject": "Load textrank", "author": "Ada", "at": "2026-11-21T10:00:00Z"},
            "generated_at": "2026-11-21T10:05:00Z",
            "source": {"repo": "/srv/state", "branch": "main", "ready": true, "reason": null, "message": null,
                "help": null, "since": null, "checked_at": "2026-11-21T10:04:56Z", "pending": null},
            "objects": {"total": 8, "in_sync": 8, "drifted": 0, "unknown": 0, "invalid": 0, "held": 0},
            "runtimes": [{"name": "builtin", "adapter": "builtin", "health": "Healthy", "link": "connected",
                "reason": null, "observed_at": "2026-11-21T10:04:58Z", "source": "builtin", "models_loaded": ["textrank"]}],
            "tasks": {"queued": 0, "blocked": 0, "running": 1, "done": 4, "error": 0, "cancelled": 0},
            "hosts": [{"name": "desk", "local": true, "cpu": {"util_pct": 28.0}, "ram_gb": {"used": 38.0, "total": 96.0},
                "disk_gb": {"free": 512.25, "total": 900.0}, "reading": "fresh", "observed_at": "2026-11-21T10:04:57Z"}],
            "gpus": [{"host": "desk", "id": "gpu0", "util_pct": 63.0, "vram_used_gb": 9.2, "vram_total_gb": 32.0,
                "simulated": false, "reading": "fresh", "observed_at": "2026-11-21T10:04:57Z"}],
            "attention": [], "locks": [], "incidents": {"open": 0}, "store_problem": null
        })
    }

    fn bad() -> Value {
        let mut status = good();
        status["source"] = json!({"repo": "/srv/state", "branch": "main", "ready": false, "reason": "NotFastForward",
            "message": "the new tip does not contain the commit in force", "help": "arcology reconcile --accept",
            "since": "2026-11-21T10:03:00Z", "checked_at": "2026-11-21T10:04:56Z",
            "pending": {"branch": "main", "commit": {"sha": "fedcba9876543210", "subject": "Rewrite\u{1b}[2J"}}});
        status["objects"] = json!({"total": 8, "in_sync": 6, "drifted": 1, "unknown": 1, "invalid": 0, "held": 1});
        status["store_problem"] = json!("the disk is full");
        status["incidents"]["open"] = json!(2);
        status["gpus"][0] = json!({"host": "desk", "id": "gpu0", "simulated": false, "reading": "stale",
            "vram_used_gb": null, "observed_at": "2026-11-21T10:01:00Z", "problem": "the card fell off the bus"});
        let attic = json!({"name": "attic", "reading": "unknown", "problem": "this host is not local"});
        status["hosts"].as_array_mut().unwrap().push(attic);
        status["attention"] = json!([{"severity": "error", "object": "Loadout/desk", "title": "drifted: textrank is missing",
            "message": "somebody unloaded it by hand, and the policy only reports drift", "href": "/drift",
            "next": "arcology why Loadout/desk"}]);
        status
    }

    #[test]
    fn a_good_day_fits_on_a_few_lines() {
        assert!(in_sync(&good()));
        insta::assert_snapshot!(render(&good(), None, Paint { on: false }));
    }

    #[test]
    fn a_bad_day_says_what_is_wrong_and_what_to_do() {
        assert!(!in_sync(&bad()));
        insta::assert_snapshot!(render(&bad(), Some(72), Paint { on: false }));
    }

    #[test]
    fn locks_are_told_in_words() {
        let mut status = good();
        let lock =
            |kind: &str, owner: Value| json!({"type": kind, "host": "desk", "gpu": "gpu0", "owner_task_id": owner});
        status["locks"] =
            json!([lock("draining", json!("task-2")), lock("shared", json!("task-1")), lock("lease", Value::Null)]);
        let screen = render(&status, None, Paint { on: false });
        let locks: Vec<&str> =
            screen.lines().filter(|line| line.starts_with("lock ")).map(|line| line[4..].trim()).collect();
        let lease = "desk/gpu0 lease: a lease (arcology lease list)";
        assert_eq!(locks, ["desk/gpu0 drains for task-2", "desk/gpu0 shared: task-1", lease]);
    }

    #[test]
    fn nothing_applied_yet_is_not_in_sync() {
        let mut status = good();
        status["revision"] = Value::Null;
        status["commit"] = Value::Null;
        assert!(!in_sync(&status));
        assert!(render(&status, None, Paint { on: false }).starts_with("revision   none applied yet\n"));
        assert!(!in_sync(&Value::Null), "an answer without fields claims nothing");
    }
}
