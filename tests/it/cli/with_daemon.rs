//! Verbs that talk to a daemon.

use serde_json::json;

use super::context::Context;
use super::daemon::{Answers, FakeDaemon, list, status};

fn start(answers: Answers) -> (Context, FakeDaemon) {
    let context = Context::new();
    std::fs::create_dir(context.path(".arcology")).unwrap();
    let daemon = FakeDaemon::start(&context.path(".arcology/control.sock"), answers);
    (context, daemon)
}

#[test]
fn status_leaves_with_0_when_all_is_in_sync_and_with_1_when_not() {
    let (context, _daemon) = start(Answers::default().with("GET /api/v1/status", 200, status(1)));
    let ran = context.run(&["status"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.out.starts_with("revision   main@0123456789ab Begin\n"), "{}", ran.out);

    let mut drifted = status(1);
    drifted["objects"]["in_sync"] = json!(1);
    let (context, _daemon) = start(Answers::default().with("GET /api/v1/status", 200, drifted.clone()));
    let ran = context.run(&["status", "-o", "json"]);
    assert_eq!(ran.code, 1);
    assert_eq!(serde_json::from_str::<serde_json::Value>(&ran.out).unwrap(), drifted);
}

#[test]
fn the_socket_can_be_named_by_flag_and_environment() {
    let context = Context::new();
    let _daemon =
        FakeDaemon::start(&context.path("here"), Answers::default().with("GET /api/v1/status", 200, status(1)));
    assert_eq!(context.run(&["status", "--control", "here"]).code, 0);
    let output = context.command(&["status"]).env("ARCOLOGY_CONTROL", "here").output().unwrap();
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn lists_are_read_page_after_page_and_named_for_the_next_command() {
    let row = |name: &str| json!({"kind": "Loadout", "name": name, "sync": "InSync", "health": "Healthy"});
    let mut first = list(&[row("attic")]);
    first["next"] = json!("attic");
    let answers =
        Answers::default().with("GET /api/v1/drift", 200, first).with("GET /api/v1/drift", 200, list(&[row("desk")]));
    let (context, daemon) = start(answers);
    let ran = context.run(&["get", "loadouts", "-o", "name"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, "Loadout/attic\nLoadout/desk\n"), "{}", ran.err);
    let asked: Vec<String> = daemon.asked().into_iter().map(|(what, _)| what).collect();
    assert_eq!(
        asked,
        ["GET /api/v1/drift?kind=Loadout&limit=200", "GET /api/v1/drift?kind=Loadout&limit=199&cursor=attic"]
    );
}

#[test]
fn tasks_are_chosen_by_what_the_api_chooses_by_and_nothing_else_is() {
    let task = json!({"id": "task-1", "state": "error", "capability": "ocr.pdf"});
    let (context, daemon) = start(Answers::default().with("GET /api/v1/tasks", 200, list(&[task])));
    let flags = ["--in-state", "error", "--capability", "ocr.pdf", "--runtime", "swap", "--tag", "in box"];
    let ran = context.run(&[&["get", "tasks", "-o", "name", "--object", "task/scan"], &flags[..]].concat());
    assert_eq!((ran.code, ran.out.as_str()), (0, "task-1\n"), "{}", ran.err);
    let asked: Vec<String> = daemon.asked().into_iter().map(|(what, _)| what).collect();
    let query = "state=error&capability=ocr.pdf&runtime=swap&tag=in%20box&object=Task%2Fscan&limit=200";
    assert_eq!(asked, [format!("GET /api/v1/tasks?{query}")]);

    for (wrong, told) in [
        (&["get", "models", "--runtime", "swap"][..], "arcology get tasks --runtime swap"),
        (&["get", "drift", "--in-state", "done", "--tag", "a"], "arcology get tasks --in-state done --tag a"),
        (&["get", "task", "task-1", "--tag", "a"], "`task-1` is one already"),
        (&["get", "tasks", "--in-state", "finished"], "queued, blocked, running, done, error, cancelled"),
        (&["get", "tasks", "--object", "scan"], "KIND/NAME"),
    ] {
        let ran = context.run(wrong);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{wrong:?}: {}", ran.err);
        assert!(ran.err.contains(told), "{wrong:?}: {}", ran.err);
    }
    assert_eq!(daemon.asked().len(), 1, "what makes no sense is not asked for");
}

#[test]
fn a_thing_that_is_not_there_leaves_with_1_and_the_nearest_name() {
    let row = json!({"kind": "Loadout", "name": "desk"});
    let (context, _daemon) = start(Answers::default().with("GET /api/v1/drift", 200, list(&[row])));
    let ran = context.run(&["get", "loadout", "dsk"]);
    assert_eq!((ran.code, ran.out.as_str()), (1, ""));
    insta::assert_snapshot!(ran.err, @"
    error: there is no loadout called `dsk`
    hint: did you mean `desk`?
    hint: to see what there is: arcology get loadout
    ");
}

#[test]
fn submit_prints_the_id_and_waits_for_the_fate_when_asked() {
    let task = |state: &str| {
        json!({"id": "task-1", "state": state, "artifacts": [], "error":
            if state == "error" { json!({"code": "bad_input", "message": "the text is empty"}) } else { json!(null) }})
    };
    let answers = Answers::default()
        .with("POST /v1/tasks", 202, task("queued"))
        .with("GET /api/v1/tasks/task-1", 200, task("running"))
        .with("GET /api/v1/tasks/task-1", 200, task("error"));
    let (context, daemon) = start(answers);
    context.write("task.yaml", "capability: text.stats\ninputs: {text: hello}\n");
    let ran = context.run(&["submit", "task.yaml"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, "task-1\n"), "{}", ran.err);
    let (what, body) = daemon.asked().remove(0);
    assert_eq!(
        (what.as_str(), &body["capability"], &body["inputs"]["text"]),
        ("POST /v1/tasks", &json!("text.stats"), &json!("hello"))
    );

    let ran = context.run(&["submit", "task.yaml", "--wait"]);
    assert_eq!(ran.code, 1);
    assert_eq!(ran.err, "error: task-1 is error: the text is empty\nhint: arcology why task-1\n");
}

#[test]
fn a_task_that_makes_no_sense_never_reaches_the_daemon() {
    let (context, daemon) = start(Answers::default());
    context.write("task.yaml", "capability: text.stats\ninputz: {text: hello}\n");
    let ran = context.run(&["submit", "task.yaml"]);
    assert_eq!((ran.code, ran.out.as_str()), (1, ""));
    assert!(ran.err.contains("task.yaml:2:1") && ran.err.contains("did you mean `inputs`"), "{}", ran.err);
    assert!(daemon.asked().is_empty());
}

#[test]
fn a_refusal_is_told_with_what_to_do_next() {
    let problem = json!({"type": "about:blank", "title": "Conflict", "status": 409,
        "detail": "the policy default says draining", "help": "arcology get policy default"});
    let (context, _daemon) = start(Answers::default().with("POST /v1/tasks", 409, problem));
    context.write("task.yaml", "capability: text.stats\ninputs: {text: hello}\n");
    let ran = context.run(&["submit", "task.yaml"]);
    assert_eq!(ran.code, 1);
    assert_eq!(ran.err, "error: the policy default says draining\nhint: arcology get policy default\n");
}

#[test]
fn reconcile_tells_what_came_of_the_look() {
    let report = |outcome: &str| {
        json!({"outcome": outcome, "message": "the history was rewritten", "help": "arcology reconcile --accept",
            "revision": "main@sha1:0123", "added": 1, "changed": 0, "removed": 0, "quarantined": 0, "held": 0,
            "problems": []})
    };
    let answers = Answers::default().with("POST /v1/reconcile", 200, report("applied")).with(
        "POST /v1/reconcile",
        200,
        report("held"),
    );
    let (context, daemon) = start(answers);
    let ran = context.run(&["reconcile", "--accept"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, "main@sha1:0123: applied\n1 added\n"), "{}", ran.err);
    assert_eq!(daemon.asked(), [("POST /v1/reconcile".into(), json!({"accept": true}))]);

    let ran = context.run(&["reconcile"]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("the history was rewritten\nhint: arcology reconcile --accept\n"), "{}", ran.err);
}

#[test]
fn why_tells_sentences_about_an_object() {
    let body = json!({"status": {"kind": "Loadout", "name": "desk", "sync": "InSync", "health": "Healthy",
        "reason": "everything is loaded"}, "standing": "Current", "generated_at": "2026-11-21T10:00:30Z"});
    let answers = Answers::default().with("GET /api/v1/objects/Loadout/desk", 200, body).with(
        "GET /api/v1/audit",
        200,
        list(&[json!({"object": "Loadout/desk", "actor": "commit Ada", "verb": "apply", "result": "ok",
            "at": "2026-11-21T10:00:00Z"})]),
    );
    let (context, daemon) = start(answers);
    let ran = context.run(&["why", "loadout/desk"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    insta::assert_snapshot!(ran.out, @"
    Loadout/desk is InSync and Healthy.
    Everything is loaded.
    Nothing was seen of it yet.
    30 s ago: commit Ada apply: ok.
    ");
    // However much was done since to other things: only what was done to this one is asked for.
    let audit: Vec<String> =
        daemon.asked().into_iter().map(|(what, _)| what).filter(|it| it.contains("audit")).collect();
    assert_eq!(audit, ["GET /api/v1/audit?object=Loadout%2Fdesk&limit=10"]);
}

#[test]
fn a_program_that_does_not_start_leaves_as_in_a_shell_and_the_gpu_is_given_back() {
    let lease = json!({"id": "lease-1", "gpus": ["desk/gpu0"], "granted": true});
    let answers =
        Answers::default().with("POST /v1/leases", 201, lease).with("POST /v1/leases/lease-1/release", 200, json!({}));
    let (context, daemon) = start(answers);
    context.write("notes.txt", "no program");
    for (program, code, told) in [
        ("/no/such/program", 127, "error: there is no such program\n  at: /no/such/program\n"),
        ("arcology-has-no-such-program", 127, "there is no such program"),
        ("./notes.txt", 126, "error: it cannot be started: "),
    ] {
        let ran = context.run(&["lease", "run", "--gpu", "desk/gpu0", "--purpose", "bench", "--", program]);
        assert_eq!((ran.code, ran.out.as_str()), (code, ""), "{program}: {}", ran.err);
        assert!(ran.err.contains(told), "{program}: {}", ran.err);
        assert_eq!(daemon.asked().last().unwrap().0, "POST /v1/leases/lease-1/release", "{program}");
    }
}

#[test]
fn a_plan_starts_from_what_the_daemon_has_applied() {
    let context = Context::with_repository();
    let head = std::fs::read_to_string(context.path(".git/refs/heads/main")).unwrap().trim().to_owned();
    context.replace("manifests/loadout.yaml", "{model: lead, state: onDemand}", "{model: lead, state: unloaded}");
    context.commit_all("Unload lead");
    std::fs::create_dir(context.path(".arcology")).unwrap();
    let mut applied = status(1);
    applied["commit"]["sha"] = json!(head);
    let answers = Answers::default().with("GET /api/v1/status", 200, applied);
    let _daemon = FakeDaemon::start(&context.path(".arcology/control.sock"), answers);
    let ran = context.run(&["plan", "--exit-code"]);
    assert_eq!(ran.code, 2, "{}", ran.err);
    assert!(ran.out.contains("models[lead].state: onDemand → unloaded"), "{}", ran.out);
}
