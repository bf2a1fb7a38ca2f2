//! One task alone on a GPU: what it waits for, what makes way, who has his turn afterwards.

use crate::declare::manifest::kind::policy::Preemption;

use super::*;

fn chat(request: &mut Request) {
    request.model = Some(name("chat"));
}

fn desk_with_chat() -> Desk {
    let mut desk = Desk::new(|_| {});
    desk.seen("swap", &["chat"]);
    desk
}

/// The runtimes of the GPU say that they work on nothing.
fn all_quiet(desk: &mut Desk, swap: &[&str]) -> Vec<Decision> {
    let mut decisions = desk.seen("film", &[]);
    decisions.extend(desk.seen("swap", swap));
    decisions
}

#[test]
fn what_is_exclusive_is_said_by_the_policy_or_the_task() {
    // (capability, what the task says) and whether it runs alone.
    for (capability, says, alone) in [
        ("video.gen", None, true),
        ("video.gen", Some(false), false),
        ("text.generate", None, false),
        ("text.generate", Some(true), true),
    ] {
        let mut desk = Desk::new(|_| {});
        desk.seen("swap", &["chat"]);
        let (_, decisions) = desk.submit(capability, |request| {
            request.exclusive = says;
            request.model = (capability == "text.generate").then(|| name("chat"));
        });
        assert_eq!(desk.mode() != "shared", alone, "{capability} {says:?}: {decisions:?}");
    }
    let mut desk = Desk::new(|_| {});
    let (task, decisions) = desk.submit("audio.tts", |request| request.exclusive = Some(true));
    assert_eq!(started(&decisions), [task.0], "where there is no GPU there is none to have alone");
}

#[test]
fn a_runtime_has_to_say_that_it_is_idle_after_the_drain_began() {
    let mut desk = desk_with_chat();
    desk.policy(|policy| policy.gpu_exclusive_for = vec!["video.gen".into()]);
    let busy = RuntimeSeen::Up { models: Vec::new(), in_flight: Some(1) };
    desk.seen("swap", &[]);
    let (video, _) = desk.submit("video.gen", |_| {});
    assert_eq!(started(&desk.seen("film", &[])), [] as [u64; 0]);
    desk.now.steady_ms += 1;
    assert_eq!(started(&desk.apply(Event::Seen { runtime: name("swap"), seen: busy })), [] as [u64; 0]);
    let Some(Reason::Draining { left, .. }) = desk.state.why(video, desk.now) else { panic!("{}", desk.why(video)) };
    assert_eq!(left, ["swap works on 1"]);
    assert_eq!(started(&desk.seen("swap", &[])), [video.0]);
}

#[test]
fn our_own_work_is_not_told_once_more_as_the_runtime_s() {
    let mut desk = desk_with_chat();
    let (running, _) = desk.submit("text.generate", chat);
    let (video, _) = desk.submit("video.gen", |_| {});
    let id = format!("task-{}", running.0);
    for (in_flight, told) in [(1, vec![id.clone()]), (3, vec![id.clone(), "swap works on 2 more".to_owned()])] {
        desk.now.steady_ms += 1;
        desk.seen("film", &[]);
        let models = vec![("chat".into(), ModelState::Loaded, None)];
        let seen = RuntimeSeen::Up { models, in_flight: Some(in_flight) };
        desk.apply(Event::Seen { runtime: name("swap"), seen });
        let Some(Reason::Draining { left, .. }) = desk.state.why(video, desk.now) else {
            panic!("{}", desk.why(video))
        };
        assert_eq!(left, told);
    }
}

#[test]
fn a_runtime_that_cannot_tell_counts_as_idle_and_one_that_does_not_answer_does_not() {
    let mut desk = desk_with_chat();
    let mute = RuntimeSeen::Up { models: Vec::new(), in_flight: None };
    desk.apply(Event::Seen { runtime: name("swap"), seen: mute.clone() });
    desk.apply(Event::Seen { runtime: name("film"), seen: mute });
    let (video, decisions) = desk.submit("video.gen", |_| {});
    assert_eq!(started(&decisions), [video.0]);

    let mut desk = desk_with_chat();
    let down = RuntimeSeen::Down { since: desk.now.wall, why: "no answer".into() };
    desk.apply(Event::Seen { runtime: name("swap"), seen: down });
    let (video, _) = desk.submit("video.gen", |_| {});
    assert_eq!((desk.why(video), desk.mode()), ("RuntimeDown", "shared"), "nobody knows what swap works on");
}

