//! Starting from what is on disk.

use super::*;
use crate::decide::scheduler::RuntimeSeen;

fn restored(tasks: Vec<Stored>) -> Restored {
    Restored { config: config(4), tasks, ..Restored::default() }
}

fn ran(seq: u64, interruptions: u32) -> Stored {
    let mut stored = stored(seq);
    (stored.phase, stored.interruptions, stored.request.attempts) = (Phase::Running, interruptions, interruptions + 1);
    stored
}

#[test]
fn nothing_is_decided_before_every_task_that_ran_is_settled_and_then_they_come_in_their_order() {
    let mut stage = Stage::recovered(Script::default(), restored(vec![stored(1), ran(2, 0), ran(3, 0), stored(4)]));
    let writes: Vec<WriteId> =
        stage.ops.iter().filter_map(|op| if let Op::Write { id, .. } = op { Some(*id) } else { None }).collect();
    assert_eq!((writes.len(), stage.ops.len()), (2, 2));
    stage.give(Input::Accepted(Box::new(stored(5)))).give(cancel(1));
    stage.give(Input::Written(writes[1]));
    assert!(stage.heard().is_empty(), "one is still open");
    stage.give(Input::Written(writes[0]));
    let order: Vec<u64> = stage
        .core
        .machine()
        .heard
        .iter()
        .filter_map(|event| if let Event::Submitted(request) = event { Some(request.task.0) } else { None })
        .collect();
    assert_eq!(order, [1, 2, 3, 4, 5]);
    assert!(matches!(stage.record().1, Record::Cancel { task: TaskSeq(1), .. }), "what waited is done");
}

#[test]
fn a_task_is_tried_once_more_when_the_program_ended_under_it_and_given_up_the_second_time() {
    let mut stage = Stage::recovered(Script::default(), restored(vec![ran(1, 0)]));
    assert!(matches!(stage.record().1, Record::End { end: AttemptEnd::Interrupted { counts: true, .. }, .. }));
    stage.written();
    assert_eq!(stage.heard(), ["Submitted"]);

    let mut waits = stored(2);
    waits.request.depends_on = vec![crate::decide::scheduler::Dependency { id: "task-1".into(), over: None }];
    let mut stage = Stage::recovered(Script::default(), restored(vec![ran(1, 1), waits]));
    let (_, record) = stage.record();
    assert!(matches!(&record, Record::End { end: AttemptEnd::Failed { code: "interrupted", .. }, .. }), "{record:?}");
    stage.written();
    let Event::Submitted(request) = stage.last_heard() else { panic!("the one that depends on it is submitted") };
    assert_eq!(request.depends_on[0].over, Some(crate::decide::scheduler::Over::Failed));
    assert_eq!((stage.heard().len(), stage.core.tasks()), (1, 1));
}

#[test]
fn who_depends_on_a_task_that_fails_while_all_are_taken_up_hears_of_it() {
    let fails = Decision::Fail { task: TaskSeq(1), code: FailCode::DependencyFailed, message: "no".into() };
    let mut waits = stored(2);
    waits.request.depends_on = vec![crate::decide::scheduler::Dependency { id: "task-1".into(), over: None }];
    let script = Script::default().on("Submitted", vec![fails]);
    let stage = Stage::recovered(script, restored(vec![stored(1), waits]));
    let Event::Submitted(request) = stage.last_heard() else { panic!("both are submitted") };
    assert_eq!(request.depends_on[0].over, Some(crate::decide::scheduler::Over::Failed));
}

#[test]
fn ages_and_backoffs_go_on_where_they_were_whatever_the_wall_clock_did() {
    let hour = 3_600_000;
    let mut waiting = stored(1);
    waiting.created_at = Timestamp::from_millisecond(at(0).wall.as_millisecond() - hour).unwrap();
    waiting.retry_at = Some((at(7_000).wall, "it fell over".into()));
    let mut ahead = stored(2);
    ahead.created_at = at(9_999_000).wall;
    ahead.retry_at = Some((at(u64::try_from(hour).unwrap() * 24 * 365).wall, "set back a year".into()));
    let stage = Stage::recovered(Script::default(), restored(vec![waiting, ahead]));
    let requests: Vec<_> = stage
        .core
        .machine()
        .heard
        .iter()
        .filter_map(|event| {
            if let Event::Submitted(request) = event {
                Some((request.waited_ms, request.backoff.clone()?.0))
            } else {
                None
            }
        })
        .collect();
    assert_eq!(requests, [(3_600_000, 7_000), (0, 300_000)], "no longer than any host asks for");
}

