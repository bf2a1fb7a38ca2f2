//! Where a task runs: the first runtime that offers its capability and answers, with the model it should use.
//!
//! Pure, over the same inputs as the planner. First in, first out, no memory arithmetic: the scheduler takes over here.

use crate::core::Name;
use crate::core::text::nearest;
use crate::decide::reconcile::Inputs;
use crate::decide::view::ModelState;
use crate::declare::manifest::kind::capability;
use crate::declare::manifest::kind::runtime::RuntimeSpec;
use crate::declare::manifest::kind::task::TaskSpec;
use crate::declare::world::policy::EffectivePolicy;
use crate::remember::store::row::Why;

/// Where a task runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Placement {
    pub runtime: Name,
    /// The model as it is declared; none lets the runtime choose.
    pub model: Option<String>,
    /// The runtime's own name of that model.
    pub served_as: Option<String>,
    pub policy: EffectivePolicy,
}

/// The place for a task now, or why there is none yet.
///
/// # Errors
/// The reason to wait: `NoRuntime` or `RuntimeDown`, with what was looked at.
pub fn place(inputs: &Inputs<'_>, spec: &TaskSpec) -> Result<Placement, Why> {
    let wanted = &spec.capability.0;
    let offers = |runtime: &RuntimeSpec| wanted.iter().all(|name| offers(runtime, name));
    let mut down = Vec::new();
    let mut offered = false;
    for (object, runtime) in inputs.world.runtimes() {
        let name = &object.document.key.name;
        if spec.target.runtime.as_ref().is_some_and(|target| target != name) || !offers(runtime) {
            continue;
        }
        offered = true;
        let Some(model) = model_for(inputs, spec, name) else { continue };
        if inputs.fresh_view(name).is_none() {
            down.push(name.to_string());
            continue;
        }
        let (model, served_as) = model;
        return Ok(Placement {
            runtime: name.clone(),
            model,
            served_as,
            policy: inputs.world.policy_for(&runtime.host),
        });
    }
    let capability = wanted.join(" > ");
    if !down.is_empty() {
        let message = format!("{} cannot be observed, so nothing is started on it", down.join(", "));
        return Err(Why { reason: "RuntimeDown".into(), message, clears_at: None });
    }
    let message = if offered {
        format!(
            "no runtime that offers {capability} serves {}",
            spec.target.model.as_deref().unwrap_or("a model for it")
        )
    } else {
        no_runtime(inputs, &capability)
    };
    Err(Why { reason: "NoRuntime".into(), message, clears_at: None })
}

/// Whether a runtime that can be driven offers a capability.
#[must_use]
pub fn offers(runtime: &RuntimeSpec, name: &str) -> bool {
    runtime.adapter.is_driven() && capability::offered_by(runtime).any(|offered| offered == name)
}

fn no_runtime(inputs: &Inputs<'_>, capability: &str) -> String {
    let all: Vec<&str> = inputs.world.runtimes().flat_map(|(_, runtime)| capability::offered_by(runtime)).collect();
    let hint = nearest(capability, all).map(|name| format!("; the nearest that is offered is {name}"));
    format!("no runtime offers {capability}{}", hint.unwrap_or_default())
}

/// The declared model and the runtime's own name for it; `(None, None)` when the runtime may choose. None when the model
/// that was asked for is not served by this runtime.
fn model_for(inputs: &Inputs<'_>, spec: &TaskSpec, runtime: &Name) -> Option<(Option<String>, Option<String>)> {
    let wanted = spec.target.model.as_deref().filter(|model| *model != "auto");
    let capability = spec.capability.0.first().map_or("", String::as_str);
    let mut candidates: Vec<(bool, String, String)> = Vec::new();
    for (object, model) in inputs.world.models() {
        let name = object.document.key.name.to_string();
        let Some(served) = model.served_by.iter().find(|served| served.runtime == *runtime) else { continue };
        let served_as = served.served_as.clone().unwrap_or_else(|| name.clone());
        if wanted == Some(name.as_str()) {
            return Some((Some(name), Some(served_as)));
        }
        if model.capabilities.iter().any(|offered| offered == capability) {
            let loaded = inputs
                .fresh_view(runtime)
                .and_then(|view| view.model(&served_as))
                .is_some_and(|seen| seen.state == ModelState::Loaded);
            candidates.push((!loaded, name, served_as));
        }
    }
    if wanted.is_some() {
        return None;
    }
    // A loaded one first, then by name.
    candidates.sort();
    Some(candidates.into_iter().next().map_or((None, None), |(_, name, served_as)| (Some(name), Some(served_as))))
}
