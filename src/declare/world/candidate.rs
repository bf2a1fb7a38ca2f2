//! The world as it would be: every object's newest version beside its last good one, while rules are still deciding.
//!
//! Objects stand in slots sorted by key, so that everything that walks over them is in the same order every time; the
//! hash map beside them is only ever asked for one key.

use std::cell::{Cell, OnceCell};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;
use std::ops::Range;
use std::sync::Arc;

use crate::core::{Kind, ObjectKey};
use crate::declare::manifest::kind::capability;
use crate::declare::manifest::{Broken, Diagnostic, Document, Place, Salvaged, Spec};

use super::object::Object;

/// What the revision has under a name.
#[derive(Clone, Debug)]
pub enum State<'a> {
    /// A version that nothing speaks against, so far.
    Good(&'a Arc<Document>),
    /// A version that cannot be used; it stands at this place. The one before, if any, stays in force.
    Bad(Place),
    /// Nothing.
    Gone,
}

/// One name: what is in force, what the revision has, and what was found.
#[derive(Debug)]
pub struct Slot<'a> {
    pub key: &'a ObjectKey,
    pub before: Option<&'a Arc<Object>>,
    pub state: State<'a>,
    /// What is wrong with the revision's version; errors make it [`State::Bad`].
    pub findings: Vec<Diagnostic>,
}

impl<'a> Slot<'a> {
    /// The version that others refer to: the revision's, or the last good one where that is broken.
    #[must_use]
    pub fn effective(&self) -> Option<&'a Document> {
        match &self.state {
            State::Good(document) => Some(&***document),
            State::Bad(_) => self.before.map(|object| object.document.as_ref()),
            State::Gone => None,
        }
    }
}

/// A document with the slot it stands in.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    pub slot: usize,
    pub document: &'a Document,
    /// Set for what was read of a broken document, which stands in no slot: some of its values are stand-ins.
    pub salvaged: Option<&'a Salvaged>,
}

impl<'a> Subject<'a> {
    /// A document without any problem of its own.
    #[must_use]
    pub fn whole(slot: usize, document: &'a Document) -> Self {
        Self { slot, document, salvaged: None }
    }

    /// What could be read of a broken document.
    #[must_use]
    pub fn salvaged(salvaged: &'a Salvaged) -> Self {
        Self { slot: usize::MAX, document: salvaged.document(), salvaged: Some(salvaged) }
    }

    /// Whether the value at `path` is what the text says, leaving aside what is inside it. A rule that looks at more
    /// than the place at which it tells something asks this first.
    #[must_use]
    pub fn reads(&self, path: impl Display) -> bool {
        self.salvaged.is_none_or(|salvaged| salvaged.reads(path))
    }

    /// Whether the value at `path` is what the text says, with all that is inside it.
    #[must_use]
    pub fn reads_all_of(&self, path: impl Display) -> bool {
        self.salvaged.is_none_or(|salvaged| salvaged.reads_all_of(path))
    }

    /// Whether what seems to be missing cannot stand elsewhere in the text, out of place. A rule asks this before it
    /// says that something is missing.
    #[must_use]
    pub fn nothing_astray(&self) -> bool {
        self.salvaged.is_none_or(Salvaged::nothing_astray)
    }
}

