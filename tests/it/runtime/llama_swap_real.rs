//! The real llama-swap, where there is one: `ARCOLOGY_LLAMA_SWAP` names the program, and `ARCOLOGY_SIMPLE_RESPONDER` its
//! `simple-responder`, which stands for the processes of the models. What the models answer comes from the test, because
//! that responder does not stream as a model server does. Everything listens on loopback and ends with the test.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arcology::act::http::{Client, Options, Request};
use arcology::act::runtime::{Adapter, Fault, Progress, RuntimeEvent};
use arcology::decide::view::ModelState;
use axum::Router;
use axum::body::Body;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse as _;
use axum::routing::{get, post};
use futures::{FutureExt as _, StreamExt as _};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::conformance::{Subject, Work, conform_for_real};
use super::real::{self, free_port};
use super::{adapter, in_time, invocation, spec, text_of_run};

/// How long the program may take to listen.
const START: Duration = Duration::from_secs(30);

/// How often it is looked whether the program has started or ended.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A running llama-swap. It is asked to end when it is dropped, so that it takes its models along.
pub struct RealSwap {
    pub endpoint: String,
    child: Child,
    _folder: TempDir,
    model_server: tokio::task::JoinHandle<()>,
}

impl Drop for RealSwap {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let asked = Instant::now();
        while asked.elapsed() < START && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(LOOK_EVERY);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.model_server.abort();
    }
}

/// The two programs, or none and a line that says so.
pub fn programs() -> Option<(PathBuf, PathBuf)> {
    let [swap, responder] = real::find("llama-swap", ["ARCOLOGY_LLAMA_SWAP", "ARCOLOGY_SIMPLE_RESPONDER"])?;
    Some((swap, responder))
}

/// What a model server answers: a chat, streamed, or an error when it is asked for nonsense.
async fn answer_chat(body: String) -> axum::response::Response {
    let asked: Value = serde_json::from_str(&body).unwrap();
    if asked["temperature"] == json!(99) {
        let error =
            json!({"error": {"code": 400, "message": "temperature makes no sense", "type": "invalid_request_error"}});
        return (StatusCode::BAD_REQUEST, [(header::CONTENT_TYPE, "application/json")], error.to_string())
            .into_response();
    }
    let event = |value: Value| Ok::<_, std::convert::Infallible>(format!("data: {value}\n\n"));
    let mut events = vec![event(json!({"choices": [{"delta": {"content": "A real "}}]}))];
    let holds = asked["seed"] == json!(404);
    events.extend([
        event(json!({"choices": [{"delta": {"content": "answer."}, "finish_reason": "stop"}]})),
        event(json!({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}})),
        Ok("data: [DONE]\n\n".to_owned()),
    ]);
    let events = futures::stream::iter(if holds { events.into_iter().take(1).collect() } else { events });
    let body =
        if holds { Body::from_stream(events.chain(futures::stream::pending())) } else { Body::from_stream(events) };
    ([(header::CONTENT_TYPE, "text/event-stream")], body).into_response()
}

async fn model_server() -> (SocketAddr, tokio::task::JoinHandle<()>) {
    let vectors = json!({"data": [{"index": 0, "embedding": [0.25, 0.5]}], "usage": {"prompt_tokens": 1}}).to_string();
    let router = Router::new()
        .route("/health", get(async || "OK"))
        .route("/v1/chat/completions", post(answer_chat))
        .route("/v1/embeddings", post(async move || ([(header::CONTENT_TYPE, "application/json")], vectors)));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (address, tokio::spawn(async move { axum::serve(listener, router).await.unwrap() }))
}

fn config(responder: &Path, models: SocketAddr) -> String {
    let command = |port: u16| format!("{} --silent --port {port}", responder.display());
    let model = |port| json!({"cmd": command(port), "proxy": format!("http://{models}"), "aliases": []});
    let mut all = json!({
        "org/qwen:7b": model(free_port()),
        "hidden": model(free_port()),
        "broken": {"cmd": "/bin/false", "proxy": "http://127.0.0.1:9"},
        "shows": {"cmd": "/bin/false", "proxy": "http://127.0.0.1:9", "sendLoadingState": true},
        "busy": model(free_port()),
    });
    all["org/qwen:7b"]["aliases"] = json!(["gpt-4o-mini"]);
    all["hidden"]["unlisted"] = json!(true);
    all["busy"]["concurrencyLimit"] = json!(1);
    let peers = json!({"box2": {"proxy": "http://127.0.0.1:9", "models": ["far"]}});
    json!({"healthCheckTimeout": 15, "logLevel": "info", "models": all, "peers": peers, "startPort": free_port()})
        .to_string()
}

/// A llama-swap that runs, and its adapter.
pub type Started = (RealSwap, Arc<dyn Adapter>);

pub async fn start(llama_swap: &Path, responder: &Path) -> Started {
    start_at(llama_swap, responder, free_port()).await
}

