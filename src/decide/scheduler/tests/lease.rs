//! Other programs that take a GPU, and the planner that asks first.

use super::super::table::Phase;
use super::*;

fn lease(id: &str, change: impl FnOnce(&mut LeaseRequest)) -> Event {
    let mut lease = LeaseRequest {
        id: id.into(),
        gpus: vec![gpu0()],
        holder: "game".into(),
        purpose: "a match".into(),
        exclusive: true,
        vram_gb: None,
        force: false,
        priority: 0,
        ttl_ms: 60_000,
        held: false,
    };
    change(&mut lease);
    Event::LeaseAsked(Box::new(lease))
}

fn granted(decisions: &[Decision]) -> Vec<String> {
    let grants = decisions.iter().filter_map(|it| match it {
        Decision::Grant { lease } => Some(lease.to_string()),
        _ => None,
    });
    grants.collect()
}

#[test]
fn a_lease_drains_the_gpu_has_it_alone_and_gives_it_back() {
    let mut desk = Desk::new(|_| {});
    desk.seen("swap", &["chat"]);
    let chat = |request: &mut Request| request.model = Some(name("chat"));
    let (running, _) = desk.submit("text.generate", chat);
    assert_eq!(granted(&desk.apply(lease("a", |_| {}))), [] as [String; 0]);
    assert_eq!(desk.mode(), "draining");
    desk.done(running);
    desk.seen("film", &[]);
    assert_eq!(moved(&desk.seen("swap", &["chat"])), ["-chat"], "it asked for all there is");
    assert_eq!(granted(&desk.apply(Event::Unloaded(at("chat")))), ["a"]);
    let (task, _) = desk.submit("text.generate", chat);
    let reason = desk.state.why(task, desk.now).unwrap();
    assert!(matches!(&reason, Reason::Leased { holder, .. } if &**holder == "lease a (a match)"), "{reason:?}");
    desk.apply(Event::LeaseReleased("a".into()));
    assert_eq!((desk.mode(), desk.why(task)), ("shared", "ModelLoading"));
}

#[test]
fn a_lease_without_a_sign_of_life_is_taken_back_whether_it_is_held_or_waits() {
    let mut desk = Desk::new(|_| {});
    desk.apply(lease("a", |_| {}));
    desk.seen("film", &[]);
    assert_eq!(granted(&desk.seen("swap", &[])), ["a"]);
    desk.apply(lease("b", |_| {}));
    desk.pass(30_000);
    desk.apply(Event::LeaseRenewed { id: "a".into(), ttl_ms: 60_000 });
    let expire = |id: &str, held| Decision::Expire { lease: id.into(), held };
    let decisions = desk.pass(30_000);
    assert!(decisions.contains(&expire("b", false)) && !decisions.contains(&expire("a", true)), "{decisions:?}");
    assert_eq!(desk.mode(), "exclusive");
    assert!(desk.pass(30_000).contains(&expire("a", true)));
    assert_eq!(desk.mode(), "shared");
}

#[test]
fn a_shared_lease_takes_a_slot_and_its_memory() {
    let mut desk = Desk::new(|_| {});
    let shared = |gb: f64| move |lease: &mut LeaseRequest| (lease.exclusive, lease.vram_gb) = (false, Some(gb));
    assert_eq!(granted(&desk.apply(lease("a", shared(20.0)))), ["a"]);
    let (task, _) = desk.submit("text.generate", |request| request.model = Some(name("chat")));
    assert_eq!(desk.why(task), "VramFull");
    assert_eq!(granted(&desk.apply(lease("b", shared(1.0)))), ["b"]);
    assert_eq!(granted(&desk.apply(lease("c", shared(0.0)))), [] as [String; 0], "two slots are all");
    assert_eq!(granted(&desk.apply(Event::LeaseReleased("b".into()))), ["c"]);
    assert_eq!(moved(&desk.apply(Event::LeaseReleased("a".into()))), ["+chat"]);
}

