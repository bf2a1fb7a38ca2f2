//! Models that nothing uses, ETAs, and answers to "why does it wait".

use super::*;

fn on(model: &'static str) -> impl Fn(&mut Request) {
    move |request| request.model = Some(name(model))
}

const TEN_MINUTES: u64 = 600_000;

#[test]
fn a_model_that_nothing_uses_goes_after_the_time_that_the_policy_says() {
    // (pin, minutes of the policy) and whether it goes after ten minutes.
    for (pin, minutes, goes) in [
        (None, 10, true),
        (Some(Pin::OnDemand), 10, true),
        (Some(Pin::Loaded), 10, false),
        (Some(Pin::Copilot), 10, false),
        (Some(Pin::Ignored), 10, false),
        (None, 0, false),
        (None, 11, false),
    ] {
        let mut desk = Desk::new(|config| config.pins.extend(pin.map(|pin| (at("chat"), pin))));
        desk.policy(|policy| policy.unload_idle_after_minutes = minutes);
        desk.seen("swap", &["chat", "stranger"]);
        assert_eq!(moved(&desk.pass(TEN_MINUTES - 1)), [] as [String; 0]);
        assert_eq!(moved(&desk.pass(1)) == ["-chat"], goes, "{pin:?} {minutes}");
    }
}

#[test]
fn use_starts_the_time_anew_ours_and_that_of_others() {
    let mut desk = Desk::new(|_| {});
    desk.seen("swap", &["chat"]);
    desk.pass(TEN_MINUTES - 1_000);
    let (task, _) = desk.submit("text.generate", on("chat"));
    desk.pass(TEN_MINUTES);
    desk.done(task);
    assert_eq!(moved(&desk.pass(TEN_MINUTES - 1)), [] as [String; 0]);
    let models = vec![("chat".into(), ModelState::Loaded, None)];
    desk.apply(Event::Seen { runtime: name("swap"), seen: RuntimeSeen::Up { models, in_flight: Some(1) } });
    assert_eq!(moved(&desk.pass(TEN_MINUTES - 1)), [] as [String; 0], "somebody else works with it");
    assert_eq!(moved(&desk.pass(1)), ["-chat"]);
}

#[test]
fn what_idle_models_hold_is_shown() {
    let mut desk = Desk::new(|config| {
        config.pins.insert(at("chat"), Pin::Copilot);
    });
    desk.seen("swap", &["chat", "coder"]);
    desk.apply(Event::ForeignUse { gpu: gpu0(), gb: Some(0.5) });
    let gpu = desk.state.view(desk.now, 0).gpus[&gpu0()].clone();
    assert_eq!((gpu.total_gb, gpu.reserve_gb, gpu.models_gb, gpu.foreign_gb), (24.0, 1.0, 22.0, Some(0.5)));
    assert_eq!(gpu.idle_gb, 14.0);
    let (task, _) = desk.submit("text.generate", on("coder"));
    let view = desk.state.view(desk.now, 0);
    assert_eq!(view.gpus[&gpu0()].idle_gb, 0.0);
    assert_eq!(view.in_use, [(at("coder"), vec!["task-1".into()])].into());
    assert_eq!(view.gpus[&gpu0()].holders[0].id, "task-1".into());
    assert_eq!(view.last_used, [].into());
    desk.done(task);
    let last = desk.now.wall;
    desk.pass(60_000);
    assert_eq!(desk.state.view(desk.now, 0).last_used, [(at("coder"), last)].into());
}

#[test]
fn who_asks_for_the_wrong_place_is_told_to_ask_for_another() {
    let mut desk = Desk::new(|_| {});
    desk.seen("swap", &["chat"]);
    let (task, _) = desk.submit("text.generate", |request| request.runtime = Some(name("film")));
    let told = desk.state.explain(task, desk.now).unwrap();
    assert_eq!(told.why.reason, "NoRuntime");
    assert_eq!(told.sooner.as_deref(), Some("another `target`: `arcology reroute` with --runtime or --model"));
}

#[test]
fn while_a_policy_holds_everything_nobody_can_tell_when_a_task_is_done() {
    let mut desk = Desk::new(|_| {});
    desk.seen("swap", &["chat"]);
    for ms in [10_000, 20_000, 60_000] {
        desk.apply(Event::Took { capability: "text.generate".into(), model: Some(name("chat")), ms });
    }
    desk.policy(|policy| policy.paused = true);
    let (task, _) = desk.submit("text.generate", on("chat"));
    assert_eq!((desk.why(task), desk.state.eta(task, desk.now)), ("Paused", None));
    desk.policy(|policy| policy.paused = false);
    assert!(desk.state.eta(task, desk.now).is_some());
}

