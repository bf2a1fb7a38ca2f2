//! A state repository and a daemon in a directory of their own, with everything that a test may ask of them.
//!
//! The daemon is ended by its process id. Nothing here sleeps for a fixed time: [`eventually`] looks until a condition
//! holds and fails with what it saw last when it does not within [`PATIENCE`].

use std::fmt::Debug;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long a condition may take to hold. Generous: a busy machine is slow, and only a failing test waits this long.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Looks until `look` gives something, and fails with what it said last.
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Result<T, String>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        match look() {
            Ok(found) => return found,
            Err(last) if Instant::now() > end => panic!("not within {PATIENCE:?}: {what}; last seen: {last}"),
            Err(_) => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}

/// Holds for a while: looks again and again for `time`, and fails as soon as `look` does.
pub fn throughout(time: Duration, mut look: impl FnMut() -> Result<(), String>) {
    let end = Instant::now() + time;
    while Instant::now() < end {
        if let Err(seen) = look() {
            panic!("it did not stay so: {seen}");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A state repository in a directory of its own, with its state directory beside it.
pub struct Place {
    pub dir: tempfile::TempDir,
}

impl Place {
    /// A copy of this project's own state repository, in one commit.
    pub fn of_this_project() -> Self {
        let place = Self::empty();
        for folder in ["manifests", "policies", "blueprints", "goldensets", "samples"] {
            copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &place.repo().join(folder));
        }
        place.commit("Begin");
        place
    }

    /// A repository without a commit.
    pub fn empty() -> Self {
        let place = Self { dir: tempfile::tempdir().unwrap() };
        std::fs::create_dir(place.repo()).unwrap();
        place.git(&["init", "-q", "-b", "main"]);
        place
    }

    pub fn repo(&self) -> PathBuf {
        self.dir.path().join("repo")
    }

    pub fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    pub fn control(&self) -> PathBuf {
        self.state().join("control.sock")
    }

    /// Where the built-in runtime keeps what is loaded: a file a model.
    pub fn loaded(&self, model: &str) -> PathBuf {
        self.state().join("builtin/builtin/loaded").join(model)
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.repo().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub fn edit(&self, path: &str, from: &str, to: &str) {
        let old = std::fs::read_to_string(self.repo().join(path)).unwrap();
        assert!(old.contains(from), "{path} has no `{from}`");
        self.write(path, &old.replace(from, to));
    }

    /// Commits everything and gives the commit's id.
    pub fn commit(&self, message: &str) -> String {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", message]);
        self.git(&["rev-parse", "HEAD"])
    }

    pub fn git(&self, args: &[&str]) -> String {
        git(&self.repo(), args)
    }

    /// Runs a verb to its end in the repository.
    pub fn arcology(&self, args: &[&str]) -> Output {
        self.command().args(args).output().unwrap()
    }

    /// Runs a verb that must succeed and gives its standard output.
    pub fn says(&self, args: &[&str]) -> String {
        let output = self.arcology(args);
        assert!(output.status.success(), "arcology {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_arcology"));
        command
            .current_dir(self.repo())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.dir.path())
            .env("ARCOLOGY_STATE", self.state())
            .env("NO_COLOR", "1");
        command
    }

    /// Starts the daemon and waits until it says where its page is.
    pub fn up(&self) -> Daemon {
        self.up_with(&[])
    }

    pub fn up_with(&self, args: &[&str]) -> Daemon {
        let mut command = self.command();
        command.args(["up", "--listen", "127.0.0.1:0"]).args(args).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let stderr = child.stderr.take().unwrap();
        let kept = Arc::clone(&log);
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let mut log = kept.lock().unwrap();
                log.push_str(&line);
                log.push('\n');
            }
        });
        let mut daemon = Daemon { child, log, page: String::new(), control: self.control() };
        let page = eventually("the daemon says where its page is", || {
            let log = daemon.log();
            let ended = daemon.child.try_wait().unwrap();
            assert!(ended.is_none(), "the daemon ended: {log}");
            let address = log.split("page at http://").nth(1).and_then(|rest| rest.split([',', '\n']).next());
            address.map(str::to_owned).ok_or(log)
        });
        daemon.page = page;
        daemon
    }
}

/// A running `arcology up`; killed when dropped.
pub struct Daemon {
    child: Child,
    log: Arc<Mutex<String>>,
    /// `127.0.0.1:PORT`
    pub page: String,
    control: PathBuf,
}

impl Daemon {
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// `kill -9`: no handler runs.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, and waits until it ended well.
    pub fn stop(mut self) -> String {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        let status = eventually("the daemon ends", || self.child.try_wait().unwrap().ok_or_else(|| self.log()));
        assert!(status.success(), "{status}: {}", self.log());
        self.log()
    }

