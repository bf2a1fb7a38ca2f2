//! State repositories of any size, as people have them: one manifest a file, in folders by kind, with a history, and
//! packed as a clone is.
//!
//! A tenth each are hosts, policies for them and tasks that are not due; the rest is models and blueprints. A few
//! objects are there once: the host of the daemon, its runtimes, a policy for everybody and the loadout.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The loadout's file, and the model whose state commits change.
pub const LOADOUT: &str = "manifests/loadouts/desk.yaml";
pub const FLIPPED: &str = "model-00001";
/// Commits after the first, each of which changed one file.
const HISTORY_COMMITS: usize = 200;

/// A repository of so many manifests in a directory of its own.
pub struct Repository {
    dir: tempfile::TempDir,
    /// Path and text of every manifest.
    pub files: Vec<(String, String)>,
}

impl Repository {
    /// `swap` is the address of a llama-swap that serves the models; nothing needs to answer there.
    pub fn of(manifests: usize, swap: &str) -> Self {
        let repository =
            Self { dir: tempfile::tempdir().expect("a temporary directory"), files: files(manifests, swap) };
        std::fs::create_dir(repository.path()).expect("a directory of its own");
        git(&repository.path(), &["init", "-q", "-b", "main"]);
        for (name, value) in [("user.name", "Ada"), ("user.email", "ada@example.org"), ("gc.auto", "0")] {
            git(&repository.path(), &["config", name, value]);
        }
        repository.import();
        git(&repository.path(), &["reset", "-q", "--hard"]);
        repository
    }

    pub fn path(&self) -> PathBuf {
        self.dir.path().join("repo")
    }

    /// A state directory beside it.
    pub fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    pub fn bytes(&self) -> usize {
        self.files.iter().map(|(_, text)| text.len()).sum()
    }

    /// Writes a file and stages it.
    pub fn stage(&self, path: &str, text: &str) {
        std::fs::write(self.path().join(path), text).expect("a file is written");
        git(&self.path(), &["add", path]);
    }

    /// `git commit`, as a person types it.
    pub fn commit(&self, message: &str) {
        git(&self.path(), &["commit", "-q", "-m", message]);
    }

    /// Stages another state of [`FLIPPED`].
    pub fn stage_flipped(&self, state: &str) {
        self.stage(LOADOUT, &loadout(state));
    }

    /// Stages a new version of one model, a different one for each `n`.
    pub fn stage_changed_model(&self, n: usize) {
        let path = "manifests/models/model-00002.yaml";
        let old = self.files.iter().find(|(other, _)| other == path).expect("it is there");
        self.stage(path, &old.1.replace("contextTokens: 8192", &format!("contextTokens: {}", 8_193 + n)));
    }

    fn import(&self) {
        let mut command = Command::new("git");
        command.current_dir(self.path()).args(["fast-import", "--quiet"]).stdin(Stdio::piped());
        let mut child = command.spawn().expect("git runs");
        let mut stream = child.stdin.take().expect("it is a pipe");
        stream.write_all(self.history().as_bytes()).expect("git reads");
        drop(stream);
        assert!(child.wait().expect("git ends").success());
    }

    /// Everything in the first commit, then commits that change a label of one file each.
    fn history(&self) -> String {
        let mut stream = String::new();
        let mut commit = |n: usize, changed: &[(&str, String)]| {
            let at = 1_795_000_000 + n;
            let message = format!("Change {n}");
            let _ = write!(
                stream,
                "commit refs/heads/main\ncommitter Ada <ada@example.org> {at} +0000\ndata {}\n{message}\n",
                message.len()
            );
            for (path, text) in changed {
                let _ = write!(stream, "M 100644 inline {path}\ndata {}\n{text}\n", text.len());
            }
        };
        let all: Vec<_> = self.files.iter().map(|(path, text)| (path.as_str(), text.clone())).collect();
        let edited = |n: usize| &self.files[(n * 37) % self.files.len()];
        let first: Vec<_> = all.iter().map(|(path, text)| (*path, format!("# the first version\n{text}"))).collect();
        commit(0, &first);
        for n in 1..HISTORY_COMMITS {
            let (path, text) = edited(n);
            commit(n, &[(path, format!("# version {n}\n{text}"))]);
        }
        commit(HISTORY_COMMITS, &all);
        stream
    }
}