#[test]
fn work_that_runs_is_stopped_only_where_the_policy_says_so_and_only_the_less_urgent() {
    for (preemption, priority, stops) in [
        (Preemption::AfterBatch, 1, false),
        (Preemption::Never, 1, false),
        (Preemption::Requeue, 1, true),
        (Preemption::Requeue, 0, false),
    ] {
        let mut desk = desk_with_chat();
        desk.policy(|policy| policy.preemption = preemption);
        let (running, _) = desk.submit("text.generate", chat);
        let (_, decisions) = desk.submit("video.gen", |request| request.priority = priority);
        let stop = Decision::Stop { task: running, requeue: true };
        assert_eq!(decisions.contains(&stop), stops, "{preemption:?} {priority}");
    }
}

#[test]
fn with_preemption_never_a_batch_goes_first_and_then_the_drain_begins() {
    let mut desk = desk_with_chat();
    desk.policy(|policy| {
        policy.preemption = Preemption::Never;
        policy.gpu_shared_slots = 1;
        policy.batching.max_tasks = 2;
    });
    let chats: Vec<_> = (0..2).map(|_| desk.submit("text.generate", chat).0).collect();
    let (video, _) = desk.submit("video.gen", |_| {});
    let later: Vec<_> = (0..3).map(|_| desk.submit("text.generate", chat).0).collect();
    assert_eq!((desk.mode(), desk.why(video)), ("shared", "Priority"));
    assert_eq!(started(&desk.done(chats[0])), [chats[1].0], "it stood before");
    assert_eq!(started(&desk.done(chats[1])), [later[0].0]);
    assert_eq!(started(&desk.done(later[0])), [later[1].0], "the second and last");
    assert_eq!((started(&desk.done(later[1])), desk.mode()), (vec![], "draining"));

    let mut desk = desk_with_chat();
    desk.policy(|policy| policy.preemption = Preemption::Never);
    desk.submit("text.generate", chat);
    desk.submit("text.generate", chat);
    desk.submit("text.generate", chat);
    desk.submit("video.gen", |_| {});
    assert_eq!(desk.mode(), "shared");
    desk.pass(29_000);
    assert_eq!(desk.mode(), "shared");
    desk.pass(1_000);
    assert_eq!(desk.mode(), "draining", "nobody is passed over for longer than maxWait");
}

#[test]
fn older_shared_tasks_have_their_turn_before_the_next_exclusive_one() {
    let mut desk = desk_with_chat();
    desk.policy(|policy| policy.unload_idle_after_minutes = 0);
    let (old, _) = desk.submit("text.generate", |request| {
        chat(request);
        request.not_before = Some(crate::core::clock::after(desk_time(), std::time::Duration::from_secs(1)));
    });
    let (first, _) = desk.submit("video.gen", |request| request.priority = 3);
    let (second, _) = desk.submit("video.gen", |request| request.priority = 3);
    assert_eq!(desk.mode(), "draining");
    desk.pass(2_000);
    all_quiet(&mut desk, &["chat"]);
    desk.apply(Event::Unloaded(at("chat")));
    assert_eq!((desk.mode(), desk.why(old)), ("exclusive", "ExclusiveHeld"));
    desk.done(first);
    assert_eq!(desk.mode(), "shared", "the older one goes first");
    assert_eq!(desk.why(old), "ModelLoading");
    let decisions = desk.apply(Event::Loaded { at: at("chat"), took_ms: 1 });
    assert_eq!((started(&decisions), desk.mode(), desk.why(second)), (vec![old.0], "draining", "Draining"));
}

fn desk_time() -> Timestamp {
    Desk::new(|_| {}).now.wall
}

