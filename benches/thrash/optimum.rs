//! The best that could have been done: an exact search over every schedule of a small piece of work.
//!
//! What is searched: when to start which task, when to load which model, and which idle models to unload for it, with full
//! knowledge of what will come. What holds for every schedule, as it does for ours:
//!
//! - a slot holds one task, a task uses its model throughout, nothing is interrupted;
//! - a load begins only when a task that needs it has come; it takes its time, plus that of an unload when something has to
//!   go first; what is loaded or on its way fits into the memory;
//! - tasks of one model are done in the order in which they came;
//! - things begin when something ends or comes (beginning later never helps, since nothing changes in between).
//!
//! [`Aim::Waiting`] finds the least waiting of all tasks together, and may leave a slot idle to do so. [`Aim::Loads`] finds
//! the fewest loads among schedules that are never idle for nothing: while a slot is free, a task that can start does, and
//! when none can, a load is under way. Without that, waiting for the last task to come would always win.

use std::collections::HashMap;

/// A model: GB and milliseconds to load.
pub type Model = (f64, u64);

/// What is to be done, in milliseconds.
#[derive(Clone, Debug)]
pub struct Problem {
    pub models: Vec<Model>,
    pub room_gb: f64,
    pub slots: usize,
    pub unload_ms: u64,
    /// For each model, its tasks in order: when they come, and how long they take.
    pub tasks: Vec<Vec<(u64, u64)>>,
}

/// What is to be as small as can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aim {
    /// Milliseconds between a task's coming and its start, all together.
    Waiting,
    Loads,
}

/// The most models and slots of a problem.
pub const MODELS_MAX: usize = 6;
pub const SLOTS_MAX: usize = 2;

/// Where a schedule stands. Small and without pointers, because millions of them are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Node {
    now: u32,
    /// Tasks of each model that were started.
    started: [u8; MODELS_MAX],
    /// When running tasks end, and their models, sorted; the free slots first.
    running: [(u32, u8); SLOTS_MAX],
    models: [State; MODELS_MAX],
}

/// Where a model stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum State {
    Absent,
    /// On its way in until then.
    Loading(u32),
    /// Loaded, and not used since.
    Fresh,
    Used,
}

const FREE: (u32, u8) = (0, u8::MAX);

/// The least cost of all schedules. None when more than `nodes_max` situations would have to be looked at.
pub fn least(problem: &Problem, aim: Aim, nodes_max: usize) -> Option<u64> {
    assert!(problem.models.len() <= MODELS_MAX && problem.slots <= SLOTS_MAX, "the problem is small");
    let first = problem.tasks.iter().flatten().map(|task| task.0).min()?;
    let root = Node {
        now: millis(first),
        started: [0; MODELS_MAX],
        running: [FREE; SLOTS_MAX],
        models: [State::Absent; MODELS_MAX],
    };
    let mut search = Search { problem, aim, known: HashMap::new(), nodes_max };
    search.cost(root)
}

/// Times of a small problem fit into 32 bits: weeks.
fn millis(time: u64) -> u32 {
    u32::try_from(time).expect("a small problem is short")
}

struct Search<'a> {
    problem: &'a Problem,
    aim: Aim,
    known: HashMap<Node, u64>,
    nodes_max: usize,
}

