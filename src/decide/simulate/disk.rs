//! The simulated disk: what was written stays, whatever ends the program. Writes reach it one after the other; one may be
//! refused, or be the last thing that the program did.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::core::{ObjectKey, Revision, Timestamp};
use crate::decide::reconcile::{Holding, ObjectHistory, Target, Verb};
use crate::declare::world::Object;

use super::ledger::Ledger;

/// What the program finds when it starts.
#[derive(Clone, Debug, Default)]
pub struct Tables {
    pub revision: Option<Revision>,
    pub objects: BTreeMap<ObjectKey, Arc<Object>>,
    /// Gone from Git, and still holding something.
    pub removed: BTreeMap<ObjectKey, Arc<Object>>,
    pub inventory: BTreeMap<ObjectKey, Vec<Holding>>,
    pub histories: BTreeMap<ObjectKey, ObjectHistory>,
    pub journal: BTreeMap<u64, Action>,
    pub audit: Vec<Audit>,
    /// How many revisions were put in force.
    pub applied: u64,
    /// What the dispatcher writes.
    pub ledger: Ledger,
}

/// An action in the journal.
#[derive(Clone, Debug, PartialEq)]
pub struct Action {
    pub object: ObjectKey,
    pub verb: Verb,
    pub target: Target,
    pub open: bool,
}

/// An entry of the audit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audit {
    pub verb: String,
    pub object: String,
    pub result: String,
    /// The mutation that it tells of.
    pub cause: String,
}

/// An object that is gone from the repository.
#[derive(Clone, Debug)]
pub struct Removal {
    pub object: Arc<Object>,
    /// Since when and by when what it made is undone; none when that is left alone.
    pub undo: Option<(Timestamp, Timestamp)>,
    /// What it holds besides what it is known to hold.
    pub holds: Vec<Holding>,
}

/// What the loop writes around plans. Each is one transaction.
#[derive(Clone, Debug)]
pub enum Write {
    Apply { revision: Revision, objects: Vec<Arc<Object>>, removed: Vec<Removal> },
    Hold { object: ObjectKey, holding: Holding },
    Release { object: ObjectKey, target: Target },
    Begin { id: u64, action: Action },
    Finish { id: u64, effect: Effect, audit: Option<Audit> },
    Note { object: ObjectKey, history: ObjectHistory },
}

impl Write {
    /// What it says in a trace; none for what is noted in passing.
    #[must_use]
    pub fn line(&self) -> Option<String> {
        Some(match self {
            Self::Apply { revision, .. } => format!("apply {revision}"),
            Self::Hold { object, holding } => format!("{object} holds {}", holding.target),
            Self::Release { object, target } => format!("{object} lets go of {target}"),
            Self::Begin { id, action } => {
                format!("{}: {} {} ({id})", action.object, action.verb.as_str(), action.target)
            }
            Self::Finish { id, audit, .. } => {
                format!("{id} ended: {}", audit.as_ref().map_or("", |audit| &audit.result))
            }
            Self::Note { .. } => return None,
        })
    }
}

/// What a finished action adds to the inventory or takes from it.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    Nothing,
    Hold(Holding),
    Release(Target),
}

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Written,
    /// There is no room; nothing was changed.
    Full,
    /// The program ended before it reached the disk, or right after.
    Crashed,
}

/// Tables, and the writes on their way to them.
#[derive(Clone, Debug)]
pub struct Disk<W> {
    pub tables: Tables,
    pub full: bool,
    /// The program ends at the so-many-th write from now on: before it, or after it.
    pub crash: Option<(u32, bool)>,
    waiting: VecDeque<W>,
}

impl<W> Default for Disk<W> {
    fn default() -> Self {
        Self { tables: Tables::default(), full: false, crash: None, waiting: VecDeque::new() }
    }
}

impl<W> Disk<W> {
    /// Hands a write over; it reaches the tables after those before it.
    pub fn push(&mut self, write: W) {
        self.waiting.push_back(write);
    }

