//! When a task is expected to be done: the 10th, 50th and 90th percentile of recent runs, and of what goes first.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::core::Name;

use super::id::{ModelAt, Moment, TaskSeq};
use super::lane::Place;
use super::line::{Choice, LineIx, LineKey};
use super::options::Plan;
use super::reason::Reason;
use super::state::{Run, Stage, State};
use super::table::{Gpu, RuntimeIx, Table};
use super::view::Eta;

/// How many of the newest runs count.
const WINDOW: usize = 64;
/// Fewer say nothing.
const SAMPLES_MIN: usize = 3;

/// How long recent runs and loads took, and how much runs put out.
#[derive(Clone, Debug, Default)]
pub(super) struct Durations {
    runs: HashMap<(Arc<str>, Option<Name>), usize>,
    windows: Vec<Window>,
    loads: HashMap<ModelAt, Window>,
    /// Bytes that runs put out, by capability.
    sizes: HashMap<Arc<str>, Window>,
}

#[derive(Clone, Debug, Default)]
struct Window {
    newest: VecDeque<u64>,
    /// The same, ascending.
    sorted: Vec<u64>,
    /// None as long as there are too few.
    band: Option<Band>,
}

/// What was told of the end of a task when it came.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Told {
    /// When, on the steady clock.
    pub at_ms: u64,
    /// Seconds from then on.
    pub optimistic: f64,
    pub pessimistic: f64,
}

impl Told {
    pub(super) fn new(now: Moment, eta: &Eta) -> Self {
        Self { at_ms: now.steady_ms, optimistic: eta.optimistic, pessimistic: eta.pessimistic }
    }

    /// Whether an end now is inside of what was told.
    pub(super) fn holds(&self, now: Moment) -> bool {
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of a task's life are far below 2^52")]
        let true_s = now.steady_ms.saturating_sub(self.at_ms) as f64 / 1_000.0;
        self.optimistic <= true_s && true_s <= self.pessimistic
    }
}

/// Three percentiles, in milliseconds or bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Band {
    pub low: f64,
    pub mid: f64,
    pub high: f64,
    pub samples: u32,
}

impl Window {
    fn note(&mut self, ms: u64) {
        if self.newest.len() == WINDOW
            && let Some(oldest) = self.newest.pop_front()
            && let Ok(at) = self.sorted.binary_search(&oldest)
        {
            self.sorted.remove(at);
        }
        self.newest.push_back(ms);
        let at = self.sorted.partition_point(|other| *other < ms);
        self.sorted.insert(at, ms);
        self.band = self.percentiles();
    }

    fn percentiles(&self) -> Option<Band> {
        let count = self.sorted.len();
        #[expect(clippy::cast_precision_loss, reason = "a run takes far less than 2^52 milliseconds")]
        let at = |percent: usize| self.sorted[nearest_rank(percent, count)] as f64;
        let samples = u32::try_from(count).unwrap_or(u32::MAX);
        (count >= SAMPLES_MIN).then(|| Band { low: at(10), mid: at(50), high: at(90), samples })
    }
}

/// The index of a percentile by nearest rank: the smallest value that at least so many percent do not exceed.
fn nearest_rank(percent: usize, count: usize) -> usize {
    (percent * count).div_ceil(100).clamp(1, count) - 1
}

impl Durations {
    /// Notes how long a run took; true when it is the first of its kind.
    fn note(&mut self, capability: &Arc<str>, model: Option<Name>, ms: u64) -> bool {
        let next = self.windows.len();
        let at = *self.runs.entry((capability.clone(), model)).or_insert(next);
        if at == next {
            self.windows.push(Window::default());
        }
        self.windows[at].note(ms);
        at == next
    }

    pub(super) fn note_load(&mut self, at: ModelAt, ms: u64) {
        self.loads.entry(at).or_default().note(ms);
    }

    pub(super) fn note_size(&mut self, capability: &Arc<str>, bytes: u64) {
        self.sizes.entry(capability.clone()).or_default().note(bytes);
    }

