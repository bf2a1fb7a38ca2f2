//! The lock of a GPU in words: its mode, who owns it, since when, what comes next. A tile on the front page, the head of its
//! part of `/locks`.

use serde::Serialize;

use crate::core::Timestamp;
use crate::core::text::count;
use crate::decide::scheduler::GpuId;
use crate::decide::scheduler::view::{GpuLockView, HolderView, SchedulerView};
use crate::tell::web::api::lock::{gpus, lease_called, sharers};
use crate::tell::web::api::model;
use crate::tell::web::facts::Facts;

use super::href;
use super::part::{Link, Mark, Stamp, Tone, gigabytes};
use super::task::task_href;

/// The most holders that a tile names; `/locks` names all.
const HOLDERS_SHOWN_MAX: usize = 6;
/// Less is rounding, not a cost.
const IDLE_GB_MIN: f64 = 0.05;

/// The lock of a GPU at a glance.
#[derive(Clone, Debug, Serialize)]
pub struct LockTile {
    /// `desk/gpu0`.
    pub name: String,
    pub href: String,
    /// What people call the GPU.
    pub label: Option<String>,
    pub simulated: bool,
    pub mode: Mark,
    pub since: Option<Stamp>,
    pub owner: Option<Holder>,
    pub clears: Option<Countdown>,
    /// What a drain still waits for, one sentence.
    pub waits_for: Option<String>,
    /// `1 of 2 shared slots taken`.
    pub slots: Option<String>,
    pub holders: Vec<HolderLine>,
    pub holders_more: usize,
    /// What the scheduler counts with, in GB.
    pub memory: Vec<(&'static str, String)>,
    pub idle: Option<Idle>,
    /// Why nothing is known of it, when nothing is.
    pub unknown: Option<&'static str>,
}

/// Who holds something: a task with its page, or a lease.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Holder {
    pub text: String,
    pub href: Option<String>,
}

/// One holder of a shared slot.
#[derive(Clone, Debug, Serialize)]
pub struct HolderLine {
    pub who: Holder,
    pub what: String,
    pub since: Stamp,
    pub ends: Option<Countdown>,
}

/// A time that is waited for, and whether it has passed already.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Countdown {
    pub at: Stamp,
    pub overdue: bool,
}

/// Memory that nothing uses.
#[derive(Clone, Debug, Serialize)]
pub struct Idle {
    pub gb: String,
    /// The models that hold it.
    pub models: Vec<Link>,
}

/// Every GPU that is declared or that the scheduler knows.
#[must_use]
pub fn tiles(facts: &Facts) -> Vec<LockTile> {
    gpus(facts).iter().map(|gpu| LockTile::of(facts, gpu)).collect()
}

impl LockTile {
    #[must_use]
    pub fn of(facts: &Facts, gpu: &GpuId) -> Self {
        let host = facts.picture.world.host(&gpu.host);
        let declared = host.and_then(|host| host.gpus.iter().find(|declared| declared.id == gpu.gpu));
        let lock = facts.picture.scheduler.gpus.get(gpu);
        let name = gpu.to_string();
        let empty = Self {
            href: href::with_query("/locks", [("gpu", Some(name.as_str()))]),
            name,
            label: declared.and_then(|declared| declared.label.clone()),
            simulated: declared.is_some_and(|declared| declared.simulated),
            mode: Mark::new(Tone::Unknown, "unknown"),
            since: None,
            owner: None,
            clears: None,
            waits_for: None,
            slots: None,
            holders: Vec::new(),
            holders_more: 0,
            memory: Vec::new(),
            idle: None,
            unknown: lock.is_none().then_some("The scheduler has said nothing of this GPU yet."),
        };
        lock.map_or(empty.clone(), |lock| empty.filled(facts, gpu, lock))
    }