    /// The next write with its fate. One that is written is to be put into the tables by the caller, also where the program
    /// ends right after it.
    pub fn pop(&mut self) -> Option<(W, Fate, bool)> {
        let write = self.waiting.pop_front()?;
        if let Some((left, after)) = &mut self.crash {
            if *left == 0 {
                let written = *after && !self.full;
                self.crash = None;
                return Some((write, Fate::Crashed, written));
            }
            *left -= 1;
        }
        if self.full { Some((write, Fate::Full, false)) } else { Some((write, Fate::Written, true)) }
    }

    /// The program ended: what had not reached the tables never will.
    pub fn lose(&mut self) {
        self.waiting.clear();
        self.crash = None;
    }

    /// Whether nothing is on its way.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty()
    }
}

impl Tables {
    /// Puts a write of the loop into the tables.
    pub fn put(&mut self, write: &Write) {
        match write {
            Write::Apply { revision, objects, removed } => self.apply(revision, objects, removed),
            Write::Hold { object, holding } => self.hold(object, holding),
            Write::Release { object, target } => self.release(object, target),
            Write::Begin { id, action } => drop(self.journal.insert(*id, action.clone())),
            Write::Finish { id, effect, audit } => {
                let Some(action) = self.journal.get_mut(id) else { return };
                action.open = false;
                let object = action.object.clone();
                match effect {
                    Effect::Nothing => {}
                    Effect::Hold(holding) => self.hold(&object, holding),
                    Effect::Release(target) => self.release(&object, target),
                }
                self.sweep();
                self.audit.extend(audit.clone());
            }
            Write::Note { object, history } => drop(self.histories.insert(object.clone(), history.clone())),
        }
    }

    fn apply(&mut self, revision: &Revision, objects: &[Arc<Object>], removed: &[Removal]) {
        for object in objects {
            let key = &object.document.key;
            self.removed.remove(key);
            for holding in self.inventory.get_mut(key).into_iter().flatten() {
                (holding.deleting_since, holding.deadline) = (None, None);
            }
            self.objects.insert(key.clone(), Arc::clone(object));
        }
        for removal in removed {
            self.bury(removal);
        }
        self.sweep();
        self.revision = Some(revision.clone());
        self.applied += 1;
        let (result, cause) = ("ok".to_owned(), format!("apply {}", self.applied));
        self.audit.push(Audit { verb: "apply".into(), object: revision.to_string(), result, cause });
    }

    fn bury(&mut self, removal: &Removal) {
        let key = &removal.object.document.key;
        self.objects.remove(key);
        let Some((since, deadline)) = removal.undo else {
            self.inventory.remove(key);
            return;
        };
        self.removed.insert(key.clone(), Arc::clone(&removal.object));
        for holding in &removal.holds {
            self.hold(key, holding);
        }
        for holding in self.inventory.get_mut(key).into_iter().flatten() {
            holding.deleting_since.get_or_insert(since);
            holding.deadline.get_or_insert(deadline);
        }
    }

    /// Forgets removed objects that hold nothing and for which nothing is under way.
    fn sweep(&mut self) {
        let (inventory, journal) = (&self.inventory, &self.journal);
        let under_way = |key: &ObjectKey| journal.values().any(|action| action.open && action.object == *key);
        self.removed.retain(|key, _| inventory.contains_key(key) || under_way(key));
    }

    fn hold(&mut self, object: &ObjectKey, holding: &Holding) {
        let holdings = self.inventory.entry(object.clone()).or_default();
        if holdings.iter().all(|held| held.target != holding.target) {
            holdings.push(holding.clone());
        }
    }

    fn release(&mut self, object: &ObjectKey, target: &Target) {
        if let Some(holdings) = self.inventory.get_mut(object) {
            holdings.retain(|held| held.target != *target);
            if holdings.is_empty() {
                self.inventory.remove(object);
            }
        }
        self.sweep();
    }
}
