//! `arcology discover` against every double: each is found, taken for itself, asked only what is harmless, and declared
//! by manifests that `arcology validate` accepts.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::double::llama_server;
use crate::double::llama_swap::{self, Model, Version};
use crate::double::ollama;
use crate::double::openai;
use crate::double::port;
use crate::double::raw::{Raw, Step, ok};
use crate::double::server::{Mood, Server, json as answer};
use crate::double::textgen_webui;
use crate::double::tts_webui::{self, Kind};
use crate::double::vllm;

use super::context::{Context, Ran};

/// Looks at these places only, where no program is installed.
async fn discover(places: &[SocketAddr], more: &[&str]) -> (Context, Ran) {
    let mut args: Vec<String> = ["discover", "--only"].map(str::to_owned).to_vec();
    args.extend(more.iter().map(|arg| (*arg).to_owned()));
    args.extend(places.iter().map(SocketAddr::to_string));
    tokio::task::spawn_blocking(move || {
        let context = Context::new();
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let ran = Ran::of(&context.command(&args).output().unwrap());
        (context, ran)
    })
    .await
    .unwrap()
}

/// What is found at one place, which must be declared by valid manifests.
async fn found_at(place: SocketAddr) -> Value {
    let (context, ran) = discover(&[place], &["-o", "json"]).await;
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    let told: Value = serde_json::from_str(&ran.out).unwrap();
    context.write("manifests/found.yaml", told["manifests"].as_str().unwrap());
    let valid = tokio::task::spawn_blocking(move || context.run(&["validate"])).await.unwrap();
    assert_eq!(valid.code, 0, "{}{}\n{}", valid.out, valid.err, told["manifests"].as_str().unwrap());
    assert!(!valid.out.contains("warning"), "{}", valid.out);
    told["runtimes"][0].clone()
}

fn names(found: &Value) -> Vec<&str> {
    found["models"].as_array().unwrap().iter().filter_map(|model| model["name"].as_str()).collect()
}

