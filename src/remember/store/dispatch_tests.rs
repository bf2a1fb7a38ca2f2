//! The store and the ledger keep the same contract: the same records are taken and refused, and the same is read back.

use std::sync::Arc;

use crate::core::rng::Rng;
use crate::decide::dispatch::ledger::How;
use crate::decide::dispatch::{AttemptEnd, LeaseEnd, Ledger, Note, OpenCall, Record, SpanKind, Stored};
use crate::decide::scheduler::{
    ClaimVerb, Config, FailCode, GpuId, LeaseRequest, ModelAt, Moment, Place, Reason, TaskSeq,
};

use super::resume::over;
use super::row::{LockKind, TaskState};
use super::testing::{artifact, at, audit, name, open, task};
use super::{AuditFilter, Error, NewTask, Page, Stamp, Store, Yield};

const TASKS: u64 = 4;

fn stamp() -> Stamp {
    Stamp { at: at(9), revision: Some("main@sha1:1".into()), because: None }
}

async fn write(store: &Store, record: Record) -> Result<(), Error> {
    write_leaving(store, record, Yield::default()).await
}

async fn write_leaving(store: &Store, record: Record, left: Yield) -> Result<(), Error> {
    store.record(record, left, stamp()).await?.come().await
}

fn gpu() -> GpuId {
    GpuId { host: name("desk"), gpu: name("gpu0") }
}

fn place(exclusive: bool) -> Place {
    Place { runtime: name("swap"), model: Some(name("qwen")), served_as: None, gpu: Some(gpu()), exclusive }
}

fn start(seq: u64, attempt: u32) -> Record {
    let id = format!("task-{seq}").into();
    Record::Start { task: TaskSeq(seq), id, attempt, place: place(false), policy: vec![name("default")] }
}

fn end(seq: u64, attempt: u32, end: AttemptEnd) -> Record {
    Record::End { task: TaskSeq(seq), id: format!("task-{seq}").into(), attempt, end }
}

fn model() -> ModelAt {
    ModelAt { runtime: name("swap"), served_as: "qwen".into() }
}

fn lease(id: &str) -> LeaseRequest {
    LeaseRequest {
        id: id.into(),
        gpus: vec![gpu()],
        holder: "game".into(),
        purpose: "an evening".into(),
        exclusive: true,
        vram_gb: Some(4.5),
        force: true,
        priority: -3,
        ttl_ms: 60_000,
        held: false,
    }
}

/// Some record, sensible or not.
fn any(rng: &mut Rng) -> Record {
    let seq = 1 + rng.below(TASKS);
    let (task, id): (_, Arc<str>) = (TaskSeq(seq), format!("task-{seq}").into());
    let attempt = u32::try_from(1 + rng.below(3)).unwrap();
    let verb = if rng.below(2) == 0 { ClaimVerb::Load } else { ClaimVerb::Unload };
    let lease_id: Arc<str> = format!("lease-{}", rng.below(2)).into();
    match rng.below(16) {
        0..=3 => start(seq, attempt),
        4 => end(seq, attempt, AttemptEnd::Done),
        5 => end(seq, attempt, AttemptEnd::Failed { code: "timeout", message: "too long".into() }),
        6 => end(seq, attempt, AttemptEnd::Cancelled { by: "Ada".into(), reason: "no".into() }),
        7 => end(seq, attempt, AttemptEnd::Interrupted { why: "it ended".into(), counts: rng.below(2) == 0 }),
        8 => end(seq, attempt, AttemptEnd::Again { retry_at: at(60), code: "timeout", message: "too long".into() }),
        9 => Record::Fail { task, id, code: FailCode::FitFailed, message: "too large".into() },
        10 => Record::Cancel { task, id, by: "Ada".into(), reason: "no".into() },
        11 => Record::Reroute { task, id, runtime: Some(name("other")), model: None, by: "Ada".into() },
        12 => Record::Begin { at: model(), model: Some(name("qwen")), verb, because: "task-1".into() },
        13 => {
            let result = if rng.below(2) == 0 { Ok(()) } else { Err("no".to_owned()) };
            Record::Finish { at: model(), model: Some(name("qwen")), verb, because: "task-1".into(), result }
        }
        14 => Record::LeaseAsked { lease: Box::new(lease(&lease_id)), by: "Ada".into() },
        _ if rng.below(2) == 0 => Record::LeaseGranted { id: lease_id, holder: "game".into() },
        _ => Record::LeaseEnded { id: lease_id, end: LeaseEnd::Expired, by: "arcology".into() },
    }
}

