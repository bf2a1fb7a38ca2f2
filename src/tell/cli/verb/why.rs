//! `arcology why`: the chain of reasons and times behind a task or an object, in sentences.

use serde_json::Value;

use crate::core::text::count;
use crate::core::{ObjectKey, Timestamp};
use crate::tell::cli::args::Global;
use crate::tell::cli::client::{Client, encode_segment};
use crate::tell::cli::failure::{Exit, Failure, Outcome};
use crate::tell::cli::read::{ago, clock, items, number, shown, text, time};
use crate::tell::cli::ui::Ui;
use crate::tell::terminal::{clean_line, wrap};

/// The most audit entries that are told.
const AUDIT_TOLD: usize = 10;

/// Tell why something is as it is: the chain of reasons and times
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  arcology why Loadout/desk
  arcology why task-0192f3a4

Exit codes: 0 told, 1 not found or no daemon, 2 usage.")]
pub struct Args {
    /// A task's id, or KIND/NAME of an object
    #[arg(value_name = "TASK|KIND/NAME")]
    subject: String,
}

pub fn run(args: &Args, global: &Global, ui: &mut Ui) -> Outcome {
    let sentences = tell(args, global).map_err(|failure| failure.exit(Exit::Problem))?;
    let width = ui.width().unwrap_or(usize::MAX);
    let lines: String =
        sentences.iter().flat_map(|sentence| wrap(&clean_line(sentence), width)).map(|line| line + "\n").collect();
    ui.data(&lines)?;
    Ok(Exit::Fine)
}

fn tell(args: &Args, global: &Global) -> Outcome<Vec<String>> {
    let client = Client::find(global)?;
    let subject = args.subject.as_str();
    let audit =
        |object: &str| -> Outcome<Vec<Value>> { client.list("/api/v1/audit", &[("object", object)], AUDIT_TOLD) };
    if let Some(key) = ObjectKey::parse(subject) {
        let path = format!("/api/v1/objects/{}/{}", key.kind, encode_segment(key.name.as_str()));
        let Some(object) = client.find_one(&path)? else {
            return Err(Failure::new(format!("there is no {key}")).hint("to see what there is: arcology get drift"));
        };
        return Ok(of_object(&key, &object, &audit(&key.to_string())?));
    }
    if subject.contains('/') {
        let kinds = crate::core::Kind::ALL.map(crate::core::Kind::as_str).join(", ");
        return Err(Failure::usage(format!("`{subject}` is no KIND/NAME")).hint(format!("the kinds are {kinds}")));
    }
    match client.find_one(&format!("/api/v1/tasks/{}", encode_segment(subject)))? {
        Some(task) => {
            let answer = client.find_one(&format!("/v1/tasks/{}/why", encode_segment(subject)))?;
            let explanation = answer.map(|answer| answer["explanation"].clone()).unwrap_or_default();
            Ok(of_task(&task, &explanation, &audit(subject)?))
        }
        None => Err(Failure::new(format!("there is no task `{subject}`"))
            .hint("to see the tasks: arcology get tasks; an object is written KIND/NAME")),
    }
}

/// How long ago something was, with its exact time: `2 min ago (2026-…Z)`.
fn when(value: &Value, path: &str, now: Timestamp) -> Option<String> {
    Some(format!("{} ago ({})", ago(value, path, now)?, clock(value, path)?))
}

fn now(value: &Value) -> Timestamp {
    time(value, "generated_at").unwrap_or_else(Timestamp::now)
}

