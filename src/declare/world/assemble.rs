//! Assembles the world in force from a revision's files and what was in force before.
//!
//! 1. What the revision has under each name (`presence`): a good version, a broken one, or none.
//! 2. Which of the good versions the rules let through (`settle`).
//! 3. What becomes of the objects that are gone (`prune`): removed, kept for one that needs them, or held by a guard.
//! 4. The new world and how it differs from the one before. What did not change is the same `Arc` as before.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::core::{Commit, ObjectKey, Revision};
use crate::declare::manifest::{Broken, Diagnostic, Document, ParsedFile, Severity};

use super::candidate::{Candidate, Slot, State};
use super::object::{Object, Standing};
use super::prune::{self, Fate};
use super::{World, presence, salvage, settle};

/// All that assembling looks at.
pub struct Inputs<'a> {
    pub revision: Revision,
    /// Every manifest file of the revision, by path.
    pub files: &'a BTreeMap<Arc<str>, Arc<ParsedFile>>,
    /// The objects in force before.
    pub in_force: &'a BTreeMap<ObjectKey, Arc<Object>>,
    /// The commit that last changed a path; none when that is older than the history that was looked at.
    pub commit_of: &'a dyn Fn(&str) -> Option<Commit>,
    /// Whether the revision has a file at a path, manifest or not.
    pub exists: &'a dyn Fn(&str) -> bool,
    /// A commit between the one in force and this one carries the trailer `Prune: confirm`.
    pub prune_confirmed: bool,
}

/// The new world, and how it differs from the one before.
#[derive(Clone, Debug)]
pub struct Assembly {
    pub world: World,
    pub changes: Changes,
}

/// How a world differs from the one before. All lists are sorted by kind and name.
///
/// `added`, `changed` and `removed` are about what is in force, and call for work. The others are about how objects in
/// force stand to the revision; each names only those that stood otherwise before.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changes {
    /// In force now and not before.
    pub added: Vec<ObjectKey>,
    /// In force with another spec than before.
    pub changed: Vec<ObjectKey>,
    /// No longer in force.
    pub removed: Vec<Arc<Object>>,
    /// Now held by a prune guard.
    pub held: Vec<ObjectKey>,
    /// Now kept because another object still refers to it.
    pub retained: Vec<ObjectKey>,
    /// Now standing on the last good version. Broken objects that have none are in [`World::broken`].
    pub quarantined: Vec<ObjectKey>,
    /// Current again.
    pub mended: Vec<ObjectKey>,
    /// In force with the same spec, but text, place or standing differ: to be written down, nothing to be done.
    pub touched: Vec<ObjectKey>,
}

