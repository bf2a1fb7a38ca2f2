//! What somebody outside sees of the program: what it was told, what it did, what it promised. Kept apart from its own books,
//! so that both can be compared. It survives the program's crashes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::core::Name;
use crate::decide::dispatch::{ClaimId, Input, LeaseEnd, Op, Record, WriteId};
use crate::decide::scheduler::{
    ClaimVerb, Config, Event as Told, GpuId, LeaseId, LeaseRequest, ModelAt, ModelConfig, Pin, Place, TaskSeq,
};
use crate::decide::view::ModelState;

use super::machines::Answer;

/// What a runtime last told.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    pub up: bool,
    pub models: BTreeMap<Arc<str>, (ModelState, Option<f64>)>,
    pub in_flight: Option<u32>,
}

/// What somebody outside sees of the program.
#[derive(Clone, Debug, Default)]
pub struct Witness {
    /// Tasks that were said to be accepted, by the label of their submission.
    pub accepted: BTreeMap<u32, Arc<str>>,
    pub config: Arc<Config>,
    /// Attempts from the decision to start them until their end is written.
    pub running: BTreeMap<TaskSeq, Place>,
    /// Leases from the decision to grant them until their end is decided.
    pub leases: BTreeMap<LeaseId, LeaseRequest>,
    asked: BTreeMap<LeaseId, LeaseRequest>,
    /// Leases whose end is being written: a grant that comes too late grants nothing.
    ending: BTreeSet<LeaseId>,
    pub seen: BTreeMap<Name, Seen>,
    pub foreign_gb: BTreeMap<GpuId, f64>,
    pub measured_gb: BTreeMap<ModelAt, f64>,
    /// Loads that were decided and did not end yet.
    pub loading: BTreeSet<ModelAt>,
    /// Models that a loadout wants loaded and that the scheduler unloaded, until they are loaded again.
    pub displaced: BTreeSet<ModelAt>,
    pub claims: BTreeMap<ClaimId, (ModelAt, ClaimVerb)>,
    /// Whether the grant that is being written was decided just now, and not written once more.
    pub grant_is_news: bool,
    /// What models took that nobody declares any more, in GB.
    was_declared_gb: BTreeMap<ModelAt, f64>,
    writes: BTreeMap<WriteId, Record>,
    /// Calls that changed what a runtime has loaded: loads and unloads that the program made.
    pub moves: u64,
}

impl Witness {
    /// The program is gone, and with it what it had under way.
    pub fn crashed(&mut self) {
        let config = std::mem::take(&mut self.config);
        let accepted = std::mem::take(&mut self.accepted);
        *self = Self { config, accepted, moves: self.moves, ..Self::default() };
    }

    /// What was on disk when the program started.
    pub fn restored(&mut self, config: &Arc<Config>, leases: impl Iterator<Item = LeaseRequest>) {
        self.config = Arc::clone(config);
        for lease in leases {
            self.asked.insert(Arc::clone(&lease.id), lease.clone());
            if lease.held {
                self.leases.insert(Arc::clone(&lease.id), lease);
            }
        }
    }

    /// The dispatcher is told something.
    pub fn input(&mut self, input: &Input) {
        match input {
            Input::World(config) => self.world(config),
            Input::Event(event) => self.told(event),
            Input::Written(id) => self.written(*id, true),
            Input::NotWritten(id, _) => self.written(*id, false),
            Input::Claim { claim, at, verb } => drop(self.claims.insert(*claim, (at.clone(), *verb))),
            Input::ClaimEnded { claim, .. } => {
                if let Some((at, ClaimVerb::Load)) = self.claims.remove(claim) {
                    self.loading.remove(&at);
                }
            }
            Input::CallEnded { at, verb: ClaimVerb::Load, .. } => drop(self.loading.remove(at)),
            Input::LeaseAsk { lease, .. } => drop(self.asked.insert(Arc::clone(&lease.id), (**lease).clone())),
            Input::Accepted(_)
            | Input::RunEnded { .. }
            | Input::CallEnded { .. }
            | Input::Cancel { .. }
            | Input::Reroute { .. }
            | Input::LeaseRenew { .. }
            | Input::LeaseRelease { .. }
            | Input::Closing
            | Input::Tick => {}
        }
    }

    /// Another world is in force. What a model was declared to take it takes for as long as it is there.
    fn world(&mut self, config: &Arc<Config>) {
        let before = std::mem::replace(&mut self.config, Arc::clone(config));
        let takes: Vec<(ModelAt, f64)> = declared_gb(&before).filter(|(at, _)| self.is_there(at)).collect();
        self.was_declared_gb.extend(takes);
        // What no loadout wants any more is not expected back, also when one wants it again later.
        let displaced = std::mem::take(&mut self.displaced);
        self.displaced = displaced.into_iter().filter(|at| self.is_wanted(at)).collect();
    }

