//! What the scheduler holds that a plan must leave alone: GPUs that somebody has for himself or is about to, models that
//! running tasks use, and models that the scheduler itself moves.
//!
//! The scheduler is asked once more before anything is done; what it says then stands in [`Inputs::refusals`].

use crate::core::Name;
use crate::decide::scheduler::view::{GpuLockView, Moving};
use crate::decide::scheduler::{GpuId, ModelAt, Moment, Reason};

use super::inputs::Inputs;
use super::plan::Verb;
use super::status::{Hold, HoldReason};

/// What keeps a model from being loaded or unloaded now; none when nothing does.
#[must_use]
pub fn hold(inputs: &Inputs<'_>, runtime: &Name, served_as: &str, verb: Verb) -> Option<Hold> {
    let at = model_at(inputs, runtime, served_as);
    // Who has the GPU comes first: that is what is waited for, whatever the scheduler does on the way.
    if let Some(gpu) = gpu_of(inputs, runtime)
        && let Some(hold) = inputs.scheduler.gpus.get(&gpu).and_then(|view| closed(&gpu, view))
    {
        return Some(hold);
    }
    if let Some(moving) = inputs.scheduler.moving.get(&at) {
        return Some(lock(moved(&at, *moving), Some("the scheduler".to_owned())));
    }
    let users = inputs.scheduler.in_use.get(&at).filter(|users| verb == Verb::Unload && !users.is_empty())?;
    let names: Vec<&str> = users.iter().take(3).map(AsRef::as_ref).collect();
    Some(lock(format!("{at} is in use by {}", names.join(", ")), Some(names.join(", "))))
}

/// Whether a running task uses a model: it must not be unloaded.
#[must_use]
pub fn is_in_use(inputs: &Inputs<'_>, runtime: &Name, served_as: &str) -> bool {
    let users = inputs.scheduler.in_use.get(&model_at(inputs, runtime, served_as));
    users.is_some_and(|users| !users.is_empty())
}

/// A model under the name by which the scheduler knows it: the runtime's real one.
#[must_use]
pub fn model_at(inputs: &Inputs<'_>, runtime: &Name, served_as: &str) -> ModelAt {
    let real = inputs.fresh_view(runtime).map_or(served_as, |view| view.real_name(served_as));
    ModelAt { runtime: runtime.clone(), served_as: real.into() }
}

fn gpu_of(inputs: &Inputs<'_>, runtime: &Name) -> Option<GpuId> {
    let spec = inputs.world.runtime(runtime)?;
    Some(GpuId { host: spec.host.clone(), gpu: spec.gpu.clone()? })
}

fn closed(gpu: &GpuId, view: &GpuLockView) -> Option<Hold> {
    let owner = view.owner.as_ref().map(ToString::to_string);
    let who = owner.clone().unwrap_or_else(|| "somebody".to_owned());
    let message = match view.mode {
        "exclusive" => format!("{who} has {gpu} for itself"),
        "draining" => format!("{gpu} takes nothing new in: it drains for {who}"),
        _ => return None,
    };
    let reason = if view.owner.is_some() && view.owner_task.is_none() { HoldReason::Lease } else { HoldReason::Lock };
    Some(Hold { reason, message, who: owner, until: view.clears_at })
}

fn moved(at: &ModelAt, moving: Moving) -> String {
    match moving {
        Moving::Loading => format!("the scheduler is loading {at}"),
        Moving::Unloading => format!("the scheduler is unloading {at}"),
        Moving::Displaced => format!("{at} made way for an exclusive holder and comes back after it"),
    }
}

fn lock(message: String, who: Option<String>) -> Hold {
    Hold { reason: HoldReason::Lock, message, who, until: None }
}

/// The hold that a refusal of the scheduler means.
#[must_use]
pub fn refused(reason: &Reason, now: Moment) -> Hold {
    let view = reason.view(now);
    let (word, who) = match reason {
        Reason::Leased { holder, .. } => (HoldReason::Lease, Some(holder.to_string())),
        Reason::VramFull { .. } | Reason::DiskFull { .. } => (HoldReason::VramFull, None),
        Reason::ExclusiveHeld { owner, .. } => (HoldReason::Lock, Some(owner.to_string())),
        Reason::Draining { by, .. } => (HoldReason::Lock, Some(by.to_string())),
        Reason::InUse { by, .. } => (HoldReason::Lock, by.first().map(ToString::to_string)),
        Reason::Paused { policy: halt } => (HoldReason::Paused, Some(halt.policy.clone())),
        Reason::Backoff { .. } => (HoldReason::Backoff, None),
        Reason::Dependency { .. }
        | Reason::NotBefore { .. }
        | Reason::SharedSlotsFull { .. }
        | Reason::CopilotPersistent { .. }
        | Reason::NoRuntime { .. }
        | Reason::RuntimeDown { .. }
        | Reason::ModelLoading { .. }
        | Reason::Priority { .. } => (HoldReason::Lock, None),
    };
    Hold { reason: word, message: view.message, who, until: view.clears_at }
}
