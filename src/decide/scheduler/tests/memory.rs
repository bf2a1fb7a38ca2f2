//! What fits, what makes way and what never does; reservations; loads that fail; batching.

use super::*;

fn on(model: &'static str) -> impl Fn(&mut Request) {
    move |request| request.model = Some(name(model))
}

fn loaded(desk: &mut Desk, model: &str) -> Vec<Decision> {
    desk.apply(Event::Loaded { at: at(model), took_ms: 4_000 })
}

#[test]
fn a_load_takes_its_memory_in_the_decision_itself() {
    // 24 GB, 1 GB of it reserved: 14 and 8 fit, and 2 more do not.
    let mut desk = Desk::new(|config| {
        config.pins.insert(at("coder"), Pin::Loaded);
        config.pins.insert(at("chat"), Pin::Loaded);
    });
    desk.policy(|policy| policy.gpu_shared_slots = 4);
    assert_eq!(moved(&desk.submit("text.generate", on("coder")).1), ["+coder"]);
    assert_eq!(moved(&desk.submit("text.generate", on("chat")).1), ["+chat"]);
    let (third, decisions) = desk.submit("text.generate", on("tiny"));
    assert_eq!(moved(&decisions), [] as [String; 0]);
    let gpu = gpu0();
    let reason = Reason::VramFull { gpu, need_gb: 2.0, free_gb: 1.0, evictable_gb: 0.0 };
    assert_eq!(desk.state.why(third, desk.now), Some(reason));
}

#[test]
fn what_nobody_knows_the_size_of_does_not_load_on_a_card_that_is_over() {
    let mut desk = Desk::new(|config| config.models.get_mut(&name("tiny")).unwrap().vram_gb = None);
    desk.apply(Event::ForeignUse { gpu: gpu0(), gb: Some(26.0) });
    let (task, decisions) = desk.submit("text.generate", on("tiny"));
    assert_eq!(moved(&decisions), [] as [String; 0]);
    assert_eq!(
        desk.state.why(task, desk.now).unwrap().view(desk.now).message,
        "needs memory on desk/gpu0 (how much is not known), 3.0 GB more are taken than there are and 0.0 GB could make \
         way: 3.0 GB short"
    );
    assert_eq!(moved(&desk.apply(Event::ForeignUse { gpu: gpu0(), gb: Some(23.0) })), ["+tiny"]);
}

#[test]
fn the_largest_of_what_is_declared_measured_and_reported_counts_and_so_do_others() {
    // (measured GB, reported GB, foreign GB) and whether `coder` (14 GB) still fits beside `chat` (8 GB) on 24 - 1 GB.
    for (measured, reported, foreign, fits) in [
        (None, None, None, true),
        (Some(9.1), None, None, false),
        (Some(3.0), None, None, true),
        (None, Some(9.1), None, false),
        (None, None, Some(1.1), false),
        (None, None, Some(1.0), true),
        (None, Some(f64::NAN), Some(f64::INFINITY), true),
    ] {
        let mut desk = Desk::new(|config| {
            config.pins.insert(at("chat"), Pin::Loaded);
        });
        let models = vec![("chat".into(), ModelState::Loaded, reported)];
        desk.apply(Event::Seen { runtime: name("swap"), seen: RuntimeSeen::Up { models, in_flight: Some(0) } });
        measured.map(|gb| desk.apply(Event::Measured { at: at("chat"), gb }));
        desk.apply(Event::ForeignUse { gpu: gpu0(), gb: foreign });
        let (_, decisions) = desk.submit("text.generate", on("coder"));
        assert_eq!(moved(&decisions) == ["+coder"], fits, "{measured:?} {reported:?} {foreign:?}: {decisions:?}");
    }
}

