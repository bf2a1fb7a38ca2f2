//! Starting the head of a line: the first of its places that can take it now, or the reason that is nearest to clearing.

use std::sync::Arc;

use super::decision::{Decision, Holder, Place};
use super::dispatch::Look;
use super::id::{Moment, TaskSeq};
use super::line::{Choice, Key, LineIx};
use super::memory::LookedFor;
use super::reason::{Halt, Reason};
use super::state::{Run, Stage, State};
use super::table::{GpuIx, Link, Lock, ModelIx, Phase};

/// What a place says to a task.
pub(super) enum Verdict {
    /// It can start there at once.
    Ready,
    /// Something is being done for it there: a load, an unload, a drain.
    Underway(Reason),
    /// It would have to load a model first, which fits.
    Load(ModelIx),
    No(Reason),
}

impl State {
    /// Looks whether the head of a line can start.
    pub(super) fn look_at_head(&mut self, line: LineIx, key: Key, now: Moment, out: &mut Vec<Decision>) -> Look {
        if self.lines[line].plan.choices.is_empty() {
            let line = &self.lines[line];
            let hint = line.plan.hint.as_ref().map(ToString::to_string);
            return Look::Waits(Reason::NoRuntime { capability: line.capability.to_string(), hint });
        }
        self.look = LookedFor::default();
        match self.look_at_places(line, key, now, out) {
            Ok(choice) => {
                self.begin(line, key, choice, now, out);
                Look::Started
            }
            Err(reason) => {
                self.keep_wishes(key, line, now, out);
                Look::Waits(reason)
            }
        }
    }

    /// The place where it can start at once; otherwise something is begun that brings it nearer, and the reason is told that
    /// is nearest to clearing.
    fn look_at_places(
        &mut self,
        line: LineIx,
        key: Key,
        now: Moment,
        out: &mut Vec<Decision>,
    ) -> Result<Choice, Reason> {
        let (force, output_mb) = (self.lines[line].key.force, self.expected_mb(line));
        let mut best: Option<(u8, Reason)> = None;
        let mut load: Option<(Choice, ModelIx)> = None;
        for at in 0..self.lines[line].plan.choices.len() {
            let choice = self.lines[line].plan.choices[at];
            if choice.exclusive {
                continue;
            }
            let verdict = match self.blocked_there(choice, output_mb) {
                Some(reason) => Verdict::No(reason),
                None => self.shared_verdict(key, choice, now),
            };
            if let (Verdict::No(Reason::SharedSlotsFull { .. }), Some(gpu)) =
                (&verdict, self.table.runtimes[choice.runtime].gpu)
            {
                // It waits for a slot, and for what it waited for before.
                self.look.memory.push(gpu);
                self.look.passed.push(gpu);
            }
            match verdict {
                Verdict::Ready => return Ok(choice),
                Verdict::Load(model) => drop(load.get_or_insert((choice, model))),
                Verdict::Underway(reason) => nearer(&mut best, 0, reason),
                Verdict::No(reason) => nearer(&mut best, reason.rank(), reason),
            }
        }
        // When something is already being done for it elsewhere, a load or a drain would be for nothing.
        let is_underway = |best: &Option<(u8, Reason)>| best.as_ref().is_some_and(|(rank, _)| *rank == 0);
        if let Some((choice, model)) = load.filter(|_| !is_underway(&best)) {
            return Err(self.load_for(key, choice, model, now, out));
        }
        for choice in self.exclusive_choices(line, key) {
            let verdict = match self.blocked_there(choice, output_mb) {
                Some(reason) => Verdict::No(reason),
                None if is_underway(&best) => break,
                None => self.exclusive_verdict(key, choice, force, now, out),
            };
            match verdict {
                Verdict::Ready => return Ok(choice),
                // It drains one GPU, never two.
                Verdict::Underway(reason) => return Err(reason),
                Verdict::Load(_) => {}
                Verdict::No(reason) => nearer(&mut best, reason.rank(), reason),
            }
        }
        let capability = self.lines[line].capability.to_string();
        Err(best.map_or(Reason::NoRuntime { capability, hint: None }, |(_, reason)| reason))
    }

