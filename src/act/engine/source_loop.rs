//! From the repository to the world in force: look, assemble, write down, put in force, wake whoever is concerned.
//!
//! 1. A look happens when the repository changed, when the interval is over, and when a person asks.
//! 2. A new revision is assembled with what was in force, written to the store in one transaction, and only then put in
//!    force. If it cannot be written, the old world stays and the next look tries again.
//! 3. Whatever goes wrong is shown with its reason and since when; the last applied revision stays in force.

use std::sync::{Arc, PoisonError};

use tokio::sync::{mpsc, oneshot};

use crate::act::controller::Lane;
use crate::act::source::{self, Held, Poll, Snapshot};
use crate::core::text::count;
use crate::core::{Kind, ObjectKey, Revision};
use crate::declare::world::Object;
use crate::declare::world::assemble::{Assembly, Inputs, assemble};
use crate::remember::store::row::{AppliedRow, ObjectRow};
use crate::remember::store::{AuditEntry, Error as StoreError, Removal};

use super::observe;
use super::picture::SourceProblem;
use super::shared::Shared;

/// The generation of an object that is gone.
const GONE: u64 = u64::MAX;

/// A person asks for a look.
#[derive(Debug)]
pub struct Request {
    /// Take a rewritten history.
    pub accept: bool,
    pub reply: oneshot::Sender<Report>,
}

/// What came of a look.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Report {
    /// `unchanged`, `applied`, `held` or `failed`.
    pub outcome: &'static str,
    pub message: String,
    pub help: Option<String>,
    /// The revision in force after it.
    pub revision: Option<String>,
    pub added: usize,
    pub changed: usize,
    pub removed: usize,
    pub quarantined: usize,
    pub held: usize,
    /// Errors of the revision, as `CODE path:line:column: message`.
    pub problems: Vec<String>,
}

/// Looks until shutdown: when the watcher says so, which it does at least every interval, and when a person asks.
pub async fn run(shared: Arc<Shared>, mut watcher: source::Watcher, mut requests: mpsc::Receiver<Request>) {
    loop {
        let request = tokio::select! {
            request = requests.recv() => match request { Some(request) => Some(request), None => return },
            _ = watcher.changed() => None,
            () = shared.shutdown.cancelled() => return,
        };
        match request {
            None => {
                look(&shared, false).await;
            }
            Some(Request { accept, reply }) => {
                let report = look(&shared, accept).await;
                // Whoever asked may have gone away; the look was still worth it.
                let _ = reply.send(report);
            }
        }
        let (places, described) = {
            let source = shared.source.lock().unwrap_or_else(PoisonError::into_inner);
            (source.places(), source.describe())
        };
        watcher.set_places(places);
        (shared.memory().source.repo, shared.memory().source.branch) = described;
    }
}

/// Looks once and puts in force what is new.
pub async fn look(shared: &Arc<Shared>, accept: bool) -> Report {
    let applied = shared.memory().world.revision.as_ref().map(|revision| revision.commit.sha.clone());
    let source = Arc::clone(&shared.source);
    let looked = tokio::task::spawn_blocking(move || {
        source.lock().unwrap_or_else(PoisonError::into_inner).poll(applied.as_ref(), accept)
    })
    .await;
    match looked {
        Ok(Ok(Poll::Unchanged)) => {
            settle_problem(shared, None, None);
            report(shared, "unchanged", "nothing new in the repository".into(), None)
        }
        Ok(Ok(Poll::Changed(snapshot))) => apply(shared, snapshot).await,
        Ok(Ok(Poll::Held(held))) => hold(shared, &held),
        Ok(Err(error)) => fail(shared, error.reason().as_str(), error.to_string(), error.help()),
        Err(panic) => fail(shared, "Failed", format!("looking at the repository broke off: {panic}"), None),
    }
}

fn hold(shared: &Shared, held: &Held) -> Report {
    let problem = problem(shared, held.reason.as_str(), held.message.clone(), Some(held.help.clone()));
    settle_problem(shared, Some(problem), Some(held.revision.clone()));
    report(shared, "held", held.message.clone(), Some(held.help.clone()))
}

fn fail(shared: &Shared, reason: &str, message: String, help: Option<String>) -> Report {
    let problem = problem(shared, reason, message.clone(), help.clone());
    tracing::warn!(reason, "{message}; the last applied revision stays in force");
    settle_problem(shared, Some(problem), None);
    report(shared, "failed", message, help)
}

/// A problem keeps its "since" for as long as its reason stays the same.
fn problem(shared: &Shared, reason: &str, message: String, help: Option<String>) -> SourceProblem {
    let memory = shared.memory();
    let since = memory.source.problem.as_ref().filter(|old| old.reason == reason).map(|old| old.since);
    SourceProblem { reason: reason.to_owned(), message, help, since: since.unwrap_or_else(|| shared.now()) }
}

fn settle_problem(shared: &Shared, problem: Option<SourceProblem>, pending: Option<Revision>) {
    let now = shared.now();
    let mut memory = shared.memory();
    if problem.is_none() {
        memory.source.checked_at = Some(now);
    }
    memory.source.problem = problem;
    memory.source.pending = pending;
    drop(memory);
    shared.touch();
}

