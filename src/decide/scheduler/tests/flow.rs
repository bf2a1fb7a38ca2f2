//! What an operator sees: "video.gen interrupts", with and without a persistent copilot.

use super::*;

fn chat(request: &mut Request) {
    request.model = Some(name("chat"));
}

fn with_copilot(config: &mut Config) {
    config.pins.insert(at("chat"), Pin::Copilot);
}

#[test]
fn video_drains_the_shared_slots_runs_alone_and_the_copilot_comes_back() {
    let mut desk = Desk::new(with_copilot);
    desk.seen("swap", &["chat"]);
    let (first, decisions) = desk.submit("text.generate", chat);
    assert_eq!(started(&decisions), [first.0]);
    let (second, decisions) = desk.submit("text.generate", chat);
    assert_eq!(started(&decisions), [second.0]);
    let (third, decisions) = desk.submit("text.generate", chat);
    assert_eq!((started(&decisions), desk.why(third)), (vec![], "SharedSlotsFull"));

    let (video, decisions) = desk.submit("video.gen", |_| {});
    assert!(
        decisions.iter().any(|it| matches!(it, Decision::Lock { mode: LockMode::Draining(_), .. })),
        "{decisions:?}"
    );
    assert_eq!((desk.mode(), desk.why(video)), ("draining", "Draining"));
    assert_eq!(started(&desk.done(first)), [] as [u64; 0], "admission is closed");
    assert_eq!(desk.why(third), "Draining");
    desk.done(second);
    assert_eq!(moved(&desk.seen("film", &[])), [] as [String; 0], "swap was not asked again yet");
    assert_eq!(moved(&desk.seen("swap", &["chat"])), ["-chat"]);
    let decisions = desk.apply(Event::Unloaded(at("chat")));
    assert_eq!((started(&decisions), desk.mode()), (vec![video.0], "exclusive"));
    assert_eq!(desk.why(third), "ExclusiveHeld");
    let (late, _) = desk.submit("text.generate", chat);

    let decisions = desk.done(video);
    assert_eq!((moved(&decisions), desk.mode()), (vec!["+chat".to_owned()], "shared"));
    let decisions = desk.apply(Event::Loaded { at: at("chat"), took_ms: 2_000 });
    assert_eq!(started(&decisions), [third.0, late.0]);
}

#[test]
fn a_persistent_copilot_is_not_interrupted_until_a_commit_or_force() {
    let mut desk = Desk::new(with_copilot);
    desk.policy(|policy| policy.copilot_persistent = true);
    desk.seen("swap", &["chat"]);
    let (video, _) = desk.submit("video.gen", |_| {});
    assert_eq!((desk.why(video), desk.mode()), ("CopilotPersistent", "shared"));
    let (other, decisions) = desk.submit("text.generate", chat);
    assert_eq!(started(&decisions), [other.0], "it holds nobody up");
    desk.done(other);
    assert_eq!(started(&desk.pass(3_600_000)), [] as [u64; 0]);
    let decisions = desk.policy(|policy| policy.copilot_persistent = false);
    assert_eq!(desk.why(video), "Draining", "{decisions:?}");

    let mut desk = Desk::new(with_copilot);
    desk.policy(|policy| policy.copilot_persistent = true);
    desk.seen("swap", &["chat"]);
    desk.submit("video.gen", |request| request.force = true);
    desk.seen("film", &[]);
    assert_eq!(moved(&desk.seen("swap", &["chat"])), ["-chat"]);
}

#[test]
fn a_model_that_is_needed_is_loaded_once_and_the_least_used_one_makes_way() {
    let mut desk = Desk::new(|_| {});
    desk.seen("swap", &["chat"]);
    let coder = |request: &mut Request| request.model = Some(name("coder"));
    let (first, decisions) = desk.submit("text.generate", coder);
    assert_eq!(moved(&decisions), ["+coder"]);
    let (second, decisions) = desk.submit("text.generate", coder);
    assert_eq!((moved(&decisions), desk.why(first)), (vec![], "ModelLoading"));
    let decisions = desk.apply(Event::Loaded { at: at("coder"), took_ms: 9_000 });
    assert_eq!(started(&decisions), [first.0, second.0]);
    let (_, decisions) = desk.submit("text.generate", |request| request.model = Some(name("tiny")));
    assert_eq!(moved(&decisions), [] as [String; 0], "8 + 14 + 2 + 1 of 24");
    assert_eq!(moved(&desk.done(first)), ["-chat"]);
    desk.done(second);
    assert_eq!(moved(&desk.apply(Event::Unloaded(at("chat")))), ["+tiny"]);
}

#[test]
fn what_can_never_fit_fails_at_once_with_the_sums() {
    let mut desk = Desk::new(|config| config.models.get_mut(&name("coder")).unwrap().vram_gb = Some(30.0));
    let (_, decisions) = desk.submit("text.generate", |request| request.model = Some(name("coder")));
    let [Decision::Fail { code: FailCode::FitFailed, message, .. }] = decisions.as_slice() else {
        panic!("{decisions:?}")
    };
    assert_eq!(message, "coder on swap needs 30.0 GB + 1.0 GB reserve, desk/gpu0 has 24.0 GB");
}
