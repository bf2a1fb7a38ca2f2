//! The small engine of random histories: it carries out what is decided, or fails at it, settles everything, and restarts.

use super::script::{Play, Step, model_at};
use super::*;

impl Play {
    /// A load or an unload under way ends.
    pub(super) fn moved(&mut self, pick: u8, fails: bool) {
        let all: Vec<ModelAt> = self.ledger.loading.iter().chain(&self.ledger.unloading).cloned().collect();
        let Some(at) = all.get(usize::from(pick) % all.len().max(1)).cloned() else { return };
        let is_load = self.ledger.loading.remove(&at);
        self.ledger.unloading.remove(&at);
        let message = "it broke".to_owned();
        let event = match (is_load, fails) {
            (true, false) => Event::Loaded { at: at.clone(), took_ms: 4_000 },
            (true, true) => Event::LoadFailed { at: at.clone(), message, retry_ms: 2_000 },
            (false, false) => Event::Unloaded(at.clone()),
            (false, true) => Event::UnloadFailed { at: at.clone(), message, retry_ms: 2_000 },
        };
        if fails {
            self.failed_ms.insert(at.clone(), self.now.steady_ms + 2_000);
            self.ledger.displaced.remove(&at);
            self.ledger.unsure.insert(at.clone());
        }
        // A failed load leaves nothing; a failed unload leaves all.
        if is_load == fails {
            self.ledger.resident.remove(&at);
        } else {
            self.ledger.resident.insert(at, true);
        }
        self.apply(event);
    }

    /// A look at a runtime tells the truth.
    pub(super) fn seen(&mut self, runtime: u8, strangers: bool) {
        let runtime = self.runtimes()[usize::from(runtime) % 4].clone();
        self.now.steady_ms += 1;
        self.ledger.down.remove(&runtime);
        self.ledger.unsure.retain(|at| at.runtime != runtime);
        if strangers && runtime == name("swap") {
            self.ledger.resident.insert(at("stranger"), true);
        }
        let here = self.ledger.resident.iter().filter(|(at, _)| at.runtime == runtime);
        let models = here.map(|(at, loaded)| {
            let state = match (loaded, self.ledger.loading.contains(at)) {
                (true, _) => ModelState::Loaded,
                (false, true) => ModelState::Loading,
                (false, false) => ModelState::Unloading,
            };
            (at.served_as.clone(), state, None)
        });
        let working = self.ledger.running.values().filter(|it| it.place.runtime == runtime).count();
        let in_flight = (runtime != name("cpu")).then_some(u32::try_from(working).unwrap());
        let seen = RuntimeSeen::Up { models: models.collect(), in_flight };
        self.apply(Event::Seen { runtime, seen });
    }

    /// The planner asks first, and does it when it may.
    pub(super) fn claim(&mut self, model: u8, load: bool) {
        let at = model_at(model);
        let is_there = self.ledger.resident.contains_key(&at);
        let verb = if load { ClaimVerb::Load } else { ClaimVerb::Unload };
        let decisions = self.apply(Event::Claim { at: at.clone(), verb });
        if !decisions.contains(&Decision::Admit { at: at.clone() }) {
            return;
        }
        match (load, is_there) {
            // Done already: that is told too.
            (true, true) => drop(self.apply(Event::Loaded { at, took_ms: 0 })),
            (false, false) => drop(self.apply(Event::Unloaded(at))),
            (true, false) => self.ledger.note_load(&at, &self.config),
            (false, true) => {
                self.ledger.resident.insert(at.clone(), false);
                self.ledger.unloading.insert(at);
            }
        }
    }

