//! What is seen of a ComfyUI: its queue, its models, its health, and that nothing else is asked for.

use arcology::act::runtime::{Fault, RuntimeEvent};
use arcology::decide::view::ModelState;
use futures::StreamExt as _;
use serde_json::json;

use crate::double::comfyui::Has;
use crate::double::server::Mood;

use super::{MODEL, double, in_time, picture, run};

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
