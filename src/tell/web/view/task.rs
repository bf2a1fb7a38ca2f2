//! Tasks: the list with its filters, and one task with its attempts, logs and artifacts.

use serde::Serialize;

use crate::core::Timestamp;
use crate::core::text::shorten;
use crate::decide::scheduler::view::Explanation;
use crate::remember::store::row::{ArtifactRow, AttemptRow, TaskError, TaskRow, TaskState};
use crate::tell::web::facts::{Facts, TaskCounts};
use crate::tell::web::outlook::{Outlook, Outlooks};

use super::frame::{Choice, Frame, choices};
use super::href;
use super::lock::Countdown;
use super::object::shell_word;
use super::part::{CommitView, Empty, Link, Mark, Stamp, Tone, size, took};
use super::queue::expectation;
use super::why::WhyPart;

/// How many tasks a page shows when nothing else is asked for.
pub const ROWS_DEFAULT: usize = 50;
/// The most text of an input that is shown, in characters; the whole is in the task's JSON.
const INPUT_CHARS_MAX: usize = 2_000;

/// One task in a few words.
#[derive(Clone, Debug, Serialize)]
pub struct TaskLine {
    pub id: String,
    pub href: String,
    pub state: Mark,
    /// `text.summarize`, or a chain `ocr.pdf → text.summarize`.
    pub capability: String,
    /// Why it waits or failed, one sentence.
    pub why: Option<String>,
    pub clears: Option<Countdown>,
    /// Its place in the queue, from 1, where that is told.
    pub place: Option<usize>,
    /// When it is expected to be done, with the band.
    pub expected: Option<String>,
    /// When what runs is expected to end.
    pub ends: Option<Countdown>,
    pub runtime: Option<Link>,
    pub model: Option<String>,
    pub attempts: u32,
    pub created: Stamp,
    pub took: Option<String>,
    /// Whether `took` is final.
    pub over: bool,
    pub tags: Vec<String>,
}

impl TaskLine {
    #[must_use]
    pub fn of(task: &TaskRow, outlook: &Outlook, now: Timestamp) -> Self {
        Self {
            id: task.id.clone(),
            href: task_href(&task.id),
            state: Mark::of_task(task.state),
            capability: task.spec.capability.0.join(" → "),
            why: why(task, outlook),
            clears: outlook.why.as_ref().and_then(|why| why.clears_at).map(|at| Countdown::of(at, now)),
            place: outlook.place,
            expected: outlook.band.as_ref().map(expectation),
            ends: outlook.ends_at.map(|at| Countdown::of(at, now)),
            runtime: task.runtime.as_ref().map(|name| Link::new(name.as_str(), format!("/runtimes/{name}"))),
            model: task.model.clone(),
            attempts: task.attempts,
            created: Stamp::of(task.created_at, now),
            took: took(task.started_at, task.finished_at, now),
            over: task.finished_at.is_some(),
            tags: task.spec.tags.clone(),
        }
    }
}

fn why(task: &TaskRow, outlook: &Outlook) -> Option<String> {
    let waits = outlook.why.as_ref().map(|why| format!("{}: {}", why.reason, why.message));
    let failed = task.error.as_ref().map(|error| format!("{}: {}", error.code, error.message));
    waits.or(failed)
}

/// The page of a task.
#[must_use]
pub fn task_href(id: &str) -> String {
    format!("/tasks/{}", href::segment(id))
}

/// What the list of tasks is narrowed to, as it stands in the address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskQuery {
    pub state: Option<TaskState>,
    pub capability: Option<String>,
    pub runtime: Option<String>,
    pub tag: Option<String>,
    pub object: Option<String>,
}

impl TaskQuery {
    #[must_use]
    pub fn address(&self, limit: usize, cursor: Option<&str>) -> String {
        self.address_at("/tasks", limit, cursor)
    }

    /// The address of a page that takes the same filters.
    #[must_use]
    pub fn address_at(&self, path: &str, limit: usize, cursor: Option<&str>) -> String {
        let limit = (limit != ROWS_DEFAULT).then(|| limit.to_string());
        href::with_query(
            path,
            [
                ("state", self.state.map(TaskState::as_str)),
                ("capability", self.capability.as_deref()),
                ("runtime", self.runtime.as_deref()),
                ("tag", self.tag.as_deref()),
                ("object", self.object.as_deref()),
                ("limit", limit.as_deref()),
                ("cursor", cursor),
            ],
        )
    }
}