    /// Every trouble is over, and whatever can be done is done, beside what loadouts want loaded.
    pub(super) fn calm(&mut self) {
        self.jumps.clear();
        let host = self.config.hosts.get_mut(&name("desk")).unwrap();
        let policy = Arc::make_mut(&mut host.policy);
        (policy.paused, policy.copilot_persistent) = (false, false);
        self.apply(Event::WorldChanged(Arc::new(self.config.clone())));
        for n in 0..2 {
            self.ledger.foreign.remove(&self.gpu(n));
            self.apply(Event::ForeignUse { gpu: self.gpu(n), gb: None });
        }
        self.apply(Event::Disk { host: name("desk"), free_gb: None });
        for id in self.ledger.leases.keys().cloned().collect::<Vec<_>>() {
            self.ledger.leases.remove(&id);
            self.apply(Event::LeaseReleased(id));
        }
        let mut still = 0;
        for _ in 0..2_000 {
            let before = self.state_of_things();
            while !self.ledger.loading.is_empty() || !self.ledger.unloading.is_empty() {
                self.moved(0, false);
            }
            if let Some(task) = self.ledger.running.keys().next().copied() {
                self.end(task, End::Done { took_ms: 1_000 });
            }
            (0..4).for_each(|runtime| self.seen(runtime, false));
            self.pass(2_000);
            still = if before == self.state_of_things() { still + 1 } else { 0 };
            // Longer than any wait that is not for somebody else.
            if still > 20 {
                return;
            }
        }
        panic!("it never comes to rest: {:?}", self.reasons());
    }

    fn state_of_things(&self) -> (usize, usize, usize, usize) {
        let ledger = &self.ledger;
        (
            ledger.waiting.len(),
            ledger.running.len(),
            ledger.loading.len() + ledger.unloading.len(),
            ledger.resident.len(),
        )
    }

    /// The same without any loadout: now everything that can be done at all is done.
    pub(super) fn settle(&mut self) {
        self.config.pins.clear();
        self.calm();
    }

    pub(super) fn reasons(&self) -> Vec<(TaskSeq, &'static str)> {
        let why = |seq: &TaskSeq| (*seq, self.state.why(*seq, self.now).map_or("?", |reason| reason.word()));
        self.ledger.waiting.keys().map(why).collect()
    }

    /// The program ends and starts again: what ran was interrupted, what moved did not arrive.
    pub(super) fn restart(&mut self) {
        for (task, running) in std::mem::take(&mut self.ledger.running) {
            self.ledger.waiting.insert(task, running.request);
        }
        for at in std::mem::take(&mut self.ledger.loading) {
            self.ledger.resident.remove(&at);
        }
        for at in std::mem::take(&mut self.ledger.unloading) {
            self.ledger.resident.insert(at, true);
        }
        self.ledger.locks.clear();
        let down = std::mem::take(&mut self.ledger.down);
        // A runtime that does not answer has nothing loaded that anybody could know of.
        self.ledger.resident.retain(|at, _| !down.contains(&at.runtime));
        self.state = State::new();
        let waiting = std::mem::take(&mut self.ledger.waiting);
        let leases = std::mem::take(&mut self.ledger.leases);
        self.ledger.down = self.runtimes().into_iter().collect();
        self.apply(Event::WorldChanged(Arc::new(self.config.clone())));
        for (gpu, gb) in self.ledger.foreign.clone() {
            self.apply(Event::ForeignUse { gpu, gb: Some(gb) });
        }
        let (granted, asked): (Vec<_>, Vec<_>) = leases.into_iter().partition(|(_, (_, held))| *held);
        for (id, (lease, held)) in granted.into_iter().chain(asked) {
            self.ledger.leases.insert(id, (lease.clone(), held));
            self.apply(Event::LeaseAsked(Box::new(LeaseRequest { held, ..lease })));
        }
        for mut request in waiting.into_values() {
            request.backoff = None;
            request.attempts += 1;
            for dependency in &mut request.depends_on {
                dependency.over = self.ledger.over.get(&dependency.id).copied().or(dependency.over);
            }
            self.told_of(request);
        }
        for (n, runtime) in self.runtimes().iter().enumerate() {
            let n = u8::try_from(n).unwrap();
            if down.contains(runtime) { self.step(&Step::Down { runtime: n }) } else { self.seen(n, false) }
        }
    }
}