    fn told(&mut self, event: &Told) {
        match event {
            Told::ForeignUse { gpu, gb } => drop(self.foreign_gb.insert(gpu.clone(), gb.unwrap_or(0.0))),
            Told::Measured { at, gb } => drop(self.measured_gb.insert(at.clone(), *gb)),
            _ => {}
        }
    }

    /// A runtime answered a look, or did not.
    pub fn heard(&mut self, runtime: &Name, answer: &Answer) {
        match answer {
            Answer::Seen(view) => {
                let models = view.models.iter().map(|model| (model.name.as_str().into(), (model.state, model.vram_gb)));
                let seen = Seen { up: true, models: models.collect(), in_flight: view.in_flight };
                // It never went, or somebody else brought it back.
                let is_there = |at: &ModelAt| {
                    let state = seen.models.get(&at.served_as).map(|(state, _)| *state);
                    at.runtime == *runtime && matches!(state, Some(ModelState::Loaded | ModelState::Loading))
                };
                self.displaced.retain(|at| !is_there(at));
                self.was_declared_gb
                    .retain(|at, _| at.runtime != *runtime || is_there(at) || self.loading.contains(at));
                self.seen.insert(runtime.clone(), seen);
            }
            Answer::Failed(_) => self.seen.entry(runtime.clone()).or_default().up = false,
            Answer::Done => {}
        }
    }

    /// The dispatcher wants something done.
    pub fn op(&mut self, op: &Op) {
        match op {
            Op::Write { id, record } => {
                match record {
                    Record::Start { task, place, .. } => drop(self.running.insert(*task, place.clone())),
                    Record::LeaseGranted { id, .. } if !self.ending.contains(id) => {
                        if let Some(lease) = self.asked.get(id) {
                            let before = self.leases.insert(Arc::clone(id), lease.clone());
                            self.grant_is_news = before.is_none();
                        }
                    }
                    Record::LeaseEnded { id, .. } => {
                        self.leases.remove(id);
                        self.ending.insert(Arc::clone(id));
                    }
                    Record::Begin { at, verb: ClaimVerb::Load, .. } => {
                        self.loading.insert(at.clone());
                        self.displaced.remove(at);
                    }
                    Record::Begin { at, verb: ClaimVerb::Unload, .. } if self.is_wanted(at) => {
                        self.displaced.insert(at.clone());
                    }
                    // It did not make way; if it is gone all the same, somebody else did that.
                    Record::Finish { at, verb: ClaimVerb::Unload, result: Err(_), .. } => {
                        self.displaced.remove(at);
                    }
                    _ => {}
                }
                self.writes.insert(*id, record.clone());
            }
            Op::Claimed { claim, answer } => match (self.claims.get(claim), answer) {
                (Some((at, ClaimVerb::Load)), Ok(())) => {
                    self.loading.insert(at.clone());
                    self.displaced.remove(at);
                }
                (Some(_), Ok(())) | (None, _) => {}
                (Some(_), Err(_)) => drop(self.claims.remove(claim)),
            },
            Op::Load { .. } | Op::Unload { .. } => self.moves += 1,
            Op::Note(_) | Op::Run { .. } | Op::StopRun { .. } | Op::LeaseGranted { .. } | Op::LeaseOver { .. } => {}
        }
        self.let_go();
    }

    /// What nothing can make room for, because others beside Arcology's models took it, is no longer expected back before
    /// everything else: its loadout says what is missing, and asks again.
    fn let_go(&mut self) {
        let displaced = std::mem::take(&mut self.displaced);
        self.displaced = displaced.into_iter().filter(|at| self.may_find_room(at)).collect();
    }

    fn may_find_room(&self, at: &ModelAt) -> bool {
        let Some(gpu) = self.gpu_of(&at.runtime) else { return true };
        let Some(card) = self.config.gpus.get(gpu) else { return true };
        let foreign = self.foreign_gb.get(gpu).copied().unwrap_or(0.0);
        let shared = self.leases.values().filter(|lease| !lease.exclusive && lease.gpus.contains(gpu));
        let leased: f64 = shared.filter_map(|lease| lease.vram_gb).sum();
        let residents = self.residents(gpu);
        let can_go = |at: &ModelAt| self.config.runtimes.get(&at.runtime).is_some_and(|runtime| runtime.loads);
        let stays = |at: &ModelAt| self.is_wanted(at) || self.is_ignored(at) || !can_go(at);
        let stays = residents.iter().filter(|(other, _)| stays(other));
        let stays: f64 = stays.map(|(_, gb)| gb).sum();
        foreign + leased + stays + card.reserve_gb + self.cost_gb(at) <= card.total_gb
    }

