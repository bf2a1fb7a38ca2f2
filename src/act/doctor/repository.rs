//! The state repository: that it can be read, its branch, and whether its manifests are valid. Judging only: whoever asks
//! has read it.

use crate::core::text::count;

use super::finding::Finding;

/// What is known of the repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Facts {
    /// It is on another machine, and looking would fetch it.
    Remote,
    Unreadable {
        at: String,
        why: String,
        help: Option<String>,
    },
    Read(Read),
}

/// A revision that was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Read {
    /// Branch and short commit.
    pub revision: String,
    pub files: usize,
    pub objects: usize,
    pub errors: usize,
    pub warnings: usize,
}

/// Judges.
#[must_use]
pub fn judge(facts: &Facts) -> Vec<Finding> {
    const CHECK: &str = "repository";
    let read = match facts {
        Facts::Remote => {
            return vec![Finding::skipped(
                CHECK,
                "it is on another machine: `arcology up` and `arcology status` tell whether it can be read",
            )];
        }
        Facts::Unreadable { at, why, help } => {
            let mend = help.clone().unwrap_or_else(|| {
                "say where it is: arcology doctor --repo PATH, or make one: arcology init my-state --commit".to_owned()
            });
            return vec![Finding::fail(CHECK, format!("{at} cannot be read: {why}"), mend)];
        }
        Facts::Read(read) => read,
    };
    let place = Finding::ok(CHECK, format!("{} can be read", read.revision));
    let told = format!("{} in {}", count(read.objects, "object"), count(read.files, "file"));
    let manifests = if read.files == 0 {
        Finding::warn(
            "manifests",
            "there are none in this revision",
            "arcology discover > manifests/discovered.yaml, or arcology init in a new folder; then commit",
        )
    } else if read.errors > 0 {
        Finding::fail(
            "manifests",
            format!("{told}, {}", count(read.errors, "error")),
            "arcology validate tells each with its line",
        )
    } else if read.warnings > 0 {
        Finding::warn(
            "manifests",
            format!("{told}, {}", count(read.warnings, "warning")),
            "arcology validate tells each with its line",
        )
    } else {
        Finding::ok("manifests", format!("{told}, all valid"))
    };
    vec![place, manifests]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::act::doctor::{Status, worst};

    #[test]
    fn a_repository_is_judged_by_what_is_in_it() {
        let read =
            |files, errors, warnings| Facts::Read(Read { files, objects: files, errors, warnings, ..Read::default() });
        for (facts, expected) in [
            (Facts::Remote, Status::Skipped),
            (Facts::Unreadable { at: "x".into(), why: "gone".into(), help: None }, Status::Fail),
            (read(0, 0, 0), Status::Warn),
            (read(3, 0, 0), Status::Ok),
            (read(3, 0, 1), Status::Warn),
            (read(3, 2, 1), Status::Fail),
        ] {
            assert_eq!(worst(&judge(&facts)), expected, "{facts:?}");
        }
    }
}