#[test]
fn a_context_that_is_not_part_of_the_model_counts_too() {
    let mut desk = Desk::new(|config| {
        config.models.get_mut(&name("coder")).unwrap().context_gb = 10.0;
    });
    let (_, decisions) = desk.submit("text.generate", on("coder"));
    let [Decision::Fail { message, .. }] = decisions.as_slice() else { panic!("{decisions:?}") };
    let sums = "coder on swap needs 24.0 GB, 10.0 GB of it for the context, + 1.0 GB reserve, desk/gpu0 has 24.0 GB";
    assert_eq!(message, sums);
}

#[test]
fn the_fewest_idle_models_make_way_the_least_recently_used_first_and_never_pinned_or_strange_ones() {
    let sized = |sizes: &'static [(&'static str, f64, Option<Pin>)]| {
        move |config: &mut Config| {
            let template = config.models[&name("chat")].clone();
            config.models.clear();
            for (model, gb, pin) in sizes {
                let entry = ModelConfig { served: vec![at(model)], vram_gb: Some(*gb), ..template.clone() };
                config.models.insert(name(model), entry);
                pin.map(|pin| config.pins.insert(at(model), pin));
            }
        }
    };
    type Sizes = &'static [(&'static str, f64, Option<Pin>)];
    // Models in the order in which they were used, and which of them make way for `new`.
    let cases: [(Sizes, &[&str]); 6] = [
        (&[("a", 7.0, None), ("b", 7.0, None), ("new", 10.0, None)], &["-a"]),
        (&[("a", 2.0, None), ("b", 12.0, None), ("new", 12.0, None)], &["-b"]),
        (&[("a", 7.0, None), ("b", 7.0, None), ("c", 7.0, None), ("new", 14.0, None)], &["-a", "-b"]),
        (&[("a", 7.0, Some(Pin::Loaded)), ("b", 7.0, None), ("new", 10.0, None)], &["-b"]),
        (&[("a", 7.0, Some(Pin::Copilot)), ("b", 7.0, None), ("new", 10.0, None)], &["-b"]),
        (&[("a", 7.0, Some(Pin::Ignored)), ("b", 7.0, Some(Pin::OnDemand)), ("new", 10.0, None)], &["-b"]),
    ];
    for (sizes, goes) in cases {
        let mut desk = Desk::new(sized(sizes));
        let old: Vec<&str> = sizes.iter().map(|(model, ..)| *model).filter(|model| *model != "new").collect();
        for n in 1..=old.len() {
            desk.seen("swap", &old[..n]);
            desk.pass(1_000);
        }
        assert_eq!(moved(&desk.submit("text.generate", on("new")).1), *goes, "{sizes:?}");
    }
    let mut desk = Desk::new(sized(&[("new", 20.0, None)]));
    let models = vec![("stranger".into(), ModelState::Loaded, Some(10.0))];
    desk.apply(Event::Seen { runtime: name("swap"), seen: RuntimeSeen::Up { models, in_flight: Some(0) } });
    let (task, decisions) = desk.submit("text.generate", on("new"));
    assert_eq!((moved(&decisions), desk.why(task)), (vec![], "VramFull"), "what nobody declared is none of ours");
}

#[test]
fn a_head_that_waits_for_others_memory_holds_nobody_up() {
    let mut desk = Desk::new(|_| {});
    desk.apply(Event::ForeignUse { gpu: gpu0(), gb: Some(12.0) });
    let (large, _) = desk.submit("text.generate", on("coder"));
    assert_eq!(desk.why(large), "VramFull");
    assert_eq!(moved(&desk.submit("text.generate", on("tiny")).1), ["+tiny"]);
    assert_eq!(moved(&desk.apply(Event::ForeignUse { gpu: gpu0(), gb: Some(2.0) })), ["+coder"]);
}

