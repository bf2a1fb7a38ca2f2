//! `arcology doctor` as a program: what it finds in a repository of its own, on good days and on bad ones.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use super::context::{Context, Ran};
use super::daemon::{Answers, FakeDaemon};
use crate::double::port;

/// Where the page can listen in every test: any free port.
const LISTEN: [&str; 2] = ["--listen", "127.0.0.1:0"];

fn doctor(context: &Context, more: &[&str]) -> Ran {
    context.run(&[&["doctor", "-o", "json"], &LISTEN[..], more].concat())
}

fn checks(ran: &Ran) -> Vec<Value> {
    let told: Value = serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{}{}", ran.out, ran.err));
    told["checks"].as_array().unwrap().clone()
}

/// What was found by the check of that name.
fn found(ran: &Ran, check: &str) -> Value {
    checks(ran).into_iter().find(|found| found["check"] == check).unwrap_or_else(|| panic!("no {check} in {}", ran.out))
}

#[track_caller]
fn assert_status(ran: &Ran, check: &str, status: &str) -> Value {
    let found = found(ran, check);
    assert_eq!(found["status"], status, "{found}");
    assert_eq!(found["mend"].is_string(), matches!(status, "warn" | "fail"), "{found}");
    found
}

/// Everything below a folder, with the times of change.
fn everything(context: &Context) -> Vec<(std::path::PathBuf, std::time::SystemTime)> {
    let mut all = Vec::new();
    let mut folders = vec![context.path("")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let metadata = entry.metadata().unwrap();
            if metadata.is_dir() {
                folders.push(entry.path());
            }
            all.push((entry.path(), metadata.modified().unwrap()));
        }
    }
    all.sort();
    all
}

