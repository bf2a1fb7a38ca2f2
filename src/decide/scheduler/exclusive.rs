//! Taking a GPU for oneself: the shield of the copilot, the turn of older shared tasks, the drain, the room that is made, and
//! what comes back afterwards. Tasks and leases go the same way.

use std::collections::BTreeSet;

use crate::declare::manifest::kind::policy::Preemption;

use super::config::Pin;
use super::decision::{Decision, Holder, LockMode};
use super::id::{Moment, TaskSeq};
use super::line::{Choice, Key};
use super::memory::Room;
use super::reason::Reason;
use super::start::Verdict;
use super::state::{Stage, State};
use super::table::{GpuIx, Link, Lock, ModelIx, Passed, Phase, Turn};

/// What an exclusive holder wants of a GPU.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish {
    pub key: Key,
    pub force: bool,
    /// GB; none: all there is.
    pub need_gb: Option<f64>,
    /// The model it works with, which may stay.
    pub keeps: Option<ModelIx>,
}

impl State {
    pub(super) fn exclusive_verdict(
        &mut self,
        key: Key,
        choice: Choice,
        force: bool,
        now: Moment,
        out: &mut Vec<Decision>,
    ) -> Verdict {
        let Some(gpu) = self.table.runtimes[choice.runtime].gpu else { return Verdict::Ready };
        let holder = Holder::Task(TaskSeq(key.seq));
        let model = choice.model.filter(|_| self.loads_in(choice.runtime));
        let need_gb = model.and_then(|model| self.table.models[model].cost_gb());
        // A model that is there already needs no more than it has.
        let need_gb = match model {
            Some(model) if self.table.models[model].phase == Phase::Loaded => need_gb.map(|_| 0.0),
            _ => need_gb,
        };
        if let Err(reason) = self.acquire(gpu, &holder, Wish { key, force, need_gb, keeps: model }, now, out) {
            return if self.is_drained_by(gpu, &holder) { Verdict::Underway(reason) } else { Verdict::No(reason) };
        }
        let Some(model) = model else { return Verdict::Ready };
        let at = self.table.models[model].at.clone();
        match self.table.models[model].phase {
            Phase::Loaded => Verdict::Ready,
            Phase::Loading { .. } | Phase::Unloading { .. } => Verdict::Underway(Reason::ModelLoading { model: at }),
            Phase::Unloaded | Phase::Unknown => {
                if let Some((until_ms, failed)) =
                    self.table.models[model].failed.clone().filter(|(until, _)| *until > now.steady_ms)
                {
                    self.timers.model_at(until_ms, model);
                    return Verdict::Underway(Reason::Backoff { until_ms, failed });
                }
                let because = format!("{} needs it", self.name_of(&holder));
                self.load(model, because, out);
                Verdict::Underway(Reason::ModelLoading { model: at })
            }
        }
    }

    /// Brings a GPU to where `holder` can have it for itself. `Ok` when it is empty and has the room; the caller takes it then.
    pub(super) fn acquire(
        &mut self,
        gpu: GpuIx,
        holder: &Holder,
        wish: Wish,
        now: Moment,
        out: &mut Vec<Decision>,
    ) -> Result<(), Reason> {
        if let Some(reason) = self.shielded(gpu, wish.force) {
            self.undrain(gpu, holder, now, out);
            return Err(reason);
        }
        if let Some(reason) = self.cannot_be_asked(gpu) {
            self.undrain(gpu, holder, now, out);
            return Err(reason);
        }
        match self.table.gpus[gpu].lock.clone() {
            Lock::Exclusive { by } => return Err(self.held_by(gpu, &by, now)),
            Lock::Draining { by, .. } if by != *holder => {
                if self.key_of(&by).is_some_and(|before| before < wish.key) {
                    let id = self.table.gpus[gpu].id.clone();
                    return Err(Reason::Draining { gpu: id, by: self.name_of(&by), left: Vec::new() });
                }
                // It came later and goes first: the drain goes on for it.
                self.drain(gpu, holder, now, out);
            }
            Lock::Draining { .. } => {}
            Lock::Shared => {
                if let Some(ahead) = self.others_have_their_turn(gpu, wish.key, now) {
                    return Err(Reason::Priority { ahead });
                }
                // Closing the GPU for what will not fit would hold everybody else up for nothing.
                if let Some(need_gb) = wish.need_gb.filter(|need| self.room(gpu, *need, true) == Room::Full) {
                    return Err(self.vram_full(gpu, need_gb));
                }
                self.drain(gpu, holder, now, out);
                self.make_way(gpu, wish.key, out);
            }
        }
        let left = self.left_on(gpu);
        if !left.is_empty() {
            let id = self.table.gpus[gpu].id.clone();
            return Err(Reason::Draining { gpu: id, by: self.name_of(holder), left });
        }
        self.clear_for(gpu, holder, wish, now, out)
    }

