//! What the end of a command means: success, or one of the faults that every adapter knows, with the program's own words.
//! Pure.

use std::time::Duration;

use crate::act::runtime::adapter::{Fault, RuntimeError};
use crate::act::runtime::fault;
use crate::declare::manifest::kind::options::exec::Limits;

use super::family::Taken;
use super::folder::{DEPTH_MAX, ENTRIES_MAX, Lying};

const MEGABYTE: u64 = 1024 * 1024;
/// What a shell and bubblewrap add to the number of the signal that ended a program.
const SIGNAL_BASE: i32 = 128;
const SIGILL: i32 = 4;
const SIGABRT: i32 = 6;
const SIGBUS: i32 = 7;
const SIGKILL: i32 = 9;
const SIGSEGV: i32 = 11;
const SIGXCPU: i32 = 24;
const SIGXFSZ: i32 = 25;

/// Why a command was ended by us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// Nobody waits for it any more.
    Cancelled,
    Late(Duration),
    Memory(u64),
    Processes(u32),
    Disk(u64),
    /// Too many files, or folders too deep.
    Files,
    Printed,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    Code(i32),
    Signal(i32),
}

/// What a command takes more of than it may.
pub(super) fn excess(limits: &Limits, taken: &Taken, lying: Lying) -> Option<Cause> {
    let disk_bytes = lying.bytes.saturating_add(taken.unnamed_bytes);
    if taken.memory_bytes > limits.memory_mb.saturating_mul(MEGABYTE) {
        Some(Cause::Memory(taken.memory_bytes / MEGABYTE))
    } else if taken.processes > limits.processes {
        Some(Cause::Processes(taken.processes))
    } else if disk_bytes > limits.disk_mb.saturating_mul(MEGABYTE) {
        Some(Cause::Disk(disk_bytes / MEGABYTE))
    } else if lying.is_more {
        Some(Cause::Files)
    } else {
        None
    }
}

/// The failure of a command that was ended by us.
pub(super) fn ended(name: &str, cause: &Cause, limits: &Limits) -> RuntimeError {
    let error = |fault, what: String| RuntimeError::new(fault, format!("{name} {what}"));
    match cause {
        Cause::Cancelled => error(Fault::Unreachable, "was stopped: nobody waits for it any more".to_owned()),
        Cause::Late(limit) => {
            let millis = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
            error(Fault::Timeout, format!("was stopped: not done within {}", crate::core::text::age(millis)))
        }
        Cause::Memory(megabytes) => error(
            Fault::OutOfMemory,
            format!("was stopped: it took {megabytes} MB of memory, and `memoryMb` is {}", limits.memory_mb),
        ),
        Cause::Processes(processes) => error(
            Fault::RuntimeError,
            format!("was stopped: it had {processes} processes, and `processes` is {}", limits.processes),
        ),
        Cause::Disk(megabytes) => error(
            Fault::RuntimeError,
            format!("was stopped: it wrote {megabytes} MB into its folder, and `diskMb` is {}", limits.disk_mb),
        ),
        Cause::Files => error(
            Fault::RuntimeError,
            format!("was stopped: it made more than {ENTRIES_MAX} files, or folders deeper than {DEPTH_MAX}"),
        ),
        Cause::Printed => error(
            Fault::RuntimeError,
            format!("was stopped: it printed more than {} MB, which is `outputMb`", limits.output_mb),
        ),
    }
}

