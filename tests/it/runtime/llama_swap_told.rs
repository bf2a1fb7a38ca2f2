//! What llama-swap tells beside its models: finished requests, requests in flight, samples of its machine, captures.

use std::path::Path;
use std::sync::{Arc, Mutex};

use arcology::act::runtime::{Adapter, Progress, RuntimeEvent};
use arcology::core::Timestamp;
use arcology::decide::view::ModelState;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use serde_json::{Value, json};

use crate::double::llama_swap::{Double, Model, Serves, Version};

use super::llama_swap::VERSIONS;
use super::{adapter, in_time, invocation, spec, text_of_run};

type Events = BoxStream<'static, Result<RuntimeEvent, arcology::act::runtime::RuntimeError>>;

async fn double_of(version: Version, serves: Serves, options: Value) -> (Double, Arc<dyn Adapter>) {
    let double = Double::start(version, vec![Model { serves, ..Model::new("a") }, Model::new("b")]).await;
    let timeouts = json!({"connect": "20s", "load": "40s", "run": "40s"});
    let all = json!({"endpoint": double.endpoint(), "timeouts": timeouts, "options": options});
    let adapter = adapter(Path::new("/nowhere"), &spec("llama-swap", all)).unwrap();
    (double, adapter)
}

const WORDS: Serves = Serves::Words(&["Hello"]);

fn task() -> arcology::act::runtime::Invocation {
    invocation("text.generate", Some("a"), "Say hello.", json!({}))
}

/// The next event but for the hints that models changed and what is in flight.
async fn next_gap(events: &mut Events) -> RuntimeEvent {
    loop {
        match in_time(events.next()).await.expect("the stream goes on").unwrap() {
            gap @ RuntimeEvent::Gap { .. } => return gap,
            RuntimeEvent::Changed | RuntimeEvent::InFlight(_) | RuntimeEvent::Log(_) => {}
        }
    }
}

async fn listen(adapter: &Arc<dyn Adapter>) -> Events {
    let mut events = in_time(adapter.events()).await.unwrap();
    while in_time(events.next()).await.unwrap().unwrap() != RuntimeEvent::InFlight(0) {}
    events
}

#[tokio::test]
async fn quirk_7_a_run_has_the_figures_of_its_own_entry_in_every_version() {
    for version in VERSIONS {
        let (double, adapter) = double_of(version, WORDS, json!({})).await;
        double.finish_unheard("a");
        let outcome = in_time(adapter.run(task(), Progress::ignored())).await.unwrap();
        assert_eq!(outcome.figures.get("runtime_ms"), Some(&1320.0), "{version:?}");
        assert_eq!(outcome.figures["tokens"], 1.0, "what the answer tells counts: {version:?}");
        assert!(!outcome.figures.contains_key("drafted_tokens"), "-1 is unknown: {version:?}");
    }
}

#[tokio::test]
async fn an_entry_that_may_be_anothers_is_not_taken() {
    let (double, adapter) = double_of(Version::Newer, Serves::Gated(&["Hello"]), json!({})).await;
    let run = adapter.run(task(), Progress::ignored());
    let meanwhile = async {
        double.state.until(|inner| inner.running.get("a") == Some(&1)).await;
        double.finish_unheard("a");
        double.open("a");
    };
    let (outcome, ()) = in_time(async { tokio::join!(run, meanwhile) }).await;
    assert!(!outcome.unwrap().figures.contains_key("runtime_ms"));
}

#[tokio::test]
async fn quirk_7_entries_that_were_not_told_are_a_gap_only_where_they_are_no_longer_listed() {
    for version in VERSIONS {
        let (double, adapter) = double_of(version, WORDS, json!({})).await;
        double.finish_unheard("a");
        let mut events = listen(&adapter).await;
        double.finish("a");
        // Told late, but listed.
        double.finish_unheard("a");
        double.finish("a");
        let busy = double.occupy("b");
        loop {
            match in_time(events.next()).await.unwrap().unwrap() {
                RuntimeEvent::InFlight(1) => break,
                gap @ RuntimeEvent::Gap { .. } => panic!("{version:?}: {gap:?}"),
                RuntimeEvent::Changed | RuntimeEvent::InFlight(_) | RuntimeEvent::Log(_) => {}
            }
        }
        drop(busy);
        // Neither told nor listed.
        (0..2).for_each(|_| double.finish_unheard("a"));
        double.forget_entries();
        double.finish("a");
        assert_eq!(next_gap(&mut events).await, RuntimeEvent::Gap { missed: Some(2) }, "{version:?}");
    }
}