fn of_object(key: &ObjectKey, object: &Value, audit: &[Value]) -> Vec<String> {
    let now = now(object);
    // The row of /drift, whether the answer is the row or holds it.
    let row = object.get("status").filter(|status| status.is_object()).unwrap_or(object);
    let sync =
        text(row, "drift").map_or_else(|| shown(row, "sync"), |drift| format!("{}: {drift}", shown(row, "sync")));
    let since = when(row, "since", now).map(|when| format!(", since {when}")).unwrap_or_default();
    let mut told = vec![format!("{key} is {sync} and {}{since}.", shown(row, "health"))];
    told.extend(text(row, "reason").map(|reason| sentence(&reason)));
    if let Some(place) = text(row, "manifest") {
        let commit = text(row, "commit.sha").map(|sha| {
            let sha: String = sha.chars().take(12).collect();
            let when = when(row, "commit.at", now).unwrap_or_else(|| "at an unknown time".into());
            format!(
                ", last changed by commit {sha} “{}” of {}, {when}",
                shown(row, "commit.subject"),
                shown(row, "commit.author")
            )
        });
        told.push(format!("It is declared at {place}{}.", commit.unwrap_or_default()));
    }
    if let Some(desired) = text(row, "desired") {
        told.push(format!("Declared: {desired}."));
    }
    match (text(row, "observed"), when(row, "observed_at", now)) {
        (Some(observed), Some(when)) => told.push(format!("Seen: {observed}, by {} {when}.", shown(row, "source"))),
        (Some(observed), None) => told.push(format!("Seen: {observed}.")),
        (None, _) => told.push("Nothing was seen of it yet.".into()),
    }
    for field in items(row, "fields") {
        told.push(format!(
            "{}: declared {}, seen {}.",
            shown(field, "field"),
            shown(field, "desired"),
            shown(field, "observed")
        ));
    }
    if text(row, "hold.reason").is_some() {
        let who = text(row, "hold.who").map(|who| format!(" (by {who})")).unwrap_or_default();
        let until = clock(row, "hold.until").map(|until| format!(" until {until}")).unwrap_or_default();
        told.push(format!(
            "Nothing is done about it now{until}: {}: {}{who}.",
            shown(row, "hold.reason"),
            shown(row, "hold.message")
        ));
    }
    told.extend(trouble(object, now));
    told.extend(history(audit, now));
    told
}

/// What is wrong with the newest version of a manifest, and what went wrong when it was acted on.
fn trouble(object: &Value, now: Timestamp) -> Vec<String> {
    let mut told: Vec<String> = Vec::new();
    match object["standing"].as_str() {
        Some("LastGood") => told.push("Its newest version is broken; the last good one stays in force.".into()),
        Some("PruneHeld") => told.push("It is gone from the manifests; a guard holds its deletion.".into()),
        Some("Retained") => told.push("It is gone from the manifests; something broken still refers to it.".into()),
        Some(_) | None => {}
    }
    for problem in items(object, "diagnostics") {
        let place = format!("{}:{}", shown(problem, "path"), shown(problem, "span.line"));
        told.push(format!("{} at {place}: {}.", shown(problem, "code"), shown(problem, "message")));
    }
    if let Some(when) = when(object, "history.failure.at", now) {
        let retry = clock(object, "history.failure.retry_at").map(|at| format!(" The next try is due at {at}."));
        let message = shown(object, "history.failure.message");
        let attempts = count(usize::try_from(number(object, "history.failure.attempts")).unwrap_or(0), "attempt");
        told.push(format!("The last action failed {when}, after {attempts}: {message}.{}", retry.unwrap_or_default()));
    }
    for correction in items(object, "history.corrections") {
        if let Some(when) = when(correction, "at", now) {
            told.push(format!("Drift was corrected {when}; seen then: {}.", shown(correction, "saw")));
        }
    }
    told
}

fn of_task(task: &Value, explanation: &Value, audit: &[Value]) -> Vec<String> {
    let now = now(task);
    let mut told = vec![format!("{} is {}.", shown(task, "id"), shown(task, "state"))];
    if let Some(when) = when(task, "created_at", now) {
        let source = text(task, "object").map(|object| format!(" for {object}")).unwrap_or_default();
        let actor = text(task, "actor").map(|actor| format!(" by {actor}")).unwrap_or_default();
        told.push(format!("It was asked for{source}{actor} {when}."));
    }
    if text(explanation, "why.reason").is_some() {
        told.extend(explained(explanation));
    } else if text(task, "why.reason").is_some() {
        let clears = clock(task, "why.clears_at").map(|at| format!(" That should clear at {at}.")).unwrap_or_default();
        told.push(format!(
            "It waits because of {}: {}.{clears}",
            shown(task, "why.reason"),
            shown(task, "why.message")
        ));
    }
    if let Some(when) = when(task, "started_at", now) {
        let model = text(task, "model_used").map(|model| format!(" with {model}")).unwrap_or_default();
        told.push(format!("It started on {}{model} {when}.", shown(task, "runtime_assigned")));
    }
    if number(task, "attempts") > 1 {
        told.push(format!("It was tried {} times.", number(task, "attempts")));
    }
    if text(task, "error.code").is_some() {
        told.push(format!("It failed with {}: {}.", shown(task, "error.code"), shown(task, "error.message")));
    }
    if let Some(when) = when(task, "finished_at", now) {
        told.push(format!("It ended {when}."));
    }
    if let Some(policy) = text(task, "policy_snapshot.name") {
        told.push(format!("It ran under policy {policy} of {}.", shown(task, "policy_snapshot.revision")));
    }
    for artifact in items(task, "artifacts") {
        told.push(format!("It made {} ({}).", shown(artifact, "path"), shown(artifact, "checksum")));
    }
    let log: Vec<String> = items(task, "logs_tail").filter_map(Value::as_str).map(|line| format!("  {line}")).collect();
    if !log.is_empty() {
        told.push("The end of its log:".into());
        told.extend(log);
    }
    told.extend(history(audit, now));
    told
}

