//! `kind: Host`: a machine and its GPUs.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::core::Name;

/// A machine that runtimes live on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HostSpec {
    /// IP address or name under which this machine is reached.
    pub address: String,
    /// True for the machine that Arcology itself runs on: it reads GPU, CPU, memory and disk directly.
    #[serde(default)]
    pub local: bool,
    /// Operating system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os: Option<Os>,
    /// The GPUs of this machine.
    #[serde(default)]
    pub gpus: Vec<GpuSpec>,
    /// What must always stay free on this machine.
    #[serde(default)]
    pub reserve: ReserveSpec,
}

/// Operating system of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Os {
    Linux,
    Macos,
    Windows,
}

/// A GPU of a host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GpuSpec {
    /// Name of this GPU within the host, as runtimes refer to it.
    pub id: Name,
    /// Index of the GPU as the driver counts it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<u32>,
    /// The driver's own identifier; more stable than an index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
    /// Memory in GB (2^30 bytes).
    #[schemars(range(min = 0.0))]
    pub vram_gb: f64,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// No hardware behind it: for trying things out. Always shown as simulated.
    #[serde(default)]
    pub simulated: bool,
}

/// What must always stay free on a host.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReserveSpec {
    /// GPU memory to keep free on each GPU, in GB.
    #[serde(default)]
    #[schemars(range(min = 0.0))]
    pub vram_gb: f64,
    /// Disk space to keep free, in GB.
    #[serde(default)]
    #[schemars(range(min = 0.0))]
    pub disk_gb: f64,
}
