//! What needs a person's attention, the most urgent first, each with its cause and what to do next.
//!
//! Order: the source, the store, what is invalid, drift loops, drift that is held, runtimes that cannot be judged,
//! machines and GPUs that are no longer measured or not as declared, work that is stuck or overdue, failed tasks, prune holds,
//! drift that nothing holds. The command line and the page read the same list.

use serde::Serialize;

use crate::core::text::{count, shorten};
use crate::core::{Kind, Name, ObjectKey, Reading};
use crate::decide::host_view::GpuView;
use crate::decide::reconcile::{Health, Hold, HoldReason, ObjectStatus, Sync};
use crate::declare::manifest::{Broken, Diagnostic, Severity as DiagnosticSeverity};
use crate::declare::world::Standing;
use crate::remember::store::row::TaskRow;

use super::api::runtime::{self, RuntimeFacts};
use super::facts::{Facts, Queue};

mod work;

/// The most items that are listed; a hundred broken manifests have one cause more often than a hundred.
pub const ITEMS_MAX: usize = 50;
/// The longest message of one item, in characters.
const MESSAGE_CHARS_MAX: usize = 400;

/// One thing that needs attention.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Attention {
    pub severity: Severity,
    /// `Kind/name` or a task's id.
    pub object: Option<String>,
    pub title: String,
    pub message: String,
    /// Where on the page its cause is shown.
    pub href: String,
    /// A command or a commit, to copy.
    pub next: Option<String>,
}

/// How bad it is: an error is wrong now, a warning may become so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Error,
    Warning,
}

/// The list, the most urgent first.
#[must_use]
pub fn list(facts: &Facts, queue: &Queue) -> Vec<Attention> {
    let mut items = Vec::new();
    items.extend(source(facts));
    items.extend(store(facts, queue));
    items.extend(facts.picture.world.broken.iter().filter(|broken| broken.key.is_none()).map(unreadable));
    items.extend(
        facts.statuses.iter().filter(|status| status.sync == Sync::Invalid).map(|status| invalid(facts, status)),
    );
    items.extend(facts.statuses.iter().filter(|status| loops(status)).map(drift_loop));
    items.extend(facts.statuses.iter().filter(|status| drifted(status) && held(status)).map(drifted_held));
    items.extend(runtime::all(facts).iter().filter_map(runtime_trouble));
    items.extend(machines(facts));
    items.extend(work::list(facts));
    items.extend(queue.failed.iter().map(failed_task));
    items.extend(prune_holds(facts));
    items.extend(facts.statuses.iter().filter(|status| drifted(status) && status.hold.is_none()).map(drifted_free));
    items.truncate(ITEMS_MAX);
    items
}

fn source(facts: &Facts) -> Option<Attention> {
    let source = &facts.picture.source;
    let problem = source.problem.as_ref()?;
    let kept = match facts.revision() {
        Some(revision) => format!("; {}@{} stays in force", revision.branch, revision.commit.sha.short()),
        None => "; nothing is in force yet".to_owned(),
    };
    Some(Attention {
        severity: Severity::Error,
        object: None,
        title: format!("the repository is not ready: {}", problem.reason),
        message: short(&format!("{}{kept}", problem.message)),
        href: "/#source".into(),
        next: Some(problem.help.clone().unwrap_or_else(|| "arcology reconcile".into())),
    })
}

fn store(facts: &Facts, queue: &Queue) -> Option<Attention> {
    let problem = facts.picture.store_problem.as_ref().or(queue.problem.as_ref())?;
    Some(Attention {
        severity: Severity::Error,
        object: None,
        title: "the store does not work".into(),
        message: short(&format!("{problem}; nothing new is started, the desired state is not touched")),
        href: "/readyz".into(),
        next: Some("arcology status".into()),
    })
}

/// A document whose header could not be read, so that nobody knows which object it was meant to be.
fn unreadable(broken: &Broken) -> Attention {
    Attention {
        severity: Severity::Error,
        object: None,
        title: format!("{} cannot be read", broken.place),
        message: short(&first_message(&broken.diagnostics)),
        href: "/drift#unreadable".into(),
        next: explain(&broken.diagnostics),
    }
}