#[test]
fn a_shared_lease_makes_idle_models_go_and_waits_for_busy_ones() {
    let mut desk = Desk::new(|_| {});
    desk.seen("swap", &["coder"]);
    let decisions = desk.apply(lease("a", |lease| (lease.exclusive, lease.vram_gb) = (false, Some(12.0))));
    assert_eq!((granted(&decisions), moved(&decisions)), (vec![], vec!["-coder".to_owned()]));
    assert_eq!(granted(&desk.apply(Event::Unloaded(at("coder")))), ["a"]);
}

#[test]
fn two_leases_of_two_gpus_do_not_wait_for_each_other() {
    let gpu1 = GpuId { host: name("desk"), gpu: name("gpu1") };
    let mut desk = Desk::new(|config| {
        config.gpus.insert(gpu1.clone(), GpuConfig { total_gb: 8.0, reserve_gb: 0.0, simulated: true });
    });
    let both = [gpu0(), gpu1.clone()];
    desk.apply(lease("a", |lease| lease.gpus = both.to_vec()));
    desk.apply(lease("b", |lease| lease.gpus = both.iter().rev().cloned().collect()));
    desk.seen("film", &[]);
    assert_eq!(granted(&desk.seen("swap", &[])), ["a"]);
    desk.apply(Event::LeaseReleased("a".into()));
    desk.seen("film", &[]);
    assert_eq!(granted(&desk.seen("swap", &[])), ["b"]);
    let view = desk.state.view(desk.now, 0);
    assert!(view.leases[0].granted && view.gpus[&gpu1].mode == "exclusive");
}

#[test]
fn a_lease_of_a_gpu_that_nobody_declared_is_told_so() {
    let mut desk = Desk::new(|_| {});
    desk.apply(lease("a", |lease| lease.gpus.push(GpuId { host: name("desk"), gpu: name("gpu9") })));
    let why = desk.state.view(desk.now, 0).leases[0].why.clone().unwrap();
    assert_eq!((why.reason, why.message.as_str()), ("NoRuntime", "no runtime offers the GPU desk/gpu9"));
    assert_eq!(desk.mode(), "shared", "it takes no part of what it asked for");
}

#[test]
fn a_lease_that_was_held_before_a_restart_holds_at_once_even_before_its_gpu_is_known() {
    let desk = Desk::new(|_| {});
    for world_first in [true, false] {
        let mut state = State::new();
        let world = Event::WorldChanged(Arc::new(desk.config.clone()));
        let held = lease("a", |lease| lease.held = true);
        let events = if world_first { [world, held] } else { [held, world] };
        for event in events {
            let decisions = state.apply(event, desk.now);
            assert_eq!(granted(&decisions), [] as [String; 0], "it was granted before");
            state.check().unwrap();
        }
        assert_eq!(state.view(desk.now, 0).gpus[&gpu0()].mode, "exclusive");
    }
}

#[test]
fn a_persistent_copilot_keeps_leases_out_too_unless_they_are_forced() {
    let mut desk = Desk::new(|config| {
        config.pins.insert(at("chat"), Pin::Copilot);
    });
    desk.policy(|policy| policy.copilot_persistent = true);
    desk.apply(lease("a", |_| {}));
    let why = desk.state.view(desk.now, 0).leases[0].why.clone().unwrap();
    assert_eq!((why.reason, desk.mode()), ("CopilotPersistent", "shared"));
    desk.apply(lease("b", |lease| lease.force = true));
    assert_eq!(desk.mode(), "draining");
}

