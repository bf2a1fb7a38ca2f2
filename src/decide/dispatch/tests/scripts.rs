//! One task, one load, one lease at a time: what is written before what, and what two things that meet come to.

use super::*;

/// A stage on which task 1 has been started and its start is being written.
fn starting(script: Script) -> Stage {
    let mut stage = Stage::new(script.on("Submitted", vec![start(1)]));
    stage.give(Input::Accepted(Box::new(stored(1))));
    stage
}

/// A stage on which task 1 runs.
fn running(script: Script) -> Stage {
    let mut stage = starting(script);
    stage.written();
    assert!(matches!(stage.calls()[..], [Op::Run { attempt: 1, .. }]));
    stage
}

fn end_of(stage: &Stage) -> AttemptEnd {
    match stage.record().1 {
        Record::End { end, .. } => end,
        other => panic!("no end: {other:?}"),
    }
}

#[test]
fn a_task_is_called_only_after_its_start_is_on_disk_and_its_end_told_only_after_that_is() {
    let mut stage = starting(Script::default());
    assert!(stage.calls().is_empty(), "not before it is written");
    assert!(matches!(stage.record().1, Record::Start { attempt: 1, .. }));
    stage.written();
    assert!(matches!(stage.calls()[..], [Op::Run { attempt: 1, .. }]));
    stage.give(ended(1, 1, RunOutcome::Done { took_ms: 70 }));
    assert_eq!((end_of(&stage), stage.heard()), (AttemptEnd::Done, vec!["Submitted"]));
    stage.written();
    assert_eq!(*stage.last_heard(), Event::Ended { task: TaskSeq(1), end: End::Done { took_ms: 70 } });
    assert_eq!((stage.core.tasks(), stage.core.seq_of("task-1")), (0, None));
}

#[test]
fn a_message_that_comes_twice_or_too_late_does_nothing() {
    let mut stage = running(Script::default());
    stage.give(Input::Accepted(Box::new(stored(1))));
    assert!(stage.ops.is_empty());
    stage.give(ended(1, 2, RunOutcome::Done { took_ms: 1 }));
    assert!(stage.ops.is_empty(), "another attempt's end");
    stage.give(ended(1, 1, RunOutcome::Done { took_ms: 1 }));
    let (id, _) = stage.record();
    stage.give(ended(1, 1, failure(false)));
    assert!(stage.ops.is_empty(), "its end is being written already");
    stage.give(Input::Written(id)).give(Input::Written(id));
    assert_eq!(stage.heard(), ["Submitted", "Ended"]);
    stage.give(cancel(1)).give(Input::Event(Event::Cancelled(TaskSeq(1))));
    assert_eq!(stage.heard(), ["Submitted", "Ended"], "only the dispatcher itself says such things");
}

#[test]
fn a_start_that_cannot_be_written_is_never_called() {
    let mut stage = starting(Script::default().on("NotStarted", vec![start(1)]));
    stage.unwritten(full());
    assert!(stage.calls().is_empty());
    assert!(matches!(stage.record().1, Record::Start { attempt: 1, .. }), "the scheduler decided so again");
    stage.unwritten(NotWritten::Refused("it is done".into()));
    assert_eq!((stage.core.tasks(), stage.heard().pop()), (0, Some("Cancelled")), "it is over on disk: not ours");
}

#[test]
fn an_end_that_cannot_be_written_is_written_again_until_it_is() {
    let mut stage = running(Script::default());
    stage.give(ended(1, 1, RunOutcome::Done { took_ms: 1 })).unwritten(full());
    for turn in 1..=3_u64 {
        assert_eq!(stage.core.next_wake(at(stage.now_ms)), Some(turn * 1_000));
        stage.now_ms = turn * 1_000 - 1;
        assert!(stage.give(Input::Tick).ops.is_empty());
        stage.now_ms += 1;
        stage.give(Input::Tick);
        assert_eq!(end_of(&stage), AttemptEnd::Done);
        if turn < 3 {
            stage.unwritten(full());
        }
    }
    assert!(!stage.heard().contains(&"Ended"), "not believed before");
    stage.written();
    assert_eq!(stage.heard().last(), Some(&"Ended"));
}

