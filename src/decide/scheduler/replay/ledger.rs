//! Counting what comes of a scheduler's decisions. Decides nothing, and takes no scheduler's word for memory: it adds up
//! what is loaded by itself.

use std::collections::BTreeMap;

use super::super::config::Config;
use super::super::decision::LockMode;
use super::super::id::{GpuId, ModelAt};
use super::report::{CapabilityReport, Fate, GpuReport, Outcome, Report, Spread};
use super::trace::{Trace, label};

/// The counts of a replay that is under way.
pub(super) struct Ledger {
    /// Memory in GB and GPU of every declared model where it is served.
    sizes: BTreeMap<ModelAt, (GpuId, f64)>,
    gpus: BTreeMap<GpuId, Gpu>,
    fates: Vec<Fate>,
    loads: BTreeMap<ModelAt, u64>,
    busy_ms: BTreeMap<usize, u64>,
    pub(super) unloads: u64,
    pub(super) loading_ms: u64,
    pub(super) requeued: u64,
    pub(super) guessed: u64,
    pub(super) events: u64,
    pub(super) decisions: u64,
}

#[derive(Default)]
struct Gpu {
    used_gb: f64,
    resident: BTreeMap<ModelAt, f64>,
    mode: Mode,
    since_ms: u64,
    report: GpuReport,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Mode {
    #[default]
    Shared,
    Draining,
    Exclusive,
}

impl Ledger {
    pub(super) fn of(trace: &Trace) -> Self {
        let gpus = trace.config.gpus.iter().map(|(id, gpu)| {
            let report = GpuReport { total_gb: gpu.total_gb, ..GpuReport::default() };
            (id.clone(), Gpu { report, ..Gpu::default() })
        });
        let fresh = Fate { outcome: Outcome::Stranded, waited_ms: None, started_ms: None, ended_ms: None, model: None };
        let mut ledger = Self {
            sizes: sizes(&trace.config),
            gpus: gpus.collect(),
            fates: vec![fresh; trace.submissions.len()],
            loads: BTreeMap::new(),
            busy_ms: BTreeMap::new(),
            unloads: 0,
            loading_ms: 0,
            requeued: 0,
            guessed: 0,
            events: 0,
            decisions: 0,
        };
        trace.loaded.iter().for_each(|at| ledger.takes(at, None));
        ledger
    }

    pub(super) fn load(&mut self, at: &ModelAt, need_gb: Option<f64>, takes_ms: u64) {
        *self.loads.entry(at.clone()).or_default() += 1;
        self.loading_ms += takes_ms;
        self.takes(at, need_gb);
    }

    /// From now on the model takes its memory: what it is declared to take, or what was reserved for it.
    fn takes(&mut self, at: &ModelAt, need_gb: Option<f64>) {
        let Some((gpu, declared)) = self.sizes.get(at) else { return };
        let gb = declared.max(need_gb.unwrap_or(0.0));
        if let Some(gpu) = self.gpus.get_mut(gpu)
            && gpu.resident.insert(at.clone(), gb).is_none()
        {
            gpu.used_gb += gb;
            gpu.report.high_gb = gpu.report.high_gb.max(gpu.used_gb);
        }
    }

    pub(super) fn unloaded(&mut self, at: &ModelAt) {
        self.unloads += 1;
        let gpu = self.sizes.get(at).and_then(|(gpu, _)| self.gpus.get_mut(gpu));
        if let Some(gpu) = gpu
            && gpu.resident.remove(at).is_some()
        {
            // Added up anew, so that rounding never piles up over a long replay.
            gpu.used_gb = gpu.resident.values().sum();
        }
    }

    pub(super) fn lock(&mut self, id: &GpuId, mode: &LockMode, now_ms: u64) {
        let Some(gpu) = self.gpus.get_mut(id) else { return };
        gpu.settle(now_ms);
        gpu.mode = match mode {
            LockMode::Shared => Mode::Shared,
            LockMode::Draining(_) => Mode::Draining,
            LockMode::Exclusive(_) => Mode::Exclusive,
        };
    }

    /// A start: `free_ms` is when nothing of its own held the task back any more.
    pub(super) fn started(&mut self, index: usize, model: Option<ModelAt>, free_ms: u64, now_ms: u64) {
        let fate = &mut self.fates[index];
        fate.model = model;
        if fate.started_ms.is_none() {
            fate.started_ms = Some(now_ms);
            fate.waited_ms = Some(now_ms.saturating_sub(free_ms));
        }
    }

    pub(super) fn worked(&mut self, index: usize, ms: u64) {
        *self.busy_ms.entry(index).or_default() += ms;
    }

    pub(super) fn outcome(&self, index: usize) -> Outcome {
        self.fates[index].outcome
    }

    pub(super) fn ended(&mut self, index: usize, outcome: Outcome, now_ms: u64) {
        self.fates[index].outcome = outcome;
        self.fates[index].ended_ms = Some(now_ms);
    }

    pub(super) fn report(mut self, trace: &Trace, now_ms: u64) -> Report {
        let mut waits: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        let mut capabilities: BTreeMap<String, CapabilityReport> = BTreeMap::new();
        for (index, submission) in trace.submissions.iter().enumerate() {
            let label = label(&submission.request);
            let busy = self.busy_ms.get(&index).copied().unwrap_or(0);
            waits.entry(label.clone()).or_default().extend(self.fates[index].waited_ms);
            capabilities.entry(label).or_default().busy_ms += busy;
        }
        let all = waits.values().flatten().copied().collect();
        for (label, waits) in waits {
            capabilities.entry(label).or_default().waits = Spread::of(waits);
        }
        self.gpus.values_mut().for_each(|gpu| gpu.settle(now_ms));
        let first = trace.submissions.first().map_or(0, |submission| submission.at_ms);
        let last = self.fates.iter().filter_map(|fate| fate.ended_ms).max();
        Report {
            waits: Spread::of(all),
            capabilities,
            loads: self.loads,
            unloads: self.unloads,
            loading_ms: self.loading_ms,
            gpus: self.gpus.into_iter().map(|(id, gpu)| (id, gpu.report)).collect(),
            makespan_ms: last.unwrap_or(first).saturating_sub(first),
            requeued: self.requeued,
            guessed: self.guessed,
            events: self.events,
            decisions: self.decisions,
            fates: self.fates,
        }
    }
}

impl Gpu {
    /// Counts the time since the lock last changed.
    fn settle(&mut self, now_ms: u64) {
        let passed = now_ms.saturating_sub(self.since_ms);
        match self.mode {
            Mode::Shared => {}
            Mode::Draining => self.report.drained_ms += passed,
            Mode::Exclusive => self.report.exclusive_ms += passed,
        }
        self.since_ms = now_ms;
    }
}

fn sizes(config: &Config) -> BTreeMap<ModelAt, (GpuId, f64)> {
    let all = config.models.values().flat_map(|model| {
        let gb = model.vram_gb.unwrap_or(0.0) + model.context_gb;
        model.served.iter().filter_map(move |at| {
            let gpu = config.runtimes.get(&at.runtime)?.gpu.clone()?;
            Some((at.clone(), (gpu, gb)))
        })
    });
    all.collect()
}
