//! One declared object: its status, the manifest text in force, what is wrong with it, and what was done about it.

use serde::Serialize;

use crate::core::{Kind, ObjectKey};
use crate::decide::reconcile::Sync;
use crate::declare::manifest::Document;
use crate::declare::manifest::locate::first_line_of;
use crate::declare::world::{Object, Standing};
use crate::remember::store::row::{AuditRow, JournalRow, JournalState};
use crate::tell::web::attention::diagnostics_of;
use crate::tell::web::facts::Facts;

use super::audit::AuditLine;
use super::diagnostic::DiagnosticView;
use super::drift::ObjectLine;
use super::frame::Frame;
use super::href;
use super::part::{CommitView, Link, Mark, Stamp, Tone, took};

/// A manifest of more lines is shown without a place to link to in each.
const LINES_NUMBERED_MAX: usize = 2_000;

/// The page of one object.
#[derive(Clone, Debug, Serialize)]
pub struct Page {
    pub frame: Frame,
    pub key: String,
    pub kind: &'static str,
    pub name: String,
    pub line: Option<ObjectLine>,
    pub standing: StandingView,
    pub generation: Option<u64>,
    pub asked_by: Option<CommitView>,
    pub revision: Option<String>,
    pub labels: Vec<(String, String)>,
    pub annotations: Vec<(String, String)>,
    /// The document in force.
    pub text: Option<String>,
    /// The same line by line, as the file counts them, so that a link can lead to one; empty when it is too long for that.
    pub lines: Vec<Line>,
    pub diagnostics: Vec<DiagnosticView>,
    pub failure: Option<FailureView>,
    pub corrections: Vec<CorrectionView>,
    pub journal: Vec<JournalLine>,
    pub audit: Vec<AuditLine>,
    pub links: Vec<Link>,
    pub commands: Vec<String>,
}

/// A line of the manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    pub number: usize,
    pub text: String,
}

/// How the version in force stands to the applied revision.
#[derive(Clone, Debug, Serialize)]
pub struct StandingView {
    pub mark: Mark,
    pub message: String,
    /// The object that still refers to it.
    pub by: Option<Link>,
}

/// An action that failed.
#[derive(Clone, Debug, Serialize)]
pub struct FailureView {
    pub at: Stamp,
    pub message: String,
    pub retry: Option<Stamp>,
    pub attempts: u32,
}

/// A drift that was corrected.
#[derive(Clone, Debug, Serialize)]
pub struct CorrectionView {
    pub at: Stamp,
    pub saw: String,
}

/// An action of the journal.
#[derive(Clone, Debug, Serialize)]
pub struct JournalLine {
    pub verb: String,
    pub state: Mark,
    pub reason: String,
    pub started: Stamp,
    pub took: Option<String>,
    pub result: Option<String>,
}

/// The page of an object; none when it is neither in force nor broken nor judged.
#[must_use]
pub fn page(facts: &Facts, key: &ObjectKey, journal: &[JournalRow], audit: &[AuditRow]) -> Option<Page> {
    let (object, status) = (facts.picture.world.objects.get(key), facts.status(key));
    let broken = facts.picture.world.broken.iter().any(|broken| broken.key.as_ref() == Some(key));
    if object.is_none() && status.is_none() && !broken {
        return None;
    }
    let now = facts.now;
    let history = facts.history(key);
    let document = object.map(|object| &object.document);
    let pairs = |map: &std::collections::BTreeMap<String, String>| map.clone().into_iter().collect();
    Some(Page {
        frame: Frame::new(facts, key.to_string(), "/drift", format!("/objects/{}/{}", key.kind, key.name)),
        key: key.to_string(),
        kind: key.kind.as_str(),
        name: key.name.to_string(),
        line: status.map(|status| ObjectLine::of(facts, status)),
        standing: StandingView::of(object.map(AsRef::as_ref)),
        generation: object.map(|object| object.generation),
        asked_by: object.and_then(|object| object.asked_by.as_ref()).map(|commit| CommitView::of(commit, now)),
        revision: object.and_then(|object| object.revision.as_ref()).map(ToString::to_string),
        labels: document.map(|document| pairs(&document.labels)).unwrap_or_default(),
        annotations: document.map(|document| pairs(&document.annotations)).unwrap_or_default(),
        text: document.map(|document| document.text.to_string()),
        lines: document.map(|document| numbered(document)).unwrap_or_default(),
        diagnostics: diagnostics_of(facts, key).into_iter().map(DiagnosticView::of).collect(),
        failure: history.and_then(|history| history.failure.as_ref()).map(|failure| FailureView {
            at: Stamp::of(failure.at, now),
            message: failure.message.clone(),
            retry: Stamp::maybe(failure.retry_at, now),
            attempts: failure.attempts,
        }),
        corrections: history.map_or_else(Vec::new, |history| {
            let newest_first = history.corrections.iter().rev();
            newest_first.map(|fix| CorrectionView { at: Stamp::of(fix.at, now), saw: fix.saw.clone() }).collect()
        }),
        journal: journal.iter().filter(|row| row.object == *key).map(|row| JournalLine::of(row, facts)).collect(),
        audit: audit.iter().map(|row| AuditLine::of(row, now)).collect(),
        links: links(key),
        commands: commands(facts, key),
    })
}

