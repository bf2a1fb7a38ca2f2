//! The front page: what is red, what needs attention first, and then the control room.

use serde::Serialize;

use crate::core::Name;
use crate::core::text::count;
use crate::tell::web::api::runtime;
use crate::tell::web::api::status::{ObjectCounts, SourceBody};
use crate::tell::web::attention::{self, Attention, Severity};
use crate::tell::web::facts::{Facts, Queue, TaskCounts};

use super::control::{self, ActivePolicy};
use super::drift::nothing_declared;
use super::frame::Frame;
use super::href;
use super::hud::{self, HostHud};
use super::lock::{self, LockTile};
use super::part::{CommitView, Empty, Link, Mark, Stamp, Tone, gigabytes};
use super::queue::QueuePart;
use super::runtime::Tile;
use super::task::ROWS_DEFAULT;

/// The most items that the front page lists; the rest is counted.
const ATTENTION_SHOWN_MAX: usize = 8;

/// The front page.
#[derive(Clone, Debug, Serialize)]
pub struct Page {
    pub frame: Frame,
    /// One state for the whole, and one sentence.
    pub headline: Mark,
    pub summary: String,
    pub counts: Vec<Count>,
    pub attention: Vec<Item>,
    pub attention_more: usize,
    pub start: Option<Empty>,
    pub machines: Vec<HostHud>,
    pub runtimes: Vec<Tile>,
    pub no_runtimes: Empty,
    /// The lock of each GPU.
    pub locks: Vec<LockTile>,
    pub queue: QueuePart,
    pub source: SourceTile,
    pub hosts: Vec<HostLine>,
    /// The policy in force for each host.
    pub policies: Vec<ActivePolicy>,
    pub no_policies: Empty,
}

/// A number with its name, leading to what it counts.
#[derive(Clone, Debug, Serialize)]
pub struct Count {
    pub mark: Mark,
    /// Absent when it is not known.
    pub value: Option<u64>,
    pub href: String,
}

/// One thing that needs attention.
#[derive(Clone, Debug, Serialize)]
pub struct Item {
    pub mark: Mark,
    pub object: Option<String>,
    pub title: String,
    pub message: String,
    pub href: String,
    pub next: Option<String>,
}

/// Where desired state comes from.
#[derive(Clone, Debug, Serialize)]
pub struct SourceTile {
    pub mark: Mark,
    pub repo: String,
    pub branch: String,
    pub message: Option<String>,
    pub help: Option<String>,
    pub since: Option<Stamp>,
    pub checked: Option<Stamp>,
    pub pending: Option<CommitView>,
}

/// A host: its GPUs as declared, and the policy that governs it.
#[derive(Clone, Debug, Serialize)]
pub struct HostLine {
    pub name: String,
    pub href: String,
    pub gpus: Vec<String>,
    pub policies: Vec<Link>,
    /// When nothing new starts here.
    pub brake: Option<Mark>,
}

/// The front page.
#[must_use]
pub fn page(facts: &Facts, queue: &Queue) -> Page {
    let items = attention::list(facts, queue);
    let counts = ObjectCounts::of(facts);
    let world = &facts.picture.world;
    Page {
        frame: frame(facts, queue),
        headline: headline(facts, &counts, &items),
        summary: summary(&counts, queue.counts),
        counts: count_links(&counts, queue.counts),
        attention_more: items.len().saturating_sub(ATTENTION_SHOWN_MAX),
        attention: items.into_iter().take(ATTENTION_SHOWN_MAX).map(Item::of).collect(),
        start: (world.objects.is_empty() && world.broken.is_empty()).then(|| nothing_declared(facts)),
        machines: hud::hosts(facts),
        runtimes: runtime::all(facts).iter().map(|runtime| Tile::of(facts, runtime)).collect(),
        no_runtimes: Empty::new(
            "No runtime is declared. Arcology can look for some and print their manifests.",
            Some("arcology schema runtime"),
        ),
        locks: lock::tiles(facts),
        queue: QueuePart::of(facts, queue),
        source: SourceTile::of(facts),
        hosts: hosts(facts),
        policies: control::policies(facts),
        no_policies: Empty::new("No policy is declared; the defaults apply.", Some("arcology schema Policy")),
    }
}

/// The list of what comes first begins with what banners say elsewhere; once is enough.
fn frame(facts: &Facts, queue: &Queue) -> Frame {
    let mut frame = Frame::new(facts, "Status", "/", queue.query.address_at("/", ROWS_DEFAULT, None));
    frame.banners.retain(|banner| banner.mark.tone != Tone::Bad);
    frame
}

/// One state for the whole. It is good only when everything is known to be.
fn headline(facts: &Facts, counts: &ObjectCounts, items: &[Attention]) -> Mark {
    let errors = items.iter().filter(|item| item.severity == Severity::Error).count();
    if errors > 0 {
        return Mark::new(Tone::Bad, format!("{} wrong", things(errors)));
    }
    if facts.revision().is_none() {
        return Mark::new(Tone::Unknown, "Nothing is applied yet");
    }
    if !items.is_empty() {
        let need = if items.len() == 1 { "needs" } else { "need" };
        return Mark::new(Tone::Warn, format!("{} {need} attention", count(items.len(), "thing")));
    }
    if counts.unknown > 0 {
        let n = usize::try_from(counts.unknown).unwrap_or(usize::MAX);
        return Mark::new(Tone::Unknown, format!("{} cannot be judged", count(n, "object")));
    }
    if counts.total == 0 {
        return Mark::new(Tone::Quiet, "Nothing is declared");
    }
    Mark::new(Tone::Good, "Everything is as declared")
}

