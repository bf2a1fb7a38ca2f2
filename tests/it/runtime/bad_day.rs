//! Hostile answers, the same for every adapter that speaks HTTP: to a look, to a run, to a load or unload, and in place of
//! events. Each ends in an error that names what was wrong, costs bounded memory and time, makes no look ask for anything that
//! could change the runtime, and leaves an adapter that goes on as soon as the runtime is sane again.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use arcology::act::runtime::{Adapter, Invocation, Progress, RuntimeError};
use futures::StreamExt as _;
use serde_json::{Value, json};

use crate::double::gate::{Gate, Hostile};
use crate::double::{comfyui, llama_server, llama_swap, ollama, openai, textgen_webui, tts_webui, vllm};

use super::{adapter, in_time, invocation, spec};

/// The largest body that any adapter reads whole.
const BODY_BYTES_MAX: usize = 64 << 20;
/// What the sockets of one connection may hold beside it: twice the largest buffers of Linux as it comes.
const SOCKET_BYTES_MAX: usize = 20 << 20;

/// An adapter, and what it is to suffer.
struct Case {
    adapter: &'static str,
    upstream: SocketAddr,
    options: Value,
    /// All that a look may ask for.
    harmless: &'static [&'static str],
    /// Work, and the paths that are asked for it; one that ends in `*` stands for all that begin so.
    task: Invocation,
    work: &'static [&'static str],
    /// Where it loads: the model, and the paths that are asked to load it and to unload it.
    loads: Option<Loads>,
    /// The path of its events, where it has them.
    events: Option<&'static str>,
}

/// A model, and the paths that are asked for it.
#[derive(Clone, Copy)]
struct Loads {
    model: &'static str,
    load: &'static [&'static str],
    unload: &'static [&'static str],
}

/// What the error of a hostile answer must say: one of these.
fn names(how: Hostile) -> &'static [&'static str] {
    match how {
        Hostile::Endless | Hostile::LongLength => &["larger than the limit"],
        Hostile::EndlessLine => &["larger than the limit", "longer than", "`text/event-stream`"],
        Hostile::EndlessHead => &["head is too large", "header"],
        Hostile::ShortBody | Hostile::Half | Hostile::Reset => &["broke"],
        Hostile::Redirect => &["redirect"],
        Hostile::Deep => &["recursion limit", "not the JSON", "is no sound", "is broken"],
        Hostile::NotUtf8 => &["not UTF-8", "is no sound", "is broken"],
        Hostile::WrongType => &["not the JSON", "`text/html`", "is no sound", "is broken"],
        Hostile::Fails => &["HTTP 500"],
        Hostile::NoHttp => &["invalid HTTP"],
        Hostile::Drips | Hostile::Hangs => &["within"],
    }
}

/// An answer that is no stream of events at all is not read any further.
fn is_refused(said: &str) -> bool {
    said.contains("`application/json` in place of events") || said.contains("it opens no WebSocket")
}

/// Whether an answer says yes, and then nothing that makes sense. Where only the yes counts and looking tells the rest, it is
/// said that the model did not come or go.
fn is_only_a_yes(how: Hostile) -> bool {
    matches!(how, Hostile::Deep | Hostile::NotUtf8 | Hostile::WrongType)
}

fn says_that_nothing_changed(said: &str) -> bool {
    ["should be loaded", "should be unloaded", "it is unloaded again", "not done within"]
        .iter()
        .any(|w| said.contains(w))
}

fn check(case: &Case, how: Hostile, gate: &Gate, what: &str, error: &RuntimeError) {
    let (adapter, said) = (case.adapter, error.to_string());
    let is_named = names(how).iter().any(|words| said.contains(words))
        || (what == "events" && is_refused(&said))
        || (what.ends_with("load") && is_only_a_yes(how) && says_that_nothing_changed(&said));
    assert!(is_named, "{adapter}, {what}, {how:?}: {said}");
    assert!(said.len() < 2_000, "{adapter}, {what}, {how:?}: {} bytes are said", said.len());
    let most = gate.answered() * (BODY_BYTES_MAX + SOCKET_BYTES_MAX);
    assert!(gate.answered() > 0, "{adapter}, {what}, {how:?}: it was not asked at all");
    assert!(gate.sent() <= most, "{adapter}, {what}, {how:?}: {} bytes were taken", gate.sent());
}

