//! What the planner wants done: its loads and unloads ask first, so that both never take the same memory, and nothing is
//! unloaded under a running task.

use super::decision::Decision;
use super::event::ClaimVerb;
use super::id::{ModelAt, Moment};
use super::memory::Room;
use super::reason::Reason;
use super::state::State;
use super::table::{Lock, ModelIx, Phase};
use crate::decide::view::ModelState;

impl State {
    pub(super) fn claim(&mut self, at: &ModelAt, verb: ClaimVerb, now: Moment, out: &mut Vec<Decision>) {
        let at = at.clone();
        let Some(ix) = self.table.model_entry(&at) else {
            // A runtime that is being cleaned up: it shares nothing with anybody.
            return out.push(Decision::Admit { at });
        };
        let refusal = match verb {
            ClaimVerb::Load => self.refuses_load(ix, now),
            ClaimVerb::Unload => self.refuses_unload(ix),
        };
        if let Some(reason) = refusal {
            return out.push(Decision::Refuse { at, reason });
        }
        let model = &mut self.table.models[ix];
        // What is so already stays so unless a look says otherwise, also when the call fails.
        (model.phase, model.told) = match (verb, model.phase) {
            (ClaimVerb::Load, Phase::Loaded) => (Phase::Loaded, Some(ModelState::Loaded)),
            (ClaimVerb::Unload, Phase::Unloaded) => (Phase::Unloaded, Some(ModelState::Unloaded)),
            (ClaimVerb::Load, _) => (Phase::Loading { ours: true }, None),
            (ClaimVerb::Unload, _) => (Phase::Unloading { ours: true }, None),
        };
        out.push(Decision::Admit { at });
    }

    fn refuses_load(&self, ix: ModelIx, now: Moment) -> Option<Reason> {
        let model = &self.table.models[ix];
        match model.phase {
            Phase::Loading { .. } | Phase::Unloading { ours: true } => {
                return Some(Reason::ModelLoading { model: model.at.clone() });
            }
            Phase::Loaded => return None,
            Phase::Unloaded | Phase::Unknown | Phase::Unloading { ours: false } => {}
        }
        let gpu = self.table.gpu_of_model(ix)?;
        let entry = &self.table.gpus[gpu];
        match &entry.lock {
            Lock::Exclusive { by } => return Some(self.held_by(gpu, by, now)),
            Lock::Draining { by, .. } => {
                return Some(Reason::Draining { gpu: entry.id.clone(), by: self.name_of(by), left: Vec::new() });
            }
            Lock::Shared => {}
        }
        if let Some(reason) = self.unseen_on(gpu) {
            return Some(reason);
        }
        if let Some(first) = entry.displaced.iter().find(|other| **other != ix) {
            return Some(Reason::ModelLoading { model: self.table.models[*first].at.clone() });
        }
        let need_gb = model.cost_gb()?;
        match self.room(gpu, need_gb, false) {
            Room::Enough => None,
            Room::Evict(_) | Room::Busy(_) | Room::Full => Some(self.vram_full(gpu, need_gb)),
        }
    }

    fn refuses_unload(&self, ix: ModelIx) -> Option<Reason> {
        let model = &self.table.models[ix];
        if !model.users.is_empty() {
            let by = self.ids_of(model.users.iter().copied());
            return Some(Reason::InUse { model: model.at.clone(), by });
        }
        match model.phase {
            Phase::Loading { ours: true } | Phase::Unloading { ours: true } => {
                Some(Reason::ModelLoading { model: model.at.clone() })
            }
            Phase::Loaded
            | Phase::Unloaded
            | Phase::Unknown
            | Phase::Loading { ours: false }
            | Phase::Unloading { ours: false } => None,
        }
    }
}
