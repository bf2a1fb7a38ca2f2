//! Runtimes: whether they answer, what they say of themselves, and whether they have what is declared of them.

use crate::core::text::{age, count};
use crate::core::{Observed, Reading};
use crate::decide::view::{ModelState, RuntimeView};
use crate::declare::manifest::kind::runtime::RuntimeSpec;
use crate::declare::world::Object;

use super::inputs::Inputs;
use super::offer;
use super::plan::ObjectPlan;
use super::planner::blank_status;
use super::status::{Health, Sync};

/// The plan of one runtime: nothing is ever done to it as a whole.
#[must_use]
pub fn plan(inputs: &Inputs<'_>, object: &Object, spec: &RuntimeSpec) -> ObjectPlan {
    let mut status = blank_status(object);
    status.desired = match &spec.endpoint {
        Some(endpoint) => format!("{} at {endpoint}", spec.adapter.as_str()),
        None => spec.adapter.as_str().to_owned(),
    };
    let observed = inputs.runtimes.get(&object.document.key.name);
    let reading = observed.map(|observed| observed.read(inputs.now));
    status.source = observed.map(Observed::source).unwrap_or_default().to_owned();
    status.observed_at = observed.and_then(Observed::at);
    (status.sync, status.health, status.observed, status.reason) = match reading {
        Some(Reading::Fresh { value, .. }) => {
            let (health, reason) = match &value.degraded {
                Some(note) => (Health::Degraded, note.clone()),
                None => (Health::Healthy, value.protection.clone().unwrap_or_else(|| "answers".to_owned())),
            };
            status.fields = offer::missing(inputs, &object.document.key.name, spec, value);
            match status.fields.first() {
                // What it declares and does not have is drift; that it only half works is said as well.
                Some(first) if value.degraded.is_none() => {
                    (Sync::Drifted(first.drift), health, describe(value), first.observed.clone())
                }
                Some(first) => {
                    (Sync::Drifted(first.drift), health, describe(value), format!("{}; {reason}", first.observed))
                }
                None => (Sync::InSync, health, describe(value), reason),
            }
        }
        Some(Reading::Stale { value, age_ms, problem }) => (
            Sync::Unknown,
            Health::Unknown,
            format!("{}, {} ago", describe(value), age(age_ms)),
            problem.unwrap_or("the last observation is too old").to_owned(),
        ),
        Some(Reading::Unknown { why }) => (Sync::Unknown, Health::Unknown, "nothing".to_owned(), why.to_owned()),
        None if !spec.adapter.is_driven() => (
            Sync::Unknown,
            Health::Unknown,
            "nothing".to_owned(),
            format!("this version does not drive {} yet", spec.adapter.as_str()),
        ),
        None => (Sync::Unknown, Health::Unknown, "nothing".to_owned(), "not observed yet".to_owned()),
    };
    ObjectPlan { status, intents: Vec::new(), bookkeeping: Vec::new() }
}

fn describe(view: &RuntimeView) -> String {
    let loaded = view.models.iter().filter(|model| model.state == ModelState::Loaded).count();
    let version = view.version.as_ref().map(|version| format!("version {version}, ")).unwrap_or_default();
    format!("{version}{loaded} of {} loaded", count(view.models.len(), "model"))
}
