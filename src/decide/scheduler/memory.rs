//! GPU memory: what is taken, what fits, what could make way, and loading a model for a waiting task.
//!
//! Everything that is loaded or on its way in or out counts, so that a reservation is made by the decision itself:
//! two loads can never both take the same free gigabytes. What nobody knows the size of counts as nothing.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::config::Pin;
use super::decision::Decision;
use super::decision::Holder;
use super::id::Moment;
use super::id::TaskSeq;
use super::line::{Choice, Key, LineIx};
use super::reason::Reason;
use super::state::State;
use super::table::{GpuIx, ModelIx, Passed, Phase};

/// Rounding of sums that people wrote with one decimal.
pub(super) const SLACK_GB: f64 = 1e-6;

/// What it takes to make room on a GPU.
#[derive(Debug, PartialEq)]
pub(super) enum Room {
    Enough,
    /// When these, which nothing uses, are unloaded.
    Evict(BTreeSet<ModelIx>),
    /// When these are unloaded, some of which are in use.
    Busy(BTreeSet<ModelIx>),
    Full,
}

/// What one look at a head found that it wants.
#[derive(Clone, Debug, Default)]
pub(super) struct LookedFor {
    /// GPUs where it waits for memory.
    pub memory: Vec<GpuIx>,
    /// GPUs where others may run ahead of it.
    pub passed: Vec<GpuIx>,
    /// GPUs that it lets others use before they drain for it.
    pub polite: Vec<GpuIx>,
    /// The GPU that drains for it.
    pub drains: Option<GpuIx>,
}

/// The sums of a GPU in GB.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sums {
    pub total: f64,
    pub reserve: f64,
    /// Loaded, loading and unloading models.
    pub models: f64,
    pub foreign: f64,
    pub leased: f64,
}

impl Sums {
    pub(super) fn free(&self) -> f64 {
        self.total - self.reserve - self.models - self.foreign - self.leased
    }
}

impl State {
    pub(super) fn sums(&self, gpu: GpuIx) -> Option<Sums> {
        let entry = &self.table.gpus[gpu];
        let config = entry.config.as_ref()?;
        let forgets = self.is_broken(super::broken::Rule::ReservationsForgotten);
        let counts = |ix: &&ModelIx| {
            let model = &self.table.models[**ix];
            model.is_resident() && !(forgets && matches!(model.phase, Phase::Loading { .. }))
        };
        let models = entry.models.iter().filter(counts).filter_map(|ix| self.table.models[*ix].cost_gb()).sum();
        Some(Sums {
            total: config.total_gb,
            reserve: config.reserve_gb,
            models,
            foreign: entry.foreign_gb.unwrap_or(0.0),
            leased: entry.leased_gb.values().sum(),
        })
    }

    /// Whether and how `need_gb` find room. `pinned` says whether what loadouts want loaded may make way too.
    pub(super) fn room(&self, gpu: GpuIx, need_gb: f64, pinned: bool) -> Room {
        let Some(sums) = self.sums(gpu) else { return Room::Enough };
        let mut missing = need_gb - sums.free();
        if missing <= SLACK_GB {
            return Room::Enough;
        }
        // What is on its way out will be gone.
        missing -= self.resident(gpu, |phase| matches!(phase, Phase::Unloading { .. }));
        if missing <= SLACK_GB {
            return Room::Evict(BTreeSet::new());
        }
        let mut idle = self.evictable(gpu, pinned, false);
        if let Some(chosen) = self.choose(gpu, &mut idle, missing) {
            return Room::Evict(chosen);
        }
        let mut all = self.evictable(gpu, pinned, true);
        match self.choose(gpu, &mut all, missing) {
            Some(chosen) => Room::Busy(chosen),
            None => Room::Full,
        }
    }

    fn resident(&self, gpu: GpuIx, phase: impl Fn(Phase) -> bool) -> f64 {
        let models = self.table.gpus[gpu].models.iter().map(|ix| &self.table.models[*ix]);
        models.filter(|model| phase(model.phase)).filter_map(|model| model.cost_gb()).sum()
    }

