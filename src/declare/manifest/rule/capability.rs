//! Every capability that is named exists.

use super::super::code::UNKNOWN_CAPABILITY;
use super::super::document::Spec;
use super::super::kind::capability::{ALL, find};
use super::super::path::Path;
use super::super::source::quoted;
use super::{Complaint, Subject, spec};
use crate::core::text::nearest;

pub fn check(subject: &Subject<'_>, complaints: &mut Vec<Complaint>) {
    match subject.spec {
        Spec::Runtime(runtime) => list(&spec("capabilities"), &runtime.capabilities, complaints),
        Spec::Model(model) => list(&spec("capabilities"), &model.capabilities, complaints),
        Spec::Policy(policy) => {
            list(&spec("gpuExclusiveFor"), policy.gpu_exclusive_for.as_deref().unwrap_or_default(), complaints);
        }
        Spec::Blueprint(blueprint) => {
            for (index, node) in blueprint.nodes.iter().enumerate() {
                one(spec("nodes").index(index).key("capability"), &node.capability, complaints);
            }
        }
        Spec::Task(task) => list(&spec("capability"), &task.capability.0, complaints),
        Spec::GoldenSet(set) => one(spec("capability"), &set.capability, complaints),
        Spec::Host(_) | Spec::Loadout(_) | Spec::Run(_) | Spec::Experiment(_) => {}
    }
}

fn list(path: &Path, names: &[String], complaints: &mut Vec<Complaint>) {
    for (index, name) in names.iter().enumerate() {
        one(path.index(index), name, complaints);
    }
}

fn one(path: Path, name: &str, complaints: &mut Vec<Complaint>) {
    if find(name).is_some() {
        return;
    }
    let names = || ALL.iter().map(|capability| capability.name);
    let help = match nearest(name, names()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("the capabilities are {}", names().collect::<Vec<_>>().join(", ")),
    };
    let message = format!("there is no capability {}", quoted(name));
    complaints.push(Complaint::new(UNKNOWN_CAPABILITY, path, message).label("unknown capability").help(help));
}