async fn apply(shared: &Arc<Shared>, snapshot: Snapshot) -> Report {
    let before = Arc::clone(&shared.memory().world);
    let revision = snapshot.revision.clone();
    let assembled = tokio::task::spawn_blocking(move || {
        assemble(&Inputs {
            revision: snapshot.revision.clone(),
            files: &snapshot.files,
            in_force: &before.objects,
            commit_of: &|path| snapshot.commits.get(path).cloned(),
            exists: &|path| snapshot.paths.exists(path),
            prune_confirmed: snapshot.prune_confirmed,
        })
    })
    .await;
    let assembly = match assembled {
        Ok(assembly) => assembly,
        Err(panic) => return fail(shared, "Failed", format!("reading the manifests broke off: {panic}"), None),
    };
    let removals = removals(shared, &assembly);
    if let Err(error) = write_down(shared, &assembly, &revision, &removals).await {
        return fail(shared, "Failed", format!("the revision could not be written down: {error}"), None);
    }
    let report = put_in_force(shared, assembly, &removals).await;
    let Revision { branch, commit } = &revision;
    tracing::info!(%revision, "applied {branch}@{} \"{}\": {}", commit.sha.short(), commit.subject, report.message);
    for problem in &report.problems {
        tracing::warn!("{problem}");
    }
    if shared.memory().world.objects.is_empty() && report.problems.is_empty() {
        // Files beside these folders are nobody's: somebody may well have put manifests there.
        let folders = source::FOLDERS.join("/, ");
        tracing::warn!("nothing is declared: manifests are read from {folders}/; `arcology init` makes a first one");
    }
    report
}

/// What becomes of each object that is gone. Where the manifest or the policy says that deleting leaves the real thing alone,
/// it is left. A runtime that goes together with what was loaded on it must be driven until that is undone, across a
/// restart too: it is made to hold the same things, and so stays among the removed objects until they are gone. What an action
/// that stands open may have made is held as well, so that it is seen to be gone, or undone.
fn removals(shared: &Shared, assembly: &Assembly) -> Vec<Removal> {
    let now = shared.now();
    let undone = assembly.world.policy_for_all().prune;
    let removed = &assembly.changes.removed;
    let removal = |object: &Arc<Object>| {
        let key = object.document.key.clone();
        let undo_by = (undone && object.document.prunes()).then(|| super::unfinished::undo_by(now));
        let left = match key.kind {
            _ if undo_by.is_none() => Vec::new(),
            Kind::Runtime => shared.memory().left_on(&key.name, removed),
            _ => shared.memory().maybe_made(&key),
        };
        let holds = left.iter().map(|target| super::carry_out::held(shared, &key, target, now)).collect();
        Removal { key, undo_by, holds }
    };
    removed.iter().map(removal).collect()
}

/// Writes the new world to the store in one transaction: the revision, every object whose row changed, the audit. After a
/// restart the revision in force is read once more, and there is nothing to write.
async fn write_down(
    shared: &Shared,
    assembly: &Assembly,
    revision: &Revision,
    removals: &[Removal],
) -> Result<(), StoreError> {
    let now = shared.now();
    let before = Arc::clone(&shared.memory().world);
    let upserts: Vec<ObjectRow> = assembly
        .world
        .objects
        .iter()
        .filter(|(key, object)| before.objects.get(*key).is_none_or(|old| !Arc::ptr_eq(old, object)))
        .map(|(_, object)| row_of(object))
        .collect();
    if upserts.is_empty() && removals.is_empty() && before.revision.as_ref() == Some(revision) {
        return Ok(());
    }
    let actor = format!("commit {}", revision.commit.author);
    let entry = |verb: &str, object: String, before: Option<String>, after: Option<String>| AuditEntry {
        at: now,
        actor: actor.clone(),
        verb: verb.to_owned(),
        object,
        reason: revision.commit.subject.clone(),
        result: "ok".into(),
        before,
        after,
        revision: Some(revision.to_string()),
    };
    let mut audits = vec![entry(
        "apply",
        revision.to_string(),
        before.revision.as_ref().map(ToString::to_string),
        Some(summary(assembly)),
    )];
    // A policy governs everything else: its change is an entry of its own, with both texts.
    for object in assembly.world.objects.values().filter(|object| object.document.key.kind == Kind::Policy) {
        let old = before.objects.get(&object.document.key);
        if old.is_none_or(|old| old.document.digest != object.document.digest) {
            let text = |object: &Arc<Object>| object.document.text.to_string();
            let name = object.document.key.to_string();
            audits.push(entry("policy", name, old.map(text), Some(text(object))));
        }
    }
    let applied = AppliedRow { revision: revision.clone(), applied_at: now };
    let result = shared.store.apply_revision(applied, upserts, removals.to_vec(), audits).await;
    shared.note_store(&result);
    result
}