/// The lines of a document with their numbers in its file.
fn numbered(document: &Document) -> Vec<Line> {
    let first = first_line_of(document) as usize;
    let lines: Vec<_> = document.text.lines().take(LINES_NUMBERED_MAX + 1).collect();
    if lines.len() > LINES_NUMBERED_MAX {
        return Vec::new();
    }
    let numbered = lines.into_iter().enumerate();
    numbered.map(|(n, text)| Line { number: first + n, text: text.to_owned() }).collect()
}

impl StandingView {
    fn of(object: Option<&Object>) -> Self {
        let (mark, message, by) = match object.map(|object| &object.standing) {
            None => (Mark::new(Tone::Bad, "not in force"), "No good version of it was ever applied.".to_owned(), None),
            Some(Standing::Current) => (Mark::new(Tone::Good, "current"), String::new(), None),
            Some(Standing::LastGood { .. }) => {
                let message = "The applied revision has a broken version; the last good one below stays in force.";
                (Mark::new(Tone::Warn, "last good version"), message.to_owned(), None)
            }
            Some(Standing::Retained { by }) => {
                let link = Link::new(by.to_string(), format!("/objects/{}/{}", by.kind, by.name));
                (Mark::new(Tone::Held, "retained"), "Gone from Git, but still referred to by".to_owned(), Some(link))
            }
            Some(Standing::PruneHeld { reason }) => (Mark::new(Tone::Held, "deletion held"), reason.clone(), None),
        };
        Self { mark, message, by }
    }
}

impl JournalLine {
    fn of(row: &JournalRow, facts: &Facts) -> Self {
        let state = match row.state {
            JournalState::Open => Mark::new(Tone::Busy, "open"),
            JournalState::Done => Mark::new(Tone::Good, "done"),
            JournalState::Failed => Mark::new(Tone::Bad, "failed"),
            JournalState::Abandoned => Mark::new(Tone::Quiet, "abandoned"),
        };
        Self {
            verb: row.verb.clone(),
            state,
            reason: row.reason.clone(),
            started: Stamp::of(row.started_at, facts.now),
            took: took(Some(row.started_at), row.finished_at, facts.now),
            result: row.result.clone(),
        }
    }
}

/// Other pages that say more of it.
fn links(key: &ObjectKey) -> Vec<Link> {
    let name = &key.name;
    let audit = Link::new("its audit", href::with_query("/audit", [("object", Some(key.to_string().as_str()))]));
    let own = match key.kind {
        Kind::Runtime => vec![
            Link::new("what it reports", format!("/runtimes/{name}")),
            Link::new("its tasks", href::with_query("/tasks", [("runtime", Some(name.as_str()))])),
        ],
        Kind::Task => {
            vec![Link::new("its executions", href::with_query("/tasks", [("object", Some(key.to_string().as_str()))]))]
        }
        Kind::Model => vec![
            Link::new("where it is loaded", "/models".to_owned()),
            Link::new("what it made", href::with_query("/vault", [("model", Some(name.as_str()))])),
        ],
        Kind::Host
        | Kind::Loadout
        | Kind::Policy
        | Kind::Blueprint
        | Kind::Run
        | Kind::GoldenSet
        | Kind::Experiment => Vec::new(),
    };
    own.into_iter().chain([audit]).collect()
}

/// What a person may want to do next.
fn commands(facts: &Facts, key: &ObjectKey) -> Vec<String> {
    let Some(status) = facts.status(key) else { return Vec::new() };
    let mut commands = vec![format!("arcology why {key}")];
    match status.sync {
        Sync::Drifted(_) => commands.push("arcology reconcile".into()),
        Sync::Invalid => commands.push("arcology validate".into()),
        Sync::Unknown | Sync::InSync => {}
    }
    if let Some(place) = &status.place {
        commands.push(format!("git log -p -- {}", shell_word(&place.path)));
    }
    commands
}

/// A word as a shell takes it literally.
#[must_use]
pub fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._/:@".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_in_a_command_cannot_become_another_command() {
        assert_eq!(shell_word("manifests/desk.yaml"), "manifests/desk.yaml");
        assert_eq!(shell_word("a'; rm -rf ~"), r"'a'\''; rm -rf ~'");
    }
}