#[test]
fn a_result_that_cannot_be_recorded_is_how_it_failed() {
    let mut stage = running(Script::default());
    stage.give(ended(1, 1, RunOutcome::Done { took_ms: 1 }));
    stage.unwritten(NotWritten::Refused("runs/a.md is another's".into()));
    assert_eq!(end_of(&stage), AttemptEnd::Failed { code: "internal", message: "runs/a.md is another's".into() });
    stage.written();
    assert!(matches!(stage.last_heard(), Event::Ended { end: End::Failed { .. }, .. }));
}

#[test]
fn failures_that_may_mend_are_tried_again_as_often_as_the_policy_says() {
    let script = (0..9).fold(Script::default(), |script, _| script.on("Ended", vec![start(1)]));
    let mut stage = running(script);
    for attempt in 1..=3 {
        stage.give(ended(1, attempt, failure(true)));
        match end_of(&stage) {
            AttemptEnd::Again { retry_at, .. } => {
                assert!(attempt <= 2, "the policy allows two more tries");
                let wait = crate::core::clock::millis_since(at(0).wall, retry_at);
                assert!((5_000..=300_000).contains(&wait), "{wait}");
            }
            AttemptEnd::Failed { code, .. } => assert_eq!((code, attempt), ("runtime_error", 3)),
            other => panic!("{other:?}"),
        }
        stage.written();
        if attempt < 3 {
            assert!(matches!(stage.last_heard(), Event::Ended { end: End::Again { wait_ms: 5_000.., .. }, .. }));
            stage.written();
        }
    }
    let mut stage = running(Script::default());
    stage.give(ended(1, 1, failure(false)));
    assert!(matches!(end_of(&stage), AttemptEnd::Failed { .. }), "trying again does not mend it");
}

#[test]
fn a_runtime_that_asks_to_be_left_alone_is() {
    let mut stage = running(Script::default());
    let failure =
        RunFailure { code: "runtime_error", message: "busy".into(), transient: true, retry_after_ms: Some(900_000) };
    stage.give(ended(1, 1, RunOutcome::Failed(failure)));
    let AttemptEnd::Again { retry_at, .. } = end_of(&stage) else { panic!("it is tried again") };
    assert_eq!(retry_at, at(900_000).wall);
}

#[test]
fn a_wall_clock_that_is_set_while_an_end_is_written_does_not_change_the_wait() {
    let mut stage = running(Script::default());
    let failure =
        RunFailure { code: "runtime_error", message: "busy".into(), transient: true, retry_after_ms: Some(900_000) };
    stage.give(ended(1, 1, RunOutcome::Failed(failure)));
    let (id, _) = stage.record();
    stage.ops = stage.core.apply(Input::Written(id), Moment { steady_ms: 10_000, wall: at(7_000_000).wall });
    assert!(matches!(stage.last_heard(), Event::Ended { end: End::Again { wait_ms: 890_000, .. }, .. }));
}

#[test]
fn a_waiting_task_is_cancelled_on_disk_first() {
    let mut stage = Stage::new(Script::default().on("Cancelled", vec![Decision::Drop { task: TaskSeq(1) }]));
    stage.give(Input::Accepted(Box::new(stored(1)))).give(cancel(1));
    assert!(matches!(stage.record().1, Record::Cancel { .. }));
    assert_eq!(stage.heard(), ["Submitted"]);
    stage.unwritten(full());
    assert_eq!((stage.core.tasks(), stage.heard()), (1, vec!["Submitted"]), "it goes on");
    stage.give(cancel(1)).written();
    assert_eq!((stage.core.tasks(), stage.heard().pop()), (0, Some("Cancelled")));
}

