//! Taking a GPU for oneself: the shield of the copilot, the turn of older shared tasks, the drain, and the room that is made.
//! Tasks and leases go the same way. What comes back afterwards is [`super::lock`]'s.

use std::collections::BTreeSet;

use crate::declare::manifest::kind::policy::Preemption;

use super::config::Pin;
use super::decision::{Decision, Holder};
use super::id::{Moment, TaskSeq};
use super::lease::Lease;
use super::line::{Choice, Key, Line};
use super::memory::Room;
use super::reason::Reason;
use super::start::Verdict;
use super::state::{Stage, State};
use super::table::{GpuIx, Link, Lock, ModelIx, Passed, Phase};

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
        let acquired = self.acquire(gpu, &holder, Wish { key, force, need_gb, keeps: model }, now, out);
        if let Err(reason @ Reason::VramFull { .. }) = acquired {
            return Verdict::No(reason);
        }
        if self.is_drained_by(gpu, &holder) {
            self.look.drains = Some(gpu);
        }
        if let Err(reason) = acquired {
            return if self.look.drains == Some(gpu) { Verdict::Underway(reason) } else { Verdict::No(reason) };
        }
        let Some(model) = model else { return Verdict::Ready };
        let at = self.table.models[model].at.clone();
        match self.table.models[model].phase {
            Phase::Loaded => Verdict::Ready,
            Phase::Loading { .. } | Phase::Unloading { .. } => Verdict::Underway(Reason::ModelLoading { model: at }),
            Phase::Unloaded | Phase::Unknown => {
                if let Some((until_ms, failed)) = self.table.models[model].failed.clone() {
                    // Nobody is held up while it cannot be loaded.
                    self.look.drains = None;
                    return Verdict::No(Reason::Backoff { until_ms, failed });
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
                self.fits_when_alone(gpu, wish)?;
                self.drain(gpu, holder, now, out);
            }
            Lock::Draining { .. } => {}
            Lock::Shared => {
                if let Some(model) = wish.keeps.and_then(|model| self.table.models[model].failed.clone()) {
                    return Err(Reason::Backoff { until_ms: model.0, failed: model.1 });
                }
                if let Some(first) = self.returns_first(gpu) {
                    return Err(Reason::ModelLoading { model: self.table.models[first].at.clone() });
                }
                let ahead = self.before_on(gpu, wish.key);
                if ahead > 0 {
                    return Err(Reason::Priority { ahead });
                }
                if let Some(ahead) = self.others_have_their_turn(gpu, wish.key, now) {
                    return Err(Reason::Priority { ahead });
                }
                self.fits_when_alone(gpu, wish)?;
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

    /// Closing the GPU for what will not fit would hold everybody else up for nothing.
    fn fits_when_alone(&self, gpu: GpuIx, wish: Wish) -> Result<(), Reason> {
        let is_full = |need: &f64| *need > 0.0 && self.room(gpu, *need, true) == Room::Full;
        wish.need_gb.filter(is_full).map_or(Ok(()), |need_gb| Err(self.vram_full(gpu, need_gb)))
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

    /// A runtime of the GPU that nobody has looked at yet: what it has loaded is not known, so nothing is added to it.
    pub(super) fn unseen_on(&self, gpu: GpuIx) -> Option<Reason> {
        let runtimes = self.table.gpus[gpu].runtimes.iter().map(|ix| &self.table.runtimes[*ix]);
        let mut unseen = runtimes.filter(|runtime| runtime.config.is_some() && runtime.link == Link::Unseen);
        let runtime = unseen.next()?.name.clone();
        let why = "it was not seen yet, so nobody knows what it has loaded".to_owned();
        Some(Reason::RuntimeDown { runtime, since: None, why })
    }

    pub(super) fn key_of(&self, holder: &Holder) -> Option<Key> {
        match holder {
            Holder::Task(seq) => self.tasks.get(seq).map(|task| task.key),
            Holder::Lease(id) => self.leases.get(id).map(|lease| lease.key),
        }
    }

    /// How many stand before `key` and go first on this very GPU: others that want it for themselves, and shared work whose
    /// model is being loaded there already. Shared work that merely waits for a slot does not: an exclusive task interrupts
    /// it, and it has its turn afterwards.
    fn before_on(&self, gpu: GpuIx, key: Key) -> u64 {
        let entry = &self.table.gpus[gpu];
        let is_first = |line: &&Line| {
            let Some(reason) = line.told().filter(|_| line.head().is_some_and(|head| head < key)) else { return false };
            let is_loading = matches!(reason, Reason::ModelLoading { .. });
            (line.is_exclusive() || is_loading) && self.is_about(reason, gpu, line.head())
        };
        let leases = self.leases.values().filter(|lease| !lease.is_granted && lease.key < key);
        let wants = |lease: &&Lease| {
            lease.asked.gpus.contains(&entry.id)
                && lease.reason.as_ref().is_some_and(|reason| self.is_about(reason, gpu, Some(lease.key)))
        };
        let lines = entry.lines().map(|line| &self.lines[line]);
        lines.filter(is_first).count() as u64 + leases.filter(wants).count() as u64
    }

    /// Whether somebody with this reason goes on as soon as something on this GPU ends.
    fn is_about(&self, reason: &Reason, gpu: GpuIx, head: Option<Key>) -> bool {
        let entry = &self.table.gpus[gpu];
        match reason {
            Reason::SharedSlotsFull { place, .. } => **place == *entry.place,
            Reason::ModelLoading { model } => {
                self.table.model(model).and_then(|ix| self.table.gpu_of_model(ix)) == Some(gpu)
            }
            Reason::VramFull { .. } => entry.memory_waiter.is_some() && entry.memory_waiter == head,
            Reason::Draining { gpu, .. } | Reason::ExclusiveHeld { gpu, .. } => *gpu == entry.id,
            Reason::Priority { .. } => true,
            Reason::Dependency { .. }
            | Reason::NotBefore { .. }
            | Reason::CopilotPersistent { .. }
            | Reason::NoRuntime { .. }
            | Reason::RuntimeDown { .. }
            | Reason::DiskFull { .. }
            | Reason::Leased { .. }
            | Reason::Paused { .. }
            | Reason::Backoff { .. }
            | Reason::InUse { .. } => false,
        }
    }

    /// What was displaced and has to come back before anybody has the GPU for himself again: exclusive holders may follow
    /// each other without loading it in between, but only so often.
    fn returns_first(&self, gpu: GpuIx) -> Option<ModelIx> {
        let entry = &self.table.gpus[gpu];
        entry.displaced.first().copied().filter(|_| entry.in_a_row >= entry.policy.batching.max_tasks)
    }

    /// After an exclusive holder, shared tasks that are older come first; with `preemption: never` batches may pass as they
    /// do elsewhere.
    fn others_have_their_turn(&mut self, gpu: GpuIx, key: Key, now: Moment) -> Option<u64> {
        if let Some(turn) = self.table.gpus[gpu].turn {
            let is_older = |line: &Line| {
                let head = line.head().and_then(|head| self.tasks.get(&TaskSeq(head.seq)));
                let is_free = line.told().is_none_or(|reason| self.is_about(reason, gpu, line.head()));
                !line.is_exclusive()
                    && is_free
                    && head.is_some_and(|head| (head.submitted_ms, head.request.task) < turn.before)
            };
            let older = self.table.gpus[gpu].lines().any(|line| is_older(&self.lines[line]));
            if older && turn.left > 0 {
                return Some(u64::from(turn.left));
            }
            self.table.gpus[gpu].turn = None;
        }
        if self.table.gpus[gpu].policy.preemption != Preemption::Never {
            return None;
        }
        if let Some(first) = self.table.gpus[gpu].polite.as_ref().filter(|polite| polite.key < key) {
            // One before it is polite, or was: what it let pass is over for all behind it, and does not begin anew for it.
            let is_over = first.is_over;
            self.look.polite.push(gpu);
            return (!is_over).then_some(1);
        }
        let batching = self.table.gpus[gpu].policy.batching.clone();
        let max_wait_ms = u64::try_from(batching.max_wait.get().as_millis()).unwrap_or(u64::MAX);
        let priority = self.tasks.get(&TaskSeq(key.seq)).map_or(0, |task| task.request.priority);
        let lines = self.table.gpus[gpu].lines().map(|line| &self.lines[line]);
        let same = lines.filter(|line| line.key.priority == priority && !line.is_exclusive());
        let waiting: u64 = same.map(|line| line.waiting.len() as u64).sum();
        self.look.polite.push(gpu);
        let entry = &mut self.table.gpus[gpu];
        let (since_ms, victims) = (now.steady_ms, BTreeSet::new());
        let anew = Passed { key, priority, since_ms, count: 0, victims, is_over: false };
        let polite = match entry.polite.take() {
            Some(polite) if polite.key == key => entry.polite.insert(polite),
            Some(_) | None => entry.polite.insert(anew),
        };
        let until_ms = polite.since_ms.saturating_add(max_wait_ms);
        let is_late = polite.count >= batching.max_tasks || now.steady_ms >= until_ms;
        polite.is_over = polite.is_over || waiting == 0 || is_late;
        if polite.is_over {
            return None;
        }
        let ahead = u64::from(batching.max_tasks.saturating_sub(polite.count)).min(waiting);
        self.timers.gpu_at(until_ms, gpu);
        Some(ahead)
    }

    /// Counts a shared task that started in its turn after an exclusive holder. Who waits for that turn to be over is looked
    /// at again.
    pub(super) fn count_turn(&mut self, gpu: GpuIx, task: TaskSeq) {
        let submitted_ms = self.tasks.get(&task).map_or(i64::MAX, |task| task.submitted_ms);
        let Some(turn) = self.table.gpus[gpu].turn.as_mut() else { return };
        if (submitted_ms, task) < turn.before {
            turn.left = turn.left.saturating_sub(1);
        }
        self.gpu_dirty(gpu);
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
        let holders: Vec<TaskSeq> = self.table.gpus[gpu].holders.keys().copied().collect();
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
        let mut left: Vec<String> = entry.holders.values().map(ToString::to_string).collect();
        left.extend(entry.shared_leases.iter().map(|id| self.name_of(&Holder::Lease(id.clone())).to_string()));
        let Lock::Draining { since_ms, .. } = entry.lock else { return left };
        for ix in &entry.runtimes {
            let runtime = &self.table.runtimes[*ix];
            if runtime.config.is_none() {
                // No longer declared, so nobody may look at it again: what is ours there are the holders above.
                continue;
            }
            match &runtime.link {
                Link::Up { in_flight: Some(n), .. } if *n > 0 => {
                    // Our own tasks there are told by their ids already; what is beyond them is somebody else's.
                    let ours = u32::try_from(runtime.running.len()).unwrap_or(u32::MAX);
                    match n.checked_sub(ours) {
                        Some(0) | None if !left.is_empty() => {}
                        Some(others) if ours > 0 && others > 0 => {
                            left.push(format!("{} works on {others} more", runtime.name));
                        }
                        Some(_) | None => left.push(format!("{} works on {n}", runtime.name)),
                    }
                }
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
                        && model.failed.is_none()
                        && model.pin != Some(Pin::Ignored)
                        && self.loads_in(model.runtime)
                        && wish.keeps != Some(*ix)
                };
                models.filter(goes).collect()
            }
            // Its model is there already, even where it took more than anybody had said: it is not its own victim.
            Some(need_gb) if need_gb <= 0.0 => BTreeSet::new(),
            Some(need_gb) => match self.room(gpu, need_gb, true) {
                Room::Enough => BTreeSet::new(),
                Room::Evict(victims) | Room::Busy(victims) => victims,
                Room::Full => {
                    let reason = self.vram_full(gpu, need_gb);
                    // A task may drain it for another of its models; if for none, the drain ends with this look.
                    if matches!(holder, Holder::Lease(_)) {
                        self.undrain(gpu, holder, now, out);
                    }
                    return Err(reason);
                }
            },
        };
        let (name, mut left) = (self.name_of(holder), self.stuck_on(gpu, wish));
        if victims.is_empty() && left.is_empty() {
            return Ok(());
        }
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

    /// Who needs the whole GPU waits for what could not be unloaded: it is tried again after a while.
    fn stuck_on(&self, gpu: GpuIx, wish: Wish) -> Vec<String> {
        let models = self.table.gpus[gpu].models.iter().filter(|ix| wish.need_gb.is_none() && wish.keeps != Some(**ix));
        let stuck = models.filter_map(|ix| {
            let model = &self.table.models[*ix];
            let goes = model.phase == Phase::Loaded && model.pin != Some(Pin::Ignored) && self.loads_in(model.runtime);
            let (_, failed) = model.failed.as_ref().filter(|_| goes)?;
            Some(format!("{} could not be unloaded: {failed}", model.at))
        });
        stuck.collect()
    }
}
