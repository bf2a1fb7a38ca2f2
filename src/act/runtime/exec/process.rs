//! Starting a process and learning of its end. A thread of its own starts it and waits: where a process is to end with the
//! one that started it, the kernel means that thread. The first process is collected only when its group was ended, so that
//! the number of the group is nobody else's.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::sync::oneshot;

/// A process to start. Its environment holds nothing but `env`.
#[derive(Debug)]
pub(super) struct Start {
    /// The program and its arguments; at least the program.
    pub argv: Vec<OsString>,
    pub env: Vec<(String, String)>,
    pub folder: PathBuf,
    pub stdin: Option<File>,
}

/// A process that was started, the first of a group of its own.
#[derive(Debug)]
pub(super) struct Running {
    pub id: i32,
    pub group: Group,
    pub ended: oneshot::Receiver<io::Result<ExitStatus>>,
    pub stdout: OwnedFd,
    pub stderr: OwnedFd,
}

/// The group of a process; empty when that was collected.
#[derive(Clone, Debug)]
pub(super) struct Group(Arc<Mutex<Option<Pid>>>);

impl Group {
    /// Signals all of the group. Nothing when it has ended.
    pub fn signal(&self, signal: Signal) {
        let id = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(id) = *id {
            // It fails only when nothing of the group is left, which is what is wanted.
            let _ = kill_process_group(id, signal);
        }
    }
}

/// Ends the group when it is dropped: also where the program is leaving and nobody is left to do it in order.
#[derive(Debug)]
pub(super) struct Leash(Group);

impl Group {
    pub fn leash(&self) -> Leash {
        Leash(self.clone())
    }
}

impl Drop for Leash {
    fn drop(&mut self) {
        self.0.signal(Signal::KILL);
    }
}

/// Starts a process.
pub(super) async fn start(start: Start) -> io::Result<Running> {
    let (tell_start, started) = oneshot::channel();
    let (tell_end, ended) = oneshot::channel();
    std::thread::Builder::new()
        .name("arcology-exec".to_owned())
        .spawn(move || accompany(start, tell_start, tell_end))?;
    let begun = started.await.map_err(|_| io::Error::other("the thread that starts it broke off"))??;
    Ok(Running { id: begun.id, group: begun.group, ended, stdout: begun.stdout, stderr: begun.stderr })
}

struct Begun {
    id: i32,
    group: Group,
    stdout: OwnedFd,
    stderr: OwnedFd,
}

fn accompany(
    start: Start,
    tell_start: oneshot::Sender<io::Result<Begun>>,
    tell_end: oneshot::Sender<io::Result<ExitStatus>>,
) {
    let spawned = command(start).and_then(|mut command| command.spawn());
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) => return drop(tell_start.send(Err(error))),
    };
    let id = Pid::from_child(&child);
    let group = Group(Arc::new(Mutex::new(Some(id))));
    let begun = match (child.stdout.take(), child.stderr.take()) {
        (Some(stdout), Some(stderr)) => Ok(Begun {
            id: id.as_raw_nonzero().get(),
            group: group.clone(),
            stdout: stdout.into(),
            stderr: stderr.into(),
        }),
        _ => Err(io::Error::other("it has no pipes")),
    };
    if tell_start.send(begun).is_err() {
        // Nobody waits for it any more.
        group.signal(Signal::KILL);
    }
    while matches!(waitid(WaitId::Pid(id), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT), Err(rustix::io::Errno::INTR))
    {
    }
    group.signal(Signal::KILL);
    *group.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    // Not received when the run was given up, which is told elsewhere.
    drop(tell_end.send(child.wait()));
}

fn command(start: Start) -> io::Result<Command> {
    let (program, arguments) = start.argv.split_first().ok_or_else(|| io::Error::other("no program is named"))?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .envs(start.env)
        .current_dir(start.folder)
        .process_group(0)
        .stdin(start.stdin.map_or_else(Stdio::null, Stdio::from))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    Ok(command)
}

/// What a command prints that prints little and ends at once; else what it said of its failure. Blocks.
pub(super) fn asked(argv: &[OsString]) -> Result<String, String> {
    let (program, arguments) = argv.split_first().ok_or_else(|| "no program is named".to_owned())?;
    let mut command = Command::new(program);
    command.args(arguments).env_clear().current_dir("/").stdin(Stdio::null());
    let output = command.output().map_err(|error| error.to_string())?;
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(said(&output.stdout)) } else { Err(said(&output.stderr)) }
}
