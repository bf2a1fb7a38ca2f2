//! Real programs under test: found by environment variables, started on a free port of loopback, ended by process id, and
//! each told as driven or skipped. `tests/real/install` installs them and writes the variables; what each must do is left to
//! the files named `*_real.rs`.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arcology::act::http::{Client, Options, Request};
use arcology::act::runtime::Adapter;
use arcology::decide::view::RuntimeView;
use tempfile::TempDir;

/// How long a program may take to answer, or to end: only reached when something is broken.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is looked whether it answers or has ended.
pub const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How often a program is started again because another took its port first.
const STARTS_MAX: usize = 3;
/// The file that gets the lines of [`driven`] and [`skipped`], besides what the tests print.
const REPORT: &str = "ARCOLOGY_REAL_REPORT";
/// The end of a log that a failure shows.
const LOG_BYTES: usize = 2_000;

/// The files or folders that `variables` name; none, and a line that says so, when one of them names nothing.
pub fn find<const N: usize>(program: &str, variables: [&str; N]) -> Option<[PathBuf; N]> {
    let found = variables.map(|variable| std::env::var_os(variable).map(PathBuf::from).filter(|path| path.exists()));
    if found.iter().any(Option::is_none) {
        skipped(program, &format!("{} must name it; see docs/guides/real-programs.md", variables.join(" and ")));
        return None;
    }
    Some(found.map(Option::unwrap))
}

/// Says that a real program was driven.
pub fn driven(program: &str, version: &str) {
    report(&format!("driven: real {program} {version}"));
}

/// Says that it was not, and why.
pub fn skipped(program: &str, why: &str) {
    report(&format!("skipped: real {program} ({why})"));
}

fn report(line: &str) {
    let line = line.split_whitespace().collect::<Vec<_>>().join(" ") + "\n";
    eprint!("{line}");
    let Some(path) = std::env::var_os(REPORT) else { return };
    // One write to a file that is appended to: tests that run at the same time do not break each other's lines.
    let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
    file.and_then(|mut file| file.write_all(line.as_bytes())).unwrap_or_else(|e| panic!("cannot report: {e}"));
}

/// The version that `program` tells when it is run with `argument`: the first word of its first line that has a digit.
pub fn version(program: impl AsRef<std::ffi::OsStr>, argument: &str) -> String {
    let told = Command::new(program).arg(argument).stdin(Stdio::null()).output();
    let told = told.map(|output| [output.stdout, output.stderr].concat()).unwrap_or_default();
    let told = String::from_utf8_lossy(&told).into_owned();
    let mut words = told.lines().next().unwrap_or_default().split_whitespace();
    let version = words.find(|word| word.contains(|c: char| c.is_ascii_digit()));
    version.unwrap_or("of unknown version").to_owned()
}

/// Whether all of these programs of the machine are installed, each with the argument that makes it tell its version. Says
/// so of each.
pub fn installed(programs: &[(&str, &str)]) -> bool {
    let folders: Vec<PathBuf> = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).collect();
    let is_there = |program: &str| folders.iter().any(|folder| folder.join(program).is_file());
    let missing: Vec<&str> = programs.iter().map(|(program, _)| *program).filter(|one| !is_there(one)).collect();
    for (program, argument) in programs {
        if missing.is_empty() {
            driven(program, &version(program, argument));
        } else {
            skipped(program, &format!("not installed: {}", missing.join(", ")));
        }
    }
    missing.is_empty()
}

/// A server that was started here. It is asked to end when it is dropped, and killed when it does not.
pub struct Server {
    pub endpoint: String,
    /// For its files; removed with it.
    pub folder: TempDir,
    child: Child,
}

