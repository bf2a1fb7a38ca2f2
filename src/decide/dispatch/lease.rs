//! Leases: written when they are asked for, granted and over; a grant is told only when it is on disk.
//!
//! A sign of life is not written: after a restart every lease gets its whole time again, so that nobody loses a GPU
//! because Arcology was away.

use std::sync::Arc;

use crate::decide::scheduler::{Event, LeaseId, LeaseRequest, Moment};

use super::core::{Core, Machine};
use super::op::{Note, Op, SpanKind};
use super::record::{LeaseEnd, Record};
use super::stored::StoredLease;

/// A lease that is not over.
#[derive(Debug)]
pub(super) struct Lease {
    request: LeaseRequest,
    /// Its end is being written.
    ending: bool,
    /// A grant that the disk did not take was not written again, because the end came first.
    is_grant_left: bool,
}

impl Lease {
    fn new(request: LeaseRequest) -> Self {
        Self { request, ending: false, is_grant_left: false }
    }

    pub(super) fn is_held(&self) -> bool {
        self.request.held
    }

    pub(super) fn ttl_ms(&self) -> u64 {
        self.request.ttl_ms
    }
}

impl<M: Machine> Core<M> {
    pub(super) fn lease_ask(&mut self, lease: LeaseRequest, by: String) {
        if self.leases.contains_key(&lease.id) {
            return;
        }
        self.leases.insert(Arc::clone(&lease.id), Lease::new(lease.clone()));
        self.write(Record::LeaseAsked { lease: Box::new(lease), by });
    }

    pub(super) fn take_up_lease(&mut self, stored: StoredLease, now: Moment) {
        let request = stored.request;
        if request.held {
            self.begin_spans(&request, now);
        }
        self.leases.insert(Arc::clone(&request.id), Lease::new(request.clone()));
        self.events.push_back(Event::LeaseAsked(Box::new(request)));
    }

    /// That it was asked for is on disk.
    pub(super) fn lease_asked(&mut self, lease: LeaseRequest) {
        self.events.push_back(Event::LeaseAsked(Box::new(lease)));
    }

    pub(super) fn grant(&mut self, id: &LeaseId) {
        let Some(lease) = self.leases.get(id) else { return };
        // Granted before the last end: on disk already.
        if lease.request.held {
            return;
        }
        let holder = lease.request.holder.clone();
        self.write(Record::LeaseGranted { id: Arc::clone(id), holder });
    }

    /// Writes a grant that the disk did not take, unless it came to an end meanwhile: nobody may be let onto a GPU that
    /// the scheduler has given to somebody else since.
    pub(super) fn grant_again(&mut self, id: LeaseId, holder: String) {
        match self.leases.get_mut(&id) {
            None => {}
            Some(lease) if lease.ending => lease.is_grant_left = true,
            Some(_) => self.write(Record::LeaseGranted { id, holder }),
        }
    }

    pub(super) fn granted(&mut self, id: LeaseId, now: Moment) {
        let Some(lease) = self.leases.get_mut(&id) else { return };
        lease.request.held = true;
        let request = lease.request.clone();
        self.begin_spans(&request, now);
        self.ops.push(Op::LeaseGranted { id });
    }

    /// A shared lease holds its GPUs from now on; an exclusive one's span is the lock's.
    fn begin_spans(&mut self, request: &LeaseRequest, now: Moment) {
        for gpu in request.gpus.iter().filter(|_| !request.exclusive).cloned() {
            let (kind, holder) = (SpanKind::Lease, Arc::clone(&request.id));
            self.ops.push(Op::Note(Note::SpanBegan { gpu, kind, holder, since: now.wall }));
        }
    }

    pub(super) fn expire(&mut self, id: &LeaseId) {
        self.end_lease(id, LeaseEnd::Expired, "arcology".to_owned());
    }

    pub(super) fn lease_release(&mut self, id: &LeaseId, by: String) {
        self.end_lease(id, LeaseEnd::Released, by);
    }

    fn end_lease(&mut self, id: &LeaseId, end: LeaseEnd, by: String) {
        let Some(lease) = self.leases.get_mut(id) else { return };
        if !std::mem::replace(&mut lease.ending, true) {
            self.write(Record::LeaseEnded { id: Arc::clone(id), end, by });
        }
    }

    pub(super) fn lease_ended(&mut self, id: LeaseId, end: LeaseEnd, now: Moment) {
        let Some(lease) = self.leases.remove(&id) else { return };
        if lease.request.held && !lease.request.exclusive {
            for gpu in lease.request.gpus {
                let (kind, holder) = (SpanKind::Lease, Arc::clone(&id));
                self.ops.push(Op::Note(Note::SpanEnded { gpu, kind, holder, until: now.wall }));
            }
        }
        if end == LeaseEnd::Released {
            self.events.push_back(Event::LeaseReleased(Arc::clone(&id)));
        }
        self.ops.push(Op::LeaseOver { id });
    }

    /// That a person gave it back is not on disk: it goes on, and they are told.
    pub(super) fn lease_goes_on(&mut self, id: &LeaseId) {
        let Some(lease) = self.leases.get_mut(id) else { return };
        lease.ending = false;
        if std::mem::take(&mut lease.is_grant_left) {
            self.grant(id);
        }
    }
}