impl Changes {
    /// True when nothing at all differs, not even what only needs writing down.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The world in force after `inputs.revision`, and how it differs from the one before.
#[must_use]
pub fn assemble(inputs: &Inputs<'_>) -> Assembly {
    let mut candidate = presence::read(inputs.files, inputs.in_force, inputs.exists);
    settle::settle(&mut candidate);
    let verdict = prune::decide(&candidate, inputs.prune_confirmed);
    let mut world = World { revision: Some(inputs.revision.clone()), ..World::default() };
    let mut changes = Changes::default();
    let mut objects = Vec::with_capacity(candidate.slots.len());
    for (slot, fate) in candidate.slots.iter().zip(&verdict.fates) {
        match in_force_now(slot, fate.as_ref(), inputs) {
            Some(object) => {
                changes.note(slot, &object);
                objects.push((slot.key.clone(), object));
            }
            None => changes.removed.extend(slot.before.cloned()),
        }
    }
    world.objects = objects.into_iter().collect();
    world.broken = broken(&candidate);
    world.diagnostics = diagnostics(&mut candidate, inputs.files, verdict.warnings);
    Assembly { world, changes }
}

/// Every diagnostic of the manifest files at `files` by themselves, with no world before: what `validate` says.
#[must_use]
pub fn check(files: &BTreeMap<Arc<str>, Arc<ParsedFile>>, exists: &dyn Fn(&str) -> bool) -> Vec<Diagnostic> {
    let in_force = BTreeMap::new();
    let mut candidate = presence::read(files, &in_force, exists);
    settle::settle(&mut candidate);
    diagnostics(&mut candidate, files, Vec::new())
}

/// The object in force under this name from now on.
fn in_force_now(slot: &Slot<'_>, fate: Option<&Fate>, inputs: &Inputs<'_>) -> Option<Arc<Object>> {
    match (&slot.state, slot.before, fate) {
        (State::Good(document), None, _) => Some(Arc::new(Object {
            document: Arc::clone(document),
            generation: 1,
            asked_by: (inputs.commit_of)(&document.place.path),
            revision: Some(inputs.revision.clone()),
            standing: Standing::Current,
        })),
        (State::Good(document), Some(before), _) => Some(renewed(before, document, inputs)),
        (State::Bad(_), Some(before), _) => {
            let errors = slot.findings.iter().filter(|finding| finding.severity == Severity::Error);
            Some(restated(before, Standing::LastGood { diagnostics: errors.cloned().collect() }))
        }
        (State::Gone, Some(before), Some(Fate::Retain { by })) => {
            Some(restated(before, Standing::Retained { by: by.clone() }))
        }
        (State::Gone, Some(before), Some(Fate::Hold { reason })) => {
            Some(restated(before, Standing::PruneHeld { reason: reason.clone() }))
        }
        (State::Gone, _, _) | (State::Bad(_), None, _) => None,
    }
}

/// The object with the revision's version of it. The same text keeps who asked for it, wherever it stands now.
fn renewed(before: &Arc<Object>, document: &Arc<Document>, inputs: &Inputs<'_>) -> Arc<Object> {
    let old = &before.document;
    if Arc::ptr_eq(old, document) || (old.place == document.place && same_version(old, document)) {
        return restated(before, Standing::Current);
    }
    let same_spec = old.digest == document.digest;
    let same_text = same_version(old, document);
    Arc::new(Object {
        document: Arc::clone(document),
        generation: if same_spec { before.generation } else { before.generation + 1 },
        asked_by: if same_text { before.asked_by.clone() } else { (inputs.commit_of)(&document.place.path) },
        revision: if same_text { before.revision.clone() } else { Some(inputs.revision.clone()) },
        standing: Standing::Current,
    })
}

fn same_version(old: &Document, new: &Document) -> bool {
    old.digest == new.digest && old.labels == new.labels && old.text == new.text
}

/// The same version with another standing; the same `Arc` when it stood so before.
fn restated(before: &Arc<Object>, standing: Standing) -> Arc<Object> {
    if before.standing == standing {
        return Arc::clone(before);
    }
    Arc::new(Object { standing, ..(**before).clone() })
}

impl Changes {
    fn note(&mut self, slot: &Slot<'_>, now: &Arc<Object>) {
        let key = || slot.key.clone();
        let Some(before) = slot.before else {
            self.added.push(key());
            return;
        };
        if Arc::ptr_eq(before, now) {
            return;
        }
        if before.document.digest == now.document.digest {
            self.touched.push(key());
        } else {
            self.changed.push(key());
        }
        if std::mem::discriminant(&before.standing) == std::mem::discriminant(&now.standing) {
            return;
        }
        match now.standing {
            Standing::Current => self.mended.push(key()),
            Standing::LastGood { .. } => self.quarantined.push(key()),
            Standing::Retained { .. } => self.retained.push(key()),
            Standing::PruneHeld { .. } => self.held.push(key()),
        }
    }
}

/// What is broken and has no earlier version to stand on.
fn broken(candidate: &Candidate<'_>) -> Vec<Broken> {
    let named = candidate.slots.iter().filter_map(|slot| match (&slot.state, slot.before) {
        (State::Bad(place), None) => {
            let (key, place) = (Some(slot.key.clone()), place.clone());
            Some(Broken { key, meant: None, place, diagnostics: slot.findings.clone() })
        }
        _ => None,
    });
    // An unnamed one stands for what came from its file; only where nothing did is nothing of it in force.
    let stood_for: BTreeSet<&str> = candidate
        .slots
        .iter()
        .filter(|slot| matches!(slot.state, State::Bad(_)))
        .filter_map(|slot| Some(&*slot.before?.document.place.path))
        .collect();
    let unnamed = candidate.unreadable.iter().filter(|broken| !stood_for.contains(&*broken.place.path));
    let mut all: Vec<_> = named.chain(unnamed.map(|broken| (*broken).clone())).collect();
    all.sort_by(|a, b| a.place.cmp(&b.place));
    all
}

/// Every diagnostic of the revision once, with what can be told of broken documents beyond their form, in the order in which a person reads: by file, line and column.
fn diagnostics(
    candidate: &mut Candidate<'_>,
    files: &BTreeMap<Arc<str>, Arc<ParsedFile>>,
    warnings: Vec<Diagnostic>,
) -> Vec<Diagnostic> {
    let mut all = warnings;
    for file in files.values() {
        all.extend(file.broken.iter().flat_map(|broken| &broken.diagnostics).cloned());
        all.extend_from_slice(&file.warnings);
    }
    for slot in &mut candidate.slots {
        all.append(&mut slot.findings);
    }
    all.extend(salvage::findings(candidate, files));
    all.sort_by(|a, b| (&a.path, a.span, a).cmp(&(&b.path, b.span, b)));
    all.dedup();
    all
}
