//! What becomes of objects that are in force and gone from the revision.
//!
//! 1. What was held stays held until a commit says `Prune: confirm`.
//! 2. What a last good version still refers to is kept for it, and so is what that refers to in turn.
//! 3. The rest is removed, unless a guard objects: a revision without objects, a folder that lost all of its several
//!    objects, more removals than `pruneBudget` allows. A guard holds; it never lets go by itself.

use std::collections::{BTreeMap, BTreeSet};

use crate::core::ObjectKey;
use crate::core::text::count;
use crate::declare::manifest::kind::policy::PruneBudget;
use crate::declare::manifest::{Diagnostic, Document, Severity, Spec};

use super::candidate::{Candidate, State};
use super::object::Standing;
use super::problem::Problem;
use super::{code, policy, reference};

/// The command that lets held objects go.
pub const CONFIRM_COMMAND: &str = r#"git commit --allow-empty -m "Confirm the removal" --trailer "Prune: confirm""#;

/// Held objects that one warning names before it only says how many more there are.
const NAMES_LISTED_MAX: usize = 5;

/// From how many objects on the loss of a whole folder is held.
const FOLDER_OBJECTS_MIN: usize = 2;

/// What becomes of an object that is gone from the revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Remove,
    Retain { by: ObjectKey },
    Hold { reason: String },
}

/// The fate of every slot that is gone from the revision, none for the others; and what to say about it.
pub(super) struct Verdict {
    pub fates: Vec<Option<Fate>>,
    pub warnings: Vec<Diagnostic>,
}

/// Decides about everything that is gone.
pub(super) fn decide(world: &Candidate<'_>, confirmed: bool) -> Verdict {
    let gone: Vec<usize> = (0..world.slots.len()).filter(|at| is_gone(world, *at)).collect();
    let mut verdict = Verdict { fates: vec![None; world.slots.len()], warnings: Vec::new() };
    if gone.is_empty() {
        return verdict;
    }
    let mut held = if confirmed { BTreeMap::new() } else { held_before(world, &gone) };
    verdict.fates = kept(world, &held);
    if !confirmed {
        let proposed: Vec<usize> = gone.iter().copied().filter(|at| verdict.fates[*at].is_none()).collect();
        held.extend(guard(world, &proposed));
        // Told anew and not added to, so that the next look at the same revision comes to the very same.
        verdict.fates = kept(world, &held);
    }
    for &at in &gone {
        verdict.fates[at].get_or_insert(Fate::Remove);
    }
    verdict.warnings = warnings(world, &verdict.fates);
    verdict
}

fn is_gone(world: &Candidate<'_>, at: usize) -> bool {
    matches!(world.slots[at].state, State::Gone)
}

fn stands_on_last_good(world: &Candidate<'_>, at: usize) -> bool {
    matches!((&world.slots[at].state, world.slots[at].before), (State::Bad(_), Some(_)))
}

/// What was held and is still gone, with the reason that was given then.
fn held_before(world: &Candidate<'_>, gone: &[usize]) -> BTreeMap<usize, String> {
    let reason = |at: usize| match &world.slots[at].before?.standing {
        Standing::PruneHeld { reason } => Some((at, reason.clone())),
        Standing::Current | Standing::LastGood { .. } | Standing::Retained { .. } => None,
    };
    gone.iter().filter_map(|at| reason(*at)).collect()
}

/// The fates of what stays: what is held, and what last good versions and held objects need.
fn kept(world: &Candidate<'_>, held: &BTreeMap<usize, String>) -> Vec<Option<Fate>> {
    let mut fates = vec![None; world.slots.len()];
    for (at, reason) in held {
        fates[*at] = Some(Fate::Hold { reason: reason.clone() });
    }
    retain(world, (0..world.slots.len()).filter(|at| stands_on_last_good(world, *at)).collect(), &mut fates);
    retain(world, held.keys().copied().collect(), &mut fates);
    fates
}

/// Keeps what `keepers` refer to, and what that refers to in turn. The nearest keeper is named; of several equally
/// near ones the first by kind and name.
fn retain(world: &Candidate<'_>, keepers: BTreeSet<usize>, fates: &mut [Option<Fate>]) {
    let mut wave = keepers;
    while !wave.is_empty() {
        let mut next = BTreeSet::new();
        for &by in &wave {
            let Some(keeper) = world.slots[by].before else { continue };
            reference::each(&keeper.document, &mut |_, kind, name| {
                let Some(&at) = world.index.get(&(kind, name)) else { return };
                if is_gone(world, at) && fates[at].is_none() {
                    fates[at] = Some(Fate::Retain { by: world.slots[by].key.clone() });
                    next.insert(at);
                }
            });
        }
        wave = next;
    }
}

/// Which of the proposed removals the guards hold, and why.
fn guard(world: &Candidate<'_>, proposed: &[usize]) -> BTreeMap<usize, String> {
    let all = |reason: &str| proposed.iter().map(|at| (*at, reason.to_owned())).collect();
    if proposed.is_empty() {
        return BTreeMap::new();
    }
    if !world.slots.iter().any(|slot| declared(slot).is_some()) {
        return all("the revision declares no object at all");
    }
    let mut held = over_budget(world, proposed).map_or_else(BTreeMap::new, |reason| all(&reason));
    held.extend(lost_folders(world, proposed));
    held
}

