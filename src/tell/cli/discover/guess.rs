//! What sort of model a name suggests. A guess is only ever written with the word beside it. Pure.

use crate::act::discover::Recognized;
use crate::declare::manifest::kind::model::ModelType;
use crate::declare::manifest::kind::options::tts_webui::SpeechServer;
use crate::declare::manifest::kind::runtime::AdapterKind;

/// Parts of names, and the sort that has them. The first that fits counts.
const SIGNS: &[(&str, ModelType)] = &[
    ("rerank", ModelType::Other),
    ("embed", ModelType::Embedding),
    ("minilm", ModelType::Embedding),
    ("bge-", ModelType::Embedding),
    ("gte-", ModelType::Embedding),
    ("e5-", ModelType::Embedding),
    ("whisper", ModelType::Asr),
    ("parakeet", ModelType::Asr),
    ("kokoro", ModelType::Tts),
    ("tts", ModelType::Tts),
    ("piper", ModelType::Tts),
    ("chatterbox", ModelType::Tts),
    ("sdxl", ModelType::Diffusion),
    ("stable-diffusion", ModelType::Diffusion),
    ("flux", ModelType::Diffusion),
];

/// The sort of the model that this runtime calls `name`.
#[must_use]
pub fn sort(runtime: &Recognized, name: &str) -> ModelType {
    let name = name.to_lowercase();
    let by_name = SIGNS.iter().find(|(part, _)| name.contains(part)).map(|(_, sort)| *sort);
    let is_speech = runtime.adapter == AdapterKind::TtsWebui;
    match by_name {
        Some(ModelType::Asr) => ModelType::Asr,
        _ if is_speech => ModelType::Tts,
        Some(sort) => sort,
        None => ModelType::Llm,
    }
}

/// The word of the manifest.
#[must_use]
pub fn word(sort: ModelType) -> &'static str {
    match sort {
        ModelType::Llm => "llm",
        ModelType::Embedding => "embedding",
        ModelType::Diffusion => "diffusion",
        ModelType::Video => "video",
        ModelType::Tts => "tts",
        ModelType::Asr => "asr",
        ModelType::Ocr => "ocr",
        ModelType::Other => "other",
    }
}

/// What a model of that sort does, among what Arcology can ask of it.
#[must_use]
pub fn capabilities(sort: ModelType) -> &'static [&'static str] {
    match sort {
        ModelType::Llm => &["text.generate", "text.summarize"],
        ModelType::Embedding => &["text.embed"],
        ModelType::Tts => &["audio.tts"],
        ModelType::Asr => &["audio.transcribe"],
        ModelType::Diffusion | ModelType::Video | ModelType::Ocr | ModelType::Other => &[],
    }
}

/// What the adapter of that runtime is made for, where no model tells more.
#[must_use]
pub fn usual(runtime: &Recognized) -> &'static [&'static str] {
    match (runtime.adapter, runtime.server) {
        (AdapterKind::TtsWebui, Some(SpeechServer::Speaches)) => &["audio.tts", "audio.transcribe"],
        (AdapterKind::TtsWebui, _) => &["audio.tts"],
        // What it does, its workflows say, and they are not known here.
        (AdapterKind::Comfyui, _) => &[],
        _ => &["text.generate", "text.summarize"],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_suggest_sorts_and_a_speech_server_never_has_a_language_model() {
        let of = |adapter, name: &str| {
            let runtime = Recognized { adapter, server: None, because: String::new(), needs_key: false, version: None };
            word(sort(&runtime, name))
        };
        for (adapter, name, expected) in [
            (AdapterKind::Ollama, "llama3.2:3b", "llm"),
            (AdapterKind::Ollama, "nomic-embed-text", "embedding"),
            (AdapterKind::LlamaSwap, "BGE-reranker", "other"),
            (AdapterKind::Openai, "whisper-1", "asr"),
            (AdapterKind::TtsWebui, "Systran/faster-whisper-small", "asr"),
            (AdapterKind::TtsWebui, "chatterbox", "tts"),
            (AdapterKind::TtsWebui, "global_preset", "tts"),
        ] {
            assert_eq!(of(adapter, name), expected, "{name}");
        }
    }
}
