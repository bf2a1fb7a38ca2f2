//! What the scheduler may say, to show: one GPU in each of its modes, a queue with one of each reason, spans of the past.

use std::sync::Arc;

use arcology::act::engine::picture::Picture;
use arcology::decide::scheduler::view::{
    Counts, Coverage, Eta, Explanation, GpuLockView, HolderView, LeaseView, Waiting, WhyView,
};
use arcology::decide::scheduler::{GpuId, SchedulerView, TaskSeq};
use arcology::remember::store::row::{LockKind, LockSpanRow};

use arcology::tell::web::view::locks::Past;

use super::sample::{at, name, normal_picture};

pub fn gpu0() -> GpuId {
    GpuId { host: name("desk"), gpu: name("gpu0") }
}

fn lock(mode: &'static str, since: i64) -> GpuLockView {
    GpuLockView {
        mode,
        since: at(since),
        owner: None,
        owner_task: None,
        clears_at: None,
        holders: Vec::new(),
        slots: 2,
        total_gb: 32.0,
        reserve_gb: 1.0,
        models_gb: 8.5,
        foreign_gb: Some(1.2),
        idle_gb: 0.0,
        simulated: false,
    }
}

fn owned(mode: &'static str, since: i64, owner: &str, clears: Option<i64>) -> GpuLockView {
    let owner_task = owner.starts_with("task").then(|| owner.into());
    GpuLockView { owner: Some(owner.into()), owner_task, clears_at: clears.map(at), ..lock(mode, since) }
}

fn holder(id: &str, what: &str, since: i64, until: Option<i64>) -> HolderView {
    HolderView { id: id.into(), what: what.into(), since: at(since), until: until.map(at) }
}

fn why(reason: &'static str, message: &str, clears: Option<i64>) -> WhyView {
    WhyView { reason, message: message.into(), clears_at: clears.map(at) }
}

pub fn waiting(n: u64, capability: &str, why: WhyView) -> Waiting {
    let about_a_gpu = ["SharedSlotsFull", "ExclusiveHeld", "Draining", "CopilotPersistent", "VramFull", "Leased"];
    Waiting {
        task: TaskSeq(n),
        id: format!("task-{n}").into(),
        capability: capability.into(),
        blocked: ["Dependency", "NotBefore", "Backoff"].contains(&why.reason),
        gpu: about_a_gpu.contains(&why.reason).then(gpu0),
        why,
        eta: None,
        priority: 0,
        since: at(-300),
        due_by: None,
    }
}

fn with_eta(waiting: Waiting) -> Waiting {
    let eta = Eta { optimistic: 30.0, likely: 42.4, pessimistic: 150.0, samples: 14 };
    Waiting { eta: Some(eta), due_by: Some(at(60)), ..waiting }
}

fn view(lock: GpuLockView, queue: Vec<Waiting>) -> SchedulerView {
    let blocked = queue.iter().filter(|waiting| waiting.blocked).count() as u64;
    SchedulerView {
        counts: Counts { queued: queue.len() as u64 - blocked, blocked, running: lock.holders.len() as u64 },
        gpus: [(gpu0(), lock)].into(),
        queue,
        eta_coverage: Coverage { inside: 82, total: 100 },
        ..SchedulerView::default()
    }
}

/// Both slots are taken; one task waits for them. A model takes memory for nothing.
pub fn shared() -> SchedulerView {
    let mut lock = lock("shared", -4_000);
    lock.holders =
        vec![holder("task-2", "text.summarize", -280, Some(25)), holder("task-1", "text.generate", -20, None)];
    lock.idle_gb = 6.2;
    let full = why("SharedSlotsFull", "the 2 shared slots of desk/gpu0 are taken by task-2, task-1", Some(25));
    view(lock, vec![with_eta(waiting(3, "text.summarize", full))])
}

/// A video has the GPU for itself and should have ended a moment ago.
pub fn exclusive() -> SchedulerView {
    let mut lock = owned("exclusive", -900, "task-9", Some(-5));
    lock.holders = vec![holder("task-9", "video.gen", -900, Some(-5))];
    let held = why("ExclusiveHeld", "task-9 has desk/gpu0 for itself", Some(-5));
    view(lock, vec![waiting(3, "text.summarize", held)])
}

/// A video waits until what runs is over.
pub fn draining() -> SchedulerView {
    let mut lock = owned("draining", -40, "task-9", Some(25));
    lock.holders = vec![holder("task-2", "text.summarize", -280, Some(25))];
    let drains = why("Draining", "desk/gpu0 drains: task-2 runs, swap works on 1 request", Some(25));
    let closed = why("Draining", "desk/gpu0 takes nothing new in: it drains for task-9", Some(25));
    view(lock, vec![with_eta(waiting(9, "video.gen", drains)), waiting(3, "text.summarize", closed)])
}