#[test]
fn a_new_repository_is_well_and_nothing_in_it_is_changed() {
    let context = Context::with_repository();
    let before = everything(&context);
    let ran = doctor(&context, &[]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{}", ran.out);
    for check in
        ["git", "git identity", "repository", "manifests", "state directory", "page", "runtime builtin", "clock"]
    {
        assert_status(&ran, check, "ok");
    }
    assert_status(&ran, "daemon", "skipped");
    assert_eq!(everything(&context), before);
}

#[test]
fn the_text_has_a_line_for_each_check_and_counts_them() {
    let context = Context::with_repository();
    let ran = context.run(&[&["doctor"], &LISTEN[..]].concat());
    assert_eq!(ran.code, 0, "{}", ran.out);
    assert!(ran.out.lines().any(|line| line.starts_with("ok      repository         main@")), "{}", ran.out);
    assert!(ran.out.lines().last().unwrap().contains(" ok"), "{}", ran.out);
}

#[test]
fn without_git_on_the_path_it_says_what_that_is_needed_for() {
    let context = Context::with_repository();
    let mut command = context.command(&[&["doctor", "-o", "json"], &LISTEN[..]].concat());
    let ran = Ran::of(&command.env("PATH", "/nonexistent").output().unwrap());
    assert_eq!(ran.code, 0, "{}", ran.out);
    let git = assert_status(&ran, "git", "warn");
    assert!(git["seen"].as_str().unwrap().contains("PATH"), "{git}");
}

#[test]
fn a_state_directory_that_cannot_be_used_fails() {
    let context = Context::with_repository();
    context.write("file", "");
    let ran = doctor(&context, &["--state", "file"]);
    assert_eq!(ran.code, 1);
    assert_status(&ran, "state directory", "fail");

    std::fs::create_dir(context.path("open")).unwrap();
    std::fs::set_permissions(context.path("open"), std::fs::Permissions::from_mode(0o777)).unwrap();
    let ran = doctor(&context, &["--state", "open"]);
    assert_status(&ran, "state directory", "warn");
    assert_status(&ran, "store", "ok");

    std::fs::write(context.path("open/arcology.db"), "no database, whatever its name says").unwrap();
    let ran = doctor(&context, &["--state", "open"]);
    assert_eq!(ran.code, 1);
    assert_status(&ran, "store", "fail");
}

#[test]
fn a_runtime_that_does_not_answer_fails_with_where_it_was_looked_for() {
    let closed = port::free();
    let context = Context::with_repository();
    let spec = format!("{{host: desk, adapter: ollama, endpoint: \"http://{closed}\", capabilities: [text.generate]}}");
    context.write(
        "manifests/ollama.yaml",
        &format!("apiVersion: arcology/v1alpha1\nkind: Runtime\nmetadata: {{name: ollama}}\nspec: {spec}\n"),
    );
    context.commit_all("Declare a runtime that is not there");
    let ran = doctor(&context, &[]);
    assert_eq!(ran.code, 1, "{}", ran.out);
    let runtime = assert_status(&ran, "runtime ollama", "fail");
    assert!(runtime["mend"].as_str().unwrap().contains(&closed.to_string()), "{runtime}");
}

#[test]
fn broken_manifests_and_a_folder_without_a_repository_fail() {
    let context = Context::with_repository();
    context.replace("manifests/host.yaml", "kind: Host", "kind: Hots");
    context.commit_all("Break it");
    let ran = doctor(&context, &[]);
    assert_eq!(ran.code, 1);
    assert!(assert_status(&ran, "manifests", "fail")["mend"].as_str().unwrap().contains("arcology validate"));

    let ran = doctor(&Context::new(), &[]);
    assert_eq!(ran.code, 1);
    assert_status(&ran, "repository", "fail");
    assert_status(&ran, "runtimes", "skipped");

    let ran = doctor(&Context::new(), &["--repo", "https://me:s3cret@forge.invalid/state.git"]);
    assert_status(&ran, "repository", "skipped");
    assert!(!ran.out.contains("s3cret"), "{}", ran.out);
}

#[test]
fn a_page_that_cannot_listen_fails() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let context = Context::with_repository();
    let ran = context.run(&["doctor", "-o", "json", "--listen", &address]);
    assert_eq!(ran.code, 1);
    assert_status(&ran, "page", "fail");
    let ran = context.run(&["doctor", "-o", "json", "--listen", "0.0.0.0:0"]);
    assert_status(&ran, "page", "fail");
}

#[test]
fn where_a_daemon_runs_its_word_counts() {
    let context = Context::with_repository();
    let status = json!({"source": {"ready": true, "message": null}, "store_problem": null});
    let row = json!({"name": "swap", "adapter": "llama-swap", "health": "Degraded", "reason": "half of it", "version": "v250"});
    let answers = Answers::default()
        .with("GET /api/v1/status", 200, status)
        .with("GET /api/v1/openapi.json", 200, json!({"info": {"version": "0.0.1"}}))
        .with("GET /api/v1/runtimes", 200, json!({"items": [row], "next": null}));
    let daemon = FakeDaemon::start(&context.path("control.sock"), answers);
    let ran = doctor(&context, &["--control", "control.sock"]);
    assert_eq!(ran.code, 0, "{}{:?}", ran.out, daemon.asked());
    assert!(assert_status(&ran, "daemon", "warn")["seen"].as_str().unwrap().contains("0.0.1"));
    assert!(assert_status(&ran, "runtime swap", "warn")["seen"].as_str().unwrap().contains("half of it"));
    assert!(daemon.asked().iter().all(|(what, _)| what.starts_with("GET ")), "{:?}", daemon.asked());
}

#[test]
fn a_socket_that_nobody_listens_on_is_told() {
    let context = Context::with_repository();
    drop(std::os::unix::net::UnixListener::bind(context.path("left.sock")).unwrap());
    let ran = doctor(&context, &["--control", "left.sock"]);
    assert_status(&ran, "daemon", "warn");
    assert_status(&ran, "runtime builtin", "ok");
}
