//! What was measured of a machine, in words that planner, scheduler and surfaces share. What cannot be told is absent.
//!
//! Owns the shapes and the arithmetic on them. Who measures, how often and by which means is `act/telemetry`'s business.
//! One GB is 2^30 bytes here, as in manifests.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::core::{Name, Observed};

/// Every declared GPU, by its host and its id within the host, with what was last seen of it.
pub type Gpus = BTreeMap<(Name, Name), Observed<GpuView>>;

/// Every declared host, with what was last seen of it.
pub type Hosts = BTreeMap<Name, Observed<HostView>>;

/// Bytes in one GB.
const GB: f64 = (1_u64 << 30) as f64;

/// One GPU at one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GpuView {
    /// What the driver calls it.
    pub name: Option<String>,
    /// The driver's own identifier.
    pub uuid: Option<String>,
    /// Its place in the driver's count.
    pub index: Option<u32>,
    /// Memory it has, in GB.
    pub total_gb: f64,
    /// Memory in use by anybody, in GB.
    pub used_gb: f64,
    /// How much of the last moments it was busy, 0 to 100.
    pub util_pct: Option<f64>,
    /// Temperature of the chip in degrees Celsius.
    pub temperature_c: Option<f64>,
    /// Programs that hold memory on it, the largest first, where the driver tells.
    pub processes: Vec<GpuProcess>,
    /// No hardware is behind it: `used_gb` is a sum over loaded models, nothing was measured.
    pub simulated: bool,
    /// What does not agree with the manifest, one sentence; none when all does.
    pub note: Option<String>,
}

/// A program that holds memory on a GPU.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GpuProcess {
    pub pid: u32,
    pub name: Option<String>,
    /// Memory it holds, in GB; absent where the driver does not tell.
    pub used_gb: Option<f64>,
}

/// A machine at one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HostView {
    /// How busy all its processors were since the look before, 0 to 100; absent at the first look.
    pub cpu_util_pct: Option<f64>,
    pub ram_used_gb: f64,
    pub ram_total_gb: f64,
    /// What an ordinary user may still write on the file system of the state directory; absent when it cannot be read.
    pub disk_free_gb: Option<f64>,
    pub disk_total_gb: Option<f64>,
}

/// Bytes as GB.
#[must_use]
pub fn gb_of(bytes: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "an f64 is exact up to 2^53 bytes, eight million GB")]
    let bytes = bytes as f64;
    bytes / GB
}

/// GPU memory that belongs to none of our models, in GB: what the driver says is used, minus what loaded models cost.
///
/// Never below 0: declared costs are often larger than what a model really takes.
#[must_use]
pub fn foreign_gb(used_gb: f64, loaded_gb: f64) -> f64 {
    (used_gb - loaded_gb).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_use_is_what_no_loaded_model_explains_and_never_negative() {
        for (used, loaded, foreign) in [(9.0, 7.5, 1.5), (7.5, 7.5, 0.0), (5.0, 7.5, 0.0), (3.0, 0.0, 3.0)] {
            assert_eq!(foreign_gb(used, loaded), foreign, "{used} - {loaded}");
        }
        assert_eq!(foreign_gb(f64::NAN, 1.0), 0.0, "what is no number explains nothing");
    }

    #[test]
    fn a_gb_is_two_to_the_thirtieth() {
        assert_eq!(gb_of(1 << 30), 1.0);
        assert_eq!(gb_of(0), 0.0);
        assert_eq!(gb_of(48 << 29), 24.0);
    }
}