fn lease(id: &str, purpose: &str, granted: bool, until: i64) -> LeaseView {
    LeaseView {
        id: id.into(),
        gpus: vec![gpu0()],
        holder: "uid 1000".into(),
        purpose: purpose.into(),
        exclusive: true,
        granted,
        since: at(-120),
        until: at(until),
        why: (!granted).then(|| why("Leased", "lease 7f (game night) has desk/gpu0", Some(600))),
    }
}

/// Another program has the GPU, one more wants it.
pub fn leased() -> SchedulerView {
    let lock = owned("exclusive", -110, "lease 7f (game night)", Some(600));
    let until = "lease 7f (game night) has desk/gpu0 until 2026-11-21T10:10:00Z, unless it is renewed";
    let task = waiting(3, "text.summarize", why("Leased", until, Some(600)));
    SchedulerView {
        leases: vec![lease("7f", "game night", true, 600), lease("80", "a benchmark", false, 300)],
        ..view(lock, vec![task])
    }
}

/// A queue with one of each reason.
pub fn reasons() -> SchedulerView {
    let all = [
        why("SharedSlotsFull", "the 2 shared slots of desk/gpu0 are taken by task-2, task-1", Some(25)),
        why("ExclusiveHeld", "task-90 has desk/gpu0 for itself", Some(90)),
        why("Draining", "desk/gpu0 takes nothing new in: it drains for task-91", None),
        why("CopilotPersistent", "the policy keeps the copilot qwen2.5-7b-q4 on desk/gpu0", None),
        why("NoRuntime", "no runtime offers video.gen; cluster would, but this version does not drive it", None),
        why("RuntimeDown", "swap cannot be used since 09:50: connection refused", None),
        why("ModelLoading", "llama3.1-8b on swap is being loaded", Some(12)),
        why("VramFull", "needs 30.0 GB on desk/gpu0, 21.3 GB are free: 8.7 GB short", None),
        why("DiskFull", "needs 4.0 GB of disk on desk, 1.5 GB are free", None),
        why("Leased", "lease 7f (game night) has desk/gpu0 until 2026-11-21T10:10:00Z", Some(600)),
        why("Paused", "Policy/default is draining: nothing starts", None),
        why("Priority", "4 tasks go first", None),
        why("Dependency", "waits for task-1", None),
        why("NotBefore", "not before 2026-11-21T18:00:00Z", Some(28_800)),
        why("Backoff", "tried again at 2026-11-21T10:00:05Z: swap answered 500", Some(5)),
    ];
    let queue = (100u64..).zip(all).map(|(n, why)| waiting(n, "text.summarize", why)).collect();
    view(lock("shared", -60), queue)
}

pub fn picture(scheduler: SchedulerView) -> Picture {
    Picture { scheduler: Arc::new(scheduler), ..normal_picture() }
}

pub fn explanation() -> Explanation {
    Explanation {
        why: why(
            "VramFull",
            "needs 30.0 GB on desk/gpu0, 21.3 GB are free and 4.3 GB could make way: 4.4 GB short",
            None,
        ),
        chain: vec![
            why("ExclusiveHeld", "task-9 has desk/gpu0 for itself", Some(90)),
            why("ModelLoading", "wan2.2 on cluster is being loaded", None),
        ],
        ruled_out: vec!["2 runtimes do not offer video.gen".into(), "1 runtime is down".into()],
        shortfall: Some("4.4 GB more VRAM on desk/gpu0".into()),
        sooner: Some("unload qwen2.5-7b-q4, which a loadout keeps loaded".into()),
        eta: Some(Eta { optimistic: 300.0, likely: 600.0, pessimistic: 1_300.0, samples: 5 }),
        ahead: 4,
    }
}

/// An hour of a GPU: shared, drained, exclusive, leased.
pub fn spans() -> Vec<LockSpanRow> {
    let span = |kind, holder: &str, what: &str, since, until: Option<i64>| LockSpanRow {
        host: name("desk"),
        gpu: name("gpu0"),
        kind,
        holder: holder.into(),
        what: what.into(),
        since: at(since),
        until: until.map(at),
    };
    let (shared, drained) = (LockKind::Shared, LockKind::Draining);
    vec![
        span(shared, "task-80", "text.summarize", -3_500, Some(-3_100)),
        span(shared, "task-81", "text.summarize", -3_400, Some(-2_700)),
        span(drained, "task-82", "video.gen", -3_300, Some(-2_700)),
        span(LockKind::Exclusive, "task-82", "video.gen", -2_700, Some(-1_900)),
        span(shared, "task-83", "text.generate", -1_900, Some(-1_895)),
        span(LockKind::Lease, "lease-7e", "a training run", -1_800, Some(-1_000)),
        span(shared, "task-2", "text.summarize", -280, None),
    ]
}

/// What the store remembers of that hour.
pub fn past() -> Past {
    Past { spans: vec![(gpu0(), spans())], problem: None }
}
