//! Which processes belong to a run: the one that was started, all that descend from it, its group, and, where no sandbox holds
//! them together, all that carry the run's mark in their environment. Linux tells it in `/proc`.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::os::unix::fs::MetadataExt as _;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// The variable that carries the mark of a run.
pub(super) const MARK: &str = "ARCOLOGY_RUN";
/// The most open files of one process that are looked at.
const OPEN_FILES_MAX: usize = 65_536;
/// The bytes of one block in the figures of the kernel.
const BLOCK_BYTES: u64 = 512;
/// The longest environment that is looked through for a mark, in bytes.
const ENVIRONMENT_BYTES_MAX: usize = 64 * 1024;

/// The number of no process.
const NOBODY: i32 = 0;

/// A process as the kernel tells of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Process {
    pub id: i32,
    parent: i32,
    group: i32,
    /// In ticks since the machine was started. With the id it names one process for ever.
    began: u64,
    is_gone: bool,
}

/// The processes of one run.
#[derive(Debug)]
pub(super) struct Family {
    root: i32,
    /// When the first one began; none when it had ended before it was looked at.
    root_began: Option<u64>,
    mark: String,
    /// Those that were seen, so that one whose parents have ended is still known.
    known: HashSet<(i32, u64)>,
    /// Those that were looked at and have no mark.
    strangers: HashSet<(i32, u64)>,
}

/// What a family takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Taken {
    pub processes: u32,
    pub memory_bytes: u64,
    /// Of files that are open and have no name any more, so that no folder shows them.
    pub unnamed_bytes: u64,
}

impl Family {
    pub fn new(root: i32, mark: &str) -> Self {
        let root_began = read(root).map(|process| process.began);
        Self { root, root_began, mark: format!("{MARK}={mark}"), known: HashSet::new(), strangers: HashSet::new() }
    }

    /// All that live, the first one included.
    pub fn look(&mut self) -> Vec<Process> {
        let all = processes();
        let parents: HashMap<i32, &Process> = all.iter().map(|process| (process.id, process)).collect();
        // Once the first one is gone, its number may be somebody else's.
        let has_root = parents.get(&self.root).is_some_and(|root| Some(root.began) == self.root_began);
        let mut members = Vec::new();
        for process in &all {
            let own = (process.id, process.began);
            let is_member = (has_root && process.group == self.root)
                || self.known.contains(&own)
                || self.descends(process, &parents)
                || (self.root_began.is_none_or(|began| process.began >= began) && self.is_marked(process));
            if is_member {
                self.known.insert(own);
                if !process.is_gone {
                    members.push(*process);
                }
            }
        }
        let alive: HashSet<_> = all.iter().map(|process| (process.id, process.began)).collect();
        self.known.retain(|process| alive.contains(process));
        self.strangers.retain(|process| alive.contains(process));
        members
    }

    fn descends(&self, process: &Process, parents: &HashMap<i32, &Process>) -> bool {
        let mut at = process;
        // Bounded, should the figures ever contradict each other.
        for _ in 0..parents.len() {
            if (at.id == self.root && Some(at.began) == self.root_began) || self.known.contains(&(at.id, at.began)) {
                return true;
            }
            match parents.get(&at.parent) {
                Some(parent) if at.parent != at.id => at = parent,
                _ => return false,
            }
        }
        false
    }

    fn is_marked(&mut self, process: &Process) -> bool {
        let own = (process.id, process.began);
        if self.strangers.contains(&own) {
            return false;
        }
        // Those of other users cannot be read, and cannot come from here.
        let Ok(environment) = fs::read(format!("/proc/{}/environ", process.id)) else { return false };
        let head = &environment[..environment.len().min(ENVIRONMENT_BYTES_MAX)];
        let marked = head.split(|byte| *byte == 0).any(|variable| variable == self.mark.as_bytes());
        // A process that has just forked still shows the environment of its parent, so only what has one is settled.
        if !marked && !head.is_empty() {
            self.strangers.insert(own);
        }
        marked
    }

    /// Sends `signal` to all members, or to all but the first one.
    pub fn signal(&mut self, signal: Signal, first_too: bool) {
        for process in self.look() {
            if first_too || process.id != self.root {
                send(&process, signal);
            }
        }
    }
}