/// An object as it is written down.
#[must_use]
pub fn row_of(object: &Object) -> ObjectRow {
    ObjectRow {
        key: object.document.key.clone(),
        place: object.document.place.clone(),
        text: object.document.text.to_string(),
        digest: object.document.digest,
        generation: object.generation,
        asked_by: object.asked_by.clone(),
        revision: object.revision.clone(),
        standing: object.standing.clone(),
    }
}

async fn put_in_force(shared: &Arc<Shared>, assembly: Assembly, removals: &[Removal]) -> Report {
    let now = shared.now();
    let Assembly { world, changes } = assembly;
    let text = summary_of(&changes, &world);
    let touched: Vec<ObjectKey> = changes.added.iter().chain(&changes.changed).cloned().collect();
    let stands_otherwise = [&changes.quarantined, &changes.mended, &changes.held, &changes.retained, &changes.touched];
    let noted: Vec<ObjectKey> = stands_otherwise.into_iter().flatten().cloned().collect();
    let first = shared.memory().world.revision.is_none();
    let told = super::intake::depend_anew(shared, &world).await;
    shared.note_store(&told);
    {
        let mut memory = shared.memory();
        memory.world = Arc::new(world);
        observe::tell_world(shared, &memory, now);
        // Nobody may see a moment in which what is gone is neither in force nor being undone.
        touched.iter().for_each(|key| memory.revive(key));
        for (object, removal) in changes.removed.iter().zip(removals) {
            memory.remove(object, removal, now);
        }
        memory.source.applied_at = Some(now);
        memory.source.checked_at = Some(now);
        memory.source.problem = None;
        memory.source.pending = None;
        // Told before anything is observed for this world: a run that an observation starts must know its generation, or
        // being told of it would end that run.
        for key in touched.iter().filter(|key| matches!(key.kind, Kind::Loadout | Kind::Task)) {
            shared.controller.changed(key, memory.generation(key));
        }
    }
    observe::align(shared);
    wake(shared, &touched, &changes.removed, first);
    let broken = shared.memory().world.broken.iter().filter_map(|broken| broken.key.clone()).collect::<Vec<_>>();
    shared.memory().note_all(noted.into_iter().chain(broken), now);
    shared.touch();
    let memory = shared.memory();
    let mut report = report_of(&memory.world.revision, "applied", text, None);
    report.added = changes.added.len();
    report.changed = changes.changed.len();
    report.removed = changes.removed.len();
    report.quarantined = changes.quarantined.len();
    report.held = changes.held.len();
    report.problems = memory
        .world
        .diagnostics
        .iter()
        .map(|d| format!("{} {}:{}:{}: {}", d.code, d.path, d.span.line, d.span.column, d.message))
        .collect();
    report
}

/// Wakes whatever the change concerns. A change of a host, runtime, model or policy concerns every loadout.
fn wake(shared: &Shared, touched: &[ObjectKey], removed: &[Arc<Object>], first: bool) {
    let now = shared.now();
    let removed: Vec<ObjectKey> = removed.iter().map(|object| object.document.key.clone()).collect();
    let broad = first
        || touched
            .iter()
            .chain(&removed)
            .any(|key| matches!(key.kind, Kind::Host | Kind::Runtime | Kind::Model | Kind::Policy));
    let mut memory = shared.memory();
    let world = Arc::clone(&memory.world);
    for key in removed {
        // No object has this generation: it ends what is under way for the last one, and a return is a change again.
        shared.controller.changed(&key, GONE);
    }
    if broad {
        // Tasks too: a policy that paused everything may have held them back.
        for object in world.of_kind(Kind::Loadout).chain(world.of_kind(Kind::Task)) {
            let key = object.document.key.clone();
            shared.controller.trigger(&key, Lane::Person, "something that it refers to changed");
        }
    }
    let keys: Vec<ObjectKey> = if broad { world.objects.keys().cloned().collect() } else { touched.to_vec() };
    memory.note_all(keys, now);
}

fn summary(assembly: &Assembly) -> String {
    summary_of(&assembly.changes, &assembly.world)
}

fn summary_of(changes: &crate::declare::world::assemble::Changes, world: &crate::declare::world::World) -> String {
    let mut parts = vec![count(world.objects.len(), "object")];
    for (n, word) in [
        (changes.added.len(), "added"),
        (changes.changed.len(), "changed"),
        (changes.removed.len(), "removed"),
        (changes.quarantined.len(), "quarantined"),
        (changes.held.len(), "held"),
    ] {
        if n > 0 {
            parts.push(format!("{n} {word}"));
        }
    }
    parts.join(", ")
}

fn report(shared: &Shared, outcome: &'static str, message: String, help: Option<String>) -> Report {
    report_of(&shared.memory().world.revision, outcome, message, help)
}

fn report_of(revision: &Option<Revision>, outcome: &'static str, message: String, help: Option<String>) -> Report {
    Report {
        outcome,
        message,
        help,
        revision: revision.as_ref().map(ToString::to_string),
        added: 0,
        changed: 0,
        removed: 0,
        quarantined: 0,
        held: 0,
        problems: Vec::new(),
    }
}