/// The failure of a command that ended by itself; none when it succeeded. `words` is the end of its standard error.
pub(super) fn failed(name: &str, exit: Exit, words: &str, limits: &Limits) -> Option<RuntimeError> {
    let signal = match exit {
        Exit::Code(0) => return None,
        Exit::Signal(signal) => Some(signal),
        Exit::Code(code) => Some(code - SIGNAL_BASE).filter(|signal| (1..=64).contains(signal)),
    };
    let (fault, what) = match (signal, exit) {
        (Some(SIGXFSZ), _) => {
            (Fault::RuntimeError, format!("wrote a file larger than {} MB, which is `fileMb`", limits.file_mb))
        }
        (Some(SIGXCPU), _) => (Fault::Timeout, "used more processor time than `cpuTime`".to_owned()),
        (Some(SIGKILL), _) => (Fault::RuntimeError, "was ended from outside (signal 9)".to_owned()),
        (Some(signal @ (SIGILL | SIGABRT | SIGBUS | SIGSEGV)), _) => {
            (Fault::RuntimeError, format!("crashed (signal {signal})"))
        }
        (Some(signal), Exit::Signal(_)) => (Fault::RuntimeError, format!("was ended by signal {signal}")),
        (_, Exit::Code(code) | Exit::Signal(code)) => (Fault::RuntimeError, format!("ended with exit code {code}")),
    };
    let fault = if fault == Fault::RuntimeError && fault::tells_of_memory(words) { Fault::OutOfMemory } else { fault };
    Some(RuntimeError::new(fault, format!("{name} {what}")).saying(last_words(words)))
}

/// The end of what a program said, which is where it says why.
pub(super) fn last_words(words: &str) -> &str {
    const KEPT_BYTES: usize = 500;
    let words = words.trim();
    let mut from = words.len().saturating_sub(KEPT_BYTES);
    while !words.is_char_boundary(from) {
        from += 1;
    }
    &words[from..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_end_is_told_as_what_it_is() {
        let limits = Limits::default();
        for (exit, words, fault, told) in [
            (Exit::Code(3), "no such file\n", Fault::RuntimeError, "x ended with exit code 3"),
            (Exit::Signal(9), "", Fault::RuntimeError, "x was ended from outside (signal 9)"),
            (Exit::Code(137), "", Fault::RuntimeError, "x was ended from outside (signal 9)"),
            (Exit::Code(139), "", Fault::RuntimeError, "x crashed (signal 11)"),
            (Exit::Signal(25), "", Fault::RuntimeError, "x wrote a file larger than 512 MB, which is `fileMb`"),
            (Exit::Code(153), "", Fault::RuntimeError, "x wrote a file larger than 512 MB, which is `fileMb`"),
            (Exit::Code(152), "", Fault::Timeout, "x used more processor time than `cpuTime`"),
            (Exit::Code(1), "fork: Cannot allocate memory", Fault::OutOfMemory, "x ended with exit code 1"),
            (Exit::Code(255), "", Fault::RuntimeError, "x ended with exit code 255"),
            (Exit::Signal(15), "", Fault::RuntimeError, "x was ended by signal 15"),
        ] {
            let error = failed("x", exit, words, &limits).unwrap();
            assert_eq!((error.fault, error.message.as_str()), (fault, told), "{exit:?}");
            assert_eq!(error.words.as_deref().unwrap_or_default(), words.trim());
        }
        assert_eq!(failed("x", Exit::Code(0), "a warning", &limits), None);
    }

    #[test]
    fn what_is_too_much_is_found() {
        let limits = Limits { memory_mb: 10, processes: 4, disk_mb: 6, ..Limits::default() };
        let of = |memory, processes, disk, is_more| {
            let taken = Taken { processes, memory_bytes: memory * MEGABYTE, unnamed_bytes: MEGABYTE };
            excess(&limits, &taken, Lying { bytes: disk * MEGABYTE, entries: 1, is_more })
        };
        assert_eq!(of(10, 4, 5, false), None);
        assert_eq!(of(11, 4, 5, false), Some(Cause::Memory(11)));
        assert_eq!(of(10, 5, 5, false), Some(Cause::Processes(5)));
        assert_eq!(of(10, 4, 6, false), Some(Cause::Disk(7)));
        assert_eq!(of(10, 4, 5, true), Some(Cause::Files));
    }

    #[test]
    fn the_last_words_are_kept() {
        let words = format!("{}ü{}", "a".repeat(1000), "b".repeat(499));
        assert_eq!(last_words(&words), "b".repeat(499));
    }
}