#[test]
fn the_planner_is_told_when_a_load_or_an_unload_must_wait() {
    let claim = |model: &str, verb| Event::Claim { at: at(model), verb };
    let refused = |decisions: &[Decision]| match decisions {
        [Decision::Refuse { reason, .. }] => reason.word(),
        [Decision::Admit { .. }] => "admitted",
        _ => "?",
    };
    let mut desk = Desk::new(|config| {
        config.pins.insert(at("chat"), Pin::Loaded);
    });
    assert_eq!(refused(&desk.apply(claim("coder", ClaimVerb::Load))), "admitted");
    assert_eq!(refused(&desk.apply(claim("coder", ClaimVerb::Load))), "ModelLoading");
    assert_eq!(refused(&desk.apply(claim("chat", ClaimVerb::Load))), "admitted");
    assert_eq!(refused(&desk.apply(claim("tiny", ClaimVerb::Load))), "VramFull", "14 + 8 of 24 - 1");
    desk.apply(Event::Loaded { at: at("coder"), took_ms: 1 });
    desk.apply(Event::Loaded { at: at("chat"), took_ms: 1 });
    let (task, _) = desk.submit("text.generate", |request| request.model = Some(name("coder")));
    assert_eq!(refused(&desk.apply(claim("coder", ClaimVerb::Unload))), "InUse");
    desk.submit("video.gen", |_| {});
    assert_eq!(refused(&desk.apply(claim("tiny", ClaimVerb::Load))), "Draining");
    desk.done(task);
    assert_eq!(refused(&desk.apply(claim("coder", ClaimVerb::Unload))), "admitted");
    desk.apply(Event::Unloaded(at("coder")));
    desk.seen("film", &[]);
    desk.seen("swap", &["chat"]);
    desk.apply(Event::Unloaded(at("chat")));
    assert_eq!(desk.mode(), "exclusive");
    assert_eq!(refused(&desk.apply(claim("tiny", ClaimVerb::Load))), "ExclusiveHeld");
}

#[test]
fn what_is_loaded_stays_so_when_a_load_of_it_fails_unless_a_look_says_otherwise() {
    let taken = |desk: &Desk| desk.state.sums(desk.state.table.gpu(&gpu0()).unwrap()).unwrap().models;
    let fails = |desk: &mut Desk| {
        let (at, message) = (at("chat"), "it fell over".to_owned());
        desk.apply(Event::LoadFailed { at, message, retry_ms: 1_000 });
        taken(desk)
    };
    let mut desk = Desk::new(|_| {});
    desk.seen("swap", &["chat"]);
    let takes = taken(&desk);
    assert!(takes > 0.0);
    desk.apply(Event::Claim { at: at("chat"), verb: ClaimVerb::Load });
    assert_eq!(fails(&mut desk), takes, "its memory is as taken as before");
    desk.apply(Event::Claim { at: at("chat"), verb: ClaimVerb::Load });
    desk.seen("swap", &[]);
    assert_eq!(taken(&desk), takes, "the load that is under way may bring it back");
    assert_eq!(fails(&mut desk), 0.0, "it was seen to be gone");
}

#[test]
fn what_the_planner_loads_although_it_is_there_is_not_sent_away_meanwhile() {
    let mut desk = Desk::new(|_| {});
    desk.seen("swap", &["chat"]);
    desk.seen("film", &[]);
    desk.apply(Event::Claim { at: at("chat"), verb: ClaimVerb::Load });
    desk.apply(lease("a", |_| {}));
    desk.seen("film", &[]);
    desk.seen("swap", &["chat"]);
    let phase = |desk: &Desk| desk.state.table.models[desk.state.table.model(&at("chat")).unwrap()].phase;
    assert_eq!((desk.mode(), phase(&desk)), ("draining", Phase::Loaded), "its load may bring it back");
    desk.apply(Event::Loaded { at: at("chat"), took_ms: 1 });
    assert_eq!(phase(&desk), Phase::Unloading { ours: true });
}

#[test]
fn nobody_knows_when_a_lease_ends_so_no_eta_is_made_up() {
    let mut desk = Desk::new(|_| {});
    for ms in [10_000, 20_000, 60_000] {
        desk.apply(Event::Took { capability: "text.generate".into(), model: Some(name("chat")), ms });
    }
    desk.apply(lease("a", |_| {}));
    for runtime in ["swap", "film"] {
        desk.seen(runtime, &[]);
    }
    let (task, _) = desk.submit("text.generate", |request| request.model = Some(name("chat")));
    assert_eq!((desk.why(task), desk.state.eta(task, desk.now)), ("Leased", None));
    let sooner = desk.state.explain(task, desk.now).unwrap().sooner;
    assert_eq!(sooner.as_deref(), Some("giving it back: `arcology lease release a`"));
    desk.apply(Event::LeaseReleased("a".into()));
    assert!(desk.state.eta(task, desk.now).is_some());
}