#[test]
fn a_start_that_meets_a_cancel_is_not_begun_and_is_if_the_cancel_fails() {
    for fails in [false, true] {
        let mut stage = Stage::new(Script::default().on("Tick", vec![start(1)]));
        stage.give(Input::Accepted(Box::new(stored(1)))).give(cancel(1));
        let (id, _) = stage.record();
        stage.give(Input::Tick);
        assert!(stage.ops.is_empty(), "the scheduler starts it meanwhile, and has to wait");
        if fails {
            stage.give(Input::NotWritten(id, full()));
            assert!(matches!(stage.record().1, Record::Start { .. }));
        } else {
            stage.give(Input::Written(id));
            assert_eq!(*stage.last_heard(), Event::Ended { task: TaskSeq(1), end: End::Cancelled }, "its slot is free");
            assert_eq!(stage.core.tasks(), 0);
        }
    }
}

#[test]
fn a_cancel_while_the_start_is_written_ends_the_attempt_without_a_call() {
    let mut stage = starting(Script::default());
    let (id, _) = stage.record();
    stage.give(cancel(1));
    assert!(stage.ops.is_empty());
    stage.give(Input::Written(id));
    assert!(stage.calls().is_empty(), "it is not begun any more");
    assert!(matches!(end_of(&stage), AttemptEnd::Cancelled { .. }));
    stage.written();
    assert_eq!(*stage.last_heard(), Event::Ended { task: TaskSeq(1), end: End::Cancelled });

    let mut stage = starting(Script::default());
    let (id, _) = stage.record();
    stage.give(cancel(1)).give(Input::NotWritten(id, full()));
    assert!(matches!(stage.record().1, Record::Cancel { .. }), "it waits, and is cancelled as such");
}

#[test]
fn a_running_task_is_stopped_in_its_runtime_and_what_was_done_by_then_stands() {
    let stopping = || Script::default().on("Cancelled", vec![Decision::Stop { task: TaskSeq(1), requeue: false }]);
    let mut stage = running(stopping());
    stage.give(cancel(1));
    assert!(matches!(stage.calls()[..], [Op::StopRun { .. }]), "once: {:?}", stage.ops);
    stage.give(ended(1, 1, RunOutcome::Stopped));
    let (_, record) = stage.record();
    assert_eq!(record.audit().map(|audit| (audit.actor, audit.verb)), Some(("Ada".into(), "cancel")));
    stage.written();
    assert_eq!(*stage.last_heard(), Event::Ended { task: TaskSeq(1), end: End::Cancelled });

    let mut stage = running(stopping());
    stage.give(cancel(1)).give(ended(1, 1, RunOutcome::Done { took_ms: 1 }));
    assert_eq!(end_of(&stage), AttemptEnd::Done);
    let mut stage = running(stopping());
    stage.give(cancel(1)).give(ended(1, 1, failure(true)));
    assert!(matches!(end_of(&stage), AttemptEnd::Cancelled { .. }), "not tried again");
}

#[test]
fn a_cancel_that_meets_the_end_of_a_failed_try_cancels_what_waits_then() {
    let mut stage = running(Script::default());
    stage.give(ended(1, 1, failure(true)));
    let (id, _) = stage.record();
    stage.give(cancel(1)).give(Input::Written(id));
    assert!(matches!(stage.record().1, Record::Cancel { .. }));
    stage.written();
    assert_eq!(stage.core.tasks(), 0);
}

#[test]
fn one_that_makes_way_waits_again_at_once_and_no_failure_is_counted() {
    let script = Script::default().on("Tick", vec![Decision::Stop { task: TaskSeq(1), requeue: true }]);
    let mut stage = running(script);
    stage.give(Input::Tick);
    assert!(matches!(stage.calls()[..], [Op::StopRun { .. }]));
    stage.give(ended(1, 1, RunOutcome::Stopped));
    assert!(matches!(end_of(&stage), AttemptEnd::Interrupted { counts: false, .. }));
    stage.written();
    assert!(matches!(stage.last_heard(), Event::Ended { end: End::Again { wait_ms: 0, .. }, .. }));
}

