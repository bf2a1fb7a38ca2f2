//! The oracle: rules written down a second time, as directly as can be and without a look into the state. It says who has to
//! be running, given who waits, who runs and what is loaded.

use super::ledger::Ledger;
use super::script::Play;
use super::*;

/// A place as the oracle sees it.
struct Spot<'a> {
    runtime: &'a Name,
    gpu: Option<GpuId>,
    model: Option<ModelAt>,
    exclusive: bool,
}

/// The places that could do it, in no order.
fn spots<'a>(request: &Request, config: &'a Config) -> Vec<Spot<'a>> {
    let mut spots = Vec::new();
    for (runtime, entry) in &config.runtimes {
        if !request.capability.iter().all(|wanted| entry.capabilities.contains(wanted))
            || request.runtime.as_ref().is_some_and(|wanted| wanted != runtime)
        {
            continue;
        }
        let policy = &config.hosts[&entry.host].policy;
        let alone = policy.gpu_exclusive_for.iter().any(|needs| request.capability.contains(needs));
        let exclusive = entry.gpu.is_some() && request.exclusive.unwrap_or(alone);
        let spot = |model| Spot { runtime, gpu: entry.gpu.clone(), model, exclusive };
        let does = |model: &ModelConfig| request.capability.iter().all(|it| model.capabilities.contains(it));
        let asked = |named: &Name, model: &ModelConfig| request.model.as_ref().map_or(does(model), |it| it == named);
        let mut serving = 0;
        for (_, model) in config.models.iter().filter(|(named, model)| asked(named, model)) {
            let Some(at) = model.served.iter().find(|at| at.runtime == *runtime) else { continue };
            serving += 1;
            let is_long = request.input_tokens.unwrap_or(0) > model.context_tokens.unwrap_or(u32::MAX);
            let is_large = entry
                .gpu
                .as_ref()
                .map(|gpu| &config.gpus[gpu])
                .is_some_and(|gpu| Ledger::cost(config, at) + gpu.reserve_gb > gpu.total_gb);
            if !is_long && !is_large && config.pins.get(at) != Some(&Pin::Unloaded) {
                spots.push(spot(Some(at.clone())));
            }
        }
        if serving == 0 && request.model.is_none() {
            spots.push(spot(None));
        }
    }
    spots
}

impl Play {
    /// Whether nothing of its own keeps a task back.
    fn is_ready(&self, request: &Request, now: Moment) -> bool {
        let done = |it: &Dependency| match self.ledger.over.get(&it.id).copied().or(it.over) {
            Some(Over::Done) => true,
            Some(Over::Failed) => request.runs_on_failure,
            None => false,
        };
        request.depends_on.iter().all(done)
            && request.not_before.is_none_or(|at| at <= now.wall)
            && self.not_before_ms.get(&request.task).is_none_or(|at| *at <= now.steady_ms)
    }

    /// Whether a runtime could take one more, whatever its GPU says.
    fn is_open(&self, spot: &Spot<'_>) -> bool {
        let entry = &self.config.runtimes[spot.runtime];
        let policy = &self.config.hosts[&entry.host].policy;
        let running = self.ledger.running.values().filter(|it| it.place.runtime == *spot.runtime).count();
        !policy.paused && !self.ledger.down.contains(spot.runtime) && running < entry.slots as usize
    }

    fn has_model(&self, spot: &Spot<'_>) -> bool {
        let loads = self.config.runtimes[spot.runtime].loads;
        let is_there = |at: &ModelAt| self.ledger.resident.get(at) == Some(&true) && !self.ledger.unsure.contains(at);
        spot.model.as_ref().is_none_or(|at| !loads || is_there(at))
    }

    /// Shared slots that are free, or none when the lock says no.
    fn has_slot(&self, gpu: &GpuId) -> bool {
        let slots = self.config.hosts[&gpu.host].policy.gpu_shared_slots as usize;
        let tasks = self.ledger.running.values().filter(|it| it.place.gpu.as_ref() == Some(gpu)).count();
        let leases = self.ledger.leases.values().filter(|(lease, held)| *held && lease.gpus.contains(gpu)).count();
        let is_shared = matches!(self.ledger.locks.get(gpu), None | Some(LockMode::Shared));
        is_shared && tasks + leases < slots
    }

