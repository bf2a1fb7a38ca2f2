//! llama.cpp's own server, where there is one: the suite that its double passes, and what only the real one can show.
//! `ARCOLOGY_REAL_LLAMA_SERVER` names what serves a file, `ARCOLOGY_REAL_TINY_MODEL` a model of random weights, and
//! `ARCOLOGY_REAL_SLOW_MODEL` one that takes a moment to load. What such a model says is noise; nothing here reads it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use arcology::act::runtime::{Adapter, Fault, Invocation, Progress};
use arcology::decide::view::{ModelState, RuntimeView};
use serde_json::{Value, json};

use super::conformance::{Subject, Work, conform_with_one_model};
use super::real::{self, Server, until};
use super::{adapter, in_time, invocation, spec, text_of_run};

const NAME: &str = "llama-server";
/// The name that the model is served as.
const MODEL: &str = "tiny";
/// More than any test waits for.
const ENDLESS_TOKENS: u32 = 10_000_000;
/// How often a start is watched until its loading was seen.
const STARTS_MAX: usize = 10;

pub struct Programs {
    serve: PathBuf,
    tiny: PathBuf,
    slow: PathBuf,
}

pub fn programs() -> Option<Programs> {
    let variables = ["ARCOLOGY_REAL_LLAMA_SERVER", "ARCOLOGY_REAL_TINY_MODEL", "ARCOLOGY_REAL_SLOW_MODEL"];
    let [serve, tiny, slow] = real::find(NAME, variables)?;
    Some(Programs { serve, tiny, slow })
}

fn command(serve: &Path, model: &Path, port: u16, more: &[&str]) -> Command {
    let mut command = Command::new(serve);
    command.args(["--alias", MODEL, "--port", &port.to_string()]).arg("--model").arg(model).args(more);
    command
}

/// A server with the tiny model, ready.
pub async fn started(programs: &Programs, more: &[&str]) -> (Server, Arc<dyn Adapter>) {
    let server = Server::ready(|port, _| command(&programs.serve, &programs.tiny, port, more), "/health").await;
    real::driven(NAME, &real::version(&programs.serve, "--version"));
    let adapter = adapter_of(&server);
    (server, adapter)
}

fn adapter_of(server: &Server) -> Arc<dyn Adapter> {
    let more = json!({"endpoint": server.endpoint, "timeouts": {"connect": "20s", "load": "50s", "run": "50s"}});
    adapter(Path::new("/nowhere"), &spec(NAME, more)).unwrap()
}

/// A chat of exactly so many tokens.
fn chat(tokens: u32) -> Invocation {
    invocation(
        "text.generate",
        Some(MODEL),
        "Say something.",
        json!({"max_tokens": tokens, "ignore_eos": true, "seed": 7}),
    )
}

#[tokio::test]
async fn the_real_llama_server_conforms() {
    let Some(programs) = programs() else { return };
    let (_server, adapter) = started(&programs, &[]).await;
    let params = json!({"max_words": 40, "max_tokens": 64, "ignore_eos": true, "seed": 7});
    let work = Work { params, ..Work::summary() };
    conform_with_one_model(Subject { adapter, model: MODEL, work, unload_behind_its_back: None, asked: None }).await;
}

#[tokio::test]
async fn the_real_llama_server_tells_what_it_is_and_what_its_work_took() {
    let Some(programs) = programs() else { return };
    let (_server, adapter) = started(&programs, &["--context", "4096", "--slots", "2"]).await;
    let view = in_time(adapter.observe()).await.unwrap();
    assert!(view.version.as_deref().is_some_and(|version| !version.is_empty()), "{view:?}");
    let tiny = view.model(MODEL).unwrap();
    // Quirk 10: the slots share the context.
    assert_eq!((tiny.state, tiny.context_tokens, tiny.vram_gb), (ModelState::Loaded, Some(2048), None));
    assert_eq!((view.in_flight, view.queued, view.degraded), (Some(0), Some(0), None));

    let outcome = in_time(adapter.run(chat(32), Progress::ignored())).await.unwrap();
    let figure = |name: &str| outcome.figures.get(name).copied().unwrap_or_else(|| panic!("{name}: {outcome:?}"));
    assert!((figure("tokens") - 32.0).abs() < 0.5, "{outcome:?}");
    for name in ["prompt_tokens", "tokens_per_s", "prompt_tokens_per_s", "generation_ms", "time_to_first_token_ms"] {
        assert!(figure(name) > 0.0, "{name}: {outcome:?}");
    }
    // The same seed says the same.
    let again = in_time(adapter.run(chat(32), Progress::ignored())).await.unwrap();
    assert_eq!(outcome.outputs[0].bytes, again.outputs[0].bytes);
}

#[tokio::test]
async fn the_real_llama_server_refuses_in_its_own_words() {
    let Some(programs) = programs() else { return };
    let (_server, adapter) = started(&programs, &["--context", "512"]).await;
    let refused = async |capability: &str, text: &str, params: Value| {
        text_of_run(&adapter, invocation(capability, Some(MODEL), text, params)).await.unwrap_err()
    };
    let long = "word ".repeat(2_000);
    for (capability, text, params, words) in [
        ("text.embed", "x", json!({}), "embeddings"),
        ("text.generate", long.as_str(), json!({}), "context"),
        ("text.generate", "x", json!({"grammar": "root ::= ("}), "grammar"),
    ] {
        let error = refused(capability, text, params).await;
        assert_eq!(error.fault, Fault::BadInput, "{capability}: {error}");
        assert!(error.words.as_deref().is_some_and(|told| told.contains(words)), "{capability}: {error}");
    }
}