/// Whether all that was asked are reads that change nothing at this runtime.
fn assert_harmless(log: &[(String, String)], harmless: &[&str]) {
    assert!(!log.is_empty());
    for (method, path) in log {
        assert_eq!(method, "GET", "{path}");
        assert!(harmless.contains(&path.as_str()), "{path} was asked");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn llama_swap_is_found_and_nothing_is_loaded_or_unloaded() {
    for version in [Version::V234, Version::V238, Version::V250, Version::Newer] {
        let double = llama_swap::Double::start(version, vec![Model::new("org/qwen:7b"), Model::new("tiny")]).await;
        let place = double.endpoint().trim_start_matches("http://").parse().unwrap();
        let found = found_at(place).await;
        assert_eq!((found["adapter"].as_str(), found["needs_key"].as_bool()), (Some("llama-swap"), Some(false)));
        assert!(names(&found).contains(&"org/qwen:7b"), "{found}");
        assert!(found["version"].as_str().unwrap().starts_with("v2"), "{found}");
        assert_harmless(&double.log(), &["/v1/models", "/running", "/api/version", "/health", "/api/events"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn llama_server_is_found_as_a_router_alone_and_while_it_loads() {
    for router in [true, false] {
        let double = llama_server::Double::start(llama_server::Has { router, ..llama_server::Has::default() }).await;
        let found = found_at(double.server.address).await;
        assert_eq!(found["adapter"], "llama-server");
        assert!(names(&found).contains(&"org/qwen:7b"), "{found}");
        let harmless = ["/v1/models", "/models", "/props", "/metrics", "/health"];
        assert_harmless(&double.server.log(), &harmless);
        double.starting(true);
        let found = found_at(double.server.address).await;
        assert_eq!((found["adapter"].as_str(), names(&found).len()), (Some("llama-server"), 0), "{found}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ollama_is_found_without_the_models_of_other_machines() {
    let double = ollama::Double::start().await;
    let found = found_at(double.server.address).await;
    assert_eq!((found["adapter"].as_str(), found["version"].as_str()), (Some("ollama"), Some("0.33.0")));
    assert!(names(&found).contains(&"org/qwen:7b") && !names(&found).contains(&"big:cloud"), "{found}");
    let harmless = ["/v1/models", "/v1/internal/model/info", "/api/version", "/api/tags", "/api/ps"];
    assert_harmless(&double.server.log(), &harmless);
}

#[tokio::test(flavor = "multi_thread")]
async fn vllm_is_found_also_behind_its_key() {
    let harmless = ["/v1/models", "/version", "/metrics", "/health", "/is_sleeping", "/is_paused"];
    for key in [None, Some("s3cret")] {
        let (server, _app) = vllm::start(vllm::Has { key, ..vllm::Has::default() }).await;
        let found = found_at(server.address).await;
        assert_eq!((found["adapter"].as_str(), found["needs_key"].as_bool()), (Some("vllm"), Some(key.is_some())));
        assert_eq!(names(&found).is_empty(), key.is_some(), "{found}");
        assert_harmless(&server.log(), &harmless);
        assert!(server.asked().iter().all(|asked| !asked.headers.contains_key("authorization")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_handed_over_goes_to_what_was_named_alone_and_its_file_is_declared() {
    let (named, _app) = vllm::start(vllm::Has { key: Some("s3cret"), ..vllm::Has::default() }).await;
    let other = openai::start(openai::Has::default()).await;
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, key: &str| {
        std::fs::write(folder.path().join(name), key).unwrap();
        folder.path().join(name).to_str().unwrap().to_owned()
    };
    let port = other.address.port().to_string();
    // The other one is on a machine that was named, at a port that was not named for it.
    let more = |key: &str| ["-o", "json", "--key-file", key, "--port", &port, "127.0.0.1"].map(str::to_owned);
    for (key, opens) in [(file("models", "s3cret\n"), true), (file("wrong", "w0rd\n"), false)] {
        let more = more(&key);
        let (context, ran) = discover(&[named.address], &more.each_ref().map(String::as_str)).await;
        assert_eq!(ran.code, 0, "{}", ran.err);
        assert!(!ran.out.contains("s3cret") && !ran.err.contains("s3cret"), "{}{}", ran.out, ran.err);
        let told: Value = serde_json::from_str(&ran.out).unwrap();
        let at = |address: SocketAddr| {
            let endpoint = format!("http://{address}");
            told["runtimes"].as_array().unwrap().iter().find(|found| found["endpoint"] == *endpoint).cloned().unwrap()
        };
        let found = at(named.address);
        assert_eq!((found["adapter"].as_str(), found["needs_key"].as_bool()), (Some("vllm"), Some(!opens)));
        assert_eq!(names(&found).is_empty(), !opens, "{found}");
        assert_eq!(found["problem"].as_str(), (!opens).then_some("it refuses this key"));
        assert_eq!(at(other.address)["adapter"], "openai");
        let manifests = told["manifests"].as_str().unwrap();
        let declared = if opens { "auth: {tokenFrom: {file: models}}" } else { "auth: {tokenFrom: {file: wrong}}" };
        assert_eq!(manifests.matches(declared).count(), 1, "{manifests}");
        context.write("manifests/found.yaml", manifests);
        let valid = tokio::task::spawn_blocking(move || context.run(&["validate"])).await.unwrap();
        assert_eq!(valid.code, 0, "{}", valid.out);
    }
    assert!(named.asked().iter().all(|asked| asked.headers.contains_key("authorization")));
    assert!(other.asked().iter().all(|asked| !asked.headers.contains_key("authorization")));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_named_with_tls_is_asked_with_tls_alone_and_what_is_wrong_there_is_told() {
    let plain = openai::start(openai::Has::default()).await;
    let (_context, ran) = discover(&[], &[&format!("https://{}", plain.address)]).await;
    assert_eq!(ran.code, 1, "{}", ran.err);
    assert!(ran.err.contains(&format!("unknown at {}: cannot connect", plain.address)), "{}", ran.err);
    assert_eq!(plain.log(), [], "nothing is said to it in the clear");
}

#[tokio::test(flavor = "multi_thread")]
async fn text_generation_webui_is_found_also_behind_its_key() {
    let harmless =
        ["/v1/models", "/api/version", "/v1/internal/model/info", "/v1/internal/model/list", "/v1/internal/health"];
    for key in [None, Some("s3cret")] {
        let has = textgen_webui::Has { key, ..textgen_webui::Has::default() };
        let (server, _app) = textgen_webui::start(has).await;
        let found = found_at(server.address).await;
        assert_eq!(found["adapter"], "textgen-webui", "{found}");
        assert_eq!(found["needs_key"].as_bool(), Some(key.is_some()));
        assert_harmless(&server.log(), &harmless);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_four_speech_servers_are_told_apart() {
    for (kind, name) in [
        (Kind::TtsWebui, "tts-webui"),
        (Kind::Kokoro, "kokoro"),
        (Kind::Speaches, "speaches"),
        (Kind::Openedai, "openedai"),
    ] {
        let (server, _app) = tts_webui::start(tts_webui::Has::new(kind)).await;
        let found = found_at(server.address).await;
        assert_eq!((found["adapter"].as_str(), found["server"].as_str()), (Some("tts-webui"), Some(name)));
        assert!(names(&found).contains(&tts_webui::model(kind)), "{found}");
        assert!(server.log().iter().all(|(method, _)| method == "GET"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_speaks_openais_protocol_is_declared_as_that() {
    let server = openai::start(openai::Has::default()).await;
    let found = found_at(server.address).await;
    assert_eq!(found["adapter"], "openai");
    assert_eq!(names(&found), ["tiny", "voice"]);
    assert!(server.log().iter().all(|(method, _)| method == "GET"));
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_are_named_quickly_and_no_runtime_is_made_of_them() {
    let web = Server::start(|_| Box::pin(async { answer(404, &serde_json::json!({"hello": "world"})) })).await;
    let ssh = Raw::always(vec![Step::Write(b"SSH-2.0-OpenSSH_9.9\r\n".to_vec()), Step::Hang]).await;
    let silent = Raw::always(vec![Step::Hang]).await;
    let closed = port::free();
    let begun = Instant::now();
    let (_context, ran) = discover(&[web.address, ssh.address, silent.address, closed], &[]).await;
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{}", ran.err);
    for (address, words) in [
        (web.address, "is no runtime that is known"),
        (ssh.address, "speaks no HTTP"),
        (silent.address, "says nothing for 2000 ms"),
    ] {
        let line = ran.err.lines().find(|line| line.contains(&format!("unknown at {address}"))).unwrap();
        assert!(line.contains(words), "{line}");
    }
    assert!(!ran.err.contains(&format!("unknown at {closed}")), "{}", ran.err);
    assert!(ran.err.contains("error: no runtime was found\n") && ran.err.contains("hint: "), "{}", ran.err);
    assert!(web.log().len() <= 5, "{:?}", web.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runtime_on_its_worst_day_is_survived() {
    for mood in Mood::ALL {
        let double = ollama::Double::start().await;
        double.server.misbehave("*", mood);
        let (_context, ran) = discover(&[double.server.address], &[]).await;
        assert!(ran.code == 0 || ran.code == 1, "{mood:?}: {}", ran.err);
        assert!(!ran.err.contains("panicked"), "{mood:?}: {}", ran.err);
    }
    let steer = r#"{"object": "list", "data": [{"id": "a\u001b[2J"}, {"id": "b\nkind: Host"}, {"id": "c"}]}"#;
    let hostile = Raw::by_path([("/v1/models", ok("application/json", steer))].into(), ok("text/html", "<p>")).await;
    let found = found_at(hostile.address).await;
    assert_eq!(names(&found), ["c"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn several_runtimes_share_one_host_and_no_name() {
    let one = openai::start(openai::Has::default()).await;
    let two = openai::start(openai::Has::default()).await;
    let (context, ran) = discover(&[one.address, two.address], &[]).await;
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(
        (ran.out.matches("kind: Host").count(), ran.out.matches("kind: Runtime").count()),
        (1, 2),
        "{}",
        ran.out
    );
    assert!(ran.err.contains("looked at 127.0.0.1: ports "), "{}", ran.err);
    context.write("manifests/found.yaml", &ran.out);
    let valid = tokio::task::spawn_blocking(move || context.run(&["validate"])).await.unwrap();
    assert_eq!(valid.code, 0, "{}", valid.out);
}

#[test]
fn what_is_no_place_is_a_mistake_of_the_call() {
    for args in [
        &["discover", "http://desk"][..],
        &["discover", "--only"],
        &["discover", "--port", "0"],
        &["discover", "--host", "A B"],
        // A key for no port in particular, a name that no manifest can refer to, and no place at all.
        &["discover", "desk", "--key-file", "models"],
        &["discover", "desk:80", "--key-file", "My Key"],
        &["discover", "--key-file", "models"],
    ] {
        assert_eq!(Context::new().run(args).code, 2, "{args:?}");
    }
}