#[test]
fn a_new_place_is_on_disk_before_it_is_told_and_a_running_task_is_stopped_first() {
    let reroute = || Input::Reroute { task: TaskSeq(1), runtime: Some(name("gpu")), model: None, by: "Ada".into() };
    let mut stage = Stage::new(Script::default());
    stage.give(Input::Accepted(Box::new(stored(1)))).give(reroute());
    assert!(matches!(stage.record().1, Record::Reroute { .. }));
    stage.written();
    assert_eq!(stage.heard(), ["Submitted", "Rerouted"]);

    let mut stage = running(Script::default());
    stage.give(reroute()).written();
    assert!(matches!(stage.calls()[..], [Op::StopRun { .. }]));
    stage.give(ended(1, 1, RunOutcome::Stopped));
    assert!(matches!(end_of(&stage), AttemptEnd::Interrupted { counts: false, .. }));
    stage.written();
    assert_eq!(stage.heard(), ["Submitted", "Ended", "Rerouted"]);
    assert!(
        matches!(
            stage.core.machine().heard.iter().rev().nth(1),
            Some(Event::Ended { end: End::Again { wait_ms: 1, .. }, .. })
        ),
        "a breath, so that it does not start at the old place in between"
    );
}

#[test]
fn a_task_that_can_never_run_fails_on_disk_and_is_told_again_when_the_disk_is_full() {
    let fail = Decision::Fail { task: TaskSeq(1), code: FailCode::FitFailed, message: "30 GB of 24 GB".into() };
    let mut stage = Stage::new(Script::default().on("Submitted", vec![fail]));
    stage.give(Input::Accepted(Box::new(stored(1)))).unwritten(full());
    stage.now_ms = 1_000;
    stage.give(Input::Tick);
    assert!(matches!(stage.record().1, Record::Fail { code: FailCode::FitFailed, .. }));
    stage.written();
    assert_eq!(stage.core.tasks(), 0);
    let mut later = stored(2);
    later.request.depends_on = vec![crate::decide::scheduler::Dependency { id: "task-1".into(), over: None }];
    stage.give(Input::Accepted(Box::new(later)));
    let Event::Submitted(request) = stage.last_heard() else { panic!("it was submitted") };
    assert_eq!(request.depends_on[0].over, Some(crate::decide::scheduler::Over::Failed), "it has just ended");
}

fn qwen() -> ModelAt {
    ModelAt { runtime: name("cpu"), served_as: "qwen".into() }
}

#[test]
fn a_load_is_journalled_before_and_after_and_believed_then() {
    let load = Decision::Load { at: qwen(), gpu: None, need_gb: None, because: "task-1 needs it".into() };
    let mut stage = Stage::new(Script::default().on("Tick", vec![load.clone()]).on("Tick", vec![load]));
    stage.give(Input::Tick);
    assert!(matches!(stage.record().1, Record::Begin { verb: ClaimVerb::Load, .. }));
    assert!(stage.calls().is_empty());
    stage.written();
    assert!(matches!(stage.calls()[..], [Op::Load { .. }]));
    let over = |result| Input::CallEnded { at: qwen(), verb: ClaimVerb::Load, took_ms: 9, result };
    stage.give(over(Ok(())));
    assert!(!stage.heard().contains(&"Loaded"));
    let (_, record) = stage.record();
    let audit = record.audit().unwrap();
    assert_eq!((audit.verb, audit.object.as_str(), audit.reason.as_str()), ("load", "Runtime/cpu", "task-1 needs it"));
    stage.written();
    assert_eq!(*stage.last_heard(), Event::Loaded { at: qwen(), took_ms: 9 });

    stage.give(Input::Tick).written();
    let busy = CallFailure { message: "out of memory".into(), retry_after_ms: Some(77_000) };
    stage.give(over(Err(busy))).written();
    assert!(matches!(stage.last_heard(), Event::LoadFailed { retry_ms: 77_000, .. }), "{:?}", stage.last_heard());
    stage.give(over(Ok(())));
    assert!(stage.ops.is_empty(), "nobody asked for it");
}