fn limits(how: Hostile) -> Value {
    if how.is_slow() {
        json!({"connect": "300ms", "load": "600ms", "run": "600ms"})
    } else if is_only_a_yes(how) {
        json!({"connect": "40s", "load": "3s", "run": "50s"})
    } else {
        json!({"connect": "40s", "load": "40s", "run": "50s"})
    }
}

async fn suffer(case: Case) {
    for how in Hostile::ALL {
        let gate = Gate::before(case.upstream).await;
        let more = json!({"endpoint": gate.endpoint(), "timeouts": limits(how), "options": case.options});
        let adapter = adapter(Path::new("/nowhere"), &spec(case.adapter, more)).unwrap();

        gate.spoil("*", how);
        let error = in_time(adapter.observe()).await.unwrap_err();
        check(&case, how, &gate, "a look", &error);
        for look in gate.asked() {
            assert!(case.harmless.contains(&look.as_str()), "{}, {how:?}: looking asked for {look}", case.adapter);
        }
        gate.behave();
        let patient =
            json!({"endpoint": gate.endpoint(), "timeouts": limits(Hostile::Endless), "options": case.options});
        let again = super::adapter(Path::new("/nowhere"), &spec(case.adapter, patient)).unwrap();
        in_time(again.observe()).await.unwrap();

        for path in case.work {
            gate.spoil(path, how);
            let error = in_time(adapter.run(case.task.clone(), Progress::ignored())).await.unwrap_err();
            check(&case, how, &gate, path, &error);
        }
        gate.behave();
        in_time(again.run(case.task.clone(), Progress::ignored())).await.unwrap();

        if let Some(loads) = case.loads {
            change(&case, loads, how, &gate, &adapter, &again).await;
        }
        if let Some(path) = case.events {
            events(&case, how, &gate, &adapter, path).await;
        }
    }
}

/// Loads and unloads. `again` is the same runtime with patience, which puts right what was left half done.
async fn change(
    case: &Case,
    Loads { model, load, unload }: Loads,
    how: Hostile,
    gate: &Gate,
    adapter: &Arc<dyn Adapter>,
    again: &Arc<dyn Adapter>,
) {
    for path in unload {
        in_time(again.load(model)).await.unwrap();
        gate.spoil(path, how);
        check(case, how, gate, "unload", &in_time(adapter.unload(model)).await.unwrap_err());
        gate.behave();
    }
    for path in load {
        in_time(again.unload(model)).await.unwrap();
        gate.spoil(path, how);
        check(case, how, gate, "load", &in_time(adapter.load(model)).await.unwrap_err());
        gate.behave();
    }
    in_time(again.unload(model)).await.unwrap();
}

/// Events: an answer that drips is no failure, for a stream may be silent for long.
async fn events(case: &Case, how: Hostile, gate: &Gate, adapter: &Arc<dyn Adapter>, path: &str) {
    if how == Hostile::Drips {
        return;
    }
    gate.spoil(path, how);
    let error = match in_time(adapter.events()).await {
        Err(error) => error,
        Ok(events) => in_time(events.collect::<Vec<_>>()).await.pop().expect("it says why it ended").unwrap_err(),
    };
    check(case, how, gate, "events", &error);
}

fn chat(model: &str) -> Invocation {
    invocation("text.generate", Some(model), "Say hello.", json!({}))
}

const CHAT: &str = "/v1/chat/completions";

#[tokio::test]
async fn an_openai_server_may_answer_as_it_likes() {
    let server = openai::start(openai::Has::default()).await;
    let (harmless, upstream) = (super::openai::HARMLESS, server.address);
    let case = Case {
        adapter: "openai",
        upstream,
        options: json!({}),
        harmless,
        task: chat("tiny"),
        work: &[CHAT],
        loads: None,
        events: None,
    };
    suffer(case).await;
}

