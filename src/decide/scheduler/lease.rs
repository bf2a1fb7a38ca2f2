//! Leases: other programs that take a GPU, alone or in a shared slot, for as long as they show signs of life.

use super::decision::{Decision, Holder};
use super::event::LeaseRequest;
use super::exclusive::Wish;
use super::id::{LeaseId, Moment, TaskSeq};
use super::line::Key;
use super::reason::Reason;
use super::state::State;
use super::table::{GpuIx, Lock};

/// A lease, granted or waiting.
#[derive(Clone, Debug)]
pub(super) struct Lease {
    pub asked: LeaseRequest,
    pub key: Key,
    pub since: Moment,
    /// Taken back then, unless it is renewed before.
    pub until_ms: u64,
    pub is_granted: bool,
    pub reason: Option<Reason>,
}

/// Leases come behind tasks of the same moment.
const LEASE_SEQ: u64 = 1 << 63;

impl State {
    pub(super) fn ask_lease(&mut self, asked: LeaseRequest, now: Moment, out: &mut Vec<Decision>) {
        if self.leases.contains_key(&asked.id) {
            return;
        }
        let id = asked.id.clone();
        let until_ms = now.steady_ms.saturating_add(asked.ttl_ms);
        let submitted = i64::try_from(now.steady_ms).unwrap_or(i64::MAX);
        let key = Key::new(submitted, asked.priority, TaskSeq(LEASE_SEQ | self.leases.len() as u64));
        let is_granted = asked.held;
        self.timers.lease_at(until_ms, id.clone());
        self.leases.insert(id.clone(), Lease { asked, key, since: now, until_ms, is_granted, reason: None });
        if is_granted {
            self.take(&id, now, out);
        } else {
            self.leases_dirty = true;
        }
    }

    fn gpus_of_lease(&self, id: &LeaseId) -> Vec<GpuIx> {
        let Some(lease) = self.leases.get(id) else { return Vec::new() };
        let mut ids = lease.asked.gpus.clone();
        ids.sort();
        ids.dedup();
        ids.iter().filter_map(|id| self.table.gpu(id)).collect()
    }

    /// Looks whether a waiting lease can have all its GPUs now. They are drained in their order, so that two leases never
    /// wait for each other.
    pub(super) fn look_at_lease(&mut self, id: &LeaseId, now: Moment, out: &mut Vec<Decision>) {
        let Some(lease) = self.leases.get(id).filter(|lease| !lease.is_granted) else { return };
        let (exclusive, force, vram_gb, key) =
            (lease.asked.exclusive, lease.asked.force, lease.asked.vram_gb, lease.key);
        let gpus = self.gpus_of_lease(id);
        if gpus.is_empty() {
            let reason = Reason::NoRuntime { capability: "a GPU of that name".to_owned(), hint: None };
            return self.lease_waits(id, reason);
        }
        let holder = Holder::Lease(id.clone());
        for gpu in &gpus {
            let ready = if exclusive {
                self.acquire(*gpu, &holder, Wish { key, force, need_gb: vram_gb, keeps: None }, now, out)
            } else {
                self.shared_lease_fits(*gpu, vram_gb.unwrap_or(0.0), now)
            };
            if let Err(reason) = ready {
                return self.lease_waits(id, reason);
            }
        }
        self.take(id, now, out);
        out.push(Decision::Grant { lease: id.clone() });
    }

    fn shared_lease_fits(&self, gpu: GpuIx, need_gb: f64, now: Moment) -> Result<(), Reason> {
        if let Some(reason) = self.gpu_is_closed(gpu, now) {
            return Err(reason);
        }
        let fits = self.sums(gpu).is_none_or(|sums| need_gb <= sums.free() + 1e-6);
        if fits { Ok(()) } else { Err(self.vram_full(gpu, need_gb)) }
    }

    fn lease_waits(&mut self, id: &LeaseId, reason: Reason) {
        if let Some(lease) = self.leases.get_mut(id) {
            lease.reason = Some(reason);
        }
    }

    fn take(&mut self, id: &LeaseId, now: Moment, out: &mut Vec<Decision>) {
        let gpus = self.gpus_of_lease(id);
        let Some(lease) = self.leases.get_mut(id) else { return };
        (lease.is_granted, lease.reason, lease.since) = (true, None, now);
        let (exclusive, vram_gb) = (lease.asked.exclusive, lease.asked.vram_gb);
        for gpu in gpus {
            if let Some(gb) = vram_gb {
                self.table.gpus[gpu].leased_gb.insert(id.clone(), gb);
            }
            if exclusive {
                self.own(gpu, Holder::Lease(id.clone()), now, out);
            } else {
                self.table.gpus[gpu].shared_leases.insert(id.clone());
            }
        }
    }

    pub(super) fn renew_lease(&mut self, id: &LeaseId, ttl_ms: u64, now: Moment) {
        if let Some(lease) = self.leases.get_mut(id) {
            lease.until_ms = now.steady_ms.saturating_add(ttl_ms);
            self.timers.lease_at(lease.until_ms, id.clone());
        }
    }

    pub(super) fn release_lease(&mut self, id: &LeaseId, now: Moment, out: &mut Vec<Decision>) {
        let gpus = self.gpus_of_lease(id);
        self.leases.remove(id);
        let holder = Holder::Lease(id.clone());
        for gpu in gpus {
            let entry = &mut self.table.gpus[gpu];
            entry.leased_gb.remove(id);
            entry.shared_leases.remove(id);
            let holds = matches!(&entry.lock, Lock::Exclusive { by } if *by == holder);
            if holds {
                self.give_back(gpu, &holder, now, out);
            } else {
                self.undrain(gpu, &holder, now, out);
            }
            self.gpu_dirty(gpu);
        }
    }

    /// A lease whose time may be over.
    pub(super) fn lease_due(&mut self, id: &LeaseId, now: Moment, out: &mut Vec<Decision>) {
        let Some(lease) = self.leases.get(id) else { return };
        if lease.until_ms > now.steady_ms {
            return;
        }
        let held = lease.is_granted;
        self.release_lease(id, now, out);
        out.push(Decision::Expire { lease: id.clone(), held });
    }
}