/// Both take the same tasks in.
async fn filled(store: &Store) -> Ledger {
    let mut ledger = Ledger::default();
    let new = |seq| NewTask { row: task(&format!("task-{seq}")), input_tokens: Some(12), audit: None };
    store.tasks_accept((1..=TASKS).map(new).collect()).await.unwrap();
    for open in store.tasks_open().await.unwrap() {
        ledger.accept(open.stored);
    }
    ledger
}

fn calls(open: Vec<super::row::JournalRow>) -> Vec<(String, String)> {
    let mut calls: Vec<_> = open.into_iter().map(|row| (row.verb, row.reason)).collect();
    calls.sort();
    calls
}

fn calls_of(open: &[OpenCall]) -> Vec<(String, String)> {
    let verb = |call: &OpenCall| if call.verb == ClaimVerb::Load { "load" } else { "unload" };
    let mut calls: Vec<_> = open.iter().map(|call| (verb(call).to_owned(), call.because.clone())).collect();
    calls.sort();
    calls
}

#[tokio::test]
async fn the_store_takes_and_refuses_what_the_ledger_does_and_gives_the_same_back() {
    for seed in 0..12 {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        let mut ledger = filled(&store).await;
        let mut rng = Rng::new(seed);
        // A lease's id is used once, ever; the ledger forgets those that are over.
        let mut leased = std::collections::BTreeSet::new();
        for step in 0..150 {
            let record = any(&mut rng);
            if let Record::LeaseAsked { lease, .. } = &record
                && !leased.insert(lease.id.clone())
                && !ledger.leases.contains_key(&lease.id)
            {
                continue;
            }
            let expected = ledger.write(&record);
            let found = write(&store, record.clone()).await;
            assert_eq!(
                expected.is_ok(),
                found.is_ok(),
                "seed {seed}, step {step}: {record:?}: {expected:?}, {found:?}"
            );
            if let Err(error) = found {
                assert!(matches!(error, Error::Conflict { .. } | Error::NotFound { .. }), "{error:?}");
            }
        }
        let read = ledger.read(Arc::new(Config::default()));
        let open: Vec<Stored> = store.tasks_open().await.unwrap().into_iter().map(|open| open.stored).collect();
        assert_eq!(open, read.tasks, "seed {seed}");
        let mut leases = store.leases_open().await.unwrap();
        leases.sort_by(|a, b| a.request.id.cmp(&b.request.id));
        assert_eq!(leases, read.leases, "seed {seed}");
        assert_eq!(calls(store.journal_open().await.unwrap()), calls_of(&read.open), "seed {seed}");
        let ids = (1..=TASKS).map(|seq| format!("task-{seq}")).collect();
        for (id, state) in store.task_states(ids).await.unwrap() {
            let entry = ledger.tasks.values().find(|entry| *entry.stored.request.id == *id).unwrap();
            assert_eq!(over(state), entry.over.map(How::over), "seed {seed}: {id}");
        }
        let page = Page { limit: 500, cursor: None };
        let audit = store.audit_list(AuditFilter::default(), page).await.unwrap().items;
        assert_eq!(audit.len(), ledger.audit.len(), "seed {seed}: an entry a mutation");
        for (row, entry) in audit.iter().rev().zip(&ledger.audit) {
            assert_eq!((row.verb.as_str(), &row.object, &row.result), (entry.verb, &entry.object, &entry.result));
        }
    }
}

#[tokio::test]
async fn an_attempt_keeps_where_it_ran_and_what_it_left() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    filled(&store).await;
    write(&store, start(1, 1)).await.unwrap();
    let left =
        Yield { model: Some("qwen2.5".into()), artifacts: vec![artifact("task-1", "a.md")], log: "done\n".into() };
    write_leaving(&store, end(1, 1, AttemptEnd::Done), left).await.unwrap();
    let row = store.task("task-1").await.unwrap().unwrap();
    assert_eq!((row.state, row.policy, row.attempts), (TaskState::Done, vec![name("default")], 1));
    let attempt = store.attempts("task-1").await.unwrap().remove(0);
    assert_eq!((attempt.gpu.as_deref(), attempt.exclusive, attempt.log.as_str()), (Some("desk/gpu0"), false, "done\n"));
    let took = store.task_durations().await.unwrap();
    assert_eq!(took.len(), 1);
    assert_eq!((took[0].capability.clone(), took[0].model.as_deref()), (row.spec.capability.0, Some("qwen2.5")));
    assert!(took[0].bytes > 0, "what it put out is told too");
}

