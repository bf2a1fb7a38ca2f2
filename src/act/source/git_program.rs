//! The `git` program in a sealed environment: for remotes and for signatures, which libgit2 is built without.
//!
//! Sealed means: no variable of the daemon's environment, no system or user settings, an empty home, no terminal, no
//! hooks, no credential helper, no agent, one protocol. Settings are handed over in variables of the child, so that a
//! token is neither on a command line nor in a file; a process of another user cannot read them.
//!
//! Bounded means: a deadline after which the whole process group is killed, bounded output, a bound on the size of any
//! file it writes, and an end when the daemon stops.

use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal, WaitId, WaitIdOptions, kill_process_group, prlimit, waitid};

use super::{Error, Options};

/// Bytes of standard output that are kept.
const STDOUT_BYTES_MAX: usize = 4 << 20;
/// Bytes of standard error that are kept.
const STDERR_BYTES_MAX: usize = 64 << 10;
/// Bytes of any file that git writes: a bound against packs that fill the disk.
const FILE_BYTES_MAX: u64 = 2 << 30;
/// Between two looks whether the program has ended.
const WAIT_MIN: Duration = Duration::from_millis(1);
const WAIT_MAX: Duration = Duration::from_millis(20);

/// Settings that hold for every call; they overrule those of a repository.
const SETTINGS: [(&str, &str); 14] = [
    ("core.fsmonitor", "false"),
    ("core.hooksPath", "/dev/null"),
    ("core.askPass", ""),
    ("credential.helper", ""),
    ("credential.interactive", "false"),
    ("fetch.recurseSubmodules", "false"),
    ("fetch.writeCommitGraph", "false"),
    ("gc.auto", "0"),
    ("gc.autoDetach", "false"),
    // Slower than this for so long is a connection that hangs: bytes a second, seconds.
    ("http.lowSpeedLimit", "100"),
    ("http.lowSpeedTime", "60"),
    ("maintenance.auto", "false"),
    ("protocol.allow", "never"),
    ("protocol.version", "2"),
];

/// What a call adds to the sealed environment.
#[derive(Clone, Debug, Default)]
pub(super) struct Additions {
    /// Settings, as for `git -c`.
    pub settings: Vec<(String, String)>,
    pub variables: Vec<(&'static str, String)>,
    /// Never repeated in a message, should git ever print it.
    pub secret: Option<String>,
}

/// What a call gave.
#[derive(Debug)]
pub(super) struct Output {
    /// None when it was ended by a signal.
    pub status: Option<i32>,
    pub stdout: Vec<u8>,
    /// Bounded and free of the secret; still foreign text.
    pub stderr: String,
}

/// The program, found and ready.
#[derive(Clone, Debug)]
pub(super) struct Git {
    program: PathBuf,
    path: String,
    home: PathBuf,
    stop: Arc<AtomicBool>,
}

impl Git {
    /// Finds the program and makes its empty home in the state directory.
    pub fn new(options: &Options) -> Result<Self, Error> {
        let candidates = options.program_path.split(':').map(|folder| Path::new(folder).join("git"));
        let executable = |path: &PathBuf| {
            path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
        };
        let program = { candidates }.find(executable).ok_or_else(|| Error::GitMissing {
            detail: format!("there is no executable `git` in {}", options.program_path),
        })?;
        let home = absolute(&options.state_dir)?.join("git-home");
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&home);
        made.map_err(|error| Error::io(&home, &error))?;
        Ok(Self { program, path: options.program_path.clone(), home, stop: options.stop.clone() })
    }