impl Taken {
    pub fn by(members: &[Process]) -> Self {
        let resident = |process: &Process| {
            let status = fs::read(format!("/proc/{}/status", process.id)).unwrap_or_default();
            resident_bytes(&String::from_utf8_lossy(&status))
        };
        Self {
            processes: u32::try_from(members.len()).unwrap_or(u32::MAX),
            memory_bytes: members.iter().map(resident).fold(0, u64::saturating_add),
            unnamed_bytes: unnamed_bytes(members),
        }
    }
}

/// The size of files that members hold open and that were removed, or never had a name.
fn unnamed_bytes(members: &[Process]) -> u64 {
    let mut files = HashMap::new();
    for process in members {
        let Ok(open) = fs::read_dir(format!("/proc/{}/fd", process.id)) else { continue };
        for entry in open.take(OPEN_FILES_MAX).flatten() {
            if let Ok(file) = fs::metadata(entry.path())
                && file.is_file()
                && file.nlink() == 0
            {
                files.insert((file.dev(), file.ino()), file.blocks().saturating_mul(BLOCK_BYTES));
            }
        }
    }
    files.into_values().fold(0, u64::saturating_add)
}

/// Ends what a run of an earlier process left, told by its mark.
pub(super) fn end_marked(mark: &str) {
    Family::new(NOBODY, mark).signal(Signal::KILL, true);
}

/// Signals exactly this process: if its id was given to another one meanwhile, that one is left alone.
fn send(process: &Process, signal: Signal) {
    let Some(id) = Pid::from_raw(process.id) else { return };
    let Ok(handle) = pidfd_open(id, PidfdFlags::empty()) else { return };
    if read(process.id).is_some_and(|now| now.began == process.began) {
        // It fails only when it has ended, which is what is wanted.
        let _ = pidfd_send_signal(handle, signal);
    }
}

fn processes() -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let ids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    ids.filter_map(read).collect()
}

fn read(id: i32) -> Option<Process> {
    // What ends between the list and this look is not there any more.
    parse(&String::from_utf8_lossy(&fs::read(format!("/proc/{id}/stat")).ok()?))
}

/// The memory that a process has, from its `/proc/PID/status`, described in `man 5 proc_pid_status`. Zero when it has ended.
fn resident_bytes(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or(0).saturating_mul(1024)
}

/// Reads a line of `/proc/PID/stat`, described in `man 5 proc_pid_stat`. The name may hold anything, also brackets.
fn parse(line: &str) -> Option<Process> {
    let id = line.split(' ').next()?.parse().ok()?;
    let fields: Vec<&str> = line[line.rfind(')')? + 1..].split_whitespace().collect();
    let state = fields.first()?;
    Some(Process {
        id,
        parent: fields.get(1)?.parse().ok()?,
        group: fields.get(2)?.parse().ok()?,
        began: fields.get(19)?.parse().ok()?,
        is_gone: matches!(*state, "Z" | "X"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_kernel_is_read_whatever_the_name_of_the_process() {
        let line = "42 (a) R 1 (b) S 7 40 3 0 -1 4194304 1 0 0 0 5 6 0 0 20 0 1 0 987654 1000000 250 184 1 1 0";
        let process = parse(line).unwrap();
        assert_eq!((process.id, process.parent, process.group), (42, 7, 40));
        assert_eq!((process.began, process.is_gone), (987_654, false));
        assert!(parse(&line.replace(") S ", ") Z ")).unwrap().is_gone);
        for broken in ["", "42", "42 (x", "42 (x) S", "x (y) S 1 2 3"] {
            assert_eq!(parse(broken), None, "{broken}");
        }
    }

    #[test]
    fn memory_is_read_where_it_is_told() {
        assert_eq!(resident_bytes("Name:\tx\nVmSize:\t 9 kB\nVmRSS:\t    2048 kB\n"), 2 * 1024 * 1024);
        assert_eq!(resident_bytes("Name:\tkthreadd\n"), 0);
    }

    #[test]
    fn this_process_is_a_family_of_its_own() {
        let own = i32::try_from(std::process::id()).unwrap();
        let members = Family::new(own, "none").look();
        assert!(members.iter().any(|process| process.id == own));
        let taken = Taken::by(&members);
        assert!(taken.processes >= 1 && taken.memory_bytes > 100_000, "{taken:?}");
    }
}
