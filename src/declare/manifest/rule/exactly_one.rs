//! Inputs of a run and candidates of an experiment say exactly one thing.

use super::super::code::EXACTLY_ONE;
use super::super::document::Spec;
use super::super::kind::experiment::Candidate;
use super::super::path::Path;
use super::{Complaint, Subject, spec};

pub fn check(subject: &Subject<'_>, complaints: &mut Vec<Complaint>) {
    match subject.spec {
        Spec::Run(run) => {
            for (name, input) in &run.inputs {
                let set =
                    [("file", input.file.is_some()), ("files", input.files.is_some()), ("text", input.text.is_some())];
                one(spec("inputs").key(name), &set, complaints);
            }
        }
        Spec::Experiment(experiment) => {
            let mut candidate = |path, candidate: &Candidate| {
                let set = [("model", candidate.model.is_some()), ("blueprint", candidate.blueprint.is_some())];
                one(path, &set, complaints);
            };
            for (index, each) in experiment.candidates.iter().enumerate() {
                candidate(spec("candidates").index(index), each);
            }
            if let Some(baseline) = &experiment.baseline {
                candidate(spec("baseline"), baseline);
            }
        }
        Spec::Host(_)
        | Spec::Runtime(_)
        | Spec::Model(_)
        | Spec::Loadout(_)
        | Spec::Policy(_)
        | Spec::Blueprint(_)
        | Spec::Task(_)
        | Spec::GoldenSet(_) => {}
    }
}

fn one(path: Path, fields: &[(&str, bool)], complaints: &mut Vec<Complaint>) {
    let set: Vec<&str> = fields.iter().filter(|(_, set)| *set).map(|(name, _)| *name).collect();
    if set.len() == 1 {
        return;
    }
    let all = fields.iter().map(|(name, _)| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let message = match set.as_slice() {
        [] => format!("`{path}` says none of {all}"),
        several => format!("`{path}` says {} at once", several.join(" and ")),
    };
    complaints.push(Complaint::new(EXACTLY_ONE, path, message).label(format!("expected exactly one of {all}")));
}
