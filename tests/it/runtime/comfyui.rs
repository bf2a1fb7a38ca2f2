//! ComfyUI, driven through its double: the conformance suite, and each quirk by its number in `docs/adapters/comfyui.md`.

use std::path::Path;
use std::sync::{Arc, Mutex};

use arcology::act::runtime::{Adapter, Fault, Invocation, Outcome, Progress, RuntimeError, RuntimeEvent};
use arcology::decide::view::ModelState;
use futures::StreamExt as _;
use serde_json::{Value, json};

use crate::double::comfyui::{App, Has, start};
use crate::double::server::{Mood, Server};

use super::conformance::{Asked, Subject, Work, conform};
use super::{adapter, file, in_time, invocation, spec};

pub const MODEL: &str = "checkpoints/a.safetensors";
/// What may be asked while it is only looked at.
pub const LOOKS: &[&str] =
    &["GET /queue", "GET /system_stats", "GET /models/checkpoints", "GET /models/diffusion_models", "GET /ws"];

fn graph() -> Value {
    json!({
        "3": {"class_type": "KSampler", "_meta": {"title": "sampler"},
            "inputs": {"seed": 1, "steps": 20, "sampler_name": "euler", "model": ["4", 0], "positive": ["6", 0]}},
        "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "a.safetensors"}},
        "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a cat"}},
        "9": {"class_type": "SaveImage", "inputs": {"images": ["3", 0], "filename_prefix": "x"}},
    })
}

pub fn workflow() -> Value {
    let inputs = json!({"prompt": "6.inputs.text", "seed": "3.seed", "steps": {"node": "3", "input": "steps"},
        "sampler": "3.sampler_name", "model": "4.ckpt_name"});
    json!({"workflow": graph(), "inputs": inputs})
}

fn adapter_with(server: &Server, connect: &str, options: Value) -> Arc<dyn Adapter> {
    let limits = json!({"connect": connect, "load": "10s", "run": "30s"});
    let more = json!({"endpoint": server.endpoint(), "timeouts": limits, "options": options});
    adapter(Path::new("/nowhere"), &spec("comfyui", more)).unwrap()
}

async fn double() -> (Server, App, Arc<dyn Adapter>) {
    let (server, app) = start(Has::new()).await;
    let adapter = adapter_with(&server, "2s", json!({"workflows": {"image.gen": workflow()}}));
    (server, app, adapter)
}

fn picture(params: Value) -> Invocation {
    invocation("image.gen", Some(MODEL), "a dog", params)
}

async fn run(adapter: &Arc<dyn Adapter>, task: Invocation) -> Result<Outcome, RuntimeError> {
    in_time(adapter.run(task, Progress::ignored())).await
}

/// Runs `task` and keeps what is told of its progress.
async fn told(adapter: &Arc<dyn Adapter>, task: Invocation) -> (Result<Outcome, RuntimeError>, Vec<String>) {
    let lines: Arc<Mutex<Vec<String>>> = Arc::default();
    let into = lines.clone();
    let progress = Progress::new(move |line| into.lock().unwrap().push(line.to_owned()));
    let outcome = in_time(adapter.run(task, progress)).await;
    let lines = lines.lock().unwrap().clone();
    (outcome, lines)
}

/// Starts `task` on its own and returns once it runs there; aborting drops it.
async fn running(app: &App, adapter: &Arc<dyn Adapter>, task: Invocation) -> tokio::task::JoinHandle<()> {
    app.change(|has| has.works = true);
    let adapter = adapter.clone();
    let handle = tokio::spawn(async move { drop(adapter.run(task, Progress::ignored()).await) });
    in_time(app.until(|has| has.running.is_some())).await;
    handle
}

fn posts(server: &Server, path: &str) -> Vec<Value> {
    server.asked().iter().filter(|asked| asked.line() == format!("POST {path}")).map(|asked| asked.json()).collect()
}

#[tokio::test]
async fn it_conforms() {
    let (server, _app, adapter) = double().await;
    let work = Work {
        capability: "image.gen",
        text: "a dog",
        params: json!({"steps": 4}),
        output: ("image.png", "png"),
        is_right: |bytes| bytes.starts_with(b"\x89PNG") && String::from_utf8_lossy(bytes).contains("a dog"),
        senseless: vec![
            json!({"steps": "many"}),
            json!({"sede": 1}),
            json!({"sampler": 3}),
            json!({"prompt": "twice"}),
        ],
        never: "text.summarize",
    };
    let asked = Asked { log: Box::new(move || server.log()), harmless: LOOKS };
    conform(&Subject { adapter, model: MODEL, work, unload_behind_its_back: None, asked: Some(asked) }).await;
}

