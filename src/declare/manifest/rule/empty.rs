//! Lists and texts without which an object can do nothing are not empty.

use super::super::code::EMPTY;
use super::super::document::Spec;
use super::super::kind::golden_set::Cases;
use super::{Complaint, Subject, spec};

pub fn check(subject: &Subject<'_>, complaints: &mut Vec<Complaint>) {
    let mut need = |holds: bool, field: &str, what: &str| {
        if !holds {
            let message = format!("`spec.{field}` is empty");
            complaints.push(Complaint::new(EMPTY, spec(field), message).label(format!("expected {what}")));
        }
    };
    match subject.spec {
        Spec::Host(host) => need(!host.address.trim().is_empty(), "address", "an IP address or a host name"),
        Spec::Blueprint(blueprint) => need(!blueprint.nodes.is_empty(), "nodes", "at least one step"),
        Spec::Task(task) => {
            need(!task.capability.0.is_empty(), "capability", "a capability, or a list of at least one")
        }
        Spec::GoldenSet(set) => {
            need(!set.metrics.is_empty(), "metrics", "at least one metric");
            need(
                !matches!(&set.cases, Cases::Inline(cases) if cases.is_empty()),
                "cases",
                "a file, or at least one case",
            );
        }
        Spec::Experiment(experiment) => need(!experiment.candidates.is_empty(), "candidates", "at least one candidate"),
        Spec::Runtime(_) | Spec::Model(_) | Spec::Loadout(_) | Spec::Policy(_) | Spec::Run(_) => {}
    }
}
