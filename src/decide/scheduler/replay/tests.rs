//! The replay held to small worlds whose outcome can be reckoned by hand.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use crate::core::rng::Rng;
use crate::core::{Name, Timestamp};
use crate::declare::world::policy::EffectivePolicy;

use super::super::config::{Config, GpuConfig, HostConfig, ModelConfig, Pin, RuntimeConfig};
use super::super::event::{Dependency, Request};
use super::super::id::{GpuId, ModelAt, TaskSeq};
use super::super::state::State;
use super::{LoadTimes, Outcome, Report, Submission, Trace, Work, replay};

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn at(model: &str) -> ModelAt {
    ModelAt { runtime: name("swap"), served_as: model.into() }
}

/// One GPU of 10 GB, models `small` (4 GB), `middle` (5 GB) and `large` (8 GB), and video work that takes the GPU alone.
fn config(policy: EffectivePolicy) -> Config {
    let gpu = GpuId { host: name("desk"), gpu: name("gpu0") };
    let runtime = |capability: &str, loads| RuntimeConfig {
        host: name("desk"),
        gpu: Some(gpu.clone()),
        loads,
        slots: 64,
        capabilities: vec![capability.to_owned()],
    };
    let model = |(model, gb): (&str, f64)| {
        let config = ModelConfig {
            served: vec![at(model)],
            capabilities: Vec::new(),
            vram_gb: Some(gb),
            context_gb: 0.0,
            context_tokens: None,
        };
        (name(model), config)
    };
    let host = HostConfig { policy: Arc::new(policy), reserve_disk_gb: 0.0, unlisted: Pin::OnDemand };
    Config {
        hosts: BTreeMap::from([(name("desk"), host)]),
        gpus: BTreeMap::from([(gpu.clone(), GpuConfig { total_gb: 10.0, reserve_gb: 0.0, simulated: true })]),
        runtimes: BTreeMap::from([
            (name("swap"), runtime("text.generate", true)),
            (name("video"), runtime("video.gen", false)),
        ]),
        models: BTreeMap::from([("small", 4.0), ("middle", 5.0), ("large", 8.0)].map(model)),
        pins: BTreeMap::new(),
    }
}

fn policy(slots: u32) -> EffectivePolicy {
    EffectivePolicy { gpu_shared_slots: slots, ..EffectivePolicy::default() }
}

fn submission(seq: u64, at_s: u64, model: Option<&str>, took_s: u64) -> Submission {
    let request = Request {
        task: TaskSeq(seq),
        id: format!("task-{seq}").into(),
        capability: [if model.is_some() { "text.generate" } else { "video.gen" }.to_owned()].into(),
        runtime: None,
        model: model.map(name),
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
    };
    let work = Work { took_ms: took_s * 1_000, on: None, fails: false };
    Submission { at_ms: at_s * 1_000, request, work, cancelled_ms: None }
}

/// Loads take 3 s, unloads 1 s.
fn trace(config: Config, submissions: Vec<Submission>) -> Trace {
    Trace {
        start: Timestamp::UNIX_EPOCH,
        config: Arc::new(config),
        submissions,
        loaded: Vec::new(),
        load_times: LoadTimes { load: BTreeMap::new(), load_otherwise: 3_000, unload: 1_000 },
        durations: BTreeMap::new(),
    }
}

fn run(trace: &Trace) -> Report {
    replay(&mut State::new(), trace)
}

/// When each began and ended, in seconds.
fn times(report: &Report) -> Vec<(Option<u64>, Option<u64>)> {
    let seconds = |ms: Option<u64>| ms.map(|ms| ms / 1_000);
    report.fates.iter().map(|fate| (seconds(fate.started_ms), seconds(fate.ended_ms))).collect()
}

