//! llama.cpp's own `llama-server` as a router, where there is one (`ARCOLOGY_REAL_LLAMA_ROUTER`): it loads and unloads, one model
//! at a time (`--models-max 1`), the two models that `llama_server_real.rs` serves alone, and one that is broken.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use arcology::act::http::Request;
use arcology::act::runtime::{Adapter, Fault, Invocation, Progress, RuntimeEvent};
use arcology::decide::view::{ModelState, RuntimeView};
use futures::{FutureExt as _, StreamExt as _};
use serde_json::json;

use super::conformance::{Subject, Work, conform_for_real};
use super::real::{self, Server, until};
use super::{adapter, in_time, invocation, spec, text_of_run};

const NAME: &str = "llama-server as a router";
const TINY: &str = "tiny";
const SLOW: &str = "slow";
const BROKEN: &str = "broken";

struct Programs {
    router: PathBuf,
    tiny: PathBuf,
    slow: PathBuf,
}

fn programs() -> Option<Programs> {
    let variables = ["ARCOLOGY_REAL_LLAMA_ROUTER", "ARCOLOGY_REAL_TINY_MODEL", "ARCOLOGY_REAL_SLOW_MODEL"];
    let [router, tiny, slow] = real::find(NAME, variables)?;
    Some(Programs { router, tiny, slow })
}

/// A router that has loaded nothing yet.
async fn started(programs: &Programs, more: &[&str]) -> (Server, Arc<dyn Adapter>) {
    let command = |port: u16, folder: &Path| {
        let models = folder.join("models");
        std::fs::create_dir(&models).unwrap();
        for (name, file) in [(TINY, &programs.tiny), (SLOW, &programs.slow)] {
            std::fs::copy(file, models.join(format!("{name}.gguf"))).unwrap();
        }
        std::fs::write(models.join(format!("{BROKEN}.gguf")), b"GGUF, but not really").unwrap();
        let mut command = Command::new(&programs.router);
        // One thread, because its threads spin while they wait.
        command.args(["--host", "127.0.0.1", "--models-max", "1", "--metrics", "--threads", "1", "--ctx-size", "2048"]);
        command.args(["--port", &port.to_string()]).arg("--models-dir").arg(models).args(more);
        command.env("LLAMA_CACHE", folder.join("cache")).env("HOME", folder);
        command
    };
    let server = Server::ready(command, "/health").await;
    real::driven(NAME, &real::version(&programs.router, "--version"));
    let limits = json!({"connect": "20s", "load": "50s", "run": "50s"});
    let more = json!({"endpoint": server.endpoint, "timeouts": limits});
    let adapter = adapter(Path::new("/nowhere"), &spec("llama-server", more)).unwrap();
    (server, adapter)
}

/// A chat of exactly so many tokens.
fn chat(model: &str, tokens: u32) -> Invocation {
    let params = json!({"max_tokens": tokens, "ignore_eos": true, "seed": 7});
    invocation("text.generate", Some(model), "Say something.", params)
}

async fn states(adapter: &Arc<dyn Adapter>) -> [ModelState; 2] {
    let view = in_time(adapter.observe()).await.unwrap();
    [TINY, SLOW].map(|model| view.model(model).unwrap_or_else(|| panic!("no {model}: {view:?}")).state)
}

#[tokio::test]
async fn the_real_router_conforms() {
    let Some(programs) = programs() else { return };
    let (server, adapter) = started(&programs, &[]).await;
    let params = json!({"max_words": 40, "max_tokens": 64, "ignore_eos": true, "seed": 7});
    let work = Work { params, ..Work::summary() };
    let (client, looks) = (server.client(), adapter.clone());
    let unload = move || {
        let (client, looks) = (client.clone(), looks.clone());
        async move {
            let answer = client.send(Request::post("/models/unload").json(&json!({"model": TINY}))).await.unwrap();
            assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
            let gone = |view: &RuntimeView| view.model(TINY).is_some_and(|model| model.state == ModelState::Unloaded);
            until(&looks, "it is unloaded behind its back", gone).await;
        }
        .boxed()
    };
    let unload_behind_its_back: Option<Box<dyn Fn() -> _>> = Some(Box::new(unload));
    conform_for_real(&Subject { adapter, model: TINY, work, unload_behind_its_back, asked: None }).await;
}