#[test]
fn an_eta_comes_from_recent_runs_and_from_what_goes_first() {
    let mut desk = Desk::new(|_| {});
    desk.seen("swap", &["chat"]);
    let (first, _) = desk.submit("text.generate", on("chat"));
    assert_eq!(desk.state.eta(first, desk.now), None, "nobody knows yet");
    for ms in [10_000, 20_000, 60_000] {
        desk.apply(Event::Took { capability: "text.generate".into(), model: Some(name("chat")), ms });
    }
    let eta = desk.state.eta(first, desk.now).unwrap();
    assert_eq!((eta.optimistic, eta.likely, eta.pessimistic, eta.samples), (10.0, 20.0, 60.0, 3));
    desk.pass(15_000);
    let eta = desk.state.eta(first, desk.now).unwrap();
    assert_eq!((eta.optimistic, eta.likely, eta.pessimistic), (0.0, 5.0, 45.0));
    desk.submit("text.generate", on("chat"));
    let (third, _) = desk.submit("text.generate", on("chat"));
    // What is left of both runs, over two slots, then its own.
    let eta = desk.state.eta(third, desk.now).unwrap();
    assert_eq!((eta.optimistic, eta.likely, eta.pessimistic), (15.0, 32.5, 112.5));
    desk.pass(40_000);
    desk.done(first);
    assert_eq!(desk.state.view(desk.now, 0).eta_coverage, view::Coverage { inside: 0, total: 0 }, "none was told");
    let (last, _) = desk.submit("text.generate", on("chat"));
    desk.done(third);
    desk.pass(25_000);
    desk.done(last);
    assert_eq!(desk.state.view(desk.now, 0).eta_coverage.total, 2);
}

#[test]
fn an_answer_to_why_has_its_four_parts() {
    let mut desk = Desk::new(|_| {});
    desk.seen("swap", &["chat"]);
    for _ in 0..3 {
        desk.apply(Event::Took { capability: "text.generate".into(), model: Some(name("chat")), ms: 30_000 });
    }
    desk.submit("text.generate", on("chat"));
    desk.submit("text.generate", on("chat"));
    let (task, _) = desk.submit("text.generate", on("chat"));
    let told = desk.state.explain(task, desk.now).unwrap();
    assert_eq!(told.why.message, "the 2 shared slots of desk/gpu0 are taken by task-1, task-2");
    assert_eq!(told.why.clears_at, Some(desk.now.wall_at(desk.now.steady_ms + 30_000)));
    assert_eq!(
        told.chain.iter().map(|why| why.message.as_str()).collect::<Vec<_>>(),
        ["task-1 runs on swap, about 30 s to go"]
    );
    assert_eq!(told.ruled_out, ["2 runtimes without text.generate"]);
    assert_eq!(told.shortfall.as_deref(), Some("1 slot of desk/gpu0"));
    assert_eq!(told.sooner.as_deref(), Some("a policy with `gpuSharedSlots: 3`, or a higher `priority`"));
    assert_eq!(told.eta.map(|eta| eta.likely), Some(60.0));

    let (full, _) = desk.submit("text.generate", |request| {
        on("coder")(request);
        request.priority = 9;
    });
    desk.apply(Event::ForeignUse { gpu: gpu0(), gb: Some(5.0) });
    desk.done(TaskSeq(1));
    let told = desk.state.explain(full, desk.now).unwrap();
    assert_eq!((told.why.reason, told.shortfall.as_deref()), ("VramFull", Some("4.0 GB more VRAM on desk/gpu0")));
    let (after, _) = desk.submit("audio.tts", |request| {
        request.depends_on = vec![Dependency { id: "task-4".into(), over: None }];
    });
    let told = desk.state.explain(after, desk.now).unwrap();
    assert_eq!((told.why.reason, told.chain[0].reason), ("Dependency", "VramFull"));
}

#[test]
fn a_capability_that_nobody_offers_is_told_with_the_nearest_one() {
    let mut desk = Desk::new(|_| {});
    let (task, decisions) = desk.submit("text.sumarize", |_| {});
    assert!(matches!(&decisions[..], [Decision::Wait { reason: Reason::NoRuntime { .. }, .. }]));
    let told = desk.state.explain(task, desk.now).unwrap();
    let message = "no runtime offers text.sumarize; the nearest that is offered is text.summarize";
    assert_eq!(told.why.message, message);
    assert_eq!(desk.submit("text.sumarize", |_| {}).1, [], "who stands behind is told on demand");
}

#[test]
fn runtimes_that_are_not_seen_paused_hosts_and_what_clears_it() {
    let mut desk = Desk::new(|_| {});
    let down = |since, why: &str| RuntimeSeen::Down { since, why: why.to_owned() };
    desk.apply(Event::Seen { runtime: name("cpu"), seen: down(desk.now.wall, "connection refused") });
    let (task, _) = desk.submit("audio.tts", |_| {});
    let reason = desk.state.why(task, desk.now).unwrap();
    assert_eq!(reason.word(), "RuntimeDown");
    assert_eq!(started(&desk.seen("cpu", &[])), [task.0]);
    for (change, told, cure) in [
        ((true, false), "Policy/default is paused: nothing starts", "`paused: false` in Policy/default"),
        ((false, true), "Policy/default is draining: nothing starts", "`draining: false` in Policy/default"),
        (
            (true, true),
            "Policy/default is paused, and draining too: nothing starts",
            "`paused: false` and `draining: false` in Policy/default",
        ),
    ] {
        let mut desk = Desk::new(|_| {});
        desk.policy(|policy| (policy.paused, policy.draining) = change);
        let (task, _) = desk.submit("audio.tts", |_| {});
        let explanation = desk.state.explain(task, desk.now).unwrap();
        assert_eq!((explanation.why.reason, explanation.why.message.as_str()), ("Paused", told));
        assert_eq!(explanation.sooner.as_deref(), Some(cure));
        let decisions = desk.policy(|policy| (policy.paused, policy.draining) = (false, false));
        assert_eq!(started(&decisions), [task.0]);
    }
}