#[tokio::test]
async fn quirk_1_a_prompt_that_was_taken_may_still_fail() {
    let (_server, app, adapter) = double().await;
    app.change(|has| has.fails = Some(("ValueError", "shapes differ")));
    let error = run(&adapter, picture(json!({}))).await.unwrap_err();
    assert_eq!(error.fault, Fault::RuntimeError);
    assert!(error.message.contains("KSampler (node 3)") && error.words.unwrap().contains("shapes differ"));
    // Some outputs dropped, the rest done: that is told, and no failure.
    let errors =
        json!([{"type": "required_input_missing", "message": "Required input is missing", "details": "images"}]);
    app.change(|has| {
        (has.fails, has.node_errors) = (None, json!({"12": {"errors": errors, "class_type": "PreviewImage"}}))
    });
    let (outcome, lines) = told(&adapter, picture(json!({}))).await;
    assert!(outcome.is_ok());
    assert!(lines.iter().any(|line| line.contains("will not be made: PreviewImage 12: Required input")), "{lines:?}");
}

#[tokio::test]
async fn quirk_2_the_socket_is_open_before_the_prompt_is_handed_over_and_its_course_is_told() {
    let (server, _app, adapter) = double().await;
    let (outcome, lines) = told(&adapter, picture(json!({"seed": 5}))).await;
    let outcome = outcome.unwrap();
    let log = server.log();
    let at = |path: &str| log.iter().position(|(_, asked)| asked == path).unwrap();
    assert!(at("/ws") < at("/prompt"), "{log:?}");
    let begun = ["it begins", "sampler", "sampler: 50 % (1 of 2)", "sampler: 100 % (2 of 2)"];
    assert_eq!(lines[..4], begun, "{lines:?}");
    assert_eq!((outcome.figures["seed"], outcome.figures["generation_ms"]), (5.0, 2500.0));
    assert!(outcome.prompt.unwrap().contains("\"seed\":5"), "the graph as it was sent");
    let sent = &posts(&server, "/prompt")[0];
    assert_eq!(sent["prompt"]["6"]["inputs"]["text"], "a dog");
    assert!(sent["client_id"].is_string() && sent["prompt_id"].is_string());
}

#[tokio::test]
async fn quirk_2_without_a_socket_it_is_asked_until_it_has_ended() {
    let (_server, app, adapter) = double().await;
    app.change(|has| has.is_mute = true);
    let (outcome, lines) = told(&adapter, picture(json!({}))).await;
    assert!(outcome.is_ok() && lines[0].contains("opens no WebSocket"), "{lines:?}");
    // One that closes half-way is opened again.
    app.change(|has| has.is_mute = false);
    let work = async {
        app.change(|has| has.works = true);
        app.until(|has| has.running.is_some()).await;
        app.change(Has::close_sockets);
        app.until(|has| has.clients() == 1).await;
        app.change(|has| has.works = false);
    };
    let ((outcome, lines), ()) = tokio::join!(told(&adapter, picture(json!({}))), in_time(work));
    assert!(outcome.is_ok() && lines.iter().any(|line| line.contains("WebSocket closed")), "{lines:?}");
}

#[tokio::test]
async fn quirk_3_memory_is_given_up_after_a_task_and_never_under_the_prompts_of_others() {
    let (server, app, adapter) = double().await;
    let (_, lines) = told(&adapter, picture(json!({}))).await;
    assert_eq!(posts(&server, "/free"), [json!({"unload_models": true, "free_memory": true})]);
    assert!(lines.iter().any(|line| line == "it gave up 4.0 GiB of GPU memory"), "{lines:?}");
    let other = async {
        app.until(|has| has.running.is_some()).await;
        app.change(|has| {
            has.waits = true;
            has.queue("other", Some("somebody"));
            has.works = false;
        });
    };
    app.change(|has| has.works = true);
    let ((outcome, lines), ()) = tokio::join!(told(&adapter, picture(json!({}))), in_time(other));
    assert!(outcome.is_ok() && lines.iter().any(|line| line.contains("1 prompt of others")), "{lines:?}");
    assert_eq!(posts(&server, "/free").len(), 1);
    // Unless it is told to keep what it has.
    let (server, _app) = start(Has::new()).await;
    let keeps = adapter_with(&server, "2s", json!({"freeAfter": false, "workflows": {"image.gen": workflow()}}));
    run(&keeps, picture(json!({}))).await.unwrap();
    assert!(posts(&server, "/free").is_empty());
}