#[tokio::test]
async fn the_real_router_has_one_model_at_a_time_and_evicts_for_a_load_and_for_work() {
    use ModelState::{Loaded, Unloaded};
    let Some(programs) = programs() else { return };
    let (_server, adapter) = started(&programs, &[]).await;
    assert_eq!(states(&adapter).await, [Unloaded, Unloaded]);
    in_time(adapter.load(TINY)).await.unwrap();
    assert_eq!(states(&adapter).await, [Loaded, Unloaded]);
    let view = in_time(adapter.observe()).await.unwrap();
    assert!(view.version.as_deref().is_some_and(|version| !version.is_empty()), "{view:?}");
    assert_eq!((view.in_flight, view.queued, view.degraded.as_deref()), (Some(0), Some(0), None));
    assert!(view.model(TINY).unwrap().context_tokens.is_some(), "{view:?}");
    // A load evicts.
    in_time(adapter.load(SLOW)).await.unwrap();
    assert_eq!(states(&adapter).await, [Unloaded, Loaded]);
    // So does work, and its figures are the server's own.
    let outcome = in_time(adapter.run(chat(TINY, 16), Progress::ignored())).await.unwrap();
    assert_eq!(states(&adapter).await, [Loaded, Unloaded]);
    for name in ["tokens", "tokens_per_s", "prompt_tokens", "time_to_first_token_ms"] {
        assert!(outcome.figures.get(name).is_some_and(|figure| *figure > 0.0), "{name}: {outcome:?}");
    }
    in_time(adapter.unload(TINY)).await.unwrap();
    assert_eq!(states(&adapter).await, [Unloaded, Unloaded]);
    // Both are so already.
    in_time(adapter.unload(TINY)).await.unwrap();
    in_time(adapter.load(SLOW)).await.unwrap();
    in_time(adapter.load(SLOW)).await.unwrap();
    assert_eq!(states(&adapter).await, [Unloaded, Loaded]);
}

#[tokio::test]
async fn quirk_2_a_model_that_the_real_router_cannot_load_is_told_with_its_exit_code() {
    let Some(programs) = programs() else { return };
    let (server, adapter) = started(&programs, &[]).await;
    let error = in_time(adapter.load(BROKEN)).await.unwrap_err();
    assert!(error.fault == Fault::RuntimeError && error.message.contains("exit code"), "{error}\n{}", server.log());
    let error = text_of_run(&adapter, chat(BROKEN, 4)).await.unwrap_err();
    assert!(matches!(error.fault, Fault::RuntimeError | Fault::BadInput), "{error}\n{}", server.log());
    // The router and its other models are none the worse.
    in_time(adapter.run(chat(TINY, 4), Progress::ignored())).await.unwrap();
}

#[tokio::test]
async fn the_real_router_without_autoload_is_loaded_for_its_work() {
    let Some(programs) = programs() else { return };
    let (_server, adapter) = started(&programs, &["--no-models-autoload"]).await;
    in_time(adapter.run(chat(TINY, 4), Progress::ignored())).await.unwrap();
    assert_eq!(states(&adapter).await, [ModelState::Loaded, ModelState::Unloaded]);
}

#[tokio::test]
async fn quirk_3_the_real_router_tells_that_a_model_changed_and_quirk_4_knows_no_others() {
    let Some(programs) = programs() else { return };
    let (_server, adapter) = started(&programs, &[]).await;
    for refused in [
        in_time(adapter.load("absent")).await,
        in_time(adapter.unload("absent")).await,
        text_of_run(&adapter, chat("absent", 4)).await.map(|_| ()),
    ] {
        assert_eq!(refused.unwrap_err().fault, Fault::NotFound);
    }
    let mut events = in_time(adapter.events()).await.unwrap();
    // Listening begins with a look.
    assert_eq!(in_time(events.next()).await.unwrap().unwrap(), RuntimeEvent::Changed);
    in_time(adapter.load(TINY)).await.unwrap();
    in_time(events.next()).await.unwrap().unwrap();
}

#[tokio::test]
async fn quirk_14_the_real_router_evicts_nothing_that_works_counts_it_and_lets_go_of_it_when_it_is_dropped() {
    let Some(programs) = programs() else { return };
    // Without the shift a chat ends when its context is full.
    let (_server, adapter) = started(&programs, &["--parallel", "1", "--context-shift"]).await;
    in_time(adapter.load(TINY)).await.unwrap();
    let mut endless = adapter.run(chat(TINY, 10_000_000), Progress::ignored());
    tokio::select! {
        outcome = &mut endless => panic!("{outcome:?}"),
        () = until(&adapter, "it works", |view| view.in_flight == Some(1)) => {}
    }
    let error = in_time(adapter.load(SLOW)).await.unwrap_err();
    assert!(error.fault == Fault::Busy && error.message.contains("--models-max"), "{error}");
    assert_eq!(states(&adapter).await, [ModelState::Loaded, ModelState::Unloaded]);
    drop(endless);
    until(&adapter, "it is free again", |view| view.in_flight == Some(0)).await;
    in_time(adapter.load(SLOW)).await.unwrap();
    assert_eq!(states(&adapter).await, [ModelState::Unloaded, ModelState::Loaded]);
}
