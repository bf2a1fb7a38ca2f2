//! The order in which tasks run, and the lines they stand in.
//!
//! Tasks that ask for the same stand in one line; only the heads of lines are candidates. The order is a static key, so that
//! ageing costs nothing: a step of priority is a head start of one minute.

use std::hash::BuildHasher;
use std::sync::Arc;

use crate::core::Name;

use super::event::Request;
use super::hash::{ByHash, ForeignText};
use super::id::TaskSeq;
use super::lane::{Kind, LaneIx};
use super::options::Plan;
use super::queue::Queue;
use super::reason::Reason;
use super::table::{ModelIx, RuntimeIx};

pub(super) type LineIx = usize;

/// What one step of priority is worth.
pub const PRIORITY_STEP_MS: i64 = 60_000;

/// Lines without a task that are kept for the next one like those; beyond it they are forgotten.
const EMPTY_LINES_MAX: usize = 256;

/// The place of a task or a lease in the order: the smaller goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// When it came, on the steady clock, less its head start. Negative for what came before a restart.
    pub at: i64,
    pub seq: u64,
}

impl Key {
    #[must_use]
    pub fn new(submitted_ms: i64, priority: i32, seq: TaskSeq) -> Self {
        Self { at: submitted_ms.saturating_sub(i64::from(priority).saturating_mul(PRIORITY_STEP_MS)), seq: seq.0 }
    }
}

/// A place that could ever do a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Choice {
    pub runtime: RuntimeIx,
    pub model: Option<ModelIx>,
    /// Whether the task takes the GPU of that runtime for itself.
    pub exclusive: bool,
}

/// What tasks of one line have in common.
#[derive(Clone, Debug)]
pub(super) struct LineKey {
    pub chain: Arc<[String]>,
    pub runtime: Option<Name>,
    pub model: Option<Name>,
    pub exclusive: Option<bool>,
    pub force: bool,
    /// Only tasks of one priority stand in a line: batching compares priorities.
    pub priority: i32,
    /// How many of the distinct context lengths in force are too short for its input.
    pub contexts_too_short: usize,
    /// Expected size of the result in thousandths of a GB, up to the next power of two: one stands for its like.
    pub output_mb: u64,
}

/// What a line is found by, borrowed from a request.
#[derive(Hash, PartialEq)]
struct Wanted<'a> {
    chain: &'a [String],
    runtime: Option<&'a Name>,
    model: Option<&'a Name>,
    exclusive: Option<bool>,
    force: bool,
    priority: i32,
    contexts_too_short: usize,
    output_mb: u64,
}

impl LineKey {
    /// The line of a request, given the distinct context lengths in force, ascending.
    pub(super) fn of(request: &Request, contexts: &[u32]) -> Self {
        let wanted = Wanted::of(request, contexts);
        Self {
            chain: Arc::clone(&request.capability),
            runtime: request.runtime.clone(),
            model: request.model.clone(),
            exclusive: wanted.exclusive,
            force: wanted.force,
            priority: wanted.priority,
            contexts_too_short: wanted.contexts_too_short,
            output_mb: wanted.output_mb,
        }
    }

    /// Gives a request of this line what all of them ask for, in place of its own copy of it: there may be a million.
    pub(super) fn share(&self, request: &mut Request) {
        request.capability.clone_from(&self.chain);
        request.runtime.clone_from(&self.runtime);
        request.model.clone_from(&self.model);
    }

    fn wanted(&self) -> Wanted<'_> {
        Wanted {
            chain: &self.chain,
            runtime: self.runtime.as_ref(),
            model: self.model.as_ref(),
            exclusive: self.exclusive,
            force: self.force,
            priority: self.priority,
            contexts_too_short: self.contexts_too_short,
            output_mb: self.output_mb,
        }
    }
}

impl<'a> Wanted<'a> {
    fn of(request: &'a Request, contexts: &[u32]) -> Self {
        let tokens = request.input_tokens.unwrap_or(0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a size is positive; casts saturate"
        )]
        let output_mb = (request.output_gb.unwrap_or(0.0).max(0.0) * 1_000.0).ceil() as u64;
        Self {
            chain: &request.capability,
            runtime: request.runtime.as_ref(),
            model: request.model.as_ref(),
            exclusive: request.exclusive,
            force: request.force,
            priority: request.priority,
            contexts_too_short: contexts.partition_point(|context| *context < tokens),
            output_mb: if output_mb == 0 { 0 } else { output_mb.checked_next_power_of_two().unwrap_or(u64::MAX) },
        }
    }
}

/// A line of waiting tasks.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub key: LineKey,
    /// The chain, joined by ` > `.
    pub capability: Arc<str>,
    pub plan: Plan,
    pub waiting: Queue,
    /// Why its head waits, and which task was told so.
    pub reason: Option<(Reason, TaskSeq)>,
    /// Its head waits for the one GPU that it can share, which is full or closed: not looked at until there is room. The key
    /// under which it rests there.
    pub rests: Option<Key>,
    /// Where durations of its work are kept, once there are any.
    pub window: Option<usize>,
    /// Where its tasks stand among those of other lines, as long as there are any.
    pub lane: LaneIx,
    /// Whether the row is one of a line; otherwise it is free for a new one.
    in_use: bool,
}

