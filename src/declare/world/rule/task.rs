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

#[cfg(test)]
mod tests {
    use super::super::super::fixture::{manifest, told};

    #[test]
    fn links_of_a_chain_that_do_not_fit_are_told() {
        insta::assert_snapshot!(told(&[
            manifest("Task", "a", "capability: [text.stats, text.summarize], inputs: {text: hello}"),
            manifest("Task", "b", "capability: [doc.extract, text.embed, text.generate]"),
        ]), @r#"
error ARC315 Task/a at `text.summarize`: `text.summarize` takes text, but `text.stats` gives json
  ^ is given json
  = put a step between that turns json into text: `text.generate`
error ARC315 Task/b at `text.generate`: `text.generate` takes text or json, but `text.embed` gives vector
  ^ is given vector
  = no known capability turns vector into text or json
"#);
    }

    #[test]
    fn text_for_what_does_not_take_text_is_told() {
        insta::assert_snapshot!(told(&[
            manifest("Runtime", "tools", "host: desk, adapter: exec, capabilities: [ocr.pdf], options: {programs: {ocr.pdf: {steps: [{run: [ocr]}], outputs: [{file: out}]}}}"),
            manifest("Task", "a", "capability: ocr.pdf, inputs: {text: hello}"),
        ]), @r#"
error ARC315 Task/a at `hello`: `ocr.pdf` takes pdf, not text
  ^ this is text
  = give it files instead: `inputs: {files: [PATH]}`
"#);
    }

    #[test]
    fn tasks_that_wait_for_each_other_are_told_once_by_the_shortest_circle() {
        insta::assert_snapshot!(told(&[
            manifest("Task", "a", "capability: text.stats, dependencies: [b]"),
            manifest("Task", "b", "capability: text.stats, dependencies: [z, c]"),
            manifest("Task", "c", "capability: text.stats, dependencies: [a, b]"),
            manifest("Task", "d", "capability: text.stats, dependencies: [a]"),
            manifest("Task", "z", "capability: text.stats, dependencies: [z]"),
        ]), @r#"
error ARC314 Task/b at `c`: these tasks wait for each other: b -> c -> b
  ^ closes the circle
  = take one of these dependencies out
error ARC302 Task/d at `a`: Task `a` is broken, and no earlier version of it is in force
  ^ declared at new/new.yaml:1
  = mend Task/a first; there may be nothing else wrong here
error ARC314 Task/z at `z`: these tasks wait for each other: z -> z
  ^ closes the circle
  = take one of these dependencies out
"#);
    }

    #[test]
    fn a_diamond_is_no_circle() {
        let nothing = told(&[
            manifest("Task", "a", "capability: text.stats, dependencies: [b, c]"),
            manifest("Task", "b", "capability: text.stats, dependencies: [d]"),
            manifest("Task", "c", "capability: text.stats, dependencies: [d]"),
            manifest("Task", "d", "capability: text.stats"),
        ]);
        assert_eq!(nothing, "");
    }
}