#[test]
fn a_load_that_cannot_be_written_down_is_not_begun() {
    let load = Decision::Load { at: qwen(), gpu: None, need_gb: None, because: String::new() };
    let mut stage = Stage::new(Script::default().on("Tick", vec![load]));
    stage.give(Input::Tick).unwritten(full());
    assert!(stage.calls().is_empty());
    assert!(!stage.heard().contains(&"LoadFailed"), "not at once, or it would be decided again at once");
    stage.now_ms = 1_000;
    stage.give(Input::Tick);
    assert!(matches!(stage.core.machine().heard[..], [.., Event::LoadFailed { .. }, Event::Tick]));
}

#[test]
fn the_planner_is_answered_at_once_and_its_doings_are_told() {
    let no = Reason::Paused { policy: "Policy/calm".into() };
    let script = Script::default()
        .on("Claim", vec![Decision::Admit { at: qwen() }])
        .on("Claim", vec![Decision::Refuse { at: qwen(), reason: no.clone() }]);
    let mut stage = Stage::new(script);
    let claim = |n| Input::Claim { claim: ClaimId(n), at: qwen(), verb: ClaimVerb::Unload };
    stage.give(claim(1));
    assert!(matches!(stage.ops[..], [Op::Claimed { claim: ClaimId(1), answer: Ok(()) }]));
    stage.give(Input::ClaimEnded { claim: ClaimId(1), took_ms: 3, result: Ok(()) });
    assert_eq!(*stage.last_heard(), Event::Unloaded(qwen()));
    stage.give(claim(2));
    let [Op::Claimed { answer: Err(reason), .. }] = &stage.ops[..] else { panic!("{:?}", stage.ops) };
    assert_eq!(**reason, no);
    stage.give(Input::ClaimEnded { claim: ClaimId(2), took_ms: 0, result: Ok(()) });
    assert_eq!(stage.heard(), ["Claim", "Unloaded", "Claim"], "what was refused was not done");
}

fn lease() -> LeaseRequest {
    LeaseRequest {
        id: "lease-1".into(),
        gpus: vec![GpuId { host: name("desk"), gpu: name("gpu0") }],
        holder: "game".into(),
        purpose: "an evening".into(),
        exclusive: false,
        vram_gb: None,
        force: false,
        priority: 0,
        ttl_ms: 60_000,
        held: false,
    }
}

#[test]
fn a_lease_is_asked_granted_and_over_on_disk_before_anybody_acts_on_it() {
    let grant = vec![Decision::Grant { lease: "lease-1".into() }];
    let mut stage = Stage::new(Script::default().on("LeaseAsked", grant));
    stage.give(Input::LeaseAsk { lease: Box::new(lease()), by: "Ada".into() });
    assert!(matches!(stage.record().1, Record::LeaseAsked { .. }) && stage.heard().is_empty());
    stage.written();
    assert!(matches!(stage.record().1, Record::LeaseGranted { .. }));
    assert_eq!(stage.core.lease_is_held("lease-1"), Some(false), "not before it is written");
    stage.written();
    assert!(stage.calls().iter().any(|op| matches!(op, Op::LeaseGranted { .. })));
    assert_eq!(stage.core.lease_is_held("lease-1"), Some(true));

    stage.give(Input::LeaseRelease { id: "lease-1".into(), by: "Ada".into() });
    assert!(matches!(stage.record().1, Record::LeaseEnded { end: LeaseEnd::Released, .. }));
    assert!(!stage.heard().contains(&"LeaseReleased"));
    let (id, _) = stage.record();
    stage.give(Input::LeaseRelease { id: "lease-1".into(), by: "Ada".into() });
    assert!(stage.ops.is_empty(), "twice is once");
    stage.give(Input::Written(id));
    assert_eq!((stage.heard().pop(), stage.core.lease_is_held("lease-1")), (Some("LeaseReleased"), None));
}

