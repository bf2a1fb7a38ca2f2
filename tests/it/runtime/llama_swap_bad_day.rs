//! llama-swap on a bad day: hanging, lying, huge, half, and not llama-swap at all.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arcology::act::runtime::{Adapter, Fault};
use futures::StreamExt as _;
use serde_json::json;

use crate::double::raw::{Raw, Step, chunk, chunked, ok, status};

use super::{adapter, in_time, invocation, spec, text_of_run};

/// A healthy llama-swap with the model `a`, but for the paths of `bad`.
async fn server(bad: Vec<(&'static str, Vec<Step>)>) -> Raw {
    let mut answers = BTreeMap::from([
        ("/health", ok("text/plain", "OK")),
        ("/v1/models", ok("application/json", r#"{"object":"list","data":[{"id":"a"}]}"#)),
        ("/running", ok("application/json", r#"{"running":[]}"#)),
        ("/api/version", ok("application/json", r#"{"version":"v250"}"#)),
    ]);
    answers.extend(bad);
    Raw::by_path(answers, status("404 Not Found", "text/plain", "404 page not found")).await
}

fn adapter_of(server: &Raw, connect: &str) -> Arc<dyn Adapter> {
    let timeouts = json!({"connect": connect, "load": "40s", "run": "40s"});
    adapter(Path::new("/nowhere"), &spec("llama-swap", json!({"endpoint": server.endpoint(), "timeouts": timeouts})))
        .unwrap()
}

fn huge() -> Vec<Step> {
    vec![chunked("application/json"), Step::Endless(chunk(&vec![b' '; 60_000]))]
}

#[tokio::test]
async fn a_look_that_goes_wrong_is_the_right_fault() {
    for (path, steps, fault, says) in [
        ("/running", vec![Step::Reset], Fault::Unreachable, "broke"),
        ("/running", huge(), Fault::RuntimeError, "larger than the limit"),
        ("/running", ok("text/html", "<html>"), Fault::RuntimeError, "not the JSON"),
        ("/running", ok("application/json", "[]"), Fault::RuntimeError, "not the JSON"),
        ("/running", status("500 Oops", "text/plain", "boom"), Fault::RuntimeError, "it said: boom"),
        (
            "/running",
            status("401 Unauthorized", "application/json", r#"{"error":"unauthorized"}"#),
            Fault::Refused,
            "unauthorized",
        ),
        ("/v1/models", status("302 Found", "text/plain", ""), Fault::RuntimeError, "redirect"),
        (
            "/v1/models",
            vec![chunked("application/json"), Step::Write(chunk(b"{\"data\":[")), Step::Reset],
            Fault::Unreachable,
            "broke",
        ),
    ] {
        let server = server(vec![(path, steps)]).await;
        let error = in_time(adapter_of(&server, "20s").observe()).await.unwrap_err();
        assert!(error.fault == fault && error.to_string().contains(says), "{path}: {error}");
    }
}

#[tokio::test]
async fn a_green_health_check_over_a_hanging_scheduler_is_not_a_healthy_runtime() {
    let server = server(vec![("/running", vec![Step::Hang])]).await;
    let error = in_time(adapter_of(&server, "100ms").observe()).await.unwrap_err();
    assert_eq!(error.fault, Fault::Timeout, "{error}");
}

#[tokio::test]
async fn a_red_health_check_and_a_missing_version_degrade_the_view_and_hide_nothing() {
    let bad = vec![("/health", status("503 No", "text/plain", "starting")), ("/api/version", vec![Step::Reset])];
    let server = server(bad).await;
    let view = in_time(adapter_of(&server, "20s").observe()).await.unwrap();
    assert!(view.degraded.as_deref().unwrap().contains("starting"), "{view:?}");
    assert_eq!((view.version.as_deref(), view.models.len()), (None, 1));
}

#[tokio::test]
async fn a_load_or_unload_that_is_answered_with_success_but_not_seen_is_a_failure() {
    let running = ok("application/json", r#"{"running":[{"model":"a","state":"ready"}]}"#);
    for (bad, verb) in [
        (vec![("/upstream/a/health", ok("text/plain", "OK"))], "load"),
        (vec![("/api/models/unload/a", ok("text/plain", "OK")), ("/running", running)], "unload"),
    ] {
        let server = server(bad).await;
        let adapter = adapter_of(&server, "20s");
        let outcome =
            if verb == "load" { in_time(adapter.load("a")).await } else { in_time(adapter.unload("a")).await };
        let error = outcome.unwrap_err();
        assert!(error.fault == Fault::RuntimeError && error.message.contains("`a` should be"), "{verb}: {error}");
    }
}

#[tokio::test]
async fn an_event_stream_that_goes_wrong_ends_with_the_reason() {
    for (steps, fault, says) in [
        (status("404 Not Found", "text/plain", "no"), Fault::NotFound, "HTTP 404"),
        (ok("text/html", "<html>"), Fault::RuntimeError, "`text/html` in place of events"),
        (
            vec![chunked("text/event-stream"), Step::Endless(chunk(&vec![b'x'; 60_000]))],
            Fault::RuntimeError,
            "longer than",
        ),
        (
            vec![chunked("text/event-stream"), Step::Write(chunk(b"data: \xff\n")), Step::Hang],
            Fault::RuntimeError,
            "not UTF-8",
        ),
        (vec![chunked("text/event-stream"), Step::Write(chunk(b"data:")), Step::Reset], Fault::Unreachable, "broke"),
    ] {
        let server = server(vec![("/api/events", steps)]).await;
        let error = match in_time(adapter_of(&server, "20s").events()).await {
            Err(error) => error,
            Ok(events) => in_time(events.collect::<Vec<_>>()).await.pop().unwrap().unwrap_err(),
        };
        assert!(error.fault == fault && error.to_string().contains(says), "{error}");
    }
}

#[tokio::test]
async fn a_chat_that_goes_wrong_is_the_right_fault() {
    let event_of = |data: &str| chunk(format!("data: {data}\n\n").as_bytes());
    let half = event_of(r#"{"choices":[{"delta":{"content":"half"}}]}"#);
    for (steps, fault, says) in [
        (ok("text/html", "<html>"), Fault::RuntimeError, "`text/html`"),
        (vec![chunked("text/event-stream"), Step::Write(half.clone()), Step::Reset], Fault::Unreachable, "broke"),
        (vec![chunked("text/event-stream"), Step::Write(event_of("{garbage"))], Fault::RuntimeError, "no JSON"),
        (
            vec![chunked("text/event-stream"), Step::Endless(chunk(&vec![b'x'; 60_000]))],
            Fault::RuntimeError,
            "longer than",
        ),
        (
            vec![
                chunked("text/event-stream"),
                Step::Endless(event_of(&format!(
                    r#"{{"choices":[{{"delta":{{"content":"{}"}}}}]}}"#,
                    "x".repeat(50_000)
                ))),
            ],
            Fault::RuntimeError,
            "longer than",
        ),
        (huge(), Fault::RuntimeError, "larger than the limit"),
    ] {
        let server = server(vec![("/v1/chat/completions", steps)]).await;
        let task = invocation("text.generate", Some("a"), "x", json!({}));
        let error = text_of_run(&adapter_of(&server, "20s"), task).await.unwrap_err();
        assert!(error.fault == fault && error.to_string().contains(says), "{error}");
    }
}

#[tokio::test]
async fn vectors_that_make_no_sense_are_refused() {
    for (body, fault, says) in [
        (r#"{"data":[]}"#, Fault::RuntimeError, "1 texts with 0 vectors"),
        (r#"{"data":[{"index":0,"embedding":[]}]}"#, Fault::RuntimeError, "empty"),
        (r#"{"data":[{"index":0,"embedding":"base64"}]}"#, Fault::RuntimeError, "not the JSON"),
        // 501: asking again does not mend it.
        (r#"{"error":{"message":"no embeddings here","code":501}}"#, Fault::BadInput, "no embeddings here"),
    ] {
        let server = server(vec![("/v1/embeddings", ok("application/json", body))]).await;
        let task = invocation("text.embed", Some("a"), "x", json!({}));
        let error = text_of_run(&adapter_of(&server, "20s"), task).await.unwrap_err();
        assert!(error.fault == fault && error.to_string().contains(says), "{error}");
    }
}

#[tokio::test]
async fn a_token_goes_with_every_request_and_never_into_an_error() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("credentials")).unwrap();
    std::fs::write(folder.path().join("credentials/swap-token"), "t0ken").unwrap();
    let echo = status("403 Forbidden", "application/json", r#"{"error":"Bearer t0ken may not"}"#);
    let server = server(vec![("/running", echo)]).await;
    let auth = json!({"tokenFrom": {"file": "swap-token"}});
    let spec = spec("llama-swap", json!({"endpoint": server.endpoint(), "auth": auth}));
    let error = in_time(adapter(folder.path(), &spec).unwrap().observe()).await.unwrap_err();
    assert!(error.fault == Fault::Refused && !error.to_string().contains("t0ken"), "{error}");
    assert!(error.to_string().contains("Bearer (hidden) may not"), "{error}");
    let heads = server.heads();
    assert!(heads.len() >= 4 && heads.iter().all(|head| head.contains("authorization: Bearer t0ken\r\n")), "{heads:?}");
}
