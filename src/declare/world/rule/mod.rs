//! The rules that hold between objects, one file each, all of two shapes.
//!
//! An [`Each`] rule looks at one document and what it refers to; a [`Together`] rule looks at all documents of a kind
//! beside each other. Both read the world as it would be and report; neither changes anything. Kinds are settled in
//! the order of [`Kind::ALL`], so that whatever a rule looks up is already decided, and only its own kind is not.

pub mod blueprint;
pub mod capability;
pub mod experiment;
pub mod file;
pub mod loadout;
pub mod policy;
pub mod reference;
pub mod run;
pub mod runtime;
pub mod task;
pub mod vram;

use crate::core::Kind;
use crate::declare::manifest::code::Code;
use crate::declare::manifest::locate::Reader;
use crate::declare::manifest::{Diagnostic, Severity};

use super::candidate::{Candidate, Subject};
use super::problem::Problem;

/// A rule about one document and what it refers to.
pub type Each = fn(Subject<'_>, &Candidate<'_>, &mut Report);

/// A rule about the documents of a kind beside each other. It only reports errors, each about at least one document
/// of the revision; what it reports quarantines all that are involved.
pub type Together = fn(&Candidate<'_>, &mut Report);

/// The rules about single documents of a kind.
#[must_use]
pub fn each(kind: Kind) -> &'static [Each] {
    match kind {
        Kind::Host => &[],
        Kind::Runtime => &[reference::check, runtime::gpu, runtime::adapter, file::check],
        Kind::Model => &[reference::check, vram::model, capability::model],
        Kind::Loadout => &[reference::check, loadout::check],
        Kind::Policy => &[reference::check, policy::selector],
        Kind::Blueprint => {
            &[reference::check, blueprint::sources, blueprint::lists, blueprint::cycles, capability::blueprint]
        }
        Kind::Task => &[reference::check, task::check, capability::task, file::check],
        Kind::Run => &[reference::check, run::check, file::check],
        Kind::GoldenSet => &[file::check],
        Kind::Experiment => &[reference::check, experiment::check],
    }
}

/// Those of them that also look at what could be read of a broken document ([`Subject::salvaged`]): rules that judge
/// what stands at one place, and ask whether they could read what else they need.
///
/// The others sum up or conclude from a document as a whole, and wait until it is one: whether a model fits on any of
/// its GPUs, what none of its runtimes offers, whether a policy is for nobody, circles of steps, lists to go through.
#[must_use]
pub fn of_broken(kind: Kind) -> &'static [Each] {
    match kind {
        Kind::Host => &[],
        Kind::Runtime => &[reference::check, runtime::gpu, runtime::adapter, file::check],
        Kind::Model | Kind::Policy => &[reference::check],
        Kind::Loadout => &[reference::check, loadout::check],
        Kind::Blueprint => &[reference::check, blueprint::sources, capability::blueprint],
        Kind::Task => &[reference::check, task::check, capability::task, file::check],
        Kind::Run => &[reference::check, run::check, file::check],
        Kind::GoldenSet => &[file::check],
        Kind::Experiment => &[reference::check, experiment::check],
    }
}

/// The rules about the documents of a kind beside each other.
#[must_use]
pub fn together(kind: Kind) -> &'static [Together] {
    match kind {
        Kind::Loadout => &[loadout::conflicts, vram::loadouts],
        Kind::Policy => &[policy::ties],
        Kind::Task => &[task::cycles],
        Kind::Host | Kind::Runtime | Kind::Model | Kind::Blueprint | Kind::Run | Kind::GoldenSet | Kind::Experiment => {
            &[]
        }
    }
}

/// What rules found.
#[derive(Debug, Default)]
pub struct Report {
    pub findings: Vec<Finding>,
    /// The document that the last problem is in: problems of one mostly come together, and reading it costs.
    reader: Option<Reader>,
}

/// One problem, and the slots of the documents that it is a problem of.
#[derive(Debug)]
pub struct Finding {
    pub slots: Vec<usize>,
    pub diagnostic: Diagnostic,
}

impl Report {
    /// An error of one document: its newest version will not be used.
    pub fn error(&mut self, subject: Subject<'_>, code: &Code, problem: Problem) {
        self.error_among(subject, &[], code, problem);
    }

    /// An error that several documents make together, told at `subject`: the newest version of none will be used.
    pub fn error_among(&mut self, subject: Subject<'_>, others: &[usize], code: &Code, problem: Problem) {
        let slots = std::iter::once(subject.slot).chain(others.iter().copied()).collect();
        self.add(subject, slots, code, problem, Severity::Error);
    }

    /// A remark that changes nothing.
    pub fn warning(&mut self, subject: Subject<'_>, code: &Code, problem: Problem) {
        self.add(subject, vec![subject.slot], code, problem, Severity::Warning);
    }

    /// What stands at a place that could not be read was told already, and nothing more is known of it.
    fn add(&mut self, subject: Subject<'_>, slots: Vec<usize>, code: &Code, problem: Problem, severity: Severity) {
        if !subject.reads_all_of(problem.path()) {
            return;
        }
        let last = self.reader.take().filter(|reader| reader.is_of(subject.document));
        let reader = last.unwrap_or_else(|| Reader::of(subject.document));
        let diagnostic = problem.locate_by(&reader, code, severity);
        self.findings.push(Finding { slots, diagnostic });
        self.reader = Some(reader);
    }
}
