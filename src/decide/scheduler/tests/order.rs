//! Who goes first: age, priority as a head start, places in order, slots of CPU and GPU.

use super::*;

fn chat(request: &mut Request) {
    request.model = Some(name("chat"));
}

fn busy_desk() -> (Desk, TaskSeq, TaskSeq) {
    let mut desk = Desk::new(|_| {});
    desk.seen("swap", &["chat", "coder"]);
    let (first, _) = desk.submit("text.generate", chat);
    let (second, _) = desk.submit("text.generate", chat);
    (desk, first, second)
}

#[test]
fn the_older_goes_first_and_a_step_of_priority_is_a_head_start_of_a_minute() {
    // (priority and minutes that each of two waited before) and which of them starts first.
    for ((one, other), first) in [
        (((0, 0), (0, 0)), 0),
        (((0, 0), (1, 0)), 1),
        (((1, 0), (0, 2)), 1),
        (((2, 0), (1, 0)), 0),
        (((-1, 0), (0, 0)), 1),
        (((0, 5), (4, 0)), 0),
        (((0, 3), (4, 0)), 1),
    ] {
        let (mut desk, running, _) = busy_desk();
        let mut waiting = Vec::new();
        for (priority, minutes) in [one, other] {
            let (task, _) = desk.submit("text.generate", |request| {
                chat(request);
                (request.priority, request.waited_ms) = (priority, minutes * 60_000);
            });
            waiting.push(task);
        }
        assert_eq!(started(&desk.done(running)), [waiting[first].0], "{one:?} beside {other:?}");
    }
}

#[test]
fn nothing_waits_for_ever_behind_urgent_work() {
    let (mut desk, running, _) = busy_desk();
    let (patient, _) = desk.submit("text.generate", chat);
    desk.pass(5 * 60_000 + 1);
    let (urgent, _) = desk.submit("text.generate", |request| {
        chat(request);
        request.priority = 5;
    });
    assert_eq!(started(&desk.done(running)), [patient.0]);
    assert_eq!(desk.why(urgent), "SharedSlotsFull");
}

#[test]
fn a_runtime_on_cpu_takes_as_many_as_its_manifest_says_and_no_gpu() {
    let mut desk = Desk::new(|config| config.runtimes.get_mut(&name("cpu")).unwrap().slots = 2);
    let all: Vec<_> = (0..3).map(|_| desk.submit("audio.tts", |_| {}).0).collect();
    assert_eq!(desk.why(all[2]), "SharedSlotsFull");
    let reason = desk.state.why(all[2], desk.now).unwrap();
    let holders = vec!["task-1".into(), "task-2".into()];
    assert_eq!(reason, Reason::SharedSlotsFull { place: "cpu".into(), slots: 2, holders: holders.into() });
    assert_eq!(desk.state.view(desk.now, 9).gpus[&gpu0()].holders, []);
    assert_eq!(started(&desk.done(all[0])), [all[2].0]);
}

#[test]
fn a_runtime_on_a_gpu_has_slots_of_its_own_beside_those_of_the_gpu() {
    let mut desk = Desk::new(|config| config.runtimes.get_mut(&name("swap")).unwrap().slots = 1);
    desk.seen("swap", &["chat"]);
    let (first, _) = desk.submit("text.generate", chat);
    let (second, _) = desk.submit("text.generate", chat);
    let reason = desk.state.why(second, desk.now).unwrap();
    assert!(matches!(&reason, Reason::SharedSlotsFull { place, slots: 1, .. } if **place == *"swap"), "{reason:?}");
    assert_eq!(started(&desk.done(first)), [second.0]);
}

#[test]
fn what_stands_behind_the_head_of_a_line_is_told_how_many_go_first() {
    let (mut desk, ..) = busy_desk();
    let all: Vec<_> = (0..4).map(|_| desk.submit("text.generate", chat).0).collect();
    assert_eq!(desk.why(all[0]), "SharedSlotsFull");
    assert_eq!(desk.state.why(all[3], desk.now), Some(Reason::Priority { ahead: 3 }));
    let view = desk.state.view(desk.now, 3);
    assert_eq!(view.queue.iter().map(|row| row.task).collect::<Vec<_>>(), all[..3]);
    assert_eq!((view.counts.queued, view.counts.running), (4, 2));
}

#[test]
fn a_task_that_is_taken_back_leaves_its_place_or_is_stopped_once() {
    let (mut desk, first, second) = busy_desk();
    let (third, _) = desk.submit("text.generate", chat);
    assert_eq!(desk.apply(Event::Cancelled(third)), [Decision::Drop { task: third }]);
    assert_eq!(desk.apply(Event::Cancelled(first)), [Decision::Stop { task: first, requeue: false }]);
    assert_eq!(desk.apply(Event::Cancelled(first)), []);
    let (next, _) = desk.submit("text.generate", chat);
    assert_eq!(started(&desk.apply(Event::Ended { task: first, end: End::Cancelled })), [next.0]);
    desk.done(second);
    assert_eq!(desk.state.view(desk.now, 9).counts.running, 1);
}

#[test]
fn a_task_can_be_sent_elsewhere_while_it_waits_and_keeps_its_age() {
    let (mut desk, first, _) = busy_desk();
    let (third, _) = desk.submit("text.generate", |request| request.model = Some(name("tiny")));
    let (fourth, _) = desk.submit("text.generate", chat);
    desk.apply(Event::Rerouted { task: third, runtime: None, model: Some(name("coder")) });
    let decisions = desk.done(first);
    assert_eq!(started(&decisions), [third.0]);
    let place = decisions.iter().find_map(|it| match it {
        Decision::Start { place, .. } => place.model.clone(),
        _ => None,
    });
    assert_eq!(place, Some(name("coder")));
    assert_eq!(desk.why(fourth), "SharedSlotsFull");
}

#[test]
fn a_start_that_could_not_be_written_down_is_tried_again_after_a_moment() {
    let mut desk = Desk::new(|_| {});
    let (task, decisions) = desk.submit("audio.tts", |_| {});
    assert_eq!(started(&decisions), [task.0]);
    assert_eq!(started(&desk.apply(Event::NotStarted { task })), [] as [u64; 0]);
    assert_eq!(desk.why(task), "Backoff");
    assert_eq!(started(&desk.pass(1_000)), [task.0]);
}

#[test]
fn the_model_that_a_place_has_loaded_is_taken_before_one_that_it_would_have_to_load() {
    let mut desk = Desk::new(|_| {});
    desk.seen("swap", &["tiny"]);
    let (task, decisions) = desk.submit("text.generate", |_| {});
    assert_eq!((started(&decisions), moved(&decisions)), (vec![task.0], vec![]));
}