/// What a name leads to.
#[derive(Clone, Debug)]
pub enum Found<'a> {
    Present(&'a Document),
    /// Broken at this place, and no earlier version to fall back on.
    Broken(&'a Place),
    /// Not in the revision. Whether it once was is left out, so that the same revision is always told the same.
    Unknown,
}

/// The world as it would be.
pub struct Candidate<'a> {
    pub(super) slots: Vec<Slot<'a>>,
    pub(super) index: HashMap<(Kind, &'a str), usize>,
    /// Documents whose name could not be read: they might be what somebody refers to.
    pub(super) unreadable: Vec<&'a Broken>,
    /// Of those, where the ones stand that seem to be somebody's.
    meant: HashMap<(Kind, &'a str), &'a Place>,
    exists: &'a dyn Fn(&str) -> bool,
    offers: OnceCell<BTreeMap<&'a str, Vec<&'a str>>>,
    /// How many more objects may be looked through to word a helpful message.
    searches_left: Cell<usize>,
}

/// How many objects are looked through for suggestions in all, so that one mistake that breaks ten thousand objects
/// is told in a moment. Whatever is told after that is told without suggestions.
const SEARCHES_MAX: usize = 200_000;

impl<'a> Candidate<'a> {
    /// `slots` must be sorted by key, and `index` lead to them.
    pub(super) fn new(
        slots: Vec<Slot<'a>>,
        index: HashMap<(Kind, &'a str), usize>,
        unreadable: Vec<&'a Broken>,
        exists: &'a dyn Fn(&str) -> bool,
    ) -> Self {
        debug_assert!(slots.windows(2).all(|pair| pair[0].key < pair[1].key), "slots are sorted by key");
        let meant = |broken: &&'a Broken| {
            let (key, place) = (broken.meant.as_ref()?, &broken.place);
            Some(((key.kind, key.name.as_str()), place))
        };
        let meant = unreadable.iter().rev().filter_map(meant).collect();
        Self {
            slots,
            index,
            unreadable,
            meant,
            exists,
            offers: OnceCell::new(),
            searches_left: Cell::new(SEARCHES_MAX),
        }
    }

    /// Where the documents stand whose name could not be read.
    pub fn unreadable_places(&self) -> impl Iterator<Item = &'a Place> + '_ {
        self.unreadable.iter().map(|broken| &broken.place)
    }

    /// Whether the repository has a file at `path` in this revision.
    #[must_use]
    pub fn file_exists(&self, path: &str) -> bool {
        (self.exists)(path)
    }

    /// The version of an object that others refer to.
    #[must_use]
    pub fn get(&self, kind: Kind, name: &str) -> Option<&'a Document> {
        self.slots[*self.index.get(&(kind, name))?].effective()
    }

    /// What a name leads to, with the reason where that is nothing.
    #[must_use]
    pub fn find(&self, kind: Kind, name: &str) -> Found<'_> {
        let slot = self.index.get(&(kind, name)).map(|at| &self.slots[*at]);
        match slot.map(|slot| (&slot.state, slot.effective())) {
            Some((_, Some(document))) => Found::Present(document),
            Some((State::Bad(place), None)) => Found::Broken(place),
            Some((State::Gone | State::Good(_), None)) | None => {
                self.meant.get(&(kind, name)).map_or(Found::Unknown, |place| Found::Broken(place))
            }
        }
    }

    /// The slots of a kind.
    #[must_use]
    pub fn range(&self, kind: Kind) -> Range<usize> {
        let start = self.slots.partition_point(|slot| slot.key.kind < kind);
        let end = self.slots.partition_point(|slot| slot.key.kind <= kind);
        start..end
    }

    /// Every object of a kind in the version that others refer to, by name.
    pub fn of_kind(&self, kind: Kind) -> impl Iterator<Item = Subject<'a>> + '_ {
        self.range(kind).filter_map(|slot| Some(Subject::whole(slot, self.slots[slot].effective()?)))
    }

    /// Whether the subject is the revision's own version, so that it can still be refused.
    #[must_use]
    pub fn is_good(&self, slot: usize) -> bool {
        matches!(self.slots[slot].state, State::Good(_))
    }

    /// The names of a kind for a suggestion; none when enough was searched for this revision.
    #[must_use]
    pub fn names_for_help(&self, kind: Kind) -> Vec<&'a str> {
        let cost = self.range(kind).len();
        let Some(left) = self.searches_left.get().checked_sub(cost) else { return Vec::new() };
        self.searches_left.set(left);
        self.of_kind(kind).map(|subject| subject.document.key.name.as_str()).collect()
    }

    /// Which runtimes offer which capability, both by name.
    ///
    /// Asked only by rules of kinds that come after Runtime: by then the runtimes are settled.
    #[must_use]
    pub fn offers(&self) -> &BTreeMap<&'a str, Vec<&'a str>> {
        self.offers.get_or_init(|| {
            let mut offers: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
            for subject in self.of_kind(Kind::Runtime) {
                if let Spec::Runtime(spec) = &subject.document.spec {
                    for name in capability::offered_by(spec) {
                        offers.entry(name).or_default().push(subject.document.key.name.as_str());
                    }
                }
            }
            offers
        })
    }
}

/// Typed access: `world.runtime("swap")`.
macro_rules! typed_access {
    ($($one:ident, $kind:ident, $spec:path);* $(;)?) => {
        impl<'a> Candidate<'a> {
            $(
                /// The spec that others refer to under this name.
                #[must_use]
                pub fn $one(&self, name: &str) -> Option<&'a $spec> {
                    match &self.get(Kind::$kind, name)?.spec { Spec::$kind(spec) => Some(spec), _ => None }
                }
            )*
        }
    };
}

typed_access! {
    host, Host, crate::declare::manifest::kind::host::HostSpec;
    runtime, Runtime, crate::declare::manifest::kind::runtime::RuntimeSpec;
    model, Model, crate::declare::manifest::kind::model::ModelSpec;
    blueprint, Blueprint, crate::declare::manifest::kind::blueprint::BlueprintSpec;
    golden_set, GoldenSet, crate::declare::manifest::kind::golden_set::GoldenSetSpec;
}