    /// The JSON of a page, over TCP as a browser gets it.
    pub fn json(&self, path: &str) -> Value {
        let (status, body) = self.get(path);
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    pub fn get(&self, path: &str) -> (u16, String) {
        self.ask("GET", path)
    }

    /// A page as text: what escaping hid is readable again.
    pub fn page(&self, path: &str) -> String {
        let (status, body) = self.get(path);
        assert_eq!(status, 200, "{path}: {body}");
        body.replace("&#x2f;", "/").replace("&quot;", "\"").replace("&#x27;", "'").replace("&gt;", ">")
    }

    pub fn ask(&self, method: &str, path: &str) -> (u16, String) {
        let stream = TcpStream::connect(&self.page).unwrap();
        exchange(stream, method, path, &self.page, "")
    }

    /// A call on the control socket.
    pub fn call(&self, path: &str, body: &Value) -> (u16, Value) {
        let stream = UnixStream::connect(&self.control).unwrap();
        let (status, text) = exchange(stream, "POST", path, "localhost", &body.to_string());
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    /// What the control socket tells.
    pub fn told(&self, path: &str) -> Value {
        let stream = UnixStream::connect(&self.control).unwrap();
        let (status, text) = exchange(stream, "GET", path, "localhost", "");
        assert_eq!(status, 200, "{path}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// Submits tasks and gives their ids.
    pub fn submit(&self, tasks: &Value) -> Vec<String> {
        let (status, accepted) = self.call("/v1/tasks", tasks);
        assert_eq!(status, 202, "{accepted:#}");
        accepted.as_array().unwrap().iter().map(|task| task["id"].as_str().unwrap().to_owned()).collect()
    }

    /// Waits until a task satisfies `test`.
    pub fn until_task(&self, id: &str, what: &str, test: impl Fn(&Value) -> bool) -> Value {
        eventually(&format!("{id} {what}"), || {
            let task = self.json(&format!("/api/v1/tasks/{id}"));
            if test(&task) { Ok(task) } else { Err(format!("{task:#}\n{}", self.log())) }
        })
    }

    /// Waits until the reason why a task waits is this one; gives the whole explanation.
    pub fn until_waits(&self, id: &str, reason: &str) -> Value {
        eventually(&format!("{id} waits for {reason}"), || {
            let answer = self.told(&format!("/v1/tasks/{id}/why"));
            let explanation = answer["explanation"].clone();
            if explanation["why"]["reason"] == reason { Ok(explanation) } else { Err(format!("{answer:#}")) }
        })
    }

    /// The row of `/drift` of one object, if there is one.
    pub fn drift(&self, key: &str) -> Option<Value> {
        let (kind, name) = key.split_once('/').unwrap();
        let listed = self.json("/api/v1/drift?limit=500");
        let rows = listed["items"].as_array().unwrap();
        rows.iter().find(|row| row["kind"] == kind && row["name"] == name).cloned()
    }

    /// Waits until an object's row satisfies `test`.
    pub fn until(&self, key: &str, what: &str, test: impl Fn(&Value) -> bool) -> Value {
        eventually(&format!("{key} {what}"), || {
            let row = self.drift(key).unwrap_or(Value::Null);
            if test(&row) { Ok(row) } else { Err(format!("{row:#}\n{}", self.log())) }
        })
    }

    /// Waits until an object is in sync at a commit.
    pub fn until_in_sync_at(&self, key: &str, commit: &str) -> Value {
        eventually(&format!("{key} is in sync at {commit}"), || {
            let status = self.json("/api/v1/status");
            let row = self.drift(key).unwrap_or(Value::Null);
            let applied = status["revision"].as_str().is_some_and(|revision| revision.ends_with(commit));
            if applied && row["sync"] == "InSync" { Ok(row) } else { Err(format!("{row:#} {}", status["revision"])) }
        })
    }

    /// The audit, oldest first.
    pub fn audit(&self) -> Vec<Value> {
        let mut rows = self.json("/api/v1/audit?limit=500")["items"].as_array().unwrap().clone();
        rows.reverse();
        rows
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn exchange<S: Read + Write>(mut stream: S, method: &str, path: &str, host: &str, body: &str) -> (u16, String) {
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
    let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    (status, if chunked { unchunk(body) } else { body.to_owned() })
}

fn unchunk(mut body: &str) -> String {
    let mut whole = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
        if size == 0 || size > rest.len() {
            break;
        }
        whole.push_str(&rest[..size]);
        body = rest[size..].trim_start_matches("\r\n");
    }
    whole
}

/// The git program with an environment of its own.
pub fn git(dir: &Path, args: &[&str]) -> String {
    let output = Command::new("git")
        .current_dir(dir)
        .args(["-c", "commit.gpgsign=false", "-c", "core.hooksPath=/dev/null"])
        .args(args)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .envs([("GIT_AUTHOR_NAME", "Ada"), ("GIT_AUTHOR_EMAIL", "ada@example.org")])
        .envs([("GIT_COMMITTER_NAME", "Ada"), ("GIT_COMMITTER_EMAIL", "ada@example.org")])
        .output()
        .unwrap();
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Copies a folder with everything in it.
pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// `Ok` when `so`, else `seen` for the message.
pub fn so(so: bool, seen: impl Debug) -> Result<(), String> {
    if so { Ok(()) } else { Err(format!("{seen:?}")) }
}
