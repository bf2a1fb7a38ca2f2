//! Whether a model fits on its GPU now, and which loaded models would have to go first.
//!
//! A first, plain sum over what is declared and reported: `loaded + planned + needed + reserve <= total`. What is not
//! declared cannot be counted, and then nothing is refused for it. The scheduler's fit check takes over from here.

use crate::core::Name;
use crate::decide::view::ModelState;
use crate::declare::manifest::kind::loadout::{DesiredState, LoadoutSpec, Unlisted};
use crate::declare::world::Object;

use super::cost;
use super::inputs::Inputs;
use super::lock;
use super::plan::{Intent, Target, Verb};
use super::status::{Hold, HoldReason};

/// What it takes to make room.
pub enum Room {
    Enough,
    /// After these unloads.
    After(Vec<Intent>),
    /// It does not fit, with the sums.
    Full(Hold),
}

/// A loaded model on the GPU.
struct Resident {
    runtime: Name,
    served_as: String,
    gb: f64,
    evictable: bool,
}

/// Whether the model fits on the GPU of `runtime`, given what is loaded and what `planned` already changes.
#[must_use]
pub fn make_room(inputs: &Inputs<'_>, object: &Object, runtime: &Name, served_as: &str, planned: &[Intent]) -> Room {
    let Some(gpu) = cost::gpu_of(inputs, runtime) else { return Room::Enough };
    let model = declared_model(inputs, runtime, served_as).and_then(|name| inputs.world.model(&name));
    let Some(need) = cost::vram_gb(inputs, runtime, served_as, model) else { return Room::Enough };
    let Some((total, reserve)) = capacity(inputs, runtime) else { return Room::Enough };
    let residents = residents(inputs, &gpu, planned);
    let planned_loads: f64 = planned
        .iter()
        .filter(|intent| intent.verb == Verb::Load && intent.cost.gpu.as_deref() == Some(gpu.as_str()))
        .filter_map(|intent| intent.cost.vram_gb)
        .sum();
    let used: f64 = residents.iter().map(|resident| resident.gb).sum::<f64>() + planned_loads;
    let mut missing = used + need + reserve - total;
    if missing <= 1e-9 {
        return Room::Enough;
    }
    let mut evictable: Vec<&Resident> = residents.iter().filter(|resident| resident.evictable).collect();
    // The largest first: the fewest unloads for the room that is needed.
    evictable.sort_by(|a, b| b.gb.total_cmp(&a.gb).then_with(|| a.served_as.cmp(&b.served_as)));
    let could_free: f64 = evictable.iter().map(|resident| resident.gb).sum();
    if missing > could_free + 1e-9 {
        return Room::Full(Hold {
            reason: HoldReason::VramFull,
            message: format!(
                "{served_as} needs {need:.1} GB on {gpu}: {used:.1} GB used + {reserve:.1} GB reserve of {total:.1} GB, \
                 {could_free:.1} GB evictable, {:.1} GB short",
                missing - could_free
            ),
            who: residents.first().map(|resident| format!("{} on {}", resident.served_as, resident.runtime)),
            until: None,
        });
    }
    let mut unloads = Vec::new();
    for resident in evictable {
        if missing <= 1e-9 {
            break;
        }
        missing -= resident.gb;
        unloads.push(eviction(inputs, object, resident, served_as));
    }
    Room::After(unloads)
}

fn eviction(inputs: &Inputs<'_>, object: &Object, resident: &Resident, for_model: &str) -> Intent {
    let model = declared_model(inputs, &resident.runtime, &resident.served_as);
    let spec = model.as_ref().and_then(|model| inputs.world.model(model));
    Intent {
        object: object.document.key.clone(),
        verb: Verb::Unload,
        target: Target::Model {
            runtime: resident.runtime.clone(),
            model: model.clone(),
            served_as: resident.served_as.clone(),
        },
        reason: format!("makes room for {for_model}; nothing asks for it to stay loaded"),
        place: Some(object.document.place.clone()),
        commit: object.asked_by.clone(),
        cost: cost::of_model(inputs, &resident.runtime, &resident.served_as, spec, -1.0),
        corrects: None,
    }
}

/// Loaded models on a GPU (`host/gpu`) with a known cost, without those that `planned` unloads.
fn residents(inputs: &Inputs<'_>, gpu: &str, planned: &[Intent]) -> Vec<Resident> {
    let mut found = Vec::new();
    for (object, _) in inputs.world.runtimes() {
        let runtime = &object.document.key.name;
        if cost::gpu_of(inputs, runtime).as_deref() != Some(gpu) {
            continue;
        }
        let Some(view) = inputs.fresh_view(runtime) else { continue };
        for model in &view.models {
            let leaving = planned.iter().any(|intent| {
                intent.verb == Verb::Unload
                    && matches!(&intent.target, Target::Model { runtime: at, served_as, .. }
                        if at == runtime && *served_as == model.name)
            });
            if leaving || !matches!(model.state, ModelState::Loaded | ModelState::Loading) {
                continue;
            }
            let declared = declared_model(inputs, runtime, &model.name);
            let spec = declared.as_ref().and_then(|name| inputs.world.model(name));
            if let Some(gb) = cost::vram_gb(inputs, runtime, &model.name, spec) {
                let evictable = declared.is_some_and(|name| is_evictable(inputs, &name))
                    && !lock::is_in_use(inputs, runtime, &model.name);
                found.push(Resident { runtime: runtime.clone(), served_as: model.name.clone(), gb, evictable });
            }
        }
    }
    found
}

/// Total and reserved memory of a runtime's GPU in GB.
fn capacity(inputs: &Inputs<'_>, runtime: &Name) -> Option<(f64, f64)> {
    let spec = inputs.world.runtime(runtime)?;
    let host = inputs.world.host(&spec.host)?;
    let gpu = host.gpus.iter().find(|gpu| Some(&gpu.id) == spec.gpu.as_ref())?;
    Some((gpu.vram_gb, host.reserve.vram_gb))
}

/// The declared Model that a runtime serves under this name.
pub(super) fn declared_model(inputs: &Inputs<'_>, runtime: &Name, served_as: &str) -> Option<Name> {
    let view = inputs.fresh_view(runtime);
    let real = |name: &str| view.map_or_else(|| name.to_owned(), |view| view.real_name(name).to_owned());
    inputs.world.models().find_map(|(object, model)| {
        let name = &object.document.key.name;
        let serves = model.served_by.iter().any(|served| {
            served.runtime == *runtime && real(served.served_as.as_deref().unwrap_or(name.as_str())) == real(served_as)
        });
        serves.then(|| name.clone())
    })
}

/// Whether nothing asks for the model to stay loaded: no loadout wants it loaded, none of them keeps it by `ignore`.
fn is_evictable(inputs: &Inputs<'_>, model: &Name) -> bool {
    let pinned = |spec: &LoadoutSpec| {
        spec.copilot.as_ref() == Some(model)
            || spec.models.iter().any(|entry| entry.model == *model && entry.state == DesiredState::Loaded)
    };
    let ignored = |spec: &LoadoutSpec| {
        spec.unlisted == Unlisted::Ignore && !spec.models.iter().any(|entry| entry.model == *model)
    };
    !inputs.world.loadouts().any(|(_, spec)| pinned(spec) || ignored(spec))
}
