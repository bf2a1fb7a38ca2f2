//! "Why does it wait": what was looked at, what ruled it out, what is missing, when it clears, what would start it sooner.

use super::decision::Holder;
use super::id::{Moment, TaskSeq};
use super::options::{Options, RuledOut, chain};
use super::reason::Reason;
use super::state::{Stage, State};
use super::view::{Explanation, WhyView};

/// How far a chain of reasons is followed.
const CHAIN_MAX: usize = 8;

impl State {
    /// Why a task waits; none for one that runs or is not here.
    #[must_use]
    pub fn why(&self, task: TaskSeq, now: Moment) -> Option<Reason> {
        let entry = self.tasks.get(&task)?;
        match &entry.stage {
            Stage::Running(_) => None,
            Stage::Blocked(_) => self.own_reason(task),
            Stage::Waiting(line) => {
                let line = &self.lines[*line];
                let told = line.told();
                if line.head() == Some(entry.key) {
                    return Some(told.map_or(Reason::Priority { ahead: 1 }, |reason| self.refreshed(reason, now)));
                }
                // Behind the head, the line's own trouble is its trouble too, when more than turns are missing.
                match told {
                    Some(reason) if !reason.is_about_the_lock() => Some(self.refreshed(reason, now)),
                    _ => Some(Reason::Priority { ahead: line.waiting.before(entry.key) as u64 }),
                }
            }
        }
    }

    /// A reason as it is now: who holds the slots and what is left on a draining GPU change without anybody being told.
    fn refreshed(&self, reason: &Reason, now: Moment) -> Reason {
        match reason {
            Reason::SharedSlotsFull { place, slots, .. } => {
                let gpu = self.table.gpus.iter().position(|gpu| *gpu.place == **place);
                match gpu.and_then(|gpu| self.gpu_is_closed(gpu, now)) {
                    Some(fresh @ Reason::SharedSlotsFull { .. }) => fresh,
                    _ => {
                        let runtime = self.table.runtimes.iter().find(|it| it.name.as_str() == &**place);
                        let holders = runtime.map(|it| self.ids_of(it.running.iter().copied()));
                        let holders = holders.unwrap_or_default();
                        Reason::SharedSlotsFull { place: place.clone(), slots: *slots, holders: holders.into() }
                    }
                }
            }
            Reason::Draining { gpu, by, left } if !left.is_empty() => {
                let fresh = self.table.gpu(gpu).map(|ix| self.left_on(ix)).filter(|fresh| !fresh.is_empty());
                let left = fresh.unwrap_or_else(|| left.clone());
                Reason::Draining { gpu: gpu.clone(), by: by.clone(), left }
            }
            // A lease may have been renewed since.
            Reason::Leased { gpu, .. } => match self.table.gpu(gpu).map(|ix| (ix, &self.table.gpus[ix].lock)) {
                Some((ix, super::table::Lock::Exclusive { by })) => self.held_by(ix, by, now),
                _ => reason.clone(),
            },
            other => other.clone(),
        }
    }

    /// The whole answer.
    #[must_use]
    pub fn explain(&self, task: TaskSeq, now: Moment) -> Option<Explanation> {
        let entry = self.tasks.get(&task)?;
        let reason = self.why(task, now)?;
        let options = self.options(&entry.request);
        let ahead = match &entry.stage {
            Stage::Waiting(line) => self.lines[*line].waiting.before(entry.key) as u64,
            Stage::Blocked(_) | Stage::Running(_) => 0,
        };
        let mut why = reason.view(now);
        if why.clears_at.is_none() {
            why.clears_at = self.clears_at(&reason, now);
        }
        Some(Explanation {
            chain: self.chain_of(&reason, now),
            ruled_out: ruled_out(&options, &chain(&entry.request.capability)),
            shortfall: shortfall(&reason),
            sooner: self.sooner(&reason, &options),
            eta: self.eta(task, now),
            ahead,
            why,
        })
    }

