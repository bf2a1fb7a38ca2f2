//! `options:` of a Runtime: one struct an adapter, one file a struct.
//!
//! The struct is what the adapter reads, what `arcology validate` checks, and where the JSON Schema that editors complete
//! by comes from. Every option may be left out.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::runtime::AdapterKind;

pub mod comfyui;
pub mod exec;
pub mod llama_server;
pub mod llama_swap;
pub mod none;
pub mod ollama;
pub mod openai;
pub mod prompts;
pub mod textgen_webui;
pub mod tts_webui;
pub mod vllm;

/// What `validate` and `schema` need to know of an adapter's options.
#[derive(Clone, Copy)]
pub struct Options {
    pub adapter: AdapterKind,
    /// Why this value cannot be that option's.
    pub check: fn(&str, &Value) -> Result<(), String>,
    pub schema: fn(&mut SchemaGenerator) -> Schema,
}

/// The options of every adapter that is driven.
const ALL: &[Options] = &[
    of::<none::NoOptions>(AdapterKind::Builtin),
    of::<comfyui::ComfyuiOptions>(AdapterKind::Comfyui),
    of::<exec::ExecOptions>(AdapterKind::Exec),
    of::<llama_server::LlamaServerOptions>(AdapterKind::LlamaServer),
    of::<llama_swap::LlamaSwapOptions>(AdapterKind::LlamaSwap),
    of::<ollama::OllamaOptions>(AdapterKind::Ollama),
    of::<openai::OpenaiOptions>(AdapterKind::Openai),
    of::<textgen_webui::TextgenWebuiOptions>(AdapterKind::TextgenWebui),
    of::<tts_webui::TtsWebuiOptions>(AdapterKind::TtsWebui),
    of::<vllm::VllmOptions>(AdapterKind::Vllm),
];

const fn of<T: DeserializeOwned + JsonSchema>(adapter: AdapterKind) -> Options {
    Options { adapter, check: check::<T>, schema: SchemaGenerator::subschema_for::<T> }
}

/// The options of every adapter that is driven.
#[must_use]
pub fn all() -> &'static [Options] {
    ALL
}

/// The options of an adapter; none when this version does not drive it.
#[must_use]
pub fn find(adapter: AdapterKind) -> Option<&'static Options> {
    ALL.iter().find(|options| options.adapter == adapter)
}

impl Options {
    /// The names of the options, as they are written.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let mut generator = SchemaGenerator::default();
        let schema = (self.schema)(&mut generator);
        let definitions = generator.take_definitions(true);
        let name = schema.as_value().get("$ref").and_then(Value::as_str).and_then(|path| path.rsplit('/').next());
        let whole = name.and_then(|name| definitions.get(name)).unwrap_or(schema.as_value());
        let properties = whole.get("properties").and_then(Value::as_object);
        properties.map(|all| all.keys().cloned().collect()).unwrap_or_default()
    }
}

/// Reads the options of a runtime.
///
/// # Errors
/// What is wrong with them, in a few words.
pub fn read<T: DeserializeOwned>(options: &BTreeMap<String, Value>) -> Result<T, String> {
    let map: Map<String, Value> = options.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    serde_json::from_value(Value::Object(map)).map_err(|error| error.to_string())
}

fn check<T: DeserializeOwned>(name: &str, value: &Value) -> Result<(), String> {
    read::<T>(&BTreeMap::from([(name.to_owned(), value.clone())])).map(|_| ())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_adapter_that_is_driven_has_its_options_once() {
        for (at, options) in ALL.iter().enumerate() {
            assert!(options.adapter.is_driven(), "{:?}", options.adapter);
            assert!(ALL[..at].iter().all(|before| before.adapter != options.adapter), "{:?}", options.adapter);
        }
    }

    #[test]
    fn the_names_of_options_come_from_their_struct() {
        assert_eq!(find(AdapterKind::LlamaSwap).unwrap().names(), ["captures", "checkPath", "drain", "prompts"]);
        assert!(find(AdapterKind::Builtin).unwrap().names().is_empty());
        assert!(find(AdapterKind::Ray).is_none());
    }

    #[test]
    fn an_option_is_checked_by_itself() {
        let swap = find(AdapterKind::LlamaSwap).unwrap();
        for (name, value, right) in [
            ("checkPath", json!("/health"), true),
            ("checkPath", json!("health"), true),
            ("checkPath", json!({"qwen": "/v1/ping"}), true),
            ("checkPath", json!(3), false),
            ("prompts", json!({"text.generate": {"system": "Be kind."}}), true),
            ("prompts", json!({"text.generate": {"sytem": "Be kind."}}), false),
        ] {
            assert_eq!((swap.check)(name, &value).is_ok(), right, "{name}: {value}");
        }
    }
}