/// The list of tasks.
#[derive(Clone, Debug, Serialize)]
pub struct ListPage {
    pub frame: Frame,
    pub counts: Option<TaskCounts>,
    pub rows: Vec<TaskLine>,
    pub next: Option<String>,
    pub states: Vec<Choice>,
    pub capabilities: Vec<Choice>,
    pub runtimes: Vec<Choice>,
    pub tag: String,
    pub object: Option<String>,
    pub filtered: bool,
    pub empty: Option<Empty>,
}

/// One page of tasks, the newest first, as the store gave them.
#[must_use]
pub fn list(
    facts: &Facts,
    query: &TaskQuery,
    counts: Option<TaskCounts>,
    rows: &[TaskRow],
    limit: usize,
    (cursor, next): (Option<&str>, Option<&str>),
) -> ListPage {
    let outlooks = Outlooks::of(facts);
    let filtered = *query != TaskQuery::default() || cursor.is_some();
    ListPage {
        frame: Frame::new(facts, "Tasks", "/tasks", query.address(limit, cursor)),
        counts,
        rows: rows.iter().map(|task| TaskLine::of(task, &outlooks.task(task, None), facts.now)).collect(),
        next: next.map(|cursor| query.address(limit, Some(cursor))),
        states: choices("any state", TaskState::ALL.map(TaskState::as_str), query.state.map(TaskState::as_str)),
        capabilities: capability_choices(query),
        runtimes: runtime_choices(facts, query),
        tag: query.tag.clone().unwrap_or_default(),
        object: query.object.clone(),
        filtered,
        empty: rows.is_empty().then(|| empty(filtered)),
    }
}

/// What the filter by capability offers.
#[must_use]
pub fn capability_choices(query: &TaskQuery) -> Vec<Choice> {
    let names = crate::declare::manifest::kind::capability::ALL.iter().map(|capability| capability.name);
    choices("every capability", names, query.capability.as_deref())
}

/// What the filter by runtime offers.
#[must_use]
pub fn runtime_choices(facts: &Facts, query: &TaskQuery) -> Vec<Choice> {
    let names = facts.picture.world.runtimes().map(|(object, _)| object.document.key.name.as_str());
    choices("every runtime", names, query.runtime.as_deref())
}

fn empty(filtered: bool) -> Empty {
    if filtered {
        return Empty::new("No task matches this filter.", None);
    }
    Empty::new(
        "No task was ever asked for. Submit one, or commit a manifest of kind Task.",
        Some("arcology submit - --wait <<< '{\"capability\": \"text.stats\", \"inputs\": {\"text\": \"hello\"}}'"),
    )
}

/// One task.
#[derive(Clone, Debug, Serialize)]
pub struct Page {
    pub frame: Frame,
    pub line: TaskLine,
    pub why: Option<WhyPart>,
    pub error: Option<TaskError>,
    /// The committed Task that it comes from.
    pub object: Option<Link>,
    pub actor: String,
    pub asked_at: Option<CommitView>,
    pub revision: Option<String>,
    pub policies: Vec<Link>,
    pub started: Option<Stamp>,
    pub finished: Option<Stamp>,
    pub priority: i32,
    pub dependencies: Vec<Link>,
    pub input_text: Option<String>,
    pub input_cut: bool,
    pub input_files: Vec<String>,
    /// Name and value as compact JSON.
    pub params: Vec<(String, String)>,
    pub attempts: Vec<AttemptView>,
    pub artifacts: Vec<ArtifactLine>,
    pub commands: Vec<String>,
}

/// One attempt with its log.
#[derive(Clone, Debug, Serialize)]
pub struct AttemptView {
    pub number: u32,
    pub state: Mark,
    pub runtime: Option<Link>,
    pub model: Option<String>,
    pub started: Stamp,
    pub took: Option<String>,
    pub error: Option<TaskError>,
    pub log: String,
}

/// An artifact in a list.
#[derive(Clone, Debug, Serialize)]
pub struct ArtifactLine {
    pub kind: String,
    pub path: String,
    pub name: String,
    pub href: String,
    pub size: String,
    pub checksum: String,
    pub short: String,
    pub task: Link,
    pub created: Stamp,
}

