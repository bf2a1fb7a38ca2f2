//! Disk space: what a task is expected to put out, and whether there is room for it beside what the host keeps free.
//!
//! Expected is the larger of what the task says and of what nine in ten recent runs of its capability put out at most. What
//! runs counts as written in full until it has ended, so that two tasks never both take the same free space. A host whose
//! free space nobody knows keeps nothing waiting.

use std::sync::Arc;

use crate::core::Name;

use super::line::{Line, LineIx};
use super::reason::Reason;
use super::state::State;
use super::table::RuntimeIx;

/// Bytes in a GB, as in manifests. Space is counted in thousandths of it.
const GB: u64 = 1 << 30;
/// No disk holds more, in thousandths of a GB: whatever a task says, the sum over all that run is a number.
const MOST_MB: u64 = 1 << 44;

/// Disk space that is counted on for a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Promised {
    host: Name,
    mb: u64,
}

impl State {
    pub(super) fn disk(&mut self, host: Name, free_gb: Option<f64>) {
        match free_gb.filter(|gb| gb.is_finite()) {
            Some(gb) => drop(self.free_disk_gb.insert(host, gb)),
            None => drop(self.free_disk_gb.remove(&host)),
        }
        self.disk_dirty();
    }

    /// Notes how much a run put out.
    pub(super) fn put_out(&mut self, capability: &Arc<str>, bytes: u64) {
        self.durations.note_size(capability, bytes);
    }

    /// Whoever waits for disk space may find some now: whoever is told so, and whoever has a second place that may be full.
    fn disk_dirty(&mut self) {
        let Self { dirty, lines, .. } = self;
        let may_go = |line: &Line| {
            matches!(line.told(), Some(Reason::DiskFull { .. })) || line.plan.choices.len() > 1 && line.rests.is_none()
        };
        dirty.extend(lines.busy().filter(|(_, line)| may_go(line)).map(|(ix, _)| ix));
    }

    /// What the tasks of a line are expected to put out, in thousandths of a GB.
    pub(super) fn expected_mb(&self, line: LineIx) -> u64 {
        let line = &self.lines[line];
        let usual = self.durations.usual_size(&line.capability).unwrap_or(0);
        line.key.output_mb.max(usual.saturating_mul(1_000).div_ceil(GB)).min(MOST_MB)
    }

    /// Why a runtime's host has no room for `output_mb`.
    pub(super) fn disk_is_full(&self, host: &Name, output_mb: u64) -> Option<Reason> {
        let free_gb = self.free_disk_gb.get(host)? - gb(self.promised_mb.get(host).copied().unwrap_or(0));
        let reserve_gb = self.config.hosts.get(host).map_or(0.0, |host| host.reserve_disk_gb);
        let need_gb = gb(output_mb);
        let is_full = need_gb + reserve_gb > 0.0 && need_gb + reserve_gb > free_gb;
        is_full.then(|| Reason::DiskFull { host: host.clone(), need_gb, reserve_gb, free_gb })
    }

    /// Counts on the space for a run that begins.
    pub(super) fn promise_disk(&mut self, line: LineIx, runtime: RuntimeIx) -> Option<Box<Promised>> {
        let mb = self.expected_mb(line);
        let host = self.table.runtimes[runtime].config.as_ref().filter(|_| mb > 0)?.host.clone();
        *self.promised_mb.entry(host.clone()).or_default() += mb;
        Some(Box::new(Promised { host, mb }))
    }

    /// The run is over: what it put out is on the disk, or never will be.
    pub(super) fn give_disk_back(&mut self, promised: &Promised) {
        if let Some(mb) = self.promised_mb.get_mut(&promised.host) {
            *mb -= promised.mb;
            if *mb == 0 {
                self.promised_mb.remove(&promised.host);
            }
        }
        self.disk_dirty();
    }
}

impl Promised {
    /// Where, and how much, for [`State::check`].
    pub(super) fn parts(&self) -> (&Name, u64) {
        (&self.host, self.mb)
    }
}

#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 megabytes")]
fn gb(mb: u64) -> f64 {
    mb as f64 / 1_000.0
}
