//! What can be told of broken documents before their form is mended: names that lead nowhere, files that are not there.
//!
//! Done last, when everything else is decided. It reads the settled world and gives diagnostics; it has no way to put
//! anything in force, to change how an object stands, or to be referred to.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::declare::manifest::{Diagnostic, ParsedFile};

use super::candidate::{Candidate, Subject};
use super::rule::{self, Report};

/// What the rules find in that which could be read of broken documents.
pub(super) fn findings(world: &Candidate<'_>, files: &BTreeMap<Arc<str>, Arc<ParsedFile>>) -> Vec<Diagnostic> {
    let mut all = Vec::new();
    for salvaged in files.values().flat_map(|file| &file.salvaged) {
        let mut report = Report::default();
        for check in rule::of_broken(salvaged.document().key.kind) {
            check(Subject::salvaged(salvaged), world, &mut report);
        }
        // A document whose name could not be read carries a stand-in, which is nobody's.
        let object = salvaged.key();
        all.extend(report.findings.into_iter().map(|found| Diagnostic { object: object.cloned(), ..found.diagnostic }));
    }
    all
}