    /// The places that it would have for itself: the one that drains for it first, then those that nothing runs on and that
    /// have its model loaded.
    fn exclusive_choices(&self, line: LineIx, key: Key) -> Vec<Choice> {
        let mut choices: Vec<Choice> =
            self.lines[line].plan.choices.iter().copied().filter(|choice| choice.exclusive).collect();
        let holder = Holder::Task(TaskSeq(key.seq));
        choices.sort_by_key(|choice| {
            let gpu = self.table.runtimes[choice.runtime].gpu;
            let drains = gpu.is_some_and(|gpu| self.is_drained_by(gpu, &holder));
            let entry = gpu.map(|gpu| &self.table.gpus[gpu]);
            let is_free = entry.is_some_and(|gpu| gpu.lock == Lock::Shared && gpu.taken() == 0);
            let is_loaded = choice.model.is_none_or(|model| self.table.models[model].phase == Phase::Loaded);
            (!drains, !is_free, !is_loaded)
        });
        choices
    }

    /// Whether a runtime answers, under a policy that lets it start something.
    pub(super) fn is_up(&self, runtime: usize) -> bool {
        let entry = &self.table.runtimes[runtime];
        !entry.policy.paused && !entry.policy.draining && matches!(entry.link, Link::Up { .. })
    }

    /// What speaks against a place whatever the lock says.
    pub(super) fn blocked_there(&self, choice: Choice, output_mb: u64) -> Option<Reason> {
        let runtime = &self.table.runtimes[choice.runtime];
        let config = runtime.config.as_ref()?;
        if runtime.policy.paused || runtime.policy.draining {
            let source = runtime.policy.sources.first();
            let policy = source.map_or_else(|| "the policy".to_owned(), |name| format!("Policy/{name}"));
            let (paused, draining) = (runtime.policy.paused, runtime.policy.draining);
            return Some(Reason::Paused { policy: Halt { policy, paused, draining } });
        }
        match &runtime.link {
            Link::Up { .. } => {}
            Link::Unseen => {
                let why = "it was not seen yet".to_owned();
                return Some(Reason::RuntimeDown { runtime: runtime.name.clone(), since: None, why });
            }
            Link::Down { since, why } => {
                let (name, why) = (runtime.name.clone(), why.clone());
                return Some(Reason::RuntimeDown { runtime: name, since: Some(*since), why });
            }
        }
        if let Some(reason) = self.disk_is_full(&config.host, output_mb) {
            return Some(reason);
        }
        let limit = config.slots as usize + usize::from(self.is_broken(super::broken::Rule::OneSlotTooMany));
        if runtime.running.len() >= limit {
            return Some(Reason::SharedSlotsFull {
                place: runtime.name.as_str().into(),
                slots: config.slots,
                holders: self.ids_of(runtime.running.iter().copied()).into(),
            });
        }
        None
    }

    /// Whether a task can share the place.
    fn shared_verdict(&self, key: Key, choice: Choice, now: Moment) -> Verdict {
        if let Some(gpu) = self.table.runtimes[choice.runtime].gpu
            && let Some(reason) = self.gpu_is_closed(gpu, now)
        {
            return Verdict::No(reason);
        }
        let Some(model) = choice.model.filter(|_| self.loads_in(choice.runtime)) else { return Verdict::Ready };
        match self.table.models[model].phase {
            Phase::Loaded => self.may_start_on(key, choice, model),
            Phase::Loading { .. } => {
                Verdict::Underway(Reason::ModelLoading { model: self.table.models[model].at.clone() })
            }
            Phase::Unloading { .. } => Verdict::No(Reason::ModelLoading { model: self.table.models[model].at.clone() }),
            Phase::Unloaded | Phase::Unknown => match self.table.models[model].failed.clone() {
                // Not here and not now; other places are looked at.
                Some((until_ms, failed)) => Verdict::No(Reason::Backoff { until_ms, failed }),
                None => Verdict::Load(model),
            },
        }
    }

    fn may_start_on(&self, key: Key, choice: Choice, model: ModelIx) -> Verdict {
        let Some(gpu) = self.table.runtimes[choice.runtime].gpu else { return Verdict::Ready };
        if self.must_not_pass(gpu, key, model) { Verdict::No(Reason::Priority { ahead: 1 }) } else { Verdict::Ready }
    }

