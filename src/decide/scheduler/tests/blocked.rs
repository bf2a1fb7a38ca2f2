//! What keeps a task back that is its own: dependencies, a date, a failure before. And clocks that jump.

use super::*;

fn after(ids: &[&str]) -> impl Fn(&mut Request) {
    let on: Vec<Dependency> = ids.iter().map(|id| Dependency { id: (*id).into(), over: None }).collect();
    move |request| request.depends_on.clone_from(&on)
}

#[test]
fn a_task_starts_when_all_that_it_depends_on_is_done() {
    let mut desk = Desk::new(|_| {});
    let (one, _) = desk.submit("audio.tts", |_| {});
    let (two, _) = desk.submit("audio.tts", |_| {});
    let (third, _) = desk.submit("audio.tts", after(&["task-1", "task-2"]));
    let waits = |desk: &Desk, ids: &[&str]| {
        let ids = ids.iter().map(|id| (*id).into()).collect();
        assert_eq!(desk.state.why(third, desk.now), Some(Reason::Dependency { ids }));
    };
    waits(&desk, &["task-1", "task-2"]);
    assert_eq!(started(&desk.done(one)), [] as [u64; 0]);
    waits(&desk, &["task-2"]);
    assert_eq!(started(&desk.done(two)), [third.0]);
}

#[test]
fn what_depends_on_a_failure_fails_with_it_however_far_unless_it_says_otherwise() {
    let mut desk = Desk::new(|_| {});
    let (first, _) = desk.submit("audio.tts", |_| {});
    let (second, _) = desk.submit("audio.tts", after(&["task-1"]));
    let (third, _) = desk.submit("audio.tts", after(&["task-2"]));
    let (stubborn, _) = desk.submit("audio.tts", |request| {
        after(&["task-1"])(request);
        request.runs_on_failure = true;
    });
    let decisions = desk.apply(Event::Ended { task: first, end: End::Failed { message: "no".into() } });
    let failed = |task, id: &str| Decision::Fail {
        task,
        code: FailCode::DependencyFailed,
        message: format!("{id}, which it depends on, was not done"),
    };
    assert_eq!(decisions[..2], [failed(second, "task-1"), failed(third, "task-2")]);
    assert_eq!(started(&decisions), [stubborn.0]);
}

#[test]
fn a_chain_of_fifty_thousand_that_fails_is_no_matter_of_depth() {
    let mut state = State::new();
    let now = Moment { steady_ms: 1, wall: Timestamp::UNIX_EPOCH };
    for seq in 1..=50_000 {
        let mut request = request(seq, "audio.tts");
        request.depends_on = vec![Dependency { id: format!("task-{}", seq - 1).into(), over: None }];
        state.apply(Event::Submitted(Box::new(request)), now);
    }
    let mut root = request(50_001, "audio.tts");
    root.id = "task-0".into();
    state.apply(Event::Submitted(Box::new(root)), now);
    let decisions = state.apply(Event::Cancelled(TaskSeq(50_001)), now);
    assert_eq!(decisions.len(), 50_001);
    state.check().unwrap();
}

#[test]
fn what_is_over_already_is_told_with_the_task_and_an_edit_of_its_dependencies_counts() {
    let mut desk = Desk::new(|_| {});
    let over = |over| move |request: &mut Request| request.depends_on = vec![Dependency { id: "old".into(), over }];
    let (done, decisions) = desk.submit("audio.tts", over(Some(Over::Done)));
    assert_eq!(started(&decisions), [done.0]);
    let (_, decisions) = desk.submit("audio.tts", over(Some(Over::Failed)));
    assert!(matches!(decisions[..], [Decision::Fail { code: FailCode::DependencyFailed, .. }]));
    let (open, _) = desk.submit("audio.tts", over(None));
    assert_eq!(desk.why(open), "Dependency");
    assert_eq!(started(&desk.apply(Event::Depends { task: open, on: Vec::new() })), [open.0]);
}

#[test]
fn a_date_is_a_date_on_the_wall_clock_and_a_length_is_not() {
    let mut desk = Desk::new(|_| {});
    let at = crate::core::clock::after(desk.now.wall, std::time::Duration::from_secs(100));
    let (dated, _) = desk.submit("audio.tts", |request| request.not_before = Some(at));
    let (failed, _) = desk.submit("audio.tts", |request| request.backoff = Some((100_000, "it broke".into())));
    assert_eq!((desk.why(dated), desk.why(failed)), ("NotBefore", "Backoff"));
    assert_eq!(desk.state.next_wake(desk.now), Some(desk.now.steady_ms + 100_000));
    desk.now.wall = Timestamp::UNIX_EPOCH;
    assert_eq!(started(&desk.pass(99_999)), [] as [u64; 0]);
    desk.now.wall = at;
    assert_eq!(started(&desk.apply(Event::Tick)), [dated.0], "somebody set the clock: the date has come");
    assert_eq!(started(&desk.pass(1)), [failed.0]);
}

#[test]
fn an_attempt_that_failed_is_tried_again_after_its_wait_in_its_old_place() {
    let mut desk = Desk::new(|_| {});
    let (task, _) = desk.submit("audio.tts", |_| {});
    let decisions = desk.apply(Event::Ended { task, end: End::Again { wait_ms: 5_000, message: "no answer".into() } });
    let until_ms = desk.now.steady_ms + 5_000;
    let reason = Reason::Backoff { until_ms, failed: "no answer".into() };
    assert_eq!(decisions, [Decision::Wait { task, reason }]);
    assert_eq!(started(&desk.pass(5_000)), [task.0]);
    let again = End::Again { wait_ms: 0, message: "interrupted".into() };
    assert_eq!(started(&desk.apply(Event::Ended { task, end: again })), [task.0], "at once");
}

#[test]
fn what_is_told_twice_is_one_task() {
    let mut desk = Desk::new(|_| {});
    let (running, _) = desk.submit("audio.tts", |_| {});
    assert_eq!(desk.apply(Event::Submitted(Box::new(request(running.0, "audio.tts")))), []);
    assert_eq!(desk.state.view(desk.now, 9).counts.running, 1);
}
