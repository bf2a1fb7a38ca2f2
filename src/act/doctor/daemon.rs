//! The daemon: whether one runs here, and whether it is this program. Judging only: talking to it is left to `tell`.

use super::finding::Finding;

/// What is known of the daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Facts {
    /// There is no control socket.
    NoSocket,
    /// There is one, and nobody answers.
    Silent {
        socket: String,
        why: String,
    },
    Runs(Running),
}

/// A daemon that answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Running {
    /// Its own version; none when it does not tell.
    pub version: Option<String>,
    /// Why it does not follow its repository.
    pub source_problem: Option<String>,
    /// Why its store cannot be written.
    pub store_problem: Option<String>,
}

impl Facts {
    #[must_use]
    pub fn runs(&self) -> bool {
        matches!(self, Self::Runs(_))
    }
}

/// Judges; `own` is the version of this program.
#[must_use]
pub fn judge(facts: &Facts, own: &str) -> Vec<Finding> {
    const CHECK: &str = "daemon";
    let running = match facts {
        Facts::NoSocket => return vec![Finding::skipped(CHECK, "none runs here; `arcology up` starts it")],
        Facts::Silent { socket, why } => {
            let mend = "start it: arcology up. A socket that was left behind is taken over";
            return vec![Finding::warn(CHECK, format!("nobody answers at {socket}: {why}"), mend)];
        }
        Facts::Runs(running) => running,
    };
    let version = match running.version.as_deref() {
        Some(version) if version == own => Finding::ok(CHECK, format!("it runs, version {version}")),
        Some(version) => Finding::warn(
            CHECK,
            format!("it runs, version {version}, and this program is {own}"),
            "start it anew with this program: what it knows is kept",
        ),
        None => Finding::warn(CHECK, "it runs, and does not tell its version", "start it anew with this program"),
    };
    let mut findings = vec![version];
    if let Some(why) = &running.source_problem {
        findings.push(Finding::fail("daemon source", why.clone(), "arcology status tells what to do next"));
    }
    if let Some(why) = &running.store_problem {
        findings.push(Finding::fail("daemon store", why.clone(), "docs/operations.md tells what to do"));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::act::doctor::{Status, worst};

    #[test]
    fn a_daemon_of_another_version_and_one_in_trouble_are_told() {
        let running = |version: &str| Running { version: Some(version.to_owned()), ..Running::default() };
        for (facts, expected) in [
            (Facts::NoSocket, Status::Skipped),
            (Facts::Silent { socket: "s".into(), why: "refused".into() }, Status::Warn),
            (Facts::Runs(running("1.0")), Status::Ok),
            (Facts::Runs(running("0.9")), Status::Warn),
            (Facts::Runs(Running::default()), Status::Warn),
            (Facts::Runs(Running { store_problem: Some("full".into()), ..running("1.0") }), Status::Fail),
            (Facts::Runs(Running { source_problem: Some("gone".into()), ..running("1.0") }), Status::Fail),
        ] {
            assert_eq!(worst(&judge(&facts, "1.0")), expected, "{facts:?}");
        }
    }
}
