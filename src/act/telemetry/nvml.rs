//! NVIDIA's driver, asked through NVML. The library is opened at run time; that there is none is an ordinary state.
//!
//! 1. The first look opens the library and keeps it open. Where that fails, the next tries follow at growing intervals, and
//!    looks between them give the same reason without touching anything.
//! 2. A card or a driver that went away leaves handles that stay bad after it is back: while there is one, the library
//!    is closed and opened anew, at growing intervals too.
//! 3. What an old driver cannot tell is absent. Memory is the one figure without which a card counts as not read.
//!
//! Every call may block for as long as the driver likes: this belongs on a [`probe`](super::probe)'s thread.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nvml_wrapper::enum_wrappers::device::TemperatureSensor;
use nvml_wrapper::enums::device::UsedGpuMemory;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::struct_wrappers::device::ProcessInfo;
use nvml_wrapper::{Device, Nvml};

use crate::core::backoff;
use crate::core::rng::Rng;
use crate::decide::host_view::{GpuProcess, gb_of};

use super::card::{Card, Fault, Figures, plain_name, program_name};

/// Where the library is looked for: by name where the loader knows it, then where NixOS and WSL put it.
const LIBRARIES: [&str; 3] =
    ["libnvidia-ml.so.1", "/run/opengl-driver/lib/libnvidia-ml.so.1", "/usr/lib/wsl/lib/libnvidia-ml.so.1"];
/// Cards that are looked at; a driver that counts more is not believed.
const CARDS_MAX: u32 = 64;
/// Processes of one card; beyond that none is listed.
const PROCESSES_MAX: u32 = 256;
/// The longest answer to the question for a process's name, in bytes.
const PROCESS_NAME_BYTES_MAX: usize = 256;
/// The first pause after a failed try.
const RETRY_FIRST: Duration = Duration::from_secs(5);
/// The longest pause between tries: a driver that was loaded by hand is found within this time.
const RETRY_MAX: Duration = Duration::from_secs(120);

/// The driver of this machine, or the lack of it.
pub struct Driver {
    library: Option<PathBuf>,
    open: Option<Nvml>,
    /// What the last look found wrong. While the library is closed it is the answer until the next try.
    trouble: Option<Fault>,
    retry: Retry,
}

/// When the next try is due.
struct Retry {
    first: Duration,
    pause: Duration,
    at: Option<Instant>,
    rng: Rng,
}

impl Driver {
    /// Opens nothing yet.
    #[must_use]
    pub fn new(library: Option<PathBuf>) -> Self {
        Self::with_first_retry(library, RETRY_FIRST)
    }

    /// The same with another first pause after a failed try.
    #[must_use]
    pub fn with_first_retry(library: Option<PathBuf>, first: Duration) -> Self {
        let retry = Retry { first, pause: Duration::ZERO, at: None, rng: Rng::new(1) };
        Self { library, open: None, trouble: None, retry }
    }

    /// Looks now: every card the driver counts, each with its figures or with why it cannot be read.
    ///
    /// # Errors
    /// When there is no driver to ask.
    pub fn look(&mut self) -> Result<Vec<Card>, Fault> {
        let due = self.retry.is_due();
        if let Some(fault) = &self.trouble {
            if due {
                self.open = None;
            } else if self.open.is_none() {
                return Err(fault.clone());
            }
        }
        let seen = self.read();
        self.trouble = match &seen {
            Ok(cards) => {
                cards.iter().find_map(|card| card.figures.as_ref().err().filter(|fault| fault.reopen)).cloned()
            }
            Err(fault) => {
                self.open = None;
                Some(fault.clone())
            }
        };
        match self.trouble {
            None => self.retry.settle(),
            Some(_) if due => self.retry.postpone(),
            Some(_) => {}
        }
        seen
    }

    fn read(&mut self) -> Result<Vec<Card>, Fault> {
        let nvml = match self.open.take() {
            Some(nvml) => nvml,
            None => open(self.library.as_ref().map(|path| path.as_os_str()))?,
        };
        let nvml = self.open.insert(nvml);
        let n = nvml.device_count().map_err(|error| fault_of(&error))?;
        if n > CARDS_MAX {
            return Err(Fault::lasting(format!("the driver counts more than {CARDS_MAX} cards, which cannot be true")));
        }
        Ok((0..n).map(|index| card(nvml, index)).collect())
    }
}

impl Retry {
    fn is_due(&self) -> bool {
        self.at.is_none_or(|at| Instant::now() >= at)
    }

    fn postpone(&mut self) {
        self.pause = backoff::next(self.pause, self.first, RETRY_MAX, &mut self.rng);
        self.at = Some(Instant::now() + self.pause);
    }

    fn settle(&mut self) {
        (self.pause, self.at) = (Duration::ZERO, None);
    }
}

/// Opens the library: this one, or the first that is found.
fn open(library: Option<&OsStr>) -> Result<Nvml, Fault> {
    let places = library.map_or_else(|| LIBRARIES.map(OsStr::new).to_vec(), |library| vec![library]);
    let mut missing = None;
    for place in places {
        match Nvml::builder().lib_path(place).init() {
            Ok(nvml) => return Ok(nvml),
            // The first name is the usual one: its reason is the one to tell.
            Err(error @ NvmlError::LibloadingError(_)) => {
                missing.get_or_insert(error);
            }
            Err(error) => return Err(fault_of(&error)),
        }
    }
    Err(missing.map_or_else(|| Fault::lasting("NVML was looked for nowhere"), |error| fault_of(&error)))
}

