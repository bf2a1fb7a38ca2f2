//! Decides which documents of a revision can be used, kind by kind.
//!
//! 1. Every good document of the kind is looked at by itself.
//! 2. Those with errors are quarantined; whatever of the same kind refers to them is looked at again, until nothing
//!    new is found.
//! 3. What is left is looked at together; where that quarantines something, step 2 is repeated.
//!
//! Each step judges all documents against the same state before it changes any, so no order of files matters.

use std::collections::{BTreeMap, BTreeSet};

use crate::core::Kind;
use crate::declare::manifest::Severity;

use super::candidate::{Candidate, State, Subject};
use super::reference;
use super::rule::{self, Report};

/// Runs every rule on every good document of the candidate.
pub(super) fn settle(world: &mut Candidate<'_>) {
    for kind in Kind::ALL {
        settle_kind(world, kind);
    }
}

fn settle_kind(world: &mut Candidate<'_>, kind: Kind) {
    let mut referrers = None;
    let mut due: Vec<usize> = world.range(kind).filter(|slot| world.is_good(*slot)).collect();
    loop {
        let mut refused = look_at_each(world, kind, &due);
        if refused.is_empty() {
            refused = look_together(world, kind);
        }
        if refused.is_empty() {
            return;
        }
        let referrers = referrers.get_or_insert_with(|| referrers_within(world, kind));
        let again: BTreeSet<usize> = refused.iter().filter_map(|slot| referrers.get(slot)).flatten().copied().collect();
        due = again.into_iter().filter(|slot| world.is_good(*slot)).collect();
    }
}

/// Judges each document anew, and returns those that are refused.
fn look_at_each(world: &mut Candidate<'_>, kind: Kind, due: &[usize]) -> BTreeSet<usize> {
    let mut report = Report::default();
    for &slot in due {
        if let State::Good(document) = world.slots[slot].state {
            for check in rule::each(kind) {
                check(Subject::whole(slot, document), world, &mut report);
            }
        }
    }
    for &slot in due {
        world.slots[slot].findings.clear();
    }
    file(world, report)
}

fn look_together(world: &mut Candidate<'_>, kind: Kind) -> BTreeSet<usize> {
    let mut report = Report::default();
    for check in rule::together(kind) {
        check(world, &mut report);
    }
    file(world, report)
}

/// Puts findings where they belong, and quarantines what has errors.
fn file(world: &mut Candidate<'_>, report: Report) -> BTreeSet<usize> {
    let mut refused = BTreeSet::new();
    for finding in report.findings {
        let error = finding.diagnostic.severity == Severity::Error;
        for at in finding.slots {
            // A last good version that takes part in a conflict stays what it is.
            if !world.is_good(at) && !refused.contains(&at) {
                continue;
            }
            let slot = &mut world.slots[at];
            slot.findings.push(finding.diagnostic.clone());
            if let State::Good(document) = slot.state
                && error
            {
                slot.state = State::Bad(document.place.clone());
                refused.insert(at);
            }
        }
    }
    refused
}

/// For each slot of a kind, the slots of the same kind that refer to it.
fn referrers_within(world: &Candidate<'_>, kind: Kind) -> BTreeMap<usize, Vec<usize>> {
    let mut referrers: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for from in world.range(kind) {
        if let State::Good(document) = world.slots[from].state {
            reference::each(document, &mut |_, to_kind, name| {
                if let Some(to) = world.index.get(&(to_kind, name)).filter(|_| to_kind == kind) {
                    referrers.entry(*to).or_default().push(from);
                }
            });
        }
    }
    referrers
}