    /// What nine in ten runs of a capability put out at most, in bytes.
    pub(super) fn usual_size(&self, capability: &Arc<str>) -> Option<u64> {
        let band = self.sizes.get(capability)?.band?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it was a whole number of bytes")]
        Some(band.high as u64)
    }

    fn window(&self, capability: &Arc<str>, model: Option<&Name>) -> Option<usize> {
        self.runs.get(&(capability.clone(), model.cloned())).copied()
    }

    fn band(&self, window: Option<usize>) -> Option<Band> {
        self.windows[window?].band
    }

    pub(super) fn load_band(&self, at: &ModelAt) -> Option<Band> {
        self.loads.get(at)?.band
    }
}

/// A sum of bands.
#[derive(Clone, Copy, Debug, Default)]
struct Total {
    low: f64,
    mid: f64,
    high: f64,
}

impl Total {
    fn add(&mut self, band: Band, times: f64) {
        self.low += band.low * times;
        self.mid += band.mid * times;
        self.high += band.high * times;
    }

    fn add_rest(&mut self, band: Band, elapsed_ms: f64) {
        self.low += (band.low - elapsed_ms).max(0.0);
        self.mid += (band.mid - elapsed_ms).max(0.0);
        self.high += (band.high - elapsed_ms).max(0.0);
    }
}

impl State {
    /// Notes how long a run took.
    pub(super) fn took(&mut self, capability: &Arc<str>, model: Option<Name>, ms: u64) {
        if self.durations.note(capability, model, ms) {
            self.find_windows();
        }
    }

    /// Notes how long a run of ours took.
    pub(super) fn note_run(&mut self, run: Run, ms: u64) {
        match run.window {
            Some(window) => self.durations.windows[window].note(ms),
            None => self.took(&run.capability, run.declared, ms),
        }
    }

    /// There are durations of something new: whoever waits or runs may have been without.
    fn find_windows(&mut self) {
        let Self { lines, lanes, table, durations, running, tasks, .. } = self;
        for line in lines.kept() {
            let window = window_of(&line.capability, &line.plan, table, durations);
            if window == line.window {
                continue;
            }
            line.window = window;
            let (from, waits) = (line.lane, !line.waiting.is_empty());
            if waits {
                line.lane = lanes.open(line.kind());
            }
            for key in line.waiting.iter() {
                lanes.insert(line.lane, key);
                lanes.remove(from, key);
            }
        }
        for seq in running.iter() {
            if let Some(Stage::Running(run)) = tasks.get_mut(seq).map(|task| &mut task.stage) {
                run.window = durations.window(&run.capability, run.declared.as_ref());
            }
        }
    }

    /// Where durations of a run are kept that begins now.
    pub(super) fn window_of_run(&self, line: LineIx, choice: Choice) -> Option<usize> {
        let line = &self.lines[line];
        if line.plan.choices.len() == 1 {
            return line.window;
        }
        let model = choice.model.and_then(|ix| self.table.models[ix].declared.as_ref());
        self.durations.window(&line.capability, model)
    }

    /// Where durations of the work of a new line are kept.
    pub(super) fn window_of(&self, key: &LineKey, plan: &Plan) -> Option<usize> {
        window_of(&super::options::chain(&key.chain), plan, &self.table, &self.durations)
    }

    /// When a task is expected to be done, seen from `now`. None without enough samples of it or of what goes first,
    /// while a lease has its GPU, and while it waits for what only a person can end.
    #[must_use]
    pub fn eta(&self, task: TaskSeq, now: Moment) -> Option<Eta> {
        let entry = self.tasks.get(&task)?;
        match &entry.stage {
            Stage::Blocked(_) => None,
            Stage::Running(run) => {
                let band = self.durations.band(run.window)?;
                let mut rest = Total::default();
                rest.add_rest(band, elapsed(run.since, now));
                Some(seconds(rest, Total::default(), 1.0, band.samples))
            }
            Stage::Waiting(line) => self.eta_of_waiting(*line, entry.key, now),
        }
    }

