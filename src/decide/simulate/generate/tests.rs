//! What seeds become: worlds that the real rules accept, and scripts with everything in them.

use std::collections::BTreeMap;

use super::super::repository::{Library, Repository};
use super::super::script::Act;
use super::*;
use crate::core::Timestamp;

#[test]
fn a_seed_gives_the_same_script_every_time_and_another_one_another() {
    assert_eq!(script(7), script(7));
    assert_ne!(script(7), script(8));
}

#[test]
fn nearly_every_first_commit_is_accepted_whole() {
    let mut library = Library::default();
    let mut whole = 0;
    let mut codes: BTreeMap<String, u32> = BTreeMap::new();
    for seed in 0..200 {
        let script = script(seed);
        let mut repository = Repository::default();
        repository.commit(&mut library, script.files.iter().map(|(p, t)| (p, Some(t))), false, Timestamp::UNIX_EPOCH);
        let assembly = repository.assemble(&BTreeMap::new());
        assert!(assembly.world.hosts().count() > 0, "{:?}", assembly.world.diagnostics);
        for diagnostic in &assembly.world.diagnostics {
            *codes
                .entry(format!("{} {:?} {}", diagnostic.code, diagnostic.severity, diagnostic.message))
                .or_default() += 1;
        }
        whole += u32::from(assembly.world.broken.is_empty());
    }
    assert!(whole >= 150, "{whole} of 200: {codes:#?}");
}

#[test]
fn every_kind_of_step_comes_up_within_a_few_hundred_seeds() {
    let mut seen: BTreeMap<&str, u32> = BTreeMap::new();
    for step in (0..300).flat_map(|seed| script(seed).steps) {
        let word = match step.act {
            Act::Commit { .. } => "commit",
            Act::Submit(_) => "submit",
            Act::Cancel { .. } => "cancel",
            Act::Retry { .. } => "retry",
            Act::Reroute { .. } => "reroute",
            Act::Lease(_) => "lease",
            Act::Fault(_) => "fault",
        };
        *seen.entry(word).or_default() += 1;
    }
    assert_eq!(seen.len(), 7, "{seen:?}");
    assert!(seen.values().all(|count| *count >= 30), "{seen:?}");
}