    /// The shield of a persistent copilot.
    fn shielded(&self, gpu: GpuIx, force: bool) -> Option<Reason> {
        let entry = &self.table.gpus[gpu];
        if force || !entry.policy.copilot_persistent || self.is_broken(super::broken::Rule::ShieldIgnored) {
            return None;
        }
        let models = entry.models.iter().map(|ix| &self.table.models[*ix]);
        let copilot =
            models.filter(|model| model.pin == Some(Pin::Copilot)).find_map(|model| model.declared.clone())?;
        Some(Reason::CopilotPersistent { gpu: entry.id.clone(), copilot })
    }

    /// A runtime of the GPU that cannot be asked whether it is idle: fail closed, and hold nobody else up.
    fn cannot_be_asked(&self, gpu: GpuIx) -> Option<Reason> {
        self.table.gpus[gpu].runtimes.iter().find_map(|ix| {
            let runtime = &self.table.runtimes[*ix];
            runtime.config.as_ref()?;
            match &runtime.link {
                Link::Up { .. } => None,
                Link::Unseen => {
                    let why = "it was not seen yet, so nobody knows what it works on".to_owned();
                    Some(Reason::RuntimeDown { runtime: runtime.name.clone(), since: None, why })
                }
                Link::Down { since, why } => {
                    Some(Reason::RuntimeDown { runtime: runtime.name.clone(), since: Some(*since), why: why.clone() })
                }
            }
        })
    }

    pub(super) fn key_of(&self, holder: &Holder) -> Option<Key> {
        match holder {
            Holder::Task(seq) => self.tasks.get(seq).map(|task| task.key),
            Holder::Lease(id) => self.leases.get(id).map(|lease| lease.key),
        }
    }

    /// After an exclusive holder, shared tasks that are older come first; with `preemption: never` batches may pass as they
    /// do elsewhere.
    fn others_have_their_turn(&mut self, gpu: GpuIx, key: Key, now: Moment) -> Option<u64> {
        if let Some(turn) = self.table.gpus[gpu].turn {
            let older = self.lines_of(gpu).into_iter().any(|line| {
                let line = &self.lines[line];
                let is_free = line.reason.as_ref().is_none_or(|(reason, _)| reason.is_about_the_lock());
                !line.is_exclusive() && is_free && line.head().is_some_and(|head| head.seq < turn.before.0)
            });
            if older && turn.left > 0 {
                return Some(u64::from(turn.left));
            }
            self.table.gpus[gpu].turn = None;
        }
        if self.table.gpus[gpu].policy.preemption != Preemption::Never {
            return None;
        }
        let batching = self.table.gpus[gpu].policy.batching.clone();
        let max_wait_ms = u64::try_from(batching.max_wait.get().as_millis()).unwrap_or(u64::MAX);
        let priority = self.tasks.get(&TaskSeq(key.seq)).map_or(0, |task| task.request.priority);
        let same = |line: &super::line::Line| line.key.priority == priority && !line.is_exclusive();
        let waiting: u64 = self
            .lines_of(gpu)
            .into_iter()
            .map(|line| &self.lines[line])
            .filter(|line| same(line))
            .map(|line| line.waiting.len() as u64)
            .sum();
        let entry = &mut self.table.gpus[gpu];
        if entry.passed.as_ref().is_none_or(|passed| passed.key != key) {
            let victims = BTreeSet::new();
            entry.passed = Some(Passed { key, priority, since_ms: now.steady_ms, count: 0, victims, is_over: false });
        }
        let passed = entry.passed.as_mut()?;
        let until_ms = passed.since_ms.saturating_add(max_wait_ms);
        passed.is_over = passed.is_over || waiting == 0 || now.steady_ms >= until_ms;
        if passed.is_over {
            return None;
        }
        let ahead = u64::from(batching.max_tasks.saturating_sub(passed.count)).min(waiting);
        self.timers.gpu_at(until_ms, gpu);
        Some(ahead)
    }