#[tokio::test]
async fn quirk_4_every_post_has_a_body() {
    for has_jobs in [true, false] {
        let (server, app, adapter) = double().await;
        app.change(|has| has.has_jobs = has_jobs);
        run(&adapter, picture(json!({}))).await.unwrap();
        let task = running(&app, &adapter, picture(json!({}))).await;
        task.abort();
        in_time(app.until(|has| has.running.is_none() && has.torch_bytes == 0)).await;
        let posts: Vec<_> = server.asked().into_iter().filter(|asked| asked.method == "POST").collect();
        assert!(posts.iter().all(|post| post.json().is_object()), "{posts:?}");
    }
}

#[tokio::test]
async fn quirk_5_a_task_that_is_dropped_is_taken_back_by_its_id_and_nobody_elses_is() {
    for has_jobs in [true, false] {
        let (server, app, adapter) = double().await;
        app.change(|has| has.has_jobs = has_jobs);
        let task = running(&app, &adapter, picture(json!({}))).await;
        let id = app.read(|has| has.running.as_ref().unwrap().id.clone());
        task.abort();
        in_time(app.until(|has| has.history.contains_key(&id))).await;
        let how = app.read(|has| has.history[&id]["status"]["messages"][2][0].clone());
        assert_eq!(how, "execution_interrupted", "jobs: {has_jobs}");
        assert_eq!(posts(&server, "/interrupt").is_empty(), has_jobs);
        assert!(posts(&server, "/interrupt").iter().all(|body| body["prompt_id"] == id));

        // Waiting behind somebody else's, ours goes and theirs stays.
        let (server, app, adapter) = double().await;
        app.change(|has| (has.has_jobs, has.works) = (has_jobs, true));
        app.change(|has| has.queue("other", None));
        in_time(app.until(|has| has.running.is_some())).await;
        let waiting = adapter.clone();
        let task = tokio::spawn(async move { drop(waiting.run(picture(json!({})), Progress::ignored()).await) });
        in_time(app.until(|has| has.pending.len() == 1)).await;
        task.abort();
        in_time(app.until(|has| has.pending.is_empty())).await;
        assert!(app.read(|has| has.running.is_some() && !has.interrupted), "jobs: {has_jobs}");
        assert!(posts(&server, "/interrupt").is_empty());
    }
}

#[tokio::test]
async fn quirk_6_the_place_in_the_queue_is_counted_in_the_order_in_which_it_runs() {
    let (_server, app, adapter) = double().await;
    app.change(|has| {
        (has.waits, has.is_mute) = (true, true);
        ["o1", "o2", "o3"].iter().for_each(|id| has.queue(id, None));
    });
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let (into, shared) = (seen.clone(), app.clone());
    let progress = Progress::new(move |line| {
        into.lock().unwrap().push(line.to_owned());
        if line.contains("before it") {
            shared.change(|has| has.waits = false);
        }
    });
    in_time(adapter.run(picture(json!({})), progress)).await.unwrap();
    let lines = seen.lock().unwrap().clone();
    assert!(lines.contains(&"waits in its queue, 3 before it".to_owned()), "{lines:?}");
}

#[tokio::test]
async fn quirk_7_what_runs_and_what_waits_are_told_apart() {
    let (_server, app, adapter) = double().await;
    app.change(|has| {
        has.works = true;
        ["o1", "o2", "o3"].iter().for_each(|id| has.queue(id, None));
    });
    in_time(app.until(|has| has.running.is_some())).await;
    let view = in_time(adapter.observe()).await.unwrap();
    assert_eq!((view.in_flight, view.queued, view.version.as_deref()), (Some(1), Some(2), Some("0.38.1")));
    assert!(!format!("{view:?}").contains("s3cret"), "{view:?}");
    // Nothing tells what is loaded.
    let names: Vec<_> = view.models.iter().map(|model| (model.name.as_str(), model.state)).collect();
    assert_eq!(names, [(MODEL, ModelState::Unknown), ("checkpoints/xl/b.safetensors", ModelState::Unknown)]);
    let mut events = in_time(adapter.events()).await.unwrap();
    assert_eq!(in_time(events.next()).await, Some(Ok(RuntimeEvent::Changed)));
    in_time(app.until(|has| has.clients() == 1)).await;
    app.change(Has::tell_status);
    loop {
        match in_time(events.next()).await.unwrap().unwrap() {
            RuntimeEvent::InFlight(3) => break,
            RuntimeEvent::InFlight(0) => {}
            other => panic!("{other:?}"),
        }
    }
    app.change(Has::close_sockets);
    assert_eq!(in_time(events.next()).await, None);
}

