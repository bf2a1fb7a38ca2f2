//! Plain programs through the adapter `exec`: what they do, what is refused, and in [`contained`] what they are kept from,
//! in [`landlock`] what of that holds where there is no bubblewrap. In [`real`] the manifests of the documentation are run with the real programs.

mod contained;
mod landlock;
mod real;

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use arcology::act::runtime::exec::Tools;
use arcology::act::runtime::{Adapter, Fault, Invocation, Progress, RuntimeError};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::conformance::{Subject, Work, conform};
use super::{adapter, adapter_with, file, in_time, invocation, spec, text_of_run, tools};

/// A folder with programs, and what drives them.
struct Bench {
    folder: TempDir,
}

impl Bench {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A program of a few lines, for the shell or what the first line says.
    fn script(&self, name: &str, lines: &str) -> String {
        let path = self.path(name);
        let text = if lines.starts_with("#!") { lines.to_owned() } else { format!("#!/bin/sh\n{lines}\n") };
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// The runtime with these options. `sandbox: landlock` is that of a machine on which nothing is installed.
    fn connect(&self, mut options: Value) -> Result<Arc<dyn Adapter>, RuntimeError> {
        let mut tools = tools();
        if options["sandbox"] == "landlock" {
            options["sandbox"] = json!("auto");
            tools.folders = Vec::new();
        }
        self.connect_with(options, tools)
    }

    fn connect_with(&self, options: Value, tools: Tools) -> Result<Arc<dyn Adapter>, RuntimeError> {
        adapter_with(self.folder.path(), &spec("exec", json!({"options": options})), tools)
    }

    /// A runtime whose `text.stats` runs `program` and gives what that prints.
    fn printing(&self, sandbox: &str, program: Value, limits: Value) -> Arc<dyn Adapter> {
        let steps = json!([{"run": program, "stdout": "out.txt"}]);
        let stats = json!({"steps": steps, "outputs": [{"file": "out.txt"}], "limits": limits});
        self.connect(json!({"sandbox": sandbox, "programs": {"text.stats": stats}})).unwrap()
    }

    /// What is left of the folders of runs.
    fn folders(&self) -> usize {
        std::fs::read_dir(self.path("state/exec/desk")).map_or(0, Iterator::count)
    }
}

fn task(text: &str) -> Invocation {
    invocation("text.stats", None, text, json!({}))
}

/// Whether bubblewrap works here; a line says it when not.
pub async fn has_sandbox() -> bool {
    let bench = Bench::new();
    let adapter = bench.printing("required", json!(["true"]), json!({}));
    match adapter.observe().await.unwrap().degraded {
        Some(why) if why.contains("nothing is run") => {
            println!("skipped: the sandbox ({why})");
            false
        }
        _ => true,
    }
}

/// The ways in which programs can be run here.
async fn sandboxes() -> Vec<&'static str> {
    let mut ways = vec!["off"];
    ways.extend(landlock_abi().is_some().then_some("landlock"));
    ways.extend(has_sandbox().await.then_some("required"));
    ways
}

/// The version of Landlock that the kernel enforces; a line says it when it has none.
fn landlock_abi() -> Option<u32> {
    let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_arcology"));
    let told = program.args(["confine", "--probe"]).output().unwrap();
    let told: Value = serde_json::from_slice(&told.stdout).unwrap();
    let abi = told["landlock"].as_u64().and_then(|abi| u32::try_from(abi).ok());
    if abi.is_none() {
        println!("skipped: Landlock ({told})");
    }
    abi
}

/// How many processes there are of whose arguments one is `argument`.
fn processes_with(argument: &str) -> usize {
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let arguments = all.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    arguments.filter(|line| line.split(|byte| *byte == 0).any(|one| one == argument.as_bytes())).count()
}

/// Waits for `condition`, with a deadline.
async fn until(what: &str, condition: impl Fn() -> bool) {
    let waited = tokio::time::timeout(super::DEADLINE, async {
        while !condition() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    });
    waited.await.unwrap_or_else(|_| panic!("in vain: {what}"));
}

fn told(lines: &Arc<Mutex<Vec<String>>>) -> Progress {
    let lines = lines.clone();
    Progress::new(move |line| lines.lock().unwrap().push(line.to_owned()))
}

#[tokio::test]
async fn plain_programs_conform() {
    for sandbox in sandboxes().await {
        let bench = Bench::new();
        let summarize = json!({
            "steps": [{"run": ["fmt", "-w", "{max_words}", "{textFile}"], "stdout": "summary.md"}],
            "outputs": [{"file": "summary.md"}],
            "params": {"max_words": {"default": 60, "min": 1, "max": 2500}},
        });
        let options = json!({"sandbox": sandbox, "models": {"plain": ""}, "programs": {"text.summarize": summarize}});
        let adapter = bench.connect(options).unwrap();
        conform(&Subject { adapter, model: "plain", work: Work::summary(), unload_behind_its_back: None, asked: None })
            .await;
        until("no folder of a run is left", || bench.folders() == 0).await;
    }
}