impl Search<'_> {
    /// The least cost from here on.
    fn cost(&mut self, node: Node) -> Option<u64> {
        if let Some(cost) = self.known.get(&node) {
            return Some(*cost);
        }
        if self.known.len() >= self.nodes_max {
            return None;
        }
        let over = |model: usize| usize::from(node.started[model]) == self.problem.tasks[model].len();
        if (0..self.problem.models.len()).all(over) {
            return Some(0);
        }
        let mut least = None;
        let mut consider = |cost: u64| least = Some(least.map_or(cost, |before: u64| before.min(cost)));
        let starts = self.starts(&node);
        let loads = self.loads(&node);
        for (next, waited) in &starts {
            let extra = if self.aim == Aim::Waiting { *waited } else { 0 };
            consider(extra + self.cost(*next)?);
        }
        for next in &loads {
            consider(u64::from(self.aim == Aim::Loads) + self.cost(*next)?);
        }
        let is_free = self.has_free_slot(&node);
        let is_loading = node.models.iter().any(|model| matches!(model, State::Loading(_)));
        let idle_for_nothing = is_free && (!starts.is_empty() || (!is_loading && !loads.is_empty()));
        if (self.aim == Aim::Waiting || !idle_for_nothing)
            && let Some(next) = self.later(&node)
        {
            consider(self.cost(next)?);
        }
        let least = least.expect("while tasks are left, one comes, runs, loads or can start");
        self.known.insert(node, least);
        Some(least)
    }

    /// The next task of a model that has come.
    fn waiting(&self, node: &Node, model: usize) -> Option<(u64, u64)> {
        let next = self.problem.tasks[model].get(usize::from(node.started[model]))?;
        (next.0 <= u64::from(node.now)).then_some(*next)
    }

    fn has_free_slot(&self, node: &Node) -> bool {
        node.running.iter().filter(|slot| **slot != FREE).count() < self.problem.slots
    }

    fn starts(&self, node: &Node) -> Vec<(Node, u64)> {
        if !self.has_free_slot(node) {
            return Vec::new();
        }
        let mut found = Vec::new();
        for model in 0..self.problem.models.len() {
            let Some((came, takes)) = self.waiting(node, model) else { continue };
            if matches!(node.models[model], State::Fresh | State::Used) {
                let mut next = *node;
                next.models[model] = State::Used;
                next.started[model] += 1;
                // Sorted, so the first one is free when any is.
                next.running[0] = (node.now + millis(takes), model as u8);
                next.running.sort_unstable();
                found.push((next, u64::from(node.now) - came));
            }
        }
        found
    }

    fn loads(&self, node: &Node) -> Vec<Node> {
        let mut found = Vec::new();
        for model in 0..self.problem.models.len() {
            if node.models[model] != State::Absent || self.waiting(node, model).is_none() {
                continue;
            }
            for victims in self.victims(node, model) {
                let mut next = *node;
                victims.iter().for_each(|victim| next.models[*victim] = State::Absent);
                let unload_ms = if victims.is_empty() { 0 } else { self.problem.unload_ms };
                next.models[model] = State::Loading(node.now + millis(unload_ms + self.problem.models[model].1));
                found.push(next);
            }
        }
        found
    }

    /// Every smallest set of idle models that makes room: no part of it would be enough. A model that was loaded is used
    /// before it goes: to load it for nothing is never better.
    fn victims(&self, node: &Node, model: usize) -> Vec<Vec<usize>> {
        let gb = |model: usize| self.problem.models[model].0;
        let models = 0..self.problem.models.len();
        let taken: f64 = models.clone().filter(|other| node.models[*other] != State::Absent).map(gb).sum();
        let missing = taken + gb(model) - self.problem.room_gb;
        let is_used = |other: usize| node.running.iter().any(|(_, user)| usize::from(*user) == other);
        let idle: Vec<usize> = models.filter(|other| node.models[*other] == State::Used && !is_used(*other)).collect();
        let mut sets = Vec::new();
        for bits in 0..1_u32 << idle.len() {
            let set: Vec<usize> = (0..idle.len()).filter(|at| bits & (1 << at) != 0).map(|at| idle[at]).collect();
            let freed: f64 = set.iter().map(|model| gb(*model)).sum();
            let needs_all = set.iter().all(|model| freed - gb(*model) < missing - 1e-9);
            if freed >= missing - 1e-9 && needs_all {
                sets.push(set);
            }
        }
        sets
    }

    /// The next moment at which something ends, is ready or comes.
    fn later(&self, node: &Node) -> Option<Node> {
        let ends = node.running.iter().filter(|slot| **slot != FREE).map(|(end, _)| *end);
        let ready = node.models.iter().filter_map(|model| match model {
            State::Loading(until) => Some(*until),
            State::Absent | State::Fresh | State::Used => None,
        });
        let comes = self.problem.tasks.iter().zip(&node.started);
        let comes = comes.flat_map(|(tasks, started)| tasks[usize::from(*started)..].iter().map(|task| millis(task.0)));
        let now = ends.chain(ready).chain(comes).filter(|time| *time > node.now).min()?;
        let mut next = Node { now, ..*node };
        next.running.iter_mut().filter(|(end, _)| *end <= now).for_each(|slot| *slot = FREE);
        next.running.sort_unstable();
        for model in &mut next.models {
            if matches!(model, State::Loading(until) if *until <= now) {
                *model = State::Fresh;
            }
        }
        Some(next)
    }
}
