//! What surfaces and the planner may see: a bounded picture of this moment.

use std::collections::BTreeSet;

use crate::core::Timestamp;

use super::decision::Holder;
use super::eta::Told;
use super::id::{GpuId, Moment, TaskSeq};
use super::line::{Key, LineIx};
use super::reason::Reason;
use super::state::{Stage, State};
use super::table::{GpuIx, Lock, Phase};
use super::view::{Counts, GpuLockView, HolderView, LeaseView, Moving, SchedulerView, Waiting};

impl State {
    /// The picture at `now`, with at most `rows` waiting tasks.
    #[must_use]
    pub fn view(&self, now: Moment, rows: usize) -> SchedulerView {
        let mut view = SchedulerView {
            queue: self.queue_view(now, rows),
            counts: Counts {
                queued: self.queued,
                blocked: self.blocked.len() as u64,
                running: self.running.len() as u64,
            },
            leases: self.lease_views(now),
            eta_coverage: self.coverage,
            ..SchedulerView::default()
        };
        for gpu in 0..self.table.gpus.len() {
            if self.table.gpus[gpu].config.is_some() {
                view.gpus.insert(self.table.gpus[gpu].id.clone(), self.gpu_view(gpu, now));
            }
        }
        for model in self.table.models.iter().filter(|model| !model.users.is_empty()) {
            view.in_use.insert(model.at.clone(), self.ids_of(model.users.iter().copied()));
        }
        for model in &self.table.models {
            if let Some(at) = model.last_used {
                view.last_used.insert(model.at.clone(), at);
            }
            let moving = match model.phase {
                Phase::Loading { ours: true } => Moving::Loading,
                Phase::Unloading { ours: true } => Moving::Unloading,
                _ => continue,
            };
            view.moving.insert(model.at.clone(), moving);
        }
        for ix in self.table.gpus.iter().flat_map(|gpu| gpu.displaced.iter()) {
            view.moving.entry(self.table.models[*ix].at.clone()).or_insert(Moving::Displaced);
        }
        view
    }

    /// The first of the queue in order, then what is blocked, by age.
    fn queue_view(&self, now: Moment, rows: usize) -> Vec<Waiting> {
        let mut heads: BTreeSet<(Key, LineIx)> =
            self.lines.busy().filter_map(|(ix, line)| Some((line.head()?, ix))).collect();
        let mut queue = Vec::new();
        while let Some((key, line)) = heads.pop_first() {
            if queue.len() >= rows {
                return queue;
            }
            queue.extend(self.waiting_view(TaskSeq(key.seq), now));
            heads.extend(self.lines[line].waiting.after(key).map(|next| (next, line)));
        }
        let blocked = self.blocked.iter().take(rows - queue.len());
        queue.extend(blocked.filter_map(|key| self.waiting_view(TaskSeq(key.seq), now)));
        queue
    }

    fn waiting_view(&self, task: TaskSeq, now: Moment) -> Option<Waiting> {
        let entry = self.tasks.get(&task)?;
        let reason = self.why(task, now)?;
        let mut why = reason.view(now);
        why.clears_at = why.clears_at.or_else(|| self.clears_at(&reason, now));
        Some(Waiting {
            task,
            id: entry.request.id.clone(),
            capability: super::options::chain(&entry.request.capability),
            blocked: matches!(entry.stage, Stage::Blocked(_)),
            why,
            eta: self.eta(task, now),
            priority: entry.request.priority,
            since: wall_of(entry.submitted_ms, now),
            due_by: entry.told.map(|told| due_by(told, now)),
            gpu: self.gpu_of(&reason),
        })
    }

    /// The GPU that a reason is about.
    fn gpu_of(&self, reason: &Reason) -> Option<GpuId> {
        match reason {
            Reason::SharedSlotsFull { place, .. } => {
                self.table.gpus.iter().find(|gpu| *gpu.place == **place).map(|gpu| gpu.id.clone())
            }
            Reason::ExclusiveHeld { gpu, .. }
            | Reason::Draining { gpu, .. }
            | Reason::CopilotPersistent { gpu, .. }
            | Reason::VramFull { gpu, .. }
            | Reason::Leased { gpu, .. } => Some(gpu.clone()),
            Reason::ModelLoading { model } | Reason::InUse { model, .. } => {
                let gpu = self.table.gpu_of_model(self.table.model(model)?)?;
                Some(self.table.gpus[gpu].id.clone())
            }
            Reason::Dependency { .. }
            | Reason::NotBefore { .. }
            | Reason::NoRuntime { .. }
            | Reason::RuntimeDown { .. }
            | Reason::DiskFull { .. }
            | Reason::Paused { .. }
            | Reason::Priority { .. }
            | Reason::Backoff { .. } => None,
        }
    }