#[tokio::test]
async fn steps_follow_each_other_and_their_files_are_the_result() {
    for sandbox in sandboxes().await {
        let bench = Bench::new();
        let count = bench.script("count", "wc -l < \"$1\"; echo \"page $2 of 3\" >&2");
        let stats = json!({
            "steps": [
                {"run": ["split", "-l", "{lines}", "-d", "--additional-suffix=.part", "{input}", "page-"]},
                {"run": [count, "{each}", "{eachStem}"], "each": "page-*.part", "stdout": "counts.txt", "progress": "page page-{done} of {total}"},
            ],
            "outputs": [{"file": "counts.txt", "mediaType": "text/plain"}, {"file": "page-*.part"}, {"file": "no.txt", "optional": true}],
            "params": {"lines": {"default": 2, "min": 1}},
        });
        let adapter = bench.connect(json!({"sandbox": sandbox, "programs": {"text.stats": stats}})).unwrap();
        let files = vec![file("../../hostile name; $(reboot).txt", b"1\n2\n3\n4\n5\n")];
        let lines = Arc::default();
        let outcome = in_time(adapter.run(Invocation { files, ..task("") }, told(&lines))).await.unwrap();
        let outputs: Vec<_> = outcome
            .outputs
            .iter()
            .map(|output| (output.name.as_str(), output.kind.as_str(), String::from_utf8_lossy(&output.bytes)))
            .collect();
        assert_eq!(
            outputs,
            [
                ("counts.txt", "txt", "2\n2\n1\n".into()),
                ("page-00.part", "part", "1\n2\n".into()),
                ("page-01.part", "part", "3\n4\n".into()),
                ("page-02.part", "part", "5\n".into()),
            ]
        );
        assert!(outcome.figures["wall_ms"] > 0.0);
        let lines = lines.lock().unwrap().join("\n");
        for part in ["protected by ", "step 1 of 2: split -l 2", "step 2 of 2: ", "33 %", "67 %"] {
            assert!(lines.contains(part), "{part}: {lines}");
        }
        assert_eq!(bench.folders(), 0);
    }
}

#[tokio::test]
async fn text_and_files_are_read_from_standard_input() {
    let bench = Bench::new();
    for (stdin, expected) in [("text", "words"), ("input", "a file")] {
        let step = json!({"run": ["cat"], "stdin": stdin, "stdout": "out.txt"});
        let stats = json!({"steps": [step], "outputs": [{"file": "out.txt"}]});
        let adapter = bench.connect(json!({"programs": {"text.stats": stats}})).unwrap();
        let with = Invocation { files: vec![file("a.bin", b"a file")], ..task("words") };
        assert_eq!(text_of_run(&adapter, with.clone()).await.unwrap(), expected);
        let without = Invocation { text: None, files: Vec::new(), ..with };
        assert_eq!(text_of_run(&adapter, without).await.unwrap_err().fault, Fault::BadInput);
    }
}

#[tokio::test]
async fn the_environment_holds_what_is_declared_and_nothing_of_ours() {
    for sandbox in sandboxes().await {
        let bench = Bench::new();
        let stats = json!({
            "steps": [{"run": ["env"], "stdout": "out.txt"}],
            "outputs": [{"file": "out.txt"}],
            "env": {"OMP_THREAD_LIMIT": "1", "ARCOLOGY_RUN": "mine"},
        });
        let adapter = bench.connect(json!({"sandbox": sandbox, "programs": {"text.stats": stats}})).unwrap();
        let text = text_of_run(&adapter, task("")).await.unwrap();
        let mut names: Vec<_> = text.lines().filter_map(|line| line.split('=').next()).collect();
        names.sort_unstable();
        names.retain(|name| *name != "PWD");
        assert_eq!(names, ["ARCOLOGY_RUN", "HOME", "LANG", "OMP_THREAD_LIMIT", "PATH", "TMPDIR"]);
        assert!(text.contains("ARCOLOGY_RUN=run-"), "its mark is nobody else's to set: {text}");
    }
}

#[tokio::test]
async fn a_program_that_is_missing_is_told_before_and_when_it_is_needed() {
    let bench = Bench::new();
    let adapter = bench.printing("off", json!(["no-such-program", "-x"]), json!({}));
    let degraded = adapter.observe().await.unwrap().degraded.unwrap();
    assert!(degraded.contains("not installed: `no-such-program` (for text.stats)"), "{degraded}");
    let error = text_of_run(&adapter, task("")).await.unwrap_err();
    assert!(error.fault == Fault::NotFound && error.message.contains("`no-such-program`"), "{error}");
    assert!(error.message.contains("/usr/bin"), "{error}");
}

