//! How a command is wrapped, so that it can do as little as possible besides its work. Pure, but for looking which system
//! folders are links.
//!
//! With bubblewrap a program sees `/usr` and its like, a few files of `/etc`, what the manifest lets it read, and three
//! folders of its own: `/work/in` (only to read), `/work/out` (where it works) and `/tmp`. Nothing else is there: no home, no
//! credentials, no repository. Its processes, network and users are its own.
//!
//! With Landlock it can open the same files at their real places, and works in the real folder of the run.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::declare::manifest::kind::options::exec::{ExecOptions, Limits, Program};

use super::folder::Folder;
use super::probe::{Bubblewrap, Protection};

/// System folders that are shown as they are.
const SYSTEM: &[&str] = &["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store", "/gnu/store"];
/// What programs need of `/etc`: how libraries and fonts are found, and where text is in which language. No accounts.
const ETC: &[&str] = &[
    "/etc/alternatives",
    "/etc/fonts",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/localtime",
    "/etc/magic",
    "/etc/mime.types",
    "/etc/espeak-ng",
    "/etc/ImageMagick-6",
    "/etc/ImageMagick-7",
];
/// What a program with a network needs besides.
const NETWORK: &[&str] =
    &["/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/ssl", "/etc/ca-certificates", "/etc/pki"];

/// What bubblewrap makes anew of `/dev`, and Landlock lets through.
const DEVICES: &[&str] = &["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];
/// What Landlock lets through of `/proc`, where bubblewrap makes one: the program's own, and figures of the machine.
const PROC: &[&str] = &["/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/sys/vm/overcommit_memory"];

const MEGABYTE: u64 = 1024 * 1024;

/// Where a program finds its folders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub inputs: PathBuf,
    pub outputs: PathBuf,
    pub temporary: PathBuf,
}

impl Seen {
    pub fn of(protection: &Protection, folder: &Folder) -> Self {
        match protection.bubblewrap {
            Some(_) => Self { inputs: "/work/in".into(), outputs: "/work/out".into(), temporary: "/tmp".into() },
            None => Self { inputs: folder.inputs(), outputs: folder.outputs(), temporary: folder.temporary() },
        }
    }
}

/// Everything that is started: the wrappers, the program, its arguments.
pub(super) fn wrapped(
    protection: &Protection,
    folder: &Folder,
    (options, declared): (&ExecOptions, &Program),
    program: &Path,
    arguments: Vec<String>,
) -> Vec<OsString> {
    let mut argv: Vec<OsString> = match (&protection.bubblewrap, protection.confined_by(), &protection.setpriv) {
        (Some(bubblewrap), ..) => bubblewrap_arguments(bubblewrap, folder, options, declared, program),
        (None, Some(confiner), _) => confiner_arguments(confiner, protection, folder, (options, declared), program),
        (None, None, Some(setpriv)) => vec![setpriv.into(), "--no-new-privs".into(), "--".into()],
        (None, None, None) => Vec::new(),
    };
    if let (None, Some(prlimit)) = (protection.confined_by(), &protection.prlimit) {
        argv.push(prlimit.into());
        argv.extend(rlimits(&declared.limits, protection.counts_processes()).into_iter().map(OsString::from));
        argv.push("--".into());
    }
    argv.push(program.into());
    argv.extend(arguments.into_iter().map(OsString::from));
    argv
}

/// What comes before the command where `arcology confine` confines it.
fn confiner_arguments(
    confiner: &Path,
    protection: &Protection,
    folder: &Folder,
    (options, declared): (&ExecOptions, &Program),
    program: &Path,
) -> Vec<OsString> {
    let mut argv: Vec<OsString> = vec![confiner.into(), "confine".into()];
    if let Some(abi) = protection.landlock {
        argv.extend(["--landlock".into(), abi.0.to_string().into()]);
        if declared.network {
            argv.push("--network".into());
        }
        let network: &[&str] = if declared.network { NETWORK } else { &[] };
        let mut let_through = |how: &str, path: &Path| argv.extend([how.into(), path.into()]);
        for path in [SYSTEM, ETC, PROC, network].into_iter().flatten() {
            let_through("--read", Path::new(path));
        }
        for path in [folder.inputs().as_path(), program] {
            let_through("--read", path);
        }
        for path in &options.readable {
            let_through("--read", Path::new(path));
        }
        for path in [folder.outputs(), folder.temporary()] {
            let_through("--write", &path);
        }
        for path in DEVICES.iter().copied().chain(options.devices.iter().map(String::as_str)) {
            let_through("--device", Path::new(path));
        }
    }
    let limits = &declared.limits;
    let mut limit = |name: &str, most: u64| argv.extend([name.into(), most.to_string().into()]);
    limit("--data", limits.memory_mb.saturating_mul(MEGABYTE));
    limit("--fsize", limits.file_mb.saturating_mul(MEGABYTE));
    limit("--nofile", u64::from(limits.open_files));
    if let Some(time) = limits.cpu_time {
        limit("--cpu", time.get().as_secs().max(1));
    }
    argv.push("--".into());
    argv
}

