//! Observations as they would be if everything that a world declares were so: what `arcology plan` compares two
//! revisions by when there is no daemon to ask.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::core::{Name, ObjectKey, Observed, Timestamp};
use crate::decide::host_view::{Gpus, Hosts};
use crate::decide::scheduler::SchedulerView;
use crate::decide::view::{ModelState, ModelView, RuntimeView};
use crate::declare::manifest::kind::loadout::DesiredState;
use crate::declare::world::{Object, World};

use super::history::ObjectHistory;
use super::inputs::{Holding, Inputs, LoadHistory, TaskFact, TaskPhase};
use super::plan::{Plan, Target};
use super::planner::plan;
use super::status::Hold;
use super::task::id_of;

/// Where assumed observations say they come from.
pub const SOURCE: &str = "assumed: the base revision is fulfilled";

/// What the world would be if `base` were fulfilled.
#[derive(Clone, Debug, Default)]
pub struct Assumed {
    pub runtimes: BTreeMap<Name, Observed<RuntimeView>>,
    pub inventory: BTreeMap<ObjectKey, Vec<Holding>>,
    pub tasks: BTreeMap<String, TaskFact>,
    pub load_history: BTreeMap<(Name, String), LoadHistory>,
    pub histories: BTreeMap<ObjectKey, ObjectHistory>,
    /// Nobody holds anything.
    pub scheduler: SchedulerView,
    pub refusals: BTreeMap<ObjectKey, Hold>,
}

/// Assumes that `base` is fulfilled, and that the runtimes which only `head` declares are there with nothing loaded.
#[must_use]
pub fn assumed(base: &World, head: &World, now: Timestamp) -> Assumed {
    let mut result = Assumed::default();
    let mut views: BTreeMap<Name, BTreeMap<String, ModelState>> = BTreeMap::new();
    for world in [base, head] {
        for (object, model) in world.models() {
            for served in &model.served_by {
                let name = served.served_as.clone().unwrap_or_else(|| object.document.key.name.to_string());
                views.entry(served.runtime.clone()).or_default().entry(name).or_insert(ModelState::Unloaded);
            }
        }
        for (object, _) in world.runtimes() {
            views.entry(object.document.key.name.clone()).or_default();
        }
    }
    for (object, spec) in base.loadouts() {
        let listed = spec.models.iter().filter(|entry| entry.state == DesiredState::Loaded).map(|entry| &entry.model);
        for model in spec.copilot.iter().chain(listed) {
            if let Some((runtime, served_as)) = served_on(base, &spec.host, model) {
                views.entry(runtime.clone()).or_default().insert(served_as.clone(), ModelState::Loaded);
                let target = Target::Model { runtime, model: Some(model.clone()), served_as };
                hold(&mut result.inventory, object, target, now);
            }
        }
    }
    for (object, _) in base.tasks() {
        let id = id_of(&object.document.key, &object.document.digest);
        result.tasks.insert(id.clone(), TaskFact { phase: TaskPhase::Done, message: None, at: now });
        hold(&mut result.inventory, object, Target::Task { id }, now);
    }
    result.runtimes = views
        .into_iter()
        .map(|(runtime, models)| {
            let models = models
                .into_iter()
                .map(|(name, state)| ModelView { name, state, vram_gb: None, context_tokens: None, expires_at: None })
                .collect();
            let view = RuntimeView { models, ..RuntimeView::default() };
            (runtime, Observed::seen(view, SOURCE, now, Duration::from_secs(3_600)))
        })
        .collect();
    result
}

/// The plan that takes a fulfilled `base` to `head`.
#[must_use]
pub fn plan_between(base: &World, head: &World, now: Timestamp) -> Plan {
    let assumed = assumed(base, head, now);
    let removed: BTreeMap<ObjectKey, Arc<Object>> = base
        .objects
        .iter()
        .filter(|(key, object)| !head.objects.contains_key(*key) && object.document.prunes())
        .map(|(key, object)| (key.clone(), Arc::clone(object)))
        .collect();
    plan(&Inputs {
        world: head,
        runtimes: &assumed.runtimes,
        gpus: &Gpus::new(),
        hosts: &Hosts::new(),
        inventory: &assumed.inventory,
        removed: &removed,
        tasks: &assumed.tasks,
        histories: &assumed.histories,
        load_history: &assumed.load_history,
        scheduler: &assumed.scheduler,
        refusals: &assumed.refusals,
        now,
    })
}

fn hold(inventory: &mut BTreeMap<ObjectKey, Vec<Holding>>, object: &Object, target: Target, now: Timestamp) {
    let holdings = inventory.entry(object.document.key.clone()).or_default();
    if !holdings.iter().any(|holding| holding.target == target) {
        holdings.push(Holding { target, since: now, deleting_since: None, deadline: None });
    }
}

fn served_on(world: &World, host: &Name, model: &Name) -> Option<(Name, String)> {
    let spec = world.model(model)?;
    let served = spec
        .served_by
        .iter()
        .find(|served| world.runtime(&served.runtime).is_some_and(|runtime| runtime.host == *host))?;
    Some((served.runtime.clone(), served.served_as.clone().unwrap_or_else(|| model.to_string())))
}