    /// Why no shared task may start on a GPU now.
    pub(super) fn gpu_is_closed(&self, gpu: GpuIx, now: Moment) -> Option<Reason> {
        let entry = &self.table.gpus[gpu];
        let id = || entry.id.clone();
        match &entry.lock {
            Lock::Exclusive { by } if !self.is_broken(super::broken::Rule::SharedBesideExclusive) => {
                return Some(self.held_by(gpu, by, now));
            }
            Lock::Draining { by, .. } => {
                return Some(Reason::Draining { gpu: id(), by: self.name_of(by), left: Vec::new() });
            }
            Lock::Shared | Lock::Exclusive { .. } => {}
        }
        let slots = entry.policy.gpu_shared_slots;
        if entry.taken() >= slots as usize + usize::from(self.is_broken(super::broken::Rule::OneSlotTooMany)) {
            let leases = entry.shared_leases.iter().map(|lease| self.name_of(&Holder::Lease(lease.clone())));
            let holders = entry.holders.values().cloned().chain(leases).collect();
            return Some(Reason::SharedSlotsFull { place: Arc::clone(&entry.place), slots, holders });
        }
        None
    }

    /// The reason of a GPU that somebody has for himself.
    pub(super) fn held_by(&self, gpu: GpuIx, by: &Holder, now: Moment) -> Reason {
        let gpu_id = self.table.gpus[gpu].id.clone();
        match by {
            Holder::Task(_) => Reason::ExclusiveHeld { gpu: gpu_id, owner: self.name_of(by) },
            Holder::Lease(id) => {
                let until_ms = self.leases.get(id).map_or(now.steady_ms, |lease| lease.until_ms);
                Reason::Leased { gpu: gpu_id, holder: self.name_of(by), until_ms }
            }
        }
    }

    /// Takes slot, lock and model, and says so.
    pub(super) fn begin(&mut self, line: LineIx, key: Key, choice: Choice, now: Moment, out: &mut Vec<Decision>) {
        let seq = TaskSeq(key.seq);
        let capability = self.lines[line].capability.clone();
        // Who was told last was the one that starts now.
        self.lines[line].reason = None;
        let window = self.window_of_run(line, choice);
        let promised = self.promise_disk(line, choice.runtime);
        let runtime = &mut self.table.runtimes[choice.runtime];
        runtime.running.insert(seq);
        let gpu = runtime.gpu;
        let model = choice.model.map(|ix| &self.table.models[ix]);
        let place = Place {
            runtime: runtime.name.clone(),
            model: model.and_then(|model| model.declared.clone()),
            served_as: model.map(|model| Arc::clone(&model.at.served_as)),
            gpu: gpu.map(|gpu| self.table.gpus[gpu].id.clone()),
            exclusive: choice.exclusive,
        };
        if let Some(model) = choice.model {
            self.table.models[model].users.insert(seq);
        }
        self.running.insert(seq);
        if let Some(gpu) = gpu {
            if choice.exclusive {
                self.own(gpu, Holder::Task(seq), now, out);
            } else if let Some(task) = self.tasks.get(&seq) {
                self.table.gpus[gpu].holders.insert(seq, Arc::clone(&task.request.id));
                self.count_turn(gpu, seq);
                self.count_pass(gpu, key);
            }
        }
        self.forget_wishes(key, line, now, out);
        self.make_room_behind(line, gpu);
        self.take_out(line, key);
        let run = Run {
            runtime: choice.runtime,
            model: choice.model,
            declared: place.model.clone(),
            gpu,
            exclusive: choice.exclusive,
            capability,
            window,
            promised,
            since: now,
            is_stopping: false,
        };
        if let Some(task) = self.tasks.get_mut(&seq) {
            task.stage = Stage::Running(Box::new(run));
        }
        out.push(Decision::Start { task: seq, place });
    }

    /// Whether models are loaded and unloaded in a runtime.
    pub(super) fn loads_in(&self, runtime: usize) -> bool {
        self.table.runtimes[runtime].config.as_ref().is_some_and(|config| config.loads)
    }

    pub(super) fn ids_of(&self, tasks: impl Iterator<Item = TaskSeq>) -> Vec<Arc<str>> {
        tasks.filter_map(|seq| Some(self.tasks.get(&seq)?.request.id.clone())).collect()
    }

    /// How a holder is called in sentences.
    pub(super) fn name_of(&self, holder: &Holder) -> Arc<str> {
        match holder {
            Holder::Task(seq) => {
                self.tasks.get(seq).map_or_else(|| format!("task {}", seq.0).into(), |task| task.request.id.clone())
            }
            Holder::Lease(id) => match self.leases.get(id) {
                Some(lease) => format!("lease {id} ({})", lease.asked.purpose).into(),
                None => format!("lease {id}").into(),
            },
        }
    }
}

/// Keeps the reason that is nearest to clearing.
fn nearer(best: &mut Option<(u8, Reason)>, rank: u8, reason: Reason) {
    if best.as_ref().is_none_or(|(before, _)| rank < *before) {
        *best = Some((rank, reason));
    }
}
