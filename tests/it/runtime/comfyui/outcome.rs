//! What comes of a prompt in a ComfyUI: its outputs, its figures, its memory given up, and how it fails.

use arcology::act::runtime::{Fault, Invocation};
use serde_json::json;

use crate::double::comfyui::{Has, start};

use super::{adapter_with, double, file, graph, in_time, picture, posts, run, told, workflow};

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
async fn all_outputs_of_a_task_together_are_held_to_what_the_options_say() {
    /// A little more than half a megabyte.
    static BYTES: [u8; 600_000] = {
        let mut bytes = [0; 600_000];
        (bytes[0], bytes[1], bytes[2]) = (0xff, 0xd8, 0xff);
        bytes
    };
    let (server, app) = start(Has::new()).await;
    let options = json!({"outputsMb": 1, "workflows": {"image.gen": workflow()}});
    let adapter = adapter_with(&server, "2s", options);
    app.change(|has| has.bytes = Some(&BYTES));
    assert_eq!(run(&adapter, picture(json!({}))).await.unwrap().outputs[0].bytes.len(), BYTES.len());
    app.change(|has| has.pictures = 2);
    let error = run(&adapter, picture(json!({}))).await.unwrap_err();
    // Trying again would make the same.
    assert!(error.fault == Fault::BadInput && error.message.contains("`outputsMb`"), "{error}");
    let adapter = adapter_with(&server, "2s", json!({"outputsMb": 2, "workflows": {"image.gen": workflow()}}));
    assert_eq!(run(&adapter, picture(json!({}))).await.unwrap().outputs.len(), 2);
}