fn card(nvml: &Nvml, index: u32) -> Card {
    match nvml.device_by_index(index) {
        Ok(device) => Card {
            index,
            uuid: device.uuid().ok().and_then(|uuid| plain_name(&uuid)),
            name: device.name().ok().and_then(|name| plain_name(&name)),
            figures: figures(nvml, &device),
        },
        Err(error) => Card { index, uuid: None, name: None, figures: Err(fault_of(&error)) },
    }
}

fn figures(nvml: &Nvml, device: &Device<'_>) -> Result<Figures, Fault> {
    let memory = device.memory_info().map_err(|error| match error {
        NvmlError::FailedToLoadSymbol(_) => {
            Fault::lasting("the driver is too old to tell memory use; version 510 and newer do")
        }
        error => fault_of(&error),
    })?;
    let util = told(device.utilization_rates())?.map(|rates| rates.gpu);
    let temperature = told(device.temperature(TemperatureSensor::Gpu))?;
    Figures::checked(memory.total, memory.free, util, temperature, processes(nvml, device, memory.total))
}

/// What a driver may not be able to tell; an error only when the card went away meanwhile.
fn told<T>(answer: Result<T, NvmlError>) -> Result<Option<T>, Fault> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(error) => Some(fault_of(&error)).filter(|fault| fault.reopen).map_or(Ok(None), Err),
    }
}

/// Who holds memory of the card, the largest first; empty where the driver does not tell. One that computes and draws is
/// counted once.
fn processes(nvml: &Nvml, device: &Device<'_>, total_bytes: u64) -> Vec<GpuProcess> {
    // The count is asked first, because the list is made as long as it says.
    let few = |count: Result<u32, NvmlError>| count.is_ok_and(|count| (1..=PROCESSES_MAX).contains(&count));
    let mut found = Vec::new();
    if few(device.running_compute_processes_count()) {
        found.extend(device.running_compute_processes().unwrap_or_default());
    }
    if few(device.running_graphics_processes_count()) {
        found.extend(device.running_graphics_processes().unwrap_or_default());
    }
    let mut by_pid: BTreeMap<u32, Option<u64>> = BTreeMap::new();
    for ProcessInfo { pid, used_gpu_memory, .. } in found {
        let bytes = match used_gpu_memory {
            UsedGpuMemory::Used(bytes) => Some(bytes).filter(|bytes| *bytes <= total_bytes),
            UsedGpuMemory::Unavailable => None,
        };
        let known = by_pid.entry(pid).or_default();
        *known = (*known).max(bytes);
    }
    let mut all: Vec<_> = by_pid.into_iter().collect();
    all.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
    let name = |pid| nvml.sys_process_name(pid, PROCESS_NAME_BYTES_MAX).ok().and_then(|told| program_name(&told));
    all.into_iter().map(|(pid, bytes)| GpuProcess { pid, name: name(pid), used_gb: bytes.map(gb_of) }).collect()
}

/// An error in words that say what to do, and whether opening the library anew may help.
fn fault_of(error: &NvmlError) -> Fault {
    let reopen = |why: &str| Fault { why: why.to_owned(), reopen: true };
    match error {
        NvmlError::LibloadingError(error) => {
            Fault::lasting(format!("there is no NVML library of NVIDIA's driver on this machine: {error}"))
        }
        NvmlError::FailedToLoadSymbol(_) => Fault::lasting("the NVML library lacks a function; the driver is too old"),
        NvmlError::DriverNotLoaded => reopen("NVIDIA's driver is not loaded; nvidia-smi says more"),
        NvmlError::NoPermission => {
            Fault::lasting("this user may not ask the driver; look at the modes of /dev/nvidia*")
        }
        NvmlError::LibRmVersionMismatch => {
            reopen("the driver was updated, and its kernel module is still the old one; restart the machine")
        }
        NvmlError::GpuLost => reopen("the card fell off the bus; the kernel's log says why, a restart usually helps"),
        NvmlError::ResetRequired => reopen("the card must be reset before it can be used again"),
        NvmlError::Uninitialized | NvmlError::OperatingSystem | NvmlError::Unknown | NvmlError::Timeout => {
            reopen(&format!("the driver does not answer properly: {error}"))
        }
        other => Fault::lasting(format!("the driver refuses: {other}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_that_is_not_there_is_told_and_looked_for_again_only_when_due() {
        let mut driver = Driver::new(Some("/nonexistent/libnvidia-ml.so.1".into()));
        let first = driver.look().unwrap_err();
        assert!(first.why.starts_with("there is no NVML library"), "{first}");
        let due = driver.retry.at;
        assert!(due.is_some_and(|at| at > Instant::now()));
        assert_eq!(driver.look().unwrap_err(), first, "the words stay the same, so that nothing is logged twice");
        assert_eq!(driver.retry.at, due, "nothing was tried before it was due");
    }

    #[test]
    fn pauses_grow_to_their_limit_and_start_over_when_all_is_well() {
        let mut retry = Driver::new(None).retry;
        let mut longest = Duration::ZERO;
        for _ in 0..50 {
            retry.postpone();
            assert!((RETRY_FIRST..=RETRY_MAX).contains(&retry.pause));
            longest = longest.max(retry.pause);
        }
        assert_eq!(longest, RETRY_MAX);
        retry.settle();
        assert!(retry.is_due());
    }
}