#[tokio::test]
async fn what_is_declared_wrongly_is_refused_when_it_is_connected() {
    let bench = Bench::new();
    let offering = json!({"capabilities": ["ocr.pdf"], "options": {"programs": {}}});
    let error = adapter(bench.folder.path(), &spec("exec", offering)).err().unwrap();
    assert!(error.fault == Fault::BadInput && error.message.contains("`ocr.pdf`"), "{error}");
    let error = bench.connect(json!({"programs": {"text.stats": {"steps": []}}})).err().unwrap();
    assert!(error.fault == Fault::BadInput && error.message.contains("options of runtime `desk`"), "{error}");
}

#[tokio::test]
async fn a_failure_has_the_exit_code_and_the_programs_own_words() {
    for sandbox in sandboxes().await {
        let bench = Bench::new();
        let program = bench.script("fail", "echo 'the page is upside down' >&2; exit 3");
        let adapter = bench.printing(sandbox, json!([program]), json!({}));
        let error = text_of_run(&adapter, task("")).await.unwrap_err();
        assert_eq!(error.fault, Fault::RuntimeError);
        assert!(error.message.ends_with("ended with exit code 3"), "{error}");
        assert_eq!(error.words.as_deref(), Some("the page is upside down"));
        assert_eq!(bench.folders(), 0);
    }
}

#[tokio::test]
async fn a_value_that_would_become_an_option_is_refused() {
    let bench = Bench::new();
    let stats = json!({
        "steps": [{"run": ["echo", "{word}", "x={word}"], "stdout": "out.txt"}],
        "outputs": [{"file": "out.txt"}],
        "params": {"word": {}},
    });
    let adapter = bench.connect(json!({"programs": {"text.stats": stats}})).unwrap();
    let with = |word: &str| invocation("text.stats", None, "", json!({"word": word}));
    assert_eq!(
        text_of_run(&adapter, with("$(id) `id`; a  b|c")).await.unwrap(),
        "$(id) `id`; a  b|c x=$(id) `id`; a  b|c\n"
    );
    assert_eq!(text_of_run(&adapter, with("--help")).await.unwrap_err().fault, Fault::BadInput);
}

#[tokio::test]
async fn as_many_run_at_once_as_there_are_slots() {
    let bench = Bench::new();
    let gate = bench.path("gate");
    let program = bench.script("wait", &format!("while [ ! -e {} ]; do sleep 0.02; done", gate.display()));
    let stats = json!({"steps": [{"run": [program], "stdout": "out.txt"}], "outputs": [{"file": "out.txt"}]});
    let options = json!({"sandbox": "off", "programs": {"text.stats": stats}});
    let adapter = adapter(bench.folder.path(), &spec("exec", json!({"slots": 2, "options": options}))).unwrap();
    let runs: Vec<_> = (0..3)
        .map(|_| {
            let adapter = adapter.clone();
            tokio::spawn(async move { adapter.run(task(""), Progress::ignored()).await.map(|_| ()) })
        })
        .collect();
    let counted = tokio::time::timeout(super::DEADLINE, async {
        loop {
            let view = adapter.observe().await.unwrap();
            if (view.in_flight, view.queued) == (Some(2), Some(1)) {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    });
    counted.await.expect("two of three run at once");
    std::fs::write(Path::new(&gate), "").unwrap();
    for run in runs {
        in_time(run).await.unwrap().unwrap();
    }
    assert_eq!(adapter.observe().await.unwrap().in_flight, Some(0));
}

#[tokio::test]
async fn a_model_is_what_the_manifest_says_of_its_name() {
    let bench = Bench::new();
    let stats = json!({"steps": [{"run": ["echo", "{model}"], "stdout": "out.txt"}], "outputs": [{"file": "out.txt"}]});
    let models = json!({"amy": "/srv/amy.onnx", "joe": "/srv/joe.onnx"});
    let adapter = bench.connect(json!({"models": models, "programs": {"text.stats": stats}})).unwrap();
    let with = |model| invocation("text.stats", model, "", json!({}));
    assert_eq!(text_of_run(&adapter, with(Some("joe"))).await.unwrap(), "/srv/joe.onnx\n");
    let error = text_of_run(&adapter, with(None)).await.unwrap_err();
    assert!(error.fault == Fault::BadInput && error.message.contains("name one"), "{error}");
    let error = text_of_run(&adapter, with(Some("any"))).await.unwrap_err();
    assert!(error.fault == Fault::NotFound && error.message.contains("did you mean `amy`"), "{error}");
}