#[tokio::test]
async fn quirk_8_a_restart_loses_the_prompt_and_that_is_said() {
    let (_server, app, adapter) = double().await;
    app.change(|has| has.works = true);
    let restart = async {
        app.until(|has| has.running.is_some()).await;
        app.change(Has::restart);
    };
    let (outcome, ()) = tokio::join!(run(&adapter, picture(json!({}))), in_time(restart));
    let error = outcome.unwrap_err();
    assert!(error.fault == Fault::RuntimeError && error.message.contains("it was restarted"), "{error}");
}

#[tokio::test]
async fn quirk_9_identical_prompts_come_from_the_cache_so_a_seed_is_chosen_and_recorded() {
    let (server, _app) = start(Has::new()).await;
    let adapter = adapter_with(&server, "2s", json!({"freeAfter": false, "workflows": {"image.gen": workflow()}}));
    let first = run(&adapter, picture(json!({}))).await.unwrap();
    let second = run(&adapter, picture(json!({}))).await.unwrap();
    assert_ne!(first.figures["seed"], second.figures["seed"]);
    assert_ne!(first.outputs[0].bytes, second.outputs[0].bytes);
    let again = run(&adapter, picture(json!({"seed": second.figures["seed"] as u64}))).await.unwrap();
    assert_eq!((again.figures["cached_nodes"], &again.outputs), (2.0, &second.outputs));
}

#[tokio::test]
async fn quirk_10_memory_that_runs_out_is_a_fault_of_its_own() {
    let (_server, app, adapter) = double().await;
    app.change(|has| {
        has.fails = Some(("torch.OutOfMemoryError", "Allocation on device 0 would exceed allowed memory."))
    });
    assert_eq!(run(&adapter, picture(json!({}))).await.unwrap_err().fault, Fault::OutOfMemory);
}

#[tokio::test]
async fn quirk_12_the_queue_is_the_health_check_and_devices_that_do_not_answer_degrade_it() {
    let (server, _app, adapter) = double().await;
    server.misbehave("GET /system_stats", Mood::Fails);
    let view = in_time(adapter.observe()).await.unwrap();
    assert!(view.degraded.as_deref().is_some_and(|why| why.contains("devices")) && view.version.is_none(), "{view:?}");
    server.misbehave("GET /queue", Mood::Fails);
    assert!(in_time(adapter.observe()).await.is_err());
    drop(server);
    assert_eq!(in_time(adapter.observe()).await.unwrap_err().fault, Fault::Unreachable);
}

#[tokio::test]
async fn quirk_13_a_custom_node_that_breaks_the_schemas_breaks_nothing_here() {
    let (server, _app, adapter) = double().await;
    for path in ["GET /object_info", "GET /object_info/KSampler", "GET /features", "GET /embeddings"] {
        server.misbehave(path, Mood::Fails);
    }
    assert_eq!(in_time(adapter.observe()).await.unwrap().degraded, None);
    assert!(run(&adapter, picture(json!({}))).await.is_ok());
}

#[tokio::test]
async fn quirk_14_the_schemas_of_nodes_which_are_megabytes_are_never_asked_for() {
    let (server, _app, adapter) = double().await;
    in_time(adapter.observe()).await.unwrap();
    run(&adapter, picture(json!({}))).await.unwrap();
    run(&adapter, picture(json!({"sampler": "eular"}))).await.unwrap_err();
    assert!(server.log().iter().all(|(_, path)| !path.contains("object_info")));
}