#[tokio::test]
async fn the_real_llama_server_lets_go_of_dropped_work() {
    let Some(programs) = programs() else { return };
    let (_server, adapter) = started(&programs, &[]).await;
    let mut endless = adapter.run(chat(ENDLESS_TOKENS), Progress::ignored());
    tokio::select! {
        outcome = &mut endless => panic!("{outcome:?}"),
        () = until(&adapter, "its only slot is taken", |view| view.in_flight == Some(1)) => {}
    }
    // A second one waits for the slot: it is told as waiting.
    let mut waits = adapter.run(chat(4), Progress::ignored());
    tokio::select! {
        outcome = &mut endless => panic!("{outcome:?}"),
        outcome = &mut waits => panic!("{outcome:?}"),
        () = until(&adapter, "another waits", |view| view.queued == Some(1)) => {}
    }
    drop(endless);
    in_time(waits).await.unwrap();
    until(&adapter, "its slot is free again", |view| (view.in_flight, view.queued) == (Some(0), Some(0))).await;
}

#[tokio::test]
async fn quirk_1_the_real_llama_server_is_half_well_while_it_loads() {
    let Some(programs) = programs() else { return };
    let mut seen_loading = false;
    for _ in 0..STARTS_MAX {
        let mut server = Server::start(|port, _| command(&programs.serve, &programs.slow, port, &[]));
        let adapter = adapter_of(&server);
        let looked = tokio::time::timeout(real::PATIENCE, async {
            loop {
                match adapter.observe().await {
                    Ok(view) if view.degraded.is_none() => return,
                    Ok(view) => {
                        let why = view.degraded.unwrap();
                        assert!(why.contains("still loading") && view.models.is_empty(), "{why}");
                        seen_loading = true;
                        // Work is refused as busy, unless it is ready by now.
                        if let Err(error) = text_of_run(&adapter, chat(4)).await {
                            assert_eq!(error.fault, Fault::Busy, "{error}");
                        }
                    }
                    // It does not listen yet.
                    Err(error) => assert_eq!(error.fault, Fault::Unreachable, "{error}"),
                }
                assert!(!server.has_ended(), "{}", server.log());
                tokio::task::yield_now().await;
            }
        });
        looked.await.unwrap();
        in_time(adapter.load(MODEL)).await.unwrap();
        if seen_loading {
            return;
        }
    }
    panic!("in {STARTS_MAX} starts it was never seen loading");
}

#[tokio::test]
async fn quirk_2_the_real_llama_server_is_gone_when_its_model_cannot_be_loaded() {
    let Some(programs) = programs() else { return };
    let mut server = Server::start(|port, folder| {
        let broken = folder.join("broken.gguf");
        std::fs::write(&broken, b"GGUF, but not really").unwrap();
        command(&programs.serve, &broken, port, &[])
    });
    let ended = tokio::time::timeout(real::PATIENCE, async {
        while !server.has_ended() {
            tokio::time::sleep(real::LOOK_EVERY).await;
        }
    });
    ended.await.unwrap();
    assert!(server.log().contains("broken.gguf"), "{}", server.log());
    let adapter = adapter_of(&server);
    for error in [
        in_time(adapter.observe()).await.map(|_| ()).unwrap_err(),
        in_time(adapter.load(MODEL)).await.unwrap_err(),
        text_of_run(&adapter, chat(4)).await.map(|_| ()).unwrap_err(),
    ] {
        assert_eq!(error.fault, Fault::Unreachable, "{error}");
    }
}

#[tokio::test]
async fn work_of_a_real_llama_server_that_dies_ends_and_says_so() {
    let Some(programs) = programs() else { return };
    let (mut server, adapter) = started(&programs, &[]).await;
    let mut endless = adapter.run(chat(ENDLESS_TOKENS), Progress::ignored());
    tokio::select! {
        outcome = &mut endless => panic!("{outcome:?}"),
        () = until(&adapter, "it works", |view| view.in_flight == Some(1)) => {}
    }
    server.kill();
    let error = in_time(endless).await.unwrap_err();
    assert_eq!(error.fault, Fault::Unreachable, "{error}");
    assert_eq!(in_time(adapter.observe()).await.unwrap_err().fault, Fault::Unreachable);
}

#[tokio::test]
async fn quirk_6_looking_does_not_wake_a_real_llama_server_and_loading_does() {
    let Some(programs) = programs() else { return };
    let (_server, adapter) = started(&programs, &["--sleep", "1"]).await;
    let sleeps = |view: &RuntimeView| view.model(MODEL).is_some_and(|model| model.state == ModelState::Unloaded);
    until(&adapter, "it falls asleep although it is looked at", sleeps).await;
    in_time(adapter.unload(MODEL)).await.unwrap();
    in_time(adapter.load(MODEL)).await.unwrap();
    // Work wakes it too.
    until(&adapter, "it falls asleep again", sleeps).await;
    in_time(adapter.run(chat(4), Progress::ignored())).await.unwrap();
}

#[tokio::test]
async fn a_real_llama_server_that_was_started_for_it_gives_vectors() {
    let Some(programs) = programs() else { return };
    let (_server, adapter) = started(&programs, &["--embeddings"]).await;
    let vector = async |text: &str| {
        let told = text_of_run(&adapter, invocation("text.embed", Some(MODEL), text, json!({}))).await.unwrap();
        let told: Value = serde_json::from_str(&told).unwrap();
        assert_eq!(told["dimensions"], 64);
        told["vectors"][0]["vector"].clone()
    };
    assert_eq!(vector("one text").await, vector("one text").await);
    assert_ne!(vector("one text").await, vector("another").await);
}
