//! What an intent costs, from what was declared, seen and measured. What is not known stays absent.

use crate::core::Name;
use crate::declare::manifest::kind::model::ModelSpec;

use super::inputs::Inputs;
use super::plan::Cost;
use super::status::ObjectStatus;

/// The cost of loading (`sign` 1) or unloading (`sign` -1) a model on a runtime.
#[must_use]
pub fn of_model(inputs: &Inputs<'_>, runtime: &Name, served_as: &str, model: Option<&ModelSpec>, sign: f64) -> Cost {
    let gpu = gpu_of(inputs, runtime);
    let times = inputs.load_history.get(&(runtime.clone(), served_as.to_owned())).filter(|_| sign > 0.0);
    Cost {
        vram_gb: gpu.as_ref().and_then(|_| vram_gb(inputs, runtime, served_as, model)).map(|gb| gb * sign),
        gpu,
        expected_ms: times.filter(|times| times.samples > 0).map(|times| times.median_ms),
        samples: times.map_or(0, |times| times.samples),
        ..Cost::default()
    }
}

/// The GPU of a runtime as `host/gpu`; none when it runs on CPU.
#[must_use]
pub fn gpu_of(inputs: &Inputs<'_>, runtime: &Name) -> Option<String> {
    let spec = inputs.world.runtime(runtime)?;
    spec.gpu.as_ref().map(|gpu| format!("{}/{gpu}", spec.host))
}

/// GPU memory of a model in GB: the largest of what is declared, what the runtime reports and what its newest load was
/// measured to take.
#[must_use]
pub fn vram_gb(inputs: &Inputs<'_>, runtime: &Name, served_as: &str, model: Option<&ModelSpec>) -> Option<f64> {
    let seen = inputs.fresh_view(runtime).and_then(|view| view.model(served_as)).and_then(|model| model.vram_gb);
    let declared = model.and_then(ModelSpec::full_vram_gb);
    let took = inputs.load_history.get(&(runtime.clone(), served_as.to_owned())).and_then(|loads| loads.took_gb);
    [seen, declared, took].into_iter().flatten().reduce(f64::max)
}

/// Where a status says its knowledge comes from when that is one runtime.
pub fn note_source(status: &mut ObjectStatus, inputs: &Inputs<'_>, runtime: &Name) {
    if let Some(observed) = inputs.runtimes.get(runtime) {
        // The oldest observation that a row rests on is its age: a row is never shown fresher than its parts.
        status.observed_at = match (status.observed_at, observed.at()) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (one, other) => one.or(other),
        };
        if !status.source.split(", ").any(|source| source == observed.source()) {
            if !status.source.is_empty() {
                status.source.push_str(", ");
            }
            status.source.push_str(observed.source());
        }
    }
}
