//! A model on a runtime: what is declared of it beside what the runtime said.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::core::{Name, Reading, Timestamp};
use crate::decide::scheduler::ModelAt;
use crate::decide::view::{ModelState, ModelView};
use crate::declare::manifest::kind::loadout::{DesiredState, LoadoutModel};
use crate::declare::manifest::kind::model::ModelSpec;
use crate::tell::web::facts::Facts;

use super::runtime::RuntimeFacts;

/// An item of `/api/v1/models`.
#[derive(Clone, Debug, Serialize)]
pub struct ModelRow {
    pub runtime: String,
    /// The declared name; the runtime's own for one that is not declared.
    pub name: String,
    /// `sha256:…` as declared.
    pub hash: Option<String>,
    pub context_tokens: Option<u32>,
    /// Declared or seen, whichever is larger.
    pub vram_cost_gb: Option<f64>,
    /// Null until something was measured.
    pub throughput: Option<Throughput>,
    pub capabilities: Vec<String>,
    /// `loaded`, `unloaded`, `loading` or `unknown`.
    pub state: &'static str,
    /// True when it is loaded, nothing that Arcology runs uses it and no loadout wants it loaded: memory that is held for
    /// nothing. Null when that is not known.
    pub idle: Option<bool>,
    pub last_used_at: Option<Timestamp>,
    pub observed_at: Option<Timestamp>,
    pub source: String,
}

/// How fast a model is.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Throughput {
    pub tokens_per_s: f64,
}

/// A model on a runtime, with both sides at hand.
#[derive(Clone, Debug)]
pub struct ModelFacts<'a> {
    pub runtime: RuntimeFacts<'a>,
    /// The declared Model; none for one that the runtime has and nobody declared.
    pub declared: Option<(&'a Name, &'a ModelSpec)>,
    pub served_as: &'a str,
    pub seen: Option<&'a ModelView>,
    /// Whether it takes memory for nothing; none when that is not known.
    pub idle: Option<bool>,
    pub last_used: Option<Timestamp>,
    /// Of the newest run.
    pub tokens_per_s: Option<f64>,
}

/// Every model that is declared or was seen, by runtime, declared ones first.
#[must_use]
pub fn all<'a>(facts: &'a Facts) -> Vec<ModelFacts<'a>> {
    let mut found: BTreeMap<&Name, Vec<ModelFacts<'a>>> = BTreeMap::new();
    let world = &facts.picture.world;
    for (object, spec) in world.models() {
        let name = &object.document.key.name;
        for served in &spec.served_by {
            let runtime = RuntimeFacts::of(facts, &served.runtime);
            let served_as = served.served_as.as_deref().unwrap_or(name.as_str());
            let seen = runtime.last_view().and_then(|view| view.model(served_as));
            let model = ModelFacts {
                runtime,
                declared: Some((name, spec)),
                served_as,
                seen,
                idle: None,
                last_used: None,
                tokens_per_s: None,
            };
            found.entry(runtime.name).or_default().push(model);
        }
    }
    for runtime in super::runtime::all(facts) {
        let declared = found.entry(runtime.name).or_default();
        let Some(view) = runtime.last_view() else { continue };
        let undeclared: Vec<_> = view
            .models
            .iter()
            .filter(|seen| !declared.iter().any(|model| view.real_name(model.served_as) == seen.name))
            .map(|seen| ModelFacts {
                runtime,
                declared: None,
                served_as: &seen.name,
                seen: Some(seen),
                idle: None,
                last_used: None,
                tokens_per_s: None,
            })
            .collect();
        declared.extend(undeclared);
    }
    let all = found.into_values().flatten();
    let told = |model: ModelFacts<'a>| {
        let at = model.at();
        ModelFacts {
            idle: idle(facts, &model),
            last_used: last_used(facts, &at),
            tokens_per_s: facts.picture.speeds.get(&at).copied(),
            ..model
        }
    };
    all.map(told).collect()
}