#[tokio::test]
async fn entries_of_a_time_without_listening_are_missed_only_where_they_are_no_longer_listed() {
    for version in VERSIONS {
        let (double, adapter) = double_of(version, WORDS, json!({})).await;
        double.finish_unheard("a");
        drop(listen(&adapter).await);
        double.finish_unheard("a");
        let mut events = listen(&adapter).await;
        double.finish("a");
        // Numbers that begin anew: a reload.
        double.reload();
        while let Some(event) = in_time(events.next()).await {
            assert!(!matches!(event.unwrap(), RuntimeEvent::Gap { .. }), "{version:?}: nothing was missed so far");
        }
        let mut events = in_time(adapter.events()).await.unwrap();
        assert_eq!(next_gap(&mut events).await, RuntimeEvent::Gap { missed: None }, "{version:?}");
    }
}

#[tokio::test]
async fn quirk_4_an_unload_waits_for_requests_in_flight_for_that_model_alone() {
    for version in VERSIONS {
        let (double, adapter) = double_of(version, Serves::Gated(&["Hello"]), json!({})).await;
        // Up to v234 only the number of all requests is told.
        let _other = (version >= Version::V235).then(|| double.occupy("b"));
        let run = adapter.run(task(), Progress::ignored());
        let unload = async {
            double.state.until(|inner| inner.running.get("a") == Some(&1)).await;
            let unload = adapter.unload("a");
            let open = async {
                double
                    .state
                    .until(|inner| inner.log.iter().filter(|(_, path)| path == "/api/events").count() > 1)
                    .await;
                assert!(double.log().iter().all(|(_, path)| !path.contains("unload")), "{version:?}");
                double.open("a");
            };
            tokio::join!(unload, open).0.unwrap();
        };
        let (outcome, ()) = in_time(async { tokio::join!(run, unload) }).await;
        assert_eq!(outcome.unwrap().outputs[0].bytes, b"Hello\n", "{version:?}");
        assert!(double.log().iter().any(|(_, path)| path == "/api/models/unload/a"));
    }
}

#[tokio::test]
async fn requests_in_flight_are_listed_by_model_without_headers_and_addresses() {
    for version in VERSIONS {
        let (double, adapter) = double_of(version, WORDS, json!({})).await;
        let _two = (double.occupy("a"), double.occupy("b"));
        let view = in_time(adapter.observe()).await.unwrap();
        assert_eq!(view.in_flight, Some(2));
        assert_eq!(view.works_of("a"), (version >= Version::V235).then_some(1), "{version:?}");
        let works = view.works.clone().unwrap_or_default();
        let since = "2026-08-22T10:00:00.123456789Z".parse::<Timestamp>().unwrap();
        assert!(works.iter().all(|work| work.since == Some(since) && work.path == "/v1/chat/completions"), "{works:?}");
        let shown = format!("{view:?}");
        assert!(!shown.contains("s3cret") && !shown.contains("192.0.2.7"), "{shown}");
    }
}

#[tokio::test]
async fn a_dropped_run_is_cancelled_by_its_own_mark_where_marks_are_told() {
    for version in VERSIONS {
        let (double, adapter) = double_of(version, Serves::Holds, json!({})).await;
        let mut events = listen(&adapter).await;
        let _other = double.occupy("a");
        let mut run = adapter.run(task(), Progress::ignored());
        tokio::select! {
            outcome = &mut run => panic!("{outcome:?}"),
            () = async { while in_time(events.next()).await.unwrap().unwrap() != RuntimeEvent::InFlight(2) {} } => {}
        }
        drop(run);
        in_time(double.state.until(|inner| inner.in_flight.len() == 1)).await;
        if version >= Version::V250 {
            let is_cancel = |path: &str| path.starts_with("/api/inflight/");
            in_time(double.state.until(|inner| inner.log.iter().any(|(_, path)| is_cancel(path)))).await;
        }
        let cancelled = double.state.read(|inner| inner.cancelled.clone());
        assert!(!cancelled.contains(&1), "{version:?}: that of somebody else goes on");
        let asked = double.log().into_iter().any(|(_, path)| path.starts_with("/api/inflight/"));
        assert_eq!(asked, version >= Version::V250, "{version:?}");
    }
}