    /// Counts a shared task that started in its turn after an exclusive holder.
    pub(super) fn count_turn(&mut self, gpu: GpuIx, task: TaskSeq) {
        if let Some(turn) = self.table.gpus[gpu].turn.as_mut().filter(|turn| task < turn.before) {
            turn.left = turn.left.saturating_sub(1);
        }
    }

    fn drain(&mut self, gpu: GpuIx, holder: &Holder, now: Moment, out: &mut Vec<Decision>) {
        let since_ms = now.steady_ms;
        self.set_lock(gpu, Lock::Draining { by: holder.clone(), since_ms }, now, out);
    }

    /// With `preemption: requeue`, what runs there and is less urgent makes way.
    fn make_way(&mut self, gpu: GpuIx, key: Key, out: &mut Vec<Decision>) {
        if self.table.gpus[gpu].policy.preemption != Preemption::Requeue {
            return;
        }
        let priority = self.tasks.get(&TaskSeq(key.seq)).map_or(0, |task| task.request.priority);
        let holders: Vec<TaskSeq> = self.table.gpus[gpu].holders.iter().copied().collect();
        for seq in holders {
            let Some(task) = self.tasks.get_mut(&seq) else { continue };
            if task.request.priority < priority
                && let Stage::Running(run) = &mut task.stage
                && !run.is_stopping
            {
                run.is_stopping = true;
                out.push(Decision::Stop { task: seq, requeue: true });
            }
        }
    }

    /// What is still on the GPU while it drains, in words.
    pub(super) fn left_on(&self, gpu: GpuIx) -> Vec<String> {
        let entry = &self.table.gpus[gpu];
        let mut left: Vec<String> =
            self.ids_of(entry.holders.iter().copied()).iter().map(ToString::to_string).collect();
        left.extend(entry.shared_leases.iter().map(|id| self.name_of(&Holder::Lease(id.clone())).to_string()));
        let Lock::Draining { since_ms, .. } = entry.lock else { return left };
        for ix in &entry.runtimes {
            let runtime = &self.table.runtimes[*ix];
            match &runtime.link {
                Link::Up { in_flight: Some(n), .. } if *n > 0 => left.push(format!("{} works on {n}", runtime.name)),
                // It can tell, so it is asked again: what it said before the drain says nothing of now.
                Link::Up { in_flight: Some(_), seen_ms } if *seen_ms <= since_ms => {
                    left.push(format!("{} is asked whether it is idle", runtime.name));
                }
                Link::Up { .. } | Link::Unseen | Link::Down { .. } => {}
            }
        }
        for ix in &entry.models {
            let model = &self.table.models[*ix];
            match model.phase {
                Phase::Loading { .. } => left.push(format!("{} is loading", model.at)),
                Phase::Unloading { .. } => left.push(format!("{} is unloading", model.at)),
                Phase::Loaded | Phase::Unloaded | Phase::Unknown => {}
            }
        }
        left
    }

    /// Unloads what has to go for `holder`.
    fn clear_for(
        &mut self,
        gpu: GpuIx,
        holder: &Holder,
        wish: Wish,
        now: Moment,
        out: &mut Vec<Decision>,
    ) -> Result<(), Reason> {
        let victims: BTreeSet<ModelIx> = match wish.need_gb {
            None => {
                let models = self.table.gpus[gpu].models.iter().copied();
                let goes = |ix: &ModelIx| {
                    let model = &self.table.models[*ix];
                    model.phase == Phase::Loaded
                        && model.pin != Some(Pin::Ignored)
                        && self.loads_in(model.runtime)
                        && wish.keeps != Some(*ix)
                };
                models.filter(goes).collect()
            }
            Some(need_gb) => match self.room(gpu, need_gb, true) {
                Room::Enough => BTreeSet::new(),
                Room::Evict(victims) | Room::Busy(victims) => victims,
                Room::Full => {
                    let reason = self.vram_full(gpu, need_gb);
                    self.undrain(gpu, holder, now, out);
                    return Err(reason);
                }
            },
        };
        if victims.is_empty() {
            return Ok(());
        }
        let (name, mut left) = (self.name_of(holder), Vec::new());
        for ix in victims {
            left.push(format!("{} is unloading", self.table.models[ix].at));
            if self.table.models[ix].is_pinned() {
                self.table.gpus[gpu].displaced.insert(ix);
            }
            self.unload(ix, format!("makes way for {name}, which has {} for itself", self.table.gpus[gpu].id), out);
        }
        let id = self.table.gpus[gpu].id.clone();
        Err(Reason::Draining { gpu: id, by: name, left })
    }

