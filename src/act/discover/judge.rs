//! From what a server answered to what it is, and why that is believed. Pure.
//!
//! A tree of questions: nothing is asked whose answer would not decide anything. A runtime is recognized by two signs
//! where it gives two, so that a program that merely imitates another's list is not taken for it.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::declare::manifest::kind::options::tts_webui::SpeechServer;
use crate::declare::manifest::kind::runtime::AdapterKind;

use super::question::{Answers, Heard, Question};

/// What a server is.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    Runtime(Recognized),
    /// None of those that are known, and what it did.
    Stranger(String),
}

/// A known runtime.
#[derive(Clone, Debug, PartialEq)]
pub struct Recognized {
    pub adapter: AdapterKind,
    /// Which speech server, where it is one.
    pub server: Option<SpeechServer>,
    /// The signs by which it was told.
    pub because: String,
    /// It tells nothing without a key.
    pub needs_key: bool,
    /// It has told its version while it was recognized.
    pub version: Option<String>,
}

/// Judges the answers so far.
///
/// # Errors
/// The question whose answer is needed first.
pub fn judge(answers: &Answers) -> Result<Verdict, Question> {
    let seen = Judged(answers);
    let list = seen.told(Question::Models)?;
    let found = match list.status {
        200 if is_list(&list.json) => Some(seen.by_list(list)?),
        401 | 403 => seen.by_refusal(list)?,
        503 => by_being_busy(list),
        _ => None,
    };
    let found = match found {
        Some(found) => Some(found),
        None => seen.by_own_paths(list)?,
    };
    Ok(found.map_or_else(|| Verdict::Stranger(stranger(list)), Verdict::Runtime))
}

struct Judged<'a>(&'a Answers);

type Maybe = Result<Option<Recognized>, Question>;

impl Judged<'_> {
    fn told(&self, question: Question) -> Result<&Heard, Question> {
        self.0.get(&question).ok_or(question)
    }

    /// It has a list of models in OpenAI's shape, which is at least something that speaks OpenAI's protocol.
    fn by_list(&self, list: &Heard) -> Result<Recognized, Question> {
        let owners = owners(&list.json);
        let by_owner = match owners.first().copied() {
            Some("llama-swap") => self.llama_swap("its list says `owned_by: llama-swap`")?,
            Some("llamacpp") => self.llama_server("its list says `owned_by: llamacpp`")?,
            Some("vllm") => self.vllm("its list says `owned_by: vllm`")?,
            _ => None,
        };
        if let Some(found) = by_owner {
            return Ok(found);
        }
        if let Some(found) = self.by_version()? {
            return Ok(found);
        }
        if let Some(found) = self.textgen_webui()? {
            return Ok(found);
        }
        if owners.is_empty() && count(&list.json) == 0 {
            // A router that knows no model yet has nothing to sign.
            if let Some(found) = self.llama_server("its list is empty")? {
                return Ok(found);
            }
        }
        if let Some(found) = self.speech(list)? {
            return Ok(found);
        }
        Ok(is(AdapterKind::Openai, "it lists models as OpenAI's protocol does, and has no path of a runtime's own"))
    }

    /// It wants a key. What it says to that differs.
    fn by_refusal(&self, list: &Heard) -> Maybe {
        let said = &list.json;
        let guarded = |found: Recognized| Recognized { needs_key: true, ..found };
        if said["src"] == "llama-swap" {
            return Ok(Some(guarded(is(AdapterKind::LlamaSwap, "its refusal is signed `src: llama-swap`"))));
        }
        if said["error"]["type"] == "authentication_error" && self.told(Question::Health)?.text("status") == Some("ok")
        {
            let signs = "it refuses with `authentication_error`, and its health is open to everybody";
            return Ok(Some(guarded(is(AdapterKind::LlamaServer, signs))));
        }
        if said["error"] == "Unauthorized" && self.told(Question::Version)?.text("version").is_some() {
            let found = self.vllm("it refuses as vLLM does")?;
            return Ok(found.map(guarded));
        }
        if said["detail"].is_string() {
            let info = self.told(Question::ModelInfo)?;
            if info.status == 401 {
                let signs = "it refuses, also at text-generation-webui's own path /v1/internal/model/info";
                return Ok(Some(guarded(is(AdapterKind::TextgenWebui, signs))));
            }
            let health = self.told(Question::Health)?;
            if list.status == 403 && health.text("message") == Some("OK") {
                let found =
                    speech_server(SpeechServer::Speaches, "it refuses with 403, and its health is speaches' own");
                return Ok(Some(guarded(found)));
            }
        }
        Ok(None)
    }

    /// It has no such list: those that have paths of their own only.
    fn by_own_paths(&self, list: &Heard) -> Maybe {
        if list.wants_key() || list.status == 0 {
            return Ok(None);
        }
        if let Some(found) = self.by_version()? {
            return Ok(Some(found));
        }
        let speech = self.told(Question::SpeechModels)?;
        if speech.field("models").is_some_and(Value::is_array) {
            let signs = "it lists its models at /v1/audio/models, and has no /v1/models";
            return Ok(Some(speech_server(SpeechServer::TtsWebui, signs)));
        }
        let stats = self.told(Question::SystemStats)?;
        if let Some(version) = stats.field("system").and_then(|system| system["comfyui_version"].as_str()) {
            let found = is(AdapterKind::Comfyui, "/system_stats tells ComfyUI's version");
            return Ok(Some(Recognized { version: Some(version.to_owned()), ..found }));
        }
        self.textgen_webui()
    }

    fn by_version(&self) -> Maybe {
        let version = self.told(Question::ApiVersion)?;
        if let Some(ray) = version.text("ray_version") {
            let found = is(AdapterKind::Ray, "/api/version tells Ray's version");
            return Ok(Some(Recognized { version: Some(ray.to_owned()), ..found }));
        }
        if version.text("version").is_none() {
            return Ok(None);
        }
        if version.field("commit").is_some() || version.field("build_date").is_some() {
            return self.llama_swap("/api/version tells a commit");
        }
        let tags = self.told(Question::Tags)?;
        let is_ollama = tags.field("models").is_some_and(Value::is_array);
        Ok(is_ollama.then(|| is(AdapterKind::Ollama, "it answers /api/version and /api/tags as Ollama does")))
    }

    fn llama_swap(&self, sign: &str) -> Maybe {
        let running = self.told(Question::Running)?;
        let is_swap = running.is_fine() && running.json.get("running").is_some();
        Ok(is_swap.then(|| is(AdapterKind::LlamaSwap, &format!("{sign}, and /running lists processes"))))
    }

    fn llama_server(&self, sign: &str) -> Maybe {
        let props = self.told(Question::Props)?;
        let is_server =
            ["default_generation_settings", "role", "build_info"].iter().any(|key| props.field(key).is_some());
        Ok(is_server.then(|| is(AdapterKind::LlamaServer, &format!("{sign}, and /props describes llama.cpp's server"))))
    }

    fn vllm(&self, sign: &str) -> Maybe {
        let has_version = self.told(Question::Version)?.text("version").is_some();
        Ok(has_version.then(|| is(AdapterKind::Vllm, &format!("{sign}, and /version tells a version"))))
    }

    fn textgen_webui(&self) -> Maybe {
        let info = self.told(Question::ModelInfo)?;
        let is_textgen = info.text("model_name").is_some();
        Ok(is_textgen.then(|| is(AdapterKind::TextgenWebui, "it has /v1/internal/model/info")))
    }

    /// Speech servers that have the usual list: told apart by voices and by what health says.
    fn speech(&self, list: &Heard) -> Maybe {
        let voices = self.told(Question::Voices)?;
        let has_voices = voices.field("voices").is_some_and(Value::is_array);
        let health = self.told(Question::Health)?;
        let listed = ids(&list.json);
        let found = if has_voices && (health.text("message") == Some("OK") || voices.text("object") == Some("list")) {
            (SpeechServer::Speaches, "it lists voices, and signs lists and health as speaches does")
        } else if has_voices && (health.text("status") == Some("healthy") || listed.contains("kokoro")) {
            (SpeechServer::Kokoro, "it lists voices, and its health and models are Kokoro-FastAPI's")
        } else if !listed.is_empty()
            && listed.iter().all(|id| matches!(*id, "tts-1" | "tts-1-hd"))
            && matches!(health.text("status"), Some("ok" | "unk"))
        {
            (SpeechServer::Openedai, "its only models are tts-1 and tts-1-hd, and its health is openedai-speech's")
        } else {
            return Ok(None);
        };
        Ok(Some(speech_server(found.0, found.1)))
    }
}