#[tokio::test]
async fn samples_of_the_machine_come_with_their_own_time_and_only_what_is_new_is_asked_for() {
    let (double, adapter) = double_of(Version::Newer, WORDS, json!({})).await;
    assert_eq!(in_time(adapter.machine()).await.unwrap(), None, "switched off");
    let sample = |second: u32, used: u32| {
        json!({"enabled": true,
            "sys_stats": [{"timestamp": format!("2026-08-22T10:00:{second:02}Z"), "cpu_util_per_core": [50.0],
                "mem_total_mb": 65536, "mem_used_mb": 1024}],
            "gpu_stats": [{"timestamp": format!("2026-08-22T10:00:{second:02}Z"), "id": 0, "name": "RTX 3090",
                "uuid": "GPU-1", "temp_c": 51, "gpu_util_pct": 88, "mem_used_mb": used, "mem_total_mb": 24576}]})
    };
    for (second, used) in [(5, 6144), (5, 6144), (10, 3072)] {
        double.state.change(|inner| inner.performance = Some(sample(second, used)));
        let seen = in_time(adapter.machine()).await.unwrap().unwrap();
        let (at, card) = &seen.cards[0];
        let figures = card.figures.as_ref().unwrap();
        assert_eq!(at.as_second() % 60, i64::from(second));
        assert_eq!(figures.total_bytes - figures.free_bytes, u64::from(used) << 20);
        assert_eq!(seen.host.unwrap().1.ram_total_gb, 64.0);
    }
}

#[tokio::test]
async fn what_was_kept_of_a_failed_run_is_told_only_where_the_options_ask_for_it() {
    for (captures, vanished) in [(false, false), (true, false), (true, true)] {
        let refuses = Serves::Refuses(500, r#"{"error":"kernel crashed"}"#);
        let (double, adapter) = double_of(Version::Newer, refuses, json!({"captures": captures})).await;
        double.state.change(|inner| inner.captures_vanished = vanished);
        let said = Arc::new(Mutex::new(Vec::new()));
        let heard = said.clone();
        let progress = Progress::new(move |line: &str| heard.lock().unwrap().push(line.to_owned()));
        in_time(adapter.run(task(), progress)).await.unwrap_err();
        let said = said.lock().unwrap().join("\n");
        assert_eq!(said.contains("answered: out of ideas"), captures && !vanished, "{said}");
        assert_eq!(double.log().iter().any(|(_, path)| path.starts_with("/api/captures/")), captures);
    }
    let (_double, adapter) = double_of(Version::Newer, WORDS, json!({"captures": true})).await;
    assert_eq!(text_of_run(&adapter, task()).await.unwrap(), "Hello\n");
}

#[tokio::test]
async fn quirk_10_looking_again_and_again_starts_no_model_and_keeps_none_from_expiring() {
    for version in VERSIONS {
        let (double, adapter) = double_of(version, WORDS, json!({})).await;
        in_time(adapter.load("a")).await.unwrap();
        let before = double.log().len();
        for _ in 0..3 {
            let view = in_time(adapter.observe()).await.unwrap();
            let states = ["a", "b"].map(|id| view.model(id).unwrap().state);
            assert_eq!(states, [ModelState::Loaded, ModelState::Unloaded], "{version:?}");
        }
        let asked = double.log().split_off(before);
        assert!(asked.iter().all(|(method, path)| method == "GET" && !path.starts_with("/upstream")), "{asked:?}");
        double.expire("a");
        let view = in_time(adapter.observe()).await.unwrap();
        assert_eq!(view.model("a").unwrap().state, ModelState::Unloaded, "{version:?}");
    }
}
