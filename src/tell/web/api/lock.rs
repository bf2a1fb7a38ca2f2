//! Who holds which GPU: in short for `/api/v1/status` and `/api/v1/resources`, and the rows of `/api/v1/locks`.

use serde::Serialize;

use crate::core::Timestamp;
use crate::decide::scheduler::GpuId;
use crate::decide::scheduler::view::{GpuLockView, HolderView, LeaseView, SchedulerView};
use crate::remember::store::LockFilter;
use crate::remember::store::row::{LockKind, LockSpanRow};
use crate::tell::web::facts::Facts;

/// A lock in `/api/v1/status` and `/api/v1/resources`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LockBrief {
    /// `shared`, `draining`, `exclusive` or `lease`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub host: String,
    pub gpu: String,
    /// Null for a lease.
    pub owner_task_id: Option<String>,
}

/// An item of `/api/v1/locks`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LockRow {
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// `held`, `waiting` or `past`.
    pub state: &'static str,
    pub host: String,
    pub gpu: String,
    /// A task's id, or a lease's with its purpose.
    pub owner: String,
    pub owner_task_id: Option<String>,
    /// What it does, such as `text.summarize`, or a lease's purpose.
    pub what: String,
    pub since: Timestamp,
    /// When it ended; null while it lasts.
    pub until: Option<Timestamp>,
    /// For what is held, when it is expected to end; for what waits, when it is expected to begin. Null when not known.
    pub expected_at: Option<Timestamp>,
    /// Why it waits.
    pub why: Option<String>,
}

/// What `state` can be, in the order of the list.
pub const STATES: [&str; 3] = ["held", "waiting", "past"];
/// The cursor that leads from what is not over to what is past.
pub const AFTER_PRESENT: &str = "+~";

/// What the list is narrowed to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LockQuery {
    pub gpu: Option<GpuId>,
    pub kind: Option<LockKind>,
    /// One of [`STATES`].
    pub state: Option<&'static str>,
}

impl LockQuery {
    #[must_use]
    pub fn keeps(&self, row: &LockRow) -> bool {
        self.gpu.as_ref().is_none_or(|gpu| gpu.host.as_str() == row.host && gpu.gpu.as_str() == row.gpu)
            && self.kind.is_none_or(|kind| kind.as_str() == row.kind)
            && self.state.is_none_or(|state| state == row.state)
    }

    #[must_use]
    pub fn wants_past(&self) -> bool {
        self.state.is_none_or(|state| state == "past")
    }

    /// The same for what the store remembers.
    #[must_use]
    pub fn past(&self) -> LockFilter {
        let gpu = self.gpu.as_ref().map(|gpu| (gpu.host.clone(), gpu.gpu.clone()));
        LockFilter { gpu, kind: self.kind, ended: true }
    }
}

/// Every lock that is held or waited for now, by GPU.
#[must_use]
pub fn briefs(facts: &Facts) -> Vec<LockBrief> {
    let brief =
        |row: LockRow| LockBrief { kind: row.kind, host: row.host, gpu: row.gpu, owner_task_id: row.owner_task_id };
    let held = present(&facts.picture.scheduler).into_iter();
    held.filter(|row| row.state == "held" || row.kind == LockKind::Draining.as_str()).map(brief).collect()
}

/// Every lock that is held or waited for now: for each GPU its owner, those who share it, and the leases of it. A lease is
/// told twice: as the lock that it holds, and as itself with its expiry.
#[must_use]
pub fn present(view: &SchedulerView) -> Vec<LockRow> {
    let mut rows = Vec::new();
    for (gpu, lock) in &view.gpus {
        rows.extend(owner(view, gpu, lock));
        rows.extend(sharers(lock).map(|holder| {
            let lease = lease_called(view, &holder.id);
            let owner = lease.map_or_else(|| holder.id.to_string(), lease_name);
            LockRow {
                owner_task_id: lease.is_none().then(|| holder.id.to_string()),
                expected_at: holder.until,
                ..LockRow::new(LockKind::Shared, gpu, &owner, &holder.what, holder.since)
            }
        }));
        let leases = view.leases.iter().filter(|lease| lease.gpus.contains(gpu));
        rows.extend(leases.map(|lease| lease_row(gpu, lease)));
    }
    rows
}

/// A row of what is past.
#[must_use]
pub fn past(span: &LockSpanRow) -> LockRow {
    let gpu = GpuId { host: span.host.clone(), gpu: span.gpu.clone() };
    let task = span.kind != LockKind::Lease && !span.holder.starts_with("lease");
    LockRow {
        state: if span.until.is_some() { "past" } else { "held" },
        owner_task_id: task.then(|| span.holder.clone()),
        until: span.until,
        ..LockRow::new(span.kind, &gpu, &span.holder, &span.what, span.since)
    }
}