fn lease() -> LeaseRequest {
    LeaseRequest {
        id: "lease-1".into(),
        gpus: Vec::new(),
        holder: "game".into(),
        purpose: "an evening".into(),
        exclusive: true,
        vram_gb: None,
        force: false,
        priority: 0,
        ttl_ms: 60_000,
        held: true,
    }
}

#[test]
fn a_lease_that_was_held_is_held_again_without_a_second_grant() {
    let leases = vec![StoredLease { request: lease(), by: "Ada".into() }];
    let restored = Restored { config: config(4), leases, ..Restored::default() };
    let grant = vec![Decision::Grant { lease: "lease-1".into() }];
    let stage = Stage::recovered(Script::default().on("LeaseAsked", grant), restored);
    assert!(stage.ops.is_empty(), "{:?}", stage.ops);
    assert_eq!(stage.core.lease_is_held("lease-1"), Some(true));
}

#[test]
fn what_stood_open_is_closed_by_what_is_seen_or_begun_anew_under_the_same_entry() {
    use crate::decide::view::ModelState::{Loaded, Loading, Unknown, Unloaded};
    let qwen = ModelAt { runtime: name("cpu"), served_as: "qwen".into() };
    let load = Decision::Load { at: qwen.clone(), gpu: None, need_gb: None, because: "task-1 needs it".into() };
    let stage = |script: Script| {
        let call = OpenCall { at: qwen.clone(), model: None, verb: ClaimVerb::Load, because: "task-1 needs it".into() };
        Stage::recovered(script, Restored { config: config(4), open: vec![call], ..Restored::default() })
    };
    let seen = |state| {
        let seen = RuntimeSeen::Up { models: vec![("qwen".into(), state, None)], in_flight: None };
        Input::Event(Event::Seen { runtime: name("cpu"), seen })
    };
    for (state, happened) in [(Loaded, true), (Unloaded, false)] {
        let mut stage = stage(Script::default());
        assert!(stage.ops.is_empty(), "nothing is said before it is seen");
        for not_yet in [Loading, Unknown] {
            assert!(stage.give(seen(not_yet)).ops.is_empty(), "{not_yet:?}");
        }
        stage.give(seen(state));
        let (_, Record::Finish { result, .. }) = stage.record() else { panic!("{:?}", stage.ops) };
        assert_eq!(result.is_ok(), happened);
        stage.written();
        assert!(!stage.heard().contains(&"Loaded"), "the observation itself told the scheduler");
        assert!(stage.give(seen(state)).ops.is_empty(), "once");
    }
    let mut stage = stage(Script::default().on("Seen", vec![load]));
    stage.give(seen(Unloaded));
    assert!(matches!(stage.record().1, Record::Begin { .. }), "one entry, begun anew: {:?}", stage.ops);
    stage.unwritten(full()).give(seen(Loaded));
    assert!(
        matches!(stage.record().1, Record::Finish { result: Ok(()), .. }),
        "it stands open on disk: {:?}",
        stage.ops
    );
}

#[test]
fn the_end_of_what_stood_open_is_not_the_end_of_the_load_that_follows_it() {
    let qwen = ModelAt { runtime: name("cpu"), served_as: "qwen".into() };
    let load = Decision::Load { at: qwen.clone(), gpu: None, need_gb: None, because: "task-1 needs it".into() };
    let call = OpenCall { at: qwen.clone(), model: None, verb: ClaimVerb::Load, because: "task-1 needs it".into() };
    let restored = Restored { config: config(4), open: vec![call], ..Restored::default() };
    let mut stage = Stage::recovered(Script::default().on("Submitted", vec![load]), restored);
    let gone = vec![("qwen".into(), crate::decide::view::ModelState::Unloaded, None)];
    let seen = RuntimeSeen::Up { models: gone, in_flight: None };
    stage.give(Input::Event(Event::Seen { runtime: name("cpu"), seen }));
    let (old, Record::Finish { .. }) = stage.record() else { panic!("{:?}", stage.ops) };
    stage.give(Input::Accepted(Box::new(stored(1))));
    let (new, Record::Begin { .. }) = stage.record() else { panic!("{:?}", stage.ops) };
    stage.give(Input::Written(old));
    assert!(!stage.heard().contains(&"LoadFailed"), "{:?}", stage.heard());
    stage.give(Input::Written(new));
    assert!(matches!(stage.calls()[..], [Op::Load { .. }]), "{:?}", stage.ops);
    stage.give(Input::CallEnded { at: qwen, verb: ClaimVerb::Load, took_ms: 5, result: Ok(()) }).written();
    assert_eq!(stage.heard().last(), Some(&"Loaded"));
}
