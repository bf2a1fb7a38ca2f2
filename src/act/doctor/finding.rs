//! What a check found: how bad it is, what was seen, and how to mend it. Pure.

use serde::Serialize;

/// How bad it is, from good to bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Ok,
    /// Not looked at, and why.
    Skipped,
    /// Works, and could be better.
    Warn,
    /// Does not work.
    Fail,
}

impl Status {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Skipped => "skipped",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// What one check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at, such as `git` or `runtime swap`.
    pub check: String,
    pub status: Status,
    /// What was seen, a fragment.
    pub seen: String,
    /// What to do about it; none where nothing needs to be done.
    pub mend: Option<String>,
}

impl Finding {
    pub fn ok(check: impl Into<String>, seen: impl Into<String>) -> Self {
        Self { check: check.into(), status: Status::Ok, seen: seen.into(), mend: None }
    }

    pub fn skipped(check: impl Into<String>, seen: impl Into<String>) -> Self {
        Self { status: Status::Skipped, ..Self::ok(check, seen) }
    }

    pub fn warn(check: impl Into<String>, seen: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { status: Status::Warn, mend: Some(mend.into()), ..Self::ok(check, seen) }
    }

    pub fn fail(check: impl Into<String>, seen: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { status: Status::Fail, mend: Some(mend.into()), ..Self::ok(check, seen) }
    }
}

/// The worst of all; ok when there are none.
#[must_use]
pub fn worst(findings: &[Finding]) -> Status {
    findings.iter().map(|finding| finding.status).max().unwrap_or(Status::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_finding_counts_and_what_was_skipped_is_no_trouble() {
        let all = [
            Finding::ok("a", "x"),
            Finding::skipped("b", "x"),
            Finding::warn("c", "x", "y"),
            Finding::fail("d", "x", "y"),
        ];
        assert_eq!(
            (0..=4).map(|n| worst(&all[..n])).collect::<Vec<_>>(),
            [Status::Ok, Status::Ok, Status::Skipped, Status::Warn, Status::Fail]
        );
    }
}