    /// Models that may make way, with `busy` also those in use, those on their way in and those that did not go at once.
    fn evictable(&self, gpu: GpuIx, pinned: bool, busy: bool) -> Vec<ModelIx> {
        let may_go = |ix: &ModelIx| {
            let model = &self.table.models[*ix];
            let is_free = match model.pin {
                Some(Pin::Ignored) => false,
                Some(Pin::Copilot | Pin::Loaded) => pinned || self.is_broken(super::broken::Rule::PinnedEvicted),
                // What nobody declared is none of ours; only who needs the whole GPU sends it away.
                Some(Pin::OnDemand | Pin::Unloaded) | None => pinned || model.is_known(),
            };
            // What is on its way in can go once it is there.
            let is_there = model.phase == Phase::Loaded || busy && matches!(model.phase, Phase::Loading { .. });
            let can_go = is_there && (busy || model.failed.is_none()) && self.loads_in(model.runtime);
            can_go && is_free && (busy || model.users.is_empty())
        };
        self.table.gpus[gpu].models.iter().copied().filter(may_go).collect()
    }

    /// Those that are enough, without any that is not needed for it. What nothing uses goes before what is in use, what no
    /// loadout wants before what one does and the copilot last, what no waiting task needs before what one needs soon, and
    /// then the least recently used.
    fn choose(&self, gpu: GpuIx, candidates: &mut [ModelIx], missing: f64) -> Option<BTreeSet<ModelIx>> {
        let model = |ix: ModelIx| &self.table.models[ix];
        let wanted = self.wanted_on(gpu);
        candidates.sort_by_key(|ix| {
            let rank = match model(*ix).pin {
                Some(Pin::Copilot) => 2,
                Some(Pin::Loaded) => 1,
                Some(Pin::OnDemand | Pin::Unloaded | Pin::Ignored) | None => 0,
            };
            let soon = wanted.get(ix).map(|key| Reverse(*key));
            (
                !model(*ix).users.is_empty() || model(*ix).phase != Phase::Loaded,
                rank,
                soon,
                model(*ix).idle_since_ms,
                *ix,
            )
        });
        let mut left = missing;
        let mut chosen = Vec::new();
        for ix in candidates.iter().copied() {
            if left <= SLACK_GB {
                break;
            }
            left -= model(ix).cost_gb().unwrap_or(0.0);
            chosen.push(ix);
        }
        if left > SLACK_GB {
            return None;
        }
        let mut kept = BTreeSet::new();
        for ix in chosen.into_iter().rev() {
            let gb = model(ix).cost_gb().unwrap_or(0.0);
            if left + gb <= SLACK_GB {
                left += gb;
            } else {
                kept.insert(ix);
            }
        }
        Some(kept)
    }

    /// The models that the heads of lines could use there, each with the first head that could.
    fn wanted_on(&self, gpu: GpuIx) -> BTreeMap<ModelIx, Key> {
        let mut wanted = BTreeMap::new();
        for line in self.table.gpus[gpu].lines().map(|line| &self.lines[line]) {
            let Some(head) = line.head() else { continue };
            for model in line.plan.choices.iter().filter_map(|choice| choice.model) {
                let first = wanted.entry(model).or_insert(head);
                *first = head.min(*first);
            }
        }
        wanted
    }