    /// Runs `git VERB ARGUMENTS…`, in `git_dir` when there is one. A failing exit status is not an error here.
    pub fn run<A: AsRef<OsStr>>(
        &self,
        git_dir: Option<&Path>,
        verb: &str,
        arguments: &[A],
        additions: &Additions,
        timeout: Duration,
    ) -> Result<Output, Error> {
        let mut command = Command::new(&self.program);
        self.seal(&mut command, additions);
        if let Some(git_dir) = git_dir {
            command.env("GIT_DIR", git_dir);
        }
        command.arg(verb).args(arguments);
        let mut child = command.spawn().map_err(|error| Error::GitMissing { detail: error.to_string() })?;
        limit_file_size(&child);
        let stdout = collect(child.stdout.take(), STDOUT_BYTES_MAX);
        let stderr = collect(child.stderr.take(), STDERR_BYTES_MAX);
        let ended = self.wait(&child, verb, timeout);
        // Also after an ordinary end: whatever it left running holds the pipes open.
        end_group(&child);
        let status = child.wait().map_err(|error| Error::GitMissing { detail: error.to_string() })?;
        let (stdout, stderr) = (stdout.join().unwrap_or_default(), stderr.join().unwrap_or_default());
        ended?;
        let mut stderr = String::from_utf8_lossy(&stderr).into_owned();
        if let Some(secret) = additions.secret.as_deref().filter(|secret| !secret.is_empty()) {
            stderr = stderr.replace(secret, "[secret]");
        }
        Ok(Output { status: status.code(), stdout, stderr })
    }

    fn seal(&self, command: &mut Command, additions: &Additions) {
        command
            .env_clear()
            .env("PATH", &self.path)
            .env("HOME", &self.home)
            .env("XDG_CONFIG_HOME", &self.home)
            .env("LANG", "C")
            .env("LC_ALL", "C")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_SYSTEM", "/dev/null")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_ATTR_NOSYSTEM", "1")
            .env("GIT_NO_REPLACE_OBJECTS", "1")
            .env("GIT_OPTIONAL_LOCKS", "0")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_SSH_VARIANT", "ssh")
            // Reached only where ssh is not expected: anything but a configured key fails.
            .env("GIT_SSH_COMMAND", "false")
            .current_dir(&self.home)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let fixed = SETTINGS.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let settings: Vec<_> = fixed.chain(additions.settings.iter().cloned()).collect();
        command.env("GIT_CONFIG_COUNT", settings.len().to_string());
        for (number, (key, value)) in settings.iter().enumerate() {
            command.env(format!("GIT_CONFIG_KEY_{number}"), key).env(format!("GIT_CONFIG_VALUE_{number}"), value);
        }
        command.envs(additions.variables.iter().map(|(key, value)| (key, value)));
    }

    /// Waits for the end without collecting the child, so that its process group stays its own.
    fn wait(&self, child: &Child, verb: &str, timeout: Duration) -> Result<(), Error> {
        let deadline = Instant::now() + timeout;
        let mut pause = WAIT_MIN;
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        loop {
            match waitid(WaitId::Pid(pid(child)), options) {
                Ok(None) | Err(rustix::io::Errno::INTR) => {}
                Ok(Some(_)) | Err(_) => return Ok(()),
            }
            if self.stop.load(Ordering::Relaxed) {
                return Err(Error::Stopped { verb: verb.to_owned() });
            }
            if Instant::now() >= deadline {
                return Err(Error::Timeout { verb: verb.to_owned(), seconds: timeout.as_secs() });
            }
            thread::sleep(pause);
            pause = (pause * 2).min(WAIT_MAX);
        }
    }
}

/// A path that means the same in any directory: git runs in a directory of its own.
pub(super) fn absolute(path: &Path) -> Result<PathBuf, Error> {
    std::path::absolute(path).map_err(|error| Error::io(path, &error))
}

fn pid(child: &Child) -> Pid {
    Pid::from_child(child)
}

fn end_group(child: &Child) {
    // It fails only when nothing of the group is left, which is what is wanted.
    let _ = kill_process_group(pid(child), Signal::KILL);
}

/// Holds for what the child starts from now on; the processes that write packs start after the first answer.
fn limit_file_size(child: &Child) {
    let limit = Rlimit { current: Some(FILE_BYTES_MAX), maximum: Some(FILE_BYTES_MAX) };
    if let Err(error) = prlimit(Some(pid(child)), Resource::Fsize, limit) {
        tracing::debug!(%error, "the size of what git writes could not be bounded");
    }
}

/// Reads a pipe to its end and keeps the first `bytes_max`.
fn collect(pipe: Option<impl Read + Send + 'static>, bytes_max: usize) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut kept = Vec::new();
        if let Some(mut pipe) = pipe {
            // A pipe that breaks ends the output; the exit status tells the rest.
            let _ = pipe.by_ref().take(bytes_max as u64).read_to_end(&mut kept);
            let _ = std::io::copy(&mut pipe, &mut std::io::sink());
        }
        kept
    })
}