impl Line {
    pub(super) fn head(&self) -> Option<Key> {
        self.waiting.first()
    }

    /// What its tasks have in common with those of other lines.
    pub(super) fn kind(&self) -> Kind {
        Kind { places: Arc::clone(&self.plan.places), window: self.window }
    }

    /// Whether any of its places takes a GPU for itself.
    pub(super) fn is_exclusive(&self) -> bool {
        self.plan.choices.iter().any(|choice| choice.exclusive)
    }

    /// The first one, with why it waits.
    pub(super) fn told(&self) -> Option<&Reason> {
        let head = self.head()?;
        self.reason.as_ref().filter(|(_, task)| task.0 == head.seq).map(|(reason, _)| reason)
    }
}

/// All lines, found by what their tasks have in common.
#[derive(Clone, Debug, Default)]
pub(super) struct Lines {
    rows: Vec<Line>,
    /// By the hash of their keys; those that share one stand in one row.
    by_key: ByHash<Vec<LineIx>>,
    hasher: ForeignText,
    free: Vec<LineIx>,
    /// Those that became empty; some may have a task again.
    empty: Vec<LineIx>,
}

impl Lines {
    /// The line of a request.
    pub(super) fn find(&self, request: &Request, contexts: &[u32]) -> Option<LineIx> {
        let wanted = Wanted::of(request, contexts);
        let candidates = self.by_key.get(&self.hasher.hash_one(&wanted))?;
        candidates.iter().copied().find(|ix| self.rows[*ix].key.wanted() == wanted)
    }

    pub(super) fn add(&mut self, key: LineKey, plan: Plan, window: Option<usize>) -> LineIx {
        let digest = self.hasher.hash_one(key.wanted());
        let line = Line {
            capability: super::options::chain(&key.chain),
            key,
            plan,
            waiting: Queue::default(),
            reason: None,
            rests: None,
            window,
            lane: 0,
            in_use: true,
        };
        let ix = match self.free.pop() {
            Some(ix) => {
                self.rows[ix] = line;
                ix
            }
            None => {
                self.rows.push(line);
                self.rows.len() - 1
            }
        };
        self.by_key.entry(digest).or_default().push(ix);
        ix
    }

    /// Notes that a line became empty, and forgets empty ones when there are many.
    pub(super) fn note_empty(&mut self, ix: LineIx) {
        self.empty.push(ix);
        if self.empty.len() <= EMPTY_LINES_MAX {
            return;
        }
        self.empty.sort_unstable();
        self.empty.dedup();
        for ix in std::mem::take(&mut self.empty) {
            if self.rows[ix].in_use && self.rows[ix].waiting.is_empty() {
                self.rows[ix].in_use = false;
                let digest = self.hasher.hash_one(self.rows[ix].key.wanted());
                if let Some(candidates) = self.by_key.get_mut(&digest) {
                    candidates.retain(|other| *other != ix);
                    if candidates.is_empty() {
                        self.by_key.remove(&digest);
                    }
                }
                self.free.push(ix);
            }
        }
    }

    /// Forgets every line. Who stood in one has to be put into a new one.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Every line that is kept, also those that are empty now.
    pub(super) fn kept(&mut self) -> impl Iterator<Item = &mut Line> {
        self.rows.iter_mut().filter(|line| line.in_use)
    }

    /// Lines in which tasks stand.
    pub(super) fn busy(&self) -> impl Iterator<Item = (LineIx, &Line)> {
        self.rows.iter().enumerate().filter(|(_, line)| !line.waiting.is_empty())
    }
}

impl std::ops::Index<LineIx> for Lines {
    type Output = Line;
    fn index(&self, ix: LineIx) -> &Line {
        &self.rows[ix]
    }
}

impl std::ops::IndexMut<LineIx> for Lines {
    fn index_mut(&mut self, ix: LineIx) -> &mut Line {
        &mut self.rows[ix]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_of_priority_is_a_minute_ahead() {
        let key = |ms, priority, seq| Key::new(ms, priority, TaskSeq(seq));
        assert!(key(59_999, 1, 9) < key(0, 0, 1));
        assert!(key(0, 0, 1) < key(60_000, 1, 9), "the same minute goes to the earlier acceptance");
        assert!(key(-5, 0, 3) < key(0, 0, 1), "what waited before a restart keeps its age");
    }

    #[test]
    fn lines_that_nobody_stands_in_are_forgotten_when_there_are_many() {
        let mut lines = Lines::default();
        let asks = |n: u64| {
            let mut request = crate::decide::scheduler::tests::request(1, "a");
            request.model = Some(Name::new(&format!("m{n}")).unwrap());
            request
        };
        let key = |n| LineKey::of(&asks(n), &[]);
        let kept = lines.add(key(0), Plan::default(), None);
        lines[kept].waiting.insert(Key { at: 0, seq: 1 });
        lines.note_empty(kept);
        for n in 1..10_000 {
            let ix = lines.add(key(n), Plan::default(), None);
            lines.note_empty(ix);
        }
        assert!(lines.rows.len() <= EMPTY_LINES_MAX + 2, "{} rows", lines.rows.len());
        assert_eq!(lines.find(&asks(0), &[]), Some(kept));
        assert_eq!(lines.find(&asks(1), &[]), None);
        assert_eq!(lines.busy().count(), 1);
    }
}
