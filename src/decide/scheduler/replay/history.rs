//! A trace of recorded tasks: what a store remembers of a time, made ready to be replayed.
//!
//! What is not remembered is not invented silently: everything that had to be assumed or left out is counted in [`Gaps`].
//!
//! - A task's work takes as long as all its attempts took together, those that were interrupted left out.
//! - A task that never ran (cancelled, or still waiting) takes the median of its capability; where there is none it is left
//!   out.
//! - A load takes the median of the recorded loads of that model; without any, the median of all recorded loads; without
//!   those, [`LOAD_ASSUMED_MS`].
//! - What the loadout pins is loaded when the replay begins, as far as it fits.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::core::clock::millis_since;
use crate::core::{Name, Timestamp};

use super::super::config::{Config, Pin};
use super::super::event::{Over, Request};
use super::super::id::{GpuId, ModelAt, TaskSeq};
use super::trace::{LoadTimes, Submission, Trace, Work, label};

/// How long a load is assumed to take when none was ever recorded.
pub const LOAD_ASSUMED_MS: u64 = 10_000;
/// How long an unload is assumed to take when none was ever recorded.
pub const UNLOAD_ASSUMED_MS: u64 = 1_000;

/// What a store remembers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recorded {
    /// In the order of acceptance.
    pub tasks: Vec<RecordedTask>,
    /// Milliseconds of recorded loads.
    pub loads: BTreeMap<ModelAt, Vec<u64>>,
    /// Milliseconds of recorded unloads of all models.
    pub unloads: Vec<u64>,
}

/// A recorded task.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordedTask {
    /// What was asked for. Its dependencies are named as its author named them.
    pub request: Request,
    /// The committed Task it comes from.
    pub object: Option<Name>,
    pub created_at: Timestamp,
    pub end: RecordedEnd,
    pub finished_at: Option<Timestamp>,
    /// Attempts that ended by themselves, oldest first.
    pub attempts: Vec<RecordedAttempt>,
}

/// How a recorded task stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordedEnd {
    Done,
    Failed,
    Cancelled,
    /// It is queued, blocked or running.
    Open,
}

/// An attempt that ended by itself, well or not.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordedAttempt {
    pub runtime: Option<Name>,
    /// As declared, or as the runtime calls it.
    pub model: Option<String>,
    pub took_ms: u64,
}

/// Recorded submissions of a time, ready to be replayed under any configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct History {
    /// When the first of them was made.
    pub start: Timestamp,
    pub submissions: Vec<Submission>,
    pub durations: BTreeMap<(String, Option<Name>), u64>,
    pub load_times: LoadTimes,
    pub gaps: Gaps,
}

/// What had to be assumed or left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gaps {
    /// Left out, by capability: they never ran, and neither did anything like them.
    pub left_out: BTreeMap<String, u64>,
    /// Replayed with the median of their capability, because they never ran.
    pub never_ran: u64,
    /// Dependencies on tasks that are not among the replayed ones; taken as done.
    pub dependencies_taken_as_done: u64,
    /// Whether any load was recorded at all.
    pub no_load_recorded: bool,
}

impl History {
    /// What `recorded` holds of the time from `from` on. `config` is the one in force: it tells under which declared name a
    /// runtime's own model is known. None when nothing of it can be replayed.
    #[must_use]
    pub fn of(recorded: &Recorded, from: Timestamp, config: &Config) -> Option<Self> {
        let mut gaps = Gaps { no_load_recorded: recorded.loads.is_empty(), ..Gaps::default() };
        let durations = durations(recorded, config);
        let mut tasks: Vec<&RecordedTask> = recorded.tasks.iter().filter(|task| task.created_at >= from).collect();
        // Wall clocks jump: the replay needs them in the order of its own time.
        tasks.sort_by_key(|task| task.created_at);
        let mut kept = Vec::new();
        for task in tasks {
            match work(task, config, &durations) {
                Some(work) => {
                    gaps.never_ran += u64::from(task.attempts.is_empty());
                    kept.push((task, work));
                }
                None => *gaps.left_out.entry(label(&task.request)).or_default() += 1,
            }
        }
        let start = kept.first()?.0.created_at;
        let names = Names::of(&kept);
        let submissions = kept.into_iter().zip(1..).map(|((task, work), seq)| {
            let request = request(task, TaskSeq(seq), &names, &mut gaps);
            let cancelled = (task.end == RecordedEnd::Cancelled).then_some(task.finished_at).flatten();
            Submission {
                at_ms: millis_since(start, task.created_at),
                request,
                work,
                cancelled_ms: cancelled.map(|at| millis_since(start, at)),
            }
        });
        let submissions = submissions.collect();
        Some(Self { start, submissions, durations, load_times: load_times(recorded), gaps })
    }

