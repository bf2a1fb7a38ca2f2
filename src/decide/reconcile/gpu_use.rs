//! What our own models take of a GPU, as runtimes report it, and what is left for others to have taken.

use std::collections::BTreeSet;

use crate::core::Name;
use crate::decide::host_view::foreign_gb;
use crate::decide::scheduler::ModelAt;
use crate::decide::view::ModelState;

use super::cost;
use super::inputs::Inputs;
use super::memory::declared_model;

/// The models that runtimes report loaded on one GPU.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Loaded {
    /// What they take together, in GB: of each the larger of what is declared and what its runtime reports.
    pub gb: f64,
    /// How many they are, those of unknown size too.
    pub models: usize,
    /// `model on runtime`, for each that neither declares nor reports its size and so counts as nothing.
    pub unsized_models: Vec<String>,
    /// Runtimes on this GPU that this program drives and that have no fresh observation: what they hold is not known.
    pub unseen: Vec<Name>,
}

/// What is loaded on the GPU `gpu` of `host`.
#[must_use]
pub fn loaded_on(inputs: &Inputs<'_>, host: &Name, gpu: &Name) -> Loaded {
    let mut loaded = Loaded::default();
    let on_it = inputs.world.runtimes().filter(|(_, spec)| spec.host == *host && spec.gpu.as_ref() == Some(gpu));
    for (object, spec) in on_it {
        let runtime = &object.document.key.name;
        let Some(view) = inputs.fresh_view(runtime) else {
            // A program that is never asked is no reason to call the others unknown.
            if spec.adapter.is_driven() {
                loaded.unseen.push(runtime.clone());
            }
            continue;
        };
        for model in view.models.iter().filter(|model| model.state == ModelState::Loaded) {
            let declared = declared_model(inputs, runtime, &model.name);
            let spec = declared.as_ref().and_then(|name| inputs.world.model(name));
            loaded.models += 1;
            match cost::vram_gb(inputs, runtime, &model.name, spec) {
                Some(gb) => loaded.gb += gb,
                None => loaded.unsized_models.push(format!("{} on {runtime}", model.name)),
            }
        }
    }
    loaded
}

/// The models that runtimes report loaded on one GPU, and that can take memory of it. None while it is not known what a
/// runtime there holds.
#[must_use]
pub fn models_on(inputs: &Inputs<'_>, host: &Name, gpu: &Name) -> Option<BTreeSet<ModelAt>> {
    let mut loaded = BTreeSet::new();
    for (object, spec) in inputs.world.runtimes() {
        if spec.host != *host || spec.gpu.as_ref() != Some(gpu) || !spec.adapter.is_driven() {
            continue;
        }
        let runtime = &object.document.key.name;
        let models = inputs.fresh_view(runtime)?.models.iter();
        let is_loaded = models.filter(|model| model.state == ModelState::Loaded);
        loaded
            .extend(is_loaded.map(|model| ModelAt { runtime: runtime.clone(), served_as: model.name.as_str().into() }));
    }
    Some(loaded)
}

/// GPU memory that belongs to none of our models, in GB. None without a fresh measurement, on a simulated GPU, and while
/// it is not known what a runtime there holds.
#[must_use]
pub fn foreign_on(inputs: &Inputs<'_>, host: &Name, gpu: &Name) -> Option<f64> {
    let view = inputs.gpus.get(&(host.clone(), gpu.clone()))?.fresh(inputs.now)?;
    let loaded = loaded_on(inputs, host, gpu);
    (!view.simulated && loaded.unseen.is_empty()).then(|| foreign_gb(view.used_gb, loaded.gb))
}