/// The document that the revision itself declares and that is in order or at least readable.
fn declared<'a>(slot: &super::candidate::Slot<'a>) -> Option<&'a Document> {
    match &slot.state {
        State::Good(document) => Some(document),
        State::Bad(_) => slot.before.map(|object| object.document.as_ref()),
        State::Gone => None,
    }
}

fn over_budget(world: &Candidate<'_>, proposed: &[usize]) -> Option<String> {
    let in_force = world
        .slots
        .iter()
        .filter(|slot| slot.before.is_some_and(|object| !matches!(object.standing, Standing::PruneHeld { .. })));
    let total = in_force.count();
    let budget = stricter(budget_before(world), budget_after(world), total);
    let allowed = budget.allowed(total);
    (proposed.len() > allowed).then(|| {
        let removed = count(proposed.len(), "object");
        format!("the revision removes {removed} of {total}, and pruneBudget ({budget}) allows {allowed}")
    })
}

fn stricter(a: PruneBudget, b: PruneBudget, total: usize) -> PruneBudget {
    if b.allowed(total) < a.allowed(total) { b } else { a }
}

fn budget_before(world: &Candidate<'_>) -> PruneBudget {
    let documents = world.slots.iter().filter_map(|slot| Some(&*slot.before?.document));
    policy::for_all(policies(documents)).prune_budget
}

fn budget_after(world: &Candidate<'_>) -> PruneBudget {
    policy::for_all(policies(world.slots.iter().filter_map(|slot| slot.effective()))).prune_budget
}

fn policies<'a>(documents: impl Iterator<Item = &'a Document>) -> impl Iterator<Item = policy::Named<'a>> {
    documents.filter_map(|document| match &document.spec {
        Spec::Policy(spec) => Some((&document.key.name, spec)),
        _ => None,
    })
}

fn lost_folders(world: &Candidate<'_>, proposed: &[usize]) -> BTreeMap<usize, String> {
    let mut had: BTreeMap<&str, usize> = BTreeMap::new();
    let mut has: BTreeSet<&str> = world.unreadable_places().map(|place| top_folder(&place.path)).collect();
    for slot in &world.slots {
        if let Some(object) = slot.before.filter(|object| !matches!(object.standing, Standing::PruneHeld { .. })) {
            *had.entry(top_folder(&object.document.place.path)).or_default() += 1;
        }
        match &slot.state {
            State::Good(document) => has.insert(top_folder(&document.place.path)),
            State::Bad(place) => has.insert(top_folder(&place.path)),
            State::Gone => false,
        };
    }
    let mut held = BTreeMap::new();
    for &at in proposed {
        let Some(before) = world.slots[at].before else { continue };
        let folder = top_folder(&before.document.place.path);
        let count_before = had.get(folder).copied().unwrap_or_default();
        if count_before >= FOLDER_OBJECTS_MIN && !has.contains(folder) {
            held.insert(at, format!("nothing is left of the folder `{folder}/`, which had {count_before} objects"));
        }
    }
    held
}

/// The first segment of a path; empty for a file that stands in no folder.
fn top_folder(path: &str) -> &str {
    path.split_once('/').map_or("", |(folder, _)| folder)
}

fn warnings(world: &Candidate<'_>, fates: &[Option<Fate>]) -> Vec<Diagnostic> {
    let mut warnings = Vec::new();
    let mut held: BTreeMap<&str, Vec<&Document>> = BTreeMap::new();
    for (slot, fate) in world.slots.iter().zip(fates) {
        let Some(document) = slot.before.map(|object| &*object.document) else { continue };
        match fate {
            Some(Fate::Hold { reason }) => held.entry(reason).or_default().push(document),
            Some(Fate::Retain { by }) => warnings.push(retained(document, by)),
            Some(Fate::Remove) | None => {}
        }
    }
    warnings.extend(held.into_iter().map(|(reason, documents)| held_back(reason, &documents)));
    warnings
}

fn held_back(reason: &str, documents: &[&Document]) -> Diagnostic {
    let mut names: Vec<_> = documents.iter().take(NAMES_LISTED_MAX).map(|document| document.key.to_string()).collect();
    if documents.len() > NAMES_LISTED_MAX {
        names.push(format!("and {} more", documents.len() - NAMES_LISTED_MAX));
    }
    let what = if documents.len() == 1 { "1 object is" } else { &format!("{} objects are", documents.len()) };
    let message = format!("{what} gone from Git but held in force: {reason} ({})", names.join(", "));
    Problem::at("metadata.name", message)
        .label("stood here")
        .help(format_args!("if they are to go, say so: {CONFIRM_COMMAND}; if not, restore their manifests"))
        .locate(documents[0], &code::PRUNE_HELD, Severity::Warning)
}

fn retained(document: &Document, by: &ObjectKey) -> Diagnostic {
    Problem::at("metadata.name", format_args!("{} is gone from Git, but {by} as it is in force needs it", document.key))
        .label("stood here")
        .help(format_args!("it goes as soon as {by} is mended or goes; nothing needs to be done for it"))
        .locate(document, &code::RETAINED, Severity::Warning)
}
