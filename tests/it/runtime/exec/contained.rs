//! What programs are kept from, with and without a sandbox: other files, the network, all memory, all disk, all processes,
//! and living on.

use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

use arcology::act::runtime::{Fault, Progress};
use serde_json::json;

use super::super::{in_time, text_of_run};
use super::{Bench, has_sandbox, processes_with, sandboxes, task, until};

#[tokio::test]
async fn nothing_outside_its_own_folders_can_be_written_or_is_even_there() {
    if !has_sandbox().await {
        return;
    }
    let bench = Bench::new();
    std::fs::write(bench.path("secret"), "s3cret").unwrap();
    let lines = format!(
        "for d in / /usr /etc /dev /work /work/in /proc; do echo x 2>/dev/null > $d/planted && echo \"wrote $d\"; done\n\
         cat {0}/secret /etc/shadow 2>/dev/null; ls /root /home {0} 2>/dev/null | grep -v -e probe -e {0}\n\
         echo x 2>/dev/null > {0}/planted\n\
         echo x > /tmp/mine && echo x > /dev/shm/mine && echo x > here && echo own; id -u > /dev/null",
        bench.folder.path().display()
    );
    let program = bench.script("probe", &lines);
    let adapter = bench.printing("required", json!([program]), json!({}));
    assert_eq!(text_of_run(&adapter, task("")).await.unwrap(), "own\n");
    assert!(!bench.path("planted").exists() && !Path::new("/tmp/mine").exists());
}

#[tokio::test]
async fn files_that_the_manifest_names_can_be_read_and_not_written() {
    if !has_sandbox().await {
        return;
    }
    let bench = Bench::new();
    std::fs::create_dir(bench.path("models")).unwrap();
    std::fs::write(bench.path("models/voice"), "la").unwrap();
    let program = bench.script("read", "cat $1; echo x 2>/dev/null > $1 || echo kept");
    let models = bench.path("models");
    let stats =
        json!({"steps": [{"run": [program, "{model}"], "stdout": "out.txt"}], "outputs": [{"file": "out.txt"}]});
    let options = json!({
        "sandbox": "required",
        "readable": [models],
        "models": {"voice": models.join("voice")},
        "programs": {"text.stats": stats},
    });
    let adapter = bench.connect(options).unwrap();
    assert_eq!(text_of_run(&adapter, task("")).await.unwrap(), "lakept\n");
    assert_eq!(std::fs::read(models.join("voice")).unwrap(), b"la");
}