/// llama-server answers everything with this until its model is there.
fn by_being_busy(list: &Heard) -> Option<Recognized> {
    let error = &list.json["error"];
    (error["type"] == "unavailable_error" && error["message"] == "Loading model")
        .then(|| is(AdapterKind::LlamaServer, "it says that it is still loading its model, in llama.cpp's words"))
}

fn is(adapter: AdapterKind, because: &str) -> Recognized {
    Recognized { adapter, server: None, because: because.to_owned(), needs_key: false, version: None }
}

fn speech_server(server: SpeechServer, because: &str) -> Recognized {
    Recognized { server: Some(server), ..is(AdapterKind::TtsWebui, because) }
}

fn stranger(list: &Heard) -> String {
    match list.status {
        0 => "it answers, and not in a way that can be read".to_owned(),
        401 | 403 => format!("it refuses to answer without a key or under this name ({})", list.status),
        status => format!("it speaks HTTP and is no runtime that is known (/v1/models: {status})"),
    }
}

fn listed(json: &Value) -> impl Iterator<Item = &Value> {
    json["data"].as_array().into_iter().flatten()
}

fn is_list(json: &Value) -> bool {
    json["data"].is_array() && listed(json).all(|entry| entry["id"].is_string())
}

fn count(json: &Value) -> usize {
    listed(json).count()
}

fn ids(json: &Value) -> BTreeSet<&str> {
    listed(json).filter_map(|entry| entry["id"].as_str()).collect()
}

/// Who the entries say they belong to, those that sign their own lists first.
fn owners(json: &Value) -> Vec<&str> {
    let mut owners: Vec<&str> = listed(json).filter_map(|entry| entry["owned_by"].as_str()).collect();
    // A list of llama-swap may hold models that a peer signed.
    owners.sort_by_key(|owner| *owner != "llama-swap");
    owners.dedup();
    owners
}

#[cfg(test)]
mod tests;