#[tokio::test]
async fn quirk_15_a_workflow_file_comes_with_the_task_and_must_be_in_the_api_format() {
    let (server, _app) = start(Has::new()).await;
    let option =
        json!({"file": "workflows/cat.json", "inputs": {"prompt": "6.inputs.text", "image": "9.filename_prefix"}});
    let adapter = adapter_with(&server, "2s", json!({"workflows": {"image.gen": option}}));
    assert_eq!(adapter.reads("image.gen"), Some("workflows/cat.json"));
    let task = |bytes: &[u8]| Invocation {
        model: None,
        files: vec![file("photo.jpg", b"\xff\xd8\xff"), file("workflows/cat.json", bytes)],
        ..picture(json!({}))
    };
    let outcome = run(&adapter, task(graph().to_string().as_bytes())).await.unwrap();
    assert_eq!(outcome.outputs[0].name, "image.png");
    let sent = &posts(&server, "/prompt")[0]["prompt"]["9"]["inputs"]["filename_prefix"];
    assert!(sent.as_str().is_some_and(|name| name.starts_with("arcology/") && name.ends_with(".jpg")), "{sent}");
    for (bytes, why) in [
        (&br#"{"nodes": [], "links": []}"#[..], "Export (API)"),
        (br#"{"6": {"class_type": "X", "inputs": {"txet": "", "filename_prefix": ""}}}"#, "there is no node `9`"),
        (b"no json", "not JSON"),
    ] {
        let error = run(&adapter, task(bytes)).await.unwrap_err();
        assert!(error.fault == Fault::BadInput && error.message.contains(why), "{error}");
    }
}

#[tokio::test]
async fn what_is_not_installed_is_told_from_what_is_wrong() {
    let (server, _app) = start(Has::new()).await;
    for (node, place, value, fault, why) in [
        ("4", "ckpt_name", "gone.safetensors", Fault::NotFound, "model `gone.safetensors` is not installed"),
        ("3", "sampler_name", "eular", Fault::BadInput, "wrong inputs"),
    ] {
        let mut graph = graph();
        graph[node]["inputs"][place] = json!(value);
        let options = json!({"workflows": {"image.gen": {"workflow": graph, "inputs": {"prompt": "6.text"}}}});
        let adapter = adapter_with(&server, "2s", options);
        let task = Invocation { model: None, ..picture(json!({})) };
        let error = run(&adapter, task).await.unwrap_err();
        assert!(error.fault == fault && error.message.contains(why), "{error}");
        assert!(error.words.unwrap().contains(value));
    }
    let graph = json!({"9": {"class_type": "MissingSaver", "inputs": {}}});
    let adapter = adapter_with(&server, "2s", json!({"workflows": {"video.gen": {"workflow": graph}}}));
    let task = Invocation { text: None, model: None, capability: "video.gen".to_owned(), ..picture(json!({})) };
    let error = run(&adapter, task).await.unwrap_err();
    assert!(error.fault == Fault::NotFound && error.message.contains("custom node"), "{error}");
}

#[tokio::test]
async fn old_versions_choose_the_id_and_outputs_that_are_broken_are_told() {
    let (_server, app, adapter) = double().await;
    app.change(|has| has.names_prompts = true);
    assert!(run(&adapter, picture(json!({}))).await.is_ok());
    app.change(|has| has.bytes = Some(b"<html>"));
    let error = run(&adapter, picture(json!({}))).await.unwrap_err();
    assert!(error.fault == Fault::RuntimeError && error.message.contains("is broken"), "{error}");
    app.change(|has| has.bytes = Some(b"\0\0\0\x20ftypisom"));
    assert_eq!(run(&adapter, picture(json!({}))).await.unwrap().outputs[0].name, "video.mp4");
}

#[tokio::test]
async fn the_course_of_other_prompts_is_not_told_as_ours() {
    let (_server, app, adapter) = double().await;
    // Ours waits behind one without a client, whose progress and end reach everybody.
    app.change(|has| {
        (has.works, has.waits) = (true, true);
        has.queue("other", None);
    });
    let others = async {
        app.until(|has| has.pending.len() == 2).await;
        app.change(|has| has.waits = false);
        app.until(|has| has.running.is_some()).await;
        app.change(|has| (has.interrupted, has.works) = (true, false));
    };
    let ((outcome, lines), ()) = tokio::join!(told(&adapter, picture(json!({}))), in_time(others));
    assert!(outcome.is_ok(), "{outcome:?}");
    assert_eq!(lines.iter().filter(|line| line.contains("(1 of 2)")).count(), 1, "{lines:?}");
    assert!(!lines[0].contains("of 2"), "{lines:?}");
}

#[tokio::test]
async fn on_a_bad_day_every_look_ends_in_an_error_that_names_the_place() {
    for mood in Mood::ALL {
        let (server, _app) = start(Has::new()).await;
        let adapter = adapter_with(&server, "1s", json!({"workflows": {"image.gen": workflow()}}));
        server.misbehave("*", mood);
        match in_time(adapter.observe()).await {
            // Answers are read as JSON, whatever their type is said to be.
            Ok(_) => assert_eq!(mood, Mood::WrongType),
            Err(error) => assert!(
                error.message.contains(&server.address.to_string()) || error.message.contains("/queue"),
                "{mood:?}: {error}"
            ),
        }
        let outcome = run(&adapter, picture(json!({}))).await;
        assert!(mood == Mood::WrongType || outcome.is_err(), "{mood:?}");
        server.behave();
        assert!(in_time(adapter.observe()).await.is_ok(), "{mood:?}");
    }
}