#[tokio::test]
async fn the_network_is_there_only_where_it_is_asked_for() {
    if !has_sandbox().await || !Path::new("/bin/bash").exists() {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let bench = Bench::new();
    let lines =
        format!("#!/bin/bash\nif (exec 3<>/dev/tcp/127.0.0.1/{port}) 2>/dev/null; then echo open; else echo shut; fi");
    let program = bench.script("connect", &lines);
    for (network, expected) in [(false, "shut\n"), (true, "open\n")] {
        let stats = json!({
            "steps": [{"run": [program], "stdout": "out.txt"}],
            "outputs": [{"file": "out.txt"}],
            "network": network,
        });
        let adapter = bench.connect(json!({"sandbox": "required", "programs": {"text.stats": stats}})).unwrap();
        assert_eq!(text_of_run(&adapter, task("")).await.unwrap(), expected);
    }
}

#[tokio::test]
async fn no_privileges_can_be_gained_and_other_processes_are_not_seen() {
    for sandbox in sandboxes().await {
        let bench = Bench::new();
        let program = bench.script(
            "look",
            "grep NoNewPrivs /proc/$$/status; grep CapEff /proc/$$/status; ls /proc 2>/dev/null | grep -c '^[0-9]'; true",
        );
        let adapter = bench.printing(sandbox, json!([program]), json!({}));
        let text = text_of_run(&adapter, task("")).await.unwrap();
        let lines: Vec<_> = text.lines().collect();
        if sandbox != "off" {
            assert_eq!(lines[1], "CapEff:\t0000000000000000", "{sandbox}");
            assert!(lines[2].parse::<u32>().unwrap() < 8, "{text}");
        }
        assert_eq!(lines[0], "NoNewPrivs:\t1", "{sandbox}");
    }
}

#[tokio::test]
async fn a_program_that_forks_endlessly_is_ended_with_all_that_it_started() {
    for sandbox in sandboxes().await {
        let bench = Bench::new();
        let nap = format!("3{}.{}", std::process::id(), sandbox.len());
        let program = bench.script("fork", &format!("while :; do sleep {nap} & done"));
        let adapter = bench.printing(sandbox, json!([program]), json!({"processes": 20}));
        let error = text_of_run(&adapter, task("")).await.unwrap_err();
        // Told by the watch, or, where the kernel counts, by the program that could not fork any more.
        let words = error.to_string();
        assert!(
            error.fault == Fault::RuntimeError && (words.contains("`processes` is 20") || words.contains("fork")),
            "{error}"
        );
        until("what it started is gone", || processes_with(&nap) == 0).await;
        assert_eq!(bench.folders(), 0);
    }
}

#[tokio::test]
async fn a_program_that_fills_memory_runs_out_of_it_alone_and_together_with_others() {
    for sandbox in sandboxes().await {
        let bench = Bench::new();
        let together =
            "for n in 1 2 3 4; do (head -c 40000000 /dev/zero; sleep 60) | tail -n 1 > /dev/null & done; wait";
        for program in [json!(["tail", "/dev/zero"]), json!([bench.script("together", together)])] {
            let adapter = bench.printing(sandbox, program, json!({"memoryMb": 100}));
            let error = text_of_run(&adapter, task("")).await.unwrap_err();
            assert_eq!(error.fault, Fault::OutOfMemory, "{sandbox}: {error}");
        }
    }
}

#[tokio::test]
async fn a_program_that_fills_the_disk_is_ended() {
    for sandbox in sandboxes().await {
        for (lines, file_mb, told) in [
            ("i=0; while :; do head -c 3000000 /dev/zero > f$i; i=$((i+1)); done", 500, "`diskMb` is 20"),
            ("i=0; while :; do head -c 3000000 /dev/zero > $TMPDIR/f$i; i=$((i+1)); done", 500, "`diskMb` is 20"),
            ("head -c 30000000 /dev/zero > big", 10, "larger than 10 MB, which is `fileMb`"),
            ("exec 3> f; rm f; while :; do head -c 1000000 /dev/zero >&3; done", 500, "`diskMb` is 20"),
            ("while :; do mkdir d; cd d; done", 10, "folders deeper"),
        ] {
            let bench = Bench::new();
            let program = bench.script("fill", lines);
            let adapter = bench.printing(sandbox, json!([program]), json!({"diskMb": 20, "fileMb": file_mb}));
            let error = text_of_run(&adapter, task("")).await.unwrap_err();
            assert!(error.fault == Fault::RuntimeError && error.message.contains(told), "{sandbox} {lines}: {error}");
            assert_eq!(bench.folders(), 0, "{sandbox} {lines}");
        }
    }
}

#[tokio::test]
async fn a_program_that_prints_endlessly_is_ended() {
    for sandbox in sandboxes().await {
        let bench = Bench::new();
        let loud = bench.script("loud", "yes >&2");
        for program in [json!(["yes"]), json!(["cat", "/dev/zero"]), json!([loud])] {
            let adapter = bench.printing(sandbox, program, json!({"outputMb": 1}));
            let error = text_of_run(&adapter, task("")).await.unwrap_err();
            assert!(error.message.contains("printed more than 1 MB"), "{sandbox}: {error}");
        }
    }
}

#[tokio::test]
async fn a_program_is_asked_to_end_and_then_ended() {
    for sandbox in sandboxes().await {
        let bench = Bench::new();
        for (lines, is_asked) in [
            ("trap 'echo was asked >&2; exit 0' TERM; while :; do sleep 0.05; done", true),
            ("trap '' TERM; while :; do sleep 0.05; done", false),
        ] {
            let program = bench.script("stay", lines);
            let adapter = bench.printing(sandbox, json!([program]), json!({"time": "300ms"}));
            let began = Instant::now();
            let error = text_of_run(&adapter, task("")).await.unwrap_err();
            assert_eq!(error.fault, Fault::Timeout, "{sandbox}: {error}");
            assert!(error.message.contains("not done within"), "{error}");
            let said = error.words.clone().unwrap_or_default();
            assert_eq!(said.contains("was asked"), is_asked, "{sandbox}: {said}");
            assert!(began.elapsed() < Duration::from_secs(30));
            until("it is gone", || processes_with(&bench.script("stay", lines)) == 0).await;
        }
    }
}

#[tokio::test]
async fn what_a_program_leaves_behind_is_ended_also_when_it_hides() {
    for sandbox in sandboxes().await {
        let bench = Bench::new();
        let nap = format!("4{}.{}", std::process::id(), sandbox.len());
        let program = bench.script("leave", &format!("setsid sleep {nap} & (sleep {nap} &) ; echo done"));
        let adapter = bench.printing(sandbox, json!([program]), json!({}));
        assert_eq!(text_of_run(&adapter, task("")).await.unwrap(), "done\n");
        assert_eq!(processes_with(&nap), 0, "{sandbox}");
    }
}

#[tokio::test]
async fn a_run_that_nobody_waits_for_any_more_is_ended() {
    for sandbox in sandboxes().await {
        let bench = Bench::new();
        let nap = format!("5{}.{}", std::process::id(), sandbox.len());
        let program = bench.script("nap", &format!("trap '' TERM; sleep {nap}; sleep {nap}"));
        let adapter = bench.printing(sandbox, json!([program]), json!({}));
        let running = {
            let adapter = adapter.clone();
            tokio::spawn(async move { adapter.run(task(""), Progress::ignored()).await })
        };
        until("it sleeps", || processes_with(&nap) > 0).await;
        assert_eq!(adapter.observe().await.unwrap().in_flight, Some(1));
        running.abort();
        assert!(in_time(running).await.unwrap_err().is_cancelled());
        until("it is gone", || processes_with(&nap) == 0 && bench.folders() == 0).await;
        let idle = async || adapter.observe().await.unwrap().in_flight == Some(0);
        in_time(async {
            while !idle().await {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}

#[tokio::test]
async fn a_link_is_no_result() {
    for sandbox in sandboxes().await {
        let bench = Bench::new();
        std::fs::write(bench.path("secret"), "s3cret").unwrap();
        for lines in [
            format!("ln -s {} result.txt", bench.path("secret").display()),
            "mkfifo result.txt".to_owned(),
            "mkdir result.txt".to_owned(),
            ":".to_owned(),
        ] {
            let program = bench.script("link", &lines);
            let stats = json!({"steps": [{"run": [program]}], "outputs": [{"file": "result.txt"}]});
            let adapter = bench.connect(json!({"sandbox": sandbox, "programs": {"text.stats": stats}})).unwrap();
            let error = text_of_run(&adapter, task("")).await.unwrap_err();
            assert!(error.message.contains("left no file `result.txt`"), "{lines}: {error}");
        }
    }
}

#[tokio::test]
async fn without_a_sandbox_what_remains_is_said_and_what_requires_one_is_refused() {
    let bench = Bench::new();
    let open = bench.printing("off", json!(["true"]), json!({}));
    let degraded = open.observe().await.unwrap().degraded.unwrap();
    for part in ["`sandbox: off`", "can read and write whatever this user can", "a watch on time, memory"] {
        assert!(degraded.contains(part), "{degraded}");
    }
    let strict = bench.printing("required", json!(["true"]), json!({}));
    let view = strict.observe().await.unwrap();
    match view.degraded {
        Some(why) => {
            assert!(why.contains("nothing is run"), "{why}");
            assert_eq!(text_of_run(&strict, task("")).await.unwrap_err().fault, Fault::Refused);
        }
        None => assert_eq!(text_of_run(&strict, task("")).await.unwrap(), ""),
    }
}

#[tokio::test]
async fn what_programs_may_read_cannot_hold_tokens_or_state() {
    let bench = Bench::new();
    std::fs::create_dir_all(bench.path("credentials")).unwrap();
    std::os::unix::fs::symlink(bench.path("credentials"), bench.path("link")).unwrap();
    for path in ["", "state", "credentials/token", "link"] {
        let error = bench.connect(json!({"readable": [bench.path(path)]})).err().unwrap();
        assert!(error.fault == Fault::BadInput && error.message.contains("state or tokens"), "{path}: {error}");
    }
    assert!(bench.connect(json!({"readable": [bench.path("models")]})).is_ok());
}

#[tokio::test]
async fn what_runs_of_an_earlier_start_left_is_ended_and_removed() {
    let bench = Bench::new();
    let mark = format!("run-1-{:x}-0", std::process::id());
    std::fs::create_dir_all(bench.path("state/exec/desk").join(&mark).join("out")).unwrap();
    let mut left = std::process::Command::new("sleep").arg("600").env("ARCOLOGY_RUN", &mark).spawn().unwrap();
    let _adapter = bench.printing("off", json!(["true"]), json!({}));
    assert_eq!(bench.folders(), 0);
    assert!(!left.wait().unwrap().success());
}

#[test]
fn a_program_ends_with_the_threads_that_supervise_it() {
    let bench = Bench::new();
    let nap = format!("6{}.5", std::process::id());
    let program = bench.script("nap", &format!("trap '' TERM; sleep {nap}; sleep {nap}"));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let adapter = bench.printing("off", json!([program]), json!({}));
    runtime.spawn(async move { adapter.run(task(""), Progress::ignored()).await });
    let wait = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    wait.block_on(until("it sleeps", || processes_with(&nap) > 0));
    runtime.shutdown_background();
    wait.block_on(until("it is gone", || processes_with(&nap) == 0));
}