#[test]
fn a_model_is_loaded_once_and_work_waits_for_slot_and_load() {
    let report =
        run(&trace(config(policy(1)), vec![submission(1, 0, Some("small"), 10), submission(2, 1, Some("small"), 5)]));
    assert_eq!(times(&report), [(Some(3), Some(13)), (Some(13), Some(18))]);
    assert_eq!(report.fates.iter().map(|fate| fate.waited_ms).collect::<Vec<_>>(), [Some(3_000), Some(12_000)]);
    assert_eq!((report.loads_total(), report.unloads, report.loading_ms, report.makespan_ms), (1, 0, 3_000, 18_000));
    assert_eq!(report.gpus.values().map(|gpu| gpu.high_gb).collect::<Vec<_>>(), [4.0]);
    assert_eq!(report.capabilities["text.generate"].busy_ms, 15_000);
}

#[test]
fn what_does_not_fit_beside_is_unloaded_first_and_that_takes_its_time() {
    let report =
        run(&trace(config(policy(1)), vec![submission(1, 0, Some("small"), 2), submission(2, 10, Some("large"), 5)]));
    assert_eq!(times(&report), [(Some(3), Some(5)), (Some(14), Some(19))]);
    assert_eq!((report.loads_total(), report.unloads), (2, 1));
    assert_eq!(report.gpus.values().map(|gpu| gpu.high_gb).collect::<Vec<_>>(), [8.0], "never both at once");
}

#[test]
fn a_video_drains_the_gpu_then_owns_it_and_both_are_counted() {
    let report = run(&trace(
        config(policy(2)),
        vec![submission(1, 0, Some("small"), 20), submission(2, 5, None, 60), submission(3, 6, Some("small"), 1)],
    ));
    // The drain begins at 5 s, the text ends at 23 s, one second of unloading, sixty of video, three of loading.
    assert_eq!(times(&report), [(Some(3), Some(23)), (Some(24), Some(84)), (Some(87), Some(88))]);
    let gpu = report.gpus.values().next().unwrap();
    assert_eq!((gpu.drained_ms, gpu.exclusive_ms), (19_000, 60_000));
    assert_eq!(report.contention_ms(), 79_000);
}

#[test]
fn waiting_counts_from_when_nothing_of_its_own_holds_a_task_back() {
    let mut dated = submission(2, 1, Some("small"), 1);
    dated.request.not_before = Some(Timestamp::from_second(100).unwrap());
    let mut dependent = submission(3, 2, Some("small"), 1);
    dependent.request.depends_on = vec![Dependency { id: "task-2".into(), over: None }];
    let report = run(&trace(config(policy(1)), vec![submission(1, 0, Some("small"), 1), dated, dependent]));
    let waited: Vec<Option<u64>> = report.fates.iter().map(|fate| fate.waited_ms).collect();
    assert!(waited[1].unwrap() <= 1 && waited[2].unwrap() <= 1, "{waited:?}");
    assert!(report.fates[2].started_ms >= report.fates[1].ended_ms);
}

#[test]
fn failures_withdrawals_and_what_can_never_run_are_told_apart() {
    let mut failing = submission(1, 0, Some("small"), 5);
    failing.work.fails = true;
    let mut dependent = submission(2, 0, Some("small"), 5);
    dependent.request.depends_on = vec![Dependency { id: "task-1".into(), over: None }];
    let mut taken_back = submission(3, 1, Some("small"), 5);
    taken_back.cancelled_ms = Some(2_000);
    let mut stopped = submission(4, 1, Some("small"), 50);
    stopped.cancelled_ms = Some(20_000);
    let mut nobody = submission(5, 1, None, 5);
    nobody.request.capability = ["audio.tts".to_owned()].into();
    let mut small_gpu = config(policy(1));
    small_gpu.models.get_mut("large").unwrap().vram_gb = Some(30.0);
    let report = run(&trace(
        small_gpu,
        vec![failing, dependent, taken_back, stopped, nobody, submission(6, 2, Some("large"), 1)],
    ));
    let outcomes: Vec<Outcome> = report.fates.iter().map(|fate| fate.outcome).collect();
    use Outcome::{Cancelled, Failed, Refused, Stranded};
    assert_eq!(outcomes, [Failed, Refused, Cancelled, Cancelled, Stranded, Refused]);
    assert_eq!(report.fates[3].ended_ms, Some(20_000), "it ran when it was taken back");
}