    fn gpu_view(&self, gpu: GpuIx, now: Moment) -> GpuLockView {
        let entry = &self.table.gpus[gpu];
        let (mode, by) = match &entry.lock {
            Lock::Shared => ("shared", None),
            Lock::Draining { by, .. } => ("draining", Some(by)),
            Lock::Exclusive { by } => ("exclusive", Some(by)),
        };
        let sums = self.sums(gpu);
        let models = || entry.models.iter().map(|ix| &self.table.models[*ix]);
        let is_idle =
            |model: &&super::table::Model| model.phase == Phase::Loaded && model.users.is_empty() && !model.is_pinned();
        let reason = by.map(|by| match &entry.lock {
            Lock::Draining { .. } => {
                Reason::Draining { gpu: entry.id.clone(), by: self.name_of(by), left: self.left_on(gpu) }
            }
            Lock::Shared | Lock::Exclusive { .. } => self.held_by(gpu, by, now),
        });
        GpuLockView {
            mode,
            since: now.wall_at(entry.lock_since.steady_ms),
            owner: by.map(|by| self.name_of(by)),
            owner_task: by.and_then(|by| self.task_of(by)),
            clears_at: reason.and_then(|reason| self.clears_at(&reason, now)),
            holders: self.holder_views(gpu, now),
            slots: entry.policy.gpu_shared_slots,
            total_gb: sums.map_or(0.0, |sums| sums.total),
            reserve_gb: sums.map_or(0.0, |sums| sums.reserve),
            models_gb: sums.map_or(0.0, |sums| sums.models),
            foreign_gb: entry.foreign_gb,
            idle_gb: models().filter(is_idle).filter_map(super::table::Model::cost_gb).sum(),
            simulated: entry.config.as_ref().is_some_and(|config| config.simulated),
        }
    }

    fn holder_views(&self, gpu: GpuIx, now: Moment) -> Vec<HolderView> {
        let entry = &self.table.gpus[gpu];
        let owner = match &entry.lock {
            Lock::Exclusive { by: Holder::Task(seq) } => Some(*seq),
            Lock::Exclusive { .. } | Lock::Shared | Lock::Draining { .. } => None,
        };
        let tasks = entry.holders.keys().copied().chain(owner).filter_map(|seq| {
            let task = self.tasks.get(&seq)?;
            let Stage::Running(run) = &task.stage else { return None };
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "seconds of an ETA; casts saturate"
            )]
            let until =
                self.eta(seq, now).map(|eta| now.wall_at(now.steady_ms.saturating_add((eta.likely * 1_000.0) as u64)));
            let what = super::options::chain(&task.request.capability).to_string();
            Some(HolderView { id: task.request.id.clone(), what, since: now.wall_at(run.since.steady_ms), until })
        });
        let leases = entry.shared_leases.iter().filter_map(|id| {
            let lease = self.leases.get(id)?;
            let until = Some(now.wall_at(lease.until_ms));
            Some(HolderView {
                id: id.clone(),
                what: lease.asked.purpose.clone(),
                since: now.wall_at(lease.since.steady_ms),
                until,
            })
        });
        tasks.chain(leases).collect()
    }

    fn lease_views(&self, now: Moment) -> Vec<LeaseView> {
        let view = |(id, lease): (&super::id::LeaseId, &super::lease::Lease)| LeaseView {
            id: id.clone(),
            gpus: lease.asked.gpus.clone(),
            holder: lease.asked.holder.clone(),
            purpose: lease.asked.purpose.clone(),
            exclusive: lease.asked.exclusive,
            granted: lease.is_granted,
            since: now.wall_at(lease.since.steady_ms),
            until: now.wall_at(lease.until_ms),
            why: lease.reason.as_ref().map(|reason| reason.view(now)),
        };
        self.leases.iter().map(view).collect()
    }
}

/// What the wall clock showed at a time of the steady one, which is negative before a restart.
fn wall_of(steady_ms: i64, now: Moment) -> Timestamp {
    let ago = i64::try_from(now.steady_ms).unwrap_or(i64::MAX).saturating_sub(steady_ms);
    Timestamp::from_millisecond(now.wall.as_millisecond().saturating_sub(ago)).unwrap_or(Timestamp::MIN)
}

/// The end of the band that was told, on the wall clock of `now`.
fn due_by(told: Told, now: Moment) -> Timestamp {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "seconds of an ETA; casts saturate")]
    let pessimistic_ms = (told.pessimistic * 1_000.0) as u64;
    now.wall_at(told.at_ms.saturating_add(pessimistic_ms))
}