impl Server {
    /// Starts what `command` makes of a free port and a folder, and does not wait.
    pub fn start(command: impl Fn(u16, &Path) -> Command) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let mut command = command(port, folder.path());
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let child = command.spawn().unwrap_or_else(|e| panic!("cannot start {command:?}: {e}"));
        Self { endpoint: format!("http://127.0.0.1:{port}"), folder, child }
    }

    /// Starts it and waits until `path` answers 200.
    pub async fn ready(command: impl Fn(u16, &Path) -> Command, path: &str) -> Self {
        for _ in 1..STARTS_MAX {
            let mut server = Self::start(&command);
            if server.answers(path).await {
                return server;
            }
        }
        let mut last = Self::start(&command);
        assert!(last.answers(path).await, "it ended: {}", last.log());
        last
    }

    /// Waits until `path` answers 200; false when the program ended instead.
    async fn answers(&mut self, path: &str) -> bool {
        let client = self.client();
        let asked = Instant::now();
        while !client.send(Request::get(path)).await.is_ok_and(|answer| answer.status == 200) {
            if self.has_ended() {
                return false;
            }
            assert!(asked.elapsed() < PATIENCE, "{path} does not answer: {}", self.log());
            tokio::time::sleep(LOOK_EVERY).await;
        }
        true
    }

    pub fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// The end of what it wrote.
    pub fn log(&self) -> String {
        let log = std::fs::read(self.folder.path().join("log")).unwrap_or_default();
        String::from_utf8_lossy(&log[log.len().saturating_sub(LOG_BYTES)..]).into_owned()
    }

    /// Asks it to end and waits until it has.
    pub fn end(&mut self) {
        end(&mut self.child);
    }

    /// Ends it without a word: `kill -9`.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// For questions that go to it directly, past the adapter.
    pub fn client(&self) -> Client {
        let options = Options { connect: PATIENCE, total: PATIENCE, body_bytes_max: 1_000_000, token_file: None };
        Client::new(&self.endpoint, options).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

/// Ends a process by its id: asked first, killed when it does not.
pub fn end(child: &mut Child) {
    let pid = rustix::process::Pid::from_child(child);
    if matches!(child.try_wait(), Ok(None)) {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
    let asked = Instant::now();
    while asked.elapsed() < PATIENCE && matches!(child.try_wait(), Ok(None)) {
        std::thread::sleep(LOOK_EVERY);
    }
    let _ = child.kill();
    let _ = child.wait();
}

/// Looks until `condition` holds.
pub async fn until(adapter: &Arc<dyn Adapter>, what: &str, condition: impl Fn(&RuntimeView) -> bool) {
    let mut last = None;
    let looked = tokio::time::timeout(PATIENCE, async {
        loop {
            let view = adapter.observe().await.unwrap();
            if condition(&view) {
                return;
            }
            last = Some(view);
            tokio::time::sleep(LOOK_EVERY).await;
        }
    });
    looked.await.unwrap_or_else(|_| panic!("in vain: {what}; last seen: {last:?}"));
}

pub fn free_port() -> u16 {
    crate::double::port::free().port()
}

/// How loud a WAV of 16-bit samples is: the root of the mean square, of full scale (0 to 1), and its seconds.
pub fn loudness(wav: &[u8]) -> (f64, f64) {
    assert!(wav.starts_with(b"RIFF") && &wav[8..12] == b"WAVE", "no WAV: {:?}", &wav[..wav.len().min(12)]);
    let number = |at: usize| u32::from_le_bytes(wav[at..at + 4].try_into().unwrap());
    let (mut at, mut bytes_per_second) = (12, 0.0);
    while &wav[at..at + 4] != b"data" {
        if &wav[at..at + 4] == b"fmt " {
            bytes_per_second = f64::from(number(at + 16));
            assert_eq!(&wav[at + 22..at + 24], &16_u16.to_le_bytes(), "16 bits a sample");
        }
        at += 8 + number(at + 4) as usize;
    }
    let samples = wav[at + 8..].chunks_exact(2).map(|two| f64::from(i16::from_le_bytes([two[0], two[1]])) / 32_768.0);
    let (count, sum) = samples.fold((0.0, 0.0), |(count, sum), sample| (count + 1.0, sum + sample * sample));
    assert!(count > 0.0, "no samples");
    (f64::sqrt(sum / count), count * 2.0 / bytes_per_second)
}