    /// Loads `model` for the head with `key`, makes room for it, or says why not yet.
    pub(super) fn load_for(
        &mut self,
        key: Key,
        choice: Choice,
        model: ModelIx,
        now: Moment,
        out: &mut Vec<Decision>,
    ) -> Reason {
        let at = self.table.models[model].at.clone();
        if let Some((until_ms, failed)) = self.table.models[model].failed.clone() {
            return Reason::Backoff { until_ms, failed };
        }
        let because = format!("{} needs it", self.name_of(&Holder::Task(TaskSeq(key.seq))));
        let Some(gpu) = self.table.runtimes[choice.runtime].gpu else {
            self.load(model, because, out);
            return Reason::ModelLoading { model: at };
        };
        if let Some(reason) = self.unseen_on(gpu) {
            return reason;
        }
        if let Some(first) = self.table.gpus[gpu].displaced.first() {
            return Reason::ModelLoading { model: self.table.models[*first].at.clone() };
        }
        if self.table.gpus[gpu].memory_waiter.is_some_and(|waiter| waiter < key) {
            return Reason::Priority { ahead: 1 };
        }
        // Nobody knows what it takes: more than nothing, so a card that is over already is none for it.
        let need_gb = self.table.models[model].cost_gb().unwrap_or(0.0);
        match self.room(gpu, need_gb, false) {
            Room::Enough => {
                self.table.gpus[gpu].passed = None;
                self.load(model, because, out);
                Reason::ModelLoading { model: at }
            }
            // Nothing that runs here would free enough: it waits for what others take, and holds nobody up.
            Room::Full => self.vram_full(gpu, need_gb),
            Room::Evict(victims) => {
                self.wait_for_memory(gpu, key);
                if let Some(ahead) = self.lets_pass(gpu, key, &victims, now) {
                    return Reason::Priority { ahead };
                }
                for victim in victims {
                    self.unload(victim, format!("makes room for {at}"), out);
                }
                self.vram_full(gpu, need_gb)
            }
            Room::Busy(victims) => {
                self.wait_for_memory(gpu, key);
                match self.lets_pass(gpu, key, &victims, now) {
                    Some(ahead) => Reason::Priority { ahead },
                    None => self.vram_full(gpu, need_gb),
                }
            }
        }
    }

    /// From now on nothing behind this head loads there.
    fn wait_for_memory(&mut self, gpu: GpuIx, key: Key) {
        self.table.gpus[gpu].memory_waiter = Some(key);
        self.look.memory.push(gpu);
    }

    pub(super) fn vram_full(&self, gpu: GpuIx, need_gb: f64) -> Reason {
        let free_gb = self.sums(gpu).map_or(0.0, |sums| sums.free());
        let evictable = self.evictable(gpu, false, false);
        let evictable_gb = evictable.into_iter().filter_map(|ix| self.table.models[ix].cost_gb()).sum::<f64>() + 0.0;
        Reason::VramFull { gpu: self.table.gpus[gpu].id.clone(), need_gb, free_gb, evictable_gb }
    }

    /// Batching: whether tasks on models that would have to go may still run ahead of the head with `key`, and how many.
    fn lets_pass(&mut self, gpu: GpuIx, key: Key, victims: &BTreeSet<ModelIx>, now: Moment) -> Option<u64> {
        let priority = self.priority_of(key);
        let batching = &self.table.gpus[gpu].policy.batching;
        let max_wait_ms = u64::try_from(batching.max_wait.get().as_millis()).unwrap_or(u64::MAX);
        let max_tasks = batching.max_tasks;
        let uses = |choice: &Choice| !choice.exclusive && choice.model.is_some_and(|model| victims.contains(&model));
        let lines = self.table.gpus[gpu].lines().map(|line| &self.lines[line]);
        let may_pass = lines.filter(|line| line.key.priority == priority && line.plan.choices.iter().any(uses));
        let waiting: u64 = may_pass.map(|line| line.waiting.len() as u64).sum();
        self.look.passed.push(gpu);
        let entry = &mut self.table.gpus[gpu];
        if entry.passed.as_ref().is_none_or(|passed| passed.key != key) {
            entry.passed = Some(Passed {
                key,
                priority,
                since_ms: now.steady_ms,
                count: 0,
                victims: victims.clone(),
                is_over: false,
            });
        }
        let passed = entry.passed.as_mut()?;
        passed.victims.clone_from(victims);
        let until_ms = passed.since_ms.saturating_add(max_wait_ms);
        passed.is_over = passed.is_over || waiting == 0 || passed.count >= max_tasks || now.steady_ms >= until_ms;
        if passed.is_over {
            return None;
        }
        let ahead = u64::from(max_tasks - passed.count).min(waiting);
        self.timers.gpu_at(until_ms, gpu);
        Some(ahead)
    }

