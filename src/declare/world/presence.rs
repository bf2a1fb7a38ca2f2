//! What a revision has under each name: a good version, a broken one, several, or none.
//!
//! A broken document whose name could be read speaks for that name. One whose name could not be read speaks for
//! whatever came from its file before and stands nowhere else now: those objects keep their last good version.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::core::{Kind, ObjectKey};
use crate::declare::manifest::{Broken, Document, ParsedFile, Place, Severity};

use super::candidate::{Candidate, Slot, State};
use super::code;
use super::object::Object;
use super::problem::Problem;

/// One document that speaks for a name.
#[derive(Clone, Copy)]
enum Claim<'a> {
    Good(&'a Arc<Document>),
    Broken(&'a Broken),
}

impl<'a> Claim<'a> {
    fn place(self) -> &'a Place {
        match self {
            Self::Good(document) => &document.place,
            Self::Broken(broken) => &broken.place,
        }
    }
}

/// Lays what the revision has beside what is in force.
pub(super) fn read<'a>(
    files: &'a BTreeMap<Arc<str>, Arc<ParsedFile>>,
    in_force: &'a BTreeMap<ObjectKey, Arc<Object>>,
    exists: &'a dyn Fn(&str) -> bool,
) -> Candidate<'a> {
    let mut table = Table::new(in_force);
    let mut unreadable: Vec<&Broken> = Vec::new();
    for file in files.values() {
        for document in &file.documents {
            table.claim(&document.key, Claim::Good(document));
        }
        for broken in &file.broken {
            match &broken.key {
                Some(key) => table.claim(key, Claim::Broken(broken)),
                None => unreadable.push(broken),
            }
        }
    }
    table.settle_contested();
    table.keep_what_came_from(&unreadable);
    let (slots, index) = table.sorted();
    Candidate::new(slots, index, unreadable, exists)
}

/// The slots while claims come in.
struct Table<'a> {
    slots: Vec<Slot<'a>>,
    index: HashMap<(Kind, &'a str), usize>,
    /// Names that more than one document speaks for, by slot.
    contested: BTreeMap<usize, Vec<Claim<'a>>>,
    /// True when a slot was added behind those that were sorted.
    unsorted: bool,
}

impl<'a> Table<'a> {
    fn new(in_force: &'a BTreeMap<ObjectKey, Arc<Object>>) -> Self {
        let slots: Vec<_> = in_force
            .iter()
            .map(|(key, object)| Slot { key, before: Some(object), state: State::Gone, findings: Vec::new() })
            .collect();
        Self { index: index_of(&slots), slots, contested: BTreeMap::new(), unsorted: false }
    }

    fn claim(&mut self, key: &'a ObjectKey, claim: Claim<'a>) {
        let slots = &mut self.slots;
        let at = *self.index.entry((key.kind, key.name.as_str())).or_insert_with(|| {
            slots.push(Slot { key, before: None, state: State::Gone, findings: Vec::new() });
            self.unsorted = true;
            slots.len() - 1
        });
        let slot = &mut self.slots[at];
        if let State::Gone = slot.state {
            match claim {
                Claim::Good(document) => slot.state = State::Good(document),
                Claim::Broken(broken) => {
                    slot.state = State::Bad(broken.place.clone());
                    slot.findings.clone_from(&broken.diagnostics);
                    // Kept apart, because a second claim must know of this one.
                    self.contested.entry(at).or_default().push(claim);
                }
            }
            return;
        }
        let claims = self.contested.entry(at).or_default();
        if let State::Good(first) = slot.state
            && claims.is_empty()
        {
            claims.push(Claim::Good(first));
        }
        claims.push(claim);
    }

    /// A name that several documents speak for belongs to none of them.
    fn settle_contested(&mut self) {
        for (at, mut claims) in std::mem::take(&mut self.contested) {
            claims.sort_by_key(|claim| claim.place());
            let [first, .., _] = claims[..] else { continue };
            let slot = &mut self.slots[at];
            slot.state = State::Bad(first.place().clone());
            slot.findings.clear();
            for claim in &claims {
                if let Claim::Broken(broken) = claim {
                    slot.findings.extend_from_slice(&broken.diagnostics);
                }
            }
            // Told at every document but the first; at that too when another is broken, which nobody can point into.
            let told_at_first = claims.iter().any(|claim| good(claim).is_none());
            for (at, document) in claims.iter().enumerate().filter_map(|(at, claim)| Some((at, good(claim)?))) {
                if at > 0 || told_at_first {
                    let other = if at > 0 { first } else { claims[1] };
                    slot.findings.push(duplicate(document, other.place()));
                }
            }
        }
    }

    /// Objects that came from a file which now has a document nobody can name, and that stand nowhere else, stay.
    fn keep_what_came_from(&mut self, unreadable: &[&'a Broken]) {
        let mut by_path: BTreeMap<&str, Vec<&Broken>> = BTreeMap::new();
        for broken in unreadable {
            by_path.entry(&broken.place.path).or_default().push(broken);
        }
        if by_path.is_empty() {
            return;
        }
        for slot in &mut self.slots {
            let (State::Gone, Some(before)) = (&slot.state, slot.before) else { continue };
            // A whole folder can become unreadable, when a link or a submodule takes its place.
            let path = &*before.document.place.path;
            let folders = path.match_indices('/').map(|(end, _)| &path[..end]);
            if let Some(broken) = folders.chain([path]).find_map(|part| by_path.get(part)) {
                slot.state = State::Bad(broken[0].place.clone());
                slot.findings = broken.iter().flat_map(|broken| broken.diagnostics.iter().cloned()).collect();
            }
        }
    }

    fn sorted(mut self) -> (Vec<Slot<'a>>, HashMap<(Kind, &'a str), usize>) {
        if self.unsorted {
            self.slots.sort_by_key(|slot| slot.key);
            self.index = index_of(&self.slots);
        }
        (self.slots, self.index)
    }
}

fn index_of<'a>(slots: &[Slot<'a>]) -> HashMap<(Kind, &'a str), usize> {
    slots.iter().enumerate().map(|(at, slot)| ((slot.key.kind, slot.key.name.as_str()), at)).collect()
}

fn good<'a>(claim: &Claim<'a>) -> Option<&'a Arc<Document>> {
    match claim {
        Claim::Good(document) => Some(document),
        Claim::Broken(_) => None,
    }
}

fn duplicate(document: &Document, other: &Place) -> crate::declare::manifest::Diagnostic {
    let key = &document.key;
    Problem::at("metadata.name", format_args!("{} `{}` is declared twice, here and at {other}", key.kind, key.name))
        .label(format_args!("also declared at {other}"))
        .help("remove one of them, or give it another name; until then neither is used")
        .locate(document, &code::DUPLICATE, Severity::Error)
}