#[test]
fn a_lease_that_runs_out_is_taken_back_on_disk_even_when_that_takes_two_tries() {
    let expire = vec![Decision::Expire { lease: "lease-1".into(), held: false }];
    let mut stage = Stage::new(Script::default().on("Tick", expire));
    stage.give(Input::LeaseAsk { lease: Box::new(lease()), by: "Ada".into() }).written();
    stage.give(Input::Tick).unwritten(full());
    stage.now_ms = 1_000;
    stage.give(Input::Tick);
    assert!(matches!(stage.record().1, Record::LeaseEnded { end: LeaseEnd::Expired, .. }));
    stage.written();
    assert!(stage.calls().iter().any(|op| matches!(op, Op::LeaseOver { .. })));
    assert!(!stage.heard().contains(&"LeaseReleased"), "the scheduler took it back itself");
}

/// A lease whose grant the disk did not take, and that then comes to an end.
fn granted_on_a_full_disk(end: Input, script: Script) -> Stage {
    let grant = vec![Decision::Grant { lease: "lease-1".into() }];
    let mut stage = Stage::new(script.on("LeaseAsked", grant));
    stage.give(Input::LeaseAsk { lease: Box::new(lease()), by: "Ada".into() }).written();
    stage.unwritten(full());
    stage.give(end);
    assert!(matches!(stage.record().1, Record::LeaseEnded { .. }), "{:?}", stage.ops);
    stage
}

#[test]
fn a_grant_that_the_disk_did_not_take_is_not_written_once_the_lease_has_run_out() {
    let expire = vec![Decision::Expire { lease: "lease-1".into(), held: true }];
    let mut stage = granted_on_a_full_disk(Input::Tick, Script::default().on("Tick", expire));
    stage.unwritten(full());
    stage.now_ms = 1_000;
    stage.give(Input::Tick);
    assert!(matches!(stage.record().1, Record::LeaseEnded { .. }), "its end, and not its grant: {:?}", stage.ops);
    stage.written();
    stage.now_ms = 10_000;
    stage.give(Input::Tick);
    assert!(stage.ops.is_empty(), "{:?}", stage.ops);
}

#[test]
fn a_lease_that_could_not_be_given_back_is_granted_after_all() {
    let release = Input::LeaseRelease { id: "lease-1".into(), by: "Ada".into() };
    let mut stage = granted_on_a_full_disk(release, Script::default());
    let (end, _) = stage.record();
    stage.now_ms = 1_000;
    stage.give(Input::Tick);
    assert!(stage.ops.is_empty(), "not while it is being given back: {:?}", stage.ops);
    stage.give(Input::NotWritten(end, full()));
    assert!(matches!(stage.record().1, Record::LeaseGranted { .. }));
    stage.written();
    assert_eq!(stage.core.lease_is_held("lease-1"), Some(true));
}

#[test]
fn once_it_is_closing_nothing_new_is_begun_and_what_runs_is_written_as_interrupted_by_nobody() {
    let mut stage = running(Script::default().on("Ended", vec![start(1)]));
    stage.give(Input::Closing).give(ended(1, 1, RunOutcome::Shutdown));
    assert!(matches!(end_of(&stage), AttemptEnd::Interrupted { counts: false, .. }));
    stage.written();
    assert!(stage.ops.iter().all(|op| matches!(op, Op::Note(_))), "{:?}", stage.ops);
}

#[test]
fn a_failure_that_cannot_be_written_down_is_what_its_task_waits_for() {
    let fails = Decision::Fail { task: TaskSeq(1), code: FailCode::FitFailed, message: "it never fits".into() };
    let mut stage = Stage::new(Script::default().on("Submitted", vec![fails]));
    stage.give(Input::Accepted(Box::new(stored(1)))).unwritten(full());
    let Some(Reason::Backoff { failed, .. }) = stage.core.unwritten(TaskSeq(1)) else { panic!("nobody says why") };
    assert_eq!(failed, "it fails (it never fits), which cannot be written down: the disk is full");
    assert!(stage.ops.iter().any(|op| matches!(op, Op::Note(Note::Why { task: TaskSeq(1), .. }))), "{:?}", stage.ops);
    stage.ops = stage.core.apply(Input::Tick, at(10_000));
    stage.written();
    assert_eq!(stage.core.unwritten(TaskSeq(1)), None);
}