impl LockRow {
    fn new(kind: LockKind, gpu: &GpuId, owner: &str, what: &str, since: Timestamp) -> Self {
        Self {
            kind: kind.as_str(),
            state: "held",
            host: gpu.host.to_string(),
            gpu: gpu.gpu.to_string(),
            owner: owner.to_owned(),
            owner_task_id: None,
            what: what.to_owned(),
            since,
            until: None,
            expected_at: None,
            why: None,
        }
    }

    /// Where it stands in the list of what is not over, as text that sorts: by state, GPU, type and owner.
    #[must_use]
    pub fn order(&self) -> String {
        let rank = STATES.iter().position(|state| *state == self.state).unwrap_or(STATES.len());
        format!("+{rank}.{}/{}.{}.{}", self.host, self.gpu, self.kind, self.owner)
    }
}

/// Those who share a GPU: its holders but for the one that has it for itself.
pub fn sharers(lock: &GpuLockView) -> impl Iterator<Item = &HolderView> {
    let owner = lock.owner_task.as_ref().filter(|_| lock.mode == "exclusive");
    lock.holders.iter().filter(move |holder| Some(&holder.id) != owner)
}

/// The owner of a whole GPU, or who drains it: a task or a lease.
fn owner(view: &SchedulerView, gpu: &GpuId, lock: &GpuLockView) -> Option<LockRow> {
    let owner = lock.owner.as_ref().filter(|_| lock.mode != "shared")?;
    let draining = lock.mode == "draining";
    let kind = if draining { LockKind::Draining } else { LockKind::Exclusive };
    let waiting = view.queue.iter().find(|waiting| Some(&waiting.id) == lock.owner_task.as_ref());
    let running = lock.holders.iter().find(|holder| Some(&holder.id) == lock.owner_task.as_ref());
    let lease = lease_called(view, owner);
    let what = running.map(|holder| holder.what.as_str()).or(waiting.map(|waiting| &*waiting.capability));
    let what = what.or(lease.map(|lease| lease.purpose.as_str()));
    let why = waiting.map(|waiting| &waiting.why).or(lease.and_then(|lease| lease.why.as_ref()));
    Some(LockRow {
        state: if draining { "waiting" } else { "held" },
        owner_task_id: lock.owner_task.as_ref().map(ToString::to_string),
        expected_at: lock.clears_at,
        why: why.filter(|_| draining).map(|why| why.message.clone()),
        ..LockRow::new(kind, gpu, owner, what.unwrap_or_default(), lock.since)
    })
}

fn lease_row(gpu: &GpuId, lease: &LeaseView) -> LockRow {
    LockRow {
        state: if lease.granted { "held" } else { "waiting" },
        expected_at: match (lease.granted, &lease.why) {
            (true, _) => Some(lease.until),
            (false, why) => why.as_ref().and_then(|why| why.clears_at),
        },
        why: lease.why.as_ref().map(|why| why.message.clone()),
        ..LockRow::new(LockKind::Lease, gpu, &lease_name(lease), &lease.purpose, lease.since)
    }
}

/// How a lease is called beside tasks: `lease ID (PURPOSE)`.
#[must_use]
pub fn lease_name(lease: &LeaseView) -> String {
    format!("lease {} ({})", lease.id, lease.purpose)
}

/// The lease that is called so, by its id or by its full name.
#[must_use]
pub fn lease_called<'a>(view: &'a SchedulerView, name: &str) -> Option<&'a LeaseView> {
    view.leases.iter().find(|lease| *lease.id == *name || name == lease_name(lease))
}

/// A GPU by its full name `desk/gpu0`, or by its own where only one host has it.
///
/// # Errors
/// The names there are, when `wanted` is none of them.
pub fn gpu_called(facts: &Facts, wanted: &str) -> Result<GpuId, Vec<String>> {
    let all = gpus(facts);
    let mut named = all.iter().filter(|gpu| gpu.to_string() == wanted || gpu.gpu.as_str() == wanted);
    match (named.next(), named.next()) {
        (Some(gpu), None) => Ok(gpu.clone()),
        (_, _) => Err(all.iter().map(ToString::to_string).collect()),
    }
}

/// Every GPU that is declared or that the scheduler knows, by host and name.
#[must_use]
pub fn gpus(facts: &Facts) -> Vec<GpuId> {
    let hosts = facts.picture.world.hosts();
    let declared = hosts.flat_map(|(object, host)| {
        let name = &object.document.key.name;
        host.gpus.iter().map(move |gpu| GpuId { host: name.clone(), gpu: gpu.id.clone() })
    });
    let mut all: Vec<GpuId> = declared.chain(facts.picture.scheduler.gpus.keys().cloned()).collect();
    all.sort();
    all.dedup();
    all
}