    /// The lock is the holder's.
    pub(super) fn own(&mut self, gpu: GpuIx, by: Holder, now: Moment, out: &mut Vec<Decision>) {
        self.set_lock(gpu, Lock::Exclusive { by }, now, out);
    }

    pub(super) fn is_drained_by(&self, gpu: GpuIx, holder: &Holder) -> bool {
        matches!(&self.table.gpus[gpu].lock, Lock::Draining { by, .. } if by == holder)
    }

    /// Opens admission again when `holder` drains the GPU and will not have it after all.
    pub(super) fn undrain(&mut self, gpu: GpuIx, holder: &Holder, now: Moment, out: &mut Vec<Decision>) {
        if self.is_drained_by(gpu, holder) {
            self.open(gpu, now, out);
        }
    }

    /// The exclusive holder is gone: older shared tasks get their turn, what made way comes back.
    pub(super) fn give_back(&mut self, gpu: GpuIx, by: &Holder, now: Moment, out: &mut Vec<Decision>) {
        if let Holder::Task(seq) = by {
            let left = self.table.gpus[gpu].policy.gpu_shared_slots;
            self.table.gpus[gpu].turn = Some(Turn { before: *seq, left });
        }
        self.open(gpu, now, out);
    }

    fn open(&mut self, gpu: GpuIx, now: Moment, out: &mut Vec<Decision>) {
        self.set_lock(gpu, Lock::Shared, now, out);
        self.restore(gpu, out);
        self.gpu_dirty(gpu);
    }

    fn set_lock(&mut self, gpu: GpuIx, lock: Lock, now: Moment, out: &mut Vec<Decision>) {
        let mode = match &lock {
            Lock::Shared => LockMode::Shared,
            Lock::Draining { by, .. } => LockMode::Draining(by.clone()),
            Lock::Exclusive { by } => LockMode::Exclusive(by.clone()),
        };
        let entry = &mut self.table.gpus[gpu];
        entry.lock = lock;
        entry.lock_since = now;
        out.push(Decision::Lock { gpu: entry.id.clone(), mode });
        self.gpu_dirty(gpu);
    }

    /// Loads what made way, the copilot first. What no longer fits or is no longer wanted is let go.
    pub(super) fn restore(&mut self, gpu: GpuIx, out: &mut Vec<Decision>) {
        if self.is_broken(super::broken::Rule::DisplacedForgotten) {
            self.table.gpus[gpu].displaced.clear();
        }
        if self.table.gpus[gpu].lock != Lock::Shared {
            return;
        }
        let mut displaced: Vec<ModelIx> = self.table.gpus[gpu].displaced.iter().copied().collect();
        displaced.sort_by_key(|ix| (self.table.models[*ix].pin != Some(Pin::Copilot), *ix));
        for ix in displaced {
            let model = &self.table.models[ix];
            let need_gb = model.cost_gb().unwrap_or(0.0);
            match model.phase {
                _ if !model.is_pinned() => drop(self.table.gpus[gpu].displaced.remove(&ix)),
                Phase::Loaded => drop(self.table.gpus[gpu].displaced.remove(&ix)),
                Phase::Loading { .. } | Phase::Unloading { .. } => {}
                Phase::Unloaded | Phase::Unknown => match self.room(gpu, need_gb, false) {
                    Room::Enough => self.load(ix, "comes back: it made way for an exclusive holder".to_owned(), out),
                    Room::Evict(victims) => {
                        for victim in victims {
                            let because = format!("makes room for {}, which comes back", self.table.models[ix].at);
                            self.unload(victim, because, out);
                        }
                    }
                    Room::Busy(_) => {}
                    // Something foreign took the room: the loadout says what is missing, and why.
                    Room::Full => drop(self.table.gpus[gpu].displaced.remove(&ix)),
                },
            }
        }
    }

    /// A new world may have taken the ground from under a drain: it begins anew where it still has one.
    pub(super) fn review_drains(&mut self, now: Moment, out: &mut Vec<Decision>) {
        for gpu in 0..self.table.gpus.len() {
            if matches!(self.table.gpus[gpu].lock, Lock::Draining { .. }) {
                self.open(gpu, now, out);
            }
        }
    }
}
