//! Models: whether the runtimes that should serve them know them.

use crate::declare::manifest::kind::model::ModelSpec;
use crate::declare::world::Object;

use super::cost;
use super::inputs::Inputs;
use super::offer;
use super::plan::ObjectPlan;
use super::planner::blank_status;
use super::status::{Drift, FieldDifference, Health, Sync};

/// The plan of one model: loading is the loadouts' business, so nothing is done here.
#[must_use]
pub fn plan(inputs: &Inputs<'_>, object: &Object, spec: &ModelSpec) -> ObjectPlan {
    let mut status = blank_status(object);
    let name = &object.document.key.name;
    let mut seen = Vec::new();
    let mut unseen = Vec::new();
    let mut untold = Vec::new();
    for served in &spec.served_by {
        cost::note_source(&mut status, inputs, &served.runtime);
        let served_as = served.served_as.as_deref().unwrap_or(name.as_str());
        match inputs.fresh_view(&served.runtime) {
            None => unseen.push(served.runtime.to_string()),
            Some(view) => match view.model(served_as) {
                Some(model) => seen.push(format!("{} on {}", model.state.as_str(), served.runtime)),
                None => match offer::unknown(view, served_as) {
                    Some(why) => status.fields.push(FieldDifference {
                        field: format!("servedBy[{}]", served.runtime),
                        desired: format!("serves `{served_as}`"),
                        observed: why,
                        drift: Drift::Missing,
                    }),
                    None => untold.push(served.runtime.to_string()),
                },
            },
        }
    }
    let wanted: Vec<&str> = spec.served_by.iter().map(|served| served.runtime.as_str()).collect();
    status.desired = format!("served by {}", wanted.join(", "));
    status.observed = if seen.is_empty() { "not seen".to_owned() } else { seen.join(", ") };
    (status.sync, status.health, status.reason) = if let Some(first) = status.fields.first() {
        let reason = format!("{} {}", first.field, first.observed);
        (Sync::Drifted(Drift::Missing), if seen.is_empty() { Health::Missing } else { Health::Degraded }, reason)
    } else if !unseen.is_empty() {
        (Sync::Unknown, Health::Unknown, format!("no fresh observation of {}", unseen.join(", ")))
    } else if !untold.is_empty() {
        let reason =
            format!("{} does not tell all its models, and this one is not among those it tells", untold.join(", "));
        (Sync::Unknown, Health::Unknown, reason)
    } else {
        (Sync::InSync, Health::Healthy, "every runtime that should serve it lists it".to_owned())
    };
    ObjectPlan { status, intents: Vec::new(), bookkeeping: Vec::new() }
}
