//! Seeded work for one GPU of 24 GB whose models do not fit beside each other: chats, code, batches of summaries,
//! embeddings, pictures, and a video now and then.

use std::collections::BTreeMap;
use std::sync::Arc;

use arcology::core::rng::Rng;
use arcology::core::{Name, Timestamp};
use arcology::decide::scheduler::replay::{LoadTimes, Submission, Trace, Work};
use arcology::decide::scheduler::{
    Config, GpuConfig, GpuId, HostConfig, ModelAt, ModelConfig, Pin, Request, RuntimeConfig, TaskSeq,
};
use arcology::declare::world::policy::EffectivePolicy;

/// Memory of the GPU, and what of it stays free, in GB.
pub const TOTAL_GB: f64 = 24.0;
pub const RESERVE_GB: f64 = 1.0;
/// Milliseconds that an unload takes.
pub const UNLOAD_MS: u64 = 1_000;

/// A model: name, what it is for, GB, milliseconds that it takes to be loaded.
pub type Model = (&'static str, &'static str, f64, u64);

/// Sizes of models in Q4 with a context of some thousand tokens; loads at about 1.2 GB a second, as from a good disk.
pub const MODELS: [Model; 5] = [
    ("chat-8b", "chat.reply", 6.5, 6_000),
    ("coder-14b", "code.write", 11.0, 9_000),
    ("embed", "text.embed", 1.5, 2_000),
    ("summary-14b", "text.summarize", 10.5, 9_000),
    ("vision-8b", "image.describe", 8.0, 7_000),
];
pub const VIDEO: &str = "video.gen";

const HOUR_MS: u64 = 3_600_000;

pub fn name(text: &str) -> Name {
    Name::new(text).expect("a name")
}

pub fn gpu() -> GpuId {
    GpuId { host: name("desk"), gpu: name("gpu0") }
}

pub fn at(model: &str) -> ModelAt {
    ModelAt { runtime: name("swap"), served_as: model.into() }
}

/// The world of the work: no loadout, one policy.
pub fn config(policy: EffectivePolicy) -> Arc<Config> {
    let runtime = |capabilities: Vec<String>, loads| RuntimeConfig {
        host: name("desk"),
        gpu: Some(gpu()),
        loads,
        slots: 64,
        capabilities,
    };
    let models = MODELS.map(|(model, capability, gb, _)| {
        let config = ModelConfig {
            served: vec![at(model)],
            capabilities: vec![capability.to_owned()],
            vram_gb: Some(gb),
            context_gb: 0.0,
            context_tokens: None,
        };
        (name(model), config)
    });
    let host = HostConfig { policy: Arc::new(policy), reserve_disk_gb: 0.0, unlisted: Pin::OnDemand };
    let gpu_config = GpuConfig { total_gb: TOTAL_GB, reserve_gb: RESERVE_GB, simulated: true };
    let all = MODELS.map(|(_, capability, ..)| capability.to_owned()).to_vec();
    Arc::new(Config {
        hosts: BTreeMap::from([(name("desk"), host)]),
        gpus: BTreeMap::from([(gpu(), gpu_config)]),
        runtimes: BTreeMap::from([
            (name("swap"), runtime(all, true)),
            (name("video"), runtime(vec![VIDEO.to_owned()], false)),
        ]),
        models: BTreeMap::from(models),
        pins: BTreeMap::new(),
    })
}

/// Work to be done: when, what for, which model, milliseconds.
pub type Job = (u64, &'static str, Option<&'static str>, u64);

/// A trace of `jobs`, sorted by time.
pub fn trace(mut jobs: Vec<Job>, config: Arc<Config>) -> Trace {
    jobs.sort_by_key(|job| job.0);
    let submissions = jobs.into_iter().zip(1..).map(|((at_ms, capability, model, took_ms), seq)| Submission {
        at_ms,
        request: request(seq, capability, model),
        work: Work { took_ms, on: None, fails: false },
        cancelled_ms: None,
    });
    let load = MODELS.iter().map(|(model, _, _, ms)| (at(model), *ms)).collect();
    Trace {
        start: Timestamp::UNIX_EPOCH,
        submissions: submissions.collect(),
        loaded: Vec::new(),
        load_times: LoadTimes { load, load_otherwise: 0, unload: UNLOAD_MS },
        durations: BTreeMap::new(),
        config,
    }
}

pub fn request(seq: u64, capability: &str, model: Option<&str>) -> Request {
    Request {
        task: TaskSeq(seq),
        id: format!("task-{seq}").into(),
        capability: [capability.to_owned()].into(),
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
    }
}

/// One sort of work: which model, milliseconds between bursts, how many at once, milliseconds within a burst between two,
/// milliseconds of each.
type Habit = (usize, u64, (u64, u64), (u64, u64), (u64, u64));

/// What people do. At a pace of 1 it fills about two thirds of one slot.
const HABITS: [Habit; 5] = [
    (0, 240_000, (2, 6), (15_000, 45_000), (3_000, 12_000)),
    (1, 600_000, (2, 5), (20_000, 60_000), (10_000, 40_000)),
    (2, 180_000, (5, 20), (0, 200), (300, 1_500)),
    (3, 1_500_000, (15, 40), (0, 100), (8_000, 25_000)),
    (4, 720_000, (1, 4), (2_000, 10_000), (5_000, 15_000)),
];
/// Milliseconds between videos, and of a video.
const VIDEOS: (u64, (u64, u64)) = (2 * HOUR_MS, (120_000, 300_000));

/// Mixed work of so many hours. `pace` is how much faster than [`HABITS`] people ask.
pub fn mixed(seed: u64, hours: u64, pace: f64) -> Vec<Job> {
    let mut rng = Rng::new(seed);
    let end = hours * HOUR_MS;
    let mut jobs = Vec::new();
    for (model, every, many, apart, takes) in HABITS {
        let (model, capability, ..) = MODELS[model];
        let mut now = gap(&mut rng, every, pace);
        while now < end {
            let mut at = now;
            for _ in 0..rng.between(many.0, many.1) {
                jobs.push((at, capability, Some(model), rng.between(takes.0, takes.1)));
                at += rng.between(apart.0, apart.1);
            }
            now += gap(&mut rng, every, pace);
        }
    }
    let (every, takes) = VIDEOS;
    let mut now = gap(&mut rng, every, pace);
    while now < end {
        jobs.push((now, VIDEO, None, rng.between(takes.0, takes.1)));
        now += gap(&mut rng, every, pace);
    }
    jobs.sort_by_key(|job| job.0);
    jobs
}

/// Exponentially distributed with the mean `every / pace`: events that know nothing of each other.
fn gap(rng: &mut Rng, every: u64, pace: f64) -> u64 {
    let uniform = (rng.below(1 << 52) as f64 + 1.0) / (1_u64 << 52) as f64;
    (-uniform.ln() * every as f64 / pace) as u64
}

/// A dense piece of work that is small enough for an exact search: `count` jobs in whole seconds, in bursts.
pub fn small(seed: u64, count: usize) -> Vec<Job> {
    let mut rng = Rng::new(seed);
    let (mut jobs, mut now) = (Vec::new(), 0);
    while jobs.len() < count {
        let (model, capability, ..) = MODELS[rng.below(MODELS.len() as u64) as usize];
        for _ in 0..rng.between(1, 3) {
            jobs.push((now, capability, Some(model), 1_000 * rng.between(2, 15)));
        }
        now += 1_000 * rng.between(0, 20);
    }
    jobs.truncate(count);
    jobs
}