    fn filled(self, facts: &Facts, gpu: &GpuId, lock: &GpuLockView) -> Self {
        let (view, now) = (&facts.picture.scheduler, facts.now);
        let holders: Vec<_> = sharers(lock).collect();
        let slots = count(lock.slots as usize, "shared slot");
        Self {
            simulated: self.simulated || lock.simulated,
            mode: mode(lock),
            since: Some(Stamp::of(lock.since, now)),
            owner: lock.owner.as_ref().map(|owner| holder(view, owner, "")),
            clears: lock.clears_at.map(|at| Countdown::of(at, now)),
            waits_for: drained(view, lock),
            slots: (lock.mode != "exclusive").then(|| format!("{} of {slots} taken", holders.len())),
            holders_more: holders.len().saturating_sub(HOLDERS_SHOWN_MAX),
            holders: holders.iter().take(HOLDERS_SHOWN_MAX).map(|holder| HolderLine::of(view, holder, now)).collect(),
            memory: memory(lock),
            idle: idle(facts, gpu, lock),
            ..self
        }
    }
}

fn mode(lock: &GpuLockView) -> Mark {
    match lock.mode {
        "exclusive" => Mark::new(Tone::Held, "exclusive"),
        "draining" => Mark::new(Tone::Warn, "draining"),
        "shared" if lock.holders.is_empty() => Mark::new(Tone::Quiet, "shared, nobody on it"),
        "shared" => Mark::new(Tone::Busy, "shared"),
        other => Mark::new(Tone::Unknown, other),
    }
}

/// A task by its id, or a lease by its purpose: `game night (lease-7f)`. `what` is known of a lease that is over.
#[must_use]
pub fn holder(view: &SchedulerView, name: &str, what: &str) -> Holder {
    let lease = lease_called(view, name);
    let (id, purpose) = lease.map_or((name, what), |lease| (&*lease.id, &*lease.purpose));
    if lease.is_none() && !name.starts_with("lease") {
        return Holder { text: name.to_owned(), href: Some(task_href(name)) };
    }
    let text = if purpose.is_empty() { id.to_owned() } else { format!("{purpose} ({id})") };
    Holder { text, href: None }
}

/// What the one who drains the GPU says that it waits for.
fn drained(view: &SchedulerView, lock: &GpuLockView) -> Option<String> {
    let owner = lock.owner.as_ref().filter(|_| lock.mode == "draining")?;
    let task = view.queue.iter().find(|waiting| Some(&waiting.id) == lock.owner_task.as_ref());
    let lease = lease_called(view, owner).and_then(|lease| lease.why.as_ref());
    task.map(|task| &task.why).or(lease).map(|why| why.message.clone())
}

fn memory(lock: &GpuLockView) -> Vec<(&'static str, String)> {
    let gb = |amount: f64| format!("{} GB", gigabytes(amount));
    vec![
        ("Models", gb(lock.models_gb)),
        ("Other programs", lock.foreign_gb.map_or("not known".to_owned(), gb)),
        ("Kept free", gb(lock.reserve_gb)),
        ("Total", gb(lock.total_gb)),
    ]
}

fn idle(facts: &Facts, gpu: &GpuId, lock: &GpuLockView) -> Option<Idle> {
    if lock.idle_gb < IDLE_GB_MIN {
        return None;
    }
    let models = model::all(facts);
    let here = models.iter().filter(|model| {
        let place = model.runtime.spec.map(|spec| (&spec.host, spec.gpu.as_ref()));
        model.idle == Some(true) && place == Some((&gpu.host, Some(&gpu.gpu)))
    });
    let link = |model: &model::ModelFacts<'_>| match model.declared {
        Some((name, _)) => Link::new(name.as_str(), format!("/objects/Model/{name}")),
        None => Link::new(model.name(), format!("/runtimes/{}", model.runtime.name)),
    };
    Some(Idle { gb: gigabytes(lock.idle_gb), models: here.map(link).collect() })
}

impl HolderLine {
    #[must_use]
    pub fn of(view: &SchedulerView, held: &HolderView, now: Timestamp) -> Self {
        let who = holder(view, &held.id, &held.what);
        Self {
            what: if who.href.is_some() { held.what.clone() } else { "a lease".to_owned() },
            who,
            since: Stamp::of(held.since, now),
            ends: held.until.map(|at| Countdown::of(at, now)),
        }
    }
}

impl Countdown {
    #[must_use]
    pub fn of(at: Timestamp, now: Timestamp) -> Self {
        Self { at: Stamp::of(at, now), overdue: at <= now }
    }
}
