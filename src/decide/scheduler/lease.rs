//! Leases: other programs that take a GPU, alone or in a shared slot, for as long as they show signs of life.

use super::decision::{Decision, Holder};
use super::event::LeaseRequest;
use super::exclusive::Wish;
use super::id::{GpuId, LeaseId, Moment, TaskSeq};
use super::line::Key;
use super::memory::Room;
use super::reason::Reason;
use super::state::State;
use super::table::{GpuIx, Lock};

/// A lease, granted or waiting.
#[derive(Clone, Debug)]
pub(super) struct Lease {
    pub asked: LeaseRequest,
    pub key: Key,
    /// When it was asked for, on the steady clock.
    pub asked_ms: u64,
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
        self.leases_asked += 1;
        let key = Key::new(submitted, asked.priority, TaskSeq(LEASE_SEQ | self.leases_asked));
        let is_granted = asked.held;
        self.timers.lease_at(until_ms, id.clone());
        self.leases.insert(
            id.clone(),
            Lease { asked, key, asked_ms: now.steady_ms, since: now, until_ms, is_granted, reason: None },
        );
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

    /// Looks whether a waiting lease can have all its GPUs now. It takes them in their order and keeps what it has, so that two
    /// leases never wait for each other, and none starves.
    pub(super) fn look_at_lease(&mut self, id: &LeaseId, now: Moment, out: &mut Vec<Decision>) {
        let Some(lease) = self.leases.get(id).filter(|lease| !lease.is_granted) else { return };
        let (exclusive, force, vram_gb, key) =
            (lease.asked.exclusive, lease.asked.force, lease.asked.vram_gb, lease.key);
        let known = |gpu: &GpuId| self.table.gpu(gpu).is_some_and(|gpu| self.table.gpus[gpu].config.is_some());
        if let Some(unknown) = lease.asked.gpus.iter().find(|gpu| !known(gpu)) {
            let reason = Reason::NoRuntime { capability: format!("the GPU {unknown}"), hint: None };
            return self.lease_waits(id, reason);
        }
        let holder = Holder::Lease(id.clone());
        for gpu in self.gpus_of_lease(id) {
            let ready = if exclusive {
                self.acquire(gpu, &holder, Wish { key, force, need_gb: vram_gb, keeps: None }, now, out)
            } else {
                self.share_with(gpu, id, key, vram_gb, now, out)
            };
            if let Err(reason) = ready {
                return self.lease_waits(id, reason);
            }
        }
        self.take(id, now, out);
        out.push(Decision::Grant { lease: id.clone() });
    }

    /// Gives a lease a shared slot of a GPU, once its memory is free there.
    fn share_with(
        &mut self,
        gpu: GpuIx,
        id: &LeaseId,
        key: Key,
        vram_gb: Option<f64>,
        now: Moment,
        out: &mut Vec<Decision>,
    ) -> Result<(), Reason> {
        if self.table.gpus[gpu].shared_leases.contains(id) {
            return Ok(());
        }
        if self.table.gpus[gpu].memory_waiter == Some(key) {
            self.table.gpus[gpu].memory_waiter = None;
        }
        if let Some(reason) = self.gpu_is_closed(gpu, now) {
            return Err(reason);
        }
        if let Some(need_gb) = vram_gb {
            if let Some(reason) = self.unseen_on(gpu) {
                return Err(reason);
            }
            match self.room(gpu, need_gb, false) {
                Room::Enough => drop(self.table.gpus[gpu].leased_gb.insert(id.clone(), need_gb)),
                Room::Evict(victims) => {
                    self.table.gpus[gpu].memory_waiter.get_or_insert(key);
                    for victim in victims {
                        self.unload(victim, format!("makes room for lease {id}"), out);
                    }
                    return Err(self.vram_full(gpu, need_gb));
                }
                Room::Busy(_) | Room::Full => return Err(self.vram_full(gpu, need_gb)),
            }
        }
        self.table.gpus[gpu].shared_leases.insert(id.clone());
        Ok(())
    }

    /// Leases that were granted hold their GPUs in the new world too, where those are known now.
    pub(super) fn retake_leases(&mut self, now: Moment, out: &mut Vec<Decision>) {
        let granted: Vec<LeaseId> =
            self.leases.iter().filter(|(_, lease)| lease.is_granted).map(|(id, _)| id.clone()).collect();
        for id in granted {
            self.take(&id, now, out);
        }
    }

    fn lease_waits(&mut self, id: &LeaseId, reason: Reason) {
        if let Some(lease) = self.leases.get_mut(id) {
            lease.reason = Some(reason);
        }
    }

    /// Takes what a lease is granted; what it has already stays as it is.
    fn take(&mut self, id: &LeaseId, now: Moment, out: &mut Vec<Decision>) {
        let gpus = self.gpus_of_lease(id);
        let Some(lease) = self.leases.get_mut(id) else { return };
        if !lease.is_granted {
            (lease.is_granted, lease.reason, lease.since) = (true, None, now);
        }
        let (exclusive, vram_gb) = (lease.asked.exclusive, lease.asked.vram_gb);
        let key = lease.key;
        for gpu in gpus {
            self.forget_lease(gpu, key);
            if let Some(gb) = vram_gb {
                self.table.gpus[gpu].leased_gb.insert(id.clone(), gb);
            }
            match &self.table.gpus[gpu].lock {
                // Somebody has it for himself already: a world that came later cannot take it back.
                Lock::Exclusive { .. } => {}
                Lock::Shared | Lock::Draining { .. } if exclusive => {
                    self.own(gpu, Holder::Lease(id.clone()), now, out);
                }
                Lock::Shared | Lock::Draining { .. } => drop(self.table.gpus[gpu].shared_leases.insert(id.clone())),
            }
            self.gpu_dirty(gpu);
        }
    }

    /// A lease waits for nothing there any more.
    fn forget_lease(&mut self, gpu: GpuIx, key: Key) {
        let entry = &mut self.table.gpus[gpu];
        entry.memory_waiter = entry.memory_waiter.filter(|waiter| *waiter != key);
        entry.polite.take_if(|polite| polite.key == key);
    }

    pub(super) fn renew_lease(&mut self, id: &LeaseId, ttl_ms: u64, now: Moment) {
        if let Some(lease) = self.leases.get_mut(id) {
            let until_ms = now.steady_ms.saturating_add(ttl_ms);
            // The timer that runs finds a later end by itself.
            if until_ms < lease.until_ms {
                self.timers.lease_at(until_ms, id.clone());
            }
            lease.until_ms = until_ms;
        }
    }

    pub(super) fn release_lease(&mut self, id: &LeaseId, now: Moment, out: &mut Vec<Decision>) {
        let (gpus, key) = (self.gpus_of_lease(id), self.leases.get(id).map(|lease| lease.key));
        let holder = Holder::Lease(id.clone());
        for gpu in gpus {
            if let Some(key) = key {
                self.forget_lease(gpu, key);
            }
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
        self.leases.remove(id);
    }

    /// A lease whose time may be over.
    pub(super) fn lease_due(&mut self, id: &LeaseId, now: Moment, out: &mut Vec<Decision>) {
        let Some(lease) = self.leases.get(id) else { return };
        if lease.until_ms > now.steady_ms {
            return self.timers.lease_at(lease.until_ms, id.clone());
        }
        // Told first: what follows from it, such as a load on the GPU that it held, must not come before its end.
        out.push(Decision::Expire { lease: id.clone(), held: lease.is_granted });
        self.release_lease(id, now, out);
    }
}