#[test]
fn a_load_that_failed_is_tried_again_after_its_wait_and_elsewhere_at_once() {
    let mut desk = Desk::new(|_| {});
    let failed = |at| Event::LoadFailed { at, message: "out of memory".into(), retry_ms: 5_000 };
    let (task, _) = desk.submit("text.generate", on("coder"));
    desk.apply(failed(at("coder")));
    let until_ms = desk.now.steady_ms + 5_000;
    let reason = Reason::Backoff { until_ms, failed: "out of memory".into() };
    assert_eq!(desk.state.why(task, desk.now), Some(reason));
    assert_eq!(moved(&desk.pass(4_999)), [] as [String; 0]);
    assert_eq!(moved(&desk.pass(1)), ["+coder"]);

    let mut desk = Desk::new(|config| {
        let mut other = config.runtimes[&name("swap")].clone();
        other.gpu = None;
        config.runtimes.insert(name("slow"), other);
        let elsewhere = ModelAt { runtime: name("slow"), served_as: "coder".into() };
        config.models.get_mut(&name("coder")).unwrap().served.push(elsewhere);
    });
    desk.seen("slow", &[]);
    let (_, decisions) = desk.submit("text.generate", on("coder"));
    assert_eq!(moved(&decisions), ["+coder"]);
    let decisions = desk.apply(failed(at("coder")));
    assert!(
        matches!(&decisions[..], [Decision::Load { at, gpu: None, .. }, ..] if at.runtime == name("slow")),
        "{decisions:?}"
    );
}

#[test]
fn an_unload_that_failed_is_not_tried_over_and_over() {
    let mut desk = Desk::new(|_| {});
    desk.seen("swap", &["chat"]);
    let (video, _) = desk.submit("video.gen", |_| {});
    desk.seen("film", &[]);
    assert_eq!(moved(&desk.seen("swap", &["chat"])), ["-chat"]);
    let failed = Event::UnloadFailed { at: at("chat"), message: "busy".into(), retry_ms: 5_000 };
    assert_eq!(moved(&desk.apply(failed)), [] as [String; 0]);
    assert_eq!(moved(&desk.seen("swap", &["chat"])), [] as [String; 0]);
    let Some(Reason::Draining { left, .. }) = desk.state.why(video, desk.now) else { panic!("{}", desk.why(video)) };
    assert_eq!(left, ["chat on swap could not be unloaded: busy"]);
    assert_eq!(moved(&desk.pass(5_000)), ["-chat"]);
}

#[test]
fn a_batch_on_a_loaded_model_goes_before_a_head_that_needs_another_but_only_so_many_and_so_long() {
    let batch = |max_tasks, wait_s: u64| {
        let mut desk = Desk::new(|config| config.models.get_mut(&name("chat")).unwrap().vram_gb = Some(15.0));
        desk.policy(|policy| {
            policy.gpu_shared_slots = 1;
            policy.batching.max_tasks = max_tasks;
            policy.batching.max_wait = crate::core::unit::Span::from_secs(wait_s);
        });
        desk.seen("swap", &["chat"]);
        let (first, _) = desk.submit("text.generate", on("chat"));
        let (head, _) = desk.submit("text.generate", on("coder"));
        let later: Vec<_> = (0..4).map(|_| desk.submit("text.generate", on("chat")).0).collect();
        (desk, first, head, later)
    };
    let (mut desk, first, head, later) = batch(2, 60);
    assert_eq!(started(&desk.done(first)), [later[0].0], "one load fewer");
    assert_eq!(desk.why(head), "Priority");
    assert_eq!(started(&desk.done(later[0])), [later[1].0]);
    let decisions = desk.done(later[1]);
    assert_eq!((started(&decisions), moved(&decisions)), (vec![], vec!["-chat".to_owned()]), "two are enough");
    assert_eq!(moved(&desk.apply(Event::Unloaded(at("chat")))), ["+coder"]);
    assert_eq!(started(&loaded(&mut desk, "coder")), [head.0]);

    let (mut desk, first, _, later) = batch(100, 10);
    assert_eq!(started(&desk.done(first)), [later[0].0]);
    desk.pass(10_000);
    assert_eq!(moved(&desk.done(later[0])), ["-chat"], "the head was passed over for long enough");
}