    pub(super) fn eta_of_waiting(&self, line: usize, key: super::line::Key, now: Moment) -> Option<Eta> {
        if self.lines[line].told().is_some_and(Reason::has_no_known_end) {
            return None;
        }
        let choice = *self.lines[line].plan.choices.first()?;
        let own = self.band_of_line(line)?;
        let runtime = &self.table.runtimes[choice.runtime];
        let gpu = runtime.gpu.map(|gpu| &self.table.gpus[gpu]);
        if gpu.is_some_and(Gpu::is_leased) {
            // Its holder lets go when he likes, and renews it as long as he likes: any figure would be made up.
            return None;
        }
        let place = runtime.gpu.map_or(Place::Runtime(choice.runtime), Place::Gpu);
        let slots = match gpu {
            Some(gpu) => gpu.policy.gpu_shared_slots,
            None => runtime.config.as_ref().map_or(1, |config| config.slots),
        };
        let mut ahead = Total::default();
        for lane in self.lanes.of(place).filter(|lane| lane.waiting.first().is_some_and(|first| first < key)) {
            #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 tasks")]
            let count = lane.waiting.before(key) as f64;
            ahead.add(self.durations.band(lane.kind.window)?, count);
        }
        for seq in self.running_beside(choice.runtime) {
            let Some(Stage::Running(run)) = self.tasks.get(&seq).map(|task| &task.stage) else { continue };
            ahead.add_rest(self.durations.band(run.window)?, elapsed(run.since, now));
        }
        let slots = if choice.exclusive { 1 } else { slots.max(1) };
        let mut total = Total::default();
        total.add(own, 1.0);
        Some(seconds(total, ahead, f64::from(slots), own.samples))
    }

    /// What runs on the GPU of a runtime, or on one without a GPU.
    fn running_beside(&self, runtime: RuntimeIx) -> impl Iterator<Item = TaskSeq> {
        let gpu = self.table.runtimes[runtime].gpu;
        let beside = gpu.into_iter().flat_map(|gpu| self.table.gpus[gpu].runtimes.iter().copied());
        let alone = Some(runtime).filter(|_| gpu.is_none());
        beside.chain(alone).flat_map(|ix| self.table.runtimes[ix].running.iter().copied())
    }

    fn band_of_line(&self, line: usize) -> Option<Band> {
        self.durations.band(self.lines[line].window)
    }
}

/// The first of the places that has durations.
fn window_of(capability: &Arc<str>, plan: &Plan, table: &Table, durations: &Durations) -> Option<usize> {
    plan.choices.iter().find_map(|choice| {
        let model = choice.model.and_then(|ix| table.models[ix].declared.as_ref());
        durations.window(capability, model)
    })
}

#[expect(clippy::cast_precision_loss, reason = "a run takes far less than 2^52 milliseconds")]
fn elapsed(since: Moment, now: Moment) -> f64 {
    now.steady_ms.saturating_sub(since.steady_ms) as f64
}

fn seconds(own: Total, ahead: Total, slots: f64, samples: u32) -> Eta {
    let at = |own: f64, ahead: f64| (own + ahead / slots) / 1_000.0;
    Eta {
        optimistic: at(own.low, ahead.low),
        likely: at(own.mid, ahead.mid),
        pessimistic: at(own.high, ahead.high),
        samples,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_by_nearest_rank() {
        assert_eq!([10, 50, 90].map(|percent| nearest_rank(percent, 10)), [0, 4, 8]);
        assert_eq!([10, 50, 90].map(|percent| nearest_rank(percent, 3)), [0, 1, 2]);
        assert_eq!(nearest_rank(10, 1), 0);
    }

    #[test]
    fn a_window_forgets_its_oldest_and_says_nothing_too_early() {
        let mut window = Window::default();
        window.note(5);
        window.note(5);
        assert_eq!(window.band, None);
        for _ in 0..WINDOW {
            window.note(1_000);
        }
        assert_eq!(window.band, Some(Band { low: 1_000.0, mid: 1_000.0, high: 1_000.0, samples: 64 }));
    }
}