fn things(n: usize) -> String {
    if n == 1 { "1 thing is".into() } else { format!("{n} things are") }
}

fn summary(objects: &ObjectCounts, tasks: Option<TaskCounts>) -> String {
    let objects = format!("{} of {} objects in sync", objects.in_sync, objects.total);
    match tasks {
        None => format!("{objects}; the queue is not known."),
        Some(tasks) if tasks.open() == 0 => format!("{objects}; no work waits."),
        Some(tasks) => {
            let running = usize::try_from(tasks.running).unwrap_or(usize::MAX);
            format!("{objects}; {} running, {} waiting.", count(running, "task"), tasks.queued + tasks.blocked)
        }
    }
}

/// Numbers that are zero are quiet, whatever they count.
fn count_links(objects: &ObjectCounts, tasks: Option<TaskCounts>) -> Vec<Count> {
    let object = |tone, word: &str, value: u64, query: (&str, &str)| Count {
        mark: Mark::new(if value == 0 { Tone::Quiet } else { tone }, word),
        value: Some(value),
        href: href::with_query("/drift", [(query.0, Some(query.1))]),
    };
    let task = |tone, word: &str, state: &str, pick: fn(&TaskCounts) -> u64| {
        let value = tasks.as_ref().map(pick);
        let tone = match value {
            None => Tone::Unknown,
            Some(0) => Tone::Quiet,
            Some(_) => tone,
        };
        Count { mark: Mark::new(tone, word), value, href: href::with_query("/tasks", [("state", Some(state))]) }
    };
    vec![
        object(Tone::Good, "in sync", objects.in_sync, ("sync", "InSync")),
        object(Tone::Warn, "drifted", objects.drifted, ("sync", "Drifted")),
        object(Tone::Unknown, "unknown", objects.unknown, ("sync", "Unknown")),
        object(Tone::Bad, "invalid", objects.invalid, ("sync", "Invalid")),
        object(Tone::Held, "held", objects.held, ("held", "true")),
        task(Tone::Busy, "tasks running", "running", |tasks| tasks.running),
        task(Tone::Quiet, "tasks queued", "queued", |tasks| tasks.queued),
        task(Tone::Held, "tasks blocked", "blocked", |tasks| tasks.blocked),
        task(Tone::Bad, "tasks failed", "error", |tasks| tasks.error),
    ]
}

impl Item {
    fn of(item: Attention) -> Self {
        let mark = match item.severity {
            Severity::Error => Mark::new(Tone::Bad, "error"),
            Severity::Warning => Mark::new(Tone::Warn, "warning"),
        };
        Self { mark, object: item.object, title: item.title, message: item.message, href: item.href, next: item.next }
    }
}

impl SourceTile {
    fn of(facts: &Facts) -> Self {
        let (body, now) = (SourceBody::of(facts), facts.now);
        let pending = facts.picture.source.pending.as_ref();
        let mark = match (body.ready, &body.reason, pending) {
            (true, _, None) => Mark::new(Tone::Good, "ready"),
            (true, _, Some(_)) => Mark::new(Tone::Busy, "newer commit seen"),
            (false, Some(reason), _) if facts.picture.source.problem.is_some() => Mark::new(Tone::Bad, reason.as_str()),
            (false, _, _) => Mark::new(Tone::Unknown, "nothing applied yet"),
        };
        Self {
            mark,
            repo: body.repo,
            branch: body.branch,
            message: body.message,
            help: body.help,
            since: Stamp::maybe(body.since, now),
            checked: Stamp::maybe(body.checked_at, now),
            pending: pending.map(|revision| CommitView::of(&revision.commit, now)),
        }
    }
}

fn hosts(facts: &Facts) -> Vec<HostLine> {
    let world = &facts.picture.world;
    world
        .hosts()
        .map(|(object, host)| {
            let name = &object.document.key.name;
            let policy = world.policy_for(name);
            let gpu = |gpu: &crate::declare::manifest::kind::host::GpuSpec| {
                let label = gpu.label.as_deref().map(|label| format!(" {label}")).unwrap_or_default();
                let simulated = if gpu.simulated { ", simulated" } else { "" };
                format!("{}{label}, {} GB declared{simulated}", gpu.id, gigabytes(gpu.vram_gb))
            };
            HostLine {
                name: name.to_string(),
                href: format!("/objects/Host/{name}"),
                gpus: host.gpus.iter().map(gpu).collect(),
                policies: policy.sources.iter().map(policy_link).collect(),
                brake: control::brake(&policy),
            }
        })
        .collect()
}

fn policy_link(name: &Name) -> Link {
    Link::new(name.as_str(), format!("/objects/Policy/{name}"))
}