/// Why a task waits, in full: the reason, what was looked at, what is missing, when it clears, what would start it sooner.
fn explained(explanation: &Value) -> Vec<String> {
    let clears =
        clock(explanation, "why.clears_at").map(|at| format!(" That should clear at {at}.")).unwrap_or_default();
    let mut told = vec![format!(
        "It waits because of {}: {}.{clears}",
        shown(explanation, "why.reason"),
        shown(explanation, "why.message")
    )];
    // They begin with a task's id, which is there to be copied.
    told.extend(items(explanation, "chain").map(|link| format!("  {}.", shown(link, "message"))));
    let ruled_out: Vec<&str> = items(explanation, "ruled_out").filter_map(Value::as_str).collect();
    if !ruled_out.is_empty() {
        told.push(format!("Ruled out: {}.", ruled_out.join("; ")));
    }
    told.extend(text(explanation, "shortfall").map(|shortfall| format!("Missing: {shortfall}.")));
    if number(explanation, "ahead") > 0 {
        told.push(format!("{} before it in its line.", count_of(number(explanation, "ahead"), "task")));
    }
    told.push(match explanation["eta"]["likely"].as_f64() {
        Some(likely) => {
            let at = |key: &str| seconds(explanation["eta"][key].as_f64().unwrap_or(likely));
            let samples = number(explanation, "eta.samples");
            format!(
                "Expected to be done in about {} (between {} and {}, from {}).",
                seconds(likely),
                at("optimistic"),
                at("pessimistic"),
                count_of(samples, "earlier run")
            )
        }
        None => "When it will be done is not known: too few earlier runs of it, or of what goes first.".to_owned(),
    });
    told.extend(text(explanation, "sooner").map(|sooner| format!("What would start it sooner: {sooner}.")));
    told
}

fn count_of(number: u64, thing: &str) -> String {
    count(usize::try_from(number).unwrap_or(usize::MAX), thing)
}

fn seconds(seconds: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "casts saturate, and nobody waits so long"
    )]
    let millis = (seconds.max(0.0) * 1_000.0) as u64;
    crate::core::text::age(millis)
}

/// What was done lately, the newest first.
fn history(audit: &[Value], now: Timestamp) -> Vec<String> {
    let entries = audit.iter().map(|entry| {
        let when = ago(entry, "at", now).map(|ago| format!("{ago} ago")).unwrap_or_default();
        let reason = text(entry, "reason").map(|reason| format!(", because {reason}")).unwrap_or_default();
        format!("{when}: {} {}: {}{reason}.", shown(entry, "actor"), shown(entry, "verb"), shown(entry, "result"))
    });
    entries.collect()
}

