//! What becomes of models and runtimes: what was confirmed, what failed, what was seen.
//!
//! An observation that is older than what we are doing says nothing against it: a model we are loading stays loading until
//! the load is confirmed or has failed.

use super::decision::Decision;
use super::event::RuntimeSeen;
use super::id::{GpuId, ModelAt, Moment};
use super::state::State;
use super::table::{Link, Lock, ModelIx, Phase};
use crate::core::Name;
use crate::decide::view::ModelState;

/// A call says that it did something, and a look at the runtime says that it did not, or that it is undone already.
const NOT_SO: &str = "it was said to be done, and was not seen to be so";
/// How long a model is left alone after that.
const NOT_SO_RETRY_MS: u64 = 5_000;

impl State {
    pub(super) fn loaded(&mut self, at: &ModelAt, took_ms: u64, now: Moment) {
        let Some(ix) = self.table.model_entry(at) else { return };
        self.durations.note_load(at.clone(), took_ms);
        self.table.models[ix].failed = None;
        match self.table.models[ix].told {
            Some(ModelState::Unloaded | ModelState::Unloading) => {
                self.failed(ix, Phase::Unloaded, NOT_SO.to_owned(), NOT_SO_RETRY_MS, now);
            }
            Some(ModelState::Loaded | ModelState::Loading | ModelState::Unknown) | None => {
                self.table.models[ix].told = None;
                self.is_loaded(ix, now);
            }
        }
        self.place_dirty(self.table.models[ix].runtime);
    }

    fn is_loaded(&mut self, ix: ModelIx, now: Moment) {
        let model = &mut self.table.models[ix];
        if model.phase != Phase::Loaded {
            model.phase = Phase::Loaded;
            model.idle_since_ms = now.steady_ms;
            self.arm_idle(ix, now);
        }
        if let Some(gpu) = self.table.gpu_of_model(ix)
            && !matches!(self.table.gpus[gpu].lock, Lock::Exclusive { .. })
        {
            self.back(gpu, ix);
        }
    }

    pub(super) fn unloaded(&mut self, at: &ModelAt, now: Moment) {
        let Some(ix) = self.table.model_entry(at) else { return };
        self.table.models[ix].failed = None;
        match self.table.models[ix].told {
            Some(ModelState::Loaded | ModelState::Loading) => {
                self.failed(ix, Phase::Loaded, NOT_SO.to_owned(), NOT_SO_RETRY_MS, now);
            }
            Some(ModelState::Unloaded | ModelState::Unloading | ModelState::Unknown) | None => {
                let model = &mut self.table.models[ix];
                (model.phase, model.told) = (Phase::Unloaded, None);
            }
        }
        self.table.models[ix].idle_since_ms = now.steady_ms;
        self.place_dirty(self.table.models[ix].runtime);
    }

    pub(super) fn load_failed(&mut self, at: &ModelAt, message: String, retry_ms: u64, now: Moment) {
        let Some(ix) = self.table.model_entry(at) else { return };
        self.failed(ix, Phase::Unloaded, message, retry_ms, now);
        if let Some(gpu) = self.table.gpu_of_model(ix) {
            // The loadout that wants it says so, and tries again.
            self.back(gpu, ix);
        }
    }

    pub(super) fn unload_failed(&mut self, at: &ModelAt, message: String, retry_ms: u64, now: Moment) {
        let Some(ix) = self.table.model_entry(at) else { return };
        self.failed(ix, Phase::Loaded, message, retry_ms, now);
    }

    /// What failed may have happened all the same: a load that timed out goes on in its runtime. What was told of the model
    /// meanwhile says so; only where nothing was told, `phase` is what is so.
    fn failed(&mut self, ix: ModelIx, phase: Phase, message: String, retry_ms: u64, now: Moment) {
        let until_ms = now.steady_ms.saturating_add(retry_ms);
        let model = &mut self.table.models[ix];
        (model.phase, model.failed) = (phase, Some((until_ms, message)));
        if let Some(told) = model.told.take() {
            self.model_seen(ix, told, now);
        }
        self.timers.model_at(until_ms, ix);
        self.place_dirty(self.table.models[ix].runtime);
    }

