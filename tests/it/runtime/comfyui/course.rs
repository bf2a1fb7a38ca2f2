//! The way of a prompt through the queue of a ComfyUI: handed over, followed, taken back, lost.

use std::sync::{Arc, Mutex};

use arcology::act::runtime::{Fault, Progress};
use serde_json::json;

use crate::double::comfyui::Has;

use super::{double, in_time, picture, posts, run, running, told};

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