    /// The same submissions under a configuration.
    #[must_use]
    pub fn trace(&self, config: Arc<Config>) -> Trace {
        Trace {
            start: self.start,
            submissions: self.submissions.clone(),
            loaded: pinned(&config),
            load_times: self.load_times.clone(),
            durations: self.durations.clone(),
            config,
        }
    }
}

/// Which ids and committed names can be depended on.
struct Names<'a> {
    ids: BTreeSet<&'a str>,
    /// The newest task of a committed Task.
    objects: BTreeMap<&'a str, Arc<str>>,
}

impl<'a> Names<'a> {
    fn of(kept: &[(&'a RecordedTask, Work)]) -> Self {
        let ids = kept.iter().map(|(task, _)| &*task.request.id).collect();
        let objects =
            kept.iter().filter_map(|(task, _)| Some((task.object.as_ref()?.as_str(), Arc::clone(&task.request.id))));
        Self { ids, objects: objects.collect() }
    }

    fn find(&self, task: &RecordedTask, word: &str) -> Option<Arc<str>> {
        let named = if task.object.is_some() { self.objects.get(word).cloned() } else { None };
        named.or_else(|| self.ids.get(word).map(|id| Arc::from(*id))).filter(|id| **id != *task.request.id)
    }
}

fn request(task: &RecordedTask, seq: TaskSeq, names: &Names<'_>, gaps: &mut Gaps) -> Request {
    let mut request = Request { task: seq, ..task.request.clone() };
    for dependency in &mut request.depends_on {
        match names.find(task, &dependency.id) {
            Some(id) => dependency.id = id,
            None => {
                gaps.dependencies_taken_as_done += 1;
                dependency.over = Some(Over::Done);
            }
        }
    }
    request
}

/// What a task's work takes; none when nothing is known of it.
fn work(task: &RecordedTask, config: &Config, durations: &BTreeMap<(String, Option<Name>), u64>) -> Option<Work> {
    let Some(last) = task.attempts.last() else {
        let words = label(&task.request);
        let known: Vec<u64> = durations.iter().filter(|((label, _), _)| *label == words).map(|(_, ms)| *ms).collect();
        return Some(Work { took_ms: median(known)?, on: None, fails: false });
    };
    let took_ms = task.attempts.iter().map(|attempt| attempt.took_ms).sum();
    let on = last.runtime.clone().map(|runtime| (declared(config, &runtime, last.model.as_deref()), runtime));
    Some(Work { took_ms, on: on.map(|(model, runtime)| (runtime, model)), fails: task.end == RecordedEnd::Failed })
}

/// The declared name of what a runtime calls `model`.
fn declared(config: &Config, runtime: &Name, model: Option<&str>) -> Option<Name> {
    let model = model?;
    let by_name = config.models.get_key_value(model);
    let served = || {
        let serves = |at: &ModelAt| at.runtime == *runtime && *at.served_as == *model;
        config.models.iter().find(|(_, spec)| spec.served.iter().any(serves))
    };
    by_name.or_else(served).map(|(name, _)| name.clone())
}

fn durations(recorded: &Recorded, config: &Config) -> BTreeMap<(String, Option<Name>), u64> {
    let mut all: BTreeMap<(String, Option<Name>), Vec<u64>> = BTreeMap::new();
    for task in recorded.tasks.iter().filter(|task| task.end == RecordedEnd::Done) {
        let Some(last) = task.attempts.last() else { continue };
        let model = last.runtime.as_ref().and_then(|runtime| declared(config, runtime, last.model.as_deref()));
        all.entry((label(&task.request), model)).or_default().push(last.took_ms);
    }
    all.into_iter().filter_map(|(key, times)| Some((key, median(times)?))).collect()
}

fn load_times(recorded: &Recorded) -> LoadTimes {
    let load = recorded.loads.iter().filter_map(|(at, times)| Some((at.clone(), median(times.clone())?))).collect();
    let all: Vec<u64> = recorded.loads.values().flatten().copied().collect();
    LoadTimes {
        load,
        load_otherwise: median(all).unwrap_or(LOAD_ASSUMED_MS),
        unload: median(recorded.unloads.clone()).unwrap_or(UNLOAD_ASSUMED_MS),
    }
}

/// What loadouts want loaded, copilots first, as far as it fits beside what is taken already.
fn pinned(config: &Config) -> Vec<ModelAt> {
    let mut free: BTreeMap<&GpuId, f64> =
        config.gpus.iter().map(|(id, gpu)| (id, gpu.total_gb - gpu.reserve_gb)).collect();
    let mut loaded = Vec::new();
    for wanted in [Pin::Copilot, Pin::Loaded] {
        for (at, _) in config.pins.iter().filter(|(_, pin)| **pin == wanted) {
            let Some(runtime) = config.runtimes.get(&at.runtime).filter(|runtime| runtime.loads) else { continue };
            let need = config.models.values().find(|model| model.served.contains(at));
            let need = need.map_or(0.0, |model| model.vram_gb.unwrap_or(0.0) + model.context_gb);
            let room = runtime.gpu.as_ref().and_then(|gpu| free.get_mut(gpu));
            match room {
                Some(room) if need <= *room => *room -= need,
                Some(_) => continue,
                None => {}
            }
            loaded.push(at.clone());
        }
    }
    loaded
}

fn median(mut times: Vec<u64>) -> Option<u64> {
    times.sort_unstable();
    times.get(times.len().saturating_sub(1) / 2).copied()
}

impl History {
    /// Models that a replay loaded and whose load was never recorded.
    #[must_use]
    pub fn loads_assumed(&self, report: &super::Report) -> Vec<ModelAt> {
        report.loads.keys().filter(|at| !self.load_times.load.contains_key(*at)).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Outcome, replay};
    use super::*;
    use crate::decide::scheduler::event::Dependency;
    use crate::decide::scheduler::state::State;

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    fn second(n: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + n).unwrap()
    }

    fn task(id: &str, at: i64, end: RecordedEnd, took_s: &[u64]) -> RecordedTask {
        let attempt = |s: &u64| RecordedAttempt { runtime: Some(name("builtin")), model: None, took_ms: s * 1_000 };
        RecordedTask {
            request: Request {
                task: TaskSeq(0),
                id: id.into(),
                capability: ["text.stats".to_owned()].into(),
                runtime: None,
                model: None,
                priority: 0,
                force: false,
                exclusive: None,
                not_before: None,
                depends_on: Vec::new(),
                runs_on_failure: false,
                input_tokens: None,
                output_gb: None,
                waited_ms: 0,
                attempts: 0,
                backoff: None,
            },
            object: None,
            created_at: second(at),
            end,
            finished_at: None,
            attempts: took_s.iter().map(attempt).collect(),
        }
    }

    fn history(tasks: Vec<RecordedTask>) -> Option<History> {
        let recorded = Recorded { tasks, ..Recorded::default() };
        History::of(&recorded, second(0), &Config::default())
    }

    #[test]
    fn a_task_takes_as_long_as_all_its_attempts_and_ends_as_it_did() {
        let all = vec![task("a", 0, RecordedEnd::Done, &[4]), task("b", 7, RecordedEnd::Failed, &[2, 3])];
        let history = history(all).unwrap();
        let works: Vec<(u64, bool)> =
            history.submissions.iter().map(|one| (one.work.took_ms, one.work.fails)).collect();
        assert_eq!(works, [(4_000, false), (5_000, true)]);
        assert_eq!(history.submissions[1].at_ms, 7_000);
    }

    #[test]
    fn what_never_ran_takes_the_median_of_its_kind_or_is_left_out_and_counted() {
        let done = |id, s| task(id, 1, RecordedEnd::Done, &[s]);
        let mut alone = task("e", 2, RecordedEnd::Open, &[]);
        alone.request.capability = ["video.gen".to_owned()].into();
        let never = task("d", 2, RecordedEnd::Cancelled, &[]);
        let history = history(vec![done("a", 2), done("b", 8), done("c", 3), never, alone]).unwrap();
        assert_eq!(history.submissions.len(), 4);
        assert_eq!(history.submissions[3].work, Work { took_ms: 3_000, on: None, fails: false });
        assert_eq!(history.gaps.never_ran, 1);
        assert_eq!(history.gaps.left_out, BTreeMap::from([("video.gen".to_owned(), 1)]));
    }

    fn on_id(id: &str) -> Dependency {
        Dependency { id: id.into(), over: None }
    }

    #[test]
    fn dependencies_are_found_by_id_and_by_committed_name_and_older_ones_are_taken_as_done() {
        let mut first = task("task-1", 0, RecordedEnd::Done, &[1]);
        first.object = Some(name("extract"));
        let mut second = task("task-2", 1, RecordedEnd::Done, &[1]);
        second.object = Some(name("brief"));
        second.request.depends_on = ["extract", "gone"].map(on_id).to_vec();
        let mut third = task("task-3", 2, RecordedEnd::Done, &[1]);
        third.request.depends_on = vec![on_id("task-2")];
        let history = history(vec![first, second, third]).unwrap();
        let on = |at: usize| &history.submissions[at].request.depends_on;
        assert_eq!(on(1)[0], Dependency { id: "task-1".into(), over: None });
        assert_eq!(on(1)[1].over, Some(Over::Done));
        assert_eq!(on(2)[..], [Dependency { id: "task-2".into(), over: None }]);
        assert_eq!(history.gaps.dependencies_taken_as_done, 1);
    }

    #[test]
    fn nothing_recorded_in_that_time_is_no_history() {
        assert_eq!(history(vec![task("a", -1, RecordedEnd::Done, &[4])]), None);
        assert_eq!(history(vec![task("a", 1, RecordedEnd::Cancelled, &[])]), None);
    }

    #[test]
    fn loads_take_the_median_of_their_model_of_all_or_what_is_assumed() {
        let at = |model: &str| ModelAt { runtime: name("swap"), served_as: model.into() };
        let loads = BTreeMap::from([(at("a"), vec![9, 1, 5]), (at("b"), vec![7])]);
        let times = load_times(&Recorded { loads, unloads: vec![2], ..Recorded::default() });
        assert_eq!((times.of(&at("a")), times.of(&at("b")), times.of(&at("c")), times.unload), (5, 7, 5, 2));
        let times = load_times(&Recorded::default());
        assert_eq!((times.of(&at("a")), times.unload), (LOAD_ASSUMED_MS, UNLOAD_ASSUMED_MS));
    }

    #[test]
    fn a_task_that_was_taken_back_is_taken_back_in_the_replay_if_it_still_waits() {
        let mut cancelled = task("b", 1, RecordedEnd::Cancelled, &[]);
        cancelled.finished_at = Some(second(3));
        let history = history(vec![task("a", 0, RecordedEnd::Done, &[4]), cancelled]).unwrap();
        assert_eq!(history.submissions[1].cancelled_ms, Some(3_000));
        let report = replay(&mut State::new(), &history.trace(Arc::new(Config::default())));
        assert_eq!(report.fates[1].outcome, Outcome::Cancelled);
    }
}