#[test]
fn work_that_ran_elsewhere_takes_the_time_of_such_work_here_or_is_counted_as_a_guess() {
    let mut elsewhere = submission(1, 0, Some("small"), 5);
    elsewhere.work.on = Some((name("swap"), Some(name("large"))));
    let mut trace = trace(config(policy(1)), vec![elsewhere]);
    let guessed = run(&trace);
    assert_eq!((guessed.guessed, guessed.fates[0].ended_ms), (1, Some(8_000)));
    trace.durations.insert(("text.generate".to_owned(), Some(name("small"))), 2_000);
    let known = run(&trace);
    assert_eq!((known.guessed, known.fates[0].ended_ms), (0, Some(5_000)));
}

#[test]
fn what_is_loaded_at_the_beginning_is_not_counted_as_a_load() {
    let mut trace = trace(config(policy(1)), vec![submission(1, 0, Some("small"), 1)]);
    trace.loaded = vec![at("small")];
    let report = run(&trace);
    assert_eq!((report.loads_total(), report.fates[0].waited_ms), (0, Some(0)));
    assert_eq!(report.gpus.values().map(|gpu| gpu.high_gb).collect::<Vec<_>>(), [4.0]);
}

/// Random work on the world above.
fn random(seed: u64, slots: u32) -> Trace {
    let mut rng = Rng::new(seed);
    let mut at_s = 0;
    let submissions = (1..=60).map(|seq| {
        at_s += rng.below(12);
        let model = [Some("small"), Some("middle"), Some("large"), None][rng.below(10).min(9) as usize * 4 / 10];
        let mut one = submission(seq, at_s, model, rng.between(1, 20));
        one.request.priority = rng.below(3) as i32;
        one.work.fails = rng.below(10) == 0;
        one.cancelled_ms = (rng.below(12) == 0).then(|| (at_s + rng.below(60)) * 1_000);
        one
    });
    let submissions = submissions.collect();
    trace(config(policy(slots)), submissions)
}

/// The most attempts that ran at once, and the most beside one that was to be alone.
fn overlaps(trace: &Trace, report: &Report) -> (usize, usize) {
    let spans: Vec<(u64, u64, bool)> = report
        .fates
        .iter()
        .zip(&trace.submissions)
        .filter_map(|(fate, one)| Some((fate.started_ms?, fate.ended_ms?, one.request.model.is_none())))
        .collect();
    let (mut most, mut beside) = (0, 0);
    for (start, end, alone) in &spans {
        let during = spans.iter().filter(|(from, to, _)| from <= start && start < to).count();
        most = most.max(during);
        if *alone {
            beside = beside.max(spans.iter().filter(|(from, to, _)| from < end && start < to).count() - 1);
        }
    }
    (most, beside)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn every_submission_ends_nothing_overfills_the_gpu_and_the_same_trace_gives_the_same_report(
        seed in 0_u64..1_000_000, slots in 1_u32..4
    ) {
        let trace = random(seed, slots);
        let report = run(&trace);
        prop_assert_eq!(report.count(Outcome::Stranded), 0);
        prop_assert_eq!(report.count(Outcome::Refused), 0);
        let gpu = report.gpus.values().next().unwrap();
        prop_assert!(gpu.high_gb <= gpu.total_gb + 1e-9, "{} GB", gpu.high_gb);
        let (most, beside) = overlaps(&trace, &report);
        prop_assert!(most <= slots as usize, "{most} at once");
        prop_assert_eq!(beside, 0, "something ran beside an exclusive task");
        prop_assert_eq!(run(&trace), report);
    }
}