/// A reason as a sentence of its own.
fn sentence(reason: &str) -> String {
    let mut chars = reason.chars();
    let first = chars.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    let end = if reason.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{first}{}{end}", chars.as_str())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_object_tells_what_was_asked_what_was_seen_and_why_nothing_happens() {
        let object = json!({
            "kind": "Loadout", "name": "desk", "sync": "Drifted", "drift": "Missing", "health": "Progressing",
            "fields": [{"field": "models[textrank].state", "desired": "loaded", "observed": "unloaded", "drift": "Missing"}],
            "hold": {"reason": "Backoff", "message": "the last load failed", "who": null, "until": "2026-11-21T10:06:00Z"},
            "reason": "textrank is not loaded", "since": "2026-11-21T10:03:00Z", "desired": "textrank loaded",
            "observed": "nothing loaded", "observed_at": "2026-11-21T10:04:56Z", "source": "builtin",
            "manifest": "manifests/desk.yaml:1", "generated_at": "2026-11-21T10:05:00Z",
            "commit": {"sha": "0123456789abcdef", "subject": "Load textrank", "author": "Ada", "at": "2026-11-21T10:00:00Z"}
        });
        let audit =
            [json!({"at": "2026-11-21T10:04:00Z", "actor": "arcology", "verb": "load", "object": "Loadout/desk",
            "result": "runtime error", "reason": "textrank is declared loaded"})];
        let key = ObjectKey::parse("Loadout/desk").unwrap();
        insta::assert_snapshot!(of_object(&key, &object, &audit).join("\n"), @"
        Loadout/desk is Drifted: Missing and Progressing, since 2 min ago (2026-11-21T10:03:00Z).
        Textrank is not loaded.
        It is declared at manifests/desk.yaml:1, last changed by commit 0123456789ab “Load textrank” of Ada, 5 min ago (2026-11-21T10:00:00Z).
        Declared: textrank loaded.
        Seen: nothing loaded, by builtin 4 s ago (2026-11-21T10:04:56Z).
        models[textrank].state: declared loaded, seen unloaded.
        Nothing is done about it now until 2026-11-21T10:06:00Z: Backoff: the last load failed.
        1 min ago: arcology load: runtime error, because textrank is declared loaded.
        ");
    }

    #[test]
    fn an_object_tells_of_a_broken_version_a_failure_and_corrections() {
        let object = json!({
            "generated_at": "2026-11-21T10:05:00Z", "standing": "LastGood",
            "status": {"sync": "Invalid", "health": "Unknown", "reason": "the newest version is broken"},
            "diagnostics": [{"code": "ARC201", "path": "manifests/a.yaml", "span": {"line": 4}, "message": "unknown field `x`"}],
            "history": {"failure": {"at": "2026-11-21T10:04:00Z", "message": "timeout", "attempts": 2,
                "retry_at": "2026-11-21T10:06:00Z"},
                "corrections": [{"at": "2026-11-21T10:01:00Z", "saw": "models[a].state: unloaded"}]}
        });
        let key = ObjectKey::parse("Loadout/desk").unwrap();
        insta::assert_snapshot!(of_object(&key, &object, &[]).join("\n"), @"
        Loadout/desk is Invalid and Unknown.
        The newest version is broken.
        Nothing was seen of it yet.
        Its newest version is broken; the last good one stays in force.
        ARC201 at manifests/a.yaml:4: unknown field `x`.
        The last action failed 1 min ago (2026-11-21T10:04:00Z), after 2 attempts: timeout. The next try is due at 2026-11-21T10:06:00Z.
        Drift was corrected 4 min ago (2026-11-21T10:01:00Z); seen then: models[a].state: unloaded.
        ");
    }

    #[test]
    fn a_waiting_task_tells_what_it_waits_for_what_is_missing_and_what_would_help() {
        let explanation = json!({
            "why": {"reason": "Draining", "message": "desk/gpu0 drains: task-1", "clears_at": "2026-11-21T10:00:30Z"},
            "chain": [{"reason": "Running", "message": "task-1 runs on swap, about 25 s to go", "clears_at": null}],
            "ruled_out": ["2 runtimes without video.gen"], "shortfall": null, "ahead": 1,
            "eta": {"optimistic": 60.0, "likely": 90.0, "pessimistic": 200.0, "samples": 12},
            "sooner": "`preemption: requeue` in the policy interrupts less urgent tasks"
        });
        insta::assert_snapshot!(explained(&explanation).join("\n"), @"
        It waits because of Draining: desk/gpu0 drains: task-1. That should clear at 2026-11-21T10:00:30Z.
          task-1 runs on swap, about 25 s to go.
        Ruled out: 2 runtimes without video.gen.
        1 task before it in its line.
        Expected to be done in about 1 min (between 1 min and 3 min, from 12 earlier runs).
        What would start it sooner: `preemption: requeue` in the policy interrupts less urgent tasks.
        ");
        let unknown = json!({"why": {"reason": "NoRuntime", "message": "no runtime offers video.gen"}, "eta": null});
        insta::assert_snapshot!(explained(&unknown).join("\n"), @"
        It waits because of NoRuntime: no runtime offers video.gen.
        When it will be done is not known: too few earlier runs of it, or of what goes first.
        ");
    }

    #[test]
    fn a_task_tells_its_life_in_order() {
        let task = json!({
            "id": "task-1", "state": "error", "runtime_assigned": "builtin", "model_used": "textrank", "why": null,
            "artifacts": [], "attempts": 3, "logs_tail": ["reading"], "error": {"code": "bad_input", "message": "no text"},
            "policy_snapshot": {"name": "default", "revision": "main@sha1:1"}, "created_at": "2026-11-21T10:00:00.123456789Z",
            "started_at": "2026-11-21T10:01:00Z", "finished_at": "2026-11-21T10:02:00Z",
            "generated_at": "2026-11-21T10:05:00Z"
        });
        insta::assert_snapshot!(of_task(&task, &Value::Null, &[]).join("\n"), @"
        task-1 is error.
        It was asked for 4 min ago (2026-11-21T10:00:00Z).
        It started on builtin with textrank 4 min ago (2026-11-21T10:01:00Z).
        It was tried 3 times.
        It failed with bad_input: no text.
        It ended 3 min ago (2026-11-21T10:02:00Z).
        It ran under policy default of main@sha1:1.
        The end of its log:
          reading
        ");
    }
}
