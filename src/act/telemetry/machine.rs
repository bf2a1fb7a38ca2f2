//! Processors, memory and disk of this machine. Reads two small files of the kernel and asks one file system, no more: no
//! list of processes, no list of disks.

use std::path::PathBuf;
use std::time::Instant;

use sysinfo::{MINIMUM_CPU_UPDATE_INTERVAL, MemoryRefreshKind, System};

use crate::decide::host_view::{HostView, gb_of};

/// Reads this machine's figures; processor use is counted from one look to the next.
pub struct Machine {
    /// The directory whose file system is asked.
    state_dir: PathBuf,
    system: Result<System, String>,
    /// When processor use began to be counted.
    counting_since: Option<Instant>,
}

impl Machine {
    #[must_use]
    pub fn new(state_dir: PathBuf) -> Self {
        let system = System::new().map_err(|error| format!("the operating system cannot be asked: {error}"));
        Self { state_dir, system, counting_since: None }
    }

    /// Looks now.
    ///
    /// # Errors
    /// One sentence, when not even the memory is told.
    pub fn look(&mut self) -> Result<HostView, String> {
        let system = self.system.as_mut().map_err(|why| why.clone())?;
        system.refresh_cpu_usage();
        system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
        let (total, available) = (system.total_memory(), system.available_memory());
        if total == 0 {
            return Err("the operating system does not tell how much memory there is".into());
        }
        let cpu = f64::from(system.global_cpu_usage());
        // The first look has nothing to count from, and looks in quick succession count as one.
        let since = *self.counting_since.get_or_insert_with(Instant::now);
        let counted = since.elapsed() >= MINIMUM_CPU_UPDATE_INTERVAL;
        let disk = rustix::fs::statvfs(&self.state_dir).ok();
        let blocks = |pick: fn(&rustix::fs::StatVfs) -> u64| {
            disk.as_ref().map(|disk| gb_of(pick(disk).saturating_mul(disk.f_frsize)))
        };
        Ok(HostView {
            cpu_util_pct: counted.then_some(cpu.clamp(0.0, 100.0)),
            ram_used_gb: gb_of(total.saturating_sub(available)),
            ram_total_gb: gb_of(total),
            disk_free_gb: blocks(|disk| disk.f_bavail),
            disk_total_gb: blocks(|disk| disk.f_blocks),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_memory_and_the_directory_has_a_disk() {
        let dir = tempfile::tempdir().unwrap();
        let mut machine = Machine::new(dir.path().to_owned());
        let first = machine.look().unwrap();
        assert_eq!(first.cpu_util_pct, None, "nothing to count from yet");
        assert!(
            first.ram_total_gb > 0.0 && first.ram_used_gb > 0.0 && first.ram_used_gb <= first.ram_total_gb,
            "{first:?}"
        );
        let (free, total) = (first.disk_free_gb.unwrap(), first.disk_total_gb.unwrap());
        assert!(free >= 0.0 && free <= total && total > 0.0, "{first:?}");
        let end = Instant::now() + std::time::Duration::from_secs(60);
        let busy = loop {
            assert!(Instant::now() < end, "two looks that lie apart are enough");
            if let Some(busy) = machine.look().unwrap().cpu_util_pct {
                break busy;
            }
        };
        assert!((0.0..=100.0).contains(&busy), "{busy}");
    }

    #[test]
    fn a_directory_that_is_gone_costs_the_disk_figures_alone() {
        let dir = tempfile::tempdir().unwrap();
        let mut machine = Machine::new(dir.path().join("gone"));
        let seen = machine.look().unwrap();
        assert_eq!((seen.disk_free_gb, seen.disk_total_gb), (None, None));
        assert!(seen.ram_total_gb > 0.0);
    }
}