impl ArtifactLine {
    #[must_use]
    pub fn of(row: &ArtifactRow, now: Timestamp) -> Self {
        let hex = row.sha256.hex();
        Self {
            kind: row.kind.clone(),
            path: row.path.clone(),
            name: row.path.rsplit('/').next().unwrap_or(&row.path).to_owned(),
            href: format!("/artifacts/{hex}"),
            size: size(row.bytes),
            short: hex[..12].to_owned(),
            checksum: row.sha256.to_string(),
            task: Link::new(row.task.clone(), task_href(&row.task)),
            created: Stamp::of(row.created_at, now),
        }
    }
}

/// The page of one task.
#[must_use]
pub fn page(
    facts: &Facts,
    task: &TaskRow,
    explanation: Option<&Explanation>,
    attempts: &[AttemptRow],
    artifacts: &[ArtifactRow],
) -> Page {
    let now = facts.now;
    let outlook = Outlooks::of(facts).task(task, explanation);
    let text = task.spec.inputs.text.as_deref();
    let mut newest_first: Vec<_> = attempts.iter().collect();
    newest_first.sort_by_key(|attempt| std::cmp::Reverse(attempt.number));
    Page {
        frame: Frame::new(facts, format!("Task {}", shorten(&task.id, 80)), "/tasks", task_href(&task.id)),
        line: TaskLine::of(task, &outlook, now),
        why: WhyPart::of(task, outlook, explanation, now),
        error: task.error.clone(),
        object: task
            .object
            .as_ref()
            .map(|key| Link::new(key.to_string(), format!("/objects/{}/{}", key.kind, key.name))),
        actor: task.actor.clone(),
        asked_at: task.revision.as_ref().map(|revision| CommitView::of(&revision.commit, now)),
        revision: task.revision.as_ref().map(ToString::to_string),
        policies: task.policy.iter().map(|name| Link::new(name.as_str(), format!("/objects/Policy/{name}"))).collect(),
        started: Stamp::maybe(task.started_at, now),
        finished: Stamp::maybe(task.finished_at, now),
        priority: task.spec.priority,
        dependencies: task.spec.dependencies.iter().map(|id| dependency(id)).collect(),
        input_text: text.map(|text| text.chars().take(INPUT_CHARS_MAX).collect()),
        input_cut: text.is_some_and(|text| text.chars().nth(INPUT_CHARS_MAX).is_some()),
        input_files: task.spec.inputs.files.clone(),
        params: task.spec.params.iter().map(|(name, value)| (name.clone(), value.to_string())).collect(),
        attempts: newest_first.into_iter().map(|attempt| AttemptView::of(attempt, now)).collect(),
        artifacts: artifacts.iter().map(|row| ArtifactLine::of(row, now)).collect(),
        commands: commands(task),
    }
}

fn dependency(id: &str) -> Link {
    Link::new(id, task_href(id))
}

/// What a person may want to do next.
fn commands(task: &TaskRow) -> Vec<String> {
    let id = shell_word(&task.id);
    let why = format!("arcology why {id}");
    match task.state {
        TaskState::Done => Vec::new(),
        TaskState::Error | TaskState::Cancelled => vec![why],
        TaskState::Queued | TaskState::Blocked | TaskState::Running => vec![why, format!("arcology cancel {id}")],
    }
}

impl AttemptView {
    fn of(attempt: &AttemptRow, now: Timestamp) -> Self {
        let tone = match attempt.state.as_str() {
            "done" => Tone::Good,
            "running" => Tone::Busy,
            "error" => Tone::Bad,
            "interrupted" => Tone::Warn,
            _ => Tone::Quiet,
        };
        Self {
            number: attempt.number,
            state: Mark::new(tone, attempt.state.as_str()),
            runtime: attempt.runtime.as_ref().map(|name| Link::new(name.as_str(), format!("/runtimes/{name}"))),
            model: attempt.model.clone(),
            started: Stamp::of(attempt.started_at, now),
            took: took(Some(attempt.started_at), attempt.finished_at, now),
            error: attempt.error.clone(),
            log: attempt.log.clone(),
        }
    }
}
