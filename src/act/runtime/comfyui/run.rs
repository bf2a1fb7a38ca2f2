//! A task: its workflow filled, handed over, followed, and its outputs brought back.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::act::runtime::adapter::{Fault, InputFile, Invocation, Outcome, Progress, RuntimeError};
use crate::act::runtime::openai::models::{Known, pick};
use crate::declare::manifest::kind::options::comfyui::{WorkflowOption, parse};

use super::adapter::Comfyui;
use super::told::Teller;
use super::watch::{self, Watch};
use super::wire::Entry;
use super::workflow::{self, Given};
use super::{fetch, id, leave, seen, submit, verdict};

/// Does `invocation`.
///
/// # Errors
/// Bad input, or what ComfyUI says.
pub(super) async fn run(
    runtime: &Comfyui,
    mut invocation: Invocation,
    progress: &Progress,
) -> Result<Outcome, RuntimeError> {
    let asked = format!("cannot do `{}`", invocation.capability);
    let option = runtime.workflow(&invocation.capability)?;
    let graph = graph(option, &mut invocation.files, &asked)?;
    let listed = runtime.list().await?;
    let wanted = invocation.model.as_deref().map(|wanted| choose(&listed, wanted)).transpose()?;
    let seed = id::seed();
    let mut given = Given {
        capability: &invocation.capability,
        text: invocation.text.as_deref(),
        model: wanted.as_deref().map(seen::file_of),
        files: &names(&invocation.files),
        params: &invocation.params,
        seed,
    };
    // Checked before anything is handed over, then filled with the names that the files get there.
    workflow::fill(option, graph.clone(), &given)?;
    let uploaded = submit::upload(runtime, &invocation.files, &asked).await?;
    given.files = &uploaded;
    let filled = workflow::fill(option, graph, &given)?;
    let entry = carry_through(runtime, &filled.graph, &asked, progress).await;
    if runtime.frees_after() && !matches!(&entry, Err(error) if error.fault == Fault::Unreachable) {
        // The prompt is over, or was never taken.
        if !matches!(&entry, Err(error) if matches!(error.fault, Fault::BadInput | Fault::NotFound | Fault::Refused)) {
            progress.say(&leave::free(&runtime.client).await);
        }
    }
    let (entry, dropped) = entry?;
    let made = verdict::verdict(&entry, &option.outputs, &asked).map_err(|error| match dropped {
        Some(words) if error.words.is_none() => error.saying(&words),
        Some(_) | None => error,
    })?;
    let outputs = fetch::fetch(runtime, made, &asked, progress).await?;
    let by_file = || filled.model.as_deref().and_then(|file| listed.iter().find(|name| seen::file_of(name) == file));
    let mut figures = figures(&entry);
    figures.extend(filled.seed.map(|seed| ("seed".to_owned(), seed as f64)));
    figures.insert("outputs".to_owned(), outputs.len() as f64);
    Ok(Outcome {
        outputs,
        model: wanted.or_else(|| by_file().cloned()),
        prompt: Some(Value::Object(filled.graph).to_string()),
        figures,
    })
}

/// The workflow: from the manifest, or from its file, which the caller has read.
fn graph(option: &WorkflowOption, files: &mut Vec<InputFile>, asked: &str) -> Result<Map<String, Value>, RuntimeError> {
    if let Some(graph) = &option.workflow {
        return Ok(graph.clone());
    }
    let path = option.file.as_deref().unwrap_or_default();
    let bad = |why: String| RuntimeError::new(Fault::BadInput, format!("{asked}: the workflow {path}: {why}"));
    let at = files.iter().rposition(|file| file.name == path);
    let file = files.remove(at.ok_or_else(|| bad("it was not read from the repository".to_owned()))?);
    let graph = parse(&file.bytes).map_err(bad)?;
    option.fits(&graph).map_err(bad)?;
    Ok(graph)
}

fn names(files: &[InputFile]) -> Vec<String> {
    files.iter().map(|file| file.name.clone()).collect()
}

fn choose(listed: &[String], wanted: &str) -> Result<String, RuntimeError> {
    let known: Vec<Known> = listed.iter().map(|name| Known { id: name.clone(), context_tokens: None }).collect();
    pick(&known, Some(wanted))
}

/// Hands the graph over and follows it: the socket is open before, so that nothing of it is missed.
async fn carry_through(
    runtime: &Comfyui,
    graph: &Map<String, Value>,
    asked: &str,
    progress: &Progress,
) -> Result<(Entry, Option<String>), RuntimeError> {
    let client_id = id::uuid();
    let socket = match watch::listen(runtime, &client_id).await {
        Ok(socket) => Some(socket),
        Err(error) => {
            progress.say(&format!("it will not tell how far it is, and is asked instead: {error}"));
            None
        }
    };
    let (mut submitted, dropped) = submit::submit(runtime, graph, &client_id, asked, progress).await?;
    let watch = Watch {
        runtime,
        client_id: &client_id,
        id: submitted.id(),
        asked,
        progress,
        teller: Teller::new(submitted.id().to_owned(), graph),
        socket,
    };
    let entry = watch.until_over().await?;
    submitted.settle();
    Ok((entry, dropped))
}

/// Numbers as ComfyUI tells them.
fn figures(entry: &Entry) -> BTreeMap<String, f64> {
    let cached = entry.message("execution_cached").and_then(|told| told.get("nodes")?.as_array().map(Vec::len));
    let told = [("generation_ms", entry.took_ms()), ("cached_nodes", cached.map(|nodes| nodes as f64))];
    told.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}
