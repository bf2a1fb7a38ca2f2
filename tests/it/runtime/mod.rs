//! Runtimes: one conformance suite for every adapter, and what each must survive.

mod bad_day;
mod builtin;
mod comfyui;
mod conformance;
mod discover_real;
pub mod exec;
mod http;
mod llama_server;
mod llama_server_real;
mod llama_server_router_real;
mod llama_swap;
mod llama_swap_bad_day;
mod llama_swap_real;
mod llama_swap_told;
mod ollama;
mod openai;
mod openai_real;
pub mod real;
mod textgen_webui;
mod tts_webui;
mod tts_webui_real;
mod vllm;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arcology::act::runtime::exec::Tools;
use arcology::act::runtime::{Adapter, InputFile, Invocation, Places, Progress, RuntimeError, connect};
use arcology::core::Name;
use arcology::declare::manifest::kind::runtime::RuntimeSpec;
use serde_json::{Value, json};

/// The longest that anything here may take; it is only reached when something is broken.
const DEADLINE: Duration = Duration::from_secs(60);

/// The spec of a runtime, as a manifest would give it.
fn spec(adapter: &str, more: Value) -> RuntimeSpec {
    let mut spec = json!({"host": "desk", "adapter": adapter});
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(spec).unwrap()
}

/// The tools of protection that are installed, and the program that confines.
fn tools() -> Tools {
    Tools { confiner: Some(env!("CARGO_BIN_EXE_arcology").into()), ..Tools::without_confiner() }
}

/// The adapter for `spec`, with state and credentials under `folder`.
fn adapter(folder: &Path, spec: &RuntimeSpec) -> Result<Arc<dyn Adapter>, RuntimeError> {
    adapter_with(folder, spec, tools())
}

/// The same on a machine that has these tools of protection.
fn adapter_with(folder: &Path, spec: &RuntimeSpec, tools: Tools) -> Result<Arc<dyn Adapter>, RuntimeError> {
    let places = Places { credentials_dir: folder.join("credentials"), state_dir: folder.join("state"), tools };
    connect(&Name::new("desk").unwrap(), spec, &places)
}

fn invocation(capability: &str, model: Option<&str>, text: &str, params: Value) -> Invocation {
    Invocation {
        capability: capability.to_owned(),
        model: model.map(str::to_owned),
        text: Some(text.to_owned()),
        files: Vec::new(),
        params: serde_json::from_value::<BTreeMap<String, Value>>(params).unwrap(),
    }
}

fn file(name: &str, bytes: &[u8]) -> InputFile {
    InputFile { name: name.to_owned(), bytes: bytes.into() }
}

/// The only output of a run, as text.
async fn text_of_run(adapter: &Arc<dyn Adapter>, invocation: Invocation) -> Result<String, RuntimeError> {
    let outcome = in_time(adapter.run(invocation, Progress::ignored())).await?;
    assert_eq!(outcome.outputs.len(), 1, "{outcome:?}");
    Ok(String::from_utf8(outcome.outputs[0].bytes.clone()).unwrap())
}

/// `work`, which must end before the deadline.
async fn in_time<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, work).await.expect("it should have ended long ago")
}
