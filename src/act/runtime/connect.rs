//! From a declared Runtime to the adapter that drives it.

use std::path::PathBuf;
use std::sync::Arc;

use crate::core::Name;
use crate::declare::manifest::kind::options;
use crate::declare::manifest::kind::runtime::{AdapterKind, RuntimeSpec};

use super::adapter::{Adapter, Fault, RuntimeError};
use super::builtin::Builtin;
use super::comfyui::Comfyui;
use super::exec::{Exec, Tools};
use super::limit::Bounded;
use super::llama_server::LlamaServer;
use super::llama_swap::LlamaSwap;
use super::ollama::Ollama;
use super::openai::OpenAi;
use super::textgen_webui::TextgenWebui;
use super::tts_webui::TtsWebui;
use super::vllm::Vllm;

/// Where adapters find what the daemon keeps.
#[derive(Clone, Debug)]
pub struct Places {
    /// The folder with token files, named by `auth.tokenFrom.file`.
    pub credentials_dir: PathBuf,
    /// The daemon's state folder.
    pub state_dir: PathBuf,
    /// What programs are held with.
    pub tools: Tools,
}

/// The adapter that drives the runtime `name` as `spec` declares it. Nothing is connected to yet: a runtime that is down
/// shows when it is observed.
///
/// # Errors
/// Bad input when the declaration cannot be used, or names an adapter that this version does not drive.
pub fn connect(name: &Name, spec: &RuntimeSpec, places: &Places) -> Result<Arc<dyn Adapter>, RuntimeError> {
    match spec.adapter {
        // These two give work its time from when it begins, and stop threads and processes when it is over.
        AdapterKind::Builtin => Ok(Arc::new(Builtin::new(name, &places.state_dir, spec.timeouts.run.get()))),
        AdapterKind::Exec => Ok(Arc::new(Exec::new(name, spec, places)?)),
        AdapterKind::Comfyui => Ok(bounded(Comfyui::new(name, spec, places)?, spec)),
        AdapterKind::LlamaServer => Ok(bounded(LlamaServer::new(name, spec, places)?, spec)),
        AdapterKind::LlamaSwap => Ok(bounded(LlamaSwap::new(name, spec, places)?, spec)),
        AdapterKind::Ollama => Ok(bounded(Ollama::new(name, spec, places)?, spec)),
        AdapterKind::Openai => Ok(bounded(OpenAi::new(name, spec, places)?, spec)),
        AdapterKind::TextgenWebui => Ok(bounded(TextgenWebui::new(name, spec, places)?, spec)),
        AdapterKind::TtsWebui => Ok(bounded(TtsWebui::new(name, spec, places)?, spec)),
        AdapterKind::Vllm => Ok(bounded(Vllm::new(name, spec, places)?, spec)),
        AdapterKind::Ray => Err(RuntimeError::new(
            Fault::BadInput,
            format!(
                "runtime `{name}` uses adapter `{}`, which this version does not drive yet; it drives {}",
                spec.adapter.as_str(),
                driven().join(", ")
            ),
        )),
    }
}

/// An adapter of a server, each call of which ends in the time that `spec` gives it.
fn bounded(adapter: impl Adapter, spec: &RuntimeSpec) -> Arc<dyn Adapter> {
    Arc::new(Bounded::new(adapter, &spec.timeouts))
}

/// The names of all adapters that are driven.
fn driven() -> Vec<&'static str> {
    options::all().iter().map(|options| options.adapter.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::act::runtime::{builtin, llama_server, llama_swap, ollama, textgen_webui, tts_webui, vllm};
    use crate::declare::manifest::kind::capability::does;

    #[test]
    fn what_manifests_may_promise_is_what_the_adapters_do() {
        for (adapter, all) in [
            (AdapterKind::Builtin, builtin::CAPABILITIES),
            (AdapterKind::LlamaServer, llama_server::CAPABILITIES),
            (AdapterKind::LlamaSwap, llama_swap::CAPABILITIES),
            (AdapterKind::Ollama, ollama::CAPABILITIES),
            (AdapterKind::TextgenWebui, textgen_webui::CAPABILITIES),
            (AdapterKind::TtsWebui, tts_webui::CAPABILITIES),
            (AdapterKind::Vllm, vllm::CAPABILITIES),
        ] {
            assert_eq!(does(adapter), Some(all), "{adapter:?}");
        }
    }
}