    /// Whether a task on a loaded model must leave that model to a head before it, or to what made way for an exclusive
    /// holder: they need its memory.
    pub(super) fn must_not_pass(&self, gpu: GpuIx, key: Key, model: ModelIx) -> bool {
        if self.table.gpus[gpu].in_the_way.contains(&model) {
            return true;
        }
        let Some(passed) = &self.table.gpus[gpu].passed else { return false };
        let is_victim = passed.key < key && passed.victims.contains(&model);
        is_victim && (passed.is_over || passed.priority != self.priority_of(key))
    }

    /// Counts a task that ran ahead of a head; when that was the last that may, the head is looked at again.
    pub(super) fn count_pass(&mut self, gpu: GpuIx, key: Key) {
        let entry = &mut self.table.gpus[gpu];
        let max_tasks = entry.policy.batching.max_tasks;
        let mut is_over = false;
        for passed in [&mut entry.passed, &mut entry.polite].into_iter().flatten().filter(|passed| passed.key < key) {
            passed.count += 1;
            if passed.count >= max_tasks && !passed.is_over {
                (passed.is_over, is_over) = (true, true);
            }
        }
        if is_over {
            self.gpu_dirty(gpu);
        }
    }

    /// The task with `key` wants nothing of any GPU any more: a drain for it opens again, who waited behind it goes on.
    pub(super) fn forget_wishes(&mut self, key: Key, line: LineIx, now: Moment, out: &mut Vec<Decision>) {
        self.look = LookedFor::default();
        self.keep_wishes(key, line, now, out);
    }

    /// After a look at the head with `key`: it wants what this look found that it wants, and nothing from before.
    pub(super) fn keep_wishes(&mut self, key: Key, line: LineIx, now: Moment, out: &mut Vec<Decision>) {
        let holder = Holder::Task(TaskSeq(key.seq));
        for at in 0..self.lines[line].plan.gpus.len() {
            let gpu = self.lines[line].plan.gpus[at];
            if self.look.drains != Some(gpu) {
                self.undrain(gpu, &holder, now, out);
            }
            let Self { table, look, .. } = self;
            let entry = &mut table.gpus[gpu];
            let mut is_news = false;
            if entry.memory_waiter == Some(key) && !look.memory.contains(&gpu) {
                entry.memory_waiter = None;
                is_news = true;
            }
            if entry.passed.as_ref().is_some_and(|passed| passed.key == key) && !look.passed.contains(&gpu) {
                entry.passed = None;
                is_news = true;
            }
            if entry.polite.as_ref().is_some_and(|polite| polite.key == key) && !look.polite.contains(&gpu) {
                entry.polite = None;
            }
            if is_news {
                self.gpu_dirty(gpu);
            }
        }
    }

    fn priority_of(&self, key: Key) -> i32 {
        self.tasks.get(&TaskSeq(key.seq)).map_or(0, |task| task.request.priority)
    }

    /// Decides a load; its memory is taken from now on.
    pub(super) fn load(&mut self, model: ModelIx, because: String, out: &mut Vec<Decision>) {
        let gpu = self.table.gpu_of_model(model).map(|gpu| self.table.gpus[gpu].id.clone());
        let entry = &mut self.table.models[model];
        (entry.phase, entry.told) = (Phase::Loading { ours: true }, None);
        out.push(Decision::Load { at: entry.at.clone(), gpu, need_gb: entry.cost_gb(), because });
    }

    /// Decides an unload; its memory is free only when that is confirmed.
    pub(super) fn unload(&mut self, model: ModelIx, because: String, out: &mut Vec<Decision>) {
        let entry = &mut self.table.models[model];
        // One that the planner is loading although it is there goes when that is over: its call may bring it back.
        let is_claimed = entry.told.is_some();
        if entry.phase == Phase::Loaded && !is_claimed {
            (entry.phase, entry.told) = (Phase::Unloading { ours: true }, None);
            out.push(Decision::Unload { at: entry.at.clone(), because });
        }
    }
}