#[test]
fn only_work_of_the_same_priority_makes_a_batch() {
    let mut desk = Desk::new(|config| config.models.get_mut(&name("chat")).unwrap().vram_gb = Some(15.0));
    desk.policy(|policy| policy.gpu_shared_slots = 1);
    desk.seen("swap", &["chat"]);
    let (first, _) = desk.submit("text.generate", on("chat"));
    desk.submit("text.generate", |request| {
        on("coder")(request);
        request.priority = 1;
    });
    desk.submit("text.generate", on("chat"));
    assert_eq!(moved(&desk.done(first)), ["-chat"]);
}

#[test]
fn a_load_whose_task_went_away_stays_loaded() {
    let mut desk = Desk::new(|_| {});
    let (task, _) = desk.submit("text.generate", on("coder"));
    desk.apply(Event::Cancelled(task));
    assert_eq!(desk.state.view(desk.now, 9).moving, [(at("coder"), view::Moving::Loading)].into());
    assert_eq!(loaded(&mut desk, "coder"), []);
    let (next, decisions) = desk.submit("text.generate", on("coder"));
    assert_eq!(started(&decisions), [next.0]);
}

#[test]
fn a_model_that_a_loadout_keeps_out_is_not_loaded_and_the_task_is_told() {
    let mut desk = Desk::new(|config| {
        config.pins.insert(at("coder"), Pin::Unloaded);
    });
    let (task, decisions) = desk.submit("text.generate", on("coder"));
    assert_eq!((moved(&decisions), desk.why(task)), (vec![], "NoRuntime"));
    let explained = desk.state.explain(task, desk.now).unwrap();
    assert_eq!(explained.why.message, "no runtime offers text.generate; a loadout keeps its model unloaded");
    desk.config.pins.clear();
    assert_eq!(moved(&desk.apply(Event::WorldChanged(Arc::new(desk.config.clone())))), ["+coder"]);
}

#[test]
fn an_input_that_is_longer_than_every_context_fails_and_one_that_some_model_takes_goes_there() {
    let mut desk = Desk::new(|config| config.models.get_mut(&name("coder")).unwrap().context_tokens = Some(32_000));
    let long = |tokens| move |request: &mut Request| request.input_tokens = Some(tokens);
    assert_eq!(moved(&desk.submit("text.generate", long(9_000)).1), ["+coder"]);
    let (_, decisions) = desk.submit("text.generate", long(33_000));
    let [Decision::Fail { code: FailCode::FitFailed, message, .. }] = &decisions[..] else { panic!("{decisions:?}") };
    assert!(message.contains("the input has about 33000 tokens, coder on swap takes 32000"), "{message}");
}

#[test]
fn a_result_that_the_disk_has_no_room_for_waits() {
    let mut desk = Desk::new(|config| config.hosts.get_mut(&name("desk")).unwrap().reserve_disk_gb = 10.0);
    desk.apply(Event::Disk { host: name("desk"), free_gb: Some(11.0) });
    let (task, _) = desk.submit("audio.tts", |request| request.output_gb = Some(2.0));
    assert_eq!(desk.why(task), "DiskFull");
    let (other, decisions) = desk.submit("audio.tts", |_| {});
    assert_eq!(started(&decisions), [other.0]);
    assert_eq!(started(&desk.apply(Event::Disk { host: name("desk"), free_gb: Some(20.0) })), [task.0]);
}

#[test]
fn what_a_host_keeps_free_counts_also_for_tasks_of_which_nobody_knows_what_they_put_out() {
    let mut desk = Desk::new(|config| config.hosts.get_mut(&name("desk")).unwrap().reserve_disk_gb = 10.0);
    desk.apply(Event::Disk { host: name("desk"), free_gb: Some(9.9) });
    let (task, _) = desk.submit("audio.tts", |_| {});
    let why = desk.state.why(task, desk.now).unwrap().view(desk.now);
    let told = "needs 0.0 GB of disk on desk beside the 10.0 GB that stay free, 9.9 GB are free";
    assert_eq!((why.reason, why.message.as_str()), ("DiskFull", told));
    assert_eq!(started(&desk.apply(Event::Disk { host: name("desk"), free_gb: None })), [task.0], "nobody knows");
}

