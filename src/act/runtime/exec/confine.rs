//! What the hidden verb `arcology confine` does: it puts rules on its own process and becomes the program. So nothing has to
//! happen between fork and exec, which only unsafe code can, and neither `setpriv` nor `prlimit` has to be installed.
//!
//! The only file that names the crate `landlock`. Which paths are named is [`sandbox`](super::sandbox)'s, what the kernel's
//! version means is [`level`](super::level)'s.

use std::convert::Infallible;
use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, CompatLevel, Compatible as _, LandlockStatus, RestrictionStatus, Ruleset,
    RulesetAttr as _, RulesetCreatedAttr as _, RulesetError, Scope, path_beneath_rules,
};
use rustix::process::{Resource, Rlimit, Signal, getrlimit, set_parent_process_death_signal, setrlimit};
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities, set_no_new_privs};

use super::level::Abi;

/// The newest version whose rights are asked for; an older kernel enforces those that it knows.
const ASKED: ABI = ABI::V9;
/// Seconds of processor time from being asked to end (SIGXCPU) to being ended.
const CPU_GRACE_S: u64 = 1;

/// What a program is kept to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// What Landlock lets through; none: no Landlock.
    pub view: Option<View>,
    pub limits: Limits,
}

/// What of the machine can be reached; everything else cannot. A path that is not there is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// The least version that has to be enforced; with less nothing is run.
    pub abi_min: u32,
    /// Read, listed and executed, and all below.
    pub read: Vec<PathBuf>,
    /// Used in every way, and all below.
    pub write: Vec<PathBuf>,
    /// Devices: read, written, and given commands.
    pub devices: Vec<PathBuf>,
    /// Whether TCP may be used.
    pub network: bool,
}

/// Limits for each process, besides that none leaves a core file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    pub data_bytes: Option<u64>,
    pub file_bytes: Option<u64>,
    pub open_files: Option<u64>,
    pub cpu_s: Option<u64>,
}

/// Confines this process and becomes the program `argv`. Meant for a process with one thread.
///
/// # Errors
/// Comes back only when it failed: with what could not be put on, or why the program cannot be started.
pub fn become_confined(rules: &Rules, argv: &[OsString]) -> Result<Infallible, String> {
    let (program, arguments) = argv.split_first().ok_or("no program is named")?;
    // Made before there is a limit on memory.
    let mut command = Command::new(program);
    command.args(arguments);
    set_no_new_privs(true).map_err(|error| format!("new privileges cannot be given up: {error}"))?;
    if let Some(view) = &rules.view {
        let enforced = restrict(view)?;
        if enforced.is_none_or(|abi| abi.0 < view.abi_min) {
            let has = enforced.map_or("none of it".to_owned(), |abi| format!("ABI {}", abi.0));
            return Err(format!("Landlock ABI {} is needed, and the kernel enforces {has}", view.abi_min));
        }
        give_up_capabilities()?;
    }
    // The one who started it, and so whoever would end it, may be killed.
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(|error| format!("it cannot end with us: {error}"))?;
    limit(&rules.limits)?;
    Err(format!("{} cannot be started: {}", program.display(), command.exec()))
}

/// The version of Landlock that the kernel enforces, found by putting rules on this process that let nothing through.
///
/// # Errors
/// Why there is none.
pub fn try_out() -> Result<Abi, String> {
    restrict(&View::default())?.ok_or_else(|| "the kernel has no Landlock".to_owned())
}

/// Restricts this thread and what comes of it; none where the kernel enforces nothing.
fn restrict(view: &View) -> Result<Option<Abi>, String> {
    let status = enforce(view).map_err(|error| format!("Landlock cannot be put on: {error}"))?;
    match status.landlock {
        LandlockStatus::Available { effective_abi, .. } => {
            // It shows itself as a number, and cannot be made one otherwise.
            Ok(effective_abi.to_string().parse().ok().filter(|abi| *abi > 0).map(Abi))
        }
        LandlockStatus::NotEnabled => Err("Landlock is in the kernel, and was not switched on at boot".to_owned()),
        LandlockStatus::NotImplemented => Ok(None),
    }
}

fn enforce(view: &View) -> Result<RestrictionStatus, RulesetError> {
    let read = AccessFs::from_read(ASKED);
    let all = AccessFs::from_all(ASKED);
    let device = AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::ReadDir | AccessFs::Truncate | AccessFs::IoctlDev;
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(all)?
        .scope(Scope::from_all(ASKED))?;
    if !view.network {
        ruleset = ruleset.handle_access(AccessNet::from_all(ASKED))?;
    }
    ruleset
        .create()?
        .add_rules(path_beneath_rules(&view.read, read))?
        .add_rules(path_beneath_rules(&view.write, all))?
        .add_rules(path_beneath_rules(&view.devices, device))?
        .restrict_self()
}

/// Gives up what root can do besides reaching its own files. It does not come back with exec, since no new privileges do.
fn give_up_capabilities() -> Result<(), String> {
    let none = CapabilitySet::empty();
    set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })
        .map_err(|error| format!("privileges cannot be given up: {error}"))
}

fn limit(limits: &Limits) -> Result<(), String> {
    let hard = |resource, most: u64| set(resource, most, most);
    hard(Resource::Core, 0)?;
    limits.file_bytes.map_or(Ok(()), |bytes| hard(Resource::Fsize, bytes))?;
    limits.open_files.map_or(Ok(()), |files| hard(Resource::Nofile, files))?;
    limits.cpu_s.map_or(Ok(()), |seconds| set(Resource::Cpu, seconds, seconds.saturating_add(CPU_GRACE_S)))?;
    limits.data_bytes.map_or(Ok(()), |bytes| hard(Resource::Data, bytes))
}

/// Sets a limit, or a stricter one that holds already.
fn set(resource: Resource, soft: u64, hard: u64) -> Result<(), String> {
    let ceiling = getrlimit(resource).maximum.unwrap_or(u64::MAX);
    let limit = Rlimit { current: Some(soft.min(ceiling)), maximum: Some(hard.min(ceiling)) };
    setrlimit(resource, limit).map_err(|error| format!("the limit of {resource:?} cannot be set: {error}"))
}