    /// Who stands first, could run at once, and does not.
    ///
    /// # Errors
    /// Its id and the place.
    pub(super) fn look_for_idleness(&self, now: Moment) -> Result<(), String> {
        let mut order: Vec<(i64, &Request)> = Vec::new();
        for request in self.ledger.waiting.values().filter(|request| self.is_ready(request, now)) {
            let submitted = self.submitted_ms[&request.task];
            order.push((submitted - i64::from(request.priority) * 60_000, request));
        }
        order.sort_by_key(|(key, request)| (*key, request.task));
        // Leases that wait may have a part of what they want already, and others may wait behind them.
        let leased: Vec<&GpuId> =
            self.ledger.leases.values().filter(|(_, held)| !held).flat_map(|(lease, _)| &lease.gpus).collect();
        let mut earlier: Vec<Spot<'_>> = Vec::new();
        for (_, request) in order {
            let spots = spots(request, &self.config);
            let needs_disk = request.output_gb.is_some();
            for spot in spots.iter().filter(|spot| self.is_open(spot) && !needs_disk) {
                let is_first =
                    !earlier.iter().any(|it| it.gpu == spot.gpu && (it.gpu.is_some() || it.runtime == spot.runtime));
                let Some(gpu) = &spot.gpu else {
                    if is_first && self.has_model(spot) {
                        return Err(format!("{} could run on {}", request.id, spot.runtime));
                    }
                    continue;
                };
                let returning =
                    self.ledger.made_way.iter().any(|at| self.config.runtimes[&at.runtime].gpu.as_ref() == Some(gpu));
                if !is_first || leased.contains(&gpu) || returning || request.force {
                    continue;
                }
                if !spot.exclusive && self.has_model(spot) && self.has_slot(gpu) {
                    return Err(format!("{} could run on {}", request.id, spot.runtime));
                }
                self.look_for_a_drain(request, spot, gpu, &spots)?;
            }
            earlier.extend(spots);
        }
        Ok(())
    }

    /// Who stands first and needs a GPU for himself drains it.
    fn look_for_a_drain(
        &self,
        request: &Request,
        spot: &Spot<'_>,
        gpu: &GpuId,
        all: &[Spot<'_>],
    ) -> Result<(), String> {
        use crate::declare::manifest::kind::policy::Preemption;
        let policy = &self.config.hosts[&gpu.host].policy;
        let here = |runtime: &&Name| self.config.runtimes[*runtime].gpu.as_ref() == Some(gpu);
        let is_known = self.config.runtimes.keys().filter(here).all(|runtime| !self.ledger.down.contains(runtime));
        let copilot = self.config.pins.iter().any(|(at, pin)| *pin == Pin::Copilot && here(&&at.runtime));
        let is_alone = all.iter().all(|other| other.gpu == spot.gpu && other.exclusive);
        let foreign = self.ledger.foreign.get(gpu).is_some_and(|gb| *gb > 0.0);
        let fails = spot.model.as_ref().is_some_and(|at| self.failed_ms.contains_key(at));
        let must = spot.exclusive
            && is_alone
            && is_known
            && !(copilot && policy.copilot_persistent)
            && !foreign
            && !fails
            && policy.preemption != Preemption::Never
            && !self.ledger.leases.values().any(|(lease, _)| lease.gpus.contains(gpu));
        let is_idle = matches!(self.ledger.locks.get(gpu), None | Some(LockMode::Shared));
        // After an exclusive holder the older shared ones have their turn.
        if must && is_idle && !self.has_turns(gpu) {
            return Err(format!("{} stands first and {gpu} does not drain", request.id));
        }
        Ok(())
    }

    fn has_turns(&self, gpu: &GpuId) -> bool {
        self.was_exclusive.contains(gpu)
    }
}
