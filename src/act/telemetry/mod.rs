//! Measuring the machine that this program runs on: GPUs through NVML, processors and memory through the operating
//! system, disk space of the state directory.
//!
//! [`nvml`] and [`machine`] look and may block; a [`probe`] gives each of them a thread of its own and a deadline, so that
//! a driver that hangs makes a figure old and nothing else. [`matching`] is pure: it finds the card that a manifest means and
//! says what does not agree. [`keep`] turns looks into observations, also for what is never looked at: simulated GPUs and
//! other machines. When to look, and where it goes, is the engine's business.

pub mod card;
pub mod keep;
pub mod machine;
pub mod matching;
pub mod nvml;
pub mod probe;

use std::path::PathBuf;
use std::time::Duration;

/// How the machine is looked at.
#[derive(Clone, Debug)]
pub struct Options {
    /// The time between two looks.
    pub every: Duration,
    /// How long a look may take before what is known is called old.
    pub deadline: Duration,
    /// The NVML library, where it is not found by its name.
    pub nvml_library: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self { every: Duration::from_secs(5), deadline: Duration::from_secs(3), nvml_library: None }
    }
}