#[test]
fn what_recent_runs_put_out_is_expected_of_the_next_ones_and_counted_on_while_they_run() {
    let mut desk = Desk::new(|config| config.hosts.get_mut(&name("desk")).unwrap().reserve_disk_gb = 10.0);
    desk.apply(Event::Disk { host: name("desk"), free_gb: Some(20.0) });
    for gb in [1, 4, 2] {
        desk.apply(Event::PutOut { capability: "audio.tts".into(), bytes: gb << 30 });
    }
    let (first, decisions) = desk.submit("audio.tts", |_| {});
    assert_eq!(started(&decisions), [first.0], "4 + 10 of 20 GB");
    desk.apply(Event::Disk { host: name("desk"), free_gb: Some(17.9) });
    let (second, _) = desk.submit("audio.tts", |_| {});
    let expected = Reason::DiskFull { host: name("desk"), need_gb: 4.0, reserve_gb: 10.0, free_gb: 17.9 - 4.0 };
    assert_eq!(desk.state.why(second, desk.now), Some(expected));
    assert_eq!(started(&desk.done(first)), [second.0], "what the first put out is seen on the disk from now on");
}

#[test]
fn however_much_tasks_say_that_they_put_out_it_can_be_added_up() {
    let mut desk = Desk::new(|_| {});
    let endless = |request: &mut Request| request.output_gb = Some(f64::MAX);
    let tasks = [desk.submit("audio.tts", endless).0, desk.submit("audio.tts", endless).0];
    desk.apply(Event::Disk { host: name("desk"), free_gb: Some(1.0) });
    let (third, _) = desk.submit("audio.tts", endless);
    assert_eq!(desk.why(third), "DiskFull");
    for task in tasks {
        desk.done(task);
    }
    desk.state.check().unwrap();
}

#[test]
fn a_measured_size_that_can_never_fit_ends_the_wait() {
    let mut desk = Desk::new(|_| {});
    desk.apply(Event::ForeignUse { gpu: gpu0(), gb: Some(20.0) });
    let (task, _) = desk.submit("text.generate", on("coder"));
    assert_eq!(desk.why(task), "VramFull");
    let decisions = desk.apply(Event::Measured { at: at("coder"), gb: 23.5 });
    assert!(matches!(&decisions[..], [Decision::Fail { code: FailCode::FitFailed, .. }]), "{decisions:?}");
}

#[test]
fn a_model_whose_manifest_goes_while_it_is_loading_is_counted_still_and_may_go() {
    let mut desk = Desk::new(|config| {
        config.pins.insert(at("chat"), Pin::Loaded);
    });
    assert_eq!(moved(&desk.submit("text.generate", on("coder")).1), ["+coder"]);
    desk.config.models.remove(&name("coder"));
    desk.apply(Event::WorldChanged(Arc::new(desk.config.clone())));
    let (chat, decisions) = desk.submit("text.generate", on("chat"));
    assert_eq!(moved(&decisions), ["+chat"], "24 - 1 - 14 GB are free");
    loaded(&mut desk, "chat");
    desk.done(chat);
    // 2 GB do not fit beside 14 + 8 any more, and the one that nobody declares has no user.
    let (_, decisions) = desk.submit("text.generate", on("tiny"));
    assert_eq!(moved(&decisions), [] as [String; 0], "what is loading goes when it is there: {decisions:?}");
    assert_eq!(moved(&loaded(&mut desk, "coder")), ["-coder"]);
    // One that was never declared stays.
    let mut desk = Desk::new(|_| {});
    let models = vec![("stranger".into(), ModelState::Loaded, Some(14.0))];
    desk.apply(Event::Seen { runtime: name("swap"), seen: RuntimeSeen::Up { models, in_flight: Some(0) } });
    let (task, decisions) = desk.submit("text.generate", on("coder"));
    assert_eq!((moved(&decisions).as_slice(), desk.why(task)), (&[] as &[String], "VramFull"));
}