    pub(super) fn seen(&mut self, runtime: &Name, seen: RuntimeSeen, now: Moment) {
        let Some(at) = self.table.runtime(runtime) else { return };
        let was_up = self.is_up(at);
        match seen {
            RuntimeSeen::Down { since, why } => self.table.runtimes[at].link = Link::Down { since, why },
            RuntimeSeen::Up { models, in_flight } => {
                self.table.runtimes[at].link = Link::Up { in_flight, seen_ms: now.steady_ms };
                self.models_seen(at, &models, now);
                self.used_by_others(at, in_flight, now);
            }
        }
        if was_up != self.is_up(at) {
            self.wake_lines_of(at);
        }
        self.place_dirty(at);
    }

    fn models_seen(&mut self, runtime: usize, seen: &[(std::sync::Arc<str>, ModelState, Option<f64>)], now: Moment) {
        let name = self.table.runtimes[runtime].name.clone();
        let mut listed = std::collections::BTreeSet::new();
        for (served_as, state, vram_gb) in seen {
            let at = ModelAt { runtime: name.clone(), served_as: served_as.clone() };
            // What nobody declared matters only while it takes memory.
            let is_there = !matches!(state, ModelState::Unloaded | ModelState::Unknown);
            let entry = if is_there { self.table.model_entry(&at) } else { self.table.model(&at) };
            let Some(ix) = entry else { continue };
            listed.insert(ix);
            self.table.models[ix].reported_gb = vram_gb.filter(|gb| gb.is_finite() && *gb >= 0.0);
            self.model_seen(ix, *state, now);
        }
        for ix in 0..self.table.models.len() {
            if self.table.models[ix].runtime == runtime && !listed.contains(&ix) {
                self.model_seen(ix, ModelState::Unloaded, now);
            }
        }
        self.table.forget_strangers(runtime);
    }

    /// A runtime that works on more than our own tasks works for somebody else, with one of its models or another.
    fn used_by_others(&mut self, runtime: usize, in_flight: Option<u32>, now: Moment) {
        let entry = &self.table.runtimes[runtime];
        if in_flight.is_none_or(|all| all as usize <= entry.running.len()) {
            return;
        }
        for model in self.table.models.iter_mut().filter(|model| model.runtime == runtime) {
            model.idle_since_ms = now.steady_ms;
        }
    }

    fn model_seen(&mut self, ix: ModelIx, state: ModelState, now: Moment) {
        let model = &mut self.table.models[ix];
        if matches!(model.phase, Phase::Loading { ours: true } | Phase::Unloading { ours: true }) {
            model.told = Some(state);
            return;
        }
        if model.told.is_some() {
            // It was so already when the planner's call was admitted. Where it is so no more, that call may make it so again.
            model.told = Some(state);
            model.phase = match (model.phase, state) {
                (Phase::Loaded, ModelState::Loaded) => Phase::Loaded,
                (Phase::Unloaded, ModelState::Unloaded) => Phase::Unloaded,
                (Phase::Unloaded, _) => Phase::Unloading { ours: true },
                (_, _) => Phase::Loading { ours: true },
            };
            return;
        }
        match state {
            ModelState::Loaded => self.is_loaded(ix, now),
            ModelState::Loading => self.table.models[ix].phase = Phase::Loading { ours: false },
            ModelState::Unloading => self.table.models[ix].phase = Phase::Unloading { ours: false },
            ModelState::Unloaded => self.table.models[ix].phase = Phase::Unloaded,
            ModelState::Unknown => self.table.models[ix].phase = Phase::Unknown,
        }
    }

    pub(super) fn foreign_use(&mut self, gpu: &GpuId, gb: Option<f64>) {
        let Some(at) = self.table.gpu(gpu) else { return };
        let gb = gb.filter(|gb| gb.is_finite() && *gb >= 0.0);
        if self.table.gpus[at].foreign_gb != gb {
            self.table.gpus[at].foreign_gb = gb;
            self.gpu_dirty(at);
        }
    }

    pub(super) fn measured(&mut self, at: &ModelAt, gb: f64, out: &mut Vec<Decision>) {
        let Some(ix) = self.table.model(at) else { return };
        if !gb.is_finite() || gb < 0.0 {
            return;
        }
        let before = self.can_ever_fit(ix);
        self.table.models[ix].measured_gb = Some(gb);
        if before != self.can_ever_fit(ix) {
            // What waits for it can never be done, or can be done after all.
            self.place_afresh(out);
        }
        self.place_dirty(self.table.models[ix].runtime);
    }
}