fn invalid(facts: &Facts, status: &ObjectStatus) -> Attention {
    let diagnostics = diagnostics_of(facts, &status.key);
    let in_force = match facts.picture.world.objects.contains_key(&status.key) {
        true => "its last good version stays in force",
        false => "nothing of it is in force",
    };
    let message = match diagnostics.first() {
        Some(first) => format!("{}:{}: {}; {in_force}", first.path, first.span.line, first.message),
        None => format!("{}; {in_force}", status.reason),
    };
    Attention {
        severity: Severity::Error,
        object: Some(status.key.to_string()),
        title: "invalid".into(),
        message: short(&message),
        href: object_href(status),
        next: Some(explain(diagnostics).unwrap_or_else(|| "arcology validate".into())),
    }
}

fn loops(status: &ObjectStatus) -> bool {
    status.hold.as_ref().is_some_and(|hold| hold.reason == HoldReason::DriftLoop)
}

fn drifted(status: &ObjectStatus) -> bool {
    matches!(status.sync, Sync::Drifted(_))
}

/// Held for any reason but a loop, which is listed by itself.
fn held(status: &ObjectStatus) -> bool {
    status.hold.is_some() && !loops(status)
}

fn drift_loop(status: &ObjectStatus) -> Attention {
    let message = status.hold.as_ref().map_or(&status.reason, |hold| &hold.message);
    Attention {
        severity: Severity::Error,
        object: Some(status.key.to_string()),
        title: "something keeps changing it back".into(),
        message: short(message),
        href: object_href(status),
        next: Some(format!("arcology why {}", status.key)),
    }
}

fn drifted_held(status: &ObjectStatus) -> Attention {
    // A failed try stands in the reason already.
    let said = |hold: &&Hold| hold.reason == HoldReason::Backoff;
    let hold = status.hold.as_ref().filter(|hold| !said(hold));
    let hold = hold.map(|hold| format!("; {:?}: {}", hold.reason, hold.message)).unwrap_or_default();
    Attention {
        severity: Severity::Warning,
        object: Some(status.key.to_string()),
        title: "drifted, and held".into(),
        message: short(&format!("{}{hold}", status.reason)),
        href: object_href(status),
        next: Some(format!("arcology why {}", status.key)),
    }
}

fn drifted_free(status: &ObjectStatus) -> Attention {
    Attention {
        severity: Severity::Warning,
        object: Some(status.key.to_string()),
        title: "drifted".into(),
        message: short(&status.reason),
        href: object_href(status),
        next: Some(format!("arcology why {}", status.key)),
    }
}

/// A runtime that is not known to work. One that this version does not drive is no trouble: it was never asked.
fn runtime_trouble(runtime: &RuntimeFacts<'_>) -> Option<Attention> {
    if runtime.spec.is_none_or(|spec| !spec.adapter.is_driven()) {
        return None;
    }
    let word = match (runtime.reading(), runtime.health()) {
        (Reading::Stale { .. }, _) => "has not answered lately",
        (Reading::Unknown { .. }, _) => "was never seen",
        (Reading::Fresh { .. }, Health::Degraded) => "is degraded",
        (Reading::Fresh { .. }, Health::Missing) => "is missing",
        (Reading::Fresh { .. }, Health::Unknown) => "cannot be judged",
        (Reading::Fresh { .. }, Health::Healthy | Health::Progressing) => return None,
    };
    Some(Attention {
        severity: Severity::Warning,
        object: Some(format!("Runtime/{}", runtime.name)),
        title: word.to_owned(),
        message: short(&runtime.reason()),
        href: format!("/runtimes/{}", runtime.name),
        next: Some(format!("arcology why Runtime/{}", runtime.name)),
    })
}

/// Machines and GPUs that were measured and no longer are, and GPUs that are not as declared. That there is no driver, or
/// that a host is not this machine, is an ordinary state: it is shown, and nobody is called for it.
fn machines(facts: &Facts) -> Vec<Attention> {
    let mut found = Vec::new();
    for (host, seen) in &*facts.picture.hosts {
        if let Reading::Stale { problem, .. } = seen.read(facts.now) {
            found.push(on_host(host, "is no longer measured".into(), problem.unwrap_or(NO_LOOK)));
        }
    }
    for ((host, gpu), seen) in &*facts.picture.gpus {
        match seen.read(facts.now) {
            Reading::Stale { problem, .. } => {
                found.push(on_host(host, format!("{gpu} is no longer measured"), problem.unwrap_or(NO_LOOK)));
            }
            Reading::Fresh { value: GpuView { note: Some(note), simulated, .. }, .. } => {
                let title = if *simulated { "is not wholly known" } else { "is not as declared" };
                found.push(on_host(host, format!("{gpu} {title}"), note));
            }
            Reading::Fresh { .. } | Reading::Unknown { .. } => {}
        }
    }
    found
}