/// Whether a model takes memory for nothing: it is loaded, no task uses it, and no loadout of its host wants it loaded.
fn idle(facts: &Facts, model: &ModelFacts<'_>) -> Option<bool> {
    match (model.state(), model.seen) {
        (ModelState::Unknown, _) | (_, None) => None,
        (ModelState::Loading | ModelState::Unloading | ModelState::Unloaded, Some(_)) => Some(false),
        (ModelState::Loaded, Some(seen)) => {
            let at = ModelAt { runtime: model.runtime.name.clone(), served_as: seen.name.as_str().into() };
            let scheduler = &facts.picture.scheduler;
            let used = scheduler.in_use.contains_key(&at) || scheduler.moving.contains_key(&at);
            Some(!used && !wanted(facts, model))
        }
    }
}

/// When a task last used a model: now, while one does. None before the first since this program began.
fn last_used(facts: &Facts, at: &ModelAt) -> Option<Timestamp> {
    let scheduler = &facts.picture.scheduler;
    if scheduler.in_use.contains_key(at) { Some(facts.now) } else { scheduler.last_used.get(at).copied() }
}

/// Whether a loadout of its host wants it loaded.
fn wanted(facts: &Facts, model: &ModelFacts<'_>) -> bool {
    let (Some((name, _)), Some(runtime)) = (model.declared, model.runtime.spec) else { return false };
    let mut loadouts = facts.picture.world.loadouts().filter(|(_, loadout)| loadout.host == runtime.host);
    loadouts.any(|(_, loadout)| {
        let pinned = |entry: &LoadoutModel| entry.model == *name && entry.state == DesiredState::Loaded;
        loadout.copilot.as_ref() == Some(name) || loadout.models.iter().any(pinned)
    })
}

impl ModelFacts<'_> {
    /// Where it is, under the runtime's own name for it.
    fn at(&self) -> ModelAt {
        let served_as = self.seen.map_or(self.served_as, |seen| &seen.name);
        ModelAt { runtime: self.runtime.name.clone(), served_as: served_as.into() }
    }

    #[must_use]
    pub fn name(&self) -> &str {
        self.declared.map_or(self.served_as, |(name, _)| name.as_str())
    }

    /// What the runtime says of it now; `Unknown` without a fresh look, or when the runtime does not list it.
    #[must_use]
    pub fn state(&self) -> ModelState {
        match (self.runtime.reading(), self.seen) {
            (Reading::Fresh { .. }, Some(seen)) => seen.state,
            (Reading::Fresh { .. } | Reading::Stale { .. } | Reading::Unknown { .. }, _) => ModelState::Unknown,
        }
    }

    #[must_use]
    pub fn capabilities(&self) -> &[String] {
        match self.declared {
            Some((_, spec)) if !spec.capabilities.is_empty() => &spec.capabilities,
            Some(_) => self.runtime.spec.map_or(&[], |spec| &spec.capabilities),
            None => &[],
        }
    }

    #[must_use]
    pub fn row(&self) -> ModelRow {
        let spec = self.declared.map(|(_, spec)| spec);
        let declared_vram = spec.and_then(|spec| spec.vram_gb);
        let seen_vram = self.seen.and_then(|seen| seen.vram_gb);
        ModelRow {
            runtime: self.runtime.name.to_string(),
            name: self.name().to_owned(),
            hash: spec.and_then(|spec| spec.sha256.as_ref()).map(|hex| format!("sha256:{hex}")),
            context_tokens: spec
                .and_then(|spec| spec.context_tokens)
                .or_else(|| self.seen.and_then(|seen| seen.context_tokens)),
            vram_cost_gb: declared_vram.into_iter().chain(seen_vram).reduce(f64::max),
            throughput: self.tokens_per_s.map(|tokens_per_s| Throughput { tokens_per_s }),
            capabilities: self.capabilities().to_vec(),
            state: contract_word(self.state()),
            idle: self.idle,
            last_used_at: self.last_used,
            observed_at: self.runtime.picture.and_then(|picture| picture.view.at()),
            source: self.runtime.source(),
        }
    }
}

/// The contract has four words. A model on its way out is neither loaded nor unloaded, and nothing may count on it.
fn contract_word(state: ModelState) -> &'static str {
    match state {
        ModelState::Unloading => ModelState::Unknown.as_str(),
        ModelState::Loaded | ModelState::Loading | ModelState::Unloaded | ModelState::Unknown => state.as_str(),
    }
}
