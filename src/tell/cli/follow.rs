//! Following tasks until they are over, with one line of progress on a terminal: for every verb that waits.

use std::time::Duration;

use serde_json::Value;

use crate::core::text::count;

use super::client::{Client, encode_segment};
use super::failure::{Exit, Failure, Outcome};
use super::read::{items, number, shown, text};
use super::ui::Ui;

/// How often a task under way is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// The tasks once all of them are over.
///
/// # Errors
/// When the daemon does not answer.
pub fn to_the_end(client: &Client, ids: &[String], ui: &mut Ui) -> Outcome<Vec<Value>> {
    let mut told = None;
    loop {
        let tasks = ids
            .iter()
            .map(|id| client.get(&format!("/api/v1/tasks/{}", encode_segment(id))))
            .collect::<Outcome<Vec<Value>>>()?;
        if tasks.iter().all(is_over) {
            return Ok(tasks);
        }
        let waits_for = waits_for(&tasks);
        if ui.shows_progress() {
            ui.progress(&progress(&tasks));
        } else if waits_for.is_some() && told != waits_for {
            // A log has no line that changes: each reason is told once.
            ui.say(&progress(&tasks));
            told = waits_for;
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

fn is_over(task: &Value) -> bool {
    matches!(task["state"].as_str(), Some("done" | "error" | "cancelled"))
}

/// The reason for which the only task that is not over waits.
fn waits_for(tasks: &[Value]) -> Option<String> {
    let mut open = tasks.iter().filter(|task| !is_over(task));
    let only = open.next().filter(|_| open.next().is_none())?;
    text(only, "why.reason")
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

/// Says what became of tasks that are over, and what a verb leaves with: the fate of the worst.
///
/// # Errors
/// When nothing can be printed.
pub fn fate(tasks: &[Value], ui: &mut Ui) -> Outcome {
    let mut exit = Exit::Fine;
    for task in tasks {
        let id = shown(task, "id");
        if task["state"] == "done" {
            for artifact in items(task, "artifacts") {
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
        assert_eq!(waits_for(std::slice::from_ref(&waiting)).as_deref(), Some("Paused"));
        assert_eq!(waits_for(&[waiting.clone(), running.clone()]), None, "of several nothing is singled out");
        assert_eq!(progress(&[waiting, running, json!({"state": "done"})]), "1 of 3 tasks over");
    }
}
