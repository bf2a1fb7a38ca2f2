//! Which objects a document refers to, and by which field. One list for every rule that follows references.
//!
//! It does not judge: whether a reference leads anywhere is [`super::rule`]'s business.

use std::fmt;

use crate::core::{Kind, Name};
use crate::declare::manifest::kind::experiment::Candidate;
use crate::declare::manifest::{Document, Spec};

/// The word that leaves the choice of a model to Arcology; it names no Model.
pub const AUTO: &str = "auto";

/// Called once for each reference, with the path of the field, and the kind and name it refers to.
///
/// The path is only formatted by those who need it: most references are fine.
pub type Visit<'v> = &'v mut dyn FnMut(fmt::Arguments<'_>, Kind, &str);

/// Shows every reference of `document` to `visit`, in the order in which they stand in the spec.
pub fn each(document: &Document, visit: Visit<'_>) {
    match &document.spec {
        Spec::Host(_) | Spec::GoldenSet(_) => {}
        Spec::Runtime(spec) => visit(format_args!("spec.host"), Kind::Host, spec.host.as_str()),
        Spec::Model(spec) => {
            for (i, served) in spec.served_by.iter().enumerate() {
                visit(format_args!("spec.servedBy[{i}].runtime"), Kind::Runtime, served.runtime.as_str());
            }
        }
        Spec::Loadout(spec) => {
            visit(format_args!("spec.host"), Kind::Host, spec.host.as_str());
            optional("spec.copilot", Kind::Model, spec.copilot.as_ref(), visit);
            optional("spec.rollback.model", Kind::Model, spec.rollback.as_ref().map(|rollback| &rollback.model), visit);
            for (i, listed) in spec.models.iter().enumerate() {
                visit(format_args!("spec.models[{i}].model"), Kind::Model, listed.model.as_str());
            }
        }
        Spec::Policy(spec) => {
            for (i, host) in spec.selector.iter().flat_map(|selector| &selector.hosts).enumerate() {
                visit(format_args!("spec.selector.hosts[{i}]"), Kind::Host, host.as_str());
            }
        }
        Spec::Blueprint(spec) => {
            for (i, node) in spec.nodes.iter().enumerate() {
                if let Some(model) = node.model.as_deref().filter(|model| *model != AUTO) {
                    visit(format_args!("spec.nodes[{i}].model"), Kind::Model, model);
                }
            }
        }
        Spec::Task(spec) => {
            optional("spec.target.runtime", Kind::Runtime, spec.target.runtime.as_ref(), visit);
            if let Some(model) = spec.target.model.as_deref().filter(|model| *model != AUTO) {
                visit(format_args!("spec.target.model"), Kind::Model, model);
            }
            for (i, dependency) in spec.dependencies.iter().enumerate() {
                visit(format_args!("spec.dependencies[{i}]"), Kind::Task, dependency);
            }
        }
        Spec::Run(spec) => visit(format_args!("spec.blueprint"), Kind::Blueprint, spec.blueprint.as_str()),
        Spec::Experiment(spec) => {
            visit(format_args!("spec.goldenSet"), Kind::GoldenSet, spec.golden_set.as_str());
            for (i, one) in spec.candidates.iter().enumerate() {
                candidate(format_args!("spec.candidates[{i}]"), one, visit);
            }
            if let Some(baseline) = &spec.baseline {
                candidate(format_args!("spec.baseline"), baseline, visit);
            }
            let loadout = spec.promote.as_ref().map(|promote| &promote.loadout);
            optional("spec.promote.loadout", Kind::Loadout, loadout, visit);
        }
    }
}

fn optional(path: &str, kind: Kind, name: Option<&Name>, visit: Visit<'_>) {
    if let Some(name) = name {
        visit(format_args!("{path}"), kind, name.as_str());
    }
}

fn candidate(path: fmt::Arguments<'_>, candidate: &Candidate, visit: Visit<'_>) {
    if let Some(model) = &candidate.model {
        visit(format_args!("{path}.model"), Kind::Model, model.as_str());
    }
    if let Some(blueprint) = &candidate.blueprint {
        visit(format_args!("{path}.blueprint"), Kind::Blueprint, blueprint.as_str());
    }
}