#[test]
fn a_drain_that_nobody_wants_any_more_opens_again() {
    let mut desk = desk_with_chat();
    let (running, _) = desk.submit("text.generate", chat);
    let (video, _) = desk.submit("video.gen", |_| {});
    let (waiting, _) = desk.submit("text.generate", chat);
    assert_eq!(desk.why(waiting), "Draining");
    let decisions = desk.apply(Event::Cancelled(video));
    assert_eq!((started(&decisions), desk.mode()), (vec![waiting.0], "shared"));
    desk.done(running);
    let (video, _) = desk.submit("video.gen", |_| {});
    assert_eq!(desk.mode(), "draining");
    desk.policy(|policy| policy.paused = true);
    assert_eq!((desk.mode(), desk.why(video)), ("shared", "Paused"));
}

#[test]
fn a_commit_about_something_else_leaves_a_drain_alone() {
    let mut desk = desk_with_chat();
    desk.submit("text.generate", chat);
    desk.submit("video.gen", |_| {});
    assert_eq!(desk.policy(|policy| policy.unload_idle_after_minutes = 3), []);
    assert_eq!(desk.mode(), "draining");
}

#[test]
fn exclusive_holders_follow_each_other_without_loading_the_copilot_in_between_but_not_for_ever() {
    let mut desk = Desk::new(|config| {
        config.pins.insert(at("chat"), Pin::Copilot);
    });
    desk.policy(|policy| policy.batching.max_tasks = 2);
    desk.seen("swap", &["chat"]);
    let videos: Vec<_> = (0..3).map(|_| desk.submit("video.gen", |_| {}).0).collect();
    assert_eq!(moved(&all_quiet(&mut desk, &["chat"])), ["-chat"]);
    desk.apply(Event::Unloaded(at("chat")));
    assert_eq!(moved(&desk.done(videos[0])), [] as [String; 0]);
    assert_eq!(started(&all_quiet(&mut desk, &[])), [videos[1].0]);
    assert_eq!(moved(&desk.done(videos[1])), ["+chat"], "two in a row are enough");
    assert_eq!(desk.why(videos[2]), "ModelLoading");
    let decisions = desk.apply(Event::Loaded { at: at("chat"), took_ms: 1 });
    assert_eq!((started(&decisions), desk.mode()), (vec![], "draining"));
}

#[test]
fn an_older_task_that_cannot_fit_does_not_take_over_the_drain_of_a_younger_one() {
    // `chat` is to be left alone, so `coder` finds no room beside it, however empty the GPU is otherwise.
    let mut desk = Desk::new(|config| {
        config.pins.insert(at("chat"), Pin::Ignored);
        config.gpus.get_mut(&gpu0()).unwrap().total_gb = 20.0;
    });
    desk.seen("swap", &["chat"]);
    let alone = |model: &'static str| {
        move |request: &mut Request| (request.model, request.exclusive) = (Some(name(model)), Some(true))
    };
    desk.submit("text.generate", |request| (request.priority, request.model) = (9, Some(name("chat"))));
    let (younger, _) = desk.submit("text.generate", alone("chat"));
    assert_eq!(desk.mode(), "draining");
    let (older, _) = desk.submit("text.generate", |request| {
        alone("coder")(request);
        request.priority = 1;
    });
    assert_eq!((desk.why(older), desk.why(younger), desk.mode()), ("VramFull", "Draining", "draining"));
}

#[test]
fn a_drain_does_not_wait_for_the_word_of_a_runtime_that_is_no_longer_declared() {
    let mut desk = desk_with_chat();
    desk.seen("film", &[]);
    let mut config = (*desk.state.config).clone();
    config.runtimes.remove(&name("swap"));
    config.models.retain(|_, model| model.served.iter().all(|at| at.runtime != name("swap")));
    config.pins.retain(|at, _| at.runtime != name("swap"));
    desk.apply(Event::WorldChanged(std::sync::Arc::new(config)));
    let (video, decisions) = desk.submit("video.gen", |_| {});
    assert_eq!(started(&decisions), [] as [u64; 0], "film is asked first");
    desk.now.steady_ms += 1;
    assert_eq!(started(&desk.seen("film", &[])), [video.0]);
}