#[tokio::test]
async fn a_task_that_was_over_runs_again_with_its_history_and_may_be_over_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    filled(&store).await;
    assert!(matches!(store.task_reopen("task-1", audit("retry", "task-1")).await, Err(Error::Conflict { .. })));
    for turn in 1..=2 {
        write(&store, start(1, turn)).await.unwrap();
        let failed = AttemptEnd::Failed { code: "timeout", message: "too long".into() };
        write(&store, end(1, turn, failed)).await.unwrap();
        let open = store.task_reopen("task-1", audit("retry", "task-1")).await.unwrap();
        assert_eq!((open.stored.failures, open.stored.request.attempts), (0, turn));
        let cancel = Record::Cancel { task: TaskSeq(1), id: "task-1".into(), by: "Ada".into(), reason: "no".into() };
        write(&store, cancel).await.unwrap();
        store.task_reopen("task-1", audit("retry", "task-1")).await.unwrap();
    }
    let row = store.task("task-1").await.unwrap().unwrap();
    assert_eq!((row.state, row.error, row.finished_at, row.attempts), (TaskState::Queued, None, None, 2));
    assert_eq!(store.attempts("task-1").await.unwrap().len(), 2);
    write(&store, start(2, 1)).await.unwrap();
    write(&store, end(2, 1, AttemptEnd::Done)).await.unwrap();
    assert!(matches!(store.task_reopen("task-2", audit("retry", "task-2")).await, Err(Error::Conflict { .. })));
    assert!(matches!(store.task_reopen("task-9", audit("retry", "task-9")).await, Err(Error::NotFound { .. })));
}

#[tokio::test]
async fn notes_say_why_and_who_held_a_gpu_when() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    filled(&store).await;
    let now = Moment { steady_ms: 0, wall: at(10) };
    let why = |reason| Note::Why { task: TaskSeq(1), id: "task-1".into(), reason };
    let began = |kind, holder: &str, s| Note::SpanBegan { gpu: gpu(), kind, holder: holder.into(), since: at(s) };
    let ended = |kind, holder: &str, s| Note::SpanEnded { gpu: gpu(), kind, holder: holder.into(), until: at(s) };
    let notes = vec![
        why(Reason::Dependency { ids: vec!["task-0".into()] }),
        began(SpanKind::Shared, "task-1", 1),
        began(SpanKind::Draining, "task-2", 2),
        ended(SpanKind::Shared, "task-1", 3),
        ended(SpanKind::Draining, "task-2", 3),
        began(SpanKind::Exclusive, "task-2", 3),
    ];
    store.save_dispatch_notes(notes, now).await.unwrap();
    let row = store.task("task-1").await.unwrap().unwrap();
    assert_eq!((row.state, row.why.unwrap().message.as_str()), (TaskState::Blocked, "waits for task-0"));
    store.save_dispatch_notes(vec![why(Reason::Priority { ahead: 3 })], now).await.unwrap();
    assert_eq!(store.task("task-1").await.unwrap().unwrap().state, TaskState::Queued);

    let of = |since| store.lock_spans_of(name("desk"), name("gpu0"), since, 100);
    let spans = of(at(0)).await.unwrap();
    let told: Vec<_> = spans.iter().map(|span| (span.kind, span.holder.as_str(), span.until)).collect();
    assert_eq!(
        told,
        [
            (LockKind::Shared, "task-1", Some(at(3))),
            (LockKind::Draining, "task-2", Some(at(3))),
            (LockKind::Exclusive, "task-2", None)
        ]
    );
    assert!(spans.iter().all(|span| span.what == "text.summarize"), "{spans:?}");
    store.lock_spans_end_all(at(7)).await.unwrap();
    assert!(of(at(5)).await.unwrap().iter().any(|span| span.until == Some(at(7))));
}