    fn written(&mut self, id: WriteId, written: bool) {
        match (self.writes.remove(&id), written) {
            (Some(Record::End { task, .. }), true) | (Some(Record::Start { task, .. }), false) => {
                self.running.remove(&task);
            }
            (Some(Record::Begin { at, verb: ClaimVerb::Load, .. }), false) => drop(self.loading.remove(&at)),
            // Nothing was asked to make way.
            (Some(Record::Begin { at, verb: ClaimVerb::Unload, .. }), false) => drop(self.displaced.remove(&at)),
            (Some(Record::LeaseEnded { id, end, .. }), written) => {
                self.ending.remove(&id);
                if let Some(lease) = self.asked.get(&id).filter(|_| !written && end == LeaseEnd::Released) {
                    // That it was given back could not be written: it goes on, if it was granted.
                    self.leases.extend(lease.held.then(|| (id, lease.clone())));
                }
            }
            (Some(Record::LeaseGranted { id, .. }), true) => {
                self.asked.entry(id).and_modify(|lease| lease.held = true);
            }
            _ => {}
        }
    }

    /// What a model takes at most, as far as anybody told: declared with its context, reported, measured. In GB.
    #[must_use]
    pub fn cost_gb(&self, at: &ModelAt) -> f64 {
        let is_declared = self.is_declared(at);
        let declared = declared_gb(&self.config).filter(|(other, _)| other == at).map(|(_, gb)| gb).fold(0.0, f64::max);
        let was = self.was_declared_gb.get(at).copied().filter(|_| !is_declared).unwrap_or(0.0);
        let reported = self.seen.get(&at.runtime).and_then(|seen| seen.models.get(&at.served_as)?.1).unwrap_or(0.0);
        let measured = self.measured_gb.get(at).copied().unwrap_or(0.0);
        declared.max(was).max(reported).max(measured)
    }

    /// Models that take memory of a GPU: seen there, or on their way. Each with what it takes, in GB.
    #[must_use]
    pub fn residents(&self, gpu: &GpuId) -> BTreeMap<ModelAt, f64> {
        let mut found = BTreeMap::new();
        let on_it = self.config.runtimes.iter().filter(|(_, runtime)| runtime.gpu.as_ref() == Some(gpu));
        for (name, _) in on_it {
            let loaded = self
                .seen
                .get(name)
                .into_iter()
                .flat_map(|seen| &seen.models)
                .filter(|(_, (state, _))| matches!(state, ModelState::Loaded | ModelState::Loading));
            for (served_as, _) in loaded {
                let at = ModelAt { runtime: name.clone(), served_as: Arc::clone(served_as) };
                found.insert(at.clone(), self.cost_gb(&at));
            }
            for at in self.loading.iter().filter(|at| at.runtime == *name) {
                found.insert(at.clone(), self.cost_gb(at));
            }
        }
        found
    }

    /// Whether a loadout wants a model loaded.
    #[must_use]
    pub fn is_wanted(&self, at: &ModelAt) -> bool {
        matches!(self.config.pins.get(at), Some(Pin::Copilot | Pin::Loaded))
    }

    /// Whether no loadout names a model where `unlisted: ignore` holds: nothing sends it away.
    fn is_ignored(&self, at: &ModelAt) -> bool {
        let host = self.config.runtimes.get(&at.runtime).and_then(|runtime| self.config.hosts.get(&runtime.host));
        !self.config.pins.contains_key(at) && host.is_some_and(|host| host.unlisted == Pin::Ignored)
            || self.config.pins.get(at) == Some(&Pin::Ignored)
    }

    fn is_declared(&self, at: &ModelAt) -> bool {
        self.config.models.values().any(|model| model.served.contains(at))
    }

    /// Whether a model was put there by somebody else: nobody declares it, and nobody did when it came.
    #[must_use]
    pub fn is_strange(&self, at: &ModelAt) -> bool {
        !self.is_declared(at) && !self.was_declared_gb.contains_key(at)
    }

    /// Whether a model was seen on its runtime or is on its way there.
    fn is_there(&self, at: &ModelAt) -> bool {
        let seen = self.seen.get(&at.runtime).and_then(|seen| seen.models.get(&at.served_as));
        let is_seen = seen.is_some_and(|(state, _)| matches!(state, ModelState::Loaded | ModelState::Loading));
        is_seen || self.loading.contains(at)
    }

    /// The GPU of a runtime.
    #[must_use]
    pub fn gpu_of(&self, runtime: &Name) -> Option<&GpuId> {
        self.config.runtimes.get(runtime)?.gpu.as_ref()
    }
}

/// What every model is declared to take at each of its places, in GB.
fn declared_gb(config: &Config) -> impl Iterator<Item = (ModelAt, f64)> {
    let takes = |model: &ModelConfig| Some(model.vram_gb? + model.context_gb);
    let known = config.models.values().filter_map(move |model| Some((model, takes(model)?)));
    known.flat_map(|(model, gb)| model.served.iter().map(move |at| (at.clone(), gb)))
}
