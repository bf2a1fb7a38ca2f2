//! A Task's chain fits together link by link, and no tasks wait for each other.

use std::collections::HashMap;

use crate::core::Kind;
use crate::declare::manifest::Spec;
use crate::declare::manifest::kind::capability::{self, DataType};

use super::super::candidate::{Candidate, Subject};
use super::super::problem::Problem;
use super::super::{code, graph};
use super::Report;
use super::blueprint::{bridge, words};

/// Reports links of a chain that do not take what the link before gives, and text for what does not take text.
pub fn check(subject: Subject<'_>, _: &Candidate<'_>, report: &mut Report) {
    let Spec::Task(spec) = &subject.document.spec else { return };
    let links: Vec<_> = spec.capability.0.iter().map(|name| capability::find(name)).collect();
    for (i, pair) in links.windows(2).enumerate() {
        let (Some(from), Some(to)) = (pair[0], pair[1]) else { continue };
        if !to.takes(from.gives) {
            let gives = from.gives.as_str();
            let message = format!("`{}` takes {}, but `{}` gives {gives}", to.name, words(to.accepts), from.name);
            let problem = Problem::at(format_args!("spec.capability[{}]", i + 1), message)
                .label(format_args!("is given {gives}"))
                .help(bridge(from.gives, to));
            report.error(subject, &code::WRONG_DATA, problem);
        }
    }
    let first = links.first().copied().flatten().filter(|first| !first.takes(DataType::Text));
    if let (Some(first), Some(_)) = (first, &spec.inputs.text) {
        let message = format!("`{}` takes {}, not text", first.name, words(first.accepts));
        let problem = Problem::at("spec.inputs.text", message)
            .label("this is text")
            .help("give it files instead: `inputs: {files: [PATH]}`");
        report.error(subject, &code::WRONG_DATA, problem);
    }
}

/// Reports tasks that depend on themselves by way of others.
pub fn cycles(world: &Candidate<'_>, report: &mut Report) {
    let subjects: Vec<_> = world.of_kind(Kind::Task).collect();
    let at: HashMap<&str, usize> =
        subjects.iter().enumerate().map(|(i, subject)| (subject.document.key.name.as_str(), i)).collect();
    let edges: Vec<Vec<usize>> = subjects
        .iter()
        .map(|subject| dependencies(*subject).iter().filter_map(|name| at.get(name.as_str()).copied()).collect())
        .collect();
    for knot in graph::knots(&edges, |node| world.is_good(subjects[node].slot)) {
        let told = subjects[knot.cycle[0]];
        let next = subjects[knot.cycle[1 % knot.cycle.len()]].document.key.name.as_str();
        let link = dependencies(told).iter().position(|name| name == next).unwrap_or_default();
        let cycle = graph::written(&knot.cycle, |node| subjects[node].document.key.name.as_str());
        let others: Vec<_> =
            knot.members.iter().map(|node| subjects[*node].slot).filter(|slot| *slot != told.slot).collect();
        let problem = Problem::at(
            format_args!("spec.dependencies[{link}]"),
            format_args!("these tasks wait for each other: {cycle}"),
        )
        .label("closes the circle")
        .help("take one of these dependencies out");
        report.error_among(told, &others, &code::CYCLE, problem);
    }
}

fn dependencies<'a>(subject: Subject<'a>) -> &'a [String] {
    match &subject.document.spec {
        Spec::Task(spec) => &spec.dependencies,
        _ => &[],
    }
}