    /// When what a task waits for is expected to be over.
    pub(super) fn clears_at(&self, reason: &Reason, now: Moment) -> Option<crate::core::Timestamp> {
        let end_of = |task: &TaskSeq| {
            let eta = self.eta(*task, now)?;
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "seconds of an ETA; casts saturate"
            )]
            let ms = (eta.likely * 1_000.0) as u64;
            Some(now.wall_at(now.steady_ms.saturating_add(ms)))
        };
        match reason {
            // The first slot that becomes free.
            Reason::SharedSlotsFull { holders, .. } => holders.iter().filter_map(|id| end_of(self.ids.get(id)?)).min(),
            Reason::ExclusiveHeld { owner, .. } => end_of(self.ids.get(owner)?),
            // The last holder that goes.
            Reason::Draining { gpu, .. } => {
                let entry = &self.table.gpus[self.table.gpu(gpu)?];
                entry.holders.keys().map(end_of).collect::<Option<Vec<_>>>()?.into_iter().max()
            }
            Reason::ModelLoading { model } => {
                let band = self.durations.load_band(model)?;
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "a load takes seconds; casts saturate"
                )]
                let ms = band.mid as u64;
                Some(now.wall_at(now.steady_ms.saturating_add(ms)))
            }
            _ => reason.view(now).clears_at,
        }
    }

    /// What it waits for, what that waits for, and so on.
    fn chain_of(&self, reason: &Reason, now: Moment) -> Vec<WhyView> {
        let mut chain = Vec::new();
        let mut next = self.behind(reason);
        let mut seen = std::collections::BTreeSet::new();
        while let Some(task) = next.filter(|task| chain.len() < CHAIN_MAX && seen.insert(*task)) {
            let Some(entry) = self.tasks.get(&task) else { break };
            let id = &entry.request.id;
            if let Stage::Running(run) = &entry.stage {
                let eta = self.eta(task, now);
                let left = eta.map(|eta| format!(", about {:.0} s to go", eta.likely)).unwrap_or_default();
                let message = format!("{id} runs on {}{left}", self.table.runtimes[run.runtime].name);
                chain.push(WhyView { reason: "Running", message, clears_at: None });
                break;
            }
            let Some(reason) = self.why(task, now) else { break };
            let view = reason.view(now);
            chain.push(WhyView { message: format!("{id}: {}", view.message), ..view });
            next = self.behind(&reason);
        }
        chain
    }

    /// The task that stands behind a reason.
    fn behind(&self, reason: &Reason) -> Option<TaskSeq> {
        let of = |id: &std::sync::Arc<str>| self.ids.get(id).copied();
        match reason {
            Reason::Dependency { ids } => ids.iter().find_map(of),
            Reason::SharedSlotsFull { holders, .. } => holders.iter().find_map(of),
            Reason::ExclusiveHeld { owner, .. } => of(owner),
            Reason::Draining { gpu, by, left } if left.is_empty() => {
                let _ = gpu;
                of(by)
            }
            Reason::Draining { gpu, .. } => self.table.gpus[self.table.gpu(gpu)?].holders.keys().next().copied(),
            _ => None,
        }
    }

    fn sooner(&self, reason: &Reason, options: &Options) -> Option<String> {
        match reason {
            Reason::Dependency { .. } | Reason::Backoff { .. } | Reason::InUse { .. } => None,
            Reason::NotBefore { .. } => Some("submit it without `not_before`".to_owned()),
            Reason::SharedSlotsFull { place, slots, .. } if place.contains('/') => {
                Some(format!("a policy with `gpuSharedSlots: {}`, or a higher `priority`", slots + 1))
            }
            Reason::SharedSlotsFull { place, slots, .. } => {
                Some(format!("`slots: {}` in the manifest of Runtime/{place}, or a higher `priority`", slots + 1))
            }
            Reason::ExclusiveHeld { .. } => Some("cancel the task that has the GPU, or wait for its end".to_owned()),
            Reason::Draining { left, .. } if left.is_empty() => {
                Some("a higher `priority` than the task it drains for".to_owned())
            }
            Reason::Draining { .. } => {
                Some("`preemption: requeue` in the policy interrupts less urgent tasks".to_owned())
            }
            Reason::CopilotPersistent { .. } => {
                Some("`force: true` in the task, or `copilotPersistent: false` in the policy".to_owned())
            }
            Reason::NoRuntime { capability, .. } if options.ruled_out.contains_key(&RuledOut::KeptUnloaded) => {
                Some(format!("`state: onDemand` in the loadout for a model that does {capability}"))
            }
            // Somebody offers it, but not where or with what the task says.
            Reason::NoRuntime { .. }
                if [RuledOut::Runtime, RuledOut::Model].iter().any(|cause| options.ruled_out.contains_key(cause)) =>
            {
                Some("another `target`: `arcology reroute` with --runtime or --model".to_owned())
            }
            Reason::NoRuntime { capability, .. } => Some(format!("a Runtime with the capability {capability}")),
            Reason::RuntimeDown { runtime, .. } => {
                Some(format!("start the program behind Runtime/{runtime}, or name another `target.runtime`"))
            }
            Reason::ModelLoading { .. } => None,
            Reason::VramFull { gpu, .. } => self.largest_pinned(gpu).map(|model| {
                format!("`state: onDemand` in the loadout for {model}, or a smaller model as `target.model`")
            }),
            Reason::DiskFull { host, .. } => Some(format!("free disk space on {host}")),
            Reason::Leased { holder, .. } => {
                Some(match holder.strip_prefix("lease ").and_then(|name| name.split(' ').next()) {
                    Some(id) => format!("giving it back: `arcology lease release {id}`"),
                    None => format!("{holder} giving it back"),
                })
            }
            Reason::Paused { policy: halt } => Some(halt.cure()),
            Reason::Priority { .. } => Some("a higher `priority`".to_owned()),
        }
    }

    fn largest_pinned(&self, gpu: &super::id::GpuId) -> Option<String> {
        let models = self.table.gpus[self.table.gpu(gpu)?].models.iter().map(|ix| &self.table.models[*ix]);
        let pinned = models.filter(|model| model.is_pinned() && model.is_resident());
        pinned
            .max_by(|a, b| a.cost_gb().unwrap_or(0.0).total_cmp(&b.cost_gb().unwrap_or(0.0)))
            .map(|model| model.at.to_string())
    }

    /// The task id behind a holder; none for a lease.
    pub(super) fn task_of(&self, holder: &Holder) -> Option<std::sync::Arc<str>> {
        match holder {
            Holder::Task(seq) => self.tasks.get(seq).map(|task| task.request.id.clone()),
            Holder::Lease(_) => None,
        }
    }
}

fn ruled_out(options: &Options, capability: &str) -> Vec<String> {
    options.ruled_out.iter().map(|(cause, count)| cause.words(*count, capability)).collect()
}

fn shortfall(reason: &Reason) -> Option<String> {
    match reason {
        Reason::VramFull { gpu, need_gb, free_gb, .. } => {
            Some(format!("{:.1} GB more VRAM on {gpu}", (need_gb - free_gb).max(0.0)))
        }
        Reason::DiskFull { host, need_gb, reserve_gb, free_gb } => {
            Some(format!("{:.1} GB more disk on {host}", (need_gb + reserve_gb - free_gb).max(0.0)))
        }
        Reason::SharedSlotsFull { place, .. } => Some(format!("1 slot of {place}")),
        Reason::Priority { ahead: 1 } => Some("1 task to go first".to_owned()),
        Reason::Priority { ahead } => Some(format!("{ahead} tasks to go first")),
        Reason::Dependency { ids } => Some(format!("{} of its dependencies", ids.len())),
        _ => None,
    }
}