/// Runs git with nobody's settings.
pub fn git(dir: &Path, args: &[&str]) {
    let mut command = Command::new("git");
    command.current_dir(dir).args(args).env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null");
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status().expect("git runs");
    assert!(status.success(), "git {args:?}");
}

/// The names of the models that are served by the llama-swap of a repository of so many manifests.
pub fn model_names(manifests: usize) -> impl Iterator<Item = String> {
    (1..=manifests * 4 / 10).map(|n| format!("model-{n:05}"))
}

fn files(manifests: usize, swap: &str) -> Vec<(String, String)> {
    let mut files = vec![
        manifest("manifests/hosts", "Host", "desk", "  address: 127.0.0.1\n  local: true\n"),
        manifest("manifests/runtimes", "Runtime", "builtin", "  host: desk\n  adapter: builtin\n"),
        manifest(
            "manifests/runtimes",
            "Runtime",
            "swap",
            &format!(
                "  host: desk\n  adapter: llama-swap\n  endpoint: {swap}\n  capabilities: [text.generate, text.summarize]\n  observeEvery: 30s\n"
            ),
        ),
        manifest("policies", "Policy", "default", "  drift: correct\n  unloadIdleAfterMinutes: 0\n  prune: true\n"),
        (LOADOUT.to_owned(), loadout("onDemand")),
    ];
    for name in model_names(manifests) {
        files.push(model(&name));
    }
    for n in 1..=manifests / 10 {
        let host = format!("host-{n:05}");
        files.push(manifest(
            "manifests/hosts",
            "Host",
            &host,
            &format!("  address: 10.1.{}.{}\n", n / 250, n % 250 + 1),
        ));
        files.push(manifest(
            "policies",
            "Policy",
            &format!("policy-{n:05}"),
            &format!("  selector: {{hosts: [{host}]}}\n  copilotPersistent: true\n  gpuSharedSlots: 2\n  retries: {{max: 3, backoff: 5s}}\n"),
        ));
        files.push(task(n));
    }
    for n in 1..=manifests - files.len() {
        files.push(blueprint(n));
    }
    files
}

fn manifest(folder: &str, kind: &str, name: &str, spec: &str) -> (String, String) {
    let text = format!(
        "# yaml-language-server: $schema=../../schemas/manifest.json\napiVersion: arcology/v1alpha1\nkind: {kind}\n\
         metadata:\n  name: {name}\n  labels: {{team: research, tier: standard}}\nspec:\n{spec}"
    );
    (format!("{folder}/{name}.yaml"), text)
}

fn loadout(state: &str) -> String {
    let spec = format!(
        "  host: desk\n  models:\n    - {{model: {FLIPPED}, state: {state}}}\n    - {{model: model-00002, state: onDemand}}\n"
    );
    manifest("", "Loadout", "desk", &spec).1
}

fn model(name: &str) -> (String, String) {
    let spec = "  type: llm\n  servedBy:\n    - runtime: swap # the machine under the desk\n  capabilities: \
                [text.generate, text.summarize]\n  contextTokens: 8192\n  vramGb: 5.5\n  architecture: qwen2\n  \
                quantization: Q4_K_M\n  parameters: 7B\n";
    manifest("manifests/models", "Model", name, spec)
}

fn task(n: usize) -> (String, String) {
    let spec = format!(
        "  capability: text.summarize\n  inputs:\n    text: The minutes of meeting {n}, which will be summarized when it is time.\n  \
         params: {{max_words: 60}}\n  not_before: 2099-01-01T00:00:00Z\n  target: {{runtime: builtin}}\n  tags: [\"project:{}\"]\n",
        n % 20
    );
    manifest("manifests/tasks", "Task", &format!("task-{n:05}"), &spec)
}

fn blueprint(n: usize) -> (String, String) {
    let words = 60 + n % 100;
    let spec = format!(
        "  inputs:\n    document: {{type: pdf}}\n  nodes:\n    - {{id: extract, capability: doc.extract, from: [inputs.document]}}\n    \
         - {{id: summary, capability: text.summarize, from: [extract], model: auto, params: {{max_words: {words}}}}}\n    \
         - {{id: figures, capability: text.stats, from: [extract]}}\n  outputs: {{summary: summary, figures: figures}}\n"
    );
    manifest("blueprints", "Blueprint", &format!("blueprint-{n:05}"), &spec)
}