#[tokio::test]
async fn a_llama_swap_may_answer_as_it_likes() {
    let models = vec![llama_swap::Model::new("a")];
    let double = llama_swap::Double::start(llama_swap::Version::Newer, models).await;
    suffer(Case {
        adapter: "llama-swap",
        upstream: double.address,
        options: json!({}),
        harmless: super::llama_swap::HARMLESS,
        task: chat("a"),
        work: &[CHAT],
        loads: Some(Loads { model: "a", load: &["/upstream/*"], unload: &["/api/models/unload/*"] }),
        events: Some("/api/events"),
    })
    .await;
}

#[tokio::test]
async fn a_llama_server_may_answer_as_it_likes() {
    let double = llama_server::Double::start(llama_server::Has::default()).await;
    suffer(Case {
        adapter: "llama-server",
        upstream: double.server.address,
        options: json!({}),
        harmless: super::llama_server::HARMLESS,
        task: chat(super::llama_server::QWEN),
        work: &[CHAT],
        loads: Some(Loads { model: super::llama_server::QWEN, load: &["/models/load"], unload: &["/models/unload"] }),
        events: Some("/models/sse"),
    })
    .await;
}

#[tokio::test]
async fn an_ollama_may_answer_as_it_likes() {
    let double = ollama::Double::start().await;
    suffer(Case {
        adapter: "ollama",
        upstream: double.server.address,
        options: json!({}),
        harmless: super::ollama::HARMLESS,
        task: chat(super::ollama::QWEN),
        work: &[CHAT],
        loads: Some(Loads { model: super::ollama::QWEN, load: &["/api/generate"], unload: &["/api/generate"] }),
        events: None,
    })
    .await;
}

#[tokio::test]
async fn a_vllm_may_answer_as_it_likes() {
    let (server, _app) = vllm::start(vllm::Has::default()).await;
    suffer(Case {
        adapter: "vllm",
        upstream: server.address,
        options: json!({}),
        harmless: super::vllm::HARMLESS,
        task: chat("qwen3"),
        work: &[CHAT],
        loads: Some(Loads { model: "qwen3", load: &["/wake_up"], unload: &["/sleep"] }),
        events: None,
    })
    .await;
}

#[tokio::test]
async fn a_text_generation_webui_may_answer_as_it_likes() {
    let (server, _app) = textgen_webui::start(textgen_webui::Has::default()).await;
    suffer(Case {
        adapter: "textgen-webui",
        upstream: server.address,
        options: json!({}),
        harmless: super::textgen_webui::HARMLESS,
        task: chat("a.gguf"),
        work: &[CHAT],
        loads: Some(Loads {
            model: "a.gguf",
            load: &["/v1/internal/model/load", "/v1/internal/token-count"],
            unload: &["/v1/internal/model/unload"],
        }),
        events: None,
    })
    .await;
}

#[tokio::test]
async fn a_speech_server_of_any_kind_may_answer_as_it_likes() {
    for (kind, server, harmless) in super::tts_webui::KINDS {
        let (double, _app) = tts_webui::start(tts_webui::Has::new(kind)).await;
        suffer(Case {
            adapter: "tts-webui",
            upstream: double.address,
            options: json!({"server": server}),
            harmless,
            task: invocation("audio.tts", Some(tts_webui::model(kind)), "Hello there.", json!({})),
            work: &["/v1/audio/speech"],
            loads: None,
            events: None,
        })
        .await;
    }
}

#[tokio::test]
async fn a_comfyui_may_answer_as_it_likes() {
    let (server, _app) = comfyui::start(comfyui::Has::new()).await;
    suffer(Case {
        adapter: "comfyui",
        upstream: server.address,
        options: json!({"workflows": {"image.gen": super::comfyui::workflow()}}),
        harmless: super::comfyui::LOOKS,
        task: invocation("image.gen", Some(super::comfyui::MODEL), "a dog", json!({})),
        work: &["/prompt", "/history/*", "/view"],
        loads: None,
        events: Some("/ws"),
    })
    .await;
}