/// Limits of the kernel for each process. They hold from the first instruction on; what all processes take together is
/// watched besides.
fn rlimits(limits: &Limits, processes_too: bool) -> Vec<String> {
    let mut flags = vec![
        "--core=0".to_owned(),
        format!("--data={}", limits.memory_mb.saturating_mul(MEGABYTE)),
        format!("--fsize={}", limits.file_mb.saturating_mul(MEGABYTE)),
        format!("--nofile={}", limits.open_files),
    ];
    if processes_too {
        flags.push(format!("--nproc={}", limits.processes));
    }
    if let Some(time) = limits.cpu_time {
        // First it is asked to end, which tells why; a second later it is ended.
        let seconds = time.get().as_secs().max(1);
        flags.push(format!("--cpu={seconds}:{}", seconds + 1));
    }
    flags
}

/// What comes before the command where bubblewrap wraps it; `program` is shown at its own place.
fn bubblewrap_arguments(
    bubblewrap: &Bubblewrap,
    folder: &Folder,
    options: &ExecOptions,
    declared: &Program,
    program: &Path,
) -> Vec<OsString> {
    let mut argv = bare(bubblewrap);
    if !declared.network {
        argv.push("--unshare-net".into());
    }
    let mut bind = |how: &str, from: &Path, to: &Path| argv.extend([how.into(), from.into(), to.into()]);
    let network: &[&str] = if declared.network { NETWORK } else { &[] };
    for path in ETC.iter().chain(network).map(Path::new) {
        bind("--ro-bind-try", path, path);
    }
    bind("--ro-bind", &folder.inputs(), Path::new("/work/in"));
    bind("--bind", &folder.outputs(), Path::new("/work/out"));
    bind("--bind", &folder.temporary(), Path::new("/tmp"));
    bind("--bind", &folder.shared_memory(), Path::new("/dev/shm"));
    for path in options.readable.iter().map(Path::new) {
        bind("--ro-bind-try", path, path);
    }
    for path in options.devices.iter().map(Path::new) {
        bind("--dev-bind-try", path, path);
    }
    if !SYSTEM.iter().any(|folder| program.starts_with(folder)) {
        bind("--ro-bind", program, program);
    }
    for flag in ["--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/work/out", "--"] {
        argv.push(flag.into());
    }
    argv
}

/// What every sandbox has, whatever is run in it: also what is tried in order to know whether there can be one.
pub(super) fn bare(bubblewrap: &Bubblewrap) -> Vec<OsString> {
    let mut argv: Vec<OsString> = vec![bubblewrap.path.clone().into()];
    for flag in [
        "--unshare-user",
        "--unshare-pid",
        "--unshare-ipc",
        "--unshare-uts",
        "--unshare-cgroup-try",
        "--die-with-parent",
        "--new-session",
        "--cap-drop",
        "ALL",
    ] {
        argv.push(flag.into());
    }
    if bubblewrap.disables_user_namespaces {
        argv.push("--disable-userns".into());
    }
    for folder in SYSTEM {
        match std::fs::read_link(folder) {
            Ok(target) => argv.extend(["--symlink".into(), target.into(), (*folder).into()]),
            Err(_) => argv.extend(["--ro-bind-try", folder, folder].map(OsString::from)),
        }
    }
    argv.extend(["--proc", "/proc", "--dev", "/dev"].map(OsString::from));
    argv
}