const NO_LOOK: &str = "it was not looked at for too long";

fn on_host(host: &Name, title: String, message: &str) -> Attention {
    Attention {
        severity: Severity::Warning,
        object: Some(format!("Host/{host}")),
        title,
        message: short(message),
        href: "/#machines".into(),
        next: Some(format!("arcology why Host/{host}")),
    }
}

fn failed_task(task: &TaskRow) -> Attention {
    let (code, message) = match &task.error {
        Some(error) => (error.code.as_str(), error.message.as_str()),
        None => ("internal", "no reason was noted"),
    };
    Attention {
        severity: Severity::Warning,
        object: Some(task.id.clone()),
        title: format!("failed: {code}"),
        message: short(message),
        href: format!("/tasks/{}", super::view::href::segment(&task.id)),
        next: Some(format!("arcology why {}", task.id)),
    }
}

/// All held deletions are one item: one commit asks for them, one trailer lets them go.
fn prune_holds(facts: &Facts) -> Option<Attention> {
    let held: Vec<_> = facts
        .picture
        .world
        .objects
        .values()
        .filter_map(|object| match &object.standing {
            Standing::PruneHeld { reason } => Some((&object.document.key, reason)),
            Standing::Current | Standing::LastGood { .. } | Standing::Retained { .. } => None,
        })
        .collect();
    let (first, reason) = held.first()?;
    let title = match held.len() {
        1 => "gone from Git, its deletion is held".to_owned(),
        n => format!("{} are gone from Git, their deletion is held", count(n, "object")),
    };
    Some(Attention {
        severity: Severity::Warning,
        object: (held.len() == 1).then(|| first.to_string()),
        title,
        message: short(reason),
        href: format!("/objects/{}/{}", first.kind, first.name),
        next: Some("git commit --allow-empty -m 'Confirm the deletion' -m 'Prune: confirm'".into()),
    })
}

/// What is wrong with an object: of the version in force that stands on its last good one, or of one that never was.
#[must_use]
pub fn diagnostics_of<'a>(facts: &'a Facts, key: &ObjectKey) -> Vec<&'a Diagnostic> {
    let world = &facts.picture.world;
    let standing = world.objects.get(key).map(|object| &object.standing);
    let of_standing = match standing {
        Some(Standing::LastGood { diagnostics }) => diagnostics.as_slice(),
        Some(Standing::Current | Standing::Retained { .. } | Standing::PruneHeld { .. }) | None => &[],
    };
    let of_broken = world.broken.iter().filter(|broken| broken.key.as_ref() == Some(key));
    let of_revision = world.diagnostics.iter().filter(|diagnostic| diagnostic.object.as_ref() == Some(key));
    let mut all: Vec<_> =
        of_standing.iter().chain(of_broken.flat_map(|broken| &broken.diagnostics)).chain(of_revision).collect();
    all.sort_by_key(|diagnostic| (diagnostic.severity, *diagnostic));
    all.dedup();
    all
}

fn first_message(diagnostics: &[Diagnostic]) -> String {
    let errors = diagnostics.iter().filter(|diagnostic| diagnostic.severity == DiagnosticSeverity::Error);
    errors.chain(diagnostics).next().map_or_else(|| "no reason was noted".into(), |first| first.message.clone())
}

fn explain<'a>(diagnostics: impl IntoIterator<Item = &'a Diagnostic>) -> Option<String> {
    diagnostics.into_iter().next().map(|first| format!("arcology explain {}", first.code))
}

fn object_href(status: &ObjectStatus) -> String {
    match status.key.kind {
        Kind::Runtime if status.sync != Sync::Invalid => format!("/runtimes/{}", status.key.name),
        kind => format!("/objects/{kind}/{}", status.key.name),
    }
}

fn short(message: &str) -> String {
    shorten(message, MESSAGE_CHARS_MAX)
}
