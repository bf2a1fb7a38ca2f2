//! GPU memory: what is taken, what fits, what could make way, and loading a model for a waiting task.
//!
//! Everything that is loaded or on its way in or out counts, so that a reservation is made by the decision itself:
//! two loads can never both take the same free gigabytes. What nobody knows the size of counts as nothing.

use std::collections::BTreeSet;

use super::config::Pin;
use super::decision::Decision;
use super::id::Moment;
use super::line::{Choice, Key, LineIx};
use super::reason::Reason;
use super::state::State;
use super::table::{GpuIx, ModelIx, Passed, Phase};

/// Rounding of sums that people wrote with one decimal.
const SLACK_GB: f64 = 1e-6;

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
        if let Some(chosen) = self.choose(&mut idle, missing) {
            return Room::Evict(chosen);
        }
        let mut all = self.evictable(gpu, pinned, true);
        match self.choose(&mut all, missing) {
            Some(chosen) => Room::Busy(chosen),
            None => Room::Full,
        }
    }

    fn resident(&self, gpu: GpuIx, phase: impl Fn(Phase) -> bool) -> f64 {
        let models = self.table.gpus[gpu].models.iter().map(|ix| &self.table.models[*ix]);
        models.filter(|model| phase(model.phase)).filter_map(|model| model.cost_gb()).sum()
    }

    /// Models that may make way, with `busy` also those in use.
    fn evictable(&self, gpu: GpuIx, pinned: bool, busy: bool) -> Vec<ModelIx> {
        let may_go = |ix: &ModelIx| {
            let model = &self.table.models[*ix];
            let is_free = match model.pin {
                Some(Pin::Ignored) => false,
                Some(Pin::Copilot | Pin::Loaded) => pinned || self.is_broken(super::broken::Rule::PinnedEvicted),
                Some(Pin::OnDemand | Pin::Unloaded) | None => true,
            };
            model.phase == Phase::Loaded && is_free && self.loads_in(model.runtime) && (busy || model.users.is_empty())
        };
        self.table.gpus[gpu].models.iter().copied().filter(may_go).collect()
    }

    /// The least recently used that are enough, without any that is not needed for it.
    fn choose(&self, candidates: &mut [ModelIx], missing: f64) -> Option<BTreeSet<ModelIx>> {
        let model = |ix: ModelIx| &self.table.models[ix];
        // Idle before busy, then the least recently used.
        candidates.sort_by_key(|ix| (!model(*ix).users.is_empty(), model(*ix).idle_since_ms, *ix));
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
                left += gb
            } else {
                kept.insert(ix);
            }
        }
        Some(kept)
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
        if let Some((until_ms, failed)) =
            self.table.models[model].failed.clone().filter(|(until, _)| *until > now.steady_ms)
        {
            self.timers.model_at(until_ms, model);
            return Reason::Backoff { until_ms, failed };
        }
        let because = format!("{} needs it", self.name_of(&super::decision::Holder::Task(super::id::TaskSeq(key.seq))));
        let Some(gpu) = self.table.runtimes[choice.runtime].gpu else {
            self.load(model, because, out);
            return Reason::ModelLoading { model: at };
        };
        if let Some(first) = self.table.gpus[gpu].displaced.first() {
            return Reason::ModelLoading { model: self.table.models[*first].at.clone() };
        }
        if self.table.gpus[gpu].memory_waiter.is_some_and(|waiter| waiter < key) {
            return Reason::Priority { ahead: 1 };
        }
        let Some(need_gb) = self.table.models[model].cost_gb() else {
            self.load(model, because, out);
            return Reason::ModelLoading { model: at };
        };
        match self.room(gpu, need_gb, false) {
            Room::Enough => {
                self.table.gpus[gpu].passed = None;
                self.load(model, because, out);
                Reason::ModelLoading { model: at }
            }
            Room::Full => {
                self.table.gpus[gpu].memory_waiter = Some(key);
                self.vram_full(gpu, need_gb)
            }
            Room::Evict(victims) => {
                self.table.gpus[gpu].memory_waiter = Some(key);
                if let Some(ahead) = self.lets_pass(gpu, key, &victims, now) {
                    return Reason::Priority { ahead };
                }
                for victim in victims {
                    self.unload(victim, format!("makes room for {at}"), out);
                }
                self.vram_full(gpu, need_gb)
            }
            Room::Busy(victims) => {
                self.table.gpus[gpu].memory_waiter = Some(key);
                match self.lets_pass(gpu, key, &victims, now) {
                    Some(ahead) => Reason::Priority { ahead },
                    None => self.vram_full(gpu, need_gb),
                }
            }
        }
    }

    pub(super) fn vram_full(&self, gpu: GpuIx, need_gb: f64) -> Reason {
        let free_gb = self.sums(gpu).map_or(0.0, |sums| sums.free()).max(0.0);
        let evictable = self.evictable(gpu, false, false);
        let evictable_gb = evictable.into_iter().filter_map(|ix| self.table.models[ix].cost_gb()).sum();
        Reason::VramFull { gpu: self.table.gpus[gpu].id.clone(), need_gb, free_gb, evictable_gb }
    }

    /// Batching: whether tasks on models that would have to go may still run ahead of the head with `key`, and how many.
    fn lets_pass(&mut self, gpu: GpuIx, key: Key, victims: &BTreeSet<ModelIx>, now: Moment) -> Option<u64> {
        let priority = self.priority_of(key);
        let batching = &self.table.gpus[gpu].policy.batching;
        let max_wait_ms = u64::try_from(batching.max_wait.get().as_millis()).unwrap_or(u64::MAX);
        let max_tasks = batching.max_tasks;
        let waiting: u64 = self
            .lines_of(gpu)
            .into_iter()
            .map(|line| &self.lines[line])
            .filter(|line| line.key.priority == priority)
            .filter(|line| {
                line.key.choices.iter().any(|c| !c.exclusive && c.model.is_some_and(|m| victims.contains(&m)))
            })
            .map(|line| line.waiting.len() as u64)
            .sum();
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

    /// Whether a task on a loaded model must leave that model to a head before it, which needs its memory.
    pub(super) fn must_not_pass(&self, gpu: GpuIx, key: Key, model: ModelIx) -> bool {
        let Some(passed) = &self.table.gpus[gpu].passed else { return false };
        let is_victim = passed.key < key && passed.victims.contains(&model);
        is_victim && (passed.is_over || passed.priority != self.priority_of(key))
    }

    /// Counts a task that ran ahead of a head; when that was the last that may, the head is looked at again.
    pub(super) fn count_pass(&mut self, gpu: GpuIx, key: Key) {
        let max_tasks = self.table.gpus[gpu].policy.batching.max_tasks;
        let Some(passed) = self.table.gpus[gpu].passed.as_mut().filter(|passed| passed.key < key) else { return };
        passed.count += 1;
        if passed.count >= max_tasks {
            passed.is_over = true;
        }
    }

    /// The head with `key` wants no memory any more.
    ///
    /// A drain for it opens again.
    pub(super) fn forget_wish(&mut self, key: Key, line: LineIx, now: Moment, out: &mut Vec<Decision>) {
        let holder = super::decision::Holder::Task(super::id::TaskSeq(key.seq));
        for gpu in self.gpus_of(line) {
            self.undrain(gpu, &holder, now, out);
            let entry = &mut self.table.gpus[gpu];
            let mut changed = false;
            if entry.memory_waiter == Some(key) {
                entry.memory_waiter = None;
                changed = true;
            }
            if entry.passed.as_ref().is_some_and(|passed| passed.key == key) {
                entry.passed = None;
                changed = true;
            }
            if changed {
                self.gpu_dirty(gpu);
            }
        }
    }

    /// Takes back what a head wanted, before it is looked at afresh.
    pub(super) fn take_wishes(&mut self, key: Key, line: LineIx) -> Vec<GpuIx> {
        let mut taken = Vec::new();
        for gpu in self.gpus_of(line) {
            if self.table.gpus[gpu].memory_waiter == Some(key) {
                self.table.gpus[gpu].memory_waiter = None;
                taken.push(gpu);
            }
        }
        taken
    }

    /// Where a head wanted memory and does not any more, others may load.
    pub(super) fn wishes_gone(&mut self, taken: &[GpuIx], key: Key) {
        for gpu in taken {
            if self.table.gpus[*gpu].memory_waiter != Some(key) {
                self.gpu_dirty(*gpu);
            }
        }
    }

    fn priority_of(&self, key: Key) -> i32 {
        self.tasks.get(&super::id::TaskSeq(key.seq)).map_or(0, |task| task.request.priority)
    }

    /// Every line that may use a GPU.
    pub(super) fn lines_of(&self, gpu: GpuIx) -> BTreeSet<LineIx> {
        let runtimes = self.table.gpus[gpu].runtimes.iter();
        let lines = runtimes.flat_map(|runtime| self.table.runtimes[*runtime].lines.iter().copied());
        lines.filter(|line| !self.lines[*line].waiting.is_empty()).collect()
    }

    /// Every GPU that a line may use.
    pub(super) fn gpus_of(&self, line: LineIx) -> BTreeSet<GpuIx> {
        let choices = self.lines[line].key.choices.iter();
        choices.filter_map(|choice| self.table.runtimes[choice.runtime].gpu).collect()
    }

    /// Decides a load; its memory is taken from now on.
    pub(super) fn load(&mut self, model: ModelIx, because: String, out: &mut Vec<Decision>) {
        let gpu = self.table.gpu_of_model(model).map(|gpu| self.table.gpus[gpu].id.clone());
        let entry = &mut self.table.models[model];
        entry.phase = Phase::Loading { ours: true };
        out.push(Decision::Load { at: entry.at.clone(), gpu, need_gb: entry.cost_gb(), because });
    }

    /// Decides an unload; its memory is free only when that is confirmed.
    pub(super) fn unload(&mut self, model: ModelIx, because: String, out: &mut Vec<Decision>) {
        let entry = &mut self.table.models[model];
        if entry.phase == Phase::Loaded {
            entry.phase = Phase::Unloading { ours: true };
            out.push(Decision::Unload { at: entry.at.clone(), because });
        }
    }
}
