//! Who has or waits for which lease, for telling why one was taken back. What a lease is and when it ends is the core's.

use std::collections::HashMap;

use crate::core::unit::Span;
use crate::decide::dispatch::{LeaseEnd, Record};
use crate::decide::scheduler::{LeaseId, LeaseRequest};

/// The leases that are not over.
#[derive(Debug, Default)]
pub struct Lessees(HashMap<LeaseId, Lessee>);

#[derive(Debug)]
struct Lessee {
    holder: String,
    purpose: String,
    /// What it may be silent for, as the last sign of life said.
    ttl_ms: u64,
}

impl Lessees {
    /// Leases of an earlier run: each has its whole time again.
    pub fn taken_up<'a>(leases: impl Iterator<Item = &'a LeaseRequest>) -> Self {
        let mut lessees = Self::default();
        leases.for_each(|lease| lessees.asked(lease));
        lessees
    }

    pub fn asked(&mut self, lease: &LeaseRequest) {
        let lessee = Lessee { holder: lease.holder.clone(), purpose: lease.purpose.clone(), ttl_ms: lease.ttl_ms };
        self.0.insert(lease.id.clone(), lessee);
    }

    pub fn renewed(&mut self, id: &LeaseId, ttl_ms: u64) {
        if let Some(lessee) = self.0.get_mut(id) {
            lessee.ttl_ms = ttl_ms;
        }
    }

    pub fn over(&mut self, id: &LeaseId) {
        self.0.remove(id);
    }

    /// Why a lease is taken back; none for a record of anything else.
    #[must_use]
    pub fn why_taken_back(&self, record: &Record) -> Option<String> {
        let Record::LeaseEnded { id, end: LeaseEnd::Expired, .. } = record else { return None };
        let Lessee { holder, purpose, ttl_ms } = self.0.get(id)?;
        let silence = Span::from_secs(ttl_ms.div_ceil(1_000));
        Some(format!("{purpose} by {holder}: no sign of life for {silence}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(end: LeaseEnd) -> Record {
        Record::LeaseEnded { id: "lease-1".into(), end, by: "arcology".into() }
    }

    #[test]
    fn what_is_taken_back_is_told_with_purpose_holder_and_the_time_that_was_agreed_last() {
        let lease = LeaseRequest {
            id: "lease-1".into(),
            gpus: Vec::new(),
            holder: "ada@desk".into(),
            purpose: "bench".into(),
            exclusive: true,
            vram_gb: None,
            force: false,
            priority: 0,
            ttl_ms: 30_000,
            held: false,
        };
        let mut lessees = Lessees::taken_up([&lease].into_iter());
        let why = |lessees: &Lessees| lessees.why_taken_back(&ended(LeaseEnd::Expired));
        assert_eq!(why(&lessees).as_deref(), Some("bench by ada@desk: no sign of life for 30s"));
        lessees.renewed(&lease.id, 90_000);
        assert_eq!(why(&lessees).as_deref(), Some("bench by ada@desk: no sign of life for 1m30s"));
        assert_eq!(lessees.why_taken_back(&ended(LeaseEnd::Released)), None);
        lessees.over(&lease.id);
        assert_eq!(why(&lessees), None);
    }
}
