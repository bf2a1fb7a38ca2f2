//! `arcology up` as people start it, and what its process takes.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a daemon may take to settle: a busy machine is slow.
const PATIENCE: Duration = Duration::from_secs(120);

/// The program that is measured.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_arcology");

/// A running daemon; killed when dropped.
pub struct Daemon {
    child: Child,
    log: BufReader<ChildStderr>,
    state: std::path::PathBuf,
    page: String,
}

impl Daemon {
    /// Starts it and waits until it has applied a revision.
    pub fn up(repo: &Path, state: &Path) -> Self {
        let mut command = Command::new(PROGRAM);
        command
            .current_dir(repo)
            .args(["up", "--listen", "127.0.0.1:0"])
            .env("ARCOLOGY_STATE", state)
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("the daemon starts");
        let log = BufReader::new(child.stderr.take().expect("it is a pipe"));
        let mut daemon = Self { child, log, state: state.to_owned(), page: String::new() };
        let line = daemon.wait_for("page at http://");
        let address = line.split("http://").nth(1).and_then(|rest| rest.split(',').next()).expect("an address");
        daemon.page = address.trim().to_owned();
        daemon.wait_for(" applied ");
        daemon
    }

    /// Where the page is served: `host:port`.
    pub fn page(&self) -> &str {
        &self.page
    }

    /// Reads the log until a line holds `text`, gives that line, and lets the rest of it pass unread.
    fn wait_for(&mut self, text: &str) -> String {
        let mut line = String::new();
        while !line.contains(text) {
            line.clear();
            assert!(self.log.read_line(&mut line).expect("the log is text") > 0, "the daemon ended");
        }
        line
    }

    /// Empties the log in a thread from now on, so that the daemon is never held up by it.
    pub fn let_log_pass(&mut self) {
        let pipe = self.log.get_ref();
        let fd = std::os::fd::AsFd::as_fd(pipe).try_clone_to_owned().expect("a second handle");
        std::thread::spawn(move || std::io::copy(&mut std::fs::File::from(fd), &mut std::io::sink()));
    }

    /// Waits until it takes no processor time for a second: all that follows from the start is done.
    pub fn wait_until_idle(&self) {
        let end = Instant::now() + PATIENCE;
        let (mut last, mut calm) = (self.ticks(), 0);
        while calm < 5 {
            assert!(Instant::now() < end, "the daemon is not idle after {PATIENCE:?}");
            std::thread::sleep(Duration::from_millis(200));
            let now = self.ticks();
            calm = if now - last <= 1 { calm + 1 } else { 0 };
            last = now;
        }
    }

    /// User and system time so far. The kernel counts in hundredths of a second (`USER_HZ`, times(2)).
    pub fn processor_seconds(&self) -> f64 {
        self.ticks() as f64 / 100.0
    }

    pub fn socket(&self) -> std::path::PathBuf {
        self.state.join("control.sock")
    }

    /// User and system time so far, in clock ticks: fields 14 and 15 of `/proc/PID/stat` (proc_pid_stat(5)).
    fn ticks(&self) -> u64 {
        let stat = self.proc("stat");
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        [11, 12].iter().map(|at| fields[*at].parse::<u64>().expect("a number")).sum()
    }

    /// A field of `/proc/PID/status`, such as `VmRSS`, in KiB.
    pub fn kib(&self, field: &str) -> u64 {
        let status = self.proc("status");
        let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':')).expect("a field");
        line.split_whitespace().next().and_then(|number| number.parse().ok()).expect("a number")
    }

    pub fn threads(&self) -> u64 {
        self.kib("Threads")
    }

    fn proc(&self, file: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{file}", self.child.id())).expect("the daemon runs")
    }

    /// Bytes of the state directory's files.
    pub fn state_bytes(&self) -> u64 {
        let files = std::fs::read_dir(&self.state).expect("a directory").filter_map(Result::ok);
        files.filter_map(|file| file.metadata().ok()).filter(|meta| meta.is_file()).map(|meta| meta.len()).sum()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