/// On a port of the test's choice, for a program that comes back where it was.
async fn start_at(llama_swap: &Path, responder: &Path, port: u16) -> (RealSwap, Arc<dyn Adapter>) {
    let folder = tempfile::tempdir().unwrap();
    let (models, server) = model_server().await;
    let config_file = folder.path().join("config.yaml");
    // JSON is YAML.
    std::fs::write(&config_file, config(responder, models)).unwrap();
    let listen = format!("127.0.0.1:{port}");
    let log = std::fs::File::create(folder.path().join("log")).unwrap();
    let child = Command::new(llama_swap)
        .args(["-config", config_file.to_str().unwrap(), "-listen", &listen])
        .stdout(Stdio::from(log.try_clone().unwrap()))
        .stderr(Stdio::from(log))
        .spawn()
        .unwrap();
    let endpoint = format!("http://{listen}");
    let swap = RealSwap { endpoint: endpoint.clone(), child, _folder: folder, model_server: server };
    let timeouts = json!({"connect": "20s", "load": "40s", "run": "40s"});
    let adapter =
        adapter(Path::new("/nowhere"), &spec("llama-swap", json!({"endpoint": endpoint, "timeouts": timeouts})))
            .unwrap();
    let asked = Instant::now();
    while adapter.observe().await.is_err() {
        assert!(asked.elapsed() < START, "llama-swap does not listen on {listen}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
    (swap, adapter)
}

/// Asks llama-swap itself, without the adapter.
fn directly(swap: &RealSwap) -> Client {
    let total = Duration::from_secs(40);
    Client::new(&swap.endpoint, Options { connect: total, total, body_bytes_max: 1_000_000, token_file: None }).unwrap()
}

#[tokio::test]
async fn the_real_llama_swap_conforms() {
    let Some((llama_swap, responder)) = programs() else { return };
    let (swap, adapter) = start(&llama_swap, &responder).await;
    let view = adapter.observe().await.unwrap();
    real::driven("llama-swap", &view.version.unwrap_or_default());
    let client = directly(&swap);
    conform_for_real(&Subject {
        adapter,
        model: "org/qwen:7b",
        work: Work::summary(),
        unload_behind_its_back: Some(Box::new(move || {
            let client = client.clone();
            async move { assert_eq!(client.send(Request::post("/api/models/unload")).await.unwrap().status, 200) }
                .boxed()
        })),
        asked: None,
    })
    .await;
}

#[tokio::test]
async fn the_real_llama_swap_shows_the_quirks_that_the_double_shows() {
    let Some((llama_swap, responder)) = programs() else { return };
    let (_swap, adapter) = start(&llama_swap, &responder).await;
    let state = async |model: &str| in_time(adapter.observe()).await.unwrap().model(model).map(|model| model.state);

    // Quirks 11 and 13: unlisted models and peers, whose models carry the peer's name since v242.
    let view = in_time(adapter.observe()).await.unwrap();
    let peer = ["box2/far", "far"].into_iter().find_map(|name| view.model(name)).unwrap();
    assert_eq!((view.model("hidden").unwrap().state, peer.state), (ModelState::Unloaded, ModelState::Unknown));
    in_time(adapter.load("hidden")).await.unwrap();
    assert_eq!(state("hidden").await, Some(ModelState::Loaded));
    assert_eq!(in_time(adapter.load(&peer.name)).await.unwrap_err().fault, Fault::BadInput);

    // An alias leads to the model, whose load swaps the other out.
    in_time(adapter.load("gpt-4o-mini")).await.unwrap();
    assert_eq!(
        (state("org/qwen:7b").await, state("hidden").await),
        (Some(ModelState::Loaded), Some(ModelState::Unloaded))
    );

    // Quirk 8: llama-swap's own error, a model's own error, and an error inside a 200.
    let error = in_time(adapter.load("broken")).await.unwrap_err();
    assert!(error.fault == Fault::RuntimeError && error.words.as_deref().unwrap().contains("exited"), "{error}");
    let nonsense = invocation("text.generate", Some("org/qwen:7b"), "x", json!({"temperature": 99}));
    let error = text_of_run(&adapter, nonsense).await.unwrap_err();
    assert_eq!((error.fault, error.words.as_deref()), (Fault::BadInput, Some("temperature makes no sense")));
    let error = text_of_run(&adapter, invocation("text.generate", Some("shows"), "x", json!({}))).await.unwrap_err();
    assert!(error.fault == Fault::RuntimeError && error.words.as_deref().unwrap().contains("exited"), "{error}");

    let vectors = text_of_run(&adapter, invocation("text.embed", Some("org/qwen:7b"), "x", json!({}))).await.unwrap();
    assert!(vectors.contains("[0.25,0.5]"), "{vectors}");
}

#[tokio::test]
async fn the_real_llama_swap_tells_what_is_in_flight_refuses_more_and_lets_go_of_dropped_work() {
    let Some((llama_swap, responder)) = programs() else { return };
    let (_swap, adapter) = start(&llama_swap, &responder).await;
    let mut events = in_time(adapter.events()).await.unwrap();
    let mut wait_for =
        async |wanted| while in_time(events.next()).await.unwrap().unwrap() != RuntimeEvent::InFlight(wanted) {};
    wait_for(0).await;
    let task = |seed: u32| invocation("text.generate", Some("busy"), "x", json!({"seed": seed}));
    let mut held = adapter.run(task(404), Progress::ignored());
    tokio::select! {
        outcome = &mut held => panic!("{outcome:?}"),
        () = wait_for(1) => {}
    }
    // Quirk 9: one is allowed, one is there.
    let error = text_of_run(&adapter, task(1)).await.unwrap_err();
    assert_eq!((error.fault, error.retry_after), (Fault::Busy, Some(Duration::from_secs(1))), "{error}");
    drop(held);
    wait_for(0).await;
    assert_eq!(text_of_run(&adapter, task(1)).await.unwrap(), "A real answer.\n");
}

#[tokio::test]
async fn the_real_llama_swap_lists_a_run_and_measures_its_machine() {
    let Some((llama_swap, responder)) = programs() else { return };
    let (_swap, adapter) = start(&llama_swap, &responder).await;
    let task = || invocation("text.generate", Some("org/qwen:7b"), "x", json!({}));
    for _ in 0..2 {
        let outcome = in_time(adapter.run(task(), Progress::ignored())).await.unwrap();
        assert_eq!((outcome.figures["prompt_tokens"], outcome.figures["tokens"]), (3.0, 2.0));
        assert!(outcome.figures["runtime_ms"] >= 0.0, "{:?}", outcome.figures);
    }
    // The first sample comes after some seconds; whether there is a graphics card is the machine's business.
    let sample = in_time(async {
        loop {
            match adapter.machine().await.unwrap().and_then(|sample| sample.host) {
                Some(host) => return host,
                None => tokio::time::sleep(Duration::from_millis(200)).await,
            }
        }
    })
    .await;
    assert!(sample.1.ram_total_gb > 0.1 && sample.1.ram_used_gb <= sample.1.ram_total_gb, "{sample:?}");
}

#[tokio::test]
async fn the_real_llama_swap_is_told_to_cancel_and_lists_what_is_in_flight() {
    let Some((llama_swap, responder)) = programs() else { return };
    let (_swap, adapter) = start(&llama_swap, &responder).await;
    let mut events = in_time(adapter.events()).await.unwrap();
    let mut wait_for =
        async |wanted| while in_time(events.next()).await.unwrap().unwrap() != RuntimeEvent::InFlight(wanted) {};
    wait_for(0).await;
    let mut held =
        adapter.run(invocation("text.generate", Some("org/qwen:7b"), "x", json!({"seed": 404})), Progress::ignored());
    tokio::select! {
        outcome = &mut held => panic!("{outcome:?}"),
        () = wait_for(1) => {}
    }
    let view = in_time(adapter.observe()).await.unwrap();
    // Up to v234 only their number is told.
    if let Some(works) = &view.works {
        assert_eq!((works[0].model.as_str(), works[0].path.as_str()), ("org/qwen:7b", "/v1/chat/completions"));
        assert!(
            works[0].since.is_some() && view.works_of("gpt-4o-mini") == Some(1) && view.works_of("busy") == Some(0)
        );
    }
    drop(held);
    wait_for(0).await;
    in_time(adapter.unload("org/qwen:7b")).await.unwrap();
}

#[tokio::test]
async fn a_restart_of_the_real_llama_swap_is_a_gap() {
    let Some((llama_swap, responder)) = programs() else { return };
    let port = free_port();
    let (swap, adapter) = start_at(&llama_swap, &responder, port).await;
    let task = || invocation("text.generate", Some("org/qwen:7b"), "x", json!({}));
    text_of_run(&adapter, task()).await.unwrap();
    drop(in_time(adapter.events()).await.unwrap());
    text_of_run(&adapter, task()).await.unwrap();
    // What happened meanwhile is listed: no gap.
    let mut events = in_time(adapter.events()).await.unwrap();
    while in_time(events.next()).await.unwrap().unwrap() != RuntimeEvent::InFlight(0) {}
    drop(swap);
    while let Some(event) = in_time(events.next()).await {
        assert!(!matches!(event, Ok(RuntimeEvent::Gap { .. })), "{event:?}");
    }
    let (_swap, _) = start_at(&llama_swap, &responder, port).await;
    let mut events = in_time(adapter.events()).await.unwrap();
    assert_eq!(in_time(events.next()).await.unwrap().unwrap(), RuntimeEvent::Gap { missed: None });
}
