//! Capabilities: what a runtime can do, and what goes in and comes out.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::options;
use super::options::tts_webui::SpeechServer;
use super::runtime::{AdapterKind, RuntimeSpec};

/// What flows along an edge of a blueprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DataType {
    Text,
    Pdf,
    Image,
    Audio,
    Video,
    Vector,
    Json,
    /// Any file.
    File,
}

impl DataType {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Pdf => "pdf",
            Self::Image => "image",
            Self::Audio => "audio",
            Self::Video => "video",
            Self::Vector => "vector",
            Self::Json => "json",
            Self::File => "file",
        }
    }
}

/// A capability with its types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capability {
    pub name: &'static str,
    pub accepts: &'static [DataType],
    pub gives: DataType,
}

const fn capability(name: &'static str, accepts: &'static [DataType], gives: DataType) -> Capability {
    Capability { name, accepts, gives }
}

/// Every capability that can be named. Others come with `kind: Capability` later.
pub const ALL: &[Capability] = &[
    capability("audio.convert", &[DataType::Audio], DataType::Audio),
    capability("audio.transcribe", &[DataType::Audio], DataType::Text),
    capability("audio.tts", &[DataType::Text], DataType::Audio),
    capability("doc.extract", &[DataType::Pdf, DataType::Text, DataType::File], DataType::Text),
    capability("image.gen", &[DataType::Text, DataType::Image], DataType::Image),
    capability("ocr.image", &[DataType::Image], DataType::Text),
    capability("ocr.pdf", &[DataType::Pdf], DataType::Text),
    capability("text.embed", &[DataType::Text], DataType::Vector),
    capability("text.generate", &[DataType::Text, DataType::Json], DataType::Text),
    capability("text.stats", &[DataType::Text], DataType::Json),
    capability("text.summarize", &[DataType::Text], DataType::Text),
    capability("train.run", &[DataType::File, DataType::Json], DataType::File),
    capability("video.gen", &[DataType::Text, DataType::Image], DataType::Video),
];

/// What the built-in runtime can do; it has all of it when its manifest names nothing.
pub const BUILTIN: &[&str] = &["doc.extract", "text.stats", "text.summarize"];

/// What an adapter does at all, whatever the program behind it; none where that is for its options to say, or it is not driven.
#[must_use]
pub fn does(adapter: AdapterKind) -> Option<&'static [&'static str]> {
    match adapter {
        AdapterKind::Builtin => Some(BUILTIN),
        AdapterKind::LlamaSwap | AdapterKind::Ollama => Some(&["text.embed", "text.generate", "text.summarize"]),
        AdapterKind::LlamaServer | AdapterKind::Vllm => {
            Some(&["audio.transcribe", "text.embed", "text.generate", "text.summarize"])
        }
        AdapterKind::Openai => {
            Some(&["audio.transcribe", "audio.tts", "text.embed", "text.generate", "text.summarize"])
        }
        AdapterKind::TextgenWebui => Some(&["text.generate", "text.summarize"]),
        AdapterKind::TtsWebui => Some(&["audio.transcribe", "audio.tts"]),
        AdapterKind::Exec | AdapterKind::Comfyui | AdapterKind::Ray => None,
    }
}

/// Every adapter that does it by itself.
pub fn doers(capability: &str) -> impl Iterator<Item = AdapterKind> {
    let adapters = options::all().iter().map(|options| options.adapter);
    adapters.filter(move |adapter| does(*adapter).is_some_and(|all| all.contains(&capability)))
}

/// What a declared runtime can do at all, as far as its manifest tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ability<'a> {
    /// What the adapter does, whatever the program behind it.
    Adapter(&'static [&'static str]),
    /// What such a speech server does.
    Speech(SpeechServer),
    /// What `options.{option}` says how to do; each thing below it is an `entry`.
    Options { option: &'static str, entry: &'static str, all: Vec<&'a str> },
    /// That cannot be said: the adapter is not driven, or its options cannot be read.
    Unknown,
}

/// What `runtime` can do at all.
#[must_use]
pub fn ability(runtime: &RuntimeSpec) -> Ability<'_> {
    let (option, entry) = match runtime.adapter {
        AdapterKind::Exec => ("programs", "program"),
        AdapterKind::Comfyui => ("workflows", "workflow"),
        AdapterKind::TtsWebui => return speech(runtime),
        by_itself => return does(by_itself).map_or(Ability::Unknown, Ability::Adapter),
    };
    match runtime.options.get(option) {
        None => Ability::Options { option, entry, all: Vec::new() },
        Some(Value::Object(told)) => Ability::Options { option, entry, all: told.keys().map(String::as_str).collect() },
        Some(_) => Ability::Unknown,
    }
}

fn speech(runtime: &RuntimeSpec) -> Ability<'_> {
    let server = runtime.options.get("server").map(SpeechServer::deserialize).transpose();
    server.map_or(Ability::Unknown, |server| Ability::Speech(server.unwrap_or_default()))
}

impl Ability<'_> {
    /// Whether `capability` may be declared: it can be done, or nobody can say that it cannot.
    #[must_use]
    pub fn allows(&self, capability: &str) -> bool {
        match self {
            Self::Adapter(all) => all.contains(&capability),
            Self::Speech(server) => server.does().contains(&capability),
            Self::Options { all, .. } => all.contains(&capability),
            Self::Unknown => true,
        }
    }
}

/// What a runtime offers: what its manifest names, or all that the built-in runtime can do when that names nothing.
pub fn offered_by(runtime: &RuntimeSpec) -> impl Iterator<Item = &str> {
    let builtin: &[&str] = match runtime.adapter {
        AdapterKind::Builtin if runtime.capabilities.is_empty() => BUILTIN,
        _ => &[],
    };
    runtime.capabilities.iter().map(String::as_str).chain(builtin.iter().copied())
}

impl Capability {
    /// Whether it can work on such data. One that takes any file takes everything.
    #[must_use]
    pub fn takes(&self, data: DataType) -> bool {
        self.accepts.contains(&data) || self.accepts.contains(&DataType::File)
    }
}

/// The capability called `name`.
#[must_use]
pub fn find(name: &str) -> Option<&'static Capability> {
    ALL.iter().find(|capability| capability.name == name)
}

#[cfg(test)]
mod tests {
    #[test]
    fn capabilities_are_sorted_and_unique_so_that_lists_of_them_read_well() {
        assert!(super::ALL.windows(2).all(|pair| pair[0].name < pair[1].name));
    }

    #[test]
    fn the_built_in_runtime_offers_only_capabilities_that_exist() {
        assert!(super::BUILTIN.iter().all(|name| super::find(name).is_some()));
    }
}
