//! The options of an adapter are those that it has. Adapters that are not driven yet are not looked at.

use serde_json::Value;

use super::super::code::ADAPTER_OPTION;
use super::super::document::Spec;
use super::super::kind::runtime::{AdapterKind, RuntimeSpec};
use super::{Complaint, Subject, spec};
use crate::core::text::nearest;

/// The options of llama-swap, each with what it takes.
const LLAMA_SWAP: &[(&str, &str)] = &[("checkPath", "a path of the model server, such as /health")];

pub fn check(subject: &Subject<'_>, complaints: &mut Vec<Complaint>) {
    let Spec::Runtime(runtime) = subject.spec else { return };
    match runtime.adapter {
        AdapterKind::Builtin => among(runtime, &[], complaints),
        AdapterKind::LlamaSwap => {
            among(runtime, LLAMA_SWAP, complaints);
            check_path(runtime, complaints);
        }
        AdapterKind::Exec
        | AdapterKind::Openai
        | AdapterKind::LlamaServer
        | AdapterKind::Ollama
        | AdapterKind::TextgenWebui
        | AdapterKind::Comfyui
        | AdapterKind::TtsWebui
        | AdapterKind::Vllm
        | AdapterKind::Ray => {}
    }
}

fn among(runtime: &RuntimeSpec, known: &[(&str, &str)], complaints: &mut Vec<Complaint>) {
    let names = || known.iter().map(|(name, _)| *name);
    for option in runtime.options.keys().filter(|option| !names().any(|name| name == option.as_str())) {
        let adapter = runtime.adapter.as_str();
        let help = match nearest(option, names()) {
            Some(name) => format!("did you mean `{name}`?"),
            None if known.is_empty() => format!("`{adapter}` takes no options"),
            None => format!("`{adapter}` takes {}", names().collect::<Vec<_>>().join(", ")),
        };
        let message = format!("the adapter `{adapter}` has no option {}", super::super::source::quoted(option));
        complaints.push(
            Complaint::new(ADAPTER_OPTION, spec("options").key(option), message)
                .at_key()
                .label("unknown option")
                .help(help),
        );
    }
}

fn check_path(runtime: &RuntimeSpec, complaints: &mut Vec<Complaint>) {
    let Some(value) = runtime.options.get("checkPath") else { return };
    if !matches!(value, Value::String(path) if path.starts_with('/') && !path.contains(char::is_whitespace)) {
        complaints.push(
            Complaint::new(ADAPTER_OPTION, spec("options").key("checkPath"), "`checkPath` is not a path")
                .label("expected a path that begins with /")
                .help("for example /health, which is also what is used when the option is left out"),
        );
    }
}
